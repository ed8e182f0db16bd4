package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tillpost/queue/hook"
	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

// software is the machine that a webhook calls: business software on this
// machine, which checks every signature and may be away for a while.
type software struct {
	t      *testing.T
	addr   string
	server *http.Server
	ended  chan error

	mu     sync.Mutex
	secret string
	calls  []heard
}

// heard is one call.
type heard struct {
	seq  uint64
	body struct {
		wire.HookCall
		Outcome *reach.Outcome `json:"outcome"`
	}
}

func newSoftware(t *testing.T) *software {
	t.Helper()
	s := &software{t: t, addr: "127.0.0.1:0"}
	s.open()
	t.Cleanup(s.close)
	return s
}

// open lets it answer, where it answered before.
func (s *software) open() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr, s.server, s.ended = l.Addr().String(), &http.Server{Handler: http.HandlerFunc(s.hear)}, make(chan error, 1)
	server, ended := s.server, s.ended
	go func() { ended <- server.Serve(l) }() // close waits for it
}

func (s *software) close() {
	s.t.Helper()
	if s.server == nil {
		return
	}
	if err := s.server.Close(); err != nil {
		s.t.Error(err)
	}
	<-s.ended
	s.server = nil
}

func (s *software) url() string { return "http://" + s.addr + "/hook" }

