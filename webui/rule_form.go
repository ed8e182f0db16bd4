package webui

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// ruleForm is a rule as a person fills it in: first what brings it about, then
// a sentence with gaps.
type ruleForm struct {
	*page
	Was       string // name of the rule that is changed; empty: a new one
	Name      string
	On        string // what brings it about; empty: to be chosen
	Field     string // attribute that holds a date, or that appears
	By        string // offset | lead: how long before is the same for all, or each its own
	Span      spanForm
	Lead      string // attribute that holds the days before
	Of        string // start | end
	Day       string // as the browser writes it
	Yearly    bool
	At        string
	Leap      string
	Template  string
	Channel   string
	Class     queue.Class
	Aud       audienceForm
	Match     condsForm
	Consent   consentForm
	Flagged   bool
	NotBefore string
	NotAfter  string
	LateNow   bool
	Tell      string
	TellEmpty bool
	Wrong     []string

	Templates []string
	was       *outreach.Rule // of which what the form does not ask is kept
}

// triggers in the order in which they are offered.
var triggers = []string{
	outreach.OnReminder, "booking.pending", "booking.confirmed", "booking.rejected", "booking.cancelled", "booking.moved",
	outreach.OnBirthday, outreach.OnDate, outreach.OnFirst, outreach.OnDay,
}

// Triggers to choose from.
func (f *ruleForm) Triggers() []string { return triggers }

// TriggerKey of the words about one.
func (f *ruleForm) TriggerKey(on string) string { return strings.ReplaceAll(on, ".", "_") }

// Booked: it is about a booking.
func (f *ruleForm) Booked() bool { return strings.HasPrefix(f.On, "booking.") }

// Uses tells which gaps the sentence has.
func (f *ruleForm) Uses(gap string) bool {
	switch gap {
	case "field":
		return f.On == outreach.OnDate || f.On == outreach.OnFirst
	case "span":
		return f.On == outreach.OnDate || f.On == outreach.OnReminder
	case "of":
		return f.On == outreach.OnReminder
	case "day":
		return f.On == outreach.OnDay
	case "leap":
		return f.On == outreach.OnBirthday
	case "at":
		return daily[f.On] || f.On == outreach.OnFirst || f.On == outreach.OnReminder
	}
	return false
}

func (s *Site) newRuleForm(r *http.Request, on string) (*ruleForm, error) {
	p := s.customers(r, "rules")
	f := &ruleForm{page: p, By: "offset", Of: "start", Channel: outreach.SMS, Class: queue.Marketing}
	if slices.Contains(triggers, on) {
		f.On = on
	}
	if f.Booked() {
		f.Class = queue.Transactional
	}
	f.Span = spanForm{N: "1", Unit: "days", Side: "before"}
	if daily[f.On] {
		f.At = "10:00"
	}
	f.Aud = audienceForm{page: p, Who: "everybody", Join: "all", Booked: daily[f.On], Finds: f.On != outreach.OnDay}
	f.Consent = consentForm{page: p, Consent: "usual"}
	f.Match = condsForm{page: p, Name: "m"}
	var err error
	if f.Templates, err = s.templateNames(); err != nil {
		return nil, err
	}
	if f.Aud.Events, err = s.events(p); err != nil {
		return nil, err
	}
	known, err := s.outreach.KnownNames(time.Second)
	if err != nil {
		return nil, err
	}
	f.Aud.Conds = condsForm{page: p, Name: "c", Fields: slices.Concat(known.Fields, known.Attributes)}
	f.Match.Fields = known.Booking
	return f, nil
}

func (s *Site) newRule(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	f, err := s.newRuleForm(r, r.URL.Query().Get("on"))
	s.show(w, r, "rule-form", f, err)
}

func (s *Site) editRule(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	rule, err := s.outreach.Rule(r.PathValue("name"))
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	f, err := s.newRuleForm(r, rule.On.Event)
	if err == nil {
		f.fill(rule)
	}
	s.show(w, r, "rule-form", f, err)
}

// fill shows a rule that is there.
func (f *ruleForm) fill(r *outreach.Rule) {
	t := &r.On
	f.was, f.Was, f.Name = r, r.Name, r.Name
	f.Field, f.Lead, f.Of, f.At, f.Leap = t.Field, t.Lead, cmp.Or(t.Of, "start"), t.At, t.Leap
	if f.By = "offset"; t.Lead != "" {
		f.By = "lead"
	} else if !f.Span.fill(t.Offset) {
		f.By = "kept"
	}
	f.Day = t.Day
	if len(t.Day) == len("12-24") {
		f.Day, f.Yearly = "2024-"+t.Day, true // a year that has every day
	}
	f.Template, f.Channel, f.Class = r.Template, r.Channel, r.Class
	if f.Aud.fill(r.Audience); r.Audience.IsZero() {
		f.Aud.Who = "everybody"
	}
	if rows, ok := rowsOf(r.Match); ok {
		f.Match.Rows = rows
	}
	f.Consent.fill(r.Consent, r.Class)
	f.Flagged = r.Flag != ""
	f.NotBefore, f.NotAfter, f.LateNow = r.NotBefore, r.NotAfter, r.Late == "now"
	f.Tell, f.TellEmpty = tellWords(&r.Notify), r.Notify.Empty
}

