package queue

import (
	"fmt"
	"slices"

	"tillpost/queue/store"
	"tillpost/queue/text"
)

// What is different by e-mail: to is an address, nothing is cut or priced, and a
// mail server that takes it is the last that is heard of it.

// htmlRow is the HTML form of an e-mail. It stands beside the message, which is
// written anew at every step of its life.
type htmlRow struct {
	Msg  ID     `json:"msg"`
	HTML string `json:"html"`
}

var htmls = store.NewTable("message.html", func(h *htmlRow) []byte { return h.Msg.key() }).Expendable()

func keepHTML(tx *store.Tx, m *Message) error {
	if m.HTML == 0 {
		return nil
	}
	return htmls.Put(tx, &htmlRow{Msg: m.ID, HTML: m.html})
}

func htmlOf(tx *store.Tx, m *Message) (string, error) {
	if m.HTML == 0 {
		return "", nil
	}
	h, err := htmls.Get(tx, m.ID.key())
	if err != nil || h == nil {
		return "", err
	}
	return h.HTML, nil
}

func dropHTML(tx *store.Tx, m *Message) error {
	if m.HTML == 0 {
		return nil
	}
	return htmls.Delete(tx, m.ID.key())
}

// HTMLForm is the HTML form of an e-mail; empty: it has none, or none any more.
func (q *Queue) HTMLForm(m *Message) (s string, err error) {
	if m.HTML == 0 || m.html != "" {
		return m.html, nil
	}
	err = q.db.View(func(tx *store.Tx) error {
		s, err = htmlOf(tx, m)
		return err
	})
	return s, err
}

// Via is the channel that the message goes by now.
func (m *Message) Via() Channel {
	if m.Channel == Email {
		return Email
	}
	return SMS
}

// about says whether a message is about who has this number, or address.
func (m *Message) about(number string) bool {
	return m.To == number || m.Other != "" && m.Other == number
}

// subject of the mail that a lane sends.
func (m *Message) subject() string { return cmpOr(m.Subject, text.SubjectOf(m.Text())) }

// refusal is the reason that a message was refused for good.
func (m *Message) refusal() Reason {
	if m.Channel == Email {
		return because("mail_refused")
	}
	return because("refused")
}

// limitWord is the reason that it waits for a limit of its route.
func (m *Message) limitWord() string {
	if m.Channel == Email {
		return "mail_limit"
	}
	return "limit_reached"
}

// reader is whom a draft goes to: by number, by address, or by one and then the
// other.
type reader struct {
	number text.Number
	mail   text.Address
}

func (r reader) isZero() bool { return r.number.IsZero() && r.mail.IsZero() }

// HasMail says whether this box has a way out for e-mail.
func (q *Queue) HasMail() bool { return q.cfg.MailPool != "" }

// checkChannel checks that the box carries what a draft asks for. Its error is
// an *Invalid.
func (q *Queue) checkChannel(d *Draft) error {
	const noMail = "this box has no way out for e-mail. Set up the mail server in Settings > E-mail ([email] in the boot file), or "
	switch {
	case d.Channel != "" && d.Channel != SMS && d.Channel != Email:
		return oneOf("channel", string(d.Channel), string(SMS), string(Email))
	case d.Channel == Email && !q.HasMail():
		return &Invalid{"channel", "channel_not_here", noMail + "send it by sms"}
	case d.Email != "" && !q.HasMail():
		return &Invalid{"email", "channel_not_here", noMail + "leave email out"}
	}
	return nil
}

// readerOf reads whom a draft is for. By e-mail To may be the address; beside a
// number the address is in Email. Its error is an *Invalid.
func (q *Queue) readerOf(d *Draft) (r reader, err error) {
	number, mail, field := d.To, d.Email, "email"
	switch {
	case d.Channel == Email && d.Email == "":
		number, mail, field = "", d.To, "to"
	case d.Channel == Email && text.IsAddress(d.To):
		return r, &Invalid{"email", "one_of_two", "to and email are two addresses for one reader. Write the address in to, or a phone number there"}
	}
	if mail != "" || field == "to" {
		if r.mail, err = text.ParseAddress(mail); err != nil {
			e := invalidText(err, field).(*Invalid)
			e.Field = field
			return r, e
		}
	}
	if number != "" || d.Channel != Email {
		r.number, err = q.recipient(number)
	}
	return r, err
}

// checkMail checks what an e-mail has and an SMS has not, and the reverse, so
// that nothing that was asked for is silently left out. Its error is an
// *Invalid.
func (q *Queue) checkMail(m *Message, d *Draft, r reader) (err error) {
	byMail := d.Channel == Email
	switch {
	case m.Class == Marketing && !r.number.IsZero() && !r.mail.IsZero():
		// Consent is given for a channel (field-notes §5.1, SE).
		return &Invalid{"email", "one_channel", "advertising stays on the channel that the reader agreed to. Leave email out, or send it with channel email to the address alone"}
	case r.mail.IsZero() && !byMail && d.Subject != "":
		return &Invalid{"subject", "needs_email", "a subject belongs to an e-mail. Send it with channel email, or leave it out"}
	case r.mail.IsZero() && !byMail && d.HTML != "":
		return &Invalid{"html", "needs_email", "html belongs to an e-mail. Send it with channel email, or leave it out"}
	case byMail && d.From != "":
		return &Invalid{"from", "sms_only", "the sender of an e-mail is the one in Settings > E-mail. Leave from out"}
	case byMail && d.Flash:
		return &Invalid{"flash", "sms_only", "an e-mail cannot flash up. Leave flash out, or send it by sms"}
	case byMail && d.Encoding != "" && d.Encoding != string(text.Smart):
		return &Invalid{"encoding", "sms_only", "an e-mail carries every character as it is. Leave encoding out"}
	case byMail && d.MaxParts > 0:
		return &Invalid{"max_parts", "sms_only", "an e-mail has no parts. Leave max_parts out"}
	}
	if m.Subject, err = text.ComposeSubject(d.Subject); err != nil {
		return invalidText(err, "subject")
	}
	if err := text.CheckHTML(d.HTML); err != nil {
		return invalidText(err, "html")
	}
	m.HTML, m.html = len(d.HTML), d.HTML
	return nil
}

// address gives a message its reader.
func (m *Message) address(channel Channel, r reader) {
	m.To, m.Other, m.Country = r.number.String(), r.mail.String(), r.number.Country()
	if channel == Email {
		m.Channel, m.To, m.Other = Email, m.Other, m.To
	}
}

// isMail says whether a pool is where e-mail waits.
func (q *Queue) isMail(pool string) bool { return pool != "" && pool == q.cfg.MailPool }

// poolsFor lists the pools that carry a channel: what a till may ask for.
func (q *Queue) poolsFor(c Channel) []string {
	names := []string{DefaultPool}
	if c == Email {
		names = []string{q.cfg.MailPool}
	}
	q.mu.Lock()
	for _, r := range q.runners {
		if q.isMail(r.pool) == (c == Email) {
			names = append(names, r.pool, r.name)
		}
	}
	q.mu.Unlock()
	slices.Sort(names)
	return slices.Compact(names)
}

func (q *Queue) checkPool(m *Message) error {
	if pools := q.poolsFor(m.Via()); m.Asked && !slices.Contains(pools, m.Pool) {
		if slices.Contains(q.pools(), m.Pool) {
			return &Invalid{"pool", "channel_wrong", fmt.Sprintf("the pool %s does not carry %s. Set channel to what it carries, or leave pool out", m.Pool, m.Via())}
		}
		return oneOf("pool", m.Pool, pools...)
	}
	return nil
}
