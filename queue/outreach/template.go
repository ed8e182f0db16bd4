package outreach

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tillpost/queue"
)

// Codes of a *queue.Invalid of this package. They are part of the API.
const (
	CodeUnknown = "placeholder_unknown" // nobody has a value of that name
	CodeMissing = "value_missing"       // this recipient has none
	CodeNames   = "name_ambiguous"      // two values whose names are read as one
)

// Missing is what becomes of a recipient without a value that the template
// needs.
type Missing string

const (
	Refuse   Missing = "refuse"    // that recipient gets nothing and is listed
	Default  Missing = "default"   // the value of Rules.Defaults
	LeaveOut Missing = "leave_out" // the sentence that needs it is not written
)

// Rules of one template. The zero value refuses who lacks a value.
type Rules struct {
	Missing  Missing
	Defaults map[string]string // by name; for Default
	Zone     *time.Location    // of the shop, for times that carry another; default local
}

// Vars are the values of one recipient by folded name. Use NewVars.
type Vars map[string]string

// NewVars reads values as a business system names them: case and the blanks
// around a name mean nothing. The error, a *queue.Invalid, is about two names
// that are then the same, or none.
func NewVars(given map[string]string) (Vars, error) {
	v := make(Vars, len(given))
	for name, value := range given {
		folded := fold(name)
		if folded == "" {
			return nil, &queue.Invalid{Field: "vars", Code: CodeNames, Detail: "one of the values has no name. Name it, or leave it out"}
		}
		if other, twice := v[folded]; twice && other != value {
			return nil, &queue.Invalid{Field: "vars." + name, Code: CodeNames,
				Detail: fmt.Sprintf("there are two values for %s, which differ. Capitals and blanks do not tell names apart: send one of them", folded)}
		}
		v[folded] = value
	}
	return v, nil
}

// Names are all names for which any recipient has a value.
type Names map[string]bool

// Add notes the names of one recipient.
func (n Names) Add(v Vars) {
	for name := range v {
		n[name] = true
	}
}

// Template is a text with placeholders, ready to be rendered. Use Parse.
type Template struct {
	sentences []sentence
	rules     Rules
	defaults  Vars
	fields    []string
	unknown   []Placeholder
	refused   *queue.Invalid // for everybody, because of unknown
}

// Placeholder is one place of a template that a value fills.
type Placeholder struct {
	As       string `json:"as"`       // as it is written: [VERFALLDATUM]
	Name     string `json:"name"`     // folded: verfalldatum
	Position int    `json:"position"` // in characters of the template, from 0
}

type sentence struct {
	pieces []piece
	tail   string // blanks up to the next
}

// piece is text, or with a name the place of a value, and text how it is
// written there.
type piece struct{ text, name string }

// maxTemplate is in bytes, as for any text the queue takes.
const maxTemplate = 80_000

// Parse reads a template for recipients who have values of these names. A
// placeholder that none of them can fill is no error here, for a person wants
// to see the rest: ask Unknown, or be refused by Render. Errors are
// *queue.Invalid about template, missing or defaults.
func Parse(s string, names Names, rules Rules) (*Template, error) {
	if len(s) > maxTemplate {
		return nil, &queue.Invalid{Field: "template", Code: "text_too_long", Detail: fmt.Sprintf("the template has %d bytes, more than any message can carry. Shorten it", len(s))}
	}
	t, known, err := begin(s, names, rules)
	if err != nil {
		return nil, err
	}
	t.fill(s, findMarks(s, known), known)
	return t, nil
}

// begin checks a template and its rules, and lists the names that have values.
func begin(s string, names Names, rules Rules) (t *Template, known Names, err error) {
	t = &Template{rules: rules}
	t.rules.Missing = cmp.Or(rules.Missing, Refuse)
	t.rules.Zone = cmp.Or(rules.Zone, time.Local)
	switch {
	case strings.TrimSpace(s) == "":
		return nil, nil, &queue.Invalid{Field: "template", Code: "text_empty", Detail: "the template is empty: write something to send"}
	case !slices.Contains([]Missing{Refuse, Default, LeaveOut}, t.rules.Missing):
		return nil, nil, &queue.Invalid{Field: "missing", Code: "unknown_value", Detail: fmt.Sprintf("%q is not known here. Use one of: %s, %s, %s", rules.Missing, Refuse, Default, LeaveOut)}
	case t.rules.Missing != Default && len(rules.Defaults) > 0:
		return nil, nil, &queue.Invalid{Field: "defaults", Code: "unknown_value", Detail: fmt.Sprintf("defaults are used when missing is %q. Say so, or leave them out", Default)}
	}
	if t.defaults, err = NewVars(rules.Defaults); err != nil {
		return nil, nil, err
	}
	if known = maps.Clone(names); known == nil {
		known = Names{}
	}
	known.Add(t.defaults)
	return t, known, nil
}

