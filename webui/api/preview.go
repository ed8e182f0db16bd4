package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/text"
	"tillpost/webui/api/wire"
)

const (
	maxRecipients = 10_000
	maxSelection  = 8 << 20 // bytes: 800 for each recipient
	maxFirst      = 100
	usualFirst    = 10

	// previewTime is for recipients whose texts are far too long; 10,000 usual
	// ones take less than a second.
	previewTime = 30 * time.Second
)

// preview says what would be sent for a text, or for a template over many
// recipients. It sends nothing.
func (a *API) preview(c *call) (*reply, error) {
	var in wire.Compose
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := oneKind(in); err != nil {
		return nil, err
	}
	if in.Template != "" {
		return a.previewTemplate(c, in)
	}
	quote, err := a.queue.Quote(previewed(c, in, in.Text, in.To, in.Lang))
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, shown(quote))
}

// oneKind refuses what belongs to the other kind of preview, so that nothing
// that was asked is left unanswered.
func oneKind(in wire.Compose) error {
	switch {
	case in.Template == "" && len(in.Recipients) > 0:
		return refusal(http.StatusBadRequest, "template_missing", "template", "recipients belong to a template. Send its text in template, with or without placeholders")
	case in.Template == "" && (in.Missing != "" || len(in.Defaults) > 0 || in.First != nil):
		return refusal(http.StatusBadRequest, "template_missing", "template", "missing, defaults and first belong to a template. Send its text in template, or leave them out")
	case in.Template == "":
		return nil
	case in.Subject != "" || in.HTML != "":
		return refusal(http.StatusBadRequest, "one_of_two", "subject", "subject and html belong to text. A stored template has subjects of its own")
	case in.Text != "":
		return refusal(http.StatusBadRequest, "one_of_two", "text", "text and template are two ways to say one thing. Send one of them")
	case in.To != "":
		return refusal(http.StatusBadRequest, "one_of_two", "to", "a template goes to its recipients. Send the number as recipients: [{to, vars}]")
	case len(in.Recipients) == 0:
		return refusal(http.StatusBadRequest, "recipients_missing", "recipients", "a template needs recipients: [{to, lang, vars}]. Send at least one")
	case len(in.Recipients) > maxRecipients:
		return refusal(http.StatusBadRequest, "out_of_range", "recipients", fmt.Sprintf("these are %d recipients, and one call shows %d at most. Send them in several calls", len(in.Recipients), maxRecipients))
	case in.First != nil && (*in.First < 0 || *in.First > maxFirst):
		return refusal(http.StatusBadRequest, "out_of_range", "first", fmt.Sprintf("first must be a number from 0 to %d", maxFirst))
	}
	return nil
}

// previewed is what a call would send of a text.
func previewed(c *call, in wire.Compose, words, to, lang string) queue.Draft {
	return queue.Draft{
		Till: c.who.by, To: to, Text: words, Lang: lang,
		Channel: queue.Channel(in.Channel), Subject: in.Subject, HTML: in.HTML,
		Encoding: in.Encoding, MaxParts: in.MaxParts, Class: queue.Class(in.Class), Pool: in.Pool,
	}
}

// shown is a quote in the terms of the API.
func shown(quote *queue.Quote) wire.Preview {
	plan := quote.Plan
	out := wire.Preview{
		To: quote.To.String(), Text: plan.Text, Encoding: plan.Alphabet, Units: plan.Units, Room: plan.Room, Left: plan.Left,
		Parts: make([]wire.Segment, len(plan.Segments)), Changes: []wire.Change{}, Culprits: []wire.Culprit{},
		Price: price(quote.Price), Country: quote.Country,
	}
	if out.Channel = string(quote.Channel); quote.Channel == queue.Email {
		out.To, out.Subject, out.Bytes = quote.Address, quote.Subject, len(plan.Text)+quote.HTML
		out.Parts = []wire.Segment{} // nobody cuts it
	}
	for i, s := range plan.Segments[:len(out.Parts)] {
		out.Parts[i] = wire.Segment{Text: s.Text, Units: s.Units}
	}
	for _, ch := range plan.Changes {
		out.Changes = append(out.Changes, wire.Change{From: ch.From, To: ch.To, Position: ch.Pos})
	}
	for _, cu := range plan.Culprits {
		out.Culprits = append(out.Culprits, wire.Culprit{Char: cu.Char, Positions: cu.At, Use: cu.Use, Saves: cu.Saves})
	}
	if plan.Instead != nil {
		out.Instead = &wire.Instead{Text: plan.Instead.Text, Parts: plan.Instead.Parts}
	}
	if r := quote.Refused; r != nil {
		out.Refused = &wire.Refusal{Field: r.Field, Code: r.Code, Detail: r.Detail}
	}
	return out
}

// price is nil for one that is not known, so that it reads as null.
func price(p text.Price) *wire.Price {
	if !p.Known() {
		return nil
	}
	return &wire.Price{Amount: p.Amount.String(), Currency: p.Currency}
}

