package queue

import (
	"fmt"
	"testing"
	"time"

	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// A disk must have room for the whole life of what is accepted. This measures
// what the life of a message takes after it was accepted: one in ten is refused
// once and tried again, and all are reported on.
func TestLifeFitsItsRoom(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		const n = 1000
		used := func() int64 {
			s := b.db.Stats()
			return s.Size - s.Free
		}
		b.open()
		crowd(b, n, Draft{})
		accepted := used()
		if owed := b.q.owed(); owed != n*lifeRoom {
			t.Errorf("%d messages owe %d bytes", n, owed)
		}
		b.close()

		f := routetest.NewFake("counter")
		for i := range n / 10 {
			f.ScriptFor(recipient(10*i), routetest.Busy)
		}
		f.AutoReport(time.Second)
		b.open(f)
		b.later(10 * time.Minute)
		if c := b.q.Counts(); c.Queued+c.Sending+c.Awaiting > 0 {
			t.Fatalf("not at its end: %+v", c)
		}
		took := (used() - accepted) / n
		t.Logf("a message takes %d bytes after it was accepted; %d are kept for it", took, lifeRoom)
		if took > lifeRoom || took < lifeRoom/8 {
			t.Errorf("%d bytes are kept for the life of a message, which took %d", lifeRoom, took)
		}
		if owed := b.q.owed(); owed != 0 {
			t.Errorf("%d bytes are owed to messages that have ended", owed)
		}
	})
}

func recipient(n int) string { return fmt.Sprintf("+3161%07d", n) }

// crowd accepts n messages to as many people, in a few commits.
func crowd(b *box, n int, d Draft) {
	b.t.Helper()
	for from := 0; from < n; from += 5000 {
		var all []*Message
		for i := from; i < min(n, from+5000); i++ {
			d.To, d.Text = recipient(i), fmt.Sprintf("Message %d for you.", i)
			m, err := b.q.Prepare(d)
			if err != nil {
				b.t.Fatal(err)
			}
			all = append(all, m)
		}
		if err := b.db.Commit(b.t.Context(), func(tx *store.Tx) error {
			for _, m := range all {
				if err := b.q.AddTx(tx, m); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.t.Fatal(err)
		}
	}
}
