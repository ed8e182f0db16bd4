package routetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"tillpost/queue/route"
)

// partSentences are about long messages, which are truthful in the middle.
var partSentences = []sentence{
	{name: "a long message calls Progress after each part but the last", needs: parts, test: func(t *testing.T, b *bench) {
		out := b.message("7", "one ", "two ", "three")
		out.Attempt = 3
		var offered []int // how many parts the network had seen at each call
		b.sink.onProgress(func(string, int, route.Part) error {
			offered = append(offered, len(b.Seen()))
			return nil
		})
		v := b.send(t.Context(), out)
		b.carried(v, out)
		if !slices.Equal(offered, []int{1, 2}) {
			t.Errorf("at the calls of Progress the network had seen %v parts, want 1 and 2", offered)
		}
		for i, got := range b.sink.progressed() {
			p := got.Part
			if got.ID != "7" || got.Attempt != 3 || p.N != i+1 || p.Of != 3 || p.State != route.PartSent || p.Ref != v.receipt.Parts[i].Ref || p.Identity == "" {
				t.Errorf("call %d of Progress: %+v", i+1, got)
			}
		}
		for i, s := range b.Seen() {
			if s.N != i+1 || s.Of != 3 || s.Ref != 42 || s.To != b.To || s.Text != out.Segments[i].Text {
				t.Errorf("part %d arrived as %+v", i+1, s)
			}
		}
	}},
	{name: "a long message stops when Progress fails", needs: parts, test: func(t *testing.T, b *bench) {
		full := errors.New("the disk is full")
		b.sink.onProgress(func(string, int, route.Part) error { return full })
		v := b.send(t.Context(), b.message("1", "one ", "two ", "three"))
		if v.err == nil {
			t.Error("Send says that all is well")
		}
		if got := b.numbers(); !slices.Equal(got, []int{1}) {
			t.Errorf("the network saw parts %v", got)
		}
		if ps := v.receipt.Parts; len(ps) != 1 || ps[0].N != 1 || ps[0].State != route.PartSent || ps[0].Ref == "" {
			t.Errorf("the receipt has %+v, want the part that left", ps)
		}
	}},
	{name: "parts in Done are not sent again", needs: parts, test: func(t *testing.T, b *bench) {
		out := b.message("1", "one ", "two ", "three")
		out.Attempt = 2
		out.Done = []route.Part{
			{N: 1, Of: 3, State: route.PartSent, Ref: "9", Identity: "x"},
			{N: 2, Of: 3, State: route.PartSent, Ref: "10", Identity: "x"},
		}
		b.carried(b.send(t.Context(), out), out)
		seen := b.Seen()
		if len(seen) != 1 || seen[0].N != 3 || seen[0].Of != 3 || seen[0].Ref != 42 || seen[0].Text != "three" {
			t.Errorf("the network saw %+v, want part 3 of 3 alone", seen)
		}
		if got := b.sink.progressed(); len(got) > 0 {
			t.Errorf("Progress was called for the last part: %+v", got)
		}
	}},
	{name: "after an unknown part no later part is sent", needs: parts, steps: []Step{Swallow}, test: func(t *testing.T, b *bench) {
		b.Script(Accept, Swallow)
		ctx, cancel := context.WithTimeout(t.Context(), b.Patience)
		defer cancel()
		v := b.send(ctx, b.message("1", "one ", "two ", "three"))
		b.failed(v, route.Unknown)
		if got := b.numbers(); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("the network saw parts %v", got)
		}
		states(t, v.receipt.Parts, route.PartSent, route.PartUnknown)
	}},
	{name: "after a part that was refused no later part is sent", needs: parts, steps: []Step{Refuse}, test: func(t *testing.T, b *bench) {
		b.Script(Accept, Refuse)
		v := b.send(t.Context(), b.message("1", "one ", "two ", "three"))
		b.failed(v, route.Reject)
		if got := b.numbers(); slices.Contains(got, 3) {
			t.Errorf("the network saw parts %v", got)
		}
		states(t, v.receipt.Parts, route.PartSent, route.PartRefused)
	}},
	{name: "a refused part that was Busy can be sent by the next attempt", needs: parts, steps: []Step{Busy}, test: func(t *testing.T, b *bench) {
		b.Script(Accept, Busy)
		out := b.message("1", "one ", "two ", "three")
		v := b.send(t.Context(), out)
		b.failed(v, route.Retry)
		states(t, v.receipt.Parts, route.PartSent, route.PartRefused)
		out.Attempt, out.Done = 2, v.receipt.Parts[:1]
		b.carried(b.sendWhenReady(out), out)
		var carried []int
		for i, n := range b.numbers() {
			if i == 1 && n == 2 {
				continue // the one that was refused
			}
			carried = append(carried, n)
		}
		if !slices.Equal(carried, []int{1, 2, 3}) {
			t.Errorf("the network took parts %v", carried)
		}
	}},
}

// states fails unless parts 1, 2 … are in these states.
func states(t *testing.T, got []route.Part, want ...route.PartState) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("the receipt has parts %+v, want %v", got, want)
		return
	}
	for i, p := range got {
		if p.N != i+1 || p.State != want[i] || p.State == route.PartSent && p.Ref == "" {
			t.Errorf("part %d of the receipt is %+v, want %s", i+1, p, want[i])
		}
	}
}
