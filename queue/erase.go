package queue

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tillpost/queue/store"
)

// Forgetting a person, and telling one what is known (field-notes §5.3).
//
// An erasure is an order that stays: its row holds a hash of the number, and is
// open until nothing about the person is left. What a lane holds this second is
// forgotten when it has landed, and what a restored backup brings back before
// the queue runs again (ForgetAgain).

// erasure is one such order.
type erasure struct {
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
	// Open: something may be left of what was there at At.
	Open bool `json:"open,omitempty"`
}

var erasures = store.NewTable("erased", func(e *erasure) []byte { return store.Str(e.Hash) })

// Erased is the account of an erasure.
type Erased struct {
	Messages int `json:"messages"`
	Inbound  int `json:"inbound"`
	Answers  int `json:"answers"`   // kept for tills that repeat a request
	InFlight int `json:"in_flight"` // still being sent: forgotten by itself when that has ended
}

// again is who carries out an order that somebody gave before.
const again = "the order to forget"

const (
	// landWait is how long Erase waits for what lanes hold.
	landWait = 20 * time.Second
	// forgetEvery is how often an order is tried that could not be finished: it
	// reads everything.
	forgetEvery = 2 * time.Minute
)

// OnErase registers who else keeps something about persons, outside the
// queue's tables: fn forgets a number and returns of how many rows. It must be
// called before Run.
func (q *Queue) OnErase(fn func(ctx context.Context, number string) (int, error)) {
	q.alsoForget = append(q.alsoForget, fn)
}

