package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/route/email"
	"tillpost/queue/text"
)

// mailRoute is the name of the one route by e-mail.
const mailRoute = "email"

// Email is [email].
type Email struct {
	Host              string        `toml:"host"`
	Port              int           `toml:"port"`
	TLS               string        `toml:"tls"`     // starttls | tls | none
	CAFile            string        `toml:"ca_file"` // vouches for the server's certificate; empty: the system's authorities
	User              string        `toml:"user"`
	PasswordFile      string        `toml:"password_file"`
	Password          secret        `toml:"password"` // inline, or what PasswordFile holds
	Hello             string        `toml:"hello"`    // what the box calls itself; empty: by its address
	From              string        `toml:"from"`
	ReplyTo           string        `toml:"reply_to"`
	Unsubscribe       string        `toml:"unsubscribe"` // mailto: or https: address that ends advertising
	Lanes             int           `toml:"lanes"`       // mails under way at once
	MessagesPerMinute int           `toml:"messages_per_minute"`
	SendTimeout       time.Duration `toml:"send_timeout"`
	Pool              string        `toml:"pool"`
	Fallback          []string      `toml:"fallback"`      // failed, undelivered: ends after which the reader's other channel is used
	ForwardInbox      []string      `toml:"forward_inbox"` // addresses to which replies are carried on

	trust *tls.Config // of CAFile; nil: the system's
}

func (e *Email) defaults() {
	e.Port, e.TLS, e.Lanes, e.SendTimeout = 587, email.StartTLS, 2, 5*time.Minute
	e.Pool, e.Fallback = "email", []string{string(queue.Failed), string(queue.Undelivered)}
}

// route is [email] as the route reads it.
func (e *Email) route(log *slog.Logger) email.Config {
	return email.Config{
		Name: mailRoute, Host: e.Host, Port: e.Port, TLS: e.TLS, Trust: e.trust, User: e.User, Password: string(e.Password),
		Hello: e.Hello, From: e.From, ReplyTo: e.ReplyTo, Unsubscribe: e.Unsubscribe,
		Lanes: e.Lanes, SendTimeout: e.SendTimeout, Log: log,
	}
}

// pool is where e-mail waits; empty: there is no way out for it.
func (e *Email) pool() string {
	if e == nil {
		return ""
	}
	return e.Pool
}

// fallback is the setting as the queue reads it.
func (e *Email) fallback() (list []queue.State) {
	if e == nil {
		return nil
	}
	for _, s := range e.Fallback {
		list = append(list, queue.State(s))
	}
	return list
}

// forwardInbox are the addresses that replies are carried on to; none: nobody's.
func (e *Email) forwardInbox() []string {
	if e == nil {
		return nil
	}
	return e.ForwardInbox
}

// pageURL is the page as other machines find it: by the first of the names that
// the owner gave the box, where it listens beyond itself. Empty: nobody has told
// the box what it is called.
func (c *Config) pageURL() string {
	if len(c.Hostnames) == 0 {
		return ""
	}
	for _, addr := range c.Listen {
		host, port, err := net.SplitHostPort(addr)
		if ip, _ := netip.ParseAddr(host); err != nil || ip.IsLoopback() || host == "localhost" {
			continue
		}
		if port == "80" {
			return "http://" + c.Hostnames[0]
		}
		return "http://" + net.JoinHostPort(c.Hostnames[0], port)
	}
	return ""
}

// validateEmail checks [email], all of it.
func (c *Config) validateEmail(ps *problems) {
	e := c.Email
	if e == nil {
		return
	}
	if e.Host == "" && len(e.ForwardInbox) > 0 {
		ps.fault("email.forward_inbox", "has no way out: give the outgoing mail server in email.host and the sender in email.from, or leave forward_inbox out")
	}
	for i, s := range e.ForwardInbox {
		if _, err := text.ParseAddress(s); err != nil {
			ps.fault(fmt.Sprintf("email.forward_inbox[%d]", i), "%q is no e-mail address; write shop@example.nl", s)
		}
	}
	if !hostForm.MatchString(e.Host) {
		ps.fault("email.host", "%q is not a host name; write the name of the outgoing mail server", e.Host)
	}
	e.readTrust(ps)
	checked := e.route(nil)
	if e.PasswordFile != "" && e.Password == "" {
		checked.Password = "-" // what is wrong with the file is told already
	}
	for _, wrong := range parts(checked.Check()) {
		field, remedy, _ := strings.Cut(wrong.Error(), ": ")
		if field != "host" {
			ps.fault("email."+field, "%s", remedy)
		}
	}
	if e.TLS == email.TLS && e.Port == 587 {
		ps.warn("email.port", `is 587, where servers expect tls = "starttls"; with "tls" most listen on 465`)
	}
	ps.between("email.messages_per_minute", e.MessagesPerMinute, 0, 100_000)
	ps.poolName("email.pool", e.Pool)
	for i, s := range e.Fallback {
		ps.oneOf(fmt.Sprintf("email.fallback[%d]", i), s, string(queue.Failed), string(queue.Undelivered))
	}
	taken := []string{queue.DefaultPool}
	for _, m := range c.Modems {
		taken = append(taken, m.Pool, m.Name)
	}
	for _, s := range c.SMPP {
		taken = append(taken, s.Pool, s.Name)
	}
	if slices.Contains(taken, e.Pool) {
		ps.fault("email.pool", "%q is a pool of modems or SMSCs, whose messages are no e-mail; leave it out for \"email\"", e.Pool)
	}
}

// readTrust reads the authority of a server whose certificate no public one
// vouches for.
func (e *Email) readTrust(ps *problems) {
	if e.CAFile == "" {
		return
	}
	if pool := ps.authority("email.ca_file", e.CAFile, "openssl s_client -starttls smtp -showcerts"); pool != nil {
		e.trust = &tls.Config{RootCAs: pool}
	}
}

// authority reads the certificate that vouches for a server; nil beside a
// fault. shows is the command that would print it.
func (ps *problems) authority(key, file, shows string) *x509.CertPool {
	path := secretPath(ps.file, file)
	data, err := os.ReadFile(path)
	if err != nil {
		ps.fault(key, "%s cannot be read: %v; put the server's certificate there, in PEM, or leave it out for the system's authorities", path, errors.Unwrap(err))
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		ps.fault(key, "%s holds no certificate in PEM; %s shows the server's", path, shows)
		return nil
	}
	return pool
}

// parts are the errors that were joined into one.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, parts(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// attachEmail gives the queue its way out by e-mail, where there is one.
func attachEmail(q *queue.Queue, e *Email, log *slog.Logger) error {
	if e == nil {
		return nil
	}
	r, err := email.New(e.route(log.With("route", mailRoute)))
	if err != nil {
		return fmt.Errorf("email: %w", err)
	}
	if err := q.Attach(r, e.Pool); err != nil {
		return fmt.Errorf("email: %w", err)
	}
	return q.Limit(mailRoute, queue.Quota{PartsPerMinute: e.MessagesPerMinute})
}
