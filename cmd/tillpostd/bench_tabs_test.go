package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/modem"
	"tillpost/modem/sim"
	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/smpp"
	"tillpost/smpp/smsc"
	"tillpost/webui"
	"tillpost/webui/api"
)

const (
	tabsOpen   = 1000
	tabsAsleep = 10 // of them never read
	tabsRounds = 5
	tabsSMPP   = 20_000
	tabsModem  = 300
	tabsHTTP   = 400
)

// BenchmarkTabs is what a thousand open overviews cost, ten of which never
// read: store, queue, page, a modem and an SMPP account as they are, at a
// simulated modem on a pseudo-terminal and a simulated SMSC on loopback, all in
// one process. The tabs are in a process of their own that does no more than
// take frames off the wire and count them; it has the same processors, so what
// reading costs is counted too. A box without tabs and one with them are
// measured in turn; figures are medians, and what the tabs leave of each.
func BenchmarkTabs(b *testing.B) {
	var without, with tabFigures
	for b.Loop() {
		for range tabsRounds {
			without.add(measureTabs(b, 0))
			with.add(measureTabs(b, tabsOpen))
		}
	}
	report1(b, median(without.smpp), "smpp/s")
	b.ReportMetric(median(with.smpp), "tabs-smpp/s")
	b.ReportMetric(100*median(with.smpp)/median(without.smpp), "%smpp-left")
	b.ReportMetric(median(without.modem), "modem/s")
	b.ReportMetric(median(with.modem), "tabs-modem/s")
	b.ReportMetric(median(without.modem)/median(with.modem), "modem-factor")
	b.ReportMetric(median(without.p99), "p99-ms")
	b.ReportMetric(median(with.p99), "tabs-p99-ms")
	b.ReportMetric(median(with.p99)/median(without.p99), "p99-factor")
	b.ReportMetric(median(with.told), "told/tab/s")
	b.ReportMetric(median(with.size), "bytes/told")
	b.ReportMetric(median(with.reading), "reader-CPU-s")
}

// tabFigures are one value a round.
type tabFigures struct {
	smpp, modem, p99    []float64 // submits/s, messages/s, ms
	told, size, reading []float64 // news a tab a second while the account sends, bytes of one, CPU s of the readers meanwhile
}

func (f *tabFigures) add(o tabFigures) {
	f.smpp, f.modem, f.p99 = append(f.smpp, o.smpp...), append(f.modem, o.modem...), append(f.p99, o.p99...)
	f.told, f.size, f.reading = append(f.told, o.told...), append(f.size, o.size...), append(f.reading, o.reading...)
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(v))
	return sorted[len(sorted)/2]
}

// measureTabs measures one box that so many tabs look at.
func measureTabs(b *testing.B, n int) (f tabFigures) {
	b.Helper()
	t := openTabBox(b)
	defer t.close()
	tabs := t.look(n)
	defer tabs.close()

	if err := t.q.Pause(b.Context(), "operator", "bench"); err != nil {
		b.Fatal(err)
	}
	fill(b, t.q, tabsSMPP, false)
	before, began := tabs.count(), time.Now()
	if err := t.q.Resume(b.Context(), "operator", "bench"); err != nil {
		b.Fatal(err)
	}
	t.arrive(t.accepted, tabsSMPP)
	took := time.Since(began)
	f.smpp = []float64{tabsSMPP / took.Seconds()}
	if n > 0 {
		after := tabs.count()
		told := float64(after.frames-before.frames) / float64(n-tabsAsleep)
		f.told = []float64{told / took.Seconds()}
		f.size = []float64{float64(after.bytes-before.bytes) / float64(after.frames-before.frames)}
		f.reading = []float64{(after.cpu - before.cpu).Seconds()}
	}

	began = time.Now()
	for i := range tabsModem {
		if _, err := t.q.Add(b.Context(), queue.Draft{To: fmt.Sprintf("+3162%07d", i), Text: "Uw fiets is klaar.", Till: "bench", Pool: "counter"}); err != nil {
			b.Fatal(err)
		}
	}
	t.arrive(t.radioed, tabsModem)
	f.modem = []float64{tabsModem / time.Since(began).Seconds()}
	f.p99 = []float64{t.slowest()}
	return f
}

// tabBox is a whole box in this process.
type tabBox struct {
	b      *testing.B
	q      *queue.Queue
	srv    *httptest.Server
	key    string
	center *smsc.SMSC
	cell   *sim.Cell
	close  func()
}

