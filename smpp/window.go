package smpp

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// errNotBound: there is no session that could take a submit_sm.
var errNotBound = errors.New("not bound to the SMSC")

// window hands out the places in flight of all sessions that may submit. Who
// finds none free waits his turn: first come, first served.
type window struct {
	size int // places per session

	mu    sync.Mutex
	busy  map[*session]int
	queue []chan *session // waiting takers; a nil session tells them that none is left
}

// take returns a session with a place for one more submit_sm: the one with
// the fewest in flight. It waits for a place but not for a bind: without any
// session it answers errNotBound at once.
func (w *window) take(ctx context.Context) (*session, error) {
	w.mu.Lock()
	if len(w.busy) == 0 {
		w.mu.Unlock()
		return nil, errNotBound
	}
	if s := w.free(); s != nil && len(w.queue) == 0 {
		w.busy[s]++
		w.mu.Unlock()
		return s, nil
	}
	turn := make(chan *session, 1)
	w.queue = append(w.queue, turn)
	w.mu.Unlock()

	select {
	case s := <-turn:
		if s == nil {
			return nil, errNotBound
		}
		return s, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	i := slices.Index(w.queue, turn)
	if i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
	}
	w.mu.Unlock()
	if i < 0 { // handed over at the same moment: pass it on
		if s := <-turn; s != nil {
			w.give(s)
		}
	}
	return nil, context.Cause(ctx)
}

// give returns a place.
func (w *window) give(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, open := w.busy[s]; open {
		w.busy[s]--
	}
	w.serve()
}

// open lets s take part, close ends that. What is in flight stays in flight.
func (w *window) open(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy == nil {
		w.busy = make(map[*session]int)
	}
	w.busy[s] = 0
	w.serve()
}

func (w *window) close(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, s)
	if len(w.busy) > 0 {
		return
	}
	for _, turn := range w.queue {
		turn <- nil
	}
	w.queue = nil
}

// serve gives free places to those who wait.
func (w *window) serve() {
	for len(w.queue) > 0 {
		s := w.free()
		if s == nil {
			return
		}
		w.busy[s]++
		w.queue[0] <- s
		w.queue = w.queue[1:]
	}
}

// free returns the session with the most free places, nil if all are full.
func (w *window) free() *session {
	var best *session
	for s, n := range w.busy {
		if n < w.size && (best == nil || n < w.busy[best]) {
			best = s
		}
	}
	return best
}
