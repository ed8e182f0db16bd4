package email

import (
	"context"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/email/mailsim"
)

// What the page says while the server cannot be used, and that it comes back by
// itself when that is mended.
func TestStatusByTrouble(t *testing.T) {
	for _, c := range []struct {
		name   string
		server func(*mailsim.Config)
		ours   func(*Config)
		fault  mailsim.Fault
		state  route.State
		code   string
		detail string
	}{
		{"wrong password", nil, func(c *Config) { c.Password = "wrong" }, mailsim.Fault{}, route.Hand, "mail_login", "535"},
		{"the login is shut for now", nil, nil, mailsim.Fault{At: mailsim.Auth, Reply: "454 4.7.0 temporary failure", Stays: true}, route.Waiting, "mail_offline", "454"},
		{"no login is offered", func(c *mailsim.Config) { c.Users = nil }, nil, mailsim.Fault{}, route.Hand, "mail_login", "no way to log in"},
		{"only a login that we do not know", func(c *mailsim.Config) { c.Auth = []string{"GSSAPI"} }, nil, mailsim.Fault{}, route.Hand, "mail_login", "GSSAPI"},
		{"a login is wanted and none is set", nil, func(c *Config) { c.User, c.Password = "", "" }, mailsim.Fault{}, route.Hand, "mail_login", "530"},
		{"no STARTTLS", func(c *mailsim.Config) { c.TLS = nil }, nil, mailsim.Fault{}, route.Hand, "mail_tls", "does not offer it"},
		{"STARTTLS is refused for now", nil, nil, mailsim.Fault{At: mailsim.StartTLS, Reply: "454 4.7.0 TLS not available", Stays: true}, route.Waiting, "mail_offline", "454"},
		{"a certificate that nobody vouches for", nil, func(c *Config) { c.Trust = nil }, mailsim.Fault{}, route.Hand, "mail_tls", "certificate"},
		{"TLS is expected and the server speaks plainly", nil, func(c *Config) { c.TLS = TLS }, mailsim.Fault{}, route.Hand, "mail_tls", "TLS"},
		{"the sender is refused", nil, nil, mailsim.Fault{At: mailsim.MailFrom, Reply: "553 5.7.1 not your address", Stays: true}, route.Hand, "mail_sender", "553"},
		{"no greeting", nil, nil, mailsim.Fault{At: mailsim.Connect, Close: true, Stays: true}, route.Waiting, "mail_offline", "EOF"},
		{"turned away", nil, nil, mailsim.Fault{At: mailsim.Connect, Reply: "421 4.7.0 too many connections", Close: true, Stays: true}, route.Waiting, "mail_offline", "421"},
		{"EHLO is refused", nil, nil, mailsim.Fault{At: mailsim.Ehlo, Reply: "550 5.7.1 go away", Stays: true}, route.Waiting, "mail_offline", "550"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, cfg := server(t, c.server)
			if c.ours != nil {
				c.ours(&cfg)
			}
			if c.fault.At != "" {
				s.Script(c.fault)
			}
			r, told := running(t, cfg)
			eventually(t, "the route says "+c.code, func() bool { return told.last().Code == c.code })
			last := told.last()
			if last.State != c.state || !strings.Contains(last.Detail, c.detail) || last.Kind != "email" || last.Identity == "" {
				t.Errorf("the status is %+v", last)
			}
			if _, err := r.Send(t.Context(), hello("m1")); fate(err) != route.NotOffered {
				t.Errorf("a mail meanwhile: %v", err)
			}
			if strings.Contains(last.Detail, "secret") || strings.Contains(last.Detail, "shop@example.nl") {
				t.Errorf("the status tells too much: %+v", last)
			}
			if c.fault.At != "" {
				s.Clear()
				eventually(t, "it comes back by itself", func() bool { return told.last().State == route.Ready })
			}
			if len(s.Mails()) > 0 {
				t.Error("a mail was sent")
			}
		})
	}
}

