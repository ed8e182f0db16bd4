package outreach

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Rule says when which template goes to whom.
type Rule struct {
	Name string `json:"name"`
	Off  bool   `json:"off,omitempty"` // the switch of one notice on one channel

	On       Trigger     `json:"on"`
	Template string      `json:"template"`
	Channel  string      `json:"channel,omitempty"` // sms (default), email
	Class    queue.Class `json:"class,omitempty"`   // default: transactional for bookings, else marketing
	Priority *int        `json:"priority,omitempty"`

	Audience Audience    `json:"audience,omitzero"` // of those whom the trigger finds
	Match    []Condition `json:"match,omitempty"`   // bookings that it is about
	Consent  Policy      `json:"consent,omitzero"`
	Flag     string      `json:"flag,omitempty"` // of the contact that must be on: auto_reminder

	// NewFields are names of fields that nobody has yet, said on purpose: another
	// that is unknown is refused.
	NewFields []string `json:"new_fields,omitempty"`

	NotBefore string `json:"not_before,omitempty"` // 08:00; what falls outside moves inside
	NotAfter  string `json:"not_after,omitempty"`  // 21:00
	Margin    Span   `json:"margin,omitzero"`      // least time between a reminder and its start; default PT1H
	Late      string `json:"late,omitempty"`       // a booking made after its reminder was due: skip (default), now
	CatchUp   Span   `json:"catch_up,omitzero"`    // how late a run may be; default P3D, birthday the same day until 20:00

	Notify Notify `json:"notify,omitzero"`

	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
	By      string    `json:"by,omitempty"`
	From    string    `json:"from,omitempty"` // first day that it looks at
	Done    string    `json:"done,omitempty"` // last day that was run
	Last    *Run      `json:"last,omitempty"` // what the last run found
	Failed  time.Time `json:"failed,omitzero"`
}

// Trigger is what brings a rule about.
type Trigger struct {
	Event string `json:"event"`

	Field  string `json:"field,omitempty"` // date, first: attribute of the contact
	Offset Span   `json:"offset,omitzero"` // date: P180D after it, -P30D before; booking.reminder: -PT24H
	Lead   string `json:"lead,omitempty"`  // attribute that holds the days before, each its own
	Of     string `json:"of,omitempty"`    // booking.reminder: start (default), end
	At     string `json:"at,omitempty"`    // clock time; default 10:00
	Day    string `json:"day,omitempty"`   // day: 2027-12-24, or 12-24 for every year
	Leap   string `json:"leap,omitempty"`  // birthday on 29 February in other years: 02-28 (default), 03-01
}

// Events of a trigger.
const (
	OnBirthday = "birthday"         // the contact's, each year
	OnDate     = "date"             // a date attribute, before or after it
	OnFirst    = "first"            // an attribute appears for the first time
	OnDay      = "day"              // a special date
	OnReminder = "booking.reminder" // before or after a booking
	onBooking  = "booking."         // and pending, confirmed, rejected, cancelled, moved
)

// triggers: what each needs and what it allows, for messages of refusal.
var triggers = []struct {
	event string
	uses  []string // of field, offset, lead, of, day, leap
	daily bool     // it is looked at once a day
}{
	{OnBirthday, []string{"leap"}, true},
	{OnDate, []string{"field", "offset", "lead"}, true},
	{OnFirst, []string{"field"}, false},
	{OnDay, []string{"day"}, true},
	{OnReminder, []string{"offset", "lead", "of"}, false},
	{onBooking + string(Pending), nil, false},
	{onBooking + string(Confirmed), nil, false},
	{onBooking + string(Rejected), nil, false},
	{onBooking + string(Cancelled), nil, false},
	{onBooking + string(Moved), nil, false},
}

func (r *Rule) daily() bool {
	for _, t := range triggers {
		if t.event == r.On.Event {
			return t.daily
		}
	}
	return false
}

func (r *Rule) ofBooking() bool { return strings.HasPrefix(r.On.Event, onBooking) }

