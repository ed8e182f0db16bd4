package webui

import (
	"strings"
	"testing"
)

// The mail server is set on a page of its own; its password is never shown
// again, and an empty field keeps the one there is.
func TestMailServerFromThePage(t *testing.T) {
	s := openShop(t)
	b := s.browser(t)
	if _, body := b.get("/settings/email?lang=en"); !strings.Contains(body, `id="m-host"`) || !strings.Contains(body, `placeholder="mail.example"`) {
		t.Fatalf("the form:\n%s", body)
	}
	if resp, body := b.post("/settings/email", "host", "mail.example", "port", "many"); resp.StatusCode != 400 || !strings.Contains(body, `value="many"`) || s.changed.Load() != 0 {
		t.Errorf("a port in words: %s\n%s", resp.Status, body)
	}
	resp, body := b.post("/settings/email", "host", "mail.example", "port", "465", "user", "shop", "password", "heel geheim", "from", "Shop <shop@example.nl>")
	if resp.StatusCode != 200 || !strings.Contains(body, "the mail server then stands among the ways out") || strings.Contains(body, "heel geheim") {
		t.Errorf("%s\n%s", resp.Status, body)
	}
	for key, want := range map[string]string{"email.host": `"mail.example"`, "email.port": "465", "email.password": `"heel geheim"`, "email.from": `"Shop \u003cshop@example.nl\u003e"`, "email.reply_to": ""} {
		if got := s.stored(key); got != want {
			t.Errorf("%s is kept as %s, want %s", key, got, want)
		}
	}
	b.post("/settings/email", "host", "smtp.example", "port", "", "user", "shop", "password", "", "from", "shop@example.nl", "forward_inbox", "shop@example.nl, chef@example.nl;  els@example.nl")
	if to := s.stored("email.forward_inbox"); to != `["shop@example.nl","chef@example.nl","els@example.nl"]` {
		t.Errorf("replies are carried on to %s", to)
	}
	if host, port, pw := s.stored("email.host"), s.stored("email.port"), s.stored("email.password"); host != `"smtp.example"` || port != "" || pw != `"heel geheim"` {
		t.Errorf("kept %s, %s, %s", host, port, pw)
	}
	b.post("/settings/email", "do", "none")
	if host, pw := s.stored("email.host"), s.stored("email.password"); host != "" || pw != "" || s.changed.Load() != 3 {
		t.Errorf("no e-mail leaves %s and %s, after %d beginnings", host, pw, s.changed.Load())
	}
	if strings.Contains(s.log.String(), "heel geheim") {
		t.Error("the password is in the log")
	}
}
