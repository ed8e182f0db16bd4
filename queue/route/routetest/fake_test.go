package routetest

import (
	"context"
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
