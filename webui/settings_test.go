package webui

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
	"tillpost/webui/door"
)

// handy is a modem with everything that can be asked of one.
type handy struct {
	*dressed
	pins, codes []string
	finding     []string
	tests       int // of itself
}

func (h *handy) SelfTest(context.Context) error {
	if h.tests++; h.tests > 1 {
		return errors.New("a self-test is on its way already")
	}
	return nil
}

func (h *handy) Trace() []route.Line {
	at := time.Now()
	return []route.Line{{At: at, Out: true, Text: "AT+CSQ"}, {At: at, Text: "+CSQ: 20,99"}, {At: at, Text: "OK"}}
}

func (h *handy) EnterPIN(_ context.Context, pin string) error {
	h.pins = append(h.pins, pin)
	if pin != "1234" {
		return errors.New("the SIM refuses this PIN")
	}
	return nil
}

func (h *handy) USSD(_ context.Context, code string) (string, error) {
	h.codes = append(h.codes, code)
	return "Uw tegoed is € 4,20", nil
}

func (h *handy) Examine(context.Context) ([]string, error) { return h.finding, nil }

func newHandy(name string) *handy {
	m := modem(name, "8931000000000004417", "Noordzee Mobiel", -71)
	m.as.Care = &route.Care{
		Storage: &route.Storage{Memory: "SM", Used: 3, Total: 20}, Balance: &route.Balance{Amount: "4.20", At: time.Now()},
		LoopTest: &route.LoopTest{At: time.Now(), Took: 4 * time.Second},
		Rungs:    []route.Rung{{Name: "ask again", Tried: 2, Helped: 1}, {Name: "reset on the bus", Why: "no rights on this box"}},
	}
	return &handy{dressed: m, finding: []string{"The SIM is in the 4G network only, without SMS over IMS."}}
}