// normal checks a rule and completes it. Its error is a *queue.Invalid.
func (o *Outreach) normalRule(r *Rule) error {
	if err := checkName("name", r.Name); err != nil {
		return err
	}
	if err := r.On.check(); err != nil {
		return err
	}
	r.Channel = cmp.Or(r.Channel, SMS)
	r.Late = cmp.Or(r.Late, "skip")
	if r.Class == "" {
		r.Class = queue.Marketing
		if r.ofBooking() {
			r.Class = queue.Transactional
		}
	}
	switch {
	case r.Class != queue.Marketing && r.Class != queue.Transactional:
		return invalid("class", "unknown_value", "%q is not known here. Use transactional or marketing", r.Class)
	case r.Late != "skip" && r.Late != "now":
		return invalid("late", "unknown_value", "%q is not known here. Use skip or now", r.Late)
	case r.Priority != nil && (*r.Priority < 0 || *r.Priority > 3):
		return invalid("priority", "out_of_range", "%d is not a priority. Use 0 (last) to 3 (urgent)", *r.Priority)
	case r.On.Event == OnDay && r.Audience.IsZero():
		return invalid("audience", "everybody", "this rule would write to everybody in the register. Say whom it is for in audience, or everybody: true if that is meant")
	case !r.ofBooking() && len(r.Match) > 0:
		return invalid("match", "field_not_here", "match is about bookings, and %s has none. Use audience", r.On.Event)
	case !r.daily() && len(r.Audience.Booking)+len(r.Audience.NoBooking) > 0:
		return invalid("audience.booking", "field_not_here", "%s is about one booking or contact at a time. Say in match which bookings, and in all or any which contacts", r.On.Event)
	case r.CatchUp.Before() || r.Margin.Before():
		return invalid("catch_up", "out_of_range", "catch_up and margin are lengths of time, without a minus")
	}
	for field, clock := range map[string]string{"on.at": r.On.At, "not_before": r.NotBefore, "not_after": r.NotAfter} {
		if clock == "" {
			continue
		}
		if _, _, err := clockOf(clock); err != nil {
			return invalid(field, "time_invalid", "%s", err)
		}
	}
	if r.NotBefore != "" && r.NotAfter != "" && r.NotAfter <= r.NotBefore {
		return invalid("not_after", "ends_before_start", "not_after %s lies before not_before %s. Correct one of them", r.NotAfter, r.NotBefore)
	}
	if err := r.Audience.check("audience"); err != nil {
		return err
	}
	if err := checkAll("match", r.Match, 1); err != nil {
		return err
	}
	var err error
	if r.Consent, err = o.policy(r.Consent, r.Class); err != nil {
		return err
	}
	return o.checkWay(r.Channel, &r.Notify)
}

func (t *Trigger) check() error {
	var names, uses []string
	known := false
	for _, row := range triggers {
		names = append(names, row.event)
		if row.event == t.Event {
			known, uses = true, row.uses
		}
	}
	if !known {
		return invalid("on.event", "unknown_value", "%q brings no rule about. Use one of: %s", t.Event, strings.Join(names, ", "))
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"field", t.Field != ""}, {"offset", !t.Offset.IsZero()}, {"lead", t.Lead != ""}, {"of", t.Of != ""}, {"day", t.Day != ""}, {"leap", t.Leap != ""}} {
		if f.set && !slices.Contains(uses, f.name) {
			return invalid("on."+f.name, "field_not_here", "%s belongs to another trigger than %s. Leave it out", f.name, t.Event)
		}
	}
	if t.Field != "" {
		t.Field = fieldName(t.Field)
	}
	if t.Lead != "" {
		t.Lead = fold(t.Lead)
	}
	t.Of = strings.ToLower(t.Of)
	switch {
	case slices.Contains(uses, "field") && t.Field == "":
		return invalid("on.field", "field_missing", "say which attribute of the contact holds the date: on.field")
	case t.Event == OnReminder && t.Offset.IsZero() && t.Lead == "":
		return invalid("on.offset", "field_missing", "say how long before or after: on.offset -PT24H is a day before the start")
	case t.Lead != "" && !t.Offset.IsZero():
		return invalid("on.lead", "one_of_two", "lead and offset are two ways to say one thing. Send one of them")
	case t.Of != "" && t.Of != "start" && t.Of != "end":
		return invalid("on.of", "unknown_value", "%q is not known here. Use start or end", t.Of)
	case t.Leap != "" && t.Leap != "02-28" && t.Leap != "03-01":
		return invalid("on.leap", "unknown_value", "who was born on 29 February is congratulated on 02-28 or 03-01 in other years")
	case slices.Contains(uses, "field") && !t.Offset.wholeDays():
		return invalid("on.offset", "out_of_range", "%s is looked at once a day, so that an offset is whole days: -P3D is three days before. Say in on.at at what time of the day", t.Event)
	case t.Event == OnDay && !isDate(t.Day) && !isDate("2024-"+t.Day):
		return invalid("on.day", "date_invalid", "%q is no day. Write 2027-12-24, or 12-24 for every year", t.Day)
	}
	return nil
}

