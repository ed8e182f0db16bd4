package queue

import (
	"testing"
	"time"

	"tillpost/queue/route/routetest"
)

// A campaign of 100,000 delays an urgent message by no more than the one that
// is on the air: it leaves as the next.
func TestUrgentLeavesNextBehindACampaign(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(3 * time.Second)
		b.open()
		crowd(b, 100_000, Draft{Class: Marketing})
		if err := b.q.Attach(modem, ""); err != nil {
			t.Fatal(err)
		}
		b.later(10 * time.Second) // the fourth is on the air
		before := len(modem.Log())

		urgent := 3
		id := b.add(Draft{To: recipient(200_000), Text: "The till has stopped.", Priority: &urgent})
		b.later(3 * time.Second) // it has landed
		log := modem.Log()
		if before != 4 || len(log) != before+1 || log[before].ID != id.String() {
			t.Errorf("%d messages had left before it, and the next was not the urgent one", before)
		}
		b.later(3 * time.Second)
		b.want(id, Sent, "wait_report")
	})
}
