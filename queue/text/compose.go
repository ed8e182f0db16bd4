package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Encoding is the policy of a message: what may be replaced to keep it short.
type Encoding string

const (
	// Smart replaces look-alikes (quotes, dashes, blanks, the ellipsis) where
	// that saves UCS-2, and nothing else. The default.
	Smart Encoding = "smart"
	// GSM7 replaces every character that has a plain form and refuses the
	// others by name.
	GSM7 Encoding = "gsm7"
	// UCS2 sends the text as it is.
	UCS2 Encoding = "ucs2"
	// ASCII sends plain characters only; what has no plain form is removed,
	// and reported.
	ASCII Encoding = "ascii"
)

// Options say how a text may be changed and cut. The zero value is the default.
type Options struct {
	Encoding Encoding `json:"encoding,omitempty"`  // empty: Smart
	MaxParts int      `json:"max_parts,omitempty"` // 0: 6; above MostParts: MostParts
	RefBits  int      `json:"ref_bits,omitempty"`  // 8 or 16; 0: 8

	// Shift and Locking are the national tables that the shop allows (Turkish,
	// Spanish, Portuguese), 0 for none. They are used where they keep a
	// character that would be replaced or force UCS-2. Some phones lack them.
	Shift   int `json:"shift,omitempty"`
	Locking int `json:"locking,omitempty"`

	// Latin1: what carries the text writes the short alphabet in ISO 8859-1. It
	// has no € and no Greek then, and no national tables.
	Latin1 bool `json:"latin1,omitempty"`

	// Cedilla lets Smart write ç as c, which most readers of Dutch, English or
	// German do not mind.
	Cedilla bool `json:"cedilla,omitempty"`

	// Lang (a language tag such as "de") chooses between the plain forms that
	// differ by language, ä → ae or a, for GSM7 and ASCII.
	Lang string `json:"lang,omitempty"`
}

// defaultParts: phones and operators show six reliably (field-notes §2.1).
const defaultParts = 6

// Change is one difference between the text given and the text sent.
type Change struct {
	From string `json:"from"`
	To   string `json:"to"`       // empty: removed
	Pos  int    `json:"position"` // in runes from 0, in the text as it was given
}

// Plan is a text ready to be sent, and the account of how it came to be.
type Plan struct {
	Text     string    `json:"text"`
	Alphabet string    `json:"alphabet"` // AlphabetGSM7 or AlphabetUCS2
	Shift    int       `json:"shift,omitempty"`
	Locking  int       `json:"locking,omitempty"`
	RefBits  int       `json:"ref_bits"`
	Segments []Segment `json:"segments"`
	Changes  []Change  `json:"changes"` // by position
	Units    int       `json:"units"`   // of all parts, without their headers
	Room     int       `json:"room"`    // units that one part of this message holds
	Left     int       `json:"left"`    // units free in the last part

	// Culprits are the characters that made the text UCS-2, most frequent
	// first, and Instead what it would cost without them; empty and nil for a
	// text in the short alphabet.
	Culprits []Culprit `json:"culprits,omitempty"`
	Instead  *Instead  `json:"instead,omitempty"`
}

// Parts is the number of short messages the text is paid as.
func (p *Plan) Parts() int { return len(p.Segments) }

