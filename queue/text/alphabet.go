package text

import (
	"sync"

	"github.com/warthog618/sms/encoding/gsm7/charset"
)

// The two alphabets of a plan, as Plan.Alphabet and route.Outbound spell them.
const (
	AlphabetGSM7 = "gsm7" // septets: default alphabet and extension, or a national table
	AlphabetUCS2 = "ucs2" // UTF-16 big endian, as every handset of today reads "UCS-2"
)

// Language identifiers of the national tables (3GPP TS 23.038 §6.2.1.2.4).
const (
	Turkish    = 1
	Spanish    = 2 // single shift only
	Portuguese = 3
)

const esc = 0x1B

// The tables are our own, not those of a library: the pinned one lacks Ê in
// its Portuguese single shift and reads CR2 as a line feed. Every entry is
// compared with testdata/gsm7.csv and testdata/gsm7_national.json.
//
// Sixteen codes a line, in the order of the code. 1B is the escape and the
// code of no character.
var (
	// 3GPP TS 23.038 §6.2.1
	basicDefault = "@£$¥èéùìòÇ\nØø\rÅå" +
		"Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ" +
		" !\"#¤%&'()*+,-./" +
		"0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNO" +
		"PQRSTUVWXYZÄÖÑÜ§" +
		"¿abcdefghijklmno" +
		"pqrstuvwxyzäöñüà"

	// 3GPP TS 23.038 §A.3.1
	basicTurkish = "@£$¥€éùıòÇ\nĞğ\rÅå" +
		"Δ_ΦΓΛΩΠΨΣΘΞ\x1bŞşßÉ" +
		" !\"#¤%&'()*+,-./" +
		"0123456789:;<=>?" +
		"İABCDEFGHIJKLMNO" +
		"PQRSTUVWXYZÄÖÑÜ§" +
		"çabcdefghijklmno" +
		"pqrstuvwxyzäöñüà"

	// 3GPP TS 23.038 §A.3.3
	basicPortuguese = "@£$¥êéúíóç\nÔô\rÁá" +
		"Δ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ" +
		" !\"#º%&'()*+,-./" +
		"0123456789:;<=>?" +
		"ÍABCDEFGHIJKLMNO" +
		"PQRSTUVWXYZÃÕÚÜ§" +
		"~abcdefghijklmno" +
		"pqrstuvwxyzãõ`üà"
)

// What a code means after the escape.
var (
	// 3GPP TS 23.038 §6.2.1.1
	shiftDefault = map[byte]rune{
		0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\',
		0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
	}
	// 3GPP TS 23.038 §A.2.1
	shiftTurkish = map[byte]rune{
		0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\',
		0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
		0x47: 'Ğ', 0x49: 'İ', 0x53: 'Ş', 0x63: 'ç', 0x67: 'ğ', 0x69: 'ı', 0x73: 'ş',
	}
	// 3GPP TS 23.038 §A.2.2
	shiftSpanish = map[byte]rune{
		0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\',
		0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
		0x09: 'ç', 0x41: 'Á', 0x49: 'Í', 0x4F: 'Ó', 0x55: 'Ú',
		0x61: 'á', 0x69: 'í', 0x6F: 'ó', 0x75: 'ú',
	}
	// 3GPP TS 23.038 §A.2.3
	shiftPortuguese = map[byte]rune{
		0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\',
		0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
		0x05: 'ê', 0x09: 'ç', 0x0B: 'Ô', 0x0C: 'ô', 0x0E: 'Á', 0x0F: 'á',
		0x12: 'Φ', 0x13: 'Γ', 0x15: 'Ω', 0x16: 'Π', 0x17: 'Ψ', 0x18: 'Σ', 0x19: 'Θ', 0x1F: 'Ê',
		0x41: 'À', 0x49: 'Í', 0x4F: 'Ó', 0x55: 'Ú', 0x5B: 'Ã', 0x5C: 'Õ', 0x61: 'Â',
		0x69: 'í', 0x6F: 'ó', 0x75: 'ú', 0x7B: 'ã', 0x7C: 'õ', 0x7F: 'â',
	}
)

