package outreach

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Notify says who is told when a campaign or a run of a rule is over. It is an
// event in any case, which the page shows and webhooks carry.
type Notify struct {
	SMS   []string `json:"sms,omitempty"`   // numbers
	Email string   `json:"email,omitempty"` // an address, where this box has an e-mail route
	// Webhook names one that is told the whole outcome, whatever other events it
	// listens to.
	Webhook string `json:"webhook,omitempty"`
	Empty   bool   `json:"empty,omitempty"` // also when nothing matched
}

// Report is what became of a campaign.
type Report struct {
	At       time.Time      `json:"at"`
	States   map[string]int `json:"states"`   // messages by state
	Failures []Failure      `json:"failures"` // the first of them
}

// Failure is one recipient who did not get it.
type Failure struct {
	Contact string      `json:"contact,omitempty"`
	Row     int         `json:"row,omitempty"`
	Msg     queue.ID    `json:"msg,omitzero"`
	State   queue.State `json:"state,omitempty"`
	Why     string      `json:"why,omitempty"`
}

const mostFailures = 200

// counts in words, for the event.
func (r *Report) counts() string {
	var list []string
	for _, s := range sortedStates(r.States) {
		list = append(list, fmt.Sprintf("%s %d", s, r.States[s]))
	}
	return strings.Join(list, ", ")
}

func (r *Report) failed() (n int) {
	for _, s := range []string{string(queue.Failed), string(queue.Undelivered), string(queue.Expired), "refused"} {
		n += r.States[s]
	}
	return n
}

// Words of the notices, in the languages of the shop: a table that somebody who
// knows the language can check.
//
//go:embed notices.csv
var noticesCSV []byte

var notices = sync.OnceValue(func() map[string][]string {
	rows, err := csv.NewReader(bytes.NewReader(noticesCSV)).ReadAll()
	if err != nil {
		panic("notices.csv: " + err.Error()) // compiled in, and read by a test
	}
	table := map[string][]string{}
	for _, row := range rows[1:] {
		table[row[0]] = row[1:]
	}
	return table
})

// words of a notice with its {arguments} filled in.
func (o *Outreach) notice(code string, args ...string) string {
	lang := max(0, slices.Index(queue.Languages, o.cfg.Language))
	pairs := make([]string, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs[i], pairs[i+1] = "{"+args[i]+"}", args[i+1]
	}
	return strings.NewReplacer(pairs...).Replace(notices()[code][lang]) // at once: an argument may hold a {name} of its own
}

// checkWay refuses channels that this box does not have.
func (o *Outreach) checkWay(channel string, n *Notify) error {
	switch {
	case channel != SMS && channel != Email:
		return invalid("channel", "unknown_value", "%q is no channel. Use sms or email", channel)
	case channel == Email && !o.q.HasMail():
		return invalid("channel", "channel_not_here", "this box carries no e-mail. Set up the mail server in Settings > E-mail, or use sms")
	case n.Email != "" && !o.q.HasMail():
		return invalid("notify.email", "channel_not_here", "this box carries no e-mail. Set up the mail server in Settings > E-mail, name a number in notify.sms, or read the event")
	}
	if n.Email != "" {
		a, err := text.ParseAddress(n.Email)
		if err != nil {
			return invalid("notify.email", "email_invalid", "%q is no e-mail address. Write office@example.nl", n.Email)
		}
		n.Email = a.String()
	}
	if err := o.checkWebhook(n.Webhook); err != nil {
		return err
	}
	for i, number := range n.SMS {
		c := Contact{ID: "x", Number: number}
		if err := o.normal(&c); err != nil {
			return within(err, fmt.Sprintf("notify.sms[%d]", i))
		}
		n.SMS[i] = c.Number
	}
	return nil
}

// finish writes the report of a campaign that is over and tells who asked.
func (o *Outreach) finish(tx *store.Tx, c *Campaign, code string) error {
	rep, err := o.report(tx, c)
	if err != nil {
		return err
	}
	c.Report = rep
	if err := o.noteCampaign(tx, c, code, ""); err != nil {
		return err
	}
	if c.Kind == KindRun {
		if r, err := rules.Get(tx, store.Str(c.Rule)); err != nil {
			return err
		} else if r != nil && r.Last != nil && r.Last.Name == c.Name {
			r.Last.Messages = c.Handed
			if err := rules.Put(tx, r); err != nil {
				return err
			}
		}
	}
	name := cmpName(c)
	left := 0
	for _, e := range c.Excluded {
		left += e.Count
	}
	return o.tell(tx, &c.Notify, o.notice(code,
		"name", name, "n", strconv.Itoa(c.Recipients),
		"sent", strconv.Itoa(rep.States[string(queue.Delivered)]+rep.States[string(queue.Sent)]),
		"failed", strconv.Itoa(rep.failed()), "excluded", strconv.Itoa(left)), rep.lines())
}

// lines are the counts by state and the first failures, for a notice that has
// room for them: who did not get it by their id or row, and why.
func (r *Report) lines() string {
	const most = 50
	var b strings.Builder
	for _, s := range sortedStates(r.States) {
		fmt.Fprintf(&b, "%s: %d\n", s, r.States[s])
	}
	for i, f := range r.Failures {
		if i == most {
			fmt.Fprintf(&b, "… +%d\n", len(r.Failures)-most)
			break
		}
		who := f.Contact
		if who == "" {
			who = "#" + strconv.Itoa(f.Row)
		}
		fmt.Fprintf(&b, "- %s: %s\n", who, f.Why)
	}
	return b.String()
}

