package webui

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// Rules: when which text goes to whom. A rule is a sentence, and below it
// stands what it will do in the days to come: a manager who reads that nine
// people get a message on Monday need not read the sentence.

// rulesView is all of them.
type rulesView struct {
	*page
	Rules []ruleView
	Total int // messages in the days to come
	Next  []soonView
}

// ruleView is one rule.
type ruleView struct {
	*page
	Name    string
	At      string // address
	On      bool
	Ahead   bool      // what it will do is known ahead
	Says    []runView // the sentence; what can be changed is marked
	Notes   []string
	Week    []weekday
	Total   int
	By      string
	Changed string

	// On its own page.
	Coming []soonView
	More   int // of them that are not shown
	Last   *lastRun
	Runs   []campaignRow
	Wrong  string
	Text   string // of its template
}

// weekday is one day of the days to come.
type weekday struct {
	Day   string
	N     int // messages
	Dots  template.HTML
	Names string // first names of some
}

// soonView is one message that will be written, or will not and why.
type soonView struct {
	When, Name, Number string
	Contact, Booking   string // addresses
	See                string // word of the second
	Rule, Why          string
	Sign, Word         string
}

// lastRun is what a daily rule did on the last day that it looked.
type lastRun struct {
	Day      string
	Matched  int
	Messages int
	Failed   string
	Missed   string
	Sift     []siftView
	At       string // address of its list; empty: nobody was on it
}

const (
	soonDays  = 7
	soonMost  = 50
	dotsMost  = 16 // two lines of eight
	namesMost = 3
)

func (s *Site) rules(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readRules(s.customers(r, "rules"))
	s.show(w, r, "rules", v, err)
}

func (s *Site) allRules() (all []outreach.Rule, err error) {
	for after := ""; ; {
		list, next, err := s.outreach.Rules(after, 1000)
		if err != nil {
			return nil, err
		}
		if all = append(all, list...); next == "" {
			return all, nil
		}
		after = next
	}
}

func (s *Site) readRules(p *page) (*rulesView, error) {
	p.Live = "rules"
	all, err := s.allRules()
	if err != nil {
		return nil, err
	}
	v := &rulesView{page: p}
	coming, err := s.upcomingAll()
	if err != nil {
		return nil, err
	}
	var next []soonOf
	for i := range all {
		r := &all[i]
		list := coming[r.Name]
		one := p.rule(r)
		one.week(list)
		one.Ahead = one.Ahead || len(list) > 0
		v.Total += one.Total
		v.Rules = append(v.Rules, *one)
		for _, u := range list[:min(len(list), soonMost)] {
			if u.Why == "" {
				next = append(next, soonOf{r, u})
			}
		}
	}
	slices.SortStableFunc(next, func(a, b soonOf) int { return a.At.Compare(b.At) })
	for _, u := range next[:min(len(next), 5)] {
		v.Next = append(v.Next, p.comes(u.rule, &u.Upcoming))
	}
	return v, nil
}

type soonOf struct {
	rule *outreach.Rule
	outreach.Upcoming
}

// everyRule is under which name the days to come of all rules are kept, which is
// no rule's.
const everyRule = " "

// upcomingAll is what rules will do in the days to come, today with them; it may
// be some moments old.
func (s *Site) upcomingAll() (map[string][]outreach.Upcoming, error) {
	return s.coming.get(everyRule, nil, func() (map[string][]outreach.Upcoming, error) {
		return s.outreach.UpcomingAll(s.dayAfter(soonDays).Add(-time.Second))
	})
}

// upcoming is the same of one rule.
func (s *Site) upcoming(r *outreach.Rule) ([]outreach.Upcoming, error) {
	all, err := s.coming.get(r.Name, nil, func() (map[string][]outreach.Upcoming, error) {
		list, err := s.outreach.Upcoming(r.Name, s.dayAfter(soonDays).Add(-time.Second))
		return map[string][]outreach.Upcoming{r.Name: list}, err
	})
	return all[r.Name], err
}

