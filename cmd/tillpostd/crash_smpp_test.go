package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tillpost/smpp/smsc"
)

// center is a smscsim process, which outlives every daemon that binds to it.
type center struct {
	addr string
	log  string // what it read, a line of JSON for each submit_sm
}

var loopback = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)

func startCenter(t testing.TB, bin string, flags ...string) *center {
	t.Helper()
	c := newCenter(t, "127.0.0.1:0")
	c.start(t, bin, flags...)
	return c
}

// newCenter is one that is not there yet: a box may know its address already.
func newCenter(t testing.TB, addr string) *center {
	t.Helper()
	return &center{addr: addr, log: filepath.Join(t.TempDir(), "smsc.json")}
}

func (c *center) start(t testing.TB, bin string, flags ...string) {
	t.Helper()
	said := launch(t, exec.Command(filepath.Join(bin, "smscsim"), append([]string{"-listen", c.addr, "-log", c.log}, flags...)...), "\n")
	c.addr = loopback.FindString(said)
}

// table is an [[smpp]] for the boot file, with further lines.
func (c *center) table(name string, window int, more ...string) string {
	return smppTable(c.addr, name, window, more...)
}

func smppTable(addr, name string, window int, more ...string) string {
	return fmt.Sprintf("\n[[smpp]]\nname = %q\naddr = %q\nsystem_id = \"shop\"\npassword = \"pw\"\nsource = \"SHOP\"\nwindow = %d\n%s\n",
		name, addr, window, strings.Join(more, "\n"))
}

// marked has each submit carry a mark, by which its receipt settles a message
// whose answer was lost.
const marked = "message_reference = true"

// read returns the SMSC's list as it is now.
func (c *center) read(t testing.TB) []smsc.Submit {
	t.Helper()
	data, err := os.ReadFile(c.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var list []smsc.Submit
	for line := range bytes.Lines(data) {
		var s smsc.Submit
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("the SMSC's list: %v in %s", err, line)
		}
		list = append(list, s)
	}
	return list
}

// await returns once the SMSC's list has n lines. It reads each only once: the
// list is long, and the processors have other things to do.
func (c *center) await(t testing.TB, n int) {
	t.Helper()
	f, err := os.Open(c.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	have := 0
	buf := make([]byte, 1<<20)
	last, since := 0, time.Now()
	for have < n {
		got, err := f.Read(buf)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		have += bytes.Count(buf[:got], []byte{'\n'})
		if have != last {
			last, since = have, time.Now()
		}
		if time.Since(since) > patience {
			t.Fatalf("the SMSC has %d of %d messages and nothing comes", have, n)
		}
		if got == 0 {
			<-time.After(20 * time.Millisecond)
		}
	}
}

func (c *center) submits(t testing.TB) map[string]int {
	t.Helper()
	n := make(map[string]int)
	for _, s := range c.read(t) {
		if s.Accepted {
			n[s.Text]++
		}
	}
	return n
}

// 5,000 messages flow with 50 in flight; answers take 5 ms and receipts a
// third of a second, so that a kill finds submits without an answer, answers
// that are not yet written down, and receipts on their way. What was in doubt
// after a restart is settled by its receipt, also where several messages to one
// phone are: in the end only that is unknown which the SMSC never saw.
func TestCrashOverSMPP(t *testing.T) {
	t.Parallel()
	bin := build(t, "")
	c := startCenter(t, bin, "-latency", "5ms", "-receipt-after", "300ms")
	o := newOrdeal(t, newBox(t, bin, c.table("operator", 50, marked)), 5000, kills, c)
	o.long = true
	o.people = 300
	o.lives = []time.Duration{100 * time.Millisecond, 400 * time.Millisecond}
	for _, v := range o.run() {
		t.Error(v)
	}
	t.Log(o.account())

	inDoubt, byReceipt := 0, 0
	seen := o.seen()
	for _, id := range o.accepted {
		m := o.b.message(id)
		if doubts(m) == 0 {
			continue
		}
		inDoubt++
		all := true
		for _, p := range m.Parts {
			all = all && seen[p.Text] > 0
		}
		switch {
		case all && m.State != "delivered":
			t.Errorf("%s is %s (%s), and the SMSC has sent a receipt for every part", m.ID, m.State, m.Reason)
		case all && resends(m) == 0:
			byReceipt++
		}
	}
	if inDoubt == 0 || byReceipt == 0 {
		t.Errorf("%d messages were in doubt and receipts settled %d: the kills hit nothing", inDoubt, byReceipt)
	}
	for _, s := range c.read(t) {
		if s.Mark == 0 {
			t.Fatalf("submit %d has no user_message_reference", s.Number)
		}
	}
}
