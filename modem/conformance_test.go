package modem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/modem/at"
	"tillpost/modem/sim"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// The contract of package route, read to a Modem whose modem is simulated.
func TestConformance(t *testing.T) {
	routetest.RunInBubble(t, func(t *testing.T) routetest.Harness {
		n := newNetwork(t)
		m := New(Config{Name: "counter", Port: "/dev/simulated", Memory: &memory{}, SendTimeout: 2 * time.Second})
		m.open, m.present = n.open, n.connected
		return routetest.Harness{
			Route:    m,
			Script:   n.script,
			Seen:     n.seen,
			Release:  n.release,
			Drop:     n.drop,
			Connect:  n.connect,
			Deliver:  n.deliver,
			Report:   n.report,
			Acked:    n.acked,
			To:       "+31612340005", // magic: the cell itself makes no report
			From:     "+31687654321",
			Patience: 2 * time.Second,
			Within:   3 * time.Minute, // a stored message is found again by the sweep of every minute
		}
	})
}

// wire is a cell with one modem, and a cable between modem and box at which
// the steps of the suite are played: it sees each Ctrl-Z before the modem does.
type wire struct {
	t     *testing.T
	cell  *sim.Cell
	peer  *sim.Modem
	serve sync.WaitGroup

	mu      sync.Mutex
	down    bool
	steps   []routetest.Step
	line    *cable
	owed    []string // injected reports that are not acknowledged
	gotAcks int
	ended   chan struct{}
}

func newNetwork(t *testing.T) *wire {
	n := &wire{t: t, ended: make(chan struct{})}
	n.cell = sim.NewCell(sim.CellConfig{Magic: true, RepeatAfter: 10 * time.Second})
	n.peer = sim.New(n.cell, sim.Config{})
	t.Cleanup(func() {
		close(n.ended)
		n.serve.Wait()
		n.cell.Close()
	})
	return n
}

func (n *wire) connected(string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.down
}

func (n *wire) open(Config) (at.Port, error) {
	if !n.connected("") {
		return nil, &portError{"modem_gone", "the cable is out", errors.New("no such device")}
	}
	ours, theirs := net.Pipe()
	c := &cable{Conn: theirs, n: n}
	n.mu.Lock()
	n.line = c
	n.mu.Unlock()
	n.serve.Go(func() {
		defer theirs.Close()
		if _, pulled := errors.AsType[*sim.Unplugged](n.peer.Serve(context.Background(), c)); pulled {
			n.mu.Lock()
			n.down = true
			n.mu.Unlock()
		}
	})
	return ours, nil
}

func (n *wire) play(line string) {
	if err := n.peer.Play(line); err != nil {
		n.t.Error(err)
	}
}

func (n *wire) drop() {
	n.mu.Lock()
	n.down = true
	n.mu.Unlock()
	n.play("unplug")
}

func (n *wire) connect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

func (n *wire) script(steps ...routetest.Step) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steps = append(n.steps, steps...)
}

// faults plays a step, just before the modem sees the Ctrl-Z.
var faults = map[routetest.Step]string{
	routetest.Busy:    "answer: error cms 42",
	routetest.Refuse:  "answer: error cms 196",
	routetest.Swallow: "answer: hang",
	routetest.Cut:     "answer: unplug",
}

func (n *wire) ctrlZ(c *cable) {
	n.mu.Lock()
	var step routetest.Step
	if len(n.steps) > 0 {
		step, n.steps = n.steps[0], n.steps[1:]
	}
	n.mu.Unlock()
	if step == routetest.Hold {
		c.hold()
	}
	if f := faults[step]; f != "" {
		n.play(f)
	}
}

func (n *wire) release() {
	n.mu.Lock()
	c := n.line
	n.mu.Unlock()
	c.free()
}

func (n *wire) seen() (all []routetest.Sent) {
	for _, s := range n.cell.Submits() {
		sent := routetest.Sent{To: s.To, Text: s.Text, N: 1, Of: 1}
		if s.Total > 0 {
			sent.N, sent.Of, sent.Ref = s.Seq, s.Total, s.Ref
		}
		all = append(all, sent)
	}
	return all
}

func (n *wire) deliver(text string) {
	if err := n.cell.Deliver(sim.Identity(0).Number, "+31687654321", text); err != nil {
		n.t.Error(err)
	}
}

// report injects a +CDS and repeats it until it is acknowledged.
func (n *wire) report(to string, p route.Part) {
	mr, err := strconv.Atoi(p.Ref)
	if err != nil {
		n.t.Error(err)
		return
	}
	pdu := fmt.Sprintf("0006%02X0B91%s%s%s00", mr, swapped(strings.TrimPrefix(to, "+")), "62112221510040", "62112221617040")
	n.mu.Lock()
	n.owed = append(n.owed, pdu)
	n.mu.Unlock()
	n.serve.Go(func() {
		for n.owes(pdu) {
			n.mu.Lock()
			c := n.line
			n.mu.Unlock()
			c.say(fmt.Sprintf("\r\n+CDS: %d\r\n%s\r\n", len(pdu)/2-1, pdu))
			select {
			case <-time.After(15 * time.Second):
			case <-n.ended:
				return
			}
		}
	})
}

func (n *wire) owes(pdu string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.owed) > 0 && n.owed[0] == pdu
}

// confirmed is an AT+CNMA.
func (n *wire) confirmed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.owed) > 0 {
		n.owed = n.owed[1:]
		n.gotAcks++
	}
}

// acked counts reports that were confirmed, and messages that the modem has
// taken and the route has removed from the SIM.
func (n *wire) acked() int {
	n.mu.Lock()
	count := n.gotAcks
	n.mu.Unlock()
	for _, e := range n.cell.Entries() {
		if e.Kind == "deliver" && e.State == "acknowledged" {
			count++
		}
	}
	return count - n.peer.Stored("SM")
}

func swapped(digits string) string {
	if len(digits)%2 == 1 {
		digits += "F"
	}
	b := []byte(digits)
	for i := 0; i < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
	return string(b)
}

// cable is the modem's end of the line.
type cable struct {
	net.Conn
	n *wire

	mu   sync.Mutex
	held bool
	late []byte
}

func (c *cable) Read(p []byte) (int, error) {
	k, err := c.Conn.Read(p)
	if bytes.IndexByte(p[:k], 0x1A) >= 0 {
		c.n.ctrlZ(c)
	}
	if bytes.Contains(p[:k], []byte("AT+CNMA")) {
		c.n.confirmed()
	}
	return k, err
}

func (c *cable) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.held {
		c.late = append(c.late, p...)
		c.mu.Unlock()
		return len(p), nil
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// say injects a line; a closed cable swallows it.
func (c *cable) say(s string) { c.Write([]byte(s)) }

func (c *cable) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

func (c *cable) free() {
	c.mu.Lock()
	late := c.late
	c.held, c.late = false, nil
	c.mu.Unlock()
	c.Conn.Write(late)
}
