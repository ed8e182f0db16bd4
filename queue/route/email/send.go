package email

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// Send hands one message to the mail server. See route.Route.
func (r *Route) Send(ctx context.Context, out route.Outbound) (route.Receipt, error) {
	if ctx.Err() != nil {
		return route.Receipt{}, route.Ended(ctx, r.cfg.Name)
	}
	if !r.ready() {
		return route.Receipt{}, route.Refuse(r.cfg.Name, "no connection to the mail server now")
	}
	to, err := text.ParseAddress(out.To)
	if err != nil {
		return route.Receipt{}, &route.Error{Fate: route.Reject, Text: r.cfg.Name + ": the reader has no e-mail address that can be written to", Err: err}
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return route.Receipt{}, route.Ended(ctx, r.cfg.Name)
	}
	err = r.carry(ctx, &out, to)
	receipt := route.Receipt{Identity: r.identity}
	part := route.Part{N: 1, Of: 1, State: route.PartSent, Ref: r.messageID(&out), Identity: r.identity, At: time.Now()}
	if err == nil {
		receipt.Parts = []route.Part{part}
		return receipt, nil
	}
	if t, ok := errors.AsType[*trouble](err); ok {
		t.hide, _, _ = strings.Cut(to.String(), "@")
		verdict := t.verdict(r.cfg.Name)
		switch verdict.Fate {
		case route.Unknown:
			part.State = route.PartUnknown
			receipt.Parts = []route.Part{part}
		case route.Reject, route.Retry:
			part.State = route.PartRefused
			receipt.Parts = []route.Part{part}
		}
		return receipt, verdict
	}
	return receipt, err
}

// carry finds a wire and sends over it. One that was idle may have been closed
// by the server meanwhile: what shows before the mail has begun is tried once
// more over a new one.
func (r *Route) carry(ctx context.Context, out *route.Outbound, to text.Address) error {
	if w := r.takeIdle(); w != nil {
		err := r.over(ctx, w, out, to)
		if t, ok := errors.AsType[*trouble](err); !ok || t.at != atMail || t.code() != 0 && t.code() != 421 || ctx.Err() != nil {
			r.mind(ctx, err)
			return err
		}
	}
	w, err := r.dial(ctx)
	if err == nil {
		err = r.over(ctx, w, out, to)
	} else if ctx.Err() != nil {
		return route.Ended(ctx, r.cfg.Name)
	}
	r.mind(ctx, err)
	return err
}

// over sends one mail over a wire and keeps the wire if it is still good.
func (r *Route) over(ctx context.Context, w *wire, out *route.Outbound, to text.Address) error {
	deadline := time.Now().Add(r.cfg.SendTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := w.conn.SetDeadline(deadline); err != nil {
		r.closed(w)
		return &trouble{at: atMail, err: err}
	}
	// Whoever ends ctx breaks the conversation off, until the mail itself
	// begins: then it goes on to its verdict, within the deadline.
	var mu sync.Mutex
	begun, broken := false, false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if broken = !begun; broken {
			w.cut()
		}
	})
	defer stop()
	err := w.mail(r.from.Address, to.String(), r.letter(out, to, time.Now()), func() bool {
		mu.Lock()
		defer mu.Unlock()
		begun = !broken
		return begun
	})
	mu.Lock()
	wasBroken := broken
	mu.Unlock()
	if wasBroken {
		r.closed(w)
		return route.Ended(ctx, r.cfg.Name)
	}
	t, ok := errors.AsType[*trouble](err)
	if !ok || t.code() != 0 && t.code() != 421 && t.at != atMail && w.reset() {
		r.putIdle(w)
		return err
	}
	r.closed(w)
	return err
}

// reset takes back a mail that was refused, so that the wire can be used again.
func (w *wire) reset() bool {
	return w.conn.SetDeadline(time.Now().Add(resetPatience)) == nil && w.client.Reset() == nil
}

const resetPatience = 5 * time.Second
