package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// How the line to the server is kept from others.
const (
	StartTLS = "starttls" // RFC 3207; the server must offer it
	TLS      = "tls"      // from the first byte, RFC 8314 §3.3
	Plain    = "none"     // in plain sight: for a server on this box
)

// Config of a Route. Name, Host and From must be set.
type Config struct {
	Name     string
	Host     string
	Port     int         // default 587, with TLS 465
	TLS      string      // StartTLS (default), TLS or Plain
	Trust    *tls.Config // who vouches for the server's certificate; nil: the system's authorities
	User     string      // empty: the server wants no login
	Password string
	Hello    string // what we call ourselves; default the address of this box

	From        string // Shop <shop@example.nl>
	ReplyTo     string // default From
	Unsubscribe string // mailto: or https: address that ends advertising; empty: advertising does not name one

	Lanes       int           // mails under way at once; default 2
	SendTimeout time.Duration // patience for one mail, from MAIL to the answer; default 5 minutes
	Timers      Timers

	// Dial connects to the server; nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Log *slog.Logger // nil: discard
}

// Timers of a Route; the zero value of each is its default.
type Timers struct {
	Dial    time.Duration // for the connection, TLS and login; default 30 s
	Prove   time.Duration // between looks at the server while nothing is sent; default 10 minutes
	Keep    time.Duration // how long an idle connection is kept; default 30 s
	Retry   time.Duration // first pause before connecting again, doubling up to a minute; default 1 s
	Refused time.Duration // after a refused login, doubling up to an hour; default 5 minutes
}

// maxRetry and maxRefused are how long the pauses become.
const (
	maxRetry   = time.Minute
	maxRefused = time.Hour
)

// Route sends by one mail server. It is a route.Route and a route.Restarter.
type Route struct {
	cfg      Config
	from     *mail.Address
	replyTo  *mail.Address
	identity string
	log      *slog.Logger

	poke chan struct{} // Run should look at the server now

	slots chan struct{} // a Send holds one

	mu     sync.Mutex
	sink   route.Sink // nil: not running
	status route.Status
	idle   []*wire
	open   map[*wire]bool
}

var (
	_ route.Route     = (*Route)(nil)
	_ route.Restarter = (*Route)(nil)
)

