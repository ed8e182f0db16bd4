package queue

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

const zoe = "zoe@example.nl"

// withMail opens a queue with a modem and a mail server.
func (b *box) withMail(cfg Config) (modem, mail *routetest.Fake) {
	b.t.Helper()
	modem, mail = routetest.NewFake("counter"), routetest.NewFake("email")
	cfg.MailPool = "email"
	b.openWith(cfg, modem)
	if err := b.q.Attach(mail, "email"); err != nil {
		b.t.Fatal(err)
	}
	b.later(time.Second)
	return modem, mail
}

func byMail(d Draft) Draft {
	d.Channel = Email
	if d.To == "" {
		d.To = zoe
	}
	return d
}

// An e-mail is whole, costs nothing, and is sent when the server has it: nobody
// tells of delivery.
func TestEmailGoesByItsOwnPool(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, mail := b.withMail(Config{Tariffs: tariffs(t)})
		long := strings.Repeat("Uw fiets is klaar 🚲. ", 100)
		id := b.add(byMail(Draft{To: "Zoë <Zoe@Example.nl>", Text: long, Subject: "Klaar\r\nBcc: all@example.nl", HTML: "<p>Klaar</p>", Class: Marketing}))
		b.want(id, Sent, "mail_sent")
		m := b.get(id)
		if m.To != zoe || m.Pool != "email" || len(m.Parts) != 1 || m.Parts[0].State != PartSent || m.Price.Known() || !m.Until().IsZero() {
			t.Errorf("the message is %+v", m)
		}
		if len(modem.Log()) != 0 || len(mail.Log()) != 1 {
			t.Fatalf("the modem was given %d, the mail server %d", len(modem.Log()), len(mail.Log()))
		}
		out := mail.Log()[0]
		if out.To != zoe || out.Subject != "Klaar Bcc: all@example.nl" || out.Text != long || out.HTML != "<p>Klaar</p>" || !out.Marketing {
			t.Errorf("the server was given %+v", out)
		}
		plain := b.add(byMail(Draft{Text: "Tot morgen!\nGroet, Bram"}))
		b.want(plain, Sent, "mail_sent")
		if out := mail.Log()[1]; out.Subject != "Tot morgen!" || out.HTML != "" || out.Marketing {
			t.Errorf("the server was given %+v", out)
		}
	})
}

func TestEmailRefusals(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.withMail(Config{})
		for name, c := range map[string]struct {
			d           Draft
			field, code string
		}{
			"a number where an address belongs":  {byMail(Draft{To: anna}), "to", "address_invalid"},
			"no address":                         {Draft{Channel: Email}, "to", "address_empty"},
			"an address where a number belongs":  {Draft{To: zoe}, "to", "channel_wrong"},
			"two addresses":                      {byMail(Draft{Email: "b@example.nl"}), "email", "one_of_two"},
			"a bad second address":               {Draft{To: anna, Email: "zoe"}, "email", "address_invalid"},
			"a bad number beside an address":     {Draft{Channel: Email, To: "12", Email: zoe}, "to", "number_invalid"},
			"a pigeon":                           {Draft{To: anna, Channel: "pigeon"}, "channel", "unknown_value"},
			"a pool of modems":                   {byMail(Draft{Pool: "sms"}), "pool", "channel_wrong"},
			"the pool of e-mail for an SMS":      {Draft{To: anna, Pool: "email"}, "pool", "channel_wrong"},
			"a pool that is not there":           {byMail(Draft{Pool: "moon"}), "pool", "unknown_value"},
			"a subject of an SMS":                {Draft{To: anna, Subject: "x"}, "subject", "needs_email"},
			"html of an SMS":                     {Draft{To: anna, HTML: "<p>"}, "html", "needs_email"},
			"a sender":                           {byMail(Draft{From: "SHOP"}), "from", "sms_only"},
			"flash":                              {byMail(Draft{Flash: true}), "flash", "sms_only"},
			"an alphabet":                        {byMail(Draft{Encoding: "gsm7"}), "encoding", "sms_only"},
			"parts":                              {byMail(Draft{MaxParts: 1}), "max_parts", "sms_only"},
			"a long subject":                     {byMail(Draft{Subject: strings.Repeat("x", 201)}), "subject", "subject_too_long"},
			"much html":                          {byMail(Draft{HTML: strings.Repeat("x", 100_001)}), "html", "html_too_long"},
			"advertising over two channels":      {Draft{To: anna, Email: zoe, Class: Marketing}, "email", "one_channel"},
			"a text that is too long for e-mail": {byMail(Draft{Text: strings.Repeat("x", 20_001)}), "text", "text_too_long"},
		} {
			if c.d.Text == "" {
				c.d.Text = "Hallo"
			}
			if c.d.To == "" && name != "no address" {
				c.d.To = anna
			}
			_, err := b.q.Prepare(c.d)
			if e, ok := errors.AsType[*Invalid](err); !ok || e.Field != c.field || e.Code != c.code {
				t.Errorf("%s: %v, want %s about %s", name, err, c.code, c.field)
			}
		}
	})
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		for field, d := range map[string]Draft{"channel": byMail(Draft{Text: "x"}), "email": {To: anna, Email: zoe, Text: "x"}} {
			_, err := b.q.Prepare(d)
			if e, ok := errors.AsType[*Invalid](err); !ok || e.Field != field || e.Code != "channel_not_here" {
				t.Errorf("without a mail server: %v", err)
			}
		}
	})
}

