package text

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// input is a text in NFC and without control characters.
type input struct {
	text    string
	at      []int // for each rune of text its place in the text given; nil: the same
	changes []Change
}

// place returns where the rune i of the text stood in the text given.
func (in *input) place(i int) int {
	if in.at == nil {
		return i
	}
	return in.at[i]
}

// read refuses what is not UTF-8, turns every kind of line end into a line
// feed and a tabulator into a blank, takes control characters out (an ESC in a
// text would be read as the escape of GSM 7 bit) and composes what is left to
// NFC: a decomposed é is not in the short alphabet, é is.
func read(s string) (*input, error) {
	plain := true
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return nil, notUTF8(s)
			}
		}
		plain = plain && (r == '\n' || !isControl(r))
	}
	if plain && norm.NFC.IsNormalString(s) {
		return &input{text: s}, nil
	}

	in := &input{}
	var clean []rune
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		if r == '\n' || !isControl(r) {
			clean, in.at = append(clean, r), append(in.at, i)
			continue
		}
		from, to := string(r), ""
		switch r {
		case '\r':
			if to = "\n"; i+1 < len(runes) && runes[i+1] == '\n' {
				from = "\r\n"
			}
		case '\v', '\f', nextLine, lineSeparator, paragraphSeparator:
			to = "\n"
		case '\t':
			to = " "
		}
		in.changes = append(in.changes, Change{From: from, To: to, Pos: i})
		if to != "" {
			clean, in.at = append(clean, rune(to[0])), append(in.at, i)
		}
		i += len([]rune(from)) - 1
	}
	in.compose(string(clean))
	return in, nil
}

// compose brings s to NFC. The runes of a sequence that changed all stand
// where its first rune stood.
func (in *input) compose(s string) {
	var (
		out  strings.Builder
		at   []int
		it   norm.Iter
		from int // rune offset in s
	)
	it.InitString(norm.NFC, s)
	for start := 0; !it.Done(); {
		composed := it.Next()
		given := s[start:it.Pos()]
		start = it.Pos()
		same := string(composed) == given
		if !same && utf8.RuneCountInString(given) == 1 {
			// One character by the code of another: the Greek question mark is a
			// semicolon now. A letter and its accent in one are no difference.
			in.changes = append(in.changes, Change{From: given, To: string(composed), Pos: in.at[from]})
		}
		for i := range utf8.RuneCount(composed) {
			if same {
				at = append(at, in.at[from+i])
			} else {
				at = append(at, in.at[from])
			}
		}
		out.Write(composed)
		from += utf8.RuneCountInString(given)
	}
	in.text, in.at = out.String(), at
}

const (
	nextLine           = '\u0085'
	lineSeparator      = '\u2028'
	paragraphSeparator = '\u2029'
)

// isControl: the C0 and C1 controls, DEL, and the two separators that are line
// ends by another name.
func isControl(r rune) bool {
	return r < 0x20 || r >= 0x7F && r < 0xA0 || r == lineSeparator || r == paragraphSeparator
}

func notUTF8(s string) *Error {
	runes := 0
	for i := 0; i < len(s); runes++ {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return &Error{Field: "text", Code: CodeTextUTF8,
				Detail: fmt.Sprintf("byte %d (0x%02X, after %s) is not UTF-8: save or send the text as UTF-8", i, s[i], characters(runes)),
				Chars:  []Char{{Text: fmt.Sprintf("0x%02X", s[i]), Pos: runes}}}
		}
		i += n
	}
	return nil
}
