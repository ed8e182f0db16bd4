package webui

import (
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/door"
)

// typed is the form of a text as a browser would send it.
func typed(words string, also ...string) []string {
	fields := append([]string{"was", "1", "channel", "sms", "in", "nl", "text", words}, also...)
	if !slices.Contains(also, "missing") {
		fields = append(fields, "missing", "refuse")
	}
	return fields
}

func TestTheListOfTexts(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	_, body := b.get("/texts?lang=nl")
	main := mainOf(body)
	for _, said := range []string{"winterbeurt", "Beste #FORNAMN#, uw {fiets} is toe", "Sms nl sv de", "nooit verstuurd", "versie 1, sanne", "klaar", "E-mail sv", "Concept", "Klaar"} {
		if !strings.Contains(main, said) {
			t.Errorf("the list does not say %q:\n%s", said, main)
		}
	}
	resp, body := b.send("/texts?lang=en", "name", "tot morgen", "in", "sv", "channel", "sms")
	if resp.Request.URL.Path != "/texts/tot-morgen" || !strings.Contains(body, `name="in" value="sv"`) {
		t.Errorf("a new one led to %s", resp.Request.URL)
	}
	if got, err := f.site.outreach.Template("tot-morgen"); err != nil || !got.Draft || got.By != "page/manager" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, says := range map[string]string{"tot-morgen": "has this name already", "klår": "plain letters", "": "plain letters"} {
		if resp, body := b.send("/texts?lang=en", "name", name, "in", "nl"); resp.StatusCode != 400 || !strings.Contains(mainOf(body), says) {
			t.Errorf("%q: %s\n%s", name, resp.Status, mainOf(body))
		}
	}
	for _, role := range []door.Role{door.Cashier, door.Technician} {
		other := f.as(t, role)
		for _, path := range []string{"/texts", "/texts/winterbeurt", "/texts/winterbeurt/plain?channel=sms&in=nl"} {
			if resp, body := other.get(path); resp.StatusCode != http.StatusForbidden || strings.Contains(body, "FORNAMN") {
				t.Errorf("%s at %s: %s", role, path, resp.Status)
			}
		}
		for _, path := range []string{"/texts", "/texts/winterbeurt", "/texts/winterbeurt/count", "/texts/winterbeurt/plain", "/texts/winterbeurt/restore", "/texts/winterbeurt/delete"} {
			if resp, _ := other.send(path, "name", "x", "sure", "yes"); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s posts to %s: %s", role, path, resp.Status)
			}
		}
	}
}

// The HTML of an e-mail stands beside its text, goes along to other languages,
// is part of the version, and is shown with the values of a contact.
func TestATextHasHTMLByEmail(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	if _, body := b.get("/texts/winterbeurt?lang=en&channel=sms&in=nl"); strings.Contains(body, `name="html"`) {
		t.Error("an SMS has HTML")
	}
	long := "<p>Dag {voornaam}</p>" + strings.Repeat("<!-- a designer's mail is long -->", 2500)
	in := []string{"was", "1", "channel", "email", "in", "nl", "text", "Dag {voornaam}", "html", long, "missing", "refuse"}
	_, body := b.send("/texts/winterbeurt?lang=en", append(in, "do", "go sms.nl")...)
	if !strings.Contains(body, `name="html.nl" value="&lt;p&gt;Dag {voornaam}&lt;/p&gt;`) || strings.Contains(body, `name="html"`) {
		t.Errorf("the HTML was lost on the way:\n%.2000s", mainOf(body))
	}
	_, body = b.send("/texts/winterbeurt?lang=en", append(in, "do", "count")...)
	if !strings.Contains(body, "The HTML, with the values") || !strings.Contains(body, "<blockquote>&lt;p&gt;Dag Anna&lt;/p&gt;") {
		t.Errorf("it is not shown with its values:\n%.2000s", mainOf(body))
	}
	resp, body := b.send("/texts/winterbeurt?lang=en", append(in, "do", "keep")...)
	if resp.StatusCode != 200 || !strings.Contains(mainOf(body), "Kept, as version 2.") || !strings.Contains(mainOf(body), "· HTML") {
		t.Fatalf("kept: %s\n%.2000s", resp.Status, mainOf(body))
	}
	got, err := f.site.outreach.Template("winterbeurt")
	if err != nil || got.HTML["nl"] != long || got.Texts["email"]["nl"] != "Dag {voornaam}" {
		t.Errorf("%+v, %v", got, err)
	}
	if resp, body = b.send("/texts/winterbeurt?lang=en", "was", "2", "channel", "email", "in", "nl", "text", "Dag", "html", strings.Repeat(long, 2), "missing", "refuse", "do", "keep"); resp.StatusCode != 400 || !strings.Contains(mainOf(body), "This HTML is too long.") {
		t.Errorf("HTML that is too long: %s\n%.2000s", resp.Status, mainOf(body))
	}
	if resp, body = b.send("/texts/winterbeurt?lang=en", "was", "2", "channel", "email", "in", "de", "text", "", "html", "<p>Tag</p>", "text.email.nl", "Dag", "missing", "refuse", "do", "keep"); resp.StatusCode != 400 || !strings.Contains(mainOf(body), "There is no text yet.") {
		t.Errorf("HTML without a text: %s\n%.2000s", resp.Status, mainOf(body))
	}
}

