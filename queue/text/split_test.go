package text

import (
	"errors"
	"strings"
	"testing"
)

func TestSplitKeepsCharactersWhole(t *testing.T) {
	for _, c := range []struct {
		name, text string
		alphabet   string
		bits       int
		first      string // how the first part ends
	}{
		{"a family", strings.Repeat("я", 63) + family + strings.Repeat("я", 20), "ucs2", 8, "я"},
		{"a flag", strings.Repeat("я", 65) + flag + strings.Repeat("я", 20), "ucs2", 8, "я"},
		{"a letter and its accent", strings.Repeat("я", 66) + "x\u0304" + strings.Repeat("я", 20), "ucs2", 8, "я"},
		{"CR LF", strings.Repeat("a", 152) + "\r\n" + strings.Repeat("b", 20), "gsm7", 8, "a"},
		{"unless that costs a part", strings.Repeat("я", 64) + family + strings.Repeat("я", 62), "ucs2", 8, "👨\u200d"},
		{"a flag that may go whole into the first part", strings.Repeat("я", 63) + flag + strings.Repeat("я", 20), "ucs2", 8, flag},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, err := Split(c.text, c.alphabet, 0, 0, c.bits)
			if err != nil {
				t.Fatal(err)
			}
			if len(parts) != 2 || !strings.HasSuffix(parts[0].Text, c.first) || parts[0].Text+parts[1].Text != c.text {
				t.Errorf("%d parts, the first ends in %q, want %q", len(parts), parts[0].Text[len(parts[0].Text)-12:], c.first)
			}
		})
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text, alphabet string
		shift, locking, bits int
		field, code          string
	}{
		{"another alphabet", "a", "latin1", 0, 0, 8, "alphabet", CodeOption},
		{"another width", "a", "gsm7", 0, 0, 4, "ref_bits", CodeOption},
		{"a table for ucs2", "a", "ucs2", 1, 0, 8, "alphabet", CodeOption},
		{"an unknown table", "a", "gsm7", 5, 0, 8, "shift", CodeOption},
		{"what gsm7 does not have", "aя", "gsm7", 0, 0, 8, "text", CodeTextNotGSM7},
		{"an escape", "a\x1b", "gsm7", 0, 0, 8, "text", CodeTextNotGSM7},
		{"what is not UTF-8", "a\xc3", "ucs2", 0, 0, 8, "text", CodeTextUTF8},
		{"256 parts", strings.Repeat("a", 255*153+1), "gsm7", 0, 0, 8, "text", CodeTextTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, err := Split(c.text, c.alphabet, c.shift, c.locking, c.bits)
			e, ok := errors.AsType[*Error](err)
			if !ok || parts != nil || e.Field != c.field || e.Code != c.code {
				t.Errorf("%d parts, %v; want %s about %s", len(parts), err, c.code, c.field)
			}
		})
	}
	if parts, err := Split(strings.Repeat("a", 255*153), "gsm7", 0, 0, 0); err != nil || len(parts) != 255 {
		t.Errorf("%d parts, %v", len(parts), err)
	}
}
