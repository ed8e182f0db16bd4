package outreach

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// selection is a list in the making: who is on it, who is left out, and what
// names they have values for.
type selection struct {
	list   []Recipient
	left   leftOut
	merged int
	names  Names

	byNumber map[string]bool
	firstOut RowError    // of a list: the first row that was left out
	tell     func(rowOf) // of a list: hears of every row that gets nothing; nil: nobody does
}

// rowOf is a row of a list that gets nothing, and what became of it: refused,
// left out, merged.
type rowOf struct {
	RowError
	state string
}

func (s *selection) told(state string, e RowError) {
	if s.tell != nil {
		s.tell(rowOf{e, state})
	}
}

func (s *selection) refuse(rep *Imported, row int, err error) {
	rep.refuse(row, err)
	s.told("refused", rowError(row, err))
}

// leaveOut notes why a row of a list gets nothing.
func (s *selection) leaveOut(row int, why string) {
	e := RowError{Row: row, Detail: why}
	if s.firstOut.Row == 0 {
		s.firstOut = e
	}
	s.left.add(fmt.Sprintf("row %d", row), why)
	s.told("left out", e)
}

// take puts a recipient on the list, unless the number is there already.
func (s *selection) take(r Recipient, number string, dedupe bool) {
	if dedupe {
		if s.byNumber[number] {
			s.merged++
			s.told("merged", RowError{Row: r.Row, Detail: "another row reaches the same one"})
			return
		}
		s.byNumber[number] = true
	}
	s.list = append(s.list, r)
}

// fromRegister selects the audience of a campaign.
func (o *Outreach) fromRegister(c *Campaign, now time.Time) (*selection, error) {
	who, err := o.selector(&c.Audience, now)
	if err != nil {
		return nil, err
	}
	s := &selection{names: fieldNames(), byNumber: map[string]bool{}}
	dedupe := c.Dedupe == nil || *c.Dedupe
	err = each(o.db, register, func(tx *store.Tx, one *Contact) error {
		booking, ok := who.matches(one)
		if !ok {
			return nil
		}
		why, err := refusesContact(tx, one, &c.Consent, c.Channel, nil)
		if err != nil {
			return err
		}
		if why != "" {
			s.left.add(one.ID, why)
			return nil
		}
		one.noteNames(s.names)
		s.take(Recipient{Contact: one.ID, Booking: booking}, one.reach(c.Channel), dedupe)
		return nil
	})
	if err != nil || len(who.booked) == 0 {
		return s, err
	}
	return s, o.namesOfBookings(s)
}

func (o *Outreach) namesOfBookings(s *selection) error {
	for name := range bookingNames {
		s.names[name] = true
	}
	return o.db.View(func(tx *store.Tx) error {
		for _, r := range s.list {
			b, err := bookings.Get(tx, store.Str(r.Booking))
			if err != nil {
				return err
			}
			if b != nil {
				for name := range b.Attrs {
					s.names[name] = true
				}
			}
		}
		return nil
	})
}

// fromList checks a list that was handed over. What is wrong with a row is in
// the account, and the row gets nothing.
func (o *Outreach) fromList(c *Campaign, list []Recipient, rep *Imported, tell func(rowOf)) (*selection, error) {
	s := &selection{names: Names{}, byNumber: map[string]bool{}, tell: tell}
	dedupe := c.Dedupe == nil || *c.Dedupe
	now := o.q.Now()
	err := o.db.View(func(tx *store.Tx) error {
		for i, r := range list {
			if r.Row == 0 {
				r.Row = i + 1
			}
			vars, err := NewVars(r.Vars)
			if r.Bad != "" {
				err = invalid("row", "row_unreadable", "%s", r.Bad)
			}
			if err == nil {
				err = r.Proof.checkFor(c.Consent.RequireAll, "consent", now)
			}
			if err != nil {
				s.refuse(rep, r.Row, err)
				continue
			}
			who, number, err := o.addressee(tx, c.Channel, &r)
			if bad, ok := errors.AsType[*queue.Invalid](err); ok {
				s.refuse(rep, r.Row, bad)
				continue
			}
			if err != nil {
				return err
			}
			why, err := refusesRow(tx, c, &r, who, number)
			if err != nil {
				return err
			}
			if why != "" {
				s.leaveOut(r.Row, why)
				continue
			}
			if r.To != "" {
				r.To = number // in one spelling, so that an erasure finds it
			}
			s.names.Add(vars)
			if who != nil {
				for name := range who.Attrs {
					s.names[name] = true
				}
			}
			s.take(r, number, dedupe)
		}
		return nil
	})
	if len(list) > 0 && slices.ContainsFunc(list, func(r Recipient) bool { return r.Contact != "" }) {
		for name := range fieldNames() {
			s.names[name] = true
		}
	}
	return s, err
}

