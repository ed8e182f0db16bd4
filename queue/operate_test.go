package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func TestCancel(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Script(routetest.Hold)
		b.open(modem)
		flying := b.add(Draft{To: anna})
		waiting := b.add(Draft{To: bram})
		synctest.Wait()
		if _, err := b.q.Cancel(t.Context(), waiting, "till-1"); err != nil {
			t.Errorf("a waiting message: %v", err)
		}
		b.want(waiting, Cancelled, "cancelled")
		done := make(chan error, 1)
		go func() {
			_, err := b.q.Cancel(t.Context(), flying, "till-1")
			done <- err
		}()
		synctest.Wait()
		modem.Release()
		var notNow *ErrNotNow
		if err := <-done; !errors.As(err, &notNow) || notNow.State != Sent {
			t.Errorf("a message on the air: %v", err)
		}
		b.want(flying, Sent, "wait_report")
		if _, err := b.q.Cancel(t.Context(), ID(12345), "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("no such message: %v", err)
		}
	})
}

func TestCancelBeforeTheFirstByte(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		slow := &slowRoute{Fake: routetest.NewFake("slow")}
		b.open()
		if err := b.q.Attach(slow, ""); err != nil {
			t.Fatal(err)
		}
		id := b.add(Draft{})
		b.want(id, Sending, "sending")
		m, err := b.q.Cancel(t.Context(), id, "till-1")
		if err != nil || m.State != Cancelled {
			t.Errorf("got %v, %v", m, err)
		}
	})
}

type slowRoute struct{ *routetest.Fake }

func (s *slowRoute) Send(ctx context.Context, out route.Outbound) (route.Receipt, error) {
	<-ctx.Done()
	return route.Receipt{}, route.Ended(ctx, "slow")
}

func TestPauseHoldsAcrossARestart(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		if err := b.q.Pause(t.Context(), "counter", "uid:0"); err != nil {
			t.Fatal(err)
		}
		id := b.add(Draft{})
		b.close()
		b.open(modem)
		m := b.want(id, Queued, "in_line")
		if why, _ := b.q.Explain(m); why.Code != "paused" {
			t.Errorf("explained as %s", why.Code)
		}
		if err := b.q.Resume(t.Context(), "counter", "uid:0"); err != nil {
			t.Fatal(err)
		}
		b.want(id, Sent, "wait_report")
	})
}

func TestRefusedDraftsNameTheFieldAndTheRemedy(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Country: "NL", MaxParts: 2})
		nine, minus := 9, -1
		long := fmt.Sprintf("%0400d", 7)
		for _, c := range []struct {
			field string
			d     Draft
		}{
			{"to", Draft{To: "", Text: "x"}},
			{"to", Draft{To: "not a number", Text: "x"}},
			{"to", Draft{To: "+1 202 555 0123", Text: "x"}},
			{"text", Draft{To: anna, Text: ""}},
			{"text", Draft{To: anna, Text: long}},
			{"text", Draft{To: anna, Text: "\xff"}},
			{"class", Draft{To: anna, Text: "x", Class: "spam"}},
			{"priority", Draft{To: anna, Text: "x", Priority: &nine}},
			{"priority", Draft{To: anna, Text: "x", Priority: &minus}},
			{"encoding", Draft{To: anna, Text: "x", Encoding: "utf8"}},
			{"pool", Draft{To: anna, Text: "x", Pool: "nowhere"}},
			{"lang", Draft{To: anna, Text: "x", Lang: "tlh"}},
			{"on_unknown", Draft{To: anna, Text: "x", OnUnknown: "guess"}},
			{"on_partial", Draft{To: anna, Text: "x", OnPartial: "guess"}},
			{"expires", Draft{To: anna, Text: "x", Expires: time.Now().Add(-time.Hour)}},
			{"at", Draft{To: anna, Text: "x", At: time.Now().Add(10 * 366 * 24 * time.Hour)}},
			{"max_parts", Draft{To: anna, Text: "x", MaxParts: -1}},
			{"from", Draft{To: anna, Text: "x", From: "Bakkerij Janse"}},
			{"from", Draft{To: anna, Text: "x", From: "Bäcker"}},
		} {
			_, err := b.q.Add(t.Context(), c.d)
			var invalid *Invalid
			if !errors.As(err, &invalid) || invalid.Field != c.field || len(invalid.Detail) < 20 || invalid.Code == "" {
				t.Errorf("%+v: got %v, want a refusal of field %q that says what to do", c.d, err, c.field)
			}
		}
		if n := b.q.Counts().Queued; n != 0 {
			t.Errorf("%d refused drafts are in the queue", n)
		}
	})
}

