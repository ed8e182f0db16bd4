package outreach

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// customers fills the box with n customers, all of whom agreed to advertising.
func customers(b *box, n int) {
	b.t.Helper()
	var list []Contact
	for i := range n {
		list = append(list, Contact{
			ID: fmt.Sprintf("c%05d", i), FirstName: fmt.Sprintf("Naam%d", i), Number: fmt.Sprintf("+3161%07d", 10*i+9), Language: "nl",
			Attrs: Attributes{"category": {Type: TypeText, Text: []string{"gold", "silver"}[i%2]}, "points": {Type: TypeNumber, Text: fmt.Sprint(i)}},
		})
	}
	rep, err := b.o.ImportContacts(b.t.Context(), list, Import{})
	if err != nil || rep.Added != n {
		b.t.Fatalf("%+v, %v", rep, err)
	}
	for _, c := range list {
		b.consent(c.ID)
	}
}

func (b *box) campaign(c Campaign) {
	b.t.Helper()
	if _, err := b.o.PutCampaign(b.t.Context(), c, "till"); err != nil {
		b.t.Fatalf("campaign %s: %v", c.Name, err)
	}
}

func (b *box) start(name string) *Started {
	b.t.Helper()
	s, err := b.o.Start(b.t.Context(), name, "till")
	if err != nil {
		b.t.Fatalf("start %s: %v", name, err)
	}
	return s
}

func (b *box) state(name string) CampaignState {
	b.t.Helper()
	c, err := b.o.Campaign(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return c.State
}

func is(field, value string) Condition {
	return Condition{Field: field, Op: "is", Value: textValue(value)}
}

var everybody = Audience{Everybody: true}

func TestACampaignGoesOutAndTells(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		modem.AutoReport(time.Second)
		b.open(modem)
		customers(b, 10)
		b.template("news", "Hej {FORNAMN}, nieuw!", func(s *Stored) { s.Class = queue.Marketing })
		b.campaign(Campaign{Name: "spring", Template: "news", Audience: Audience{All: []Condition{is("category", "gold")}}, Notify: Notify{SMS: []string{"06-99999999"}}})
		got := b.start("spring")
		if got.Campaign.Recipients != 5 || !got.Within || got.LastAt.IsZero() {
			b.t.Errorf("%+v", got)
		}
		b.later(20 * time.Minute)
		c, rep, err := b.o.Progress("spring")
		if err != nil || c.State != CampaignDone || rep.States["delivered"] != 5 || c.Handed != 5 || c.Parts != 5 {
			b.t.Fatalf("%+v %+v %v", c, rep, err)
		}
		texts := b.texts()
		if texts[0] != "Hej Naam0, nieuw!" || texts[4] != "Hej Naam8, nieuw!" || texts[5] != "spring: klaar. 5 ontvangers, 5 verzonden, 0 mislukt, 0 overgeslagen." {
			b.t.Errorf("%q", texts)
		}
		if m := b.messages()[0]; m.Source != "campaign/spring" || m.Contact != "c00000" || m.Class != queue.Marketing {
			b.t.Errorf("%+v", m)
		}
	})
}

// Burst, pause and gap are counted in messages and seconds (field-notes §4.3).
func TestAThrottle(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		customers(b, 7)
		b.campaign(Campaign{Name: "slow", Texts: map[string]string{"nl": "x {name}"}, Missing: LeaveOut, Audience: everybody, Class: queue.Transactional,
			Throttle: Throttle{Burst: 3, Pause: 60, Gap: 2}})
		b.start("slow")
		begin := time.Now()
		b.later(10 * time.Minute)
		var at []int
		for _, m := range b.messages() {
			at = append(at, int(m.Created.Sub(begin).Seconds()))
		}
		if want := []int{0, 2, 4, 64, 66, 68, 128}; !slices.Equal(at, want) {
			b.t.Errorf("messages after %v seconds, want %v", at, want)
		}
	})
}

