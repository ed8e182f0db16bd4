package webui

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillpost/queue/outreach"
	"tillpost/webui/api"
	"tillpost/webui/door"
)

// bring sends a file as the form does.
func (b *browser) bring(path, name string, body []byte) (*http.Response, string) {
	b.t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	part, err := w.CreateFormFile("file", name)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := part.Write(body); err != nil {
		b.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
	return b.read(b.http.Post(b.base+path, w.FormDataContentType(), &buf))
}

const customers = "klantnummer;naam;mobiel;taal;punten:number;nieuwsbrief;code\n" +
	"D1001;Anna de Vries;06-12341000;nl;0;ja;x\n" +
	"N1;Nora Smit;06-87654321;sv;12,5;ja;=1+1\n" +
	"N2;Otto Kip;06-1;nl;3;;y\n" +
	"N3;Pia Prins;0687654322;nl;veel;;z\n" +
	"N1;Nora again;0687654321;nl;1;;x\n" +
	"N4;te weinig\n"

func TestAListIsBroughtIn(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	resp, body := b.bring("/contacts/import?lang=en", "klanten.csv", []byte(customers))
	at := resp.Request.URL.Path
	if resp.StatusCode != 200 || !strings.HasPrefix(at, "/contacts/import/") {
		t.Fatalf("%s at %s\n%s", resp.Status, at, mainOf(body))
	}
	for _, said := range []string{
		"klanten.csv", "Nothing has been changed yet", "New 1 Changed 1", "Refused 4 of 6 rows", "Row 4 · Mobile number", "This is no telephone number.", "Row 5 · punten This cell does not fit its column",
		"Row 6 · Customer number This customer number is in the list twice.", "Row 7", "This row has more or fewer columns", "Anna de Vries · Nora Smit", "Take it over: 2 contacts",
	} {
		if !strings.Contains(mainOf(body), said) {
			t.Errorf("the page does not say %q\n%s", said, mainOf(body))
		}
	}
	if _, err := f.site.outreach.Contact("N1"); err != outreach.ErrNotFound {
		t.Fatalf("looking has changed something: %v", err)
	}
	// The columns may mean something else: the code is left out, points are text.
	_, body = b.send(at+"?lang=en", "do", "look", "mode", "update", "col4", "attribute:text", "col6", "-")
	if !strings.Contains(mainOf(body), "New 2 Changed 1") || !strings.Contains(mainOf(body), "Refused 3 of 6 rows") {
		t.Errorf("another meaning:\n%s", mainOf(body))
	}
	resp, body = b.send(at+"?lang=en", "do", "take", "mode", "update", "col4", "attribute:text", "col6", "-", "how", "autumn fair")
	if resp.StatusCode != 200 || !strings.Contains(mainOf(body), "Taken over, without 3 rows.") || !strings.Contains(mainOf(body), "New 2 Changed 1") {
		t.Errorf("taken over: %s\n%s", resp.Status, mainOf(body))
	}
	c, err := f.site.outreach.Contact("N1")
	if err != nil || c.Attrs["punten"].Text != "12,5" || c.Attrs["code"].Text != "" || c.Number != "+31687654321" {
		t.Errorf("%+v, %v", c, err)
	}
	list, err := f.site.outreach.Consents("N1")
	if err != nil || len(list) != 1 || list[0].How != "autumn fair" || list[0].By != "page/manager" {
		t.Errorf("the consent: %+v, %v", list, err)
	}
	resp, body = b.get(at + "/refused.csv")
	if want := "N2,Otto Kip,06-1,nl,3,,y"; resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(body, want) || !strings.HasPrefix(body, "row,why,klantnummer") || strings.Count(body, "\n") != 4 {
		t.Errorf("the refused rows:\n%s", body)
	}
	// A second press changes nothing, and nobody else sees the list.
	if _, body := b.send(at+"?lang=en", "do", "take", "mode", "replace", "sure", "yes"); !strings.Contains(mainOf(body), "Taken over") {
		t.Errorf("again:\n%s", mainOf(body))
	}
	other := f.as(t, door.Owner)
	for _, path := range []string{at, at + "/refused.csv"} {
		if resp, body := other.get(path); resp.StatusCode != 404 || strings.Contains(body, "Otto") {
			t.Errorf("somebody else at %s: %s", path, resp.Status)
		}
	}
}

func TestAListThatIsTheWholeRegister(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Owner)
	resp, _ := b.bring("/contacts/import", "all.csv", []byte("id,name\nD1001,Anna de Vries\n"))
	at := resp.Request.URL.Path
	resp, body := b.send(at+"?lang=en", "do", "take", "mode", "replace")
	if !strings.Contains(mainOf(body), "Contacts would be removed.") || !strings.Contains(mainOf(body), "Yes, remove the 11 contacts") {
		t.Errorf("not sure yet: %s\n%s", resp.Status, mainOf(body))
	}
	if list, _, err := f.site.outreach.Contacts("", 100); err != nil || len(list) != 12 {
		t.Fatalf("somebody went before that: %d, %v", len(list), err)
	}
	if _, body = b.send(at+"?lang=en", "do", "take", "mode", "replace", "sure", "yes"); !strings.Contains(mainOf(body), "11 removed") {
		t.Errorf("replaced:\n%s", mainOf(body))
	}
	if list, _, err := f.site.outreach.Contacts("", 100); err != nil || len(list) != 1 {
		t.Errorf("afterwards: %d, %v", len(list), err)
	}
}

