package outreach

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue/store"
)

// What is remarkable about contacts that are taken over: they are not wrong, and
// all the same do not do what their file seems to say.

// warn notes something remarkable in the account, and tells who wants to know.
func (opt *Import) warn(rep *Imported, e RowError) {
	if len(rep.Warnings) < mostErrors {
		rep.Warnings = append(rep.Warnings, e)
	}
	if opt.Warned != nil {
		opt.Warned(e)
	}
}

// unreachable says that a file has no column by which anybody could be reached,
// unless it only adds to contacts that are known; empty: nothing is odd.
func (f *File) unreachable(means []meaning, added int) string {
	var known, guesses []string
	for _, names := range contactFields {
		known = append(known, names...)
	}
	for i, m := range means {
		if m.kind == "field" && (m.name == "number" || m.name == "email") {
			return ""
		}
		if near := Nearest(m.name, known); m.kind == "attribute" && near != "" {
			guesses = append(guesses, fmt.Sprintf("%q is read as an attribute; should it be %s?", strings.TrimSpace(f.Head[i]), near))
		}
	}
	if added == 0 && len(guesses) == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("row 1 has no column of numbers or of e-mail addresses, so %d new contacts cannot be written to. %s", added, strings.Join(guesses, " ")))
}

// newConsents are the lines that a row adds to the ledger: only what differs
// from what holds, so that a nightly file does not make it grow. A tick that
// stands in a file since before a withdrawal is no new consent: the withdrawal
// holds, and the row is told.
func (o *Outreach) newConsents(tx *store.Tx, e *entry, opt Import) (said []Consent, odd []RowError, err error) {
	if len(e.consents) == 0 {
		return nil, nil, nil
	}
	holds := map[string]map[string]*Consent{}
	for _, channel := range []string{SMS, Email} {
		if holds[channel], err = lastSaid(tx, e.contact.ID, channel); err != nil {
			return nil, nil, err
		}
	}
	for _, purpose := range slices.Sorted(maps.Keys(e.consents)) {
		var adds []string
		var against *Consent
		for _, channel := range []string{SMS, Email} {
			line := holds[channel][purpose]
			if line.outdates(e.consents[purpose]) {
				against = line
			} else if line.differs(e.consents[purpose]) {
				adds = append(adds, channel)
			}
		}
		if against != nil {
			odd = append(odd, RowError{Row: e.row, Field: "consent." + purpose, Code: "consent_withdrawn", Detail: fmt.Sprintf(
				"the file says yes to %s, which was withdrawn on %s (%s). The withdrawal holds. Take the tick away in your system, or note the new consent with when and how it was given",
				purpose, against.At.In(o.cfg.Location).Format(time.DateOnly), against.How)})
		}
		if len(adds) == 2 {
			adds = []string{""} // one line for both
		}
		for _, channel := range adds {
			said = append(said, Consent{Contact: e.contact.ID, Purpose: purpose, Channel: channel, Granted: e.consents[purpose], At: o.q.Now(), How: cmp.Or(opt.How, "import"), By: opt.By, Listed: true})
		}
	}
	return said, odd, nil
}

// outdates: the line is a withdrawal that a file does not know, for it says yes
// and did not say no since.
func (c *Consent) outdates(yes bool) bool { return c != nil && yes && !c.Granted && !c.Listed }

// differs: what a file says is news beside the line. That a file says no to what
// was withdrawn in another way is noted once: its next yes is then a new one.
func (c *Consent) differs(yes bool) bool {
	switch {
	case c == nil:
		return yes
	case yes:
		return !c.Granted
	}
	return c.Granted || !c.Listed
}

// leads lists the rules that count from a date by a lead time of each contact.
func (o *Outreach) leads() (list []*Rule, err error) {
	err = each(o.db, rules, func(_ *store.Tx, r *Rule) error {
		if r.On.Event == OnDate && r.On.Lead != "" && !r.Off {
			list = append(list, r)
		}
		return nil
	})
	return list, err
}

// silent says why such a rule will say nothing of a date to come, though the
// contact has a lead time; empty: it will, or has nothing to count from.
func (r *Rule) silent(c *Contact, now time.Time, zone *time.Location) string {
	lead, date := c.field(r.On.Lead).Text, c.field(r.On.Field).Text
	day, err := time.Parse(time.DateOnly, date)
	if err != nil || lead == "" || day.Before(dayIn(now, zone)) {
		return ""
	}
	n, err := strconv.Atoi(lead)
	if err != nil {
		return fmt.Sprintf("%q is no number of days, so the rule %s says nothing of %s %s. Write the number alone, such as 18", lead, r.Name, r.On.Field, date)
	}
	if due := day.AddDate(0, 0, -n); now.After(r.until(due, zone)) {
		return fmt.Sprintf("%d days before %s %s was %s, which has passed: the rule %s says nothing of it. Make the lead time shorter, or tell this contact yourself", n, r.On.Field, date, due.Format(time.DateOnly), r.Name)
	}
	return ""
}
