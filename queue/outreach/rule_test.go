package outreach

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
)

// said lists what was written since the last call: day, hour and text.
func (b *box) said() (list []string) {
	b.t.Helper()
	for _, m := range b.messages() {
		list = append(list, m.Created.In(b.cfg.Location).Format("2006-01-02 15:04 ")+m.Text())
	}
	return list
}

// daily lets time go on, with a network that takes at noon what has come: no
// route runs, for its timers would make a year of seconds long.
func (b *box) daily(until string) {
	b.t.Helper()
	for end := clock(b, until); time.Now().Before(end); {
		noon := at(time.Now().AddDate(0, 0, 1), 12, 0, b.cfg.Location)
		time.Sleep(time.Until(noon))
		waiting, _, err := b.q.List(queue.Filter{State: queue.Queued})
		if err != nil {
			b.t.Fatal(err)
		}
		for _, m := range waiting {
			if _, err := b.q.Cancel(b.t.Context(), m.ID, "the network"); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// A year of an association: birthdays, qualifications with a lead time each,
// last visits, a special day and appointments, through both nights on which the
// clock changes, a leap day, and three days without power.
func TestAYearOfRules(t *testing.T) {
	begin := time.Date(2027, 9, 1, 6, 0, 0, 0, time.UTC)
	inBoxAt(t, begin, func(b *box) {
		b.open()
		member := func(id, born, status string, attrs Attributes) {
			b.contact(Contact{ID: id, FirstName: id, Number: fmt.Sprintf("+3161%07d", len(id)*1000+int(id[0])), Birthday: born, Status: status, Attrs: attrs})
			b.consent(id)
		}
		date := func(s string) Value { return Value{Type: TypeDate, Text: s} }
		days := func(n string) Value { return Value{Type: TypeNumber, Text: n} }
		member("leap", "2000-02-29", "aktiv", nil)
		member("autumn", "1990-10-31", "aktiv", nil) // the day of the long night
		member("spring", "1990-03-26", "aktiv", nil) // the day of the short night
		member("dark", "1990-06-11", "aktiv", nil)   // in the days without power
		member("after", "1990-06-13", "aktiv", nil)  // power comes back that morning
		member("dead", "1990-10-31", "verstorben", nil)
		member("trainer", "", "aktiv", Attributes{"verfalldatum": date("2028-02-29"), "lead_days": days("30")})
		member("umpire", "", "aktiv", Attributes{"verfalldatum": date("2028-06-12"), "lead_days": days("1")}) // due in the dark
		member("never", "", "aktiv", Attributes{"verfalldatum": date("2028-03-31")})
		member("guest", "", "aktiv", Attributes{"last_visit": date("2027-10-01")})
		b.contact(Contact{ID: "nay", FirstName: "nay", Number: dora, Birthday: "1990-10-31"}) // never agreed

		b.template("geburtstag", "Alles Gute, {first_name}!")
		b.template("bald", "{first_name}: [VERFALLDATUM] naht")
		b.template("vorbei", "{first_name}: [VERFALLDATUM] ist vorbei")
		b.template("win", "{first_name}, lang niet gezien")
		b.template("xmas", "{first_name}, zalig kerstfeest")
		b.template("kop", "{first_name}, tot {start_day} {start_time}")
		active := Audience{All: []Condition{{Field: "status", Op: "not_in", Value: Value{Type: TypeList, List: []string{"terminated", "verstorben", "ausgeschlossen"}}}}}
		yes := Policy{RequireAll: []string{Marketing}}
		member0 := Audience{All: []Condition{{Field: "id", Op: "in", Value: Value{Type: TypeList, List: []string{"guest", "trainer"}}}}}
		for _, r := range []Rule{
			{Name: "birthday", On: Trigger{Event: OnBirthday, At: "10:00"}, Template: "geburtstag", Audience: active, Consent: yes},
			{Name: "soon", On: Trigger{Event: OnDate, Field: "Verfalldatum", Lead: "lead_days"}, Template: "bald", Audience: active, Consent: yes},
			{Name: "expired", On: Trigger{Event: OnDate, Field: "verfalldatum", Offset: Span{Days: 1}}, Template: "vorbei", Audience: active, Consent: yes},
			{Name: "winback", On: Trigger{Event: OnDate, Field: "last_visit", Offset: Span{Days: 180}}, Template: "win", Consent: yes},
			{Name: "xmas", On: Trigger{Event: OnDay, Day: "12-25", At: "09:00"}, Template: "xmas", Audience: member0, Consent: yes},
			{Name: "reminder", On: Trigger{Event: OnReminder, Offset: Span{Days: -1}}, Template: "kop", NotBefore: "08:00", NotAfter: "21:00"},
		} {
			b.rule(r)
		}
		// Three appointments: on the days after the two nights, and in the dark.
		for id, start := range map[string]string{"k1": "2027-10-31T14:30", "k2": "2028-03-26T14:30", "k3": "2028-06-12T14:30"} {
			b.book(Booking{ID: id, Contact: "guest", Start: clock(b, start)})
		}

		b.daily("2028-06-10T12:00")
		b.close() // no power
		time.Sleep(time.Until(clock(b, "2028-06-13T07:00")))
		b.open()
		b.daily("2028-09-01T12:00")
		want := []string{
			"2027-10-30 14:30 guest, tot zondag 31 oktober 14:30",
			"2027-10-31 10:00 Alles Gute, autumn!",
			"2027-12-25 09:00 guest, zalig kerstfeest",
			"2027-12-25 09:00 trainer, zalig kerstfeest",
			"2028-01-30 10:00 trainer: 29-02-2028 naht",
			"2028-02-29 10:00 Alles Gute, leap!",
			"2028-03-01 10:00 trainer: 29-02-2028 ist vorbei",
			"2028-03-25 14:30 guest, tot zondag 26 maart 14:30",
			"2028-03-26 10:00 Alles Gute, spring!",
			"2028-03-29 10:00 guest, lang niet gezien",
			"2028-04-01 10:00 never: 31-03-2028 ist vorbei",
			"2028-06-13 07:00 umpire: 12-06-2028 naht", // caught up: due on the 11th
			"2028-06-13 10:00 Alles Gute, after!",
			"2028-06-13 10:00 umpire: 12-06-2028 ist vorbei",
		}
		if got := b.said(); !slices.Equal(got, want) {
			b.t.Errorf("a year said\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
		var missed []string
		for after := uint64(0); after < b.q.LastEvent(); {
			events, err := b.q.Events(after, 1000)
			if err != nil {
				b.t.Fatal(err)
			}
			for _, e := range events {
				if after = e.Seq; e.Kind == queue.KindRule && e.Ref == "birthday" && e.Code == "missed" {
					missed = append(missed, e.Detail)
				}
			}
		}
		if !slices.Equal(missed, []string{"2028-06-11, 2028-06-12"}) {
			b.t.Errorf("events tell that birthdays were missed on %q", missed)
		}
		r, err := b.o.Rule("birthday")
		if err != nil || r.Done != "2028-09-01" {
			b.t.Errorf("%+v, %v", r, err)
		}
	})
}

// In common years who was born on 29 February is congratulated on the 28th, or
// on 1 March, as the rule says.
func TestBornOnLeapDay(t *testing.T) {
	for leap, want := range map[string][]string{
		"":      {"2026-02-28", "2027-02-28", "2028-02-29"},
		"03-01": {"2026-03-01", "2027-03-01", "2028-02-29"},
	} {
		r := Rule{On: Trigger{Event: OnBirthday, Leap: leap}}
		var got []string
		for _, d := range r.dueDays(&Contact{Birthday: "2000-02-29"}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 12, 31, 0, 0, 0, 0, time.UTC)) {
			got = append(got, d.day.Format(time.DateOnly))
		}
		if !slices.Equal(got, want) {
			t.Errorf("leap %q: %v, want %v", leap, got, want)
		}
	}
}

func TestNeverTwiceForTheSameOccasion(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Birthday: "1980-11-25"})
		b.consent("m1")
		b.template("g", "Alles Gute, {first_name}!")
		r := Rule{Name: "birthday", On: Trigger{Event: OnBirthday}, Template: "g"}
		b.rule(r)
		b.later(30 * time.Hour)
		b.wants("Alles Gute, Max!")
		// The rule is saved again, the box restarts, the file comes again.
		b.rule(r)
		b.close()
		b.open()
		b.contact(Contact{ID: "m1", FirstName: "Maximilian", Number: anna, Birthday: "1980-11-25"})
		if err := b.o.DeleteRule(b.t.Context(), "birthday", "till"); err != nil {
			b.t.Fatal(err)
		}
		b.rule(r)
		b.later(30 * time.Hour)
		b.wants("Alles Gute, Max!")
	})
}

