package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/route/email/mailsim"
	"tillpost/queue/store"
	"tillpost/queue/text"
	"tillpost/smpp"
	"tillpost/smpp/smsc"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
)

// The five pages that outreach was built for (field-notes §4), each walked
// sentence by sentence through the public API, against the simulated SMSC, in
// virtual time. webui/manual/outreach.md links every sentence to its test.

// street is a box in virtual time with an SMSC at the other end of its wire.
type street struct {
	t      *testing.T
	dir    string
	zone   *time.Location
	db     *store.DB
	q      *queue.Queue
	o      *outreach.Outreach
	api    *api.API
	smsc   *smsc.SMSC
	mail   *mailsim.Server // nil: the box has no way out for e-mail
	post   bool            // give it one
	lane   *cable          // to it
	key    string
	halt   func()
	config func(*outreach.Config)

	tariffs []text.Tariff
	slow    time.Duration // until the SMSC answers
}

// cable is a network of one wire: who dials is who is accepted.
type cable struct {
	calls chan net.Conn
	ended chan struct{}
}

func (c *cable) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case c.calls <- theirs:
		return ours, nil
	case <-c.ended:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *cable) Accept() (net.Conn, error) {
	select {
	case conn := <-c.calls:
		return conn, nil
	case <-c.ended:
		return nil, net.ErrClosed
	}
}

func (c *cable) Close() error   { return nil }
func (c *cable) Addr() net.Addr { return &net.TCPAddr{} }

// onStreet runs fn on Tuesday 24 November 2026, 10:00 in Amsterdam.
func onStreet(t *testing.T, fn func(s *street), with ...func(*street)) {
	t.Helper()
	onStreetAt(t, "2026-11-24T10:00", fn, with...)
}

func onStreetAt(t *testing.T, begin string, fn func(s *street), with ...func(*street)) {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02T15:04", begin, zone)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		s := &street{t: t, dir: dir, zone: zone}
		for _, change := range with {
			change(s)
		}
		s.open()
		defer s.close()
		s.later(time.Second)
		fn(s)
	})
}

func (s *street) open() {
	s.t.Helper()
	db, err := store.Open(store.Options{Path: filepath.Join(s.dir, "box.db"), MinFree: -1, NoSync: true}, append(queue.Schema(), api.Schema()...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	qcfg := queue.Config{DB: db, Country: "NL", Countries: []string{"NL", "SE", "DE", "BE"}, Language: "nl", Location: s.zone, Steward: outreach.Steward()}
	if qcfg.Tariffs, err = text.NewTariffs(s.tariffs); err != nil {
		s.t.Fatal(err)
	}
	if s.post {
		qcfg.MailPool, qcfg.Fallback = "email", []queue.State{queue.Failed, queue.Undelivered}
	}
	q, err := queue.New(qcfg)
	if err != nil {
		s.t.Fatal(err)
	}
	line := &cable{calls: make(chan net.Conn), ended: make(chan struct{})}
	s.smsc = smsc.New(smsc.Config{Keep: true, Magic: s.post, Latency: s.slow})
	client, err := smpp.New(smpp.Config{Name: "operator", Addrs: []string{"smsc:2775"}, SystemID: "shop", Source: "SHOP", Window: 1, Dial: line.dial, Log: slog.New(slog.DiscardHandler),
		Timers: smpp.Timers{Enquire: time.Hour}, Memory: q.Memory("operator")})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := q.Attach(client, ""); err != nil {
		s.t.Fatal(err)
	}
	if s.post {
		s.postOffice(q)
	}
	cfg := outreach.Config{DB: db, Queue: q, Country: "NL", Language: "nl", Location: s.zone}
	if s.config != nil {
		s.config(&cfg)
	}
	o, err := outreach.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := api.New(api.Config{Queue: q, DB: db, Outreach: o, Language: "nl", Location: s.zone})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 4)
	go func() { ended <- s.smsc.Serve(ctx, line) }()
	go func() { ended <- q.Run(ctx) }()
	go func() { ended <- o.Run(ctx) }()
	go func() { ended <- a.Run(ctx) }()
	s.db, s.q, s.o, s.api = db, q, o, a
	if s.key == "" {
		k, err := a.AddKey(ctx, "till", []api.Scope{api.Send, api.Read, api.Manage}, "test")
		if err != nil {
			s.t.Fatal(err)
		}
		s.key = k
	}
	s.halt = func() {
		cancel()
		close(line.ended)
		if s.mail != nil {
			close(s.lane.ended)
		}
		for range 4 {
			if err := <-ended; err != nil && !strings.Contains(err.Error(), "closed") {
				s.t.Errorf("the end: %v", err)
			}
		}
	}
}

func (s *street) close() {
	s.t.Helper()
	s.halt()
	if s.mail != nil {
		s.mail.Close()
	}
	if err := s.db.Check(); err != nil {
		s.t.Errorf("check: %v", err)
	}
	if err := s.db.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *street) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// until lets time go on to a moment of the shop's clock.
func (s *street) until(clock string) {
	s.t.Helper()
	at, err := time.ParseInLocation("2006-01-02T15:04", clock, s.zone)
	if err != nil {
		s.t.Fatal(err)
	}
	if d := time.Until(at); d > 0 {
		time.Sleep(d)
	}
	synctest.Wait()
}

// a is a JSON object as a till writes it.
type a = map[string]any

// ask calls the API and decodes its answer, whatever the status.
func (s *street) ask(method, path string, body any, header ...string) (int, a) {
	s.t.Helper()
	var in []byte
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		in, kind = []byte(b), "text/csv"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		in = raw
	}
	r := httptest.NewRequestWithContext(s.t.Context(), method, "/api/v1"+path, bytes.NewReader(in))
	r.Header.Set("Authorization", "Bearer "+s.key)
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	out := a{}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/") {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			s.t.Fatalf("%s %s answered %s", method, path, w.Body)
		}
	} else {
		out["text"] = w.Body.String()
	}
	return w.Code, out
}

