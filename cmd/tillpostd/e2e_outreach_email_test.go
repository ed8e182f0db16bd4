package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route/email"
	"tillpost/queue/route/email/mailsim"
)

// withPost gives a street a mail server beside its SMSC.
func withPost(s *street) { s.post = true }

// postOffice starts the mail server and the route to it.
func (s *street) postOffice(q *queue.Queue) {
	s.t.Helper()
	s.lane = &cable{calls: make(chan net.Conn), ended: make(chan struct{})}
	var err error
	if s.mail, err = mailsim.New(mailsim.Config{Listener: s.lane}); err != nil {
		s.t.Fatal(err)
	}
	r, err := email.New(email.Config{
		Name: "email", Host: "mail.example", TLS: email.Plain, From: "Salon Els <salon@example.nl>", Unsubscribe: "mailto:stop@example.nl",
		Hello: "box.example", Lanes: 1, Dial: s.lane.dial, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := q.Attach(r, "email"); err != nil {
		s.t.Fatal(err)
	}
}

// letter is a mail as its reader sees it.
type letter struct {
	to, subject, text, id string
	header                mail.Header
}

func (l letter) String() string { return l.to + " [" + l.subject + "] " + l.text }

// letters are all mails that the server has taken, as they are read.
func letters(t testing.TB, s *mailsim.Server) (list []letter) {
	t.Helper()
	for _, m := range s.Mails() {
		if !m.Accepted() {
			continue
		}
		read, err := mail.ReadMessage(bytes.NewReader(m.Data))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(read.Body))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n"))
		list = append(list, letter{m.To[0], subject, text, read.Header.Get("Message-Id"), read.Header})
	}
	return list
}

// mailboxes compares all mails so far, in any order.
func (s *street) mailboxes(want ...string) {
	s.t.Helper()
	s.later(time.Millisecond)
	var got []string
	for _, l := range letters(s.t, s.mail) {
		got = append(got, l.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("mailboxes hold\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// E-mail beside SMS: the same box, the same rules, consent for each channel by
// itself (field-notes §4.2, §5.1).
func TestByEmail(t *testing.T) {
	t.Run("one message: sent when the server has it, and no more is promised", func(t *testing.T) {
		onStreet(t, func(s *street) {
			sent := s.do("POST", "/messages", a{"channel": "email", "to": "Zoë <Zoe@Example.nl>", "subject": "Uw fiets 🚲", "text": "Hij is klaar, Zoë."})
			s.later(time.Second)
			s.mailboxes("zoe@example.nl [Uw fiets 🚲] Hij is klaar, Zoë.")
			m := s.message(sent["id"])
			if m.State != "sent" || m.Channel != "email" || m.To != "zoe@example.nl" || m.Subject != "Uw fiets 🚲" || m.Code != "mail_sent" || !strings.Contains(m.Reason, "mailserver") || m.Until != nil || m.Price != nil {
				t.Errorf("%+v", m)
			}
			if l := letters(t, s.mail)[0]; l.id != fmt.Sprintf("<%v.1@example.nl>", sent["id"]) || l.header.Get("Auto-Submitted") != "auto-generated" || l.header.Get("List-Unsubscribe") != "" {
				t.Errorf("%+v", l)
			}
			s.phones()
		}, withPost)
	})
	t.Run("a template in each reader's language, subject and text", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.do("PUT", "/templates/klaar", a{
				"texts":    a{"sms": a{"nl": "x"}, "email": a{"nl": "Beste {first_name}, uw {wat} is klaar.", "de": "Guten Tag {first_name}, Ihr {wat} ist fertig – Grüße!"}},
				"subjects": a{"nl": "{wat}: klaar", "de": "{wat}: fertig ✓"},
			})
			s.contact("Zoë", "", a{"email": "zoe@example.nl"})
			s.contact("Jürgen", "", a{"email": "juergen@example.de", "language": "de"})
			for _, id := range []string{"Zoë", "Jürgen"} {
				s.do("POST", "/messages", a{"channel": "email", "contact": id, "template": "klaar", "vars": a{"wat": "Gazelle"}})
			}
			s.later(time.Second)
			s.mailboxes("zoe@example.nl [Gazelle: klaar] Beste Zoë, uw Gazelle is klaar.", "juergen@example.de [Gazelle: fertig ✓] Guten Tag Jürgen, Ihr Gazelle ist fertig – Grüße!")
			s.refuses("POST", "/messages", a{"channel": "email", "contact": "Zoë", "template": "klaar"}, "value_missing", "wat")
			s.refuses("PUT", "/templates/klaar", a{"texts": a{"sms": a{"nl": "x"}}, "subjects": a{"nl": "y"}}, "text_missing", "e-mail")
		}, withPost)
	})
	t.Run("a template with HTML beside its text", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.do("PUT", "/templates/rea", a{
				"texts": a{"email": a{"nl": "Beste {first_name}, 20 % korting.", "de": "Guten Tag {first_name}"}},
				"html":  a{"nl": "<style>p{margin:0}</style><p>Beste <b>{first_name}</b></p>"},
			})
			s.contact("R&D", "", a{"email": "r@example.nl"})
			s.contact("Jürgen", "", a{"email": "j@example.de", "language": "de"})
			s.do("PUT", "/campaigns/rea", a{"template": "rea", "channel": "email", "class": "transactional", "audience": a{"everybody": true}})
			const html = "<style>p{margin:0}</style><p>Beste <b>R&amp;D</b></p>"
			p := s.do("POST", "/campaigns/rea/preview", nil)
			var seen []any
			for _, one := range p["first"].([]any) {
				seen = append(seen, one.(a)["html"])
			}
			if len(seen) != 2 || !slices.Contains(seen, any(html)) || !slices.Contains(seen, nil) {
				t.Errorf("%v", p["first"])
			}
			s.do("POST", "/campaigns/rea/start", nil)
			s.later(time.Minute)
			for _, m := range s.do("GET", "/messages", nil)["items"].([]any) {
				got, want := s.message(m.(a)["id"]), ""
				if got.To == "r@example.nl" {
					want = html
				}
				if got.HTML != want || got.State != "sent" { // the German text has none
					t.Errorf("%+v", got)
				}
			}
			whole := ""
			for _, m := range s.mail.Mails() {
				whole += string(m.Data)
			}
			if strings.Count(whole, "multipart/alternative") != 1 || strings.Count(whole, "text/html") != 1 {
				t.Errorf("%s", whole)
			}
			s.refuses("PUT", "/templates/rea", a{"texts": a{"sms": a{"nl": "x"}}, "html": a{"nl": "<p>x</p>"}}, "text_missing", "texts.email.nl")
			s.refuses("POST", "/messages", a{"channel": "email", "to": "x@example.nl", "template": "rea"}, "value_missing", "first_name")
		}, withPost)
	})
	t.Run("a notice by e-mail alone, by SMS alone, and by both", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("Anna", "0612345678", a{"email": "anna@example.nl"})
			s.template("ok", "Bevestigd: {start_time}", a{"texts": a{"sms": a{"nl": "Bevestigd: {start_time}"}, "email": a{"nl": "Uw afspraak om {start_time} is bevestigd."}}, "subjects": a{"nl": "Afspraak {start_day}"}})
			rule := func(channel string, off bool) {
				s.do("PUT", "/rules/confirmed-"+channel, a{"on": a{"event": "booking.confirmed"}, "template": "ok", "channel": channel, "off": off})
			}
			rule("sms", true)
			rule("email", false)
			s.book("k1", a{"start": "2026-11-25T14:30"})
			s.later(time.Minute)
			s.mailboxes("anna@example.nl [Afspraak woensdag 25 november] Uw afspraak om 14:30 is bevestigd.")
			s.phones()
			rule("sms", false)
			s.book("k2", a{"start": "2026-11-26T15:30"})
			s.later(time.Minute)
			s.phones("+31612345678 Bevestigd: 15:30")
			rule("email", true)
			s.book("k3", a{"start": "2026-11-27T16:30"})
			s.later(time.Minute)
			s.phones("+31612345678 Bevestigd: 15:30", "+31612345678 Bevestigd: 16:30")
			s.mailboxes("anna@example.nl [Afspraak woensdag 25 november] Uw afspraak om 14:30 is bevestigd.", "anna@example.nl [Afspraak donderdag 26 november] Uw afspraak om 15:30 is bevestigd.")
		}, withPost)
	})
	t.Run("a mailing to who agreed to e-mail: an objection to SMS does not end it", func(t *testing.T) {
		onStreet(t, func(s *street) {
			for i, channel := range []string{"", "email", "sms", "email"} {
				id := fmt.Sprint("K", i)
				s.contact(id, fmt.Sprintf("06123456%02d", i), a{"email": fmt.Sprintf("k%d@example.nl", i)})
				s.do("POST", "/contacts/"+id+"/consents", a{"purpose": "marketing", "channel": channel, "granted": true, "how": "form"})
			}
			s.contact("K4", "0612345604")
			s.agrees("K4", "marketing")
			s.do("POST", "/contacts/K1/consents", a{"purpose": "marketing", "channel": "sms", "granted": false, "how": "STOP by SMS"})
			s.do("POST", "/contacts/K3/consents", a{"purpose": "marketing", "channel": "email", "granted": false, "how": "link in the mail"})
			s.do("PUT", "/campaigns/winter", a{"texts": a{"nl": "Beste {first_name}, 20 % op winterbanden ❄"}, "subjects": a{"nl": "Winter, {first_name}"}, "channel": "email",
				"audience": a{"everybody": true}, "consent": a{"require_all": []string{"marketing"}}})
			p := s.do("POST", "/campaigns/winter/preview", nil)
			if number(p["messages"]) != 2 || number(p["parts"]) != 0 || p["first"].([]any)[0].(a)["subject"] != "Winter, K0" || p["eta_last"] == nil || number(p["unpriced"]) != 0 {
				t.Errorf("%v", p)
			}
			s.do("POST", "/campaigns/winter/test", a{"to": "baas@example.nl"})
			s.do("POST", "/campaigns/winter/start", nil)
			s.later(time.Minute)
			s.mailboxes("baas@example.nl [Winter, K0] Beste K0, 20 % op winterbanden ❄", "k0@example.nl [Winter, K0] Beste K0, 20 % op winterbanden ❄", "k1@example.nl [Winter, K1] Beste K1, 20 % op winterbanden ❄")
			for _, l := range letters(t, s.mail) {
				if advertising := l.to != "baas@example.nl"; strings.HasPrefix(l.header.Get("List-Unsubscribe"), "<mailto:stop@example.nl?subject=stop") != advertising {
					t.Errorf("to %s: %q", l.to, l.header.Get("List-Unsubscribe"))
				}
			}
			s.phones()
		}, withPost)
	})
	t.Run("burst, pause and gap are those of SMS", func(t *testing.T) {
		onStreet(t, func(s *street) {
			var rows []a
			for i := range 5 {
				rows = append(rows, a{"to": fmt.Sprintf("k%d@example.nl", i)})
			}
			rows = append(rows, a{"to": "K0@example.nl"}, a{"to": "0612345678"})
			got := s.do("POST", "/batches", a{"channel": "email", "class": "transactional", "texts": a{"nl": "Tot zaterdag"}, "recipients": rows, "throttle": a{"burst": 2, "burst_pause_s": 60}})
			if bad := got["errors"].([]any); len(bad) != 1 || !strings.Contains(fmt.Sprint(bad[0]), "e-mail") || number(got["campaign"].(a)["merged"]) != 1 {
				t.Errorf("%v", got)
			}
			for _, want := range []int{2, 4, 5} {
				s.later(30 * time.Second)
				if n := len(letters(t, s.mail)); n != want {
					t.Errorf("%d mails, want %d", n, want)
				}
				s.later(31 * time.Second)
			}
		}, withPost)
	})
	t.Run("the completion notice comes as a mail with counts and failures", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.mail.Script(mailsim.Fault{At: mailsim.RcptTo, Reply: "550 5.1.1 unknown"})
			s.do("POST", "/batches", a{"channel": "email", "class": "transactional", "texts": a{"nl": "Tot zaterdag"}, "external_id": "zaterdag",
				"recipients": []a{{"to": "a@example.nl"}, {"to": "b@example.nl"}}, "notify": a{"email": "kantoor@example.nl"}})
			s.later(5 * time.Minute)
			var told []letter
			for _, l := range letters(t, s.mail) {
				if l.to == "kantoor@example.nl" {
					told = append(told, l)
				}
			}
			if len(told) != 1 || !strings.HasPrefix(told[0].text, "zaterdag: klaar. 2 ontvangers, 1 verzonden, 1 mislukt, 0 overgeslagen.") ||
				!strings.Contains(told[0].text, "failed: 1\n") || !strings.Contains(told[0].text, "sent: 1\n") || !strings.Contains(told[0].text, "- #1: De mailserver heeft dit bericht of het adres geweigerd") {
				t.Errorf("%v", told)
			}
			s.refuses("POST", "/batches", a{"channel": "email", "class": "transactional", "texts": a{"nl": "x"}, "recipients": []a{{"to": "a@example.nl"}}, "notify": a{"email": "kantoor"}}, "email_invalid")
		}, withPost)
	})
	t.Run("an SMS that is refused or not delivered goes on by e-mail, as one message with one story", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("Anna", "0612340006", a{"email": "anna@example.nl"}) // the SMSC will report it as undelivered
			refused := s.do("POST", "/messages", a{"to": "0612340002", "email": "bert@example.nl", "text": "Uw fiets is klaar", "subject": "Klaar"})
			undelivered := s.do("POST", "/messages", a{"contact": "Anna", "email": "contact", "text": "Uw fiets is echt klaar"})
			s.later(time.Minute)
			s.mailboxes("bert@example.nl [Klaar] Uw fiets is klaar", "anna@example.nl [Uw fiets is echt klaar] Uw fiets is echt klaar")
			for _, c := range []struct {
				id         any
				to, number string
				kinds      []string
			}{
				{refused["id"], "bert@example.nl", "+31612340002", []string{"accepted", "taken", "rejected", "rerouted", "taken", "sent"}},
				{undelivered["id"], "anna@example.nl", "+31612340006", []string{"accepted", "taken", "sent", "report", "rerouted", "taken", "sent"}},
			} {
				m := s.message(c.id)
				var kinds []string
				for _, e := range m.Events {
					kinds = append(kinds, e.Kind)
				}
				if m.State != "sent" || m.Channel != "email" || m.To != c.to || m.Other != c.number || !slices.Equal(kinds, c.kinds) {
					t.Errorf("%v %v %+v", c.id, kinds, m)
				}
			}
		}, withPost)
	})
	t.Run("a list as a file, in a call or dropped, with a column of addresses", func(t *testing.T) {
		onStreet(t, func(s *street) {
			const list = "naam;mobiel;E-mail\nAnna;0612345678;Anna@Example.nl\nBram;;bram@example.nl\nCees;0611112222;\n"
			got := s.do("POST", "/batches?channel=email&class=transactional&text=Dag+%7Bnaam%7D&subject=Zaterdag,+%7Bnaam%7D", list)
			if bad := got["errors"].([]any); len(bad) != 1 || number(bad[0].(a)["row"]) != 4 || !strings.Contains(fmt.Sprint(bad[0]), "e-mail") {
				t.Errorf("%v", got)
			}
			s.later(time.Minute)
			s.mailboxes("anna@example.nl [Zaterdag, Anna] Dag Anna", "bram@example.nl [Zaterdag, Bram] Dag Bram")
			s.refuses("POST", "/batches?channel=email&class=transactional&text=x", "naam;mobiel\nAnna;0612345678\n", "column_missing", "e-mail addresses")
			s.refuses("POST", "/batches?class=transactional&text=x", "naam;e-mail\nAnna;a@example.nl\n", "column_missing", "channel email")
			s.dropped(map[string]string{
				"brief.csv":  "to;naam\ndora@example.nl;Dora\n",
				"brief.txt":  "Beste {naam}, tot zondag",
				"brief.json": `{"channel": "email", "class": "transactional", "subjects": {"nl": "Zondag"}}`,
			}, func() {
				s.later(time.Minute)
				s.mailboxes("anna@example.nl [Zaterdag, Anna] Dag Anna", "bram@example.nl [Zaterdag, Bram] Dag Bram", "dora@example.nl [Zondag] Beste Dora, tot zondag")
			})
			s.phones()
		}, withPost)
	})
	t.Run("who is forgotten by number is forgotten by address", func(t *testing.T) {
		onStreet(t, func(s *street) {
			s.contact("Anna", "0612345678", a{"email": "anna@example.nl"})
			sent := s.do("POST", "/messages", a{"channel": "email", "contact": "Anna", "text": "Beste Zoetemelk", "html": "<p>Zoetemelk</p>"})
			s.later(time.Second)
			if m := s.message(sent["id"]); m.HTML != "<p>Zoetemelk</p>" {
				t.Errorf("%+v", m)
			}
			if done, err := s.q.Erase(s.t.Context(), "0612345678", "test"); err != nil || done.Messages != 1 {
				t.Errorf("%+v, %v", done, err)
			}
			if status, _ := s.ask("GET", fmt.Sprintf("/messages/%v", sent["id"]), nil); status != 404 {
				t.Errorf("it is still there: %d", status)
			}
			s.refuses("GET", "/contacts/Anna", nil, "not_found")
		}, withPost)
	})
}
