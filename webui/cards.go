package webui

import (
	"errors"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"tillpost/queue"
	"tillpost/webui/lamp"
)

// wayView is one modem or one provider.
type wayView struct {
	Name    string
	Sub     string // operator and kind
	Sign    string
	Colour  string // lamp word for screen readers
	Modem   bool
	Bars    int
	Air     string
	Day     template.HTML // the signal over 24 hours; empty: not known yet
	SIM     string        // last digits
	Account string
	Lanes   int
	Left    *quotaView // the limit that is nearest; nil: none is set
	Moving  bool       // something is truly on its way
	Now     string     // this second
	Hand    string     // what a hand must do; empty: nothing
	HandH   string
	// HandSign is the sign of what a hand must do: that of the way, unless it is
	// only good to know.
	HandSign string
	Help     string // address in the manual
	Act      string // resume | restart; empty: none
	Tech     [][2]string
}

func (p *page) ways() (rows []wayView, said string, err error) {
	ready := 0
	for _, r := range p.site.queue.Routes() {
		l := lamp.Of(r)
		if l.Ready {
			ready++
		}
		v, err := p.way(r, l)
		if errors.Is(err, queue.ErrNotFound) {
			continue // it has just gone
		}
		if err != nil {
			return nil, "", err
		}
		if v.Modem {
			v.Day = p.signalDay(r.Route, len(rows))
		}
		rows = append(rows, v)
	}
	switch {
	case len(rows) == 0:
	case ready == len(rows) && ready == 1:
		said = p.T("ways_ready_one")
	case ready == len(rows):
		said = p.T("ways_ready_all")
	default:
		said = p.T("ways_ready_some", "k", ready, "n", len(rows))
	}
	return rows, said, nil
}

func (p *page) way(r queue.RouteInfo, l lamp.Way) (wayView, error) {
	v := wayView{
		Name: r.Route, Sign: string(l.Colour), Colour: p.T("lamp_" + string(l.Colour)),
		Modem: r.Kind == "modem", Lanes: max(1, r.Lanes), Moving: r.Busy > 0, Act: p.site.remedy(r.Route, l.Code),
	}
	kind := p.Kind(r.Kind)
	switch {
	case r.Operator != "":
		v.Sub = r.Operator + " · " + kind
	case v.Modem || r.Kind == "":
		v.Sub = kind
	default:
		v.Sub = p.T("over_internet")
	}
	if v.Modem {
		var word string
		v.Bars, word = air(r.Signal)
		v.Air = p.T(word)
		if len(r.Identity) >= 4 {
			v.SIM = p.T("ends_in", "n", r.Identity[len(r.Identity)-4:])
		}
	} else {
		v.Account = r.Identity
	}
	switch {
	case r.Busy == 1:
		v.Now = p.T("now_one")
		if m := p.site.queue.InHand(r.Route); m != nil {
			v.Now = p.T("now_this", "number", masked(m.To), "n", len(m.Parts), "time", p.Second(m.Took))
		}
	case r.Busy > 1:
		v.Now = p.T("now_many", "n", r.Busy)
	case l.Ready:
		v.Now = p.T("now_idle")
	default:
		v.Now = p.T("now_not")
	}
	if l.Colour != lamp.OK {
		v.Hand, v.HandH, v.Help, v.HandSign = p.Words(l.Code), p.T("what_to_do"), p.help(l.Code), v.Sign
		if l.Colour == lamp.Info {
			v.HandH = p.T("good_to_know")
		}
	}
	v.Tech = technical(p, r, l)
	quotas, err := p.quotas(r.Route)
	if err != nil {
		return v, err
	}
	for i := range quotas {
		if v.Left == nil || quotas[i].nearer(v.Left) {
			v.Left = &quotas[i]
		}
	}
	if v.Left != nil && (v.Hand == "" || l.Code == "limit_used") { // which limit, and until when
		v.announce(p, v.Left)
	}
	return v, nil
}

// quotaView is what is left of one limit of a SIM or an account.
type quotaView struct {
	Of    string // left_parts_per_hour …: a key
	Name  string // SMS each hour
	Left  int
	Limit int
	Until string
}

// nearer: it will be hit before the other one, as far as shares can tell.
func (q quotaView) nearer(o *quotaView) bool { return q.Left*o.Limit < o.Left*q.Limit }

func (p *page) quotas(name string) ([]quotaView, error) {
	list, err := p.site.queue.Quotas(name)
	if err != nil {
		return nil, err
	}
	views := make([]quotaView, len(list))
	for i, q := range list {
		views[i] = quotaView{Of: "left_" + q.Of, Name: p.T("quota_" + q.Of), Left: q.Left, Limit: q.Limit, Until: p.Clock(q.Until)}
	}
	return views, nil
}

// announce says that a limit is near before it is hit, and when it is over. A
// limit by the minute is the pace of a way out, and no news.
func (v *wayView) announce(p *page, q *quotaView) {
	switch {
	case q.Of == "left_parts_per_minute":
	case q.Left == 0:
		v.Hand, v.Help = queue.Words("limit_reached", p.Lang, map[string]string{"n": strconv.Itoa(q.Limit), "time": q.Until}), p.help("limit_reached")
	case q.Left*5 <= q.Limit || q.Left == 1: // as the queue notes it
		v.Hand, v.Help = p.T("near_limit", "n", q.Left, "time", q.Until), p.help("limit_near")
	}
	if v.Hand != "" {
		v.HandH, v.HandSign = p.T("good_to_know"), "info"
	}
}

// technical is what the network and the device say, in their own words.
func technical(p *page, r queue.RouteInfo, l lamp.Way) [][2]string {
	signal := ""
	if r.Signal != nil {
		signal = fmt.Sprintf("%d dBm", *r.Signal)
	}
	since := ""
	if !r.Since.IsZero() {
		since = p.Clock(r.Since)
	}
	var rows [][2]string
	for _, row := range [][2]string{
		{"state", strings.TrimSpace(string(r.State) + " " + l.Code)}, {"since", since}, {"detail", r.Detail}, {"doing", r.Doing},
		{"model", r.Model}, {"device", r.Device}, {"port", r.Port}, {"radio", strings.TrimSpace(r.Tech + " " + signal)},
		{"identity", r.Identity}, {"pool", r.Pool}, {"in flight", fmt.Sprintf("%d of %d", r.Busy, max(1, r.Lanes))},
	} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	return rows
}
