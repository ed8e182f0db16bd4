package routetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tillpost/queue/route"
)

// sentences is the contract of package route, one promise each.
var sentences = slices.Concat(lifeSentences, sendSentences, partSentences, sinkSentences)

// atOnce is how long something may take that waits for nothing.
const atOnce = time.Second

// lifeSentences are about Run and Status.
var lifeSentences = []sentence{
	{name: "Run returns when ctx ends and leaves nothing behind", needs: idle, test: leavesNothing},
	{name: "Run returns when ctx ends although a Send waits", steps: []Step{Swallow}, test: func(t *testing.T, b *bench) {
		b.Script(Swallow)
		v := b.begin(t.Context(), b.message("1", "no answer"))
		b.sawParts(1)
		b.end()
		b.await(v)
		b.failed(v, route.Unknown)
	}},
	{name: "Run returns when the route can never work", needs: hopeless | idle, test: func(t *testing.T, b *bench) {
		b.run(b.Hopeless(t))
		b.finished("Run returns although its context lives", b.ended)
		if b.err == nil || errors.Is(b.err, context.Canceled) {
			t.Errorf("Run returned %v, which names no reason", b.err)
		}
	}},
	{name: "Run reconnects by itself after the link was lost", test: func(t *testing.T, b *bench) {
		for n := range 3 {
			b.Drop()
			b.eventually("the loss is published", func() bool { return b.sink.status().State != route.Ready })
			b.Connect()
			b.eventually("the route is ready again", func() bool { return b.sink.status().State == route.Ready })
			out := b.message(fmt.Sprint(n+1), "after the loss")
			b.carried(b.send(t.Context(), out), out)
		}
	}},
	{name: "every Status names the route, its kind and a known state", test: func(t *testing.T, b *bench) {
		b.Drop()
		b.eventually("the loss is published", func() bool { return b.sink.status().State != route.Ready })
		b.Connect()
		b.eventually("the route is ready again", func() bool { return b.sink.status().State == route.Ready })
		b.end()
		known := []route.State{route.Starting, route.Ready, route.Waiting, route.Hand, route.Stopped}
		for _, s := range b.sink.history() {
			if s.Route != b.Route.Name() || s.Kind == "" || !slices.Contains(known, s.State) {
				t.Errorf("a status says %+v", s)
			}
			if s.State == route.Ready && s.Identity == "" {
				t.Errorf("ready without an identity: %+v", s)
			}
		}
	}},
}

