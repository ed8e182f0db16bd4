package outreach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// What comes in is carried on to the shop by e-mail, for who does not look at
// the box all day (field-notes §4.5). It follows the log of events from a place
// of its own, which is written in the transaction that accepts the mails: a kill
// loses none and doubles none.
//
// It begins with what comes in from then on, also when it was switched off for
// a while: a mailbox is no place to find a year of replies in.
//
// At most twenty mails to an address in ten minutes. If more than that is
// waiting when ten minutes begin, it goes together, in one mail or as few as
// hold it. So an evening's mailing whose answers pour in, or a modem that comes
// back with a full memory, makes no mailbox overflow.
const (
	mailsInSpan = 20
	mailSpan    = 10 * time.Minute

	// forwardPace is how often the log is looked at while the queue is busy, and
	// so how long a reply may wait here.
	forwardPace = time.Second
	// maxForward is how many messages are carried on in one transaction.
	maxForward = 500
)

// forwardPlace is how far the log was followed, and what went in these ten
// minutes.
type forwardPlace struct {
	Event uint64    `json:"event"`
	Since time.Time `json:"since,omitzero"`
	Mails int       `json:"mails,omitempty"`
}

// forwarded is a mail that carries on what came in. Its text tells of numbers
// that are not its recipient's: erasing one of them finds it here.
type forwarded struct {
	Msg      queue.ID  `json:"msg"`
	To       string    `json:"to"`
	Inbox    []uint64  `json:"inbox"`
	From     []string  `json:"from"`
	Since    time.Time `json:"since"` // when the first of it came in
	Together bool      `json:"together,omitempty"`
	// Again: it was forgotten for one of them before it had left, and the others
	// are still to be told of.
	Again bool `json:"again,omitempty"`
}

func (f *forwarded) key() []byte { return store.U64(uint64(f.Msg)) }

var (
	forwardPlaces = store.NewTable("forward.place", func(*forwardPlace) []byte { return store.Str(placeName) })

	// message: mails that are to be written again.
	byAgain = store.NewIndex("forward.again", func(f *forwarded) [][]byte {
		if !f.Again {
			return nil
		}
		return [][]byte{f.key()}
	})
	forwards = store.NewTable("forward", (*forwarded).key, byAgain)
)

// forwarder follows the log. One goroutine has it.
type forwarder struct {
	o     *Outreach
	place forwardPlace
	noted uint64 // the event of the place that is on disk
}

// checkForward reads the addresses that replies are carried on to.
func (o *Outreach) checkForward() error {
	if len(o.cfg.ForwardInbox) > 0 && !o.q.HasMail() {
		return errors.New("outreach: Config.ForwardInbox names addresses, and the queue carries no e-mail")
	}
	to := make([]string, 0, len(o.cfg.ForwardInbox))
	for _, s := range o.cfg.ForwardInbox {
		a, err := text.ParseAddress(s)
		if err != nil {
			return fmt.Errorf("outreach: Config.ForwardInbox: %w", err)
		}
		if !slices.Contains(to, a.String()) {
			to = append(to, a.String())
		}
	}
	o.cfg.ForwardInbox = to
	return nil
}

// forward carries on what comes in until ctx ends, or the store cannot be used.
func (o *Outreach) forward(ctx context.Context) {
	if len(o.cfg.ForwardInbox) == 0 {
		if err := o.forgetPlace(ctx); err != nil && ctx.Err() == nil {
			o.log.Error("cannot forget how far replies were carried on; they may be again from there", "err", err)
		}
		return
	}
	wake, stop := o.q.Subscribe()
	defer stop()
	f := &forwarder{o: o}
	for ctx.Err() == nil {
		next, err := f.turn(ctx)
		var failed <-chan time.Time
		switch {
		case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrSealed):
			return // the queue tells why
		case err != nil && ctx.Err() == nil:
			if _, full := errors.AsType[*queue.Full](err); !full {
				o.log.Error("cannot carry on by e-mail what came in; trying again", "err", err)
			}
			failed = time.After(pauseAfterError)
		}
		await(ctx, wake, next, failed)
	}
}

// await returns when there may be something to do: at next, if that is set,
// or on a wake, and not more often than the pace; after a failure only when its
// pause is over.
func await(ctx context.Context, wake <-chan struct{}, next time.Time, failed <-chan time.Time) {
	if failed != nil {
		select {
		case <-ctx.Done():
		case <-failed:
		}
		return
	}
	var due <-chan time.Time
	if !next.IsZero() {
		due = time.After(time.Until(next))
	}
	select {
	case <-ctx.Done():
		return
	case <-due:
		return
	case <-wake:
	}
	select {
	case <-ctx.Done():
	case <-time.After(forwardPace):
	}
}

