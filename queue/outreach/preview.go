package outreach

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Preview is what a campaign comes to, before anything is sent.
type Preview struct {
	Recipients int            `json:"recipients"` // on the list
	Merged     int            `json:"merged"`
	Excluded   []Excluded     `json:"excluded"` // left out, and why
	Refused    []Excluded     `json:"refused"`  // on the list, and their text cannot be written
	Messages   int            `json:"messages"`
	Parts      int            `json:"parts"`
	ByParts    map[string]int `json:"by_parts"` // messages by the parts they need
	UCS2       int            `json:"ucs2"`     // messages outside the short alphabet

	Total    []text.Price `json:"-"`
	Unpriced int          `json:"unpriced"`

	Shortest *Shown  `json:"shortest"`
	Longest  *Shown  `json:"longest"`
	First    []Shown `json:"first"`

	Replaced []Replaced    `json:"replaced"` // characters that were written otherwise
	Fields   []string      `json:"fields"`
	Unknown  []Placeholder `json:"unknown"` // nobody has a value: nothing can be sent
	Estimate
}

// Shown is a text as one recipient would read it.
type Shown struct {
	Contact string `json:"contact,omitempty"`
	Row     int    `json:"row,omitempty"`
	Subject string `json:"subject,omitempty"` // of an e-mail
	HTML    string `json:"html,omitempty"`    // of an e-mail, beside its text; of the first ones
	Text    string `json:"text"`
	Parts   int    `json:"parts"`
	Left    int    `json:"left"`
}

// Replaced counts one replacement over all texts.
type Replaced struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
}

const firstShown = 10

// Preview counts what a campaign would send, over the whole selection. Errors:
// *queue.Invalid.
func (o *Outreach) Preview(c *Campaign) (*Preview, error) {
	now := o.q.Now()
	s, bad, err := o.chosen(c, now)
	if err != nil {
		return nil, err
	}
	p, err := o.preview(c, s)
	if err != nil {
		return nil, err
	}
	var refused leftOut
	for _, e := range bad.Errors {
		refused.add(fmt.Sprintf("row %d", e.Row), e.Detail)
	}
	p.Refused = append(p.Refused, refused.list...)
	return p, nil
}

func (o *Outreach) preview(c *Campaign, s *selection) (*Preview, error) {
	now := o.q.Now()
	var t *Stored
	due := now
	err := o.db.View(func(tx *store.Tx) (err error) {
		if t, err = c.text(tx); err != nil {
			return err
		}
		due, c.Until, err = o.dueOf(tx, c, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	shared := c.shared()
	s.names.Add(shared)
	w, err := o.writer(t, c.Channel, s.names)
	if err != nil {
		return nil, err
	}
	p := &Preview{
		Recipients: len(s.list), Merged: s.merged, Excluded: append([]Excluded{}, s.left.list...), Refused: []Excluded{},
		ByParts: map[string]int{}, First: []Shown{}, Replaced: []Replaced{}, Fields: append([]string{}, w.fields()...), Unknown: []Placeholder{},
	}
	for _, parsed := range w.templates() {
		p.Unknown = append(p.Unknown, parsed.Unknown()...)
	}
	count := counter{o: o, c: c, w: w, shared: shared, replaced: map[text.Change]int{}}
	for chunk := range slices.Chunk(s.list, scanChunk) {
		if err := o.db.View(func(tx *store.Tx) error { return count.chunk(tx, chunk, p) }); err != nil {
			return nil, err
		}
	}
	count.into(p)
	p.Estimate = o.estimate(c, due, p.Messages, p.Parts)
	return p, nil
}

// counter adds up texts as they are written.
type counter struct {
	o        *Outreach
	c        *Campaign
	w        *writer
	shared   Vars
	sum      text.Selection
	left     leftOut
	replaced map[text.Change]int
	who      map[string]Recipient // of the shortest and longest
	at       int
}

func (n *counter) chunk(tx *store.Tx, list []Recipient, p *Preview) error {
	for i := range list {
		r := &list[i]
		n.at++
		who, err := readRecipient(tx, r, n.shared)
		if err != nil {
			return err
		}
		q, html, err := n.one(tx, r, who)
		if bad, ok := errors.AsType[*queue.Invalid](err); ok {
			n.left.add(r.name(), bad.Detail)
			continue
		}
		if err != nil {
			return err
		}
		plan := q.Plan
		n.sum.Add(strconv.Itoa(n.at), plan, q.Price)
		n.remember(strconv.Itoa(n.at), r)
		for _, ch := range plan.Changes {
			ch.Pos = 0
			n.replaced[ch]++
		}
		if len(p.First) < firstShown {
			p.First = append(p.First, Shown{Contact: r.Contact, Row: r.Row, Subject: q.Subject, HTML: html, Text: plan.Text, Parts: plan.Parts(), Left: plan.Left})
		}
	}
	return nil
}

// one writes and cuts one text, as the queue would; html stands beside it.
func (n *counter) one(tx *store.Tx, r *Recipient, who *recipient) (q *queue.Quote, html string, err error) {
	d, err := n.w.draft(n.c.draftFor(r), who)
	if err != nil {
		return nil, "", err
	}
	q, err = n.o.q.QuoteTx(tx, d)
	switch {
	case err != nil:
		return nil, "", err
	case q.Refused != nil:
		return nil, "", q.Refused
	}
	return q, d.HTML, nil
}

// remember keeps who reads the shortest and the longest text so far.
func (n *counter) remember(key string, r *Recipient) {
	if n.sum.Shortest.Key != key && n.sum.Longest.Key != key {
		return
	}
	if n.who == nil {
		n.who = map[string]Recipient{}
	}
	maps.DeleteFunc(n.who, func(k string, _ Recipient) bool { return k != n.sum.Shortest.Key && k != n.sum.Longest.Key })
	n.who[key] = *r
}

func (n *counter) into(p *Preview) {
	p.Messages, p.Parts, p.UCS2, p.Unpriced = n.sum.Count, n.sum.Parts, n.sum.UCS2, n.sum.Unpriced
	p.Total = n.sum.Total
	if n.c.Channel == Email { // it has no parts and costs nothing
		p.Parts, p.Unpriced, n.sum.ByParts = 0, 0, nil
	}
	p.Refused = append(p.Refused, n.left.list...)
	for parts, messages := range n.sum.ByParts {
		p.ByParts[strconv.Itoa(parts)] = messages
	}
	shown := func(e *text.Example) *Shown {
		if e == nil {
			return nil
		}
		r := n.who[e.Key]
		return &Shown{Contact: r.Contact, Row: r.Row, Text: e.Plan.Text, Parts: e.Plan.Parts(), Left: e.Plan.Left}
	}
	p.Shortest, p.Longest = shown(n.sum.Shortest), shown(n.sum.Longest)
	for ch, count := range n.replaced {
		p.Replaced = append(p.Replaced, Replaced{From: ch.From, To: ch.To, Count: count})
	}
	slices.SortFunc(p.Replaced, func(a, b Replaced) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return len(a.From) - len(b.From)
	})
}

func (r *Recipient) name() string {
	if r.Contact != "" {
		return r.Contact
	}
	return "row " + strconv.Itoa(r.Row)
}
