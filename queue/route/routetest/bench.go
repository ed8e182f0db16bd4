package routetest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tillpost/queue/route"
)

// bench runs the route of a harness and hands messages to it.
type bench struct {
	Harness
	t     *testing.T
	sink  *sink
	stop  context.CancelFunc // ends Run
	ended chan struct{}      // closed when Run returned
	err   error              // what it returned
}

func newBench(t *testing.T, h Harness) *bench {
	if h.To == "" {
		h.To = "+31612345678"
	}
	if h.Patience == 0 {
		h.Patience = 2 * time.Second
	}
	if h.Within == 0 {
		h.Within = 10 * time.Second
	}
	return &bench{Harness: h, t: t, sink: &sink{}}
}

// start runs the route until the test ends, and waits until it is ready.
func (b *bench) start() {
	b.t.Helper()
	b.run(b.Route)
	b.eventually("the route is ready", func() bool { return b.sink.status().State == route.Ready })
}

func (b *bench) run(r route.Route) {
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.ended = stop, make(chan struct{})
	go func() {
		defer close(b.ended)
		b.err = r.Run(ctx, b.sink)
	}()
	b.t.Cleanup(b.end)
}

// end ends Run as the daemon does, and waits for it.
func (b *bench) end() {
	b.t.Helper()
	b.stop()
	b.finished("Run returns after its context ended", b.ended)
}

// eventually waits until cond holds, at most Within.
func (b *bench) eventually(what string, cond func() bool) {
	b.t.Helper()
	const step = 2 * time.Millisecond
	for deadline := time.Now().Add(b.Within); !cond(); time.Sleep(step) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not within %v: %s; the last status was %+v", b.Within, what, b.sink.status())
		}
	}
}

// finished waits until done is closed, at most Within.
func (b *bench) finished(what string, done <-chan struct{}) {
	b.t.Helper()
	select {
	case <-done:
	case <-time.After(b.Within):
		b.t.Fatalf("not within %v: %s", b.Within, what)
	}
}

// message is an Outbound of so many parts.
func (b *bench) message(id string, texts ...string) route.Outbound {
	out := route.Outbound{
		ID: id, Attempt: 1, To: b.To,
		Alphabet: route.GSM7,
		Text:     strings.Join(texts, ""), Subject: "Message " + id,
		Priority: 1, Report: true,
	}
	for _, text := range texts {
		out.Segments = append(out.Segments, route.Segment{Text: text, Units: len(text)})
	}
	if len(texts) > 1 {
		out.Ref, out.RefBits = 42, 8
	}
	return out
}

// verdict is what a Send came to.
type verdict struct {
	receipt route.Receipt
	err     error
	took    time.Duration
	done    chan struct{} // closed when the rest is there
}

// send offers out and waits for the verdict, at most Patience and Within.
func (b *bench) send(ctx context.Context, out route.Outbound) *verdict {
	b.t.Helper()
	v := b.begin(ctx, out)
	b.await(v)
	return v
}

// begin offers out.
func (b *bench) begin(ctx context.Context, out route.Outbound) *verdict {
	v := &verdict{done: make(chan struct{})}
	begun := time.Now()
	go func() {
		defer close(v.done)
		v.receipt, v.err = b.Route.Send(ctx, out)
		v.took = time.Since(begun)
	}()
	return v
}

func (b *bench) await(v *verdict) {
	b.t.Helper()
	select {
	case <-v.done:
	case <-time.After(b.Patience + b.Within):
		b.t.Fatalf("Send has no verdict after %v", b.Patience+b.Within)
	}
}

// carried fails unless v says that every part of out is with the network.
func (b *bench) carried(v *verdict, out route.Outbound) {
	b.t.Helper()
	if v.err != nil {
		b.t.Fatalf("message %s: %v", out.ID, v.err)
	}
	todo := out.Todo()
	if b.Whole {
		todo = []int{1}
	}
	if len(v.receipt.Parts) != len(todo) {
		b.t.Fatalf("message %s: the receipt has %d parts, want %d: %+v", out.ID, len(v.receipt.Parts), len(todo), v.receipt)
	}
	for i, p := range v.receipt.Parts {
		if p.N != todo[i] || p.State != route.PartSent || p.Ref == "" || p.Identity == "" {
			b.t.Errorf("message %s: part %d of the receipt is %+v, want number %d, sent, with reference and identity", out.ID, i+1, p, todo[i])
		}
	}
}

// failed fails unless v is the fate wanted, in words.
func (b *bench) failed(v *verdict, want route.Fate) *route.Error {
	b.t.Helper()
	e, ok := errors.AsType[*route.Error](v.err)
	if !ok {
		if v.err == nil || route.FateOf(v.err, want == route.Unknown) != want {
			b.t.Fatalf("the verdict is %v, want %s", v.err, want)
		}
		return &route.Error{Fate: want, Text: v.err.Error()}
	}
	if e.Fate != want {
		b.t.Fatalf("the verdict is %s (%v), want %s", e.Fate, e, want)
	}
	if e.Text == "" {
		b.t.Errorf("the verdict %s says nothing", e.Fate)
	}
	return e
}

// untouched fails if the network saw anything.
func (b *bench) untouched() {
	b.t.Helper()
	if seen := b.Seen(); len(seen) > 0 {
		b.t.Errorf("the network saw %+v", seen)
	}
}

// numbers returns the part numbers of what the network saw.
func (b *bench) numbers() (all []int) {
	for _, s := range b.Seen() {
		all = append(all, s.N)
	}
	return all
}

// sawParts waits until the network has seen n parts.
func (b *bench) sawParts(n int) {
	b.t.Helper()
	b.eventually("the network sees the part", func() bool { return len(b.Seen()) >= n })
}

// retell has the network tell again.
func (b *bench) retell() {
	if b.Again != nil {
		b.Again()
	}
}

// checkLeaks fails the test if at its very end a goroutine lives that did not
// live before.
func checkLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Errorf("something was left running: %v", err)
		}
	})
}

// descriptors counts the open ones, or returns 0 where nobody knows.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
