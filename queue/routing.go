package queue

import (
	"strings"
	"time"

	"tillpost/queue/text"
)

// Rule sends messages to a pool. The first rule whose every condition holds
// wins; an empty condition always holds.
type Rule struct {
	Prefix     string // of the recipient, as in +46
	Class      Class
	Till       string
	MinAttempt int         // from this try on: 2 is the first repeat
	Hours      Hours       // of the day, by the shop's clock
	MaxPrice   text.Amount // of a part over Pool, where a tariff tells; 0: any
	Pool       string
}

// Hours is a part of every day; the zero value is all of it. To before From
// goes over midnight.
type Hours struct{ From, To time.Duration }

func (h Hours) hold(t time.Time) bool {
	if h.From == h.To {
		return true
	}
	at := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	if h.From < h.To {
		return h.From <= at && at < h.To
	}
	return at >= h.From || at < h.To
}

// holds says whether a rule is about m at a try, from 1.
func (q *Queue) holds(r *Rule, m *Message, try int) bool {
	return strings.HasPrefix(m.To, r.Prefix) &&
		(r.Class == "" || r.Class == m.Class) &&
		(r.Till == "" || r.Till == m.Till) &&
		try >= r.MinAttempt &&
		(r.Hours == Hours{} || q.clock.Known() && r.Hours.hold(q.now().In(q.cfg.Location))) &&
		(r.MaxPrice == 0 || q.affordable(r, m))
}

// affordable: a price that nobody knows is not known to be low.
func (q *Queue) affordable(r *Rule, m *Message) bool {
	to, err := text.ParseNumber(m.To, q.cfg.Country)
	if err != nil {
		return false
	}
	p := q.cfg.Tariffs.Price(to, r.Pool, 1)
	return p.Known() && p.Amount <= r.MaxPrice
}

// reroute puts a message into the pool that the rules give it now. One whose
// till named the pool stays, and so does one with a part out: its rest belongs
// to the identity that began it.
func (q *Queue) reroute(m *Message) {
	if m.Asked || m.Pin != "" {
		return
	}
	if !q.goTo(m, q.poolFor(m, m.Tried+1, nil)) || !q.away.long(m.Pool) {
		return
	}
	if other := q.instead(m); other != "" {
		q.goTo(m, other)
	}
}

// poolFor reads the rules. Pools that away knows are passed over. A rule takes an
// SMS over to e-mail only for its repeats, and where it has an address; none
// takes an e-mail to a pool that costs.
func (q *Queue) poolFor(m *Message, try int, away *absence) string {
	if m.Channel == Email {
		return cmpOr(q.cfg.MailPool, m.Pool)
	}
	for i := range q.cfg.Routing {
		r := &q.cfg.Routing[i]
		if q.isMail(r.Pool) && (r.MinAttempt < 2 || !q.hasOther(m)) {
			continue
		}
		if q.holds(r, m, try) && !away.gone(r.Pool) {
			return r.Pool
		}
	}
	return DefaultPool
}

// instead is where a message goes whose pool has been away for too long; empty:
// there is nowhere. Its wait counts as a try: a rule for repeats is a rule for
// this, too.
func (q *Queue) instead(m *Message) string {
	other := q.poolFor(m, m.Tried+2, &q.away)
	if other == m.Pool || q.away.gone(other) {
		return ""
	}
	return other
}
