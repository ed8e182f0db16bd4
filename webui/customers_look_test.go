package webui

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillpost/queue/outreach"
)

// TestCustomersInABrowser is what a shop owner does with contacts and texts, in
// Debian's Chromium: with scripts and without, by hand and by key.
func TestCustomersInABrowser(t *testing.T) {
	c := startChromium(t)
	f := furnish(t)
	file := filepath.Join(t.TempDir(), "klanten.csv")
	if err := os.WriteFile(file, []byte(customers), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]view{"with scripts, at a desk": desk, "with scripts, on a telephone": phone, "without scripts": {width: 1280, height: 900, noScript: true}} {
		t.Run("a list is brought in "+name, func(t *testing.T) {
			w := c.open(t, furnish(t).url, v)
			w.visit("/login?lang=en")
			w.login("")
			w.visit("/contacts")
			w.click(`a[href="/contacts/import"]`)
			w.until(`location.pathname === "/contacts/import"`)
			w.loaded()
			w.choose("#file", file)
			w.click("form.panel .btn")
			w.until(`location.pathname.startsWith("/contacts/import/")`)
			w.shows("Nothing has been changed yet.")
			w.shows("This is no telephone number.")
			w.until(`document.querySelector("#col4").value === "attribute:number"`)
			w.click("button[value=take]")
			w.shows("Taken over, without 4 rows.")
			w.until(`document.querySelector("a[download]").pathname.endsWith("/refused.csv")`)
		})
	}

	t.Run("somebody is found, and what they said is noted", func(t *testing.T) {
		w := c.open(t, f.url, desk)
		w.visit("/login?lang=en")
		w.login("")
		w.visit("/contacts")
		w.fill("#q", "hendriks")
		w.key("Enter", 13)
		w.until(`document.querySelectorAll(".people tbody tr").length === 1`)
		w.click(".people a.cell")
		w.until(`location.pathname === "/contact/D1002"`)
		w.loaded()
		w.click(".holds .btn")
		w.until(`location.search === "?withdraw=marketing" && document.querySelector("#say").open`)
		w.fill("#how", "telephone")
		w.key("Enter", 13)
		w.shows("No advertising, withdrew")
	})

	t.Run("a text is written while the counter counts", func(t *testing.T) {
		w := c.open(t, f.url, desk)
		w.visit("/login?lang=en")
		w.login("")
		w.visit("/texts/klaar?channel=sms&in=nl")
		w.fill("#text", "Dag , uw fiets is klaar.")
		w.until(`document.querySelector("#arrives .said").innerText === "Dag , uw fiets is klaar."`)
		if _, err := w.eval(`document.querySelector("#text").setSelectionRange(4, 4)`); err != nil {
			t.Fatal(err)
		}
		w.click(`button[data-put="{first_name}"]`)
		w.until(`document.querySelector("#text").value === "Dag {first_name}, uw fiets is klaar."`)
		w.until(`document.querySelector("#arrives .said").innerText === "Dag Anna, uw fiets is klaar."`)
		w.shows("as Anna de Vries reads it")
		w.until(`document.querySelector(".count .big").innerText === "1 SMS"`)
		w.click(`button[value="go sms.sv"]`)
		w.until(`document.querySelector("[name=in]").value === "sv" && document.querySelector("[name='text.sms.nl']").value.startsWith("Dag {first_name}")`)
		w.fill("#text", "Hej {first_name}, din cykel är klar.")
		w.click("button[value=longest]")
		w.shows("Over all contacts")
		w.until(`document.querySelector("#text").value === "Hej {first_name}, din cykel är klar."`)
		w.click("button[value=keep]")
		w.shows("Kept, as version 2.")
		got, err := f.site.outreach.Template("klaar")
		if err != nil || got.Texts[outreach.SMS]["nl"] != "Dag {first_name}, uw fiets is klaar." || !strings.HasPrefix(got.Texts[outreach.SMS]["sv"], "Hej {first_name}") {
			t.Errorf("%+v, %v", got, err)
		}
	})

	t.Run("a text is written without scripts", func(t *testing.T) {
		w := c.open(t, f.url, view{width: 1280, height: 900, noScript: true})
		w.visit("/login?lang=en")
		w.login("")
		w.visit("/texts/winterbeurt?channel=sms&in=nl")
		w.fill("#text", "Dag ")
		w.click(`button[data-put="{fiets}"]`)
		w.until(`document.readyState === "complete" && document.querySelector("#text").value === "Dag {fiets}"`)
		w.shows("Dag Cortina E-U4")
		w.click("button[value=keep]")
		w.shows("Kept, as version 2.")
	})

	// By key alone: every control of these pages is reached by Tab, and shows
	// where the focus is.
	t.Run("by key alone", func(t *testing.T) {
		w := c.open(t, f.url, desk)
		w.visit("/login?lang=en")
		w.login("")
		for _, path := range []string{"/contacts", "/contact/D1001", "/contact/D1001/edit", "/contacts/import", "/texts", "/texts/winterbeurt"} {
			w.visit(path)
			left, err := w.eval(`(() => {
				window.met = new Set();
				addEventListener("focusin", e => window.met.add(e.target));
				document.activeElement && document.activeElement.blur();
				const radios = new Set();
				window.wanted = [...document.querySelectorAll("main a[href], main button, main input:not([type=hidden]), main select, main textarea, main summary")].filter(e => {
					if (e.disabled || e.tabIndex < 0 || !e.checkVisibility() || e.closest("details:not([open])") && e.tagName !== "SUMMARY") return false;
					if (e.type !== "radio") return true;
					const first = !radios.has(e.name); radios.add(e.name); return first && e.checked || e.checked;
				});
				return window.wanted.length;
			})()`)
			if err != nil {
				t.Fatal(err)
			}
			n, ok := left.(float64)
			if !ok || n == 0 {
				t.Fatalf("%s has nothing to go to: %v", path, left)
			}
			for range int(n) + 30 { // the frame has some too
				w.key("Tab", 9)
			}
			missed, err := w.eval(`window.wanted.filter(e => !window.met.has(e)).map(e => e.outerHTML.slice(0, 80)).join("\n")`)
			if err != nil || missed != "" {
				t.Errorf("%s: no Tab leads to\n%v (%v)", path, missed, err)
			}
		}
	})
}

// choose puts a file into a field, as the dialogue of the browser does.
func (w *window) choose(selector, path string) {
	w.t.Helper()
	w.until(fmt.Sprintf("document.querySelector(%q)", selector))
	var found struct{ Result struct{ ObjectID string } }
	raw := w.do("Runtime.evaluate", map[string]any{"expression": fmt.Sprintf("document.querySelector(%q)", selector)})
	if err := json.Unmarshal(raw, &found); err != nil || found.Result.ObjectID == "" {
		w.t.Fatalf("%s is not there: %v", selector, err)
	}
	w.do("DOM.setFileInputFiles", map[string]any{"files": []string{path}, "objectId": found.Result.ObjectID})
}