// ruleChanged lets the next look at a rule be a new one.
func (s *Site) ruleChanged(name string) {
	s.coming.forget(name)
	s.coming.forget(everyRule)
}

// dayAfter is the beginning of a day on the shop's calendar: 0 is today.
func (s *Site) dayAfter(n int) time.Time {
	now := s.queue.Now().In(s.cfg.Location)
	return time.Date(now.Year(), now.Month(), now.Day()+n, 0, 0, 0, 0, s.cfg.Location)
}

// rule as a person reads it.
func (p *page) rule(r *outreach.Rule) *ruleView {
	return &ruleView{
		page: p, Name: r.Name, At: "/rules/" + url.PathEscape(r.Name), On: !r.Off, Ahead: daily[r.On.Event] || r.On.Event == outreach.OnReminder, Says: marks(p.ruleSays(r)), Notes: p.ruleNotes(r),
		By: p.by(r.By), Changed: p.Clock(r.Updated),
	}
}

// marks cuts a sentence at its asterisks: what stands between two is marked.
func marks(s string) (runs []runView) {
	for i, piece := range strings.Split(s, "*") {
		if piece != "" {
			runs = append(runs, runView{Text: piece, Mark: i%2 == 1})
		}
	}
	return runs
}

// ruleSays is the rule as a sentence, in which what can be changed stands
// between asterisks.
func (p *page) ruleSays(r *outreach.Rule) string {
	said := p.ruleWhen(r)
	if at := r.On.At; at != "" || daily[r.On.Event] {
		said += p.T("ru_at", "time", cmp.Or(at, "10:00"))
	}
	return said + ": *“" + strings.ReplaceAll(r.Template, "*", "") + "”*."
}

// daily are the triggers that are looked at once a day, at an hour.
var daily = map[string]bool{outreach.OnBirthday: true, outreach.OnDate: true, outreach.OnDay: true}

// ruleWhen is the first half of the sentence.
func (p *page) ruleWhen(r *outreach.Rule) string {
	t := &r.On
	field, lead := strings.ReplaceAll(t.Field, "*", ""), strings.ReplaceAll(t.Lead, "*", "")
	switch t.Event {
	case outreach.OnBirthday:
		return p.T("ru_birthday")
	case outreach.OnFirst:
		return p.T("ru_first", "field", field)
	case outreach.OnDay:
		return p.T("ru_day", "day", p.dayOfYear(t.Day))
	case outreach.OnDate:
		switch {
		case lead != "":
			return p.T("ru_date_lead", "field", field, "lead", lead)
		case t.Offset.IsZero():
			return p.T("ru_date_on", "field", field)
		case t.Offset.Before():
			return p.T("ru_date_before", "span", p.spanWords(t.Offset), "field", field)
		}
		return p.T("ru_date_after", "span", p.spanWords(t.Offset), "field", field)
	case outreach.OnReminder:
		of := p.T("ru_start")
		if t.Of == "end" {
			of = p.T("ru_end")
		}
		switch {
		case lead != "":
			return p.T("ru_booking_lead", "lead", lead, "of", of)
		case t.Offset.Before():
			return p.T("ru_booking_before", "span", p.spanWords(t.Offset), "of", of)
		}
		return p.T("ru_booking_after", "span", p.spanWords(t.Offset), "of", of)
	}
	return p.T("ru_booking_is", "state", p.T("be_"+strings.TrimPrefix(t.Event, "booking.")))
}

// dayOfYear is 2027-12-24 as it is, and 12-24 as day and month.
func (p *page) dayOfYear(day string) string {
	t, err := time.Parse("2006-01-02", "2024-"+day)
	if err != nil {
		return day
	}
	return p.T("ru_every_year", "day", strconv.Itoa(t.Day()), "month", p.T("month_"+[...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}[t.Month()-1]))
}

