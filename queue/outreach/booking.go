package outreach

import (
	"cmp"
	"context"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Booking is a dated fact: an appointment, a ticket, a delivery, a
// qualification that expires; or, without a contact, an event that tickets
// belong to.
type Booking struct {
	ID      string `json:"id"`
	Version int    `json:"version"`           // counts up; an older one that comes late is ignored
	Contact string `json:"contact,omitempty"` // whom it is about
	Event   string `json:"event,omitempty"`   // the booking it belongs to: its start and end count where there are none here
	Type    string `json:"type,omitempty"`    // the shop's word: apk, haircut, ticket
	Status  Status `json:"status"`

	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
	OldStart time.Time `json:"old_start,omitzero"` // before it was moved last

	Service string     `json:"service,omitempty"`
	Place   string     `json:"place,omitempty"`
	Staff   string     `json:"staff,omitempty"`
	Attrs   Attributes `json:"attributes,omitempty"` // product, seat, rank …

	// AutoReminder is for this booking what the flag of that name is for its
	// contact, and goes before it.
	AutoReminder *bool `json:"auto_reminder,omitempty"`

	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
}

// Status of a booking.
type Status string

const (
	Pending   Status = "pending"   // waits for the owner's yes
	Confirmed Status = "confirmed" // takes place
	Rejected  Status = "rejected"  // the owner said no to what was pending
	Cancelled Status = "cancelled"
	Moved     Status = "moved" // said by a call; kept is what it was before
)

var statuses = []Status{Pending, Confirmed, Rejected, Cancelled, Moved}

// over: it will not take place.
func (s Status) over() bool { return s == Rejected || s == Cancelled }

// Notice is what becomes of one message that a change of a booking brings
// about.
type Notice struct {
	Event   string    `json:"event"` // pending, confirmed, rejected, cancelled, moved, reminder
	Rule    string    `json:"rule,omitempty"`
	Channel string    `json:"channel,omitempty"`
	Outcome string    `json:"outcome"` // planned, suppressed, taken_back
	Why     string    `json:"why,omitempty"`
	At      time.Time `json:"at,omitzero"` // planned: when
}

// Booked is the answer to a change.
type Booked struct {
	Booking
	Ignored bool     `json:"ignored,omitempty"` // an older version, or one that says nothing new
	Notices []Notice `json:"notices"`
}

// field returns a field or attribute by its folded name.
func (b *Booking) field(name string, zone *time.Location) Value {
	switch name {
	case "id", "booking":
		return Value{Type: TypeText, Text: b.ID}
	case "event":
		return Value{Type: TypeText, Text: b.Event}
	case "type":
		return Value{Type: TypeText, Text: b.Type}
	case "status":
		return Value{Type: TypeText, Text: string(b.Status)}
	case "start":
		return dayOf(b.Start, zone)
	case "end":
		return dayOf(b.End, zone)
	case "service":
		return Value{Type: TypeText, Text: b.Service}
	case "place":
		return Value{Type: TypeText, Text: b.Place}
	case "staff":
		return Value{Type: TypeText, Text: b.Staff}
	}
	return b.Attrs[name]
}

func dayOf(t time.Time, zone *time.Location) Value {
	if t.IsZero() {
		return Value{Type: TypeDate}
	}
	return Value{Type: TypeDate, Text: t.In(zone).Format(time.DateOnly)}
}

// bookingNames are the names that a template may use for a booking beside its
// attributes.
var bookingNames = words("booking event type start end old_start start_date start_time start_day end_time old_date old_time old_day service place staff lead")

// value is a name of a booking as a template writes it for a reader.
func (b *Booking) value(name, lang string, zone *time.Location) string {
	switch name {
	case "start":
		return stampOf(b.Start, zone)
	case "end":
		return stampOf(b.End, zone)
	case "old_start":
		return stampOf(b.OldStart, zone)
	case "start_date":
		return dayOf(b.Start, zone).Text
	case "old_date":
		return dayOf(b.OldStart, zone).Text
	case "start_time":
		return hourOf(b.Start, zone)
	case "end_time":
		return hourOf(b.End, zone)
	case "old_time":
		return hourOf(b.OldStart, zone)
	case "start_day":
		return dayInWords(b.Start, lang, zone)
	case "old_day":
		return dayInWords(b.OldStart, lang, zone)
	case "id": // the contact's: a template says booking for this one
		return ""
	}
	return b.field(name, zone).String()
}

func stampOf(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format("2006-01-02T15:04")
}

func hourOf(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(clockTime)
}

// normalBooking checks a booking by itself. Its error is a *queue.Invalid.
func normalBooking(b *Booking) error {
	b.ID, b.Contact, b.Event = strings.TrimSpace(b.ID), strings.TrimSpace(b.Contact), strings.TrimSpace(b.Event)
	if err := checkID("id", b.ID); err != nil {
		return err
	}
	b.Status = Status(cmp.Or(strings.ToLower(strings.TrimSpace(string(b.Status))), string(Confirmed)))
	known := false
	for _, s := range statuses {
		known = known || s == b.Status
	}
	switch {
	case !known:
		return invalid("status", "unknown_value", "%q is no state of a booking. Use one of: %s", b.Status, joined(statuses))
	case b.Event == b.ID:
		return invalid("event", "refers_to_itself", "a booking cannot belong to itself")
	case b.Version < 0:
		return invalid("version", "out_of_range", "version counts up from 1. Leave it out if your system has none")
	case len(b.Attrs) > maxAttrs:
		return invalid("attributes", "too_many", "these are %d attributes, and a booking has %d at most", len(b.Attrs), maxAttrs)
	}
	for name, s := range map[string]string{"type": b.Type, "service": b.Service, "place": b.Place, "staff": b.Staff} {
		if len(s) > maxField {
			return invalid(name, "too_long", "%s has %d bytes and may have %d. Shorten it", name, len(s), maxField)
		}
	}
	return b.checkOrder()
}

// checkOrder refuses an end before the start: in a call, and again with what was
// kept of the booking.
func (b *Booking) checkOrder() error {
	if b.End.IsZero() || b.Start.IsZero() || !b.End.Before(b.Start) {
		return nil
	}
	return invalid("end", "ends_before_start", "it ends at %s, before it starts at %s. Correct one of them", b.End.Format(time.RFC3339), b.Start.Format(time.RFC3339))
}

// past: it has ended; one that says no end, with the day on which it began.
func (b *Booking) past(now time.Time, zone *time.Location) bool {
	switch {
	case !b.End.IsZero():
		return b.End.Before(now)
	case !b.Start.IsZero():
		return dayIn(b.Start, zone).Before(dayIn(now, zone))
	}
	return false
}

// same: a call without a version that says the same again.
func (b *Booking) same(o *Booking) bool {
	return b.Contact == o.Contact && b.Event == o.Event && b.Type == o.Type && b.Status == o.Status &&
		b.Start.Equal(o.Start) && b.End.Equal(o.End) && b.Service == o.Service && b.Place == o.Place && b.Staff == o.Staff &&
		equalMaps(b.Attrs, o.Attrs, Value.equal) &&
		(b.AutoReminder == nil) == (o.AutoReminder == nil) && (b.AutoReminder == nil || *b.AutoReminder == *o.AutoReminder)
}

// Booking returns one. Error: ErrNotFound.
func (o *Outreach) Booking(id string) (*Booking, error) { return get(o.db, bookings, id) }

// Bookings lists bookings by id; of one contact or event, if they are given.
func (o *Outreach) Bookings(contact, event, after string, limit int) (list []Booking, next string, err error) {
	if contact == "" && event == "" {
		return page(o.db, bookings, after, limit, func(b *Booking) string { return b.ID })
	}
	index, prefix := byBooker, store.Str(contact)
	if contact == "" {
		index, prefix = byEvent, store.Str(event)
	}
	if limit <= 0 {
		limit = usualPage
	}
	from := prefix
	if after != "" {
		from = append(store.Join(prefix, store.Str(after)), 0)
	}
	err = o.db.View(func(tx *store.Tx) error {
		for key, id := range index.Keys(tx, from) {
			if !strings.HasPrefix(string(key), string(prefix)) {
				return nil
			}
			b, err := bookings.Get(tx, id)
			if err != nil {
				return err
			}
			if b == nil || event != "" && b.Event != event {
				continue
			}
			if len(list) == min(limit, maxPage) {
				next = list[len(list)-1].ID
				return nil
			}
			list = append(list, *b)
		}
		return nil
	})
	return list, next, err
}

// BookingHistory is every version of a booking, the newest first. Error:
// ErrNotFound.
func (o *Outreach) BookingHistory(id string) (list []Booking, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		b, err := bookings.Get(tx, store.Str(id))
		if err != nil {
			return err
		}
		if b == nil {
			return ErrNotFound
		}
		list = append(list, *b)
		for old, err := range oldBookings.ScanBack(tx, store.End(store.Str(id))) {
			if err != nil {
				return err
			}
			if old.ID != id {
				return nil
			}
			list = append(list, old.Booking)
		}
		return nil
	})
	return list, err
}

// DeleteBooking forgets a booking. What is planned for it goes; who was told of
// it is told nothing: cancel it first if they should know. Error: ErrNotFound.
func (o *Outreach) DeleteBooking(ctx context.Context, id, by string) error {
	var flying []queue.ID
	err := o.commit(ctx, func(tx *store.Tx) error {
		flying = nil
		b, err := bookings.Get(tx, store.Str(id))
		if err != nil {
			return err
		}
		if b == nil {
			return ErrNotFound
		}
		b.Status = Cancelled
		if err := o.booked(tx, b, "", o.q.Now(), &[]Notice{}, &flying); err != nil {
			return err
		}
		return forgetBooking(tx, id)
	})
	if err != nil {
		return err
	}
	o.cancelFlying(ctx, flying, by)
	return nil
}

func forgetBooking(tx *store.Tx, id string) error {
	if err := deleteUnder(tx, plans, store.Str(ownerBooking+id)); err != nil {
		return err
	}
	if err := deleteUnder(tx, oldBookings, store.Str(id)); err != nil {
		return err
	}
	return bookings.Delete(tx, store.Str(id))
}
