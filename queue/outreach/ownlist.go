package outreach

import (
	"context"
	"time"

	"tillpost/queue/store"
	"tillpost/queue/text"
)

// PutList saves a draft that brings its own list in place of an audience. A
// number that one contact has is taken for that contact, so that a text may use
// their name. What is wrong with a row is told by Preview, and the row gets
// nothing. Error: *queue.Invalid.
func (o *Outreach) PutList(ctx context.Context, c Campaign, list []Recipient, by string) (*Campaign, error) {
	switch {
	case len(list) == 0:
		return nil, invalid("recipients", "recipients_missing", "the list is empty. Write at least one number")
	case len(list) > maxBatch:
		return nil, invalid("recipients", "out_of_range", "these are %d recipients, and one list has %d at most. Make several campaigns of it", len(list), maxBatch)
	}
	c.Listed = len(list)
	return o.putCampaign(ctx, c, list, by)
}

// keepList writes the list of a draft, or leaves the one that it has, or takes
// it away from a draft that names an audience now.
func (o *Outreach) keepList(tx *store.Tx, c, was *Campaign, list []Recipient) (err error) {
	switch {
	case list == nil && c.Listed > 0:
		if was == nil || was.Listed == 0 {
			return invalid("audience", "audience_missing", "%s has no list of its own yet. Send one, or say whom it is for in audience", c.Name)
		}
		c.Listed, c.Pages = was.Listed, was.Pages
		return nil
	case was != nil && was.Pages > 0:
		if err := deleteUnder(tx, sheets, store.Str(c.Name)); err != nil {
			return err
		}
	}
	rows := make([]Recipient, len(list)) // the caller's stay as they are: this may run twice
	for i, r := range list {
		if rows[i], err = o.asKept(tx, r, i+1); err != nil {
			return err
		}
	}
	c.Pages, err = writeSheets(tx, c.Name, rows)
	return err
}

// asKept is a row as a draft keeps it: with its place, its number in one
// spelling so that an erasure finds it, and the contact who has that number.
func (o *Outreach) asKept(tx *store.Tx, r Recipient, place int) (Recipient, error) {
	if r.Row == 0 {
		r.Row = place
	}
	r.Why = r.Bad
	if n, err := text.ParseNumber(r.To, o.cfg.Country); err == nil {
		r.To = n.String()
	}
	if r.Contact != "" || r.To == "" {
		return r, nil
	}
	who, err := withNumber(tx, r.To)
	if err == nil && len(who) == 1 {
		r.Contact = who[0].ID
	}
	return r, err
}

// chosen is whom a draft means: the audience in the register, or the list that
// it brought, with an account of the rows that cannot be sent.
func (o *Outreach) chosen(c *Campaign, now time.Time) (*selection, *Imported, error) {
	rep := &Imported{Rows: c.Listed, Errors: []RowError{}}
	if c.Listed == 0 {
		s, err := o.fromRegister(c, now)
		return s, rep, err
	}
	var list []Recipient
	err := o.db.View(func(tx *store.Tx) error {
		for s, err := range under(tx, sheets, store.Str(c.Name)) {
			if err != nil {
				return err
			}
			for _, r := range s.List {
				r.Bad, r.Why = r.Why, ""
				list = append(list, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	s, err := o.fromList(c, list, rep, nil)
	return s, rep, err
}
