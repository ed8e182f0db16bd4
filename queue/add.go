package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Invalid is a draft that cannot be sent as it is.
type Invalid struct {
	Field  string // name in the API
	Code   string // for programs
	Detail string // for people: what is wrong and what to do
}

func (e *Invalid) Error() string { return e.Field + ": " + e.Detail }

// Full is the answer while the queue holds as many messages as it may.
type Full struct {
	Max        int
	RetryAfter time.Duration
}

func (e *Full) Error() string {
	return fmt.Sprintf("the queue is full: it holds %d messages, its limit (limits.queue_max). Nothing of what waits is lost; send this one again in %s", e.Max, e.RetryAfter)
}

const (
	defaultValidity = 72 * time.Hour
	maxText         = 20_000 // characters; far above 255 parts of UCS-2
	maxAhead        = 2 * 366 * 24 * time.Hour
	grace           = 15 * time.Minute // what was due so short a time ago is sent now (field-notes §4.1)
	maxRef          = 200
)

// Prepare turns a draft into a message that could be accepted: it checks every
// field, normalises the number, cuts the text and plans the price. It touches
// no disk. Its error is an *Invalid.
func (q *Queue) Prepare(d Draft) (*Message, error) {
	if err := q.checkChannel(&d); err != nil {
		return nil, err
	}
	to, err := q.readerOf(&d)
	if err != nil {
		return nil, err
	}
	m, err := q.drafted(&d, to)
	if err != nil {
		return nil, err
	}
	plan, err := q.compose(&d, m.Pool)
	if err != nil {
		return nil, err
	}
	m.carry(plan, d.Text)
	if m.Channel != Email {
		m.Price = q.cfg.Tariffs.Price(to.number, m.Pool, plan.Parts())
	}
	return m, nil
}

// drafted is the message of a draft, all but its text. Its error is an
// *Invalid.
func (q *Queue) drafted(d *Draft, to reader) (*Message, error) {
	now := q.now()
	m := &Message{
		Till: d.Till, Ref: d.Ref, From: d.From, Flash: d.Flash,
		Class: d.Class, OnUnknown: d.OnUnknown, OnPartial: d.OnPartial, Lang: d.Lang, Pool: d.Pool,
		Source: d.Source, Contact: d.Contact, Booking: d.Booking, callback: d.Callback, tillLimits: d.TillLimits, force: d.Force,
		Priority: 1, Report: true, Created: now, At: d.At, Expires: d.Expires,
	}
	if d.Report != nil {
		m.Report = *d.Report
	}
	if d.Priority != nil {
		m.Priority = *d.Priority
	}
	m.address(d.Channel, to)
	if err := q.checkChoices(m, d); err != nil {
		return nil, err
	}
	if err := q.checkMail(m, d, to); err != nil {
		return nil, err
	}
	if err := q.checkTimes(m, d, now); err != nil {
		return nil, err
	}
	return m, nil
}

func (q *Queue) recipient(s string) (text.Number, error) {
	if text.IsAddress(s) {
		return text.Number{}, &Invalid{"to", "channel_wrong", "this is an e-mail address, and the message goes by sms. Set channel to email, or write a phone number"}
	}
	n, err := text.ParseNumber(s, q.cfg.Country)
	if err != nil {
		return n, invalidText(err, "to")
	}
	if n.Premium() {
		return n, &Invalid{"to", "number_premium", "this is a premium number; messages to it cost extra and are refused. Use the customer's own number"}
	}
	if n.Short() {
		if !slices.Contains(q.cfg.Limits.ShortCodes, n.String()) {
			return n, &Invalid{"to", "short_code_not_allowed", fmt.Sprintf("%s is a short code; messages to one often cost extra, and it belongs to no person. Add it to limits.short_codes if it is meant, or write the whole number", n)}
		}
		return n, nil
	}
	if c := n.Country(); c != "" && !slices.Contains(q.countries, c) {
		return n, &Invalid{"to", "country_not_allowed", fmt.Sprintf("numbers of %s are not allowed here. Add the country to limits.countries, or correct the number", c)}
	}
	return n, nil
}

// anyNumber normalises a number, or an e-mail address, whatever the limits say
// of sending to it.
func (q *Queue) anyNumber(s string) (string, error) {
	if text.IsAddress(s) {
		a, err := text.ParseAddress(s)
		if e, ok := errors.AsType[*text.Error](err); ok {
			return "", &Invalid{Field: "number", Code: e.Code, Detail: e.Detail}
		}
		return a.String(), nil
	}
	n, err := text.ParseNumber(s, q.cfg.Country)
	if err != nil {
		if e, ok := errors.AsType[*text.Error](err); ok {
			return "", &Invalid{Field: "number", Code: e.Code, Detail: e.Detail}
		}
		return "", invalidText(err, "number")
	}
	return n.String(), nil
}

