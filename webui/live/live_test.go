package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post is a hub behind a server. Every connection gets each news once.
type post struct {
	hub    *Hub
	url    string
	token  chan struct{}
	value  atomic.Int64
	bulk   int // bytes added to each message
	errs   chan error
	origin func(*http.Request) bool
	fail   atomic.Bool
}

// reader is the Source: the newest value, if it was not told yet.
type reader struct {
	p    *post
	told int64
}

func (r *reader) Next(uint64) (*Message, error) {
	if r.p.fail.Load() {
		return nil, errors.New("enough")
	}
	v := r.p.value.Load()
	if v == r.told {
		return nil, nil
	}
	r.told = v
	body := fmt.Appendf(nil, "%d ", v)
	for len(body) < r.p.bulk { // nothing that could be compressed
		body = append(body, rand.Text()...)
	}
	return NewMessage(body)
}

func (r *reader) Beat() (*Message, error) { return NewMessage([]byte("beat")) }

func open(t *testing.T, tune func(*post)) *post {
	t.Helper()
	p := &post{token: make(chan struct{}, 1), errs: make(chan error, 100)}
	p.hub = NewHub(func() (<-chan struct{}, func()) { return p.token, func() {} })
	p.hub.pace, p.hub.writeWait = 10*time.Millisecond, time.Second
	if tune != nil {
		tune(p)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.errs <- p.hub.Serve(w, r, &reader{p: p}, p.origin)
	}))
	p.url = "ws" + strings.TrimPrefix(srv.URL, "http")
	ctx, stop := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { p.hub.Run(ctx) })
	t.Cleanup(func() {
		stop()
		run.Wait()
		srv.Close()
	})
	return p
}

func (p *post) tell(v int64) {
	p.value.Store(v)
	select {
	case p.token <- struct{}{}:
	default:
	}
}

func (p *post) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial(p.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return ws
}

// reads until the value has come, and returns how many messages that took.
func reads(ws *websocket.Conn, want int64) (n int, err error) {
	if err := ws.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return 0, err
	}
	for {
		_, body, err := ws.ReadMessage()
		if err != nil {
			return n, fmt.Errorf("after %d messages, waiting for %d: %w", n, want, err)
		}
		n++
		if strings.HasPrefix(string(body), fmt.Sprint(want, " ")) {
			return n, nil
		}
	}
}

// all lets every one of them read until the value has come.
func all(t *testing.T, conns []*websocket.Conn, want int64) {
	t.Helper()
	var wg sync.WaitGroup
	for _, ws := range conns {
		wg.Go(func() {
			if _, err := reads(ws, want); err != nil {
				t.Error(err)
			}
		})
	}
	if wg.Wait(); t.Failed() {
		t.FailNow()
	}
}

// library-facts §9.9: a client that never reads must not keep the others from
// their updates, and is dropped.
func TestClientThatNeverReadsHoldsNobodyUp(t *testing.T) {
	p := open(t, func(p *post) { p.bulk = 1 << 20 })
	var good []*websocket.Conn
	for range 3 {
		good = append(good, p.dial(t))
	}
	p.dial(t) // and never reads
	until(t, func() bool { return p.hub.Len() == 4 })
	dropped := false
	for v := int64(1); !dropped; v++ {
		if v > 200 {
			t.Fatal("200 MB went to somebody who does not read")
		}
		p.tell(v)
		all(t, good, v)
		dropped = p.hub.Len() == 3
	}
	if err := <-p.errs; err == nil || !strings.Contains(err.Error(), "took nothing") {
		t.Errorf("it was dropped because of: %v", err)
	}
	p.tell(1000)
	all(t, good, 1000)
}

