package webui

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/webui/lamp"
	"tillpost/webui/tally"
)

// overviewView is the first page, from the lamp to the last message.
type overviewView struct {
	*page
	Slip    slipView
	Look    []rowView
	Feed    []rowView
	Ways    []wayView
	WaysSay string
	Waiting waitingView
	Latest  []rowView
	Chart   chartView
	Depth   template.HTML
	Reach   template.HTML
}

// The parts of a page that change on their own. Each is a template of that
// name whose outermost element has the id live-NAME.
var (
	overviewParts = []string{"brand", "lamp", "slip", "look", "feed", "ways", "waiting", "latest", "hours", "day"}
	messagesParts = []string{"brand", "strip", "list"}
	inboxParts    = []string{"brand", "strip", "threads"}
	talkParts     = []string{"brand", "strip", "turns"}
	wayParts      = []string{"brand", "strip", "care", "lately"}
	messageParts  = []string{"brand", "strip", "verdict", "story", "facts"}
)

func (s *Site) overview(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readOverview(s.page(r, "overview"))
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	s.render(w, http.StatusOK, "overview", v)
}

const latest = 20

// readOverview reads everything the first page shows. It costs a few short
// reads, none of which grows with what is in the queue.
func (s *Site) readOverview(p *page) (*overviewView, error) {
	p.Live, p.Lamp = "overview", p.lamp(lamp.Look(s.queue, s.db))
	v := &overviewView{page: p}
	list, _, err := s.queue.List(queue.Filter{Limit: latest})
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		v.Latest = append(v.Latest, p.row(m))
	}
	v.Feed = slices.Clone(v.Latest)
	slices.SortStableFunc(v.Feed, func(a, b rowView) int { return b.Updated.Compare(a.Updated) })
	v.Feed = v.Feed[:min(len(v.Feed), 6)]
	if v.Look, err = p.look(); err != nil {
		return nil, err
	}
	if v.Waiting, err = p.waiting(); err != nil {
		return nil, err
	}
	if v.Ways, v.WaysSay, err = p.ways(); err != nil {
		return nil, err
	}
	day := s.tally.Today()
	v.Slip = p.slip(&day)
	v.Chart, v.Depth = p.chart(&day), p.depthDay()
	v.Reach, err = p.reachDay()
	return v, err
}

// slipView is the day as a till slip.
type slipView struct {
	Date, Until                                   string
	Sent, Delivered, ToCome, NotDelivered, Failed int
	Waiting, Line, Sending, Planned, Held, Unsure int64
	Last                                          string
}

func (p *page) slip(day *tally.Day) slipView {
	c := p.site.queue.Counts()
	v := slipView{
		Date: p.Day(day.Start), Until: p.in(p.Now).Format("15:04"),
		Delivered: day.Sum(tally.Delivered), ToCome: day.Sum(tally.Sent), NotDelivered: day.Sum(tally.Undelivered), Failed: day.Sum(tally.Failed),
		Line: c.Queued, Sending: c.Sending, Planned: c.Scheduled, Held: c.Held, Unsure: c.Unknown,
	}
	v.Sent = v.Delivered + v.ToCome + v.NotDelivered
	v.Waiting = v.Line + v.Sending + v.Planned + v.Held
	if !day.LastDelivered.IsZero() {
		v.Last = p.Second(day.LastDelivered)
	}
	return v
}

// rowView is one message in a list.
type rowView struct {
	ID               string
	Created, Updated time.Time
	To               string // masked
	Said             string // the text in one line
	State            string // word
	Sign             string
	Reason           string // empty: the word says it all
	Till             string
	Parts            string // "2" or "1/2"
	Unsure           bool   // a person may decide
}

// quiet are the codes whose sentence says no more than the word beside it.
var quiet = map[string]bool{"": true, "in_line": true, "sending": true, "delivered": true, "wait_report": true, "sent_plain": true, "cancelled": true, "expired": true}

func (p *page) row(m *queue.Message) rowView {
	v := rowView{
		ID: m.ID.String(), Created: m.Created, Updated: m.Updated, To: masked(m.To),
		Said: strings.Join(strings.Fields(m.Text()), " "), State: p.T("st_" + string(m.State)), Sign: signOf[m.State],
		Till: p.by(m.Till), Parts: strconv.Itoa(len(m.Parts)), Unsure: m.State == queue.Unknown,
	}
	if why, _ := p.site.queue.Explain(m); !quiet[why.Code] {
		v.Reason = why.Text(p.Lang, p.site.cfg.Location)
	}
	if done := count(m, queue.PartDelivered); len(m.Parts) > 1 && done > 0 {
		v.Parts = fmt.Sprintf("%d/%d", done, len(m.Parts))
	}
	return v
}

func count(m *queue.Message, s queue.PartState) (n int) {
	for _, p := range m.Parts {
		if p.State == s {
			n++
		}
	}
	return n
}

// tableView is a table of messages on any page.
type tableView struct {
	*page
	Rows     []rowView
	Filtered bool // an empty table does not mean that there are no messages
}

// Table of the newest messages.
func (v *overviewView) Table() tableView { return tableView{page: v.page, Rows: v.Latest} }

// look is what a person should decide or know about, newest first.
func (p *page) look() ([]rowView, error) {
	var rows []rowView
	for _, id := range p.site.tally.Trouble() {
		m, err := p.site.queue.Get(id)
		if errors.Is(err, queue.ErrNotFound) {
			continue // its time is over
		}
		if err != nil {
			return nil, err
		}
		if rows = append(rows, p.row(m)); len(rows) == 3 {
			break
		}
	}
	return rows, nil
}

// remedy is the button that fits what is the matter with a way out.
func (s *Site) remedy(name, code string) string {
	switch code {
	case "paused":
		return "resume"
	case "modem_silent", "stopped", "sim_missing", "provider_offline", "provider_login":
		if r, ok := s.queue.Route(name); ok {
			if _, can := r.(route.Restarter); can {
				return "restart"
			}
		}
	}
	return ""
}

func (s *Site) actOnRoute(w http.ResponseWriter, r *http.Request) {
	name, act := r.PathValue("name"), r.PathValue("act")
	way, ok := s.queue.Route(name)
	if !ok {
		s.nothing(w, r)
		return
	}
	var err error
	switch act {
	case "resume":
		err = s.queue.Resume(r.Context(), name, s.page(r, "").till())
	case "pause":
		err = s.queue.Pause(r.Context(), name, s.page(r, "").till())
	case "restart":
		again, can := way.(route.Restarter)
		if !can {
			s.nothing(w, r)
			return
		}
		err = again.Restart(r.Context())
	default:
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	s.log.Info("a person acted on a route", "route", name, "act", act)
	back := "/"
	if r.URL.Query().Get("from") == "way" {
		back = "/ways/" + name
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}
