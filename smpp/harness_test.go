package smpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// wait bounds every wait of these tests. None takes that long unless it fails.
const wait = 20 * time.Second

// quick are timers for tests with real sockets.
var quick = Timers{Reconnect: 20 * time.Millisecond, Longest: 100 * time.Millisecond, Refused: 50 * time.Millisecond, Drain: 2 * time.Second, Unbind: 2 * time.Second}

// recorder is a sink that remembers, and fails when told to.
type recorder struct {
	mu       sync.Mutex
	progress []route.Part
	received []route.Inbound
	reported []route.Report
	states   []route.Status
	fail     error                 // returned by Progress, Received and Reported
	before   func(context.Context) // called by Received and Reported before anything else
	news     chan struct{}         // closed at each change
	memory   map[string][]byte     // for Load and Save
}

func newRecorder() *recorder {
	return &recorder{news: make(chan struct{}), memory: make(map[string][]byte)}
}

func (r *recorder) note(do func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	do()
	close(r.news)
	r.news = make(chan struct{})
	return nil
}

func (r *recorder) Progress(_ context.Context, _ string, _ int, p route.Part) error {
	return r.note(func() { r.progress = append(r.progress, p) })
}

func (r *recorder) Received(ctx context.Context, in route.Inbound) error {
	r.hold(ctx)
	return r.note(func() { r.received = append(r.received, in) })
}

func (r *recorder) Reported(ctx context.Context, rep route.Report) error {
	r.hold(ctx)
	return r.note(func() { r.reported = append(r.reported, rep) })
}

func (r *recorder) hold(ctx context.Context) {
	r.mu.Lock()
	before := r.before
	r.mu.Unlock()
	if before != nil {
		before(ctx)
	}
}

func (r *recorder) Changed(s route.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	close(r.news)
	r.news = make(chan struct{})
}

func (r *recorder) Load(key string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.memory[key], nil
}

func (r *recorder) Save(_ context.Context, key string, v []byte) error {
	return r.note(func() { r.memory[key] = v })
}

// set changes the recorder's behaviour.
func (r *recorder) set(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

// until waits for a condition on what was recorded.
func (r *recorder) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		r.mu.Lock()
		done, news := ok(), r.news
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-news:
		case <-limit.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("waited in vain until %s; last status %+v, %d reports, %d messages", what, r.last(), len(r.reported), len(r.received))
		}
	}
}

func (r *recorder) last() route.Status {
	if len(r.states) == 0 {
		return route.Status{}
	}
	return r.states[len(r.states)-1]
}

func (r *recorder) untilState(t testing.TB, want route.State) {
	t.Helper()
	r.until(t, "the route is "+string(want), func() bool { return r.last().State == want })
}

// reports returns what was reported so far.
func (r *recorder) reports() []route.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]route.Report(nil), r.reported...)
}

func (r *recorder) messages() []route.Inbound {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]route.Inbound(nil), r.received...)
}

// startSMSC serves a simulated SMSC on a loopback port until the test ends.
func startSMSC(t testing.TB, cfg smsc.Config) (*smsc.SMSC, string) {
	t.Helper()
	cfg.Keep = true
	if cfg.SystemID == "" {
		cfg.SystemID, cfg.Password = "shop", "secret"
	}
	m := smsc.New(cfg)
	return m, serveSMSC(t, m)
}

func serveSMSC(t testing.TB, m *smsc.SMSC) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the SMSC ended with %v", err)
		}
	})
	return l.Addr().String()
}

// newClient builds a client for the SMSC at addr; change adjusts its settings.
func newClient(t testing.TB, addr string, rec *recorder, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{
		Name: "operator", Addrs: []string{addr}, SystemID: "shop", Password: "secret",
		Source: "SHOP", Timers: quick, Memory: rec, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs a client until the test ends, or until the returned function is
// called.
func run(t testing.TB, c *Client, rec *recorder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, rec) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Run ended with %v", err)
			}
		case <-time.After(wait):
			t.Error("Run did not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// bound starts an SMSC and a client that is ready.
func bound(t testing.TB, sc smsc.Config, change func(*Config)) (*Client, *smsc.SMSC, *recorder) {
	t.Helper()
	m, addr := startSMSC(t, sc)
	rec := newRecorder()
	c := newClient(t, addr, rec, change)
	run(t, c, rec)
	rec.untilState(t, route.Ready)
	return c, m, rec
}

// boundInLobby is bound without descriptors, for bubbles.
func boundInLobby(t *testing.T, sc smsc.Config, change func(*Config)) (*Client, *smsc.SMSC, *recorder) {
	t.Helper()
	sc.Keep = true
	m, l, rec := smsc.New(sc), newLobby(), newRecorder()
	l.serve(t, m)
	c := newClient(t, "smsc.example:2775", rec, func(cfg *Config) {
		cfg.Dial = l.Dial
		if change != nil {
			change(cfg)
		}
	})
	run(t, c, rec)
	rec.untilState(t, route.Ready)
	return c, m, rec
}

// message is a one-part message to a number.
func message(n int, said string) route.Outbound {
	return route.Outbound{
		ID: fmt.Sprintf("m%d", n), Attempt: 1, To: fmt.Sprintf("+316%08d", n),
		Alphabet: route.GSM7, Segments: []route.Segment{{Text: said, Units: len(said)}}, Report: true,
	}
}

// within is a context for one step of a test.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

// fate fails the test unless err is a route.Error with this fate.
func fate(t testing.TB, err error, want route.Fate) *route.Error {
	t.Helper()
	e, ok := errors.AsType[*route.Error](err)
	if !ok || e.Fate != want {
		t.Fatalf("got %v, want an error with fate %s", err, want)
	}
	return e
}