// do calls the API and wants it to succeed.
func (s *street) do(method, path string, body any, header ...string) a {
	s.t.Helper()
	status, out := s.ask(method, path, body, header...)
	if status >= 300 {
		s.t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return out
}

// refuses calls the API and wants a refusal: a code, and words of the detail.
func (s *street) refuses(method, path string, body any, code string, words ...string) {
	s.t.Helper()
	status, out := s.ask(method, path, body)
	if status < 400 || out["code"] != code {
		s.t.Errorf("%s %s: %d %v, want a refusal with %s", method, path, status, out, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(fmt.Sprint(out["detail"]), w) {
			s.t.Errorf("%s %s is refused with %q, which lacks %q", method, path, out["detail"], w)
		}
	}
}

// got is what phones have received since the last call: number and text.
func (s *street) got() []string {
	s.t.Helper()
	synctest.Wait()
	var list []string
	for _, m := range s.smsc.Submits() {
		list = append(list, "+"+strings.TrimPrefix(m.To, "+")+" "+m.Text)
	}
	return list
}

// phones compares all that phones have received, in any order of recipients.
func (s *street) phones(want ...string) {
	s.t.Helper()
	got := s.got()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("phones received\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func (s *street) template(name, nl string, also ...a) {
	s.t.Helper()
	body := a{"texts": a{"sms": a{"nl": nl}}}
	for _, m := range also {
		maps.Copy(body, m)
	}
	s.do("PUT", "/templates/"+name, body)
}

func (s *street) contact(id, number string, also ...a) {
	s.t.Helper()
	body := a{"number": number, "first_name": id, "language": "nl"}
	for _, m := range also {
		maps.Copy(body, m)
	}
	s.do("PUT", "/contacts/"+id, body)
}

func (s *street) agrees(id string, purpose string) {
	s.t.Helper()
	s.do("POST", "/contacts/"+id+"/consents", a{"purpose": purpose, "granted": true, "how": "form at the counter"})
}

// number reads a count of an answer.
func number(v any) int {
	n, _ := v.(float64)
	return int(n)
}

// dropped watches a folder for as long as fn runs, and returns what a file was
// answered with.
func (s *street) dropped(files map[string]string, fn func()) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "drop")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	d, err := s.o.OpenDrop(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.later(12 * time.Second)
	for name := range files {
		if !strings.HasSuffix(name, ".csv") {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, name+".done")); err != nil {
			raw, _ := os.ReadFile(filepath.Join(dir, name+".result"))
			s.t.Errorf("%s was not done: %s", name, raw)
		}
	}
	fn()
	cancel()
	if err := <-ended; err != nil {
		s.t.Error(err)
	}
	if err := d.Close(); err != nil {
		s.t.Error(err)
	}
}

// message reads one message as the API tells it.
func (s *street) message(id any) wire.Message {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), "GET", fmt.Sprintf("/api/v1/messages/%v", id), nil)
	r.Header.Set("Authorization", "Bearer "+s.key)
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	var m wire.Message
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != http.StatusOK {
		s.t.Fatalf("message %v: %d %s", id, w.Code, w.Body)
	}
	return m
}
