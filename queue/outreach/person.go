package outreach

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"tillpost/queue/store"
)

// What concerns one contact, by its id: who has no number is a person too.

// About is all that outreach keeps about one contact. Error: ErrNotFound.
func (o *Outreach) About(id string) (a *About, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		c, err := contacts.Get(tx, store.Str(id))
		if err != nil {
			return err
		}
		if c == nil {
			return ErrNotFound
		}
		a = newAbout()
		return a.add(tx, c)
	})
	return a, err
}

// Namesakes are the other contacts who have the number of one: whoever erases
// a number erases them too.
func (o *Outreach) Namesakes(c *Contact) (others []Contact, err error) {
	if c.Number == "" {
		return nil, nil
	}
	err = o.db.View(func(tx *store.Tx) error {
		list, err := withNumber(tx, c.Number)
		for _, other := range list {
			if other.ID != c.ID {
				others = append(others, *other)
			}
		}
		return err
	})
	return others, err
}

// EraseContact forgets a contact without a number, with its ledger, its
// bookings and its place in lists. One that has a number is erased by the
// queue, which knows its messages. Error: ErrNotFound, *queue.Invalid.
func (o *Outreach) EraseContact(ctx context.Context, id string) error {
	return o.commit(ctx, func(tx *store.Tx) error {
		c, err := contacts.Get(tx, store.Str(id))
		switch {
		case err != nil:
			return err
		case c == nil:
			return ErrNotFound
		case c.Number != "":
			return invalid("number", "number_known", "the contact has a number, so there may be messages. Erase the number, which takes the contact with it")
		}
		if err := eraseContact(tx, id); err != nil {
			return err
		}
		return eraseFromLists(tx, "", map[string]bool{id: true})
	})
}

// Coming is one message that a rule will write to a contact, as things are now.
type Coming struct {
	Rule string
	Upcoming
}

// UpcomingFor says what rules will write to one contact until a time, by time.
// Error: ErrNotFound.
func (o *Outreach) UpcomingFor(id string, until time.Time) (list []Coming, err error) {
	c, err := o.Contact(id)
	if err != nil {
		return nil, err
	}
	var all []*Rule
	if err := each(o.db, rules, func(_ *store.Tx, r *Rule) error { all = append(all, r); return nil }); err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Off {
			continue
		}
		of := func(tx *store.Tx) ([]Upcoming, error) { return o.plansFor(tx, r, c, until) }
		if r.daily() {
			days, err := o.days(r, until) // reads by itself, so it is no part of the transaction
			if err != nil {
				return nil, err
			}
			of = func(tx *store.Tx) ([]Upcoming, error) { return days.of(tx, c) }
		}
		err := o.db.View(func(tx *store.Tx) error {
			theirs, err := of(tx)
			for _, u := range theirs {
				list = append(list, Coming{r.Name, u})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b Coming) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Rule, b.Rule))
	})
	return list, nil
}

// plansFor are what a rule has planned for a contact and for its bookings.
func (o *Outreach) plansFor(tx *store.Tx, r *Rule, c *Contact, until time.Time) (list []Upcoming, err error) {
	owners := []string{ownerContact + c.ID}
	prefix := store.Str(c.ID)
	for key, booking := range byBooker.Keys(tx, prefix) {
		if !bytes.HasPrefix(key, prefix) {
			break
		}
		owners = append(owners, ownerBooking+store.ReadKey(booking).Str())
	}
	for _, owner := range owners {
		p, err := plans.Get(tx, (&plan{Owner: owner, Rule: r.Name}).key())
		if err != nil {
			return nil, err
		}
		if p == nil || p.Due.After(until) {
			continue
		}
		u, err := o.upcomingPlan(tx, r, p)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}
