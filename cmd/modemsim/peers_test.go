package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Other people's software must be able to use the simulated modem unchanged:
// Debian's smsd (package smstools) and gammu-smsd send one message of one part
// and one of three. What counts is what arrived at the radio cell.

const (
	recipient = "31612345678"
	short     = "Your order 1234 is ready. Pick it up at the café before 18:00 (EUR 5, @ the counter)."
)

// long needs three parts (390 septets), and each of its words says where it belongs.
func long() string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "word%02d é{} ", i)
	}
	return strings.TrimSpace(b.String())
}

// need finds a program of a Debian package. Where tests must be complete its
// absence is a failure.
func need(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, file := range []string{name, "/usr/sbin/" + name} { // a user's PATH lacks sbin
		if path, err := exec.LookPath(file); err == nil {
			return path
		}
	}
	if os.Getenv("TILLPOST_CI") == "1" {
		t.Fatalf("%s is missing: apt-get install %s", name, pkg)
	}
	t.Skipf("%s is missing: apt-get install %s", name, pkg)
	return ""
}

// background runs a daemon until the test ends; its output is shown if the test failed.
func background(t *testing.T, path string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its modem handlers are processes too
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop := time.AfterFunc(10*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer stop.Stop()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("%s ended with %v\n%s", filepath.Base(path), err, out.String())
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func folders(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.Mkdir(filepath.Join(dir, n), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// check: the cell has the short text in one part and the long one in three,
// each once, and their reports found somebody who took them.
func check(t *testing.T, p program) {
	t.Helper()
	submits := p.wait(t, "submit", 4, time.Minute)
	if refused := p.entries(t, "refused"); len(submits) != 4 || len(refused) != 0 {
		t.Errorf("the cell took %d and refused %d: %+v", len(submits), len(refused), refused)
	}
	joined := ""
	next := 1
	for _, s := range submits {
		if strings.TrimPrefix(s.To, "+") != recipient {
			t.Errorf("a part went to %s", s.To)
		}
		switch {
		case s.Total == 0 && s.Text != short:
			t.Errorf("got  %q\nwant %q", s.Text, short)
		case s.Total == 0:
		case s.Total != 3 || s.Seq != next:
			t.Errorf("part %d of %d came where %d of 3 was expected", s.Seq, s.Total, next)
		default:
			joined += s.Text
			next++
		}
	}
	if joined != long() {
		t.Errorf("got  %q\nwant %q", joined, long())
	}
	for _, r := range p.wait(t, "report", 4, 20*time.Second) {
		if r.State != "acknowledged" {
			t.Errorf("a report was %s", r.State)
		}
	}
}

func TestPeer_smsd_sends_through_modemsim(t *testing.T) {
	smsd := need(t, "smsd", "smstools")
	p := start(t, 1)
	dir := t.TempDir()
	folders(t, dir, "outgoing", "checked", "failed", "incoming", "sent", "report")
	config := filepath.Join(dir, "smsd.conf")
	write(t, config, strings.NewReplacer("DIR", dir, "LINK", p.link).Replace(`
devices = GSM1
outgoing = DIR/outgoing
checked = DIR/checked
failed = DIR/failed
incoming = DIR/incoming
report = DIR/report
sent = DIR/sent
logfile = 1
infofile = DIR/working
pidfile = DIR/pid
loglevel = 5
delaytime = 1
autosplit = 3
receive_before_send = no
[GSM1]
device = LINK
init = AT+CNMI=2,0,0,2,1
incoming = yes
report = yes
baudrate = 115200
`))
	head := "To: " + recipient + "\nAlphabet: UTF-8\nReport: yes\n\n"
	write(t, filepath.Join(dir, "outgoing", "a"), head+short)
	write(t, filepath.Join(dir, "outgoing", "b"), head+long())
	background(t, smsd, "-c", config, "-t")
	check(t, p)
}

func TestPeer_gammu_smsd_sends_through_modemsim(t *testing.T) {
	smsd, inject := need(t, "gammu-smsd", "gammu-smsd"), need(t, "gammu-smsd-inject", "gammu-smsd")
	p := start(t, 1)
	dir := t.TempDir()
	folders(t, dir, "inbox", "outbox", "sent", "error")
	config := filepath.Join(dir, "gammu.conf")
	write(t, config, strings.NewReplacer("DIR", dir, "LINK", p.link).Replace(`
[gammu]
device = LINK
connection = at115200
gammucoding = utf8
[smsd]
service = files
inboxpath = DIR/inbox/
outboxpath = DIR/outbox/
sentsmspath = DIR/sent/
errorsmspath = DIR/error/
logfile = stdout
debuglevel = 1
commtimeout = 1
loopsleep = 1
deliveryreport = log
`))
	for _, text := range []string{short, long()} {
		cmd := exec.Command(inject, "-c", config, "TEXT", recipient, "-autolen", "400", "-text", text)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gammu-smsd-inject: %v\n%s", err, out)
		}
	}
	background(t, smsd, "-c", config)
	check(t, p)
}
