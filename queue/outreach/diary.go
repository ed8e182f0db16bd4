package outreach

import (
	"bytes"
	"slices"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// diary is in which of two a booking stands: what customers have, and the
// events that tickets belong to.
func (b *Booking) diary() string {
	if b.Contact == "" {
		return "event"
	}
	return "customer"
}

// Between lists what begins from one time up to another, the earliest first:
// bookings of customers, or events. more: there are others. A ticket without a
// start of its own stands under its event (Bookings) and in no day.
func (o *Outreach) Between(events bool, from, to time.Time, limit int) (list []Booking, more bool, err error) {
	which := (&Booking{Contact: "anybody"}).diary()
	if events {
		which = (&Booking{}).diary()
	}
	prefix := store.Str(which)
	err = o.db.View(func(tx *store.Tx) error {
		for key, id := range byStart.Keys(tx, store.Join(prefix, store.Time(from))) {
			rest, ours := bytes.CutPrefix(key, prefix)
			if !ours || !store.ReadKey(rest).Time().Before(to) {
				return nil
			}
			if len(list) == limit {
				more = true
				return nil
			}
			b, err := bookings.Get(tx, id)
			if err != nil {
				return err
			}
			if b != nil {
				list = append(list, *b)
			}
		}
		return nil
	})
	return list, more, err
}

// Told is one message that a booking brings about by a rule: one that was
// written, one that will be, or none and why.
type Told struct {
	Rule    string
	Event   string // pending, confirmed, rejected, cancelled, moved, reminder
	Channel string
	Off     bool      // the rule is switched off
	Planned bool      // it will be written at At
	At      time.Time // zero: it was not written, and is not planned
	Msg     queue.ID  // that was written; zero: none
	Gone    bool      // and taken back
	Why     string    // it was not, or will not be, written: why
}

// Told says what a booking's customer was told and will be, rule by rule. Of a
// rule that has said nothing and plans nothing there is one line without At.
// Error: ErrNotFound.
func (o *Outreach) Told(id string) (list []Told, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		b, err := bookings.Get(tx, store.Str(id))
		if err != nil {
			return err
		}
		if b == nil {
			return ErrNotFound
		}
		e, err := effective(tx, b)
		if err != nil {
			return err
		}
		list, err = o.toldOf(tx, e)
		return err
	})
	slices.SortStableFunc(list, func(a, b Told) int { return a.At.Compare(b.At) })
	return list, err
}

func (o *Outreach) toldOf(tx *store.Tx, b *Booking) (list []Told, err error) {
	said, err := saidAbout(tx, ownerBooking+b.ID)
	if err != nil {
		return nil, err
	}
	for r, err := range rules.Scan(tx, nil) {
		if err != nil {
			return nil, err
		}
		lines := said[r.Name]
		if !r.ofBooking() || !o.about(r, b) && len(lines) == 0 {
			continue
		}
		if len(lines) == 0 {
			lines = []Told{{Rule: r.Name, Why: o.silent(r, b)}}
		}
		for _, t := range lines {
			t.Event, t.Channel, t.Off = r.On.Event[len(onBooking):], r.Channel, r.Off
			if t.Planned {
				if t.Why, err = o.silenced(tx, r, b); err != nil {
					return nil, err
				}
			}
			list = append(list, t)
		}
	}
	return list, nil
}

// saidAbout is what rules have written to an owner, and what they plan.
func saidAbout(tx *store.Tx, owner string) (said map[string][]Told, err error) {
	said = map[string][]Told{}
	prefix := store.Str(owner)
	for key, pk := range byOwner.Keys(tx, prefix) {
		if !bytes.HasPrefix(key, prefix) {
			break
		}
		oc, err := occasions.Get(tx, pk)
		if err != nil {
			return nil, err
		}
		if oc != nil {
			said[oc.Rule] = append(said[oc.Rule], Told{Rule: oc.Rule, At: oc.At, Msg: oc.Msg, Gone: oc.Gone, Why: oc.Why})
		}
	}
	for p, err := range under(tx, plans, prefix) {
		if err != nil {
			return nil, err
		}
		said[p.Rule] = append(said[p.Rule], Told{Rule: p.Rule, At: p.Due, Planned: true})
	}
	return said, nil
}

// silent says why a rule plans nothing for a booking; empty for a notice whose
// event has not come.
func (o *Outreach) silent(r *Rule, b *Booking) string {
	switch {
	case r.Off:
		return "the notice is switched off"
	case b.Contact == "":
		return "the booking has no contact"
	case r.On.Event != OnReminder:
		return ""
	case b.Status != Confirmed:
		return "the booking is " + string(b.Status)
	}
	due, ok := r.reminderAt(b, o.cfg.Location)
	switch {
	case !ok:
		return "the booking has no lead time"
	case due.Before(o.q.Now()):
		return "it would have been due before now"
	}
	return ""
}

// silenced says why what a rule has planned for a booking will not be written,
// as things are now; empty: it will.
func (o *Outreach) silenced(tx *store.Tx, r *Rule, b *Booking) (string, error) {
	c, err := contacts.Get(tx, store.Str(b.Contact))
	if err != nil {
		return "", err
	}
	if c == nil {
		return "the contact is gone", nil
	}
	return o.mayRule(tx, r, c, b)
}
