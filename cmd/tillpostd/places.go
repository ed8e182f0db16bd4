package main

import (
	"fmt"
	"strings"

	"tillpost/modem"
	"tillpost/modem/usb"
)

// placeOf is how a modem of the boot file finds its place. The answers come
// from the Watcher's picture and never block.
func (m *modems) placeOf(c *Modem) func() modem.Place {
	switch {
	case c.IMEI != "":
		return func() modem.Place { return m.byIMEI(c.Name, c.IMEI) }
	case c.USB != "":
		return func() modem.Place { return m.bySocket(c.Name, c.USB) }
	}
	return func() modem.Place { return m.byPort(c.Name, c.Port) }
}

// byIMEI is wherever the modem with this IMEI is plugged in now.
func (m *modems) byIMEI(name, imei string) modem.Place {
	list := m.watcher.Sticks()
	for _, f := range list {
		if sameDevice(f.IMEI, imei) && !m.isOthersSocket(name, f.Path) {
			return m.at(name, f)
		}
	}
	missing := fmt.Sprintf("no modem with IMEI %s is plugged in", imei)
	var others []string
	for _, f := range list {
		if f.IMEI != "" {
			others = append(others, fmt.Sprintf("IMEI %s at USB %s", f.IMEI, f.Path))
		}
	}
	if len(others) > 0 {
		missing += "; there is " + strings.Join(others, ", ")
	}
	return m.nowhere(name, missing, list)
}

// bySocket is the modem that hangs in a socket, whichever it is.
func (m *modems) bySocket(name, path string) modem.Place {
	list := m.watcher.Sticks()
	for _, f := range list {
		if f.Path == path {
			return m.at(name, f)
		}
	}
	return m.nowhere(name, fmt.Sprintf("no modem is plugged in at USB %s", path), list)
}

// byPort is a port by its name. It is used as soon as it is there; while it
// is not, a useless stick may be why.
func (m *modems) byPort(name, port string) modem.Place {
	if exists(port) {
		for _, f := range m.watcher.Sticks() {
			if holds(f.Stick, port) {
				m.remember(name, f.Stick)
			}
		}
		return modem.Place{Port: port}
	}
	p := m.nowhere(name, fmt.Sprintf("port %s is not there", port), m.watcher.Sticks())
	if p.Code == "" {
		return modem.Place{Port: port} // the modem's own words for it
	}
	return p
}

// at is a stick that is the one looked for.
func (m *modems) at(name string, f usb.Found) modem.Place {
	m.remember(name, f.Stick)
	switch {
	case f.Port != "":
		return modem.Place{Port: f.Port, IMEI: f.IMEI, Wrong: func() { m.watcher.Doubt(f) }}
	case f.Code != "":
		return modem.Place{Code: f.Code, Detail: f.Detail}
	}
	return modem.Place{Coming: true, Detail: fmt.Sprintf("looking at %s", f.Stick)}
}

// nowhere explains a modem that is not found. A stick that cannot be used, in
// its socket if it had one, else anywhere, is most likely why.
func (m *modems) nowhere(name, missing string, list []usb.Found) modem.Place {
	best := usb.Found{}
	coming := false
	last := m.last(name)
	for _, f := range list {
		if f.Code != "" && (best.Code == "" || f.Path == last.stick.Path) && !m.isAnothers(name, f) {
			best = f
		}
		coming = coming || f.Mode == usb.Modem && f.Port == "" && f.Code == "" && f.IMEI == "" && m.mayAsk(f.Stick) == usb.Again
	}
	switch {
	case best.Code != "":
		return modem.Place{Code: best.Code, Detail: missing + "; " + best.Detail}
	case coming:
		return modem.Place{Coming: true, Detail: missing + "; asking what is"}
	}
	return modem.Place{Detail: missing}
}

// isAnothers: the socket of this stick was another route's, so it explains
// that one.
func (m *modems) isAnothers(name string, f usb.Found) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, s := range m.spots {
		if other != name && s.known && s.stick.Path == f.Path {
			return true
		}
	}
	return false
}

func (m *modems) remember(name string, s usb.Stick) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spots[name] = spot{s, true}
}

func (m *modems) last(name string) spot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spots[name]
}

// sameDevice compares what names a device in an IMEI: its first 14 digits. A
// check digit may follow, or the software's version (3GPP TS 23.003 §6.2).
func sameDevice(a, b string) bool {
	const device = 14
	return len(a) >= device && len(b) >= device && a[:device] == b[:device]
}
