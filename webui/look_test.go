package webui

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
)

// TestInABrowser is the page as people have it: in Debian's Chromium, at a
// desk and on a telephone. One browser serves all of it. With ARTEFACTS set,
// pictures of every page are kept there.
func TestInABrowser(t *testing.T) {
	c := startChromium(t)

	t.Run("a new box is set up, and somebody comes in", func(t *testing.T) {
		counter := newHandy("Counter")
		counter.AutoReport(500 * time.Millisecond)
		s := openShop(t, counter)
		until(t, func() bool { return s.queue.Routes()[0].State == route.Ready })
		counter.SetStatus(route.Status{State: route.Hand, Code: "sim_pin", Since: time.Now()})
		w := c.open(t, s.url, desk)
		w.visit("/setup?lang=en")
		w.picture("wizard-1-password-1280-light")
		w.fill("#code", s.codes[0])
		w.fill("#pw", password)
		w.click("form.stack .btn")
		w.until(`location.pathname === "/setup/place"`)
		w.picture("wizard-2-place-1280-light")
		w.click("form.stack .btn")
		w.until(`location.pathname === "/setup/modem"`)
		w.shows(queue.Words("sim_pin", "en", nil))
		w.picture("wizard-3-modem-1280-light")
		w.click(".acts .btn")
		w.until(`location.pathname === "/setup/pin"`)
		w.picture("wizard-4-pin-1280-light")
		w.fill("#pin-Counter", "1234")
		w.key("Enter", 13)
		w.until(`location.pathname === "/setup/test"`)
		counter.SetStatus(route.Status{State: route.Ready, Since: time.Now()})
		w.picture("wizard-5-test-1280-light")
		w.fill("#me", "06 12 34 56 78")
		w.click("form.stack .btn")
		w.until(`location.pathname.startsWith("/messages/")`)
		w.until(`document.querySelector("#live-verdict h1").innerText.startsWith("Delivered at")`)
	})

	t.Run("a wrong password is told, the right one opens", func(t *testing.T) {
		s := openShop(t)
		if err := s.site.SetPassword(t.Context(), password); err != nil {
			t.Fatal(err)
		}
		w := c.open(t, s.url, phone)
		w.forgive("status of 403") // the browser's word for a wrong password
		w.visit("/")
		w.until(`location.pathname === "/login"`)
		w.fill("#pw", "not this one")
		w.key("Enter", 13)
		w.shows("This is not the password.")
		w.login("")
		w.until(`location.pathname === "/"`)
	})

	t.Run("the lamp turns and says why", func(t *testing.T) {
		counter := modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71)
		counter.AutoReport(200 * time.Millisecond)
		s := openShop(t, counter)
		w := c.open(t, s.url, desk)
		w.visit("/?lang=en")
		w.until(`document.documentElement.dataset.lamp === "ok"`)
		w.until(`document.title.startsWith("✓")`)
		counter.SetStatus(route.Status{State: route.Hand, Code: "modem_gone", Since: time.Now()})
		w.until(`document.documentElement.dataset.lamp === "warn"`)
		w.shows(queue.Words("modem_gone", "en", nil))
		m := s.add("0612345678", "Dit wacht")
		w.until(`document.documentElement.dataset.lamp === "stop" && document.title.startsWith("✕")`)
		w.picture("overview-stopped-1280-light")
		counter.SetStatus(route.Status{State: route.Ready, Since: time.Now()})
		s.becomes(m.ID, queue.Delivered)
		w.until(`document.documentElement.dataset.lamp === "ok"`)
	})

	t.Run("somebody writes, and sees it arrive without loading again", func(t *testing.T) {
		counter := modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71)
		counter.AutoReport(500 * time.Millisecond)
		s := openShop(t, counter)
		w := c.open(t, s.url, desk)
		w.visit("/write?lang=en")
		w.fill("#to", "06 12 34 56 78")
		w.fill("#text", "Goedemiddag mevrouw De Vries, uw fiets is nagekeken en klaar. De foto’s staan bij de kassa, in het album 📷. De kosten zijn € 84,50. Ophalen kan tot 18:00.")
		w.until(`document.querySelector(".count .big").innerText === "3 SMS"`)
		w.shows("Some characters make this text cost 3 SMS instead of 1.")
		w.until(`document.querySelector("#arrives mark")`)
		w.picture("write-dear-1280-light")
		w.click("button[data-text]")
		w.until(`document.querySelector(".count .big").innerText === "1 SMS"`)
		w.click("button[value=send]")
		w.until(`location.pathname.startsWith("/messages/")`)
		if _, err := w.eval("window.stillHere = true"); err != nil {
			t.Fatal(err)
		}
		w.until(`document.querySelector("#live-verdict h1").innerText.startsWith("Delivered at")`)
		w.until("window.stillHere")
	})

	t.Run("without scripts it works too", func(t *testing.T) {
		counter := modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71)
		s := openShop(t, counter)
		b := s.browser(t) // which has none
		_, body := b.post("/write", "to", "0612345678", "text", "foto’s 📷", "do", "use 📷")
		if !strings.Contains(body, "SMS</span>") || strings.Contains(body, `value="use 📷"`) && !strings.Contains(body, "nothing plain") {
			t.Errorf("the counter without a script:\n%s", body)
		}
		resp, body := b.post("/write", "to", "0612345678", "text", "Uw fiets is klaar", "do", "send")
		if !strings.HasPrefix(resp.Request.URL.Path, "/messages/") || !strings.Contains(body, "Uw fiets is klaar") {
			t.Errorf("sending led to %s\n%s", resp.Request.URL, body)
		}
	})

	t.Run("another language, and it stays", func(t *testing.T) {
		s := openShop(t)
		w := c.open(t, s.url, desk)
		w.visit("/?lang=en")
		for lang, word := range map[string]string{"nl": "Overzicht", "sv": "Översikt", "de": "Übersicht"} {
			_, err := w.eval(fmt.Sprintf(`(() => { const s = document.querySelector("[data-lang]"); s.value = %q; s.dispatchEvent(new Event("change", { bubbles: true })); })()`, lang))
			if err != nil {
				t.Fatal(err)
			}
			w.until(fmt.Sprintf(`document.documentElement.lang === %q`, lang))
			w.shows(word)
			w.visit("/")
			w.until(fmt.Sprintf(`document.documentElement.lang === %q`, lang))
		}
	})

	t.Run("every page at a desk and on a telephone", func(t *testing.T) {
		s := furnish(t)
		axe := readAxe(t)
		for name, v := range map[string]view{"1280-light": desk, "390-dark": phone} {
			w := c.open(t, s.url, v)
			w.visit("/login?lang=nl")
			w.picture("login-" + name)
			w.examine(axe)
			w.login("")
			w.forgive("status of 404.*/nothing") // which is what there is
			for _, p := range s.everyPage() {
				w.visit(p.path)
				w.picture(p.name + "-" + name)
				w.examine(axe)
			}
			ground, err := w.eval(`getComputedStyle(document.body).backgroundColor`)
			if want := map[bool]string{false: "rgb(237, 240, 240)", true: "rgb(15, 22, 27)"}[v.dark]; err != nil || ground != want {
				t.Errorf("%s: the ground is %v, want %s (%v)", name, ground, want, err)
			}
		}
	})
}

