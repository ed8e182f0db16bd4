package webui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/door"
)

// runs lets outreach do what is due until the test ends.
func (s *shop) runs() {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.site.outreach.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// busy is a shop with customers that has campaigns, bookings and rules in every
// state that a page shows.
func (f *furnished) busy() {
	f.t.Helper()
	o, ctx, by := f.site.outreach, f.t.Context(), "page/sanne"
	must := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	for name, words := range map[string]string{
		"winteractie":  "Beste {first_name}, uw {fiets} is toe aan de winterbeurt. Nu € 49, tot en met 12 december. Bel 033 200 00 00. Antwoord STOP voor geen reclame.",
		"verjaardag":   "Gefeliciteerd {first_name}! Een gratis kopje koffie staat klaar bij De Linde.",
		"bevestigd":    "Uw afspraak op {start_day} om {start_time} staat vast. Tot dan! Rijwielhuis De Linde",
		"afgezegd":     "Uw afspraak op {start_day} gaat niet door.",
		"morgen":       "Herinnering: morgen om {start_time} {service}. Kunt u niet? Bel 033 200 00 00.",
		"concertavond": "Tot vanavond bij de fietsfilmavond! De zaal gaat om 19:30 open.",
	} {
		_, err := o.PutTemplate(ctx, outreach.Stored{Name: name, Texts: map[string]map[string]string{outreach.SMS: {"nl": words}}}, by)
		must(err)
	}
	now := f.site.dayAfter(0).Add(12 * time.Hour)
	book := func(b outreach.Booking) {
		f.t.Helper()
		_, err := o.PutBooking(ctx, b, "till-1")
		must(err)
	}
	rule := func(r outreach.Rule) {
		f.t.Helper()
		_, err := o.PutRule(ctx, r, by)
		must(err)
	}
	rule(outreach.Rule{Name: "afspraak-bevestigd", On: outreach.Trigger{Event: "booking.confirmed"}, Template: "bevestigd"})
	rule(outreach.Rule{Name: "afspraak-afgezegd", On: outreach.Trigger{Event: "booking.cancelled"}, Template: "afgezegd", Off: true})
	rule(outreach.Rule{Name: "afspraak-morgen", On: outreach.Trigger{Event: outreach.OnReminder, Offset: outreach.Span{Days: -1}, At: "17:00"}, Template: "morgen", NotBefore: "08:00", NotAfter: "21:00"})
	rule(outreach.Rule{Name: "verjaardag", On: outreach.Trigger{Event: outreach.OnBirthday}, Template: "verjaardag"})
	rule(outreach.Rule{Name: "winterbeurt-vooraf", On: outreach.Trigger{Event: outreach.OnDate, Field: "winterbeurt", Offset: outreach.Span{Days: -7}, At: "11:00"}, Template: "winteractie",
		Audience: outreach.Audience{All: []outreach.Condition{{Field: "punten", Op: "at_least", Value: plainValue("40")}}}})
	rule(outreach.Rule{Name: "kerst", On: outreach.Trigger{Event: outreach.OnDay, Day: "12-24"}, Template: "verjaardag", Audience: outreach.Audience{Everybody: true}, Off: true})

	for i, id := range []string{"D1001", "D1002", "D1005", "D1007", "D1008", "D1010", "D1011"} {
		book(outreach.Booking{ID: fmt.Sprintf("B-%d", i), Contact: id, Start: now.AddDate(0, 0, i/3+1).Add(time.Duration(i%3) * 90 * time.Minute), End: now.AddDate(0, 0, i/3+1).Add(time.Duration(i%3)*90*time.Minute + time.Hour),
			Service: []string{"onderhoudsbeurt", "band vervangen"}[i%2], Staff: "Joris", Place: "werkplaats"})
	}
	book(outreach.Booking{ID: "B-ask", Contact: "D1004", Start: now.AddDate(0, 0, 1).Add(4 * time.Hour), Service: "proefrit", Status: outreach.Pending})
	book(outreach.Booking{ID: "B-moved", Contact: "D1001", Start: now.AddDate(0, 0, 4), Service: "wintercheck", Type: "beurt"})
	book(outreach.Booking{ID: "B-moved", Contact: "D1001", Start: now.AddDate(0, 0, 5), Service: "wintercheck", Type: "beurt"})
	book(outreach.Booking{ID: "B-moved", Contact: "D1001", Status: outreach.Cancelled})
	book(outreach.Booking{ID: "filmavond", Service: "Fietsfilmavond", Place: "De Flint", Start: now.AddDate(0, 0, 9), End: now.AddDate(0, 0, 9).Add(3 * time.Hour)})
	for i, id := range []string{"D1001", "D1002", "D1008"} {
		book(outreach.Booking{ID: fmt.Sprintf("T-%d", i), Contact: id, Event: "filmavond", Type: "kaartje", Attrs: outreach.Attributes{"product": plainValue([]string{"drankje", "popcorn"}[i%2])}})
	}

	draft := func(c outreach.Campaign) {
		f.t.Helper()
		_, err := o.PutCampaign(ctx, c, by)
		must(err)
	}
	some := outreach.Audience{All: []outreach.Condition{{Field: "fiets", Op: "in", Value: outreach.Value{Type: outreach.TypeList, List: []string{"Cortina E-U4", "Gazelle Orange", "Batavus Finez"}}}}}
	order := outreach.Policy{Ignore: true}
	draft(outreach.Campaign{Name: "Winterbeurt-2026", Template: "winteractie", Audience: some, When: outreach.When{Now: true}})
	draft(outreach.Campaign{Name: "Filmavond", Template: "concertavond", Class: queue.Transactional, Consent: order, When: outreach.When{Event: "filmavond", Offset: outreach.Span{Rest: -3 * time.Hour}},
		Audience: outreach.Audience{Booking: []outreach.Condition{{Field: "event", Op: "is", Value: outreach.Value{Type: outreach.TypeText, Text: "filmavond"}}}}})
	draft(outreach.Campaign{Name: "Kapot", Texts: map[string]string{"nl": "Beste [VERFALLDATUM]"}, Audience: some})
	for c, gap := range map[string]float64{"Kerstmarkt-2025": 0, "Najaarsactie": 0.5, "Verhuizing": 30} {
		draft(outreach.Campaign{Name: c, Class: queue.Transactional, Consent: order, Texts: map[string]string{"nl": "Beste {first_name}, wij zijn verhuisd naar de Lindestraat 4. Tot ziens!"}, Audience: some, Throttle: outreach.Throttle{Gap: gap}})
		_, err := o.Start(ctx, c, by)
		must(err)
	}
	_, err := o.PutList(ctx, outreach.Campaign{Name: "Morgen-dicht", Class: queue.Transactional, Consent: order, Texts: map[string]string{"nl": "Morgen zijn wij gesloten."}}, plainNumbers("0612341000\n0612341001\n12\n0201234567"), by)
	must(err)
	f.runs()
	f.campaignIs("Kerstmarkt-2025", outreach.CampaignDone, outreach.CampaignHanded)
	_, err = o.Pause(ctx, "Verhuizing", by)
	must(err)
}

// campaignIs waits until a campaign is in one of some states.
func (s *shop) campaignIs(name string, states ...outreach.CampaignState) {
	s.t.Helper()
	until(s.t, func() bool {
		c, err := s.site.outreach.Campaign(name)
		if err != nil {
			s.t.Fatal(err)
		}
		return slices.Contains(states, c.State)
	})
}

// reachPages are the pages of a busy shop, by name.
var reachPages = []pageAt{
	{"campaigns", "/campaigns"},
	{"campaigns-batches", "/campaigns?kind=batch"},
	{"campaign-draft", "/campaigns/Winterbeurt-2026"},
	{"campaign-event", "/campaigns/Filmavond"},
	{"campaign-refused", "/campaigns/Kapot"},
	{"campaign-list", "/campaigns/Morgen-dicht"},
	{"campaign-running", "/campaigns/Najaarsactie"},
	{"campaign-print", "/campaigns/Najaarsactie/print"},
	{"campaign-start", "/campaigns/Winterbeurt-2026/start"},
	{"campaign-stop", "/campaigns/Najaarsactie/stop"},
	{"campaign-delete", "/campaigns/Winterbeurt-2026/delete"},
	{"campaign-new", "/new/campaign"},
	{"campaign-edit", "/campaigns/Filmavond/edit"},
	{"bookings", "/bookings?span=week"},
	{"bookings-today", "/bookings"},
	{"bookings-events", "/bookings?events=1&span=week&from=2999-01-01"},
	{"bookings-found", "/bookings?q=Anna"},
	{"booking", "/bookings/B-0"},
	{"booking-moved", "/bookings/B-moved"},
	{"booking-pending", "/bookings/B-ask"},
	{"booking-event", "/bookings/filmavond"},
	{"booking-cancel", "/bookings/B-0/cancel"},
	{"booking-forget", "/bookings/B-0/delete"},
	{"booking-new", "/new/booking"},
	{"booking-new-event", "/new/booking?event=1"},
	{"booking-edit", "/bookings/B-0/edit"},
	{"rules", "/rules"},
	{"rule", "/rules/afspraak-morgen"},
	{"rule-birthday", "/rules/verjaardag"},
	{"rule-delete", "/rules/verjaardag/delete"},
	{"rule-choose", "/new/rule"},
	{"rule-new", "/new/rule?on=booking.reminder"},
	{"rule-edit", "/rules/winterbeurt-vooraf/edit"},
}

func TestReachPagesInEveryLanguage(t *testing.T) {
	s := furnish(t)
	s.register()
	s.busy()
	b := s.as(t, door.Manager)
	for _, p := range reachPages {
		for _, lang := range queue.Languages {
			sep := "?"
			if strings.Contains(p.path, "?") {
				sep = "&"
			}
			resp, body := b.get(p.path + sep + "lang=" + lang)
			if resp.StatusCode != 200 || !strings.Contains(body, `<html lang="`+lang+`"`) || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Fatalf("%s in %s: %s\n%s\n%s", p.path, lang, resp.Status, body, s.log.String())
			}
			if m := inline.FindString(body); m != "" {
				t.Errorf("%s has something inline: %q", p.path, m)
			}
			if lang == "sv" && strings.Contains(mainOf(body), "consent") {
				t.Errorf("%s speaks English in %s", p.path, lang)
			}
		}
	}
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("log:\n%s", s.log.String())
	}
}
