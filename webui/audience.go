package webui

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// Whom something is for, and whom the law lets it go to, as a person fills it
// in. Campaigns and rules ask in the same words; outreach checks what was
// meant.

// audienceForm is the question whom it is for.
type audienceForm struct {
	*page
	Who     string // everybody | some | list | kept
	Join    string // all | any of the conditions
	Conds   condsForm
	With    bookedForm // who has such a booking
	Without bookedForm // who has none
	List    string     // pasted
	Listed  int        // rows of the list that the draft has
	Kept    string     // an audience that this form cannot say, in words
	Lists   bool       // it may be a list
	Booked  bool       // it may ask for bookings
	Finds   bool       // everybody is whom a rule finds
	Events  []eventView
}

// condsForm is a list of conditions.
type condsForm struct {
	*page
	Name   string // of its fields
	Rows   []condForm
	Fields []string // to choose from
}

// condForm is one condition.
type condForm struct{ Field, Op, Value string }

// bookedForm is a booking that somebody has or has not.
type bookedForm struct{ Event, Field, Value string }

// eventView is an event to choose.
type eventView struct{ ID, Name, At string }

// bookingTitle is what a booking is called.
func bookingTitle(b *outreach.Booking) string {
	return cmp.Or(b.Service, b.Type, b.Attrs["product"].String(), b.ID)
}

const (
	spareRows = 2  // empty conditions below those that are filled in
	mostConds = 30 // of one form
)

func (c *condsForm) read(f url.Values) {
	fields, ops, values := f[c.Name+"_field"], f[c.Name+"_op"], f[c.Name+"_value"]
	c.Rows = nil
	for i := range min(len(fields), len(ops), len(values), mostConds) {
		row := condForm{strings.TrimSpace(fields[i]), ops[i], strings.TrimSpace(values[i])}
		if row.Field != "" || row.Value != "" {
			c.Rows = append(c.Rows, row)
		}
	}
	if f.Get("do") == "row "+c.Name { // somebody needs one more
		c.Rows = append(c.Rows, condForm{Op: "is"})
	}
}

// Lines are the conditions, with empty ones to fill in.
func (c *condsForm) Lines() []condForm {
	return append(slices.Clone(c.Rows), slices.Repeat([]condForm{{Op: "is"}}, spareRows)...)
}

// Ops to choose from.
func (c *condsForm) Ops() []string { return outreach.Operators() }

// conditions in the terms of outreach.
func (c *condsForm) conditions() (list []outreach.Condition) {
	for _, row := range c.Rows {
		if row.Field != "" || row.Value != "" {
			list = append(list, row.condition())
		}
	}
	return list
}

// read takes the form as it was sent.
func (a *audienceForm) read(f url.Values) {
	a.Who, a.Join, a.List = f.Get("who"), f.Get("join"), strings.ReplaceAll(f.Get("list"), "\r\n", "\n")
	a.Conds.read(f)
	a.With = bookedForm{f.Get("with_event"), strings.TrimSpace(f.Get("with_field")), strings.TrimSpace(f.Get("with_value"))}
	a.Without = bookedForm{f.Get("without_event"), strings.TrimSpace(f.Get("without_field")), strings.TrimSpace(f.Get("without_value"))}
}

// audience in the terms of outreach. was is the one that the form cannot say.
func (a *audienceForm) audience(was outreach.Audience) (out outreach.Audience) {
	switch a.Who {
	case "everybody":
		return outreach.Audience{Everybody: true}
	case "kept":
		return was
	case "list":
		return out
	}
	list := a.Conds.conditions()
	if a.Join == "any" && len(list) > 1 {
		out.Any = list
	} else {
		out.All = list
	}
	out.Booking, out.NoBooking = a.With.conditions(), a.Without.conditions()
	return out
}

// condition in the terms of outreach, which says what is wrong with it.
func (c condForm) condition() outreach.Condition {
	out := outreach.Condition{Field: c.Field, Op: c.Op}
	switch c.Op {
	case "in", "not_in", "between":
		out.Value = outreach.Value{Type: outreach.TypeList, List: commas(c.Value)}
	case "set", "not_set":
	default:
		out.Value = plainValue(c.Value)
	}
	return out
}

func (b bookedForm) conditions() (list []outreach.Condition) {
	if b.Event != "" {
		list = append(list, outreach.Condition{Field: "event", Op: "is", Value: outreach.Value{Type: outreach.TypeText, Text: b.Event}})
	}
	if b.Value != "" {
		list = append(list, outreach.Condition{Field: b.Field, Op: "is", Value: plainValue(b.Value)})
	}
	return list
}