func openTabBox(b *testing.B) *tabBox {
	b.Helper()
	dir := b.TempDir()
	t := &tabBox{b: b}
	db, err := store.Open(store.Options{Path: filepath.Join(dir, storeFile)}, slices.Concat(queue.Schema(), webui.Schema())...)
	if err != nil {
		b.Fatal(err)
	}
	if t.q, err = queue.New(queue.Config{DB: db, Country: "NL", DrainWait: 2 * time.Second}); err != nil {
		b.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	world, worldEnds := context.WithCancel(context.Background())
	var peers sync.WaitGroup

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	t.center = smsc.New(smsc.Config{})
	peers.Go(func() {
		if err := t.center.Serve(world, l); err != nil && world.Err() == nil {
			b.Error(err)
		}
	})
	t.cell = sim.NewCell(sim.CellConfig{})
	port, open := filepath.Join(dir, "modem"), make(chan struct{})
	peers.Go(func() {
		said := sync.OnceFunc(func() { close(open) })
		if err := sim.New(t.cell, sim.Identity(0)).ServePTY(world, port, func(string) { said() }); err != nil && world.Err() == nil {
			b.Error(err)
		}
	})
	<-open

	client, err := smpp.New(smpp.Config{
		Name: "operator", Addrs: []string{l.Addr().String()}, SystemID: "shop", Source: "SHOP", Window: 50, Memory: t.q.Memory("operator"), Log: quiet,
	})
	if err != nil {
		b.Fatal(err)
	}
	for r, pool := range map[route.Route]string{client: "", modem.New(modem.Config{Name: "counter", Port: port, Memory: t.q.Memory("counter"), Log: quiet}): "counter"} {
		if err := t.q.Attach(r, pool); err != nil {
			b.Fatal(err)
		}
	}
	site, err := webui.New(webui.Config{Queue: t.q, DB: db, DataDir: dir, Language: "nl", Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	if t.key, err = site.API.AddKey(b.Context(), "till-1", []api.Scope{api.Send}, "bench"); err != nil {
		b.Fatal(err)
	}
	t.srv = httptest.NewServer(site)
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- t.q.Run(running) }()
	go func() { ended <- site.Run(running) }()
	t.close = func() {
		stop()
		err := errors.Join(<-ended, <-ended)
		t.srv.Close()
		worldEnds()
		peers.Wait()
		if err := errors.Join(err, t.cell.Close(), db.Close()); err != nil {
			b.Error(err)
		}
	}
	eventually(b, "modem and account are ready", func() (bool, string) {
		for _, r := range t.q.Routes() {
			if r.State != route.Ready {
				return false, fmt.Sprintf("%s is %s: %s %s", r.Route, r.State, r.Code, r.Detail)
			}
		}
		return true, ""
	})
	return t
}

func (t *tabBox) accepted() int { return t.center.Stats().Accepted }

// radioed counts what the modem has handed to the network.
func (t *tabBox) radioed() (n int) { return t.cell.Accepted() }

// arrive waits until a network has so many.
func (t *tabBox) arrive(have func() int, want int) {
	t.b.Helper()
	for deadline := time.Now().Add(2 * time.Minute); have() < want; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.b.Fatalf("%d of %d arrived", have(), want)
		}
	}
}

// slowest is the 99th percentile of accepts over HTTP in ms, one after the
// other, each sent as it comes.
func (t *tabBox) slowest() float64 {
	t.b.Helper()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	took := make([]float64, tabsHTTP)
	for i := range took {
		body := fmt.Sprintf(`{"to": "+3163%07d", "text": "Uw fiets is klaar."}`, i)
		r, err := http.NewRequestWithContext(t.b.Context(), http.MethodPost, t.srv.URL+"/api/v1/messages", strings.NewReader(body))
		if err != nil {
			t.b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+t.key)
		began := time.Now()
		resp, err := client.Do(r)
		if err != nil {
			t.b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.b.Fatal(resp.Status, err)
		}
		took[i] = time.Since(began).Seconds() * 1000
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// tabs is the process that has the pages open.
type tabs struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
}

// tabsEnv tells the test binary to be that process; see TestMain.
const tabsEnv = "TILLPOST_TABS"

// look opens the tabs, and returns when each that reads has been told once:
// what is measured is pages that are open, not pages that are being opened.
func (t *tabBox) look(n int) *tabs {
	t.b.Helper()
	p := &tabs{t: t.b}
	if n == 0 {
		return p
	}
	self, err := os.Executable()
	if err != nil {
		t.b.Fatal(err)
	}
	p.cmd = exec.Command(self)
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", tabsEnv, t.srv.Listener.Addr(), n))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.b.Fatal(err)
	}
	p.lines = bufio.NewReader(out)
	p.hear()
	return p
}

func (p *tabs) hear() (c tabCount) {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	if err != nil {
		p.t.Fatalf("the tabs have ended: %v", err)
	}
	words := strings.Fields(line)
	for i, to := range []*int64{&c.frames, &c.bytes} {
		if *to, err = strconv.ParseInt(words[i], 10, 64); err != nil {
			p.t.Fatal(err)
		}
	}
	c.cpu = cpuOf(p.t, p.cmd.Process.Pid)
	return c
}

// count asks what was read so far.
func (p *tabs) count() tabCount {
	p.t.Helper()
	if p.cmd == nil {
		return tabCount{}
	}
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		p.t.Fatal(err)
	}
	return p.hear()
}

func (p *tabs) close() {
	if p.cmd == nil {
		return
	}
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Error(err)
	}
}
