package webui

import (
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// watch is a page that follows the box.
type watch struct {
	t     *testing.T
	ws    *websocket.Conn
	n     int
	parts map[string]string
	title string
	lamp  string
}

// watch opens the page on the box itself, where no password is asked for.
func (s *shop) watch(page, lang string) *watch {
	s.t.Helper()
	h := http.Header{"Origin": {s.url}}
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/live?page="+page+"&lang="+lang, h)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { ws.Close() })
	return &watch{t: s.t, ws: ws, parts: map[string]string{}}
}

// hear takes one message and returns the parts it changed.
func (w *watch) hear() map[string]string {
	w.t.Helper()
	if err := w.ws.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	_, body, err := w.ws.ReadMessage()
	if err != nil {
		w.t.Fatal(err)
	}
	var m news
	if err := json.Unmarshal(body, &m); err != nil {
		w.t.Fatal(err)
	}
	if m.At == "" || m.N != 0 && m.From != w.n || m.N == 0 && m.Parts != nil {
		w.t.Fatalf("the page shows drawing %d and is told to go from %d to %d, at %q", w.n, m.From, m.N, m.At)
	}
	if m.N != 0 {
		w.n = m.N
	}
	if m.Title != "" {
		w.title, w.lamp = m.Title, m.Lamp
	}
	maps.Copy(w.parts, m.Parts)
	return m.Parts
}

// until hears news until cond holds.
func (w *watch) until(cond func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("it did not come to pass; the page shows\n%s", w.parts)
		}
		w.hear()
	}
}

func TestPageFollowsTheBox(t *testing.T) {
	counter := modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71)
	counter.AutoReport(200 * time.Millisecond)
	s := openShop(t, counter)
	until(t, func() bool { return s.queue.Routes()[0].State == route.Ready })
	w := s.watch("overview", "en")
	first := w.hear()
	if names := slices.Sorted(maps.Keys(first)); !slices.Equal(names, slices.Sorted(slices.Values(overviewParts))) {
		t.Fatalf("the snapshot has %v", names)
	}
	for name, part := range first {
		if !strings.Contains(part[:min(len(part), 60)], `id="live-`+name+`"`) {
			t.Errorf("part %s begins with %.60s", name, part)
		}
	}
	w.until(func() bool { return w.lamp == "ok" })
	if w.title != "✓ Sending works · Tillpost" {
		t.Errorf("title %q", w.title)
	}

	m := s.add("0612345678", "Uw fiets is klaar")
	w.until(func() bool {
		return strings.Contains(w.parts["latest"], `data-v="s-`+m.ID.String()+`"`) && strings.Contains(w.parts["latest"], "Delivered")
	})
	w.until(func() bool { return strings.Contains(w.parts["slip"], `data-v="delivered">1<`) })
	if strings.Contains(w.parts["latest"]+w.parts["feed"], "12345678") || !strings.Contains(html.UnescapeString(w.parts["latest"]), "+31 6 ** ** 56 78") {
		t.Error("the number is not masked")
	}

	// The modem is pulled out: the lamp turns, and says what to do.
	counter.SetStatus(route.Status{State: route.Hand, Code: "modem_gone", Since: time.Now()})
	w.until(func() bool { return w.lamp == "warn" })
	if !strings.Contains(w.parts["lamp"], queue.Words("modem_gone", "en", nil)) || !strings.Contains(w.parts["ways"], "What a hand must do") {
		t.Errorf("the lamp says\n%s", w.parts["lamp"])
	}
	waits := s.add("0612345679", "Dit wacht")
	w.until(func() bool { return w.lamp == "stop" && strings.Contains(w.parts["waiting"], "Next in line") })
	if !strings.HasPrefix(w.title, "✕ Nothing is being sent") || !strings.Contains(w.parts["lamp"], "1 message waits") {
		t.Errorf("title %q, lamp\n%s", w.title, w.parts["lamp"])
	}
	counter.SetStatus(route.Status{State: route.Ready, Since: time.Now()})
	s.becomes(waits.ID, queue.Delivered)
	w.until(func() bool { return w.lamp == "ok" })
}

