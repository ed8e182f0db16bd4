package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// serve answers on a port of the loopback.
func serve(t testing.TB, b *box) (url string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: b.api}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(l) // ends with Close
	}()
	return "http://" + l.Addr().String(), func() {
		srv.Close()
		<-ended
	}
}

// BenchmarkAccept counts durable accepts over HTTP: every 202 comes after an
// fdatasync. Beside it stands what a commit of one key takes on the same
// disk. TMPDIR says which disk.
func BenchmarkAccept(b *testing.B) {
	for _, named := range []bool{false, true} {
		for _, clients := range []int{1, 8, 32} {
			name := fmt.Sprintf("clients=%d", clients)
			if named {
				name += "/idempotent"
			}
			b.Run(name, func(b *testing.B) { benchmarkAccept(b, clients, named, 0) })
		}
	}
	b.Run("clients=32/commit+10ms", func(b *testing.B) { benchmarkAccept(b, 32, false, 10*time.Millisecond) })
}

func benchmarkAccept(b *testing.B, clients int, named bool, delay time.Duration) {
	path := filepath.Join(b.TempDir(), "box.db")
	db, err := store.Open(store.Options{Path: path, CommitDelay: delay}, slices.Concat(queue.Schema(), Schema())...)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	q, err := queue.New(queue.Config{DB: db, QueueMax: 100_000_000})
	if err != nil {
		b.Fatal(err)
	}
	a, err := New(Config{Queue: q, DB: db})
	if err != nil {
		b.Fatal(err)
	}
	key, err := a.AddKey(context.Background(), "till-1", []Scope{Send}, "bench")
	if err != nil {
		b.Fatal(err)
	}
	url, stop := serve(b, &box{api: a})
	defer stop()

	var serial atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	begun := time.Now()
	for range clients {
		wg.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			for n := serial.Add(1); n <= int64(b.N); n = serial.Add(1) {
				if err := post(c, in, key, n, named); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	took := time.Since(begun)
	b.ReportMetric(float64(b.N)/took.Seconds(), "accepts/s")
	b.ReportMetric(float64(oneKeyCommit(b).Microseconds()), "one-key-commit-µs")
	if q.Counts().Queued != int64(b.N) {
		b.Errorf("%d messages are queued, %d were accepted", q.Counts().Queued, b.N)
	}
}

// post is a till that keeps its connection: one request, one answer.
func post(c net.Conn, in *bufio.Reader, key string, n int64, named bool) error {
	body := fmt.Sprintf(`{"to":"+316%08d","text":"Beste klant, uw fiets is klaar en kan vandaag tot 18:00 worden opgehaald.","ref":"order %d"}`, n%100_000_000, n)
	extra := ""
	if named {
		extra = fmt.Sprintf("Idempotency-Key: %d\r\n", n)
	}
	if _, err := fmt.Fprintf(c, "POST /api/v1/messages HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", key, extra, len(body), body); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != 202 {
		return fmt.Errorf("%s: %s", resp.Status, said)
	}
	return nil
}

// oneKeyCommit is the median of 200 commits of one small row each, one after
// the other, on the same disk.
func oneKeyCommit(b *testing.B) time.Duration {
	row := store.NewTable("row", func(k *keyRow) []byte { return store.Str(k.Name) })
	db, err := store.Open(store.Options{Path: filepath.Join(b.TempDir(), "one.db")}, row)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	times := make([]time.Duration, 200)
	for i := range times {
		begun := time.Now()
		err := db.Commit(context.Background(), func(tx *store.Tx) error { return row.Put(tx, &keyRow{Name: "one"}) })
		if err != nil {
			b.Fatal(err)
		}
		times[i] = time.Since(begun)
	}
	slices.Sort(times)
	return times[len(times)/2]
}
