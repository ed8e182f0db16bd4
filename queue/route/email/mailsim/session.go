package mailsim

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// patience of the server with its client (RFC 5321 §4.5.3.2.7).
const patience = 5 * time.Minute

// session is one conversation.
type session struct {
	s    *Server
	conn net.Conn
	in   *bufio.Reader

	secure  bool
	greeted bool
	user    string
	from    string
	mail    bool // MAIL was taken
	to      []string
}

// errOver ends a conversation.
var errOver = errors.New("mailsim: the conversation is over")

func (s *Server) converse(c net.Conn) {
	se := &session{s: s, conn: c}
	if s.cfg.Implicit {
		se.conn, se.secure = tls.Server(c, s.cfg.TLS), true
	}
	se.in = bufio.NewReader(se.conn)
	if se.answer(Connect, "220 mailsim.example ESMTP ready") != nil {
		return
	}
	for {
		line, err := se.line()
		if err != nil || se.obey(line) != nil {
			return
		}
	}
}

// line reads one command. RFC 5321 §2.3.8: CR LF ends it, and nothing else.
func (se *session) line() (string, error) {
	if err := se.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	line, err := se.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	bare, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(bare, "\r\n\x00") || len(line) > 1000 {
		return "", errors.Join(errOver, se.say("500 5.5.2 that is no line of SMTP"))
	}
	return bare, nil
}

func (se *session) obey(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); {
	case verb == "EHLO" && rest != "":
		se.greeted, se.mail, se.to = true, false, nil
		return se.answer(Ehlo, se.offers()...)
	case verb == "HELO" && rest != "":
		se.greeted, se.mail, se.to = true, false, nil
		return se.answer(Ehlo, "250 mailsim.example")
	case verb == "QUIT":
		return errors.Join(se.say("221 2.0.0 bye"), errOver)
	case verb == "NOOP":
		return se.answer(Noop, "250 2.0.0 ok")
	case verb == "RSET":
		se.mail, se.to = false, nil
		return se.answer(Reset, "250 2.0.0 forgotten")
	case !se.greeted:
		return se.say("503 5.5.1 say EHLO first")
	case verb == "STARTTLS" && se.s.cfg.TLS != nil && !se.secure:
		return se.startTLS()
	case verb == "AUTH" && se.s.cfg.Users != nil && se.user == "":
		return se.auth(rest)
	case verb == "MAIL":
		return se.mailFrom(rest)
	case verb == "RCPT":
		return se.rcptTo(rest)
	case verb == "DATA":
		return se.data()
	}
	return se.say("503 5.5.1 not known, or not now")
}

func (se *session) offers() []string {
	list := []string{"mailsim.example", "8BITMIME", "SMTPUTF8", fmt.Sprintf("SIZE %d", se.s.cfg.Size), "ENHANCEDSTATUSCODES"}
	if se.s.cfg.TLS != nil && !se.secure {
		list = append(list, "STARTTLS")
	}
	if se.s.cfg.Users != nil && (se.secure || se.s.cfg.TLS == nil) {
		list = append(list, "AUTH "+strings.Join(se.s.cfg.Auth, " "))
	}
	for i := range list {
		sep := "-"
		if i == len(list)-1 {
			sep = " "
		}
		list[i] = "250" + sep + list[i]
	}
	return list
}

func (se *session) startTLS() error {
	if err := se.answer(StartTLS, "220 2.0.0 go ahead"); err != nil {
		return err
	}
	if se.in.Buffered() > 0 { // RFC 3207 §4: nothing may be sent before the handshake
		return errOver
	}
	c := tls.Server(se.conn, se.s.cfg.TLS)
	if err := c.Handshake(); err != nil {
		return err
	}
	se.conn, se.in = c, bufio.NewReader(c)
	se.secure, se.greeted = true, false
	return nil
}

func (se *session) auth(rest string) error {
	way, initial, _ := strings.Cut(rest, " ")
	way = strings.ToUpper(way)
	if !slices.Contains(se.s.cfg.Auth, way) {
		return se.say("504 5.5.4 not that way")
	}
	se.s.mu.Lock()
	se.s.logins++
	se.s.mu.Unlock()
	var name, password string
	var err error
	switch way {
	case "PLAIN": // RFC 4616 §2
		var raw string
		if raw, err = se.respond(initial, ""); err != nil {
			return err
		}
		parts := strings.Split(raw, "\x00")
		if len(parts) == 3 {
			name, password = parts[1], parts[2]
		}
	case "LOGIN":
		if name, err = se.respond(initial, "Username:"); err != nil {
			return err
		}
		if password, err = se.respond("", "Password:"); err != nil {
			return err
		}
	default:
		return se.say("504 5.5.4 not that way")
	}
	if want, known := se.s.cfg.Users[name]; !known || want != password {
		return se.answer(Auth, "535 5.7.8 authentication credentials invalid")
	}
	if _, faulty := se.peek(Auth); !faulty {
		se.user = name
	}
	return se.answer(Auth, "235 2.7.0 welcome")
}

// peek says whether a fault waits at a point.
func (se *session) peek(at Point) (Fault, bool) {
	se.s.mu.Lock()
	defer se.s.mu.Unlock()
	i := slices.IndexFunc(se.s.faults, func(f Fault) bool { return f.At == at && f.Reply != "" })
	if i < 0 {
		return Fault{}, false
	}
	return se.s.faults[i], true
}

