package outreach

import (
	"cmp"
	"time"

	"tillpost/queue"
)

// recipient is one person and all that a text may say to them.
type recipient struct {
	contact *Contact // nil: a row of a list
	booking *Booking
	vars    Vars // of the row, which go before the rest
	shared  Vars // of all recipients, which come last
	to      string
	lang    string
}

// reach is the number, or by e-mail the address, that the text goes to.
func (r *recipient) reach(channel string) string {
	if r.to == "" && r.contact != nil {
		return r.contact.reach(channel)
	}
	return r.to
}

// reach is the contact's number, or by e-mail their address.
func (c *Contact) reach(channel string) string {
	if channel == Email {
		return c.Email
	}
	return c.Number
}

func (r *recipient) language() string {
	if r.lang == "" && r.contact != nil {
		return r.contact.Language
	}
	return r.lang
}

// value fills in a placeholder: what came with the call goes before what the
// booking says, and that before the register.
func (r *recipient) value(name, lang string, zone *time.Location) string {
	if v, ok := r.vars[name]; ok {
		return v
	}
	if r.booking != nil {
		if _, own := r.booking.Attrs[name]; own || bookingNames[name] {
			return r.booking.value(name, lang, zone)
		}
	}
	if r.contact != nil {
		if v := r.contact.field(fieldName(name)).String(); v != "" {
			return v
		}
		if v := r.contact.Attrs[name].String(); v != "" {
			return v
		}
	}
	return r.shared[name]
}

// anyNames parses a template so that every placeholder counts as known: whether
// anybody has a value was asked when the selection was made.
func (o *Outreach) anyNames(t *Stored, channel string) (*writer, error) {
	names := Names{}
	w, err := o.writer(t, channel, nil)
	if err != nil {
		return nil, err
	}
	for _, f := range w.fields() {
		names[f] = true
	}
	return o.writer(t, channel, names)
}

// draft makes one message of a template.
func (o *Outreach) draft(t *Stored, channel string, d queue.Draft, r *recipient) (*queue.Message, error) {
	w, err := o.anyNames(t, channel)
	if err != nil {
		return nil, err
	}
	d, err = w.draft(d, r)
	if err != nil {
		return nil, err
	}
	return o.q.Prepare(d)
}

// draft completes a draft with what is said to one recipient.
func (w *writer) draft(d queue.Draft, r *recipient) (queue.Draft, error) {
	zone := w.o.cfg.Location
	value := func(name, reads string) string { return r.value(name, reads, zone) }
	words, lang, err := w.write(value, r.language())
	if err != nil {
		return d, err
	}
	if words == "" {
		return d, invalid("vars", CodeMissing, "without the values that are missing no sentence is left")
	}
	d.To, d.Text, d.Lang = r.reach(w.channel), words, cmp.Or(r.language(), lang)
	if w.channel == Email {
		// Spelling and parts are of SMS: an e-mail carries every character.
		d.Channel, d.Encoding, d.MaxParts = queue.Email, "", 0
		if d.Subject == "" {
			if d.Subject, err = w.subject(value, r.language()); err != nil {
				return d, err
			}
		}
		if d.HTML == "" {
			d.HTML, err = w.htmlForm(value, r.language(), lang)
		}
		return d, err
	}
	d.Encoding = cmp.Or(d.Encoding, w.t.Encoding)
	if d.MaxParts == 0 {
		d.MaxParts = w.t.MaxParts
	}
	return d, nil
}
