package queue

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// A pool that nobody serves for too long has its messages routed again; and of
// several routes that could take a message, the cheapest does, then the one with
// most of its quota left.

// absence knows the pools that nobody serves, and since when.
type absence struct {
	mu    sync.Mutex
	since map[string]time.Time
	limit time.Duration // away for longer is too long; 0: it never is
	now   func() time.Time

	// Of the timer alone: when a pool's line was last read in vain.
	vain map[string]time.Time
}

// lookAgain is how soon a line is read again in which nothing could move: it may
// be long.
const lookAgain = time.Minute

// gone: nobody serves the pool now. A nil absence knows of none.
func (a *absence) gone(pool string) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.since[pool].IsZero()
}

// long: nobody has served it for too long.
func (a *absence) long(pool string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := a.since[pool]
	return a.limit > 0 && !since.IsZero() && a.now().Sub(since) >= a.limit
}

// watchPools looks who is away and routes again what waits for them. A route
// that a person paused is not away: he meant its messages to wait.
func (q *Queue) watchPools(ctx context.Context) error {
	if q.cfg.RerouteAfter <= 0 {
		return nil
	}
	served := map[string]bool{}
	for _, info := range q.Routes() {
		if _, ready := info.Plain(); ready || info.Paused {
			for _, line := range info.serves() {
				served[line] = true
			}
		}
	}
	var long []string
	for _, pool := range q.pools() {
		q.away.mu.Lock()
		switch since := q.away.since[pool]; {
		case served[pool] && !since.IsZero():
			delete(q.away.since, pool)
			clear(q.away.vain) // there may be another way now
		case !served[pool] && since.IsZero():
			q.away.since[pool] = q.away.now()
		}
		q.away.mu.Unlock()
		if q.away.long(pool) {
			long = append(long, pool)
		}
	}
	for _, pool := range long {
		if time.Since(q.away.vain[pool]) < lookAgain || !q.otherWay(pool) {
			continue
		}
		moved, err := q.routeAgain(ctx, pool)
		if err != nil {
			return err
		}
		if !moved {
			q.away.vain[pool] = time.Now()
		}
	}
	return nil
}

// otherWay: the rules know some pool beside this one that is served.
func (q *Queue) otherWay(pool string) bool {
	if pool != DefaultPool && !q.away.gone(DefaultPool) {
		return true
	}
	return slices.ContainsFunc(q.cfg.Routing, func(r Rule) bool { return r.Pool != pool && !q.away.gone(r.Pool) })
}

