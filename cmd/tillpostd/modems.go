package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tillpost/modem"
	"tillpost/modem/usb"
	"tillpost/queue"
	"tillpost/queue/route"
)

// modems are the modems of the box: those that the boot file names, each bound
// to whatever port carries its IMEI or hangs in its socket today; or, when it
// names none, every modem that is plugged in.
//
// The queue's routes come from here. Which port is whose is the Watcher's
// knowledge; a modem asks for its place before each opening (places.go).
type modems struct {
	cfg     *Config
	q       *queue.Queue
	log     *slog.Logger
	memory  route.Memory // of all modems: keys name the SIM or the device
	watcher *usb.Watcher

	mu      sync.Mutex
	spots   map[string]usb.Stick // where each route's modem was last, by name
	sockets map[string]string    // without a [[modem]]: sockets that are a route's whatever hangs there

	names names             // without a [[modem]]: who is called what
	stuck map[string]*stuck // routes that only say what is wrong with a stick, by name
}

// world is where USB is looked at; the zero value is the machine's own.
type world struct {
	sys, dev string
	events   func(ctx context.Context, changed func()) error
	lockDir  string
}

// sharedMemory is the name of the modems' space in the queue's memory. No
// route can be called so.
const sharedMemory = "*modems"

// linkDelay is how long udev may take to make the links in /dev/serial that a
// boot file names ports by.
const linkDelay = 2 * time.Second

// newModems attaches the modems of the boot file. Run finds the others.
func newModems(q *queue.Queue, cfg *Config, log *slog.Logger) (*modems, error) {
	m := &modems{
		cfg: cfg, q: q, log: log, memory: q.Memory(sharedMemory),
		spots: map[string]usb.Stick{}, sockets: map[string]string{}, stuck: map[string]*stuck{},
	}
	watch := usb.Config{
		Sys: cfg.world.sys, Dev: cfg.world.dev, Events: cfg.world.events,
		Open: m.open, May: m.mayAsk, Heal: m.mayReset, Changed: m.changed, Log: log,
	}
	if slices.ContainsFunc(cfg.Modems, func(c Modem) bool { return c.Port != "" }) {
		watch.Settle = linkDelay
	}
	m.watcher = usb.New(watch)
	for i := range cfg.Modems {
		c := &cfg.Modems[i]
		if err := m.attach(c, m.placeOf(c)); err != nil {
			return nil, err
		}
		if err := q.Limit(c.Name, queue.Quota{
			PartsPerMinute: c.PartsPerMinute, PartsPerHour: c.PartsPerHour, PartsPerDay: c.PartsPerDay,
			RecipientsPerMonth: c.RecipientsPerMonth, MonthStarts: c.MonthStarts,
		}); err != nil {
			return nil, fmt.Errorf("quota of modem %q: %w", c.Name, err)
		}
	}
	if m.everyone() {
		log.Info("the boot file names no modem: every modem that is plugged in is used")
		var err error
		if m.names, err = loadNames(m.memory); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// everyone: the boot file names no modem, so all are used.
func (m *modems) everyone() bool { return len(m.cfg.Modems) == 0 }

// Run looks for modems until ctx ends.
func (m *modems) Run(ctx context.Context) error { return m.watcher.Run(ctx) }

// attach makes a route of a modem and gives it to the queue.
func (m *modems) attach(c *Modem, find func() modem.Place) error {
	cfg := c.care()
	cfg.Name, cfg.Find = c.Name, find
	cfg.PIN, cfg.SendTimeout = c.currentPIN, c.SendTimeout
	cfg.Memory = recall{m.memory, m.q.Memory(c.Name)}
	cfg.Clock = m.q.OfferTime
	cfg.Rungs, cfg.LockDir, cfg.Log = m.rungs(c), m.cfg.world.lockDir, m.log
	r := &modemRoute{
		Modem:  modem.New(cfg),
		memory: m.q.Memory(c.Name),
		log:    m.log.With("route", c.Name),
	}
	if err := m.q.Attach(r, c.Pool); err != nil {
		return fmt.Errorf("modem %q: %w", c.Name, err)
	}
	return nil
}

// open lets the Watcher look behind a port, with the locks of a modem.
func (m *modems) open(port string) (usb.Line, string, error) {
	line, code, err := modem.Open(port, m.cfg.world.lockDir)
	if err != nil {
		return nil, code, err
	}
	return line, "", nil
}

// mayAsk says which sticks may be asked who they are. Nothing is written to
// what another program, or another entry of the boot file, may be talking to.
func (m *modems) mayAsk(s usb.Stick) usb.Asking {
	if m.everyone() {
		if s.Mode == usb.Adapter { // a printer may hang behind it: one question must do
			return usb.Once
		}
		return usb.Again
	}
	may := usb.Never
	for i := range m.cfg.Modems {
		switch c := &m.cfg.Modems[i]; {
		case c.Port != "" && holds(s, c.Port):
			return usb.Never
		case c.USB == s.Path, c.IMEI != "" && s.Mode == usb.Modem && !m.isFound(c.IMEI):
			may = usb.Again
		}
	}
	return may
}

// isFound tells whether a modem is plugged in somewhere, so that no other stick
// need be asked whether it is that one.
func (m *modems) isFound(imei string) bool {
	return slices.ContainsFunc(m.watcher.Sticks(), func(f usb.Found) bool { return modem.SameIMEI(f.IMEI, imei) })
}

// mayReset says which silent sticks are ours: a stick that the boot file does
// not mean may be somebody's way to the Internet.
func (m *modems) mayReset(s usb.Stick) bool {
	if m.everyone() {
		return true
	}
	return slices.ContainsFunc(m.cfg.Modems, func(c Modem) bool {
		last, known := m.last(c.Name)
		return c.USB == s.Path || c.IMEI != "" && known && last.Path == s.Path && last.ID() == s.ID()
	})
}

// holds tells whether a port, by whatever name, is one of a stick.
func holds(s usb.Stick, port string) bool {
	if s.Has(port) {
		return true
	}
	device, err := filepath.EvalSymlinks(port)
	if err != nil {
		return false // not there: then it is nobody's
	}
	return slices.ContainsFunc(s.Ports, func(p usb.Port) bool {
		other, err := filepath.EvalSymlinks(p.Device)
		return err == nil && other == device
	})
}

// recall is the memory of all modems. What an earlier version kept for each
// modem on its own is still found: a PIN that was refused stays refused.
type recall struct{ shared, own route.Memory }

func (r recall) Load(key string) ([]byte, error) {
	v, err := r.shared.Load(key)
	if err != nil || v != nil {
		return v, err
	}
	return r.own.Load(key)
}

func (r recall) Save(ctx context.Context, key string, v []byte) error {
	return r.shared.Save(ctx, key, v)
}
