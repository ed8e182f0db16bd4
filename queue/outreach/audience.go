package outreach

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue/store"
)

// Audience says who is meant, in four ways that may be combined: everybody, or
// who meets conditions; of those, who has a booking that meets conditions, and
// who has none such. Filters only: a field, an operator, a value.
//
//	{"all": [{"field": "category", "op": "is", "value": "gold"},
//	         {"any": [{"field": "points", "op": "at_least", "value": 100}, …]}],
//	 "booking":    [{"field": "event", "op": "is", "value": "concert-12"}],
//	 "no_booking": [{"field": "event", "op": "is", "value": "concert-12"},
//	                {"field": "product", "op": "is", "value": "drinks"}]}
type Audience struct {
	Everybody bool        `json:"everybody,omitempty"` // must be said: nothing is not everybody
	All       []Condition `json:"all,omitempty"`
	Any       []Condition `json:"any,omitempty"`
	Booking   []Condition `json:"booking,omitempty"`    // one booking for which all of these hold
	NoBooking []Condition `json:"no_booking,omitempty"` // no booking for which all of these hold
	Contacts  []string    `json:"contacts,omitempty"`   // only these, by id
}

// Condition is a field compared with a value; or, one level deep, a list of
// which any or all must hold.
type Condition struct {
	Field string      `json:"field,omitempty"`
	Op    string      `json:"op,omitempty"`
	Value Value       `json:"value,omitzero"`
	Any   []Condition `json:"any,omitempty"`
	All   []Condition `json:"all,omitempty"`
}

// operators of a condition: what they need and what they mean.
var operators = []struct {
	name  string
	needs string // nothing, one, number, list, pair
	holds func(have, want Value) bool
}{
	{"is", "one", func(h, w Value) bool { return equal(h, w) }},
	{"is_not", "one", func(h, w Value) bool { return !equal(h, w) }},
	{"in", "list", func(h, w Value) bool { return inList(h, w) }},
	{"not_in", "list", func(h, w Value) bool { return !inList(h, w) }},
	{"has", "one", hasItem},
	{"has_not", "one", func(h, w Value) bool { return !hasItem(h, w) }},
	{"begins_with", "one", func(h, w Value) bool { return strings.HasPrefix(strings.ToLower(h.Text), strings.ToLower(w.Text)) }},
	{"at_least", "order", func(h, w Value) bool { n, ok := order(h, w); return ok && n >= 0 }},
	{"at_most", "order", func(h, w Value) bool { n, ok := order(h, w); return ok && n <= 0 }},
	{"after", "order", func(h, w Value) bool { n, ok := order(h, w); return ok && n > 0 }},
	{"before", "order", func(h, w Value) bool { n, ok := order(h, w); return ok && n < 0 }},
	{"between", "pair", func(h, w Value) bool {
		lo, ok1 := order(h, textValue(w.List[0]))
		hi, ok2 := order(h, textValue(w.List[1]))
		return ok1 && ok2 && lo >= 0 && hi <= 0
	}},
	{"set", "nothing", func(h, _ Value) bool { return !h.IsZero() }},
	{"not_set", "nothing", func(h, _ Value) bool { return h.IsZero() }},
}

func operator(name string) int {
	for i, op := range operators {
		if op.name == name {
			return i
		}
	}
	return -1
}

// Operators lists the names of all operators.
func Operators() (names []string) {
	for _, op := range operators {
		names = append(names, op.name)
	}
	return names
}

func equal(h, w Value) bool {
	if h.Type == TypeList {
		return hasItem(h, w)
	}
	if n, ok := order(h, w); ok {
		return n == 0
	}
	return strings.EqualFold(h.Text, w.Text)
}

func inList(h, w Value) bool {
	return slices.ContainsFunc(w.List, func(item string) bool { return equal(h, textValue(item)) })
}

func hasItem(h, w Value) bool {
	if h.Type != TypeList {
		return strings.EqualFold(h.Text, w.Text)
	}
	return slices.ContainsFunc(h.List, func(item string) bool { return strings.EqualFold(item, w.Text) })
}

// order compares numbers with numbers and dates with dates; false: it cannot.
func order(h, w Value) (int, bool) {
	if h.Text == "" || w.Text == "" {
		return 0, false
	}
	if a, ok := h.number(); ok {
		b, ok := w.number()
		switch {
		case !ok:
			return 0, false
		case a < b:
			return -1, true
		case a > b:
			return 1, true
		}
		return 0, true
	}
	if len(h.Text) >= len(time.DateOnly) && len(w.Text) >= len(time.DateOnly) && isDate(h.Text[:10]) && isDate(w.Text[:10]) {
		n := min(len(h.Text), len(w.Text))
		return strings.Compare(h.Text[:n], w.Text[:n]), true
	}
	return 0, false
}

