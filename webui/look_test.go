package webui

import (
	"fmt"
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
		s := openShop(t)
		w := c.open(t, s.url, desk)
		w.visit("/setup?lang=en")
		w.fill("#code", s.codes[0])
		w.fill("#pw", password)
		w.click("form.stack .btn")
		w.until(`location.pathname === "/"`)
		w.shows("No way out yet.")
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
		for name, v := range map[string]view{"1280-light": desk, "390-dark": phone} {
			w := c.open(t, s.url, v)
			w.visit("/login?lang=nl")
			w.picture("login-" + name)
			w.login("")
			w.forgive("status of 404.*/nothing") // which is what there is
			for _, p := range s.everyPage() {
				w.visit(p.path)
				w.picture(p.name + "-" + name)
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
		{"nothing", "/nothing"},
	}
}