// A text is written in one language at a time, nothing typed is lost on the
// way, and all of it becomes one version.
func TestATextIsWritten(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	resp, body := b.get("/texts/winterbeurt?lang=en&channel=sms&in=nl")
	main := html.UnescapeString(mainOf(body))
	for _, said := range []string{"as Anna de Vries reads it", "Beste Anna, uw Cortina E-U4 is toe aan de winterbeurt.", "1 SMS", "punten", "start_time", "in force"} {
		if !strings.Contains(main, said) {
			t.Errorf("the page does not say %q: %s\n%s", said, resp.Status, main)
		}
	}
	if strings.Contains(main, "start_date}. Rijwielhuis De Linde as it arrives") {
		t.Errorf("a sentence without its value was not left out:\n%s", main)
	}

	// Going to another language, and putting a name where it is written.
	_, body = b.send("/texts/winterbeurt?lang=en", typed("Nieuw {fiets}", "text.sms.de", "Neu", "do", "go sms.sv")...)
	if !strings.Contains(body, `name="text.sms.nl" value="Nieuw {fiets}"`) || !strings.Contains(body, `name="text.sms.de" value="Neu"`) || !strings.Contains(body, `name="in" value="sv"`) {
		t.Errorf("another language forgot the first:\n%s", body)
	}
	if _, body = b.send("/texts/winterbeurt?lang=en", typed("Nieuw ", "do", "put {fiets}")...); !strings.Contains(body, ">Nieuw {fiets}</textarea>") {
		t.Errorf("a name was not put into the text")
	}

	resp, body = b.send("/texts/winterbeurt?lang=en", typed("Dag {voornaam}", "text.sms.sv", "Hej {fornamn}", "missing", "default", "default.voornaam", "klant", "class", "marketing", "max_parts", "2", "do", "keep")...)
	if resp.StatusCode != 200 || !strings.Contains(mainOf(body), "Kept, as version 2.") {
		t.Fatalf("kept: %s\n%s", resp.Status, mainOf(body))
	}
	got, err := f.site.outreach.Template("winterbeurt")
	if err != nil || got.Version != 2 || got.Texts["sms"]["nl"] != "Dag {voornaam}" || got.Texts["sms"]["sv"] != "Hej {fornamn}" || got.Texts["sms"]["de"] != "" || got.Class != queue.Marketing || got.MaxParts != 2 || got.By != "page/manager" {
		t.Errorf("%+v, %v", got, err)
	}
	for says, fields := range map[string][]string{
		"has changed this text meanwhile": typed("Anders", "do", "keep"), // made from version 1
		"You would shut yourself out.":    {"was", "2", "channel", "sms", "in", "nl", "text", "Dag", "missing", "refuse", "who_may", "some", "editor", "page/sanne", "do", "keep"},
		"There is no text yet.":           {"was", "2", "channel", "sms", "in", "nl", "text", "", "missing", "refuse", "do", "keep"},
	} {
		if resp, body := b.send("/texts/winterbeurt?lang=en", fields...); resp.StatusCode != 400 || !strings.Contains(mainOf(body), says) {
			t.Errorf("%s: %s\n%s", says, resp.Status, mainOf(body))
		}
	}

	// An older version comes back as the newest.
	if _, body = b.send("/texts/winterbeurt/restore?lang=en", "version", "1"); !strings.Contains(mainOf(body), "version 3, manager") {
		t.Errorf("restored:\n%s", mainOf(body))
	}
	if got, err = f.site.outreach.Template("winterbeurt"); err != nil || !strings.HasPrefix(got.Texts["sms"]["nl"], "Beste #FORNAMN#") {
		t.Errorf("%+v, %v", got, err)
	}
	if resp, _ = b.send("/texts/winterbeurt/restore", "version", "17"); resp.StatusCode != 404 {
		t.Errorf("no such version: %s", resp.Status)
	}
}

