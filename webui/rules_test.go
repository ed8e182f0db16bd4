package webui

import (
	"strings"
	"testing"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

func TestARuleFromItsFormToItsWeek(t *testing.T) {
	f, b := inShop(t)
	_, body := b.get("/new/rule")
	b.shows("the choice", body, "Before or after a booking", "Birthday", "A special day")
	_, body = b.get("/new/rule?on=booking.reminder")
	b.shows("the form", body, "How long before or after", "Counted from")

	fields := []string{"on", "booking.reminder", "name", "Dag ervoor", "by", "offset", "span_n", "1", "span_unit", "days", "span_side", "before", "of", "start", "at", "17:00", "template", "winterbeurt",
		"who", "everybody", "class", "transactional", "consent", "usual", "not_before", "08:00", "not_after", "21:00", "m_field", "service", "m_op", "is", "m_value", "Winterbeurt"}
	resp, body := b.send("/rules", append(fields, "do", "save")...)
	if resp.Request.URL.Path != "/rules/Dag-ervoor" {
		t.Fatalf("saving led to %s\n%s", resp.Request.URL, mainOf(body))
	}
	b.shows("the rule", body, "1 day before the start of a booking, at 17:00 : “winterbeurt”", "Only bookings where service is Winterbeurt.", "Between 08:00 and 21:00.", "Anna de Vries", "2 messages")
	r, err := f.site.outreach.Rule("Dag-ervoor")
	if err != nil || r.On.Offset.Days != -1 || r.Class != queue.Transactional || len(r.Match) != 1 || r.Off {
		t.Fatalf("%+v, %v", r, err)
	}
	_, body = b.get("/rules")
	b.shows("the list", body, "Anna, Bram", "The next five")

	// Its switch, from the list and from its own page.
	if resp, _ = b.send("/rules/Dag-ervoor/off?from=list"); resp.Request.URL.Path != "/rules" {
		t.Errorf("the switch led to %s", resp.Request.URL)
	}
	_, body = b.get("/rules/Dag-ervoor")
	b.shows("switched off", body, "Switched off by manager", "Nobody: it is switched off.")
	_, body = b.send("/rules/Dag-ervoor/on")
	b.shows("switched on", body, "2 messages")

	// What the form shows is what it saves.
	_, body = b.get("/rules/Dag-ervoor/edit")
	for _, want := range []string{`value="17:00"`, `value="service"`, `value="Winterbeurt"`, `name="span_n" value="1"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
	b.send("/rules", append(fields, "was", "Dag-ervoor", "late", "on", "flagged", "on")...)
	if r, err = f.site.outreach.Rule("Dag-ervoor"); err != nil || r.Late != "now" || r.Flag != outreach.FlagReminder {
		t.Errorf("%+v, %v", r, err)
	}
	_, body = b.get("/rules/Dag-ervoor")
	b.shows("with a switch of the customer", body, "Will not be sent", "The switch is off") // Bram wants none

	_, body = b.get("/rules/Dag-ervoor/delete")
	b.shows("the question", body, "Delete this reminder?")
	if resp, _ = b.send("/rules/Dag-ervoor/delete"); resp.Request.URL.Path != "/rules" {
		t.Errorf("deleting led to %s", resp.Request.URL)
	}
	if resp, _ = b.get("/rules/Dag-ervoor"); resp.StatusCode != 404 {
		t.Errorf("it is still there: %s", resp.Status)
	}
}

// Every trigger has a form of its own, and a sentence that says what it does.
func TestEveryTriggerIsASentence(t *testing.T) {
	f, b := inShop(t)
	if _, err := f.site.outreach.PutTemplate(t.Context(), outreach.Stored{Name: "kaal", Texts: map[string]map[string]string{outreach.SMS: {"nl": "Dag {first_name}"}}}, "page"); err != nil {
		t.Fatal(err)
	}
	common := []string{"template", "kaal", "who", "some", "c_field", "punten", "c_op", "at_least", "c_value", "10", "class", "transactional", "consent", "usual", "by", "offset", "span_unit", "days", "at", "09:30"}
	for name, c := range map[string]struct {
		fields []string
		says   string
	}{
		"birthday":     {[]string{"on", "birthday", "leap", "03-01"}, "On somebody’s birthday , at 09:30 : “kaal”"},
		"date-after":   {[]string{"on", "date", "field", "winterbeurt", "span_n", "30", "span_side", "after"}, "30 days after the day in winterbeurt"},
		"date-on":      {[]string{"on", "date", "field", "winterbeurt", "span_n", "0", "span_side", "after"}, "On the day in winterbeurt"},
		"date-lead":    {[]string{"on", "date", "field", "winterbeurt", "by", "lead", "lead", "punten"}, "As many days before the day in winterbeurt as punten says"},
		"first":        {[]string{"on", "first", "field", "fiets"}, "When fiets is known for the first time"},
		"day":          {[]string{"on", "day", "day", "2027-12-24"}, "On 2027-12-24"},
		"yearly":       {[]string{"on", "day", "day", "2027-12-24", "yearly", "on"}, "On 24 December, every year"},
		"two-hours":    {[]string{"on", "booking.reminder", "span_n", "2", "span_unit", "hours", "span_side", "after", "of", "end"}, "2 hours after the end of a booking"},
		"confirmed":    {[]string{"on", "booking.confirmed"}, "When a booking is confirmed"},
		"waits":        {[]string{"on", "booking.pending"}, "When a booking is made and waits for a yes"},
		"another-time": {[]string{"on", "booking.moved"}, "When a booking is moved"},
	} {
		t.Run(name, func(t *testing.T) {
			b := *b
			b.t = t
			fields := []string{"name", name}
			for i := 0; i+1 < len(c.fields); i += 2 {
				fields = append(fields, c.fields[i], c.fields[i+1])
			}
			resp, body := b.send("/rules", append(fields, common...)...)
			if resp.Request.URL.Path != "/rules/"+name {
				t.Fatalf("%s\n%s", resp.Status, mainOf(body))
			}
			said := strings.Join(strings.Fields(mainOf(body)), " ")
			if !strings.Contains(strings.ReplaceAll(said, " ,", ","), strings.ReplaceAll(c.says, " ,", ",")) {
				t.Errorf("it does not say %q:\n%s", c.says, said)
			}
			if resp, body := b.get("/rules/" + name + "/edit"); resp.StatusCode != 200 || !strings.Contains(body, `value="`+c.fields[1]+`"`) {
				t.Errorf("its form: %s", resp.Status)
			}
		})
	}
}

func TestWhatIsWrongWithARule(t *testing.T) {
	_, b := inShop(t)
	for name, c := range map[string]struct {
		fields []string
		says   string
	}{
		"no name":         {[]string{"on", "birthday", "name", "", "template", "winterbeurt"}, "The name is missing"},
		"no text":         {[]string{"on", "birthday", "name", "a", "template", "nothing"}, "That text does not exist any more."},
		"no field":        {[]string{"on", "date", "name", "a", "template", "winterbeurt", "by", "offset", "span_n", "1", "span_unit", "days", "span_side", "before"}, "A field is missing."},
		"no length":       {[]string{"on", "booking.reminder", "name", "a", "template", "winterbeurt", "by", "offset", "span_n", "eins"}, "no number eins"},
		"a day gone by":   {[]string{"on", "day", "day", "2026-01-02", "name", "a", "template", "winterbeurt"}, "That moment has passed."},
		"a strange field": {[]string{"on", "birthday", "name", "a", "template", "winterbeurt"}, "Nobody has a value for {start_date}. Correct"},
		"window reversed": {[]string{"on", "birthday", "name", "a", "template", "winterbeurt", "not_before", "21:00", "not_after", "08:00"}, "The end lies before the start."},
	} {
		resp, body := b.send("/rules", append(c.fields, "who", "everybody", "class", "transactional", "consent", "usual")...)
		if resp.StatusCode != 400 || !strings.Contains(mainOf(body), c.says) {
			t.Errorf("%s: %s, wants %q\n%s", name, resp.Status, c.says, mainOf(body))
		}
	}
	if resp, body := b.send("/rules", "name", "a"); resp.StatusCode != 200 || !strings.Contains(body, "What brings it about?") {
		t.Errorf("without a trigger: %s", resp.Status)
	}
}
