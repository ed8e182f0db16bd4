package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tillpost/modem/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is modemsim, running.
type program struct {
	link, log string
}

// start runs modemsim until the test ends and returns when its n modems are there.
func start(t *testing.T, n int, args ...string) program {
	t.Helper()
	dir := t.TempDir()
	p := program{link: filepath.Join(dir, "modem"), log: filepath.Join(dir, "cell.json")}
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-link", p.link, "-log", p.log, "-n", strconv.Itoa(n)}, args...), in, &stderr)
		in.Close()
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("modemsim: %v\n%s", err, stderr.String())
		}
		if _, err := os.Lstat(p.link); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("modemsim left its link: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for range n {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), p.link) {
			t.Fatalf("modemsim says %q\n%s", lines.Text(), stderr.String())
		}
	}
	return p
}

// entries reads what the radio cell has listed so far. A line is written at
// once, so the last one is whole too.
func (p program) entries(t *testing.T, kind string) []sim.Entry {
	t.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	var list []sim.Entry
	for line := range strings.Lines(string(data)) {
		var e sim.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("the log has %q: %v", line, err)
		}
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// wait returns the entries when there are n, or ends the test.
func (p program) wait(t *testing.T, kind string, n int, patience time.Duration) []sim.Entry {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		if list := p.entries(t, kind); len(list) >= n {
			return list
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("after %v the cell has %d of %d %s entries", patience, len(p.entries(t, kind)), n, kind)
		}
	}
}

func dial(t *testing.T, link string) *os.File {
	t.Helper()
	f, err := os.OpenFile(link, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return f
}

// talk writes and reads until the answer ends as said.
func talk(t *testing.T, f *os.File, say, end string) string {
	t.Helper()
	if _, err := f.WriteString(say); err != nil {
		t.Fatal(err)
	}
	var got []byte
	b := make([]byte, 256)
	for !strings.HasSuffix(string(got), end) {
		n, err := f.Read(b)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, b[:n]...)
	}
	return string(got)
}

func TestModemsim_flags_reach_the_modem(t *testing.T) {
	p := start(t, 2, "-imei", "490154203237518", "-iccid", "89310000000000000001", "-number", "+31611111111",
		"-pin", "1234", "-vendor", "Quectel", "-model", "EC25")
	f := dial(t, p.link)
	for _, c := range []struct{ say, want string }{
		{"ATE0", "OK"},
		{"AT+CGSN", "490154203237518"},
		{"AT+QCCID", "89310000000000000001"},
		{"AT+CGMI", "Quectel"},
		{"AT+CGMM", "EC25"},
		{"AT+CPIN?", "SIM PIN"},
		{"AT+CPIN=1234", "OK"},
		{"AT+CNUM", "+31611111111"},
	} {
		if got := talk(t, f, c.say+"\r", "OK\r\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s answers %q, want %s", c.say, got, c.want)
		}
	}
	second := dial(t, p.link+"2")
	if got := talk(t, second, "ATE0+CGSN\r", "OK\r\n"); !strings.Contains(got, sim.Identity(1).IMEI) {
		t.Errorf("the second modem answers %q", got)
	}
}

func TestModemsim_magic_faults_and_log(t *testing.T) {
	script := filepath.Join(t.TempDir(), "faults")
	if err := os.WriteFile(script, []byte("# a bad day\nafter 1 csq: error cme 14\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, 1, "-magic", "-fault", script)
	f := dial(t, p.link)
	talk(t, f, "ATE0;+CMEE=1\r", "OK\r\n")
	talk(t, f, "AT+CSQ\r", "OK\r\n")
	talk(t, f, "AT+CSQ\r", "+CME ERROR: 14\r\n")
	talk(t, f, "AT+CMGS=23\r", "> ")
	talk(t, f, "0031000B911316320400F20000A70AE8329BFD4697D9EC37\x1a", "+CMS ERROR: 196\r\n")
	e := p.wait(t, "refused", 1, 5*time.Second)[0]
	if e.To != "+31612340002" || e.Cause != 196 || e.Text != "hellohello" || e.IMEI != sim.Identity(0).IMEI {
		t.Errorf("the log has %+v", e)
	}
}

func TestModemsim_refuses_wrong_use(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "faults")
	if err := os.WriteFile(bad, []byte("cmgs: explode\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-nonsense"}, "wrong use"},
		{[]string{"extra"}, "wrong use"},
		{[]string{"-n", "0"}, "wrong use"},
		{[]string{"-h"}, flag.ErrHelp.Error()},
		{[]string{"-fault", bad}, `line 1, "cmgs: explode": unknown action`},
		{[]string{"-fault", bad + "2"}, "-fault: open"},
		{[]string{"-log", "/nowhere/at/all"}, "-log: open"},
		{[]string{"-link", "/nowhere/at/all"}, "link /nowhere/at/all"},
	} {
		err := run(t.Context(), c.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.args, err, c.want)
		}
	}
}
