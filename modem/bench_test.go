package modem

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tillpost/modem/at"
	"tillpost/modem/sim"
	"tillpost/queue/route"
	"tillpost/queue/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a modem on a simulated one, the sink it tells, and the cable
// between them, which can be pulled.
type bench struct {
	t     *testing.T
	cell  *sim.Cell
	peer  *sim.Modem
	modem *Modem
	sink  *sink
	log   *notebook // what the modem logged
	trace *notebook // what went over the line to the modem

	mu    sync.Mutex
	away  time.Time // the port is gone until then
	opens int
	keep  bool
	kept  net.Conn // our end of its line, while it is closed too
	stop  context.CancelFunc
	ended chan error
	serve sync.WaitGroup
}

type setUp struct {
	cell   sim.CellConfig
	peer   sim.Config
	modem  Config
	faults string
	gone   time.Duration // the port appears only then
	kept   bool          // the modem has its own power: closing the port does not restart it
}

// plug builds the bench and starts Run. The test's end stops everything.
func plug(t *testing.T, u setUp) *bench {
	t.Helper()
	script, err := sim.ParseFaults(strings.NewReader(u.faults))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, sink: newSink(), log: &notebook{}, trace: &notebook{}, ended: make(chan error, 1)}
	b.away = time.Now().Add(u.gone)
	b.keep = u.kept
	u.peer.Faults = script
	u.peer.Trace = func(dir rune, data []byte) {
		if dir == '<' {
			b.trace.Write(data)
		}
	}
	b.cell = sim.NewCell(u.cell)
	b.peer = sim.New(b.cell, u.peer)
	cfg := u.modem
	cfg.Name, cfg.Port = "counter", "/dev/simulated"
	if cfg.Memory == nil {
		cfg.Memory = &memory{}
	}
	cfg.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.modem = New(cfg)
	b.modem.open, b.modem.present = b.open, b.present
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.ended <- b.modem.Run(ctx, b.sink) }()
	t.Cleanup(b.end)
	return b
}

// parrot is a bench whose modem is a function from command to answer, for what
// the simulated one would never say.
func parrot(t *testing.T, say func(cmd string) string) *bench {
	t.Helper()
	b := &bench{t: t, sink: newSink(), log: &notebook{}, trace: &notebook{}, ended: make(chan error, 1)}
	b.cell = sim.NewCell(sim.CellConfig{})
	m := New(Config{Name: "counter", Port: "/dev/simulated", Memory: &memory{}})
	m.present = func(string) bool { return true }
	m.open = func(Config) (at.Port, error) {
		ours, theirs := net.Pipe()
		b.serve.Go(func() {
			for r := bufio.NewReader(theirs); ; {
				cmd, err := r.ReadString('\r')
				if err != nil {
					return
				}
				b.trace.Write([]byte(cmd))
				if cmd = strings.Trim(cmd, "\r\x1b"); cmd != "" {
					theirs.Write([]byte("\r\n" + say(cmd) + "\r\n"))
				}
			}
		})
		return ours, nil
	}
	b.modem = m
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.ended <- m.Run(ctx, b.sink) }()
	t.Cleanup(b.end)
	return b
}

// end stops Run and waits for all of it.
func (b *bench) end() {
	b.stop()
	if err := <-b.ended; err != nil {
		b.t.Errorf("Run returned %v", err)
	}
	b.mu.Lock()
	if b.kept != nil {
		b.kept.Close()
	}
	b.mu.Unlock()
	b.serve.Wait()
	if err := b.cell.Close(); err != nil {
		b.t.Errorf("the cell: %v", err)
	}
	if b.t.Failed() {
		b.t.Logf("log:\n%s", b.log)
	}
}

func (b *bench) present(string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.away)
}

