package queue

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// openBench starts a queue for a benchmark; r may be nil.
func openBench(b *testing.B, opt store.Options, r route.Route) (*Queue, *store.DB) {
	b.Helper()
	opt.Path = filepath.Join(b.TempDir(), "queue.db")
	db, err := store.Open(opt, Schema()...)
	if err != nil {
		b.Fatal(err)
	}
	q, err := New(Config{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	if r != nil {
		if err := q.Attach(r, ""); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return q, db
}

// fill adds n messages with 64 writers.
func fill(b *testing.B, q *Queue, n int) {
	b.Helper()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < n; i += 64 {
				_, err := q.Add(context.Background(), Draft{
					To: fmt.Sprintf("+316%08d", 10000000+i), Till: "till-1",
					Text: "Dag! Uw bestelling staat klaar. U kunt hem tot 18:00 ophalen aan de balie. Tot zo! Uw bakker.",
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkAccept is Add with so many writers, without HTTP.
func BenchmarkAccept(b *testing.B) {
	for _, writers := range []int{1, 8, 32, 256} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			q, _ := openBench(b, store.Options{}, nil)
			b.SetParallelism(max(1, writers/2))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := q.Add(context.Background(), Draft{To: anna, Text: "Uw bestelling staat klaar."}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "accepts/s")
		})
	}
}

// BenchmarkCarry is the whole way of queued messages through a route that
// answers at once, as an SMSC with window 50 does: take, send, settle.
func BenchmarkCarry(b *testing.B) {
	for _, lanes := range []int{1, 100} {
		b.Run(fmt.Sprint("lanes=", lanes), func(b *testing.B) {
			r := routetest.NewFake("bench")
			r.SetState(route.Waiting)
			r.SetLanes(lanes)
			done, left := make(chan struct{}), b.N
			var mu sync.Mutex
			r.Answer(func(out route.Outbound) (route.Receipt, error) {
				mu.Lock()
				defer mu.Unlock()
				if left--; left == 0 {
					close(done)
				}
				return route.Receipt{Parts: []route.Part{{N: 1, Of: 1, State: route.PartSent, Ref: out.ID}}}, nil
			})
			q, db := openBench(b, store.Options{}, r)
			fill(b, q, b.N)
			before := db.Stats()
			b.ResetTimer()
			r.SetState(route.Ready)
			select {
			case <-done:
			case <-time.After(5 * time.Minute):
				b.Fatal("not everything was carried in five minutes")
			}
			b.StopTimer()
			after := db.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(after.Commits-before.Commits)/float64(b.N), "commits/message")
		})
	}
}
