package queue

import (
	"bytes"
	"slices"
	"time"

	"tillpost/queue/store"
)

// What people see of the line: who stands in it by right of way, when it will
// be empty, and what a route has in hand.

// Line is what is queued, of all pools together.
type Line struct {
	Ranks []Rank // in the order in which they are served; those that are empty are left out
	// Empty is when all of it has left, at the pace the routes have now: zero
	// if nobody can say.
	Empty time.Time
}

// Rank is one right of way: urgent first, whatever its class; then
// transactional before marketing; then by priority.
type Rank struct {
	Class    Class
	Priority int // 3: of any class
	N        int
	More     bool     // N is only as far as was counted
	Oldest   *Message // that has been due longest
}

// countRank messages of a rank are counted. Where one alone has more, it has
// what the others leave of all that are queued.
const countRank = 5000

// classOf a rank and its priority; the reverse of Message.rank.
func classOf(rank int) (Class, int) {
	switch {
	case rank == 0:
		return Transactional, 3
	case rank <= 3:
		return Transactional, 3 - rank
	}
	return Marketing, 6 - rank
}

// Line reads the line. It costs a few seeks, and a walk over at most countRank
// keys for each rank of each pool.
func (q *Queue) Line() (Line, error) {
	var of [ranks]struct {
		n    int
		more bool
		due  time.Time
		id   []byte
	}
	pools := map[string]int{} // how many wait in each
	var list Line
	err := q.db.View(func(tx *store.Tx) error {
		var from []byte
		for { // one seek per pool and rank
			var prefix []byte
			n, more := 0, false
			for key, id := range byDue.Keys(tx, from) {
				if prefix == nil {
					prefix = bytes.Clone(linePrefix(key))
					r := &of[prefix[len(prefix)-1]]
					if due, _, _ := dueOf(key, prefix); r.id == nil || due.Before(r.due) {
						r.due, r.id = due, bytes.Clone(id)
					}
				}
				if !bytes.HasPrefix(key, prefix) {
					break
				}
				if n == countRank {
					more = true
					break
				}
				n++
			}
			if prefix == nil {
				break
			}
			r := &of[prefix[len(prefix)-1]]
			r.n, r.more = r.n+n, r.more || more
			pools[string(prefix[:len(prefix)-2])] += n
			if from = store.End(prefix); from == nil {
				break
			}
		}
		for rank := range of {
			if of[rank].id == nil {
				continue
			}
			r := Rank{N: of[rank].n, More: of[rank].more}
			r.Class, r.Priority = classOf(rank)
			var err error
			if r.Oldest, err = messages.Get(tx, of[rank].id); err != nil {
				return err
			}
			if r.Oldest == nil { // it could not be read, and is being set aside
				continue
			}
			list.Ranks = append(list.Ranks, r)
		}
		return nil
	})
	if err != nil {
		return Line{}, err
	}
	list.fill(int(q.slots[slotQueued].Load()))
	list.Empty = q.emptyBy(pools, list.Ranks)
	return list, nil
}

// fill gives the only rank that was not counted to its end what the others
// leave of all.
func (l *Line) fill(all int) {
	at, rest := -1, all
	for i, r := range l.Ranks {
		switch {
		case !r.More:
			rest -= r.N
		case at >= 0:
			return // two of them: nobody knows which has how many
		default:
			at = i
		}
	}
	if at >= 0 && rest > l.Ranks[at].N {
		l.Ranks[at].N, l.Ranks[at].More = rest, false
	}
}

// emptyBy is when the last pool is empty.
func (q *Queue) emptyBy(pools map[string]int, list []Rank) (last time.Time) {
	if slices.ContainsFunc(list, func(r Rank) bool { return r.More }) {
		return time.Time{}
	}
	if len(pools) == 1 { // also where not all of it was counted
		for pool := range pools {
			pools[pool] = 0
			for _, r := range list {
				pools[pool] += r.N
			}
		}
	}
	for pool, n := range pools {
		by := q.FreeBy(pool, n)
		if by.IsZero() {
			return time.Time{}
		}
		if by.After(last) {
			last = by
		}
	}
	return last
}

// InHand returns the message that a route has had in hand longest: nil if it
// has none.
func (q *Queue) InHand(name string) *Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var first *Message
	for _, f := range q.flights {
		if f.m.Route == name && (first == nil || f.m.Took.Before(first.Took)) {
			first = f.m
		}
	}
	if first == nil {
		return nil
	}
	seen := *first
	return &seen
}
