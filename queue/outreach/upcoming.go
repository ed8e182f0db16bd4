package outreach

import (
	"bytes"
	"slices"
	"time"

	"tillpost/queue/store"
)

// Upcoming is one message that a rule will write, as things are now.
type Upcoming struct {
	At       time.Time `json:"at"`
	Contact  string    `json:"contact"`
	Booking  string    `json:"booking,omitempty"`
	Occasion string    `json:"occasion"`
	Why      string    `json:"why,omitempty"` // it will not be written: why
}

const mostUpcoming = 10_000

// Upcoming says what a rule will do until a time, by time. Error: ErrNotFound.
func (o *Outreach) Upcoming(name string, until time.Time) (list []Upcoming, err error) {
	r, err := o.Rule(name)
	if err != nil {
		return nil, err
	}
	list = []Upcoming{}
	if r.Off {
		return list, nil
	}
	if r.daily() {
		list, err = o.upcomingDays(r, until)
	} else {
		list, err = o.upcomingPlans(r, until)
	}
	slices.SortStableFunc(list, func(a, b Upcoming) int { return a.At.Compare(b.At) })
	return list, err
}

func (o *Outreach) upcomingPlans(r *Rule, until time.Time) (list []Upcoming, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		for key, pk := range byPlanDue.Keys(tx, nil) {
			if store.ReadKey(key).Time().After(until) || len(list) == mostUpcoming {
				return nil
			}
			p, err := plans.Get(tx, bytes.Clone(pk))
			if err != nil {
				return err
			}
			if p == nil || p.Rule != r.Name {
				continue
			}
			u := Upcoming{At: p.Due, Contact: contactOf(p.Owner), Booking: bookingOf(p.Owner), Occasion: p.Key}
			var b *Booking
			if u.Booking != "" {
				if b, err = bookings.Get(tx, store.Str(u.Booking)); err != nil {
					return err
				}
				if b != nil {
					u.Contact = b.Contact
				}
			}
			c, err := contacts.Get(tx, store.Str(u.Contact))
			if err != nil {
				return err
			}
			if c == nil {
				u.Why = "the contact is gone"
			} else if u.Why, err = o.mayRule(tx, r, c, b); err != nil {
				return err
			}
			list = append(list, u)
		}
		return nil
	})
	return list, err
}

func (o *Outreach) upcomingDays(r *Rule, until time.Time) (list []Upcoming, err error) {
	now := o.q.Now()
	zone := o.cfg.Location
	who, err := o.selector(&r.Audience, now)
	if err != nil {
		return nil, err
	}
	first, last := dayIn(now, zone), dayIn(until, zone)
	if r.Done == first.Format(time.DateOnly) {
		first = first.AddDate(0, 0, 1)
	}
	err = each(o.db, register, func(tx *store.Tx, c *Contact) error {
		days := r.dueDays(c, first, last)
		if len(days) == 0 || len(list) >= mostUpcoming {
			return nil
		}
		if _, ok := who.matches(c); !ok {
			return nil
		}
		for _, d := range days {
			old, err := occasions.Get(tx, (&occasion{Rule: r.Name, Owner: ownerContact + c.ID, Key: d.key}).key())
			if err != nil {
				return err
			}
			u := Upcoming{At: r.runAt(d.day, zone), Contact: c.ID, Occasion: d.key}
			if old != nil || u.At.After(until) {
				continue
			}
			if u.At.Before(now) {
				u.At = now
			}
			if u.Why, err = refusesContact(tx, c, &r.Consent, r.Channel, nil); err != nil {
				return err
			}
			if u.Why == "" && !flagOn(r, c, nil) {
				u.Why = r.Flag + " is off"
			}
			list = append(list, u)
		}
		return nil
	})
	return list, err
}

// About is all that outreach keeps about one number.
type About struct {
	Contacts []Contact `json:"contacts"`
	Consents []Consent `json:"consents"`
	Bookings []Booking `json:"bookings"`
}

// aboutNumber is all that is kept about a number, for the person who asks.
func aboutNumber(tx *store.Tx, number string) (any, error) {
	a := &About{Contacts: []Contact{}, Consents: []Consent{}, Bookings: []Booking{}}
	list, err := withNumber(tx, number)
	if err != nil {
		return nil, err
	}
	for _, one := range list {
		a.Contacts = append(a.Contacts, *one)
		for row, err := range under(tx, consents, store.Str(one.ID)) {
			if err != nil {
				return nil, err
			}
			a.Consents = append(a.Consents, *row)
		}
		prefix := store.Str(one.ID)
		for key, id := range byBooker.Keys(tx, prefix) {
			if !bytes.HasPrefix(key, prefix) {
				break
			}
			b, err := bookings.Get(tx, id)
			if err != nil {
				return nil, err
			}
			if b != nil {
				a.Bookings = append(a.Bookings, *b)
			}
		}
	}
	return a, nil
}