func TestOnlyWhatChangedIsSentAgain(t *testing.T) {
	s := openShop(t)
	w := s.watch("overview", "en")
	w.hear()
	m := s.add("0612345678", "Dit wacht")
	for !strings.Contains(w.parts["latest"], m.ID.String()) {
		if parts := w.hear(); parts["ways"] != "" {
			t.Errorf("a way out that did not change was sent again, with %v", slices.Sorted(maps.Keys(parts)))
		}
	}
}

func TestMessagePageFollowsItsMessage(t *testing.T) {
	counter := routetest.NewFake("Counter")
	counter.Script(routetest.Hold)
	s := openShop(t, counter)
	m := s.add("0612345678", "Uw fiets is klaar")
	w := s.watch("message/"+m.ID.String(), "nl")
	w.until(func() bool { return strings.Contains(w.parts["verdict"], "Wordt verstuurd") })
	counter.Release()
	w.until(func() bool { return strings.Contains(w.parts["story"], "Het netwerk heeft het") })
	if strings.Contains(w.parts["facts"], "12345678") {
		t.Error("the number is not masked")
	}
}

// A hundred tabs are drawn for once, and a busy box does not flood them.
func TestBusyBoxIsCoalescedForItsTabs(t *testing.T) {
	s := openShop(t)
	var tabs []*watch
	for range 20 {
		tabs = append(tabs, s.watch("overview", "en"))
	}
	for _, w := range tabs {
		w.hear()
	}
	begun := time.Now()
	for range 200 {
		s.add("0612345678", "x")
	}
	for _, w := range tabs {
		w.until(func() bool { return strings.Contains(w.parts["slip"], `data-v="line">200<`) })
	}
	// The snapshot, then four a second, and the ends of the interval.
	if most := int(time.Since(begun)/(250*time.Millisecond)) + 4; tabs[0].n > most {
		t.Errorf("200 changes made %d messages, want at most %d", tabs[0].n, most)
	}
}

func TestLoggedOutTabIsClosed(t *testing.T) {
	s := openShop(t)
	w := s.watch("overview", "en") // allowed while no password is set
	w.hear()
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	s.add("0612345678", "x")
	for {
		if err := w.ws.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.ws.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
				t.Errorf("closed with %v", err)
			}
			return
		}
	}
}

// A person decides an unsure message with the buttons of the page.
func TestPersonDecides(t *testing.T) {
	counter := routetest.NewFake("Counter")
	counter.Patience(50 * time.Millisecond)
	counter.Script(routetest.Swallow, routetest.Swallow, routetest.Accept)
	s := openShop(t, counter)
	b := s.browser(t)
	one, two := s.add("0612345678", "een"), s.add("0612345679", "twee")
	s.becomes(one.ID, queue.Unknown)
	s.becomes(two.ID, queue.Unknown)
	until(t, func() bool { // the page asks for a decision
		_, body := b.get("/")
		return strings.Contains(body, "/messages/"+one.ID.String()+"/arrived")
	})
	if resp, body := b.post("/messages/" + one.ID.String() + "/arrived"); resp.StatusCode != 200 || !strings.Contains(body, "A person decided") {
		t.Errorf("arrived: %s\n%s", resp.Status, body)
	}
	s.becomes(one.ID, queue.Delivered)
	if resp, _ := b.post("/messages/" + two.ID.String() + "/resend"); resp.StatusCode != 200 {
		t.Errorf("resend: %s", resp.Status)
	}
	s.becomes(two.ID, queue.Sent)
	if resp, body := b.post("/messages/" + one.ID.String() + "/failed"); resp.StatusCode != 409 || !strings.Contains(body, "moved on") {
		t.Errorf("deciding what is decided: %s", resp.Status)
	}
	if err := s.queue.Pause(t.Context(), "Counter", "test"); err != nil {
		t.Fatal(err)
	}
	waits := s.add("0612345670", "drie")
	if resp, _ := b.post("/messages/" + waits.ID.String() + "/cancel"); resp.StatusCode != 200 {
		t.Errorf("cancel: %s", resp.Status)
	}
	s.becomes(waits.ID, queue.Cancelled)
	if _, body := b.get("/"); !strings.Contains(body, "/routes/Counter/resume") {
		t.Error("a paused way out has no button to go on")
	}
	b.post("/routes/Counter/resume")
	until(t, func() bool { return !s.queue.Routes()[0].Paused })
}