// pageAt is a page of a furnished shop and what its picture is called.
type pageAt struct{ name, path string }

// everyPage of a furnished shop that somebody with all rights can see.
func (s *furnished) everyPage() []pageAt {
	return []pageAt{
		{"overview", "/"},
		{"messages", "/messages"},
		{"messages-none", "/messages?state=cancelled"},
		{"message-delivered", "/messages/" + s.long.ID.String()},
		{"message-unsure", "/messages/" + s.lost.ID.String()},
		{"message-failed", "/messages/" + s.refused.ID.String()},
		{"messages-found", "/messages?q=herinnering&since=2026-01-01"},
		{"write", "/write"},
		{"inbox", "/inbox"},
		{"conversation", "/inbox/" + itoa(s.asked)},
		{"contacts", "/contacts"},
		{"contacts-out", "/contacts?who=out"},
		{"contacts-nobody", "/contacts?q=zebra"},
		{"contact", "/contact/D1001"},
		{"contact-say", "/contact/D1001?withdraw=marketing"},
		{"contact-out", "/contact/D1003"},
		{"contact-new", "/contacts/new"},
		{"contact-edit", "/contact/D1001/edit"},
		{"contact-erase", "/contact/D1001/erase"},
		{"import", "/contacts/import"},
		{"import-look", s.brought(customers, nil)},
		{"import-done", s.brought(customers, &imported{Rows: 6, Added: 1, Changed: 1, Refused: 4, At: time.Now()})},
		{"texts", "/texts"},
		{"text", "/texts/winterbeurt"},
		{"text-draft", "/texts/klaar?channel=sms&in=sv"},
		{"settings-ways", "/settings"},
		{"settings-values", "/settings/values"},
		{"settings-keys", "/settings/keys"},
		{"settings-people", "/settings/people"},
		{"settings-email", "/settings/email"},
		{"settings-hooks", "/settings/hooks"},
		{"settings-hook", "/settings/hooks/software"},
		{"settings-log", "/settings/log"},
		{"settings-backup", "/settings/backup"},
		{"way-modem", "/ways/Counter"},
		{"way-modem-trace", "/ways/Counter?trace=1"},
		{"way-provider", "/ways/Provider"},
		{"wizard-place", "/setup/place"},
		{"wizard-modem", "/setup/modem"},
		{"wizard-pin", "/setup/pin"},
		{"wizard-test", "/setup/test"},
		{"manual-managers", "/manual"},
		{"manual-customers", "/manual/customers"},
		{"manual-outreach", "/manual/outreach"},
		{"manual-technicians", "/manual/technicians"},
		{"manual-tills", "/manual/tills"},
		{"manual-failures", "/manual/failures"},
		{"nothing", "/nothing"},
	}
}

// npmAxe is the accessibility checker that every page is held against.
const npmAxe = "axe-core@4.10.3"

// readAxe fetches it by npm, once for all pages.
func readAxe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", npmAxe)
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install %s: %v\n%s", npmAxe, err, out)
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// examine holds the page against WCAG 2.2 A and AA, and good practice. What
// the checker calls serious or critical fails the test.
func (w *window) examine(axe string) {
	w.t.Helper()
	if _, err := w.eval(axe + "; 0"); err != nil {
		w.t.Fatal(err)
	}
	found, err := w.eval(`axe.run({ resultTypes: ["violations"] }).then(r => r.violations
		.filter(v => v.impact === "serious" || v.impact === "critical")
		.map(v => location.pathname + ": " + v.id + ": " + v.help + "\n  " + v.nodes.slice(0, 3).map(n => n.html).join("\n  ")).join("\n"))`)
	if err != nil {
		w.t.Fatal(err)
	}
	if found != "" {
		w.t.Errorf("axe finds\n%s", found)
	}
}
