package email

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// wire is one connection to the server, greeted and logged in.
type wire struct {
	conn   net.Conn // below TLS: closing it ends everything at once
	client *smtp.Client
	size   int       // octets that the server takes; 0: it does not say
	since  time.Time // idle since
}

// dial connects, secures the line and logs in. Its error is a *trouble.
func (r *Route) dial(ctx context.Context) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timers.Dial)
	defer cancel()
	conn, err := r.cfg.Dial(ctx, "tcp", r.addr())
	if err != nil {
		return nil, &trouble{at: atConnect, err: err}
	}
	w := &wire{conn: conn}
	if !r.opened(w) {
		w.cut()
		return nil, &trouble{at: atConnect, err: errNotRunning}
	}
	// From here on whoever ends ctx, or Run, breaks the conversation off.
	stop := context.AfterFunc(ctx, w.cut)
	defer stop()
	if err := r.greet(w); err != nil {
		r.closed(w)
		if ctx.Err() != nil && err.code() == 0 {
			err.err = context.Cause(ctx)
		}
		return nil, err
	}
	return w, nil
}

var errNotRunning = errors.New("the route is being stopped")

// greet is the conversation up to the login.
func (r *Route) greet(w *wire) *trouble {
	if err := w.conn.SetDeadline(time.Now().Add(r.cfg.Timers.Dial)); err != nil {
		return &trouble{at: atConnect, err: err}
	}
	conn := w.conn
	if r.cfg.TLS == TLS {
		secure := tls.Client(conn, r.tlsConfig())
		if err := secure.Handshake(); err != nil {
			return &trouble{at: atConnect, err: err}
		}
		conn = secure
	}
	c, err := smtp.NewClient(conn, r.cfg.Host)
	if err != nil {
		return &trouble{at: atConnect, err: err}
	}
	w.client = c
	// Our addresses and headers are ASCII; a mail that says SMTPUTF8 without
	// need stops at the first server that lacks it (RFC 6531 §3.6).
	c.SkipSMTPUTF8(true)
	if err := c.Hello(r.hello(w.conn)); err != nil {
		return &trouble{at: atConnect, err: err}
	}
	if r.cfg.TLS == StartTLS {
		// Without the offer somebody may have taken it out of the line (RFC
		// 3207 §6): then we say nothing more.
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return &trouble{at: atTLS, err: errors.New("the server does not offer it")}
		}
		if err := c.StartTLS(r.tlsConfig()); err != nil {
			if _, said := errors.AsType[*textproto.Error](err); said {
				return &trouble{at: atTLS, err: err}
			}
			return &trouble{at: atConnect, err: err} // in the handshake
		}
	}
	if _, size := c.Extension("SIZE"); size != "" { // RFC 1870 §4
		w.size, _ = strconv.Atoi(size) // no number: it does not say
	}
	if r.cfg.User == "" {
		return nil
	}
	_, ways := c.Extension("AUTH")
	auth := r.auth(ways)
	if auth == nil {
		return &trouble{at: atNoAuth, err: errors.New("the server offers no way to log in that we know, but: " + ways)}
	}
	if err := c.Auth(auth); err != nil {
		return &trouble{at: atAuth, err: err}
	}
	return nil
}

// auth chooses how to log in: what never shows the password first.
func (r *Route) auth(offered string) smtp.Auth {
	user, password, host := r.cfg.User, r.cfg.Password, r.cfg.Host
	offers := strings.Fields(strings.ToUpper(offered))
	for _, way := range []struct {
		name string
		auth func() smtp.Auth
	}{
		{"SCRAM-SHA-256", func() smtp.Auth { return smtp.ScramSHA256Auth(user, password) }},
		{"SCRAM-SHA-1", func() smtp.Auth { return smtp.ScramSHA1Auth(user, password) }},
		{"PLAIN", func() smtp.Auth { return smtp.PlainAuth("", user, password, host, false) }},
		{"LOGIN", func() smtp.Auth { return smtp.LoginAuth(user, password, host, false) }},
		{"CRAM-MD5", func() smtp.Auth { return smtp.CRAMMD5Auth(user, password) }},
	} {
		for _, o := range offers {
			if o == way.name {
				return way.auth()
			}
		}
	}
	return nil
}

func (r *Route) tlsConfig() *tls.Config {
	cfg := &tls.Config{}
	if r.cfg.Trust != nil {
		cfg = r.cfg.Trust.Clone()
	}
	cfg.ServerName = r.cfg.Host
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	return cfg
}

// cut ends a wire without a word.
func (w *wire) cut() { w.conn.Close() }

// quit takes leave.
func (w *wire) quit() {
	if w.conn.SetDeadline(time.Now().Add(leave)) == nil {
		_ = w.client.Quit() // it is over either way
	}
	w.cut()
}

// leave is how long taking leave may take.
const leave = time.Second

// noop asks whether the server is still there, and whether it takes our mail: a
// sender that it does not let write is found before the first mail. Its error is
// a *trouble.
func (w *wire) noop(ctx context.Context, from string, patience time.Duration) error {
	stop := context.AfterFunc(ctx, w.cut)
	defer stop()
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return &trouble{at: atNoop, err: err}
	}
	if err := w.client.Noop(); err != nil {
		return &trouble{at: atNoop, err: err}
	}
	if err := w.client.Mail("<" + from + ">"); err != nil {
		return &trouble{at: atMail, err: err}
	}
	if err := w.client.Reset(); err != nil {
		return &trouble{at: atNoop, err: err}
	}
	return nil
}

// mail hands one mail over. commit is called when the next byte is the first of
// the mail; false breaks off. The error is a *trouble, or errBroken.
//
// The moment that matters is the final dot. go-mail writes it when its writer is
// closed, reads the answer in the same call, and does not tell a failed write
// from a lost answer. So the two are done here, one after the other.
func (w *wire) mail(from, to string, letter []byte, commit func() bool) error {
	if w.size > 0 && len(letter) > w.size {
		return &trouble{at: atTooLarge, err: errors.New("the mail has " + strconv.Itoa(len(letter)) + " octets, the server takes " + strconv.Itoa(w.size))}
	}
	if err := w.client.Mail("<" + from + ">"); err != nil {
		return &trouble{at: atMail, err: err}
	}
	if err := w.client.Rcpt("<" + to + ">"); err != nil {
		return &trouble{at: atRcpt, err: err}
	}
	data, err := w.client.Data()
	if err != nil {
		return &trouble{at: atData, err: err}
	}
	body := data.(*smtp.DataCloser).WriteCloser
	if !commit() {
		return errBroken
	}
	if _, err := bytes.NewReader(letter).WriteTo(body); err != nil {
		return &trouble{at: atContent, err: err}
	}
	if err := w.client.Text.W.Flush(); err != nil {
		return &trouble{at: atContent, err: err}
	}
	// RFC 5321 §4.1.1.4. A write that fails has not passed on its last byte,
	// and a server waits for that.
	if err := body.Close(); err != nil {
		return &trouble{at: atContent, err: err}
	}
	if _, _, err := w.client.Text.ReadResponse(250); err != nil {
		return &trouble{at: atDot, err: err}
	}
	return nil
}

// errBroken: broken off before the first byte of the mail.
var errBroken = errors.New("broken off before the first byte")