func TestPauseResumeAndStop(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(10 * time.Second)
		b.open(modem)
		customers(b, 30)
		b.campaign(Campaign{Name: "c", Texts: map[string]string{"nl": "hallo {first_name}"}, Audience: everybody, Class: queue.Transactional})
		b.start("c")
		b.later(55 * time.Second)
		if _, err := b.o.Pause(b.t.Context(), "c", "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(10 * time.Minute)
		sent := len(modem.Log())
		if sent < 4 || sent > 7 {
			b.t.Fatalf("%d left before the pause", sent)
		}
		held := 0
		for _, m := range b.messages() {
			if m.State == queue.Held && m.Why.Code == "campaign_paused" {
				held++
			}
		}
		if held != 30-sent {
			b.t.Errorf("%d are held of %d", held, 30-sent)
		}
		if _, err := b.o.Resume(b.t.Context(), "c", "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(35 * time.Second)
		if n := len(modem.Log()); n <= sent {
			b.t.Errorf("nothing left after the resume")
		}
		if _, err := b.o.Stop(b.t.Context(), "c", "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(time.Minute)
		sent = len(modem.Log())
		b.later(time.Hour)
		if n := len(modem.Log()); n != sent || n == 30 {
			b.t.Errorf("%d left after the stop, %d before", n, sent)
		}
		c, rep, err := b.o.Progress("c")
		if err != nil || c.State != CampaignStopped || rep.States["cancelled"] == 0 || rep.States["cancelled"]+rep.States["sent"] != 30 {
			b.t.Errorf("%+v %+v %v", c.State, rep.States, err)
		}
	})
}

// Three hours before the start stays three hours before, however often the
// event moves; who was told is not told again.
func TestACampaignFollowsItsEvent(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		customers(b, 4)
		start := clock(b, "2026-12-04T20:00")
		b.book(Booking{ID: "concert", Start: start})
		b.campaign(Campaign{Name: "before", Texts: map[string]string{"nl": "tot straks"}, Audience: everybody, Class: queue.Transactional,
			When: When{Event: "concert", Offset: Span{Rest: -3 * time.Hour}}, Throttle: Throttle{Gap: 600}})
		if got := b.start("before"); !got.Campaign.Due.Equal(start.Add(-3 * time.Hour)) {
			b.t.Errorf("due %s", got.Campaign.Due)
		}
		b.book(Booking{ID: "concert", Start: start.AddDate(0, 0, 1)})
		b.later(10*24*time.Hour + 12*time.Hour)
		b.wants()
		time.Sleep(time.Until(start.AddDate(0, 0, 1).Add(-3 * time.Hour)))
		b.later(time.Minute)
		b.wants("tot straks")
		// It moves while it goes out: what has not left waits for the new time.
		b.book(Booking{ID: "concert", Start: start.AddDate(0, 0, 2)})
		b.later(time.Hour)
		if n := len(b.texts()); n != 1 || b.state("before") != CampaignWaiting {
			b.t.Errorf("%d messages, %s", n, b.state("before"))
		}
		b.later(24 * time.Hour)
		first := b.messages()[0]
		if first.State != queue.Cancelled || first.Why.Code != "booking_changed" {
			b.t.Errorf("what had not left is %s because %s", first.State, first.Why.Code)
		}
		if n := len(b.texts()); n != 5 { // four, and the one that was taken back
			b.t.Errorf("%d messages", n)
		}
		b.campaign(Campaign{Name: "after", Texts: map[string]string{"nl": "bedankt"}, Audience: everybody, Class: queue.Transactional,
			When: When{Event: "concert", Offset: Span{Rest: 72 * time.Hour}}})
		b.start("after")
		b.book(Booking{ID: "concert", Status: Cancelled})
		b.later(10 * 24 * time.Hour)
		if b.state("after") != CampaignStopped || slices.Contains(b.texts(), "bedankt") {
			b.t.Errorf("after a cancelled event: %s", b.state("after"))
		}
	})
}

