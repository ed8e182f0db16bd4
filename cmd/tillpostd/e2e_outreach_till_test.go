package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/outreach"
	"tillpost/queue/text"
	"tillpost/smpp/smsc"
)

// register fills the box with customers as a till exports them, in Swedish.
func (s *street) register(n int) {
	s.t.Helper()
	var file strings.Builder
	file.WriteString("kundnr;förnamn;mobil;kategori;poäng;nyhetsutskick\n")
	for i := range n {
		fmt.Fprintf(&file, "K%d;Namn%d;070-%03d %02d %02d;%s;%d;ja\n", i, i, 100+i/100, i/10%10, i%100, []string{"guld", "silver"}[i%2], 10*i)
	}
	got := s.do("POST", "/contacts/import?how=form+at+the+till", file.String())
	if number(got["added"]) != n {
		s.t.Fatalf("%v", got)
	}
}

// swedish is a shop in Sweden.
func swedish(s *street) {
	s.config = func(c *outreach.Config) { c.Country, c.Language = "SE", "sv" }
}

// amount reads a price.
func amount(t *testing.T, s string) text.Amount {
	t.Helper()
	a, err := text.ParseAmount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Till: mass mailing to the customer register (field-notes §4.3).
func TestTillMailing(t *testing.T) {
	t.Run("one call that returns at once, whatever its size", func(t *testing.T) {
		onStreet(t, func(s *street) {
			var rows []a
			for i := range 10_000 {
				rows = append(rows, a{"to": fmt.Sprintf("+316%08d", 10_000_000+i), "vars": a{"naam": fmt.Sprint("Klant ", i)}, "consents": []string{"marketing"}})
			}
			rows[6999]["to"] = "12"
			batch := a{"recipients": rows, "texts": a{"nl": "Hallo {naam}"}}
			got := s.do("POST", "/batches", batch)
			if c := got["campaign"].(a); number(c["recipients"]) != 9_999 || c["state"] != "waiting" {
				t.Errorf("%v", got)
			}
			errs := got["errors"].([]any)
			if len(errs) != 1 || number(errs[0].(a)["row"]) != 7000 {
				t.Errorf("%v", errs)
			}
			batch["all_or_nothing"] = true
			s.refuses("POST", "/batches", batch, "rows_refused", "row 7000")
			s.refuses("POST", "/batches", a{"recipients": append(rows, rows[0]), "texts": a{"nl": "x"}}, "out_of_range", "10000")
			s.do("POST", "/batches/"+got["id"].(string)+"/cancel", nil)
			s.later(10 * time.Second)
		})
	})
	t.Run("a file in the call has every option of a list", func(t *testing.T) {
		onStreet(t, func(s *street) {
			// The simplest of all files is what it is when dropped: many messages.
			got := s.do("POST", "/batches", "to;text\n0612345678;Klaar\n0612345678;Ook klaar\n")
			if c := got["campaign"].(a); c["class"] != "transactional" || number(c["recipients"]) != 2 {
				t.Errorf("%v", c)
			}
			query := url.Values{
				"texts": {`{"nl": "Rea, {naam}!"}`}, "consent": {`{"require_all": ["nieuws"], "exclude_any": ["geen sms"]}`}, "throttle": {`{"gap_s": 30}`},
				"missing": {"default"}, "defaults": {`{"naam": "klant"}`}, "dedupe": {"false"}, "notify": {`{"sms": ["0699999999"]}`},
				"at": {"2026-11-24T08:00"}, "tz": {"America/New_York"},
			}
			file := "to;naam;toestemmingen\n0687654321;Bo;nieuws\n0687654321;;Nieuws\n0611112222;Cees;nieuws|Geen SMS\n"
			got = s.do("POST", "/batches?"+query.Encode(), file)
			if c := got["campaign"].(a); c["class"] != "marketing" || number(c["recipients"]) != 2 || c["due"] != "2026-11-24T08:00:00-05:00" || number(c["throttle"].(a)["gap_s"]) != 30 {
				t.Errorf("%v", c)
			}
			s.until("2026-11-24T14:10")
			list := s.got()
			if len(list) != 5 || list[2] != "+31687654321 Rea, Bo!" || list[3] != "+31687654321 Rea, klant!" || !strings.HasPrefix(list[4], "+31699999999 ") {
				t.Errorf("phones received %q", list)
			}
			s.refuses("POST", "/batches?text=x&throttle=50", file, "wrong_type")
			s.refuses("POST", "/batches?text=x&consent=marketing", file, "json_invalid", "consent")
			twice := url.Values{"text": {"x"}, "at": {"2027-10-31T02:30"}, "consent": {`{"require_all": ["nieuws"]}`}}
			s.refuses("POST", "/batches?"+twice.Encode(), file, "time_twice", "fold")
			twice.Set("fold", "2")
			if c := s.do("POST", "/batches?"+twice.Encode(), file)["campaign"].(a); c["due"] != "2027-10-31T02:30:00+01:00" {
				t.Errorf("%v", c)
			}
		})
	})
	t.Run("by dropped files", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.dropped(map[string]string{
				"kunder.csv":  "kundnr;f\xf6rnamn;mobil;nyhetsutskick\nK1;\xc5sa;070-123 45 67;ja\n",
				"utskick.csv": "\ufeffMobil\tFörnamn\tSamtycke\n070-123 45 67\tÅsa\tja\n0046 70 765 43 21\tBo\tnej\n",
				"utskick.txt": "Hej #FÖRNAMN#! Rea på lördag.",
				"klart.csv":   "to,text\n070-765 43 21,\"Klart, kom gärna\"\n", // a comma parts the columns
				"skrivs.tmp":  "to;text\n0707654321;halv",                      // not renamed yet
			}, func() {
				s.later(time.Minute)
				s.phones("+46701234567 Hej Åsa! Rea på lördag.", "+46707654321 Klart, kom gärna")
				if _, err := os.Stat(filepath.Join(s.dir, "drop", "skrivs.tmp")); err != nil {
					t.Errorf("a file that is being written was touched: %v", err)
				}
				// One that grows is read when it has not changed for five seconds.
				path := filepath.Join(s.dir, "drop", "vaxer.csv")
				for _, content := range []string{"to;text\n", "to;text\n0701112233;Ett\n", "to;text\n0701112233;Ett\n0701112234;Tv"} {
					if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
					s.later(4 * time.Second)
					if _, err := os.Stat(path); err != nil {
						t.Errorf("it was read before it was whole: %v", err)
					}
				}
				if err := os.WriteFile(path, []byte("to;text\n0701112233;Ett\n0701112234;Tva\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				s.later(time.Minute)
				s.phones("+46701234567 Hej Åsa! Rea på lördag.", "+46707654321 Klart, kom gärna", "+46701112233 Ett", "+46701112234 Tva")
			})
			c := s.do("GET", "/contacts/K1", nil)
			if c["first_name"] != "Åsa" || c["number"] != "+46701234567" {
				t.Errorf("%v", c)
			}
		}, swedish)
	})
	t.Run("numbers as Swedes write them", func(t *testing.T) {
		onStreet(t, func(s *street) {
			for i, written := range []string{"070-123 45 67", "+46 (0)70 123 45 67", "0046701234567", "46701234567", "701234567"} {
				s.contact(fmt.Sprint("K", i), written)
				if c := s.do("GET", fmt.Sprint("/contacts/K", i), nil); c["number"] != "+46701234567" {
					t.Errorf("%s is read as %v", written, c["number"])
				}
			}
			got := s.do("POST", "/batches", a{"class": "transactional", "texts": a{"sv": "Hej"}, "recipients": []a{{"to": "0701234567"}, {"to": "08-123 456 78"}}})
			if errs := got["errors"].([]any); len(errs) != 1 || errs[0].(a)["code"] != "number_landline" {
				t.Errorf("%v", errs)
			}
		}, swedish)
	})
	t.Run("burst, pause and gap; pause, resume and stop; what is urgent goes first", func(t *testing.T) {
		onStreet(t, func(s *street) {
			var rows []a
			for i := range 9 {
				rows = append(rows, a{"to": fmt.Sprintf("+3161000000%d", i), "consents": []string{"marketing"}})
			}
			id := s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Nieuw!"}, "throttle": a{"burst": 3, "burst_pause_s": 60, "gap_s": 5}})["id"].(string)
			s.later(30 * time.Second)
			if n := len(s.got()); n != 3 {
				t.Errorf("%d left in half a minute", n)
			}
			s.later(35 * time.Second) // the third left after ten seconds, and sixty are the pause
			if n := len(s.got()); n != 3 {
				t.Errorf("%d left before the pause of a minute was over", n)
			}
			s.later(20 * time.Second)
			if n := len(s.got()); n != 6 {
				t.Errorf("%d left after the pause of a minute", n)
			}
			s.do("POST", "/batches/"+id+"/pause", nil)
			s.later(10 * time.Minute)
			if n := len(s.got()); n != 6 {
				t.Errorf("%d left while it was paused", n)
			}
			s.do("POST", "/batches/"+id+"/resume", nil)
			s.later(7 * time.Second)
			if n := len(s.got()); n < 7 || n > 8 {
				t.Errorf("%d left after it was resumed", n)
			}
			ended := len(s.got())
			s.do("POST", "/batches/"+id+"/cancel", nil)
			s.later(10 * time.Minute)
			if n := len(s.got()); n != ended {
				t.Errorf("%d left after the end, %d before", n, ended)
			}
			// A notice overtakes a mailing that waits in line.
			s.smsc.Behave(func(c *smsc.Config) { c.Latency = time.Second })
			for i := range rows {
				rows[i]["to"] = fmt.Sprintf("+3162000000%d", i)
			}
			s.do("POST", "/batches", a{"recipients": rows, "texts": a{"nl": "Nog meer!"}})
			s.later(2500 * time.Millisecond)
			s.do("POST", "/messages", a{"to": "0612345678", "text": "Uw pakket ligt klaar"})
			s.later(time.Minute)
			list := s.got()[ended:]
			if at := slices.Index(list, "+31612345678 Uw pakket ligt klaar"); at < 1 || at > 6 || len(list) != 10 {
				t.Errorf("the notice left as number %d of %q", at, list)
			}
		})
	})
	t.Run("drafts: saved, opened, exported and brought in as text; doubles and last use shown", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.template("lente", "Hej #FÖRNAMN#!", a{"draft": true})
			s.refuses("POST", "/messages", a{"to": "0612345678", "template": "lente", "vars": a{"förnamn": "Åsa"}}, "template_draft")
			if got := s.do("GET", "/templates/lente", nil); got["draft"] != true {
				t.Errorf("%v", got)
			}
			if got := s.do("GET", "/templates/lente?format=text&text=nl", nil)["text"]; got != "Hej #FÖRNAMN#!" {
				t.Errorf("%q", got)
			}
			// A text document, as another program saved it, is a draft or a text of one.
			plain := []string{"Content-Type", "text/plain"}
			got := s.do("PUT", "/templates/lente?text=sv", "Hej #F\xd6RNAMN#!\r\nV\xe5ren\r\n", plain...)
			if sms := got["texts"].(a)["sms"].(a); got["draft"] != true || sms["sv"] != "Hej #FÖRNAMN#!\nVåren" || sms["nl"] != "Hej #FÖRNAMN#!" {
				t.Errorf("%v", got)
			}
			if got := s.do("PUT", "/templates/ny", "Hej!", plain...); got["draft"] != true || got["texts"].(a)["sms"].(a)["nl"] != "Hej!" {
				t.Errorf("%v", got)
			}
			double := s.do("PUT", "/templates/zomer", a{"texts": a{"sms": a{"nl": "Hej #FÖRNAMN#!"}}})
			if same := double["same_as"].([]any); len(same) != 1 || same[0] != "lente" || double["used"] != nil {
				t.Errorf("%v", double)
			}
			s.register(2)
			s.do("PUT", "/campaigns/c", a{"template": "zomer", "audience": a{"everybody": true}})
			s.do("POST", "/campaigns/c/start", nil)
			if got := s.do("GET", "/templates/zomer", nil); got["used"] == nil {
				t.Errorf("%v", got)
			}
		}, swedish)
	})
	t.Run("a test with the first customer's values, or sample ones", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.register(3)
			s.do("PUT", "/campaigns/rea", a{"texts": a{"sv": "Hej #FÖRNAMN#, rea!"}, "audience": a{"everybody": true}})
			first := s.do("POST", "/campaigns/rea/test", a{"to": "0701112233"})
			other := s.do("POST", "/campaigns/rea/test", a{"to": "0701112233", "contact": "K2"})
			sample := s.do("POST", "/campaigns/rea/test", a{"to": "0701112233", "vars": a{"förnamn": "Prov"}})
			if first["text"] != "Hej Namn0, rea!" || other["text"] != "Hej Namn2, rea!" || sample["text"] != "Hej Prov, rea!" || first["ref"] != "TEST" {
				t.Errorf("%v %v %v", first["text"], other["text"], sample["text"])
			}
		}, swedish)
	})
	t.Run("the counter knows the values", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.register(4)
			s.do("PUT", "/contacts/long", a{"first_name": strings.Repeat("Lång", 40), "number": "0709999999"})
			s.agrees("long", "marketing")
			s.do("PUT", "/campaigns/rea", a{"texts": a{"sv": "Hej #FÖRNAMN#, rea!"}, "audience": a{"everybody": true}})
			p := s.do("POST", "/campaigns/rea/preview", nil)
			if number(p["by_parts"].(a)["1"]) != 4 || number(p["by_parts"].(a)["2"]) != 1 || p["shortest"].(a)["text"] != "Hej Namn0, rea!" || number(p["longest"].(a)["parts"]) != 2 {
				t.Errorf("%v", p)
			}
		}, swedish)
	})
	t.Run("selected by category and points, of those who agreed", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.register(10)
			s.do("POST", "/contacts/K6/consents", a{"purpose": "marketing", "granted": false, "how": "said so at the till", "channel": "sms"})
			s.do("PUT", "/campaigns/rea", a{"texts": a{"sv": "Rea!"}, "audience": a{"all": []a{{"field": "kategori", "op": "is", "value": "guld"}, {"field": "poäng", "op": "between", "value": []string{"20", "80"}}}}})
			p := s.do("POST", "/campaigns/rea/preview", nil)
			if number(p["messages"]) != 3 || len(p["excluded"].([]any)) != 1 {
				t.Errorf("%v", p)
			}
			list := s.do("GET", "/campaigns/rea/recipients?format=csv", nil)["text"].(string)
			if lines := strings.Split(strings.TrimSpace(list), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[1], "K2;Namn2;'+46") {
				t.Errorf("the list to print:\n%s", list)
			}
		}, swedish)
	})
	t.Run("proof of consent, and opting out up to the last moment", func(t *testing.T) {
		onStreet(t, func(s *street) {
			proof := a{"given": true, "source": "form at the till", "at": "2026-05-01T10:00:00+02:00"}
			got := s.do("POST", "/batches", a{"texts": a{"nl": "Rea!"}, "throttle": a{"gap_s": 60}, "recipients": []a{
				{"to": "0612345678", "consent": proof}, {"to": "0687654321", "consent": proof}, {"to": "0611112222"}, {"to": "0622223333", "consent": proof}}})
			c := got["campaign"].(a)
			if number(c["recipients"]) != 3 || len(c["excluded"].([]any)) != 1 {
				t.Errorf("%v", c)
			}
			s.refuses("POST", "/batches", a{"texts": a{"nl": "Rea!"}, "recipients": []a{{"to": "0611112222"}}}, "rows_refused", "1 × there is no consent for marketing")
			s.later(30 * time.Second)
			s.replies("31687654321", "STOP") // its turn has not come yet
			s.later(10 * time.Minute)
			s.phones("+31612345678 Rea!", "+31622223333 Rea!")
			// The till's own tick must go, too: it reads who said no.
			if out := s.do("GET", "/opt-outs", nil)["items"].([]any); len(out) != 1 || out[0].(a)["number"] != "+31687654321" || out[0].(a)["inbox"] != "1" {
				t.Errorf("%v", out)
			}

			// One message is asked the same, also of a number that nobody has.
			s.template("rea", "Rea!", a{"class": "marketing"})
			for _, ad := range []a{{"to": "0611112222", "class": "marketing", "text": "Rea!"}, {"to": "0611112222", "template": "rea"}} {
				s.refuses("POST", "/messages", ad, "no_consent", "there is no consent for marketing", "till_checks", "consents", "contact")
			}
			s.do("POST", "/messages", a{"to": "0611112222", "class": "marketing", "text": "Rea med bevis!", "consent": proof})

			// And opting out counts for what is in the queue: the line is slow, and
			// the message stands in it when STOP arrives.
			s.smsc.Behave(func(c *smsc.Config) { c.Latency = 20 * time.Second })
			s.do("POST", "/messages", a{"to": "0644444444", "text": "Paket 1"})
			s.do("POST", "/messages", a{"to": "0655555555", "text": "Paket 2"})
			id := s.do("POST", "/messages", a{"to": "0622223333", "class": "marketing", "text": "Mer rea!", "consents": []string{"marketing"}})["id"]
			s.later(time.Second)
			if m := s.message(id); m.State != "queued" {
				t.Errorf("it should stand in line: %+v", m)
			}
			s.replies("31622223333", "STOP")
			s.later(10 * time.Minute)
			if m := s.message(id); m.State != "cancelled" || m.Code != "opted_out" {
				t.Errorf("after STOP it is %s, %s", m.State, m.Code)
			}
			s.phones("+31612345678 Rea!", "+31622223333 Rea!", "+31611112222 Rea med bevis!", "+31644444444 Paket 1", "+31655555555 Paket 2")
		})
	})
	t.Run("the owner vouches for the till", func(t *testing.T) {
		onStreet(t, func(s *street) {
			got := s.do("POST", "/batches", a{"texts": a{"nl": "Rea!"}, "recipients": []a{{"to": "0612345678"}}})
			if c := got["campaign"].(a); number(c["recipients"]) != 1 {
				t.Errorf("%v", c)
			}
		}, func(s *street) { s.config = func(c *outreach.Config) { c.TillChecks = true } })
	})
	t.Run("what is confirmed before the send", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.register(20)
			s.do("PUT", "/contacts/K3", a{"first_name": "Namn3", "status": "avliden"})
			s.do("PUT", "/campaigns/rea", a{"texts": a{"sv": "Rea #FÖRNAMN#"}, "audience": a{"everybody": true}})
			p := s.do("POST", "/campaigns/rea/preview", nil)
			if total := p["total"].([]any); len(total) != 1 || total[0].(a)["amount"] != "0.855" || total[0].(a)["currency"] != "SEK" {
				t.Errorf("19 messages at 0.045: %v", total)
			}
			if number(p["messages"]) != 19 || number(p["parts"]) != 19 || p["eta_last"] == nil || p["excluded"].([]any)[0].(a)["why"] != "has the status avliden" {
				t.Errorf("%v", p)
			}
			started := s.do("POST", "/campaigns/rea/start", nil)
			if number(started["campaign"].(a)["recipients"]) != 19 || started["within_15_minutes"] != true {
				t.Errorf("%v", started)
			}
			s.later(time.Minute)
			if n := len(s.got()); n != 19 {
				t.Errorf("%d left", n)
			}
		}, swedish, func(s *street) {
			s.tariffs = []text.Tariff{{Prefix: "+46", PerPart: amount(t, "0.045"), Currency: "SEK"}}
		})
	})
}