// Kept is the span that the form cannot say.
func (f *ruleForm) Kept() string {
	if f.was == nil {
		return ""
	}
	return f.was.On.Offset.String()
}

func (s *Site) saveRule(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, err := s.newRuleForm(r, r.PostForm.Get("on"))
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	if f.Was = r.PostForm.Get("was"); f.Was != "" {
		if f.was, err = s.outreach.Rule(f.Was); err != nil {
			s.show(w, r, "", nil, err)
			return
		}
		f.Path = "/rules/" + f.Was + "/edit"
	}
	f.read(r.PostForm)
	if f.On == "" || strings.HasPrefix(r.PostForm.Get("do"), "row ") {
		s.render(w, http.StatusOK, "rule-form", f)
		return
	}
	err = f.save(r)
	if said, ok := f.wrongWith(err); err != nil && ok {
		f.Wrong = append(f.Wrong, said)
	} else if err != nil {
		s.trouble(w, f.page, err)
		return
	}
	if len(f.Wrong) > 0 {
		s.render(w, http.StatusBadRequest, "rule-form", f)
		return
	}
	s.ruleChanged(f.Name)
	http.Redirect(w, r, "/rules/"+url.PathEscape(f.Name), http.StatusSeeOther)
}

func (f *ruleForm) read(v url.Values) {
	if f.Name = f.Was; f.Name == "" { // the name of a rule stays: what it has said goes by it
		f.Name = nameFrom(v.Get("name"))
	}
	f.Field, f.By, f.Lead, f.Of = strings.TrimSpace(v.Get("field")), cmp.Or(v.Get("by"), "offset"), strings.TrimSpace(v.Get("lead")), cmp.Or(v.Get("of"), "start")
	f.Span.read(v)
	f.Day, f.Yearly, f.At, f.Leap = v.Get("day"), v.Get("yearly") == "on", v.Get("at"), v.Get("leap")
	f.Template, f.Channel = v.Get("template"), cmp.Or(v.Get("channel"), outreach.SMS)
	if f.Class = queue.Marketing; v.Get("class") == string(queue.Transactional) {
		f.Class = queue.Transactional
	}
	f.Aud.read(v)
	f.Match.read(v)
	f.Consent.read(v)
	f.Flagged, f.LateNow = v.Get("flagged") == "on", v.Get("late") == "on"
	f.NotBefore, f.NotAfter = v.Get("not_before"), v.Get("not_after")
	f.Tell, f.TellEmpty = v.Get("tell"), v.Get("tell_empty") == "on"
}

// save gives the rule to outreach. A new one takes no name that is in use.
func (f *ruleForm) save(r *http.Request) error {
	o := f.site.outreach
	if f.Was == "" && f.Name != "" {
		if _, err := o.Rule(f.Name); err == nil {
			f.Wrong = append(f.Wrong, f.T("no_name_taken", "name", f.Name))
		} else if !errors.Is(err, queue.ErrNotFound) {
			return err
		}
	}
	rule := f.rule()
	if len(f.Wrong) > 0 {
		return nil
	}
	_, err := o.PutRule(r.Context(), rule, f.till())
	return err
}

// rule in the terms of outreach, which checks what it says.
func (f *ruleForm) rule() (r outreach.Rule) {
	if f.was != nil {
		r = *f.was // what the form does not ask stays
	}
	r.Name, r.Template, r.Channel, r.Class = f.Name, f.Template, f.Channel, f.Class
	r.On = f.trigger(r.On.Offset)
	was := r.Audience
	if r.Audience = f.Aud.audience(was); f.Aud.Who == "everybody" && f.On != outreach.OnDay {
		r.Audience = outreach.Audience{} // whom the trigger finds
	}
	if r.Match = nil; f.Booked() {
		r.Match = f.Match.conditions()
	}
	r.Consent = f.Consent.policy()
	switch {
	case !f.Flagged:
		r.Flag = ""
	case r.Flag == "":
		r.Flag = outreach.FlagReminder
	}
	r.NotBefore, r.NotAfter = f.NotBefore, f.NotAfter
	if r.Late = "skip"; f.LateNow {
		r.Late = "now"
	}
	r.Notify = tellOf(f.Tell, r.Notify)
	r.Notify.Empty = f.TellEmpty
	return r
}

// trigger of the sentence. was is a span that the form cannot say.
func (f *ruleForm) trigger(was outreach.Span) outreach.Trigger {
	t := outreach.Trigger{Event: f.On}
	if f.Uses("field") {
		t.Field = f.Field
	}
	if f.Uses("span") {
		switch f.By {
		case "lead":
			t.Lead = f.Lead
		case "kept":
			t.Offset = was
		default:
			span, ok := f.Span.span()
			if !ok {
				f.Wrong = append(f.Wrong, f.T("no_range", "what", f.Span.N))
			}
			t.Offset = span
		}
	}
	if f.Uses("of") && f.Of == "end" {
		t.Of = f.Of
	}
	if f.Uses("at") {
		t.At = f.At
	}
	if f.Uses("leap") {
		t.Leap = f.Leap
	}
	if f.Uses("day") {
		if t.Day = f.Day; f.Yearly && len(f.Day) == len(time.DateOnly) {
			t.Day = f.Day[len("2024-"):]
		}
	}
	return t
}
