package queue

import (
	"context"
	"time"

	"tillpost/queue/clock"
	"tillpost/queue/store"
)

// The time in the queue is q.now, which may be better or worse known than the
// system clock (queue/clock). Two rules follow from it.
//
// While nobody has told the time nothing expires, no schedule fires and no night
// is known; what waits for elapsed time (a retry, a resend) goes on.
//
// When the time jumps, what waits for elapsed time is moved by as much, and so
// is the life of what was accepted without a clock: a time that a till named in
// so many words is not.

// clockRow is what the store remembers of the time.
type clockRow struct {
	Floor time.Time `json:"floor"` // the last that a time server vouched for
}

// adrift is a message that was accepted while nobody knew the time: its times
// are to be moved once somebody does.
type adrift struct {
	ID       ID   `json:"id"`
	Relative bool `json:"relative,omitempty"` // its expiry counts from its acceptance
}

var (
	clocks  = store.NewTable("clock", func(*clockRow) []byte { return []byte("clock") })
	adrifts = store.NewTable("adrift", func(a *adrift) []byte { return a.ID.key() })
)

// floorEvery is how often the floor is written down, with another commit.
const floorEvery = time.Hour

func (q *Queue) now() time.Time { return q.clock.Now() }

// past reports whether t has passed. Without a clock nothing has.
func (q *Queue) past(t time.Time) bool { return q.clock.Known() && !t.After(q.now()) }

// alarm is a time of the queue by the clock of the process, for a timer.
func (q *Queue) alarm(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Now().Add(t.Sub(q.now()))
}

// Now is the time as well as the box knows it.
func (q *Queue) Now() time.Time { return q.now() }

// Time says how the box knows the time, for people.
func (q *Queue) Time() clock.Reading { return q.clock.Reading() }

// OfferTime is a time that a modem was told by its network; source names the
// modem. It never blocks.
func (q *Queue) OfferTime(t time.Time, source string) {
	q.clock.Offer(t, source)
	q.prod()
}