// ruleNotes are what else somebody should know of it.
func (p *page) ruleNotes(r *outreach.Rule) (notes []string) {
	add := func(key string, args ...any) { notes = append(notes, p.T(key, args...)) }
	if r.Channel == outreach.Email {
		add("ru_by_mail")
	}
	if r.Class == queue.Marketing {
		add("ru_is_ad")
	} else if len(r.Consent.RequireAll) > 0 {
		notes = append(notes, p.consentWords(r.Consent, r.Class)+".")
	}
	if !r.Audience.IsZero() && !r.Audience.Everybody {
		add("ru_only", "who", p.audienceWords(&r.Audience))
	}
	if len(r.Match) > 0 {
		add("ru_match", "what", p.conditions(r.Match, "au_and"))
	}
	if r.Flag == outreach.FlagReminder {
		add("ru_flag")
	} else if r.Flag != "" {
		add("ru_flag_named", "flag", r.Flag)
	}
	switch {
	case r.NotBefore != "" && r.NotAfter != "":
		add("ru_window", "from", r.NotBefore, "to", r.NotAfter)
	case r.NotBefore != "":
		add("ru_not_before", "from", r.NotBefore)
	case r.NotAfter != "":
		add("ru_not_after", "to", r.NotAfter)
	}
	if r.On.Event == outreach.OnReminder {
		add("ru_follows")
		if r.Late == "now" {
			add("ru_late_now")
		}
	}
	return notes
}

// week counts what a rule will do, day by day.
func (v *ruleView) week(list []outreach.Upcoming) {
	for n := range soonDays {
		from, to := v.site.dayAfter(n), v.site.dayAfter(n+1)
		day := weekday{Day: weekdays[v.Lang][from.Weekday()] + " " + strconv.Itoa(from.Day())}
		var dots strings.Builder
		shown := 0
		var names []string
		for i := range list {
			u := &list[i]
			if u.At.Before(from) || !u.At.Before(to) {
				continue
			}
			class := "dot"
			if u.Why == "" {
				day.N++
				if len(names) < namesMost {
					names = append(names, v.firstName(u.Contact))
				}
			} else {
				class = "dot no"
			}
			if shown < dotsMost {
				fmt.Fprintf(&dots, `<circle class="%s" cx="%d" cy="%d" r="4"/>`, class, 6+shown%8*12, 6+shown/8*12)
			}
			shown++
		}
		if shown > 0 {
			day.Dots = template.HTML(`<svg viewBox="0 0 96 24" aria-hidden="true">` + dots.String() + `</svg>`)
		}
		if day.Names = strings.Join(names, ", "); day.N > len(names) {
			day.Names += " +" + strconv.Itoa(day.N-len(names))
		}
		v.Total += day.N
		v.Week = append(v.Week, day)
	}
}

// firstName of a contact, by its id.
func (p *page) firstName(id string) string {
	c, err := p.site.outreach.Contact(id)
	if err != nil {
		return id
	}
	return cmp.Or(p.first(cmp.Or(c.FirstName, c.Name, c.LastName)), id)
}

// comes is one message to come.
func (p *page) comes(r *outreach.Rule, u *outreach.Upcoming) soonView {
	v := soonView{When: p.dayClock(u.At), Name: u.Contact, Rule: r.Name, Contact: "/contact/" + url.PathEscape(u.Contact), Sign: "planned", Word: p.T("ru_will")}
	if c, err := p.site.outreach.Contact(u.Contact); err == nil {
		v.Name, v.Number = p.nameOf(c), masked(c.Number)
	}
	if u.Booking != "" {
		v.Booking, v.See = "/bookings/"+url.PathEscape(u.Booking), p.T("bo_see")
	}
	if u.Why != "" {
		v.Sign, v.Word, v.Why = "off", p.T("ru_will_not"), p.Why(u.Why)
	}
	return v
}

