package webui

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tillpost/queue/outreach"
)

// How a text reads: for one contact while it is written, and over the whole
// register when somebody asks.

// surveyView is what a text comes to for everybody.
type surveyView struct {
	Messages int
	ByParts  []string // "1,110 get 1 SMS"
	Refused  []reasonView
	Parts    int
}

// reasonView is why some cannot be written to.
type reasonView struct {
	Why   string
	Count int
}

// countTemplate answers what the page's script asks while somebody types.
func (s *Site) countTemplate(w http.ResponseWriter, r *http.Request) {
	if err := longForm(w, r, maxText); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := &textView{page: s.page(r, "customers"), Form: outreach.Stored{Name: r.PathValue("name")}}
	v.read(r.PostForm)
	v.look()
	s.render(w, http.StatusOK, "count", v.Count)
}

// count completes the page: the counter, and what hangs on the text.
func (v *textView) count() {
	v.prepare()
	v.look()
}

// look shows the text as the chosen contact reads it.
func (v *textView) look() {
	words := v.Words()
	v.Count = countView{page: v.page, Empty: strings.TrimSpace(words) == "", Short: true}
	c := &v.Count
	if c.Empty {
		return
	}
	tried, err := v.site.outreach.Try(v.Form, v.Channel, v.In, v.As)
	if errors.Is(err, outreach.ErrNotFound) { // has just been erased
		v.As = ""
		tried, err = v.site.outreach.Try(v.Form, v.Channel, v.In, "")
	}
	if err != nil {
		if _, said, known := v.refusal(err); known {
			c.Refused = said
		} else {
			v.site.log.Error("a text could not be tried", "err", err)
			c.Refused = v.T("trouble_text")
		}
		return
	}
	if tried.Contact != nil {
		c.Who = called(tried.Contact)
		v.As = tried.Contact.ID
	}
	switch {
	case tried.Left:
		c.Refused = v.T("text_nothing_left", "name", c.Who)
	case tried.Text == "":
		c.Refused = v.T("text_lacks", "name", c.Who, "what", strings.Join(tried.Lacks, ", "))
	case v.Channel == outreach.Email:
		c.Said, c.HTML = [][]runView{{{Text: tried.Text}}}, tried.HTML
	default:
		c.tell(tried.Quote)
		c.Price = tried.Quote.Price.String()
		c.ofTemplate(words, len(tried.Fields) > 0)
	}
}

// ofTemplate keeps what can be mended in the text itself: what a value brings
// along is the customer's own, and a text with values in it is no template any
// more.
func (c *countView) ofTemplate(words string, filled bool) {
	for i := range c.Culprits {
		if !strings.Contains(words, c.Culprits[i].Char) {
			c.Culprits[i].Use = ""
		}
	}
	if filled {
		c.Instead = nil
	}
}

// mended is a text in which one character gives way, or all that cost.
func (c *countView) mended(do, what, words string) string {
	if do == "instead" && c.Instead != nil {
		return c.Instead.Text
	}
	for _, culprit := range c.Culprits {
		if do == "use" && culprit.Char == what && culprit.Use != "" {
			words = strings.ReplaceAll(words, culprit.Char, culprit.Use)
		}
	}
	return words
}

// choose finds the contact that somebody typed.
func (v *textView) choose() {
	if v.Whom == "" {
		v.As = ""
		return
	}
	found, err := v.site.outreach.Find(outreach.Search{Words: v.Whom, Limit: 1, Patience: longestLook})
	switch {
	case err != nil:
		v.site.log.Error("a contact could not be looked for", "err", err)
		v.Wrong = []string{v.T("trouble_text")}
	case len(found.List) == 0:
		v.Wrong = []string{v.T("contacts_not_found")}
	default:
		v.As = found.List[0].ID
	}
}

// survey writes the text for everybody, and shows it for who reads the shortest
// or the longest.
func (v *textView) survey(which string) {
	only := v.Form // the place that is written now
	only.Texts = map[string]map[string]string{v.Channel: {v.In: v.Words()}}
	p, err := v.site.outreach.Survey(only, v.Channel)
	if err != nil {
		_, said, known := v.refusal(err)
		if !known {
			v.site.log.Error("a text could not be tried on everybody", "err", err)
			said = v.T("trouble_text")
		}
		v.Wrong = []string{said}
		return
	}
	v.Survey = &surveyView{Messages: p.Messages, Parts: p.Parts}
	byParts := map[int]int{}
	for parts, n := range p.ByParts {
		if k, err := strconv.Atoi(parts); err == nil {
			byParts[k] = n
		}
	}
	for _, k := range slices.Sorted(maps.Keys(byParts)) {
		v.Survey.ByParts = append(v.Survey.ByParts, v.T("survey_parts", "n", byParts[k], "k", k))
	}
	for _, x := range slices.Concat(p.Excluded, p.Refused) {
		v.Survey.Refused = append(v.Survey.Refused, reasonView{v.Reason(x.Why), x.Count})
	}
	shown := p.Longest
	if which == "shortest" {
		shown = p.Shortest
	}
	if shown != nil {
		v.As = shown.Contact
	}
}
