package webui

import (
	"bytes"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/door"
)

// inShop is a shop with customers whose manager sits at a browser without
// scripts.
func inShop(t *testing.T) (*furnished, *browser) {
	t.Helper()
	f := furnish(t)
	f.register()
	return f, f.as(t, door.Manager)
}

func (b *browser) shows(what, body string, words ...string) {
	b.t.Helper()
	said := html.UnescapeString(mainOf(body))
	for _, w := range words {
		if !strings.Contains(said, w) {
			b.t.Errorf("%s does not say %q:\n%s", what, w, said)
		}
	}
}

func TestACampaignFromItsFormToItsReport(t *testing.T) {
	f, b := inShop(t)
	f.runs()
	_, body := b.get("/new/campaign")
	b.shows("the form", body, "only those who", "The first message leaves within 15 minutes")

	// One more line, and nothing that was filled in is lost.
	fields := []string{"name", "Frühjahrs Check", "say", "own", "text_nl", "Beste {first_name}, tot ziens!", "missing", "refuse", "who", "some", "join", "any", "class", "transactional",
		"c_field", "fiets", "c_op", "is", "c_value", "Cortina E-U4", "c_field", "fiets", "c_op", "is", "c_value", "Gazelle Orange", "consent", "usual", "when", "now", "gap", "0,1", "each", "on"}
	_, body = b.send("/campaigns", append(fields, "do", "row c")...)
	if n := strings.Count(body, `name="c_field"`); n != 5 || !strings.Contains(body, "Beste {first_name}, tot ziens!") {
		t.Errorf("%d lines of conditions\n%s", n, body)
	}
	resp, body := b.send("/campaigns", append(fields, "do", "save")...)
	if resp.Request.URL.Path != "/campaigns/Fruhjahrs-Check" {
		t.Fatalf("saving led to %s\n%s", resp.Request.URL, mainOf(body))
	}
	c, err := f.site.outreach.Campaign("Fruhjahrs-Check")
	if err != nil || len(c.Audience.Any) != 2 || c.Throttle.Gap != 0.1 || c.Class != queue.Transactional || c.By != "page/manager" {
		t.Fatalf("%+v, %v", c, err)
	}
	b.shows("the draft", body, "Kept out, wil geen contact meer", "fiets is Cortina E-U4 or fiets is Gazelle Orange", "Beste Anna, tot ziens!", "a second between two messages")

	// A test to oneself, under a reference that no customer has.
	_, body = b.send("/campaigns/Fruhjahrs-Check/test", "me", "06 99 99 99 99")
	b.shows("the test", body, "The test is on its way to you.")
	if list, _, err := f.queue.List(queue.Filter{To: "+31699999999", Limit: 1}); err != nil || len(list) != 1 || list[0].Ref != "TEST" {
		t.Errorf("%v %v", list, err)
	}
	if resp, body = b.send("/campaigns/Fruhjahrs-Check/test", "me", "12"); resp.StatusCode != 400 {
		t.Errorf("a test to 12: %s\n%s", resp.Status, mainOf(body))
	}

	// The numbers again, and then it goes.
	_, body = b.get("/campaigns/Fruhjahrs-Check/start")
	b.shows("the confirmation", body, "Start it?", "Send to 7 people: 7 SMS")
	resp, body = b.send("/campaigns/Fruhjahrs-Check/start")
	if resp.Request.URL.Path != "/campaigns/Fruhjahrs-Check" || !strings.Contains(body, "of 7 people") {
		t.Fatalf("starting led to %s\n%s", resp.Request.URL, mainOf(body))
	}
	f.campaignIs("Fruhjahrs-Check", outreach.CampaignHanded, outreach.CampaignDone)
	until(t, func() bool {
		_, body = b.get("/campaigns/Fruhjahrs-Check")
		return strings.Contains(mainOf(body), "7 of 7 people")
	})
	b.shows("the report", body, "Everybody on the list", "Anna de Vries", "+31 6 ** ** 10 00", "Delivered")
	if strings.Contains(body, "612341000") {
		t.Error("a list shows a whole number")
	}
	resp, body = b.get("/campaigns/Fruhjahrs-Check/list.csv")
	if lines := strings.Split(strings.TrimSpace(body), "\n"); len(lines) != 8 || !strings.Contains(body, "D1001,Anna de Vries,'+31612341000,") || !strings.Contains(resp.Header.Get("Content-Disposition"), "Fruhjahrs-Check.csv") {
		t.Errorf("the file:\n%s", body)
	}
	_, body = b.get("/campaigns/Fruhjahrs-Check/print")
	b.shows("the list on paper", body, "Anna de Vries", "Bram Hendriks")
	_, body = b.get("/campaigns")
	b.shows("the list", body, "Fruhjahrs-Check", "7 of 7 people")
	// What has gone out is not changed, and can be used again.
	if resp, _ = b.get("/campaigns/Fruhjahrs-Check/edit"); resp.StatusCode != 404 {
		t.Errorf("the form of what has gone out: %s", resp.Status)
	}
	_, body = b.get("/new/campaign?like=Fruhjahrs-Check")
	if !strings.Contains(body, `value="Fruhjahrs-Check-2"`) || !strings.Contains(body, `value="Gazelle Orange"`) {
		t.Errorf("used again:\n%s", body)
	}
}

