package webui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// composed are further keys that are built from a code of the program.
var composed = []string{
	"left_parts_per_minute", "left_parts_per_hour", "left_parts_per_day", "left_recipients_per_month",
	"set_hooks", "topic_fate", "topic_inbox", "topic_ways", "topic_office", "hook_wrong_name", "hook_wrong_url", "hook_wrong_pin", "hook_wrong_secret", "hook_wrong_kinds",
	"man_customers", "man_outreach", "offers_association", "offers_booking", "offers_garage", "offers_ticketing", "offers_till_mailing", "offers_e_mail",
	"set_email", "email_host", "email_port", "email_user", "email_password", "email_from", "email_reply_to", "email_forward_inbox", "email_messages_per_minute",
	"rank_urgent", "rank_transactional_2", "rank_transactional_1", "rank_transactional_0", "rank_marketing_2", "rank_marketing_1", "rank_marketing_0",
}

// Who waits is told by right of way, each with the oldest and why, and with the
// time at which the line will be empty.
func TestOverviewTellsTheLine(t *testing.T) {
	counter := modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71)
	counter.Script(routetest.Accept, routetest.Hold)
	s := openShop(t, counter)
	b := s.browser(t)
	first := s.add("0612345678", "Uw fiets is klaar")
	s.becomes(first.ID, queue.Sent)
	held := s.add("0612345679", "Uw fiets is klaar")
	s.becomes(held.ID, queue.Sending)
	urgent := 3
	for _, d := range []queue.Draft{
		{To: "0612345001", Text: "De alarmlijn is gestoord", Priority: &urgent}, {To: "0612345002", Text: "Uw band is er"}, {To: "0612345003", Text: "Uw band is er"},
		{To: "0612345004", Text: "Deze week korting", Class: queue.Marketing},
	} {
		d.Till = "till-1"
		if _, err := s.queue.Add(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	_, body := b.get("/?lang=en")
	waiting := between(t, body, `id="live-waiting"`, "</section>")
	for _, want := range []string{
		"All of it has left by ", `<span class="of">urgent</span></th><td class="n" data-v="w-transactional3">1<`,
		`<span class="of">orders and appointments</span></th><td class="n" data-v="w-transactional1">2<`,
		`<span class="of">advertising</span></th><td class="n" data-v="w-marketing1">1<`, "A way out has them in hand.", "Oldest since",
	} {
		if !strings.Contains(waiting, want) {
			t.Errorf("%q is not said in\n%s", want, waiting)
		}
	}
	if now := between(t, body, `class="now"`, "</div>"); !strings.Contains(now, "Sending to &#43;31 6 ** ** 56 79 since ") || !strings.Contains(now, "SMS in it: 1.") {
		t.Errorf("this second: %s", now)
	}
	counter.SetStatus(route.Status{State: route.Hand, Code: "sim_missing", Since: time.Now()})
	until(t, func() bool {
		_, body = b.get("/?lang=en")
		return strings.Contains(body, "When all of it has left cannot be said yet.")
	})
	if waiting = between(t, body, `id="live-waiting"`, "</section>"); strings.Count(waiting, queue.Words("sim_missing", "en", nil)) != 3 {
		t.Errorf("why nothing goes is not said three times in\n%s", waiting)
	}
}

// between is what stands in a page from one mark to the next.
func between(t *testing.T, body, from, to string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, from)
	if !ok {
		t.Fatalf("%s is not in the page\n%s", from, body)
	}
	out, _, _ := strings.Cut(rest, to)
	return out
}

// A limit is told on the card, before it is hit and when it is.
func TestOverviewAnnouncesLimits(t *testing.T) {
	counter := modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71)
	s := openShop(t, counter)
	until(t, func() bool { return s.queue.Routes()[0].State == route.Ready })
	b := s.browser(t)
	_, body := b.get("/?lang=en")
	if !strings.Contains(body, "no limit set") {
		t.Error("a way without a limit does not say so")
	}
	if err := s.queue.Limit("Counter", queue.Quota{PartsPerMinute: 1000, PartsPerHour: 1000, PartsPerDay: 10}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		send int
		says []string
		not  string
	}{
		{1, []string{"SMS left today", ">9 of 10<"}, "fit under the limit"},
		{7, []string{">2 of 10<", "2 more fit under the limit. What comes after them waits until ", `class="hand info"`}, "is reached"},
		{2, []string{">0 of 10<", "The limit of 10 messages for this SIM is reached."}, "fit under the limit"},
	} {
		for i := range step.send {
			m := s.add(fmt.Sprintf("06123%05d", 100*step.send+i), "Uw fiets is klaar")
			s.becomes(m.ID, queue.Sent)
		}
		_, body := b.get("/?lang=en")
		ways := between(t, body, `id="live-ways"`, "</section>")
		for _, want := range step.says {
			if !strings.Contains(ways, want) {
				t.Errorf("after %d more: %q is not said in\n%s", step.send, want, ways)
			}
		}
		if strings.Contains(ways, step.not) {
			t.Errorf("after %d more it says %q", step.send, step.not)
		}
	}
	if _, body := b.get("/ways/Counter?lang=en"); !strings.Contains(body, "SMS each day") || !strings.Contains(body, "0 of 10") {
		t.Errorf("the page of the way:\n%s", body)
	}
}
