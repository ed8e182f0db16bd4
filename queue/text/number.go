package text

import (
	"fmt"
	"log/slog"
	"strings"
	"unicode"
)

// Codes of an Error about a number.
const (
	CodeNumberEmpty   = "number_empty"
	CodeNumberInvalid = "number_invalid"
	CodeNumberPremium = "number_premium" // costs extra, or is a service that nobody texts
	// Calls for help: never texted, whatever the shop allows.
	CodeNumberEmergency = "number_emergency"
)

// Kind is what a number is for, as far as its digits tell.
type Kind string

const (
	KindMobile   Kind = "mobile"   // also machines (NL 097)
	KindLandline Kind = "landline" // most networks refuse an SMS to it
	KindAny      Kind = "any"      // mobile or landline, the country does not tell
	KindFree     Kind = "free"     // free of charge to the caller
	KindShared   Kind = "shared"   // shared cost
	KindPremium  Kind = "premium"  // costs the caller extra
	KindOther    Kind = "other"    // company, personal, pager, over the Internet
	KindShort    Kind = "short"    // a short code of the home network
	KindUnknown  Kind = ""         // a range or a country whose plan we do not have
)

// Number is a phone number in one spelling: E.164, or the digits of a short
// code. It is valid once it exists; the zero value is no number. Numbers are
// comparable with ==.
type Number struct {
	digits  string // without the plus
	country string
	kind    Kind
}

// String is "+31612345678", or "8080" for a short code, or empty for the zero
// value.
func (n Number) String() string {
	if n.digits == "" || n.kind == KindShort {
		return n.digits
	}
	return "+" + n.digits
}

// IsZero says whether n is no number at all.
func (n Number) IsZero() bool { return n.digits == "" }

// Short says whether n is a short code.
func (n Number) Short() bool { return n.kind == KindShort }

// Country is the ISO 3166 code of the country. A short code is of the country
// it was parsed for, which may be empty.
func (n Number) Country() string { return n.country }

// Kind is what the number is for.
func (n Number) Kind() Kind { return n.kind }

// Premium says whether the number costs extra. ParseNumber refuses those;
// ReadNumber does not.
func (n Number) Premium() bool {
	return n.kind == KindPremium || n.Short() && isPremiumShort(n.digits)
}

// Emergency says whether the number calls for help, anywhere or in the country
// it was parsed for. ParseNumber refuses those; ReadNumber does not.
func (n Number) Emergency() bool {
	return n.Short() && (emergency()[callFor{"", n.digits}] || emergency()[callFor{n.country, n.digits}])
}

// MarshalText writes the number as String does.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// LogValue keeps numbers out of logs: the last three digits tell an operator
// enough.
func (n Number) LogValue() slog.Value {
	return slog.StringValue("…" + n.digits[max(0, len(n.digits)-3):])
}

// ParseNumber reads a number as people write it in that country (ISO 3166,
// any case; empty: international spelling only): 06-12345678, 0031 6 12345678,
// +46 (0)70 123 45 67, 612345678 as a spreadsheet leaves it, 31612345678.
// Three to six digits without a leading zero are a short code and stay what
// they are; whether one may be texted is for the shop to say. Premium numbers,
// and those that call for help, are refused.
//
// Errors are *Error about the field "to": number_empty, number_invalid,
// number_premium, number_emergency.
func ParseNumber(s, country string) (Number, error) {
	n, err := ReadNumber(s, country)
	if err != nil {
		return Number{}, err
	}
	if n.Emergency() {
		return Number{}, &Error{Field: "to", Code: CodeNumberEmergency, Detail: fmt.Sprintf(
			"%s calls for help, and is never texted from here: use the mobile number of a person", n)}
	}
	if n.Premium() {
		return Number{}, &Error{Field: "to", Code: CodeNumberPremium, Detail: fmt.Sprintf(
			"%s is a premium number, a text to it costs extra: use the mobile number of a person", n)}
	}
	return n, nil
}

// ReadNumber is ParseNumber for the originator of a message that came in:
// premium numbers are numbers too, and so is 112, which sends warnings.
func ReadNumber(s, country string) (Number, error) {
	country = strings.ToUpper(country)
	digits, plus, err := digitsOf(s)
	if err != nil {
		return Number{}, err
	}
	// 00 is the international prefix in every country of the table.
	if !plus && strings.HasPrefix(digits, "00") {
		digits, plus = digits[2:], true
	}
	if plus {
		return international(s, digits)
	}
	if len(digits) >= 3 && len(digits) <= 6 && digits[0] != '0' {
		return Number{digits: digits, country: country, kind: KindShort}, nil
	}
	home, ok := countries()[country]
	if !ok {
		return Number{}, invalid(s, "it has no country code: write it as +31612345678")
	}
	return home.national(s, digits)
}