// previewTemplate renders and counts a template for every recipient. One call
// at a time: it takes a core for a second, and tills go on sending.
func (a *API) previewTemplate(c *call, in wire.Compose) (*reply, error) {
	ctx, cancel := context.WithTimeoutCause(c.ctx, previewTime, refusal(http.StatusUnprocessableEntity, "selection_too_long", "recipients",
		fmt.Sprintf("these texts took more than %s to count. Shorten them, or send fewer recipients in one call", previewTime)))
	defer cancel()
	select {
	case a.selecting <- struct{}{}:
		defer func() { <-a.selecting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s, err := a.newSelection(c, in)
	if err != nil {
		return nil, err
	}
	for i := range in.Recipients {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := s.count(i + 1); err != nil {
			return nil, err
		}
	}
	out, err := s.tell()
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, out)
}

// selection is one template over its recipients, while they are counted.
type selection struct {
	api      *API
	call     *call
	in       wire.Compose
	vars     []outreach.Vars // by recipient
	template *outreach.Template

	sum      text.Selection
	first    []int // rows to show
	refusals []wire.Refusal
	reasons  map[string]int // where in refusals, by detail
}

func (a *API) newSelection(c *call, in wire.Compose) (*selection, error) {
	// What is the same for all is refused once, and not with every row.
	if _, err := a.queue.Quote(previewed(c, in, "x", "", in.Lang)); err != nil {
		return nil, err
	}
	s := &selection{api: a, call: c, in: in, vars: make([]outreach.Vars, len(in.Recipients)), refusals: []wire.Refusal{}, reasons: map[string]int{}}
	names := outreach.Names{}
	for i, r := range in.Recipients {
		vars, err := outreach.NewVars(r.Vars)
		if bad, ok := errors.AsType[*queue.Invalid](err); ok {
			// The caller's program is wrong, not this customer's row.
			return nil, &queue.Invalid{Field: fmt.Sprintf("recipients[%d].%s", i, bad.Field), Code: bad.Code, Detail: bad.Detail}
		}
		s.vars[i] = vars
		names.Add(vars)
	}
	var err error
	s.template, err = outreach.Parse(in.Template, names, outreach.Rules{
		Missing: outreach.Missing(in.Missing), Defaults: in.Defaults, Zone: a.cfg.Location,
	})
	return s, err
}

// quote of one row, from 1.
func (s *selection) quote(row int) (*queue.Quote, error) {
	r := s.in.Recipients[row-1]
	if r.To == "" {
		return nil, &queue.Invalid{Field: "to", Code: text.CodeNumberEmpty, Detail: "the number is missing: write a mobile number"}
	}
	lang := cmp.Or(r.Lang, s.in.Lang)
	words, err := s.template.Render(s.vars[row-1], cmp.Or(lang, s.api.cfg.Language))
	if err != nil {
		return nil, err
	}
	return s.api.queue.Quote(previewed(s.call, s.in, words, r.To, lang))
}

// count adds one row to the sums. Its error is not about the row.
func (s *selection) count(row int) error {
	quote, err := s.quote(row)
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		s.refuse(row, bad)
		return nil
	}
	if err != nil {
		return err
	}
	if quote.Refused != nil {
		s.refuse(row, quote.Refused)
		return nil
	}
	s.sum.Add(strconv.Itoa(row), quote.Plan, quote.Price)
	most := usualFirst
	if s.in.First != nil {
		most = *s.in.First
	}
	if len(s.first) < most {
		s.first = append(s.first, row)
	}
	return nil
}

func (s *selection) refuse(row int, bad *queue.Invalid) {
	s.sum.Refuse(strconv.Itoa(row), bad)
	at, known := s.reasons[bad.Detail]
	if !known {
		at = len(s.refusals)
		s.reasons[bad.Detail] = at
		s.refusals = append(s.refusals, wire.Refusal{Field: bad.Field, Code: bad.Code, Detail: bad.Detail})
	}
	s.refusals[at].Rows = append(s.refusals[at].Rows, row)
}

// tell is what was counted in the terms of the API.
func (s *selection) tell() (*wire.Selection, error) {
	out := &wire.Selection{
		Recipients: len(s.in.Recipients), Messages: s.sum.Count, Refused: s.sum.Refused,
		Parts: s.sum.Parts, ByParts: []wire.ByParts{}, UCS2: s.sum.UCS2, Total: []wire.Price{}, Unpriced: s.sum.Unpriced,
		First: []wire.Rendering{}, Refusals: s.refusals,
		Fields: append([]string{}, s.template.Fields()...), Unknown: placeholders(s.template.Unknown()),
	}
	if s.in.Channel == string(queue.Email) { // it has no parts and costs nothing
		out.Parts, out.Unpriced, s.sum.ByParts = 0, 0, nil
	}
	for _, parts := range slices.Sorted(maps.Keys(s.sum.ByParts)) {
		out.ByParts = append(out.ByParts, wire.ByParts{Parts: parts, Messages: s.sum.ByParts[parts]})
	}
	for _, p := range s.sum.Total {
		out.Total = append(out.Total, *price(p))
	}
	for _, row := range s.first {
		r, err := s.show(row)
		if err != nil {
			return nil, err
		}
		out.First = append(out.First, *r)
	}
	if s.sum.Count == 0 {
		return out, nil
	}
	var err error
	if out.Shortest, err = s.showExample(s.sum.Shortest); err != nil {
		return nil, err
	}
	out.Longest, err = s.showExample(s.sum.Longest)
	return out, err
}

// show renders one row once more: plans of ten thousand are not kept for the
// few that are shown.
func (s *selection) show(row int) (*wire.Rendering, error) {
	quote, err := s.quote(row)
	if err != nil {
		return nil, err
	}
	return &wire.Rendering{Row: row, Preview: shown(quote)}, nil
}

func (s *selection) showExample(e *text.Example) (*wire.Rendering, error) {
	row, err := strconv.Atoi(e.Key)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return s.show(row)
}
