package outreach

import (
	"slices"
	"testing"
	"time"
)

func TestWhatADayHas(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "7", FirstName: "Anna", Number: anna})
		day := time.Date(2026, 11, 25, 0, 0, 0, 0, b.cfg.Location)
		put := func(id, contact, event string, start time.Time) {
			b.t.Helper()
			if _, err := b.o.PutBooking(b.t.Context(), Booking{ID: id, Contact: contact, Event: event, Start: start}, "page"); err != nil {
				b.t.Fatal(err)
			}
		}
		put("late", "7", "", day.Add(17*time.Hour))
		put("early", "7", "", day.Add(9*time.Hour))
		put("after", "7", "", day.AddDate(0, 0, 1))
		put("concert", "", "", day.Add(20*time.Hour))
		put("seat", "7", "concert", time.Time{})
		for _, c := range []struct {
			events bool
			limit  int
			want   []string
			more   bool
		}{{false, 10, []string{"early", "late"}, false}, {false, 1, []string{"early"}, true}, {true, 10, []string{"concert"}, false}} {
			list, more, err := b.o.Between(c.events, day, day.AddDate(0, 0, 1), c.limit)
			var ids []string
			for _, one := range list {
				ids = append(ids, one.ID)
			}
			if err != nil || !slices.Equal(ids, c.want) || more != c.more {
				b.t.Errorf("events %v: %v more %v, %v", c.events, ids, more, err)
			}
		}
		put("early", "7", "", day.AddDate(0, 0, 3)) // a booking that is moved leaves its day
		if list, _, err := b.o.Between(false, day, day.AddDate(0, 0, 1), 10); err != nil || len(list) != 1 {
			b.t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestWhatABookingsCustomerIsTold(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "7", FirstName: "Anna", Number: anna})
		b.template("word", "Tot {start_date}.")
		for _, r := range []Rule{
			{Name: "confirmed", On: Trigger{Event: "booking.confirmed"}, Template: "word"},
			{Name: "moved", On: Trigger{Event: "booking.moved"}, Template: "word", Off: true},
			{Name: "remind", On: Trigger{Event: OnReminder, Offset: Span{Days: -1}}, Template: "word"},
			{Name: "remind-flagged", On: Trigger{Event: OnReminder, Offset: Span{Days: -2}}, Template: "word", Flag: FlagReminder},
			{Name: "remind-early", On: Trigger{Event: OnReminder, Offset: Span{Days: -30}}, Template: "word"},
		} {
			b.rule(r)
		}
		if _, err := b.o.PutBooking(b.t.Context(), Booking{ID: "a", Contact: "7", Start: b.q.Now().AddDate(0, 0, 7)}, "page"); err != nil {
			b.t.Fatal(err)
		}
		b.later(time.Minute)
		list, err := b.o.Told("a")
		if err != nil {
			b.t.Fatal(err)
		}
		got := map[string]Told{}
		for _, one := range list {
			got[one.Rule] = one
		}
		if one := got["confirmed"]; one.Msg == 0 || one.Planned || one.At.IsZero() || one.Event != "confirmed" {
			b.t.Errorf("confirmed: %+v", one)
		}
		if one := got["moved"]; !one.Off || one.Why != "the notice is switched off" || !one.At.IsZero() {
			b.t.Errorf("moved: %+v", one)
		}
		if one := got["remind"]; !one.Planned || one.Why != "" || !one.At.Equal(b.q.Now().AddDate(0, 0, 6).Add(-time.Minute)) {
			b.t.Errorf("remind: %+v", one)
		}
		if one := got["remind-flagged"]; !one.Planned || one.Why != "auto_reminder is off" {
			b.t.Errorf("remind-flagged: %+v", one)
		}
		if one := got["remind-early"]; one.Planned || one.Why != "it would have been due before now" {
			b.t.Errorf("remind-early: %+v", one)
		}
		if _, err := b.o.Told("b"); err == nil {
			b.t.Error("a booking that is not there was told of")
		}
	})
}