func TestListsThatCannotBeRead(t *testing.T) {
	f := furnish(t)
	b := f.as(t, door.Manager)
	for says, body := range map[string]string{
		"No column is the customer number.":    "naam;mobiel\nAnna;0612345678\n",
		"Two columns are read as the same.":    "id;naam;name\n1;Anna;Anna\n",
		"This is no table of text.":            "PK\x03\x04\x00\x00\xff",
		"This is no list of contacts in JSON.": `{"contacts": 7}`,
		"The file names nobody.":               `[]`,
		"Choose a file first":                  "",
		"This file is larger than 64 MB":       strings.Repeat("x", maxList+1),
	} {
		resp, got := b.bring("/contacts/import?lang=en", "x.csv", []byte(body))
		if resp.StatusCode != 400 && !strings.HasPrefix(resp.Request.URL.Path, "/contacts/import/") || !strings.Contains(mainOf(got), says) {
			t.Errorf("%q: %s\n%s", says, resp.Status, mainOf(got))
		}
	}
	// What no column says can be said.
	resp, _ := b.bring("/contacts/import", "x.csv", []byte("nr.;naam;mobiel\n7;Quin;0687654321\n"))
	if _, body := b.send(resp.Request.URL.Path+"?lang=en", "do", "take", "mode", "update", "col0", "id"); !strings.Contains(mainOf(body), "The list was taken over.") {
		t.Errorf("with a chosen column:\n%s", mainOf(body))
	}
	if c, err := f.site.outreach.Contact("7"); err != nil || c.Name != "Quin" {
		t.Errorf("%+v, %v", c, err)
	}
	resp, body := b.bring("/contacts/import?lang=en", "x.json", []byte(`[{"id": "J1", "name": "Rik", "attributes": {"punten": 3}}, {"id": "J2", "number": "kip"}]`))
	if !strings.Contains(mainOf(body), "New 1") || !strings.Contains(mainOf(body), "Row 2 · Mobile number") {
		t.Errorf("JSON:\n%s", mainOf(body))
	}
	b.send(resp.Request.URL.Path, "do", "take", "mode", "update")
	if c, err := f.site.outreach.Contact("J1"); err != nil || c.Attrs["punten"].Text != "3" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, file := b.get(resp.Request.URL.Path + "/refused.csv"); !strings.Contains(file, "J2") {
		t.Errorf("refused of JSON: %s", file)
	}
	if resp, _ := b.get("/contacts/import/nothing"); resp.StatusCode != 404 {
		t.Errorf("no such list: %s", resp.Status)
	}
	left, err := filepath.Glob(filepath.Join(f.dir, "uploads", "*"))
	if err != nil || len(left) == 0 {
		t.Fatalf("no list is kept: %v", err)
	}
	for _, path := range left {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// brought is the address of a list that lies on the shelf of the shop's owner.
func (f *furnished) brought(body string, note any) string {
	f.t.Helper()
	it, err := f.site.shelf.Keep(api.ByPage, "klanten.csv", strings.NewReader(body), maxList)
	if err != nil {
		f.t.Fatal(err)
	}
	it.Note = note
	return "/contacts/import/" + it.Token
}