// A value that nobody has stops the run before anything is sent, tells why, and
// takes place when the data is there.
func TestARunWithoutItsDataDoesNotTakePlace(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Birthday: "1980-11-25", Attrs: Attributes{"qualifikation": {Type: TypeText, Text: "Trainer"}}})
		b.consent("m1")
		b.template("g", "{first_name}: [QUALIFIKATION]")
		b.rule(Rule{Name: "birthday", On: Trigger{Event: OnBirthday}, Template: "g", Notify: Notify{SMS: []string{bram}}})
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Birthday: "1980-11-25"}) // the pre-send function was forgotten
		time.Sleep(time.Until(clock(b, "2026-11-25T10:20")))
		got := b.texts()
		if len(got) != 1 || !strings.Contains(got[0], "birthday 2026-11-25: ging niet door") || !strings.Contains(got[0], "[QUALIFIKATION]") {
			b.t.Errorf("%q", got)
		}
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Birthday: "1980-11-25", Attrs: Attributes{"qualifikation": {Type: TypeText, Text: "Trainer"}}})
		b.later(time.Hour)
		if got := b.texts(); len(got) < 2 || got[1] != "Max: Trainer" {
			b.t.Errorf("%q", got)
		}
	})
}

// Who is told about a run: also when nobody was meant, if that is asked.
func TestTheNoticeOfARun(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Birthday: "1980-11-26"})
		b.consent("m1")
		b.template("g", "Alles Gute, {first_name}!")
		b.rule(Rule{Name: "quiet", On: Trigger{Event: OnBirthday}, Template: "g", Audience: Audience{All: []Condition{is("id", "nobody")}}})
		b.rule(Rule{Name: "told", On: Trigger{Event: OnBirthday}, Template: "g", Notify: Notify{SMS: []string{bram}, Empty: true}})
		time.Sleep(time.Until(clock(b, "2026-11-25T10:20")))
		got := b.texts()
		if len(got) != 2 || got[0] != "told 2026-11-24: niemand voldeed, er is niets verzonden." || got[1] != "told 2026-11-25: niemand voldeed, er is niets verzonden." {
			b.t.Errorf("%q", got)
		}
		events, err := b.q.Events(0, 1000)
		if err != nil {
			b.t.Fatal(err)
		}
		empty := 0
		for _, e := range events {
			if e.Kind == queue.KindRule && e.Code == "empty" {
				empty++
			}
		}
		if empty != 4 {
			b.t.Errorf("%d events tell of an empty run, want 4", empty)
		}
	})
}

