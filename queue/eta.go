package queue

import (
	"bytes"
	"slices"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

// An honest estimate of when a message leaves: what stands before it, by how
// fast the routes that serve its line carry one message now, within their
// limits. Nobody is promised anything: a route that is not ready has no speed.

const (
	// paceShare is how much the newest message counts in a route's pace.
	paceShare = 0.2
	// countAhead messages before one are counted; where there are more, all
	// that are queued are taken to be.
	countAhead = 20_000
)

// paced notes how long a message was in the hands of the route.
func (r *runner) paced(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pace == 0 {
		r.pace = took
	}
	r.pace += time.Duration(paceShare * float64(took-r.pace))
}

// speed is how many messages a second a route carries now: 0 if that is not
// known, or it does not take any. Limits by the minute and the hour slow it.
func (r *runner) speed() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.State != route.Ready || r.paused || r.trust.refused() || r.pace <= 0 {
		return 0
	}
	s := float64(max(1, r.status.Lanes)) / r.pace.Seconds()
	if n := r.quota.PartsPerMinute; n > 0 {
		s = min(s, float64(n)/60)
	}
	if n := r.quota.PartsPerHour; n > 0 {
		s = min(s, float64(n)/3600)
	}
	return s
}

// ETA estimates when m leaves, with so many before it: -1 takes all that are
// queued. Zero: it cannot be said, or m waits for nothing of the kind.
func (q *Queue) ETA(m *Message, ahead int) time.Time {
	switch m.State {
	case Scheduled:
		return m.At
	case Held:
		return m.Due
	case Queued:
	default:
		return time.Time{}
	}
	now := q.now()
	due := now
	if m.Due.After(now) {
		due = m.Due // it waits for its own time; by then the line is another
	}
	if ahead < 0 {
		ahead = int(q.slots[slotQueued].Load())
	}
	if free := q.FreeBy(m.lane(), ahead); free.IsZero() || free.After(due) {
		return free
	}
	return due
}

// FreeBy estimates when so many messages in a line have left: zero if nobody
// serves it now, or nobody's pace is known.
func (q *Queue) FreeBy(line string, n int) time.Time {
	q.mu.Lock()
	all := slices.Clone(q.runners)
	q.mu.Unlock()
	speed := 0.0
	for _, r := range all {
		if slices.Contains(r.serves(), line) {
			speed += r.speed()
		}
	}
	if speed == 0 {
		return time.Time{}
	}
	return q.now().Add(time.Duration(float64(n) / speed * float64(time.Second)))
}

// Ahead counts the messages that go before m in its line: -1 if they are too
// many to count.
func (q *Queue) Ahead(m *Message) (n int, err error) {
	if m.State != Queued {
		return 0, nil
	}
	own, now := byDueKey(m), q.now()
	err = q.db.View(func(tx *store.Tx) error {
		for rank := range m.rank() + 1 {
			prefix := laneKey(m.lane(), rank)
			for key := range byDue.Keys(tx, prefix) {
				if !bytes.HasPrefix(key, prefix) || bytes.Equal(key, own) {
					break
				}
				if due, _, _ := dueOf(key, prefix); due.After(now) {
					break
				}
				if n++; n > countAhead {
					n = -1
					return nil
				}
			}
		}
		return nil
	})
	return n, err
}
