package routetest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
)

func TestFakeCarriesAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake("counter")
		f.AutoReport(time.Minute)
		sink := newSink()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx, sink) }()
		synctest.Wait()

		receipt, err := f.Send(ctx, route.Outbound{ID: "1", Attempt: 1, To: "+31612345678", Segments: []route.Segment{{Text: "a"}, {Text: "b"}}, Report: true})
		if err != nil || len(receipt.Parts) != 2 || receipt.Parts[1].Ref != "2" {
			t.Fatalf("the receipt is %+v, %v", receipt, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := sink.reports(); len(got) != 2 || got[0].Ref != "1" || got[1].Ref != "2" || got[0].Identity != "sim-counter" {
			t.Errorf("reports are %+v", got)
		}
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("Run returned %v", err)
		}
		if err := f.Report(route.Report{}); err != errGone {
			t.Errorf("a report to nobody: %v", err)
		}
	})
}

func fakeHarness(t *testing.T) Harness {
	f := NewFake("fake")
	f.SetLanes(4)
	f.Patience(2 * time.Second)
	return Harness{
		Route:   f,
		Script:  f.Script,
		Seen:    f.Seen,
		Release: f.Release,
		Drop:    f.Drop,
		Connect: f.Connect,
		Deliver: func(text string) {
			f.DeliverAgain(route.Inbound{Key: text, From: "+31687654321", Text: text})
		},
		From: "+31687654321",
		Report: func(to string, p route.Part) {
			f.ReportAgain(route.Report{Key: p.Ref, Ref: p.Ref, To: to, State: route.ReportDelivered})
		},
		Acked: f.Acked,
		Hopeless: func(*testing.T) route.Route {
			f := NewFake("hopeless")
			f.End(errors.New("the PIN is wrong"))
			return f
		},
	}
}

func TestFakeObeysTheContract(t *testing.T) {
	t.Run("in a bubble", func(t *testing.T) { RunInBubble(t, fakeHarness) })
	t.Run("in real time", func(t *testing.T) { Run(t, fakeHarness) })
}
