package outreach

import (
	"errors"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route/routetest"
)

func TestADraftBringsItsOwnList(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		modem.AutoReport(time.Second)
		b.open(modem)
		b.contact(Contact{ID: "7", FirstName: "Anna", Number: anna})
		b.contact(Contact{ID: "8", FirstName: "Dora", Number: dora})
		if _, err := b.o.PutExclusion(b.t.Context(), Exclusion{ID: "8", Reason: "moved away"}); err != nil {
			b.t.Fatal(err)
		}
		draft := Campaign{Name: "closed", Class: queue.Transactional, Consent: Policy{Ignore: true}, Texts: map[string]string{"nl": "Morgen dicht."}}
		rows := []Recipient{{To: "06-12345678"}, {To: "06 87 65 43 21"}, {To: "0612345678"}, {To: "12"}, {To: dora}, {Bad: "has 3 cells"}}
		if _, err := b.o.PutList(b.t.Context(), draft, rows, "page"); err != nil {
			b.t.Fatal(err)
		}
		c, err := b.o.Campaign("closed")
		if err != nil || c.Listed != 6 || c.State != CampaignDraft {
			b.t.Fatalf("%+v, %v", c, err)
		}
		p, err := b.o.Preview(c)
		if err != nil || p.Recipients != 2 || p.Merged != 1 || len(p.Excluded) != 1 || len(p.Refused) != 2 || p.First[0].Contact != "7" {
			b.t.Fatalf("%+v, %v", p, err)
		}
		// What a person changes about the text leaves the list as it is.
		c.Texts = map[string]string{"nl": "Overmorgen dicht."}
		if c, err = b.o.PutCampaign(b.t.Context(), *c, "page"); err != nil || c.Listed != 6 {
			b.t.Fatalf("%+v, %v", c, err)
		}
		s := b.start("closed")
		if s.Campaign.Recipients != 2 || len(s.Errors) != 2 {
			b.t.Errorf("%+v", s)
		}
		b.later(30 * time.Minute)
		if got := b.state("closed"); got != CampaignDone {
			b.t.Errorf("it is %s", got)
		}
		if _, rep, err := b.o.Progress("closed"); err != nil || rep.States["delivered"] != 2 {
			b.t.Errorf("%+v, %v", rep, err)
		}
	})
}

func TestAListGivesWayToAnAudience(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		draft := Campaign{Name: "closed", Class: queue.Transactional, Texts: map[string]string{"nl": "Morgen dicht."}}
		refused := func(c Campaign, code string) {
			b.t.Helper()
			_, err := b.o.PutCampaign(b.t.Context(), c, "page")
			if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Code != code {
				b.t.Errorf("%v, want %s", err, code)
			}
		}
		listed := draft
		listed.Listed = 1
		refused(listed, "audience_missing")
		if _, err := b.o.PutList(b.t.Context(), draft, nil, "page"); err == nil {
			b.t.Error("an empty list was taken")
		}
		if _, err := b.o.PutList(b.t.Context(), draft, []Recipient{{To: anna}}, "page"); err != nil {
			b.t.Fatal(err)
		}
		listed.Audience = everybody
		refused(listed, "one_of_two")
		draft.Audience = everybody
		c, err := b.o.PutCampaign(b.t.Context(), draft, "page")
		if err != nil || c.Listed != 0 || c.Pages != 0 {
			b.t.Fatalf("%+v, %v", c, err)
		}
		if p, err := b.o.Preview(c); err != nil || p.Recipients != 0 {
			b.t.Errorf("%+v, %v", p, err)
		}
	})
}
