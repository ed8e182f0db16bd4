package queue

import (
	"cmp"
	"errors"

	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Quote says what would become of a draft.
type Quote struct {
	To      text.Number // zero where the draft names nobody, or by e-mail
	Address string      // by e-mail: of whom; empty where the draft names nobody
	Channel Channel
	Subject string // that an e-mail would have
	HTML    int    // bytes of its other form
	Country string // of the number; without one the shop's. What the price is for
	Pool    string // it would wait in
	Plan    *text.Plan
	Price   text.Price // not known without a tariff that fits

	// Refused: it would not be accepted as it is, but there is something to
	// show. The text has too many parts, or the number is not to be sent to.
	Refused *Invalid
}

// Quote answers what Add would do with a draft, by the same path, and accepts
// nothing. A draft without To is priced for the shop's own country. Its error
// is an *Invalid about a draft of which there is nothing to show, or the
// store's.
func (q *Queue) Quote(d Draft) (quote *Quote, err error) {
	quote, m, err := q.quote(&d)
	if err != nil || m == nil {
		return quote, err
	}
	return quote, q.db.View(func(tx *store.Tx) error { return q.refuseQuote(tx, quote, m) })
}

// QuoteTx is Quote inside a transaction of a caller who asks for thousands.
func (q *Queue) QuoteTx(tx *store.Tx, d Draft) (quote *Quote, err error) {
	quote, m, err := q.quote(&d)
	if err != nil || m == nil {
		return quote, err
	}
	return quote, q.refuseQuote(tx, quote, m)
}

// quote is what can be said of a draft without the store; m is nil where the
// store has nothing to add.
func (q *Queue) quote(d *Draft) (quote *Quote, m *Message, err error) {
	var to reader
	if err := q.checkChannel(d); err != nil {
		return nil, nil, err
	}
	if d.To != "" || d.Email != "" {
		if to, err = q.readerOf(d); err != nil {
			return nil, nil, err
		}
	}
	if m, err = q.drafted(d, to); err != nil {
		return nil, nil, err
	}
	plan, err := q.compose(d, m.Pool)
	if plan == nil {
		return nil, nil, err
	}
	number := to.number
	quote = &Quote{To: number, Country: cmp.Or(number.Country(), q.cfg.Country), Channel: m.Via(), Pool: m.Pool, Plan: plan}
	quote.Refused, _ = errors.AsType[*Invalid](err)
	if m.Channel == Email {
		m.carry(plan, d.Text)
		quote.Address, quote.Subject, quote.HTML = to.mail.String(), m.subject(), m.HTML
		if to.isZero() {
			m = nil
		}
		return quote, m, nil
	}
	if number.IsZero() {
		quote.Price = q.cfg.Tariffs.PriceIn(q.cfg.Country, m.Pool, plan.Parts())
		return quote, nil, nil
	}
	quote.Price = q.cfg.Tariffs.Price(number, m.Pool, plan.Parts())
	if quote.Refused != nil {
		return quote, nil, nil
	}
	m.carry(plan, d.Text)
	return quote, m, nil
}

func (q *Queue) refuseQuote(tx *store.Tx, quote *Quote, m *Message) error {
	err := q.refuseForNumber(tx, m)
	if refused, ok := errors.AsType[*Invalid](err); ok {
		quote.Refused, err = refused, nil
	}
	return err
}
