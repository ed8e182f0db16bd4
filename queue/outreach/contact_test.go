package outreach

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/store"
)

func TestAContactIsKeptInOneSpelling(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		c := b.contact(Contact{ID: " D1 ", FirstName: "Anna", LastName: "Smit", Number: "06-123 45 678", Email: "Anna <anna@example.nl>", Language: "NL", Birthday: "29-02-2000",
			Attrs: Attributes{"punten": {Type: TypeNumber, Text: "120"}}, Flags: map[string]bool{FlagReminder: true}})
		if c.ID != "D1" || c.Number != anna || c.Email != "anna@example.nl" || c.Language != "nl" || c.Birthday != "2000-02-29" {
			b.t.Errorf("%+v", c)
		}
		got, err := b.o.Contact("D1")
		if err != nil || got.Attrs["punten"].Text != "120" || !got.Flags[FlagReminder] || got.whole() != "Anna Smit" {
			b.t.Errorf("%+v, %v", got, err)
		}
		for name, c := range map[string]struct {
			c    Contact
			code string
		}{
			"no id":                 {Contact{Number: anna}, "id_missing"},
			"a bad number":          {Contact{ID: "1", Number: "06-1"}, "number_invalid"},
			"a bad address":         {Contact{ID: "1", Email: "anna"}, "email_invalid"},
			"a bad day":             {Contact{ID: "1", Birthday: "31-02-1980"}, "date_invalid"},
			"a language":            {Contact{ID: "1", Language: "fr"}, "unknown_value"},
			"a field in attributes": {Contact{ID: "1", Attrs: Attributes{"name": textValue("x")}}, "name_taken"},
		} {
			_, err := b.o.PutContact(b.t.Context(), c.c)
			refused(b.t, name, err, c.code)
		}
	})
}

// Everything about a person goes: contact, ledger, bookings, plans, lists. That
// they are kept out stays, without the number.
func TestAPersonIsErased(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		shop(b)
		b.consent("c1")
		b.book(Booking{ID: "k1", Contact: "c1", Start: clock(b, "2026-12-04T14:30")})
		if _, err := b.o.PutExclusion(b.t.Context(), Exclusion{ID: "x", Number: anna, Reason: "moved away"}); err != nil {
			b.t.Fatal(err)
		}
		started, err := b.o.Batch(b.t.Context(), Campaign{Texts: map[string]string{"nl": "Dag {naam}"}, Class: "transactional"},
			[]Recipient{{To: bram, Vars: map[string]string{"naam": "Bram"}}}, false, "till")
		if err != nil {
			b.t.Fatal(err)
		}
		b.later(time.Second)
		for _, number := range []string{anna, bram} {
			if _, err := b.q.Erase(b.t.Context(), number, "Kees"); err != nil {
				b.t.Fatal(err)
			}
		}
		if _, err := b.o.Contact("c1"); err != ErrNotFound {
			b.t.Errorf("the contact: %v", err)
		}
		if _, err := b.o.Booking("k1"); err != ErrNotFound {
			b.t.Errorf("the booking: %v", err)
		}
		if list, err := b.o.Consents("c1"); err != nil || len(list) != 0 {
			b.t.Errorf("the ledger: %v, %v", list, err)
		}
		list, _, err := b.o.Recipients(started.Campaign.Name, 0, 10)
		if err != nil || len(list) != 1 || list[0].To != "" || list[0].Vars != nil {
			b.t.Errorf("the list: %+v, %v", list, err)
		}
		if out, _, err := b.o.Exclusions("", 10); err != nil || len(out) != 1 || out[0].Number != "" {
			b.t.Errorf("who is kept out: %+v, %v", out, err)
		}
	})
}

const registerFile = "Kundnr;Förnamn;Mobil;Språk;Födelsedag;Status;poäng:number;taggar:list;vip:yes/no;senast;nyhetsutskick;auto_reminder\n" +
	"1;Åsa;070-123 45 67;sv;1980-02-29;aktiv;1 250;a|b;ja;2026-11-01;ja;ja\n" +
	"2;Bo;070-765 43 21;;;aktiv;12,5;;nej;01-10-2026;nej;\n"