// digitsOf takes the digits out of a spelling.
func digitsOf(s string) (digits string, plus bool, err error) {
	spelled := strings.TrimFunc(s, isSeparator)
	if len(spelled) > 4 && strings.EqualFold(spelled[:4], "tel:") {
		spelled = spelled[4:]
	}
	if spelled == "" {
		return "", false, &Error{Field: "to", Code: CodeNumberEmpty, Detail: "the number is missing: write a mobile number"}
	}
	// The zero of +46 (0)70… is for those who dial inside the country.
	if strings.HasPrefix(spelled, "+") || strings.HasPrefix(spelled, "00") {
		spelled = strings.Replace(spelled, "(0)", "", 1)
	}
	var b strings.Builder
	for _, r := range spelled {
		switch {
		case isDigit(r):
			b.WriteRune(r)
		case r == '+' && b.Len() == 0 && !plus:
			plus = true
		case !isSeparator(r):
			return "", false, invalid(s, fmt.Sprintf("“%c” does not belong in it", r))
		}
	}
	if b.Len() == 0 {
		return "", false, invalid(s, "it has no digits")
	}
	return b.String(), plus, nil
}

// isSeparator: what people and address books put between digits.
func isSeparator(r rune) bool {
	return strings.ContainsRune("()/.[]", r) || unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf) || r == '\u2212' // the minus sign
}

func invalid(s, why string) *Error {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return &Error{Field: "to", Code: CodeNumberInvalid, Detail: fmt.Sprintf("%q is not a phone number: %s", s, why)}
}

// international reads digits that begin with a country code.
func international(s, digits string) (Number, error) {
	code, iso := callingCode(digits)
	if iso == "" {
		return Number{}, invalid(s, "no country has that code, check the digits behind the plus")
	}
	c, ok := planOf(code)
	if !ok {
		// E.164 §6.2.1: at most 15 digits; no plan has subscriber numbers
		// shorter than 4.
		if n := len(digits); n > 15 || n < len(code)+4 {
			return Number{}, invalid(s, fmt.Sprintf("an international number has up to 15 digits and this one has %d", n))
		}
		return Number{digits: digits, country: iso}, nil
	}
	nsn := digits[len(c.code):]
	r, why := c.find(nsn)
	if why != "" || r.prefix == "" {
		// +31 06 12345678: the trunk prefix was left in.
		for _, trunk := range c.trunk {
			rest, cut := strings.CutPrefix(nsn, trunk)
			if known, w := c.find(rest); cut && w == "" && known.prefix != "" {
				return c.number(rest, known), nil
			}
		}
	}
	if why != "" {
		return Number{}, invalid(s, why)
	}
	return c.number(nsn, r), nil
}

// national reads digits as they are dialled inside the country.
func (c *country) national(s, digits string) (Number, error) {
	why := ""
	for _, trunk := range c.trunk {
		nsn, cut := strings.CutPrefix(digits, trunk)
		if !cut {
			continue
		}
		r, w := c.find(nsn)
		if w == "" {
			return c.number(nsn, r), nil
		}
		why = w
	}
	// Without the trunk prefix: the country has none, or a spreadsheet took the
	// leading zero of a mobile number; premium numbers have none in Ireland.
	r, w := c.find(digits)
	if w == "" && (len(c.trunk) == 0 || r.kind == KindMobile || r.kind == KindPremium) {
		return c.number(digits, r), nil
	}
	if why == "" {
		why = w
	}
	// With the own country code but without the plus.
	if nsn, cut := strings.CutPrefix(digits, c.code); cut {
		if r, w := c.find(nsn); w == "" && r.prefix != "" {
			return c.number(nsn, r), nil
		}
	}
	if why == "" {
		why = fmt.Sprintf("in %s it begins with %s, from elsewhere with + and the country code", c.name, c.trunk[0])
	}
	return Number{}, invalid(s, why)
}

func (c *country) number(nsn string, r numberRange) Number {
	digits := c.code + nsn
	_, iso := callingCode(digits) // Jersey shares the code of Great Britain
	return Number{digits: digits, country: iso, kind: r.kind}
}

// isPremiumShort: 118 and what follows it are directory enquiries in most of
// Europe, and an emergency number in Italy; nobody texts either.
func isPremiumShort(digits string) bool { return strings.HasPrefix(digits, "118") }
