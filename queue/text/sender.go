package text

import (
	"fmt"
	"strings"
)

// CodeSender is the code of an Error about who a message is from.
const CodeSender = "sender_invalid"

// ParseSender says of what kind a message's sender is: a name as on a sign, or
// digits, with a plus or without. An empty one is the network's choice, and no
// name. Its error is an *Error with the field "from".
//
// Many fewer things can be a sender than a number that is sent to: nothing is
// added to it, and nobody but the reader's phone looks at it.
func ParseSender(s string) (isName bool, err error) {
	digits := strings.TrimPrefix(s, "+")
	switch {
	case s == "":
		return false, nil
	case digits == "" || strings.ContainsFunc(digits, func(r rune) bool { return !isDigit(r) }):
		return true, checkName(s)
	case len(digits) > 15:
		return false, badSender("the sender %q has %d digits; E.164 allows 15", s, len(digits))
	}
	return false, nil
}

// checkName: 3GPP TS 23.040 §9.1.2.5 leaves room for 11 septets. Letters
// outside ASCII would be transcoded by nobody.
func checkName(s string) error {
	letter, long := false, 0
	for _, r := range s {
		long++
		if isLetter(r) {
			letter = true
		} else if r < ' ' || r > '~' || strings.ContainsRune("@`", r) {
			return badSender("the sender %q contains %q; use letters without accents, digits and blanks", s, r)
		}
	}
	switch {
	case long > 11:
		return badSender("the sender %q has %d characters; a phone shows at most 11", s, long)
	case !letter:
		return badSender("the sender %q is neither a number nor a name; a name has at least one letter", s)
	}
	return nil
}

func badSender(format string, args ...any) *Error {
	return &Error{Field: "from", Code: CodeSender, Detail: fmt.Sprintf(format, args...)}
}
