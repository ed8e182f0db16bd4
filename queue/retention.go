package queue

import (
	"context"
	"errors"
	"time"

	"tillpost/queue/store"
)

// Retention says how long what is finished is kept (field-notes §5.3). Zero
// keeps for ever.
type Retention struct {
	Text   time.Duration // texts of what was sent
	Number time.Duration // the rest of a message and its story, and what came in; then only counts stay
	Counts time.Duration // counts by day
}

// DayCount is what stays of a day when its messages are gone.
type DayCount struct {
	Day    string `json:"day"` // 2026-11-24, in the shop's time zone
	Class  Class  `json:"class"`
	State  State  `json:"state"`
	Number int    `json:"messages"`
	Parts  int    `json:"parts"`
}

var (
	counts = store.NewTable("count", func(c *DayCount) []byte {
		return store.Join(store.Str(c.Day), store.Str(string(c.Class)), store.Str(string(c.State)))
	})

	// How far texts have been wiped: all older messages have none.
	wipes = store.NewTable("wiped", func(*wipe) []byte { return []byte("upto") })
)

type wipe struct {
	UpTo ID `json:"upto"`
}

// finished says since when nothing more happens to a message: zero while the
// queue still has it. One that is unknown, and will not be sent again by itself,
// stays so for good when its time runs out: a person may still settle it, but it
// is not kept for that.
func (m *Message) finished() time.Time {
	switch {
	case m.State.Final(), m.State == Sent && m.Wake.IsZero():
		return m.Updated
	case m.State == Unknown && m.Wake.IsZero():
		if m.Expires.After(m.Updated) {
			return m.Expires
		}
		return m.Updated
	}
	return time.Time{}
}

// retain wipes texts and removes messages and events whose time is over. It
// works from the oldest on, in small commits, and steps over what is alive.
func (q *Queue) retain(ctx context.Context, now time.Time) error {
	keep := q.cfg.Retention
	for _, step := range []struct {
		keep time.Duration
		do   func(tx *store.Tx, before time.Time, from ID) (next ID, more bool, err error)
	}{
		{keep.Text, q.wipeTexts},
		{keep.Number, q.removeMessages},
		{keep.Number, q.removeInbound},
		{keep.Number, q.removeEvents},
		{keep.Counts, q.removeCounts},
	} {
		var from, next ID
		for more := step.keep > 0; more; from = next {
			err := q.db.Commit(ctx, func(tx *store.Tx) (err error) {
				next, more, err = step.do(tx, now.Add(-step.keep), from)
				return err
			})
			if err != nil {
				return err
			}
			q.turned()
		}
	}
	return nil
}

// wipeTexts begins where all older texts are wiped. What is still alive keeps
// its text, and that mark.
func (q *Queue) wipeTexts(tx *store.Tx, before time.Time, from ID) (next ID, more bool, err error) {
	mark, err := wipes.Get(tx, []byte("upto"))
	if err != nil {
		return 0, false, err
	}
	if mark == nil {
		mark = &wipe{}
	}
	start, upTo := max(from, mark.UpTo), mark.UpTo
	due, next, more, alive, err := q.over(tx, before, start, func(m *Message) bool { return !m.Wiped })
	if err != nil {
		return 0, false, err
	}
	if start == mark.UpTo { // all before is wiped
		upTo = next
		if alive != 0 {
			upTo = alive - 1
		}
	}
	for _, m := range due {
		// Past change: being wiped is nothing that happens to the message.
		if _, err := messages.Update(tx, m.ID.key(), func(m *Message) error { m.wipe(); return nil }); err != nil {
			return 0, false, err
		}
		if err := dropHTML(tx, m); err != nil {
			return 0, false, err
		}
	}
	if upTo > mark.UpTo {
		err = wipes.Put(tx, &wipe{UpTo: upTo})
	}
	return next, more, err
}