func TestAFileIsImported(t *testing.T) {
	inBox(t, func(b *box) {
		b.cfg.Country = "SE"
		b.open()
		read := func(raw string, opt Import) *Imported {
			f, err := ReadFile([]byte(raw))
			if err != nil {
				b.t.Fatal(err)
			}
			rep, err := b.o.ImportFile(b.t.Context(), f, opt)
			if err != nil {
				b.t.Fatal(err)
			}
			return rep
		}
		dry := read(registerFile, Import{DryRun: true})
		if !dry.DryRun || dry.Added != 2 || dry.Columns["Kundnr"] != "id" || dry.Columns["poäng:number"] != "attribute poäng, number" || dry.Columns["nyhetsutskick"] != "consent marketing" {
			b.t.Errorf("%+v", dry)
		}
		if list, _, err := b.o.Contacts("", 10); err != nil || len(list) != 0 {
			b.t.Errorf("a dry run wrote %v, %v", list, err)
		}
		if rep := read(registerFile, Import{By: "till", How: "card"}); rep.Added != 2 || rep.Refused != 0 {
			b.t.Errorf("%+v", rep)
		}
		c, err := b.o.Contact("1")
		if err != nil || c.Number != "+46701234567" || c.Attrs["poäng"].Text != "1250" || !slices.Equal(c.Attrs["taggar"].List, []string{"a", "b"}) ||
			c.Attrs["vip"].Text != yes || c.Attrs["senast"].Type != TypeDate || !c.Flags[FlagReminder] {
			b.t.Errorf("%+v, %v", c, err)
		}
		ledger, err := b.o.Consents("1")
		if err != nil || len(ledger) != 1 || !ledger[0].Granted || ledger[0].How != "card" {
			b.t.Errorf("%+v, %v", ledger, err)
		}
		// The same file again changes nothing, and does not make the ledger grow.
		if rep := read(registerFile, Import{}); rep.Same != 2 {
			b.t.Errorf("%+v", rep)
		}
		// An update touches only its columns; an empty cell clears.
		if rep := read("id,status,senast\n1,avslutad,\n", Import{}); rep.Changed != 1 {
			b.t.Errorf("%+v", rep)
		}
		if c, _ = b.o.Contact("1"); c.Status != "avslutad" || c.FirstName != "Åsa" || !c.Attrs["senast"].IsZero() {
			b.t.Errorf("%+v", c)
		}
		// Bad rows are named and leave the others alone; a bad row removes nobody.
		rep := read("id;mobil;födelsedag;poäng:number\n1;12;;\n2;070-765 43 21;1980-13-01;\n3;0701112233;;många\n3;0701112233;;1\n4;0701112244;;1\n", Import{Replace: true})
		rows := map[int]string{}
		for _, e := range rep.Errors {
			rows[e.Row] = e.Field
		}
		if rows[2] != "number" && rows[2] != "to" || rows[3] != "birthday" || rows[4] != "poäng" || rep.Removed != 0 || rep.Added != 1 {
			b.t.Errorf("%+v", rep)
		}
		if rep := read("id;mobil\n5;0701112233\n6;12\n", Import{AllOrNothing: true}); rep.Added != 0 || rep.Refused != 1 {
			b.t.Errorf("%+v", rep)
		}
		if rep := read("id;mobil\n1;0701234567\n", Import{Replace: true}); rep.Removed != 2 {
			b.t.Errorf("%+v", rep)
		}
	})
}

func TestAFileWithWrongColumns(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		for raw, c := range map[string]struct {
			opt  Import
			code string
		}{
			"naam;mobiel\nx;1\n":          {Import{}, "column_missing"},
			"id;mobiel;telefoon\n1;2;3\n": {Import{}, "column_twice"},
			"id;x\n1;2\n":                 {Import{Columns: map[string]string{"y": "name"}}, "column_unknown"},
		} {
			f, err := ReadFile([]byte(raw))
			if err != nil {
				b.t.Fatal(err)
			}
			_, err = b.o.ImportFile(b.t.Context(), f, c.opt)
			refused(b.t, raw, err, c.code)
			if !strings.Contains(err.Error(), "row 1") {
				b.t.Errorf("%q names no row: %v", raw, err)
			}
		}
		f, err := ReadFile([]byte("nr;wie;gsm\n1;Anna;0612345678\n"))
		if err != nil {
			b.t.Fatal(err)
		}
		rep, err := b.o.ImportFile(b.t.Context(), f, Import{Columns: map[string]string{"nr": "id", "wie": "first_name", "gsm": "number"}})
		if err != nil || rep.Added != 1 {
			b.t.Errorf("%+v, %v", rep, err)
		}
	})
}

