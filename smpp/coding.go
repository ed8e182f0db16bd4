package smpp

import (
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/text/encoding/charmap"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// Alphabets of Config.Alphabet: what data_coding 0 means at an SMSC.
const (
	AlphabetGSM7   = "gsm7"   // 3GPP TS 23.038, one septet to an octet
	AlphabetLatin1 = "latin1" // ISO 8859-1
)

// esm_class. SMPP 3.4 §5.2.12
const (
	esmTypeMask     = 0x3C
	esmReceipt      = 0x04 // SMSC delivery receipt
	esmIntermediate = 0x20 // intermediate notification
	esmUDHI         = 0x40 // short_message begins with a user data header
)

// data_coding. SMPP 3.4 §5.2.19
const (
	codingDefault = 0x00
	codingASCII   = 0x01
	codingOctets1 = 0x02
	codingLatin1  = 0x03
	codingOctets2 = 0x04
	codingISO5    = 0x06 // Cyrillic
	codingISO8    = 0x07 // Hebrew
	codingUCS2    = 0x08

	codingFlashGSM7 = 0xF0 // GSM message class control, class 0, default alphabet
	codingFlashUCS2 = 0x18 // 3GPP TS 23.038 §4: general group, class 0, UCS2
)

// header is what we use of a user data header. 3GPP TS 23.040 §9.2.3.24
type header struct {
	concat         *route.Concat
	shift, locking int
}

// Information elements. 3GPP TS 23.040 §9.2.3.24
const (
	ieConcat8  = 0x00
	ieConcat16 = 0x08
	ieShift    = 0x24 // national language single shift
	ieLocking  = 0x25 // national language locking shift
)

// cutHeader takes the user data header off the front of b.
func cutHeader(b []byte) (header, []byte, error) {
	if len(b) == 0 || 1+int(b[0]) > len(b) {
		return header{}, nil, fmt.Errorf("the user data header is longer than the message")
	}
	ies, rest := b[1:1+b[0]], b[1+b[0]:]
	var h header
	for len(ies) >= 2 {
		id, n := ies[0], int(ies[1])
		if 2+n > len(ies) {
			return header{}, nil, fmt.Errorf("information element %02X of the user data header is longer than the header", id)
		}
		v := ies[2 : 2+n]
		switch {
		case id == ieConcat8 && n == 3:
			h.concat = concat(int(v[0]), 8, int(v[1]), int(v[2]))
		case id == ieConcat16 && n == 4:
			h.concat = concat(int(v[0])<<8|int(v[1]), 16, int(v[2]), int(v[3]))
		case id == ieShift && n == 1:
			h.shift = int(v[0])
		case id == ieLocking && n == 1:
			h.locking = int(v[0])
		}
		ies = ies[2+n:]
	}
	return h, rest, nil
}

// concat is nil for numbers that cannot be: such a part is a message of its
// own. 3GPP TS 23.040 §9.2.3.24.1
func concat(ref, bits, of, n int) *route.Concat {
	if of < 2 || n < 1 || n > of {
		return nil
	}
	return &route.Concat{Ref: ref, Bits: bits, Of: of, N: n}
}

// Alphabets that a data_coding may mean, beside route.GSM7, route.UCS2 and
// AlphabetLatin1.
const (
	alphabetASCII    = "ascii"
	alphabetCyrillic = "iso-8859-5"
	alphabetHebrew   = "iso-8859-8"
)

// alphabetOf names the alphabet of what came in; usual is that of data_coding
// 0. It fails for what is no text at all.
func alphabetOf(coding byte, usual string) (string, error) {
	switch coding {
	case codingDefault:
		if usual == AlphabetLatin1 {
			return AlphabetLatin1, nil
		}
		return route.GSM7, nil
	case codingASCII:
		return alphabetASCII, nil
	case codingLatin1:
		return AlphabetLatin1, nil
	case codingOctets1, codingOctets2:
		return "", fmt.Errorf("a binary message (data_coding %d)", coding)
	case codingISO5:
		return alphabetCyrillic, nil
	case codingISO8:
		return alphabetHebrew, nil
	case codingUCS2:
		return route.UCS2, nil
	}
	// The rest is read as a GSM data coding scheme. 3GPP TS 23.038 §4
	switch group := coding >> 4; {
	case coding < 0x10:
		return "", fmt.Errorf("data_coding %d is an alphabet this box does not know", coding)
	case group < 0x8 && coding&0x20 != 0:
		return "", fmt.Errorf("a compressed message (data_coding %d)", coding)
	case group < 0x8:
		switch coding >> 2 & 3 {
		case 1:
			return "", fmt.Errorf("a binary message (data_coding %d)", coding)
		case 2:
			return route.UCS2, nil
		}
	case group == 0xE:
		return route.UCS2, nil
	case group == 0xF && coding&4 != 0:
		return "", fmt.Errorf("a binary message (data_coding %d)", coding)
	}
	return route.GSM7, nil
}

// decodeText reads the octets of a message that came in. units are for those
// who join it with its siblings; nil where an alphabet has one octet for each
// character.
func decodeText(coding byte, usual string, h header, b []byte) (s string, units *route.Units, err error) {
	alphabet, err := alphabetOf(coding, usual)
	if err != nil {
		return "", nil, err
	}
	switch alphabet {
	case AlphabetLatin1:
		return fromLatin1(b), nil, nil
	case alphabetASCII:
		return fromASCII(b), nil, nil
	case alphabetCyrillic:
		return fromCharmap(charmap.ISO8859_5, b), nil, nil
	case alphabetHebrew:
		return fromCharmap(charmap.ISO8859_8, b), nil, nil
	case route.UCS2:
		return text.FromUTF16(b), &route.Units{Alphabet: alphabet, Octets: hex.EncodeToString(b)}, nil
	}
	return text.FromSeptets(b, h.shift, h.locking),
		&route.Units{Alphabet: alphabet, Shift: h.shift, Locking: h.locking, Octets: hex.EncodeToString(b)}, nil
}

// fromLatin1 reads Latin-1 as Windows-1252, which differs only where Latin-1
// has control characters: providers write € as 80 (field-notes §3.3).
func fromLatin1(b []byte) string { return fromCharmap(charmap.Windows1252, b) }

func fromASCII(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		if r[i] = rune(c); c >= 0x80 {
			r[i] = '\uFFFD'
		}
	}
	return string(r)
}

func fromCharmap(m *charmap.Charmap, b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(m.DecodeByte(c))
	}
	return s.String()
}

// toLatin1 writes s in ISO 8859-1; odd is the first character it has not.
func toLatin1(s string) (b []byte, odd rune, ok bool) {
	for _, r := range s {
		if r > 0xFF {
			return nil, r, false
		}
		b = append(b, byte(r))
	}
	return b, 0, true
}
