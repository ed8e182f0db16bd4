package smsc

import (
	"container/heap"
	"sync"
	"time"
)

// timeline does things later, in order of their time, on one goroutine.
type timeline struct {
	mu    sync.Mutex
	items plans
	n     int
	wake  chan struct{}
}

type plan struct {
	at time.Time
	n  int // of two at the same time, the older first
	do func()
}

func newTimeline() *timeline { return &timeline{wake: make(chan struct{}, 1)} }

// after plans do for later.
func (t *timeline) after(d time.Duration, do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	heap.Push(&t.items, plan{time.Now().Add(d), t.n, do})
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run does what is due until stop is closed; what is planned for later then
// never happens.
func (t *timeline) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := t.due()
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-t.wake:
		case <-stop:
			return
		}
	}
}

// due does all that is due and returns how long there is until the next.
func (t *timeline) due() time.Duration {
	for {
		t.mu.Lock()
		if len(t.items) == 0 {
			t.mu.Unlock()
			return time.Hour
		}
		if d := time.Until(t.items[0].at); d > 0 {
			t.mu.Unlock()
			return d
		}
		p := heap.Pop(&t.items).(plan)
		t.mu.Unlock()
		p.do()
	}
}

type plans []plan

func (p plans) Len() int { return len(p) }
func (p plans) Less(i, j int) bool {
	if p[i].at.Equal(p[j].at) {
		return p[i].n < p[j].n
	}
	return p[i].at.Before(p[j].at)
}
func (p plans) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *plans) Push(x any)   { *p = append(*p, x.(plan)) }
func (p *plans) Pop() any {
	old := *p
	x := old[len(old)-1]
	old[len(old)-1] = plan{}
	*p = old[:len(old)-1]
	return x
}