func TestFullQueueRefusesAndGoesOn(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.SetState(route.Waiting)
		b.openWith(Config{QueueMax: 3}, modem)
		for range 3 {
			b.add(Draft{})
		}
		var full *Full
		if _, err := b.q.Add(t.Context(), Draft{To: bram, Text: "x"}); !errors.As(err, &full) || full.RetryAfter <= 0 {
			t.Errorf("got %v", err)
		}
		modem.SetState(route.Ready)
		b.later(time.Second)
		b.add(Draft{})
	})
}

func TestInboundIsKeptOnce(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		synctest.Wait()
		for range 2 {
			if err := modem.Deliver(route.Inbound{Key: "same", From: anna, Text: "ja, is goed"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := modem.Deliver(route.Inbound{From: anna, Text: "tot morgen"}); err != nil {
			t.Fatal(err)
		}
		list, next, err := b.q.Inbox(0, 10)
		if err != nil || next != 0 || len(list) != 2 || list[0].Text != "tot morgen" {
			t.Errorf("got %+v, next %d, %v", list, next, err)
		}
	})
}

func TestListPagesAndFilters(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		for i := range 25 {
			b.add(Draft{To: anna, Till: fmt.Sprint("till-", i%2), Ref: fmt.Sprint("r", i%5), Text: fmt.Sprint("number ", i)})
		}
		var all []string
		for cursor := ID(0); ; {
			items, next, err := b.q.List(Filter{Till: "till-1", Before: cursor, Limit: 5})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range items {
				all = append(all, m.Text())
			}
			if cursor = next; next == 0 {
				break
			}
		}
		if len(all) != 12 || all[0] != "number 23" || all[11] != "number 1" {
			t.Errorf("paged through %v", all)
		}
		items, next, err := b.q.List(Filter{Ref: "r3", Limit: 3})
		if err != nil || len(items) != 3 || next == 0 || items[0].Text() != "number 23" {
			t.Errorf("by ref: %d items, next %v, %v", len(items), next, err)
		}
		items, next, err = b.q.List(Filter{Ref: "r3", Limit: 3, Before: next})
		if err != nil || len(items) != 2 || next != 0 {
			t.Errorf("by ref, next page: %d items, next %v, %v", len(items), next, err)
		}
	})
}

func TestEventsAreReadFromACursor(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		wake, stop := b.q.Subscribe()
		defer stop()
		b.later(time.Second)
		mark := b.q.LastEvent()
		for len(wake) > 0 {
			<-wake
		}
		id := b.add(Draft{})
		b.later(time.Second)
		if len(wake) == 0 {
			t.Error("nobody was told")
		}
		list, err := b.q.Events(mark, 0)
		if err != nil || len(list) != 3 || list[0].Msg != id || list[0].Seq != mark+1 {
			t.Errorf("got %+v, %v", list, err)
		}
	})
}

func TestTwoRoutesOfOneName(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		if err := b.q.Attach(routetest.NewFake("counter"), ""); err == nil {
			t.Error("two routes of one name were attached")
		}
		if err := b.q.Detach(t.Context(), "counter"); err != nil {
			t.Error(err)
		}
		if err := b.q.Attach(routetest.NewFake("counter"), ""); err != nil {
			t.Error(err)
		}
		b.want(b.add(Draft{}), Sent, "wait_report")
	})
}

func TestExpiresHasABound(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		var invalid *Invalid
		_, err := b.q.Add(t.Context(), Draft{To: anna, Text: "x", Expires: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)})
		if !errors.As(err, &invalid) || invalid.Field != "expires" {
			t.Errorf("got %v", err)
		}
	})
}