// startClock begins where the store says that time was. What was accepted
// without a clock before the last stop is moved here, if it is known by now.
func (q *Queue) startClock() error {
	var row clockRow
	var newest time.Time
	waiting := false
	err := q.db.View(func(tx *store.Tx) error {
		r, err := clocks.Get(tx, []byte("clock"))
		if err != nil {
			return err
		}
		if r != nil {
			row = *r
		}
		for e, err := range events.ScanBack(tx, nil) {
			if err != nil {
				return err
			}
			newest = e.At
			break
		}
		for _, err := range adrifts.Scan(tx, nil) {
			waiting = true
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	q.clock = clock.New(q.cfg.Clock, row.Floor, newest)
	if !waiting || !q.clock.Known() {
		return nil
	}
	r := q.clock.Reading()
	return q.moveInTime(context.Background(), clock.Step{
		Before: newest, By: q.now().Sub(newest), From: clock.Unset, To: r.Quality, Source: r.Source,
	})
}

// lookAtClock takes over what the clock has found out, and plans anew what hangs
// on it. What could not be written is tried again at the next turn.
func (q *Queue) lookAtClock(ctx context.Context) error {
	s, news := q.clock.Look()
	if q.step != nil { // the last one is not written down yet: it grows
		q.step.By += s.By
		q.step.To, q.step.Source, q.step.Below = s.To, s.Source, q.step.Below || s.Below
		s, news = *q.step, true
	}
	if !news {
		return nil
	}
	known := s.From == clock.Unset || s.To == clock.Unset
	if !known && !s.Jumped() && !s.Below {
		return nil // another vouches for the same time
	}
	q.step = &s
	if err := q.moveInTime(ctx, s); err != nil {
		return err
	}
	q.step = nil
	q.log.Warn("the time of the box changed", "from", s.From, "to", s.To, "by", s.By.Round(time.Second), "source", s.Source)
	return nil
}

// Codes of a KindClock event: what the new time is worth, or
const codeBelowFloor = "below_floor" // a time server told less than the last known time, and is believed

// moveInTime writes one step of the clock into everything that waits. It is one
// commit, however much that is: half of it would be moved twice or never.
func (q *Queue) moveInTime(ctx context.Context, s clock.Step) error {
	return q.db.Commit(ctx, func(tx *store.Tx) error {
		e := Event{Kind: KindClock, Code: string(s.To), Detail: s.Source}
		if s.Below {
			e.Code = codeBelowFloor
		}
		if s.By != 0 {
			e.Detail += " " + s.By.Round(time.Second).String()
		}
		if err := q.note(tx, nil, e); err != nil {
			return err
		}
		lost, err := q.takeAdrift(tx, s)
		if err != nil {
			return err
		}
		moved, err := q.waitsByTime(tx, s.Before)
		if err != nil {
			return err
		}
		for _, id := range moved {
			if lost[id] {
				continue
			}
			if _, err := q.change(tx, id, func(m *Message) error { q.shift(m, s); return nil }); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeAdrift gives a life in known time to what was accepted without, and
// returns whose it was.
func (q *Queue) takeAdrift(tx *store.Tx, s clock.Step) (done map[ID]bool, err error) {
	if s.To == clock.Unset {
		return nil, nil
	}
	done = map[ID]bool{}
	var rows []adrift
	for a, err := range adrifts.Scan(tx, nil) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, *a)
	}
	for _, a := range rows {
		done[a.ID] = true
		_, err := q.change(tx, a.ID, func(m *Message) error {
			for _, t := range []*time.Time{&m.Created, &m.Took, &m.Settled, &m.Misses, &m.DoubtAt} {
				move(t, s.By)
			}
			if a.Relative {
				if !m.Wake.Before(m.Expires) { // its end, or the end of the wait for a report
					move(&m.Wake, s.By)
				}
				move(&m.Expires, s.By)
			}
			if m.Due.Before(s.Before) && !m.Due.Equal(m.At) {
				move(&m.Due, s.By)
			}
			q.shift(m, s)
			return nil
		})
		if ifKept(err) != nil {
			return nil, err
		}
		if err := adrifts.Delete(tx, a.ID.key()); err != nil {
			return nil, err
		}
	}
	return done, nil
}

func move(t *time.Time, by time.Duration) {
	if !t.IsZero() {
		*t = t.Add(by)
	}
}

// waitsByTime lists what waits for elapsed time, or for a night to end.
func (q *Queue) waitsByTime(tx *store.Tx, before time.Time) (ids []ID, err error) {
	for key := range byWake.Keys(tx, nil) {
		if _, s, id := wakeOf(key); s == slotUnknown || s == slotHeld {
			ids = append(ids, id)
		}
	}
	for key := range byDue.Keys(tx, nil) {
		if due, id, _ := dueOf(key, linePrefix(key)); due.After(before) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// shift moves what m waits for.
func (q *Queue) shift(m *Message, s clock.Step) {
	switch m.State {
	case Queued:
		if m.Due.After(s.Before) { // a retry, or a reference that is free again
			move(&m.Due, s.By)
			if c := m.Why.Code; c == "retry" || c == "refs_used" {
				m.Why = because(c, "time", stamp(m.Due))
			}
		}
		if !m.Wake.Equal(m.Expires) {
			move(&m.Wake, s.By)
		}
	case Unknown:
		if m.Wake.After(s.Before) { // the resend policy
			move(&m.Wake, s.By)
			if m.Why.Code == "unsure_resend" {
				m.Why = because("unsure_resend", "time", stamp(m.Wake))
			}
		}
	case Held:
		if !m.quiet() {
			return
		}
		if quiet, until := q.quietFor(m); quiet {
			m.keepQuiet(until)
		} else {
			m.Wake = q.now() // the timer lets it go
		}
	}
}

// noteAdrift remembers a message that was accepted while nobody knew the time.
func (q *Queue) noteAdrift(tx *store.Tx, m *Message) error {
	if q.clock.Known() {
		return nil
	}
	return adrifts.Put(tx, &adrift{ID: m.ID, Relative: m.relative})
}

// keepFloor writes the floor down now and then, in a commit that is made anyway:
// an idle box does not write.
func (q *Queue) keepFloor(tx *store.Tx) error {
	up := time.Since(q.began)
	floor := q.clock.Floor()
	if floor.IsZero() || up < time.Duration(q.floorDue.Load()) {
		return nil
	}
	tx.OnCommit(func() { q.floorDue.Store(int64(up + floorEvery)) })
	return clocks.Put(tx, &clockRow{Floor: floor})
}