// A text shows itself for real contacts: who is chosen, and who reads the
// shortest and the longest of all.
func TestATextIsLookedAtThroughContacts(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	for name, c := range map[string]struct {
		fields []string
		says   []string
	}{
		"as the first":                 {typed("Uw {fiets}", "do", "first"), []string{"as Anna de Vries reads it", "Uw Cortina E-U4"}},
		"by a name":                    {typed("Uw {fiets}", "do", "who", "who", "hendriks"), []string{"as Bram Hendriks reads it", "Uw Gazelle Orange"}},
		"by nobody's":                  {typed("Uw {fiets}", "do", "who", "who", "zebra"), []string{"Nobody fits what you look for."}},
		"the longest":                  {typed("Dag {naam}", "do", "longest"), []string{"as Fatima El Amrani reads it", "Over all contacts", "7 messages of 1 SMS", "4 get nothing: the status is overleden"}},
		"the shortest":                 {typed("Dag {naam}", "do", "shortest"), []string{"reads it", "Over all contacts"}},
		"a value that is not there":    {typed("Uw apk verloopt op {apk}.", "as", "D1001"), []string{"Anna de Vries has no value for apk, so nothing would be sent.", "Nobody has a value for apk."}},
		"a sentence that is left out":  {typed("Dag {naam}. Uw apk verloopt op {apk}.", "as", "D1001", "missing", "leave_out"), []string{"Dag Anna de Vries."}},
		"nothing left":                 {typed("Uw apk verloopt op {apk}.", "as", "D1001", "missing", "leave_out"), []string{"no sentence is left."}},
		"something else stands there":  {typed("Uw {apk}.", "as", "D1001", "missing", "default", "default.apk", "auto"), []string{"Uw auto."}},
		"a dear character of the text": {typed("Uw {fiets} is klaar 📷", "as", "D1001"), []string{"These characters halve the room of every SMS."}},
	} {
		resp, body := b.send("/texts/winterbeurt?lang=en", c.fields...)
		for _, said := range c.says {
			if main := html.UnescapeString(mainOf(body)); resp.StatusCode != 200 || !strings.Contains(main, said) {
				t.Errorf("%s does not say %q: %s\n%s", name, said, resp.Status, main)
			}
		}
	}
	// What the script asks while somebody types is the same piece of the page.
	resp, body := b.send("/texts/winterbeurt/count?lang=en", typed("Uw {fiets}", "as", "D1002")...)
	if resp.StatusCode != 200 || !strings.HasPrefix(body, `<div id="count"`) || !strings.Contains(body, "Uw Gazelle Orange") || !strings.Contains(body, "as Bram Hendriks reads it") {
		t.Errorf("the counter: %s\n%s", resp.Status, body)
	}
	// A template keeps its names when a dear text is made cheap.
	if strings.Contains(body, "data-text") {
		t.Errorf("the whole text of one reader would take the place of the template:\n%s", body)
	}
	if got, err := f.site.outreach.Template("winterbeurt"); err != nil || got.Version != 1 {
		t.Errorf("looking has changed something: %+v, %v", got, err)
	}
}

