package webui

import (
	"encoding/xml"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/webui/tally"
)

func TestWordsAreCompleteAndUsed(t *testing.T) {
	for key, texts := range words() {
		for _, lang := range queue.Languages {
			if strings.TrimSpace(texts[lang]) == "" {
				t.Errorf("%s has no %s", key, lang)
			}
			if args(texts[lang]) != args(texts["en"]) {
				t.Errorf("%s: %s has the arguments %s, en has %s", key, lang, args(texts[lang]), args(texts["en"]))
			}
		}
	}
	// Keys that are built from a code of the program.
	used := map[string]bool{}
	for _, s := range queue.States {
		used["st_"+string(s)] = true
	}
	for _, k := range []string{
		"kind_modem", "kind_smpp", "kind_email", "kind_transactional", "kind_marketing", "lamp_ok", "lamp_info", "lamp_warn", "lamp_stop",
		"ev_part_sent", "ev_part_unknown", "ev_part_refused", "ev_report_delivered", "ev_report_undelivered",
		"ev_report_part_delivered", "ev_report_part_undelivered", "resume", "restart", "man_managers", "man_technicians", "man_tills", "man_failures", "set_ways", "set_values", "set_keys", "set_people", "set_log", "set_backup", "set_by_default", "set_by_store", "step_password", "step_place", "step_modem", "step_pin", "step_test", "scope_send", "scope_read", "scope_manage",
		"scope_admin", "scope_query", "may_cashier", "may_manager", "may_technician", "quota_parts_per_minute", "quota_parts_per_hour", "quota_parts_per_day",
		"quota_recipients_per_month", "missing_refuse", "missing_default", "missing_leave_out", "encoding_smart", "encoding_gsm7", "encoding_ucs2", "encoding_ascii",
		"sub_contacts", "who_given", "who_none", "who_withdrawn", "who_optout", "who_out", "is_given", "is_none", "is_withdrawn", "is_optout", "is_out", "f_id", "f_name", "f_first_name", "f_last_name", "f_number", "f_email", "f_birthday", "f_status",
		"hint_id", "hint_name", "hint_number", "hint_status", "type_text", "type_number", "type_date", "type_yesno", "type_list", "channel_sms", "channel_email", "booking_pending", "booking_confirmed", "booking_rejected", "booking_cancelled",
		"sub_texts", "sub_campaigns", "sub_bookings", "sub_rules", "role_owner", "role_manager", "role_technician", "role_cashier",
	} {
		used[k] = true
	}
	for _, k := range append(composedOfReach(), composed...) {
		used[k] = true
	}
	for _, w := range whys {
		used[w.key] = true
	}
	for _, kind := range []string{"number", "date", "yesno"} {
		used["bad_attribute_"+kind] = true
	}
	said := refusals(t)
	for key := range words() {
		if code, ok := strings.CutPrefix(key, "bad_"); ok && strings.Contains(said, `"`+code+`"`) {
			used[key] = true
		}
	}
	for _, chapter := range book().chapters {
		used["ch_"+chapter], used["ch_"+chapter+"_text"] = true, true
	}
	var sources strings.Builder
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !strings.Contains(path, "/") && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "templates/") {
			body, err := os.ReadFile(path)
			sources.Write(body)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\bT (?:"|\()?"?([a-z_]+)"|\bT\("([a-z_]+)"|"((?:ev|hand|signal|au|ca|bo|ru)_[a-z_]+)"|"(trouble_h|trouble_text|gone_h|not_yours_h)"`).FindAllStringSubmatch(sources.String(), -1) {
		for _, key := range m[1:] {
			if key == "" || strings.HasSuffix(key, "_") {
				continue
			}
			used[key] = true
			if _, ok := words()[key]; !ok {
				t.Errorf("%q is said and is not in words.csv", key)
			}
		}
	}
	for key := range words() {
		if !used[key] {
			t.Errorf("%q is in words.csv and is never said", key)
		}
	}
}

// refusals are the sources of whoever refuses what a form says, by code.
func refusals(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{".", "../queue", "../queue/outreach", "../queue/text"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(body)
		}
	}
	return all.String()
}

func args(s string) string {
	found := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(s, -1)
	slices.Sort(found)
	return strings.Join(found, "")
}

func TestMasked(t *testing.T) {
	for number, want := range map[string]string{
		"+31612345678": "+31 6 ** ** 56 78", "+4915112345678": "+49 1 ** ** 56 78", "+12025550123": "+1 2 ** ** 01 23",
		"+352621123456": "+352 6 ** ** 34 56", "8080": "8080", "+46701234567": "+46 7 ** ** 45 67", "+4512345678": "+45 1 ** ** 56 78",
	} {
		if got := masked(number); got != want {
			t.Errorf("%s: %s, want %s", number, got, want)
		}
	}
}