// forgetPlace: whoever switches it on again begins anew.
func (o *Outreach) forgetPlace(ctx context.Context) error {
	_, err := get(o.db, forwardPlaces, placeName)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return o.db.Commit(ctx, func(tx *store.Tx) error { return forwardPlaces.Delete(tx, store.Str(placeName)) })
}

// turn carries on what there is and returns when there is more room for what
// waits; zero: nothing does.
func (f *forwarder) turn(ctx context.Context) (next time.Time, err error) {
	if f.noted == 0 {
		if err := f.begin(ctx); err != nil {
			return next, err
		}
	}
	if err := f.again(ctx); err != nil {
		return next, err
	}
	now, place := f.o.q.Now(), f.place
	if age := now.Sub(place.Since); age < 0 || age >= mailSpan { // less than nothing: the clock was set
		place.Since, place.Mails = now, 0
	}
	room := mailsInSpan - place.Mails
	came, upTo, err := f.came()
	switch {
	case err != nil:
		return next, err
	case len(came) == 0:
		return next, f.pass(ctx, upTo)
	case room == 0:
		return f.until(&place, now), nil
	}
	together := len(came) > room && place.Mails == 0
	if !together && len(came) > room {
		came, upTo = came[:room], came[room-1].event
		next = f.until(&place, now)
	}
	place.Event, place.Mails = upTo, place.Mails+len(came)
	if together {
		place.Mails = mailsInSpan
	}
	err = f.o.commit(ctx, func(tx *store.Tx) error {
		if err := f.carry(tx, came, together); err != nil {
			return err
		}
		return forwardPlaces.Put(tx, &place)
	})
	if err != nil {
		return next, err
	}
	f.place, f.noted = place, place.Event
	return next, nil
}

// until is when these ten minutes are over, by the clock of this process.
func (f *forwarder) until(p *forwardPlace, now time.Time) time.Time {
	return time.Now().Add(p.Since.Add(mailSpan).Sub(now))
}

// begin finds where it was; the first time it is where the log ends.
func (f *forwarder) begin(ctx context.Context) error {
	p, err := get(f.o.db, forwardPlaces, placeName)
	if errors.Is(err, ErrNotFound) {
		p = &forwardPlace{Event: f.o.q.LastEvent()}
		err = f.o.db.Commit(ctx, func(tx *store.Tx) error { return forwardPlaces.Put(tx, p) })
	}
	if err != nil {
		return err
	}
	f.place, f.noted = *p, p.Event
	return nil
}

// pass notes that nothing came in up to an event: in memory, for a note is a
// write to the card.
func (f *forwarder) pass(ctx context.Context, upTo uint64) error {
	f.place.Event = upTo
	if upTo-f.noted < noteAfter {
		return nil
	}
	place := f.place
	if err := f.o.db.Commit(ctx, func(tx *store.Tx) error { return forwardPlaces.Put(tx, &place) }); err != nil {
		return err
	}
	f.noted = upTo
	return nil
}

// arrival is something that came in, as the log tells it.
type arrival struct {
	event, inbox uint64
	gaps         bool // it was shown though parts of it were missing
}

// came reads on in the log: at most maxForward that came in, and the event up to
// which it read.
func (f *forwarder) came() (list []arrival, upTo uint64, err error) {
	last := f.o.q.LastEvent()
	upTo = f.place.Event
	for upTo < last {
		events, err := f.o.q.Events(upTo, logAtOnce)
		if gone, ok := errors.AsType[*queue.Gone](err); ok {
			upTo = gone.First - 1
			continue
		}
		if err != nil {
			return nil, upTo, err
		}
		if len(events) == 0 { // the last ones were about a person who was erased
			return list, max(upTo, last), nil
		}
		for _, e := range events {
			if e.Kind == queue.KindReceived {
				if len(list) == maxForward {
					return list, upTo, nil
				}
				seq, err := strconv.ParseUint(e.Ref, 10, 64)
				if err != nil {
					return nil, upTo, fmt.Errorf("outreach: event %d names %q in the inbox: %w", e.Seq, e.Ref, err)
				}
				list = append(list, arrival{e.Seq, seq, e.Code == queue.CodeIncomplete})
			}
			upTo = e.Seq
		}
	}
	return list, upTo, nil
}

