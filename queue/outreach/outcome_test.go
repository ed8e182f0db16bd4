package outreach

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route/routetest"
)

// ends reads the log as a webhook does: every event that ends something.
func (b *box) ends() (list []Outcome, codes, hooks []string) {
	b.t.Helper()
	for after := uint64(0); after < b.q.LastEvent(); {
		events, err := b.q.Events(after, 1000)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range events {
			after = e.Seq
			out, hook, err := b.o.Outcome(e)
			if err != nil {
				b.t.Fatal(err)
			}
			if out != nil {
				list, codes, hooks = append(list, *out), append(codes, e.Code), append(hooks, hook)
			}
		}
	}
	return list, codes, hooks
}

// What a campaign came to: counts by state, who was left out, and whom it could
// not be sent to.
func TestTheOutcomeOfACampaign(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		modem.AutoReport(time.Second)
		modem.ScriptFor(bram, routetest.Refuse)
		b.open(modem)
		b.contact(Contact{ID: "a", FirstName: "Anna", Number: anna})
		b.contact(Contact{ID: "b", FirstName: "Bram", Number: bram})
		b.contact(Contact{ID: "c", FirstName: "Cees", Number: cees})
		b.consent("a")
		b.consent("b")
		b.template("news", "Dag {first_name}")
		b.campaign(Campaign{Name: "spring", Template: "news", Class: queue.Marketing, Audience: everybody, Notify: Notify{Webhook: "software"}, ExternalID: "S-1"})
		b.start("spring")
		b.later(20 * time.Minute)
		list, codes, hooks := b.ends()
		if len(list) != 1 || codes[0] != "done" || hooks[0] != "software" {
			b.t.Fatalf("%+v %q %q", list, codes, hooks)
		}
		o := list[0]
		if o.Name != "spring" || o.Kind != KindCampaign || o.ExternalID != "S-1" || o.Recipients != 2 || o.States["delivered"] != 1 || o.States["failed"] != 1 {
			b.t.Errorf("%+v", o)
		}
		if len(o.Failures) != 1 || o.Failures[0].Contact != "b" || o.Failures[0].Why == "" || len(o.Excluded) != 1 || o.Excluded[0].Count != 1 {
			b.t.Errorf("%+v", o)
		}
	})
}

// A rule tells of every run: of one that wrote, of one that meant nobody where
// that is asked for, of one that did not take place, and of days on which the
// box was off.
func TestTheOutcomeOfARun(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		modem.AutoReport(time.Second)
		b.open(modem)
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Birthday: "1980-11-25", Attrs: Attributes{"kwalificatie": {Type: TypeText, Text: "trainer"}}})
		b.consent("m1")
		b.template("g", "Alles Gute, {first_name}!")
		b.template("lost", "{first_name}: {kwalificatie}")
		to := Notify{Webhook: "software"}
		b.rule(Rule{Name: "quiet", On: Trigger{Event: OnBirthday}, Template: "g", Audience: Audience{All: []Condition{is("id", "nobody")}}, Notify: to})
		b.rule(Rule{Name: "told", On: Trigger{Event: OnBirthday}, Template: "g", Audience: Audience{All: []Condition{is("id", "nobody")}}, Notify: Notify{Webhook: "software", Empty: true}})
		b.rule(Rule{Name: "wrote", On: Trigger{Event: OnBirthday}, Template: "g", Notify: to})
		b.rule(Rule{Name: "lost", On: Trigger{Event: OnBirthday}, Template: "lost", Notify: to})
		b.contact(Contact{ID: "m1", FirstName: "Max", Number: anna, Birthday: "1980-11-25"}) // the list came without it
		time.Sleep(time.Until(clock(b, "2026-11-25T13:00")))
		list, codes, hooks := b.ends()
		said := map[string]string{}
		for i, o := range list {
			if o.Day == "2026-11-25" {
				said[o.Name] = codes[i] + " " + hooks[i]
			}
			switch {
			case o.Name == "wrote" && o.Day == "2026-11-25" && (o.States["delivered"] != 1 || o.Recipients != 1):
				b.t.Errorf("%+v", o)
			case o.Name == "lost" && o.Day == "2026-11-25" && o.Why == "":
				b.t.Errorf("it is not said why: %+v", o)
			}
		}
		for name, want := range map[string]string{"quiet": "empty ", "told": "empty software", "wrote": "done software", "lost": "failed software"} {
			if said[name] != want {
				b.t.Errorf("%s ended with %q, want %q", name, said[name], want)
			}
		}
		b.close()
		time.Sleep(time.Until(clock(b, "2026-11-28T13:00")))
		b.open(routetest.NewFake("counter"))
		b.later(time.Minute)
		list, codes, hooks = b.ends()
		i := slices.IndexFunc(list, func(o Outcome) bool { return o.Name == "wrote" && len(o.Missed) > 0 })
		if i < 0 || codes[i] != "missed" || hooks[i] != "software" {
			b.t.Errorf("days were missed and nobody was told: %+v %q %q", list, codes, hooks)
		}
	})
}

func TestANoticeToAWebhookThatIsNotThereIsRefused(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.template("g", "Alles Gute!")
		_, err := b.o.PutRule(b.t.Context(), Rule{Name: "r", On: Trigger{Event: OnBirthday}, Template: "g", Notify: Notify{Webhook: "softwear"}}, "till")
		if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Field != "notify.webhook" {
			b.t.Errorf("%v", err)
		}
	})
}
