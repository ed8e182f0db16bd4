package text

import (
	"cmp"
	"errors"
	"unicode/utf8"
)

// Selection is what a template comes to over many recipients: a counter cannot
// know what the fields will hold, so every text is composed and counted. The
// zero value is ready; Add or Refuse each recipient. It is for one goroutine.
type Selection struct {
	Count    int         `json:"count"`    // texts that can be sent
	Parts    int         `json:"parts"`    // short messages they are paid as, together
	ByParts  map[int]int `json:"by_parts"` // how many texts need so many parts
	UCS2     int         `json:"ucs2"`     // how many texts are outside the short alphabet
	Shortest *Example    `json:"shortest,omitempty"`
	Longest  *Example    `json:"longest,omitempty"`

	Total    Total `json:"total"`    // what they cost, by currency
	Unpriced int   `json:"unpriced"` // texts whose price is not known

	Refused  int       `json:"refused"`            // recipients who cannot be sent to
	Refusals []Refusal `json:"refusals,omitempty"` // the first of them
}

// Example is one text of a selection.
type Example struct {
	Key  string `json:"key"` // what the caller knows the recipient by
	Plan *Plan  `json:"plan"`
}

// Refusal is one recipient who cannot be sent to, and why.
type Refusal struct {
	Key    string `json:"key"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail"`
}

// mostRefusals is how many are shown; they usually share one reason.
const mostRefusals = 20

// Add counts one text.
func (s *Selection) Add(key string, p *Plan, price Price) {
	s.Count++
	s.Parts += p.Parts()
	if s.ByParts == nil {
		s.ByParts = make(map[int]int)
	}
	s.ByParts[p.Parts()]++
	if p.Alphabet == AlphabetUCS2 {
		s.UCS2++
	}
	if s.Shortest == nil || longer(s.Shortest.Plan, p) > 0 {
		s.Shortest = &Example{key, p}
	}
	if s.Longest == nil || longer(p, s.Longest.Plan) > 0 {
		s.Longest = &Example{key, p}
	}
	if !price.Known() {
		s.Unpriced++
	}
	s.Total.Add(price)
}

// longer compares by what a text costs, then by its characters: units of two
// alphabets do not compare.
func longer(a, b *Plan) int {
	return cmp.Or(cmp.Compare(a.Parts(), b.Parts()),
		cmp.Compare(utf8.RuneCountInString(a.Text), utf8.RuneCountInString(b.Text)))
}

// Refuse counts one recipient whose number or text was refused.
func (s *Selection) Refuse(key string, err error) {
	s.Refused++
	if len(s.Refusals) == mostRefusals {
		return
	}
	r := Refusal{Key: key, Detail: err.Error()}
	if e, ok := errors.AsType[*Error](err); ok {
		r.Code, r.Detail = e.Code, e.Detail
	}
	s.Refusals = append(s.Refusals, r)
}
