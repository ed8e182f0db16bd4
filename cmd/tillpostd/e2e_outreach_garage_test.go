package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"tillpost/queue/outreach"
	"tillpost/smpp/smsc"
	"tillpost/webui/api"
)

// carriedOn gives a street addresses to which replies are mailed.
func carriedOn(to ...string) func(*street) {
	return func(s *street) { s.config = func(c *outreach.Config) { c.ForwardInbox = to } }
}

// replies lets a customer answer the box.
func (s *street) replies(from, text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if status, err := s.smsc.Deliver(ctx, smsc.Message{From: from, To: "SHOP", Text: []byte(text)}); err != nil || status != 0 {
		s.t.Fatalf("%d, %v", status, err)
	}
}

// Garage: one message to one customer, and reminders by type (field-notes
// §4.5).
func TestGarage(t *testing.T) {
	t.Run("one message in one call, with the debtor's number", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("D1044", "0612345678", a{"first_name": "Jo"})
			s.template("klaar", "Dag {voornaam}, uw {auto} staat klaar.")
			m := s.do("POST", "/messages", a{"contact": "D1044", "template": "klaar", "vars": a{"auto": "Volvo"}, "ref": "D1044"})
			if m["text"] != "Dag Jo, uw Volvo staat klaar." || m["to"] != "+31612345678" || m["ref"] != "D1044" || m["price"] != nil {
				t.Errorf("%v", m)
			}
			s.do("POST", "/messages", a{"to": "0687654321", "text": "Uw auto staat klaar.", "ref": "D2001"})
			s.later(time.Minute)
			s.phones("+31612345678 Dag Jo, uw Volvo staat klaar.", "+31687654321 Uw auto staat klaar.")
			// The conversation: all that went to that number, and by that number.
			for _, q := range []string{"?to=06-12345678", "?ref=D1044"} {
				if list := s.do("GET", "/messages"+q, nil)["items"].([]any); len(list) != 1 {
					t.Errorf("%s: %v", q, list)
				}
			}
			s.replies("31612345678", "Ja, is goed")
			s.later(time.Second)
			in := s.do("GET", "/inbox", nil)["items"].([]any)
			if len(in) != 1 || in[0].(a)["from"] != "+31612345678" || in[0].(a)["text"] != "Ja, is goed" || in[0].(a)["reply"] != m["id"] {
				t.Errorf("what came back: %v", in)
			}
			s.refuses("POST", "/messages", a{"contact": "D1044", "template": "klaar"}, "value_missing", "{auto}")
			s.refuses("POST", "/messages", a{"contact": "D9", "template": "klaar"}, "contact_unknown")
			s.refuses("POST", "/messages", a{"to": "0612345678", "template": "weg"}, "template_unknown")
		})
	})
	t.Run("templates: list, choose, edit, add, by language, with rights and versions", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.template("klaar", "Uw auto staat klaar.", a{"editors": []string{"till"}})
			s.do("PUT", "/templates/apk", a{"texts": a{"sms": a{"nl": "APK verloopt {start_date}", "en": "MOT expires {start_date}"}}})
			if list := s.do("GET", "/templates", nil)["items"].([]any); len(list) != 2 {
				t.Errorf("%v", list)
			}
			m := s.do("POST", "/messages", a{"to": "0612345678", "template": "klaar"})
			s.template("klaar", "Uw auto is gereed.", a{"editors": []string{"till"}})
			history := s.do("GET", "/templates/klaar?history=true", nil)["items"].([]any)
			if len(history) != 2 || number(history[0].(a)["version"]) != 2 || history[1].(a)["texts"].(a)["sms"].(a)["nl"] != "Uw auto staat klaar." {
				t.Errorf("%v", history)
			}
			if got := s.message(m["id"]); got.Text != "Uw auto staat klaar." {
				t.Errorf("a message that was made of the old version says %q", got.Text)
			}
			mine := s.key
			key, err := s.api.AddKey(s.t.Context(), "other", []api.Scope{api.Manage}, "test")
			if err != nil {
				t.Fatal(err)
			}
			s.key = key
			s.refuses("PUT", "/templates/klaar", a{"texts": a{"sms": a{"nl": "Anders"}}}, "not_yours", "by till only")
			s.key = mine
		})
	})
	t.Run("the customer's reminder switch, off until it is set", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("D1", "0612345678")
			s.contact("D2", "0687654321", a{"flags": a{"auto_reminder": true}})
			s.contact("D3", "0611112222")
			s.contact("D4", "0622223333", a{"flags": a{"auto_reminder": true}})
			s.template("afspraak", "{voornaam}, tot {start_time}")
			s.do("PUT", "/rules/afspraak", a{"on": a{"event": "booking.reminder", "offset": "-PT2H"}, "template": "afspraak", "flag": "auto_reminder"})
			for _, id := range []string{"D1", "D2", "D4"} {
				s.book("k-"+id, a{"contact": id, "start": "2026-11-24T14:00"})
			}
			s.book("k-D3", a{"contact": "D3", "start": "2026-11-24T14:00", "auto_reminder": true})
			// A change takes effect on what is planned already.
			s.contact("D4", "0622223333", a{"flags": a{"auto_reminder": false}})
			s.until("2026-11-24T12:05")
			s.phones("+31687654321 D2, tot 14:00", "+31611112222 D3, tot 14:00")
		})
	})
	t.Run("a reminder for each kind of work, with its own lead time", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("D1", "0612345678")
			for kind, lead := range map[string]string{"apk": "-P2D", "banden": "-PT4H", "beurt": "-P1D"} {
				s.template(kind, kind+": {start}")
				s.do("PUT", "/rules/"+kind, a{"on": a{"event": "booking.reminder", "offset": lead}, "template": kind, "match": []a{{"field": "type", "op": "is", "value": kind}}})
			}
			s.book("k1", a{"contact": "D1", "type": "apk", "start": "2026-11-26T11:00"})
			s.book("k2", a{"contact": "D1", "type": "banden", "start": "2026-11-24T15:00"})
			s.book("k3", a{"contact": "D1", "type": "beurt", "start": "2026-11-25T10:30"})
			s.until("2026-11-24T10:31")
			s.phones("+31612345678 beurt: 25-11-2026 10:30")
			s.until("2026-11-24T11:01")
			s.phones("+31612345678 beurt: 25-11-2026 10:30", "+31612345678 apk: 26-11-2026 11:00", "+31612345678 banden: 24-11-2026 15:00")
		})
	})
	t.Run("plain characters as a setting of the template, every change reported", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.template("factuur", "Hé Joël, geïnteresseerd? € 15, 1½ uur", a{"encoding": "ascii"})
			m := s.message(s.do("POST", "/messages", a{"to": "0612345678", "template": "factuur"})["id"])
			if m.Text != "He Joel, geinteresseerd? EUR 15, 1 1/2 uur" || len(m.Changes) != 5 || m.Given != "Hé Joël, geïnteresseerd? € 15, 1½ uur" {
				t.Errorf("%q, %+v", m.Text, m.Changes)
			}
			s.contact("D1", "0687654321")
			s.do("PUT", "/campaigns/c", a{"template": "factuur", "class": "transactional", "audience": a{"everybody": true}})
			p := s.do("POST", "/campaigns/c/preview", nil)
			if len(p["replaced"].([]any)) != 5 {
				t.Errorf("%v", p["replaced"])
			}
			smart := s.message(s.do("POST", "/messages", a{"to": "0612345678", "text": "Hé Joël"})["id"])
			if smart.Text != "Hé Joël" {
				t.Errorf("the default is not smart: %q", smart.Text)
			}
		})
	})
	t.Run("replies reach the garage", func(t *testing.T) {
		onStreet(t, func(s *street) {
			m := s.do("POST", "/messages", a{"to": "0612345678", "text": "Schikt dinsdag 10 uur?"})
			s.later(time.Minute)
			s.replies("31612345678", "ja, is goed")
			in := s.do("GET", "/inbox", nil)["items"].([]any)
			if len(in) != 1 || in[0].(a)["text"] != "ja, is goed" || in[0].(a)["reply"] != m["id"] {
				t.Errorf("%v", in)
			}
			heard := false
			for _, e := range s.do("GET", "/events?limit=1000", nil)["items"].([]any) {
				heard = heard || e.(a)["kind"] == "received"
			}
			if !heard {
				t.Error("no event tells of the reply")
			}
		})
	})
	t.Run("replies reach the garage by e-mail", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("D1044", "0612345678", a{"last_name": "Jansen"})
			s.do("POST", "/messages", a{"to": "0612345678", "text": "Schikt dinsdag 10 uur?", "ref": "werk 17"})
			s.later(time.Minute)
			s.replies("31612345678", "ja, is goed")
			s.replies("31687654321", "STOP")
			const how = "\n\nAntwoorden kan onder Inkomend op de pagina van het kastje. Een antwoord op deze mail komt niet op de telefoon aan."
			jo := " [Sms van D1044 Jansen (D1044)] ja, is goed\n\nVan: D1044 Jansen (D1044), +31612345678\nOntvangen: 24-11-2026 10:01\n" +
				"Antwoord op: Schikt dinsdag 10 uur? (24-11-2026 10:00)\nUw kenmerk: werk 17" + how
			bo := " [Afmelding van +31687654321] STOP\n\nVan: +31687654321\nOntvangen: 24-11-2026 10:01\n" +
				"Dit is een afmelding. Het kastje stuurt geen reclame meer naar dit nummer; haal het vinkje ook in uw eigen systeem weg." + how
			s.later(10 * time.Second)
			s.mailboxes("balie@garage.example"+jo, "chef@garage.example"+jo, "balie@garage.example"+bo, "chef@garage.example"+bo)
			for _, l := range letters(s.t, s.mail) {
				if l.header.Get("Auto-Submitted") != "auto-generated" || l.header.Get("List-Unsubscribe") != "" {
					t.Errorf("%+v", l.header)
				}
			}
			// Forgotten by number is forgotten in what the garage was told.
			if _, err := s.q.Erase(s.t.Context(), "0612345678", "test"); err != nil {
				t.Error(err)
			}
			list := s.do("GET", "/messages?to=balie@garage.example", nil)["items"].([]any)
			if len(list) != 1 || !strings.Contains(list[0].(a)["text"].(string), "STOP") {
				t.Errorf("%v", list)
			}
		}, withPost, carriedOn("balie@garage.example", "chef@garage.example"))
	})
	t.Run("by dropped files", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.template("apk", "{voornaam}, de APK van {kenteken} verloopt {start_date}")
			s.do("PUT", "/rules/apk", a{"on": a{"event": "booking.reminder", "offset": "-P1D", "at": "12:00"}, "template": "apk", "flag": "auto_reminder", "match": []a{{"field": "type", "op": "is", "value": "apk"}}})
			s.dropped(map[string]string{
				"klanten.csv": "debiteurnummer;voornaam;mobiel;Automatische afspraak herinnering via SMS\nD1;Jo;06-12345678;ja\nD2;Bo;06-87654321;nee\n",
				"klaar.csv":   "mobiel;tekst;ref\n0611112222;Uw auto staat klaar;D3\n",
			}, func() {})
			s.dropped(map[string]string{
				"afspraken.csv": "afspraak;debiteurnummer;datum;soort;kenteken\napk-1;D1;25-11-2026;apk;AB-12-CD\napk-2;D2;25-11-2026;apk;EF-34-GH\n",
			}, func() {
				s.until("2026-11-24T12:05")
				s.phones("+31611112222 Uw auto staat klaar", "+31612345678 Jo, de APK van AB-12-CD verloopt 25-11-2026")
			})
		})
	})
}