func (q *Queue) checkChoices(m *Message, d *Draft) error {
	if m.Class == "" {
		m.Class = Transactional
	}
	if m.OnUnknown == "" {
		m.OnUnknown = OnUnknownResend
		if m.Class == Marketing {
			m.OnUnknown = OnUnknownHold
		}
	}
	if m.OnPartial == "" {
		m.OnPartial = OnPartialWait
	}
	switch {
	case m.Class != Transactional && m.Class != Marketing:
		return oneOf("class", string(m.Class), string(Transactional), string(Marketing))
	case m.OnUnknown != OnUnknownHold && m.OnUnknown != OnUnknownResend:
		return oneOf("on_unknown", m.OnUnknown, OnUnknownHold, OnUnknownResend)
	case m.OnPartial != OnPartialWait && m.OnPartial != OnPartialRestart:
		return oneOf("on_partial", m.OnPartial, OnPartialWait, OnPartialRestart)
	case m.Lang != "" && !slices.Contains(Languages, m.Lang):
		return oneOf("lang", m.Lang, Languages...)
	case m.Priority < 0 || m.Priority > 3:
		return &Invalid{"priority", "out_of_range", fmt.Sprintf("%d is not a priority. Use 0 (last) to 3 (urgent)", m.Priority)}
	case len(m.Ref) > maxRef || strings.ContainsRune(m.Ref, 0):
		return &Invalid{"ref", "too_long", fmt.Sprintf("ref may have at most %d bytes and no zero byte. Shorten it", maxRef)}
	case d.MaxParts < 0:
		return &Invalid{"max_parts", "out_of_range", "max_parts must be 1 or more. Leave it out for the limit of this box"}
	}
	if _, err := text.ParseSender(m.From); err != nil {
		return invalidText(err, "from")
	}
	m.Asked = m.Pool != ""
	if err := q.checkPool(m); err != nil {
		return err
	}
	q.reroute(m)
	return nil
}

func (q *Queue) checkTimes(m *Message, d *Draft, now time.Time) error {
	start := now
	if m.At.After(now) {
		start = m.At
	}
	if m.Expires.IsZero() {
		validity := d.Validity
		if validity == 0 {
			validity = defaultValidity
		}
		m.Expires, m.relative = start.Add(validity), start.Equal(now)
	}
	switch {
	case !q.clock.Known():
		// Without a clock nobody can say what lies in the past.
	case !m.At.IsZero() && now.Sub(m.At) > grace:
		return &Invalid{"at", "in_the_past", fmt.Sprintf("at lies %s before now. Choose a time to come, or leave it out to send it now", now.Sub(m.At).Round(time.Minute))}
	case m.At.After(now.Add(maxAhead)):
		return &Invalid{"at", "too_far", "at lies more than two years ahead. Correct the year, or send it later"}
	case m.Expires.After(now.Add(maxAhead + defaultValidity)):
		return &Invalid{"expires", "too_far", "expires lies more than two years ahead. Leave it out for 72 hours"}
	case !m.Expires.After(start):
		return &Invalid{"expires", "in_the_past", "expires must lie after now and after at. Leave it out for 72 hours"}
	}
	return nil
}

// compose makes the text of a draft ready to be sent from a pool. Its error is an
// *Invalid; beside one that only says that the text has more parts than it may,
// the plan is returned too.
func (q *Queue) compose(d *Draft, pool string) (*text.Plan, error) {
	if d.Channel == Email {
		plan, err := text.ComposeMail(d.Text)
		if err != nil {
			return nil, invalidText(err, "text")
		}
		return plan, nil
	}
	if len(d.Text) > 4*maxText {
		return nil, &Invalid{"text", "text_too_long", fmt.Sprintf("the text has more than %d characters. Shorten it", maxText)}
	}
	limit := q.cfg.MaxParts
	if d.MaxParts > 0 {
		limit = min(limit, d.MaxParts)
	}
	plan, err := text.Compose(d.Text, text.Options{
		Encoding: text.Encoding(d.Encoding), MaxParts: limit, Lang: d.Lang,
		RefBits: q.cfg.RefBits, Shift: q.cfg.Shift, Locking: q.cfg.Locking, Cedilla: q.cfg.Cedilla,
		Latin1: q.latin1(pool),
	})
	if err != nil {
		return plan, invalidText(err, "text")
	}
	return plan, nil
}