// carry writes the mails for what came in.
func (f *forwarder) carry(tx *store.Tx, came []arrival, together bool) error {
	var list []*queue.Inbound
	for _, a := range came {
		in, err := f.o.q.InboundTx(tx, a.inbox)
		if err != nil {
			return err
		}
		if in == nil || a.gaps && len(in.Missing) == 0 {
			continue // erased since; or whole by now, which the log tells further on
		}
		list = append(list, in)
	}
	letters, err := f.o.letters(tx, list, together)
	if err != nil {
		return err
	}
	for _, to := range f.o.cfg.ForwardInbox {
		if err := f.o.post(tx, to, letters); err != nil {
			return err
		}
	}
	return nil
}

// again writes the mails anew that were forgotten for one of several persons
// before they had left.
func (f *forwarder) again(ctx context.Context) error {
	owed := false
	err := f.o.db.View(func(tx *store.Tx) error {
		for range byAgain.Keys(tx, nil) {
			owed = true
			return nil
		}
		return nil
	})
	if err != nil || !owed {
		return err
	}
	return f.o.commit(ctx, func(tx *store.Tx) error {
		var rows []*forwarded
		for _, pk := range byAgain.Keys(tx, nil) {
			row, err := forwards.Get(tx, pk)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		for _, row := range rows {
			if err := f.rewrite(tx, row); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *forwarder) rewrite(tx *store.Tx, row *forwarded) error {
	if err := forwards.Delete(tx, row.key()); err != nil {
		return err
	}
	if !slices.Contains(f.o.cfg.ForwardInbox, row.To) {
		return nil // nobody reads there any more
	}
	var list []*queue.Inbound
	for _, seq := range row.Inbox {
		in, err := f.o.q.InboundTx(tx, seq)
		if err != nil {
			return err
		}
		if in != nil {
			list = append(list, in)
		}
	}
	letters, err := f.o.letters(tx, list, row.Together)
	if err != nil {
		return err
	}
	return f.o.post(tx, row.To, letters)
}

// post hands mails to the queue and notes whom they tell of. The same words may
// come twice in a minute, and are two replies.
func (o *Outreach) post(tx *store.Tx, to string, letters []letter) error {
	for _, l := range letters {
		m, err := o.q.Prepare(queue.Draft{
			Channel: queue.Email, To: to, Subject: l.subject, Text: l.text, Lang: o.cfg.Language, Ref: "INBOX", Force: true,
		})
		if err != nil {
			o.log.Error("what came in cannot be carried on by e-mail; it is in the inbox", "err", err)
			continue
		}
		if err := o.q.AddTx(tx, m); err != nil {
			return err
		}
		if err := forwards.Put(tx, &forwarded{Msg: m.ID, To: to, Inbox: l.inbox, From: l.from, Since: l.since, Together: l.together}); err != nil {
			return err
		}
	}
	return nil
}

// tells lists the mails that tell of a number, and of what came in up to a time.
func tells(tx *store.Tx, upTo time.Time, is func(number string) bool) (list []queue.ID, err error) {
	for f, err := range forwards.Scan(tx, nil) {
		if err != nil {
			return nil, err
		}
		if !f.Since.After(upTo) && slices.ContainsFunc(f.From, is) {
			list = append(list, f.Msg)
		}
	}
	return list, nil
}

// unsaid: a mail that told of several persons and never left is written again,
// without the one who is forgotten.
func unsaid(tx *store.Tx, id queue.ID, over bool) error {
	key := (&forwarded{Msg: id}).key()
	f, err := forwards.Get(tx, key)
	if err != nil || f == nil {
		return err
	}
	if over || len(f.Inbox) < 2 {
		return forwards.Delete(tx, key)
	}
	f.Again, f.From = true, nil
	return forwards.Put(tx, f)
}

// forgetForwarded removes what is known about mails that are no longer kept.
func (o *Outreach) forgetForwarded(ctx context.Context) error {
	var old [][]byte
	err := each(o.db, forwards, func(tx *store.Tx, f *forwarded) error {
		m, err := o.q.LookTx(tx, f.Msg)
		if err == nil && m == nil && !(f.Again && len(o.cfg.ForwardInbox) > 0) {
			old = append(old, f.key())
		}
		return err
	})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(old, maxForward) {
		err := o.db.Commit(ctx, func(tx *store.Tx) error {
			for _, key := range chunk {
				if err := forwards.Delete(tx, key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
