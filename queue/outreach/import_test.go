package outreach

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillpost/queue/store"
)

// A withdrawal holds: the tick of a nightly file is older than it, until the file
// has said no in between.
func TestATickDoesNotBeatAWithdrawal(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		file := func(tick string) *Imported {
			b.t.Helper()
			b.later(time.Hour)
			f, err := ReadFile([]byte("id;mobil;e-post;samtycke\nA;+31612345678;anna@example.nl;" + tick + "\n"))
			if err != nil {
				b.t.Fatal(err)
			}
			var dry *Imported
			if dry, err = b.o.ImportFile(b.t.Context(), f, Import{DryRun: true}); err != nil {
				b.t.Fatal(err)
			}
			var told []RowError
			rep, err := b.o.ImportFile(b.t.Context(), f, Import{Warned: func(e RowError) { told = append(told, e) }})
			if err != nil || len(rep.Warnings) != len(dry.Warnings) || len(told) != len(rep.Warnings) || rep.Changed != dry.Changed {
				b.t.Fatalf("%+v, in a dry run %+v, told %v, %v", rep, dry, told, err)
			}
			return rep
		}
		holds := func(when string, sms, mail bool) {
			b.t.Helper()
			for channel, want := range map[string]bool{SMS: sms, Email: mail} {
				got := granted{}
				err := b.db.View(func(tx *store.Tx) (err error) { got, err = consentsOf(tx, "A", channel); return err })
				if err != nil || got[Marketing] != want {
					b.t.Errorf("%s: by %s %v, want %v; %v", when, channel, got, want, err)
				}
			}
		}
		withdraw := func(channel string) {
			b.t.Helper()
			b.later(time.Hour)
			if _, err := b.o.AddConsent(b.t.Context(), Consent{Contact: "A", Purpose: Marketing, Channel: channel, How: "telephone"}); err != nil {
				b.t.Fatal(err)
			}
		}
		file("ja")
		holds("the first file", true, true)
		withdraw(SMS)
		rep := file("ja")
		holds("an old tick", false, true)
		if len(rep.Warnings) != 1 || rep.Same != 1 || rep.Warnings[0].Row != 2 || rep.Warnings[0].Code != "consent_withdrawn" || !strings.Contains(rep.Warnings[0].Detail, "telephone") {
			b.t.Errorf("%+v", rep)
		}
		withdraw("")
		file("ja")
		holds("an old tick after all was withdrawn", false, false)
		if rep := file("nej"); rep.Changed != 1 || len(rep.Warnings) != 0 {
			b.t.Errorf("the file knows now: %+v", rep)
		}
		if rep := file("nej"); rep.Same != 1 {
			b.t.Errorf("the ledger grows: %+v", rep)
		}
		file("ja")
		holds("a new tick", true, true)
		if rep := file("ja"); rep.Same != 1 || len(rep.Warnings) != 0 {
			b.t.Errorf("%+v", rep)
		}
	})
}

// Days are read in JSON as in a file, and one that does not exist is refused.
func TestDaysOfContacts(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		var list []Contact
		err := json.Unmarshal([]byte(`[{"id": "A", "attributes": {"expires": "23-04-2027", "seen": "3.4.2027", "room": "12"}},
			{"id": "B", "attributes": {"expires": "2027-02-30"}}, {"id": "C", "attributes": {"expires": "31-02-2027"}}, {"id": "D", "attributes": {"expires": "04/23/2027"}}]`), &list)
		if err != nil {
			b.t.Fatal(err)
		}
		rep, err := b.o.ImportContacts(b.t.Context(), list, Import{})
		if err != nil || rep.Added != 1 || rep.Refused != 3 || rep.Errors[0].Row != 2 || rep.Errors[0].Field != "attributes.expires" || rep.Errors[0].Code != "date_invalid" {
			b.t.Fatalf("%+v, %v", rep, err)
		}
		a, err := b.o.Contact("A")
		if err != nil || a.Attrs["expires"].Type != TypeDate || a.Attrs["expires"].Text != "2027-04-23" || a.Attrs["seen"].Text != "2027-04-03" || a.Attrs["room"].Type != TypeText {
			b.t.Errorf("%+v, %v", a, err)
		}
		_, err = b.o.PutContact(b.t.Context(), list[1])
		refused(b.t, "one contact", err, "date_invalid")
		f, err := ReadFile([]byte("id;mobil;expires;artikel:text\nE;0612345678;30-02-2027;\nF;0612345678;3-4-2027;31-02-2027\n"))
		if err != nil {
			b.t.Fatal(err)
		}
		if rep, err = b.o.ImportFile(b.t.Context(), f, Import{}); err != nil || rep.Added != 1 || rep.Refused != 1 || rep.Errors[0].Row != 2 {
			b.t.Errorf("%+v, %v", rep, err)
		}
		var cond Condition
		if err := json.Unmarshal([]byte(`{"field": "points", "op": "between", "value": [100, 300.5]}`), &cond); err != nil || cond.check("all[0]", 0) != nil || !cond.meets(func(string) Value { return textValue("200") }) || cond.meets(func(string) Value { return textValue("301") }) {
			b.t.Errorf("between two numbers: %+v, %v", cond, err)
		}
		if err := json.Unmarshal([]byte(`{"field": "points", "op": "between", "value": [100, true]}`), &cond); err == nil || !strings.Contains(err.Error(), "true is neither") {
			b.t.Errorf("between a number and a yes: %v", err)
		}
	})
}

