package text

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/warthog618/sms/encoding/gsm7"
)

// Septets writes s in GSM 7 bit, one septet a byte, escapes included. shift
// and locking are the language identifiers of the national tables, 0 for the
// default alphabet. A character that is not there is an *Error
// (text_not_gsm7).
func Septets(s string, shift, locking int) ([]byte, error) {
	a := writable(shift, locking)
	if a == nil {
		return nil, noTable(shift, locking)
	}
	out := make([]byte, 0, len(s))
	for _, r := range s {
		code, ok := a.codes[r]
		if !ok {
			return nil, notGSM7(missing(s, nil, a.holds))
		}
		if code > 0x7F {
			out = append(out, esc)
		}
		out = append(out, byte(code&0x7F))
	}
	return out, nil
}

// FromSeptets reads GSM 7 bit, one septet a byte. It never fails: a code that
// is not defined after the escape shows the character of the basic table, an
// escape without one a blank (3GPP TS 23.038 §6.2.1.1), a language we do not
// know the default alphabet.
func FromSeptets(septets []byte, shift, locking int) string {
	a := readable(shift, locking)
	var b strings.Builder
	b.Grow(len(septets))
	escaped := false
	for _, c := range septets {
		c &= 0x7F
		switch {
		case escaped && c == esc:
			// A second escape is reserved for one more table: shown as a blank.
			b.WriteByte(' ')
			escaped = false
		case c == esc:
			escaped = true
		case escaped && a.shift[c] != 0:
			b.WriteRune(a.shift[c])
			escaped = false
		default:
			b.WriteRune(a.basic[c])
			escaped = false
		}
	}
	if escaped {
		b.WriteByte(' ')
	}
	return b.String()
}

// Pack packs septets into octets, least significant bit first, behind
// fillBits zero bits (0 to 6): what lies between a user data header and the
// next septet border (3GPP TS 23.038 §6.1.2.1, TS 23.040 §9.2.3.24).
func Pack(septets []byte, fillBits int) []byte {
	return gsm7.Pack7Bit(septets, fillBits)
}

// Unpack takes n septets from packed, the inverse of Pack. n is what TP-UDL
// says, without the septets of the header; octets alone cannot tell seven
// septets from eight. Where packed holds fewer, it returns those.
func Unpack(packed []byte, fillBits, n int) []byte {
	n = min(n, (len(packed)*8-fillBits)/7)
	if n <= 0 {
		return nil
	}
	return gsm7.Unpack7Bit(packed, fillBits)[:n]
}

// FillBits is the number of bits between a header of that many octets
// (length octet included) and the next septet border.
func FillBits(header int) int { return (7 - header*8%7) % 7 }

// UTF16 writes s in UTF-16 big endian without a byte order mark.
func UTF16(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	var u []uint16
	for _, r := range s {
		for _, c := range utf16.AppendRune(u[:0], r) {
			out = binary.BigEndian.AppendUint16(out, c)
		}
	}
	return out
}

// FromUTF16 reads UTF-16 big endian. It never fails: a lone surrogate and the
// odd byte at the end show U+FFFD, and take nothing with them.
func FromUTF16(b []byte) string {
	out := make([]byte, 0, len(b))
	for len(b) >= 2 {
		r := rune(binary.BigEndian.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if len(b) >= 2 {
				pair = utf16.DecodeRune(r, rune(binary.BigEndian.Uint16(b)))
			}
			if r = pair; pair != utf8.RuneError {
				b = b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	if len(b) == 1 {
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return string(out)
}
