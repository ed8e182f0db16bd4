package store

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func benchRow(n uint64) *thing {
	return &thing{ID: n, Pool: "sms", Due: time.Unix(int64(n), 0), Text: strings.Repeat("x", 250)}
}

// BenchmarkOneKey is the disk itself: one key, one bbolt transaction, two
// fdatasync. What the others reach is to be read beside it.
func BenchmarkOneKey(b *testing.B) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	must(b, err)
	defer db.Close()
	must(b, db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err }))
	for b.Loop() {
		must(b, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("b")).Put([]byte("k"), []byte("v")) }))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkInsert has n writers insert rows of 300 bytes with one index
// entry, each waiting for the disk before its next.
func BenchmarkInsert(b *testing.B) {
	for _, writers := range []int{1, 8, 32, 256} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) { benchInsert(b, writers, 0, 0) })
	}
	b.Run("writers=32/card=10ms", func(b *testing.B) { benchInsert(b, 32, 10*time.Millisecond, 0) })
	b.Run("writers=32/stock=100000", func(b *testing.B) { benchInsert(b, 32, 0, 100_000) })
}

func benchInsert(b *testing.B, writers int, delay time.Duration, stock uint64) {
	db, tab := openThings(b, Options{CommitDelay: delay})
	tab.Rising()
	const chunk = 5000
	for at := uint64(0); at < stock; at += chunk {
		must(b, db.Commit(context.Background(), func(tx *Tx) error {
			for n := range uint64(chunk) {
				must(b, tab.Put(tx, benchRow(1e9+at+n)))
			}
			return nil
		}))
	}
	var next atomic.Uint64
	var wg sync.WaitGroup
	before := db.Stats()
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > uint64(b.N) {
					return
				}
				if err := db.Commit(context.Background(), func(tx *Tx) error { return tab.Insert(tx, benchRow(n)) }); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	after := db.Stats()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(after.Written-before.Written)/float64(b.N), "written-B/row")
	b.ReportMetric(float64(b.N)/float64(after.Commits-before.Commits), "rows/commit")
}

// BenchmarkBytes is what one change alone writes, beside a stock of rows.
func BenchmarkBytes(b *testing.B) {
	for _, c := range []struct {
		name string
		fn   func(things, *Tx, uint64) error
	}{
		{"insert", func(tab things, tx *Tx, n uint64) error { return tab.Insert(tx, benchRow(1e6+n)) }},
		{"update, index stays", func(tab things, tx *Tx, n uint64) error {
			_, err := tab.Update(tx, U64(n%10000+1), func(v *thing) error { v.Text = v.Text[1:] + "y"; return nil })
			return err
		}},
		{"update, index moves", func(tab things, tx *Tx, n uint64) error {
			_, err := tab.Update(tx, U64(n%10000+1), func(v *thing) error { v.Due = v.Due.Add(time.Hour); return nil })
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			db, tab := openThings(b, Options{NoSync: true})
			tab.Rising()
			must(b, db.Commit(context.Background(), func(tx *Tx) error {
				for n := range uint64(10000) {
					must(b, tab.Put(tx, benchRow(n+1)))
				}
				return nil
			}))
			before := db.Stats().Written
			n := uint64(0)
			for b.Loop() {
				n++
				must(b, db.Commit(context.Background(), func(tx *Tx) error { return c.fn(tab, tx, n*7919) }))
			}
			b.ReportMetric(float64(db.Stats().Written-before)/float64(b.N), "written-B/op")
		})
	}
}

// BenchmarkOpen is how long a box with many rows waits for its store, its
// pages being in memory.
func BenchmarkOpen(b *testing.B) {
	for _, rows := range []uint64{0, 100_000} {
		b.Run(fmt.Sprint("rows=", rows), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "test.db")
			db, tab := openThings(b, Options{Path: path, NoSync: true})
			const chunk = 5000
			for at := uint64(0); at < rows; at += chunk {
				must(b, db.Commit(context.Background(), func(tx *Tx) error {
					for n := range uint64(chunk) {
						must(b, tab.Put(tx, benchRow(at+n+1)))
					}
					return nil
				}))
			}
			must(b, db.Close())
			for b.Loop() {
				db, err := Open(Options{Path: path}, newThings())
				must(b, err)
				must(b, db.Close())
			}
		})
	}
}