// Consent is asked when the message would leave, not only when the list is made.
func TestWhoWithdrawsMeanwhileGetsNothing(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		customers(b, 5)
		b.later(time.Second)
		modem.SetState(route.Waiting)
		b.campaign(Campaign{Name: "c", Texts: map[string]string{"nl": "hallo {first_name}"}, Audience: everybody})
		b.start("c")
		b.later(time.Minute)
		if _, err := b.o.AddConsent(b.t.Context(), Consent{Contact: "c00001", Purpose: Marketing, How: "at the till"}); err != nil {
			b.t.Fatal(err)
		}
		if _, err := b.o.PutExclusion(b.t.Context(), Exclusion{ID: "c00002", Reason: "deceased"}); err != nil {
			b.t.Fatal(err)
		}
		modem.SetState(route.Ready)
		if err := modem.Deliver(route.Inbound{From: "+31610000039", Text: "STOP"}); err != nil { // c00003
			b.t.Fatal(err)
		}
		b.later(time.Minute)
		why := map[string]string{}
		for _, m := range b.messages() {
			if m.State == queue.Cancelled {
				why[m.Contact] = m.Why.Code
			}
		}
		if why["c00001"] != "no_consent" || why["c00002"] != "excluded" || len(modem.Log()) < 2 {
			b.t.Errorf("%v, %d left", why, len(modem.Log()))
		}
		ledger, err := b.o.Consents("c00003")
		if err != nil || len(ledger) != 2 || ledger[1].Granted || ledger[1].Channel != SMS || !strings.HasPrefix(ledger[1].How, "SMS to this box") {
			b.t.Errorf("the inbox did not reach the ledger: %+v, %v", ledger, err)
		}
	})
}

func TestAPreviewCountsTheWholeSelection(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		customers(b, 40)
		b.contact(Contact{ID: "long", FirstName: strings.Repeat("Lang", 50), Number: anna})
		b.contact(Contact{ID: "twin", FirstName: "Tweeling", Number: "+31610000009"})
		b.contact(Contact{ID: "nobody", FirstName: "Zonder", Number: bram})
		b.contact(Contact{ID: "dead", FirstName: "Weg", Number: cees, Status: "Overleden"})
		b.contact(Contact{ID: "mute", FirstName: "Stil"})
		for _, id := range []string{"long", "twin", "dead", "mute"} {
			b.consent(id)
		}
		b.later(time.Second)
		c := Campaign{Name: "c", Kind: KindCampaign, Texts: map[string]string{"nl": "Hé {first_name}: caffè “gratis”"}, Encoding: "ascii", Audience: everybody, Class: queue.Marketing, Channel: SMS, Consent: Policy{RequireAll: []string{Marketing}}}
		p, err := b.o.Preview(&c)
		if err != nil {
			b.t.Fatal(err)
		}
		if p.Recipients != 41 || p.Merged != 1 || p.Messages != 41 || p.ByParts["1"] != 40 || p.ByParts["2"] != 1 || p.Parts != 42 {
			b.t.Errorf("%+v", p)
		}
		if p.Longest.Contact != "long" || p.Longest.Parts != 2 || p.Shortest.Text != `He Naam0: caffe "gratis"` {
			b.t.Errorf("longest %+v, shortest %+v", p.Longest, p.Shortest)
		}
		left := map[string]int{}
		for _, e := range p.Excluded {
			left[e.Why] = e.Count
		}
		if left["there is no consent for marketing"] != 1 || left["has the status Overleden"] != 1 || left["has no number"] != 1 {
			b.t.Errorf("excluded: %+v", p.Excluded)
		}
		if len(p.Replaced) != 4 || p.Replaced[0].Count != 41 || p.LastAt.IsZero() {
			b.t.Errorf("replaced %+v, last %s", p.Replaced, p.LastAt)
		}
	})
}

func TestATestIsInNoCampaignsHistory(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		customers(b, 3)
		c := Campaign{Name: "c", Kind: KindCampaign, Texts: map[string]string{"nl": "Hallo {first_name}"}, Audience: everybody, Channel: SMS}
		b.campaign(c)
		m, err := b.o.Test(b.t.Context(), &c, "06-12345678", nil, "till")
		if err != nil || m.Text() != "Hallo Naam0" || m.Ref != "TEST" || m.To != anna || m.Class != queue.Transactional {
			b.t.Fatalf("%+v, %v", m, err)
		}
		if _, rep, err := b.o.Progress("c"); err != nil || len(rep.States) != 0 {
			b.t.Errorf("%+v, %v", rep, err)
		}
	})
}