// addressee reads whom a row is for: a contact, or a number; by e-mail an
// address.
func (o *Outreach) addressee(tx *store.Tx, channel string, r *Recipient) (*Contact, string, error) {
	if r.Lang = strings.ToLower(strings.TrimSpace(r.Lang)); r.Lang != "" && !slices.Contains(queue.Languages, r.Lang) {
		return nil, "", invalid("lang", "unknown_value", "%q is no language of this box. Use one of: %s", r.Lang, strings.Join(queue.Languages, ", "))
	}
	var who *Contact
	if r.Contact != "" {
		var err error
		if who, err = contacts.Get(tx, store.Str(r.Contact)); err != nil {
			return nil, "", err
		}
		if who == nil && r.To == "" {
			return nil, "", invalid("contact", "contact_unknown", "there is no contact %q, and no number in to. Send one of them", r.Contact)
		}
	}
	number := r.To
	if number == "" && who != nil {
		number = who.reach(channel)
	}
	if channel == Email {
		a, err := text.ParseAddress(number)
		if bad, ok := errors.AsType[*text.Error](err); ok {
			return nil, "", &queue.Invalid{Field: "to", Code: bad.Code, Detail: bad.Detail}
		}
		return who, a.String(), nil
	}
	if strings.TrimSpace(number) == "" {
		return nil, "", invalid("to", text.CodeNumberEmpty, "the number is missing: write a mobile number")
	}
	n, err := text.ParseNumber(number, o.cfg.Country)
	if err != nil {
		return nil, "", invalidNumber("to", err)
	}
	if n.Kind() == text.KindLandline {
		return nil, "", invalid("to", "number_landline", "%s is a landline, and most networks carry no SMS there. Use a mobile number", n)
	}
	return who, n.String(), nil
}

// refusesRow says why a row gets nothing; empty: it may be written to.
func refusesRow(tx *store.Tx, c *Campaign, r *Recipient, who *Contact, number string) (string, error) {
	policy := c.Consent
	if r.Proof != nil {
		policy.Given = r.Proof
	}
	if who != nil {
		copied := *who
		if c.Channel == Email {
			copied.Email = number
		} else {
			copied.Number = number
		}
		return refusesContact(tx, &copied, &policy, c.Channel, r.Consents)
	}
	if r.Contact != "" { // known to the till, not to us
		e, err := exclusions.Get(tx, store.Str(r.Contact))
		if err != nil || e != nil {
			return "is on the exclusion list", err
		}
	}
	if why, err := excludedOwner(tx, number); why != "" || err != nil {
		return why, err
	}
	if policy.Ignore || len(policy.RequireAll)+len(policy.ExcludeAny) == 0 {
		return "", nil
	}
	g := granted{}
	known, err := withNumber(tx, number)
	if err != nil {
		return "", err
	}
	for _, k := range known { // a withdrawal counts, whoever of them said it
		theirs, err := consentsOf(tx, k.ID, c.Channel)
		if err != nil {
			return "", err
		}
		for purpose, on := range theirs {
			if was, ok := g[purpose]; !ok || was {
				g[purpose] = on
			}
		}
	}
	return policy.allows(g, r.Consents), nil
}

// Started is the answer to a start: what will happen, and until when.
type Started struct {
	Campaign *Campaign  `json:"campaign"`
	Errors   []RowError `json:"errors"` // rows of a list that get nothing
	Estimate
}

// Estimate is when the messages of a campaign leave, as well as it is known.
type Estimate struct {
	FirstAt  time.Time `json:"first_at,omitzero"`
	LastAt   time.Time `json:"eta_last,omitzero"` // zero: no route is ready, so nobody knows
	Within   bool      `json:"within_15_minutes"` // the promise of "now" holds
	Warnings []string  `json:"warnings"`
}

