package outreach

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// shop is a booking calendar with all six notices.
func shop(b *box) {
	b.contact(Contact{ID: "c1", FirstName: "Anna", Number: anna, Language: "nl"})
	for _, event := range []Status{Pending, Confirmed, Rejected, Cancelled, Moved} {
		b.template(string(event), "{first_name}: "+string(event)+" {start}")
		b.rule(Rule{Name: string(event), On: Trigger{Event: onBooking + string(event)}, Template: string(event)})
	}
	b.template("moved", "{first_name}: van {old_start} naar {start}")
	b.template("reminder", "{first_name}, tot {start_day} {start_time}")
	b.rule(Rule{Name: "reminder", On: Trigger{Event: OnReminder, Offset: Span{Rest: -24 * time.Hour}}, Template: "reminder"})
}

func TestABookingIsConfirmedRemindedAndCancelled(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T14:30")
		got := b.book(Booking{ID: "k1", Contact: "c1", Start: start, End: start.Add(time.Hour)})
		if len(got.Notices) != 2 || got.Notices[0].Event != "confirmed" || got.Notices[1].Event != "reminder" || !got.Notices[1].At.Equal(start.Add(-24*time.Hour)) {
			b.t.Errorf("notices: %+v", got.Notices)
		}
		b.wants("Anna: confirmed 04-12-2026 14:30")
		b.later(9*24*time.Hour + 6*time.Hour)
		b.wants("Anna: confirmed 04-12-2026 14:30", "Anna, tot vrijdag 4 december 14:30")
		b.book(Booking{ID: "k1", Status: Cancelled})
		b.wants("Anna: confirmed 04-12-2026 14:30", "Anna, tot vrijdag 4 december 14:30", "Anna: cancelled 04-12-2026 14:30")
		list := b.messages()
		if list[1].State != queue.Cancelled || list[1].Why.Code != "booking_changed" {
			b.t.Errorf("the reminder of a cancelled booking is %s because %s", list[1].State, list[1].Why.Code)
		}
	})
}

func TestSeveralMovesInTwoMinutesGiveOneNotice(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Contact: "c1", Start: start})
		b.later(time.Hour)
		for day := range 3 {
			b.book(Booking{ID: "k1", Status: Moved, Start: start.AddDate(0, 0, day+1)})
			b.later(30 * time.Second)
		}
		b.later(2 * time.Minute)
		b.wants("Anna: confirmed 04-12-2026 14:30", "Anna: van 04-12-2026 14:30 naar 07-12-2026 14:30")
		up, err := b.o.Upcoming("reminder", start.AddDate(0, 0, 30))
		if err != nil || len(up) != 1 || !up[0].At.Equal(start.AddDate(0, 0, 2)) {
			b.t.Errorf("the reminder did not move: %+v, %v", up, err)
		}
	})
}

func TestPendingFollowedByConfirmedGivesOnlyConfirmed(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Contact: "c1", Start: start, Status: Pending})
		b.later(time.Minute)
		b.book(Booking{ID: "k1", Status: Confirmed})
		b.later(5 * time.Minute)
		b.wants("Anna: confirmed 04-12-2026 14:30")
		b.book(Booking{ID: "k2", Contact: "c1", Start: start, Status: Pending})
		b.later(3 * time.Minute)
		b.book(Booking{ID: "k2", Status: Rejected})
		b.wants("Anna: confirmed 04-12-2026 14:30", "Anna: pending 04-12-2026 14:30", "Anna: rejected 04-12-2026 14:30")
	})
}

func TestALateOrRepeatedVersionIsIgnored(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Version: 5, Contact: "c1", Start: start})
		for _, late := range []Booking{
			{ID: "k1", Version: 4, Status: Cancelled},
			{ID: "k1", Version: 5, Status: Cancelled},
			{ID: "k1", Contact: "c1", Start: start}, // says nothing new
		} {
			if got := b.book(late); !got.Ignored || got.Status != Confirmed || got.Version != 5 {
				b.t.Errorf("%+v was not ignored: %+v", late, got)
			}
		}
		b.wants("Anna: confirmed 04-12-2026 14:30")
	})
}

func TestASwitchedOffNoticeIsSuppressed(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		b.rule(Rule{Name: "confirmed", Off: true, On: Trigger{Event: "booking.confirmed"}, Template: "confirmed"})
		got := b.book(Booking{ID: "k1", Contact: "c1", Start: clock(b, "2026-12-04T14:30")})
		if n := got.Notices[0]; n.Outcome != "suppressed" || n.Why != "the notice is switched off" {
			b.t.Errorf("%+v", got.Notices)
		}
		b.wants()
	})
}

// A reminder that a lane holds is stopped, or at least never sent again.
func TestACancelledBookingStopsAReminderInALane(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		shop(b)
		b.rule(Rule{Name: "cancelled", Off: true, On: Trigger{Event: "booking.cancelled"}, Template: "cancelled"})
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Contact: "c1", Start: start})
		b.later(time.Minute)
		modem.SetState(route.Waiting)
		b.later(10 * 24 * time.Hour)
		// It waits in line, the modem being away; in the same instant the modem
		// comes back and the booking is cancelled.
		b.book(Booking{ID: "k1", Status: Cancelled})
		modem.SetState(route.Ready)
		b.later(time.Minute)
		if list := b.messages(); len(list) != 2 || list[1].State == queue.Sent || list[1].State == queue.Delivered {
			b.t.Errorf("the reminder: %+v", list[len(list)-1])
		}
	})
}