func TestABatch(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		b.contact(Contact{ID: "dead", Number: dora, Status: "deceased"})
		list := []Recipient{
			{To: "06-12345678", Lang: "nl", Vars: map[string]string{"Naam": "Anna"}, Ref: "o1"},
			{To: "+31612345678", Vars: map[string]string{"naam": "Anna"}, Ref: "o2"}, // another order of hers
			{To: "0687654321", Vars: map[string]string{"naam": "Bram"}, Lang: "de"},
			{To: "12", Vars: map[string]string{"naam": "Kort"}},
			{To: "0611112222", Vars: map[string]string{}},
			{To: "0622223333", Vars: map[string]string{"naam": "Dora"}},
			{To: "020-1234567", Vars: map[string]string{"naam": "Vast"}},
		}
		got, err := b.o.Batch(b.t.Context(), Campaign{Texts: map[string]string{"nl": "Dag #NAAM#! # CUSTOMTEXT #", "de": "Hallo [Naam]! #customtext#"}, CustomText: "Tot zo", Class: queue.Transactional}, list, false, "till")
		if err != nil {
			b.t.Fatal(err)
		}
		if got.Campaign.Recipients != 2 || got.Campaign.Merged != 1 || len(got.Errors) != 3 || len(got.Campaign.Excluded) != 1 {
			b.t.Errorf("%+v", got.Campaign)
		}
		rows := map[int]string{}
		for _, e := range got.Errors {
			rows[e.Row] = e.Code
		}
		if rows[5] != CodeMissing || rows[7] != "number_landline" || rows[4] == "" {
			b.t.Errorf("%+v", got.Errors)
		}
		b.wants("Dag Anna! Tot zo", "Hallo Bram! Tot zo")
		if m := b.messages()[0]; m.Ref != "o1" || m.Till != "till" {
			b.t.Errorf("%+v", m)
		}
		_, err = b.o.Batch(b.t.Context(), Campaign{Texts: map[string]string{"nl": "Dag #NAAM#"}, Class: queue.Transactional}, list, true, "till")
		refused(b.t, "all or nothing with a bad row", err, "rows_refused")
		_, err = b.o.Batch(b.t.Context(), Campaign{Texts: map[string]string{"nl": "Bis [VERFALLDATUM]"}, Class: queue.Transactional}, list, false, "till")
		refused(b.t, "a placeholder that nobody can fill", err, CodeUnknown)
		_, err = b.o.Batch(b.t.Context(), Campaign{Texts: map[string]string{"nl": "Dag"}, Class: queue.Transactional}, list[:1], false, "till")
		if err != nil {
			b.t.Fatal(err)
		}
		all, _, err := b.o.Campaigns(KindBatch, "", 10)
		if err != nil || len(all) != 2 {
			b.t.Errorf("%d batches, %v", len(all), err)
		}
	})
}

// Marketing needs consent: of the row, of the list, of the ledger, or of an
// owner who vouches for the till.
func TestMarketingToAListNeedsConsent(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		now := time.Now()
		row := Recipient{To: anna}
		text := map[string]string{"nl": "Aanbieding"}
		for _, c := range []struct {
			name string
			row  Recipient
			c    Campaign
			want int // 0: nobody is left, and that is a refusal
		}{
			{"without", row, Campaign{Texts: text}, 0},
			{"row says so", Recipient{To: anna, Consents: []string{Marketing}}, Campaign{Texts: text}, 1},
			{"row proves it", Recipient{To: anna, Proof: &Proof{Given: true, Source: "form", At: now}}, Campaign{Texts: text}, 1},
			{"list proves it", row, Campaign{Texts: text, Consent: Policy{Given: &Proof{Given: true, Source: "form", At: now}}}, 1},
			{"another purpose", Recipient{To: anna, Consents: []string{"news"}}, Campaign{Texts: text, Consent: Policy{RequireAll: []string{"news"}}}, 1},
			{"must not have", Recipient{To: anna, Consents: []string{"news", "quiet"}}, Campaign{Texts: text, Consent: Policy{RequireAll: []string{"news"}, ExcludeAny: []string{"quiet"}}}, 0},
			{"all they have", Recipient{To: anna, Consents: []string{"news"}}, Campaign{Texts: text, Consent: Policy{RequireAll: []string{"*"}}}, 1},
			{"no advertising", row, Campaign{Texts: text, Class: queue.Transactional}, 1},
		} {
			got, err := b.o.Batch(b.t.Context(), c.c, []Recipient{c.row}, false, "till")
			if c.want == 0 {
				refused(b.t, c.name, err, "rows_refused")
				continue
			}
			if err != nil || got.Campaign.Recipients != c.want {
				b.t.Errorf("%s: %+v, %v", c.name, got, err)
			}
		}
		for name, c := range map[string]struct {
			c    Campaign
			code string
		}{
			"ignored":        {Campaign{Texts: text, Consent: Policy{Ignore: true}}, "no_consent"},
			"proof of no":    {Campaign{Texts: text, Consent: Policy{Given: &Proof{Source: "form", At: now}}}, "no_consent"},
			"proof of when?": {Campaign{Texts: text, Consent: Policy{Given: &Proof{Given: true, Source: "form"}}}, "proof_incomplete"},
		} {
			_, err := b.o.Batch(b.t.Context(), c.c, []Recipient{row}, false, "till")
			refused(b.t, name, err, c.code)
		}
		// Who is left out counts where it is all or nothing, and is told.
		both := []Recipient{{To: "+31687654321", Consents: []string{Marketing}}, row, row}
		_, err := b.o.Batch(b.t.Context(), Campaign{Texts: text}, both, true, "till")
		refused(b.t, "all or nothing", err, "rows_refused")
		for _, words := range []string{"2 of 3 rows", "2 × there is no consent for marketing", "row 2: there is"} {
			if !strings.Contains(err.Error(), words) {
				b.t.Errorf("%v lacks %q", err, words)
			}
		}
		if got, err := b.o.Batch(b.t.Context(), Campaign{Texts: text}, both, false, "till"); err != nil || got.Campaign.Recipients != 1 || got.Campaign.Excluded[0].Count != 2 {
			b.t.Errorf("all that may: %+v, %v", got, err)
		}
		b.o.cfg.TillChecks = true
		if got, err := b.o.Batch(b.t.Context(), Campaign{Texts: text}, []Recipient{row}, false, "till"); err != nil || got.Campaign.Recipients != 1 {
			b.t.Errorf("the till checks: %+v, %v", got, err)
		}
	})
}

