// Package usbtest builds what sysfs shows of USB, in a folder of a test: hubs,
// sticks with their interfaces and ports, plugged in and pulled out.
//
// It promises the shape that the kernel gives these folders, as far as package
// usb reads them. It imports the standard library only.
package usbtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Tree is the USB of one box.
type Tree struct {
	Sys string // stands for /sys
	Dev string // stands for /dev

	t    testing.TB
	mu   sync.Mutex
	next map[int]int // the next device number of a bus
}

// New returns a box without anything plugged in.
func New(t testing.TB) *Tree {
	t.Helper()
	root := t.TempDir()
	tr := &Tree{Sys: filepath.Join(root, "sys"), Dev: filepath.Join(root, "dev"), t: t, next: map[int]int{}}
	for _, dir := range []string{tr.devices(), tr.Dev} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// Device is what a stick says of itself.
type Device struct {
	ID         string // vid:pid
	Maker      string
	Model      string
	Class      string // bDeviceClass; default 00
	Version    string // of USB; default 2.00
	Interfaces []Interface
}

// Interface is one of a device.
type Interface struct {
	Number    int
	Class     string // class/subclass/protocol, such as ff/02/12
	Driver    string
	TTY       string // ttyUSB2; empty: none
	Interrupt bool   // it has an interrupt endpoint
	Net       string // wwan0; empty: no network interface
	Up        bool   // … and it is up
}

// Serial is an interface with a port, as most sticks have them.
func Serial(number int, class, tty string) Interface {
	return Interface{Number: number, Class: class, Driver: "option", TTY: tty}
}

func (tr *Tree) devices() string { return filepath.Join(tr.Sys, "bus", "usb", "devices") }

// Plug puts a device into a socket and returns its bus and device number.
func (tr *Tree) Plug(path string, d Device) (bus, dev int) {
	tr.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if _, err := fmt.Sscanf(strings.TrimPrefix(path, "usb"), "%d", &bus); err != nil {
		tr.t.Fatalf("%q is no socket", path)
	}
	tr.next[bus]++
	dev = tr.next[bus]
	vendor, product, _ := strings.Cut(d.ID, ":")
	// The interfaces first: the device itself makes the stick visible.
	for _, i := range d.Interfaces {
		tr.plugInterface(fmt.Sprintf("%s:1.%d", path, i.Number), i)
	}
	tr.write(path, map[string]string{
		"idVendor": vendor, "idProduct": product, "manufacturer": d.Maker, "product": d.Model,
		"busnum": fmt.Sprint(bus), "bDeviceClass": or(d.Class, "00"), "version": or(d.Version, "2.00"),
		"devnum": fmt.Sprint(dev), // the last: without it the device is not there
	})
	return bus, dev
}

func (tr *Tree) plugInterface(name string, i Interface) {
	class := strings.Split(i.Class, "/")
	files := map[string]string{
		"bInterfaceNumber": fmt.Sprintf("%02x", i.Number),
		"bInterfaceClass":  class[0], "bInterfaceSubClass": class[1], "bInterfaceProtocol": class[2],
	}
	if i.Interrupt {
		files["ep_81/type"] = "Interrupt"
	}
	files["ep_02/type"] = "Bulk"
	if i.Net != "" {
		flags := "0x1090"
		if i.Up {
			flags = "0x1091"
		}
		files[filepath.Join("net", i.Net, "flags")] = flags
	}
	switch {
	case strings.HasPrefix(i.TTY, "ttyUSB"):
		files[filepath.Join(i.TTY, "tty", i.TTY, "dev")] = "188:0"
	case i.TTY != "":
		files[filepath.Join("tty", i.TTY, "dev")] = "166:0"
	}
	tr.write(name, files)
	if i.Driver != "" {
		if err := os.Symlink("../../../../bus/usb/drivers/"+i.Driver, filepath.Join(tr.devices(), name, "driver")); err != nil {
			tr.t.Fatal(err)
		}
	}
}

// Hub puts a hub into a socket, "usb1" being the first root hub.
func (tr *Tree) Hub(path, version string) (bus, dev int) {
	tr.t.Helper()
	return tr.Plug(path, Device{ID: "1d6b:0002", Class: "09", Version: version})
}

// Peer links the two sides of a USB 3 socket: port of one hub and of the other.
func (tr *Tree) Peer(hub string, port int, other string, otherPort int) {
	tr.t.Helper()
	at := func(hub string, port int) string {
		interfaceOf := hub + ":1.0"
		if bus, root := strings.CutPrefix(hub, "usb"); root {
			interfaceOf = bus + "-0:1.0"
		}
		return filepath.Join(interfaceOf, fmt.Sprintf("%s-port%d", hub, port))
	}
	dir := filepath.Join(tr.devices(), at(hub, port))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.Symlink("../../"+at(other, otherPort), filepath.Join(dir, "peer")); err != nil {
		tr.t.Fatal(err)
	}
}

// Unplug pulls out what is in a socket.
func (tr *Tree) Unplug(path string) {
	tr.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	// The device first: from then on it is gone, whatever is left of it.
	if err := os.RemoveAll(filepath.Join(tr.devices(), path)); err != nil {
		tr.t.Fatal(err)
	}
	interfaces, err := filepath.Glob(filepath.Join(tr.devices(), path+":*"))
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, dir := range interfaces {
		if err := os.RemoveAll(dir); err != nil {
			tr.t.Fatal(err)
		}
	}
}

func (tr *Tree) write(name string, files map[string]string) {
	for file, text := range files {
		path := filepath.Join(tr.devices(), name, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tr.t.Fatal(err)
		}
		if file == "devnum" {
			continue
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			tr.t.Fatal(err)
		}
	}
	if text, ok := files["devnum"]; ok {
		if err := os.WriteFile(filepath.Join(tr.devices(), name, "devnum"), []byte(text+"\n"), 0o644); err != nil {
			tr.t.Fatal(err)
		}
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
