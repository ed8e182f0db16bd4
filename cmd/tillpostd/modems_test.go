package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillpost/modem/usb"
	"tillpost/modem/usb/usbtest"
)

// Whom the daemon may ask who they are, and whom it may reset. What the boot
// file does not mean may be a printer, or the box's way to the Internet.
func TestWhoIsAskedAndReset(t *testing.T) {
	tree := usbtest.New(t)
	port := filepath.Join(tree.Dev, "ttyUSB2")
	if err := os.WriteFile(port, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "by-path")
	if err := os.Symlink(port, link); err != nil {
		t.Fatal(err)
	}
	tree.Plug("1-1.1", usbtest.Device{ID: "2c7c:0125", Interfaces: []usbtest.Interface{usbtest.Serial(2, "ff/00/00", "ttyUSB2")}})
	tree.Plug("1-1.2", usbtest.Device{ID: "0403:6001", Interfaces: []usbtest.Interface{{Class: "ff/ff/ff", Driver: "ftdi_sio", TTY: "ttyUSB3"}}})
	sticks, err := usb.Sweep(tree.Sys, tree.Dev)
	if err != nil || len(sticks) != 2 {
		t.Fatalf("%v, %v", sticks, err)
	}
	const imei = "490154203237518"
	for name, tc := range map[string]struct {
		modems         []Modem
		modem, adapter usb.Asking
		reset          [2]bool // the modem, the adapter
	}{
		"nobody is named: all, but a printer only once":    {nil, usb.Again, usb.Once, [2]bool{true, true}},
		"by its port: somebody talks to it":                {[]Modem{{Port: port}}, usb.Never, usb.Never, [2]bool{}},
		"by a link to its port":                            {[]Modem{{Port: link}}, usb.Never, usb.Never, [2]bool{}},
		"a port, and an IMEI that is looked for":           {[]Modem{{Port: link}, {IMEI: imei}}, usb.Never, usb.Never, [2]bool{}},
		"another port, and an IMEI":                        {[]Modem{{Port: "/dev/ttyS9"}, {IMEI: imei}}, usb.Again, usb.Never, [2]bool{}},
		"by IMEI: modems, not printers; resets come later": {[]Modem{{IMEI: imei}}, usb.Again, usb.Never, [2]bool{}},
		"by the modem's socket":                            {[]Modem{{USB: "1-1.1"}}, usb.Again, usb.Never, [2]bool{true, false}},
		"by the adapter's socket":                          {[]Modem{{USB: "1-1.2"}}, usb.Never, usb.Again, [2]bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &modems{cfg: &Config{Modems: tc.modems}, spots: map[string]usb.Stick{}, watcher: usb.New(usb.Config{})}
			if a, b := m.mayAsk(sticks[0]), m.mayAsk(sticks[1]); a != tc.modem || b != tc.adapter {
				t.Errorf("asked: the modem %d, the adapter %d; want %d and %d", a, b, tc.modem, tc.adapter)
			}
			if a, b := m.mayReset(sticks[0]), m.mayReset(sticks[1]); [2]bool{a, b} != tc.reset {
				t.Errorf("reset: the modem %v, the adapter %v; want %v", a, b, tc.reset)
			}
		})
	}
	t.Run("by IMEI, once it was seen there", func(t *testing.T) {
		m := &modems{cfg: &Config{Modems: []Modem{{Name: "counter", IMEI: imei}}}, spots: map[string]usb.Stick{}, watcher: usb.New(usb.Config{})}
		m.remember("counter", sticks[0])
		if !m.mayReset(sticks[0]) || m.mayReset(sticks[1]) {
			t.Error("the stick in which the modem was is not reset, or another one is")
		}
	})
}

// udev gives the rights to a port a moment after the port is there.
func TestPortThatIsBeingMade(t *testing.T) {
	for name, tc := range map[string]struct {
		denied error
		age    time.Duration
		want   bool
	}{
		"may be used":          {nil, 0, false},
		"not yet":              {unix.EACCES, time.Second, true},
		"for good":             {unix.EACCES, time.Minute, false},
		"is something else":    {unix.ENOENT, time.Second, false},
		"and the clock jumped": {unix.EACCES, 20 * 365 * 24 * time.Hour, false},
	} {
		if got := isBeingMade(tc.denied, time.Now().Add(-tc.age)); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// shelf is a memory that can be full.
type shelf struct {
	kept map[string][]byte
	full bool
}

var errFull = errors.New("the shelf is full")

func (s *shelf) Load(key string) ([]byte, error) { return s.kept[key], nil }

func (s *shelf) Save(_ context.Context, key string, v []byte) error {
	if s.full {
		return errFull
	}
	s.kept[key] = v
	return nil
}

func TestNamesOfFoundModems(t *testing.T) {
	memory := &shelf{kept: map[string][]byte{}}
	n, err := loadNames(memory)
	if err != nil {
		t.Fatal(err)
	}
	nobody := func(string) bool { return false }
	provider := func(name string) bool { return name == "modem-2" }
	if got := n.free(nobody); got != "modem-1" {
		t.Errorf("the first is %s", got)
	}
	if err := n.keep(t.Context(), memory, "imei:1", "modem-1"); err != nil {
		t.Fatal(err)
	}
	if got := n.free(provider); got != "modem-3" { // that one is a provider's
		t.Errorf("the second is %s", got)
	}
	memory.full = true
	if err := n.keep(t.Context(), memory, "imei:2", "modem-3"); !errors.Is(err, errFull) || n["imei:2"] != "" {
		t.Errorf("a name that could not be kept is used: %v, %v", err, n)
	}
	memory.full = false
	if err := n.keep(t.Context(), memory, "imei:2", "modem-3"); err != nil {
		t.Fatal(err)
	}
	again, err := loadNames(memory)
	if err != nil || again["imei:1"] != "modem-1" || again.free(nobody) != "modem-2" {
		t.Errorf("after a restart: %v, %v", again, err)
	}
	memory.kept[namesKey] = []byte("not json")
	if _, err := loadNames(memory); err == nil {
		t.Error("what cannot be read was taken for no names")
	}
}

// What an earlier version kept for each modem on its own is still known: a
// refused PIN above all.
func TestMemoryOfAllModems(t *testing.T) {
	own, shared := &shelf{kept: map[string][]byte{"pin:8931": []byte("refused")}}, &shelf{kept: map[string][]byte{}}
	r := recall{shared: shared, own: own}
	if v, err := r.Load("pin:8931"); err != nil || string(v) != "refused" {
		t.Errorf("%q, %v", v, err)
	}
	if err := r.Save(t.Context(), "pin:8931", []byte("accepted")); err != nil {
		t.Fatal(err)
	}
	other := recall{shared: shared, own: &shelf{kept: map[string][]byte{}}}
	if v, err := other.Load("pin:8931"); err != nil || string(v) != "accepted" || string(own.kept["pin:8931"]) != "refused" {
		t.Errorf("%q, %v", v, err)
	}
}
