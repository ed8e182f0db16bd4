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
	"tillpost/queue/route/routetest"
	"tillpost/smpp/smsc"
)

// lobby is a network without descriptors: dialling it gives one end of a pipe
// and hands the other to whoever accepts. Closed to the public, nobody gets in.
type lobby struct {
	mu     sync.Mutex
	shut   bool
	inside []net.Conn // the SMSC's ends
	come   chan net.Conn
	open   chan struct{} // closed by the first Accept
	closed chan struct{}

	opening, closing sync.Once
}

func newLobby() *lobby {
	return &lobby{come: make(chan net.Conn), open: make(chan struct{}), closed: make(chan struct{})}
}

var errRefused = errors.New("connection refused")

func (l *lobby) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	shut := l.shut
	l.mu.Unlock()
	if shut {
		return nil, errRefused
	}
	ours, theirs := net.Pipe()
	select {
	case l.come <- theirs:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.shut { // meanwhile
			return nil, errors.Join(errRefused, theirs.Close())
		}
		l.inside = append(l.inside, theirs)
		return ours, nil
	case <-l.closed:
		return nil, errRefused
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *lobby) close(shut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = shut
}

// empty shuts the lobby and ends every connection, also one whose bind has only
// begun.
func (l *lobby) empty() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = true
	for _, c := range l.inside {
		c.Close()
	}
	l.inside = nil
}

func (l *lobby) Accept() (net.Conn, error) {
	l.opening.Do(func() { close(l.open) })
	select {
	case c := <-l.come:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *lobby) Close() error   { l.closing.Do(func() { close(l.closed) }); return nil }
func (l *lobby) Addr() net.Addr { return &net.UnixAddr{Name: "lobby"} }

// serve runs m in the lobby until the test ends.
func (l *lobby) serve(t *testing.T, m *smsc.SMSC) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, l) }()
	<-l.open
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the SMSC ended with %v", err)
		}
	})
}

// steps translates what the suite wants of the network.
var steps = map[routetest.Step]smsc.Verdict{
	routetest.Accept:  {},
	routetest.Busy:    {Status: smsc.StatusSystemError},
	routetest.Refuse:  {Status: smsc.StatusBadRecipient},
	routetest.Swallow: {Silent: true},
	routetest.Hold:    {Hold: true},
	routetest.Cut:     {Drop: true},
}

// harness is a client and a simulated SMSC in one lobby.
func harness(change func(*Config)) func(t *testing.T) routetest.Harness {
	return func(t *testing.T) routetest.Harness {
		l := newLobby()
		var mu sync.Mutex
		var script []routetest.Step
		m := smsc.New(smsc.Config{Keep: true, RetryAfter: 10 * time.Millisecond, Decide: func(*smsc.Submit) smsc.Verdict {
			mu.Lock()
			defer mu.Unlock()
			if len(script) == 0 {
				return smsc.Verdict{NoReceipt: true}
			}
			step := script[0]
			script = script[1:]
			if step == routetest.Cut {
				l.close(true)
			}
			v := steps[step]
			v.NoReceipt = true
			return v
		}})
		l.serve(t, m)
		cfg := Config{
			Name: "operator", Addrs: []string{"smsc.example:2775"}, SystemID: "shop", Source: "SHOP",
			SendTimeout: 500 * time.Millisecond, Timers: quick, Dial: l.Dial, Log: slog.New(slog.DiscardHandler),
		}
		if change != nil {
			change(&cfg)
		}
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		h := routetest.Harness{
			Route: c,
			Script: func(s ...routetest.Step) {
				mu.Lock()
				defer mu.Unlock()
				script = append(script, s...)
			},
			Seen: func() (seen []routetest.Sent) {
				for _, s := range m.Submits() {
					seen = append(seen, routetest.Sent{To: "+" + s.To, Text: s.Text, N: max(s.N, 1), Of: max(s.Of, 1), Ref: s.Ref})
				}
				return seen
			},
			Release: m.Release,
			Drop:    l.empty,
			Connect: func() { l.close(false) },
			Deliver: func(text string) {
				m.Bring(smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: []byte(text)})
			},
			From:     "+31687654321",
			Patience: cfg.SendTimeout,
			Report: func(to string, p route.Part) {
				m.Bring(smsc.Message{From: to[1:], To: "31600000000", ESM: esmReceipt, Text: fmt.Appendf(nil,
					"id:%s sub:001 dlvrd:001 submit date:2611221015 done date:2611221016 stat:DELIVRD err:000 text:Hello", p.Ref)})
			},
			Acked: func() int { return m.Stats().Done },
		}
		if cfg.Binds > 1 {
			h.Deliver = nil // over several binds the network itself has no order
		}
		return h
	}
}

func TestConformance(t *testing.T) {
	settings := map[string]func(*Config){
		"one transceiver":  nil,
		"three binds":      func(c *Config) { c.Binds, c.Window = 3, 4 },
		"a pair":           func(c *Config) { c.Bind = BindPair },
		"a window of one":  func(c *Config) { c.Window = 1 },
		"sar":              func(c *Config) { c.LongMessages = LongSAR },
		"a rate and marks": func(c *Config) { c.PartsPerSecond, c.MessageReference = 100, true },
	}
	for name, change := range settings {
		t.Run(name, func(t *testing.T) { routetest.RunInBubble(t, harness(change)) })
	}
	t.Run("in real time", func(t *testing.T) { routetest.Run(t, harness(nil)) })
}