// over looks at a chunk of the messages after from and returns those that
// ended before a time and are wanted, how far it came, whether there may be
// more, and the first that is alive.
func (q *Queue) over(tx *store.Tx, before time.Time, from ID, want func(*Message) bool) (due []*Message, next ID, more bool, alive ID, err error) {
	next = from
	looked := 0
	now := q.now()
	var ahead []*Message // made while the clock ran ahead: as old as what comes after them
	for m, err := range messages.Scan(tx, (from + 1).key()) {
		if err != nil {
			return nil, 0, false, 0, err
		}
		if m.Created.After(before) && !m.Created.After(now) { // ids count up
			return due, next, false, alive, nil
		}
		if looked >= listChunk && len(ahead) == 0 || len(due) >= wakeChunk {
			return due, next, true, alive, nil
		}
		looked++
		if m.Created.After(now) {
			if alive == 0 {
				alive = m.ID
			}
			if !m.finished().IsZero() && want(m) {
				ahead = append(ahead, m)
			}
			next = m.ID
			continue
		}
		due, ahead = append(due, ahead...), nil
		next = m.ID
		switch end := m.finished(); {
		case end.IsZero() || end.After(before):
			if alive == 0 {
				alive = m.ID
			}
		case want(m):
			due = append(due, m)
		}
	}
	return due, next, false, alive, nil
}

// wipe takes the text out of a message; its counts stay.
func (m *Message) wipe() {
	m.Given, m.Changes, m.Subject, m.HTML, m.Wiped = "", nil, "", 0, true
	for i := range m.Segments {
		m.Segments[i].Text = ""
	}
}

func (q *Queue) removeMessages(tx *store.Tx, before time.Time, from ID) (ID, bool, error) {
	due, next, more, _, err := q.over(tx, before, from, func(*Message) bool { return true })
	if err != nil {
		return 0, false, err
	}
	for _, m := range due {
		if err := q.removeMessage(tx, m, m.State); err != nil {
			return 0, false, err
		}
	}
	return next, more, nil
}

// removeMessage deletes a message with its story and leaves its count.
func (q *Queue) removeMessage(tx *store.Tx, m *Message, counted State) error {
	c := &DayCount{Day: m.Created.In(q.cfg.Location).Format(time.DateOnly), Class: m.Class, State: counted}
	old, err := counts.Get(tx, store.Join(store.Str(c.Day), store.Str(string(c.Class)), store.Str(string(c.State))))
	if err != nil {
		return err
	}
	if old != nil {
		c = old
	}
	c.Number++
	c.Parts += len(m.Parts)
	if err := counts.Put(tx, c); err != nil {
		return err
	}
	for _, seq := range m.Events {
		if err := events.Delete(tx, seqKey(seq)); err != nil {
			return err
		}
	}
	if q.callsBack.Load() {
		if err := callbacks.Delete(tx, m.ID.key()); err != nil {
			return err
		}
	}
	if err := dropHTML(tx, m); err != nil {
		return err
	}
	before := slotOf(m)
	q.slots[before].Add(-1)
	tx.OnRollback(func() { q.slots[before].Add(1) })
	return messages.Delete(tx, m.ID.key())
}

// aged collects the keys of rows that count up until one is not old enough. A
// row from the time to come was made while the clock ran ahead: it is as old as
// the next one that was not.
type aged struct {
	before, now time.Time
	due, ahead  [][]byte
}

// stop says that the row of this time and all after it stay; else key, if it is
// not nil, is due.
func (a *aged) stop(at time.Time, key []byte) bool {
	switch {
	case len(a.due) >= wakeChunk:
		return true
	case at.After(a.now):
		if key != nil {
			a.ahead = append(a.ahead, key)
		}
		return false
	case at.After(a.before):
		return true
	}
	a.due, a.ahead = append(a.due, a.ahead...), nil
	if key != nil {
		a.due = append(a.due, key)
	}
	return false
}

func (q *Queue) removeInbound(tx *store.Tx, before time.Time, _ ID) (_ ID, more bool, err error) {
	old := aged{before: before, now: q.now()}
	for in, err := range inbox.Scan(tx, nil) {
		if err != nil {
			return 0, false, err
		}
		if old.stop(in.At, seqKey(in.Seq)) {
			break
		}
	}
	due := old.due
	for _, key := range due {
		if err := inbox.Delete(tx, key); err != nil {
			return 0, false, err
		}
	}
	return 0, len(due) >= wakeChunk, nil
}

