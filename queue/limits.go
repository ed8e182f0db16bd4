package queue

import (
	"fmt"
	"slices"
	"time"

	"tillpost/queue/store"
)

// Limits protect recipients from too much, and the shop from itself. The zero
// value of each is off.
type Limits struct {
	// QuietHours holds marketing until it may be sent in the recipient's
	// country (quiet_hours.csv).
	QuietHours bool
	// Repeat refuses an equal text of the same till to the same number within
	// this time, unless it has another ref or is forced (field-notes §5.4): a
	// till that repeats itself without saying so must not be heard twice.
	Repeat time.Duration
	// ShortCodes are those that may be sent to; all others are refused, since
	// many cost extra (field-notes §5.4).
	ShortCodes []string
	// MarketingPerDay and MarketingPerMonth bound marketing to one number in
	// any 24 hours and 30 days, by when it was or is to be sent.
	MarketingPerDay, MarketingPerMonth int
}

const (
	// maxLook bounds how many earlier messages to a number are looked at for an
	// equal text.
	maxLook = 200

	aDay   = 24 * time.Hour
	aMonth = 30 * aDay
)

// refuseTooMuch looks at what went, or is to go, to this number. Messages that
// were never sent, and never will be, do not count.
func (q *Queue) refuseTooMuch(tx *store.Tx, m *Message) error {
	if err := q.refuseRepeated(tx, m); err != nil {
		return err
	}
	return q.refuseTooOften(tx, m)
}

func (q *Queue) refuseRepeated(tx *store.Tx, m *Message) error {
	l := q.cfg.Limits
	if m.force || l.Repeat <= 0 {
		return nil
	}
	now, text, looked := q.now(), m.Text(), 0
	for old, err := range newestUnder(tx, byTo, store.Str(tail(m.To)), 0) {
		if err != nil {
			return err
		}
		age := now.Sub(old.Created)
		if looked++; age > l.Repeat || looked > maxLook {
			break
		}
		if old.To != m.To || old.dropped() {
			continue
		}
		if age < l.Repeat && old.Till == m.Till && old.Ref == m.Ref && old.Source == m.Source && old.Text() == text {
			return &Invalid{"text", "repeated", fmt.Sprintf("this number was sent the same text %s ago (message %s). It is not sent twice; if it should be, give it another ref, set force, or wait until %s", age.Round(time.Second), old.ID, Clock(old.Created.Add(l.Repeat), now, q.cfg.Location))}
		}
	}
	return nil
}

// dropped: it ended without being sent.
func (m *Message) dropped() bool {
	return m.State == Cancelled || m.State == Failed || m.State == Expired
}

// refuseTooOften reads everything that is kept about the number: what was
// accepted long ago may be planned for tomorrow. Marketing alone pays for it.
func (q *Queue) refuseTooOften(tx *store.Tx, m *Message) error {
	l := q.cfg.Limits
	if m.Class != Marketing || l.MarketingPerDay <= 0 && l.MarketingPerMonth <= 0 {
		return nil
	}
	now := q.now()
	when := m.leavesAt(now)
	times := []time.Time{when}
	for old, err := range newestUnder(tx, byTo, store.Str(tail(m.To)), 0) {
		if err != nil {
			return err
		}
		if old.ID != m.ID && old.To == m.To && old.Class == Marketing && !old.dropped() {
			times = append(times, old.leavesAt(now))
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for _, c := range []struct {
		most   int
		within time.Duration
		said   string
	}{
		{l.MarketingPerDay, aDay, "24 hours"},
		{l.MarketingPerMonth, aMonth, "30 days"},
	} {
		if c.most > 0 && crowded(times, when, c.within, c.most) {
			return &Invalid{"to", "too_often", fmt.Sprintf("this number would have more than %d advertising messages in %s, the limit here. Send it later, or plan it for later with at", c.most, c.said)}
		}
	}
	return nil
}

// leavesAt is when m was sent, or is to be as far as that is known.
func (m *Message) leavesAt(now time.Time) time.Time {
	switch {
	case m.State == Held && m.quiet() && m.Due.After(now):
		return m.Due
	case m.State == Scheduled || m.State == "": // just being accepted
		return later(m.At, now)
	case m.State.Waits() && m.State != Sent && m.State != Unknown:
		return now
	case !m.Took.IsZero():
		return m.Took
	}
	return m.Updated
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// crowded: more than most of times, of which when is one, lie within a span.
// They are in order.
func crowded(times []time.Time, when time.Time, span time.Duration, most int) bool {
	for i := 0; i+most < len(times); i++ {
		first, last := times[i], times[i+most]
		if last.Sub(first) < span && !first.After(when) && !last.Before(when) {
			return true
		}
	}
	return false
}

// holdForQuiet puts marketing on hold where the recipient's country is quiet
// now. It is asked when a message is accepted, when its time comes, and when a
// lane would take it, so that a campaign that runs into the evening stops.
func (q *Queue) holdForQuiet(tx *store.Tx, m *Message) (held bool, err error) {
	if !q.cfg.Limits.QuietHours || m.Class != Marketing {
		return false, nil
	}
	quiet, until := q.quietFor(m)
	if !quiet {
		return false, nil
	}
	if err := m.move(onHold); err != nil {
		return false, err
	}
	m.keepQuiet(until)
	return true, q.note(tx, m, Event{Kind: KindHeld, Code: m.Why.Code, Until: until})
}

// quietFor says whether marketing waits now, and until when. Without a clock
// nobody knows whether it is night: then it waits until that is known, and until
// is zero.
func (q *Queue) quietFor(m *Message) (quiet bool, until time.Time) {
	if !q.clock.Known() {
		return true, time.Time{}
	}
	country := m.Country
	if m.Channel == Email { // it does not tell; most readers live where the shop is
		country = cmpOr(country, q.cfg.Country)
	}
	until = quietUntil(country, q.now(), q.cfg.Location)
	return !until.IsZero(), until
}

func (m *Message) keepQuiet(until time.Time) {
	if until.IsZero() {
		m.Due, m.Wake, m.Why = time.Time{}, m.Expires, because("clock_wrong")
		return
	}
	m.Due, m.Wake, m.Why = until, until, because("quiet_hours", "time", stamp(until))
	if !until.Before(m.Expires) { // it will not be sent in the night either
		m.Due, m.Wake, m.Why = time.Time{}, m.Expires, because("quiet_too_late", "time", stamp(until), "end", stamp(m.Expires))
	}
}

// quiet: it is held for the night, or until somebody knows whether it is night.
func (m *Message) quiet() bool {
	switch m.Why.Code {
	case "quiet_hours", "quiet_too_late", "clock_wrong":
		return true
	}
	return false
}