func TestNewsAreCoalesced(t *testing.T) {
	p := open(t, func(p *post) { p.hub.pace = 100 * time.Millisecond })
	ws := p.dial(t)
	p.tell(1)
	all(t, []*websocket.Conn{ws}, 1)
	begun := time.Now()
	for v := int64(2); v <= 3000; v++ {
		p.tell(v)
		if v%10 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	n, err := reads(ws, 3000)
	if err != nil {
		t.Fatal(err)
	}
	if most := int(time.Since(begun)/p.hub.pace) + 2; n > most {
		t.Errorf("3000 changes made %d messages, want at most %d", n, most)
	}
}

func TestClientsLeave(t *testing.T) {
	p := open(t, nil)
	a, b := p.dial(t), p.dial(t)
	until(t, func() bool { return p.hub.Len() == 2 })
	if err := a.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	b.NetConn().Close() // a browser that crashed
	until(t, func() bool { return p.hub.Len() == 0 })
	for range 2 {
		if err := <-p.errs; err != nil {
			t.Errorf("leaving is no error: %v", err)
		}
	}
}

func TestSourceThatFailsEndsTheConnectionWithAReason(t *testing.T) {
	p := open(t, nil)
	ws := p.dial(t)
	until(t, func() bool { return p.hub.Len() == 1 })
	p.fail.Store(true)
	p.tell(1)
	_, _, err := ws.ReadMessage()
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != websocket.ClosePolicyViolation || e.Text != "enough" {
		t.Errorf("the client was told %v", err)
	}
	if err := <-p.errs; err == nil || err.Error() != "enough" {
		t.Errorf("Serve returned %v", err)
	}
}

func TestTooMuchTalkEndsTheConnection(t *testing.T) {
	p := open(t, nil)
	ws := p.dial(t)
	// The hub may hang up before it has read everything.
	err := ws.WriteMessage(websocket.TextMessage, make([]byte, 50_000))
	if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	until(t, func() bool { return p.hub.Len() == 0 })
}

func TestForeignOriginIsRefused(t *testing.T) {
	p := open(t, func(p *post) {
		p.origin = func(r *http.Request) bool { return r.Header.Get("Origin") == "http://box" }
	})
	for origin, fine := range map[string]bool{"http://box": true, "http://evil.example": false, "null": false, "": false} {
		h := http.Header{}
		if origin != "" {
			h.Set("Origin", origin)
		}
		ws, resp, err := websocket.DefaultDialer.Dial(p.url, h)
		if fine != (err == nil) {
			t.Errorf("Origin %q: %v", origin, err)
		}
		if err == nil {
			ws.Close()
		} else if resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("Origin %q: %v", origin, resp)
		}
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	p := &post{token: make(chan struct{}, 1), errs: make(chan error, 10)}
	p.hub = NewHub(func() (<-chan struct{}, func()) { return p.token, func() {} })
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.errs <- p.hub.Serve(w, r, &reader{p: p}, nil)
	}))
	defer srv.Close()
	p.url = "ws" + strings.TrimPrefix(srv.URL, "http")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { p.hub.Run(ctx); close(ended) }()
	ws := p.dial(t)
	until(t, func() bool { return p.hub.Len() == 1 })
	stop()
	_, _, err := ws.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the client was told %v", err)
	}
	<-ended
	if err := <-p.errs; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if _, resp, err := websocket.DefaultDialer.Dial(p.url, nil); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a hub that is over took a connection: %v", err)
	}
}

// until waits for a condition, at most ten seconds.
func until(t *testing.T, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass")
		}
	}
}

// Many are woken row by row: each of them hears every change, at the pace at
// which a few do, and never all at the same moment.
func TestManyAreWokenInRows(t *testing.T) {
	p := open(t, func(p *post) { p.hub.pace = 160 * time.Millisecond })
	var conns []*websocket.Conn
	for range few + 36 {
		conns = append(conns, p.dial(t))
	}
	until(t, func() bool { return p.hub.Len() == len(conns) })
	for v := int64(1); v <= 3; v++ {
		heard := make([]time.Time, len(conns))
		p.tell(v)
		var wg sync.WaitGroup
		for i, ws := range conns {
			wg.Go(func() {
				n, err := reads(ws, v)
				if err != nil || n != 1 {
					t.Errorf("value %d came with message %d: %v", v, n, err)
				}
				heard[i] = time.Now()
			})
		}
		if wg.Wait(); t.Failed() {
			t.FailNow()
		}
		first, last := slices.MinFunc(heard, time.Time.Compare), slices.MaxFunc(heard, time.Time.Compare)
		if spread := last.Sub(first); spread < p.hub.pace/2 {
			t.Errorf("all heard value %d within %s", v, spread)
		}
	}
}
