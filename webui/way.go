package webui

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
	"tillpost/webui/lamp"
)

// wayPage is one way out with everything that can be done about it. What it
// can do is found by asking it for the add-ons of package route.
type wayPage struct {
	*page
	Way    wayView
	Plain  string // what is the matter, in words
	Paused bool
	Quotas []quotaView
	Rungs  []route.Rung
	Care   [][2]string

	Lately []latelyView // what went wrong, newest first
	Trace  []route.Line // what it and the box said to each other, if that was asked for

	CanRestart, CanUSSD, CanPIN, CanExamine, CanTest, CanTrace bool

	Wrong   string
	Code    string   // that was asked
	Answer  string   // of the network
	Looked  bool     // it was examined
	Finding []string // whole sentences; none: all is well
}

func (s *Site) readWay(p *page, name string) (*wayPage, error) {
	info, err := s.info(name)
	if err != nil {
		return nil, err
	}
	p.Live, p.Lamp, p.Path = "way/"+name, p.lamp(lamp.Look(s.queue, s.db)), "/ways/"+name
	l := lamp.Of(*info)
	v := &wayPage{page: p, Plain: p.Words(l.Code), Paused: info.Paused}
	if v.Way, err = p.way(*info, l); err != nil {
		return nil, err
	}
	r, ok := s.queue.Route(name)
	if !ok {
		return nil, queue.ErrNotFound // it has just gone
	}
	_, v.CanRestart = r.(route.Restarter)
	_, v.CanUSSD = r.(route.USSD)
	_, v.CanPIN = r.(route.PINEntry)
	_, v.CanExamine = r.(route.Doctor)
	_, v.CanTest = r.(route.SelfTester)
	_, traces := r.(route.Tracer)
	v.CanTrace = traces && p.may(steers)
	v.CanPIN = v.CanPIN && (l.Code == "sim_pin" || l.Code == "sim_pin_wrong")
	if v.Quotas, err = p.quotas(name); err != nil {
		return nil, err
	}
	if v.Lately, err = p.lately(name); err != nil {
		return nil, err
	}
	if info.Care != nil {
		v.Rungs, v.Care = info.Care.Rungs, p.care(info.Care)
	}
	return v, nil
}

func (s *Site) info(name string) (*queue.RouteInfo, error) {
	all := s.queue.Routes()
	i := slices.IndexFunc(all, func(r queue.RouteInfo) bool { return r.Route == name })
	if i < 0 {
		return nil, queue.ErrNotFound
	}
	return &all[i], nil
}

// care is how a modem is looked after.
func (p *page) care(c *route.Care) [][2]string {
	var rows [][2]string
	if m := c.Storage; m != nil {
		rows = append(rows, [2]string{p.T("care_storage"), p.T("care_used", "n", m.Used, "of", m.Total)})
	}
	if b := c.Balance; b != nil {
		said := b.Amount
		if said == "" {
			said = b.Text
		}
		rows = append(rows, [2]string{p.T("care_balance"), said + " (" + p.Clock(b.At) + ")"})
	}
	if t := c.LoopTest; t != nil {
		said := p.T("care_loop_out")
		switch {
		case t.Why != "":
			said = t.Why
		case t.Took > 0:
			said = p.Took(t.Took)
		}
		rows = append(rows, [2]string{p.T("care_loop"), said + " (" + p.Clock(t.At) + ")"})
	}
	return rows
}

func (s *Site) showWay(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readWay(s.page(r, "settings"), r.PathValue("name"))
	if err == nil && v.CanTrace && r.URL.Query().Has("trace") {
		v.readTrace()
	}
	s.show(w, r, "way", v, err)
}

// readTrace puts the newest line on top, where somebody looks first.
func (v *wayPage) readTrace() {
	if way, ok := v.site.queue.Route(v.Way.Name); ok {
		if t, ok := way.(route.Tracer); ok {
			v.Trace = t.Trace()
			slices.Reverse(v.Trace)
		}
	}
}

// deviceTime is how long a device may take to answer a person.
const deviceTime = 60 * time.Second

// askWay runs one of the add-ons and shows what came of it. A way out that
// cannot is not there for this.
func (s *Site) askWay(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("name")
	way, ok := s.queue.Route(name)
	if !ok {
		s.nothing(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), deviceTime)
	defer cancel()
	p := s.page(r, "settings")
	var out wayPage
	var err error
	switch act := r.PathValue("act"); act {
	case "ussd":
		asker, can := way.(route.USSD)
		if !can || !p.may(steers) {
			s.nothing(w, r)
			return
		}
		out.Code = strings.TrimSpace(r.PostForm.Get("code"))
		if err = api.CheckService(out.Code); err == nil {
			out.Answer, err = asker.USSD(ctx, out.Code)
		}
	case "pin":
		entry, can := way.(route.PINEntry)
		if !can {
			s.nothing(w, r)
			return
		}
		pin := r.PostForm.Get("pin")
		if err = api.CheckPIN(pin); err == nil {
			err = entry.EnterPIN(ctx, pin)
		}
	case "test":
		tester, can := way.(route.SelfTester)
		if !can {
			s.nothing(w, r)
			return
		}
		err = tester.SelfTest(ctx)
	case "examine":
		doctor, can := way.(route.Doctor)
		if !can {
			s.nothing(w, r)
			return
		}
		out.Looked = true
		out.Finding, err = doctor.Examine(ctx)
	default:
		s.nothing(w, r)
		return
	}
	if bad, ok := errors.AsType[*wire.Problem](err); ok {
		out.Wrong = bad.Detail
	} else if err != nil {
		out.Wrong, out.Looked = err.Error(), false // in the device's words
	}
	s.log.Info("a person asked something of a route", "route", name, "act", r.PathValue("act"), "done", out.Wrong == "")
	if out.Wrong == "" && out.Answer == "" && !out.Looked {
		back := "/ways/" + name
		if r.URL.Query().Get("from") == "setup" {
			back = "/setup/test"
		}
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	v, err := s.readWay(p, name)
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	v.Wrong, v.Code, v.Answer, v.Looked, v.Finding = out.Wrong, out.Code, out.Answer, out.Looked, out.Finding
	status := http.StatusOK
	if v.Wrong != "" {
		status = http.StatusConflict
	}
	s.render(w, status, "way", v)
}