// Files that are dropped together are taken in the order in which one stands on
// the other, whatever they are called.
func TestContactsAreTakenBeforeBookings(t *testing.T) {
	for _, names := range [][2]string{{"bookings1.csv", "contacts1.csv"}, {"afspraken.csv", "klanten.csv"}, {"bokningar.csv", "kontakter.csv"}, {"a.csv", "kontakte.csv"}} {
		inBox(t, func(b *box) {
			b.open()
			f := b.folder()
			defer f.halt()
			if names[0] == "a.csv" {
				f.put("a.json", `{"kind": "bookings"}`)
			}
			f.put(names[0], "id;contact;start;end\nB1;K1;24-12-2026 10:00;24-12-2026 11:30\nB2;K1;24.12.2026 9:05;10:15\nB3;K1;2026-12-24T10:00;\nB4;K1;31-11-2026 10:00;\n")
			f.put(names[1], "id;mobil\nK1;0612345678\n")
			b.later(12 * time.Second)
			got := f.has(names[0] + ".result")
			if strings.Count(got, ";confirmed;") != 3 || !strings.Contains(got, `5;refused;;"start: `) {
				b.t.Errorf("%s: %s", names[0], got)
			}
			for id, want := range map[string][2]string{"B1": {"2026-12-24T10:00", "2026-12-24T11:30"}, "B2": {"2026-12-24T09:05", "2026-12-24T10:15"}} {
				k, err := b.o.Booking(id)
				if err != nil || !k.Start.Equal(clock(b, want[0])) || !k.End.Equal(clock(b, want[1])) {
					b.t.Errorf("%s: %+v, %v", id, k, err)
				}
			}
		})
	}
}

// What is taken over and does nothing is told: contacts whom nobody can reach,
// lead times that are no number, and days that have passed.
func TestAnImportThatDoesNothingIsTold(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.template("bald", "Bis {expires}")
		b.rule(Rule{Name: "bald", On: Trigger{Event: OnDate, Field: "expires", Lead: "lead_days", At: "10:00"}, Template: "bald"})
		day := func(n int) string { return time.Now().AddDate(0, 0, n).Format(time.DateOnly) }
		for file, want := range map[string][]string{
			"id;moblie\n1;0612345678\n":   {`1 "moblie" is read as an attribute; should it be mobile?`},
			"id;points\n2;5\n":            {"1 no column of numbers"},
			"id;e-mail\n3;a@example.nl\n": nil,
			"id;points\nknown;5\n":        nil,
			"id;mobil;expires;lead_days\n4;+31612345678;" + day(90) + ";18 dagen\n": {`2 "18 dagen" is no number of days`},
			"id;mobil;expires;lead_days\n5;+31612345678;" + day(10) + ";30\n":       {"2 has passed: the rule bald says nothing of it"},
			"id;mobil;expires;lead_days\n6;+31612345678;" + day(10) + ";8\n":        nil,
			"id;mobil;expires;lead_days\n7;+31612345678;" + day(-9) + ";8\n":        nil,
			"id;mobil;expires;lead_days\n8;+31612345678;" + day(90) + ";\n":         nil,
		} {
			b.contact(Contact{ID: "known", Number: anna})
			f, err := ReadFile([]byte(file))
			if err != nil {
				b.t.Fatal(err)
			}
			rep, err := b.o.ImportFile(b.t.Context(), f, Import{})
			if err != nil || len(rep.Warnings) != len(want) {
				b.t.Errorf("%q: %+v, %v", file, rep, err)
				continue
			}
			for i, w := range want {
				row, words, _ := strings.Cut(w, " ")
				if e := rep.Warnings[i]; strconv.Itoa(e.Row) != row || !strings.Contains(e.Detail, words) {
					b.t.Errorf("%q: %+v, want %s", file, e, w)
				}
			}
		}
	})
}