func TestWhatACampaignCannotBe(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		customers(b, 2)
		b.template("draft", "nog {name}", func(s *Stored) { s.Draft = true })
		now := time.Now()
		event := clock(b, "2026-12-04T20:00")
		good := func() Campaign {
			return Campaign{Name: "c", Texts: map[string]string{"nl": "x"}, Audience: everybody, Class: queue.Transactional}
		}
		for name, c := range map[string]struct {
			with func(*Campaign)
			code string
		}{
			"in the past":        {func(c *Campaign) { c.When.At = now.Add(-time.Hour) }, "in_the_past"},
			"offset in the past": {func(c *Campaign) { c.When = When{EventStart: now.Add(time.Hour), Offset: Span{Rest: -3 * time.Hour}} }, "in_the_past"},
			"ends before it starts": {func(c *Campaign) {
				c.When = When{EventStart: event, EventEnd: event.Add(-1), Offset: Span{Rest: -time.Hour}}
			}, "ends_before_start"},
			"in ten years":                {func(c *Campaign) { c.When.At = now.AddDate(10, 0, 0) }, "too_far"},
			"before what":                 {func(c *Campaign) { c.When.Offset = Span{Rest: -time.Hour} }, "field_missing"},
			"an event without an offset":  {func(c *Campaign) { c.When.EventStart = event }, "field_missing"},
			"an event nobody knows":       {func(c *Campaign) { c.When = When{Event: "e9", Offset: Span{Rest: -time.Hour}} }, "event_unknown"},
			"now and then":                {func(c *Campaign) { c.When = When{Now: true, At: event} }, "one_of_two"},
			"to nobody":                   {func(c *Campaign) { c.Audience = Audience{} }, "audience_missing"},
			"to everybody and some":       {func(c *Campaign) { c.Audience.All = []Condition{is("points", "1")} }, "one_of_two"},
			"without text":                {func(c *Campaign) { c.Texts = nil }, "text_missing"},
			"with two texts":              {func(c *Campaign) { c.Template = "news" }, "one_of_two"},
			"with a draft":                {func(c *Campaign) { c.Texts, c.Template = nil, "draft" }, "template_draft"},
			"with an unknown template":    {func(c *Campaign) { c.Texts, c.Template = nil, "news" }, "template_unknown"},
			"by e-mail":                   {func(c *Campaign) { c.Channel = Email }, "channel_not_here"},
			"by pigeon":                   {func(c *Campaign) { c.Channel = "pigeon" }, "unknown_value"},
			"telling by e-mail":           {func(c *Campaign) { c.Notify.Email = "a@b.example" }, "channel_not_here"},
			"a pause after nothing":       {func(c *Campaign) { c.Throttle.Pause = 3 }, "field_missing"},
			"in a language we lack":       {func(c *Campaign) { c.Texts = map[string]string{"fr": "x"} }, "unknown_value"},
			"with a name for a path":      {func(c *Campaign) { c.Name = "../x" }, "name_invalid"},
			"advertising without consent": {func(c *Campaign) { c.Class, c.Consent.Ignore = queue.Marketing, true }, "no_consent"},
		} {
			one := good()
			c.with(&one)
			_, err := b.o.PutCampaign(b.t.Context(), one, "till")
			refused(b.t, name, err, c.code)
		}
		b.campaign(Campaign{Name: "strange", Texts: map[string]string{"nl": "tot [VERFALLDATUM]"}, Audience: everybody, Class: queue.Transactional})
		_, err := b.o.Start(b.t.Context(), "strange", "till")
		refused(b.t, "a placeholder that nobody can fill", err, CodeUnknown)
		b.campaign(good())
		b.start("c")
		_, err = b.o.Start(b.t.Context(), "c", "till")
		refused(b.t, "a second start", err, "not_now")
		_, err = b.o.PutCampaign(b.t.Context(), good(), "till")
		refused(b.t, "changing what has started", err, "not_a_draft")
	})
}

