package queue

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

const (
	// patience: a message due for longer than this may be taken before its
	// betters, once in oldestEvery takes of a lane, so that nothing starves.
	patience    = time.Hour
	oldestEvery = 10

	// maxSkip bounds how many messages to busy recipients one take passes over.
	maxSkip = 4096

	// maxTight bounds how many messages one take reads to find one that its
	// quota still allows.
	maxTight = 64

	// refRest: a concatenation reference is not used again for a recipient
	// within this time, so that no phone joins parts of two messages.
	refRest = time.Hour
)

// flight is a message in the hands of a lane.
type flight struct {
	m      *Message
	ctx    context.Context // of its Send: ended by who cancels the message
	cancel context.CancelFunc
	landed chan struct{} // closed when it is settled
	asked  string        // who asked to cancel it; guarded by Queue.mu
}

func newFlight(ctx context.Context) *flight {
	f := &flight{landed: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// take finds the next message for r and commits the attempt. Without one it
// returns nil and when to look again (zero: when the bell rings). Unless there
// is surely something it looks in a read transaction first, so that a look in
// vain does not hold up the committer.
func (q *Queue) take(ctx context.Context, r *runner, w want) (f *flight, next time.Time, err error) {
	if q.slots[slotQueued].Load() == 0 {
		return nil, time.Time{}, nil
	}
	if !w.sure {
		found := false
		err = q.db.View(func(tx *store.Tx) error {
			_, found, next, err = q.look(tx, r, w)
			return err
		})
		if err != nil || !found {
			return nil, next, err
		}
	}
	f = newFlight(ctx)
	err = q.db.Commit(ctx, func(tx *store.Tx) (err error) {
		next, err = q.takeTx(tx, r, w, f)
		return err
	})
	if err != nil || f.m == nil {
		f.cancel()
		return nil, next, err
	}
	return f, next, nil
}

// takeTx does it inside a transaction; f.m is what was taken, or nil.
func (q *Queue) takeTx(tx *store.Tx, r *runner, w want, f *flight) (next time.Time, err error) {
	f.m = nil
	id, found, next, err := q.look(tx, r, w)
	if err != nil || !found {
		return next, err
	}
	m, err := q.change(tx, id, func(m *Message) error { return q.begin(tx, m, r) })
	if err != nil || m.State != Sending { // it may not go now
		return q.now(), err
	}
	if m.html, err = htmlOf(tx, m); err != nil {
		return next, err
	}
	f.m = m
	q.occupy(tx, m.To)
	tx.OnCommit(func() {
		q.mu.Lock()
		q.flights[id] = f
		q.mu.Unlock()
	})
	return next, nil
}

// look finds what r may take now, or says when to look again.
func (q *Queue) look(tx *store.Tx, r *runner, w want) (id ID, found bool, next time.Time, err error) {
	w.now, w.lines = q.now(), r.serves()
	if w.quota, err = q.quotaOf(tx, r); err != nil {
		return 0, false, next, err
	}
	if ends := w.quota.closed(w.now.In(q.cfg.Location)).ends; !ends.IsZero() {
		return 0, false, ends, nil
	}
	if id, found, next, err = q.pick(tx, w); err != nil || !found {
		return id, found, next, err
	}
	if until, err := q.leaves(tx, r, id); err != nil || !until.IsZero() {
		return 0, false, until, err
	}
	return id, found, next, nil
}

// want is what a lane asks for.
type want struct {
	now    time.Time
	lines  []string // the pool, and the identity of the route
	oldest bool     // the one that has been due longest, if that is long enough
	sure   bool     // the bell has rung: there is something
	avoid  ID       // was just not taken by the route: anything else first
	lands  *uint32  // a recipient that a flight is just leaving, by hash
	quota  *account // of the route's identity; nil: no limits
}

// pick reads the order of the queue: urgent first, then class, then priority,
// due time, id. A message whose recipient has another in flight is passed
// over. next is when something becomes due that is not yet.
func (q *Queue) pick(tx *store.Tx, w want) (id ID, found bool, next time.Time, err error) {
	var bestDue time.Time
	avoided := false
	lowest := make([]int, len(w.lines)) // rank below which a line is known to be empty
	for rank := range ranks {
		for i, line := range w.lines {
			if lowest[i] = lowestRank(tx, line, lowest[i], rank); lowest[i] > rank {
				continue
			}
			prefix := laneKey(line, rank)
			skips, tight := 0, 0
			for key, pk := range byDue.Keys(tx, prefix) {
				if !bytes.HasPrefix(key, prefix) {
					break
				}
				due, candidate, recipient := dueOf(key, prefix)
				if due.After(w.now) {
					next = sooner(next, due)
					break
				}
				if candidate == w.avoid {
					avoided = true
					continue
				}
				if q.occupied(recipient, w.lands) {
					if skips++; skips > maxSkip {
						break
					}
					continue
				}
				if w.quota != nil {
					until, err := q.noRoom(tx, w, pk)
					if err != nil {
						return 0, false, next, err
					}
					if !until.IsZero() {
						next = sooner(next, until)
						if tight++; tight > maxTight {
							break
						}
						continue
					}
				}
				if !found || due.Before(bestDue) {
					id, bestDue, found = candidate, due, true
				}
				break
			}
		}
		if found && !w.oldest {
			return id, true, next, nil
		}
	}
	switch {
	case found && w.now.Sub(bestDue) < patience:
		w.oldest = false
		return q.pick(tx, w)
	case !found && avoided: // there is nothing else
		w.avoid = 0
		return q.pick(tx, w)
	}
	return id, found, next, nil
}

// lowestRank is the first rank, from the one asked for on, in which something
// waits in a line. One look at the index answers for all the empty ranks
// between; known is what the last one answered.
func lowestRank(tx *store.Tx, line string, known, from int) int {
	if known > from {
		return known
	}
	prefix := store.Str(line)
	for key := range byDue.Keys(tx, laneKey(line, from)) {
		if bytes.HasPrefix(key, prefix) {
			return int(key[len(prefix)])
		}
		break
	}
	return ranks
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// begin records the attempt, before the route sees the message.
func (q *Queue) begin(tx *store.Tx, m *Message, r *runner) error {
	if stop, err := q.mayNotGo(tx, m); stop || err != nil {
		return err
	}
	ref, bits, free, err := q.nextRef(tx, m)
	if err != nil {
		return err
	}
	if !free.IsZero() {
		m.Due, m.Why = free, because("refs_used", "time", stamp(free))
		return nil
	}
	// What was lost is offered anew; until now its report could still settle it.
	for i := range m.Parts {
		if m.Parts[i].State == PartUnknown {
			m.Parts[i] = Part{N: i + 1, State: PartWaiting}
		}
	}
	if err := m.move(onTake); err != nil {
		return err
	}
	identity := r.identity()
	m.Attempt++
	m.Route, m.Identity, m.Took, m.Wake = r.name, identity, q.now(), time.Time{}
	m.Why = because("sending")
	m.ConcatRef, m.RefBits = ref, bits
	if err := q.charge(tx, r, m); err != nil {
		return err
	}
	if m.Missed > 0 {
		return nil // the story has the first of these
	}
	return q.note(tx, m, Event{Kind: KindTaken, Route: r.name, Identity: identity})
}

// mayNotGo is the last look before an attempt: a message whose time has run out,
// marketing to who has opted out meanwhile, what the steward forbids, and
// marketing in quiet hours.
func (q *Queue) mayNotGo(tx *store.Tx, m *Message) (bool, error) {
	if q.past(m.Expires) {
		return true, q.end(tx, m, onExpire, because("expired"), Event{Kind: KindExpired})
	}
	if m.Class == Marketing && !m.left() {
		o, err := optOuts.Get(tx, store.Str(q.hash(m.To)))
		rotten := errors.Is(err, store.ErrDamaged) // somebody said no, whatever else it said
		if err != nil && !rotten {
			return true, err
		}
		if o != nil || rotten {
			return true, q.end(tx, m, onCancel, because("opted_out"), Event{Kind: KindCancelled, Code: "opted_out"})
		}
	}
	if stopped, err := q.heed(tx, m); stopped || err != nil {
		return true, err
	}
	return q.holdForQuiet(tx, m)
}

// nextRef chooses the concatenation reference of a long message that has none,
// and its width. It counts up per recipient from a random start, across restarts
// too. The 255 of 8 bits may all have been used within refRest: then it is one of
// 16 bits, if the parts leave room for the longer header, and else the message
// waits until free.
func (q *Queue) nextRef(tx *store.Tx, m *Message) (ref, bits int, free time.Time, err error) {
	if len(m.Segments) < 2 || m.ConcatRef != 0 {
		return m.ConcatRef, m.RefBits, time.Time{}, nil
	}
	c, err := concats.Get(tx, store.Str(m.To))
	if err != nil {
		return 0, 0, time.Time{}, err
	}
	if c == nil {
		c = &concat{To: m.To, Last: int(rand.Uint32()), Wide: int(rand.Uint32())}
	}
	now := q.now()
	c.Used = slices.DeleteFunc(c.Used, func(at int64) bool { return !time.Unix(at, 0).Add(refRest).After(now) })
	bits = m.RefBits
	if bits == 8 && len(c.Used) >= 1<<8-1 {
		if !m.fitsWide() {
			return 0, 0, time.Unix(c.Used[0], 0).Add(refRest), nil
		}
		bits = 16
	}
	if bits == 8 {
		c.Last = countedOn(c.Last, 8)
		// Rounded up, so that none is free too early.
		ref, c.Used = c.Last, append(c.Used, now.Add(time.Second).Unix())
	} else {
		c.Wide = countedOn(c.Wide, 16)
		ref = c.Wide
	}
	c.At = now
	return ref, bits, time.Time{}, concats.Put(tx, c)
}

// countedOn counts up within so many bits and leaves out 0, which stands for no
// reference.
func countedOn(last, bits int) int { return max(1, (last+1)&(1<<bits-1)) }

// fitsWide says whether every part has room for a reference of 16 bits.
func (m *Message) fitsWide() bool {
	room := text.Capacity(m.Alphabet, text.Header(m.Shift, m.Locking, 16))
	return !slices.ContainsFunc(m.Segments, func(s route.Segment) bool { return s.Units > room })
}

// outbound is what the route is given for this attempt.
func (m *Message) outbound() route.Outbound {
	out := route.Outbound{
		ID: m.ID.String(), Attempt: m.Attempt, To: m.To, From: m.From,
		Segments: m.Segments, Alphabet: m.Alphabet, Shift: m.Shift, Locking: m.Locking,
		Ref: m.ConcatRef, RefBits: m.RefBits,
		Report: m.Report, Flash: m.Flash, Priority: m.Priority, Expires: m.Expires, Text: m.Text(),
	}
	if m.Channel == Email {
		out.Subject, out.HTML, out.Marketing = m.subject(), m.html, m.Class == Marketing
	}
	for _, p := range m.Parts {
		switch p.State {
		case PartSent, PartDelivered, PartUndelivered:
			out.Done = append(out.Done, route.Part{
				N: p.N, Of: len(m.Parts), State: route.PartSent, Ref: p.Ref, Identity: p.Identity, At: p.At,
			})
		}
	}
	return out
}

// Two messages to one number are never in flight together. All lanes are in
// this process, so the list of busy recipients is kept in memory.

func (q *Queue) occupy(tx *store.Tx, to string) {
	h := hashOf(to)
	q.mu.Lock()
	q.busy[h]++
	q.mu.Unlock()
	tx.OnRollback(func() { q.vacate(h) })
}

func (q *Queue) vacate(h uint32) (wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[h]--; q.busy[h] <= 0 {
		delete(q.busy, h)
	}
	wake, q.skipped = q.skipped, false
	return wake
}

// occupied says whether another flight goes to the recipient; the one that is
// just landing does not count.
func (q *Queue) occupied(h uint32, lands *uint32) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.busy[h]
	if lands != nil && *lands == h {
		n--
	}
	if n <= 0 {
		return false
	}
	q.skipped = true
	return true
}