// selector is an audience that was checked and can be asked.
type selector struct {
	all, any []Condition
	only     map[string]bool
	today    time.Time

	booked   map[string]string // contact → booking that meets the conditions; nil: not asked
	unwanted map[string]bool   // contacts with a booking that excludes them
}

// IsZero: nobody was named.
func (a *Audience) IsZero() bool {
	return !a.Everybody && len(a.All)+len(a.Any)+len(a.Booking)+len(a.NoBooking)+len(a.Contacts) == 0
}

// check refuses what cannot be meant. Its error is a *queue.Invalid.
func (a *Audience) check(field string) error {
	if a.Everybody && len(a.All)+len(a.Any)+len(a.Booking)+len(a.NoBooking)+len(a.Contacts) > 0 {
		return invalid(field+".everybody", "one_of_two", "everybody and a filter contradict each other. Leave one of them out")
	}
	for name, list := range map[string][]Condition{"all": a.All, "any": a.Any} {
		if err := checkAll(field+"."+name, list, 0); err != nil {
			return err
		}
	}
	for name, list := range map[string][]Condition{"booking": a.Booking, "no_booking": a.NoBooking} {
		if err := checkAll(field+"."+name, list, 1); err != nil {
			return err
		}
	}
	return nil
}

func checkAll(field string, list []Condition, depth int) error {
	for i, c := range list {
		if err := c.check(fmt.Sprintf("%s[%d]", field, i), depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *Condition) check(field string, depth int) error {
	if len(c.Any)+len(c.All) > 0 {
		switch {
		case depth > 0:
			return invalid(field, "too_deep", "a filter is one level deep: a list may hold conditions and lists of conditions, and no more. Make two filters of it")
		case c.Field != "" || c.Op != "" || len(c.Any) > 0 && len(c.All) > 0:
			return invalid(field, "one_of_two", "this is a condition and a list at once. Write {field, op, value}, {any: […]} or {all: […]}")
		}
		return checkAll(field, slices.Concat(c.Any, c.All), depth+1)
	}
	if strings.TrimSpace(c.Field) == "" {
		return invalid(field+".field", "field_missing", "the condition names no field. Write the name of a field or an attribute")
	}
	n := operator(c.Op)
	if n < 0 {
		return invalid(field+".op", "unknown_value", "%q is no operator. Use one of: %s", c.Op, strings.Join(Operators(), ", "))
	}
	v := c.Value
	switch needs := operators[n].needs; {
	case needs == "nothing" && !v.IsZero():
		return invalid(field+".value", "value_superfluous", "%s needs no value. Leave it out", c.Op)
	case needs == "one" && (v.IsZero() || v.Type == TypeList):
		return invalid(field+".value", "value_missing", "%s needs one value", c.Op)
	case needs == "list" && len(v.List) == 0:
		return invalid(field+".value", "value_missing", "%s needs a list of texts: [\"a\", \"b\"]", c.Op)
	case needs == "order" && !ordered(v.Text):
		return invalid(field+".value", "wrong_type", "%s needs a number or a date, and %q is neither. Write 100, 2027-04-23, or today-30", c.Op, v.String())
	case needs == "pair" && (len(v.List) != 2 || !ordered(v.List[0]) || !ordered(v.List[1])):
		return invalid(field+".value", "wrong_type", "between needs two numbers, or two dates: [100, 500] or [\"2027-04-01\", \"2027-04-30\"]")
	}
	return nil
}

func ordered(s string) bool {
	_, isDay := relativeDay(s, time.Time{})
	_, err := strconv.ParseFloat(s, 64)
	return err == nil || isDate(s) || isDay
}

// relativeDay reads today, today+30 and today-180.
func relativeDay(s string, today time.Time) (string, bool) {
	rest, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(s, " ", "")), "today")
	if !ok {
		return "", false
	}
	days := 0
	if rest != "" {
		n, err := strconv.Atoi(rest)
		if err != nil {
			return "", false
		}
		days = n
	}
	return today.AddDate(0, 0, days).Format(time.DateOnly), true
}

// resolve replaces days that depend on today, and spells names our way.
func resolve(list []Condition, today time.Time, name func(string) string) []Condition {
	out := slices.Clone(list)
	for i := range out {
		c := &out[i]
		c.Field = name(c.Field)
		c.Any, c.All = resolve(c.Any, today, name), resolve(c.All, today, name)
		if d, ok := relativeDay(c.Value.Text, today); ok {
			c.Value = Value{Type: TypeDate, Text: d}
		}
		if len(c.Value.List) > 0 {
			c.Value.List = slices.Clone(c.Value.List)
			for k, item := range c.Value.List {
				if d, ok := relativeDay(item, today); ok {
					c.Value.List[k] = d
				}
			}
		}
	}
	return out
}

