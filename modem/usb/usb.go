// Package usb finds GSM modems among what is plugged in, and reaches those
// that no longer listen through the USB itself.
//
// What it promises:
//
//   - a modem is what it says it is (IMEI) and where it is plugged in, never
//     the number that the kernel gave its port today;
//   - the port for AT commands is chosen by the stick's interfaces and
//     usb_modems.csv; a port that is diagnostics, GPS or another program's is
//     never written to;
//   - a stick that is no modem yet (a disk), or never will be (a router), is
//     recognised and explained instead of ignored;
//   - a reset hits one stick, and the power is cut only at a socket that its
//     hub can switch alone.
//
// Sweep reads the sticks there are from sysfs; Watcher keeps that current by
// the kernel's events and asks each stick who it is; Device is the way to a
// stick through usbfs. Nothing needs root, and sysfs is only read.
//
// The package imports golang.org/x/sys and no package of ours.
package usb

import (
	"fmt"
	"slices"
)

// Stick is a USB device that is a modem, was one, or may become one.
type Stick struct {
	Path    string // the socket it is plugged into, as in /sys/bus/usb/devices: 1-1.3
	Bus     int
	Dev     int    // counts up with every plugging in, so it tells an arrival from the next
	Vendor  string // four hex digits, as Product
	Product string
	Name    string // what a person would call it
	Note    string // of the table, for the technician
	Mode    Mode
	Online  bool   // one of its network interfaces is up: the box may reach the Internet by it
	Ports   []Port // serial ports, by interface
}

// ID is vendor and product as lsusb writes them.
func (s Stick) ID() string { return s.Vendor + ":" + s.Product }

func (s Stick) String() string { return fmt.Sprintf("%s (%s) at USB %s", s.Name, s.ID(), s.Path) }

// arrival names one plugging in of a stick; a replug has another one, a reset
// has not.
type arrival struct {
	path     string
	bus, dev int
	id       string
}

func (s Stick) arrival() arrival { return arrival{s.Path, s.Bus, s.Dev, s.ID()} }

// Mode is what a stick shows itself as.
type Mode string

const (
	Modem    Mode = "modem"    // it has ports to talk to
	Adapter  Mode = "adapter"  // a serial adapter: a modem may hang behind it, or a printer
	Disk     Mode = "disk"     // not switched yet: the disk with its Windows software
	Router   Mode = "router"   // a network card with a web page (HiLink and the like)
	Closed   Mode = "closed"   // a modem for data, in a composition without a port for AT commands
	NoDriver Mode = "nodriver" // it has the ports, the kernel made no tty of them
)

// Port is one serial port of a stick.
type Port struct {
	Device    string // /dev/ttyUSB2
	Interface int    // bInterfaceNumber
	Use       Use
	rank      int // order of trying, 1 first; 0: never
}

// Use is what a port is for.
type Use string

const (
	Commands Use = "commands" // AT, by table or protocol
	Perhaps  Use = "perhaps"  // may take AT: it is asked
	Silent   Use = "silent"   // diagnostics, GPS or audio: never opened
)

// Candidates are the ports that may be asked for a modem, best first.
func (s Stick) Candidates() []Port {
	list := make([]Port, 0, len(s.Ports))
	for rank := 1; rank <= len(s.Ports); rank++ {
		for _, p := range s.Ports {
			if p.rank == rank {
				list = append(list, p)
			}
		}
	}
	return list
}

// Has tells whether a device node is one of the stick's ports.
func (s Stick) Has(node string) bool {
	return slices.ContainsFunc(s.Ports, func(p Port) bool { return p.Device == node })
}
