package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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
		if modem.SameIMEI(f.IMEI, imei) && !m.isOthersSocket(name, f.Path) {
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
	return m.nowhere(name, missing, list, !m.everyone()) // else such a stick has a row of its own
}

// bySocket is the modem that hangs in a socket, whichever it is.
func (m *modems) bySocket(name, path string) modem.Place {
	list := m.watcher.Sticks()
	for _, f := range list {
		if f.Path == path {
			return m.at(name, f)
		}
	}
	return m.nowhere(name, fmt.Sprintf("no modem is plugged in at USB %s", path), list, false)
}

// rightsDelay is how long udev may take to give a new port to its group: until
// then it is there and may not be opened, which is no news (appliance practice).
const rightsDelay = 5 * time.Second

// isBeingMade tells whether a port that may not be opened is so new that its
// rights are still to come.
func isBeingMade(denied error, made time.Time) bool {
	return errors.Is(denied, fs.ErrPermission) && time.Since(made) < rightsDelay
}

// byPort is a port by its name. It is used as soon as it is there; while it
// is not, a useless stick may be why.
func (m *modems) byPort(name, port string) modem.Place {
	if info, err := os.Stat(port); err == nil {
		if isBeingMade(unix.Access(port, unix.R_OK|unix.W_OK), info.ModTime()) {
			return modem.Place{Coming: true, Detail: "waiting for the right to use " + port}
		}
		for _, f := range m.watcher.Sticks() {
			if holds(f.Stick, port) {
				m.remember(name, f.Stick)
			}
		}
		return modem.Place{Port: port}
	}
	p := m.nowhere(name, fmt.Sprintf("port %s is not there", port), m.watcher.Sticks(), true)
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

// nowhere explains a modem that is not found. A stick that cannot be used is
// most likely why: one in the socket where it was last or, if it may be
// anywhere, in any that is not another's.
func (m *modems) nowhere(name, missing string, list []usb.Found, anywhere bool) modem.Place {
	var why usb.Found
	coming := false
	last, known := m.last(name)
	for _, f := range list {
		here := known && f.Path == last.Path
		switch {
		case f.Code != "" && (here || anywhere && why.Code == "" && !m.isAnothers(name, f)):
			why = f
		case f.Mode == usb.Modem && f.Code == "" && f.Port == "" && f.IMEI == "" && m.mayAsk(f.Stick) == usb.Again:
			coming = true
		}
	}
	switch {
	case why.Code != "":
		return modem.Place{Code: why.Code, Detail: missing + "; " + why.Detail}
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
		if other != name && s.Path == f.Path {
			return true
		}
	}
	return false
}

func (m *modems) remember(name string, s usb.Stick) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spots[name] = s
}

// last is the stick of a route's modem, as it was seen last.
func (m *modems) last(name string) (s usb.Stick, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, known = m.spots[name]
	return s, known
}
