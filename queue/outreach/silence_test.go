package outreach

import (
	"fmt"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// greeting is a rule for the birthdays of today, and those who have one.
func greeting(b *box, n int) Rule {
	b.t.Helper()
	customers(b, n)
	for i := range n {
		c, err := b.o.Contact(fmt.Sprintf("c%05d", i))
		if err != nil {
			b.t.Fatal(err)
		}
		c.Birthday = "1990-11-24"
		b.contact(*c)
	}
	b.template("wish", "Gefeliciteerd {first_name}")
	return *b.rule(Rule{Name: "birthday", On: Trigger{Event: OnBirthday, At: "10:00"}, Template: "wish", Consent: Policy{RequireAll: []string{Marketing}}})
}

// A rule that is switched off or deleted takes back what it has planned, and
// what it has written that has not left.
func TestARuleThatEndsTakesBackWhatHasNotLeft(t *testing.T) {
	ends := map[string]func(b *box, r Rule){
		"off": func(b *box, r Rule) { r.Off = true; b.rule(r) },
		"deleted": func(b *box, r Rule) {
			if err := b.o.DeleteRule(b.t.Context(), r.Name, "till"); err != nil {
				b.t.Fatal(err)
			}
		},
	}
	for how, end := range ends {
		inBox(t, func(b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			modem.SetState(route.Waiting)
			birthday := greeting(b, 3)
			shop(b)
			reminder, err := b.o.Rule("reminder")
			if err != nil {
				b.t.Fatal(err)
			}
			confirmed, err := b.o.Rule("confirmed")
			if err != nil {
				b.t.Fatal(err)
			}
			b.book(Booking{ID: "soon", Contact: "c1", Start: clock(b, "2026-11-25T09:30")}) // reminded of at 09:30 today
			b.book(Booking{ID: "then", Contact: "c1", Start: clock(b, "2026-12-25T09:30")})
			b.later(90 * time.Minute)
			if list := b.messages(); len(list) != 6 { // two confirmations, a reminder, three wishes
				b.t.Fatalf("%s: %q", how, b.texts())
			}
			for _, r := range []Rule{birthday, *reminder, *confirmed} {
				end(b, r)
			}
			b.later(time.Minute)
			for _, m := range b.messages() {
				if m.State != queue.Cancelled || m.Why.Code != "rule_off" {
					b.t.Errorf("%s: %q is %s because %s", how, m.Text(), m.State, m.Why.Code)
				}
			}
			if s := b.state("run.birthday.2026-11-24"); s != CampaignStopped {
				b.t.Errorf("%s: the run is %s", how, s)
			}
			modem.SetState(route.Ready)
			b.later(40 * 24 * time.Hour)
			if n := len(modem.Log()); n != 0 {
				b.t.Errorf("%s: %d left", how, n)
			}
		})
	}
}

// What a lane gives back, and what a power cut left in line, is refused when its
// turn comes.
func TestARuleThatEndedRefusesWhatComesBack(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		r := greeting(b, 1)
		asked := func() (r queue.Ruling) {
			b.t.Helper()
			err := b.db.View(func(tx *store.Tx) (err error) {
				r, err = Steward().MayGo(tx, &queue.Message{ID: 1, Source: "rule/birthday", Contact: "c00000", To: "+31610000009"})
				return err
			})
			if err != nil {
				b.t.Fatal(err)
			}
			return r
		}
		if got := asked(); got.Why.Code != "" {
			b.t.Errorf("while it is on: %+v", got)
		}
		r.Off = true
		b.rule(r)
		if got := asked(); got.Why.Code != "rule_off" || got.Hold {
			b.t.Errorf("switched off: %+v", got)
		}
		if err := b.o.DeleteRule(b.t.Context(), r.Name, "till"); err != nil {
			b.t.Fatal(err)
		}
		if got := asked(); got.Why.Code != "rule_off" || got.Hold {
			b.t.Errorf("deleted: %+v", got)
		}
	})
}

// The run of a rule is steered as a campaign is.
func TestARunCanBePausedAndStopped(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(10 * time.Second)
		b.open(modem)
		greeting(b, 10)
		run := "run.birthday.2026-11-24"
		b.later(time.Hour + 25*time.Second)
		if _, err := b.o.Pause(b.t.Context(), run, "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(time.Minute)
		sent := len(modem.Log())
		b.later(time.Hour)
		if n := len(modem.Log()); n != sent || n == 0 || n > 4 || b.state(run) != CampaignPaused {
			b.t.Fatalf("%d left, then %d; it is %s", sent, n, b.state(run))
		}
		if _, err := b.o.Resume(b.t.Context(), run, "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(25 * time.Second)
		if _, err := b.o.Stop(b.t.Context(), run, "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(time.Hour)
		c, rep, err := b.o.Progress(run)
		if n := len(modem.Log()); err != nil || n <= sent || n == 10 || c.State != CampaignStopped || rep.States["cancelled"] != 10-n {
			b.t.Errorf("%d left, %s, %v: %v", n, c.State, rep.States, err)
		}
	})
}
