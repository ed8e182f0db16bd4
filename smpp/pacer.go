package smpp

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"
)

// What throttling does to the rate. The values are those providers ask for:
// pause a second, come back at half the speed, creep up again.
const (
	throttlePause = time.Second
	recoverEvery  = time.Minute
	recoverBy     = 1.1
	slowest       = 1.0                   // parts per second
	catchUp       = 20 * time.Millisecond // unused time that may be made up for: timers are coarse
)

// pacer gives turns to submit: not more than a rate of parts per second, and
// in the order of tickets, so that a message which was throttled goes again
// before those that came after it.
type pacer struct {
	ceiling   float64 // parts per second as configured; 0: no limit
	recovered func()  // called when throttling is forgotten; must not call back

	mu      sync.Mutex
	tickets uint64
	rate    float64   // in force; 0: no limit
	lift    float64   // with no ceiling: the rate at which the limit is forgotten again
	raised  time.Time // when rate last changed
	next    time.Time // earliest next turn
	paused  time.Time // end of the pause after a throttling
	waiting turns

	count int // turns since began: what the rate was when nobody limited it
	last  int // turns in the second before
	began time.Time
}

func newPacer(perSecond int, recovered func()) *pacer {
	return &pacer{ceiling: float64(perSecond), rate: float64(perSecond), recovered: recovered}
}

// ticket is a place in the order of all sends. A Send keeps its ticket.
func (p *pacer) ticket() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tickets++
	return p.tickets
}

// wait returns when the holder of the ticket may submit one part, or when ctx
// or the session (gone) ends.
func (p *pacer) wait(ctx context.Context, gone <-chan struct{}, ticket uint64) error {
	p.mu.Lock()
	now := time.Now()
	if len(p.waiting) == 0 && !now.Before(p.next) {
		p.took(now)
		p.mu.Unlock()
		return nil
	}
	t := &turn{ticket: ticket, first: make(chan struct{}, 1)}
	heap.Push(&p.waiting, t)
	p.nudge()
	p.mu.Unlock()

	// Only the first in line keeps the time; the others wait to become first.
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		select {
		case <-t.first:
		case <-timer.C:
		case <-ctx.Done():
			p.leave(t)
			return context.Cause(ctx)
		case <-gone:
			p.leave(t)
			return errNotBound
		}
		p.mu.Lock()
		now := time.Now()
		switch {
		case p.waiting[0] != t:
		case now.Before(p.next):
			timer.Reset(p.next.Sub(now))
		default:
			p.took(now)
			heap.Pop(&p.waiting)
			p.nudge()
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
	}
}

// leave takes t out of the line.
func (p *pacer) leave(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	heap.Remove(&p.waiting, t.at)
	p.nudge()
}

// nudge tells the first in line that it is the first.
func (p *pacer) nudge() {
	if len(p.waiting) == 0 {
		return
	}
	select {
	case p.waiting[0].first <- struct{}{}:
	default:
	}
}

// took books one turn.
func (p *pacer) took(now time.Time) {
	if now.Sub(p.began) >= time.Second {
		p.last = p.count
		if now.Sub(p.began) >= 2*time.Second {
			p.last = 0
		}
		p.count, p.began = 0, now
	}
	p.count++
	if p.rate == 0 {
		return
	}
	for now.Sub(p.raised) >= recoverEvery && p.rate != p.ceiling {
		p.rate *= recoverBy
		p.raised = p.raised.Add(recoverEvery)
		if p.ceiling > 0 && p.rate >= p.ceiling || p.ceiling == 0 && p.rate >= p.lift {
			p.rate = p.ceiling
			p.recovered()
		}
	}
	if p.rate == 0 {
		return
	}
	if late := now.Add(-catchUp); p.next.Before(late) {
		p.next = late
	}
	p.next = p.next.Add(time.Duration(float64(time.Second) / p.rate))
}

// throttled books that the SMSC refused a part because of our speed. It
// returns the new rate; ok is false for the answers to what was already in
// flight when the pause began, which are the same event.
func (p *pacer) throttled() (perSecond float64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.paused) {
		return p.rate, false
	}
	if p.rate == 0 {
		p.lift = float64(max(p.last, p.count, 2))
		p.rate = p.lift
	}
	p.rate = max(p.rate/2, slowest)
	p.raised = now
	p.paused = now.Add(throttlePause)
	p.next = p.paused
	return p.rate, true
}

// turn is one waiting sender.
type turn struct {
	ticket uint64
	first  chan struct{} // a token: you are the first in line
	at     int           // place in the heap
}

// turns is a heap by ticket.
type turns []*turn

func (q turns) Len() int           { return len(q) }
func (q turns) Less(i, j int) bool { return q[i].ticket < q[j].ticket }
func (q turns) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].at, q[j].at = i, j }
func (q *turns) Push(x any)        { t := x.(*turn); t.at = len(*q); *q = append(*q, t) }
func (q *turns) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return t
}
