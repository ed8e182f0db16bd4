package email

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/email/mailsim"
)

// judged is a mail as somebody else's server and parser saw it.
type judged struct {
	From       string    `json:"from"`
	To         []string  `json:"to"`
	HeaderFrom string    `json:"header_from"`
	HeaderTo   string    `json:"header_to"`
	Subject    string    `json:"subject"`
	Text       string    `json:"text"`
	HTML       string    `json:"html"`
	Names      []string  `json:"names"`
	ID         string    `json:"id"`
	Date       time.Time `json:"date"`
	Defects    []string  `json:"defects"`
	TLS        bool      `json:"tls"`
	User       string    `json:"user"`
}

// judge starts Debian's aiosmtpd (testdata/judge.py) and returns a route to it
// and what it says of each mail.
func judge(t *testing.T) (*Route, func() judged) {
	t.Helper()
	const program = "/usr/bin/python3" // Debian's own: it has Debian's packages
	if out, err := exec.Command(program, "-c", "import aiosmtpd").CombinedOutput(); err != nil {
		t.Fatalf("aiosmtpd is missing (%v): apt-get install python3-aiosmtpd\n%s", err, out)
	}
	secure, public, err := mailsim.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(secure.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, data := range map[string][]byte{certFile: public, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-W", "ignore", "testdata/judge.py", certFile, keyFile)
	cmd.Stderr = t.Output()
	stop, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		stop.Close()
		deadline := time.AfterFunc(within, func() { cmd.Process.Kill() })
		defer deadline.Stop()
		for range lines { // until it has ended
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the judge: %v", err)
		}
	})
	next := func() string {
		select {
		case line, ok := <-lines:
			if ok {
				return line
			}
			t.Fatal("the judge has ended")
		case <-time.After(within):
			t.Fatal("the judge says nothing")
		}
		return ""
	}
	port, err := strconv.Atoi(next())
	if err != nil {
		t.Fatal(err)
	}
	r, _ := ready(t, Config{
		Name: "email", Host: "127.0.0.1", Port: port, Trust: trust(t, public), User: "shop", Password: "secret",
		From: "Fietsen Åkerström & Söhne <shop@example.nl>", Unsubscribe: "https://example.nl/stop", Timers: quick,
	})
	return r, func() (j judged) {
		if err := json.Unmarshal([]byte(next()), &j); err != nil {
			t.Fatal(err)
		}
		return j
	}
}

// Somebody else's server takes our mails and somebody else's parser reads them
// as they were written: in four languages, with emoji, in lines of every length.
func TestAJudgeNotWrittenHere(t *testing.T) {
	r, next := judge(t)
	for name, c := range map[string]struct{ subject, text, html string }{
		"nl":            {"Zoë, uw fiets is klaar 🚲", "Beste Zoë,\n\nUw fiets “Åsa” is klaar – kosten € 45,50.\nTot straks!", "<p>Beste Zoë, uw fiets is <b>klaar</b> 🚲</p>"},
		"sv":            {"Påminnelse: besök i morgon kl. 09.30", "Hej Åsa!\nVälkommen till frisören i Örebro på tisdag. Ändra tiden? Ring oss 📞", ""},
		"de":            {"Ihre Prüfung läuft ab: Öl- und Bremsencheck", "Grüße aus Köln,\nIhr Fahrzeug 🚗 ist am 23.04.2027 fällig – „Straße“ ß.", "<p>Grüße aus Köln</p>"},
		"en":            {"Your order is ready", "Hello,\n\nyour order is ready 🎉🎊.\n", ""},
		"emoji only":    {"👩‍👩‍👧‍👦🏳️‍🌈", "👍🏽", "<p>👍🏽</p>"},
		"long lines":    {strings.Repeat("Ångström ", 22), strings.Repeat("woord ", 3000), "<p>" + strings.Repeat("ä", 5000) + "</p>"},
		"dots and from": {"...", ".\n..\n.dot\nFrom here\n=3D trailing blank \n\ttab", ""},
	} {
		out := route.Outbound{ID: "0abc", Attempt: 3, To: "anna.smit@example.nl", Subject: c.subject, Text: c.text, HTML: c.html, Marketing: name == "sv"}
		if _, err := r.Send(t.Context(), out); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := next()
		if strings.TrimSpace(got.Subject) != strings.TrimSpace(c.subject) {
			t.Errorf("%s: the subject reads %q, want %q", name, got.Subject, c.subject)
		}
		// Lines end as a mail's do, the last one too.
		if strings.TrimSuffix(lineEnds(got.Text), "\n") != strings.TrimSuffix(c.text, "\n") || strings.TrimSuffix(lineEnds(got.HTML), "\n") != c.html {
			t.Errorf("%s: it reads %.200q and %.200q", name, got.Text, got.HTML)
		}
		if got.From != "shop@example.nl" || !slices.Equal(got.To, []string{"anna.smit@example.nl"}) || got.HeaderTo != "anna.smit@example.nl" || got.HeaderFrom != "Fietsen Åkerström & Söhne" {
			t.Errorf("%s: from %s (%s) to %v (%s)", name, got.From, got.HeaderFrom, got.To, got.HeaderTo)
		}
		if got.ID != "<0abc.3@example.nl>" || time.Since(got.Date).Abs() > time.Minute || len(got.Defects) > 0 || !got.TLS || got.User != "shop" {
			t.Errorf("%s: %+v", name, got)
		}
		if slices.Contains(got.Names, "List-Unsubscribe-Post") != (name == "sv") || !slices.Contains(got.Names, "Auto-Submitted") {
			t.Errorf("%s: the headers are %v", name, got.Names)
		}
	}
}
