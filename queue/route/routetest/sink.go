package routetest

import (
	"context"
	"slices"
	"sync"

	"tillpost/queue/route"
)

// sink is the queue's side of the bench: it remembers what it was told, and
// does what a test wants it to do about it.
type sink struct {
	mu       sync.Mutex
	progress func(id string, attempt int, p route.Part) error
	receive  func(route.Inbound) error
	report   func(route.Report) error

	parts    []told
	received []route.Inbound
	reported []route.Report
	statuses []route.Status
	inside   int // calls of Received and Reported that run now
	overlaps int
}

// told is one call of Progress.
type told struct {
	ID      string
	Attempt int
	Part    route.Part
}

func newSink() *sink { return &sink{} }

func (s *sink) Progress(_ context.Context, id string, attempt int, p route.Part) error {
	s.mu.Lock()
	s.parts = append(s.parts, told{id, attempt, p})
	fn := s.progress
	s.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn(id, attempt, p)
}

func (s *sink) Received(_ context.Context, in route.Inbound) error {
	s.mu.Lock()
	s.received = append(s.received, in)
	fn := s.receive
	s.mu.Unlock()
	s.enter()
	defer s.leave()
	if fn == nil {
		return nil
	}
	return fn(in)
}

func (s *sink) Reported(_ context.Context, r route.Report) error {
	s.mu.Lock()
	s.reported = append(s.reported, r)
	fn := s.report
	s.mu.Unlock()
	s.enter()
	defer s.leave()
	if fn == nil {
		return nil
	}
	return fn(r)
}

func (s *sink) Changed(st route.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses = append(s.statuses, st)
}

func (s *sink) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inside++; s.inside > 1 {
		s.overlaps++
	}
}

func (s *sink) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
}

func (s *sink) onProgress(fn func(id string, attempt int, p route.Part) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = fn
}

func (s *sink) onReceive(fn func(route.Inbound) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receive = fn
}

func (s *sink) onReport(fn func(route.Report) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report = fn
}

func (s *sink) progressed() []told {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.parts)
}

func (s *sink) inbox() []route.Inbound {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

func (s *sink) reports() []route.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reported)
}

func (s *sink) history() []route.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statuses)
}

// status is the last status published; the zero one if none was.
func (s *sink) status() route.Status {
	h := s.history()
	if len(h) == 0 {
		return route.Status{}
	}
	return h[len(h)-1]
}

func (s *sink) overlapped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overlaps
}