// PutRule adds a rule or replaces it. What the old one had planned is planned
// anew; one that is off takes back what has not left. Error: *queue.Invalid.
func (o *Outreach) PutRule(ctx context.Context, r Rule, by string) (*Rule, error) {
	if err := o.normalRule(&r); err != nil {
		return nil, err
	}
	if !r.Off { // what asks of something that has gone since can be switched off
		if err := o.meant(&r); err != nil {
			return nil, err
		}
	}
	names, judged, err := o.registerNames(r.ofBooking())
	if err != nil {
		return nil, err
	}
	now := o.q.Now()
	today := now.In(o.cfg.Location).Format(time.DateOnly)
	if r.On.Event == OnDay && isDate(r.On.Day) && r.On.Day < today {
		return nil, invalid("on.day", "in_the_past", "%s has passed. Correct the year, or write %s for every year", r.On.Day, r.On.Day[5:])
	}
	given := r
	err = o.commit(ctx, func(tx *store.Tx) error {
		r = given
		was, err := rules.Get(tx, r.key())
		if err != nil {
			return err
		}
		t, err := templates.Get(tx, store.Str(r.Template))
		if err != nil {
			return err
		}
		if t == nil {
			return invalid("template", "template_unknown", "there is no template %q. Save it first", r.Template)
		}
		if t.Draft {
			return invalid("template", "template_draft", "the template %s is a draft. Save it without draft when it is finished", t.Name)
		}
		w, err := o.writer(t, r.Channel, names)
		if err != nil {
			return err
		}
		if err := w.unknown(); err != nil && judged {
			return err
		}
		r.Created, r.Updated, r.By, r.From, r.Done, r.Last, r.Failed = now, now, by, today, "", nil, time.Time{}
		if was != nil {
			r.Created, r.From, r.Done, r.Last = was.Created, was.From, was.Done, was.Last
			if was.Off && !r.Off {
				r.From = today // what lay before was not missed
			}
		}
		return rules.Put(tx, &r)
	})
	if err != nil {
		return nil, err
	}
	return &r, o.replanRule(ctx, &r, by)
}

// registerNames are the names that some contact, and some booking, has a value
// for. judged is false while there are none yet, so that nobody can say that a
// placeholder is wrong.
func (o *Outreach) registerNames(booked bool) (names Names, judged bool, err error) {
	names = fieldNames()
	err = each(o.db, register, func(_ *store.Tx, c *Contact) error {
		judged = judged || !booked
		c.noteNames(names)
		return nil
	})
	if err != nil || !booked {
		return names, judged, err
	}
	for name := range bookingNames {
		names[name] = true
	}
	err = each(o.db, bookings, func(_ *store.Tx, b *Booking) error {
		judged = true
		for name := range b.Attrs {
			names[name] = true
		}
		return nil
	})
	return names, judged, err
}

// fieldNames are the names that every contact has, in all languages.
func fieldNames() Names {
	names := Names{}
	for _, list := range contactFields {
		for _, name := range list {
			names[name] = true
		}
	}
	return names
}

// Rule returns one. Error: ErrNotFound.
func (o *Outreach) Rule(name string) (*Rule, error) { return get(o.db, rules, name) }

// Rules lists all of them by name.
func (o *Outreach) Rules(after string, limit int) ([]Rule, string, error) {
	return page(o.db, rules, after, limit, func(r *Rule) string { return r.Name })
}