// plainValue is what somebody means by a value: a day or a number in the way of
// the country, or words.
func plainValue(s string) outreach.Value {
	if v, err := outreach.Typed(s, outreach.TypeDate); err == nil && v.Text != "" {
		return v
	}
	if whole, part, ok := strings.Cut(s, ","); ok && onlyDigits(whole) != "" && onlyDigits(part) != "" {
		s = whole + "." + part // 12,50
	}
	return outreach.Value{Type: outreach.TypeText, Text: s}
}

// commas are the things in a list that a person writes.
func commas(s string) (list []string) {
	for item := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' || r == '\n' }) {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// fill shows an audience that is there, if the form can say it.
func (a *audienceForm) fill(is outreach.Audience) {
	with, ok1 := bookedOf(is.Booking)
	without, ok2 := bookedOf(is.NoBooking)
	rows, ok3 := rowsOf(slices.Concat(is.All, is.Any))
	switch {
	case is.Everybody:
		a.Who = "everybody"
	case !ok1 || !ok2 || !ok3 || len(is.All) > 0 && len(is.Any) > 0 || len(is.Contacts) > 0 || !a.Booked && len(is.Booking)+len(is.NoBooking) > 0:
		a.Who, a.Kept = "kept", a.audienceWords(&is)
	case is.IsZero():
	default:
		a.Who, a.With, a.Without, a.Conds.Rows = "some", with, without, rows
		if a.Join = "all"; len(is.Any) > 0 {
			a.Join = "any"
		}
	}
}

func bookedOf(list []outreach.Condition) (b bookedForm, ok bool) {
	for _, c := range list {
		switch {
		case c.Op != "is" || len(c.Any)+len(c.All) > 0:
			return b, false
		case c.Field == "event" && b.Event == "":
			b.Event = c.Value.Text
		case b.Value == "":
			b.Field, b.Value = c.Field, c.Value.String()
		default:
			return b, false
		}
	}
	return b, true
}

func rowsOf(list []outreach.Condition) (rows []condForm, ok bool) {
	for _, c := range list {
		if len(c.Any)+len(c.All) > 0 || len(rows) == mostConds {
			return nil, false
		}
		value := c.Value.String()
		if len(c.Value.List) > 0 {
			value = strings.Join(c.Value.List, ", ")
		}
		rows = append(rows, condForm{c.Field, c.Op, value})
	}
	return rows, true
}

// audienceWords says whom something is for.
func (p *page) audienceWords(a *outreach.Audience) string {
	var parts []string
	if a.Everybody {
		parts = append(parts, p.T("au_everybody"))
	}
	if len(a.All) > 0 {
		parts = append(parts, p.conditions(a.All, "au_and"))
	}
	if len(a.Any) > 0 {
		parts = append(parts, p.conditions(a.Any, "au_or"))
	}
	if len(a.Booking) > 0 {
		parts = append(parts, p.T("au_with", "what", p.conditions(a.Booking, "au_and")))
	}
	if len(a.NoBooking) > 0 {
		parts = append(parts, p.T("au_without", "what", p.conditions(a.NoBooking, "au_and")))
	}
	if n := len(a.Contacts); n > 0 {
		parts = append(parts, p.T("au_contacts", "n", n))
	}
	return strings.Join(parts, ", ")
}

func (p *page) conditions(list []outreach.Condition, join string) string {
	var said []string
	for _, c := range list {
		switch {
		case len(c.Any) > 0:
			said = append(said, "("+p.conditions(c.Any, "au_or")+")")
		case len(c.All) > 0:
			said = append(said, "("+p.conditions(c.All, "au_and")+")")
		default:
			value := c.Value.String()
			if len(c.Value.List) > 0 {
				value = strings.Join(c.Value.List, ", ")
			}
			said = append(said, strings.TrimSpace(c.Field+" "+p.Op(c.Op)+" "+value))
		}
	}
	return strings.Join(said, " "+p.T(join)+" ")
}

// Op in words.
func (p *page) Op(name string) string { return p.T("op_" + name) }

// consentForm is the question who may be written to.
type consentForm struct {
	*page
	Consent string // usual | every | named | proof
	Require string // purposes, with commas
	Exclude string
	Source  string // of the proof
	Since   string // day of the proof
}

func (c *consentForm) read(f url.Values) {
	c.Consent, c.Require, c.Exclude = f.Get("consent"), f.Get("require"), f.Get("exclude")
	c.Source, c.Since = strings.TrimSpace(f.Get("source")), f.Get("since")
}

// policy in the terms of outreach.
func (c *consentForm) policy() (out outreach.Policy) {
	switch c.Consent {
	case "every":
		out.RequireAll = []string{"*"}
	case "named":
		out.RequireAll, out.ExcludeAny = commas(c.Require), commas(c.Exclude)
	case "proof":
		out.Given = &outreach.Proof{Given: true, Source: c.Source}
		if at, err := time.ParseInLocation(time.DateOnly, c.Since, c.site.cfg.Location); err == nil {
			out.Given.At = at
		}
	}
	return out
}

func (c *consentForm) fill(is outreach.Policy, class queue.Class) {
	usual := len(is.RequireAll) == 0 || class == queue.Marketing && slices.Equal(is.RequireAll, []string{outreach.Marketing})
	switch {
	case is.Given != nil:
		c.Consent, c.Source, c.Since = "proof", is.Given.Source, c.in(is.Given.At).Format(time.DateOnly)
	case slices.Equal(is.RequireAll, []string{"*"}) && len(is.ExcludeAny) == 0:
		c.Consent = "every"
	case usual && len(is.ExcludeAny) == 0:
		c.Consent = "usual"
	default:
		c.Consent, c.Require, c.Exclude = "named", strings.Join(is.RequireAll, ", "), strings.Join(is.ExcludeAny, ", ")
	}
}

// consentWords says who may be written to.
func (p *page) consentWords(is outreach.Policy, class queue.Class) string {
	c := consentForm{page: p}
	c.fill(is, class)
	switch {
	case c.Consent == "proof":
		return p.T("co_says_proof", "source", c.Source, "day", c.Since)
	case c.Consent == "every":
		return p.T("co_every")
	case c.Consent == "named" && c.Exclude != "":
		return p.T("co_says_both", "require", c.Require, "exclude", c.Exclude)
	case c.Consent == "named":
		return p.T("co_says_named", "require", c.Require)
	case class == queue.Marketing:
		return p.T("co_says_ad")
	}
	return p.T("co_says_none")
}

// spanForm is a time before or after something.
type spanForm struct {
	N    string
	Unit string // minutes | hours | days
	Side string // before | after
}

func (s *spanForm) read(f url.Values) {
	s.N, s.Unit, s.Side = strings.TrimSpace(f.Get("span_n")), f.Get("span_unit"), f.Get("span_side")
}

// span in the terms of outreach; false: it says no length.
func (s spanForm) span() (out outreach.Span, ok bool) {
	n, err := strconv.Atoi(s.N)
	if err != nil || n < 0 || n > 10_000 {
		return out, false
	}
	if s.Side == "before" {
		n = -n
	}
	switch s.Unit {
	case "minutes":
		out.Rest = time.Duration(n) * time.Minute
	case "days":
		out.Days = n
	default:
		out.Rest = time.Duration(n) * time.Hour
	}
	return out, true
}

// fill shows a span; false: the form cannot say it.
func (s *spanForm) fill(is outreach.Span) bool {
	s.Side = "after"
	if is.Before() {
		s.Side, is.Days, is.Rest = "before", -is.Days, -is.Rest
	}
	switch {
	case is.Days != 0 && is.Rest != 0, is.Rest%time.Minute != 0:
		return false
	case is.Days != 0:
		s.N, s.Unit = strconv.Itoa(is.Days), "days"
	case is.Rest%time.Hour == 0:
		s.N, s.Unit = strconv.Itoa(int(is.Rest/time.Hour)), "hours"
	default:
		s.N, s.Unit = strconv.Itoa(int(is.Rest/time.Minute)), "minutes"
	}
	return true
}

// spanWords says a length of time: 3 hours, 1 day.
func (p *page) spanWords(is outreach.Span) string {
	var s spanForm
	if !s.fill(is) {
		return is.String()
	}
	one := s.N == "1"
	switch s.Unit {
	case "minutes":
		return p.T("sp_minutes", "n", s.N)
	case "days":
		if one {
			return p.T("sp_day")
		}
		return p.T("sp_days", "n", s.N)
	}
	if one {
		return p.T("sp_hour")
	}
	return p.T("sp_hours", "n", s.N)
}

// Units and Sides to choose from.
func (p *page) Units() []string { return []string{"minutes", "hours", "days"} }
func (p *page) Sides() []string { return []string{"before", "after"} }

// spanView draws the question for a span.
type spanView struct {
	*page
	spanForm
}

// SpanOf is for templates.
func (p *page) SpanOf(s spanForm) spanView { return spanView{p, s} }

// bookedView draws the question for a booking that somebody has or has not.
type bookedView struct {
	*page
	Name   string // with | without
	Is     bookedForm
	Events []eventView
}

// Lead begins the sentence.
func (b bookedView) Lead() string { return b.T("au_lead_" + b.Name) }

// Booking is for templates.
func (a *audienceForm) Booking(name string) bookedView {
	v := bookedView{page: a.page, Name: name, Is: a.With, Events: a.Events}
	if name == "without" {
		v.Is = a.Without
	}
	if v.Is.Field == "" {
		v.Is.Field = "product"
	}
	return v
}
