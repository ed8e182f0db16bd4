package smpp

import (
	"errors"
	"fmt"
	"strings"

	"tillpost/queue/text"
)

// Types of number and numbering plans. SMPP 3.4 §5.2.5, §5.2.6
const (
	tonUnknown       = 0
	tonInternational = 1
	tonNational      = 2
	tonNetwork       = 3 // "network specific": short codes
	tonAlphanumeric  = 5

	npiUnknown = 0
	npiISDN    = 1 // E.163, E.164
)

// sender gives a sender its type by its look: +31612345678 and 31612345678
// are international, 0612345678 is national, up to six digits are a short
// code, anything with a letter is a name. What cannot be one the queue has
// refused before.
func sender(s string) (address, error) {
	isName, err := text.ParseSender(s)
	if e, ok := errors.AsType[*text.Error](err); ok {
		return address{}, errors.New(e.Detail)
	}
	digits := strings.TrimPrefix(s, "+")
	switch {
	case s == "":
		return address{ton: tonUnknown, npi: npiUnknown}, nil
	case isName:
		return address{tonAlphanumeric, npiUnknown, s}, nil
	case digits != s:
		return address{tonInternational, npiISDN, digits}, nil
	case len(digits) <= 6:
		return address{tonNetwork, npiUnknown, digits}, nil
	case digits[0] == '0':
		return address{tonNational, npiISDN, digits}, nil
	}
	return address{tonInternational, npiISDN, digits}, nil
}

// recipient is the address of a message: E.164 with plus, or the digits of a
// short code.
func recipient(s string) (address, error) {
	digits := strings.TrimPrefix(s, "+")
	if digits == "" || !allDigits(digits) || len(digits) > 20 {
		return address{}, fmt.Errorf("the recipient is not a number with plus and country code, nor a short code")
	}
	if digits == s {
		return address{tonNetwork, npiUnknown, digits}, nil
	}
	return address{tonInternational, npiISDN, digits}, nil
}

// String spells an address that came in as the queue spells numbers: with a
// plus where the SMSC says that it is international.
func (a address) String() string {
	if a.ton == tonInternational && allDigits(a.digits) && a.digits != "" {
		return "+" + a.digits
	}
	return a.digits
}

// subscriber spells the phone that a receipt comes from. Many SMSCs leave out
// there what kind of number it is; with country code it was when we sent it.
func (a address) subscriber() string {
	digits := strings.TrimPrefix(a.digits, "00")
	if a.ton == tonUnknown && len(digits) >= 10 && digits[0] != '0' && allDigits(digits) {
		return "+" + digits
	}
	return a.String()
}

func allDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// sameNumber says whether two spellings may be of one number: an SMSC adds or
// drops plus, country code and zeros, but not the end.
func sameNumber(a, b string) bool {
	a, b = strings.TrimPrefix(a, "+"), strings.TrimPrefix(b, "+")
	const telling = 7
	if len(a) < telling || len(b) < telling {
		return a == b
	}
	return a[len(a)-telling:] == b[len(b)-telling:]
}
