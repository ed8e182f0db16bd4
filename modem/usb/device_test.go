package usb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"tillpost/modem/usb/usbtest"
)

// bus is usbfs as a test has it: devices by node, and what was asked of them.
type bus struct {
	hubs   map[string]*hub
	denied map[string]bool
	resets map[string]error // a stick by its node, and what the kernel answers

	mu   sync.Mutex
	open int // nodes that are not closed
	log  []string
}

func (b *bus) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, what)
}

func (b *bus) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log)
}

func (b *bus) opened(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open += n
}

// hub answers class requests as USB 2.0 §11.24 has them.
type hub struct {
	bus        *bus
	ports      byte
	switching  byte // the lowest bits of wHubCharacteristics
	super      bool
	off        map[uint16]bool
	ignores    bool // it says that it switches, and does not
	deafToOn   int  // so many requests to switch on fail
	whenItWent time.Time
	whenItCame time.Time
}

func (b *bus) openNode(path string) (node, error) {
	if b.denied[path] {
		return nil, &fs.PathError{Op: "open", Path: path, Err: unix.EACCES}
	}
	if h, ok := b.hubs[path]; ok {
		b.opened(+1)
		return hubNode{h}, nil
	}
	if _, ok := b.resets[path]; ok {
		b.opened(+1)
		return stickNode{b, path}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: unix.ENOENT}
}

type stickNode struct {
	bus  *bus
	path string
}

func (s stickNode) reset() error {
	s.bus.note("reset " + filepath.Base(s.path))
	return s.bus.resets[s.path]
}
func (s stickNode) control(control, []byte) (int, error) { return 0, unix.EPIPE }
func (s stickNode) Close() error                         { s.bus.opened(-1); return nil }

type hubNode struct{ *hub }

func (h hubNode) reset() error { return errors.New("nobody resets a hub here") }
func (h hubNode) Close() error { h.bus.opened(-1); return nil }

func (h hubNode) control(c control, data []byte) (int, error) {
	switch {
	case c.requestType == hubIn && c.request == getDescriptor && c.value == map[bool]uint16{false: 0x2900, true: 0x2a00}[h.super]:
		return copy(data, []byte{9, byte(c.value >> 8), h.ports, h.switching, 0, 50, 0, 0, 0}), nil
	case c.requestType == portTo && c.value == portPower && (c.request == setFeature || c.request == clearFeature):
		on := c.request == setFeature
		if on && h.deafToOn > 0 {
			h.deafToOn--
			return 0, unix.ETIMEDOUT
		}
		h.bus.note(fmt.Sprintf("socket %d %v", c.index, map[bool]string{true: "on", false: "off"}[on]))
		if !h.ignores {
			h.off[c.index] = !on
		}
		if on {
			h.whenItCame = time.Now()
		} else {
			h.whenItWent = time.Now()
		}
		return 0, nil
	case c.requestType == portIn && c.request == getStatus && len(data) == 4:
		bit := 0
		if h.super {
			bit = 1
		}
		data[0], data[1] = 0x03, 0
		if !h.off[c.index] {
			data[1] = 1 << bit
		}
		return 4, nil
	}
	return 0, unix.EPIPE
}

// rack is a stick at 1-1.3 of a hub with four sockets.
func rack(t *testing.T, h *hub) (*bus, *Device) {
	tree := usbtest.New(t)
	tree.Hub("usb1", "2.00")
	hubBus, hubDev := tree.Hub("1-1", "2.00")
	stickBus, stickDev := tree.Plug("1-1.3", families[0].device)
	b := &bus{resets: map[string]error{nodePath(tree.Dev, stickBus, stickDev): nil}, hubs: map[string]*hub{}, denied: map[string]bool{}}
	if h != nil {
		h.bus, h.off = b, map[uint16]bool{}
		b.hubs[nodePath(tree.Dev, hubBus, hubDev)] = h
	}
	sticks, err := Sweep(tree.Sys, tree.Dev)
	if err != nil || len(sticks) != 1 {
		t.Fatalf("%v, %v", sticks, err)
	}
	d := Reach(sticks[0], tree.Sys, tree.Dev)
	d.open = b.openNode
	t.Cleanup(func() {
		if b.open != 0 {
			t.Errorf("%d nodes are left open", b.open)
		}
	})
	return b, d
}

// why is what Can says of one rung.
func why(d *Device, name string) string {
	for _, r := range d.Can() {
		if r.Name == name {
			return r.Why
		}
	}
	return "it is not listed"
}

func TestReset(t *testing.T) {
	b, d := rack(t, nil)
	node := nodePath(d.dev, d.stick.Bus, d.stick.Dev)
	if w := why(d, RungReset); w != "" {
		t.Errorf("not possible here: %s", w)
	}
	if err := d.Reset(t.Context()); err != nil || len(b.log) != 1 {
		t.Errorf("%v, %q", err, b.log)
	}
	b.resets[node] = unix.ENODEV // it came back as a new arrival
	if err := d.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	b.resets[node] = unix.EIO
	if err := d.Reset(t.Context()); !errors.Is(err, unix.EIO) || errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), "1-1.3") {
		t.Error(err)
	}
	b.denied[node] = true
	if err := d.Reset(t.Context()); !errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), "70-tillpost.rules") {
		t.Error(err)
	}
	if w := why(d, RungReset); !strings.Contains(w, "may not be written") {
		t.Errorf("why not: %q", w)
	}
}

func TestPowerCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hub{ports: 4, switching: switchIndividual, deafToOn: 1}
		b, d := rack(t, h)
		if w := why(d, RungPower); w != "" || len(b.log) != 0 {
			t.Errorf("not possible here: %s; to know that, it did %q", w, b.log)
		}
		if err := d.PowerCycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.log, ", "); got != "socket 3 off, socket 3 on" {
			t.Errorf("the hub heard %s", got)
		}
		if dark := h.whenItCame.Sub(h.whenItWent); dark != 10*time.Second {
			t.Errorf("without power for %v", dark)
		}
	})
}

// The daemon stops in the middle: the socket gets its power back at once.
func TestPowerComesBackWhenInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hub{ports: 4, switching: switchIndividual}
		b, d := rack(t, h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.PowerCycle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(b.log) != 2 || h.off[3] || h.whenItCame.Sub(h.whenItWent) != time.Second {
			t.Errorf("%q, off %v after %v", b.log, h.off, h.whenItCame.Sub(h.whenItWent))
		}
	})
}

// A USB 3 socket belongs to two hubs, and has power until both are off.
func TestPowerOfAUSB3Socket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := usbtest.New(t)
		b := &bus{hubs: map[string]*hub{}, denied: map[string]bool{}}
		two, three := &hub{bus: b, ports: 4, switching: switchIndividual, off: map[uint16]bool{}}, &hub{bus: b, ports: 4, switching: switchIndividual, super: true, off: map[uint16]bool{}}
		bus1, dev1 := tree.Hub("usb1", "2.00")
		bus2, dev2 := tree.Hub("usb2", "3.00")
		b.hubs[nodePath(tree.Dev, bus1, dev1)], b.hubs[nodePath(tree.Dev, bus2, dev2)] = two, three
		tree.Peer("usb1", 2, "usb2", 1)
		tree.Plug("1-2", families[0].device)
		sticks, err := Sweep(tree.Sys, tree.Dev)
		if err != nil || len(sticks) != 1 {
			t.Fatalf("%v, %v", sticks, err)
		}
		d := Reach(sticks[0], tree.Sys, tree.Dev)
		d.open = b.openNode
		if err := d.PowerCycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.log, ", "); got != "socket 2 off, socket 1 off, socket 2 on, socket 1 on" || b.open != 0 {
			t.Errorf("the hubs heard %s; %d open", got, b.open)
		}
	})
}

func TestPowerThatThisBoxCannotTake(t *testing.T) {
	for name, tc := range map[string]struct {
		hub  *hub
		deny bool
		want string
	}{
		"all sockets together": {hub: &hub{ports: 4, switching: 0}, want: "cannot switch its sockets one by one"},
		"no switch at all":     {hub: &hub{ports: 4, switching: 2}, want: "cannot switch its sockets one by one"},
		"another hub":          {hub: &hub{ports: 2, switching: switchIndividual}, want: "has only 2 sockets"},
		"no right":             {hub: &hub{ports: 4, switching: switchIndividual}, deny: true, want: "may not be written: the udev rule"},
		"no usbfs":             {want: "this box has no"},
	} {
		t.Run(name, func(t *testing.T) {
			b, d := rack(t, tc.hub)
			if tc.deny {
				for path := range b.hubs {
					b.denied[path] = true
				}
			}
			if w := why(d, RungPower); !strings.Contains(w, tc.want) || strings.Contains(w, ErrNotHere.Error()) {
				t.Errorf("why not: %q, want %q", w, tc.want)
			}
			if err := d.PowerCycle(t.Context()); !errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), tc.want) {
				t.Error(err)
			}
			if len(b.log) != 0 {
				t.Errorf("and yet it did %q", b.log)
			}
		})
	}
}

// A hub that only says that it switches is found out, and left on.
func TestHubThatDoesNotSwitch(t *testing.T) {
	h := &hub{ports: 4, switching: switchIndividual, ignores: true}
	_, d := rack(t, h)
	if err := d.PowerCycle(t.Context()); err == nil || errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), "did not switch it off") {
		t.Error(err)
	}
}

func TestParentOfASocket(t *testing.T) {
	for path, want := range map[string]string{"1-1.3": "1-1 3", "1-1.4.2": "1-1.4 2", "2-1": "usb2 1", "nothing": " 0", "1-x": " 0"} {
		hub, port, ok := parent(path)
		if got := fmt.Sprint(hub, " ", port); got != want || ok != (hub != "") {
			t.Errorf("%s hangs on %q, want %q", path, got, want)
		}
	}
}

// The kernel's own nodes say in words what they refuse.
func TestNodesThatCannotBeOpened(t *testing.T) {
	if _, err := openNode(filepath.Join(t.TempDir(), "none")); !strings.Contains(whyNot("/dev/bus/usb/001/002", err), "this box has no /dev/bus/usb/001/002") {
		t.Error(err)
	}
	if w := whyNot("x", os.ErrDeadlineExceeded); w != os.ErrDeadlineExceeded.Error() {
		t.Error(w)
	}
}