// alphabet is one choice of locking and single shift table, ready for use.
type alphabet struct {
	basic [128]rune       // by code; basic[esc] is 0
	shift [128]rune       // by code after the escape; 0 where nothing is defined
	codes map[rune]uint16 // 00 to 7F, or 1B00 and the code after the escape
}

// alphabets holds every alphabet we write, by single shift and locking table.
// A pair that does not exist (Spanish has no locking table) is nil.
var alphabets = sync.OnceValue(func() (all [4][4]*alphabet) {
	shifts := [4]map[byte]rune{shiftDefault, shiftTurkish, shiftSpanish, shiftPortuguese}
	basics := [4]string{basicDefault, basicTurkish, "", basicPortuguese}
	for s, shift := range shifts {
		for l, basic := range basics {
			if basic != "" {
				all[s][l] = newAlphabet(basic, shift)
			}
		}
	}
	return all
})

func newAlphabet(basic string, shift map[byte]rune) *alphabet {
	a := &alphabet{codes: make(map[rune]uint16, 160)}
	for code, r := range shift {
		a.shift[code] = r
		a.codes[r] = esc<<8 | uint16(code)
	}
	// The basic table second: a character that is in both is written with one
	// septet.
	code := uint16(0)
	for _, r := range basic {
		if code != esc {
			a.basic[code] = r
			a.codes[r] = code
		}
		code++
	}
	return a
}

// writable returns the alphabet of two language identifiers, nil if there is
// none that we write.
func writable(shift, locking int) *alphabet {
	if shift < 0 || shift > Portuguese || locking < 0 || locking > Portuguese {
		return nil
	}
	return alphabets()[shift][locking]
}

// inLatin1 is what ISO 8859-1 holds of the default alphabet: all but € and ten
// Greek capitals. Its units are those of the default alphabet, into which the
// network turns the text for the phone.
var inLatin1 = sync.OnceValue(func() *alphabet {
	a := *writable(0, 0)
	a.codes = make(map[rune]uint16, len(a.codes))
	for r, code := range writable(0, 0).codes {
		if r <= 0xFF {
			a.codes[r] = code
		}
	}
	return &a
})

// alphabet is the short alphabet of two language identifiers, as far as what
// carries the text can write it.
func (opt Options) alphabet(shift, locking int) *alphabet {
	if opt.Latin1 {
		return inLatin1()
	}
	return writable(shift, locking)
}

// units returns the septets that r takes, 0 if the alphabet does not hold it.
func (a *alphabet) units(r rune) int {
	code, ok := a.codes[r]
	if !ok {
		return 0
	}
	if code > 0x7F {
		return 2
	}
	return 1
}

// holds says whether the alphabet has r.
func (a *alphabet) holds(r rune) bool {
	_, ok := a.codes[r]
	return ok
}

// readable returns the alphabet of two language identifiers for reading: ours,
// or one of the ten of India and Pakistan, which a visitor's phone may use and
// we never write. A language we do not know reads as the default alphabet. It
// has no codes.
func readable(shift, locking int) *alphabet {
	if a := writable(shift, locking); a != nil {
		return a
	}
	a := *writable(0, 0)
	a.codes = nil
	if own := writable(0, locking); own != nil {
		a.basic = own.basic
	} else if locking > Portuguese && locking < charset.End {
		a.basic = runesOf(charset.NewDecoder(locking))
		if locking == charset.Hindi {
			// The library has the Bengali signs here.
			a.basic[0], a.basic[1], a.basic[2] = '\u0901', '\u0902', '\u0903'
		}
	}
	if own := writable(shift, 0); own != nil {
		a.shift = own.shift
	} else if shift > Portuguese && shift < charset.End {
		a.shift = runesOf(charset.NewExtDecoder(shift))
	}
	for code := range a.basic {
		if a.basic[code] == 0 {
			a.basic[code] = ' ' // reserved; never reached for the escape
		}
	}
	return &a
}

// runesOf reads a table of the library. Those of languages 4 to 13 are
// constants in it: no lazy initialisation, no race.
func runesOf(d charset.Decoder) (runes [128]rune) {
	for code, r := range d {
		runes[code] = r
	}
	return runes
}