// Something that appears for the first time: the first delivery, a new member.
func TestTheFirstAppearanceOfAnAttribute(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "old", FirstName: "Oud", Number: bram, Attrs: Attributes{"delivered": {Type: TypeDate, Text: "2026-01-01"}}})
		b.contact(Contact{ID: "new", FirstName: "Nieuw", Number: anna})
		b.template("thanks", "Dank voor de eerste bestelling, {first_name}")
		b.rule(Rule{Name: "first", On: Trigger{Event: OnFirst, Field: "delivered"}, Template: "thanks", Flag: "first_delivery", Class: queue.Transactional})
		deliver := func(id, day string, on bool) {
			b.contact(Contact{ID: id, FirstName: id, Number: map[string]string{"old": bram, "new": anna, "off": cees}[id],
				Flags: map[string]bool{"first_delivery": on}, Attrs: Attributes{"delivered": {Type: TypeDate, Text: day}}})
			b.later(time.Second)
		}
		deliver("old", "2026-11-24", true)
		deliver("new", "2026-11-24", true)
		deliver("new", "2026-11-25", true)
		deliver("off", "2026-11-25", false)
		b.wants("Dank voor de eerste bestelling, new")
	})
}

func TestWhatARuleWillDoCanBeAsked(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		for id, born := range map[string]string{"a": "1980-11-25", "b": "1980-11-30", "c": "1980-12-24", "d": "1980-11-26"} {
			b.contact(Contact{ID: id, FirstName: id, Number: fmt.Sprintf("+3161000000%d", id[0]-'a'), Birthday: born})
			if id != "d" {
				b.consent(id)
			}
		}
		b.template("g", "Alles Gute, {first_name}!")
		b.rule(Rule{Name: "birthday", On: Trigger{Event: OnBirthday}, Template: "g"})
		list, err := b.o.Upcoming("birthday", time.Now().AddDate(0, 0, 7))
		if err != nil || len(list) != 3 {
			b.t.Fatalf("%+v, %v", list, err)
		}
		if u := list[0]; u.Contact != "a" || !u.At.Equal(clock(b, "2026-11-25T10:00")) || u.Why != "" {
			b.t.Errorf("%+v", u)
		}
		if u := list[1]; u.Contact != "d" || u.Why != "there is no consent for marketing" {
			b.t.Errorf("%+v", u)
		}
	})
}

