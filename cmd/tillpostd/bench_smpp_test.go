package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/smpp"
	"tillpost/smpp/smsc"
)

// BenchmarkSMPP is the durable queue with the real client at a simulated SMSC
// on loopback, all in one process: 20,000 messages of 100 characters are queued
// first, then the account is bound; the time runs from the first submit_sm to
// the last. Receipts come meanwhile and are settled too.
func BenchmarkSMPP(b *testing.B) {
	for _, c := range []struct {
		name           string
		answer, commit time.Duration
		receipts       bool
	}{
		{"answers=0/receipts=no", 0, 0, false},
		{"answers=0/receipts=yes", 0, 0, true},
		{"answers=50ms/receipts=no", 50 * time.Millisecond, 0, false},
		{"answers=50ms/commits+10ms", 50 * time.Millisecond, 10 * time.Millisecond, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				n := 20_000
				if c.answer > 0 {
					n = 5_000
				}
				rate, per := submitAll(b, n, c.answer, c.commit, c.receipts)
				report1(b, rate, "submits/s")
				report1(b, per, "bytes/message")
			}
		})
	}
}

func submitAll(b *testing.B, n int, answer, commit time.Duration, receipts bool) (rate, bytesPerMessage float64) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	db, err := store.Open(store.Options{Path: filepath.Join(b.TempDir(), "queue.db"), CommitDelay: commit}, queue.Schema()...)
	if err != nil {
		b.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, q, n, receipts)

	var once sync.Once
	var first time.Time
	center := smsc.New(smsc.Config{Latency: answer, ReceiptAfter: 10 * time.Millisecond, Decide: func(*smsc.Submit) smsc.Verdict {
		once.Do(func() { first = time.Now() })
		return smsc.Verdict{}
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	client, err := smpp.New(smpp.Config{
		Name: "operator", Addrs: []string{l.Addr().String()}, SystemID: "shop", Source: "SHOP", Window: 50, Memory: q.Memory("operator"),
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := q.Attach(client, ""); err != nil {
		b.Fatal(err)
	}
	before := db.Stats()
	running, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		if err := center.Serve(running, l); err != nil && !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	})
	all.Go(func() {
		if err := q.Run(running); err != nil {
			b.Error(err)
		}
	})
	if err := center.WaitFor(ctx, func(s smsc.Stats) bool { return s.Accepted >= n }); err != nil {
		b.Fatalf("%d of %d reached the SMSC: %v", center.Stats().Accepted, n, err)
	}
	rate = float64(n) / time.Since(first).Seconds()
	for receipts && q.Counts().Awaiting+q.Counts().Sending > 0 && ctx.Err() == nil {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			b.Fatalf("%d receipts were not settled", q.Counts().Awaiting)
		}
	}
	stop()
	all.Wait()
	bytesPerMessage = float64(db.Stats().Written-before.Written) / float64(n)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	return rate, bytesPerMessage
}

func fill(b *testing.B, q *queue.Queue, n int, receipts bool) {
	b.Helper()
	const text = "Dag! Uw bestelling staat klaar. U kunt hem tot 18:00 ophalen aan de balie. Tot zo, groet van uw bakker!"
	var all sync.WaitGroup
	for w := range 64 {
		all.Go(func() {
			for i := w; i < n; i += 64 {
				d := queue.Draft{To: fmt.Sprintf("+316%08d", 10_000_000+i), Text: text[:100], Till: "bench", Report: &receipts}
				if _, err := q.Add(context.Background(), d); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
