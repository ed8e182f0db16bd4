package queue

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

// Get returns one message. Error: ErrNotFound.
func (q *Queue) Get(id ID) (m *Message, err error) {
	err = q.db.View(func(tx *store.Tx) (err error) {
		m, err = messages.Get(tx, id.key())
		return err
	})
	if err == nil && m == nil {
		err = ErrNotFound
	}
	return m, err
}

// Story returns the events of a message, oldest first.
func (q *Queue) Story(m *Message) ([]Event, error) {
	story := make([]Event, 0, len(m.Events))
	err := q.db.View(func(tx *store.Tx) error {
		for _, seq := range m.Events {
			e, err := events.Get(tx, seqKey(seq))
			if err != nil {
				return err
			}
			if e != nil {
				story = append(story, *e)
			}
		}
		return nil
	})
	return story, err
}

// Filter of a list; the zero value of a field does not filter.
type Filter struct {
	State  State
	To     string // any spelling
	Ref    string
	Till   string
	Source string    // what had it sent, as in Message: campaign/NAME
	Since  time.Time // created not before
	Before ID        // cursor: only older ones
	Limit  int       // 1 to 1000; default 100
}

const (
	maxList = 1000
	// A list looks at so many messages in one read transaction, and at so many
	// in all; then it answers what it has, with the cursor to go on.
	listChunk = 2000
	listLook  = 50_000
)

