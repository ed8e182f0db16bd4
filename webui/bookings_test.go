package webui

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

func TestABookingByHand(t *testing.T) {
	f, b := inShop(t)
	f.runs()
	for name, event := range map[string]string{"bevestigd": "booking.confirmed", "afgezegd": "booking.cancelled", "verzet": "booking.moved"} {
		if _, err := f.site.outreach.PutTemplate(t.Context(), outreach.Stored{Name: name, Texts: map[string]map[string]string{outreach.SMS: {"nl": name + " op {start_day} om {start_time}"}}}, "page"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.site.outreach.PutRule(t.Context(), outreach.Rule{Name: name, On: outreach.Trigger{Event: event}, Template: name, Off: name == "verzet"}, "page"); err != nil {
			t.Fatal(err)
		}
	}
	day := f.site.dayAfter(1)
	at := func(hour int) string { return day.Add(time.Duration(hour) * time.Hour).Format(fieldTime) }

	// Of several customers of a name somebody must choose.
	resp, body := b.send("/bookings", "words", "an", "service", "proefrit", "start", at(10))
	if resp.StatusCode != 400 || strings.Count(body, `name="contact"`) < 2 {
		t.Errorf("ambiguous: %s\n%s", resp.Status, mainOf(body))
	}
	if resp, body = b.send("/bookings", "words", "Zebra", "start", at(10)); resp.StatusCode != 400 || !strings.Contains(body, "There is no customer Zebra.") {
		t.Errorf("nobody: %s\n%s", resp.Status, mainOf(body))
	}
	if resp, body = b.send("/bookings", "words", "", "start", at(10)); resp.StatusCode != 400 || !strings.Contains(body, "Say whose booking it is.") {
		t.Errorf("no words: %s\n%s", resp.Status, mainOf(body))
	}
	if resp, body = b.send("/bookings", "words", "Anna de Vries"); resp.StatusCode != 400 || !strings.Contains(body, "Say when it begins") {
		t.Errorf("no start: %s\n%s", resp.Status, mainOf(body))
	}
	resp, body = b.send("/bookings", "words", "Anna de Vries", "service", "proefrit", "start", at(10), "end", at(11), "remind", "yes", "id", "A/1 ?")
	if resp.Request.URL.EscapedPath() != "/bookings/A%2F1%20%3F" {
		t.Fatalf("adding led to %s\n%s", resp.Request.URL, mainOf(body))
	}
	b.shows("the booking", body, "proefrit", "Confirmed", "10:00 – 11:00", "Anna de Vries", "yes, for this booking")
	page := resp.Request.URL.EscapedPath()
	until(t, func() bool {
		_, body = b.get(page)
		return strings.Contains(mainOf(body), "Delivered")
	})
	if list, _, err := f.queue.List(queue.Filter{To: "+31612341000", Limit: 1}); err != nil || !strings.HasPrefix(list[0].Text(), "bevestigd op ") {
		t.Errorf("%v, %v", list, err)
	}
	if resp, _ = b.send("/bookings", "words", "Anna de Vries", "start", at(12), "id", "A/1 ?"); resp.StatusCode != 400 {
		t.Errorf("a number in use: %s", resp.Status)
	}

	// Moved: its versions say so, and the notice that is switched off does not go.
	_, body = b.send("/bookings", "was", "A/1 ?", "service", "proefrit", "start", at(14), "end", at(15), "remind", "no")
	b.shows("moved", body, "14:00 – 15:00", "10:00 – 11:00", "Before it was moved")
	if again, err := f.site.outreach.Booking("A/1 ?"); err != nil || again.Contact != "D1001" || *again.AutoReminder || again.Version != 2 {
		t.Errorf("%+v, %v", again, err)
	}
	_, body = b.get("/bookings?from=" + day.Format(time.DateOnly))
	b.shows("the day", body, "Tomorrow", "14:00", "Anna de Vries", "+31 6 ** ** 10 00", "proefrit")
	_, body = b.get("/bookings?q=Anna")
	b.shows("what Anna has", body, "proefrit", "Winterbeurt")
	_, body = b.get("/bookings?q=Anna&state=cancelled")
	b.shows("what Anna has not any more", body, "No bookings")

	// Cancelled: who asks is told what will be said.
	_, body = b.get(page + "/cancel")
	b.shows("the question", body, "Cancel it?", "The customer gets the notice of cancellation.")
	_, body = b.send(page + "/cancel")
	b.shows("cancelled", body, "Cancelled")
	until(t, func() bool {
		list, _, err := f.queue.List(queue.Filter{To: "+31612341000", Limit: 1})
		return err == nil && strings.HasPrefix(list[0].Text(), "afgezegd op ")
	})
	if resp, body = b.send(page + "/reject"); resp.StatusCode != http.StatusConflict || !strings.Contains(body, "cannot be rejected") {
		t.Errorf("rejected what was cancelled: %s\n%s", resp.Status, mainOf(body))
	}
	if resp, _ = b.send(page + "/delete"); resp.Request.URL.Path != "/bookings" {
		t.Errorf("forgetting led to %s", resp.Request.URL)
	}
	if resp, _ = b.get(page); resp.StatusCode != 404 {
		t.Errorf("it is still there: %s", resp.Status)
	}
}

func TestAnEventAndWhatHangsOnIt(t *testing.T) {
	f, b := inShop(t)
	start := f.site.dayAfter(3).Add(20 * time.Hour)
	resp, body := b.send("/bookings", "is_event", "1", "service", "Filmavond", "place", "De Flint", "start", start.Format(fieldTime), "id", "film")
	if resp.Request.URL.Path != "/bookings/film" {
		t.Fatalf("%s\n%s", resp.Request.URL, mainOf(body))
	}
	_, body = b.send("/bookings", "words", "D1002", "type", "kaartje", "event", "film", "id", "K-1")
	b.shows("a ticket", body, "kaartje", "20:00", "Bram Hendriks")
	_, body = b.send("/campaigns", "name", "Tot-vanavond", "say", "own", "text_nl", "Tot vanavond", "who", "some", "with_event", "film", "class", "transactional", "consent", "usual",
		"when", "event", "span_n", "3", "span_unit", "hours", "span_side", "before", "event", "film", "each", "on")
	b.shows("its campaign", body, "3 hours before film", "with a booking where event is film", "Get the message 1")
	_, body = b.get("/bookings/film")
	b.shows("the event", body, "Bram Hendriks", "Tot-vanavond", "What hangs on it")
	_, body = b.get("/bookings?events=1&span=week")
	b.shows("events of the week", body, "Filmavond", "De Flint")
	_, body = b.get("/bookings/film/cancel")
	b.shows("the question", body, "What hangs on it (1) gets no reminders any more")
	b.send("/bookings/film/cancel")
	if e, err := f.site.outreach.Booking("film"); err != nil || e.Status != outreach.Cancelled {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestABookingThatWaitsForAYes(t *testing.T) {
	f, b := inShop(t)
	start := f.site.dayAfter(2).Add(9 * time.Hour).Format(fieldTime)
	b.send("/bookings", "words", "D1001", "service", "proefrit", "start", start, "pending", "on", "id", "ask")
	_, body := b.get("/bookings/ask")
	b.shows("it", body, "Not confirmed yet", "Confirm", "Reject")
	_, body = b.send("/bookings/ask/confirm")
	b.shows("it", body, "Confirmed")
	if strings.Contains(body, "/bookings/ask/reject") {
		t.Error("what is confirmed can be rejected")
	}
	if resp, _ := b.send("/bookings/nothing/confirm"); resp.StatusCode != 404 {
		t.Errorf("nothing was confirmed: %s", resp.Status)
	}
}
