package outreach

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tillpost/queue/store"
)

// What a rule asks of must be there, or be said to come: a slip of the pen in
// the name of a field makes is_not hold for everybody and at_least for nobody,
// and no rule tells that by itself.

// meant refuses a rule that names a field which no contact or booking has, or an
// event that there is not. While there are no contacts, or no bookings, nobody
// can say so of a field; a field that is to come is named in new_fields. Its
// error is a *queue.Invalid.
func (o *Outreach) meant(r *Rule) error {
	for i, name := range r.NewFields {
		r.NewFields[i] = fold(name)
	}
	a := &r.Audience
	if err := o.meantOfContacts(r, slices.Concat(asked("audience.all", a.All), asked("audience.any", a.Any))); err != nil {
		return err
	}
	ofBookings := slices.Concat(asked("audience.booking", a.Booking), asked("audience.no_booking", a.NoBooking))
	for _, c := range ofBookings {
		if err := o.meantEvent(c); err != nil {
			return err
		}
	}
	return o.meantOfBookings(r, slices.Concat(ofBookings, asked("match", r.Match)))
}

// askedOf is one condition and where it stands in the call.
type askedOf struct {
	at string
	Condition
}

// asked lists the conditions of a list with those one level deeper.
func asked(at string, list []Condition) (flat []askedOf) {
	for i, c := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		if c.Field != "" {
			flat = append(flat, askedOf{at, c})
		}
		flat = append(flat, asked(at+".any", c.Any)...)
		flat = append(flat, asked(at+".all", c.All)...)
	}
	return flat
}

func (o *Outreach) meantOfContacts(r *Rule, conds []askedOf) error {
	if r.On.Field == "" && len(conds) == 0 {
		return nil
	}
	known, some := fieldNames(), false
	known[FlagReminder] = true
	err := each(o.db, register, func(_ *store.Tx, c *Contact) error {
		some = true
		c.noteNames(known)
		for flag := range c.Flags {
			known[flag] = true
		}
		return nil
	})
	if err != nil || !some {
		return err
	}
	for _, name := range []struct{ field, name string }{{"on.field", r.On.Field}, {"on.lead", r.On.Lead}} {
		if name.name == "" || r.ofBooking() {
			continue
		}
		// What appears for the first time nobody need have yet; a name that is
		// nearly another is a slip all the same.
		if r.On.Event == OnFirst && Nearest(name.name, slices.Sorted(maps.Keys(known))) == "" {
			continue
		}
		if err := r.knows(known, name.field, name.name, "contact"); err != nil {
			return err
		}
	}
	for _, c := range conds {
		name := fieldName(c.Field)
		if strings.HasPrefix(name, "flag.") {
			continue
		}
		if err := r.knows(known, c.at+".field", name, "contact"); err != nil {
			return err
		}
	}
	return nil
}

func (o *Outreach) meantOfBookings(r *Rule, conds []askedOf) error {
	lead := r.ofBooking() && r.On.Lead != ""
	if len(conds) == 0 && !lead {
		return nil
	}
	known, some := Names{"id": true, "status": true}, false
	for name := range bookingNames {
		known[name] = true
	}
	err := each(o.db, bookings, func(_ *store.Tx, b *Booking) error {
		some = true
		for name := range b.Attrs {
			known[name] = true
		}
		return nil
	})
	if err != nil || !some {
		return err
	}
	if lead {
		if err := r.knows(known, "on.lead", r.On.Lead, "booking"); err != nil {
			return err
		}
	}
	for _, c := range conds {
		if err := r.knows(known, c.at+".field", fold(c.Field), "booking"); err != nil {
			return err
		}
	}
	return nil
}

// knows refuses a name that is not known and was not said to come.
func (r *Rule) knows(known Names, field, name, who string) error {
	if known[name] || slices.Contains(r.NewFields, name) {
		return nil
	}
	did := ""
	if near := Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
		did = fmt.Sprintf(" Did you mean %q?", near)
	}
	return invalid(field, "field_unknown", "no %s has %q, so that the rule would mean everybody or nobody.%s Correct it, or name it in new_fields if it is to come", who, name, did)
}

// meantEvent refuses a condition about an event that there is not.
func (o *Outreach) meantEvent(c askedOf) error {
	if fold(c.Field) != "event" || !slices.Contains([]string{"is", "is_not", "in", "not_in"}, c.Op) {
		return nil
	}
	return o.db.View(func(tx *store.Tx) error {
		for _, id := range slices.Concat(c.Value.List, []string{c.Value.Text}) {
			if id == "" {
				continue
			}
			b, err := bookings.Get(tx, store.Str(id))
			if err != nil {
				return err
			}
			if b == nil && !hasTickets(tx, id) {
				return noEvent(tx, c.at, id)
			}
		}
		return nil
	})
}

func hasTickets(tx *store.Tx, event string) bool {
	prefix := store.Str(event)
	for key := range byEvent.Keys(tx, prefix) {
		return bytes.HasPrefix(key, prefix)
	}
	return false
}

func noEvent(tx *store.Tx, at, id string) error {
	var known []string
	for b, err := range bookings.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if b.Contact == "" {
			known = append(known, strings.ToLower(b.ID))
		}
	}
	did := ""
	if near := Nearest(id, known); near != "" {
		did = fmt.Sprintf(" Did you mean %q?", near)
	}
	return invalid(at+".value", "event_unknown", "there is no event %q, and no ticket to one.%s Correct it, or send the event first", id, did)
}