func TestWhatARuleCannotBe(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Attrs: Attributes{"expires": {Type: TypeDate, Text: "2027-01-01"}}})
		b.template("g", "Alles Gute, {first_name}!")
		b.template("strange", "Bis [VERFALLDATUM]")
		for name, c := range map[string]struct {
			r    Rule
			code string
		}{
			"everybody":                     {Rule{On: Trigger{Event: OnDay, Day: "2026-12-24"}}, "everybody"},
			"a day that has passed":         {Rule{On: Trigger{Event: OnDay, Day: "2026-11-01"}, Audience: everybody}, "in_the_past"},
			"a day that is none":            {Rule{On: Trigger{Event: OnDay, Day: "2026-02-30"}, Audience: everybody}, "date_invalid"},
			"a trigger that is none":        {Rule{On: Trigger{Event: "sometimes"}}, "unknown_value"},
			"no date":                       {Rule{On: Trigger{Event: OnDate}}, "field_missing"},
			"a reminder without a time":     {Rule{On: Trigger{Event: OnReminder}}, "field_missing"},
			"lead and offset":               {Rule{On: Trigger{Event: OnDate, Field: "expires", Lead: "days", Offset: Span{Days: 1}}}, "one_of_two"},
			"a field of another trigger":    {Rule{On: Trigger{Event: OnBirthday, Field: "expires"}}, "field_not_here"},
			"a time that is none":           {Rule{On: Trigger{Event: OnBirthday, At: "25:00"}}, "time_invalid"},
			"a window that closes first":    {Rule{On: Trigger{Event: OnBirthday}, NotBefore: "21:00", NotAfter: "08:00"}, "ends_before_start"},
			"an unknown template":           {Rule{On: Trigger{Event: OnBirthday}, Template: "x"}, "template_unknown"},
			"a placeholder nobody can fill": {Rule{On: Trigger{Event: OnBirthday}, Template: "strange"}, CodeUnknown},
			"bookings of a birthday":        {Rule{On: Trigger{Event: OnBirthday}, Match: []Condition{is("type", "apk")}}, "field_not_here"},
			"too deep":                      {Rule{On: Trigger{Event: OnBirthday}, Audience: Audience{All: []Condition{{Any: []Condition{{All: []Condition{is("a", "b")}}}}}}}, "too_deep"},
			"an operator that is none":      {Rule{On: Trigger{Event: OnBirthday}, Audience: Audience{All: []Condition{{Field: "a", Op: "like", Value: textValue("b")}}}}, "unknown_value"},
			"a number that is none":         {Rule{On: Trigger{Event: OnBirthday}, Audience: Audience{All: []Condition{{Field: "points", Op: "at_least", Value: textValue("many")}}}}, "wrong_type"},
			"advertising without consent":   {Rule{On: Trigger{Event: OnBirthday}, Consent: Policy{Ignore: true}}, "no_consent"},
		} {
			c.r.Name = "r"
			if c.r.Template == "" {
				c.r.Template = "g"
			}
			_, err := b.o.PutRule(b.t.Context(), c.r, "till")
			refused(b.t, name, err, c.code)
		}
	})
}