// fill notes what is found in the text, and makes its pieces.
func (t *Template) fill(s string, found []mark, known Names) {
	place, at := 0, 0 // of the last one: in characters, in bytes
	for _, m := range found {
		place, at = place+utf8.RuneCountInString(s[at:m.from]), m.from
		if !slices.Contains(t.fields, m.name) {
			t.fields = append(t.fields, m.name)
		}
		if !m.known {
			t.unknown = append(t.unknown, Placeholder{As: s[m.from:m.to], Name: m.name, Position: place})
		}
	}
	t.refused = strangers(t.unknown, known)
	t.divide(s, found)
}

// divide makes the pieces of each sentence.
func (t *Template) divide(s string, found []mark) {
	// While sentences are looked for, a value is a word with a capital.
	words := []byte(s)
	for _, m := range found {
		copy(words[m.from:m.to], strings.Repeat("X", m.to-m.from))
	}
	at := 0
	for _, sp := range sentences(string(words)) {
		sen := sentence{tail: s[sp.end:sp.tail]}
		for ; len(found) > 0 && found[0].from < sp.end; found = found[1:] {
			m := found[0]
			if at < m.from {
				sen.pieces = append(sen.pieces, piece{text: s[at:m.from]})
			}
			sen.pieces = append(sen.pieces, piece{text: s[m.from:m.to], name: m.name})
			at = m.to
		}
		if at < sp.end {
			sen.pieces = append(sen.pieces, piece{text: s[at:sp.end]})
		}
		t.sentences = append(t.sentences, sen)
		at = sp.tail
	}
}

// strangers words the refusal that placeholders nobody fills in mean.
func strangers(unknown []Placeholder, known Names) *queue.Invalid {
	if len(unknown) == 0 {
		return nil
	}
	var list []string
	for _, p := range unknown {
		list = append(list, fmt.Sprintf("%s at character %d", p.As, p.Position+1))
	}
	names := "No recipient has any values"
	have := slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(name string) bool {
		ours := fieldName(name) // one field has many names: ours is enough
		return ours != name && known[ours]
	})
	if len(have) > 0 {
		names = "The names there are: " + some(have)
	}
	return &queue.Invalid{Field: "template", Code: CodeUnknown,
		Detail: fmt.Sprintf("no recipient has a value for %s. %s. Correct the name or send the value; where such signs are meant as text, use round brackets", some(list), names)}
}

// some names the first few of a list and counts the rest.
func some(list []string) string {
	const most = 8
	s := strings.Join(list[:min(len(list), most)], ", ")
	if n := len(list) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// Fields are the folded names that the template uses, each once, in order.
func (t *Template) Fields() []string { return t.fields }

// Unknown are the placeholders that no recipient can fill.
func (t *Template) Unknown() []Placeholder { return t.unknown }

// Render writes the text for one recipient in their language (en nl sv de): a
// value that is a date, 2027-04-23 or 2027-04-23T14:30, is written as readers
// of it write dates. Blanks around a value are taken off, and a value of blanks
// is missing. Errors are *queue.Invalid: CodeUnknown, CodeMissing,
// text_too_long.
func (t *Template) Render(vars Vars, lang string) (string, error) {
	if t.refused != nil {
		return "", t.refused
	}
	var (
		out   []byte
		lacks []string // as they are written
		gone  bool     // a sentence was left out
	)
	for _, sen := range t.sentences {
		began, whole := len(out), true
		for _, p := range sen.pieces {
			text := p.text
			if p.name != "" {
				text = t.value(p.name, vars, lang)
			}
			if text == "" {
				whole = false
				if !slices.Contains(lacks, p.text) {
					lacks = append(lacks, p.text)
				}
			}
			if out = append(out, text...); len(out) > maxTemplate {
				return "", &queue.Invalid{Field: "vars", Code: "text_too_long", Detail: "with these values the text is longer than any message can carry. Shorten them"}
			}
		}
		if whole {
			out = append(out, sen.tail...)
			continue
		}
		gone = true
		out = endLine(out[:began], sen.tail)
	}
	if len(lacks) > 0 && t.rules.Missing != LeaveOut {
		return "", t.lacking(lacks)
	}
	if gone {
		out = bytes.TrimSpace(out)
	}
	return string(out), nil
}

// endLine goes on after a sentence that was left out. If it was the last of its
// line the line ends; if it was all of it the line is not there.
func endLine(out []byte, tail string) []byte {
	if !strings.Contains(tail, "\n") {
		return out
	}
	if out = bytes.TrimRight(out, " \t"); len(out) == 0 || out[len(out)-1] == '\n' {
		return out
	}
	return append(out, strings.TrimLeft(tail, " \t\r")...)
}

// value of a name for one recipient; empty: there is none.
func (t *Template) value(name string, vars Vars, lang string) string {
	v := strings.TrimSpace(vars[name])
	if v == "" && t.rules.Missing == Default {
		v = strings.TrimSpace(t.defaults[name])
	}
	return inWords(v, lang, t.rules.Zone)
}

func (t *Template) lacking(lacks []string) *queue.Invalid {
	how := "Send it in vars, or choose what is to be done without it (missing)"
	if t.rules.Missing == Default {
		how = "Send it in vars, or give it in defaults"
	}
	return &queue.Invalid{Field: "vars", Code: CodeMissing, Detail: fmt.Sprintf("there is no value for %s. %s", some(lacks), how)}
}