// respond reads one base64 response, given with the command or asked for.
func (se *session) respond(initial, challenge string) (string, error) {
	if initial == "" {
		if err := se.say("334 " + base64.StdEncoding.EncodeToString([]byte(challenge))); err != nil {
			return "", err
		}
		var err error
		if initial, err = se.line(); err != nil {
			return "", err
		}
	}
	raw, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return "", errors.Join(errOver, se.say("501 5.5.2 that is no base64"))
	}
	return string(raw), nil
}

// path reads FROM:<a@b> or TO:<a@b> with its parameters (RFC 5321 §4.1.1.2).
func path(rest, word string) (string, bool) {
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return "", false
	}
	rest = rest[len(word):]
	end := strings.IndexByte(rest, '>')
	if !strings.HasPrefix(rest, "<") || end < 0 || strings.ContainsAny(rest[1:end], " <") {
		return "", false
	}
	return rest[1:end], true
}

func (se *session) mailFrom(rest string) error {
	from, ok := path(rest, "FROM:")
	switch {
	case !ok:
		return se.say("501 5.5.4 MAIL FROM:<address>")
	case se.s.cfg.Users != nil && se.user == "":
		return se.say("530 5.7.0 log in first")
	case se.mail:
		return se.say("503 5.5.1 one at a time")
	}
	return se.take(MailFrom, "250 2.1.0 ok", func() { se.mail, se.from, se.to = true, from, nil })
}

func (se *session) rcptTo(rest string) error {
	to, ok := path(rest, "TO:")
	switch {
	case !ok || !strings.Contains(to, "@"):
		return se.say("501 5.5.4 RCPT TO:<address>")
	case !se.mail:
		return se.say("503 5.5.1 MAIL comes first")
	}
	return se.take(RcptTo, "250 2.1.5 ok", func() { se.to = append(se.to, to) })
}

// take answers, and does what the answer means if it is the usual one.
func (se *session) take(at Point, usual string, do func()) error {
	if _, faulty := se.peek(at); !faulty {
		do()
	}
	return se.answer(at, usual)
}

func (se *session) data() error {
	if len(se.to) == 0 {
		return se.say("503 5.5.1 RCPT comes first")
	}
	if f, faulty := se.peek(Data); faulty {
		err := se.answer(Data, "")
		if f.Reply[0] == '3' {
			return errors.Join(err, errOver)
		}
		return err
	}
	if err := se.answer(Data, "354 end with a dot"); err != nil {
		return err
	}
	content, err := se.content()
	if err != nil {
		return err
	}
	n := se.s.keep(Mail{From: se.from, To: slices.Clone(se.to), Data: content, User: se.user, TLS: se.secure, At: time.Now()})
	se.mail, se.to = false, nil
	usual := fmt.Sprintf("250 2.0.0 queued as %d", n+1)
	if f, ok := se.s.fault(Dot); ok {
		return se.misbehave(f, func(reply string) { se.s.answered(n, reply) }, usual)
	}
	se.s.answered(n, usual)
	return se.say(usual)
}

// content reads up to the final dot (RFC 5321 §4.1.1.4) and takes dot stuffing
// away (§4.5.2). A bare LF is an error: it is how mail is smuggled.
func (se *session) content() ([]byte, error) {
	var b bytes.Buffer
	for first := true; ; first = false {
		if err := se.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
		line, err := se.in.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if first {
			if f, ok := se.s.fault(Content); ok {
				if err := se.misbehave(f, func(string) {}, ""); err != nil {
					return nil, err
				}
			}
		}
		switch {
		case string(line) == ".\r\n":
			return b.Bytes(), nil
		case !bytes.HasSuffix(line, []byte("\r\n")) || bytes.ContainsAny(line[:len(line)-2], "\r\x00"):
			return nil, errors.Join(errOver, se.say("550 5.6.0 a line of mail ends in CR LF"))
		case len(line) > 1000: // RFC 5321 §4.5.3.1.6
			return nil, errors.Join(errOver, se.say("500 5.5.2 the line is too long"))
		case b.Len() > se.s.cfg.Size:
			return nil, errors.Join(errOver, se.say("552 5.3.4 the mail is too large"))
		}
		b.Write(bytes.TrimPrefix(line, []byte(".")))
	}
}

// answer says the usual at a point, or what a fault wants.
func (se *session) answer(at Point, usual ...string) error {
	if f, ok := se.s.fault(at); ok {
		return se.misbehave(f, func(string) {}, usual...)
	}
	return se.say(usual...)
}

func (se *session) misbehave(f Fault, said func(string), usual ...string) error {
	if f.Wait > 0 {
		select {
		case <-time.After(f.Wait):
		case <-se.s.over:
		}
	}
	if f.Hold {
		se.s.hold()
	}
	if f.Silent {
		// It reads on and says nothing, until the client has had enough.
		if err := se.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, se.in)
		return errors.Join(err, errOver)
	}
	if f.Reply != "" {
		usual = []string{f.Reply}
	} else if f.Close {
		usual = nil
	}
	for _, line := range usual {
		if line != "" {
			said(line)
		}
	}
	if err := se.say(usual...); err != nil || f.Close {
		return errors.Join(err, errOver)
	}
	return nil
}

func (se *session) say(lines ...string) error {
	var b strings.Builder
	for _, line := range lines {
		if line != "" {
			b.WriteString(line + "\r\n")
		}
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(se.conn, b.String())
	return err
}
