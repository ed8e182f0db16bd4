package queue

import (
	"errors"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func TestQuietHoursTable(t *testing.T) {
	at := func(s string, zone string) time.Time {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		tm, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	for _, c := range []struct{ name, country, zone, now, until string }{
		{"open", "NL", "Europe/Amsterdam", "2026-11-24 10:00", ""},
		{"opens at its minute", "NL", "Europe/Amsterdam", "2026-11-24 08:00", ""},
		{"in the evening until the morning", "NL", "Europe/Amsterdam", "2026-11-24 20:00", "2026-11-25 08:00"},
		{"before the morning", "FR", "Europe/Paris", "2026-11-24 09:59", "2026-11-24 10:00"},
		{"Saturday evening until Monday", "DE", "Europe/Berlin", "2026-11-28 20:30", "2026-11-30 08:00"},
		{"Christmas on a Friday until Monday", "NL", "Europe/Amsterdam", "2026-12-25 10:00", "2026-12-28 08:00"},
		{"Easter Monday", "NL", "Europe/Amsterdam", "2027-03-29 10:00", "2027-03-30 08:00"},
		{"King's day", "NL", "Europe/Amsterdam", "2027-04-27 10:00", "2027-04-28 08:00"},
		{"the night the clock goes forward", "NL", "Europe/Amsterdam", "2027-03-27 21:00", "2027-03-30 08:00"},
		{"the night the clock goes back", "SE", "Europe/Stockholm", "2026-10-24 21:00", "2026-10-26 09:00"},
		{"another zone than the shop's", "PT", "Europe/Lisbon", "2026-11-24 07:30", "2026-11-24 08:00"},
		{"a country without a row, by the shop's clock", "JP", "Europe/Amsterdam", "2026-11-24 21:00", "2026-11-25 08:00"},
	} {
		shop, _ := time.LoadLocation("Europe/Amsterdam")
		got := quietUntil(c.country, at(c.now, c.zone), shop)
		want := time.Time{}
		if c.until != "" {
			want = at(c.until, c.zone)
		}
		if !got.Equal(want) {
			t.Errorf("%s: %s at %s until %v, want %v", c.name, c.country, c.now, got, want)
		}
	}
	for year, want := range map[int]string{2024: "03-31", 2025: "04-20", 2026: "04-05", 2027: "03-28", 2038: "04-25"} {
		if got := easter(year).Format("01-02"); got != want {
			t.Errorf("Easter %d: %s, want %s", year, got, want)
		}
	}
}

// A short code may cost what it likes and belongs to nobody, and help is not
// called by a text from a till (field-notes §5.4).
func TestShortCodesAndHelp(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Limits: Limits{ShortCodes: []string{"8080"}}})
		b.add(Draft{To: "8080"})
		for to, code := range map[string]string{
			"38000": "short_code_not_allowed", "1818": "short_code_not_allowed", "116117": "short_code_not_allowed", "7005": "short_code_not_allowed",
			"112": "number_emergency", "144": "number_emergency", "911": "number_emergency", "999": "number_emergency",
		} {
			_, err := b.q.Add(t.Context(), Draft{To: to, Text: "Dag"})
			if e, ok := errors.AsType[*Invalid](err); !ok || e.Code != code || e.Field != "to" {
				t.Errorf("to %s: %v, want %s", to, err, code)
			}
		}
	})
}

func TestMarketingWaitsThroughTheNight(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			time.Sleep(time.Hour) // so that the campaign runs into the evening
			return route.Receipt{Parts: sent(out.ID)}, nil
		})
		amsterdam, err := time.LoadLocation("Europe/Amsterdam")
		if err != nil {
			t.Fatal(err)
		}
		b.openWith(Config{Location: amsterdam, Limits: Limits{QuietHours: true}}, modem)
		b.later(11*time.Hour - 90*time.Minute) // it is half past six in the evening
		first, second, third := b.add(Draft{To: anna, Class: Marketing}), b.add(Draft{To: bram, Class: Marketing}), b.add(Draft{To: cees, Class: Marketing})
		b.later(2 * time.Hour)
		b.want(first, Sent, "wait_report")
		b.want(second, Sent, "wait_report")
		m := b.want(third, Held, "quiet_hours")
		if got := m.Until().In(amsterdam).Format("15:04"); got != "08:00" {
			t.Errorf("held until %s", got)
		}
		late := b.add(Draft{To: dirk, Class: Marketing})
		b.want(late, Held, "quiet_hours")
		notice := b.add(Draft{To: dirk})
		b.later(90 * time.Minute)
		b.want(notice, Sent, "wait_report")
		b.later(14 * time.Hour)
		b.want(third, Sent, "wait_report")
		b.want(late, Sent, "wait_report")
	})
}