func (b *bench) open(Config) (at.Port, error) {
	if !b.present("") {
		return nil, &portError{"modem_gone", "port is not there", errors.New("gone")}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opens++
	if b.kept != nil {
		b.kept.SetDeadline(time.Time{})
		return keptPort{b.kept}, nil
	}
	ours, theirs := net.Pipe()
	b.serve.Go(func() {
		err := b.peer.Serve(context.Background(), theirs)
		theirs.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.kept = nil
		if u, ok := errors.AsType[*sim.Unplugged](err); ok {
			b.away = time.Now().Add(u.Away)
		}
	})
	if b.keep {
		b.kept = ours
		return keptPort{ours}, nil
	}
	return ours, nil
}

// keptPort is a port whose Close ends what waits on it and nothing else, as
// that of a modem with its own power.
type keptPort struct{ net.Conn }

func (p keptPort) Close() error { return p.SetDeadline(time.Unix(1, 0)) }

// until waits for a status that fits, for at most ten minutes.
func (b *bench) until(what string, fits func(route.Status) bool) route.Status {
	b.t.Helper()
	s, ok := b.sink.until(fits, 10*time.Minute)
	if !ok {
		b.t.Fatalf("never %s; the last status is %+v\nlog:\n%s", what, s, b.log)
	}
	return s
}

func (b *bench) ready() route.Status {
	b.t.Helper()
	return b.until("ready", func(s route.Status) bool { return s.State == route.Ready })
}

func code(code string) func(route.Status) bool {
	return func(s route.Status) bool { return s.Code == code }
}

// out cuts a message as the queue does.
func out(t testing.TB, id, to, s string) route.Outbound {
	t.Helper()
	p, err := text.Compose(s, text.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return route.Outbound{ID: id, Attempt: 1, To: to, Alphabet: p.Alphabet, Segments: segments(p), Ref: 42, RefBits: 8, Report: true}
}

func segments(p *text.Plan) []route.Segment {
	var all []route.Segment
	for _, s := range p.Segments {
		all = append(all, route.Segment{Text: s.Text, Units: s.Units})
	}
	return all
}

// fate of a Send; "" for none.
func fate(err error) route.Fate {
	if err == nil {
		return ""
	}
	return route.FateOf(err, true)
}

// sink keeps what it is told.
type sink struct {
	mu       sync.Mutex
	changed  chan struct{}
	statuses []route.Status
	parts    []route.Part
	reports  []route.Report
	inbound  []route.Inbound
	notices  []route.Notice
	fail     func() error // of Received and Reported
	progress func(route.Part) error
}

func newSink() *sink { return &sink{changed: make(chan struct{})} }

func (s *sink) tell(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sink) Progress(_ context.Context, _ string, _ int, p route.Part) error {
	s.tell(func() { s.parts = append(s.parts, p) })
	if s.progress != nil {
		return s.progress(p)
	}
	return nil
}

func (s *sink) Received(_ context.Context, in route.Inbound) (err error) {
	s.tell(func() {
		if s.fail != nil {
			err = s.fail()
		}
		if err == nil {
			s.inbound = append(s.inbound, in)
		}
	})
	return err
}

func (s *sink) Reported(_ context.Context, r route.Report) (err error) {
	s.tell(func() {
		if s.fail != nil {
			err = s.fail()
		}
		if err == nil {
			s.reports = append(s.reports, r)
		}
	})
	return err
}

func (s *sink) Changed(st route.Status) {
	s.tell(func() { s.statuses = append(s.statuses, st) })
}

func (s *sink) Noticed(n route.Notice) {
	s.tell(func() { s.notices = append(s.notices, n) })
}

// noticed returns the notices with a code.
func (s *sink) noticed(code string) (found []route.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.notices {
		if n.Code == code {
			found = append(found, n)
		}
	}
	return found
}

func (s *sink) last() route.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.statuses) == 0 {
		return route.Status{}
	}
	return s.statuses[len(s.statuses)-1]
}

// wait waits until ok says so, with the lock held, for at most limit.
func (s *sink) wait(limit time.Duration, ok func() bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		s.mu.Lock()
		done, changed := ok(), s.changed
		s.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		}
	}
}

func (s *sink) until(fits func(route.Status) bool, limit time.Duration) (found route.Status, ok bool) {
	ok = s.wait(limit, func() bool {
		if len(s.statuses) > 0 {
			found = s.statuses[len(s.statuses)-1]
		}
		return len(s.statuses) > 0 && fits(found)
	})
	return found, ok
}

func (b *bench) reports(n int) []route.Report {
	b.t.Helper()
	if !b.sink.wait(10*time.Minute, func() bool { return len(b.sink.reports) >= n }) {
		b.t.Fatalf("%d reports came, want %d: %+v\nlog:\n%s", len(b.sink.reports), n, b.sink.reports, b.log)
	}
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	return slices.Clone(b.sink.reports)
}

func (b *bench) inbound(n int) []route.Inbound {
	b.t.Helper()
	if !b.sink.wait(10*time.Minute, func() bool { return len(b.sink.inbound) >= n }) {
		b.t.Fatalf("%d messages came in, want %d\nlog:\n%s", len(b.sink.inbound), n, b.log)
	}
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	return slices.Clone(b.sink.inbound)
}

// memory is a route.Memory that can refuse to write.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte
	fail error
}

func (m *memory) Load(key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[key], nil
}

func (m *memory) Save(_ context.Context, key string, v []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.kept == nil {
		m.kept = map[string][]byte{}
	}
	m.kept[key] = slices.Clone(v)
	return nil
}

// notebook is a strings.Builder that several may write to.
type notebook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}