func (s *software) trust(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

func (s *software) hear(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return // the daemon was killed in the middle of it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var c heard
	if err := hook.Verify([]byte(s.secret), r.Header.Get(hook.SignatureHeader), raw, time.Now(), time.Minute); err != nil {
		s.t.Error(err)
	}
	if err := json.Unmarshal(raw, &c.body); err != nil {
		s.t.Errorf("%v in %s", err, raw)
	}
	if c.seq, err = strconv.ParseUint(r.Header.Get("Tillpost-Event"), 10, 64); err != nil || c.seq != c.body.Event.Seq {
		s.t.Errorf("the header names event %q, the body %d", r.Header.Get("Tillpost-Event"), c.body.Event.Seq)
	}
	s.calls = append(s.calls, c)
	w.WriteHeader(http.StatusNoContent)
}

func (s *software) heard() []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// first is every event in the order in which it was heard first.
func (s *software) first() (list []heard, repeats int) {
	seen := map[uint64]heard{}
	for _, c := range s.heard() {
		if c.seq == 0 { // a test
			continue
		}
		if old, again := seen[c.seq]; again {
			repeats++
			if old.body.Event != c.body.Event {
				s.t.Errorf("event %d is %+v the first time and %+v later", c.seq, old.body.Event, c.body.Event)
			}
			continue
		}
		seen[c.seq] = c
		list = append(list, c)
	}
	return list, repeats
}

// hooked makes the webhook of a box.
func (b *box) hooked(s *software, in wire.NewWebhook) {
	b.t.Helper()
	in.URL = s.url()
	var made wire.Webhook
	if status, err := b.call("PUT", "/api/v1/webhooks/software", in, &made); err != nil || status != http.StatusCreated || made.Secret == "" {
		b.t.Fatalf("PUT webhook: %d %v %+v", status, err, made)
	}
	s.trust(made.Secret)
}

// log reads all events after one that a webhook is told of.
func (b *box) events(after uint64) (list []wire.Event) {
	b.t.Helper()
	for {
		var page wire.Happened
		if status, err := b.call("GET", fmt.Sprintf("/api/v1/events?limit=1000&after=%d", after), nil, &page); err != nil || status != http.StatusOK {
			b.t.Fatalf("GET events: %d %v", status, err)
		}
		for _, e := range page.Items {
			if after = e.Seq; e.Kind != "hook" {
				list = append(list, e)
			}
		}
		if page.Next == "" {
			return list
		}
	}
}

// toldAll waits until the software knows every event since one, and holds its
// list against the log: nothing is missing, nothing is in another order.
func (b *box) toldAll(s *software, after uint64) (repeats int) {
	b.t.Helper()
	var want []wire.Event
	eventually(b.t, "the software knows everything", func() (bool, string) {
		want = b.events(after)
		list, _ := s.first()
		return len(list) > 0 && list[len(list)-1].seq >= want[len(want)-1].Seq, fmt.Sprintf("%d of %d", len(list), len(want))
	})
	got, repeats := s.first()
	for i, e := range want {
		if i >= len(got) || got[i].seq != e.Seq || got[i].body.Event.Kind != e.Kind || got[i].body.Event.Msg != e.Msg {
			b.t.Fatalf("event %d of the log is %+v; heard was %+v", i, e, got[min(i, len(got)-1)].body.Event)
		}
	}
	return repeats
}

func (b *box) webhook() (wh wire.Webhook) {
	b.t.Helper()
	if status, err := b.call("GET", "/api/v1/webhooks/software", nil, &wh); err != nil || status != http.StatusOK {
		b.t.Fatalf("GET webhook: %d %v", status, err)
	}
	return wh
}

// Everything that happens is told in its order, signed and numbered: while all is
// well, after the software was away, and across kills of the daemon; and again
// from any event on.
func TestWebhookIsToldEverything(t *testing.T) {
	const own = "+31600000001" // a message to it comes back in
	bin := build(t, "")
	radio := startRadio(t, bin, "-number", own)
	b := newBox(t, bin, modemTable("counter", radio.port))
	b.start("-log", "info")
	b.makeKey("send,read,admin")
	s := newSoftware(t)
	b.hooked(s, wire.NewWebhook{Text: true})
	begin := b.webhook().Cursor

	var test wire.WebhookTest
	if status, err := b.call("POST", "/api/v1/webhooks/software/test", nil, &test); err != nil || status != http.StatusOK || !test.OK || test.Status != http.StatusNoContent {
		t.Errorf("the test button: %d %v %+v", status, err, test)
	}
	if c := s.heard(); len(c) != 1 || c[0].seq != 0 || c[0].body.Event.Code != "test" {
		t.Errorf("the test was heard as %+v", c)
	}

	out := b.post(hello("+31612345678", "Uw fiets is klaar"))
	b.becomes(out.ID, "delivered")
	b.post(hello(own, "Is mijn fiets klaar?"))
	eventually(t, "the answer is told", func() (bool, string) {
		list, _ := s.first()
		for _, c := range list {
			if in := c.body.Inbound; c.body.Event.Kind == "received" && in != nil && in.Text == "Is mijn fiets klaar?" {
				return true, ""
			}
		}
		return false, fmt.Sprint(len(list), " events")
	})
	b.toldAll(s, begin)
	var story []string
	list, _ := s.first()
	for _, c := range list {
		if c.body.Event.Msg == out.ID {
			if story = append(story, c.body.Event.Kind); c.body.Message == nil || c.body.Message.Text != out.Text {
				t.Errorf("the message is told as %+v", c.body.Message)
			}
		}
	}
	if !slices.Equal(story, []string{"accepted", "taken", "sent", "report"}) {
		t.Errorf("its story was heard as %q", story)
	}

	// Away: what happens meanwhile is told when it is back, by itself.
	s.close()
	for n := range 3 {
		b.becomes(b.post(hello("+31612345678", fmt.Sprint("meanwhile ", n))).ID, "delivered")
	}
	eventually(t, "the page says that nobody answers", func() (bool, string) {
		wh := b.webhook()
		return wh.Tries > 0 && wh.Error != "" && wh.Due != nil && wh.Behind > 0, fmt.Sprintf("%+v", wh)
	})
	s.open()
	b.toldAll(s, begin)

	// Killed: at least once, and what comes twice has the number it had.
	for n := range 6 {
		before := len(s.heard())
		m := b.post(hello("+31612345678", fmt.Sprint("kill ", n)))
		eventually(t, "something of it is told", func() (bool, string) {
			return len(s.heard()) > before, m.ID
		})
		b.kill()
		b.start("-log", "info")
	}
	repeats := b.toldAll(s, begin)
	if repeats == 0 {
		t.Error("no kill came between a call and the note of it: nothing was proved")
	}
	t.Logf("%d events were told, %d of them again after a kill", len(b.events(begin)), repeats)

	// Again from an event on.
	all := b.events(begin)
	from := all[len(all)/2]
	before := len(s.heard())
	if status, err := b.call("POST", "/api/v1/webhooks/software/replay", wire.Replay{After: &from.Seq}, nil); err != nil || status != http.StatusOK {
		t.Fatalf("replay: %d %v", status, err)
	}
	want := all[len(all)/2+1:]
	eventually(t, "it is told again", func() (bool, string) {
		n := len(s.heard()) - before
		return n >= len(want), fmt.Sprintf("%d of %d", n, len(want))
	})
	for i, c := range s.heard()[before:][:len(want)] {
		if c.seq != want[i].Seq {
			t.Errorf("call %d of the replay tells event %d, want %d", i, c.seq, want[i].Seq)
		}
	}
	b.must("check")
}

// A webhook that listens for answers alone is told what a list came to, because
// the list names it.
func TestWebhookIsToldTheOutcomeOfAList(t *testing.T) {
	bin := build(t, "")
	radio := startRadio(t, bin, "-magic")
	b := newBox(t, bin, modemTable("counter", radio.port))
	b.start("-log", "info")
	b.makeKey("send,read,manage,admin")
	s := newSoftware(t)
	b.hooked(s, wire.NewWebhook{Kinds: []string{"received"}})
	batch := func(hook string) (int, reach.Started) {
		var started reach.Started
		status, err := b.call("POST", "/api/v1/batches", a{
			"recipients": []a{{"to": "+31612345678"}, {"to": "+31612340002", "ref": "B-2"}}, "texts": a{"en": "See you on Saturday"},
			"class": "transactional", "external_id": "L-1", "notify": a{"webhook": hook},
		}, &started)
		if err != nil {
			t.Fatal(err)
		}
		return status, started
	}
	if status, _ := batch("softwear"); status != http.StatusBadRequest {
		t.Errorf("a notice to nobody: %d", status)
	}
	status, started := batch("software")
	if status != http.StatusAccepted {
		t.Fatalf("POST batch: %d", status)
	}
	eventually(t, "the outcome is told", func() (bool, string) { return len(s.heard()) > 0, "" })
	calls := s.heard()
	o := calls[0].body.Outcome
	if len(calls) != 1 || calls[0].body.Event.Kind != "campaign" || calls[0].body.Event.Code != "done" || o == nil {
		t.Fatalf("heard was %+v", calls)
	}
	if o.Name != started.ID || o.Kind != "batch" || o.ExternalID != "L-1" || o.Recipients != 2 || o.States["delivered"] != 1 || o.States["failed"] != 1 {
		t.Errorf("the outcome is %+v", o)
	}
	if len(o.Failures) != 1 || o.Failures[0].Why == "" || o.Failures[0].Row == 0 {
		t.Errorf("its failures are %+v", o.Failures)
	}
}

// A till has itself called back with a message: in order, signed with what only
// the holder of its key can make. A till may never name this machine itself, so
// the daemon of this test is built without that rule (its test is in
// queue/hook).
func TestCallbackTellsTheTill(t *testing.T) {
	bin := build(t, overlay(t, "queue/hook/dial.go", [][2]string{{"t := &target{url: address, secret: secret}", "t := &target{url: address, secret: secret, local: true}"}}))
	radio := startRadio(t, bin)
	b := newBox(t, bin, modemTable("counter", radio.port))
	b.start("-log", "info")
	s := newSoftware(t)
	var k wire.Key
	if err := json.Unmarshal([]byte(b.must("-json", "key", "add", "till", "-scope", "send", "-callback", s.addr)), &k); err != nil {
		t.Fatal(err)
	}
	b.key = k.Key
	sum := sha256.Sum256([]byte(k.Key))
	s.trust(hex.EncodeToString(sum[:]))

	in := hello("+31612345678", "Uw fiets is klaar")
	in.Callback = s.url()
	m := b.post(in)
	b.post(hello("+31612345678", "nobody is told of this one"))
	eventually(t, "its delivery is told", func() (bool, string) {
		calls := s.heard()
		return len(calls) > 0 && calls[len(calls)-1].body.Event.State == "delivered", fmt.Sprintf("%+v", calls)
	})
	last := uint64(0)
	for _, c := range s.heard() {
		if c.body.Event.Msg != m.ID || c.body.Hook != "" || c.seq <= last {
			t.Errorf("event %d is told: %+v", c.seq, c.body.Event)
		}
		last = c.seq
	}
	elsewhere := in
	elsewhere.Callback = "http://127.0.0.1:1/hook"
	if p := b.refusal(elsewhere, http.StatusBadRequest); p.Field != "callback" {
		t.Errorf("%+v", p)
	}
}