func TestWayOut(t *testing.T) {
	m := newHandy("Counter")
	s := openShop(t, m)
	until(t, func() bool { return s.queue.Routes()[0].State == route.Ready })
	if err := s.queue.Limit("Counter", queue.Quota{PartsPerDay: 100}); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	_, body := b.get("/ways/Counter")
	for _, want := range []string{"3 of 20 in use", "4.20", "4 seconds", "ask again", "no rights on this box", "100 of 100", "/ways/Counter/ussd", "/ways/Counter/examine", "/routes/Counter/restart"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(body, "/ways/Counter/pin") {
		t.Error("it asks for a PIN that nobody wants")
	}
	if _, body := b.post("/ways/Counter/examine"); !strings.Contains(body, m.finding[0]) {
		t.Errorf("the examination:\n%s", body)
	}
	m.finding = nil
	if _, body := b.post("/ways/Counter/examine"); !strings.Contains(body, "Nothing was found") {
		t.Errorf("the second examination:\n%s", body)
	}
	if _, body := b.post("/ways/Counter/ussd", "code", "*100#"); !strings.Contains(body, "Uw tegoed is € 4,20") {
		t.Errorf("the balance:\n%s", body)
	}
	for _, code := range []string{"hallo", "*21*0612345678#", "##002#", "*100#\r\nAT+CFUN=0"} {
		if resp, _ := b.post("/ways/Counter/ussd", "code", code); resp.StatusCode != 409 {
			t.Errorf("the code %q: %s", code, resp.Status)
		}
	}
	if !slices.Equal(m.codes, []string{"*100#"}) {
		t.Errorf("the modem was asked %q", m.codes)
	}

	m.SetStatus(route.Status{State: route.Hand, Code: "sim_pin", Since: time.Now()})
	until(t, func() bool { _, body := b.get("/ways/Counter"); return strings.Contains(body, "/ways/Counter/pin") })
	for pin, status := range map[string]int{"12": 409, "abcd": 409, "0000": 409} {
		if resp, _ := b.post("/ways/Counter/pin", "pin", pin); resp.StatusCode != status {
			t.Errorf("the PIN %q: %s", pin, resp.Status)
		}
	}
	if resp, _ := b.post("/ways/Counter/pin", "pin", "1234"); resp.Request.URL.Path != "/ways/Counter" || resp.StatusCode != 200 {
		t.Errorf("the right PIN: %s at %s", resp.Status, resp.Request.URL)
	}
	if !slices.Equal(m.pins, []string{"0000", "1234"}) {
		t.Errorf("the modem was given %q", m.pins)
	}
	if strings.Contains(s.log.String(), "1234") {
		t.Error("a PIN is in the log")
	}
	b.post("/routes/Counter/pause?from=way")
	until(t, func() bool { return s.queue.Routes()[0].Paused })
	if resp, _ := b.get("/ways/Nobody"); resp.StatusCode != 404 {
		t.Errorf("a way that is not there: %s", resp.Status)
	}
}

func TestKeysAreShownOnce(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	_, body := b.post("/settings/keys", "name", "till-1", "scope", "send", "scope", "read")
	key := regexp.MustCompile(`tp_[a-z2-7]{32}`).FindString(body)
	if key == "" {
		t.Fatalf("no key is shown:\n%s", body)
	}
	if _, again := b.get("/settings/keys"); strings.Contains(again, key) || !strings.Contains(again, "till-1") {
		t.Error("the list must name the key and not show it")
	}
	call := func() int {
		w := s.from(self, "GET", box+"/api/v1/messages", nil, "Authorization", "Bearer "+key)
		return w.Code
	}
	if got := call(); got != http.StatusOK {
		t.Errorf("the key opens: %d", got)
	}
	if resp, body := b.post("/settings/keys", "name", "till-1", "scope", "send"); resp.StatusCode != 409 || !strings.Contains(body, "there is a key called") {
		t.Errorf("a second one of that name: %s", resp.Status)
	}
	if resp, _ := b.post("/settings/keys", "name", "till-2"); resp.StatusCode != 400 {
		t.Errorf("one that may do nothing: %s", resp.Status)
	}
	b.post("/settings/keys/till-1/revoke")
	if got := call(); got != http.StatusUnauthorized {
		t.Errorf("the revoked key: %d", got)
	}
}

func TestPeoplePage(t *testing.T) {
	s := openShop(t)
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	b := s.as("")
	if resp, body := b.post("/settings/people", "name", "Sanne", "role", "manager", "password", "kort"); resp.StatusCode != 400 || !strings.Contains(body, "4 characters is short") {
		t.Errorf("a short password: %s", resp.Status)
	}
	for _, bad := range [][]string{{"name", "a/b", "role", "manager"}, {"name", "Sanne", "role", "owner"}} {
		if resp, _ := b.post("/settings/people", append(bad, "password", herPassword)...); resp.StatusCode != 400 {
			t.Errorf("%v: %s", bad, resp.Status)
		}
	}
	b.post("/settings/people", "name", "Sanne", "role", "manager", "password", herPassword)
	if got := s.site.door.People(); !slices.Equal(got, []door.Person{{Name: "Sanne", Role: door.Manager}}) {
		t.Fatalf("%v", got)
	}
	hers := s.as("Sanne")
	if _, body := hers.get("/"); !strings.Contains(body, "Sanne · manager") {
		t.Error("the page does not say who is there")
	}
	if resp, _ := hers.get("/settings/people"); resp.StatusCode != 403 {
		t.Errorf("a manager at the passwords: %s", resp.Status)
	}
	b.post("/settings/people/Sanne/remove")
	if resp, _ := hers.get("/"); resp.Request.URL.Path != "/login" {
		t.Error("who was removed is still in")
	}
}

func TestBackupFromThePage(t *testing.T) {
	s := openShop(t)
	m := s.add("0612345678", "Uw fiets is klaar")
	b := s.browser(t)
	resp, body := b.post("/settings/backup")
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Options{Path: path}, slices.Concat(queue.Schema(), Schema())...)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	q, err := queue.New(queue.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := q.Get(m.ID); err != nil || got.Text() != m.Text() {
		t.Errorf("the message in the copy: %+v %v", got, err)
	}
}

// A technician sees what box and modem said to each other, and what went wrong
// lately; both from the page of the way.
func TestWayOutForATechnician(t *testing.T) {
	m := newHandy("Counter")
	m.Script(routetest.Accept, routetest.Busy, routetest.Refuse)
	s := openShop(t, m)
	until(t, func() bool { return s.queue.Routes()[0].State == route.Ready })
	b := s.browser(t)
	_, body := b.get("/ways/Counter?lang=en")
	if !strings.Contains(body, "Nothing, as far as is remembered.") || !strings.Contains(body, "/ways/Counter?trace=1#trace") || strings.Contains(body, "AT&#43;CSQ") {
		t.Errorf("before anything went wrong:\n%s", body)
	}
	if _, body := b.get("/ways/Counter?trace=1"); !strings.Contains(body, "<span>AT&#43;CSQ</span>") || strings.Index(body, "<span>OK</span>") > strings.Index(body, "<span>AT&#43;CSQ</span>") {
		t.Errorf("the newest line is not on top:\n%s", body)
	}
	w := s.watch("way/Counter", "en")
	w.until(func() bool { return strings.Contains(w.parts["care"], "4.20") })
	s.becomes(s.add("0612345678", "een").ID, queue.Sent)
	again := s.add("0612345679", "twee")
	refused := s.add("0612345680", "drie")
	s.becomes(refused.ID, queue.Failed)
	m.SetStatus(route.Status{State: route.Waiting, Code: "no_signal", Since: time.Now()})
	w.until(func() bool { return strings.Contains(w.parts["lately"], queue.Words("no_signal", "en", nil)) })
	for _, want := range []string{"The network refused it for now", "/messages/" + again.ID.String(), "Refused for good", "/messages/" + refused.ID.String()} {
		if !strings.Contains(w.parts["lately"], want) {
			t.Errorf("%q is not said in\n%s", want, w.parts["lately"])
		}
	}
	if first := strings.Index(w.parts["lately"], queue.Words("no_signal", "en", nil)); first > strings.Index(w.parts["lately"], "Refused for good") {
		t.Errorf("the newest is not on top:\n%s", w.parts["lately"])
	}
	if resp, _ := b.post("/ways/Counter/test"); resp.StatusCode != 200 || m.tests != 1 {
		t.Errorf("a self-test: %s, %d", resp.Status, m.tests)
	}
	if resp, body := b.post("/ways/Counter/test"); resp.StatusCode != 409 || !strings.Contains(body, "on its way already") {
		t.Errorf("a second one: %s", resp.Status)
	}
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	if err := s.site.door.SetPerson(t.Context(), door.Person{Name: "Sanne", Role: door.Manager}, herPassword); err != nil {
		t.Fatal(err)
	}
	c := s.browser(t)
	c.post("/login", "name", "Sanne", "password", herPassword)
	if _, body := c.get("/ways/Counter?trace=1"); strings.Contains(body, "AT&#43;CSQ") || !strings.Contains(body, "Refused for good") {
		t.Errorf("a manager sees\n%s", body)
	}
}
