package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// verein is an association with its members and the rules of the page.
func (s *street) verein() {
	s.t.Helper()
	for name, words := range map[string]string{
		"geburtstag": "Alles Gute, [VORNAME]!",
		"bald":       "[VORNAME]: [QUALIFIKATION] läuft am [VERFALLDATUM] ab",
		"vorbei":     "[VORNAME]: [QUALIFIKATION] ist seit [VERFALLDATUM] abgelaufen",
	} {
		s.do("PUT", "/templates/"+name, a{"texts": a{"sms": a{"de": words}}})
	}
	living := a{"all": []a{{"field": "status", "op": "not_in", "value": []string{"gekündigt", "widerrufen", "storniert", "ausgeschlossen", "verstorben"}}}}
	consent := a{"require_all": []string{"marketing"}}
	for name, rule := range map[string]a{
		"geburtstag": {"on": a{"event": "birthday", "at": "10:00"}, "template": "geburtstag"},
		"bald":       {"on": a{"event": "date", "field": "expires", "lead": "lead_days", "at": "10:00"}, "template": "bald"},
		"vorbei":     {"on": a{"event": "date", "field": "expires", "offset": "P1D", "at": "10:00"}, "template": "vorbei"},
	} {
		rule["audience"], rule["consent"] = living, consent
		s.do("PUT", "/rules/"+name, rule)
	}
}

// members is the file that an association exports every night.
const members = `id;mobile;lang;birthday;status;consent;vorname;qualifikation;expires;lead_days;verfalldatum
1;0612345678;de;1980-11-24;aktiv;ja;Anna;;;;
2;0687654321;de;1980-11-24;verstorben;ja;Bert;;;;
3;0611112222;de;1980-11-24;aktiv;nein;Cora;;;;
4;0622223333;de;;aktiv;ja;Dirk;Trainer C;2026-12-04;10;2026-12-04
5;0633334444;de;;aktiv;ja;Elsa;Erste Hilfe;2026-11-23;5;2026-11-23
6;0644445555;nl;;aktiv;ja;Fred;Trainer B;2026-11-25;1;2026-11-25
`