// latin1: a route of the pool can only write what ISO 8859-1 has.
func (q *Queue) latin1(pool string) bool {
	return slices.ContainsFunc(q.serving(pool), func(r *runner) bool {
		l, ok := r.r.(route.Latin1)
		return ok && l.Latin1()
	})
}

// carry gives the message its text: the plan, and what it was made from.
func (m *Message) carry(plan *text.Plan, given string) {
	m.Alphabet, m.Shift, m.Locking, m.RefBits = plan.Alphabet, plan.Shift, plan.Locking, plan.RefBits
	m.Segments = make([]route.Segment, len(plan.Segments))
	m.Parts = make([]Part, len(plan.Segments))
	for i, s := range plan.Segments {
		m.Segments[i] = route.Segment{Text: s.Text, Units: s.Units}
		m.Parts[i] = Part{N: i + 1, State: PartWaiting}
	}
	for _, c := range plan.Changes {
		m.Changes = append(m.Changes, Change{From: c.From, To: c.To, Position: c.Pos})
	}
	if plan.Text != given {
		m.Given = given
	}
}

func invalidText(err error, field string) error {
	if e, ok := errors.AsType[*text.Error](err); ok {
		if e.Field != "" {
			field = e.Field
		}
		return &Invalid{Field: field, Code: e.Code, Detail: e.Detail}
	}
	return &Invalid{Field: field, Code: "invalid", Detail: err.Error()}
}

func oneOf(field, got string, allowed ...string) error {
	return &Invalid{field, "unknown_value", fmt.Sprintf("%q is not known here. Use one of: %s", got, strings.Join(allowed, ", "))}
}

// Add accepts one message. It returns after the commit: from then on whoever
// has the id can find the message. Errors: *Invalid, *Full, *TooFast, or one that
// is store.ErrDiskLow.
func (q *Queue) Add(ctx context.Context, d Draft) (*Message, error) {
	if err := q.db.Room(); err != nil {
		return nil, err
	}
	m, err := q.Prepare(d)
	if err != nil {
		return nil, err
	}
	if err := q.db.Commit(ctx, func(tx *store.Tx) error { return q.AddTx(tx, m) }); err != nil {
		return nil, err
	}
	return m, nil
}

// AddTx accepts a prepared message inside a transaction of the caller, for
// those who must commit something of their own with it. It may run more than
// once for one commit and then starts anew. Errors: *Full, *Invalid.
func (q *Queue) AddTx(tx *store.Tx, m *Message) error {
	if n := q.alive(); n >= int64(q.cfg.QueueMax) {
		return &Full{Max: q.cfg.QueueMax, RetryAfter: time.Minute}
	}
	if err := q.refuseForNumber(tx, m); err != nil {
		return err
	}
	if err := q.chargeTill(tx, m); err != nil {
		return err
	}
	n, err := messages.NextSequence(tx)
	if err != nil {
		return err
	}
	m.ID = ID(n<<24 | uint64(rand.Uint32()>>8))
	now := q.now()
	m.Created, m.Updated, m.Events, m.noted = now, now, nil, nil
	m.State, m.Due, m.Wake, m.Why = Queued, now, m.Expires, because("in_line")
	if m.At.After(now) || !m.At.IsZero() && !q.clock.Known() {
		m.State, m.Due, m.Wake = Scheduled, m.At, m.At
		m.Why = because("planned", "time", stamp(m.At))
	}
	if err := q.note(tx, m, Event{Kind: KindAccepted, By: m.Till, Until: m.At}); err != nil {
		return err
	}
	if m.State == Queued {
		if _, err := q.holdForQuiet(tx, m); err != nil {
			return err
		}
	}
	if err := q.express(tx, m); err != nil {
		return err
	}
	if err := messages.Insert(tx, m); err != nil {
		return err
	}
	if err := keepHTML(tx, m); err != nil {
		return err
	}
	q.moved(tx, slotNone, m)
	if err := q.keepCallback(tx, m); err != nil {
		return err
	}
	return q.noteAdrift(tx, m)
}

// refuseForNumber asks what is known about the recipient. Its refusals are
// *Invalid.
func (q *Queue) refuseForNumber(tx *store.Tx, m *Message) error {
	if err := q.refuseOptedOut(tx, m); err != nil {
		return err
	}
	return q.refuseTooMuch(tx, m)
}

// stamp is how a time is kept among the arguments of a Reason.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
