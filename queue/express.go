package queue

import (
	"context"
	"slices"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

// A message that comes while a lane stands idle is taken in the very commit
// that accepts it. It never waits in line then: one commit less before it
// leaves, and half of what a take would write.

// perch is where an idle lane waits: for the bell, for news of its route, or to
// be handed a message. Its flight is filled by whoever hands it one.
type perch struct {
	lane  int
	f     *flight
	since time.Time
	given chan bool // once, and only to a lane that was called: false, it came to nothing
}

// idle waits like wait, and may be handed a message meanwhile. rung says that it
// was the bell.
func (r *runner) idle(ctx context.Context, lane int, until time.Time, changed <-chan struct{}) (f *flight, rung bool) {
	p := &perch{lane: lane, f: newFlight(ctx), since: time.Now(), given: make(chan bool, 1)}
	r.mu.Lock()
	r.perches = append(r.perches, p)
	r.mu.Unlock()

	var alarm <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		alarm = t.C
	}
	select {
	case got := <-p.given:
		return p.outcome(got), false
	case <-ctx.Done():
	case <-alarm:
	case <-changed:
	case <-r.bell:
		rung = true
	}
	if r.quit(p) {
		p.f.cancel()
		return nil, rung
	}
	// A commit is under way that hands it a message.
	if f = p.outcome(<-p.given); f != nil && rung {
		r.ring() // for another lane
	}
	return f, rung && f == nil
}

func (p *perch) outcome(got bool) *flight {
	if !got {
		p.f.cancel()
		return nil
	}
	return p.f
}

// quit takes a lane off its perch: false if it was called already.
func (r *runner) quit(p *perch) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.perches, p)
	if i < 0 {
		return false
	}
	r.perches = slices.Delete(r.perches, i, i+1)
	return true
}

// idler is the perch of the lane that has been idle longest, nil if none is or
// the route may not take now.
func (r *runner) idler() *perch {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.State != route.Ready || r.paused || r.trust.refused() {
		return nil
	}
	for _, p := range r.perches {
		if p.lane < max(1, r.status.Lanes) {
			return p
		}
	}
	return nil
}

// express takes a message that is just being accepted, if a lane is idle that
// would take it next. Else it waits in line as every message does, so that
// nothing is ever overtaken. Whoever has a say in whether it may go at all is
// not asked here: such a message waits in line too.
func (q *Queue) express(tx *store.Tx, m *Message) error {
	if m.State != Queued || m.Source != "" || m.Class != Transactional || m.Due.After(q.now()) {
		return nil
	}
	r, p, err := q.nextIdle(tx, m)
	if r == nil || err != nil || q.occupied(hashOf(m.To), nil) || !r.quit(p) {
		return err
	}
	taken := false
	tx.OnRollback(func() { p.given <- false })
	tx.OnCommit(func() {
		if !taken {
			p.given <- false
			return
		}
		q.mu.Lock()
		q.flights[m.ID] = p.f
		q.mu.Unlock()
		p.given <- true
	})
	if err := q.begin(tx, m, r); err != nil {
		return err
	}
	if taken = m.State == Sending; taken {
		own := *m // the caller goes on with m
		p.f.m = &own
		q.occupy(tx, m.To)
	}
	return nil
}

// nextIdle finds the idle lane that would take m next: nil if there is none, or
// something else goes before. Of several routes the better one has it, of equal
// ones the one that has been idle longest.
func (q *Queue) nextIdle(tx *store.Tx, m *Message) (best *runner, at *perch, err error) {
	routes := q.serving(m.lane())
	var most merit
	for _, r := range routes {
		p := r.idler()
		if p == nil {
			continue
		}
		if next, err := q.goesNext(tx, r, m); err != nil {
			return nil, nil, err
		} else if !next {
			continue
		}
		var v merit
		if len(routes) > 1 {
			if v, err = q.meritOf(tx, r, m); err != nil {
				return nil, nil, err
			}
		}
		if best == nil || v.better(most) || !most.better(v) && p.since.Before(at.since) {
			best, at, most = r, p, v
		}
	}
	return best, at, nil
}

// goesNext says whether r could carry m, and has nothing else to take.
func (q *Queue) goesNext(tx *store.Tx, r *runner, m *Message) (bool, error) {
	w := want{now: q.now(), lines: r.serves()}
	var err error
	if w.quota, err = q.quotaOf(tx, r); err != nil {
		return false, err
	}
	if until := w.quota.closed(w.now.In(q.cfg.Location)).ends; !until.IsZero() {
		return false, nil
	}
	if w.quota != nil {
		if until, err := q.fits(tx, w, m); err != nil || !until.IsZero() {
			return false, err
		}
	}
	if q.slots[slotQueued].Load() == 0 {
		return true, nil
	}
	_, found, _, err := q.pick(tx, w)
	return !found, err
}

// serving lists the routes that take from a line.
func (q *Queue) serving(line string) (list []*runner) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.runners {
		if slices.Contains(r.serves(), line) {
			list = append(list, r)
		}
	}
	return list
}