// The ledger: never overwritten, what counts is the newest by when it was said.
func TestTheLedgerOfConsents(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "1", Number: anna})
		day := func(n int) time.Time { return time.Now().AddDate(0, 0, n) }
		for _, c := range []Consent{
			{Purpose: Marketing, Granted: true, At: day(-30), How: "form", Wording: "Yes, keep me posted"},
			{Purpose: Marketing, Channel: Email, At: day(-20), How: "link"}, // of e-mail alone
			{Purpose: "news", Granted: true, At: day(-10), How: "form"},
			{Purpose: Marketing, Granted: false, At: day(-40), How: "came late"}, // older than the yes
		} {
			c.Contact = "1"
			if _, err := b.o.AddConsent(b.t.Context(), c); err != nil {
				b.t.Fatal(err)
			}
		}
		holds := func(channel string) (g granted) {
			err := b.db.View(func(tx *store.Tx) (err error) {
				g, err = consentsOf(tx, "1", channel)
				return err
			})
			if err != nil {
				b.t.Fatal(err)
			}
			return g
		}
		if g := holds(SMS); !g[Marketing] || !g["news"] {
			b.t.Errorf("by SMS: %v", g)
		}
		if g := holds(Email); g[Marketing] || !g["news"] {
			b.t.Errorf("by e-mail: %v", g)
		}
		if list, err := b.o.Consents("1"); err != nil || len(list) != 4 || list[0].Wording != "Yes, keep me posted" {
			b.t.Errorf("%+v, %v", list, err)
		}
		for name, c := range map[string]struct {
			c    Consent
			code string
		}{
			"without a purpose": {Consent{Contact: "1", How: "form"}, "purpose_missing"},
			"without proof":     {Consent{Contact: "1", Purpose: "x"}, "proof_incomplete"},
			"in the future":     {Consent{Contact: "1", Purpose: "x", How: "form", At: day(1)}, "in_the_future"},
			"by pigeon":         {Consent{Contact: "1", Purpose: "x", How: "form", Channel: "pigeon"}, "unknown_value"},
		} {
			_, err := b.o.AddConsent(b.t.Context(), c.c)
			refused(b.t, name, err, c.code)
		}
	})
}

func TestOperatorsOfAFilter(t *testing.T) {
	c := &Contact{ID: "1", FirstName: "Åsa", Status: "Aktiv", Birthday: "1980-05-01", Attrs: Attributes{
		"punten": {Type: TypeNumber, Text: "120"}, "tags": {Type: TypeList, List: []string{"a", "B"}}, "since": {Type: TypeDate, Text: "2026-11-01"}}}
	list := func(items ...string) Value { return Value{Type: TypeList, List: items} }
	today := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, k := range []struct {
		field, op string
		value     Value
		want      bool
	}{
		{"status", "is", textValue("aktiv"), true}, {"status", "is_not", textValue("aktiv"), false},
		{"status", "in", list("x", "AKTIV"), true}, {"status", "not_in", list("x"), true},
		{"tags", "has", textValue("b"), true}, {"tags", "has_not", textValue("b"), false}, {"tags", "is", textValue("a"), true},
		{"voornaam", "begins_with", textValue("å"), true},
		{"punten", "at_least", textValue("120"), true}, {"punten", "after", textValue("120"), false}, {"punten", "at_most", textValue("119"), false},
		{"punten", "between", list("100", "200"), true}, {"punten", "at_least", textValue("9"), true}, // as numbers, not as texts
		{"since", "before", textValue("today-10"), true}, {"since", "after", textValue("today-10"), false}, {"since", "between", list("2026-10-01", "today"), true},
		{"none", "set", Value{}, false}, {"none", "not_set", Value{}, true}, {"none", "at_least", textValue("1"), false}, {"none", "is_not", textValue("x"), true},
	} {
		cond := Condition{Field: k.field, Op: k.op, Value: k.value}
		if err := cond.check("f", 0); err != nil {
			t.Errorf("%s %s: %v", k.field, k.op, err)
			continue
		}
		if got := meetsAll(resolve([]Condition{cond}, today, fieldName), c.field); got != k.want {
			t.Errorf("%s %s %s: %t", k.field, k.op, k.value, got)
		}
	}
}

