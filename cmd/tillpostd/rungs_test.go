package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tillpost/modem/usb"
	"tillpost/modem/usb/usbtest"
)

// What this box can do for a modem is judged by where it is plugged in, and
// what it cannot do says why.
func TestRungsOfAModem(t *testing.T) {
	tree := usbtest.New(t)
	tree.Hub("usb1", "2.00")
	tree.Plug("1-1", usbtest.Device{ID: "2c7c:0125", Interfaces: []usbtest.Interface{usbtest.Serial(2, "ff/00/00", "ttyUSB2")}})
	port := filepath.Join(tree.Dev, "ttyUSB2")
	serial := filepath.Join(tree.Dev, "ttyAMA0")
	for _, path := range []string{port, serial} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "by-path")
	if err := os.Symlink(port, link); err != nil {
		t.Fatal(err)
	}
	m := &modems{cfg: &Config{world: world{sys: tree.Sys, dev: tree.Dev}}, log: slog.New(slog.DiscardHandler), spots: map[string]usb.Stick{}}

	for _, r := range m.rungs(&Modem{USB: "1-2"}) {
		if !strings.Contains(r.Why(), "this box has no "+filepath.Join(tree.Dev, "bus", "usb")) {
			t.Errorf("without usbfs %s is possible: %q", r.Name, r.Why())
		}
	}
	if err := os.MkdirAll(filepath.Join(tree.Dev, "bus", "usb"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		modem Modem
		why   string // of the reset; empty: it is tried
		do    error  // what trying says
	}{
		"by its port":         {Modem{Port: port}, "this box has no", usb.ErrNotHere},
		"by a link to it":     {Modem{Port: link}, "this box has no", usb.ErrNotHere},
		"by its socket":       {Modem{USB: "1-1"}, "this box has no", usb.ErrNotHere},
		"on a serial port":    {Modem{Port: serial}, "is not on the USB", usb.ErrNotHere},
		"not there yet":       {Modem{USB: "1-2"}, "", usb.ErrNotHere},
		"seen nowhere so far": {Modem{IMEI: "490154203237518"}, "", usb.ErrNotHere},
	} {
		t.Run(name, func(t *testing.T) {
			rungs := m.rungs(&tc.modem)
			if len(rungs) != 2 || rungs[0].Name != usb.RungReset || rungs[1].Name != usb.RungPower {
				t.Fatalf("the ladder gets %+v", rungs)
			}
			for _, r := range rungs {
				if (tc.why == "") != (r.Why() == "") || !strings.Contains(r.Why(), tc.why) {
					t.Errorf("%s: %q, want %q", r.Name, r.Why(), tc.why)
				}
				if err := r.Do(t.Context()); !errors.Is(err, tc.do) {
					t.Errorf("%s: %v", r.Name, err)
				}
			}
		})
	}

	t.Run("with a node of usbfs", func(t *testing.T) {
		node := filepath.Join(tree.Dev, "bus", "usb", "001", "002")
		if err := os.MkdirAll(filepath.Dir(node), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(node, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		reset := m.rungs(&Modem{Port: link})[0]
		if reset.Why() != "" {
			t.Errorf("not possible here: %s", reset.Why())
		}
		// The kernel says that a file is no USB device: so it was asked.
		if err := reset.Do(t.Context()); !errors.Is(err, unix.ENOTTY) {
			t.Error(err)
		}
		// A modem whose port has gone is still in the socket where it was.
		m.remember("counter", usb.Stick{Path: "1-1", Vendor: "2c7c", Product: "0125"})
		if err := m.rungs(&Modem{Name: "counter", Port: filepath.Join(tree.Dev, "ttyUSB7")})[0].Do(t.Context()); !errors.Is(err, unix.ENOTTY) {
			t.Error(err)
		}
	})
	// The ladder asks again: a modem that moved is judged by where it is now.
	t.Run("moved to another hub", func(t *testing.T) {
		reset := m.rungs(&Modem{Name: "moves", Port: port})[0]
		if why := reset.Why(); why != "" {
			t.Fatalf("where it was: %s", why)
		}
		tree.Unplug("1-1")
		tree.Hub("usb2", "2.00")
		tree.Plug("2-1", usbtest.Device{ID: "2c7c:0125", Interfaces: []usbtest.Interface{usbtest.Serial(2, "ff/00/00", "ttyUSB2")}})
		if why := reset.Why(); !strings.Contains(why, "this box has no") {
			t.Errorf("where it is now, without a node of usbfs: %q", why)
		}
	})
}
