package webui

import "testing"

// Campaigns, bookings and rules in a browser, at a desk and on a telephone.
func TestReachInABrowser(t *testing.T) {
	c := startChromium(t)
	axe := readAxe(t)
	s := furnish(t)
	s.register()
	s.busy()
	for name, v := range map[string]view{"1280-light": desk, "390-dark": phone} {
		w := c.open(t, s.url, v)
		w.visit("/login?lang=nl")
		w.login("")
		for _, p := range reachPages {
			w.visit(p.path)
			w.picture(p.name + "-" + name)
			w.examine(axe)
		}
	}
}