// estimate says when so many parts leave from due on.
func (o *Outreach) estimate(c *Campaign, due time.Time, messages, parts int) Estimate {
	e := Estimate{Warnings: []string{}}
	now := o.q.Now()
	rate, none := o.cfg.PerMinute(), "no modem and no provider is ready, so nothing leaves until one is"
	if c.Channel == Email {
		rate, none = o.mailsPerMinute(), "the mail server is not ready, so nothing leaves until it is"
	}
	if rate <= 0 {
		e.Warnings = append(e.Warnings, none)
		return e
	}
	minutes := func(n float64) time.Duration { return time.Duration(n / rate * float64(time.Minute)) }
	waits := o.q.Counts()
	ahead := minutes(float64(waits.Queued + waits.Sending))
	e.FirstAt = due
	if line := now.Add(ahead); line.After(due) {
		e.FirstAt = line
	}
	span := minutes(float64(max(parts, messages)))
	if slow := c.Throttle.span(messages); slow > span {
		span = slow
	}
	e.LastAt = e.FirstAt.Add(span)
	e.Within = !e.FirstAt.After(due.Add(promise))
	if !e.Within {
		e.Warnings = append(e.Warnings, fmt.Sprintf("what is in line goes first: the first message leaves at about %s, not within 15 minutes", o.clockText(e.FirstAt)))
	}
	if !c.Until.IsZero() && e.LastAt.After(c.Until) {
		e.Warnings = append(e.Warnings, fmt.Sprintf("the last message would leave at about %s, after the event has begun at %s: those that are too late are not sent. Start earlier, or write to fewer", o.clockText(e.LastAt), o.clockText(c.Until)))
	}
	return e
}

// Leaves estimates when those of a campaign who wait for their turn have their
// message on its way, behind what is in line now.
func (o *Outreach) Leaves(c *Campaign) Estimate {
	due := o.q.Now()
	for _, t := range []time.Time{c.Due, c.Next} {
		if t.After(due) {
			due = t
		}
	}
	left := max(0, c.Recipients-c.Handed-c.Refused)
	parts := left
	if c.Handed > 0 {
		parts = left * c.Parts / c.Handed
	}
	return o.estimate(c, due, left, parts)
}

func (o *Outreach) clockText(t time.Time) string {
	return queue.Clock(t, o.q.Now(), o.cfg.Location)
}

// span is how long a throttle stretches so many messages.
func (t *Throttle) span(messages int) time.Duration {
	if messages == 0 {
		return 0
	}
	seconds := t.Gap * float64(messages-1)
	if t.Burst > 0 {
		seconds += t.Pause * math.Floor(float64(messages-1)/float64(t.Burst))
	}
	return time.Duration(seconds * float64(time.Second))
}

// Start confirms a draft: the list is made, and from then on it goes out by
// itself. Errors: ErrNotFound, *queue.Invalid.
func (o *Outreach) Start(ctx context.Context, name, by string) (*Started, error) {
	c, err := o.Campaign(name)
	if err != nil {
		return nil, err
	}
	if c.Kind != KindCampaign || c.State != CampaignDraft {
		return nil, invalid("state", "not_now", "%s is %s. Only a draft can be started", name, c.State)
	}
	s, bad, err := o.chosen(c, o.q.Now())
	if err != nil {
		return nil, err
	}
	started, err := o.launch(ctx, c, s, by, func(tx *store.Tx) error {
		now, err := campaigns.Get(tx, c.key())
		if err != nil {
			return err
		}
		if now == nil || now.State != CampaignDraft {
			return invalid("state", "not_now", "%s was changed meanwhile. Look at it again", name)
		}
		return deleteUnder(tx, sheets, store.Str(name)) // a list that it brought gives way to those of it who are meant
	})
	if err != nil {
		return nil, err
	}
	started.Errors = bad.Errors
	return started, nil
}

