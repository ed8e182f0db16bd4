package webui

import (
	"net/http"

	"tillpost/webui/lamp"
)

// Pages about customers share one entry of the menu, and a row below it: who
// they are (contacts.go), what is written to them (texts.go), and what makes
// that happen.

// customersPages in the order in which they are named. The address is the name.
var customersPages = []string{}

// CustomersPages are for the row.
func (p *page) CustomersPages() []string { return customersPages }

// customers begins the answer of one of them.
func (s *Site) customers(r *http.Request, at string) *page {
	p := s.page(r, "customers")
	p.Sub, p.Live, p.Lamp = at, "strip", p.lamp(lamp.Look(s.queue, s.db))
	return p
}
