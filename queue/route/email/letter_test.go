package email

import (
	"bytes"
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// letters of a route for tests.
func letterOf(t *testing.T, cfg Config, out route.Outbound) []byte {
	t.Helper()
	cfg.Name, cfg.Host = "email", "mail.example"
	if cfg.From == "" {
		cfg.From = "Fietsen Åkerström <Shop@Example.nl>"
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	to, err := text.ParseAddress(out.To)
	if err != nil {
		t.Fatal(err)
	}
	return r.letter(&out, to, time.Date(2026, 11, 24, 15, 4, 5, 0, time.FixedZone("", 3600)))
}

func TestLetter(t *testing.T) {
	data := letterOf(t, Config{ReplyTo: "Balie <balie@example.nl>", Unsubscribe: "mailto:stop@example.nl"},
		route.Outbound{ID: "0abc", Attempt: 2, To: "anna@example.nl", Subject: "Zoë, uw fiets is klaar 🚲", Text: "Beste Zoë,\n\n.punt\nTot straks", HTML: "<p>Beste Zoë</p>"})
	h, body, html := read(t, data)
	for name, want := range map[string]string{
		"Date": "Tue, 24 Nov 2026 15:04:05 +0100", "Message-ID": "<0abc.2@example.nl>", "Auto-Submitted": "auto-generated",
		"To": "<anna@example.nl>", "Mime-Version": "1.0", "List-Unsubscribe": "", "List-Unsubscribe-Post": "", "X-Mailer": "", "User-Agent": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != "Zoë, uw fiets is klaar 🚲" {
		t.Errorf("the subject reads %q, %v", subject, err)
	}
	if from, err := h.AddressList("From"); err != nil || from[0].Name != "Fietsen Åkerström" || from[0].Address != "shop@example.nl" {
		t.Errorf("from %v, %v", from, err)
	}
	if reply, err := h.AddressList("Reply-To"); err != nil || reply[0].Address != "balie@example.nl" {
		t.Errorf("reply to %v, %v", reply, err)
	}
	if body != "Beste Zoë,\n\n.punt\nTot straks" || html != "<p>Beste Zoë</p>" {
		t.Errorf("it reads %q and %q", body, html)
	}
}

func TestAdvertisingSaysHowToEndIt(t *testing.T) {
	out := route.Outbound{ID: "0abc", Attempt: 1, To: "anna@example.nl", Subject: "x", Text: "x", Marketing: true}
	for unsubscribe, want := range map[string][2]string{
		"":                                 {},
		"mailto:stop@example.nl":           {"<mailto:stop@example.nl?subject=stop%200abc>", ""},
		"mailto:stop@example.nl?subject=x": {"<mailto:stop@example.nl?subject=x>", ""},
		"https://example.nl/stop":          {"<https://example.nl/stop>", "List-Unsubscribe=One-Click"},
	} {
		h, _, _ := read(t, letterOf(t, Config{Unsubscribe: unsubscribe}, out))
		if got := [2]string{h.Get("List-Unsubscribe"), h.Get("List-Unsubscribe-Post")}; got != want {
			t.Errorf("%q: %q, want %q", unsubscribe, got, want)
		}
	}
}

// Whatever stands in a subject, a name or a text, the mail has the headers that
// we wrote, one body, and lines that every server carries.
func TestNothingIsInjected(t *testing.T) {
	nasty := []string{
		"x\r\nBcc: all@example.nl", "x\nBcc: all@example.nl", "x\rBcc: all@example.nl", "x\r\n\r\nbody", "x\x00y", "x\x7fy",
		"=?utf-8?q?x=0D=0ABcc:_all@example.nl?=", strings.Repeat("Ünïcode 🚲 ", 400), strings.Repeat("x", 900), "\r\n.\r\nMAIL FROM:<a@b.example>\r\n", "--=_0abc--\r\n--=_0abc",
	}
	names := regexp.MustCompile(`(?m)^([A-Za-z-]+):`)
	for _, s := range nasty {
		for _, name := range []string{"", s} {
			cfg := Config{}
			if name != "" {
				cfg.From = `"` + strings.NewReplacer(`"`, "", `\`, "").Replace(name) + `" <shop@example.nl>`
				if _, err := New(Config{Name: "email", Host: "mail.example", From: cfg.From}); err != nil {
					continue // a clear refusal
				}
			}
			data := letterOf(t, cfg, route.Outbound{ID: "0abc", Attempt: 1, To: "anna@example.nl", Subject: s, Text: s, HTML: "<p>" + s})
			head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
			var got []string
			for _, m := range names.FindAllStringSubmatch(string(head), -1) {
				got = append(got, m[1])
			}
			if list := strings.Join(got, " "); list != "From To Subject Date Message-ID Auto-Submitted MIME-Version Content-Type" {
				t.Errorf("%q: the headers are %s", s, list)
			}
			for line := range strings.SplitSeq(strings.TrimSuffix(string(data), "\r\n"), "\r\n") {
				if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
					t.Errorf("%.40q: a line is %.100q", s, line)
				}
			}
			h, body, html := read(t, data)
			if _, err := mail.ParseAddressList(h.Get("From")); err != nil || h.Get("Bcc") != "" {
				t.Errorf("%q: %v", s, err)
			}
			want := lineEnds(s)
			if body != want || html != "<p>"+want {
				t.Errorf("%.40q reads %.60q and %.60q", s, body, html)
			}
		}
	}
}
