package queue

import "tillpost/queue/route"

// Noticed keeps what a route saw beside messages and reports as an event: a
// voice call, another SIM in a modem, a self-test that was slow.
func (s *sink) Noticed(n route.Notice) {
	s.r.q.tell(Event{Kind: KindNotice, Route: s.r.name, Identity: n.Identity, Code: n.Code, Detail: n.Detail})
}

var _ route.Noticer = (*sink)(nil)
