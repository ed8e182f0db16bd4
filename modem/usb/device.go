package usb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotHere is what a rung says that this box cannot do. Its text says why.
var ErrNotHere = errors.New("not possible here")

// powerOff is how long a socket stays without power: long enough for what is
// charged in a stick to run down (field-notes §1.12).
const powerOff = 10 * time.Second

// Device is the way to a stick that no longer listens: through usbfs.
type Device struct {
	stick    Stick
	sys, dev string
	open     func(path string) (node, error)
	off      time.Duration
}

// Reach returns the way to a stick, below the roots of Sweep.
func Reach(s Stick, sys, dev string) *Device {
	return &Device{stick: s, sys: cmp.Or(sys, defaultSys), dev: cmp.Or(dev, defaultDev), open: openNode, off: powerOff}
}

// Rung is one way to bring a stick back, and why this box lacks it; an empty
// Why: it has it.
type Rung struct {
	Name string
	Why  string
}

// The names of the rungs, as they are shown.
const (
	RungReset = "USB reset"
	RungPower = "USB power"
)

// Can lists both rungs. It asks the hub, and changes nothing.
func (d *Device) Can() []Rung {
	return []Rung{{RungReset, d.whyNoReset()}, {RungPower, d.whyNoPower()}}
}

func (d *Device) whyNoReset() string {
	path := nodePath(d.dev, d.stick.Bus, d.stick.Dev)
	n, err := d.open(path)
	if err != nil {
		return whyNot(path, err)
	}
	n.Close() // nothing was written
	return ""
}

func (d *Device) whyNoPower() string {
	ports, err := d.sockets()
	if err != nil {
		return strings.TrimPrefix(err.Error(), ErrNotHere.Error()+": ")
	}
	for _, p := range ports {
		p.node.Close() // nothing was written
	}
	return ""
}

// Reset resets the stick alone (USBDEVFS_RESET): it stays in its socket for
// the kernel, and gets its drivers anew, which may number its ports anew. The
// error is ErrNotHere where this box may not.
func (d *Device) Reset(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := nodePath(d.dev, d.stick.Bus, d.stick.Dev)
	n, err := d.open(path)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrNotHere, whyNot(path, err))
	}
	defer n.Close()
	if err := n.reset(); err != nil && !errors.Is(err, unix.ENODEV) { // ENODEV: it came back as a new arrival
		return fmt.Errorf("resetting the stick at USB %s: %w", d.stick.Path, err)
	}
	return nil
}

// PowerCycle takes the power from the stick's socket for ten seconds. It does
// so only where the hub says that it switches sockets one by one, so that no
// other stick is hit; elsewhere the error is ErrNotHere. The power is given
// back even if ctx ends.
func (d *Device) PowerCycle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ports, err := d.sockets()
	if err != nil {
		return err
	}
	for _, p := range ports {
		defer p.node.Close()
	}
	var failed error
	for _, p := range ports {
		failed = errors.Join(failed, p.power(false))
	}
	if failed == nil {
		timer := time.NewTimer(d.off)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	for _, p := range ports {
		failed = errors.Join(failed, p.giveBack())
	}
	if failed != nil {
		return fmt.Errorf("taking the power from USB %s: %w", d.stick.Path, failed)
	}
	return ctx.Err()
}

// socket is one port of an open hub.
type socket struct {
	node  node
	hub   string // its path, for words
	port  uint16
	super bool // the USB 3 side of the hub
}