func leavesNothing(t *testing.T, b *bench) {
	// The first pipe of a process makes its poller; that is nobody's leak.
	r, w, err := os.Pipe()
	if err := errors.Join(err, r.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	running, open := goleak.IgnoreCurrent(), descriptors()
	b.start()
	out := b.message("1", "hello")
	b.carried(b.send(t.Context(), out), out)
	b.end()
	if b.err != nil && !errors.Is(b.err, context.Canceled) {
		t.Errorf("Run returned %v, want nil or the end of its context", b.err)
	}
	if err := goleak.Find(running); err != nil {
		t.Errorf("goroutines live on: %v", err)
	}
	b.eventually("the descriptors are closed", func() bool { return descriptors() <= open })
	b.failed(b.send(t.Context(), out), route.NotOffered)
}

// sendSentences are about one message of one part.
var sendSentences = []sentence{
	{name: "Send before Run is not offered, at once", needs: idle, test: func(t *testing.T, b *bench) {
		notOffered(t, b, t.Context())
	}},
	{name: "Send without a link is not offered, at once", test: func(t *testing.T, b *bench) {
		b.Drop()
		b.eventually("the loss is published", func() bool { return b.sink.status().State != route.Ready })
		notOffered(t, b, t.Context())
	}},
	{name: "Send cancelled before the first byte is not offered", test: func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		notOffered(t, b, ctx)
		out := b.message("2", "the next")
		b.carried(b.send(t.Context(), out), out)
	}},
	{name: "Send past its deadline is not offered", test: func(t *testing.T, b *bench) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		notOffered(t, b, ctx)
	}},
	{name: "Send of an accepted message names its reference and who carried it", test: func(t *testing.T, b *bench) {
		refs := make(map[string]bool)
		for n := range 3 {
			out := b.message(fmt.Sprint(n+1), fmt.Sprint("text ", n+1))
			v := b.send(t.Context(), out)
			b.carried(v, out)
			if v.receipt.Identity == "" || v.receipt.Relayed {
				t.Errorf("the receipt is %+v", v.receipt)
			}
			refs[v.receipt.Parts[0].Ref] = true
			seen := b.Seen()
			if len(seen) != n+1 || !strings.Contains(seen[n].Text, out.Text) || seen[n].To != b.To {
				t.Fatalf("after %d messages the network saw %+v", n+1, seen)
			}
		}
		if len(refs) != 3 {
			t.Errorf("3 messages have %d references", len(refs))
		}
		if got := b.sink.progressed(); len(got) > 0 {
			t.Errorf("Progress was called for messages of one part: %+v", got)
		}
	}},
	{name: "Send refused for now is Retry, in the words of the network", steps: []Step{Busy}, test: func(t *testing.T, b *bench) {
		refused(t, b, Busy, route.Retry)
	}},
	{name: "Send refused for good is Reject, in the words of the network", steps: []Step{Refuse}, test: func(t *testing.T, b *bench) {
		refused(t, b, Refuse, route.Reject)
	}},
	{name: "Send whose answer never comes is Unknown before its deadline", steps: []Step{Swallow}, test: func(t *testing.T, b *bench) {
		b.Script(Swallow)
		allowed := b.Patience / 2
		ctx, cancel := context.WithTimeout(t.Context(), allowed)
		defer cancel()
		v := b.send(ctx, b.message("1", "no answer"))
		b.failed(v, route.Unknown)
		if v.took > allowed+atOnce/2 {
			t.Errorf("the verdict took %v, allowed were %v", v.took, allowed)
		}
		onceWithoutDoubt(t, b)
	}},
	{name: "Send whose answer never comes is Unknown when the route's patience ends", steps: []Step{Swallow}, test: func(t *testing.T, b *bench) {
		b.Script(Swallow)
		v := b.send(t.Context(), b.message("1", "no answer"))
		b.failed(v, route.Unknown)
		if v.took > b.Patience+atOnce {
			t.Errorf("the verdict took %v, the route's patience is %v", v.took, b.Patience)
		}
		onceWithoutDoubt(t, b)
	}},
	{name: "Send whose link breaks after the last byte is Unknown", steps: []Step{Cut}, test: func(t *testing.T, b *bench) {
		b.Script(Cut)
		v := b.send(t.Context(), b.message("1", "no answer"))
		b.failed(v, route.Unknown)
		b.Connect()
		b.eventually("the route is ready again", func() bool { return b.sink.status().State == route.Ready })
		onceWithoutDoubt(t, b)
	}},
	{name: "Send cancelled after the first byte goes on to its verdict", steps: []Step{Hold}, test: func(t *testing.T, b *bench) {
		b.Script(Hold)
		ctx, cancel := context.WithCancel(t.Context())
		out := b.message("1", "in flight")
		v := b.begin(ctx, out)
		b.sawParts(1)
		cancel()
		b.Release()
		b.await(v)
		b.carried(v, out)
	}},
	{name: "a late answer is not credited to the next message", steps: []Step{Hold}, test: func(t *testing.T, b *bench) {
		b.Script(Hold, Accept)
		ctx, cancel := context.WithTimeout(t.Context(), b.Patience/2)
		defer cancel()
		b.failed(b.send(ctx, b.message("1", "the first")), route.Unknown)
		b.Release()
		b.eventually("the route is ready", func() bool { return b.sink.status().State == route.Ready })
		out := b.message("2", "the second")
		b.carried(b.sendWhenReady(out), out)
		if seen := b.Seen(); len(seen) != 2 || !strings.Contains(seen[1].Text, "the second") {
			t.Errorf("the network saw %+v", seen)
		}
	}},
	{name: "as many Sends at once as there are lanes", test: func(t *testing.T, b *bench) {
		lanes := max(b.sink.status().Lanes, 1)
		outs, verdicts := make([]route.Outbound, lanes), make([]*verdict, lanes)
		for n := range lanes {
			outs[n] = b.message(fmt.Sprint(n+1), fmt.Sprintf("lane %d.", n+1))
			verdicts[n] = b.begin(t.Context(), outs[n])
		}
		refs := make(map[string]bool)
		for n, v := range verdicts {
			b.await(v)
			b.carried(v, outs[n])
			refs[v.receipt.Parts[0].Ref] = true
		}
		if seen := b.Seen(); len(seen) != lanes || len(refs) != lanes {
			t.Errorf("%d lanes: the network saw %d messages under %d references", lanes, len(seen), len(refs))
		}
	}},
}

func notOffered(t *testing.T, b *bench, ctx context.Context) {
	t.Helper()
	v := b.send(ctx, b.message("1", "never"))
	b.failed(v, route.NotOffered)
	if v.took > atOnce {
		t.Errorf("the verdict took %v", v.took)
	}
	if len(v.receipt.Parts) > 0 {
		t.Errorf("the receipt has parts: %+v", v.receipt)
	}
	b.untouched()
}

// refused has one message refused, and the next accepted: a refusal is about
// the message, not the route.
func refused(t *testing.T, b *bench, step Step, want route.Fate) {
	t.Helper()
	b.Script(step)
	v := b.send(t.Context(), b.message("1", "refused"))
	if e := b.failed(v, want); e.Code == "" {
		t.Errorf("the verdict has no code: %+v", e)
	}
	for _, p := range v.receipt.Parts {
		if p.State != route.PartRefused {
			t.Errorf("a part of the receipt is %+v", p)
		}
	}
	out := b.message("2", "the next")
	b.carried(b.sendWhenReady(out), out)
}

// onceWithoutDoubt: whatever was lost, the message went out once, and the next
// one is carried.
func onceWithoutDoubt(t *testing.T, b *bench) {
	t.Helper()
	out := b.message("2", "the next")
	b.carried(b.sendWhenReady(out), out)
	if seen := b.Seen(); len(seen) != 2 || !strings.Contains(seen[1].Text, "the next") {
		t.Errorf("the network saw %+v", seen)
	}
}

// sendWhenReady sends as a lane does: it waits for the route where that has to
// recover, and tries again what was not offered.
func (b *bench) sendWhenReady(out route.Outbound) (v *verdict) {
	b.t.Helper()
	b.eventually("the route carries messages again", func() bool {
		if b.sink.status().State != route.Ready {
			return false
		}
		v = b.send(context.Background(), out)
		e, ok := errors.AsType[*route.Error](v.err)
		return !ok || e.Fate != route.NotOffered
	})
	return v
}
