package queue

import (
	"fmt"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// A modem that takes three seconds, and what stands before a message.
func TestEstimate(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(3 * time.Second)
		b.open(modem)
		first := b.add(Draft{})
		if eta := b.q.ETA(b.get(first), -1); !eta.IsZero() {
			t.Errorf("before anything was carried nobody knows the pace: %s", eta)
		}
		b.later(10 * time.Second)
		begun := time.Now()
		var last ID
		for i := range 21 {
			last = b.add(Draft{To: fmt.Sprintf("+316000000%02d", i), Class: Marketing})
		}
		b.later(time.Second)
		ahead, err := b.q.Ahead(b.get(last))
		if err != nil || ahead != 19 { // one is in the modem's hands
			t.Errorf("%d stand before it, %v", ahead, err)
		}
		guess := b.q.ETA(b.get(last), ahead)
		urgent := three
		now := b.add(Draft{Priority: &urgent, To: bram})
		if ahead, err := b.q.Ahead(b.get(now)); ahead != 0 || err != nil {
			t.Errorf("%d stand before an urgent one, %v", ahead, err)
		}
		b.later(5 * time.Minute)
		left := b.get(last).Took
		if off := guess.Sub(left); off < -10*time.Second || off > 10*time.Second {
			t.Errorf("guessed %s, it left after %s", guess.Sub(begun), left.Sub(begun))
		}
		modem.SetState(route.Waiting)
		stuck := b.add(Draft{To: cees})
		if eta := b.q.ETA(b.get(stuck), 0); !eta.IsZero() {
			t.Errorf("nobody serves it, and still it is to leave at %s", eta)
		}
		later := b.add(Draft{To: dirk, At: time.Now().Add(time.Hour)})
		if eta := b.q.ETA(b.get(later), -1); !eta.Equal(b.get(later).At) {
			t.Errorf("planned: %s", eta)
		}
	})
}

const three = 3

// A limit by the minute is slower than the modem.
func TestEstimateKnowsLimits(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(time.Second)
		b.open(modem)
		if err := b.q.Limit("counter", Quota{PartsPerMinute: 6}); err != nil {
			t.Fatal(err)
		}
		b.add(Draft{})
		b.later(time.Minute)
		if free := b.q.FreeBy(DefaultPool, 60).Sub(b.q.Now()); free != 10*time.Minute {
			t.Errorf("60 messages at 6 a minute take %s", free)
		}
	})
}