func TestACampaignIsPausedAndStopped(t *testing.T) {
	f, b := inShop(t)
	f.runs()
	b.send("/campaigns", "name", "traag", "say", "own", "text_nl", "Hallo", "who", "everybody", "class", "transactional", "consent", "usual", "when", "now", "gap", "60", "each", "on")
	b.send("/campaigns/traag/start")
	until(t, func() bool {
		c, err := f.site.outreach.Campaign("traag")
		return err == nil && c.Handed == 1
	})
	_, body := b.send("/campaigns/traag/pause")
	b.shows("paused", body, "Paused", "Nothing leaves until somebody lets it go on.", "Go on sending")
	_, body = b.send("/campaigns/traag/resume")
	f.campaignIs("traag", outreach.CampaignRunning)
	// Nothing is stopped by a single press.
	_, body = b.get("/campaigns/traag/stop")
	b.shows("the question", body, "Stop for good?", "people will not get it, and that cannot be undone")
	if c, _ := f.site.outreach.Campaign("traag"); c.State != outreach.CampaignRunning {
		t.Errorf("the question alone made it %s", c.State)
	}
	b.send("/campaigns/traag/stop")
	f.campaignIs("traag", outreach.CampaignStopped)
	if resp, body := b.send("/campaigns/traag/resume"); resp.StatusCode != http.StatusConflict || !strings.Contains(body, "That cannot be done now") {
		t.Errorf("resumed what was stopped: %s", resp.Status)
	}
	if resp, _ := b.send("/campaigns/traag/delete"); resp.Request.URL.Path != "/campaigns" {
		t.Errorf("deleting led to %s", resp.Request.URL)
	}
	if resp, _ := b.get("/campaigns/traag"); resp.StatusCode != 404 {
		t.Errorf("it is still there: %s", resp.Status)
	}
	for _, act := range []string{"start", "explode"} {
		if resp, _ := b.send("/campaigns/nothing/" + act); resp.StatusCode != 404 {
			t.Errorf("%s of nothing: %s", act, resp.Status)
		}
	}
}

