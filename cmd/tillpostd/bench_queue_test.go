package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// What the queue costs on a disk: accepting, the whole life of a message, and
// a million that wait.

// slowDisk is a daemon whose every commit takes 10 ms more, as on an SD card.
func slowDisk(b *testing.B) string {
	b.Helper()
	return build(b, overlay(b, "cmd/tillpostd/run.go", [][2]string{
		{"		MinFree: cfg.Limits.minFree,\n", "		MinFree: cfg.Limits.minFree, CommitDelay: 10 * time.Millisecond,\n"},
	}))
}

// Durable accepts over HTTP beside what the disk can do at all: commits of one
// key, one after the other.
func BenchmarkDurableAccepts(b *testing.B) {
	for _, disk := range []struct {
		name string
		bin  func(*testing.B) string
	}{
		{"", func(b *testing.B) string { return build(b, "") }},
		{"/commits+10ms", slowDisk},
	} {
		for _, clients := range []int{1, 8, 32, 256} {
			b.Run(fmt.Sprintf("clients=%d%s", clients, disk.name), func(b *testing.B) {
				box := newBox(b, disk.bin(b), "")
				box.start("-log", "info")
				box.makeKey("send")
				for b.Loop() {
					report1(b, box.accepts(clients, 5*time.Second), "accepts/s")
				}
				b.ReportMetric(oneKey(b).Seconds()*1000, "ms-one-key-commit")
			})
		}
	}
}