// sockets opens the hub that the stick hangs on. A USB 3 socket is two ports
// of two hubs, and has power until both are off.
func (d *Device) sockets() (list []socket, err error) {
	hub, port, ok := parent(d.stick.Path)
	if !ok {
		return nil, fmt.Errorf("%w: nothing is known above USB %s", ErrNotHere, d.stick.Path)
	}
	type place struct {
		hub  string
		port int
	}
	places := []place{{hub, port}}
	if peer, peerPort, ok := d.peer(hub, port); ok {
		places = append(places, place{peer, peerPort})
	}
	for _, at := range places {
		s, err := d.socket(at.hub, at.port)
		if err != nil {
			for _, open := range list {
				open.node.Close() // nothing was written
			}
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// parent of 1-1.3 is port 3 of hub 1-1, of 1-1 it is port 1 of root hub usb1.
func parent(path string) (hub string, port int, ok bool) {
	i := strings.LastIndexAny(path, "-.")
	if i < 0 {
		return "", 0, false
	}
	port, err := strconv.Atoi(path[i+1:])
	if err != nil {
		return "", 0, false
	}
	if path[i] == '-' {
		return "usb" + path[:i], port, true
	}
	return path[:i], port, true
}

// peer is the other side of a USB 3 socket, as the kernel links them:
// …/1-1:1.0/1-1-port3/peer → …/2-1:1.0/2-1-port3.
func (d *Device) peer(hub string, port int) (other string, otherPort int, ok bool) {
	interfaceOf := hub + ":1.0"
	if bus, isRoot := strings.CutPrefix(hub, "usb"); isRoot {
		interfaceOf = bus + "-0:1.0"
	}
	link, err := os.Readlink(filepath.Join(devicesDir(d.sys), interfaceOf, fmt.Sprintf("%s-port%d", hub, port), "peer"))
	if err != nil {
		return "", 0, false
	}
	other, number, found := strings.Cut(filepath.Base(link), "-port")
	otherPort, err = strconv.Atoi(number)
	return other, otherPort, found && err == nil
}

// Requests to a hub (USB 2.0 §11.24.2; USB 3.2 §10.16.2).
const (
	hubIn  = 0xa0 // class request to the hub, answer to us
	portIn = 0xa3
	portTo = 0x23

	getStatus     = 0x00
	clearFeature  = 0x01
	setFeature    = 0x03
	getDescriptor = 0x06

	portPower = 8 // the feature

	hubDescriptor      = 0x29
	superHubDescriptor = 0x2a
)

// How a hub switches power: the lowest bits of wHubCharacteristics
// (USB 2.0 table 11-13).
const (
	switchMask       = 0x03
	switchIndividual = 0x01
)

// socket opens a hub and makes sure that it switches this port alone.
func (d *Device) socket(hub string, port int) (s socket, err error) {
	dir := filepath.Join(devicesDir(d.sys), hub)
	bus, e1 := strconv.Atoi(attribute(dir, "busnum"))
	number, e2 := strconv.Atoi(attribute(dir, "devnum"))
	if e1 != nil || e2 != nil {
		return s, fmt.Errorf("%w: nothing is known of the hub %s", ErrNotHere, hub)
	}
	path := nodePath(d.dev, bus, number)
	n, err := d.open(path)
	if err != nil {
		return s, fmt.Errorf("%w: %s", ErrNotHere, whyNot(path, err))
	}
	s = socket{node: n, hub: hub, port: uint16(port), super: strings.HasPrefix(attribute(dir, "version"), "3.")}
	kind := uint16(hubDescriptor)
	if s.super {
		kind = superHubDescriptor
	}
	var descriptor [12]byte // as far as every hub's goes: length, type, ports, characteristics …
	got, err := n.control(control{hubIn, getDescriptor, kind << 8, 0}, descriptor[:])
	switch {
	case err != nil:
		err = fmt.Errorf("%w: the hub %s does not describe itself: %w", ErrNotHere, hub, err)
	case got < 5:
		err = fmt.Errorf("%w: the hub %s describes itself in %d bytes only", ErrNotHere, hub, got)
	case port > int(descriptor[2]):
		err = fmt.Errorf("%w: the hub %s has only %d sockets", ErrNotHere, hub, descriptor[2])
	case descriptor[3]&switchMask != switchIndividual:
		err = fmt.Errorf("%w: the hub %s cannot switch its sockets one by one", ErrNotHere, hub)
	}
	if err != nil {
		n.Close() // nothing was written
		return socket{}, err
	}
	return s, nil
}

// giveBack switches the socket on; one try too few would leave a dead socket.
func (s socket) giveBack() (err error) {
	for range 3 {
		if err = s.power(true); err == nil {
			return nil
		}
	}
	return err
}

// power switches the socket and looks whether it did: some hubs only say so.
func (s socket) power(on bool) error {
	request, word := byte(clearFeature), "off"
	if on {
		request, word = setFeature, "on"
	}
	if _, err := s.node.control(control{portTo, request, portPower, s.port}, nil); err != nil {
		return fmt.Errorf("hub %s, socket %d, %s: %w", s.hub, s.port, word, err)
	}
	var status [4]byte
	if _, err := s.node.control(control{portIn, getStatus, 0, s.port}, status[:]); err != nil {
		return fmt.Errorf("hub %s, socket %d, its state: %w", s.hub, s.port, err)
	}
	// wPortStatus: power is bit 8, on the USB 3 side bit 9 (USB 2.0 table
	// 11-21, USB 3.2 table 10-13).
	bit := uint16(1) << 8
	if s.super {
		bit <<= 1
	}
	if is := (uint16(status[0])|uint16(status[1])<<8)&bit != 0; is != on {
		return fmt.Errorf("hub %s, socket %d: the hub did not switch it %s", s.hub, s.port, word)
	}
	return nil
}
