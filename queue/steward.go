package queue

import (
	"errors"
	"time"

	"tillpost/queue/store"
)

// Steward is what the queue asks and tells whoever causes messages, inside the
// transaction in which it matters: permission given yesterday is worth nothing
// today. Every function may be nil.
type Steward struct {
	// MayGo is asked before every attempt of a message of which nothing has
	// left yet, and that has a Source or is marketing.
	MayGo func(*store.Tx, *Message) (Ruling, error)
	// OptedOut is told that a number wants no marketing, or wants it again.
	// inbox is the message that said so, by the person who decided; one of
	// them may be missing.
	OptedOut func(tx *store.Tx, number string, out bool, inbox uint64, by string) error
	// Erased is told that a person is to be forgotten everywhere.
	Erased func(tx *store.Tx, number string) error
	// Tells lists the messages to somebody else whose text tells of a number, as
	// is says, and of what happened up to a time: a reply that was carried on,
	// say. They are forgotten with it.
	Tells func(tx *store.Tx, upTo time.Time, is func(number string) bool) ([]ID, error)
	// Unsaid is told that one of these was forgotten. over: it may have been read,
	// or never will be; else whom it told of beside is still to be told of.
	Unsaid func(tx *store.Tx, id ID, over bool) error
	// Others lists the other numbers and e-mail addresses of who has this one:
	// they are forgotten together.
	Others func(tx *store.Tx, number string) ([]string, error)
	// Numbers hands over every number that is kept: whom a restored backup is
	// to forget again is known by hash only.
	Numbers func(tx *store.Tx, each func(number string) error) error
	// Known is all that is kept about a number, for the person who asks: plain
	// data that goes into an export, or nil.
	Known func(tx *store.Tx, number string) (any, error)
}

// Ruling is the answer to MayGo. The zero value lets it go.
type Ruling struct {
	Why  Reason // it may not go now
	Hold bool   // it waits until ReleaseTx, or expires; else it is cancelled
}

// Because makes a Reason: a key of words.csv and its arguments by name.
func Because(code string, args ...string) Reason { return because(code, args...) }

// heed asks the steward and does what it says. stopped: the message does not
// go now.
func (q *Queue) heed(tx *store.Tx, m *Message) (stopped bool, err error) {
	ask := q.cfg.Steward.MayGo
	if ask == nil || m.out() || m.Source == "" && m.Class != Marketing {
		return false, nil
	}
	r, err := ask(tx, m)
	switch {
	case err != nil || r.Why.Code == "":
		return err != nil, err
	case r.Hold:
		return true, q.hold(tx, m, r.Why, "")
	}
	return true, q.end(tx, m, onCancel, r.Why, Event{Kind: KindCancelled, Code: r.Why.Code})
}

// hold lets a message wait for ReleaseTx, or for the end of its time.
func (q *Queue) hold(tx *store.Tx, m *Message, why Reason, by string) error {
	if err := m.move(onHold); err != nil {
		return err
	}
	m.Wake, m.Why = m.Expires, why
	return q.note(tx, m, Event{Kind: KindHeld, Code: why.Code, By: by})
}

// Those who cause messages take them back in the transaction in which they
// change their mind. A message that was forgotten meanwhile is no error.

// LookTx reads a message inside a transaction; nil: it is no longer kept.
func (q *Queue) LookTx(tx *store.Tx, id ID) (*Message, error) { return messages.Get(tx, id.key()) }

// StopTx cancels a message that has not left. flying: a lane holds it, and the
// caller stops it by Cancel once this transaction is on disk; until then MayGo
// must not let it go again.
func (q *Queue) StopTx(tx *store.Tx, id ID, why Reason, by string) (flying bool, err error) {
	_, err = q.change(tx, id, func(m *Message) error {
		switch m.State {
		case Scheduled, Queued, Held:
			if m.out() {
				return nil // half a message is worse than a late one
			}
			return q.end(tx, m, onCancel, why, Event{Kind: KindCancelled, Code: why.Code, By: by})
		case Sending:
			flying = !m.Relayed && !m.out()
		}
		return nil
	})
	return flying, ifKept(err)
}

// HoldTx keeps back a message that waits for its turn.
func (q *Queue) HoldTx(tx *store.Tx, id ID, why Reason, by string) error {
	_, err := q.change(tx, id, func(m *Message) error {
		if m.out() || m.State != Queued && m.State != Scheduled {
			return nil
		}
		return q.hold(tx, m, why, by)
	})
	return ifKept(err)
}

// ReleaseTx lets go on what HoldTx or MayGo kept back for the reason code.
func (q *Queue) ReleaseTx(tx *store.Tx, id ID, code, by string) error {
	_, err := q.change(tx, id, func(m *Message) error {
		if m.State != Held || m.Why.Code != code {
			return nil
		}
		if err := m.move(onRelease); err != nil {
			return err
		}
		q.waitInLine(m, m.Created)
		if m.At.After(m.Due) {
			m.Due = m.At
		}
		return q.note(tx, m, Event{Kind: KindReleased, By: by})
	})
	return ifKept(err)
}

func ifKept(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// NoteTx appends an event of those who cause messages.
func (q *Queue) NoteTx(tx *store.Tx, e Event) error {
	tx.OnCommit(q.signal)
	return q.note(tx, nil, e)
}
