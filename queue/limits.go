package queue

import (
	"fmt"
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
	// MarketingPerDay and MarketingPerMonth bound marketing to one number in
	// 24 hours and 30 days.
	MarketingPerDay, MarketingPerMonth int
}

const (
	// maxLook bounds how many earlier messages to a number are looked at.
	maxLook = 200

	aDay   = 24 * time.Hour
	aMonth = 30 * aDay
)

// refuseTooMuch looks at what went to this number before. Messages that were
// never sent, and never will be, do not count.
func (q *Queue) refuseTooMuch(tx *store.Tx, m *Message) error {
	l := q.cfg.Limits
	if m.force {
		l.Repeat = 0
	}
	capped := m.Class == Marketing && (l.MarketingPerDay > 0 || l.MarketingPerMonth > 0)
	if l.Repeat <= 0 && !capped {
		return nil
	}
	back := l.Repeat
	if capped {
		back = max(back, aMonth)
	}
	now, text := q.now(), m.Text()
	inDay, inMonth, looked := 0, 0, 0
	for old, err := range newestUnder(tx, byTo, store.Str(tail(m.To)), 0) {
		if err != nil {
			return err
		}
		age := now.Sub(old.Created)
		if looked++; age > back || looked > maxLook {
			break
		}
		if old.To != m.To || old.State == Cancelled || old.State == Failed || old.State == Expired {
			continue
		}
		if age < l.Repeat && old.Till == m.Till && old.Ref == m.Ref && old.Source == m.Source && old.Text() == text {
			return &Invalid{"text", "repeated", fmt.Sprintf("this number was sent the same text %s ago (message %s). It is not sent twice; if it should be, give it another ref, set force, or wait until %s", age.Round(time.Second), old.ID, Clock(old.Created.Add(l.Repeat), now, q.cfg.Location))}
		}
		if old.Class == Marketing {
			inMonth++
			if age < aDay {
				inDay++
			}
		}
	}
	switch {
	case capped && l.MarketingPerDay > 0 && inDay >= l.MarketingPerDay:
		return &Invalid{"to", "too_often", fmt.Sprintf("this number has had %d advertising messages in 24 hours, the limit here. Send it tomorrow", inDay)}
	case capped && l.MarketingPerMonth > 0 && inMonth >= l.MarketingPerMonth:
		return &Invalid{"to", "too_often", fmt.Sprintf("this number has had %d advertising messages in 30 days, the limit here", inMonth)}
	}
	return nil
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