// Association: events choose the contacts (field-notes §4.4).
func TestAssociation(t *testing.T) {
	t.Run("a run that the business system makes itself", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.do("POST", "/batches", a{"recipients": []a{
				{"to": "0612345678", "lang": "de", "vars": a{"QUALIFIKATION": "Trainer C", "PRUEFNR": 17, "VERFALLDATUM": "2027-04-23"}, "consents": []string{"marketing"}},
				{"to": "0687654321", "lang": "nl", "vars": a{"QUALIFIKATION": "Trainer B", "PRUEFNR": 18, "VERFALLDATUM": "2027-04-23"}, "consents": []string{"marketing"}},
				{"to": "+46701234567", "lang": "sv", "vars": a{"QUALIFIKATION": "Trainer A", "PRUEFNR": 19, "VERFALLDATUM": "2027-04-23"}, "consents": []string{"marketing"}},
			}, "texts": a{"de": "[QUALIFIKATION] [PRUEFNR] bis [VERFALLDATUM]"}})
			s.later(time.Minute)
			s.phones("+31612345678 Trainer C 17 bis 23.04.2027", "+31687654321 Trainer B 18 bis 23-04-2027", "+46701234567 Trainer A 19 bis 2027-04-23")
		})
	})
	t.Run("a file of contacts and rules in the box", func(t *testing.T) {
		onStreetAt(t, "2026-11-24T06:00", func(s *street) {
			s.verein()
			s.dropped(map[string]string{"mitglieder.csv": members}, func() {})
			week := s.do("GET", "/rules/bald/upcoming", nil)["items"].([]any)
			if len(week) != 2 || week[0].(a)["contact"] != "4" && week[1].(a)["contact"] != "4" {
				t.Errorf("%v", week)
			}
			s.until("2026-11-24T10:02")
			s.phones("+31612345678 Alles Gute, Anna!", "+31622223333 Dirk: Trainer C läuft am 04.12.2026 ab",
				"+31633334444 Elsa: Erste Hilfe ist seit 23.11.2026 abgelaufen", "+31644445555 Fred: Trainer B läuft am 25-11-2026 ab")
		})
	})
	t.Run("a date and a first appearance", func(t *testing.T) {
		onStreetAt(t, "2026-11-24T06:00", func(s *street) {
			s.contact("Anna", "0612345678", a{"attributes": a{"jubilaeum": "2026-11-24"}})
			s.contact("Bert", "0687654321")
			s.agrees("Anna", "marketing")
			s.agrees("Bert", "marketing")
			s.template("jubel", "{first_name}, schon zehn Jahre!")
			s.template("erste", "{first_name}, danke für die erste Lieferung")
			s.do("PUT", "/rules/jubel", a{"on": a{"event": "date", "field": "jubilaeum", "at": "09:00"}, "template": "jubel"})
			s.do("PUT", "/rules/erste", a{"on": a{"event": "first", "field": "geliefert"}, "template": "erste"})
			s.until("2026-11-24T09:30")
			s.contact("Bert", "0687654321", a{"attributes": a{"geliefert": "2026-11-24"}})
			s.contact("Bert", "0687654321", a{"attributes": a{"geliefert": "2026-11-25"}})
			s.later(time.Minute)
			s.phones("+31612345678 Anna, schon zehn Jahre!", "+31687654321 Bert, danke für die erste Lieferung")
		})
	})
	t.Run("never twice, and caught up after a day without power", func(t *testing.T) {
		onStreetAt(t, "2026-11-24T06:00", func(s *street) {
			s.verein()
			s.dropped(map[string]string{"mitglieder.csv": members}, func() {})
			s.close()
			s.until("2026-11-24T12:00")
			s.open() // at noon: a birthday is caught up until 20:00
			s.until("2026-11-24T12:02")
			if got := s.got(); !slices.Contains(got, "+31612345678 Alles Gute, Anna!") || len(got) != 4 {
				t.Errorf("%q", got)
			}
			// The file comes again every night.
			s.until("2026-11-25T03:00")
			s.dropped(map[string]string{"mitglieder.csv": members}, func() {})
			s.until("2026-11-25T10:02")
			if n := len(s.got()); n != 4 {
				t.Errorf("%d messages after the second night: %q", n, s.got())
			}
		})
	})
	t.Run("29 February in a common year", func(t *testing.T) {
		onStreetAt(t, "2027-02-28T09:00", func(s *street) {
			s.contact("Lea", "0612345678", a{"birthday": "2000-02-29", "first_name": "Lea"})
			s.agrees("Lea", "marketing")
			s.template("geburtstag", "Alles Gute, [VORNAME]!")
			s.do("PUT", "/rules/geburtstag", a{"on": a{"event": "birthday"}, "template": "geburtstag"})
			s.until("2027-02-28T10:01")
			s.phones("+31612345678 Alles Gute, Lea!")
			s.do("PUT", "/rules/maerz", a{"on": a{"event": "birthday", "leap": "03-01"}, "template": "geburtstag"})
			s.until("2027-03-01T09:59")
			s.phones("+31612345678 Alles Gute, Lea!")
			s.until("2027-03-01T10:01")
			s.phones("+31612345678 Alles Gute, Lea!", "+31612345678 Alles Gute, Lea!")
		})
	})
	t.Run("the list of who is kept out beats every rule", func(t *testing.T) {
		onStreetAt(t, "2026-11-24T06:00", func(s *street) {
			s.contact("1", "0612345678", a{"birthday": "1980-11-24"})
			s.agrees("1", "marketing")
			s.do("PUT", "/exclusions/1", a{"reason": "verstorben"})
			s.template("geburtstag", "Alles Gute!")
			s.do("PUT", "/rules/geburtstag", a{"on": a{"event": "birthday"}, "template": "geburtstag", "class": "transactional", "consent": a{"ignore": true}})
			s.until("2026-11-24T10:02")
			list := a{"class": "transactional", "texts": a{"nl": "x"}, "recipients": []a{{"to": "06 12 34 56 78"}}}
			s.refuses("POST", "/batches", list, "rows_refused", "is on the exclusion list: verstorben")
			s.later(time.Minute)
			s.phones()
		})
	})
	t.Run("placeholders as they are; without the data the run does not take place", func(t *testing.T) {
		onStreetAt(t, "2026-11-24T06:00", func(s *street) {
			s.verein()
			s.do("PUT", "/rules/bald", a{"on": a{"event": "date", "field": "expires", "lead": "lead_days", "at": "10:00"}, "template": "bald", "class": "transactional", "notify": a{"sms": []string{"0699999999"}}})
			// The function before the send was forgotten: nobody has VERFALLDATUM.
			s.do("POST", "/contacts/import", "id;mobile;vorname;qualifikation;expires;lead_days\n4;0622223333;Dirk;Trainer C;2026-12-04;10\n")
			s.until("2026-11-24T10:05")
			got := s.got()
			if len(got) != 1 || !strings.Contains(got[0], "+31699999999 bald 2026-11-24: ging niet door") || !strings.Contains(got[0], "[VERFALLDATUM]") {
				t.Errorf("%q", got)
			}
			if r := s.do("GET", "/rules/bald", nil); r["last"].(a)["failed"] == nil {
				t.Errorf("%v", r["last"])
			}
		})
	})
	t.Run("who is told in the end, also of nothing", func(t *testing.T) {
		onStreetAt(t, "2026-11-24T06:00", func(s *street) {
			s.verein()
			s.do("PUT", "/rules/geburtstag", a{"on": a{"event": "birthday"}, "template": "geburtstag", "notify": a{"sms": []string{"0699999999"}, "empty": true}})
			s.dropped(map[string]string{"mitglieder.csv": members}, func() {})
			s.until("2026-11-25T10:30")
			notices := slices.DeleteFunc(s.got(), func(m string) bool { return !strings.HasPrefix(m, "+31699999999") })
			want := []string{"+31699999999 geburtstag 2026-11-24: klaar. 1 ontvangers, 1 verzonden, 0 mislukt, 1 overgeslagen.", "+31699999999 geburtstag 2026-11-25: niemand voldeed, er is niets verzonden."}
			if len(notices) != 2 || !strings.HasPrefix(notices[0], "+31699999999 geburtstag 2026-11-24: klaar. 1 ontvangers, 1 verzonden") || notices[1] != want[1] {
				t.Errorf("%q, want %q", notices, want)
			}
			told := map[any]bool{}
			for _, e := range s.do("GET", "/events?limit=1000", nil)["items"].([]any) {
				if e.(a)["kind"] == "rule" {
					told[e.(a)["code"]] = true
				}
			}
			if !told["done"] || !told["empty"] {
				t.Errorf("events tell of %v", told)
			}
			// The box is off for a day: that run did not take place.
			s.until("2026-11-25T23:00")
			s.close()
			s.until("2026-11-26T21:00")
			s.open()
			s.later(2 * time.Minute)
			if want := "+31699999999 geburtstag 2026-11-26: het kastje stond uit op 2026-11-26; voor die dagen was het te laat."; !slices.Contains(s.got(), want) {
				t.Errorf("of the day without power: %q", s.got())
			}
			// The list of failures.
			s.refuses("PUT", "/rules/geburtstag", a{"on": a{"event": "birthday"}, "template": "geburtstag", "notify": a{"email": "vorstand@verein.example"}}, "channel_not_here")
		})
	})
	t.Run("a switch for each contact", func(t *testing.T) {
		onStreetAt(t, "2026-11-24T06:00", func(s *street) {
			s.template("tag", "Frohes Fest, [VORNAME]")
			s.do("POST", "/contacts/import", "id;mobile;vorname;consent;flag.sondertag\n1;0612345678;Anna;ja;ja\n2;0687654321;Bert;ja;nein\n")
			rule := a{"on": a{"event": "day", "day": "2026-11-24", "at": "09:00"}, "template": "tag", "flag": "sondertag"}
			s.refuses("PUT", "/rules/tag", rule, "everybody", "everybody: true")
			rule["audience"] = a{"everybody": true}
			s.do("PUT", "/rules/tag", rule)
			s.until("2026-11-24T09:01")
			s.phones("+31612345678 Frohes Fest, Anna")
		})
	})
}
