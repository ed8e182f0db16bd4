package text

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CodeAmountInvalid is the code of an Error about an amount of money.
const CodeAmountInvalid = "amount_invalid"

// Amount is money in millionths of its currency: tariffs have three or four
// decimals, and money is never a float.
type Amount int64

const (
	micro = 1_000_000
	// largest keeps the largest amount times the largest campaign inside int64.
	largest = 1000 * micro
)

// ParseAmount reads "0.045" or "0,045", at most six decimals, at most 1000.
func ParseAmount(s string) (Amount, error) {
	bad := func(why string) (Amount, error) {
		return 0, &Error{Field: "per_part", Code: CodeAmountInvalid, Detail: fmt.Sprintf("“%s” is not a price: %s", s, why)}
	}
	whole, decimals, point := strings.Cut(strings.ReplaceAll(s, ",", "."), ".")
	if whole == "" || point && decimals == "" || !isDigits(whole) || !isDigits(decimals) {
		return bad("write it like 0.045")
	}
	if len(decimals) > 6 {
		return bad("six decimals are the most")
	}
	n, err := strconv.ParseInt(whole+decimals+strings.Repeat("0", 6-len(decimals)), 10, 64)
	if err != nil || n > largest {
		return bad("a part costs 1000 at the most")
	}
	return Amount(n), nil
}

func isDigits(s string) bool {
	return all(s, isDigit)
}

// String writes the amount with a point and two to six decimals: "0.045",
// "12.00".
func (a Amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	s := fmt.Sprintf("%s%d.%06d", sign, a/micro, a%micro)
	for range 4 {
		s = strings.TrimSuffix(s, "0")
	}
	return s
}

// MarshalText writes the amount as String does.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote: sums too, which may be larger
// than any tariff.
func (a *Amount) UnmarshalText(b []byte) error {
	s, minus := strings.CutPrefix(string(b), "-")
	whole, decimals, _ := strings.Cut(s, ".")
	if whole == "" || !isDigits(whole) || !isDigits(decimals) || len(decimals) > 6 {
		return fmt.Errorf("text: %q is not an amount", b)
	}
	n, err := strconv.ParseInt(whole+decimals+strings.Repeat("0", 6-len(decimals)), 10, 64)
	if err != nil {
		return fmt.Errorf("text: %q is not an amount: %w", b, err)
	}
	if *a = Amount(n); minus {
		*a = -*a
	}
	return nil
}

// Price is an amount in a currency. The zero value is "not known".
type Price struct {
	Amount   Amount `json:"amount"`
	Currency string `json:"currency"` // ISO 4217
}

// Known says whether there is a price.
func (p Price) Known() bool { return p.Currency != "" }

// String is "0.135 EUR", or empty if the price is not known.
func (p Price) String() string {
	if !p.Known() {
		return ""
	}
	return p.Amount.String() + " " + p.Currency
}

// Tariff is what one part costs to the numbers that begin with a prefix.
type Tariff struct {
	Prefix   string `json:"prefix"` // "+31"; the digits of a short code; empty: every number
	PerPart  Amount `json:"per_part"`
	Currency string `json:"currency"`
	Pool     string `json:"pool,omitempty"` // empty: whichever pool carries it
}

// Tariffs are what a shop pays. Use NewTariffs.
type Tariffs struct {
	list []Tariff // longest prefix first, those of a pool before those of all
}

// NewTariffs checks a list of tariffs and orders it. Errors are *Error and
// name the tariff.
func NewTariffs(list []Tariff) (Tariffs, error) {
	t := Tariffs{list: slices.Clone(list)}
	for i, f := range t.list {
		bad := func(field, format string, args ...any) error {
			return &Error{Field: fmt.Sprintf("tariff[%d].%s", i, field), Code: CodeAmountInvalid, Detail: fmt.Sprintf(format, args...)}
		}
		switch {
		case !isDigits(strings.TrimPrefix(f.Prefix, "+")):
			return Tariffs{}, bad("prefix", "“%s” is not the beginning of a number: write it like +31", f.Prefix)
		case len(f.Currency) != 3 || !all(f.Currency, func(r rune) bool { return r >= 'A' && r <= 'Z' }):
			return Tariffs{}, bad("currency", "“%s” is not a currency: write it like EUR", f.Currency)
		case f.PerPart < 0 || f.PerPart > largest:
			return Tariffs{}, bad("per_part", "%s is out of range: a part costs from 0 to 1000", f.PerPart)
		}
		for _, g := range t.list[:i] {
			if f.Prefix == g.Prefix && f.Pool == g.Pool {
				return Tariffs{}, bad("prefix", "there are two tariffs for “%s” and pool “%s”: keep one", f.Prefix, f.Pool)
			}
		}
	}
	slices.SortStableFunc(t.list, func(a, b Tariff) int {
		return cmp.Or(cmp.Compare(len(b.Prefix), len(a.Prefix)), cmp.Compare(b.Pool, a.Pool))
	})
	return t, nil
}

// Price is what parts to that number cost over that pool: the tariff with the
// longest prefix, and of two the one that names the pool. Not known if no
// tariff fits.
func (t Tariffs) Price(to Number, pool string, parts int) Price {
	return t.price(to.String(), pool, parts)
}

// PriceIn is the price to a number of that country (ISO 3166) of which nothing
// else is known: by a tariff that holds for all of them. Not known for a
// country whose plan we do not have.
func (t Tariffs) PriceIn(country, pool string, parts int) Price {
	c, ok := countries()[strings.ToUpper(country)]
	if !ok {
		return Price{}
	}
	return t.price("+"+c.code, pool, parts)
}

func (t Tariffs) price(n, pool string, parts int) Price {
	for _, f := range t.list {
		if strings.HasPrefix(n, f.Prefix) && (f.Pool == "" || f.Pool == pool) {
			return Price{Amount: f.PerPart * Amount(parts), Currency: f.Currency}
		}
	}
	return Price{}
}

// Total adds up prices, each currency for itself.
type Total []Price

// Add adds p; a price that is not known changes nothing.
func (t *Total) Add(p Price) {
	if !p.Known() {
		return
	}
	i, found := slices.BinarySearchFunc(*t, p.Currency, func(q Price, c string) int { return cmp.Compare(q.Currency, c) })
	if found {
		(*t)[i].Amount += p.Amount
		return
	}
	*t = slices.Insert(*t, i, p)
}
