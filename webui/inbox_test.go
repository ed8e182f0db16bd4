package webui

import (
	"html"
	"strings"
	"testing"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// says has somebody write to the shop.
func says(t *testing.T, f *routetest.Fake, from, text string) {
	t.Helper()
	if err := f.Deliver(route.Inbound{From: from, Text: text}); err != nil {
		t.Fatal(err)
	}
}

func TestConversations(t *testing.T) {
	counter := routetest.NewFake("Counter")
	s := openShop(t, counter)
	until(t, func() bool { return s.queue.Routes()[0].State == route.Ready })
	b := s.browser(t)
	if _, body := b.get("/inbox"); !strings.Contains(body, "No replies yet") {
		t.Errorf("an empty inbox:\n%s", body)
	}
	s.becomes(s.add("0612345678", "Uw fiets is klaar").ID, queue.Sent)
	says(t, counter, "+31612345678", "Dank! Kan het ook morgen?")
	says(t, counter, "+31612345679", "Stop met <b>onzin</b>")
	says(t, counter, "+31612345678", "Om tien uur?")
	says(t, counter, "Telco", "Uw tegoed is bijna op")
	w := s.watch("inbox", "en")
	w.until(func() bool { return strings.Contains(w.parts["threads"], "Telco") })
	if n := strings.Count(w.parts["threads"], "<tr><td"); n != 3 {
		t.Errorf("%d conversations, want 3\n%s", n, w.parts["threads"])
	}
	if strings.Contains(w.parts["threads"], "12345678") || strings.Contains(w.parts["threads"], "<b>onzin") {
		t.Errorf("a number or a tag came through:\n%s", w.parts["threads"])
	}

	list, _, err := s.queue.Inbox(0, 10)
	if err != nil {
		t.Fatal(err)
	}
	bySaid := map[string]queue.Inbound{}
	for _, in := range list {
		bySaid[strings.Fields(in.Text)[0]] = in
	}
	his := "/inbox/" + itoa(bySaid["Om"].Seq)
	_, body := b.get(his)
	at := -1
	for _, want := range []string{"Uw fiets is klaar", "Dank! Kan het ook morgen?", "Om tien uur?"} {
		i := strings.Index(body, want)
		if i <= at {
			t.Errorf("%q is not in its place\n%s", want, body)
		}
		at = i
	}
	if !strings.Contains(html.UnescapeString(body), "+31 6 12 34 56 78") {
		t.Error("the owner does not see whom to call")
	}
	resp, body := b.post(his+"/reply", "text", "Prima, tot dan", "once", "x")
	if resp.Request.URL.Path != his || !strings.Contains(body, "Prima, tot dan") {
		t.Errorf("the answer led to %s", resp.Request.URL)
	}
	b.post(his+"/reply", "text", "Prima, tot dan", "once", "x")
	if n := len(s.all()); n != 2 {
		t.Errorf("%d messages after one answer, pressed twice", n)
	}
	if resp, body := b.post(his+"/reply", "text", " ", "once", "y"); resp.StatusCode != 400 || !strings.Contains(body, "There is no text yet") {
		t.Errorf("an empty answer: %s", resp.Status)
	}
	if _, body := b.get("/inbox/" + itoa(bySaid["Uw"].Seq)); strings.Contains(body, "<textarea") {
		t.Error("there is nobody to answer at a name")
	}

	// A person decides what she meant.
	hers := bySaid["Stop"]
	if hers.Action != queue.ActionSuggest {
		t.Fatalf("the queue took it for %q", hers.Action)
	}
	path := "/inbox/" + itoa(hers.Seq)
	if _, body := b.get(path); !strings.Contains(body, path+"/optout") {
		t.Errorf("nothing is asked:\n%s", body)
	}
	if _, body := b.post(path + "/optout"); !strings.Contains(body, "No advertising goes to this number since") || strings.Contains(body, path+"/optout") {
		t.Errorf("after the decision:\n%s", body)
	}
	if o, err := s.queue.OptedOut("+31612345679"); err != nil || o == nil || o.By != "page" {
		t.Errorf("%+v %v", o, err)
	}
	for _, at := range []string{"/inbox/0", "/inbox/999", "/inbox/x", "/inbox/18446744073709551615"} {
		if resp, _ := b.get(at); resp.StatusCode != 404 {
			t.Errorf("%s: %s", at, resp.Status)
		}
	}
	if resp, _ := b.post(path + "/explode"); resp.StatusCode != 404 {
		t.Errorf("an unknown act: %s", resp.Status)
	}
}
