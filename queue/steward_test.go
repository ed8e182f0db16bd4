package queue

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// steward forbids what it is told to, and notes what it is told.
type steward struct {
	ruling map[string]Ruling // by source
	told   []string
}

func (s *steward) config() Config {
	return Config{Steward: Steward{
		MayGo: func(_ *store.Tx, m *Message) (Ruling, error) { return s.ruling[m.Source], nil },
		OptedOut: func(_ *store.Tx, number string, out bool, _ uint64, _ string) error {
			word := "in "
			if out {
				word = "out "
			}
			s.told = append(s.told, word+number)
			return nil
		},
		Erased: func(_ *store.Tx, number string) error {
			s.told = append(s.told, "erased "+number)
			return nil
		},
	}}
}

func TestTheStewardIsAskedBeforeAMessageLeaves(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		s := &steward{ruling: map[string]Ruling{
			"rule/no":   {Why: Because("no_consent")},
			"rule/wait": {Why: Because("campaign_paused"), Hold: true},
		}}
		fake := routetest.NewFake("counter")
		b.openWith(s.config(), fake)
		no := b.add(Draft{Source: "rule/no"})
		wait := b.add(Draft{To: bram, Source: "rule/wait", Expires: time.Now().Add(time.Hour)})
		yes := b.add(Draft{To: cees, Source: "rule/yes"})
		plain := b.add(Draft{To: dirk})
		b.want(no, Cancelled, "no_consent")
		b.want(wait, Held, "campaign_paused")
		b.want(yes, Sent, "wait_report")
		b.want(plain, Sent, "wait_report")

		delete(s.ruling, "rule/wait")
		b.commit(func(tx *store.Tx) error { return b.q.ReleaseTx(tx, wait, "something_else", "Kees") })
		b.want(wait, Held, "campaign_paused")
		b.commit(func(tx *store.Tx) error { return b.q.ReleaseTx(tx, wait, "campaign_paused", "Kees") })
		b.want(wait, Sent, "wait_report")
	})
}

func TestWhatIsHeldForTheStewardExpires(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		s := &steward{}
		b.openWith(s.config())
		id := b.add(Draft{Source: "campaign/x", Expires: time.Now().Add(time.Hour)})
		b.commit(func(tx *store.Tx) error { return b.q.HoldTx(tx, id, Because("campaign_paused"), "Kees") })
		b.want(id, Held, "campaign_paused")
		time.Sleep(time.Hour + time.Second)
		b.want(id, Expired, "expired")
	})
}

// A message is taken back in the transaction that changes the mind, unless a
// lane holds it: then the caller is told to cancel it.
func TestAMessageIsTakenBack(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		s := &steward{}
		fake := routetest.NewFake("counter")
		b.openWith(s.config(), fake)
		later := b.add(Draft{Source: "rule/r", At: time.Now().Add(time.Hour)})
		b.commit(func(tx *store.Tx) error {
			flying, err := b.q.StopTx(tx, later, Because("booking_changed"), "")
			if flying {
				t.Error("a planned message is said to fly")
			}
			return err
		})
		b.want(later, Cancelled, "booking_changed")

		gone := b.add(Draft{To: bram, Source: "rule/r"})
		b.want(gone, Sent, "wait_report")
		b.commit(func(tx *store.Tx) error {
			_, err := b.q.StopTx(tx, gone, Because("booking_changed"), "")
			return err
		})
		b.want(gone, Sent, "wait_report")
		b.commit(func(tx *store.Tx) error {
			_, err := b.q.StopTx(tx, 1, Because("booking_changed"), "")
			return err
		})
	})
}

func TestTheStewardHearsOfOptOutsAndErasures(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		s := &steward{}
		fake := routetest.NewFake("counter")
		b.openWith(s.config(), fake)
		synctest.Wait()
		for _, text := range []string{"STOP", "START"} {
			b.deliver(fake, route.Inbound{From: anna, Text: text})
		}
		if _, err := b.q.Erase(t.Context(), anna, "Kees"); err != nil {
			t.Fatal(err)
		}
		if want := []string{"out " + anna, "in " + anna, "erased " + anna}; !slices.Equal(s.told, want) {
			t.Errorf("the steward heard %v, want %v", s.told, want)
		}
	})
}

func (b *box) commit(fn func(*store.Tx) error) {
	b.t.Helper()
	if err := b.db.Commit(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}
