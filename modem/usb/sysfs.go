package usb

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The roots of what Sweep reads, where it is not told others.
const (
	defaultSys = "/sys"
	defaultDev = "/dev"
)

// Sweep lists the sticks that are plugged in, by socket. sys is the root of
// sysfs and dev that of the device nodes; empty: /sys and /dev. A box without
// USB has none. What vanishes in the middle of the look is left out.
func Sweep(sys, dev string) ([]Stick, error) {
	sys, dev = cmp.Or(sys, defaultSys), cmp.Or(dev, defaultDev)
	devices, err := readDevices(sys)
	if err != nil {
		return nil, err
	}
	var sticks []Stick
	for _, d := range devices {
		if s, ok := judge(d, dev); ok {
			sticks = append(sticks, s)
		}
	}
	return sticks, nil
}

// device is what sysfs says of one USB device.
type device struct {
	path            string
	bus, dev        int
	vendor, product string
	maker, model    string // its own strings
	class           byte
	interfaces      []iface
}

// iface is one interface of a device in its present configuration.
type iface struct {
	number            int
	class, sub, proto byte
	driver            string
	tty               string // ttyUSB2; empty: the kernel made none
	interrupt         bool   // it has an interrupt endpoint
	up                bool   // it has a network interface, which is up
}

const hubClass = 0x09

// devicesDir is where sysfs lists devices and interfaces alike.
func devicesDir(sys string) string { return filepath.Join(sys, "bus", "usb", "devices") }

func readDevices(sys string) ([]device, error) {
	entries, err := os.ReadDir(devicesDir(sys))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for USB devices: %w", err)
	}
	interfaces := make(map[string][]string) // of a device's path
	var paths []string
	for _, e := range entries {
		// usb1 is a root hub, 1-1.3 a device, 1-1.3:1.0 an interface of it.
		switch path, _, isInterface := strings.Cut(e.Name(), ":"); {
		case isInterface:
			interfaces[path] = append(interfaces[path], e.Name())
		case !strings.HasPrefix(e.Name(), "usb"):
			paths = append(paths, path)
		}
	}
	slices.SortFunc(paths, bySocket)
	var list []device
	for _, path := range paths {
		d, ok := readDevice(sys, path)
		if !ok || d.class == hubClass {
			continue
		}
		for _, name := range interfaces[path] {
			if i, ok := readInterface(filepath.Join(devicesDir(sys), name)); ok {
				d.interfaces = append(d.interfaces, i)
			}
		}
		slices.SortFunc(d.interfaces, func(a, b iface) int { return a.number - b.number })
		list = append(list, d)
	}
	return list, nil
}

// bySocket orders paths as a person counts sockets: 1-1.2 before 1-1.10.
func bySocket(a, b string) int {
	split := func(r rune) bool { return r == '-' || r == '.' }
	return slices.CompareFunc(strings.FieldsFunc(a, split), strings.FieldsFunc(b, split), func(a, b string) int {
		return cmp.Or(len(a)-len(b), strings.Compare(a, b))
	})
}

func readDevice(sys, path string) (d device, ok bool) {
	dir := filepath.Join(devicesDir(sys), path)
	d = device{
		path:   path,
		vendor: attribute(dir, "idVendor"), product: attribute(dir, "idProduct"),
		maker: attribute(dir, "manufacturer"), model: attribute(dir, "product"),
		class: hexByte(attribute(dir, "bDeviceClass")),
	}
	var e1, e2 error
	d.bus, e1 = strconv.Atoi(attribute(dir, "busnum"))
	d.dev, e2 = strconv.Atoi(attribute(dir, "devnum"))
	return d, d.vendor != "" && d.product != "" && e1 == nil && e2 == nil
}

func readInterface(dir string) (i iface, ok bool) {
	n, err := strconv.ParseUint(attribute(dir, "bInterfaceNumber"), 16, 8)
	if err != nil {
		return i, false
	}
	i = iface{
		number: int(n),
		class:  hexByte(attribute(dir, "bInterfaceClass")),
		sub:    hexByte(attribute(dir, "bInterfaceSubClass")),
		proto:  hexByte(attribute(dir, "bInterfaceProtocol")),
	}
	if link, err := os.Readlink(filepath.Join(dir, "driver")); err == nil {
		i.driver = filepath.Base(link)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return i, false
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasPrefix(name, "ttyUSB"): // usb-serial: 1-1:1.0/ttyUSB0/tty/ttyUSB0
			i.tty = name
		case name == "tty": // cdc-acm: 1-1:1.0/tty/ttyACM0
			if ttys, err := os.ReadDir(filepath.Join(dir, "tty")); err == nil && len(ttys) > 0 {
				i.tty = ttys[0].Name()
			}
		case name == "net":
			i.up = anyUp(filepath.Join(dir, "net"))
		case strings.HasPrefix(name, "ep_"):
			i.interrupt = i.interrupt || attribute(filepath.Join(dir, name), "type") == "Interrupt"
		}
	}
	return i, true
}

// anyUp tells whether a network interface is up (IFF_UP, the lowest bit of its
// flags): what carries nothing is left down.
func anyUp(dir string) bool {
	names, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, n := range names {
		flags, err := strconv.ParseUint(attribute(filepath.Join(dir, n.Name()), "flags"), 0, 32)
		if err == nil && flags&1 != 0 {
			return true
		}
	}
	return false
}

// attribute is one file of sysfs, or of /proc, as far as one page goes; ""
// where there is none, for a stick may be pulled out while it is read. Without
// package os, which would try to wait for each file: a look is 200 of them.
func attribute(dir, name string) string {
	fd, err := unix.Open(filepath.Join(dir, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	var page [4096]byte
	n, err := unix.Read(fd, page[:])
	unix.Close(fd) // it was only read
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(page[:n]))
}

// hexByte reads two hex digits; 0 for what is none.
func hexByte(s string) byte {
	n, err := strconv.ParseUint(s, 16, 8)
	if err != nil {
		return 0
	}
	return byte(n)
}