// selector readies an audience: who has which booking is found once, not for
// every contact.
func (o *Outreach) selector(a *Audience, now time.Time) (*selector, error) {
	today := now.In(o.cfg.Location)
	s := &selector{all: resolve(a.All, today, fieldName), any: resolve(a.Any, today, fieldName), today: today}
	if len(a.Contacts) > 0 {
		s.only = make(map[string]bool, len(a.Contacts))
		for _, id := range a.Contacts {
			s.only[strings.TrimSpace(id)] = true
		}
	}
	if len(a.Booking) > 0 {
		s.booked = map[string]string{}
		err := o.eachBooking(resolve(a.Booking, today, fold), func(b *Booking) {
			if old, ok := s.booked[b.Contact]; !ok || b.ID < old {
				s.booked[b.Contact] = b.ID
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if len(a.NoBooking) > 0 {
		s.unwanted = map[string]bool{}
		err := o.eachBooking(resolve(a.NoBooking, today, fold), func(b *Booking) { s.unwanted[b.Contact] = true })
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// eachBooking finds the bookings of somebody that meet all conditions, by the
// index of events where one is named. What was cancelled or rejected counts
// only where the conditions speak of the state.
func (o *Outreach) eachBooking(conds []Condition, fn func(*Booking)) error {
	event, states := "", false
	for _, c := range conds {
		if c.Field == "event" && c.Op == "is" {
			event = c.Value.Text
		}
		states = states || c.Field == "status"
	}
	look := func(b *Booking) {
		if b.Contact == "" || !states && b.Status.over() {
			return
		}
		if meetsAll(conds, func(name string) Value { return b.field(name, o.cfg.Location) }) {
			fn(b)
		}
	}
	if event == "" {
		return each(o.db, bookings, func(_ *store.Tx, b *Booking) error { look(b); return nil })
	}
	return o.db.View(func(tx *store.Tx) error {
		prefix := store.Str(event)
		for key, id := range byEvent.Keys(tx, prefix) {
			if !bytes.HasPrefix(key, prefix) {
				return nil
			}
			b, err := bookings.Get(tx, id)
			if err != nil {
				return err
			}
			if b != nil {
				look(b)
			}
		}
		return nil
	})
}

// matches says whether a contact is meant, and by which booking.
func (s *selector) matches(c *Contact) (booking string, ok bool) {
	if s.only != nil && !s.only[c.ID] {
		return "", false
	}
	if s.booked != nil {
		if booking, ok = s.booked[c.ID]; !ok {
			return "", false
		}
	}
	if s.unwanted[c.ID] {
		return "", false
	}
	if !meetsAll(s.all, c.field) || len(s.any) > 0 && !meetsAny(s.any, c.field) {
		return "", false
	}
	return booking, true
}

func meetsAll(list []Condition, field func(string) Value) bool {
	for i := range list {
		if !list[i].meets(field) {
			return false
		}
	}
	return true
}

func meetsAny(list []Condition, field func(string) Value) bool {
	for i := range list {
		if list[i].meets(field) {
			return true
		}
	}
	return false
}

func (c *Condition) meets(field func(string) Value) bool {
	switch {
	case len(c.Any) > 0:
		return meetsAny(c.Any, field)
	case len(c.All) > 0:
		return meetsAll(c.All, field)
	}
	return operators[operator(c.Op)].holds(field(c.Field), c.Value)
}

// Excluded is a reason for which people who were meant are left out.
type Excluded struct {
	Why   string   `json:"why"`
	Count int      `json:"count"`
	First []string `json:"first"` // some of them, by id or row
}

const firstExcluded = 20

// leftOut collects reasons.
type leftOut struct {
	list  []Excluded
	where map[string]int
}

func (l *leftOut) add(who, why string) {
	if l.where == nil {
		l.where = map[string]int{}
	}
	i, ok := l.where[why]
	if !ok {
		i = len(l.list)
		l.where[why] = i
		l.list = append(l.list, Excluded{Why: why})
	}
	l.list[i].Count++
	if len(l.list[i].First) < firstExcluded {
		l.list[i].First = append(l.list[i].First, who)
	}
}

func (l *leftOut) total() (n int) {
	for _, e := range l.list {
		n += e.Count
	}
	return n
}

// reasons why a contact that is meant gets nothing, asked when a list is made
// and again when the message would leave.
func refusesContact(tx *store.Tx, c *Contact, p *Policy, channel string, said []string) (why string, err error) {
	if why, err = excluded(tx, c); why != "" || err != nil {
		return why, err
	}
	if !p.Ignore && len(p.RequireAll)+len(p.ExcludeAny) > 0 {
		g, err := consentsOf(tx, c.ID, channel)
		if err != nil {
			return "", err
		}
		if why = p.allows(g, said); why != "" {
			return why, nil
		}
	}
	if channel == Email && c.Email == "" {
		return "has no e-mail address", nil
	}
	if channel != Email && c.Number == "" {
		return "has no number", nil
	}
	return "", nil
}
