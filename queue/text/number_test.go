package text

import (
	"errors"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for _, c := range []struct{ in, country, want, iso string }{
		{"06-12345678", "NL", "+31612345678", "NL"},
		{"070-123 45 67", "SE", "+46701234567", "SE"},
		{"0031 6 12345678", "SE", "+31612345678", "NL"},
		{"+46 (0)70-123 45 67", "NL", "+46701234567", "SE"},
		{"+31 06 12345678", "NL", "+31612345678", "NL"},
		{"612345678", "nl", "+31612345678", "NL"},
		{"31612345678", "NL", "+31612345678", "NL"},
		{"8080", "NL", "8080", "NL"},
	} {
		n, err := ParseNumber(c.in, c.country)
		if err != nil || n.String() != c.want || n.Country() != c.iso {
			t.Errorf("%q in %s is %q in %q, %v; want %s in %s", c.in, c.country, n, n.Country(), err, c.want, c.iso)
		}
	}
}

func TestParseNumberRefuses(t *testing.T) {
	for _, c := range []struct{ in, country, code string }{
		{"", "NL", CodeNumberEmpty},
		{"061234567", "NL", CodeNumberInvalid},
		{"hello", "NL", CodeNumberInvalid},
		{"0612345678", "", CodeNumberInvalid},
		{"0900-1234", "NL", CodeNumberPremium},
	} {
		n, err := ParseNumber(c.in, c.country)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != c.code || e.Field != "to" || !n.IsZero() {
			t.Errorf("%q in %s is %v, %v; want %s", c.in, c.country, n, err, c.code)
		}
	}
}
