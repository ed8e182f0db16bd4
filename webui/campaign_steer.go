package webui

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// What a person does to a campaign: test, start, pause, resume, stop, delete.

// confirmCampaign asks once more before something that cannot be undone.
func (s *Site) confirmCampaign(doing string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := s.readCampaign(s.customers(r, "campaigns"), r.PathValue("name"), nil)
		if err == nil {
			v.Doing, v.Live = doing, "strip"
			v.Path += "/" + doing
		}
		s.show(w, r, "campaign-confirm", v, err)
	}
}

// actOnCampaign does what a button says.
func (s *Site) actOnCampaign(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p, name := s.customers(r, "campaigns"), r.PathValue("name")
	back := "/campaigns/" + url.PathEscape(name)
	by := p.till()
	var err error
	defer s.reports.forget(name)
	switch act := r.PathValue("act"); act {
	case "start":
		_, err = s.outreach.Start(r.Context(), name, by)
	case "pause":
		err = steered(s.outreach.Pause, r.Context(), name, by)
	case "resume":
		err = steered(s.outreach.Resume, r.Context(), name, by)
	case "stop":
		err = steered(s.outreach.Stop, r.Context(), name, by)
	case "delete":
		back = "/campaigns"
		err = s.outreach.DeleteCampaign(r.Context(), name)
	case "test":
		s.testCampaign(w, r, p, name)
		return
	default:
		err = queue.ErrNotFound
	}
	s.acted(w, r, p, err, back, "campaign", func(wrong string) (any, error) {
		s.reports.forget(name)
		v, err := s.readCampaign(p, name, nil)
		if err == nil {
			v.Wrong = wrong
		}
		return v, err
	})
}

func steered(do func(context.Context, string, string) (*outreach.Campaign, error), ctx context.Context, name, by string) error {
	_, err := do(ctx, name, by)
	return err
}

// testCampaign sends what a campaign says to who wrote it, as the first of
// those who are meant would read it.
func (s *Site) testCampaign(w http.ResponseWriter, r *http.Request, p *page, name string) {
	v, err := s.readCampaign(p, name, nil)
	if err != nil {
		s.show(w, r, "campaign", v, err)
		return
	}
	v.Me = strings.TrimSpace(r.PostForm.Get("me"))
	m, err := s.outreach.Test(r.Context(), v.Campaign, v.Me, nil, p.till())
	if said, ok := p.wrongWith(err); err != nil && ok {
		v.Wrong = said
		s.render(w, http.StatusBadRequest, "campaign", v)
		return
	}
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	keepMe(w, r, v.Me)
	v.Test = m.ID.String()
	s.render(w, http.StatusOK, "campaign", v)
}
