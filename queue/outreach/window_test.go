package outreach

import (
	"testing"
	"time"

	"tillpost/queue"
)

func TestARemindersWindow(t *testing.T) {
	zone := amsterdam(t)
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, zone)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ name, due, latest, from, to, want string }{
		{"inside", "2026-12-03 14:30", "2026-12-04 13:30", "08:00", "21:00", "2026-12-03 14:30"},
		{"before it opens: forward", "2026-12-04 06:30", "2026-12-04 08:30", "08:00", "21:00", "2026-12-04 08:00"},
		{"before it opens, and too near: the evening before", "2026-12-04 06:30", "2026-12-04 07:30", "08:00", "21:00", "2026-12-03 21:00"},
		{"after it closed: the next morning", "2026-12-03 22:30", "2026-12-04 09:00", "08:00", "21:00", "2026-12-04 08:00"},
		{"after it closed, and too near: that evening", "2026-12-03 22:30", "2026-12-04 07:30", "08:00", "21:00", "2026-12-03 21:00"},
		{"only an opening", "2026-12-03 23:30", "2026-12-04 09:00", "08:00", "", "2026-12-03 23:30"},
		{"only an opening, in the night: forward", "2026-12-04 02:00", "2026-12-04 09:00", "08:00", "", "2026-12-04 08:00"},
		{"only an opening, and too near: the evening before", "2026-12-04 02:00", "2026-12-04 04:00", "08:00", "", "2026-12-03 21:00"},
		{"only a late opening, and too near", "2026-12-04 02:00", "2026-12-04 04:00", "22:00", "", "2026-12-03 22:00"},
		{"only a closing", "2026-12-03 20:30", "2026-12-04 09:00", "", "21:00", "2026-12-03 20:30"},
		{"only a closing, late in the evening: that evening", "2026-12-03 23:00", "2026-12-04 09:00", "", "21:00", "2026-12-03 21:00"},
		{"only a closing, after midnight: the evening before", "2026-12-04 00:30", "2026-12-04 10:00", "", "21:00", "2026-12-03 21:00"},
		{"only a closing, in the morning", "2026-12-04 07:30", "2026-12-04 10:00", "", "21:00", "2026-12-04 07:30"},
		{"only a closing before the day begins", "2026-12-04 05:00", "2026-12-04 10:00", "", "06:00", "2026-12-04 05:00"},
		{"no window", "2026-12-03 03:00", "2026-12-03 04:00", "", "", "2026-12-03 03:00"},
		{"the night the clock goes back", "2026-10-25 02:30", "2026-10-25 07:00", "08:00", "21:00", "2026-10-24 21:00"},
		{"the night the clock goes forward", "2027-03-28 03:30", "2027-03-28 09:00", "08:00", "21:00", "2027-03-28 08:00"},
	} {
		if got := (window{c.from, c.to}).fit(at(c.due), at(c.latest), zone); !got.Equal(at(c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for _, c := range []struct{ name, due, from, to, want string }{
		{"inside", "2026-12-03 14:30", "08:00", "21:00", "2026-12-03 14:30"},
		{"late in the evening: the next morning", "2026-12-03 23:00", "08:00", "21:00", "2026-12-04 08:00"},
		{"only a closing: when the night is over", "2026-12-03 23:00", "", "21:00", "2026-12-04 07:00"},
		{"only an opening", "2026-12-03 23:00", "08:00", "", "2026-12-03 23:00"},
	} {
		if got := (window{c.from, c.to}).after(at(c.due), zone); !got.Equal(at(c.want)) {
			t.Errorf("after an event, %s: %s, want %s", c.name, got, c.want)
		}
	}
}

// What a day brings stays on its day, inside the window.
func TestADailyRuleKeepsToItsWindow(t *testing.T) {
	zone := amsterdam(t)
	day := time.Date(2026, 12, 4, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ at, from, to, want, until string }{
		{"", "", "", "10:00", "20:00"},
		{"06:00", "08:00", "", "08:00", "20:00"},
		{"06:00", "", "21:00", "06:00", "21:00"},
		{"", "11:30", "21:00", "11:30", "21:00"},
		{"22:00", "08:00", "21:00", "21:00", "21:15"},
		{"20:30", "", "", "20:30", "00:00"},
	} {
		r := &Rule{On: Trigger{Event: OnBirthday, At: c.at}, NotBefore: c.from, NotAfter: c.to}
		if got := r.runAt(day, zone).In(zone).Format(clockTime); got != c.want {
			t.Errorf("%+v runs at %s", c, got)
		}
		if got := r.until(day, zone).In(zone).Format(clockTime); got != c.until {
			t.Errorf("%+v runs until %s", c, got)
		}
	}
}

// A box that comes back late in the evening catches up in the morning, and the
// upcoming say so.
func TestCatchingUpWaitsForTheWindow(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "c1", FirstName: "Anna", Number: anna, Attrs: Attributes{"expires": {Type: TypeDate, Text: "2026-11-28"}}})
		b.template("soon", "{first_name}, {expires}")
		b.rule(Rule{Name: "soon", On: Trigger{Event: OnDate, Field: "expires", Offset: Span{Days: -3}}, Template: "soon", Class: queue.Transactional, NotBefore: "08:00", NotAfter: "21:00"})
		b.close()
		time.Sleep(time.Until(clock(b, "2026-11-25T23:00")))
		b.open()
		b.later(time.Minute)
		b.wants()
		up, err := b.o.Upcoming("soon", b.q.Now().AddDate(0, 0, 3))
		if err != nil || len(up) != 1 || !up[0].At.Equal(clock(b, "2026-11-26T08:00")) {
			b.t.Errorf("upcoming at 23:00: %+v, %v", up, err)
		}
		b.later(clock(b, "2026-11-26T08:00").Sub(time.Now()))
		b.wants("Anna, 28-11-2026")
	})
}
