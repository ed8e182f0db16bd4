// Package pulse remembers the last 24 hours of what passes: how long the line
// was, and how good the signal of each modem.
//
// It takes one sample a minute and keeps them in memory: a chart of yesterday
// is not worth a write to the disk. It promises that the memory is bounded and
// that a minute in which nothing was known stays a gap.
//
// It imports queue.
package pulse

import (
	"context"
	"sync"
	"time"

	"tillpost/queue"
)

const (
	Each    = time.Minute // between two samples
	Samples = 24 * 60
	// mostWays whose signal is remembered; names of ways that went stay until
	// there are too many.
	mostWays = 64
)

// Unknown stands where nothing was known.
const Unknown = -1 << 15

// Pulse follows one queue. Create it with New and run it.
type Pulse struct {
	queue *queue.Queue

	mu    sync.Mutex
	depth ring
	ways  map[string]*ring // signal in dBm, by name of the way out
}

// ring is the last Samples values, the newest at next-1.
type ring struct {
	values [Samples]int32
	next   int
	filled int
}

// New makes a Pulse that knows nothing yet.
func New(q *queue.Queue) *Pulse { return &Pulse{queue: q, ways: map[string]*ring{}} }

// Run takes samples until ctx ends.
func (p *Pulse) Run(ctx context.Context) {
	tick := time.NewTicker(Each)
	defer tick.Stop()
	for {
		p.Sample()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sample takes one sample; Run does so every minute.
func (p *Pulse) Sample() {
	c, ways := p.queue.Counts(), p.queue.Routes()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.depth.add(int32(min(c.Queued+c.Sending, 1<<30)))
	now := map[string]int32{}
	for _, w := range ways {
		if w.Kind != "modem" {
			continue
		}
		now[w.Route] = Unknown
		if w.Signal != nil {
			now[w.Route] = int32(*w.Signal)
		}
		if p.ways[w.Route] == nil {
			if len(p.ways) >= mostWays {
				clear(p.ways)
			}
			p.ways[w.Route] = &ring{}
		}
	}
	for name, r := range p.ways {
		value, here := now[name]
		if !here {
			value = Unknown
		}
		r.add(value)
	}
}

func (r *ring) add(v int32) {
	r.values[r.next] = v
	r.next = (r.next + 1) % Samples
	r.filled = min(r.filled+1, Samples)
}

// Depth is the length of the line in n pieces of the last 24 hours, oldest
// first: the longest in each piece, Unknown where nothing was known.
func (p *Pulse) Depth(n int) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.depth.pieces(n, func(a, b int32) bool { return a > b })
}

// Signal of a way out in the same way: the weakest in each piece, in dBm.
func (p *Pulse) Signal(name string, n int) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.ways[name]
	if r == nil {
		r = &ring{}
	}
	return r.pieces(n, func(a, b int32) bool { return a < b })
}

// pieces cuts the day into n, and takes of each the value that is worse than
// the others.
func (r *ring) pieces(n int, worse func(a, b int32) bool) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = Unknown
		for at := i * Samples / n; at < (i+1)*Samples/n; at++ {
			if at < Samples-r.filled {
				continue
			}
			if v := r.values[(r.next+at)%Samples]; v != Unknown && (out[i] == Unknown || worse(v, int32(out[i]))) {
				out[i] = int(v)
			}
		}
	}
	return out
}
