package webui

import (
	"errors"
	"net/http"
	"net/url"

	"tillpost/queue"
)

// What makes messages be written: campaigns, bookings and rules. The pages call
// outreach as the API does, and need the right to reach customers.

// reachRoutes are the addresses of these pages.
func (s *Site) reachRoutes(inside func(pattern string, need right, h http.HandlerFunc)) {
	for _, at := range []struct {
		pattern string
		h       http.HandlerFunc
	}{
		{"GET /campaigns", s.campaigns},
		{"POST /campaigns", s.saveCampaign},
		{"GET /new/campaign", s.newCampaign},
		{"GET /campaigns/{name}", s.showCampaign},
		{"GET /campaigns/{name}/edit", s.editCampaign},
		{"GET /campaigns/{name}/start", s.confirmCampaign("start")},
		{"GET /campaigns/{name}/stop", s.confirmCampaign("stop")},
		{"GET /campaigns/{name}/delete", s.confirmCampaign("delete")},
		{"GET /campaigns/{name}/print", s.printCampaign},
		{"GET /campaigns/{name}/list.csv", s.campaignFile},
		{"POST /campaigns/{name}/{act}", s.actOnCampaign},

		{"GET /bookings", s.bookings},
		{"POST /bookings", s.saveBooking},
		{"GET /new/booking", s.newBooking},
		{"GET /bookings/{id}", s.showBooking},
		{"GET /bookings/{id}/edit", s.editBooking},
		{"GET /bookings/{id}/cancel", s.confirmBooking("cancel")},
		{"GET /bookings/{id}/delete", s.confirmBooking("delete")},
		{"POST /bookings/{id}/{act}", s.actOnBooking},

		{"GET /rules", s.rules},
		{"POST /rules", s.saveRule},
		{"GET /new/rule", s.newRule},
		{"GET /rules/{name}", s.showRule},
		{"GET /rules/{name}/edit", s.editRule},
		{"GET /rules/{name}/delete", s.confirmRule},
		{"POST /rules/{name}/{act}", s.actOnRule},
	} {
		inside(at.pattern, reaches, at.h)
	}
}

// reachParts reads what one of these pages shows for who follows it.
func (s *Site) reachParts(p *page, name, rest, query string) (view any, parts []string, err error) {
	if !p.may(reaches) {
		return nil, nil, errNoPage
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, nil, errNoPage
	}
	switch name {
	case "campaigns":
		parts = []string{"brand", "strip", "campaigns-list"}
		view, err = s.readCampaigns(p, q)
	case "campaign":
		parts = []string{"brand", "strip", "campaign-run", "campaign-list"}
		view, err = s.readCampaign(p, rest, q)
	case "rules":
		parts = []string{"brand", "strip", "rules-list"}
		view, err = s.readRules(p)
	case "rule":
		parts = []string{"brand", "strip", "rule-week"}
		view, err = s.readRule(p, rest)
	case "booking":
		parts = []string{"brand", "strip", "booking-verdict", "booking-told"}
		view, err = s.readBooking(p, rest)
	}
	if errors.Is(err, queue.ErrNotFound) {
		err = errNoPage
	}
	return view, parts, err
}
