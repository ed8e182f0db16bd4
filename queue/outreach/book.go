package outreach

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// What a change of a booking means, and what follows from it.

// transition says what a change means, as people would tell it: the event of
// the notice, empty for none. It completes b from what was.
func transition(was, b *Booking) (event string, err error) {
	if was == nil {
		if b.Status == Moved {
			b.Status = Confirmed
			return string(Moved), nil
		}
		return string(b.Status), nil
	}
	b.keep(was)
	moved := !b.Start.Equal(was.Start) && !was.Start.IsZero()
	if b.Status == Moved {
		if !moved {
			return "", invalid("start", "not_moved", "the booking is said to be moved, and its start is still %s. Send the new start", was.Start.Format(time.RFC3339))
		}
		b.Status = was.Status
		if b.Status.over() {
			b.Status = Confirmed // it takes place after all
		}
	}
	b.OldStart = was.OldStart
	if moved {
		b.OldStart = was.Start
	}
	switch {
	case b.Status == Rejected && was.Status != Pending && was.Status != Rejected:
		return "", invalid("status", "not_pending", "the booking is %s, and only one that is pending can be rejected. Cancel it instead", was.Status)
	case b.Status == Pending && was.Status == Confirmed:
		return "", invalid("status", "already_confirmed", "the booking was confirmed, and cannot be pending again. Cancel or move it")
	case b.Status != was.Status:
		return string(b.Status), nil
	case moved && !b.Status.over():
		return string(Moved), nil
	}
	return "", nil
}

// keep leaves as it was what a call does not speak of: who cancels need not say
// again what was booked.
func (b *Booking) keep(was *Booking) {
	if b.Start.IsZero() {
		b.Start, b.End = was.Start, cmp.Or(b.End, was.End)
	}
	b.Event, b.Type = cmp.Or(b.Event, was.Event), cmp.Or(b.Type, was.Type)
	b.Service, b.Place, b.Staff = cmp.Or(b.Service, was.Service), cmp.Or(b.Place, was.Place), cmp.Or(b.Staff, was.Staff)
	if b.Attrs == nil {
		b.Attrs = was.Attrs
	}
	if b.AutoReminder == nil {
		b.AutoReminder = was.AutoReminder
	}
}

// PutBooking adds a booking or changes it; what a change leaves out stays. The
// notices it brings about are planned in the same transaction; what a change
// makes wrong is taken back, also from a lane. Error: *queue.Invalid.
func (o *Outreach) PutBooking(ctx context.Context, b Booking, by string) (*Booked, error) {
	return o.PutBookingOf(ctx, b, nil, by)
}

// PutBookingOf is PutBooking with the customer whose booking it is, who is kept
// with it: what the call leaves out of the customer stays, and a version that
// comes late says nothing of them either. Error: *queue.Invalid, about a field of
// the customer as customer.FIELD.
func (o *Outreach) PutBookingOf(ctx context.Context, b Booking, customer *Contact, by string) (*Booked, error) {
	if customer != nil {
		c := *customer
		if err := o.normal(&c); err != nil {
			return nil, ofCustomer(err)
		}
		customer, b.Contact = &c, c.ID
	}
	if err := normalBooking(&b); err != nil {
		return nil, err
	}
	var done Booked
	var flying []queue.ID
	given := b
	err := o.commit(ctx, func(tx *store.Tx) error {
		b, flying = given, nil
		done = Booked{Notices: []Notice{}}
		now := o.q.Now()
		was, err := bookings.Get(tx, b.key())
		if err != nil {
			return err
		}
		if was != nil && given.Version != 0 && given.Version <= was.Version {
			done.Booking, done.Ignored = *was, true
			return nil
		}
		if b.Contact == "" && was != nil {
			b.Contact = was.Contact
		}
		if customer != nil {
			if err := o.saveCustomer(tx, *customer, now); err != nil {
				return ofCustomer(err)
			}
		} else if b.Contact != "" {
			c, err := contacts.Get(tx, store.Str(b.Contact))
			if err != nil {
				return err
			}
			if c == nil {
				return invalid("contact", "contact_unknown", "there is no contact %q. Send it first, or send customer with the booking", b.Contact)
			}
		}
		event, err := transition(was, &b)
		if err != nil {
			return err
		}
		if err := b.checkOrder(); err != nil {
			return err
		}
		if b.Start.IsZero() && b.Event == "" && !b.Status.over() {
			return invalid("start", "start_missing", "a booking has a start, or an event that it belongs to. Send one of them")
		}
		b.Created, b.Updated = now, now
		if was != nil {
			b.Created = was.Created
			if given.Version == 0 && was.same(&b) {
				done.Booking, done.Ignored = *was, true
				return nil
			}
			if err := oldBookings.Put(tx, &oldBooking{*was}); err != nil {
				return err
			}
		}
		if b.Version == 0 {
			b.Version = 1
			if was != nil {
				b.Version = was.Version + 1
			}
		}
		if err := bookings.Put(tx, &b); err != nil {
			return err
		}
		done.Booking = b
		return o.booked(tx, &b, event, now, &done.Notices, &flying)
	})
	if err != nil {
		return nil, err
	}
	o.cancelFlying(ctx, flying, by)
	return &done, nil
}

