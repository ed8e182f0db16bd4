package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillpost/queue/route/email/mailsim"
	"tillpost/webui/api/wire"
)

// startPost starts a mail server with TLS and a login, and the [email] table of a
// box that uses it. The box's files are written by intoBox.
func startPost(t testing.TB) (s *mailsim.Server, table string, intoBox func(*box)) {
	t.Helper()
	secure, pem, err := mailsim.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if s, err = mailsim.New(mailsim.Config{TLS: secure, Users: map[string]string{"shop": "Zeer-geheim-1"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	table = fmt.Sprintf("[email]\nhost = \"127.0.0.1\"\nport = %d\nuser = \"shop\"\npassword_file = \"smtp-password\"\nca_file = \"mail.pem\"\nfrom = \"Shop <shop@example.nl>\"\n", s.Port())
	return s, table, func(b *box) {
		for name, data := range map[string][]byte{"smtp-password": []byte("Zeer-geheim-1\n"), "mail.pem": pem} {
			if err := os.WriteFile(filepath.Join(b.dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The real daemon with [email]: it logs in over TLS, sends, says on its routes how
// that is, and keeps password, address and text out of its log.
func TestMessageByEmail(t *testing.T) {
	s, table, intoBox := startPost(t)
	b := newBox(t, build(t, ""), table)
	intoBox(b)
	b.start()
	b.makeKey("send,read,admin")
	m := b.post(wire.Send{Channel: "email", To: "zoetemelk@example.nl", Text: "Uw bestelling Wielewaal is klaar.", Later: wire.Later{Subject: "Klaar"}})
	if got := b.becomes(m.ID, "sent"); got.Code != "mail_sent" || got.Route != "email" {
		t.Errorf("%+v", got)
	}
	mails := letters(t, s)
	if len(mails) != 1 || mails[0].to != "zoetemelk@example.nl" || mails[0].subject != "Klaar" || mails[0].text != "Uw bestelling Wielewaal is klaar." {
		t.Errorf("%v", mails)
	}
	if sent := s.Mails()[0]; !sent.TLS || sent.User != "shop" {
		t.Errorf("%+v", sent)
	}
	var routes wire.Page[wire.Route]
	if status, err := b.call("GET", "/api/v1/routes", nil, &routes); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	found := false
	for _, r := range routes.Items {
		found = found || r.Name == "email" && r.Kind == "email" && r.Pool == "email" && r.State == "ready"
	}
	if !found {
		t.Errorf("%+v", routes.Items)
	}
	s.Script(mailsim.Fault{At: mailsim.RcptTo, Reply: "550 5.1.1 <zoetemelk@example.nl> unknown here"})
	if got := b.becomes(b.post(wire.Send{Channel: "email", To: "zoetemelk@example.nl", Text: "Nog iets"}).ID, "failed"); got.Code != "mail_refused" {
		t.Errorf("%+v", got)
	}
	b.stop()
	for _, secret := range []string{"Zeer-geheim-1", "zoetemelk", "Wielewaal", "Nog iets"} {
		if strings.Contains(b.log.since(0), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// Mails are on their way while the daemon is killed again and again, on both sides
// of the final dot. Whoever got an id has their mail, or their message says that it
// does not know; nobody has two, but who was resent to by a person or the policy.
// Two mails of one message are told by their Message-ID.
func TestCrashByEmail(t *testing.T) {
	const each = 20
	kills := asked(t, "TILLPOST_MAIL_KILLS", 9)
	moments := []mailsim.Point{mailsim.Dot, mailsim.RcptTo, mailsim.Data}
	s, table, intoBox := startPost(t)
	b := newBox(t, build(t, ""), table)
	intoBox(b)
	b.start("-log", "info")
	b.makeKey("send,read,admin")
	ids := map[string]string{} // address → id
	for kill := range kills {
		for i := range each {
			if i == each/2 { // the first half flows, and the server falls silent in the middle
				s.Script(mailsim.Fault{At: moments[kill%len(moments)], Hold: true, Stays: true})
			}
			to := fmt.Sprintf("k%d-%d@example.nl", kill, i)
			var m wire.Message
			if status, err := b.call("POST", "/api/v1/messages", wire.Send{Channel: "email", To: to, Text: "Tot zaterdag"}, &m); err != nil || status != http.StatusAccepted {
				t.Fatal(status, err)
			}
			ids[to] = m.ID
		}
		eventually(t, "a mail is in the middle", func() (bool, string) { return s.Held() > 0, "none is" })
		b.kill()
		s.Clear()
		s.Release()
		b.start("-log", "info")
	}
	rest := func() (bool, string) {
		n := len(b.list("queued")) + len(b.list("sending"))
		return n == 0, fmt.Sprintf("%d wait", n)
	}
	eventually(t, "the rest has left", rest)
	b.must("check")

	arrived := func() map[string]int { // whole mails, by the id in their Message-ID
		n := map[string]int{}
		for _, m := range s.Mails() {
			_, rest, _ := strings.Cut(string(m.Data), "Message-ID: <")
			id, _, _ := strings.Cut(rest, ".")
			n[id]++
		}
		return n
	}
	unknown := map[string]bool{}
	before := arrived()
	for to, id := range ids {
		m := b.message(id)
		switch n := before[id]; {
		case m.State == "sent" && n != 1:
			t.Errorf("%s is sent, and %d mails arrived", to, n)
		case m.State == "unknown":
			if unknown[id] = true; n > 1 {
				t.Errorf("%s is unknown, and %d mails arrived", to, n)
			}
		case m.State != "sent":
			t.Errorf("%s is %s: %s", to, m.State, m.Reason)
		}
	}
	if len(before) > len(ids) {
		t.Errorf("%d messages arrived of %d accepted", len(before), len(ids))
	}
	// A person sends the unknown ones again: now everybody has theirs, and only
	// these may have two.
	for id := range unknown {
		if status, err := b.call("POST", "/api/v1/messages/"+id+"/resend", nil, nil); err != nil || status != http.StatusOK {
			t.Errorf("resend %s: %d %v", id, status, err)
		}
	}
	eventually(t, "the resent ones have left", rest)
	doubled := 0
	for to, id := range ids {
		n := arrived()[id]
		if n == 2 && unknown[id] {
			doubled++
		} else if n != 1 {
			t.Errorf("%s has %d mails", to, n)
		}
	}
	if len(unknown) < kills || doubled == 0 || doubled == len(unknown) {
		t.Errorf("%d kills left %d in doubt, of which %d had arrived: both sides of the dot are to be proved", kills, len(unknown), doubled)
	}
	t.Logf("%d mails, %d kills: lost 0, unknown %d, of which %d had arrived and were doubled by the person who resent them", len(ids), kills, len(unknown), doubled)
}
