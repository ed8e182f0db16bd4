package pulse

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// The line grows by one message every hour of a day and a half; the chart has
// the last 24 of them.
func TestTheLastDayOfTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "box.db"), NoSync: true}, queue.Schema()...)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		q, err := queue.New(queue.Config{DB: db, Country: "NL"})
		if err != nil {
			t.Fatal(err)
		}
		p := New(q)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { p.Run(ctx); close(ended) }()
		for hour := range 36 {
			if _, err := q.Add(ctx, queue.Draft{Till: "t", To: "0612345678", Text: "x"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			depth := p.Depth(24)
			if hour == 0 && (depth[21] != Unknown || depth[23] != 1) {
				t.Errorf("after an hour: %v", depth)
			}
		}
		for i, n := range p.Depth(24) {
			if want := 13 + i; n != want {
				t.Errorf("hour %d: %d waited, want %d", i, n, want)
			}
		}
		if got := p.Signal("nobody", 4); got[3] != Unknown {
			t.Errorf("the signal of nobody: %v", got)
		}
		cancel()
		<-ended
	})
}

func TestGapsStayGaps(t *testing.T) {
	r := &ring{}
	for range 719 {
		r.add(-70)
	}
	for range 360 {
		r.add(Unknown)
	}
	r.add(-90)
	got := r.pieces(4, func(a, b int32) bool { return a < b })
	for i, want := range []int{Unknown, -70, -70, -90} {
		if got[i] != want {
			t.Errorf("quarter %d: %d, want %d (%v)", i, got[i], want, got)
		}
	}
}
