package sim

import (
	"sync"
	"time"
)

// timers runs functions later and can account for all of them: stop forgets
// those that wait and waits for those that run.
type timers struct {
	mu      sync.Mutex
	stopped bool
	waiting map[*time.Timer]struct{}
	running sync.WaitGroup
}

// after runs f in a goroutine of its own when d has passed. After stop it does nothing.
func (t *timers) after(d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if t.waiting == nil {
		t.waiting = make(map[*time.Timer]struct{})
	}
	t.running.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		defer t.running.Done()
		t.mu.Lock()
		delete(t.waiting, timer)
		t.mu.Unlock()
		f()
	})
	t.waiting[timer] = struct{}{}
}

// stop must not be called with a lock that one of the functions takes.
func (t *timers) stop() {
	t.mu.Lock()
	t.stopped = true
	for timer := range t.waiting {
		if timer.Stop() {
			t.running.Done()
		}
	}
	clear(t.waiting)
	t.mu.Unlock()
	t.running.Wait()
}

// restart makes a stopped set usable again.
func (t *timers) restart() {
	t.mu.Lock()
	t.stopped = false
	t.mu.Unlock()
}