// An SMS that fails for good, or is reported as not delivered, goes on by
// e-mail: one id, one story. The reverse as well.
func TestFailsOverToTheOtherChannel(t *testing.T) {
	both := []State{Failed, Undelivered}
	for _, c := range []struct {
		name     string
		fallback []State
		draft    Draft
		do       func(modem, mail *routetest.Fake)
		state    State
		why      string
		by       Channel
		kinds    []Kind
	}{
		{"refused", both, Draft{To: anna, Email: zoe}, func(modem, _ *routetest.Fake) { modem.Script(routetest.Refuse) },
			Sent, "mail_sent", Email, []Kind{KindAccepted, KindTaken, KindRejected, KindRerouted, KindTaken, KindSent}},
		{"refused six times", both, Draft{To: anna, Email: zoe}, func(modem, _ *routetest.Fake) {
			modem.Script(slices.Repeat([]routetest.Step{routetest.Busy}, 6)...)
		}, Sent, "mail_sent", Email, []Kind{KindAccepted, KindTaken, KindRetry, KindTaken, KindRetry, KindTaken, KindRetry, KindTaken, KindRetry, KindTaken, KindRetry, KindTaken, KindRejected, KindRerouted, KindTaken, KindSent}},
		{"reported as not delivered", both, Draft{To: anna, Email: zoe, Text: longText(3)}, nil,
			Sent, "mail_sent", Email, []Kind{KindAccepted, KindTaken, KindPart, KindPart, KindSent, KindReport, KindRerouted, KindTaken, KindSent}},
		{"not by this setting", []State{Undelivered}, Draft{To: anna, Email: zoe}, func(modem, _ *routetest.Fake) { modem.Script(routetest.Refuse) },
			Failed, "refused", SMS, []Kind{KindAccepted, KindTaken, KindRejected}},
		{"without an address", both, Draft{To: anna}, func(modem, _ *routetest.Fake) { modem.Script(routetest.Refuse) },
			Failed, "refused", SMS, []Kind{KindAccepted, KindTaken, KindRejected}},
		{"the e-mail refused, now by SMS", both, Draft{Channel: Email, To: anna, Email: zoe}, func(_, mail *routetest.Fake) { mail.Script(routetest.Refuse) },
			Sent, "wait_report", SMS, []Kind{KindAccepted, KindTaken, KindRejected, KindRerouted, KindTaken, KindSent}},
		{"an e-mail too long for SMS", both, Draft{Channel: Email, To: anna, Email: zoe, Text: longText(9)}, func(_, mail *routetest.Fake) { mail.Script(routetest.Refuse) },
			Failed, "mail_refused", Email, []Kind{KindAccepted, KindTaken, KindRejected}},
		{"both refuse: it ends, and does not go round", both, Draft{To: anna, Email: zoe}, func(modem, mail *routetest.Fake) {
			modem.Script(routetest.Refuse)
			mail.Script(routetest.Refuse)
		}, Failed, "mail_refused", Email, []Kind{KindAccepted, KindTaken, KindRejected, KindRerouted, KindTaken, KindRejected}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				modem, mail := b.withMail(Config{Fallback: c.fallback, Tariffs: tariffs(t)})
				if c.do != nil {
					c.do(modem, mail)
				}
				id := b.add(c.draft)
				b.later(12 * time.Hour)
				if c.do == nil {
					for _, p := range b.get(id).Parts {
						modem.Report(route.Report{Key: p.Ref, Identity: p.Identity, Ref: p.Ref, To: anna, State: route.ReportUndelivered, Reason: "not_reached"})
					}
				}
				b.want(id, c.state, c.why)
				m := b.get(id)
				if m.Via() != c.by || (c.by == Email) != (m.To == zoe) {
					t.Errorf("it goes by %s to the wrong reader", m.Via())
				}
				var kinds []Kind
				story, err := b.q.Story(m)
				for _, e := range story {
					kinds = append(kinds, e.Kind)
				}
				if err != nil || !slices.Equal(kinds, c.kinds) {
					t.Errorf("its story is %v, want %v (%v)", kinds, c.kinds, err)
				}
				if c.by == SMS && m.Fell != m.Price.Known() && c.draft.Channel == Email {
					t.Errorf("it costs %v", m.Price)
				}
				if out := mail.Log(); c.by == Email && m.Fell && (out[0].Text != m.Text() || out[0].Subject == "") {
					t.Errorf("the mail server was given %+v", out[0])
				}
				for _, who := range []string{m.To, m.Other} {
					if list, _, err := b.q.List(Filter{To: who}); who != "" && (err != nil || len(list) != 1) {
						t.Errorf("by one of its addresses it is found %d times, %v", len(list), err)
					}
				}
			})
		})
	}
}

