package email

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// letter writes a mail (RFC 5322, RFC 2045 to 2047). Every line of it is ASCII
// and shorter than 998 octets, so that each server can carry it: bodies are
// quoted-printable, headers encoded words.
func (r *Route) letter(out *route.Outbound, to text.Address, at time.Time) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", r.from.String())
	header("To", (&mail.Address{Address: to.String()}).String())
	if r.replyTo != nil {
		header("Reply-To", r.replyTo.String())
	}
	header("Subject", words(out.Subject))
	header("Date", at.Format(time.RFC1123Z))
	header("Message-ID", r.messageID(out))
	header("Auto-Submitted", "auto-generated") // RFC 3834 §5: no answering machine answers
	if u := r.cfg.Unsubscribe; u != "" && out.Marketing {
		header("List-Unsubscribe", unsubscribe(u, out.ID)) // RFC 2369 §3.2
		if strings.HasPrefix(u, "https:") {
			header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click") // RFC 8058 §3.1
		}
	}
	header("MIME-Version", "1.0")
	if out.HTML == "" {
		part(&b, "text/plain", out.Text)
		return b.Bytes()
	}
	// RFC 2046 §5.1.4: the best form comes last. "=_" cannot stand in a
	// quoted-printable body (RFC 2045 §6.7), so it cannot end one early.
	boundary := "=_" + out.ID
	header("Content-Type", fmt.Sprintf("multipart/alternative; boundary=%q", boundary))
	b.WriteString("\r\n")
	for _, form := range [][2]string{{"text/plain", out.Text}, {"text/html", out.HTML}} {
		fmt.Fprintf(&b, "--%s\r\n", boundary)
		part(&b, form[0], form[1])
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

// part writes one form of the text. The line end before the next boundary is the
// boundary's (RFC 2046 §5.1.1).
func part(b *bytes.Buffer, kind, body string) {
	fmt.Fprintf(b, "Content-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", kind)
	w := quotedprintable.NewWriter(b)
	// Neither fails: a buffer takes everything.
	_, _ = w.Write([]byte(lineEnds(body)))
	_ = w.Close()
}

// lineEnds makes every line end a line feed, which quoted-printable writes as
// CR LF; a bare CR would be no line end and no character (RFC 2045 §6.7).
func lineEnds(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// words is a header's text in ASCII (RFC 2047), folded between its encoded words.
// Whatever would end the line is gone.
func words(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

// messageID names one attempt of one message (RFC 5322 §3.6.4). Two mails of one
// message, as the policy for a lost answer allows, are told by it; and one that a
// person asks for anew is not taken for a double by the reader's server.
func (r *Route) messageID(out *route.Outbound) string {
	_, domain, _ := strings.Cut(r.from.Address, "@")
	return fmt.Sprintf("<%s.%d@%s>", out.ID, out.Attempt, domain)
}

// unsubscribe names the address that ends advertising. In a mail to it the
// subject tells which message was answered: the shop looks up whose that was.
func unsubscribe(u, id string) string {
	if addr, ok := strings.CutPrefix(u, "mailto:"); ok && !strings.Contains(addr, "?") {
		u += "?subject=" + url.PathEscape("stop "+id)
	}
	return "<" + u + ">"
}