func TestABookingMadeLateIsNotRemindedOf(t *testing.T) {
	for late, want := range map[string]int{"skip": 1, "now": 2} {
		inBox(t, func(b *box) {
			b.open()
			shop(b)
			b.rule(Rule{Name: "reminder", Late: late, On: Trigger{Event: OnReminder, Offset: Span{Rest: -24 * time.Hour}}, Template: "reminder"})
			b.book(Booking{ID: "k1", Contact: "c1", Start: time.Now().Add(5 * time.Hour)})
			if got := b.texts(); len(got) != want {
				b.t.Errorf("late %s: %v", late, got)
			}
		})
	}
}

func TestTheReminderFlagOfAContact(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		b.rule(Rule{Name: "reminder", Flag: FlagReminder, On: Trigger{Event: OnReminder, Offset: Span{Rest: -24 * time.Hour}}, Template: "reminder"})
		start := clock(b, "2026-12-04T14:30")
		on := true
		b.book(Booking{ID: "default", Contact: "c1", Start: start})                                 // off
		b.book(Booking{ID: "asked", Contact: "c1", Start: start.Add(time.Hour), AutoReminder: &on}) // on for this one
		b.later(10 * 24 * time.Hour)
		reminders := func() (n int) {
			for _, s := range b.texts() {
				if strings.HasPrefix(s, "Anna, tot") {
					n++
				}
			}
			return n
		}
		if n := reminders(); n != 1 {
			b.t.Errorf("%d reminders: %v", n, b.texts())
		}
		// A change takes effect on reminders that are planned already.
		b.book(Booking{ID: "later", Contact: "c1", Start: start.AddDate(0, 0, 10)})
		b.contact(Contact{ID: "c1", FirstName: "Anna", Number: anna, Flags: map[string]bool{FlagReminder: true}})
		b.later(10 * 24 * time.Hour)
		if n := reminders(); n != 2 {
			b.t.Errorf("%d reminders after the flag: %v", n, b.texts())
		}
	})
}

func TestWhatABookingCannotBe(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Contact: "c1", Start: start})
		for _, c := range []struct {
			name    string
			booking Booking
			code    string
		}{
			{"ends before it starts", Booking{ID: "k2", Contact: "c1", Start: start, End: start.Add(-time.Hour)}, "ends_before_start"},
			{"without a start", Booking{ID: "k2", Contact: "c1"}, "start_missing"},
			{"of nobody we know", Booking{ID: "k2", Contact: "c9", Start: start}, "contact_unknown"},
			{"rejected after it was confirmed", Booking{ID: "k1", Status: Rejected}, "not_pending"},
			{"pending again", Booking{ID: "k1", Status: Pending}, "already_confirmed"},
			{"moved to where it is", Booking{ID: "k1", Status: Moved, Start: start}, "not_moved"},
			{"in a state that is none", Booking{ID: "k1", Status: "gone", Start: start}, "unknown_value"},
			{"without an id", Booking{Contact: "c1", Start: start}, "id_missing"},
		} {
			_, err := b.o.PutBooking(b.t.Context(), c.booking, "till")
			refused(b.t, c.name, err, c.code)
		}
	})
}

// A ticket has its event's time, and follows it.
func TestATicketFollowsItsEvent(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T20:00")
		b.book(Booking{ID: "concert", Start: start, Place: "Paradiso"})
		b.book(Booking{ID: "t1", Contact: "c1", Event: "concert", Type: "ticket"})
		b.book(Booking{ID: "concert", Start: start.AddDate(0, 0, 7)})
		up, err := b.o.Upcoming("reminder", start.AddDate(0, 0, 30))
		if err != nil || len(up) != 1 || !up[0].At.Equal(start.AddDate(0, 0, 6)) {
			b.t.Errorf("%+v, %v", up, err)
		}
		b.book(Booking{ID: "concert", Status: Cancelled})
		if up, err = b.o.Upcoming("reminder", start.AddDate(0, 0, 30)); err != nil || len(up) != 0 {
			b.t.Errorf("after the event was cancelled: %+v, %v", up, err)
		}
	})
}

func TestBookingHistory(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		start := clock(b, "2026-12-04T14:30")
		b.book(Booking{ID: "k1", Contact: "c1", Start: start})
		b.book(Booking{ID: "k1", Status: Moved, Start: start.AddDate(0, 0, 1)})
		b.book(Booking{ID: "k10", Contact: "c1", Start: start})
		list, err := b.o.BookingHistory("k1")
		if err != nil || len(list) != 2 || list[0].Version != 2 || !list[0].OldStart.Equal(start) || list[1].Version != 1 {
			b.t.Errorf("%+v, %v", list, err)
		}
		of, _, err := b.o.Bookings("c1", "", "", 10)
		if err != nil || len(of) != 2 {
			b.t.Errorf("%d bookings of c1, %v", len(of), err)
		}
		if err := b.o.DeleteBooking(b.t.Context(), "k1", "till"); err != nil {
			b.t.Error(err)
		}
		if left := slices.DeleteFunc(b.texts(), func(s string) bool { return strings.Contains(s, "confirmed") }); len(left) > 0 {
			b.t.Errorf("a forgotten booking tells %v", left)
		}
	})
}