func TestTheEstimateWarns(t *testing.T) {
	inBox(t, func(b *box) {
		b.cfg.PerMinute = func() float64 { return 6 }
		b.open()
		customers(b, 60)
		b.campaign(Campaign{Name: "c", Texts: map[string]string{"nl": "x"}, Audience: everybody, Class: queue.Transactional,
			When: When{EventStart: time.Now().Add(65 * time.Minute), Offset: Span{Rest: -time.Hour}}})
		got := b.start("c")
		if want := time.Now().Add(5*time.Minute + 10*time.Minute); !got.LastAt.Equal(want) || len(got.Warnings) != 0 {
			b.t.Errorf("last at %s, want %s; %v", got.LastAt, want, got.Warnings)
		}
		b.later(5 * time.Minute)
		b.campaign(Campaign{Name: "d", Texts: map[string]string{"nl": "y"}, Audience: everybody, Class: queue.Transactional,
			When: When{EventStart: time.Now().Add(16 * time.Minute), Offset: Span{Rest: -15 * time.Minute}}})
		got = b.start("d")
		if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "after the event has begun") {
			b.t.Errorf("%+v", got.Estimate)
		}
	})
}

// A batch is no way around the limit of a till's key: the rest waits for the
// next hour.
func TestABatchKeepsTheLimitOfItsTill(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		var list []Recipient
		for i := range 250 {
			list = append(list, Recipient{To: fmt.Sprintf("+3161%07d", i)})
		}
		got, err := b.o.Batch(b.t.Context(), Campaign{Texts: map[string]string{"nl": "Dag"}, Class: queue.Transactional, Limits: queue.TillLimits{PerHour: 120}}, list, false, "till")
		if err != nil {
			b.t.Fatal(err)
		}
		for hour, want := range []int{120, 240, 250, 250} {
			b.later(time.Minute)
			if n := len(b.texts()); n != want {
				b.t.Errorf("%d messages in hour %d, want %d", n, hour, want)
			}
			b.later(59 * time.Minute)
		}
		if c, err := b.o.Campaign(got.Campaign.Name); err != nil || c.Handed != 250 || c.Refused != 0 {
			b.t.Errorf("%+v, %v", c, err)
		}
	})
}

// The history begins with what was made last, and pages go on from there.
func TestCampaignsAreListedNewestFirst(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		made := []string{"m", "z", "a", "k", "b"}
		for _, name := range made {
			b.campaign(Campaign{Name: name, Texts: map[string]string{"nl": "x"}, Audience: everybody, Class: queue.Transactional})
			b.later(time.Minute)
		}
		slices.Reverse(made)
		var got []string
		for after := ""; ; {
			list, next, err := b.o.Campaigns(KindCampaign, after, 2)
			if err != nil {
				b.t.Fatal(err)
			}
			for _, c := range list {
				got = append(got, c.Name)
			}
			if after = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, made) {
			b.t.Errorf("%q, want %q", got, made)
		}
		if _, _, err := b.o.Campaigns(KindCampaign, "no cursor", 2); err == nil {
			b.t.Error("a cursor that is none was read")
		}
	})
}
