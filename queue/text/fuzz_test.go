package text

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// The seeds below are the corpus; what a run finds goes to testdata/fuzz and
// becomes a case of a test.

func FuzzCompose(f *testing.F) {
	for i, s := range []string{
		"", "Uw fiets is klaar. € 84,50", "‘Ja’ – “nee”…", "geïnspecteerd", "ça va", "1½ uur", "klaar " + family + flag,
		"a\r\nb\tc\x1bd", "cafe\u0301", "e\x1b\u0301", "abc\xff", "Привет 😀", "x\u0304\u0305\u0306", "\u200d\u200d", "1️⃣ ™️",
		strings.Repeat("a", 160), strings.Repeat("я", 66) + "😀", strings.Repeat("€", 81), strings.Repeat(family, 20),
	} {
		f.Add(s, uint16(i*37))
	}
	encodings := []Encoding{Smart, GSM7, UCS2, ASCII}
	locking := []int{0, Turkish, Portuguese}
	f.Fuzz(func(t *testing.T, s string, bits uint16) {
		checkCompose(t, s, Options{
			Encoding: encodings[bits&3],
			RefBits:  8 << (bits >> 2 & 1),
			Shift:    int(bits >> 3 & 3),
			Locking:  locking[bits>>5%3],
			Cedilla:  bits&0x80 != 0,
			Lang:     []string{"", "de"}[bits>>8&1],
			MaxParts: int(bits >> 9),
		})
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x1b\x65hello\x1b"), 0, 0, 1)
	f.Add([]byte("\xd8\x3d\xde\x00\xd8"), 6, 13, 0)
	f.Add([]byte{0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37}, 3, 1, 3)
	f.Fuzz(func(t *testing.T, b []byte, shift, locking, fill int) {
		s := FromSeptets(b, shift, locking)
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > len(b) {
			t.Errorf("%X reads %q", b, s)
		}
		// What a reader sees can be written again, unless it is a code that
		// has no character of its own.
		if again, err := Septets(s, 0, 0); err == nil && shift == 0 && locking == 0 && FromSeptets(again, 0, 0) != s {
			t.Errorf("%q is written as %X", s, again)
		}
		if s := FromUTF16(b); !utf8.ValidString(s) || utf8.RuneCountInString(s) > (len(b)+1)/2 {
			t.Errorf("%X reads %q", b, s)
		}
		fill = int(uint(fill) % 7)
		n := max(0, (len(b)*8-fill)/7)
		septets := Unpack(b, fill, n)
		if len(septets) != n {
			t.Errorf("%d of %d septets", len(septets), n)
		}
		if again := Unpack(Pack(septets, fill), fill, n); !bytes.Equal(again, septets) {
			t.Errorf("%X behind %d bits is read again as %X", septets, fill, again)
		}
	})
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"06-12345678", "+46 (0)70-123 45 67", "0031612345678", "8080", "tel:+1", "+", "00", "(0)(0)(0)", "0900-1234", "１２３", "+31 06"} {
		f.Add(s, "NL")
	}
	f.Fuzz(func(t *testing.T, s, country string) {
		n, err := ParseNumber(s, country)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Field != "to" || e.Code == "" || e.Detail == "" || !n.IsZero() {
				t.Fatalf("%q: %v, %#v", s, n, err)
			}
			return
		}
		digits := strings.TrimPrefix(n.String(), "+")
		if !isDigits(digits) || len(digits) < 3 || len(digits) > 15 || n.Premium() || n.Short() == strings.HasPrefix(n.String(), "+") {
			t.Errorf("%q became %q", s, n)
		}
		if again, err := ParseNumber(n.String(), country); err != nil || again != n {
			t.Errorf("%q became %q, which reads %q, %v", s, n, again, err)
		}
	})
}
