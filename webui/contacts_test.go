package webui

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/api/wire"
	"tillpost/webui/door"
)

// register fills a shop with customers, as a bicycle shop has them.
func (f *furnished) register() {
	f.t.Helper()
	names := []string{"Anna de Vries", "Bram Hendriks", "Cees van Dam", "Deniz Kaya", "Åsa Lindqvist", "Jürgen Müller", "Fatima El Amrani", "Gijs Peeters", "Hanna Willems", "Ilse Jacobs", "Joost Bakker", "Kees Visser"}
	var list []outreach.Contact
	for i, name := range names {
		list = append(list, outreach.Contact{
			ID: fmt.Sprintf("D%d", 1001+i), Name: name, FirstName: strings.Fields(name)[0], Number: fmt.Sprintf("061234%d%03d", i%3+1, i/3),
			Language: []string{"nl", "nl", "nl", "nl", "sv", "de"}[i%6], Status: []string{"actief", "actief", "overleden"}[i%3],
			Birthday: fmt.Sprintf("19%d-%02d-1%d", 60+i, i%12+1, i%9),
			Attrs: outreach.Attributes{
				"fiets": {Type: outreach.TypeText, Text: []string{"Cortina E-U4", "Gazelle Orange", "Batavus Finez"}[i%3]}, "punten": {Type: outreach.TypeNumber, Text: fmt.Sprint(40 * i)},
				"winterbeurt": {Type: outreach.TypeDate, Text: fmt.Sprintf("2026-12-%02d", i+1)},
			},
			Flags: map[string]bool{outreach.FlagReminder: i%2 == 0},
		})
	}
	if rep, err := f.site.outreach.ImportContacts(f.t.Context(), list, outreach.Import{By: "test"}); err != nil || rep.Refused > 0 {
		f.t.Fatalf("%+v, %v", rep, err)
	}
	f.consent("D1001", true, "Aanmeldformulier bij de kassa")
	f.consent("D1002", true, "Webwinkel")
	f.consent("D1005", true, "Formulär i kassan")
	f.consent("D1005", false, "Telefonsamtal")
	if _, err := f.site.outreach.PutExclusion(f.t.Context(), outreach.Exclusion{ID: "D1004", Reason: "wil geen contact meer", By: "page/sanne"}); err != nil {
		f.t.Fatal(err)
	}
	at := f.queue.Now().AddDate(0, 0, 3)
	if _, err := f.site.outreach.PutTemplate(f.t.Context(), outreach.Stored{
		Name: "winterbeurt", Class: queue.Transactional, Missing: outreach.LeaveOut,
		Texts: map[string]map[string]string{outreach.SMS: {
			"nl": "Beste #FORNAMN#, uw {fiets} is toe aan de winterbeurt. Wij zien u graag op {start_date}. Rijwielhuis De Linde",
			"de": "Hallo #FORNAMN#, Ihr {fiets} ist reif für die Winterwartung. Rijwielhuis De Linde",
			"sv": "Hej #FORNAMN#, det är dags för vinterservice av din {fiets}. Rijwielhuis De Linde",
		}},
	}, "page/sanne"); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.site.outreach.PutTemplate(f.t.Context(), outreach.Stored{
		Name: "klaar", Draft: true, Texts: map[string]map[string]string{
			outreach.SMS:   {"nl": "Uw {fiets} is klaar. Ophalen kan tot 18:00."},
			outreach.Email: {"sv": "Hej {first_name},\n\ndin {fiets} är klar att hämta."},
		}, Subjects: map[string]string{"sv": "Din cykel är klar"},
	}, "page/sanne"); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.site.outreach.PutRule(f.t.Context(), outreach.Rule{
		Name: "dag-ervoor", On: outreach.Trigger{Event: outreach.OnReminder, Offset: outreach.Span{Days: -1}}, Template: "winterbeurt", Class: queue.Transactional, Flag: outreach.FlagReminder,
	}, "page/sanne"); err != nil {
		f.t.Fatal(err)
	}
	for _, id := range []string{"D1001", "D1002"} {
		if _, err := f.site.outreach.PutBooking(f.t.Context(), outreach.Booking{ID: "W-" + id, Contact: id, Start: at, Service: "Winterbeurt"}, "till-1"); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *furnished) consent(id string, granted bool, how string) {
	f.t.Helper()
	if _, err := f.site.outreach.AddConsent(f.t.Context(), outreach.Consent{
		Contact: id, Purpose: outreach.Marketing, Granted: granted, How: how, By: "page/sanne", Wording: "Ja, ik wil graag aanbiedingen per sms ontvangen.",
	}); err != nil {
		f.t.Fatal(err)
	}
}

// as is somebody's browser with a role.
func (f *furnished) as(t *testing.T, role door.Role) *browser {
	t.Helper()
	b := f.browser(t)
	if role == door.Owner {
		b.post("/login", "password", password)
		return b
	}
	if err := f.site.door.SetPerson(t.Context(), door.Person{Name: string(role), Role: role}, herPassword); err != nil {
		t.Fatal(err)
	}
	b.post("/login", "name", string(role), "password", herPassword)
	return b
}

// Who the customers are is for who talks to them.
func TestWhoMaySeeCustomers(t *testing.T) {
	f := furnish(t)
	for role, may := range map[door.Role]bool{door.Cashier: false, door.Technician: false, door.Manager: true, door.Owner: true} {
		b := f.as(t, role)
		for _, path := range []string{"/contacts", "/contacts/new", "/contact/D1001", "/contact/D1001/edit", "/contact/D1001/erase"} {
			resp, body := b.get(path)
			if want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[may]; resp.StatusCode != want || !may && strings.Contains(body, "Anna") {
				t.Errorf("%s at %s: %s", role, path, resp.Status)
			}
		}
		for _, path := range []string{"/contacts/new", "/contact/D1001/edit", "/contact/D1001/consents", "/contact/D1001/exclusion", "/contact/D1001/export", "/contact/D1001/erase"} {
			if resp, _ := b.post(path); !may && resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s posts to %s: %s", role, path, resp.Status)
			}
		}
		if _, body := b.get("/messages"); strings.Contains(body, `href="/contacts"`) != may {
			t.Errorf("the menu of a %s: customers %v", role, !may)
		}
	}
	if _, err := f.site.outreach.Contact("D1001"); err != nil {
		t.Errorf("somebody without the right did something: %v", err)
	}
}

