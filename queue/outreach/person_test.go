package outreach

import (
	"strings"
	"testing"

	"tillpost/queue"
)

func TestWhatIsKnownOfOneContact(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "D1", Name: "Anna", Number: anna})
		b.contact(Contact{ID: "D2", Name: "Anna's son", Number: anna})
		b.contact(Contact{ID: "D3", Name: "Nobody's number"})
		b.consent("D3")
		b.book(Booking{ID: "k1", Contact: "D3", Start: clock(b, "2026-12-04T14:30")})
		a, err := b.o.About("D3")
		if err != nil || len(a.Contacts) != 1 || len(a.Consents) != 1 || len(a.Bookings) != 1 {
			b.t.Errorf("%+v, %v", a, err)
		}
		if _, err := b.o.About("D4"); err != ErrNotFound {
			b.t.Errorf("nobody: %v", err)
		}
		for id, want := range map[string]int{"D1": 1, "D3": 0} {
			c, err := b.o.Contact(id)
			if err != nil {
				b.t.Fatal(err)
			}
			if list, err := b.o.Namesakes(c); err != nil || len(list) != want {
				b.t.Errorf("%s shares its number with %+v, %v", id, list, err)
			}
		}
	})
}

func TestAContactWithoutANumberIsErased(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "D1", Name: "Anna", Number: anna})
		b.contact(Contact{ID: "D3", Name: "Cees"})
		b.consent("D3")
		b.book(Booking{ID: "k1", Contact: "D3", Start: clock(b, "2026-12-04T14:30")})
		refused(b.t, "one with a number", b.o.EraseContact(b.t.Context(), "D1"), "number_known")
		if err := b.o.EraseContact(b.t.Context(), "D3"); err != nil {
			b.t.Fatal(err)
		}
		if err := b.o.EraseContact(b.t.Context(), "D3"); err != ErrNotFound {
			b.t.Errorf("again: %v", err)
		}
		if _, err := b.o.Booking("k1"); err != ErrNotFound {
			b.t.Errorf("the booking: %v", err)
		}
		if list, err := b.o.Consents("D3"); err != nil || len(list) != 0 {
			b.t.Errorf("the ledger: %v, %v", list, err)
		}
		if _, err := b.o.Contact("D1"); err != nil {
			b.t.Errorf("the other: %v", err)
		}
	})
}

// What rules will write to one contact is what they say of it themselves.
func TestWhatComesToOneContact(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.template("gefeliciteerd", "Gefeliciteerd {naam}")
		b.template("morgen", "Tot {start_time}")
		b.contact(Contact{ID: "D1", Name: "Anna", Number: anna, Birthday: "1980-11-27", Flags: map[string]bool{FlagReminder: true}})
		b.contact(Contact{ID: "D2", Name: "Bram", Number: bram, Birthday: "1980-11-28"})
		b.consent("D1")
		b.rule(Rule{Name: "verjaardag", On: Trigger{Event: OnBirthday, At: "10:00"}, Template: "gefeliciteerd", Class: queue.Marketing})
		b.rule(Rule{Name: "herinnering", On: Trigger{Event: OnReminder, Offset: Span{Days: -1}}, Template: "morgen", Class: queue.Transactional, Flag: FlagReminder})
		b.book(Booking{ID: "k1", Contact: "D1", Start: clock(b, "2026-11-26T14:30")})
		b.book(Booking{ID: "k2", Contact: "D2", Start: clock(b, "2026-11-26T14:30")})
		for id, want := range map[string]string{
			"D1": "herinnering k1 , verjaardag  ",
			"D2": "herinnering k2 auto_reminder is off, verjaardag  there is no consent for marketing",
		} {
			list, err := b.o.UpcomingFor(id, b.q.Now().AddDate(0, 0, 7))
			if err != nil {
				b.t.Fatal(err)
			}
			var said []string
			for _, c := range list {
				said = append(said, strings.Join([]string{c.Rule, c.Booking, c.Why}, " "))
			}
			if got := strings.Join(said, ", "); got != want {
				b.t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		if list, err := b.o.UpcomingFor("D1", b.q.Now().AddDate(0, 0, 1)); err != nil || len(list) != 0 {
			b.t.Errorf("in a day: %+v, %v", list, err)
		}
		if _, err := b.o.UpcomingFor("nobody", b.q.Now()); err != ErrNotFound {
			b.t.Errorf("nobody: %v", err)
		}
	})
}
