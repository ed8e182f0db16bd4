package sim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// terminal is a bare terminal on a modem's line. It runs in a bubble of
// synctest, so that minutes of silence cost nothing.
type terminal struct {
	t     *testing.T
	cell  *Cell
	modem *Modem
	conn  net.Conn
	got   chan string // lines and prompts, in order
	ended chan error
}

// bench runs f with a modem under power, in virtual time.
func bench(t *testing.T, cell CellConfig, cfg Config, f func(t *testing.T, d *terminal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := NewCell(cell)
		d := plug(t, c, New(c, cfg))
		f(t, d)
		d.unplug()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func plug(t *testing.T, c *Cell, m *Modem) *terminal {
	ours, theirs := net.Pipe()
	d := &terminal{t: t, cell: c, modem: m, conn: ours, got: make(chan string, 1000), ended: make(chan error, 1)}
	go func() { d.ended <- m.Serve(t.Context(), theirs); theirs.Close() }()
	go d.read()
	synctest.Wait() // it has booted
	return d
}

func (d *terminal) unplug() error {
	d.conn.Close()
	for range d.got {
	}
	return <-d.ended
}

// read cuts what the modem says into lines; "> " is one too.
func (d *terminal) read() {
	defer close(d.got)
	r := bufio.NewReader(d.conn)
	var line strings.Builder
	for {
		b, err := r.ReadByte()
		if err != nil {
			return
		}
		if b != '\r' && b != '\n' {
			line.WriteByte(b)
			if line.String() != "> " {
				continue
			}
		}
		if line.Len() > 0 {
			d.got <- line.String()
			line.Reset()
		}
	}
}

func (d *terminal) write(s string) {
	d.t.Helper()
	d.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	if _, err := d.conn.Write([]byte(s)); err != nil {
		d.t.Fatalf("writing %q: %v", s, err)
	}
}

// said collects lines until one of ends comes, or nothing for an hour.
func (d *terminal) said(ends ...string) string {
	d.t.Helper()
	var lines []string
	for {
		select {
		case l, open := <-d.got:
			if !open {
				return strings.Join(append(lines, "CLOSED"), "|")
			}
			lines = append(lines, l)
			for _, e := range ends {
				if l == e || strings.HasSuffix(e, "*") && strings.HasPrefix(l, e[:len(e)-1]) {
					return strings.Join(lines, "|")
				}
			}
		case <-time.After(time.Hour):
			return strings.Join(append(lines, "SILENCE"), "|")
		}
	}
}

var finals = []string{"OK", "ERROR", "+CMS ERROR*", "+CME ERROR*", "0", "4"}

// at runs a command line and returns the answer, its lines joined by bars.
func (d *terminal) at(line string) string {
	d.t.Helper()
	d.write(line + "\r")
	return d.said(finals...)
}

func (d *terminal) expect(line, want string) {
	d.t.Helper()
	if got := d.at(line); got != want {
		d.t.Errorf("%s answers\n got  %s\n want %s", line, got, want)
	}
}

// ready is what every driver does first.
func (d *terminal) ready() {
	d.t.Helper()
	d.at("ATE0")
	d.expect("AT+CMEE=1;+CMGF=0;+CNMI=2,1,0,1,0", "OK")
}

// send submits a PDU and returns the answer.
func (d *terminal) send(pdu string) string {
	d.t.Helper()
	d.write(fmt.Sprintf("AT+CMGS=%d\r", len(pdu)/2-1))
	if got := d.said(append(finals, "> ")...); got != "> " {
		return got
	}
	d.write(pdu + "\x1a")
	return d.said(finals...)
}

// hello is a SUBMIT of hellohello with report, to +3161234 and four digits.
func hello(last4 string) string {
	d := last4
	return "0031000B91131632" + d[:1] + "4" + d[2:3] + d[1:2] + "F" + d[3:] + "0000A70AE8329BFD4697D9EC37"
}

func TestModem_sends_and_reports(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		pdu := hello("5678")
		if got := d.send(pdu); got != "+CMGS: 0|OK" {
			t.Fatalf("got %s", got)
		}
		if got := d.said("0006*", "0791*"); !strings.HasPrefix(got, "+CDS: 25|07911326040000F006000B911316325476F8") || !strings.HasSuffix(got, "00") {
			t.Errorf("report: %s", got)
		}
		s := d.cell.Submits()
		if len(s) != 1 || s[0].Text != "hellohello" || s[0].To != "+31612345678" || s[0].PDU != pdu {
			t.Errorf("the cell has %+v", s)
		}
	})
}

func TestServe_ends_with_its_context(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCell(CellConfig{})
		ours, theirs := net.Pipe()
		defer ours.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- New(c, Config{}).Serve(ctx, theirs) }()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		c.Close()
	})
}