// List returns messages, newest first, and the cursor for the next page: zero
// at the end. A page may be short, even empty, while there is a cursor.
func (q *Queue) List(f Filter) (items []*Message, next ID, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	f.Limit = min(f.Limit, maxList)
	cursor := f.Before
	for looked := 0; looked < listLook && len(items) < f.Limit; looked += listChunk {
		more := false
		err := q.db.View(func(tx *store.Tx) error {
			n := 0
			for m, err := range q.newest(tx, &f, cursor) {
				if err != nil {
					return err
				}
				if n++; n > listChunk || len(items) == f.Limit {
					more = true
					return nil
				}
				cursor = m.ID
				if !f.Since.IsZero() && m.Created.Before(f.Since) {
					return nil // ids count up, so the rest is older still
				}
				if f.matches(m) {
					items = append(items, m)
				}
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
		if !more {
			return items, 0, nil
		}
	}
	return items, cursor, nil
}

func (f *Filter) matches(m *Message) bool {
	return (f.State == "" || m.State == f.State) &&
		(f.Till == "" || m.Till == f.Till) &&
		(f.Ref == "" || m.Ref == f.Ref) &&
		(f.Source == "" || m.Source == f.Source) &&
		(f.To == "" || sameNumber(m.To, f.To) || m.Other != "" && sameNumber(m.Other, f.To))
}

// newest walks the messages that a filter may mean, newest first, by the
// index that leads there quickest.
func (q *Queue) newest(tx *store.Tx, f *Filter, before ID) iter.Seq2[*Message, error] {
	switch {
	case f.Ref != "":
		return newestUnder(tx, byTillRef, store.Str(f.Ref), before)
	case f.To != "":
		return newestUnder(tx, byTo, store.Str(tail(f.To)), before)
	case before != 0:
		return messages.ScanBack(tx, before.key())
	}
	return messages.ScanBack(tx, nil)
}

// newestUnder walks the messages under one prefix of an index whose keys end
// in the id.
func newestUnder(tx *store.Tx, ix *store.Index[Message], prefix []byte, before ID) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		end := store.End(prefix)
		if before != 0 {
			end = store.Join(prefix, before.key())
		}
		for key, id := range ix.KeysBack(tx, end) {
			if !bytes.HasPrefix(key, prefix) {
				return
			}
			m, err := messages.Get(tx, id)
			if m == nil && err == nil {
				continue
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Explain says why a message waits and until when, as it is this second: for
// one that is next in line that depends on the health of the routes.
func (q *Queue) Explain(m *Message) (Reason, time.Time) {
	switch {
	case !q.clock.Known() && (m.State == Scheduled || m.State == Held && m.quiet()):
		return because("clock_wrong"), m.Until()
	case m.State == Queued && !m.Due.After(q.now()):
		return q.explainLine(m)
	case m.State == Unknown && !m.Wake.IsZero() && !m.Wake.After(q.now()) && q.silent(m):
		return because("unsure_silent"), m.Expires
	}
	return m.Why, m.Until()
}

func (q *Queue) explainLine(m *Message) (Reason, time.Time) {
	line := m.lane()
	var worst string
	var first wall // of several routes' the one that opens first
	for _, info := range q.Routes() {
		if !slices.Contains(info.serves(), line) {
			continue
		}
		code, ready := info.Plain()
		if !ready {
			worst = code
			continue
		}
		stop := q.wallOf(info.Route, m)
		if stop.ends.IsZero() {
			return because("in_line"), m.Until()
		}
		if first.ends.IsZero() || stop.ends.Before(first.ends) {
			first = stop
		}
	}
	switch {
	case !first.ends.IsZero():
		return m.behind(first), earlier(first.ends, m.Expires)
	case worst != "":
		return because(worst), m.Until()
	case m.Pin != "":
		return because("wait_identity"), m.Until()
	case m.Channel == Email:
		return because("no_mail_route"), m.Until()
	default:
		return because("no_route"), m.Until()
	}
}

// behind says in which way a limit keeps m.
func (m *Message) behind(w wall) Reason {
	n, at := strconv.Itoa(w.limit), stamp(w.ends)
	switch {
	case !w.ends.Before(m.Expires):
		return because("limit_too_late", "time", at, "end", stamp(m.Expires))
	case w.of == recipientsPerMonth:
		return because("limit_new", "n", n, "time", at)
	case w.left() > 0:
		return because("limit_left", "n", n, "k", strconv.Itoa(w.left()), "time", at)
	}
	return because(m.limitWord(), "n", n, "time", at)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// RouteInfo is a route as people see it: its own status, and what the queue
// and persons have decided about it.
type RouteInfo struct {
	route.Status
	Pool   string `json:"pool"`
	Paused bool   `json:"paused"`
	Busy   int    `json:"busy"` // lanes with a message in hand
	// Spent is the key of the plain text for a limit that is used up; empty:
	// none is.
	Spent string `json:"spent,omitempty"`
}

func (i *RouteInfo) serves() []string { return linesOf(i.Route, i.Pool, i.Identity) }

// Plain is the key of the plain text for this route, and whether lanes take.
func (i *RouteInfo) Plain() (code string, ready bool) {
	switch {
	case i.Paused:
		return "paused", false
	case i.State == route.Ready:
		return cmpOr(i.Code, cmpOr(i.Spent, "ok")), true
	case i.Code != "":
		return i.Code, false
	case i.State == route.Starting:
		return "starting", false
	}
	return "stopped", false
}

// Routes lists all routes by name.
func (q *Queue) Routes() []RouteInfo {
	q.mu.Lock()
	runners := slices.Clone(q.runners)
	q.mu.Unlock()
	list := make([]RouteInfo, 0, len(runners))
	for _, r := range runners {
		r.mu.Lock()
		info := RouteInfo{Status: r.status, Pool: r.pool, Paused: r.paused, Busy: r.busy}
		if r.trust.refused() && info.State == route.Ready {
			info.State, info.Code = route.Hand, "sim_refused"
		}
		r.mu.Unlock()
		info.Spent = q.spent(r)
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b RouteInfo) int { return strings.Compare(a.Route, b.Route) })
	return list
}

// Route returns a route by name, for its add-on interfaces.
func (q *Queue) Route(name string) (route.Route, bool) {
	r, ok := q.runner(name)
	if !ok {
		return nil, false
	}
	return r.r, true
}

// Counts of what is alive.
type Counts struct {
	Scheduled int64 `json:"scheduled"`
	Queued    int64 `json:"queued"`
	Held      int64 `json:"held"`
	Sending   int64 `json:"sending"`
	Unknown   int64 `json:"unknown"`
	Awaiting  int64 `json:"awaiting"` // sent, and a report may still come
}

// Counts reads the counters; it costs nothing.
func (q *Queue) Counts() Counts {
	return Counts{
		Scheduled: q.slots[slotScheduled].Load(), Queued: q.slots[slotQueued].Load(), Held: q.slots[slotHeld].Load(),
		Sending: q.slots[slotSending].Load(), Unknown: q.slots[slotUnknown].Load(), Awaiting: q.slots[slotAwaiting].Load(),
	}
}

// Oldest returns the message that has been due longest and is still queued:
// nil when the line is empty.
func (q *Queue) Oldest() (m *Message, err error) {
	err = q.db.View(func(tx *store.Tx) error {
		var line []byte
		var best time.Time
		var bestID []byte
		for { // one seek per line and rank
			var key, id []byte
			for k, v := range byDue.Keys(tx, line) {
				key, id = bytes.Clone(k), bytes.Clone(v)
				break
			}
			if key == nil {
				break
			}
			prefix := linePrefix(key)
			if due, _, _ := dueOf(key, prefix); bestID == nil || due.Before(best) {
				best, bestID = due, id
			}
			if line = store.End(prefix); line == nil {
				break
			}
		}
		if bestID == nil {
			return nil
		}
		m, err = messages.Get(tx, bestID)
		return err
	})
	return m, err
}

// Gone: the events asked for are no longer kept.
type Gone struct{ First uint64 }

func (g *Gone) Error() string {
	return fmt.Sprintf("events before number %d are no longer kept; go on from there", g.First)
}

// Events returns what happened after event number n, oldest first, at most
// limit of them (default and maximum 1000). After 0 begins with the oldest that
// is kept. Numbers may be missing where a message was erased. Error: *Gone, when
// n lies before what is kept.
func (q *Queue) Events(n uint64, limit int) (list []Event, err error) {
	if limit <= 0 || limit > maxList {
		limit = maxList
	}
	err = q.db.View(func(tx *store.Tx) error {
		for first, err := range events.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if n+1 < first.Seq && n != 0 {
				return &Gone{First: first.Seq}
			}
			break
		}
		if last := q.LastEvent(); last > n {
			list = make([]Event, 0, min(uint64(limit), last-n))
		}
		room := func() *Event {
			list = append(list, Event{})
			return &list[len(list)-1]
		}
		for _, err := range events.ScanInto(tx, seqKey(n+1), room) {
			if err != nil {
				return err
			}
			if len(list) == limit {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// LastEvent is the number of the newest event.
func (q *Queue) LastEvent() uint64 { return q.lastEvent.Load() }
