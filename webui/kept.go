package webui

import (
	"sync"
	"time"
)

// kept holds what was last read of things that take a while to read: a campaign
// of ten thousand, what a rule will do to a register of a hundred thousand. A
// page that is followed asks four times a second, and reading may take a
// twentieth of the time at most.
type kept[T any] struct {
	mu   sync.Mutex
	last map[string]*reading[T]
}

type reading[T any] struct {
	value T
	at    time.Time
	took  time.Duration
	again bool // somebody will look once more
}

const (
	keptShare  = 20
	keptLeast  = 200 * time.Millisecond
	keptForget = time.Minute // what nobody asks for any more
)

// get returns what read says, or said a little while ago. Then wake is called
// once when it may be read again, so that what changed meanwhile comes to be
// seen; nil: nobody waits for it. One reads at a time.
func (k *kept[T]) get(name string, wake func(), read func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.last[name]; r != nil {
		if rest := time.Until(r.at.Add(max(keptLeast, keptShare*r.took))); rest > 0 {
			if wake != nil && !r.again {
				r.again = true
				time.AfterFunc(rest, wake)
			}
			return r.value, nil
		}
	}
	begun := time.Now()
	value, err := read()
	if err != nil {
		delete(k.last, name)
		return value, err
	}
	if k.last == nil {
		k.last = map[string]*reading[T]{}
	}
	for other, old := range k.last {
		if begun.Sub(old.at) > keptForget {
			delete(k.last, other)
		}
	}
	k.last[name] = &reading[T]{value: value, at: time.Now(), took: time.Since(begun)}
	return value, nil
}

// forget lets the next look be a new one: somebody has just changed it.
func (k *kept[T]) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.last, name)
}
