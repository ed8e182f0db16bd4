package usb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestWhatTheKernelSays(t *testing.T) {
	for message, want := range map[string]bool{
		"add@/devices/platform/soc/3f980000.usb/usb1/1-1/1-1.3|ACTION=add|DEVPATH=/devices/…|SUBSYSTEM=usb|DEVTYPE=usb_device|SEQNUM=2119|": true,
		"add@/devices/…/ttyUSB0/tty/ttyUSB0|ACTION=add|SUBSYSTEM=tty|MAJOR=188|":                                                            true,
		"bind@/devices/…/ttyUSB0|ACTION=bind|SUBSYSTEM=usb-serial|":                                                                         true,
		"remove@/devices/…/1-1.3|ACTION=remove|SUBSYSTEM=usb|":                                                                              true,
		"change@/devices/…/1-1.3|ACTION=change|SUBSYSTEM=usb|":                                                                              true,
		"add@/devices/virtual/block/loop0|ACTION=add|SUBSYSTEM=block|":                                                                      false,
		"add@/devices/…|ACTION=add|NAME=SUBSYSTEM=usb|":                                                                                     false,
		"libudev|": false, "": false, "|||": false, "add@": false,
	} {
		if got := concerns([]byte(strings.ReplaceAll(message, "|", "\x00"))); got != want {
			t.Errorf("%q concerns us: %v", message, got)
		}
	}
}

func FuzzWhatTheKernelSays(f *testing.F) {
	f.Add([]byte("add@/devices/x\x00SUBSYSTEM=usb\x00"))
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, message []byte) {
		if concerns(message) && !strings.Contains(string(message), "SUBSYSTEM=") {
			t.Errorf("%q concerns nobody", message)
		}
	})
}

// KernelEvents on this machine's kernel: it opens, and ends with its context.
// A sandbox without netlink says so.
func TestKernelEventsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- KernelEvents(ctx, func() {}) }()
	cancel()
	select {
	case err := <-ended:
		if err != nil && !strings.Contains(err.Error(), "the kernel's events: ") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
}

// oneRead hands receive a descriptor, as a socket does that has something.
type oneRead int

func (r oneRead) Read(f func(fd uintptr) bool) error {
	if !f(uintptr(r)) {
		return errors.New("it would wait")
	}
	return nil
}

// What a process sends is not the kernel's word: receive says whose it is.
func TestSenderOfAMessage(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	buf := make([]byte, 64)
	if _, _, err := receive(oneRead(pair[0]), buf); err == nil {
		t.Error("nothing was received, and there was no error")
	}
	if err := unix.Send(pair[1], []byte("add@/x"), 0); err != nil {
		t.Fatal(err)
	}
	if n, _, err := receive(oneRead(pair[0]), buf); err != nil || string(buf[:n]) != "add@/x" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// Bursts are one look: a plug makes dozens of events within half a second.
func TestBurstOfEventsIsOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Config{Sys: t.TempDir(), Dev: t.TempDir(), Open: nil})
		began := time.Now()
		go func() {
			for range 20 {
				time.Sleep(50 * time.Millisecond)
				w.changed()
			}
		}()
		w.quieten(t.Context())
		if d := time.Since(began); d < 400*time.Millisecond || d > 700*time.Millisecond {
			t.Errorf("a burst of a second was waited for %v", d)
		}
		time.Sleep(time.Second)
		w.quieten(t.Context())
		synctest.Wait()
	})
}