func cmpName(c *Campaign) string {
	switch {
	case c.Kind == KindRun:
		return c.Rule + " " + c.Day
	case c.ExternalID != "":
		return c.ExternalID
	}
	return c.Name
}

// tellRun tells of a run that wrote to nobody, or of days that it missed.
func (o *Outreach) tellRun(tx *store.Tx, r *Rule, run *Run) error {
	code, empty := "empty", true
	detail := fmt.Sprintf("matched %d", run.Matched)
	switch {
	case run.Failed != "":
		code, empty, detail = "failed", false, ""
	case len(run.Missed) > 0:
		code, empty, detail = "missed", false, some(run.Missed)
	}
	if err := o.q.NoteTx(tx, queue.Event{Kind: queue.KindRule, Ref: r.Name, Identity: runName(r.Name, run.Day), Code: code, Detail: detail}); err != nil {
		return err
	}
	if empty && !r.Notify.Empty {
		return nil
	}
	_, whole, _ := strings.Cut(run.Failed, ": ") // without the name of the field
	why, _, _ := strings.Cut(whole, ". ")        // an SMS has no room for the remedies
	return o.tell(tx, &r.Notify, o.notice(code, "name", r.Name+" "+run.Day, "why", why, "days", some(run.Missed)), whole)
}

// tell tells who is to be told: by SMS in one sentence, by e-mail with what
// there is beside it.
func (o *Outreach) tell(tx *store.Tx, n *Notify, words, more string) error {
	var drafts []queue.Draft
	for _, number := range n.SMS {
		drafts = append(drafts, queue.Draft{To: number, Text: words})
	}
	if n.Email != "" {
		drafts = append(drafts, queue.Draft{Channel: queue.Email, To: n.Email, Text: strings.TrimSpace(words + "\n\n" + more)})
	}
	for _, d := range drafts {
		d.Lang, d.Ref, d.Force = o.cfg.Language, "NOTICE", true // two runs may come to the same counts
		m, err := o.q.Prepare(d)
		if err != nil {
			o.log.Error("a notice cannot be sent to whom it was set for", "err", err)
			continue
		}
		if err := o.q.AddTx(tx, m); err != nil {
			return err
		}
	}
	return nil
}

// report reads what became of every recipient.
func (o *Outreach) report(tx *store.Tx, c *Campaign) (*Report, error) {
	rep := &Report{At: o.q.Now(), States: map[string]int{}, Failures: []Failure{}}
	for s, err := range under(tx, sheets, store.Str(c.Name)) {
		if err != nil {
			return nil, err
		}
		for i := range s.List {
			if err := o.reportOne(tx, rep, &s.List[i]); err != nil {
				return nil, err
			}
		}
	}
	return rep, nil
}

func (o *Outreach) reportOne(tx *store.Tx, rep *Report, r *Recipient) error {
	state, why := r.State, r.Why
	if r.Msg != 0 && (state == "" || why == "" && wentWrong(state)) {
		m, err := o.q.LookTx(tx, r.Msg)
		if err != nil {
			return err
		}
		switch {
		case m != nil:
			state, why = m.State, m.Why.Text(o.cfg.Language, o.cfg.Location)
		case state == "":
			state = queue.Sent // its time is over, and nothing bad was noted
		}
	}
	word := string(state)
	switch {
	case r.Msg == 0 && r.Why != "":
		word = "refused"
	case r.Msg == 0:
		word = "waiting"
	}
	rep.States[word]++
	switch {
	case word == "refused", wentWrong(state):
		if len(rep.Failures) < mostFailures {
			rep.Failures = append(rep.Failures, Failure{Contact: r.Contact, Row: r.Row, Msg: r.Msg, State: state, Why: why})
		}
	}
	return nil
}

func wentWrong(s queue.State) bool {
	return s == queue.Failed || s == queue.Undelivered || s == queue.Expired
}

// Progress is what became of a campaign so far. Error: ErrNotFound.
func (o *Outreach) Progress(name string) (c *Campaign, rep *Report, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		if c, err = campaigns.Get(tx, store.Str(name)); err != nil {
			return err
		}
		if c == nil {
			return ErrNotFound
		}
		rep, err = o.report(tx, c)
		return err
	})
	return c, rep, err
}

// Recipients lists who is on a campaign's list, by place; after is a place.
func (o *Outreach) Recipients(name string, after, limit int) (list []Recipient, next int, err error) {
	if limit <= 0 {
		limit = usualPage
	}
	limit = min(limit, maxPage)
	err = o.db.View(func(tx *store.Tx) error {
		c, err := campaigns.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if c == nil {
			return ErrNotFound
		}
		for place := after; place < c.Recipients; place++ {
			if len(list) == limit {
				next = place
				return nil
			}
			s, err := sheets.Get(tx, (&sheet{Campaign: name, Page: place / pageSize}).key())
			if err != nil {
				return err
			}
			if s == nil || place%pageSize >= len(s.List) {
				return nil
			}
			list = append(list, s.List[place%pageSize])
		}
		return nil
	})
	return list, next, err
}