// launch writes the list and starts it, in one transaction with whatever the
// caller has to check or write.
func (o *Outreach) launch(ctx context.Context, c *Campaign, s *selection, by string, also func(*store.Tx) error) (*Started, error) {
	if err := o.db.Room(); err != nil {
		return nil, err
	}
	err := o.db.View(func(tx *store.Tx) error {
		t, err := c.text(tx)
		if err != nil {
			return err
		}
		c.Frozen = t
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.names.Add(c.shared())
	w, err := o.writer(c.Frozen, c.Channel, s.names)
	if err != nil {
		return nil, err
	}
	if err := w.unknown(); err != nil && len(s.list) > 0 {
		return nil, err
	}
	given := *c
	err = o.commit(ctx, func(tx *store.Tx) error {
		*c = given
		if err := also(tx); err != nil {
			return err
		}
		now := o.q.Now()
		due, until, err := o.dueOf(tx, c, now)
		if err != nil {
			return err
		}
		c.State, c.Started, c.Updated, c.Due, c.Until, c.By = CampaignWaiting, now, now, due, until, cmp.Or(by, c.By)
		c.Recipients, c.Merged, c.Excluded = len(s.list), s.merged, s.left.list
		if c.Created.IsZero() {
			c.Created = now
		}
		if c.Pages, err = writeSheets(tx, c.Name, s.list); err != nil {
			return err
		}
		if t, err := templates.Get(tx, store.Str(c.Template)); err != nil {
			return err
		} else if t != nil {
			t.Used = now
			if err := templates.Put(tx, t); err != nil {
				return err
			}
		}
		if err := o.noteCampaign(tx, c, "started", by); err != nil {
			return err
		}
		return campaigns.Put(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return &Started{Campaign: c, Errors: []RowError{}, Estimate: o.estimate(c, c.Due, len(s.list), len(s.list))}, nil
}

func writeSheets(tx *store.Tx, name string, list []Recipient) (pages int, err error) {
	for page := range slices.Chunk(list, pageSize) {
		if err := sheets.Put(tx, &sheet{Campaign: name, Page: pages, List: page}); err != nil {
			return 0, err
		}
		pages++
	}
	return pages, nil
}

// Batch accepts a list with what is to be said to it. It returns after the
// commit and never waits for sending; the campaign's name is the id it is asked
// by. Error: *queue.Invalid.
func (o *Outreach) Batch(ctx context.Context, c Campaign, list []Recipient, allOrNothing bool, till string) (*Started, error) {
	return o.batch(ctx, c, list, allOrNothing, till, func(*store.Tx, *Campaign) error { return nil }, nil)
}

// batch is Batch with what the caller has to commit with it, and a listener who
// hears of every row that gets nothing.
func (o *Outreach) batch(ctx context.Context, c Campaign, list []Recipient, allOrNothing bool, till string, also func(*store.Tx, *Campaign) error, tell func(rowOf)) (*Started, error) {
	c.Kind, c.Till = KindBatch, till
	if c.Name == "" {
		c.Name = "b" + strings.ToLower(rand.Text()[:16])
	}
	switch {
	case len(list) == 0:
		return nil, invalid("recipients", "recipients_missing", "a batch needs recipients: [{to, vars}]. Send at least one")
	case len(list) > maxBatch:
		return nil, invalid("recipients", "out_of_range", "these are %d recipients, and one batch has %d at most. Send them in several calls", len(list), maxBatch)
	}
	if err := o.normalCampaign(&c); err != nil {
		return nil, err
	}
	var t *Stored
	err := o.db.View(func(tx *store.Tx) (err error) {
		if t, err = c.text(tx); err != nil {
			return err
		}
		return o.checkTexts(t, c.Channel)
	})
	if err != nil {
		return nil, err
	}
	rep := &Imported{Rows: len(list), Errors: []RowError{}}
	s, err := o.fromList(&c, list, rep, tell)
	if err != nil {
		return nil, err
	}
	// A row whose text cannot be written is told now, while somebody listens.
	parts, err := o.dryRows(&c, t, s, rep)
	if err != nil {
		return nil, err
	}
	if none := len(s.list) == 0; none || allOrNothing && rep.Refused+s.left.total() > 0 {
		return nil, s.nobody(rep, none)
	}
	started, err := o.launch(ctx, &c, s, till, func(tx *store.Tx) error { return also(tx, &c) })
	if err != nil {
		return nil, err
	}
	started.Errors = rep.Errors
	started.Estimate = o.estimate(&c, c.Due, len(s.list), parts)
	return started, nil
}

// nobody says why a list is not sent, or not in part: how many of its rows get
// nothing for which reason, and the first of them.
func (s *selection) nobody(rep *Imported, none bool) error {
	first := s.firstOut
	if len(rep.Errors) > 0 && (first.Row == 0 || rep.Errors[0].Row < first.Row) {
		first = rep.Errors[0]
	}
	var whys []string
	for _, l := range s.left.list {
		whys = append(whys, fmt.Sprintf("%d × %s", l.Count, l.Why))
	}
	if rep.Refused > 0 {
		whys = append(whys, fmt.Sprintf("%d × something in the row is wrong", rep.Refused))
	}
	begin := fmt.Sprintf("none of the %d rows can be sent", rep.Rows)
	if !none {
		begin = fmt.Sprintf("%d of %d rows cannot be sent, and all_or_nothing is set", rep.Refused+s.left.total(), rep.Rows)
	}
	return invalid("recipients", "rows_refused", "%s: %s. The first is row %d: %s", begin, strings.Join(whys, "; "), first.Row, first.Detail)
}

// dryRows writes every text once and drops the rows for which it cannot be.
func (o *Outreach) dryRows(c *Campaign, t *Stored, s *selection, rep *Imported) (parts int, err error) {
	shared := c.shared()
	s.names.Add(shared)
	w, err := o.writer(t, c.Channel, s.names)
	if err != nil {
		return 0, err
	}
	if err := w.unknown(); err != nil && len(s.list) > 0 {
		return 0, err
	}
	kept := s.list[:0]
	for _, r := range s.list {
		n, err := o.dryRow(w, c, &r, shared)
		if bad, ok := errors.AsType[*queue.Invalid](err); ok {
			s.refuse(rep, r.Row, bad)
			continue
		}
		if err != nil {
			return 0, err
		}
		parts += n
		kept = append(kept, r)
	}
	s.list = kept
	return parts, nil
}

func (o *Outreach) dryRow(w *writer, c *Campaign, r *Recipient, shared Vars) (parts int, err error) {
	var who *recipient
	err = o.db.View(func(tx *store.Tx) (err error) {
		who, err = readRecipient(tx, r, shared)
		return err
	})
	if err != nil {
		return 0, err
	}
	d, err := w.draft(c.draftFor(r), who)
	if err != nil {
		return 0, err
	}
	m, err := o.q.Prepare(d)
	if err != nil {
		return 0, err
	}
	return len(m.Parts), nil
}

// readRecipient finds what a text may say to a row of a list.
func readRecipient(tx *store.Tx, r *Recipient, shared Vars) (who *recipient, err error) {
	who = &recipient{to: r.To, lang: r.Lang, shared: shared}
	if len(r.Vars) > 0 {
		if who.vars, err = NewVars(r.Vars); err != nil {
			return nil, err
		}
	}
	if r.Contact != "" {
		if who.contact, err = contacts.Get(tx, store.Str(r.Contact)); err != nil {
			return nil, err
		}
	}
	if r.Booking != "" {
		if who.booking, err = bookings.Get(tx, store.Str(r.Booking)); err != nil {
			return nil, err
		}
		if who.booking != nil {
			who.booking, err = effective(tx, who.booking)
		}
	}
	return who, err
}

// draftFor is what a campaign asks of the queue for one row, all but the text.
func (c *Campaign) draftFor(r *Recipient) queue.Draft {
	d := queue.Draft{
		Till: c.Till, TillLimits: c.Limits, Ref: r.Ref, Class: c.Class, Priority: c.Priority, Pool: c.Pool,
		Source: c.source(), Contact: r.Contact, Booking: r.Booking, Expires: c.Until,
	}
	return d
}

// source is how a message names its campaign.
func (c *Campaign) source() string {
	if c.Kind == KindRun {
		return sourceRule + c.Rule
	}
	return string(c.Kind) + "/" + c.Name
}

// Test sends what a campaign says to one number, as the first recipient would
// read it. It is in the history of messages under the reference TEST, and in
// that of no campaign. Errors: ErrNotFound, *queue.Invalid.
func (o *Outreach) Test(ctx context.Context, c *Campaign, to string, sample *Recipient, by string) (*queue.Message, error) {
	if sample == nil {
		s, _, err := o.chosen(c, o.q.Now())
		if err != nil {
			return nil, err
		}
		if sample = (&Recipient{}); len(s.list) > 0 {
			sample = &s.list[0]
		}
	}
	var t *Stored
	var who *recipient
	err := o.db.View(func(tx *store.Tx) (err error) {
		if t, err = c.text(tx); err != nil {
			return err
		}
		who, err = readRecipient(tx, sample, c.shared())
		return err
	})
	if err != nil {
		return nil, err
	}
	who.to = to
	w, err := o.anyNames(t, c.Channel)
	if err != nil {
		return nil, err
	}
	// A test is no advertising, whatever it is a test of, and goes first.
	urgent := 2
	d, err := w.draft(queue.Draft{Till: by, Ref: "TEST", Source: sourceTest + c.Name, Class: queue.Transactional, Priority: &urgent, Pool: c.Pool}, who)
	if err != nil {
		return nil, err
	}
	return o.q.Add(ctx, d)
}