// What may have arrived is not said again by the other channel: not while the
// outcome is unknown, and not with a part out whose answer was lost.
func TestUnknownDoesNotFallBack(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, mail := b.withMail(Config{Fallback: []State{Failed, Undelivered}})
		modem.Script(routetest.Cut)
		held := b.add(Draft{To: anna, Email: zoe, OnUnknown: OnUnknownHold})
		b.later(time.Second)
		modem.Connect()
		b.later(24 * time.Hour)
		if m := b.get(held); m.State != Unknown || len(mail.Log()) != 0 {
			t.Errorf("it is %s, and %d mails were sent", m.State, len(mail.Log()))
		}
		// A person who says that it did not go out decides that it is over.
		if _, err := b.q.Settle(t.Context(), held, Failed, "uid:0"); err != nil {
			t.Fatal(err)
		}
		b.want(held, Failed, "given_up")
		// By policy it is sent once more; the refusal of that is news.
		modem.Script(routetest.Cut, routetest.Refuse)
		again := b.add(Draft{To: bram, Email: zoe})
		b.later(time.Second)
		modem.Connect()
		b.later(time.Hour)
		b.want(again, Sent, "mail_sent")
	})
}

// A rule for repeats moves a message to e-mail before it has failed, and a pool
// that is away for long does so too.
func TestRulesLeadToEmail(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, mail := b.withMail(Config{RerouteAfter: 10 * time.Minute, Routing: []Rule{{MinAttempt: 2, Pool: "email"}, {Pool: "email"}}})
		modem.Script(routetest.Busy, routetest.Busy)
		id := b.add(Draft{To: anna, Email: zoe})
		plain := b.add(Draft{To: bram})
		b.want(id, Sent, "mail_sent")
		b.later(time.Hour)
		b.want(plain, Sent, "wait_report")
		if len(mail.Log()) != 1 || mail.Log()[0].To != zoe {
			t.Errorf("the mail server was given %+v", mail.Log())
		}
		modem.Drop()
		away := b.add(Draft{To: anna, Email: "away@example.nl"})
		b.later(9 * time.Minute)
		b.want(away, Queued, "in_line")
		b.later(5 * time.Minute)
		b.want(away, Sent, "mail_sent")
	})
}