func TestAir(t *testing.T) {
	for dBm, want := range map[int]int{-51: 4, -73: 4, -74: 3, -83: 3, -85: 2, -94: 2, -95: 1, -109: 1, -110: 0, -113: 0} {
		if n, _ := air(&dBm); n != want {
			t.Errorf("%d dBm: %d bars, want %d", dBm, n, want)
		}
	}
	if n, word := air(nil); n != -1 || word != "signal_unknown" {
		t.Errorf("no signal known: %d %s", n, word)
	}
}

func TestTook(t *testing.T) {
	p := &page{Lang: "en"}
	for d, want := range map[time.Duration]string{
		300 * time.Millisecond: "a second", 42 * time.Second: "42 seconds", 9 * time.Minute: "9 minutes", 5 * time.Hour: "5 hours", 80 * time.Hour: "3 days",
	} {
		if got := p.Took(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// Whatever the day was like, the drawing is well-formed, stays in its frame,
// says its finding, and has no style of its own.
func TestChart(t *testing.T) {
	p := &page{site: &Site{cfg: Config{Location: time.UTC}}, Lang: "de", Now: time.Date(2026, 11, 24, 14, 32, 0, 0, time.UTC)}
	rnd := rand.New(rand.NewPCG(1, 2))
	days := []tally.Day{{}, {Hours: [24]tally.Hour{0: {tally.Failed: 1}, 23: {tally.Delivered: 100_000, tally.Sent: 1}}}}
	for range 50 {
		var d tally.Day
		for h := range d.Hours {
			for f := range d.Hours[h] {
				d.Hours[h][f] = rnd.IntN(1 << rnd.IntN(18))
			}
		}
		days = append(days, d)
	}
	for i := range days {
		c := p.chart(&days[i])
		for _, f := range []struct {
			frame
			drawn string
		}{{wide, string(c.Wide)}, {narrow, string(c.Narrow)}} {
			checkDrawing(t, f.drawn, f.width)
			if !strings.Contains(f.drawn, "<desc id=") || !strings.Contains(f.drawn, c.Says) {
				t.Errorf("the drawing does not say its finding: %s", c.Says)
			}
		}
	}
	if says := p.chart(&days[0]).Says; says != say("de", "chart_empty") {
		t.Errorf("an empty day: %s", says)
	}
}

func checkDrawing(t *testing.T, drawn string, width int) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(drawn))
	rects := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, drawn)
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		at := map[string]int{}
		for _, a := range e.Attr {
			if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
				t.Fatalf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
			}
			n := 0
			for _, r := range a.Value {
				if r < '0' || r > '9' {
					n = -1
					break
				}
				n = n*10 + int(r-'0')
			}
			at[a.Name.Local] = n
		}
		if e.Name.Local == "rect" {
			rects++
			if at["x"] < chartLeft || at["x"]+at["width"] > width || at["y"] < 0 || at["y"]+at["height"] > chartBase+2+chartBelow {
				t.Fatalf("a bar leaves the frame: %v", at)
			}
		}
	}
}

func TestTrafficChartOnItsOwn(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	resp, body := b.get("/charts/traffic.svg")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "image/svg+xml" || resp.Header.Get("Content-Security-Policy") != policy {
		t.Errorf("%s, %s", resp.Status, resp.Header)
	}
	if !strings.HasPrefix(body, `<?xml-stylesheet type="text/css" href="/static/tillpost.css?v=`) || !strings.Contains(body, "Nothing has been sent today.") {
		t.Errorf("%.300s", body)
	}
	d := xml.NewDecoder(strings.NewReader(body))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// The charts of the day are well-formed, say their finding, and have nothing
// inline, with data and without.
func TestChartsOfTheDay(t *testing.T) {
	s := furnish(t)
	b := s.browser(t)
	b.post("/login", "password", password)
	s.site.pulse.Sample()
	for path, says := range map[string]string{
		"/charts/queue.svg": "Nobody had to wait.", "/charts/delivery.svg": "15 messages", "/charts/signal/Counter.svg": "-71 dBm", "/charts/signal/Window.svg": "-88 dBm",
	} {
		resp, body := b.get(path)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(body, says) || !strings.Contains(body, "<title id=") {
			t.Errorf("%s: %s\n%s", path, resp.Status, body)
		}
		if m := inline.FindString(body); m != "" {
			t.Errorf("%s has something inline: %q", path, m)
		}
		for d := xml.NewDecoder(strings.NewReader(body)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
	for _, path := range []string{"/charts/nothing.svg", "/charts/signal/Nobody.svg"} {
		if resp, _ := b.get(path); resp.StatusCode != 404 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// A form inside a paragraph ends the paragraph where the form begins (HTML
// §4.4.1): what stands in a row then stands in a heap.
func TestNoFormStandsInAParagraph(t *testing.T) {
	err := fs.WalkDir(files, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		page, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		for _, p := range regexp.MustCompile(`(?s)<p[ >].*?</p>`).FindAllString(string(page), -1) {
			if strings.Contains(p, "<form") {
				t.Errorf("%s: %.80s…", path, p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
