package route_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"tillpost/queue/route"
)

func TestFateOf(t *testing.T) {
	labelled := func(f route.Fate) error { return &route.Error{Fate: f, Text: "said so"} }
	for _, c := range []struct {
		name            string
		err             error
		before, offered route.Fate // before and after the first byte left
	}{
		{"labelled not offered", labelled(route.NotOffered), route.NotOffered, route.NotOffered},
		{"labelled retry", labelled(route.Retry), route.Retry, route.Retry},
		{"labelled reject", labelled(route.Reject), route.Reject, route.Reject},
		{"labelled unknown", labelled(route.Unknown), route.Unknown, route.Unknown},
		{"a label inside", fmt.Errorf("lane 1: %w", labelled(route.Reject)), route.Reject, route.Reject},
		{"a label beside others", errors.Join(io.EOF, labelled(route.Retry)), route.Retry, route.Retry},
		{"no label", io.ErrUnexpectedEOF, route.NotOffered, route.Unknown},
		{"the end of a context", context.DeadlineExceeded, route.NotOffered, route.Unknown},
	} {
		if got := route.FateOf(c.err, false); got != c.before {
			t.Errorf("%s, before the first byte: %s, want %s", c.name, got, c.before)
		}
		if got := route.FateOf(c.err, true); got != c.offered {
			t.Errorf("%s, after it: %s, want %s", c.name, got, c.offered)
		}
	}
}

func TestErrorSpeaksInThePeersWords(t *testing.T) {
	cause := errors.New("read: connection reset")
	for _, c := range []struct {
		err  *route.Error
		want string
	}{
		{&route.Error{Code: "CMS 38", Text: "network out of order"}, "CMS 38: network out of order"},
		{&route.Error{Text: "the answer was lost", Err: cause}, "the answer was lost"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("it says %q, want %q", got, c.want)
		}
		if errors.Is(c.err, cause) != (c.err.Err != nil) {
			t.Errorf("%q does not lead to its cause %v", c.want, c.err.Err)
		}
	}
}

func TestRefuseAndEnded(t *testing.T) {
	r := route.Refuse("counter", "no network")
	if r.Fate != route.NotOffered || r.Scope != route.ScopeRoute || r.Error() != "counter: no network" {
		t.Errorf("Refuse made %+v", r)
	}
	why := errors.New("the message was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	e := route.Ended(ctx, "counter")
	if e.Fate != route.NotOffered || e.Scope != route.ScopeMessage || !errors.Is(e, why) {
		t.Errorf("Ended made %+v", e)
	}
}