func TestTheListOfContacts(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	for query, want := range map[string]string{
		"":                 "D1001 D1002 D1003 D1004 D1005 D1006 D1007 D1008 D1009 D1010 D1011 D1012",
		"q=hendriks":       "D1002",
		"q=06-12341000":    "D1001",
		"q=1000":           "D1001", // the end of a number
		"speaks=de":        "D1006 D1012",
		"status=overleden": "D1003 D1006 D1009 D1012",
		"who=given":        "D1001 D1002",
		"who=withdrawn":    "D1005",
		"who=out":          "D1003 D1004 D1006 D1009 D1012",
		"q=zebra":          "",
	} {
		_, body := b.get("/contacts?lang=en&" + query)
		var got []string
		for i := range 12 {
			if id := fmt.Sprintf("D%d", 1001+i); strings.Contains(body, `href="/contact/`+id+`"`) {
				got = append(got, id)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q shows %v, want %s", query, got, want)
		}
		if strings.Contains(body, "61234") {
			t.Errorf("%q shows a whole number", query)
		}
	}
}

func TestAContactIsAddedAndChanged(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	resp, body := b.send("/contacts/new?lang=en", "id", "a/b c", "name", "Nora Smit", "number", "06 8765 4321", "language", "sv", "birthday", "1990-02-03",
		"flag", outreach.FlagReminder, "attr", "Punten", "type", "number", "value", "12,50", "attr", "", "type", "text", "value", "")
	if resp.Request.URL.EscapedPath() != "/contact/a%2Fb%20c" || !strings.Contains(body, "Nora Smit") || !strings.Contains(body, "31 6 87 65 43 21") {
		t.Fatalf("it led to %s\n%s", resp.Request.URL, mainOf(body))
	}
	c, err := f.site.outreach.Contact("a/b c")
	if err != nil || c.Number != "+31687654321" || c.Attrs["punten"].Text != "12.50" || !c.Flags[outreach.FlagReminder] {
		t.Fatalf("%+v, %v", c, err)
	}
	was := c.Updated.Format(time.RFC3339Nano)
	change := func(fields ...string) (*http.Response, string) {
		all := []string{"was", was, "name", "Nora de Smit", "number", "0687654321", "language", "sv", "attr", "punten", "type", "number", "value", "13"}
		for i := 0; i < len(fields); i += 2 {
			if at := slices.Index(all, fields[i]); at >= 0 {
				all[at+1] = fields[i+1]
			} else {
				all = append(all, fields[i], fields[i+1])
			}
		}
		return b.send("/contact/a%2Fb%20c/edit?lang=en", all...)
	}
	for name, c := range map[string]struct{ field, value, says string }{
		"a number that is none":      {"number", "kip", "This is no telephone number."},
		"an address that is none":    {"email", "nora", "This is no e-mail address."},
		"a day that is none":         {"birthday", "1990-02-31", "This is no date."},
		"an attribute that fits not": {"value", "veel", "One of the numbers is none."},
		"an attribute of a field":    {"attr", "Number", "One of these names is a field of its own above."},
		"one without a name":         {"attr", " ", "One of the values has no name."},
		"another was quicker":        {"was", "2020-01-01T00:00:00Z", "Somebody else changed this meanwhile."},
	} {
		resp, body := change(c.field, c.value)
		if resp.StatusCode != 400 || !strings.Contains(body, c.says) || !strings.Contains(body, "Nora de Smit") {
			t.Errorf("%s: %s\n%s", name, resp.Status, mainOf(body))
		}
	}
	if resp, body := change("value", ""); resp.StatusCode != 200 || !strings.Contains(body, "Nora de Smit") {
		t.Errorf("a change: %s\n%s", resp.Status, mainOf(body))
	}
	if c, err = f.site.outreach.Contact("a/b c"); err != nil || len(c.Attrs) != 0 || c.Flags[outreach.FlagReminder] || c.Name != "Nora de Smit" {
		t.Errorf("afterwards: %+v, %v", c, err)
	}
	if resp, body := b.post("/contacts/new?lang=en", "id", "D1001", "name", "Somebody"); resp.StatusCode != 400 || !strings.Contains(body, "has this customer number already") {
		t.Errorf("an id that is taken: %s", resp.Status)
	}
	if resp, _ := b.get("/contact/nobody"); resp.StatusCode != 404 {
		t.Errorf("nobody: %s", resp.Status)
	}
}

func TestWhatAContactAgreedTo(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	_, body := b.get("/contact/D1001?lang=en")
	for _, said := range []string{"Also advertising", "Aanmeldformulier bij de kassa", "noted by sanne", "Winterbeurt", "dag-ervoor", "Conversation", "31 6 12 34 10 00"} {
		if !strings.Contains(body, said) {
			t.Errorf("the page does not say %q", said)
		}
	}
	for _, link := range []string{"/bookings/W-D1001", "/rules/dag-ervoor"} {
		if resp, body := b.get(link); resp.StatusCode != 200 || !strings.Contains(body, link) && !strings.Contains(mainOf(body), "Winterbeurt") {
			t.Errorf("%s: %s", link, resp.Status)
		}
	}
	if _, body := b.get("/bookings/W-D1001"); !strings.Contains(body, `href="/contact/D1001"`) {
		t.Error("a booking does not lead back to its contact")
	}
	_, body = b.get("/contact/D1002?lang=en")
	if !strings.Contains(body, "Will not be sent: the switch is off: Reminders by SMS") {
		t.Errorf("a reminder that will not go:\n%s", mainOf(body))
	}
	for name, fields := range map[string][]string{
		"Say how it was said.":       {"purpose", "marketing", "granted", "no"},
		"Say what it is for":         {"purpose", " ", "how", "telephone", "granted", "no"},
		"This lies in the future.":   {"purpose", "marketing", "how", "telephone", "granted", "no", "at", "2099-01-01T10:00"},
		"This is no date.":           {"purpose", "marketing", "how", "telephone", "granted", "no", "at", "yesterday"},
		"This is not one of the cho": {"purpose", "marketing", "how", "telephone", "granted", "no", "channel", "pigeon"},
	} {
		if resp, body := b.post("/contact/D1001/consents?lang=en", fields...); resp.StatusCode != 400 || !strings.Contains(body, name) {
			t.Errorf("%s: %s\n%s", name, resp.Status, mainOf(body))
		}
	}
	resp, body := b.post("/contact/D1001/consents?lang=en", "purpose", "marketing", "how", "telephone", "granted", "no", "channel", "sms")
	if resp.StatusCode != 200 || !strings.Contains(body, "No advertising, withdrew") {
		t.Errorf("withdrawn: %s\n%s", resp.Status, mainOf(body))
	}
	list, err := f.site.outreach.Consents("D1001")
	if last := list[len(list)-1]; err != nil || last.Granted || last.How != "telephone" || last.By != "page/manager" {
		t.Errorf("the ledger: %+v, %v", list, err)
	}

	if resp, body := b.post("/contact/D1001/exclusion?lang=en", "do", "on", "reason", " "); resp.StatusCode != 400 || !strings.Contains(body, "Say why") {
		t.Errorf("kept out for no reason: %s", resp.Status)
	}
	if _, body := b.post("/contact/D1001/exclusion?lang=en", "do", "on", "reason", "moved away"); !strings.Contains(body, "moved away") || !strings.Contains(body, "Nothing at all") {
		t.Errorf("kept out:\n%s", mainOf(body))
	}
	for range 2 { // a second press does no harm
		if _, body := b.post("/contact/D1001/exclusion?lang=en", "do", "off"); strings.Contains(body, "Nothing at all") {
			t.Errorf("let in again:\n%s", mainOf(body))
		}
	}
}

// A person gets all that is known, and is forgotten: messages, contact, place
// in the inbox.
func TestAPersonIsToldAndForgotten(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	resp, body := b.post("/contact/D1001/export")
	var about wire.About
	if err := json.Unmarshal([]byte(body), &about); err != nil || !strings.Contains(resp.Header.Get("Content-Disposition"), "attachment") || about.Number != "+31612341000" || len(about.Messages) == 0 || len(about.Inbound) == 0 || !strings.Contains(body, "Aanmeldformulier") {
		t.Errorf("the export: %s, %v\n%s", resp.Status, err, mainOf(body))
	}
	resp, body = b.get("/contact/D1001/erase?lang=en")
	if resp.StatusCode != 200 || !strings.Contains(body, "What stays") || !strings.Contains(body, "31 6 12 34 10 00") {
		t.Errorf("the question: %s\n%s", resp.Status, mainOf(body))
	}
	if resp, body := b.post("/contact/D1001/erase?lang=en"); resp.StatusCode != 400 || !strings.Contains(body, "Tick the box first") {
		t.Errorf("not sure: %s", resp.Status)
	}
	if resp, body := b.post("/contact/D1001/erase?lang=en", "sure", "yes"); resp.StatusCode != 200 || !strings.Contains(body, "The person was forgotten.") || strings.Contains(body, "Anna") {
		t.Errorf("forgotten: %s\n%s", resp.Status, mainOf(body))
	}
	if list, _, err := f.queue.List(queue.Filter{To: "+31612341000"}); err != nil || len(list) > 0 {
		t.Errorf("messages: %d, %v", len(list), err)
	}

	// Who has no number is a person too.
	if _, err := f.site.outreach.PutContact(t.Context(), outreach.Contact{ID: "X1", Name: "Sem"}); err != nil {
		t.Fatal(err)
	}
	if _, body := b.post("/contact/X1/export"); !strings.Contains(body, "Sem") {
		t.Errorf("without a number: %s", body)
	}
	b.post("/contact/X1/erase", "sure", "yes")
	if resp, _ := b.get("/contact/X1"); resp.StatusCode != 404 {
		t.Errorf("afterwards: %s", resp.Status)
	}
	if strings.Contains(f.log.String(), "12341000") || strings.Contains(f.log.String(), "Anna") {
		t.Errorf("the log names somebody:\n%s", f.log.String())
	}
}

// Every reason that outreach gives has words in the languages of the page.
func TestReasonsHaveWords(t *testing.T) {
	for _, why := range []string{
		"is on the exclusion list: verhuisd", "has the status overleden", "there is no consent on record", "there is no consent for marketing", "consent for marketing was withdrawn",
		"consent for marketing is among those that must not be given", "has no e-mail address", "has no number", "auto_reminder is off", "is not among those the rule is for", "the contact is gone",
	} {
		for _, lang := range queue.Languages {
			p := &page{Lang: lang}
			if got := p.Reason(why); got == why || strings.Contains(got, "{") || strings.Contains(why, "verhuisd") && !strings.Contains(got, "verhuisd") {
				t.Errorf("%s in %s: %s", why, lang, got)
			}
		}
	}
	if got := (&page{Lang: "nl"}).Reason("something new"); got != "something new" {
		t.Errorf("a reason without words: %s", got)
	}
}

// send is a form whose fields may be there several times.
func (b *browser) send(path string, fields ...string) (*http.Response, string) {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	return b.read(b.http.PostForm(b.base+path, v))
}

// mainOf a page is what a person reads of it.
func mainOf(body string) string {
	_, main, _ := strings.Cut(body, "<main")
	main, _, _ = strings.Cut(main, "</main>")
	return strings.Join(strings.Fields(tags.ReplaceAllString(main, " ")), " ")
}

var tags = regexp.MustCompile(`<[^>]*>`)
