package webui

import (
	"strconv"
	"testing"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// Campaigns, bookings and rules in a browser, at a desk and on a telephone.
func TestReachInABrowser(t *testing.T) {
	c := startChromium(t)

	t.Run("a campaign is followed, paused and stopped by the keyboard", func(t *testing.T) {
		s := furnish(t)
		s.register()
		s.runs()
		w := c.open(t, s.url, desk)
		w.visit("/login?lang=en")
		w.login("")
		w.visit("/new/campaign")
		w.fill("#name", "Lente")
		w.press("[name=say][value=own]")
		w.fill("#text-en", "Dag {first_name}")
		w.press("[name=who][value=everybody]")
		w.press("[name=class][value=transactional]")
		w.until(`getComputedStyle(document.querySelector("[name=template]").closest(".under")).display === "none"`)
		w.press("details:has([name=gap]) > summary")
		w.fill("[name=gap]", "0.5")
		w.key("Enter", 13)
		w.until(`location.pathname === "/campaigns/Lente"`)
		w.press("a[href$='/start']")
		w.until(`location.pathname === "/campaigns/Lente/start"`)
		w.press("main form .btn")
		w.until(`location.pathname === "/campaigns/Lente" && document.querySelector("#live-campaign-run")`)
		if _, err := w.eval("window.stillHere = true"); err != nil {
			t.Fatal(err)
		}
		w.shows("2 of 7 people")
		w.press("form[action$='/pause'] button")
		w.shows("Nothing leaves until somebody lets it go on.")
		w.press("form[action$='/resume'] button")
		s.campaignIs("Lente", outreach.CampaignHanded, outreach.CampaignDone)
		w.shows("7 of 7 people")

		// What a till does to a campaign is seen on the list.
		slow := outreach.Campaign{Name: "Zomer", Class: queue.Transactional, Texts: map[string]string{"nl": "Dag"}, Audience: outreach.Audience{Everybody: true}, Throttle: outreach.Throttle{Gap: 600}}
		if _, err := s.site.outreach.PutCampaign(t.Context(), slow, "till-1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.site.outreach.Start(t.Context(), "Zomer", "till-1"); err != nil {
			t.Fatal(err)
		}
		w.visit("/campaigns")
		w.shows("1 of 7 people")
		if _, err := w.eval("window.stillHere = true"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.site.outreach.Stop(t.Context(), "Zomer", "till-1"); err != nil {
			t.Fatal(err)
		}
		w.until(`document.body.innerText.includes("Stopped") && window.stillHere`)
	})

	t.Run("a rule is switched off and its week goes", func(t *testing.T) {
		s := furnish(t)
		s.register()
		w := c.open(t, s.url, phone)
		w.visit("/login?lang=en")
		w.login("")
		w.visit("/rules")
		w.until(`document.querySelector(".week")`)
		w.press("[role=switch]")
		w.until(`document.querySelector("[role=switch]").ariaChecked === "false" && !document.querySelector(".week")`)
	})

	t.Run("without scripts the form is as calm", func(t *testing.T) {
		s := furnish(t)
		s.register()
		v := desk
		v.noScript = true
		w := c.open(t, s.url, v) // nobody can log in by the keyboard's script, so the box is open
		w.visit("/login?lang=en")
		w.fill("#pw", password)
		w.key("Enter", 13)
		w.until(`location.pathname !== "/login"`)
		w.visit("/new/rule?on=booking.reminder")
		w.until(`getComputedStyle(document.querySelector("#lead").closest(".under")).display === "none"`)
		w.press("[name=by][value=lead]")
		w.until(`getComputedStyle(document.querySelector("#lead").closest(".under")).display !== "none"`)
	})
}

func TestReachPagesAtADesk(t *testing.T) { lookAtReach(t, "1280-light", desk) }

func TestReachPagesOnATelephone(t *testing.T) { lookAtReach(t, "390-dark", phone) }

// lookAtReach keeps a picture of every page and holds it against the
// accessibility checker.
func lookAtReach(t *testing.T, name string, v view) {
	c := startChromium(t)
	axe := readAxe(t)
	s := furnish(t)
	s.register()
	s.busy()
	w := c.open(t, s.url, v)
	w.visit("/login?lang=nl")
	w.login("")
	for _, p := range reachPages {
		w.visit(p.path)
		w.picture(p.name + "-" + name)
		w.examine(axe)
	}
}

// press gives something the focus, as Tab does, and presses it by the keyboard.
func (w *window) press(selector string) {
	w.t.Helper()
	w.until("document.querySelector(" + quote(selector) + ") && !document.querySelector(" + quote(selector) + ").disabled")
	if _, err := w.eval("document.querySelector(" + quote(selector) + ").focus()"); err != nil {
		w.t.Fatal(err)
	}
	w.until("document.activeElement === document.querySelector(" + quote(selector) + ")")
	key, code := "Enter", 13
	if radio, err := w.eval("document.activeElement.type === 'radio'"); err != nil {
		w.t.Fatal(err)
	} else if radio == true {
		key, code = " ", 32
	}
	w.key(key, code)
}

func quote(s string) string { return strconv.Quote(s) }