// Hours that are days are counted as days; others are refused, for a daily rule
// has none.
func TestTheOffsetOfADateIsWholeDays(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "c1", FirstName: "Anna", Number: anna, Attrs: Attributes{"expires": {Type: TypeDate, Text: "2026-11-29"}}})
		b.template("soon", "{first_name}, {expires}")
		r := Rule{Name: "soon", On: Trigger{Event: OnDate, Field: "expires", Offset: Span{Rest: -72 * time.Hour}}, Template: "soon", Class: queue.Transactional}
		if got := b.rule(r); got.On.Offset != (Span{Days: -3}) {
			b.t.Errorf("-PT72H is kept as %s", got.On.Offset)
		}
		up, err := b.o.Upcoming("soon", b.q.Now().AddDate(0, 0, 7))
		if err != nil || len(up) != 1 || !up[0].At.Equal(clock(b, "2026-11-26T10:00")) {
			b.t.Errorf("three days before the 29th: %+v, %v", up, err)
		}
		r.On.Offset = Span{Rest: -36 * time.Hour}
		_, err = b.o.PutRule(b.t.Context(), r, "till")
		if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Field != "on.offset" {
			b.t.Errorf("a day and a half before a date: %v", err)
		}
	})
}

// Days that were missed are told of also when the day has somebody.
func TestMissedDaysAreToldBesideARunThatTookPlace(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "c1", FirstName: "Anna", Number: anna, Birthday: "1990-11-28"})
		b.template("wish", "Gefeliciteerd {first_name}")
		b.rule(Rule{Name: "birthday", On: Trigger{Event: OnBirthday, At: "10:00"}, Template: "wish", Class: queue.Transactional, Notify: Notify{SMS: []string{bram}, Webhook: "software"}})
		b.later(2 * time.Hour)
		b.close()
		time.Sleep(time.Until(clock(b, "2026-11-28T11:00")))
		b.open()
		b.later(time.Hour)
		b.wants("birthday 2026-11-28: het kastje stond uit op 2026-11-25, 2026-11-26, 2026-11-27; voor die dagen was het te laat.", "Gefeliciteerd Anna")
		found := false
		events, err := b.q.Events(0, 1000)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range events {
			if e.Kind == queue.KindRule && e.Code == "missed" {
				out, webhook, err := b.o.Outcome(e)
				found = err == nil && webhook == "software" && len(out.Missed) == 3
			}
		}
		if !found {
			b.t.Error("no webhook hears of the days that were missed")
		}
	})
}