// saveCustomer keeps a customer who comes with a booking: what the call leaves
// out stays as it was.
func (o *Outreach) saveCustomer(tx *store.Tx, c Contact, now time.Time) error {
	was, err := contacts.Get(tx, c.key())
	if err != nil {
		return err
	}
	if was != nil {
		c = merged(was, &c, nil)
	}
	_, err = o.putContact(tx, &c, now)
	return err
}

// ofCustomer says of a refusal that it is about the customer.
func ofCustomer(err error) error {
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		return &queue.Invalid{Field: "customer." + bad.Field, Code: bad.Code, Detail: bad.Detail}
	}
	return err
}

// booked lets everything that hangs on a booking follow it: notices, reminders,
// the tickets of an event and the campaigns that are timed by it.
func (o *Outreach) booked(tx *store.Tx, b *Booking, event string, now time.Time, notices *[]Notice, flying *[]queue.ID) error {
	if err := o.replan(tx, b, event, now, notices, flying); err != nil {
		return err
	}
	tickets, err := ticketsOf(tx, b.ID)
	if err != nil {
		return err
	}
	for _, ticket := range tickets {
		if err := o.replan(tx, ticket, "", now, &[]Notice{}, flying); err != nil {
			return err
		}
	}
	return o.retime(tx, b, now)
}

func ticketsOf(tx *store.Tx, event string) (list []*Booking, err error) {
	prefix := store.Str(event)
	for key, id := range byEvent.Keys(tx, prefix) {
		if !strings.HasPrefix(string(key), string(prefix)) {
			break
		}
		b, err := bookings.Get(tx, id)
		if err != nil {
			return nil, err
		}
		if b != nil {
			list = append(list, b)
		}
	}
	return list, nil
}

// effective is a booking with what it has from its event.
func effective(tx *store.Tx, b *Booking) (*Booking, error) {
	if b.Event == "" {
		return b, nil
	}
	event, err := bookings.Get(tx, store.Str(b.Event))
	if err != nil || event == nil {
		return b, err
	}
	e := *b
	if e.Start.IsZero() {
		e.Start, e.End, e.OldStart = event.Start, event.End, event.OldStart
	}
	if event.Status.over() && !e.Status.over() {
		e.Status = event.Status
	}
	e.Place = cmp.Or(e.Place, event.Place)
	e.Service = cmp.Or(e.Service, event.Service)
	return &e, nil
}

// cancelFlying stops what lanes hold. It waits for them a moment; what they
// hand over all the same is the network's, and the queue's story says so.
func (o *Outreach) cancelFlying(ctx context.Context, ids []queue.ID, by string) {
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flyingPatience)
	defer cancel()
	for _, id := range ids {
		if _, err := o.q.Cancel(ctx, id, by); err != nil {
			o.log.Debug("a message was in the air when it was taken back", "msg", id, "err", err)
		}
	}
}

const flyingPatience = 5 * time.Second