func TestTooMuchForOneNumber(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Limits: Limits{Repeat: 10 * time.Minute, MarketingPerDay: 1, MarketingPerMonth: 4}}, routetest.NewFake("counter"))
		refused := func(d Draft, code string) {
			t.Helper()
			var invalid *Invalid
			if _, err := b.q.Add(t.Context(), d); !errors.As(err, &invalid) || invalid.Code != code {
				t.Errorf("%+v: %v, want a refusal %q", d, err, code)
			}
		}
		b.add(Draft{To: anna, Text: "Klaar!"})
		refused(Draft{To: anna, Text: "Klaar!"}, "repeated")
		b.add(Draft{To: anna, Text: "Klaar!", Ref: "another order"})
		b.add(Draft{To: anna, Text: "Klaar!", Force: true})
		b.add(Draft{To: anna, Text: "Klaar!", Till: "another till"})
		b.add(Draft{To: anna, Text: "Toch niet."})
		b.add(Draft{To: bram, Text: "Klaar!"})
		b.later(10 * time.Minute)
		b.add(Draft{To: anna, Text: "Klaar!"})

		for _, text := range []string{"a", "b", "c", "d"} {
			b.add(Draft{To: cees, Class: Marketing, Text: text})
			refused(Draft{To: cees, Class: Marketing, Text: text + "!"}, "too_often")
			b.add(Draft{To: cees, Text: "your order"})
			b.later(25 * time.Hour)
		}
		refused(Draft{To: cees, Class: Marketing, Text: "e"}, "too_often")
		b.later(27 * 24 * time.Hour)
		b.add(Draft{To: cees, Class: Marketing, Text: "f"})
	})
}

// The cap counts by the time at which advertising is sent, not by the time at
// which it was handed in, however much else went to the number.
func TestTooOftenByWhenItIsSent(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Limits: Limits{MarketingPerDay: 1, MarketingPerMonth: 4}}, routetest.NewFake("counter"))
		begin := time.Now()
		advert := func(after time.Duration) error {
			d := Draft{To: anna, Class: Marketing, Text: "Actie!"}
			if after > 0 {
				d.At = begin.Add(after)
			}
			_, err := b.q.Add(t.Context(), d)
			return err
		}
		refused := func(err error) bool {
			invalid, ok := errors.AsType[*Invalid](err)
			return ok && invalid.Code == "too_often"
		}
		if err := advert(10 * day); err != nil {
			t.Fatal(err)
		}
		for range 2 { // handed in a day apart, planned for the same minute
			b.later(day + time.Minute)
			if err := advert(10 * day); !refused(err) {
				t.Errorf("a second one for the same time: %v", err)
			}
		}
		if err := advert(11 * day); err != nil { // handed in together, sent a day apart
			t.Errorf("a day after the first: %v", err)
		}
		if err := advert(10*day + 12*time.Hour); !refused(err) {
			t.Errorf("between the two: %v", err)
		}
		b.later(15 * day) // both have left
		for range 250 {
			b.add(Draft{To: anna, Text: "Klaar!"})
		}
		for _, at := range []time.Duration{20 * day, 22 * day} {
			if err := advert(at); err != nil {
				t.Errorf("on day %d: %v", at/day, err)
			}
		}
		if err := advert(39 * day); !refused(err) {
			t.Errorf("a fifth one in 30 days: %v", err)
		}
		if err := advert(40 * day); err != nil {
			t.Errorf("30 days after the first: %v", err)
		}
	})
}