// Compose makes a text ready to be sent: NFC, control characters out, the
// replacements that the policy allows, the cheapest alphabet, Split. It is the
// one door; what it returns is what goes out.
//
// Errors are *Error: text_empty, text_too_long, text_invalid_utf8,
// text_not_gsm7, option_invalid. Beside text_too_long the plan is returned
// too, so that a preview can count on; except when the text passes MostParts.
func Compose(s string, opt Options) (*Plan, error) {
	opt, err := opt.complete()
	if err != nil {
		return nil, err
	}
	if len(s) > longest {
		return nil, &Error{Field: "text", Code: CodeTextTooLong,
			Detail: fmt.Sprintf("the text has %d bytes, more than any message can carry: send it as several messages", len(s))}
	}
	in, err := read(s)
	if err != nil {
		return nil, err
	}
	if strings.TrimFunc(in.text, unicode.IsSpace) == "" {
		return nil, &Error{Field: "text", Code: CodeTextEmpty, Detail: "the text is empty: write something to send"}
	}

	d := decide(in, opt)
	if d.alphabet == AlphabetGSM7 && len(d.missing) > 0 {
		return nil, notGSM7(d.missing)
	}
	if strings.TrimFunc(d.text, unicode.IsSpace) == "" {
		detail := "nothing is left of the text in this encoding: choose the encoding smart or ucs2"
		if opt.Encoding == Smart {
			detail = "the text has only characters that nobody sees: write something to send"
		}
		return nil, &Error{Field: "text", Code: CodeTextEmpty, Detail: detail}
	}
	segments, err := Split(d.text, d.alphabet, d.shift, d.locking, opt.RefBits)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Text: d.text, Alphabet: d.alphabet, Shift: d.shift, Locking: d.locking, RefBits: opt.RefBits,
		Segments: segments, Changes: slices.Concat([]Change{}, in.changes, d.changes),
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int { return cmp.Compare(a.Pos, b.Pos) })
	p.count()
	if p.Alphabet == AlphabetUCS2 {
		p.blame(in, d, opt)
	}
	if p.Parts() > opt.MaxParts {
		return p, p.tooLong(opt.MaxParts)
	}
	return p, nil
}

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters", n)
}

// longest is more bytes of UTF-8 than MostParts can carry in any alphabet.
const longest = MostParts * 160 * utf8.UTFMax

func (opt Options) complete() (Options, error) {
	switch opt.Encoding {
	case "":
		opt.Encoding = Smart
	case Smart, GSM7, UCS2, ASCII:
	default:
		return opt, badOption("encoding", "an encoding is smart, gsm7, ucs2 or ascii, not %q", opt.Encoding)
	}
	switch opt.RefBits {
	case 0:
		opt.RefBits = 8
	case 8, 16:
	default:
		return opt, badOption("ref_bits", "a reference has 8 or 16 bits, not %d", opt.RefBits)
	}
	if opt.MaxParts < 0 {
		return opt, badOption("max_parts", "a message has at least one part, not %d", opt.MaxParts)
	}
	if opt.MaxParts == 0 {
		opt.MaxParts = defaultParts
	}
	opt.MaxParts = min(opt.MaxParts, MostParts)
	if writable(opt.Shift, opt.Locking) == nil {
		return opt, noTable(opt.Shift, opt.Locking)
	}
	if opt.Latin1 {
		opt.Shift, opt.Locking = 0, 0
	}
	return opt, nil
}

// count fills in Units, Room and Left.
func (p *Plan) count() {
	refBits := p.RefBits
	if len(p.Segments) == 1 {
		refBits = 0
	}
	p.Room = Capacity(p.Alphabet, Header(p.Shift, p.Locking, refBits))
	for _, s := range p.Segments {
		p.Units += s.Units
	}
	p.Left = p.Room - p.Segments[len(p.Segments)-1].Units
}

func (p *Plan) tooLong(most int) *Error {
	// One part alone holds more than one of several.
	refBits := p.RefBits
	if most == 1 {
		refBits = 0
	}
	room := most * Capacity(p.Alphabet, Header(p.Shift, p.Locking, refBits))
	detail := fmt.Sprintf("the text needs %d SMS and the limit is %d: shorten it by about %s", p.Parts(), most, characters(max(1, p.Units-room)))
	if p.Instead != nil && p.Instead.Parts <= most {
		detail += fmt.Sprintf(", or replace the characters that the short alphabet lacks, then it needs %d", p.Instead.Parts)
	}
	return &Error{Field: "text", Code: CodeTextTooLong, Detail: detail}
}

func notGSM7(chars []Char) *Error {
	distinct := make([]Char, 0, len(chars))
	seen := make(map[string]bool)
	for _, c := range chars {
		if !seen[c.Text] {
			seen[c.Text] = true
			distinct = append(distinct, c)
		}
	}
	return &Error{Field: "text", Code: CodeTextNotGSM7, Chars: distinct,
		Detail: "the short alphabet does not have " + list(distinct) + ": take it out, or choose the encoding smart or ucs2"}
}

func badOption(field, format string, args ...any) *Error {
	return &Error{Field: field, Code: CodeOption, Detail: fmt.Sprintf(format, args...)}
}

func noTable(shift, locking int) *Error {
	return badOption("shift", "there is no national table for single shift %d with locking shift %d: 0 none, 1 Turkish, 2 Spanish (single shift only), 3 Portuguese", shift, locking)
}
