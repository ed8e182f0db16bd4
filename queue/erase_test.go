package queue

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// What a lane holds is forgotten when it has landed, and who comes back later
// is a customer again.
func TestErasingWaitsForTheLane(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			time.Sleep(5 * time.Second)
			return route.Receipt{Parts: sent(out.ID)}, nil
		})
		b.open(modem)
		id := b.add(Draft{})
		b.want(id, Sending, "sending")
		done, err := b.q.Erase(t.Context(), anna, "uid:0")
		if err != nil || done != (Erased{Messages: 1}) {
			t.Errorf("%+v, %v", done, err)
		}
		if _, err := b.q.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("still there: %v", err)
		}
		back := b.add(Draft{})
		b.later(time.Hour)
		b.want(back, Sent, "wait_report")
	})
}

// A lane that does not land in time leaves the order open, and the timer
// finishes it.
func TestErasingIsFinishedByItself(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			time.Sleep(time.Minute)
			return route.Receipt{Parts: sent(out.ID)}, nil
		})
		b.open(modem)
		forgotten := 0
		b.q.OnErase(func(context.Context, string) (int, error) { forgotten++; return 3, nil })
		id := b.add(Draft{})
		b.want(id, Sending, "sending")
		done, err := b.q.Erase(t.Context(), anna, "uid:0")
		if err != nil || done != (Erased{InFlight: 1, Answers: 3}) {
			t.Errorf("%+v, %v", done, err)
		}
		b.later(5 * time.Minute)
		if _, err := b.q.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("still there: %v", err)
		}
		if forgotten < 2 {
			t.Errorf("the others were asked %d times", forgotten)
		}
		if err := b.q.ForgetAgain(t.Context()); err != nil || b.q.forgetAt.Load() != 0 {
			t.Errorf("the order is still open (%v)", err)
		}
	})
}

// A backup that is put back brings persons back who were erased since. They are
// forgotten again before anything is sent.
func TestErasuresOutliveARestore(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		waiting := b.add(Draft{To: anna, Text: "Beste Zoetemelk"})
		other := b.add(Draft{To: bram})
		cut := b.snapshot()
		if _, err := b.q.Erase(t.Context(), anna, "uid:0"); err != nil {
			t.Fatal(err)
		}
		b.stop()
		restored, err := store.Open(store.Options{Path: filepath.Join(cut, "queue.db"), MinFree: -1}, Schema()...)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := CopyErasures(t.Context(), b.db, restored); n != 1 || err != nil {
			t.Fatalf("%d orders, %v", n, err)
		}
		if n, err := CopyErasures(t.Context(), b.db, restored); n != 0 || err != nil {
			t.Errorf("a second time %d orders, %v", n, err)
		}
		if err := errors.Join(restored.Close(), b.db.Close()); err != nil {
			t.Fatal(err)
		}
		b.q, b.dir = nil, cut
		modem := routetest.NewFake("counter")
		b.open(modem)
		synctest.Wait()
		if _, err := b.q.Get(waiting); !errors.Is(err, ErrNotFound) {
			t.Errorf("still there: %v", err)
		}
		b.want(other, Sent, "wait_report")
		for _, out := range modem.Log() {
			if out.To == anna {
				t.Error("an erased person was written to")
			}
		}
	})
}

// What was made while the clock ran ahead is forgotten with the rest.
func TestEraseAfterAWrongClock(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		w := wallAt(time.Now())
		modem := routetest.NewFake("counter")
		b.openWith(Config{Clock: w.config()}, modem)
		w.set(time.Now().AddDate(0, 0, 20))
		b.later(time.Minute)
		id := b.add(Draft{To: anna, Text: "Uit de toekomst"})
		b.deliver(modem, route.Inbound{From: anna, Text: "Antwoord"})
		b.later(time.Minute)
		w.set(time.Now())
		b.later(time.Minute)
		done, err := b.q.Erase(t.Context(), anna, "Eva")
		if err != nil || done.Messages != 1 || done.Inbound != 1 {
			t.Errorf("forgotten: %+v, %v", done, err)
		}
		if _, err := b.q.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("it is still there: %v", err)
		}
		if n := len(b.inbox()); n != 0 {
			t.Errorf("%d inbound messages are still there", n)
		}
	})
}
