package webui

import (
	"html"
	"strings"
	"testing"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// Somebody who writes begins with a kept text: its values are asked for, none
// is sent with a hole in it, and the result can be changed before it goes.
func TestWriteFromAKeptText(t *testing.T) {
	s := openShop(t, modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71))
	b := s.browser(t)
	if _, body := b.get("/write?lang=en"); strings.Contains(body, "Start from a kept text") {
		t.Error("a shop without kept texts is offered some")
	}
	keep := func(text outreach.Stored) {
		t.Helper()
		if _, err := s.site.outreach.PutTemplate(t.Context(), text, "test"); err != nil {
			t.Fatal(err)
		}
	}
	keep(outreach.Stored{Name: "klaar", Texts: map[string]map[string]string{"sms": {"nl": "Dag {voornaam}, uw {fiets} is klaar.", "en": "Hello {voornaam}, your {fiets} is ready."}}})
	keep(outreach.Stored{Name: "dicht", Class: queue.Marketing, Texts: map[string]map[string]string{"sms": {"nl": "Morgen zijn wij dicht."}}})
	keep(outreach.Stored{Name: "schets", Draft: true, Texts: map[string]map[string]string{"sms": {"nl": "Nog niet af"}}})
	_, body := b.get("/write?lang=en")
	if !strings.Contains(body, "<option>klaar</option>") || strings.Contains(body, "schets") {
		t.Errorf("the kept texts are not offered, or drafts are:\n%s", body)
	}
	if _, body := b.post("/write", "template", "klaar", "do", "pick"); !strings.Contains(body, `name="v.voornaam"`) || !strings.Contains(body, `name="v.fiets"`) || !strings.Contains(body, `<option value="en" lang="en" selected>`) {
		t.Errorf("its values are not asked for:\n%s", body)
	}
	if _, body := b.post("/write", "template", "klaar", "in", "nl", "v.voornaam", "Anna", "do", "fill"); !strings.Contains(body, "Some values are missing.") ||
		!strings.Contains(body, `name="v.fiets" value="" autocomplete="off" aria-invalid="true"`) || strings.Contains(body, "Dag Anna") {
		t.Errorf("a value is missing:\n%s", body)
	}
	_, body = b.post("/write", "template", "klaar", "in", "nl", "v.voornaam", "Anna", "v.fiets", "bakfiets", "do", "fill")
	if !strings.Contains(body, ">Dag Anna, uw bakfiets is klaar.</textarea>") || !strings.Contains(body, "1 SMS") {
		t.Errorf("it is not filled in:\n%s", body)
	}
	if _, body := b.post("/write", "template", "dicht", "do", "pick"); !strings.Contains(body, ">Morgen zijn wij dicht.</textarea>") || !strings.Contains(body, `value="marketing" checked`) {
		t.Errorf("a text without values is not taken at once:\n%s", body)
	}
	if _, body := b.post("/write", "template", "nobody", "text", "zelf getypt", "do", "pick"); !strings.Contains(body, ">zelf getypt</textarea>") {
		t.Errorf("a text that is not there takes what was typed:\n%s", body)
	}
}

// The messages of one campaign, rule or batch are found among all.
func TestMessagesOfOneCampaign(t *testing.T) {
	s := openShop(t, modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71))
	b := s.browser(t)
	s.add("0612345678", "Uw fiets is klaar")
	m, err := s.queue.Add(t.Context(), queue.Draft{To: "0612345679", Text: "Winterbeurt met korting", Source: "campaign/winter", Class: queue.Marketing})
	if err != nil {
		t.Fatal(err)
	}
	_, body := b.get("/messages?source=campaign/winter&lang=en")
	if strings.Contains(body, "Uw fiets is klaar") || !strings.Contains(body, "Winterbeurt met korting") || !strings.Contains(body, `<option value="campaign/winter" selected>`) {
		t.Errorf("the messages of a campaign:\n%s", body)
	}
	if !strings.Contains(html.UnescapeString(body), "/messages.csv?source=campaign%2Fwinter") {
		t.Error("the file has other messages than the page")
	}
	if _, file := b.get("/messages.csv?source=campaign/winter"); strings.Contains(file, "Uw fiets is klaar") || !strings.Contains(file, "Winterbeurt met korting") {
		t.Errorf("the file:\n%s", file)
	}
	if _, body := b.get("/messages/" + m.ID.String()); !strings.Contains(body, "<dt>Belongs to</dt><dd>winter</dd>") {
		t.Errorf("the message does not say what had it sent:\n%s", body)
	}
}