// Objections, limits and quiet hours are those of the channel.
func TestRulesOfAdvertisingByEmail(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, _ := b.withMail(Config{Limits: Limits{QuietHours: true, MarketingPerDay: 1}})
		b.deliver(modem, route.Inbound{From: anna, Text: "STOP"})
		mail := b.add(byMail(Draft{Class: Marketing}))
		b.want(mail, Sent, "mail_sent")
		if _, err := b.q.Add(t.Context(), byMail(Draft{Class: Marketing, Text: "Nog een"})); err == nil || !strings.Contains(err.Error(), "24 hours") {
			t.Errorf("a second one on the same day: %v", err)
		}
		b.later(13 * time.Hour)
		night := b.add(byMail(Draft{To: "b@example.nl", Class: Marketing}))
		b.want(night, Held, "quiet_hours")
	})
}

// Forgetting an address forgets all there is under it, and what was turned over
// from a number under both; texts and HTML go with their time.
func TestErasingAnAddress(t *testing.T) {
	for _, who := range []string{"ZOE@example.nl", anna} {
		inBox(t, func(t *testing.T, b *box) {
			modem, _ := b.withMail(Config{Fallback: []State{Failed}})
			modem.Script(routetest.Refuse)
			turned := b.add(Draft{To: anna, Email: zoe, Text: "Zoetemelk", Subject: "Aan Zoetemelk", HTML: "<p>Zoetemelk</p>"})
			b.want(turned, Sent, "mail_sent")
			about, err := b.q.Export(who)
			if err != nil || len(about.Messages) != 1 || about.Messages[0].html == "" {
				t.Fatalf("export: %+v, %v", about, err)
			}
			if done, err := b.q.Erase(t.Context(), who, "uid:0"); err != nil || done.Messages != 1 {
				t.Errorf("erased %+v, %v", done, err)
			}
			rows := b.everything()
			for _, trace := range []string{"Zoetemelk", "zoe@"} {
				if strings.Contains(rows, trace) {
					t.Errorf("%q is still in the store", trace)
				}
			}
		})
	}
}

func TestTextsOfEmailAreWiped(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.withMail(Config{Retention: Retention{Text: day, Number: 10 * day}})
		id := b.add(byMail(Draft{Text: "Zoetemelk", Subject: "Zoetemelk", HTML: "<p>Zoetemelk</p>"}))
		b.later(3 * day)
		if m := b.get(id); !m.Wiped || m.HTML != 0 {
			t.Errorf("it is kept: %+v", m)
		}
		if strings.Contains(b.everything(), "Zoetemelk") {
			t.Error("its text is still in the store")
		}
	})
}

// A limit of the mail route is told in words about e-mail, and so is its lack.
func TestEmailSaysWhyItWaits(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.withMail(Config{})
		if err := b.q.Limit("email", Quota{PartsPerMinute: 1}); err != nil {
			t.Fatal(err)
		}
		b.add(byMail(Draft{To: "a@example.nl"}))
		second := b.add(byMail(Draft{}))
		b.later(time.Millisecond)
		if why, _ := b.q.Explain(b.get(second)); why.Code != "mail_limit" {
			t.Errorf("it waits because %v", why)
		}
		b.later(time.Minute)
		b.want(second, Sent, "mail_sent")
		if err := b.q.Detach(t.Context(), "email"); err != nil {
			t.Fatal(err)
		}
		if why, _ := b.q.Explain(b.get(b.add(byMail(Draft{To: "b@example.nl"})))); why.Code != "no_mail_route" {
			t.Errorf("it waits because %v", why)
		}
	})
}

func TestQuoteOfEmail(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.withMail(Config{Tariffs: tariffs(t)})
		for _, to := range []string{"", zoe} {
			d := Draft{Channel: Email, To: to, Text: "Hallo Zoë"}
			q, err := b.q.Quote(d)
			if err != nil || q.Address != to || q.Channel != Email || q.Subject != "Hallo Zoë" || q.Price.Known() || q.Plan.Parts() != 1 || q.Refused != nil {
				t.Errorf("to %q: %+v, %v", to, q, err)
			}
		}
	})
}
