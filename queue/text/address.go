package text

import (
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
)

// Codes of an Error about an e-mail address.
const (
	CodeAddressEmpty   = "address_empty"
	CodeAddressInvalid = "address_invalid"
	CodeAddressForeign = "address_not_ascii" // needs SMTPUTF8 (RFC 6531), which few servers carry to the end
)

// Address is an e-mail address in one spelling. It is valid once it exists:
// plain ASCII, a dot-atom at a domain, and so it can stand in an SMTP command
// or a header as it is. The zero value is no address. Addresses are comparable
// with ==.
type Address struct{ spec string }

// String is "anna@example.nl", or empty for the zero value.
func (a Address) String() string { return a.spec }

// IsZero says whether a is no address at all.
func (a Address) IsZero() bool { return a.spec == "" }

// Domain is what stands behind the @.
func (a Address) Domain() string {
	_, domain, _ := strings.Cut(a.spec, "@")
	return domain
}

// LogValue keeps addresses out of logs: the domain tells an operator enough.
func (a Address) LogValue() slog.Value { return slog.StringValue("…@" + a.Domain()) }

// IsAddress says whether s is meant as an e-mail address and not as a number.
func IsAddress(s string) bool { return strings.Contains(s, "@") }

const (
	maxAddress = 254 // octets: a path has 256 with its brackets (RFC 5321 §4.5.3.1.3)
	maxLocal   = 64  // RFC 5321 §4.5.3.1.1
	maxDomain  = 253 // RFC 1035 §2.3.4, without the dot of the root
	maxLabel   = 63
)

// ParseAddress reads an address as people write it: anna@example.nl, or
// "Anna Smit <anna@example.nl>", whose name is left out.
//
// Capitals are folded, before the @ too. A server may tell Anna@ from anna@
// (RFC 5321 §2.4), though none is known that does; to us they must be one
// person, or who opted out under one spelling is written to under the other.
//
// Its error is an *Error with Field "to".
func ParseAddress(s string) (Address, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Address{}, &Error{Field: "to", Code: CodeAddressEmpty, Detail: "the e-mail address is missing. Write one such as anna@example.nl"}
	}
	refuse := func(why string) (Address, error) {
		return Address{}, &Error{Field: "to", Code: CodeAddressInvalid, Detail: fmt.Sprintf("%q is no e-mail address: %s. Write one such as anna@example.nl", shortened(s), why)}
	}
	spec := s
	if strings.ContainsAny(s, "<>\"") { // with a name; RFC 5322 §3.4
		parsed, err := mail.ParseAddress(s)
		if err != nil {
			return refuse("it cannot be read")
		}
		spec = parsed.Address
	}
	local, domain, found := strings.Cut(spec, "@")
	switch {
	case !found || local == "" || domain == "":
		return refuse("it needs a name, an @ and a domain")
	case !ascii(spec):
		return Address{}, &Error{Field: "to", Code: CodeAddressForeign,
			Detail: fmt.Sprintf("%q has letters that not every mail server can carry. Write its domain as it is registered (xn--…), and ask for an address in plain letters where the name has others", shortened(s))}
	case len(spec) > maxAddress || len(local) > maxLocal:
		return refuse(fmt.Sprintf("it is too long; at most %d characters, %d before the @", maxAddress, maxLocal))
	case !dotAtom(local):
		return refuse("before the @ stand letters, digits and signs such as . _ - +, without blanks")
	case !hostName(domain):
		return refuse("behind the @ stands the name of a domain, with a dot in it")
	}
	return Address{strings.ToLower(spec)}, nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// dotAtom is the form of nearly every local part (RFC 5322 §3.2.3). The other
// one, a quoted string, may hold blanks and even line ends, and is refused.
func dotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if !letterOrDigit(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

// hostName is a domain of at least two labels (RFC 1035 §2.3.1; digits may lead,
// RFC 1123 §2.1). A bare name or an address in brackets reaches nobody's
// customer and is more likely a slip.
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > maxDomain {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > maxLabel || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, r := range l {
			if !letterOrDigit(r) && r != '-' {
				return false
			}
		}
	}
	return true
}

func letterOrDigit(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// shortened keeps a refusal readable, whatever was pasted.
func shortened(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
