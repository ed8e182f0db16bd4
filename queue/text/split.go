package text

import (
	"fmt"
	"iter"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// MostParts is what the header of a part can count (3GPP TS 23.040
// §9.2.3.24.1: one octet).
const MostParts = 255

// Segment is one part of a text as it fits into one short message.
type Segment struct {
	Text  string `json:"text"`
	Units int    `json:"units"` // septets for gsm7, UTF-16 code units for ucs2, without the header
}

// Header returns the octets of the user data header, its length octet
// included; 0 without one. refBits is 0 for a message in one part, else 8 or
// 16 (3GPP TS 23.040 §9.2.3.24.1, .8). A national table costs three octets
// (§9.2.3.24.15, .16).
func Header(shift, locking, refBits int) int {
	n := 0
	switch refBits {
	case 8:
		n += 5
	case 16:
		n += 6
	}
	if shift != 0 {
		n += 3
	}
	if locking != 0 {
		n += 3
	}
	if n > 0 {
		n++
	}
	return n
}

// Capacity returns the units that fit beside a header of that many octets:
// septets for gsm7, code units for ucs2, octets for anything else ("8bit").
// User data is 140 octets (3GPP TS 23.040 §9.2.3.24).
func Capacity(alphabet string, header int) int {
	octets := 140 - header
	switch alphabet {
	case AlphabetGSM7:
		return octets * 8 / 7
	case AlphabetUCS2:
		return octets / 2
	}
	return octets
}

// Split cuts text into the parts of a message. It is the only cutter in the
// house.
//
// It makes as few parts as can be, filled from the left. Where that many parts
// leave a choice it cuts between two characters as a reader sees them, so that
// no emoji family, flag or CR LF is torn. An escape sequence or a surrogate
// pair is never torn. An empty text is one part of no units.
//
// alphabet is AlphabetGSM7 or AlphabetUCS2; shift and locking are the
// national tables in use (gsm7 only), refBits the width of the reference: 8 or
// 16, 0 reads as 8. Errors are *Error: text_invalid_utf8, text_not_gsm7,
// text_too_long (more than MostParts), option_invalid.
func Split(text, alphabet string, shift, locking, refBits int) ([]Segment, error) {
	if refBits == 0 {
		refBits = 8
	}
	if refBits != 8 && refBits != 16 {
		return nil, badOption("ref_bits", "a reference has 8 or 16 bits, not %d", refBits)
	}
	if !utf8.ValidString(text) {
		return nil, notUTF8(text)
	}
	runes := []rune(text)
	units := make([]int, len(runes))
	switch alphabet {
	case AlphabetGSM7:
		a := writable(shift, locking)
		if a == nil {
			return nil, noTable(shift, locking)
		}
		for i, r := range runes {
			if units[i] = a.units(r); units[i] == 0 {
				return nil, notGSM7(missing(text, nil, a.holds))
			}
		}
	case AlphabetUCS2:
		if shift != 0 || locking != 0 {
			return nil, badOption("alphabet", "national tables belong to gsm7, not to ucs2")
		}
		for i, r := range runes {
			units[i] = unitsUTF16(r)
		}
	default:
		return nil, badOption("alphabet", "an alphabet is gsm7 or ucs2, not %q", alphabet)
	}

	one := Capacity(alphabet, Header(shift, locking, 0))
	if n := sum(units); n <= one {
		return []Segment{{Text: text, Units: n}}, nil
	}
	many := Capacity(alphabet, Header(shift, locking, refBits))
	cuts := cut(units, many, borders(text, len(runes)))
	if len(cuts) > MostParts {
		return nil, &Error{Field: "text", Code: CodeTextTooLong,
			Detail: fmt.Sprintf("the text needs %d parts, and no message can have more than %d: send it as several messages", len(cuts), MostParts)}
	}
	parts := make([]Segment, len(cuts))
	from := 0
	for i, to := range cuts {
		parts[i] = Segment{Text: string(runes[from:to]), Units: sum(units[from:to])}
		from = to
	}
	return parts, nil
}

// cut returns where each part of at most room units ends. A part may end as
// early as the parts behind it can still hold the rest, and as late as it is
// full; between the two it ends at the last border there is, or full.
func cut(units []int, room int, border []bool) []int {
	// earliest[k] is the first place from which k parts reach the end, found
	// by filling from the right.
	earliest := []int{len(units)}
	for end := len(units); end > 0; earliest = append(earliest, end) {
		for n := 0; end > 0 && n+units[end-1] <= room; end-- {
			n += units[end-1]
		}
	}
	var cuts []int
	from := 0
	for left := len(earliest) - 2; left >= 0; left-- {
		full := from
		for n := 0; full < len(units) && n+units[full] <= room; full++ {
			n += units[full]
		}
		end := full
		for end > earliest[left] && !border[end] {
			end--
		}
		if !border[end] || end == from {
			end = full
		}
		cuts = append(cuts, end)
		from = end
	}
	return cuts
}

// borders says for each place between runes whether a character may end
// there, as UAX #29 defines what a reader sees as one character.
func borders(text string, runes int) []bool {
	border := make([]bool, runes+1)
	border[0] = true
	at := 0
	for c := range clusters(text) {
		at += utf8.RuneCountInString(c)
		border[at] = true
	}
	return border
}

// clusters yields the characters of s as a reader counts them.
func clusters(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for s != "" {
			n := 1
			// Between two ASCII characters is always a border, except CR LF;
			// uniseg is asked only for the rest.
			if s[0] >= utf8.RuneSelf || len(s) > 1 && (s[1] >= utf8.RuneSelf || s[0] == '\r') {
				c, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
				n = len(c)
			}
			if !yield(s[:n]) {
				return
			}
			s = s[n:]
		}
	}
}

func unitsUTF16(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

func sum(units []int) int {
	n := 0
	for _, u := range units {
		n += u
	}
	return n
}