// accepts is how many messages a second the daemon accepts.
func (b *box) accepts(clients int, span time.Duration) (perSecond float64) {
	b.t.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(span)
	for c := range clients {
		wg.Go(func() {
			if err := b.flood(c, end, &n); err != nil {
				b.t.Error(err)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / span.Seconds()
}

// flood is a till at its fastest: one connection, one request after another,
// and hardly a cycle for the client, which shares the cores with the daemon.
func (b *box) flood(client int, end time.Time, n *atomic.Int64) error {
	addr := strings.TrimPrefix(b.url(), "http://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i := 0; time.Now().Before(end); i++ {
		body := fmt.Sprintf(`{"to":"+3161%03d%04d","text":"Order %d is ready at the counter."}`, client, i%10000, i)
		if _, err := fmt.Fprintf(conn, "POST /api/v1/messages HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			addr, b.key, len(body), body); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("answered %d", resp.StatusCode)
		}
		n.Add(1)
	}
	return nil
}

// oneKey is how long this disk takes for the commit of one key: the median of
// 200, one after the other.
func oneKey(b *testing.B) time.Duration {
	b.Helper()
	type row struct{ Key string }
	rows := store.NewTable("row", func(r *row) []byte { return store.Str(r.Key) })
	db, err := store.Open(store.Options{Path: filepath.Join(b.TempDir(), "one.db")}, rows)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	took := make([]time.Duration, 200)
	for i := range took {
		began := time.Now()
		if err := db.Commit(context.Background(), func(tx *store.Tx) error { return rows.Put(tx, &row{Key: "one"}) }); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// BenchmarkWholeLife is what a message costs a disk from its accept to its
// report: what reaches the block device, the journal of the file system
// included, and commits. The data lies on a file system of its own, whose
// device counts. Where there is none it says not run.
func BenchmarkWholeLife(b *testing.B) {
	if why := noLoopDisk(b); why != "" {
		b.Log("not run: ", why)
		return
	}
	for _, load := range []struct {
		name string
		n    int
		hand func(*box, *center, int)
	}{
		{"one at a time", 200, func(b *box, c *center, n int) {
			for i := range n {
				b.becomes(b.post(hello(fmt.Sprintf("+3161%07d", i), besidesText[:100])).ID, "delivered")
			}
		}},
		{"full load", 20_000, func(b *box, c *center, n int) {
			var next atomic.Int64
			var clients sync.WaitGroup
			for range 32 {
				clients.Go(func() {
					for i := next.Add(1); i <= int64(n); i = next.Add(1) {
						b.post(hello(fmt.Sprintf("+3161%07d", i), besidesText[:100]))
					}
				})
			}
			clients.Wait()
			c.await(b.t, n)
			eventually(b.t, "all are reported on", func() (bool, string) {
				left := len(b.list("sent")) + len(b.list("sending"))
				return left == 0, strconv.Itoa(left)
			})
		}},
	} {
		b.Run(load.name, func(b *testing.B) {
			bin := build(b, "")
			c := startCenter(b, bin, "-receipt-after", "10ms")
			box := newBox(b, bin, c.table("operator", 50))
			disk := newLoopDisk(b, filepath.Join(box.dir, "data"), 512)
			b.Cleanup(box.kill) // before the disk goes
			box.start("-log", "info")
			box.makeKey("send,read")
			box.becomes(box.post(hello("+31612345678", "warm")).ID, "delivered")
			for b.Loop() {
				commits, written := box.commits(), disk.written()
				load.hand(box, c, load.n)
				report1(b, float64(disk.written()-written)/1024/float64(load.n), "KB-on-disk/message")
				b.ReportMetric(float64(box.commits()-commits)/float64(load.n), "commits/message")
			}
		})
	}
}

var commitsTotal = regexp.MustCompile(`(?m)^tillpost_commits_total (\S+)$`)

// commits is how many the daemon has made.
func (b *box) commits() float64 {
	b.t.Helper()
	req, err := http.NewRequest("GET", b.url()+"/metrics", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.key)
	resp, err := tillClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	found := commitsTotal.FindSubmatch(data)
	if found == nil {
		b.t.Fatalf("no commits in the metrics (%s):\n%s", resp.Status, data)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// BenchmarkMillion is a box in which a million messages wait, beside an empty
// one: opening, accepting, memory, and how long a lane takes from one message
// to the next.
func BenchmarkMillion(b *testing.B) {
	for _, stock := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("waiting=%d", stock), func(b *testing.B) {
			box := newBox(b, build(b, ""), "[limits]\nqueue_max = 2000000\n")
			box.start("-log", "info")
			box.makeKey("send")
			box.stop()
			file := filepath.Join(box.dir, "data", storeFile)
			stockUp(b, file, stock)
			for b.Loop() {
				began := time.Now()
				box.start("-log", "info")
				report1(b, time.Since(began).Seconds()*1000, "ms-to-open")
				b.ReportMetric(box.accepts(32, 5*time.Second), "accepts/s")
				_, anonymous := box.resident()
				b.ReportMetric(anonymous, "MB-anonymous")
				box.stop()
				p50, p99 := takes(b, file)
				b.ReportMetric(p50.Seconds()*1000, "ms-next-p50")
				b.ReportMetric(p99.Seconds()*1000, "ms-next-p99")
			}
			if info, err := os.Stat(file); err != nil {
				b.Error(err)
			} else {
				b.ReportMetric(float64(info.Size()>>20), "MB-file")
			}
		})
	}
}

// inFile opens a box's store without the daemon.
func inFile(b *testing.B, file string, fn func(*store.DB, *queue.Queue)) {
	b.Helper()
	db, err := store.Open(store.Options{Path: file}, queue.Schema()...)
	if err != nil {
		b.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db, QueueMax: 2_000_000})
	if err != nil {
		b.Fatal(err)
	}
	fn(db, q)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// stockUp queues n messages, many to a commit.
func stockUp(b *testing.B, file string, n int) {
	b.Helper()
	inFile(b, file, func(db *store.DB, q *queue.Queue) {
		for from := 0; from < n; from += 5000 {
			err := db.Commit(context.Background(), func(tx *store.Tx) error {
				for i := from; i < min(n, from+5000); i++ {
					m, err := q.Prepare(queue.Draft{To: fmt.Sprintf("+316%08d", 20_000_000+i), Text: besidesText[:100], Till: "bench"})
					if err != nil {
						return err
					}
					if err := q.AddTx(tx, m); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// takes is how long one lane is busy between two messages of a route that
// answers at once: with settling the one and taking the next.
func takes(b *testing.B, file string) (p50, p99 time.Duration) {
	b.Helper()
	const n = 2000
	var between []time.Duration
	var last time.Time
	done := make(chan struct{})
	inFile(b, file, func(db *store.DB, q *queue.Queue) {
		r := routetest.NewFake("lane")
		r.Answer(func(out route.Outbound) (route.Receipt, error) {
			if len(between) < n {
				if !last.IsZero() {
					between = append(between, time.Since(last))
				}
				if len(between) == n {
					close(done)
				}
			}
			last = time.Now()
			return route.Receipt{Parts: []route.Part{{N: 1, Of: 1, State: route.PartSent, Ref: out.ID}}}, nil
		})
		if err := q.Attach(r, ""); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- q.Run(ctx) }()
		select {
		case <-done:
		case <-time.After(5 * time.Minute):
			b.Error("not all were taken in five minutes")
		}
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	slices.Sort(between)
	return between[len(between)/2], between[len(between)*99/100]
}