func TestTemplatesHaveVersions(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.template("a", "Dag {naam}")
		b.template("a", "Dag {naam}") // says the same: no version
		b.template("a", "Hallo {naam}")
		b.template("ab", "Dag {naam}")
		list, err := b.o.TemplateHistory("a")
		if err != nil || len(list) != 2 || list[0].Version != 2 || list[1].Texts[SMS]["nl"] != "Dag {naam}" {
			b.t.Errorf("%+v, %v", list, err)
		}
		b.rule(Rule{Name: "r", On: Trigger{Event: OnBirthday}, Template: "a"})
		refused(b.t, "a template in use", b.o.DeleteTemplate(b.t.Context(), "a", "till"), "in_use")
		if err := b.o.DeleteTemplate(b.t.Context(), "ab", "till"); err != nil {
			b.t.Error(err)
		}
		for name, s := range map[string]Stored{
			"name_invalid":  {Name: "a b", Texts: map[string]map[string]string{SMS: {"nl": "x"}}},
			"text_missing":  {Name: "x"},
			"unknown_value": {Name: "x", Texts: map[string]map[string]string{SMS: {"fr": "x"}}},
			"text_empty":    {Name: "x", Texts: map[string]map[string]string{SMS: {"nl": " "}}},
		} {
			_, err := b.o.PutTemplate(b.t.Context(), s, "till")
			refused(b.t, name, err, name)
		}
	})
}

func TestClockTimesOfTheTwoNights(t *testing.T) {
	zone := amsterdam(t)
	for _, c := range []struct {
		text string
		fold int
		want string // RFC 3339, or the code of a refusal
	}{
		{"2026-11-24T09:30", 0, "2026-11-24T09:30:00+01:00"},
		{"2026-07-01 09:30:15", 0, "2026-07-01T09:30:15+02:00"},
		{"2026-10-25T01:59", 0, "2026-10-25T01:59:00+02:00"},
		{"2026-10-25T02:30", 0, "time_twice"},
		{"2026-10-25T02:30", 1, "2026-10-25T02:30:00+02:00"},
		{"2026-10-25T02:30", 2, "2026-10-25T02:30:00+01:00"},
		{"2026-10-25T03:00", 0, "2026-10-25T03:00:00+01:00"},
		{"2027-03-28T01:59", 0, "2027-03-28T01:59:00+01:00"},
		{"2027-03-28T02:30", 0, "time_skipped"},
		{"2027-03-28T03:00", 0, "2027-03-28T03:00:00+02:00"},
		{"2026-10-25T02:30:00+01:00", 0, "2026-10-25T02:30:00+01:00"},
		{"2026-02-30T10:00", 0, "time_invalid"},
		{"tomorrow", 0, "time_invalid"},
	} {
		got, err := Moment("at", c.text, c.fold, zone)
		if err != nil {
			refused(t, c.text, err, c.want)
			continue
		}
		if s := got.In(zone).Format(time.RFC3339); s != c.want {
			t.Errorf("%s fold %d is %s, want %s", c.text, c.fold, s, c.want)
		}
	}
	if got := at(time.Date(2027, 3, 28, 0, 0, 0, 0, zone), 2, 30, zone); got.Format("15:04") != "03:00" {
		t.Errorf("a time that the night skips is %s", got)
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]Span{
		"-PT3H": {Rest: -3 * time.Hour}, "+PT2H30M": {Rest: 150 * time.Minute}, "P180D": {Days: 180}, "-P1D": {Days: -1},
		"-P2W": {Days: -14}, "P1DT2H": {Days: 1, Rest: 2 * time.Hour}, "90m": {Rest: 90 * time.Minute}, "-24h": {Rest: -24 * time.Hour},
	} {
		got, err := ParseSpan(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
			continue
		}
		if again, err := ParseSpan(got.String()); err != nil || again != want {
			t.Errorf("%s is written as %s, which reads %+v, %v", text, got, again, err)
		}
	}
	for _, bad := range []string{"", "P", "PT", "3 hours", "P-1D"} {
		if got, err := ParseSpan(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

func TestNoticesHaveFourLanguages(t *testing.T) {
	for code, texts := range notices() {
		if len(texts) != 4 {
			t.Errorf("%s has %d texts", code, len(texts))
		}
		for i, s := range texts {
			if strings.TrimSpace(s) == "" || strings.Count(s, "{") != strings.Count(texts[0], "{") {
				t.Errorf("%s in language %d reads %q", code, i, s)
			}
		}
	}
	for _, code := range []string{"done", "stopped", "empty", "failed", "missed"} {
		if notices()[code] == nil {
			t.Errorf("there are no words for %s", code)
		}
	}
}