// removeEvents removes what no message has in its story: those go with it.
func (q *Queue) removeEvents(tx *store.Tx, before time.Time, _ ID) (_ ID, more bool, err error) {
	old := aged{before: before, now: q.now()}
	for e, err := range events.Scan(tx, nil) {
		if err != nil {
			return 0, false, err
		}
		var key []byte
		if e.Msg == 0 {
			key = seqKey(e.Seq)
		}
		if old.stop(e.At, key) {
			break
		}
	}
	due := old.due
	for _, key := range due {
		if err := events.Delete(tx, key); err != nil {
			return 0, false, err
		}
	}
	return 0, len(due) >= wakeChunk, nil
}

func (q *Queue) removeCounts(tx *store.Tx, before time.Time, _ ID) (_ ID, more bool, err error) {
	last := before.In(q.cfg.Location).Format(time.DateOnly)
	var due [][]byte
	for c, err := range counts.Scan(tx, nil) {
		if err != nil {
			return 0, false, err
		}
		if c.Day >= last || len(due) == wakeChunk {
			break
		}
		due = append(due, store.Join(store.Str(c.Day), store.Str(string(c.Class)), store.Str(string(c.State))))
	}
	for _, key := range due {
		if err := counts.Delete(tx, key); err != nil {
			return 0, false, err
		}
	}
	return 0, len(due) >= wakeChunk, nil
}

const (
	// refKept is how long the last concatenation reference of a number is kept:
	// far longer than a network, by default, or a phone waits for the rest of a
	// long message. Who gets one later begins at random again.
	refKept = 7 * aDay
	// monthKept is how long it is kept, by its hash, who was sent to in a month
	// of quota: a month counted from any day is over by then.
	monthKept = 62 * aDay
	// numbersEvery is how often both are looked through.
	numbersEvery = 24 * time.Hour
)

// sweepNumbers throws out numbers, and hashes of them, that were kept to send by
// and are of no more use. It looks in small reads, and writes only if some are.
func (q *Queue) sweepNumbers(ctx context.Context, now time.Time) error {
	return errors.Join(
		sweepTable(ctx, q, concats,
			func(c *concat) []byte { return store.Str(c.To) },
			func(c *concat) bool { return now.Sub(c.At) > refKept }),
		sweepTable(ctx, q, recipients,
			func(u *recipientUse) []byte { return recipientUseKey(u.Identity, u.Month, u.Hash) },
			func(u *recipientUse) bool { return now.Sub(u.Month) > monthKept }),
	)
}

// sweepTable deletes the rows of a table that are old, a chunk at a time.
func sweepTable[T any](ctx context.Context, q *Queue, table *store.Table[T], key func(*T) []byte, old func(*T) bool) error {
	var from []byte
	for more := true; more; {
		var gone [][]byte
		looked := 0
		more = false
		err := q.db.View(func(tx *store.Tx) error {
			for row, err := range table.Scan(tx, from) {
				if err != nil {
					return err
				}
				if looked++; looked > listChunk || len(gone) == wakeChunk {
					from, more = key(row), true
					return nil
				}
				if old(row) {
					gone = append(gone, key(row))
				}
			}
			return nil
		})
		if err == nil && len(gone) > 0 {
			err = q.db.Commit(ctx, func(tx *store.Tx) error { return deleteOld(tx, table, gone, old) })
		}
		if err != nil {
			return err
		}
		q.turned()
	}
	return nil
}

// deleteOld deletes rows that are still old: one may have been written since.
func deleteOld[T any](tx *store.Tx, table *store.Table[T], keys [][]byte, old func(*T) bool) error {
	for _, key := range keys {
		row, err := table.Get(tx, key)
		if err != nil {
			return err
		}
		if row == nil || !old(row) {
			continue
		}
		if err := table.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}

// forgetRecipient removes who an identity sent to this month, by the hash. The
// count stays, and counts a person who comes back once more.
func forgetRecipient(tx *store.Tx, number string) error {
	h := hashOf(number)
	var gone [][]byte
	for u, err := range recipients.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if u.Hash == h {
			gone = append(gone, recipientUseKey(u.Identity, u.Month, u.Hash))
		}
	}
	for _, key := range gone {
		if err := recipients.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}
