package webui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
	"tillpost/webui/api"
)

// BenchmarkTabs is what a thousand open pages cost the box, ten of which never
// read: the rate over a provider with twenty lanes, the rate over a modem with
// one, and the slowest percent of accepts over HTTP, without tabs and with
// them in turn. The figures are medians, and what the tabs leave of each.
func BenchmarkTabs(b *testing.B) {
	const rounds = 3
	var without, with [3][]float64
	for b.Loop() {
		for range rounds {
			for i, v := range runBox(b, 0) {
				without[i] = append(without[i], v)
			}
			for i, v := range runBox(b, 1000) {
				with[i] = append(with[i], v)
			}
		}
	}
	for i, name := range []string{"provider/s", "modem/s", "p99-ms"} {
		b.ReportMetric(median(without[i]), name)
		b.ReportMetric(median(with[i]), "tabs-"+name)
	}
	b.ReportMetric(median(with[0])/median(without[0]), "provider-left")
	b.ReportMetric(median(without[1])/median(with[1]), "modem-factor")
	b.ReportMetric(median(with[2])/median(without[2]), "p99-factor")
	b.ReportMetric(0, "ns/op")
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// runBox measures one box: messages a second over a provider and over a modem,
// and the 99th percentile of an accept in milliseconds.
func runBox(b *testing.B, tabs int) [3]float64 {
	b.Helper()
	dir := b.TempDir()
	db, err := store.Open(store.Options{Path: filepath.Join(dir, "box.db")}, slices.Concat(queue.Schema(), Schema())...)
	if err != nil {
		b.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db, Country: "NL", DrainWait: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	many, one := routetest.NewFake("Provider"), routetest.NewFake("Counter")
	many.SetLanes(20)
	for r, pool := range map[*routetest.Fake]string{many: "provider", one: "modem"} {
		if err := q.Attach(r, pool); err != nil {
			b.Fatal(err)
		}
	}
	site, err := New(Config{Queue: q, DB: db, DataDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	key, err := site.API.AddKey(b.Context(), "till-1", []api.Scope{api.Send}, "bench")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 2)
	go func() { ended <- q.Run(ctx) }()
	go func() { ended <- site.Run(ctx) }()
	srv := httptest.NewServer(site)
	var readers, told sync.WaitGroup
	conns := openTabs(b, srv.URL, tabs, &readers, &told)
	defer func() {
		stop()
		err := errors.Join(<-ended, <-ended)
		srv.Close()
		for _, c := range conns {
			c.Close()
		}
		readers.Wait()
		if err := errors.Join(err, db.Close()); err != nil {
			b.Error(err)
		}
	}()
	for _, r := range q.Routes() {
		for deadline := time.Now().Add(10 * time.Second); r.State != route.Ready && time.Now().Before(deadline); r = q.Routes()[0] {
			time.Sleep(time.Millisecond)
		}
	}
	told.Wait() // what is measured is a page that is open, not a thousand that are being opened
	var out [3]float64
	out[0] = rate(b, q, site, many, "provider", 10_000)
	out[1] = rate(b, q, site, one, "modem", 100)
	out[2] = slowest(b, srv.URL, key, 200)
	return out
}

// openTabs follows the overview from many tabs. All but ten read what they are
// told.
func openTabs(b *testing.B, url string, n int, readers, told *sync.WaitGroup) []*websocket.Conn {
	b.Helper()
	var conns []*websocket.Conn
	for i := range n {
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/live?page=overview&lang=en", http.Header{"Origin": {url}})
		if err != nil {
			b.Fatalf("tab %d: %v", i, err)
		}
		conns = append(conns, c)
		if i >= 10 {
			told.Add(1)
			readers.Go(func() {
				first := sync.OnceFunc(told.Done)
				defer first()
				for {
					_, r, err := c.NextReader()
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r)
					first()
				}
			})
		}
	}
	return conns
}

// rate accepts n messages and says how many a second the route was offered.
func rate(b *testing.B, q *queue.Queue, s *Site, r *routetest.Fake, pool string, n int) float64 {
	b.Helper()
	drafts := make([]queue.Draft, n)
	for i := range drafts {
		drafts[i] = queue.Draft{Till: "till-1", To: fmt.Sprintf("+316%08d", i), Text: "Uw fiets is klaar.", Pool: pool}
	}
	before, begun := len(r.Seen()), time.Now()
	if _, err := s.acceptAll(b.Context(), drafts); err != nil {
		b.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); len(r.Seen())-before < n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d left", len(r.Seen())-before, n)
		}
	}
	return float64(n) / time.Since(begun).Seconds()
}

// slowest is the 99th percentile of n accepts over HTTP, one after the other.
func slowest(b *testing.B, url, key string, n int) float64 {
	b.Helper()
	took := make([]float64, n)
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for i := range took {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/api/v1/messages", strings.NewReader(fmt.Sprintf(`{"to": "+316%08d", "text": "Uw fiets is klaar.", "pool": "provider"}`, i)))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		begun := time.Now()
		resp, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			b.Fatal(resp.Status)
		}
		took[i] = float64(time.Since(begun).Microseconds()) / 1000
	}
	slices.Sort(took)
	return took[n*99/100]
}
