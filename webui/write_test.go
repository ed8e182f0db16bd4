package webui

import (
	"encoding/csv"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/route/routetest"
	"tillpost/webui/door"
)

func (s *shop) all() []*queue.Message {
	s.t.Helper()
	list, _, err := s.queue.List(queue.Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// A form is accepted whole or not at all, and says what is wrong in words.
func TestWriteIsAcceptedWholeOrNot(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	for name, c := range map[string]struct {
		fields []string
		says   string
	}{
		"nobody":           {[]string{"text", "Hoi"}, "Say to whom it goes"},
		"no text":          {[]string{"to", "0612345678", "text", "  "}, "There is no text yet"},
		"one wrong number": {[]string{"to", "0612345678\n06-12", "text", "Hoi"}, "This phone number is not valid: 06-12"},
		"a time long gone": {[]string{"to", "0612345678", "text", "Hoi", "when", "at", "at", "2020-01-01T10:00"}, "Choose a time that is still to come"},
		"no time at all":   {[]string{"to", "0612345678", "text", "Hoi", "when", "at", "at", "soon"}, "Choose a time that is still to come"},
		"far too long":     {[]string{"to", "0612345678", "text", strings.Repeat("fiets ", 400)}, "This text is too long"},
		"too many":         {[]string{"to", strings.Repeat("0612345678,1", 250), "text", "Hoi"}, "From here at most 200 go at once"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "too many" {
				var all strings.Builder
				for i := range 201 {
					all.WriteString("06" + strings.Repeat("1", 5) + itoa(uint64(100+i)) + "\n")
				}
				c.fields[1] = all.String()
			}
			resp, body := b.post("/write", append(c.fields, "do", "send")...)
			if resp.StatusCode != 400 || !strings.Contains(html.UnescapeString(body), c.says) {
				t.Errorf("%s, want %q in\n%s", resp.Status, c.says, body)
			}
		})
	}
	_, body := b.post("/write", "to", "0612345678", "text", "Korting", "class", "marketing", "do", "send")
	if said := html.UnescapeString(body); !strings.Contains(said, "0612345678: nobody with this number has agreed to advertising") {
		t.Errorf("advertising to a stranger:\n%s", said)
	}
	if n := len(s.all()); n != 0 {
		t.Errorf("%d messages were accepted", n)
	}

	for id, number := range map[string]string{"1": "0612345678", "2": "0612345679"} {
		if _, err := s.site.outreach.PutContact(t.Context(), outreach.Contact{ID: id, Number: number}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.site.outreach.AddConsent(t.Context(), outreach.Consent{Contact: id, Purpose: outreach.Marketing, Granted: true, How: "form"}); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().UTC().Add(48 * time.Hour)
	b.post("/write", "to", "0612345678\n+31 6 1234 5678; 0612345679", "text", "Tot dan", "when", "at", "at", at.Format("2006-01-02T15:04"), "class", "marketing", "do", "send")
	list := s.all()
	if len(list) != 2 {
		t.Fatalf("%d messages, want one for each of two people", len(list))
	}
	for _, m := range list {
		if m.State != queue.Scheduled || !m.At.Equal(at.Truncate(time.Minute)) || m.Class != queue.Marketing || m.Till != "page" {
			t.Errorf("%+v", m)
		}
	}
}

func TestTheSameFormTwiceIsOneMessage(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	fields := []string{"to", "0612345678", "text", "Uw fiets is klaar", "do", "send", "once", "abc"}
	first, _ := b.post("/write", fields...)
	second, _ := b.post("/write", fields...)
	if first.Request.URL.Path != second.Request.URL.Path || len(s.all()) != 1 {
		t.Errorf("led to %s, then %s; %d messages", first.Request.URL.Path, second.Request.URL.Path, len(s.all()))
	}
	// One that was refused may be sent again once it is right.
	b.post("/write", "to", "06", "text", "x", "do", "send", "once", "def")
	if resp, _ := b.post("/write", "to", "0612345679", "text", "x", "do", "send", "once", "def"); !strings.HasPrefix(resp.Request.URL.Path, "/messages/") {
		t.Errorf("the corrected form led to %s", resp.Request.URL)
	}
}

func TestTestToMyselfKeepsTheForm(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	if resp, body := b.post("/write", "text", "Proef", "do", "test"); resp.StatusCode != 400 || !strings.Contains(body, "Write your own number") {
		t.Errorf("without a number: %s", resp.Status)
	}
	_, body := b.post("/write", "to", "0612345678", "text", "Proef", "me", "06 1234 5679", "class", "marketing", "do", "test")
	list := s.all()
	if len(list) != 1 || list[0].To != "+31612345679" || list[0].Class != queue.Transactional {
		t.Fatalf("%+v", list)
	}
	if !strings.Contains(body, ">Proef</textarea>") || !strings.Contains(body, "/messages/"+list[0].ID.String()) {
		t.Errorf("the form after a test:\n%s", body)
	}
	if _, body := b.get("/write"); !strings.Contains(body, `value="0612345679"`) {
		t.Error("one's own number is not remembered")
	}
}

const herPassword = "vier heel losse woorden"

// team is a shop with a person of each role.
func team(t *testing.T) *shop {
	t.Helper()
	counter := routetest.NewFake("Counter")
	s := openShop(t, counter)
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]door.Role{"Sanne": door.Cashier, "Lars": door.Cashier, "Mia": door.Manager, "Theo": door.Technician} {
		if err := s.site.door.SetPerson(t.Context(), door.Person{Name: name, Role: role}, herPassword); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// as is a browser in which somebody has logged in.
func (s *shop) as(name string) *browser {
	s.t.Helper()
	b := s.browser(s.t)
	if name == "" {
		b.post("/login", "password", password)
	} else if resp, body := b.post("/login", "name", name, "password", herPassword); resp.Request.URL.Path == "/login" {
		s.t.Fatalf("%s cannot log in: %s\n%s", name, resp.Status, body)
	}
	return b
}

// What each role finds at each address. 200 is the page, 403 a plain no, 404
// that there is no such thing for them.
func TestRoles(t *testing.T) {
	s := team(t)
	theirs := s.add("0612345678", "Van de kassa")
	in := map[string]*browser{}
	for _, name := range []string{"Sanne", "Mia", "Theo", ""} {
		in[name] = s.as(name)
	}
	b := in["Sanne"]
	resp, _ := b.post("/write", "to", "0612345679", "text", "Van Sanne", "do", "send")
	hers := resp.Request.URL.Path
	for path, want := range map[string][4]int{ // Sanne, Mia, Theo, the owner
		"/write":                          {200, 200, 200, 200},
		"/messages":                       {200, 200, 200, 200},
		hers:                              {200, 200, 200, 200},
		"/messages/" + theirs.ID.String(): {404, 200, 200, 200},
		"/messages.csv":                   {200, 200, 200, 200},
		"/charts/traffic.svg":             {403, 200, 200, 200},
		"POST /routes/Counter/pause":      {403, 200, 200, 200},
		"POST /messages/" + theirs.ID.String() + "/resend": {404, 200, 404, 200},
	} {
		for i, name := range []string{"Sanne", "Mia", "Theo", ""} {
			b := in[name]
			get := b.get
			at, post := strings.CutPrefix(path, "POST ")
			if post {
				get = func(path string) (*http.Response, string) { return b.post(path) }
			}
			if resp, _ := get(at); resp.StatusCode != want[i] && !(post && want[i] == 200 && resp.StatusCode == 409) {
				t.Errorf("%s for %q: %d, want %d", path, name, resp.StatusCode, want[i])
			}
		}
	}
	if resp, _ := b.get("/"); resp.Request.URL.Path != "/write" {
		t.Errorf("a cashier begins at %s", resp.Request.URL.Path)
	}
	if _, body := b.get("/messages"); strings.Contains(body, "Van de kassa") || !strings.Contains(body, "Van Sanne") {
		t.Errorf("the messages of a cashier:\n%s", body)
	}
	if _, body := s.as("Lars").get("/messages.csv"); strings.Contains(body, "Sanne") {
		t.Errorf("another cashier's file:\n%s", body)
	}
	// A whole number is for the manager and the owner.
	for name, whole := range map[string]bool{"Sanne": false, "Theo": false, "Mia": true, "": true} {
		if _, body := in[name].get(hers); strings.Contains(html.UnescapeString(body), "+31 6 12 34 56 79") != whole {
			t.Errorf("%q sees the whole number: %t", name, !whole)
		}
	}
	if _, body := in["Mia"].get(hers); !strings.Contains(body, "Accepted from sanne") {
		t.Errorf("the story does not say who wrote:\n%s", body)
	}
	// Nor does a cashier's page follow what is not hers.
	if _, err := s.site.board.draw("overview", "en", door.Person{Name: "Sanne", Role: door.Cashier}); err == nil {
		t.Error("a cashier may follow the overview")
	}
	if _, err := s.site.board.draw("message/"+theirs.ID.String(), "en", door.Person{Name: "Sanne", Role: door.Cashier}); err == nil {
		t.Error("a cashier may follow others' messages")
	}
}

func TestSearch(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	s.add("0612345678", "Uw fiets is klaar")
	s.add("0687654321", "Herinnering: morgen om 10:30")
	b.post("/write", "to", "0612345670", "text", "=Van de winkel", "do", "send")
	for query, want := range map[string]string{ // texts that are found
		"q=FIETS":                   "Uw fiets is klaar",
		"q=0687654321":              "Herinnering: morgen om 10:30",
		"q=%2B31+6+87+65+43+21":     "Herinnering: morgen om 10:30",
		"q=4321":                    "Herinnering: morgen om 10:30",
		"q=10:30":                   "Herinnering: morgen om 10:30",
		"from=the+shop":             "=Van de winkel",
		"from=till-1&q=klaar":       "Uw fiets is klaar",
		"since=2020-01-01&q=morgen": "Herinnering: morgen om 10:30",
		"until=2020-01-01":          "",
		"since=2999-01-01":          "",
		"state=delivered":           "",
		"state=queued&q=fiets":      "Uw fiets is klaar",
		"q=nothing+of+the+kind":     "",
	} {
		_, body := b.get("/messages?lang=en&" + query)
		body = html.UnescapeString(body)
		for _, text := range []string{"Uw fiets is klaar", "Herinnering: morgen om 10:30", "=Van de winkel"} {
			if strings.Contains(body, `<span class="say">`+text) != (text == want) {
				t.Errorf("%s: %q is found: %t", query, text, text != want)
			}
		}
		if want == "" && !strings.Contains(body, "Nothing found") {
			t.Errorf("%s: an empty page does not say so", query)
		}
	}
	resp, body := b.get("/messages.csv?from=the+shop")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 2 || !strings.Contains(resp.Header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%v %v\n%s", err, resp.Header, body)
	}
	if rows[1][6] != "'=Van de winkel" || rows[1][3] != "'+31612345670" {
		t.Errorf("a cell can be a formula: %q", rows[1])
	}
}

// A search that finds little stops after a while, and goes on where it stopped
// until everything was looked through.
func TestSearchGoesOn(t *testing.T) {
	s := openShop(t)
	first := s.add("0612345678", "De naald")
	for range 3 {
		drafts := make([]queue.Draft, 2000)
		for i := range drafts {
			drafts[i] = queue.Draft{Till: "till-1", To: "0612345679", Text: "Hooi"}
		}
		if _, err := s.site.acceptAll(t.Context(), drafts); err != nil {
			t.Fatal(err)
		}
	}
	p := &page{site: s.site, Lang: "en", Now: time.Now(), Who: door.Person{Role: door.Owner}}
	f := search{Words: "naald"}
	for n := 0; ; n++ {
		v, err := s.site.readMessages(p, f)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Rows) == 1 && v.Rows[0].ID == first.ID.String() {
			if n == 0 {
				t.Error("6,000 messages were looked through at once")
			}
			return
		}
		if !v.GoOn || v.Older == "" || n > 100 {
			t.Fatalf("the search stopped: %+v", v)
		}
		at, err := url.Parse(v.Older)
		if err != nil {
			t.Fatal(err)
		}
		f = readSearch(at.Query())
	}
}

func TestGrouped(t *testing.T) {
	for number, want := range map[string]string{
		"+31612345678": "+31 6 12 34 56 78", "+4915112345678": "+49 1 51 12 34 56 78", "+12025550123": "+1 20 25 55 01 23",
		"+352621123456": "+352 6 21 12 34 56", "8080": "8080",
	} {
		if got := grouped(number); got != want {
			t.Errorf("%s: %s, want %s", number, got, want)
		}
	}
}
