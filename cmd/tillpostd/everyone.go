package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tillpost/modem"
	"tillpost/modem/usb"
	"tillpost/queue/route"
)

// Without a [[modem]] every modem that is plugged in is used. It keeps its
// name wherever it is plugged in next, and after a restart; a stick that
// cannot be used is shown as a route that only says why.

// takeOver is how long that may take: a commit for each name that is new.
const takeOver = 10 * time.Second

// changed takes over a new picture. It is called by the Watcher, one at a time.
func (m *modems) changed(list []usb.Found) {
	if !m.everyone() {
		return // the modems of the boot file look for themselves
	}
	ctx, cancel := context.WithTimeout(context.Background(), takeOver)
	defer cancel()
	useless := map[string]usb.Found{}
	for _, f := range list {
		switch {
		case f.Port != "":
			if err := m.use(ctx, f, list); err != nil {
				m.log.Error("a modem that was found cannot be used", "usb", f.Path, "err", err)
			}
		case f.Code != "" && !m.isAnothers("", f): // else it is told by the route whose modem it was
			useless["usb-"+f.Path] = f
		}
	}
	for name, s := range m.stuck {
		if _, still := useless[name]; still {
			continue
		}
		delete(m.stuck, name)
		if err := m.q.Detach(ctx, s.name); err != nil {
			m.log.Error("a stick that is gone is still listed", "route", name, "err", err)
		}
	}
	for name, f := range useless {
		if s := m.stuck[name]; s != nil {
			s.say(f)
			continue
		}
		s := newStuck(name, f, m.reach)
		if err := m.q.Attach(s, ""); err != nil {
			m.log.Error("a stick that cannot be used cannot be listed either", "usb", f.Path, "why", f.Detail, "err", err)
			continue
		}
		m.stuck[name] = s
	}
}

// use makes a route of a modem that answers, unless it is one already. A modem
// is its IMEI. One that tells none, or the same as another that is plugged in
// (cheap sticks have been seen so), is whatever hangs in that socket.
func (m *modems) use(ctx context.Context, f usb.Found, list []usb.Found) error {
	c, key := Modem{USB: f.Path}, "usb:"+f.Path
	if f.IMEI != "" && m.ownerOf(f.IMEI, list) == f.Path {
		c, key = Modem{IMEI: f.IMEI}, "imei:"+f.IMEI
	}
	name, known := m.names[key]
	if !known {
		name = m.names.free(m.attached)
		if err := m.names.keep(ctx, m.memory, key, name); err != nil {
			return err
		}
	}
	m.remember(name, f.Stick)
	if m.attached(name) {
		return nil
	}
	if c.USB != "" {
		m.mu.Lock()
		m.sockets[f.Path] = name
		m.mu.Unlock()
	}
	c.Name = name
	c.defaults()
	m.log.Info("a modem was found and is used", "route", name, "usb", f.Path, "maker", f.Maker, "model", f.Model)
	return m.attach(&c, m.placeOf(&c))
}

// ownerOf is the socket of the stick that an IMEI stands for: where it was
// before, if it is there still, else the first that says it.
func (m *modems) ownerOf(imei string, list []usb.Found) (path string) {
	last, known := m.last(m.names["imei:"+imei])
	for _, f := range list {
		if f.Port == "" || !modem.SameIMEI(f.IMEI, imei) || m.sockets[f.Path] != "" {
			continue
		}
		if known && last.Path == f.Path {
			return f.Path
		}
		path = cmp.Or(path, f.Path)
	}
	return path
}

// isOthersSocket tells whether a socket belongs to a route that is bound to it.
func (m *modems) isOthersSocket(name, path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	owner := m.sockets[path]
	return owner != "" && owner != name
}

func (m *modems) attached(name string) bool {
	_, yes := m.q.Route(name)
	return yes
}

// names say who is called what, by imei:… or usb:…
type names map[string]string

const namesKey = "names"

func loadNames(memory route.Memory) (names, error) {
	n := names{}
	data, err := memory.Load(namesKey)
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &n)
	}
	if err != nil {
		return nil, fmt.Errorf("the names of the modems that were found before: %w", err)
	}
	return n, nil
}

// free is a name that no modem ever had and no other route has: modem-1,
// modem-2, in the order in which they are first seen.
func (n names) free(taken func(string) bool) string {
	given := slices.Collect(maps.Values(n))
	for i := 1; ; i++ {
		if name := fmt.Sprintf("modem-%d", i); !slices.Contains(given, name) && !taken(name) {
			return name
		}
	}
}

// keep gives a modem a name, which is on disk before it is used.
func (n names) keep(ctx context.Context, memory route.Memory, key, name string) error {
	n[key] = name
	data, err := json.Marshal(n)
	if err == nil {
		err = memory.Save(ctx, namesKey, data)
	}
	if err != nil {
		delete(n, key)
		return fmt.Errorf("the name of a modem that was found cannot be kept: %w", err)
	}
	return nil
}

// stuck is a stick that is plugged in and cannot be used: a route that carries
// nothing and says why.
type stuck struct {
	name  string
	news  chan struct{}
	reach func(usb.Stick) *usb.Device

	mu     sync.Mutex
	stick  usb.Stick
	status route.Status
}

func newStuck(name string, f usb.Found, reach func(usb.Stick) *usb.Device) *stuck {
	s := &stuck{name: name, news: make(chan struct{}, 1), reach: reach}
	s.say(f)
	return s
}

// say changes what is told.
func (s *stuck) say(f usb.Found) {
	s.mu.Lock()
	s.stick = f.Stick
	s.status = route.Status{Route: s.name, Kind: "modem", State: route.Hand, Code: f.Code, Detail: f.Detail, Model: f.Name, Lanes: 1}
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *stuck) now() route.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *stuck) Name() string { return s.name }

func (s *stuck) Run(ctx context.Context, sink route.Sink) error {
	for {
		select {
		case <-s.news:
			sink.Changed(s.now())
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *stuck) Send(context.Context, route.Outbound) (route.Receipt, error) {
	return route.Receipt{}, route.Refuse(s.name, s.now().Detail)
}

// Restart is a person's: it resets the stick on the USB.
func (s *stuck) Restart(ctx context.Context) error {
	s.mu.Lock()
	stick := s.stick
	s.mu.Unlock()
	return s.reach(stick).Reset(ctx)
}

var (
	_ route.Route     = (*stuck)(nil)
	_ route.Restarter = (*stuck)(nil)
)