// Erase forgets a person: every message to and from the number, or the e-mail
// address, with their stories, every message that tells somebody else of it
// (Steward.Tells), and what others keep (Steward.Erased, OnErase). What still waits is
// not sent. Counts stay, and that the number opted out stays as a hash. Error:
// *Invalid, or one of the store; then the erasure stays open and is finished by
// itself.
func (q *Queue) Erase(ctx context.Context, number, by string) (Erased, error) {
	to, err := q.anyNumber(number)
	if err != nil {
		return Erased{}, err
	}
	all := []string{to}
	if others := q.cfg.Steward.Others; others != nil {
		err := q.db.View(func(tx *store.Tx) error {
			more, err := others(tx, to)
			all = append(more, to) // its own contact last: until then it can be asked again
			return err
		})
		if err != nil {
			return Erased{}, err
		}
	}
	var sum Erased
	for _, one := range all {
		done, err := q.eraseOne(ctx, one, by)
		sum.Messages, sum.Inbound, sum.Answers, sum.InFlight = sum.Messages+done.Messages, sum.Inbound+done.Inbound, sum.Answers+done.Answers, sum.InFlight+done.InFlight
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// eraseOne forgets one number or one address.
func (q *Queue) eraseOne(ctx context.Context, to, by string) (Erased, error) {
	at, err := q.lastOf(to)
	if err != nil {
		return Erased{}, err
	}
	order := &erasure{Hash: q.hash(to), At: at, Open: true}
	done, err := q.carryOut(ctx, order, to, by)
	if err != nil || done.InFlight == 0 {
		return done, err
	}
	if err := q.awaitLanding(ctx, order, to); err != nil {
		return done, nil // it is open, and will be finished
	}
	rest, err := q.carryOut(ctx, order, to, by)
	done.Messages, done.InFlight = done.Messages+rest.Messages, rest.InFlight
	return done, err
}

// lastOf is now, or the time of the newest that is there of a number: what was
// made while the clock ran ahead bears a time that is still to come, and is to
// be forgotten as well.
func (q *Queue) lastOf(number string) (at time.Time, err error) {
	at = q.now()
	later := func(t time.Time) {
		if t.After(at) {
			at = t
		}
	}
	err = q.db.View(func(tx *store.Tx) error {
		for m, err := range newestUnder(tx, byTo, store.Str(tail(number)), 0) {
			if err != nil {
				return err
			}
			if m.about(number) {
				later(m.Created)
			}
		}
		for in, err := range inbox.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if samePerson(in.From, number) {
				later(in.At)
			}
		}
		return nil
	})
	return at, err
}

// carryOut forgets all about a number that was there when the order was given,
// and closes the order if nothing is left.
func (q *Queue) carryOut(ctx context.Context, order *erasure, number, by string) (done Erased, err error) {
	err = q.db.Commit(ctx, func(tx *store.Tx) error {
		done = Erased{}
		if by != again {
			if err := erasures.Put(tx, order); err != nil {
				return err
			}
		}
		return q.erase(tx, order, number, by, &done)
	})
	if err != nil {
		return done, err
	}
	if by != again {
		q.forgetLater()
	}
	for _, forget := range q.alsoForget {
		n, err := forget(ctx, number)
		if err != nil {
			return done, err
		}
		done.Answers += n
	}
	// What could not be read any more may be of anybody.
	if err := q.db.WipeAsides(ctx, time.Now().Add(time.Second)); err != nil {
		return done, err
	}
	if done.InFlight > 0 {
		return done, nil
	}
	return done, q.close(ctx, order)
}

// forgetLater has the timer look at the open orders again in a while.
func (q *Queue) forgetLater() { q.forgetAt.Store(int64(time.Since(q.began) + forgetEvery)) }

// close ends an order: nothing is left that it is about.
func (q *Queue) close(ctx context.Context, order *erasure) error {
	return q.db.Commit(ctx, func(tx *store.Tx) error {
		e, err := erasures.Get(tx, store.Str(order.Hash))
		if err != nil || e == nil || e.At.After(order.At) {
			return err // a later order is none of ours
		}
		e.Open = false
		return erasures.Put(tx, e)
	})
}

// awaitLanding returns when what lanes hold for the number has its verdict.
func (q *Queue) awaitLanding(ctx context.Context, order *erasure, number string) error {
	ctx, cancel := context.WithTimeout(ctx, landWait)
	defer cancel()
	q.mu.Lock()
	flying := maps.Clone(q.flights)
	q.mu.Unlock()
	var told []ID
	err := q.db.View(func(tx *store.Tx) (err error) {
		told, err = q.telling(tx, order, number)
		return err
	})
	if err != nil {
		return err
	}
	for id, f := range flying {
		if m, err := q.Get(id); err != nil || !m.about(number) && !slices.Contains(told, id) {
			continue
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// erase forgets what was there when the order was given: who comes back as a
// customer later is a customer.
func (q *Queue) erase(tx *store.Tx, order *erasure, number, by string, done *Erased) error {
	var gone []*Message
	for m, err := range newestUnder(tx, byTo, store.Str(tail(number)), 0) {
		switch {
		case err != nil:
			return err
		case !m.about(number) || m.Created.After(order.At):
		case m.State == Sending:
			done.InFlight++
		default:
			gone = append(gone, m)
		}
	}
	told, err := q.toldOf(tx, order, number)
	if err != nil {
		return err
	}
	for _, m := range told {
		switch {
		case m.about(number): // it is among them, or came later
		case m.State == Sending:
			done.InFlight++
		default:
			gone = append(gone, m)
			if unsaid := q.cfg.Steward.Unsaid; unsaid != nil {
				if err := unsaid(tx, m.ID, m.out() || m.State.Final()); err != nil {
					return err
				}
			}
		}
	}
	for _, m := range gone {
		counted := m.State
		if m.State.Waits() && m.State != Sent {
			counted = Cancelled // it was never sent
		}
		if err := q.removeMessage(tx, m, counted); err != nil {
			return err
		}
	}
	done.Messages = len(gone)
	var rows [][]byte
	for in, err := range inbox.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if samePerson(in.From, number) && !in.At.After(order.At) {
			rows = append(rows, seqKey(in.Seq))
		}
	}
	for _, key := range rows {
		if err := inbox.Delete(tx, key); err != nil {
			return err
		}
	}
	done.Inbound = len(rows)
	if err := dropOrphans(tx, number); err != nil {
		return err
	}
	if err := concats.Delete(tx, store.Str(number)); err != nil {
		return err
	}
	if err := forgetRecipient(tx, number); err != nil {
		return err
	}
	if err := q.forgetOptOutNumber(tx, number); err != nil {
		return err
	}
	if told := q.cfg.Steward.Erased; told != nil {
		if err := told(tx, number); err != nil {
			return err
		}
	}
	if by == again && done.Messages+done.Inbound == 0 {
		return nil
	}
	tx.OnCommit(q.signal)
	return q.note(tx, nil, Event{Kind: KindErased, By: by})
}

// telling lists the messages to others that tell of a number, and of what was
// there when the order was given.
func (q *Queue) telling(tx *store.Tx, order *erasure, number string) ([]ID, error) {
	if q.cfg.Steward.Tells == nil {
		return nil, nil
	}
	return q.cfg.Steward.Tells(tx, order.At, func(other string) bool { return samePerson(other, number) })
}

// toldOf reads those of them that are still kept.
func (q *Queue) toldOf(tx *store.Tx, order *erasure, number string) (list []*Message, err error) {
	ids, err := q.telling(tx, order, number)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		m, err := messages.Get(tx, id.key())
		if err != nil {
			return nil, err
		}
		if m != nil {
			list = append(list, m)
		}
	}
	return list, nil
}

// dropOrphans forgets reports about a number that fit no message.
func dropOrphans(tx *store.Tx, number string) error {
	var keys [][]byte
	for o, err := range orphans.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if samePerson(o.Report.To, number) {
			keys = append(keys, store.Join(refKey(o.Report.Identity, o.Report.Ref), seqKey(o.Seq)))
		}
	}
	for _, key := range keys {
		if err := orphans.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}

// ForgetAgain finishes the erasures that are open: after a restore, all that
// were ordered since the backup was made. It finds by hash whom they are about.
// Run calls it before anything is sent. It is called by one goroutine at a time.
func (q *Queue) ForgetAgain(ctx context.Context) error {
	due := q.forgetAt.Load()
	orders := map[string]*erasure{}
	err := q.db.View(func(tx *store.Tx) error {
		for e, err := range erasures.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if e.Open {
				orders[e.Hash] = e
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var numbers map[string][]string
	if len(orders) > 0 {
		if numbers, err = q.numbersOf(orders); err != nil {
			return err
		}
	}
	left := false
	for hash, order := range orders {
		open := false
		for _, number := range numbers[hash] {
			done, err := q.carryOut(ctx, order, number, again)
			if err != nil {
				return err
			}
			open = open || done.InFlight > 0
		}
		if !open {
			if err := q.close(ctx, order); err != nil {
				return err
			}
		}
		left = left || open
	}
	if left {
		q.forgetLater()
	} else {
		q.forgetAt.CompareAndSwap(due, 0) // unless somebody gave an order meanwhile
	}
	return nil
}

// numbersOf finds the numbers behind hashes among everything that is kept. One
// person may be spelled in several ways by networks.
func (q *Queue) numbersOf(orders map[string]*erasure) (map[string][]string, error) {
	seen := map[string]bool{}
	found := map[string][]string{}
	look := func(number string) error {
		if number == "" || seen[number] {
			return nil
		}
		seen[number] = true
		if h := q.hash(number); orders[h] != nil {
			found[h] = append(found[h], number)
		}
		return nil
	}
	return found, q.db.View(func(tx *store.Tx) error {
		for m, err := range messages.Scan(tx, nil) {
			if err != nil {
				return err
			}
			for _, number := range []string{m.To, m.Other} {
				if err := look(number); err != nil {
					return err
				}
			}
		}
		for in, err := range inbox.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if err := look(in.From); err != nil {
				return err
			}
		}
		for o, err := range optOuts.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if err := look(o.Number); err != nil {
				return err
			}
		}
		if q.cfg.Steward.Numbers != nil {
			return q.cfg.Steward.Numbers(tx, look)
		}
		return nil
	})
}

// CopyErasures hands the orders to forget from one store on to another, where
// they are open: for a backup that is put back. It returns how many are new
// there. Both stores must be of the same box, whose name salts the hashes.
func CopyErasures(ctx context.Context, from, to *store.DB) (n int, err error) {
	if from.Box() != to.Box() {
		return 0, fmt.Errorf("queue: the store of box %s cannot tell what box %s is to forget", from.Box(), to.Box())
	}
	orders := map[string]*erasure{}
	err = from.View(func(tx *store.Tx) error {
		for e, err := range erasures.Scan(tx, nil) {
			if err != nil {
				return err
			}
			orders[e.Hash] = e
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	err = to.Commit(ctx, func(tx *store.Tx) error {
		n = 0
		for _, hash := range slices.Sorted(maps.Keys(orders)) {
			e := orders[hash]
			old, err := erasures.Get(tx, store.Str(hash))
			if err != nil {
				return err
			}
			if old != nil && !old.At.Before(e.At) {
				continue // the backup knows it
			}
			e.Open = true
			if err := erasures.Put(tx, e); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// About is all that is kept about one number or e-mail address.
type About struct {
	Number   string     `json:"number"`
	Messages []*Message `json:"messages"`
	Stories  [][]Event  `json:"stories"` // of each message
	Inbound  []Inbound  `json:"inbound"`
	OptOut   *OptOut    `json:"opt_out,omitempty"`
	Others   any        `json:"others,omitempty"` // what those know who cause messages
}

// Export returns all that is kept about a number or an e-mail address. What
// others were told of it (Steward.Tells) repeats what came in, and may tell of
// other persons in the same breath: it is left out. Error: *Invalid.
func (q *Queue) Export(number string) (*About, error) {
	to, err := q.anyNumber(number)
	if err != nil {
		return nil, err
	}
	a := &About{Number: to}
	err = q.db.View(func(tx *store.Tx) error {
		for m, err := range newestUnder(tx, byTo, store.Str(tail(to)), 0) {
			if err != nil {
				return err
			}
			if m.about(to) {
				if m.html, err = htmlOf(tx, m); err != nil {
					return err
				}
				a.Messages = append(a.Messages, m)
			}
		}
		for in, err := range inbox.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if samePerson(in.From, to) {
				a.Inbound = append(a.Inbound, *in)
			}
		}
		a.OptOut, err = optOuts.Get(tx, store.Str(q.hash(to)))
		if known := q.cfg.Steward.Known; known != nil && err == nil {
			a.Others, err = known(tx, to)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, m := range a.Messages {
		story, err := q.Story(m)
		if err != nil {
			return nil, err
		}
		a.Stories = append(a.Stories, story)
	}
	return a, nil
}

// samePerson compares two numbers. Only where a network did not spell one in
// full are the last digits enough: nobody is forgotten for another.
func samePerson(a, b string) bool {
	if strings.HasPrefix(a, "+") && strings.HasPrefix(b, "+") {
		return a == b
	}
	return sameNumber(a, b)
}

// hash stands for a number where the number itself must not be kept. It is
// salted with the name of the box.
func (q *Queue) hash(number string) string {
	h := hmac.New(sha256.New, []byte(q.db.Box()))
	h.Write([]byte(number))
	return hex.EncodeToString(h.Sum(nil)[:16])
}