func TestACampaignBringsAList(t *testing.T) {
	f, b := inShop(t)
	common := []string{"name", "dicht", "say", "own", "text_nl", "Hallo {name}", "who", "list", "class", "transactional", "consent", "usual", "when", "now", "each", "on"}
	resp, body := b.send("/campaigns", common...)
	if resp.StatusCode != 400 || !strings.Contains(body, "The list is empty.") {
		t.Fatalf("an empty list: %s\n%s", resp.Status, mainOf(body))
	}
	_, body = b.send("/campaigns", append(slices.Clone(common), "list", "06-12341000\r\n06 1234 1001\r\n020-1234567")...)
	b.shows("a pasted list", body, "a list of 3", "Fixed line", "Hallo Anna de Vries")

	// A file goes before what is pasted, and the next change of the text leaves
	// it as it is.
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for i := 0; i+1 < len(common); i += 2 {
		if err := w.WriteField(common[i], common[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", "klanten.csv")
	if err == nil {
		_, err = fmt.Fprint(file, "mobiel;name\n0612342000;Bram\n0612342001;Ås\n")
	}
	if err == nil {
		err = w.WriteField("was", "dicht")
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	_, body = b.read(b.http.Post(b.base+"/campaigns", w.FormDataContentType(), &form))
	b.shows("a file", body, "a list of 2", "Hallo Bram")
	_, body = b.send("/campaigns", append(slices.Clone(common), "was", "dicht", "text_nl", "")...)
	if c, err := f.site.outreach.Campaign("dicht"); err != nil || c.Listed != 2 {
		t.Errorf("%+v, %v\n%s", c, err, mainOf(body))
	}
	_, body = b.get("/campaigns/dicht/edit")
	if !strings.Contains(body, "2 rows are here") {
		t.Errorf("the form does not say that it has a list:\n%s", mainOf(body))
	}
}

// What is wrong with a form is said in the reader's language, and nothing of it
// is lost.
func TestWhatIsWrongWithACampaign(t *testing.T) {
	_, b := inShop(t)
	good := map[string]string{"name": "goed", "say": "own", "text_nl": "Hallo", "who": "everybody", "class": "transactional", "consent": "usual", "when": "now", "each": "on"}
	for name, c := range map[string]struct {
		change []string
		says   string
	}{
		"no name":             {[]string{"name", "!!!"}, "De naam ontbreekt"},
		"no text":             {[]string{"text_nl", ""}, "Er staat geen tekst."},
		"nobody":              {[]string{"who", "some"}, "Zeg voor wie het is"},
		"a past time":         {[]string{"when", "at", "at", "2026-01-02T10:00"}, "Dat moment is voorbij."},
		"no time":             {[]string{"when", "at", "at", ""}, "De dag of de tijd is niet te lezen."},
		"no event":            {[]string{"when", "event", "span_n", "3", "span_unit", "hours", "span_side", "before"}, "Zeg welk evenement"},
		"a pause without x":   {[]string{"pause", "60"}, "Er ontbreekt een veld."},
		"a gap of words":      {[]string{"gap", "lang"}, "geen getal lang"},
		"proof without place": {[]string{"class", "marketing", "consent", "proof", "source", "", "since", "2026-01-02"}, "Zeg waar de toestemming staat"},
		"a wrong comparison":  {[]string{"who", "some", "c_field", "punten", "c_op", "at_least", "c_value", "veel"}, "een getal of een dag"},
		"nobody to tell":      {[]string{"tell", "1"}, "geen mobiel nummer"},
	} {
		t.Run(name, func(t *testing.T) {
			fields := map[string]string{}
			for k, v := range good {
				fields[k] = v
			}
			for i := 0; i+1 < len(c.change); i += 2 {
				fields[c.change[i]] = c.change[i+1]
			}
			var list []string
			for k, v := range fields {
				list = append(list, k, v)
			}
			resp, body := b.send("/campaigns?lang=nl", list...)
			if resp.StatusCode != 400 || !strings.Contains(mainOf(body), c.says) {
				t.Errorf("%s, wants %q:\n%s", resp.Status, c.says, mainOf(body))
			}
		})
	}
	var list []string
	for k, v := range good {
		list = append(list, k, v)
	}
	b.send("/campaigns", list...)
	if resp, body := b.send("/campaigns?lang=nl", list...); resp.StatusCode != 400 || !strings.Contains(body, "goed bestaat al") {
		t.Errorf("a name in use: %s", resp.Status)
	}
}

// A campaign that a program made keeps what the form cannot say.
func TestTheFormKeepsWhatItCannotSay(t *testing.T) {
	f, b := inShop(t)
	deep := outreach.Audience{All: []outreach.Condition{{Any: []outreach.Condition{{Field: "fiets", Op: "set"}, {Field: "punten", Op: "at_least", Value: plainValue("100")}}}}}
	start := f.queue.Now().Add(48 * time.Hour)
	_, err := f.site.outreach.PutCampaign(t.Context(), outreach.Campaign{Name: "api", Texts: map[string]string{"nl": "Hallo"}, Vars: map[string]string{"zaal": "1"}, Audience: deep,
		When: outreach.When{EventStart: start, Offset: outreach.Span{Rest: -time.Hour}}}, "uid:0")
	if err != nil {
		t.Fatal(err)
	}
	_, body := b.get("/campaigns/api/edit")
	b.shows("the form", body, "(fiets is known or punten is at least 100)", "1 hour before the event")
	if resp, body := b.send("/campaigns", "was", "api", "say", "own", "text_nl", "Dag", "who", "kept", "class", "marketing", "consent", "usual", "when", "kept", "each", "on"); resp.Request.URL.Path != "/campaigns/api" {
		t.Fatalf("%s\n%s", resp.Request.URL, mainOf(body))
	}
	c, err := f.site.outreach.Campaign("api")
	if err != nil || len(c.Audience.All) != 1 || len(c.Audience.All[0].Any) != 2 || !c.When.EventStart.Equal(start) || c.Vars["zaal"] != "1" || c.Texts["nl"] != "Dag" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestNamesFromWords(t *testing.T) {
	for typed, want := range map[string]string{
		"Frühjahrs-Check 2027": "Fruhjahrs-Check-2027", "  Åsa & co ": "Asa-co", "Straße": "Strasse", "...": "", "a/b": "a-b", "ok.": "ok.", "Ørsted æ": "Orsted-ae",
	} {
		if got := nameFrom(typed); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

// Who must not know customers sees none of these pages, nor follows them.
func TestWhoMayReach(t *testing.T) {
	f := furnish(t)
	f.register()
	f.busy()
	for role, may := range map[door.Role]bool{door.Manager: true, door.Technician: false, door.Cashier: false} {
		b := f.as(t, role)
		for _, p := range reachPages {
			if resp, _ := b.get(p.path); (resp.StatusCode == 200) != may {
				t.Errorf("%s at %s: %s", role, p.path, resp.Status)
			}
		}
		for _, path := range []string{"/campaigns", "/campaigns/Winterbeurt-2026/start", "/rules", "/rules/verjaardag/off", "/bookings", "/bookings/B-0/cancel"} {
			if may {
				continue
			}
			if resp, _ := b.send(path); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s posts to %s: %s", role, path, resp.Status)
			}
		}
		for _, what := range []string{"campaigns?kind=campaign", "campaign/Najaarsactie", "rules", "rule/verjaardag", "booking/B-0"} {
			_, err := f.site.board.draw(what, "en", door.Person{Name: "x", Role: role})
			if (err == nil) != may {
				t.Errorf("%s follows %s: %v", role, what, err)
			}
		}
	}
}
