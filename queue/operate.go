package queue

import (
	"context"
	"errors"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

// What a person, or a till, may decide about a message or a route. by names
// who decided, for the story.

// Cancel stops a message that has not left. One that a lane holds is cancelled
// only if its first byte has not gone: Cancel then waits for the verdict, as
// long as ctx allows. Errors: ErrNotFound, *ErrNotNow.
func (q *Queue) Cancel(ctx context.Context, id ID, by string) (*Message, error) {
	for {
		q.mu.Lock()
		f := q.flights[id]
		if f != nil {
			f.asked = cmpOr(by, "somebody")
			f.cancel()
		}
		q.mu.Unlock()
		if f != nil {
			select {
			case <-f.landed:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		m, err := q.decide(ctx, id, func(tx *store.Tx, m *Message) error {
			if m.State == Cancelled {
				return nil
			}
			if m.State == Sending {
				if m.Relayed {
					return &ErrNotNow{m.State, string(onCancel)}
				}
				return errInFlight
			}
			if m.left() {
				return &ErrNotNow{m.State, string(onCancel)}
			}
			return q.end(tx, m, onCancel, because("cancelled"), Event{Kind: KindCancelled, By: by})
		})
		if !errors.Is(err, errInFlight) {
			return m, err
		}
		// Taken by a lane between our look and our commit.
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

var errInFlight = errors.New("queue: a lane holds it")

// Resend sends an ended or unknown message once more.
func (q *Queue) Resend(ctx context.Context, id ID, by string) (*Message, error) {
	return q.decide(ctx, id, func(tx *store.Tx, m *Message) error { return q.resend(tx, m, by) })
}

// Settle decides an unknown message: Sent, Delivered, Failed (it did not go
// out) or Queued (send it again).
func (q *Queue) Settle(ctx context.Context, id ID, as State, by string) (*Message, error) {
	return q.decide(ctx, id, func(tx *store.Tx, m *Message) error {
		if m.State != Unknown {
			return &ErrNotNow{m.State, "settle"}
		}
		e := Event{Kind: KindSettled, By: by, Code: string(as)}
		switch as {
		case Queued:
			return q.resend(tx, m, by)
		case Failed:
			return q.end(tx, m, onGiveUp, because("given_up"), e)
		case Sent, Delivered:
			state := route.ReportSent
			if as == Delivered {
				state = route.ReportDelivered
			}
			for i := range m.Parts {
				if p := &m.Parts[i]; p.State == PartUnknown {
					p.reported(&route.Report{State: state, Identity: p.Identity, Ref: p.Ref})
				}
			}
			q.conclude(m, &route.Report{State: state})
			return q.note(tx, m, e)
		}
		return oneOf("state", string(as), string(Sent), string(Delivered), string(Failed), string(Queued))
	})
}

func (q *Queue) decide(ctx context.Context, id ID, fn func(*store.Tx, *Message) error) (m *Message, err error) {
	err = q.db.Commit(ctx, func(tx *store.Tx) (err error) {
		m, err = q.change(tx, id, func(m *Message) error { return fn(tx, m) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Pause stops the lanes of a route from taking, across restarts, until Resume.
func (q *Queue) Pause(ctx context.Context, name, by string) error {
	return q.setPaused(ctx, name, by, true)
}

// Resume lets a paused route take again. It also gives a refused SIM another
// chance at once.
func (q *Queue) Resume(ctx context.Context, name, by string) error {
	return q.setPaused(ctx, name, by, false)
}

func (q *Queue) setPaused(ctx context.Context, name, by string, on bool) error {
	r, ok := q.runner(name)
	if !ok {
		return ErrNotFound
	}
	err := q.db.Commit(ctx, func(tx *store.Tx) error {
		e := Event{Kind: KindResumed, Route: name, By: by}
		if on {
			e.Kind = KindPaused
			if err := pauses.Put(tx, &pause{Route: name, By: by, At: q.now()}); err != nil {
				return err
			}
		} else if err := pauses.Delete(tx, store.Str(name)); err != nil {
			return err
		}
		return q.note(tx, nil, e)
	})
	if err != nil {
		return err
	}
	r.alter(func() {
		r.paused = on
		if !on {
			r.trust.probe = time.Time{}
			r.trust.doubts = nil
		}
	})
	return nil
}

func (q *Queue) isPaused(name string) (on bool, err error) {
	err = q.db.View(func(tx *store.Tx) error {
		p, err := pauses.Get(tx, store.Str(name))
		on = p != nil
		return err
	})
	return on, err
}
