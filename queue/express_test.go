package queue

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// commits counts what fn commits.
func (b *box) commits(fn func()) int64 {
	before := b.db.Stats().Commits
	fn()
	return b.db.Stats().Commits - before
}

func TestAnIdleLaneTakesInTheCommitThatAccepts(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(time.Second)
		b.open(modem)
		synctest.Wait()
		var first, second ID
		if n := b.commits(func() { first = b.add(Draft{}); synctest.Wait() }); n != 1 {
			t.Errorf("until the route had it there were %d commits, want 1", n)
		}
		b.want(first, Sending, "sending")
		if got, want := b.kinds(first), []Kind{KindAccepted, KindTaken}; !slices.Equal(got, want) {
			t.Errorf("story %v, want %v", got, want)
		}
		second = b.add(Draft{To: bram}) // the only lane is busy
		b.want(second, Queued, "in_line")
		b.later(2 * time.Second)
		b.want(first, Sent, "wait_report")
		b.want(second, Sent, "wait_report")
		if log := modem.Log(); len(log) != 2 || log[0].ID != first.String() || log[1].ID != second.String() {
			t.Errorf("the route was given %v", log)
		}
	})
}

// What may not go now, or not before something else, waits in line although a
// lane is idle.
func TestWhatAnIdleLaneIsNotHanded(t *testing.T) {
	for _, test := range []struct {
		name  string
		draft Draft
		state State
		why   string
		setup func(t *testing.T, b *box, modem *routetest.Fake)
	}{
		{"planned", Draft{At: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}, Scheduled, "planned", nil},
		{"for a recipient who has one on the air", Draft{To: bram}, Queued, "in_line", func(t *testing.T, b *box, modem *routetest.Fake) {
			modem.SetLanes(2)
			modem.Latency(time.Minute)
			synctest.Wait()
			b.add(Draft{To: bram, Text: "Your table is ready."})
			synctest.Wait()
		}},
		{"of a route that is paused", Draft{}, Queued, "in_line", func(t *testing.T, b *box, _ *routetest.Fake) {
			if err := b.q.Pause(t.Context(), "counter", "Kees"); err != nil {
				t.Fatal(err)
			}
		}},
		{"of a route that waits", Draft{}, Queued, "in_line", func(t *testing.T, b *box, modem *routetest.Fake) {
			modem.SetState(route.Waiting)
			synctest.Wait()
		}},
		{"above the quota", Draft{}, Queued, "in_line", func(t *testing.T, b *box, _ *routetest.Fake) {
			if err := b.q.Limit("counter", Quota{PartsPerHour: 1}); err != nil {
				t.Fatal(err)
			}
			b.add(Draft{To: bram})
			synctest.Wait()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				modem := routetest.NewFake("counter")
				b.open(modem)
				synctest.Wait()
				if test.setup != nil {
					test.setup(t, b, modem)
				}
				id := b.add(test.draft)
				b.want(id, test.state, test.why)
				if got := b.kinds(id); slices.Contains(got, KindTaken) {
					t.Errorf("it was taken: %v", got)
				}
			})
		})
	}
}

// The steward is asked by a take, and must then find what its own transaction
// wrote: a message with a source waits in line, be it for a moment.
func TestWhatTheStewardIsAskedAboutWaitsInLine(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		s := &steward{ruling: map[string]Ruling{"rule/no": {Why: Because("no_consent")}}}
		b.openWith(s.config(), routetest.NewFake("counter"))
		synctest.Wait()
		b.want(b.add(Draft{Source: "rule/no"}), Cancelled, "no_consent")
	})
}

// A quota counts what is taken at the door, and gives it back like any other.
func TestWhatIsTakenAtTheDoorIsCharged(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		if err := b.q.Limit("counter", Quota{PartsPerHour: 5}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.want(b.add(Draft{}), Sent, "wait_report")
		left, err := b.q.Quotas("counter")
		if err != nil || len(left) != 1 || left[0].Left != 4 {
			t.Errorf("left: %+v (%v), want 4", left, err)
		}
	})
}

// Of two idle routes the one that has been idle longer has it: they take turns.
func TestIdleRoutesTakeTurns(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		one, two := routetest.NewFake("one"), routetest.NewFake("two")
		b.open(one, two)
		b.later(time.Second)
		for i := range 10 {
			b.add(Draft{To: number(i)})
			b.later(time.Second)
		}
		if len(one.Log()) != 5 || len(two.Log()) != 5 {
			t.Errorf("one carried %d, two %d, want 5 each", len(one.Log()), len(two.Log()))
		}
	})
}

// A commit that comes to nothing hands nothing to anybody, and the lane is
// there for the next message.
func TestACommitThatFailsHandsNothingOver(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		synctest.Wait()
		m, err := b.q.Prepare(Draft{To: anna, Text: "Your order is ready."})
		if err != nil {
			t.Fatal(err)
		}
		refused := errors.New("the caller thinks better of it")
		err = b.db.Commit(t.Context(), func(tx *store.Tx) error {
			if err := b.q.AddTx(tx, m); err != nil {
				return err
			}
			if m.State != Sending {
				t.Errorf("it is %s inside the transaction, want sending: nothing is tested", m.State)
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatalf("the commit says %v", err)
		}
		b.later(time.Second)
		if log := modem.Log(); len(log) != 0 {
			t.Errorf("the route was given %v", log)
		}
		if c := b.q.Counts(); c != (Counts{}) {
			t.Errorf("something is counted alive: %+v", c)
		}
		b.want(b.add(Draft{}), Sent, "wait_report")
	})
}

// A route that stops being ready while a commit hands it a message has been
// handed it all the same: the message comes to its verdict.
func TestALaneThatIsCalledAwayKeepsWhatItWasHanded(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		synctest.Wait()
		m, err := b.q.Prepare(Draft{To: anna, Text: "Your order is ready."})
		if err != nil {
			t.Fatal(err)
		}
		err = b.db.Commit(t.Context(), func(tx *store.Tx) error {
			if err := b.q.AddTx(tx, m); err != nil {
				return err
			}
			r, _ := b.q.runner("counter")
			r.alter(func() {}) // news: the lane wakes, and must not leave the message behind
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.want(m.ID, Sent, "wait_report")
	})
}
