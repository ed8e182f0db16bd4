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

// UpcomingAll says what each rule will do until a time, by its name and by
// time. It reads the register and the plans once for all of them. A rule that is
// off is not there.
func (o *Outreach) UpcomingAll(until time.Time) (map[string][]Upcoming, error) {
	all, planned := map[string][]Upcoming{}, map[string]*Rule{}
	var runs []*dailyRun
	err := each(o.db, rules, func(_ *store.Tx, r *Rule) error {
		if r.Off {
			return nil
		}
		all[r.Name] = []Upcoming{}
		if !r.daily() {
			planned[r.Name] = r
			return nil
		}
		days, err := o.days(r, until)
		runs = append(runs, days)
		return err
	})
	if err == nil && len(planned) > 0 {
		err = o.eachPlan(planned, until, func(r *Rule, u Upcoming) { all[r.Name] = append(all[r.Name], u) })
	}
	if err == nil && len(runs) > 0 {
		err = each(o.db, register, func(tx *store.Tx, c *Contact) error {
			for _, days := range runs {
				if name := days.r.Name; len(all[name]) < mostUpcoming {
					theirs, err := days.of(tx, c)
					if err != nil {
						return err
					}
					all[name] = append(all[name], theirs...)
				}
			}
			return nil
		})
	}
	for _, list := range all {
		slices.SortStableFunc(list, func(a, b Upcoming) int { return a.At.Compare(b.At) })
	}
	return all, err
}

func (o *Outreach) upcomingPlans(r *Rule, until time.Time) (list []Upcoming, err error) {
	err = o.eachPlan(map[string]*Rule{r.Name: r}, until, func(_ *Rule, u Upcoming) { list = append(list, u) })
	return list, err
}

// eachPlan calls fn for what some rules have planned until a time, at most so
// much for each.
func (o *Outreach) eachPlan(of map[string]*Rule, until time.Time, fn func(*Rule, Upcoming)) error {
	seen := map[string]int{}
	return o.db.View(func(tx *store.Tx) error {
		for key, pk := range byPlanDue.Keys(tx, nil) {
			if store.ReadKey(key).Time().After(until) {
				return nil
			}
			p, err := plans.Get(tx, bytes.Clone(pk))
			if err != nil {
				return err
			}
			if p == nil || of[p.Rule] == nil || seen[p.Rule] == mostUpcoming {
				continue
			}
			u, err := o.upcomingPlan(tx, of[p.Rule], p)
			if err != nil {
				return err
			}
			seen[p.Rule]++
			fn(of[p.Rule], u)
		}
		return nil
	})
}

// upcomingPlan is what becomes of one plan.
func (o *Outreach) upcomingPlan(tx *store.Tx, r *Rule, p *plan) (u Upcoming, err error) {
	u = Upcoming{At: p.Due, Contact: contactOf(p.Owner), Booking: bookingOf(p.Owner), Occasion: p.Key}
	var b *Booking
	if u.Booking != "" {
		if b, err = bookings.Get(tx, store.Str(u.Booking)); err != nil {
			return u, err
		}
		if b != nil {
			u.Contact = b.Contact
		}
	}
	c, err := contacts.Get(tx, store.Str(u.Contact))
	switch {
	case err != nil:
		return u, err
	case c == nil:
		u.Why = "the contact is gone"
		return u, nil
	}
	u.Why, err = o.mayRule(tx, r, c, b)
	return u, err
}

func (o *Outreach) upcomingDays(r *Rule, until time.Time) (list []Upcoming, err error) {
	days, err := o.days(r, until)
	if err != nil {
		return nil, err
	}
	err = each(o.db, register, func(tx *store.Tx, c *Contact) error {
		if len(list) >= mostUpcoming {
			return nil
		}
		theirs, err := days.of(tx, c)
		list = append(list, theirs...)
		return err
	})
	return list, err
}

// dailyRun is what a daily rule will do in some days.
type dailyRun struct {
	o           *Outreach
	r           *Rule
	who         *selector
	now, until  time.Time
	first, last time.Time // days
}

func (o *Outreach) days(r *Rule, until time.Time) (*dailyRun, error) {
	now := o.q.Now()
	who, err := o.selector(&r.Audience, now)
	if err != nil {
		return nil, err
	}
	zone := o.cfg.Location
	d := &dailyRun{o: o, r: r, who: who, now: now, until: until, first: dayIn(now, zone), last: dayIn(until, zone)}
	if r.Done == d.first.Format(time.DateOnly) {
		d.first = d.first.AddDate(0, 0, 1)
	}
	return d, nil
}

// of are the messages to one contact.
func (d *dailyRun) of(tx *store.Tx, c *Contact) (list []Upcoming, err error) {
	days := d.r.dueDays(c, d.first, d.last)
	if len(days) == 0 {
		return nil, nil
	}
	if _, ok := d.who.matches(c); !ok {
		return nil, nil
	}
	for _, day := range days {
		old, err := occasions.Get(tx, (&occasion{Rule: d.r.Name, Owner: ownerContact + c.ID, Key: day.key}).key())
		if err != nil {
			return nil, err
		}
		u := Upcoming{At: d.r.runAt(day.day, d.o.cfg.Location), Contact: c.ID, Occasion: day.key}
		if old != nil || u.At.After(d.until) {
			continue
		}
		if u.At.Before(d.now) {
			u.At = d.r.window().after(d.now, d.o.cfg.Location)
		}
		if u.Why, err = refusesContact(tx, c, &d.r.Consent, d.r.Channel, nil); err != nil {
			return nil, err
		}
		if u.Why == "" && !flagOn(d.r, c, nil) {
			u.Why = d.r.Flag + " is off"
		}
		list = append(list, u)
	}
	return list, nil
}

// About is all that outreach keeps about one number, or one contact.
type About struct {
	Contacts []Contact `json:"contacts"`
	Consents []Consent `json:"consents"`
	Bookings []Booking `json:"bookings"`
}

// aboutNumber is all that is kept about a number, for the person who asks.
func aboutNumber(tx *store.Tx, number string) (any, error) {
	a := newAbout()
	list, err := withNumber(tx, number)
	if err != nil {
		return nil, err
	}
	for _, one := range list {
		if err := a.add(tx, one); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func newAbout() *About {
	return &About{Contacts: []Contact{}, Consents: []Consent{}, Bookings: []Booking{}}
}

func (a *About) add(tx *store.Tx, one *Contact) error {
	a.Contacts = append(a.Contacts, *one)
	for row, err := range under(tx, consents, store.Str(one.ID)) {
		if err != nil {
			return err
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
			return err
		}
		if b != nil {
			a.Bookings = append(a.Bookings, *b)
		}
	}
	return nil
}