// New checks the settings and returns a route that is not yet running. The
// errors are joined, one for each fault: the field, a colon, and the remedy.
func New(cfg Config) (*Route, error) {
	wrong := cfg.complete()
	r := &Route{
		cfg: cfg, log: cfg.Log, poke: make(chan struct{}, 1),
		slots: make(chan struct{}, max(0, cfg.Lanes)), open: map[*wire]bool{},
	}
	var err error
	if r.from, err = sender("from", cfg.From); err != nil {
		wrong = errors.Join(wrong, err)
	}
	if cfg.ReplyTo != "" {
		if r.replyTo, err = sender("reply_to", cfg.ReplyTo); err != nil {
			wrong = errors.Join(wrong, err)
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	r.identity = cmp.Or(cfg.User, r.from.Address) + " at " + cfg.Host
	r.status = route.Status{
		Route: cfg.Name, Kind: "email", State: route.Starting, Code: "starting", Since: time.Now(),
		Identity: r.identity, Lanes: cfg.Lanes, Port: r.addr(), Device: cfg.User,
	}
	return r, nil
}

// Check is New for who wants to know only whether the settings are right.
func (c Config) Check() error {
	_, err := New(c)
	return err
}

func (c *Config) complete() error {
	c.TLS = cmp.Or(c.TLS, StartTLS)
	if c.Port == 0 {
		c.Port = 587 // RFC 6409 §3.1
		if c.TLS == TLS {
			c.Port = 465 // RFC 8314 §7.3
		}
	}
	c.Lanes, c.SendTimeout = cmp.Or(c.Lanes, 2), cmp.Or(c.SendTimeout, 5*time.Minute)
	t := &c.Timers
	t.Dial, t.Prove, t.Keep = cmp.Or(t.Dial, 30*time.Second), cmp.Or(t.Prove, 10*time.Minute), cmp.Or(t.Keep, 30*time.Second)
	t.Retry, t.Refused = cmp.Or(t.Retry, time.Second), cmp.Or(t.Refused, 5*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	var wrong []error
	for _, w := range []struct {
		is   bool
		text string
	}{
		{c.Host == "", "host: is missing; write the name of the outgoing mail server"},
		{c.Port < 1 || c.Port > 65535, fmt.Sprintf("port: is %d, must be from 1 to 65535", c.Port)},
		{c.TLS != StartTLS && c.TLS != TLS && c.TLS != Plain, fmt.Sprintf("tls: %q is not one of %s, %s, %s", c.TLS, StartTLS, TLS, Plain)},
		{c.TLS == Plain && c.User != "", fmt.Sprintf("tls: with %q the password would travel in plain sight; use %q or %q, or leave user out", Plain, StartTLS, TLS)},
		{c.User == "" && c.Password != "", "user: is missing, and there is a password; write the user too"},
		{c.User != "" && c.Password == "", "password_file: is missing, and there is a user; name the file that holds the password"},
		{strings.ContainsAny(c.User+c.Password, "\x00\r\n"), "password: user and password may hold no line end and no zero byte"},
		{c.Lanes < 1 || c.Lanes > maxLanes, fmt.Sprintf("lanes: is %d, must be from 1 to %d", c.Lanes, maxLanes)},
		{c.SendTimeout < time.Second, fmt.Sprintf("send_timeout: is %s, must be at least 1s", c.SendTimeout)},
		{strings.ContainsFunc(c.Hello, func(r rune) bool { return r <= ' ' || r > '~' }), fmt.Sprintf("hello: %q is not a host name; write the name of this box, or leave it out", c.Hello)},
	} {
		if w.is {
			wrong = append(wrong, errors.New(w.text))
		}
	}
	return errors.Join(append(wrong, checkUnsubscribe(c.Unsubscribe))...)
}

// maxLanes: mail servers allow ten connections or so from one address.
const maxLanes = 10

func checkUnsubscribe(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' || r == ',' }) {
		return fmt.Errorf("unsubscribe: %q is not an address; write mailto:stop@example.nl or https://…", s)
	}
	switch u.Scheme {
	case "mailto":
		if _, err := text.ParseAddress(u.Opaque); err == nil { // a subject of its own may follow (RFC 6068)
			return nil
		}
	case "https":
		if u.Host != "" {
			return nil
		}
	}
	return fmt.Errorf("unsubscribe: %q is not an address; write mailto:stop@example.nl or https://…", s)
}

// sender reads an address with the name that readers see.
func sender(field, s string) (*mail.Address, error) {
	a, err := text.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf(`%s: %q is not an address; write "Shop <shop@example.nl>"`, field, s)
	}
	name := ""
	if given, err := mail.ParseAddress(s); err == nil {
		if name, err = text.ComposeSubject(given.Name); err != nil { // one line, no controls
			return nil, fmt.Errorf("%s: the name in it is not usable: %w", field, err)
		}
	}
	return &mail.Address{Name: name, Address: a.String()}, nil
}

// Name is the route's name in the settings.
func (r *Route) Name() string { return r.cfg.Name }

func (r *Route) addr() string { return net.JoinHostPort(r.cfg.Host, strconv.Itoa(r.cfg.Port)) }

// Restart hangs up and logs in anew, at once, also where the login was refused
// before.
func (r *Route) Restart(context.Context) error {
	r.dropIdle()
	r.look()
	return nil
}

// hello is what we call ourselves: an address literal where no name was given
// (RFC 5321 §4.1.3, §4.1.4). The box's own host name is nobody else's business
// and seldom resolves.
func (r *Route) hello(conn net.Conn) string {
	if r.cfg.Hello != "" {
		return r.cfg.Hello
	}
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		name, err := os.Hostname()
		if err != nil {
			return "localhost"
		}
		return name
	}
	if strings.Contains(host, ":") {
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}
