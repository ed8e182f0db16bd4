package text

import (
	"fmt"
	"strings"
	"unicode"
)

// Codes of an Error. They are part of the API and never change.
const (
	CodeTextEmpty   = "text_empty"
	CodeTextTooLong = "text_too_long"
	CodeTextUTF8    = "text_invalid_utf8"
	CodeTextNotGSM7 = "text_not_gsm7"
	CodeOption      = "option_invalid" // encoding, ref_bits, max_parts or a national table out of range
)

// Error is a refusal of something a person or a till wrote. Detail is a plain
// sentence: what is wrong and what to do about it.
type Error struct {
	Field  string `json:"field"` // the field of the request: "text", "to", "encoding" …
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Chars  []Char `json:"chars,omitempty"` // the characters it is about, each named once, at its first place
}

func (e *Error) Error() string { return e.Field + ": " + e.Detail }

// Char is one character as a reader counts it (an emoji with its modifiers is
// one) and where it stands.
type Char struct {
	Text string `json:"char"`
	Pos  int    `json:"position"` // in runes from 0, in the text as it was given
}

// String names the character so that it can be found: the glyph where it can
// be seen, always its code points.
func (c Char) String() string {
	var codes []string
	seen := true
	for _, r := range c.Text {
		codes = append(codes, fmt.Sprintf("U+%04X", r))
		seen = seen && unicode.IsPrint(r)
	}
	name := strings.Join(codes, " ")
	if seen {
		name = "“" + c.Text + "” (" + name + ")"
	}
	return fmt.Sprintf("%s at character %d", name, c.Pos+1)
}

// list names up to eight characters and counts the rest.
func list(chars []Char) string {
	const most = 8
	var names []string
	for _, c := range chars[:min(len(chars), most)] {
		names = append(names, c.String())
	}
	s := strings.Join(names, ", ")
	if n := len(chars) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
