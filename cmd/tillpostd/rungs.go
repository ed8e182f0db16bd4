package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"tillpost/modem"
	"tillpost/modem/usb"
)

// rungs are what this box can do for a modem that does not come back by
// commands. What it lacks is judged by how the modem is plugged in whenever it
// is asked; where it is not there, that is seen when the rung is tried.
func (m *modems) rungs(c *Modem) []modem.Rung {
	return []modem.Rung{
		{Name: usb.RungReset, Why: func() string { return m.lacks(c)[usb.RungReset] }, Do: m.rung(c, (*usb.Device).Reset)},
		{Name: usb.RungPower, Why: func() string { return m.lacks(c)[usb.RungPower] }, Do: m.rung(c, (*usb.Device).PowerCycle)},
	}
}

// lacks says why a rung is not possible where the modem is now, by its name.
func (m *modems) lacks(c *Modem) map[string]string {
	why := map[string]string{}
	neither := func(reason string) { why[usb.RungReset], why[usb.RungPower] = reason, reason }
	nodes := filepath.Join(cmp.Or(m.cfg.world.dev, "/dev"), "bus", "usb")
	switch s, known := m.stickOf(c); {
	case known:
		for _, r := range m.reach(s).Can() {
			why[r.Name] = r.Why
		}
	case c.Port != "" && exists(c.Port):
		neither(c.Port + " is not on the USB")
	case !exists(nodes):
		neither("this box has no " + nodes)
	}
	return why
}

func (m *modems) reach(s usb.Stick) *usb.Device {
	return usb.Reach(s, m.cfg.world.sys, m.cfg.world.dev)
}

func (m *modems) rung(c *Modem, do func(*usb.Device, context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		s, known := m.stickOf(c)
		if !known {
			return fmt.Errorf("%w: where on the USB the modem %s hangs is not known", usb.ErrNotHere, c.Name)
		}
		return do(m.reach(s), ctx)
	}
}

// stickOf is the stick of a modem as it is plugged in now: found as the boot
// file has it, or in the socket where the modem was last.
func (m *modems) stickOf(c *Modem) (usb.Stick, bool) {
	sticks, err := usb.Sweep(m.cfg.world.sys, m.cfg.world.dev)
	if err != nil {
		m.log.Error("the stick of a modem cannot be found", "route", c.Name, "err", err)
		return usb.Stick{}, false
	}
	last, known := m.last(c.Name)
	for _, s := range sticks {
		if c.Port != "" && holds(s, c.Port) || c.USB != "" && c.USB == s.Path || known && last.Path == s.Path && last.ID() == s.ID() {
			return s, true
		}
	}
	return usb.Stick{}, false
}
