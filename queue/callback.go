package queue

import (
	"context"
	"time"

	"tillpost/queue/store"
)

// A till may name an address that is to be told what becomes of one message.
// The queue keeps the address, how far it was told and when to try again;
// queue/hook does the telling. What is told is read from the message at that
// moment: no text waits here.

// Callback is a message that somebody is to be told about.
type Callback struct {
	Msg   ID        `json:"msg"`
	Till  string    `json:"till"`
	URL   string    `json:"url"`
	Told  uint64    `json:"told"`           // the last event that was told
	Due   time.Time `json:"due,omitzero"`   // when to tell the next; zero: nothing new
	Tries int       `json:"tries"`          // in vain, in a row
	Since time.Time `json:"since,omitzero"` // of the first of those
}

var (
	callbackByDue = store.NewIndex("callback.due", func(c *Callback) [][]byte {
		if c.Due.IsZero() {
			return nil
		}
		return [][]byte{store.Join(store.Time(c.Due), c.Msg.key())}
	})
	callbacks = store.NewTable("callback", func(c *Callback) []byte { return c.Msg.key() }, callbackByDue).Expendable()
)

// Telling are the kinds of events that a callback is told: what became of the
// message, and not each step on the way.
var Telling = map[Kind]bool{
	KindSent: true, KindRejected: true, KindUnknown: true, KindInterrupted: true, KindReport: true, KindNoReport: true,
	KindResent: true, KindSettled: true, KindHeld: true, KindExpired: true, KindCancelled: true,
}

// keepCallback remembers whom to tell about a message just accepted.
func (q *Queue) keepCallback(tx *store.Tx, m *Message) error {
	if m.callback == "" {
		return nil
	}
	tx.OnCommit(func() { q.callsBack.Store(true) })
	return callbacks.Put(tx, &Callback{Msg: m.ID, Till: m.Till, URL: m.callback, Told: m.Events[len(m.Events)-1]})
}

// oweCallback makes a callback due, with the event that it is to tell.
func (q *Queue) oweCallback(tx *store.Tx, id ID, k Kind) error {
	if !q.callsBack.Load() || !Telling[k] {
		return nil
	}
	c, err := callbacks.Get(tx, id.key())
	if err != nil || c == nil || !c.Due.IsZero() {
		return err
	}
	c.Due = q.now()
	return callbacks.Put(tx, c)
}

// Callbacks returns at most n callbacks that are due, those longest due first,
// and when the next one after them will be: zero if there is none.
func (q *Queue) Callbacks(n int) (due []Callback, next time.Time, err error) {
	now := q.now()
	err = q.db.View(func(tx *store.Tx) error {
		for key, pk := range callbackByDue.Keys(tx, nil) {
			if at := store.ReadKey(key).Time(); at.After(now) || len(due) == n {
				next = at
				return nil
			}
			c, err := callbacks.Get(tx, pk)
			if err != nil {
				return err
			}
			due = append(due, *c)
		}
		return nil
	})
	return due, next, err
}

// ToldCallback notes that everything up to an event was told. What came after it
// is due at once.
func (q *Queue) ToldCallback(ctx context.Context, id ID, upTo uint64) error {
	return q.changeCallback(ctx, id, func(tx *store.Tx, c *Callback) error {
		c.Told, c.Tries, c.Since, c.Due = upTo, 0, time.Time{}, time.Time{}
		m, err := messages.Get(tx, id.key())
		if err != nil || m == nil {
			return err
		}
		next, err := nextTelling(tx, m, upTo)
		if err == nil && next != nil {
			c.Due = q.now()
		}
		return err
	})
}

// PutOffCallback notes a try in vain, and when to try again. Zero: never.
func (q *Queue) PutOffCallback(ctx context.Context, id ID, until time.Time) error {
	return q.changeCallback(ctx, id, func(tx *store.Tx, c *Callback) error {
		if until.IsZero() {
			return callbacks.Delete(tx, id.key())
		}
		if c.Tries++; c.Tries == 1 {
			c.Since = q.now()
		}
		c.Due = until
		return nil
	})
}

func (q *Queue) changeCallback(ctx context.Context, id ID, fn func(*store.Tx, *Callback) error) error {
	return q.db.Commit(ctx, func(tx *store.Tx) error {
		c, err := callbacks.Get(tx, id.key())
		if err != nil || c == nil { // forgotten with its message
			return err
		}
		before := *c
		if err := fn(tx, c); err != nil || *c == before {
			return err
		}
		return callbacks.Put(tx, c)
	})
}

// Untold returns a callback that is due, as it is now, with its message and the
// next event to tell, which is nil if there is none. Nil: it is not due, or
// forgotten.
func (q *Queue) Untold(id ID) (c *Callback, m *Message, e *Event, err error) {
	now := q.now()
	err = q.db.View(func(tx *store.Tx) error {
		if c, err = callbacks.Get(tx, id.key()); err != nil || c == nil {
			return err
		}
		if m, err = messages.Get(tx, id.key()); err != nil {
			return err
		}
		if m == nil || c.Due.IsZero() || c.Due.After(now) {
			c = nil
			return nil
		}
		e, err = nextTelling(tx, m, c.Told)
		return err
	})
	return c, m, e, err
}

func nextTelling(tx *store.Tx, m *Message, after uint64) (*Event, error) {
	for _, seq := range m.Events {
		if seq <= after {
			continue
		}
		e, err := events.Get(tx, seqKey(seq))
		if err != nil {
			return nil, err
		}
		if e != nil && Telling[e.Kind] {
			return e, nil
		}
	}
	return nil, nil
}

// anyCallbacks is asked once, at start.
func (q *Queue) anyCallbacks(tx *store.Tx) {
	for range callbacks.Scan(tx, nil) {
		q.callsBack.Store(true)
		return
	}
}

// InboundOf is one message that came in, by its number; nil: it is not kept.
func (q *Queue) InboundOf(seq uint64) (in *Inbound, err error) {
	err = q.db.View(func(tx *store.Tx) error {
		in, err = q.InboundTx(tx, seq)
		return err
	})
	return in, err
}

// InboundTx is InboundOf for who is in a transaction already.
func (q *Queue) InboundTx(tx *store.Tx, seq uint64) (*Inbound, error) {
	return inbox.Get(tx, seqKey(seq))
}
