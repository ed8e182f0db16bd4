package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestParseAmount(t *testing.T) {
	for _, c := range []struct {
		in    string
		micro int64
		out   string
	}{
		{"0", 0, "0.00"}, {"0.045", 45_000, "0.045"}, {"0,07", 70_000, "0.07"}, {"12", 12_000_000, "12.00"},
		{"0.000001", 1, "0.000001"}, {"1000", 1_000_000_000, "1000.00"}, {"0.10", 100_000, "0.10"},
	} {
		a, err := ParseAmount(c.in)
		if err != nil || int64(a) != c.micro || a.String() != c.out {
			t.Errorf("%q is %d, %q, %v; want %d, %q", c.in, a, a, err, c.micro, c.out)
		}
	}
	for _, in := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "1000.000001", "99999999999999999999", "1.2.3", "1,2,3", "€ 1", "0x10", "１"} {
		a, err := ParseAmount(in)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeAmountInvalid {
			t.Errorf("%q is %v, %v; want a refusal", in, a, err)
		}
	}
	if s := Amount(-45_000).String(); s != "-0.045" {
		t.Errorf("negative: %s", s)
	}
}

func mustNumber(t *testing.T, s string) Number {
	t.Helper()
	n, err := ParseNumber(s, "NL")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTariffs(t *testing.T) {
	tariffs, err := NewTariffs([]Tariff{
		{Prefix: "+31", PerPart: 45_000, Currency: "EUR"},
		{Prefix: "+31", PerPart: 20_000, Currency: "EUR", Pool: "operator"},
		{Prefix: "+316", PerPart: 40_000, Currency: "EUR", Pool: "sim"},
		{Prefix: "+", PerPart: 123_456, Currency: "SEK"},
		{Prefix: "8080", PerPart: 0, Currency: "EUR"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to, pool string
		parts    int
		want     string
	}{
		{"+31701234567", "sms", 3, "0.135 EUR"},
		{"+31701234567", "operator", 3, "0.06 EUR"}, // the pool's own before that of all
		{"+31612345678", "sim", 1, "0.04 EUR"},      // the longer prefix
		{"+31612345678", "operator", 1, "0.02 EUR"}, // the longer one is not this pool's
		{"+46701234567", "sms", 2, "0.246912 SEK"},
		{"8080", "sms", 1, "0.00 EUR"}, // free is a price
		{"1234", "sms", 1, ""},
	} {
		if p := tariffs.Price(mustNumber(t, c.to), c.pool, c.parts); p.String() != c.want {
			t.Errorf("%d parts to %s over %s: %q, want %q", c.parts, c.to, c.pool, p, c.want)
		}
	}
	if p := (Tariffs{}).Price(mustNumber(t, "+31612345678"), "", 1); p.Known() {
		t.Errorf("without tariffs: %v", p)
	}
}

func TestTariffsRefused(t *testing.T) {
	ok := Tariff{Prefix: "+31", PerPart: 1, Currency: "EUR"}
	for field, bad := range map[string]Tariff{
		"tariff[1].prefix":   {Prefix: "NL", PerPart: 1, Currency: "EUR"},
		"tariff[1].currency": {Prefix: "+32", PerPart: 1, Currency: "euro"},
		"tariff[1].per_part": {Prefix: "+32", PerPart: -1, Currency: "EUR"},
	} {
		_, err := NewTariffs([]Tariff{ok, bad})
		if e, is := errors.AsType[*Error](err); !is || e.Field != field {
			t.Errorf("%+v: %v, want a refusal of %s", bad, err, field)
		}
	}
	if _, err := NewTariffs([]Tariff{ok, ok}); err == nil {
		t.Error("the same prefix twice was taken")
	}
}

func TestPriceAsJSON(t *testing.T) {
	b, err := json.Marshal(Price{Amount: 135_000, Currency: "EUR"})
	if err != nil || string(b) != `{"amount":"0.135","currency":"EUR"}` {
		t.Fatalf("%s, %v", b, err)
	}
	var p Price
	if err := json.Unmarshal(b, &p); err != nil || p != (Price{135_000, "EUR"}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// A sum is larger than any tariff, and a record must be read again whatever it
// holds.
func TestAmountsSurviveJSON(t *testing.T) {
	for _, a := range []Amount{0, 1, 45_000, largest, 6 * largest, math.MaxInt64, -1, -135_000} {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var got Amount
		if err := json.Unmarshal(b, &got); err != nil || got != a {
			t.Errorf("%d was written %s and reads %d, %v", a, b, got, err)
		}
	}
	for _, s := range []string{"", "-", ".5", "1.2345678", "1,5", "a", "99999999999999999999", "--1", "1.-5"} {
		var got Amount
		if err := got.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q was read as %d", s, got)
		}
	}
}

// A text for nobody yet is priced for the shop's own country.
func TestPriceInACountry(t *testing.T) {
	tariffs, err := NewTariffs([]Tariff{
		{Prefix: "+31", PerPart: 45_000, Currency: "EUR"}, {Prefix: "+316", PerPart: 99_000, Currency: "EUR"},
		{Prefix: "+4", PerPart: 70_000, Currency: "EUR"}, {Prefix: "+31", PerPart: 50_000, Currency: "EUR", Pool: "operator"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ country, pool, want string }{
		{"NL", "sms", "0.09 EUR"}, {"nl", "operator", "0.10 EUR"}, {"SE", "sms", "0.14 EUR"}, {"FR", "sms", ""}, {"", "sms", ""}, {"XX", "sms", ""},
	} {
		if got := tariffs.PriceIn(c.country, c.pool, 2).String(); got != c.want {
			t.Errorf("%s over %s: %q, want %q", c.country, c.pool, got, c.want)
		}
	}
}

// TestSelection: a template over a register, as the writing page shows it.
func TestSelection(t *testing.T) {
	tariffs, err := NewTariffs([]Tariff{{Prefix: "+31", PerPart: 45_000, Currency: "EUR"}, {Prefix: "+46", PerPart: 500_000, Currency: "SEK"}})
	if err != nil {
		t.Fatal(err)
	}
	var s Selection
	for _, c := range []struct{ key, to, text string }{
		{"a", "+31612345671", "Beste Jo, uw fiets is klaar."},
		{"b", "+31612345672", "Beste mevrouw " + strings.Repeat("Van der Lengte ", 12) + ", uw fiets is klaar."},
		{"c", "+46701234567", "Beste Łukasz, uw fiets is klaar."},
		{"d", "+32470123456", "Beste Bo, uw fiets is klaar."},
		{"e", "0900-1234", "Beste Ed"},
		{"f", "+31612345676", ""},
	} {
		to, err := ParseNumber(c.to, "NL")
		if err != nil {
			s.Refuse(c.key, err)
			continue
		}
		p, err := Compose(c.text, Options{})
		if err != nil {
			s.Refuse(c.key, err)
			continue
		}
		s.Add(c.key, p, tariffs.Price(to, "sms", p.Parts()))
	}
	if s.Count != 4 || s.Parts != 5 || s.ByParts[1] != 3 || s.ByParts[2] != 1 || s.UCS2 != 1 {
		t.Errorf("counts: %+v", s)
	}
	if s.Shortest.Key != "a" && s.Shortest.Key != "d" || s.Longest.Key != "b" {
		t.Errorf("shortest %s, longest %s", s.Shortest.Key, s.Longest.Key)
	}
	if fmt.Sprint(s.Total) != "[0.135 EUR 0.50 SEK]" || s.Unpriced != 1 {
		t.Errorf("total %v, unpriced %d", s.Total, s.Unpriced)
	}
	if s.Refused != 2 || s.Refusals[0].Code != CodeNumberPremium || s.Refusals[1].Code != CodeTextEmpty {
		t.Errorf("refused %d: %+v", s.Refused, s.Refusals)
	}
}

func TestSelectionShowsTheFirstRefusals(t *testing.T) {
	var s Selection
	for i := range 100 {
		s.Refuse(fmt.Sprint(i), errors.New("no number"))
	}
	if s.Refused != 100 || len(s.Refusals) != mostRefusals || s.Refusals[19].Key != "19" || s.Refusals[0].Detail != "no number" {
		t.Errorf("%d refused, shown %+v", s.Refused, s.Refusals)
	}
}
