package outreach

import (
	"errors"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// Moved away and back before anybody was told: there is nothing to tell.
func TestMovedAndMovedBackSaysNothing(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Contact: "c1", Start: start})
		b.later(time.Hour)
		b.book(Booking{ID: "k1", Start: start.AddDate(0, 0, 1)})
		b.later(time.Minute)
		got := b.book(Booking{ID: "k1", Start: start})
		if n := got.Notices[0]; n.Outcome != "suppressed" || n.Why != "the booking is back where it was" {
			b.t.Errorf("%+v", got.Notices)
		}
		b.later(time.Hour)
		b.wants("Anna: confirmed 04-12-2026 14:30")
		// Once the customer knows that it moved, the way back is told, too.
		b.book(Booking{ID: "k1", Start: start.AddDate(0, 0, 1)})
		b.later(time.Hour)
		b.book(Booking{ID: "k1", Start: start})
		b.later(time.Hour)
		b.wants("Anna: confirmed 04-12-2026 14:30", "Anna: van 04-12-2026 14:30 naar 05-12-2026 14:30", "Anna: van 05-12-2026 14:30 naar 04-12-2026 14:30")
	})
}

// A shop that hands over its old bookings tells nobody of them.
func TestABookingThatIsOverIsToldToNobody(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		for id, k := range map[string]Booking{
			"long ago":  {Start: clock(b, "2020-01-01T10:00")},
			"yesterday": {Start: clock(b, "2026-11-23T10:00")},
			"ended":     {Start: clock(b, "2026-11-24T08:00"), End: clock(b, "2026-11-24T08:30")},
		} {
			k.ID, k.Contact = id, "c1"
			for _, status := range []Status{Confirmed, Cancelled} {
				k.Status = status
				if n := b.book(k).Notices[0]; n.Outcome != "suppressed" || n.Why != "the booking is over" {
					b.t.Errorf("%s, %s: %+v", id, status, n)
				}
			}
		}
		b.book(Booking{ID: "now", Contact: "c1", Start: clock(b, "2026-11-24T08:00"), End: clock(b, "2026-11-24T10:00")})
		b.book(Booking{ID: "today", Contact: "c1", Start: clock(b, "2026-11-24T00:00")}) // a day alone lasts until its evening
		b.later(time.Hour)
		b.wants("Anna: confirmed 24-11-2026 08:00", "Anna: confirmed 24-11-2026 00:00")
	})
}

// The start that is kept counts, not only the one that the call says.
func TestAnEndBeforeTheStartThatIsKept(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		b.book(Booking{ID: "k1", Contact: "c1", Start: clock(b, "2026-12-04T12:00")})
		_, err := b.o.PutBooking(b.t.Context(), Booking{ID: "k1", End: clock(b, "2026-12-04T09:00")}, "till")
		if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Field != "end" || bad.Code != "ends_before_start" {
			b.t.Errorf("an end at nine of what begins at twelve: %v", err)
		}
		if k, err := b.o.Booking("k1"); err != nil || !k.End.IsZero() || k.Version != 1 {
			b.t.Errorf("%+v, %v", k, err)
		}
	})
}

// What comes late brings an old number with it, and is ignored with it.
func TestALateVersionSaysNothingOfTheCustomer(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		put := func(version int, number string) *Booked {
			b.t.Helper()
			got, err := b.o.PutBookingOf(b.t.Context(), Booking{ID: "k1", Version: version, Start: clock(b, "2026-12-04T12:00")}, &Contact{ID: "new", FirstName: "Nova", Number: number}, "till")
			if err != nil {
				b.t.Fatal(err)
			}
			return got
		}
		number := func() string {
			b.t.Helper()
			c, err := b.o.Contact("new")
			if err != nil {
				b.t.Fatal(err)
			}
			return c.Number
		}
		put(5, bram)
		if got := put(4, cees); !got.Ignored || number() != bram {
			b.t.Errorf("version 4 after 5: ignored %t, the number is %s", got.Ignored, number())
		}
		// Without a version the same booking again may bring a new number.
		if got := put(0, dora); !got.Ignored || number() != dora {
			b.t.Errorf("without a version: ignored %t, the number is %s", got.Ignored, number())
		}
		// What is refused leaves the customer as it was.
		_, err := b.o.PutBookingOf(b.t.Context(), Booking{ID: "k1", End: clock(b, "2026-12-04T09:00")}, &Contact{ID: "new", Number: cees}, "till")
		if err == nil || number() != dora {
			b.t.Errorf("a booking was refused with %v, and the number is %s", err, number())
		}
		_, err = b.o.PutBookingOf(b.t.Context(), Booking{ID: "k1"}, &Contact{ID: "new", Number: "12"}, "till")
		if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Field != "customer.number" {
			b.t.Errorf("a number that is none: %v", err)
		}
	})
}

// A booking that is handed to somebody else is theirs to be reminded of, also
// when the reminder of who had it waits in line or was sent.
func TestABookingThatIsHandedOnRemindsWhoHasIt(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		shop(b)
		b.contact(Contact{ID: "c2", FirstName: "Bram", Number: bram, Language: "nl"})
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Contact: "c1", Start: start})
		b.later(time.Minute)
		modem.SetState(route.Waiting)
		b.later(10*24*time.Hour - 18*time.Hour) // the reminder waits in line
		b.book(Booking{ID: "k1", Contact: "c2"})
		b.later(time.Minute)
		modem.SetState(route.Ready)
		b.later(time.Minute)
		b.wants("Anna: confirmed 04-12-2026 14:30", "Anna, tot vrijdag 4 december 14:30", "Bram, tot vrijdag 4 december 14:30")
		list := b.messages()
		if m := list[1]; m.State != queue.Cancelled || m.Why.Code != "booking_changed" {
			b.t.Errorf("the reminder of who had it is %s because %s", m.State, m.Why.Code)
		}
		if m := list[2]; m.To != bram || m.State != queue.Sent {
			b.t.Errorf("the reminder of who has it, to %s, is %s", m.To, m.State)
		}
		// It was said to Bram; who has it then is one who came late.
		b.book(Booking{ID: "k1", Contact: "c1"})
		b.later(24 * time.Hour)
		if n := len(b.messages()); n != 3 {
			b.t.Errorf("%q", b.texts())
		}
	})
}

// Nobody is reminded who was removed from the register.
func TestWhoWasRemovedGetsNoReminder(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		shop(b)
		b.book(Booking{ID: "k1", Contact: "c1", Start: clock(b, "2026-11-25T14:30")})
		b.later(time.Minute)
		modem.SetState(route.Waiting)
		b.later(6 * time.Hour)
		if err := b.o.DeleteContact(b.t.Context(), "c1"); err != nil {
			b.t.Fatal(err)
		}
		modem.SetState(route.Ready)
		b.later(time.Hour)
		list := b.messages()
		if len(list) != 2 || list[1].State != queue.Cancelled || list[1].Why.Code != "contact_gone" {
			b.t.Errorf("%q: the last is %s because %s", b.texts(), list[len(list)-1].State, list[len(list)-1].Why.Code)
		}
	})
}
