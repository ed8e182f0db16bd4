package at

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is the modem's end of the line: it keeps what was written to it, and
// says what the test tells it to. Waits are virtual inside a synctest bubble.
type peer struct {
	t    *testing.T
	line net.Conn
	wait sync.WaitGroup

	mu   sync.Mutex
	more *sync.Cond
	got  bytes.Buffer // not yet expected
	all  bytes.Buffer
	gone bool
}

// dial starts a conversation with a peer. Both are closed when the test ends.
func dial(t *testing.T, cfg Config) (*Conn, *peer) {
	t.Helper()
	ours, theirs := net.Pipe()
	p := &peer{t: t, line: theirs}
	p.more = sync.NewCond(&p.mu)
	p.wait.Go(p.read)
	c := New(ours, cfg)
	t.Cleanup(func() {
		c.Close()
		theirs.Close()
		p.wait.Wait()
	})
	return c, p
}

func (p *peer) read() {
	buf := make([]byte, 512)
	for {
		n, err := p.line.Read(buf)
		p.mu.Lock()
		p.got.Write(buf[:n])
		p.all.Write(buf[:n])
		p.gone = err != nil
		p.more.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// expect waits until the next bytes written to the modem are want.
func (p *peer) expect(want string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.got.Len() < len(want) && !p.gone {
		p.more.Wait()
	}
	if got := string(p.got.Next(len(want))); got != want {
		p.t.Errorf("the modem read %q, expected %q", got, want)
	}
}

// written is everything the modem was ever told.
func (p *peer) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.String()
}

// say writes to the box, lines ended as a modem ends them.
func (p *peer) say(lines ...string) {
	p.raw("\r\n" + strings.Join(lines, "\r\n\r\n") + "\r\n")
}

func (p *peer) raw(s string) {
	if _, err := p.line.Write([]byte(s)); err != nil {
		p.t.Errorf("the box did not read %q: %v", s, err)
	}
}

// answer is the whole of a well behaved Submit.
func (p *peer) accept(length, pdu, mr string) {
	p.t.Helper()
	p.expect("AT+CMGS=" + length + "\r")
	p.raw("\r\n> ")
	p.expect(pdu + "\x1a")
	p.say("+CMGS: "+mr, "OK")
}

// take collects n events.
func take(t *testing.T, c *Conn, n int) []Event {
	t.Helper()
	var out []Event
	for len(out) < n {
		select {
		case <-c.Ready():
			if e, ok := c.Take(); ok {
				out = append(out, e)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%d events came, expected %d", len(out), n)
		}
	}
	return out
}

type dur = time.Duration

var far = time.Now().Add(1000 * time.Hour)

// bare is a Conn without port and engine, for tests of one line at a time.
func bare() *Conn {
	c := &Conn{cfg: Config{}.withDefaults(), feed: newFeed(), seen: map[string]bool{}, ready: make(chan struct{}, 1)}
	c.room = sync.NewCond(&c.mu)
	c.urcs = map[string]URC{}
	for _, u := range Standard {
		c.urcs[u.Prefix] = u
	}
	return c
}
