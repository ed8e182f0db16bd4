package email

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"tillpost/queue/route"
)

// stage of a conversation: where an answer was due.
type stage string

const (
	atConnect  stage = "connecting"
	atTLS      stage = "STARTTLS"
	atAuth     stage = "AUTH"
	atNoop     stage = "NOOP"
	atMail     stage = "MAIL"
	atRcpt     stage = "RCPT"
	atData     stage = "DATA"
	atContent  stage = "the mail"      // on its way, the final dot not written
	atDot      stage = "the final dot" // written
	atNoAuth   stage = "the login"     // none is offered
	atTooLarge stage = "SIZE"
)

// trouble is what went wrong on a wire, and where.
type trouble struct {
	at   stage
	err  error
	hide string // the reader's name before the @, which is nobody else's business
}

func (t *trouble) Error() string { return fmt.Sprintf("%s: %s", t.at, t.said()) }
func (t *trouble) Unwrap() error { return t.err }

func (t *trouble) said() string {
	s := quiet(t.err.Error())
	if t.hide != "" {
		s = strings.ReplaceAll(s, t.hide, "…")
	}
	return s
}

// code is the server's answer; 0: there was none.
func (t *trouble) code() int {
	if e, ok := errors.AsType[*textproto.Error](t.err); ok {
		return e.Code
	}
	return 0
}

// verdict is what a trouble means for the message, by RFC 5321 §4.2.1: 4yz is a
// refusal for now, 5yz one for good. RCPT, DATA and the dot are about this
// message; what comes before them is about us, and would meet every message.
func (t *trouble) verdict(name string) *route.Error {
	e := &route.Error{Fate: route.NotOffered, Scope: route.ScopeRoute, Text: name + ": " + t.Error(), Err: t.err}
	code := t.code()
	if code > 0 {
		e.Code = "SMTP " + strconv.Itoa(code)
	}
	switch {
	case t.at == atDot && code == 0:
		e.Fate, e.Scope = route.Unknown, route.ScopeMessage
		e.Text = name + ": the mail was handed over and the server's answer was lost: " + t.said()
	case t.at == atTooLarge:
		e.Fate, e.Scope = route.Reject, route.ScopeMessage
	case t.at != atRcpt && t.at != atData && t.at != atDot:
	case code == 421 && t.at != atDot: // RFC 5321 §3.8: it is closing, whatever it was asked
	case isAuth(code): // it wants a login for this reader: a setting, which a person may yet correct
		e.Fate, e.Scope = route.Retry, route.ScopeMessage
	case code >= 500:
		e.Fate, e.Scope = route.Reject, route.ScopeMessage
	case code >= 400:
		e.Fate, e.Scope = route.Retry, route.ScopeMessage
	}
	return e
}

// isAuth: a login is wanted, or was not right (RFC 4954 §6; 535 and 534 are also
// how servers end one that was right yesterday).
func isAuth(code int) bool {
	switch code {
	case 530, 534, 535, 538:
		return true
	}
	return false
}

// health is what a trouble means for the route. Empty: nothing is wrong with it.
func (t *trouble) health() (state route.State, code string) {
	switch c := t.code(); {
	case isUntrusted(t.err), t.at == atTLS && (c == 0 || c >= 500):
		return route.Hand, "mail_tls"
	case t.at == atTooLarge, c > 0 && c != 421 && (t.at == atRcpt || t.at == atData || t.at == atDot):
		return "", "" // it is about the message
	case t.at == atNoAuth, isAuth(c), t.at == atAuth && c >= 500:
		return route.Hand, "mail_login"
	case t.at == atMail && c >= 500:
		return route.Hand, "mail_sender"
	}
	return route.Waiting, "mail_offline"
}

// isUntrusted: the certificate is not right, whichever way TLS was begun.
func isUntrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok { // no TLS there at all
		return true
	}
	return errors.Is(err, smtp.ErrUnencrypted)
}

var anyAddress = regexp.MustCompile(`<?[^\s<>"]+@[^\s<>"]+>?`)

// quiet takes addresses out of what a server said: it goes into the story of a
// message and the log, which hold nobody's address. It keeps it short, too.
func quiet(s string) string {
	s = anyAddress.ReplaceAllString(s, "<…>")
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)), " ")
	const most = 300
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}