func TestATextAsAFile(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	resp, body := b.get("/texts/winterbeurt/plain?channel=sms&in=nl")
	if resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(body, "Beste #FORNAMN#") || !strings.Contains(resp.Header.Get("Content-Disposition"), "winterbeurt-nl.txt") {
		t.Errorf("%s %v\n%s", resp.Status, resp.Header, body)
	}
	if resp, _ := b.get("/texts/winterbeurt/plain?channel=email&in=nl"); resp.StatusCode != 404 {
		t.Errorf("no such text: %s", resp.Status)
	}
	resp, body = b.bring("/texts/winterbeurt/plain?lang=en", "tekst.txt", []byte("Dag \xe9\xe9n, uw {fiets}\r\nis klaar")) // Windows-1252
	if resp.StatusCode != 200 || !strings.Contains(body, ">Dag één, uw {fiets}\nis klaar</textarea>") || !strings.Contains(mainOf(body), "The text was read from the file.") {
		t.Errorf("%s\n%s", resp.Status, mainOf(body))
	}
	for _, raw := range []string{"", "PK\x00\xff", strings.Repeat("x", maxPlain+1)} {
		if resp, body := b.bring("/texts/winterbeurt/plain?lang=en", "x.txt", []byte(raw)); resp.StatusCode != 400 || !strings.Contains(mainOf(body), "This file holds no text.") {
			t.Errorf("%d bytes: %s", len(raw), resp.Status)
		}
	}
	if got, err := f.site.outreach.Template("winterbeurt"); err != nil || got.Version != 1 {
		t.Errorf("reading has changed something: %+v, %v", got, err)
	}
}

// Who may change a text is kept with it, and holds for pages too.
func TestATextThatOnlySomeMayChange(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	if resp, body := b.send("/texts/klaar?lang=en", typed("Uw {fiets} is klaar", "who_may", "some", "editor", "page/manager", "editor", "till-1", "do", "keep")...); resp.StatusCode != 200 {
		t.Fatalf("%s\n%s", resp.Status, mainOf(body))
	}
	other := f.as(t, door.Owner)
	if _, body := other.get("/texts/klaar?lang=en"); !strings.Contains(mainOf(body), "This text may be changed by manager, till-1 only.") {
		t.Errorf("it does not say who may change it:\n%s", mainOf(body))
	}
	for path, fields := range map[string][]string{
		"/texts/klaar":         {"was", "2", "channel", "sms", "in", "nl", "text", "Anders", "missing", "refuse", "do", "keep"},
		"/texts/klaar/restore": {"version", "1"},
		"/texts/klaar/delete":  {"sure", "yes"},
	} {
		resp, body := other.send(path+"?lang=nl", fields...)
		if resp.StatusCode < 400 || !strings.Contains(mainOf(body), "Deze tekst mag alleen door manager, till-1 worden gewijzigd.") {
			t.Errorf("somebody else at %s: %s\n%s", path, resp.Status, mainOf(body))
		}
	}
	if got, err := f.site.outreach.Template("klaar"); err != nil || got.Version != 2 || got.Texts["sms"]["nl"] != "Uw {fiets} is klaar" {
		t.Errorf("%+v, %v", got, err)
	}
	if resp, body := b.send("/texts/winterbeurt/delete?lang=en", "sure", "yes"); resp.StatusCode != 409 || !strings.Contains(mainOf(body), "A rule or a running campaign writes with this text.") {
		t.Errorf("one that a rule uses: %s\n%s", resp.Status, mainOf(body))
	}
	if resp, body := b.send("/texts/klaar/delete?lang=en"); resp.StatusCode != 409 || !strings.Contains(mainOf(body), "Tick the box first.") {
		t.Errorf("not sure: %s", resp.Status)
	}
	if resp, _ := b.send("/texts/klaar/delete", "sure", "yes"); resp.Request.URL.Path != "/texts" {
		t.Errorf("deleting led to %s", resp.Request.URL)
	}
	if _, err := f.site.outreach.Template("klaar"); err != outreach.ErrNotFound {
		t.Errorf("afterwards: %v", err)
	}
}
