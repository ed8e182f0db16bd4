package outreach

import (
	"cmp"
	"errors"
	"strings"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Single is one message that names a template, a contact or a booking instead
// of saying everything itself.
type Single struct {
	Template string
	Vars     map[string]string
	Contact  string
	Booking  string
}

// ofContact in place of an address is the one that the contact has.
const ofContact = "contact"

// IsZero: the message says everything itself.
func (s *Single) IsZero() bool {
	return s.Template == "" && len(s.Vars) == 0 && s.Contact == "" && s.Booking == ""
}

// Fill completes a draft by what a Single names. Its error is a *queue.Invalid,
// or the store's.
func (o *Outreach) Fill(d queue.Draft, s Single) (queue.Draft, error) {
	switch {
	case s.Template == "" && len(s.Vars) > 0:
		return d, invalid("vars", "template_missing", "vars fill in a template. Name one in template, or send the finished text in text")
	case s.Template != "" && d.Text != "":
		return d, invalid("text", "one_of_two", "text and template are two ways to say one thing. Send one of them")
	}
	channel := cmp.Or(string(d.Channel), SMS)
	var t *Stored
	var who *recipient
	row := &Recipient{Contact: s.Contact, Booking: s.Booking, To: d.To, Lang: d.Lang, Vars: s.Vars}
	err := o.db.View(func(tx *store.Tx) (err error) {
		if who, err = readRecipient(tx, row, nil); err != nil {
			return err
		}
		if s.Template != "" {
			if t, err = templates.Get(tx, store.Str(s.Template)); err != nil {
				return err
			}
		}
		return err
	})
	switch {
	case err != nil:
		return d, err
	case s.Contact != "" && who.contact == nil:
		return d, invalid("contact", "contact_unknown", "there is no contact %q. Send the number in to, or the contact first", s.Contact)
	case s.Booking != "" && who.booking == nil:
		return d, invalid("event", "event_unknown", "there is no booking %q. Send it first, or leave event out", s.Booking)
	case s.Template != "" && t == nil:
		return d, invalid("template", "template_unknown", "there is no template %q. Save it first, or send the finished text in text", s.Template)
	case t != nil && t.Draft:
		return d, invalid("template", "template_draft", "the template %s is a draft. Save it without draft when it is finished", t.Name)
	}
	d.Contact, d.Booking = s.Contact, s.Booking
	if d.Email == ofContact {
		if who.contact == nil || who.contact.Email == "" {
			return d, invalid("email", text.CodeAddressEmpty, "the contact has no e-mail address. Write it in email, or leave that out")
		}
		d.Email = who.contact.Email
		if channel == Email && d.To == "" {
			who.to = who.contact.Number
		}
	}
	to := who.reach(channel)
	if channel == Email && d.Email != "" && who.to == "" {
		to = "" // the address is in email
	}
	d.To, d.Lang = to, cmp.Or(who.language(), d.Lang)
	switch {
	case strings.TrimSpace(d.To) != "":
	case channel != Email:
		return d, invalid("to", "number_empty", "the contact %s has no number. Send it in to", s.Contact)
	case d.Email == "":
		return d, invalid("to", text.CodeAddressEmpty, "the contact %s has no e-mail address. Send it in to", s.Contact)
	}
	if t == nil {
		return d, nil
	}
	w, err := o.anyNames(t, channel)
	if err != nil {
		return d, err
	}
	if d.Class == "" {
		d.Class = t.Class
	}
	d, err = w.draft(d, who)
	d.To = to
	if bad, ok := errors.AsType[*queue.Invalid](err); ok && bad.Field == "template" {
		err = within(bad, "template")
	}
	return d, err
}

// Said is what the caller of one message knows of its reader's consent.
type Said struct {
	Consents []string // purposes the reader agreed to
	Proof    *Proof   // where and when
}

// Agreed refuses a message that is advertising to somebody who did not agree to
// it, whether they are known here or only by their number. d is complete: what a
// template says of its class is in it. Error: *queue.Invalid, or the store's.
func (o *Outreach) Agreed(d queue.Draft, said Said) error {
	if err := said.Proof.check("consent", o.q.Now()); err != nil {
		return err
	}
	if d.Class != queue.Marketing || o.cfg.TillChecks {
		return nil
	}
	c := &Campaign{Channel: cmp.Or(string(d.Channel), SMS), Consent: Policy{RequireAll: []string{Marketing}}}
	row := &Recipient{Contact: d.Contact, To: d.To, Consents: said.Consents, Proof: said.Proof}
	if c.Channel == Email && d.Email != "" {
		row.To = d.Email
	}
	number, err := o.reached(c.Channel, row.To)
	if err != nil {
		return nil // the queue refuses it, in its own words
	}
	why := ""
	err = o.db.View(func(tx *store.Tx) error {
		who, err := contacts.Get(tx, store.Str(d.Contact))
		if err == nil {
			why, err = refusesRow(tx, c, row, who, number)
		}
		return err
	})
	if err != nil || why == "" {
		return err
	}
	return invalid(whoField(d), "no_consent", "this is advertising (class marketing): %s. Send what the reader agreed to in consents or the proof in consent, note it with the contact, or set [consent] till_checks if the till asks everybody; what is no advertising is of class transactional", why)
}

// reached is a number or an address in the spelling that is kept.
func (o *Outreach) reached(channel, to string) (string, error) {
	if channel == Email {
		a, err := text.ParseAddress(to)
		return a.String(), err
	}
	n, err := text.ParseNumber(to, o.cfg.Country)
	return n.String(), err
}

// whoField is the field in which a call said to whom it goes.
func whoField(d queue.Draft) string {
	if d.Contact != "" {
		return "contact"
	}
	return "to"
}