// DeleteRule removes a rule and takes back what it had planned and written that
// has not left. Error: ErrNotFound.
func (o *Outreach) DeleteRule(ctx context.Context, name, by string) error {
	err := o.commit(ctx, func(tx *store.Tx) error { return deleteKnown(tx, rules, name) })
	if err != nil {
		return err
	}
	return o.silence(ctx, name, by)
}

// defaults of a rule that names none.
const (
	usualAt       = "10:00"
	birthdayUntil = "20:00"
)

var (
	usualCatchUp = Span{Days: 3}
	usualMargin  = Span{Rest: time.Hour}
)

// runAt is when a daily rule looks at a day, inside its window.
func (r *Rule) runAt(day time.Time, zone *time.Location) time.Time {
	h, m, _ := clockOf(cmp.Or(r.On.At, usualAt)) // was checked
	return r.window().sameDay(at(day, h, m, zone), zone)
}

func (r *Rule) window() window { return window{r.NotBefore, r.NotAfter} }

// until is how late the run of a day may be.
func (r *Rule) until(day time.Time, zone *time.Location) time.Time {
	if !r.CatchUp.IsZero() {
		return r.CatchUp.From(r.runAt(day, zone), zone)
	}
	if r.On.Event == OnBirthday || r.On.Event == OnDay {
		h, m, _ := clockOf(cmp.Or(r.NotAfter, birthdayUntil))
		begins, ends := r.runAt(day, zone), at(day, h, m, zone)
		switch {
		case ends.After(begins):
			return ends
		case r.NotAfter != "":
			return begins.Add(grace)
		}
		return at(day.AddDate(0, 0, 1), 0, 0, zone)
	}
	return usualCatchUp.From(r.runAt(day, zone), zone)
}

// dueDays are the days on which a daily rule means a contact, as far as they
// lie between two days, with the name of the occasion.
func (r *Rule) dueDays(c *Contact, from, to time.Time) (days []occurrence) {
	add := func(day time.Time, key string) {
		if !day.Before(from) && !day.After(to) {
			days = append(days, occurrence{day, key})
		}
	}
	switch r.On.Event {
	case OnBirthday:
		born, err := time.Parse(time.DateOnly, c.Birthday)
		if err != nil {
			return nil
		}
		for year := from.Year(); year <= to.Year(); year++ {
			day := time.Date(year, born.Month(), born.Day(), 0, 0, 0, 0, time.UTC)
			if day.Day() != born.Day() { // 29 February
				day = time.Date(year, time.February, 28, 0, 0, 0, 0, time.UTC)
				if r.On.Leap == "03-01" {
					day = day.AddDate(0, 0, 1)
				}
			}
			if day.After(born) {
				add(day, fmt.Sprintf("birthday %d", year))
			}
		}
	case OnDate:
		value := c.field(r.On.Field).Text
		day, err := time.Parse(time.DateOnly, value)
		if err != nil {
			return nil
		}
		shift := r.On.Offset.Days
		if r.On.Lead != "" {
			n, err := strconv.Atoi(c.field(r.On.Lead).Text)
			if err != nil {
				return nil // no lead time, no reminder
			}
			shift = -n
		}
		add(day.AddDate(0, 0, shift), r.On.Field+" "+value)
	case OnDay:
		for year := from.Year(); year <= to.Year(); year++ {
			value := r.On.Day
			if !isDate(value) {
				value = fmt.Sprintf("%04d-%s", year, r.On.Day)
			} else if year != from.Year() && value[:4] == strconv.Itoa(from.Year()) {
				continue // one day, found once
			}
			if day, err := time.Parse(time.DateOnly, value); err == nil {
				add(day, "day "+value)
			}
		}
	}
	return days
}

// occurrence is one day on which a rule means somebody.
type occurrence struct {
	day time.Time // midnight UTC of the day on the shop's calendar
	key string
}

// dayIn is the day of a moment on the shop's calendar, as occurrence has it.
func dayIn(t time.Time, zone *time.Location) time.Time {
	l := t.In(zone)
	return time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, time.UTC)
}
