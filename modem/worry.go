package modem

import (
	"tillpost/queue/route"
)

// worries are what may be wrong with a modem that works: keys of the plain
// text, the weightiest first. The page shows one of them.
var worries = []string{"memory_full", "credit_low", "loop_failed", "weak_signal"}

// worry notes that something is wrong, in words, or with no words that it is
// well again.
func (m *Modem) worry(code, why string) {
	m.publish(func(s *route.Status) {
		if why == "" {
			delete(m.worried, code)
		} else {
			m.worried[code] = why
		}
		if s.State == route.Ready {
			s.Code, s.Detail = m.worst()
		}
	})
}

// worst returns the weightiest worry and its words. m.mu is held.
func (m *Modem) worst() (code, why string) {
	for _, code := range worries {
		if why, ok := m.worried[code]; ok {
			return code, why
		}
	}
	return "", ""
}

// notice tells the sink, if it wants to know, something that is neither a
// message nor a report.
func (m *Modem) notice(code, detail string) {
	m.mu.Lock()
	hears, ok := m.sink.(route.Noticer)
	identity := m.status.Identity
	m.mu.Unlock()
	if ok {
		hears.Noticed(route.Notice{Route: m.cfg.Name, Identity: identity, Code: code, Detail: detail})
	}
}