// dayClock is a day with its weekday, and the hour.
func (p *page) dayClock(t time.Time) string {
	t = p.in(t)
	return weekdays[p.Lang][t.Weekday()] + " " + t.Format("01-02 15:04")
}

func (s *Site) showRule(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readRule(s.customers(r, "rules"), r.PathValue("name"))
	s.show(w, r, "rule", v, err)
}

// readRule is the page of one.
func (s *Site) readRule(p *page, name string) (*ruleView, error) {
	r, err := s.outreach.Rule(name)
	if err != nil {
		return nil, err
	}
	list, err := s.upcoming(r)
	if err != nil {
		return nil, err
	}
	p.Path, p.Live = "/rules/"+name, "rule/"+name
	v := p.rule(r)
	v.week(list)
	v.Ahead = v.Ahead || len(list) > 0
	for i := range list[:min(len(list), soonMost)] {
		one := p.comes(r, &list[i])
		one.Rule = "" // all of them are its own
		v.Coming = append(v.Coming, one)
	}
	v.More = len(list) - len(v.Coming)
	if t, err := s.outreach.Template(r.Template); err == nil {
		v.Text = p.firstText(t, r.Channel)
	}
	if v.Last, err = p.lastRun(r); err != nil {
		return nil, err
	}
	runs, err := s.allCampaigns(outreach.KindRun)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if c := &runs[i]; c.Rule == name && len(v.Runs) < listLength {
			v.Runs = append(v.Runs, p.campaignRow(c))
		}
	}
	return v, nil
}

// firstText of a template, in the reader's language where it has one.
func (p *page) firstText(t *outreach.Stored, channel string) string {
	for _, lang := range append([]string{p.Lang, p.site.cfg.Language}, queue.Languages...) {
		if words := t.Texts[channel][lang]; words != "" {
			return words
		}
	}
	return ""
}

func (p *page) lastRun(r *outreach.Rule) (*lastRun, error) {
	run := r.Last
	if run == nil {
		return nil, nil
	}
	v := &lastRun{Day: run.Day, Matched: run.Matched, Messages: run.Messages, Failed: run.Failed, Missed: strings.Join(run.Missed, ", ")}
	if what, ok := stranger(afterField(run.Failed)); ok {
		v.Failed = p.T("no_such_field", "what", what)
	}
	if run.Name != "" {
		v.At = "/campaigns/" + url.PathEscape(run.Name)
	}
	var err error
	v.Sift, err = p.sift(run.Excluded)
	return v, err
}

// afterField is a refusal without the field that it is about.
func afterField(said string) string {
	_, rest, ok := strings.Cut(said, ": ")
	if !ok {
		return said
	}
	return rest
}

// actOnRule switches a rule on or off, or removes it.
func (s *Site) actOnRule(w http.ResponseWriter, r *http.Request) {
	p, name := s.customers(r, "rules"), r.PathValue("name")
	rule, err := s.outreach.Rule(name)
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	back := "/rules/" + url.PathEscape(name)
	if r.URL.Query().Get("from") == "list" {
		back = "/rules"
	}
	defer s.ruleChanged(name)
	switch act := r.PathValue("act"); act {
	case "on", "off":
		rule.Off = act == "off"
		_, err = s.outreach.PutRule(r.Context(), *rule, p.till())
	case "delete":
		back = "/rules"
		err = s.outreach.DeleteRule(r.Context(), name, p.till())
	default:
		err = queue.ErrNotFound
	}
	s.acted(w, r, p, err, back, "rule", func(wrong string) (any, error) {
		v, err := s.readRule(p, name)
		if err == nil {
			v.Wrong = wrong
		}
		return v, err
	})
}

// confirmRule asks before a rule goes for good.
func (s *Site) confirmRule(w http.ResponseWriter, r *http.Request) {
	v, err := s.readRule(s.customers(r, "rules"), r.PathValue("name"))
	if err == nil {
		v.Live, v.Path = "strip", v.Path+"/delete"
	}
	s.show(w, r, "rule-confirm", v, err)
}
