package text

import (
	"errors"
	"strings"
	"testing"
)

func TestSender(t *testing.T) {
	for said, name := range map[string]bool{
		"": false, "+31612345678": false, "0612345678": false, "8080": false, "123456789012345": false,
		"SHOP": true, "Bakkerij 1": true, "12345678901": false, "A2345678901": true,
	} {
		if got, err := ParseSender(said); err != nil || got != name {
			t.Errorf("%q: a name %v, %v", said, got, err)
		}
	}
	for said, why := range map[string]string{
		"Bakkerij Janse":   "has 14 characters; a phone shows at most 11",
		"Bäcker":           `contains 'ä'; use letters without accents`,
		"a@b":              `contains '@'`,
		"1234567890123456": "has 16 digits; E.164 allows 15",
		"+":                "neither a number nor a name",
		"12-34":            "neither a number nor a name",
		"A\x1b":            "use letters without accents",
	} {
		_, err := ParseSender(said)
		if e, ok := errors.AsType[*Error](err); !ok || e.Field != "from" || e.Code != CodeSender || !strings.Contains(e.Detail, why) {
			t.Errorf("%q: %v, want %q", said, err, why)
		}
	}
}
