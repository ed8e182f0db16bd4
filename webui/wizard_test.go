package webui

import (
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/webui/api"
)

// stored is what a shop keeps of one setting; empty: nothing.
func (s *shop) stored(key string) string {
	s.t.Helper()
	all, err := api.Stored(s.db)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(all[key])
}

// The wizard from the second screen on, by a browser without scripts.
func TestWizard(t *testing.T) {
	m := newHandy("Counter")
	s := openShop(t, m)
	b := s.browser(t)
	if _, body := b.get("/setup/place"); !strings.Contains(body, `<option value="NL" selected>Nederland`) {
		t.Errorf("the country is not chosen:\n%s", body)
	}
	if resp, _ := b.post("/setup/place", "country", "NL", "language", "en"); resp.Request.URL.Path != "/setup/modem" || s.changed.Load() != 0 {
		t.Errorf("nothing new led to %s, and %d beginnings", resp.Request.URL, s.changed.Load())
	}
	_, body := b.post("/setup/place", "country", "SE", "language", "sv")
	if s.stored("country") != `"SE"` || s.stored("language") != `"sv"` || s.changed.Load() != 1 || !strings.Contains(body, `<html lang="sv"`) || !strings.Contains(body, `href="/setup/modem"`) {
		t.Errorf("stored %s and %s, %d beginnings\n%s", s.stored("country"), s.stored("language"), s.changed.Load(), body)
	}
	b.get("/setup/modem?lang=en")
	m.SetStatus(route.Status{State: route.Hand, Code: "sim_pin", Since: time.Now()})
	until(t, func() bool { _, body := b.get("/setup/pin"); return strings.Contains(body, `id="pin-Counter"`) })
	if resp, _ := b.post("/ways/Counter/pin?from=setup", "pin", "1234"); resp.Request.URL.Path != "/setup/test" {
		t.Errorf("the PIN led to %s", resp.Request.URL)
	}
	m.SetStatus(route.Status{State: route.Ready, Since: time.Now()})
	until(t, func() bool { _, body := b.get("/setup/pin"); return strings.Contains(body, "No SIM asks for a PIN") })
	for number, says := range map[string]string{"": "Write your own number", "06": "This phone number is not valid: 06"} {
		if resp, body := b.post("/setup/test", "me", number); resp.StatusCode != 400 || !strings.Contains(body, says) {
			t.Errorf("a test to %q: %s", number, resp.Status)
		}
	}
	if resp, body := b.post("/setup/test", "me", "0612345678"); !strings.HasPrefix(resp.Request.URL.Path, "/messages/") || !strings.Contains(body, "first message of your Tillpost box") {
		t.Errorf("the test led to %s", resp.Request.URL)
	}
	for _, path := range []string{"/setup/password", "/setup/nothing"} {
		if resp, _ := b.get(path); resp.StatusCode != 404 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestValuesAreSetFromThePage(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	_, body := b.get("/settings/values")
	if !strings.Contains(body, "set by file") || strings.Contains(body, `value="timezone"`) || strings.Contains(body, `value="data_dir"`) {
		t.Errorf("what the file says must be shown and not be offered:\n%s", body)
	}
	for _, c := range []struct {
		name, value, kept, says string
		status                  int
	}{
		{"limits.max_parts", "4", "4", "is kept", 200},
		{"limits.max_parts", "4000", "4", "must be at most 255", 400},
		{"limits.max_parts", "many", "4", "is not a value for limits.max_parts", 400},
		{"limits.countries", `["NL","BE"]`, `["NL","BE"]`, "is kept", 200},
		{"quiet_hours.enabled", "false", "false", "is kept", 200},
		{"country", "BE", `"BE"`, "is kept", 200},
		{"timezone", "CET", "", "boot file", 409},
		{"nonsense", "1", "", "There is nothing here", 404},
	} {
		resp, body := b.post("/settings/values", "name", c.name, "value", c.value)
		if resp.StatusCode != c.status || !strings.Contains(body, c.says) || s.stored(c.name) != c.kept {
			t.Errorf("%s = %s: %s, stored %s", c.name, c.value, resp.Status, s.stored(c.name))
		}
	}
	if b.post("/settings/values", "name", "country", "do", "usual"); s.stored("country") != "" {
		t.Errorf("the usual country is not back: %s", s.stored("country"))
	}
}
