package sim

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience ends a test that waits for something which does not come.
const patience = 20 * time.Second

// within is a context for one test with real descriptors.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("it did not come"))
	t.Cleanup(cancel)
	return ctx
}

// onPTY serves m behind a link until the test ends, and returns the devices
// under which it appears.
func onPTY(t *testing.T, m *Modem, link string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	devices := make(chan string, 10)
	ended := make(chan error, 1)
	go func() { ended <- m.ServePTY(ctx, link, func(device string) { devices <- device }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ServePTY answers %v", err)
		}
		if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the link is still there: %v", err)
		}
	})
	return devices
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetDeadline(time.Now().Add(patience)); err != nil {
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
	for !strings.HasSuffix(string(got), end) {
		b := make([]byte, 100)
		n, err := f.Read(b)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, b[:n]...)
	}
	return string(got)
}

func TestPTY_survives_whoever_opens_and_closes_it(t *testing.T) {
	link := filepath.Join(t.TempDir(), "modem")
	cell := NewCell(CellConfig{})
	defer cell.Close()
	<-onPTY(t, New(cell, Config{}), link)
	for range 20 {
		f := open(t, link)
		talk(t, f, "AT+CSQ\r", "OK\r\n")
		f.Close()
	}
	f := open(t, link)
	talk(t, f, "ATE0\r", "OK\r\n")
	talk(t, f, "AT+CMGS=23\r", "\r\n> ")
	f.Close() // as after kill -9, in the middle of a prompt

	f = open(t, link)
	defer f.Close()
	// A real modem has not noticed: the next words are text, and ESC is the way out.
	if got := talk(t, f, "AT\r\x1b\r", "OK\r\n"); got != "\r\nOK\r\n" {
		t.Errorf("got %q", got)
	}
	talk(t, f, "AT\r", "OK\r\n")
	if n := len(cell.Entries()); n != 0 {
		t.Errorf("the cell has %d entries", n)
	}
}

func TestPTY_ends_although_somebody_has_it_open(t *testing.T) {
	link := filepath.Join(t.TempDir(), "modem")
	cell := NewCell(CellConfig{})
	defer cell.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- New(cell, Config{}).ServePTY(ctx, link, func(device string) { ready <- device })
	}()
	<-ready
	f := open(t, link)
	defer f.Close()
	talk(t, f, "AT\r", "OK\r\n")
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-within(t).Done():
		t.Fatal("it does not end")
	}
	if _, err := f.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("whoever reads gets %v", err)
	}
}

func TestPTY_carries_every_byte_as_it_is(t *testing.T) {
	link := filepath.Join(t.TempDir(), "modem")
	cell := NewCell(CellConfig{})
	defer cell.Close()
	<-onPTY(t, New(cell, Config{}), link)
	f := open(t, link)
	defer f.Close()
	// With echo on, what the modem says is what arrived: no byte was
	// swallowed, changed or doubled by the terminal in between.
	var all []byte
	for b := 1; b < 256; b++ {
		if !strings.ContainsRune("\r\n\b\x1a\x1b", rune(b)) {
			all = append(all, byte(b))
		}
	}
	if got := talk(t, f, string(all)+"AT\r", "OK\r\n"); got != string(all)+"AT\r\r\nOK\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestPTY_unplugged_comes_back_as_another_device(t *testing.T) {
	link := filepath.Join(t.TempDir(), "modem")
	cell := NewCell(CellConfig{})
	defer cell.Close()
	m := New(cell, Config{})
	devices := onPTY(t, m, link)
	first := <-devices
	f := open(t, link)
	talk(t, f, "AT\r", "OK\r\n")
	play(t, m, "unplug for 20ms")
	if _, err := io.ReadAll(f); errors.Is(err, os.ErrDeadlineExceeded) { // the end, or EIO
		t.Error("whoever reads does not notice")
	}
	f.Close()
	select {
	case <-devices:
	case <-within(t).Done():
		t.Fatal("it did not come back")
	}
	f = open(t, link)
	defer f.Close()
	talk(t, f, "AT\r", "OK\r\n")
	if target, err := os.Readlink(link); err != nil || !strings.HasPrefix(target, "/dev/pts/") {
		t.Errorf("the link was %s and leads to %s (%v)", first, target, err)
	}
}

func TestPTY_replaces_a_link_and_nothing_else(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "modem")
	if err := os.Symlink("/nowhere", link); err != nil {
		t.Fatal(err)
	}
	master, slave, err := OpenPTY(link)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if target, err := os.Readlink(link); err != nil || target != slave {
		t.Errorf("the link leads to %s (%v), want %s", target, err, slave)
	}
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenPTY(file); err == nil || !strings.Contains(err.Error(), "not a symbolic link") {
		t.Errorf("got %v", err)
	}
}

func TestModem_that_nobody_reads_does_not_stop(t *testing.T) {
	link := filepath.Join(t.TempDir(), "modem")
	cell := NewCell(CellConfig{})
	defer cell.Close()
	m := New(cell, Config{})
	<-onPTY(t, m, link)
	f := open(t, link)
	talk(t, f, "ATE0\r", "OK\r\n")
	for range 5000 { // far more than a terminal holds
		play(t, m, "urc ^RSSI:20")
	}
	done := make(chan string, 1)
	go func() { done <- talkUntil(f, "AT+CGSN\r", "352099000000014") }()
	select {
	case got := <-done:
		if got != "" {
			t.Error(got)
		}
	case <-within(t).Done():
		t.Error("the modem is stuck")
	}
	f.Close()
}

// talkUntil asks again and again until the answer is among what is said; it
// returns what went wrong.
func talkUntil(f *os.File, say, want string) string {
	var got []byte
	for range 100 {
		if _, err := f.WriteString(say); err != nil {
			return err.Error()
		}
		b := make([]byte, 64*1024)
		n, err := f.Read(b)
		if err != nil {
			return err.Error()
		}
		got = append(got, b[:n]...)
		if strings.Contains(string(got), want) {
			return ""
		}
	}
	return "no answer among what it says"
}
