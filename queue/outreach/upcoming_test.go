package outreach

import (
	"slices"
	"testing"
	"time"
)

// All rules at once say what each of them says alone.
func TestWhatAllRulesWillDo(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.template("word", "Dag {first_name}.")
		b.contact(Contact{ID: "7", FirstName: "Anna", Number: anna, Birthday: "1980-11-26"})
		b.contact(Contact{ID: "8", FirstName: "Bram", Number: bram, Birthday: "1981-11-25", Status: "deceased"})
		for _, r := range []Rule{
			{Name: "birthday", On: Trigger{Event: OnBirthday}, Template: "word", Class: "transactional"},
			{Name: "day", On: Trigger{Event: OnDay, Day: "11-27"}, Template: "word", Class: "transactional", Audience: everybody},
			{Name: "remind", On: Trigger{Event: OnReminder, Offset: Span{Days: -1}}, Template: "word"},
			{Name: "confirmed", On: Trigger{Event: "booking.confirmed"}, Template: "word"},
			{Name: "off", On: Trigger{Event: OnBirthday}, Template: "word", Class: "transactional", Off: true},
		} {
			b.rule(r)
		}
		if _, err := b.o.PutBooking(b.t.Context(), Booking{ID: "a", Contact: "7", Start: b.q.Now().AddDate(0, 0, 3)}, "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(time.Minute)
		until := b.q.Now().AddDate(0, 0, 7)
		all, err := b.o.UpcomingAll(until)
		if err != nil || len(all) != 4 {
			b.t.Fatalf("%+v, %v", all, err)
		}
		for name, want := range map[string]int{"birthday": 2, "day": 2, "remind": 1, "confirmed": 0} {
			alone, err := b.o.Upcoming(name, until)
			if err != nil || len(alone) != want || !slices.Equal(all[name], alone) {
				b.t.Errorf("%s: together %+v, alone %+v, %v", name, all[name], alone, err)
			}
		}
	})
}