// A refused login is tried again after five minutes, then ten, up to an hour; a
// server that is away after a second, up to a minute.
func TestPauses(t *testing.T) {
	r, err := New(Config{Name: "email", Host: "mail.example", From: "shop@example.nl"})
	if err != nil {
		t.Fatal(err)
	}
	for state, want := range map[route.State][]time.Duration{
		route.Hand:    {5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, time.Hour},
		route.Waiting: {time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute},
	} {
		pause := time.Duration(0)
		for n, w := range want {
			if pause = r.longer(pause, state); pause != w {
				t.Errorf("%s: pause %d is %s, want %s", state, n+1, pause, w)
			}
		}
	}
}

// Many messages that wait do not make many logins of one wrong password.
func TestWrongPasswordIsNotHammered(t *testing.T) {
	s, cfg := server(t, nil)
	cfg.Password, cfg.Timers.Refused = "wrong", time.Hour
	r, told := running(t, cfg)
	eventually(t, "the login is refused", func() bool { return told.last().Code == "mail_login" })
	for n := range 20 {
		if _, err := r.Send(t.Context(), hello(string(rune('a'+n)))); fate(err) != route.NotOffered {
			t.Fatal(err)
		}
	}
	if n := s.Logins(); n != 1 {
		t.Errorf("%d logins were tried", n)
	}
	// A person who has corrected it there need not wait for the hour.
	if err := r.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is tried again", func() bool { return s.Logins() == 2 })
}

// Every way to log in that the server offers, and TLS from the first byte.
func TestWaysToLogIn(t *testing.T) {
	for _, way := range []string{"PLAIN", "LOGIN"} {
		for _, how := range []string{StartTLS, TLS} {
			s, cfg := server(t, func(c *mailsim.Config) { c.Auth, c.Implicit = []string{way}, how == TLS })
			cfg.TLS = how
			r, _ := ready(t, cfg)
			if _, err := r.Send(t.Context(), hello("m1")); err != nil {
				t.Errorf("%s over %s: %v", way, how, err)
				continue
			}
			if m := s.Mails()[0]; m.User != "shop" || !m.TLS {
				t.Errorf("%s over %s: %+v", way, how, m)
			}
		}
	}
	s, cfg := server(t, func(c *mailsim.Config) { c.TLS, c.Users = nil, nil })
	cfg.TLS, cfg.User, cfg.Password = Plain, "", ""
	r, _ := ready(t, cfg)
	if _, err := r.Send(t.Context(), hello("m1")); err != nil || s.Mails()[0].TLS {
		t.Errorf("in plain sight, as set: %v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	good := Config{Name: "email", Host: "mail.example", From: "Shop <shop@example.nl>", User: "shop", Password: "secret"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Config){
		"host":          func(c *Config) { c.Host = "" },
		"tls":           func(c *Config) { c.TLS = "ssl" },
		"tls:":          func(c *Config) { c.TLS = Plain },
		"user":          func(c *Config) { c.User = "" },
		"password_file": func(c *Config) { c.Password = "" },
		"password":      func(c *Config) { c.Password = "a\r\nb" },
		"lanes":         func(c *Config) { c.Lanes = 99 },
		"port":          func(c *Config) { c.Port = 70000 },
		"send_timeout":  func(c *Config) { c.SendTimeout = time.Millisecond },
		"hello":         func(c *Config) { c.Hello = "my box" },
		"from":          func(c *Config) { c.From = "Shop" },
		"reply_to":      func(c *Config) { c.ReplyTo = "a@b@c" },
		"unsubscribe":   func(c *Config) { c.Unsubscribe = "http://example.nl/stop" },
		"unsubscribe:":  func(c *Config) { c.Unsubscribe = "mailto:nobody" },
		"unsubscribe: ": func(c *Config) { c.Unsubscribe = "https://example.nl/>\r\nBcc: x" },
	} {
		c := good
		change(&c)
		err := c.Check()
		if err == nil || !strings.HasPrefix(err.Error(), strings.TrimRight(field, ": ")+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
	every := Config{Name: "email", TLS: "ssl", User: "shop", Lanes: -1, From: "x", ReplyTo: "y", Unsubscribe: "z"}
	if err := every.Check(); err == nil || strings.Count(err.Error(), "\n") != 6 {
		t.Errorf("seven faults: %v", err)
	}
	for _, u := range []string{"mailto:stop@example.nl", "https://example.nl/stop?x=1"} {
		c := good
		if c.Unsubscribe = u; c.Check() != nil {
			t.Errorf("%s: %v", u, c.Check())
		}
	}
}