// routeAgain moves what is due in a pool to where it can go instead. What can go
// nowhere stays, and is looked at again at the next turn.
func (q *Queue) routeAgain(ctx context.Context, pool string) (moved bool, err error) {
	from := store.Str(pool)
	for from != nil {
		var moving []ID
		if moving, from, err = q.canMove(pool, from); err != nil {
			return moved, err
		}
		if len(moving) == 0 {
			continue
		}
		err = q.db.Commit(ctx, func(tx *store.Tx) error {
			for _, id := range moving {
				if _, err := q.change(tx, id, func(m *Message) error { return q.moveAway(tx, m, pool) }); ifKept(err) != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return moved, err
		}
		moved = true
		q.turned()
	}
	return moved, nil
}

// canMove looks at a chunk of a pool's line and lists what can go elsewhere.
// next is where to look on; nil: that was all.
func (q *Queue) canMove(pool string, from []byte) (moving []ID, next []byte, err error) {
	prefix, now := store.Str(pool), q.now()
	err = q.db.View(func(tx *store.Tx) error {
		looked := 0
		for key, pk := range byDue.Keys(tx, from) {
			if !bytes.HasPrefix(key, prefix) {
				return nil
			}
			if looked++; looked > wakeChunk {
				next = bytes.Clone(key)
				return nil
			}
			if due, _, _ := dueOf(key, linePrefix(key)); due.After(now) {
				continue
			}
			m, err := messages.Get(tx, pk)
			if err != nil {
				return err
			}
			if m != nil && !m.Asked && m.Pin == "" && q.instead(m) != "" {
				moving = append(moving, m.ID)
			}
		}
		return nil
	})
	return moving, next, err
}

func (q *Queue) moveAway(tx *store.Tx, m *Message, from string) error {
	if m.State != Queued || m.Pool != from || m.Asked || m.Pin != "" {
		return nil // it moved on between the look and the commit
	}
	other := q.instead(m)
	if other == "" {
		return nil
	}
	if !q.goTo(m, other) {
		return nil
	}
	return q.note(tx, m, Event{Kind: KindRerouted, Code: other, Detail: "from " + from + ": nobody there for too long"})
}

const (
	// courtesy is how long a lane leaves a message to a route that should
	// rather have it and is free.
	courtesy = 50 * time.Millisecond
	// noCourtesy is how long it does not, after the other one did not take it.
	noCourtesy = 10 * time.Second
)

// merit is what speaks for a route to carry a message.
type merit struct {
	price text.Price
	left  float64 // share of its tightest limit
}

func (a merit) better(b merit) bool {
	if a.price.Known() && b.price.Known() && a.price.Currency == b.price.Currency && a.price.Amount != b.price.Amount {
		return a.price.Amount < b.price.Amount
	}
	return a.left > b.left
}

// leaves says whether r leaves a message to another route for a moment, and
// until when. The other one is woken. It is only asked for where there is a
// choice: one that is pinned, or named its route, has none.
func (q *Queue) leaves(tx *store.Tx, r *runner, id ID) (until time.Time, err error) {
	others := q.freeBeside(r)
	if len(others) == 0 {
		return until, nil
	}
	m, err := messages.Get(tx, id.key())
	if err != nil || m == nil || m.Pin != "" || m.Pool == r.name {
		return until, err
	}
	mine, err := q.meritOf(tx, r, m)
	if err != nil {
		return until, err
	}
	for _, o := range others {
		if !slices.Contains(o.serves(), m.Pool) {
			continue
		}
		theirs, err := q.meritOf(tx, o, m)
		if err != nil {
			return until, err
		}
		if theirs.left > 0 && theirs.better(mine) {
			if until = r.wouldWait(id); !until.IsZero() {
				o.ring()
			}
			return until, nil
		}
	}
	return until, nil
}

// favour is what a lane leaves to a better route.
type favour struct {
	id    ID
	until time.Time // by the clock of the process
	none  time.Time // no more of it before then: one was not taken
}

// wouldWait begins a courtesy or goes on with it: zero when it has lasted long
// enough.
func (r *runner) wouldWait(id ID) time.Time {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.favour
	switch {
	case now.Before(f.none):
		return time.Time{}
	case f.id != id:
		f.id, f.until = id, now.Add(courtesy)
	case !now.Before(f.until):
		f.none = now.Add(noCourtesy)
		return time.Time{}
	}
	return r.q.now().Add(f.until.Sub(now))
}

// freeBeside lists the other routes that have a lane free and are well.
func (q *Queue) freeBeside(r *runner) (list []*runner) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.runners) < 2 {
		return nil
	}
	for _, o := range q.runners {
		if o != r && o.free() {
			list = append(list, o)
		}
	}
	return list
}

func (r *runner) free() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.State == route.Ready && !r.paused && !r.trust.refused() && r.busy < max(1, r.status.Lanes)
}

func (q *Queue) meritOf(tx *store.Tx, r *runner, m *Message) (merit, error) {
	v := merit{left: 1}
	if to, err := text.ParseNumber(m.To, q.cfg.Country); err == nil {
		if v.price = q.cfg.Tariffs.Price(to, r.name, 1); !v.price.Known() {
			v.price = q.cfg.Tariffs.Price(to, m.Pool, 1)
		}
	}
	a, err := q.quotaOf(tx, r)
	if a == nil || err != nil {
		return v, err
	}
	now := q.now().In(q.cfg.Location)
	for _, w := range a.walls(a.quota, now) {
		v.left = min(v.left, float64(w.limit-w.used.N)/float64(w.limit))
	}
	if w := a.month(now); w.used != nil {
		v.left = min(v.left, float64(w.limit-w.used.N)/float64(w.limit))
	}
	return v, nil
}
