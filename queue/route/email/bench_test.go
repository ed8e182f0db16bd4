package email

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/email/mailsim"
)

// within is how long anything may take here.
const within = 10 * time.Second

// quick are timers for tests: nobody waits for a minute.
var quick = Timers{Dial: 5 * time.Second, Prove: 50 * time.Millisecond, Keep: time.Second, Retry: 20 * time.Millisecond, Refused: 30 * time.Millisecond}

// trust is who vouches for a server with a certificate of its own.
func trust(t *testing.T, pem []byte) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the certificate of the simulator cannot be read")
	}
	return &tls.Config{RootCAs: pool}
}

// server starts a simulated mail server with TLS and a login.
func server(t *testing.T, change func(*mailsim.Config)) (*mailsim.Server, Config) {
	t.Helper()
	secure, pem, err := mailsim.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	simCfg := mailsim.Config{TLS: secure, Users: map[string]string{"shop": "secret"}}
	if change != nil {
		change(&simCfg)
	}
	s, err := mailsim.New(simCfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, Config{
		Name: "email", Host: "127.0.0.1", Port: s.Port(), Trust: trust(t, pem),
		User: "shop", Password: "secret", From: "Fietsen Åkerström <shop@example.nl>",
		SendTimeout: 2 * time.Second, Timers: quick,
	}
}

// sink keeps what the route tells.
type sink struct {
	mu   sync.Mutex
	said []route.Status
}

func (s *sink) Progress(context.Context, string, int, route.Part) error {
	return errors.New("an e-mail has no parts")
}
func (s *sink) Received(context.Context, route.Inbound) error { return errors.New("nothing comes in") }
func (s *sink) Reported(context.Context, route.Report) error  { return errors.New("nobody reports") }
func (s *sink) Changed(st route.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, st)
}

func (s *sink) last() route.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.said) == 0 {
		return route.Status{}
	}
	return s.said[len(s.said)-1]
}

func (s *sink) all() []route.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]route.Status(nil), s.said...)
}

// running starts a route and ends it with the test.
func running(t *testing.T, cfg Config) (*Route, *sink) {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(within):
			t.Error("Run does not end")
		}
	})
	return r, s
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// ready is a route that may send.
func ready(t *testing.T, cfg Config) (*Route, *sink) {
	t.Helper()
	r, s := running(t, cfg)
	eventually(t, "the route is ready", func() bool { return s.last().State == route.Ready })
	return r, s
}

// hello is a message for tests.
func hello(id string) route.Outbound {
	return route.Outbound{ID: id, Attempt: 1, To: "anna@example.nl", Subject: "Klaar", Text: "Uw fiets is klaar.", Segments: []route.Segment{{Text: "Uw fiets is klaar."}}}
}

// read is a mail as a reader sees it: header, text and HTML.
func read(t *testing.T, data []byte) (h mail.Header, text, html string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	decode := func(r io.Reader, encoding string) string {
		if !strings.EqualFold(encoding, "quoted-printable") {
			t.Errorf("the encoding is %q", encoding)
		}
		raw, err := io.ReadAll(quotedprintable.NewReader(r))
		if err != nil {
			t.Error(err)
		}
		return strings.ReplaceAll(string(raw), "\r\n", "\n")
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		return m.Header, strings.TrimSuffix(decode(m.Body, m.Header.Get("Content-Transfer-Encoding")), "\n"), ""
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return m.Header, text, html
		}
		if err != nil {
			t.Fatal(err)
		}
		body := decode(p, p.Header.Get("Content-Transfer-Encoding"))
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			text = body
		case "text/html":
			html = body
		default:
			t.Errorf("a part is %q", kind)
		}
	}
}

func fate(err error) route.Fate {
	if err == nil {
		return "carried"
	}
	return route.FateOf(err, false)
}
