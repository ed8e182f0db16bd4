package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"tillpost/modem/usb"
	"tillpost/queue/route"
)

// Without a [[modem]] every modem that is plugged in is used. It keeps its
// name wherever it is plugged in next, and after a restart; a stick that
// cannot be used is shown as a route that only says why.

// changed takes over a new picture. It is called by the Watcher, one at a time.
func (m *modems) changed(list []usb.Found) {
	if !m.everyone() {
		return // the modems of the boot file look for themselves
	}
	useless := map[string]usb.Found{}
	for _, f := range list {
		switch {
		case f.Port != "":
			if err := m.use(f); err != nil {
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
		if err := m.q.Detach(context.Background(), s.name); err != nil { // at once: it holds nothing
			m.log.Error("a stick that is gone is still listed", "route", name, "err", err)
		}
	}
	for name, f := range useless {
		if s := m.stuck[name]; s != nil {
			s.say(f)
			continue
		}
		s := newStuck(name, f)
		if err := m.q.Attach(s, ""); err != nil {
			m.log.Error("a stick that cannot be used cannot be listed either", "usb", f.Path, "why", f.Detail, "err", err)
			continue
		}
		m.stuck[name] = s
	}
}

// use makes a route of a modem that answers, unless it is one already.
func (m *modems) use(f usb.Found) error {
	key := "imei:" + f.IMEI
	if f.IMEI == "" { // it does not tell: then it is whatever hangs in that socket
		key = "usb:" + f.Path
	}
	name, known := m.names[key]
	if known {
		m.remember(name, f.Stick)
		if m.attached(name) {
			return nil
		}
	} else {
		name = m.names.free(m.attached)
		if err := m.names.keep(m.memory, key, name); err != nil {
			return err
		}
		m.remember(name, f.Stick)
	}
	c := &Modem{Name: name, IMEI: f.IMEI}
	if f.IMEI == "" {
		c.USB = f.Path
	}
	c.defaults()
	m.log.Info("a modem was found and is used", "route", name, "usb", f.Path, "maker", f.Maker, "model", f.Model)
	return m.attach(c, m.placeOf(c))
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
func (n names) keep(memory route.Memory, key, name string) error {
	n[key] = name
	data, err := json.Marshal(n)
	if err == nil {
		err = memory.Save(context.Background(), namesKey, data)
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
	name string
	news chan struct{}

	mu     sync.Mutex
	status route.Status
}

func newStuck(name string, f usb.Found) *stuck {
	s := &stuck{name: name, news: make(chan struct{}, 1)}
	s.say(f)
	return s
}

// say changes what is told.
func (s *stuck) say(f usb.Found) {
	s.mu.Lock()
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

var _ route.Route = (*stuck)(nil)
