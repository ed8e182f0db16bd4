package queue

import (
	"fmt"
	"slices"

	"tillpost/queue/store"
	"tillpost/queue/text"
)

// One message, two channels. A message that was given the reader's number and
// e-mail address begins with one of them, and goes on with the other
//
//   - when it has failed, or its report says that it was not delivered
//     (Config.Fallback names which of these);
//   - before that, from the try on that a routing rule to the pool of e-mail
//     names (min_attempt), or when its own pool has been away for too long.
//
// It stays one message, with one id and one story. It changes its channel once
// and does not come back. What may have reached the reader is not said again:
// from unknown there is no way here but the policy on_unknown, and then only
// after the resend was refused. Nor is what has expired: it is too late by any
// channel.

// fallBack lets a message that has ended go on with its other channel, if it
// has one.
func (q *Queue) fallBack(tx *store.Tx, m *Message) error {
	if !slices.Contains(q.cfg.Fallback, m.State) || !q.hasOther(m) || q.past(m.Expires) {
		return nil
	}
	from, ended := m.Via(), m.State
	turned := *m
	if !q.cross(&turned) {
		return nil // it stays as it ended
	}
	*m = turned
	if err := m.move(onFallBack); err != nil {
		return err
	}
	q.waitInLine(m, q.now())
	return q.note(tx, m, Event{Kind: KindRerouted, Code: m.Pool, Detail: fmt.Sprintf("%s by %s, now by %s", ended, from, m.Via())})
}

// hasOther: there is another channel that the message may still go by.
func (q *Queue) hasOther(m *Message) bool {
	if m.Other == "" || m.Fell || m.Wiped || m.Channel != Email && q.cfg.MailPool == "" {
		return false
	}
	return !slices.ContainsFunc(m.Parts, func(p Part) bool { return p.State == PartUnknown })
}

// goTo has a message wait in a pool, by the channel of that pool; false: it
// cannot, and is as it was.
func (q *Queue) goTo(m *Message, pool string) bool {
	if q.isMail(pool) == (m.Channel == Email) {
		m.Pool = pool
		return true
	}
	return q.hasOther(m) && q.cross(m)
}

// cross turns a message over to its other channel, to be sent from its start.
// It fails, and changes nothing, where an e-mail's text makes no SMS.
func (q *Queue) cross(m *Message) bool {
	given := cmpOr(m.Given, m.Text())
	d := Draft{Channel: Email, Text: given, Lang: m.Lang}
	if m.Channel == Email {
		d.Channel = SMS
	}
	next := *m
	next.To, next.Other, next.Fell, next.Channel, next.Tried = m.Other, m.To, true, "", 0
	if d.Channel == Email {
		next.Channel = Email
	}
	pool := q.poolFor(&next, 1, nil)
	plan, err := q.compose(&d, pool)
	if err != nil {
		return false
	}
	*m = next
	m.Given, m.Changes = "", nil
	m.carry(plan, given)
	m.startAgain()
	m.Asked, m.Pool = false, pool
	if to, err := text.ParseNumber(m.To, q.cfg.Country); err == nil {
		m.Price = q.cfg.Tariffs.Price(to, m.Pool, plan.Parts())
	}
	return true
}
