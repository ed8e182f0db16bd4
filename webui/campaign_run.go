package webui

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// A campaign that was started: how far it is, who did not get it, and its list
// on the screen, on paper and as a file.

// progressView is how far it is.
type progressView struct {
	H       string // 612 of 1,138 people
	Sub     string
	Bar     template.HTML
	Key     []keyView
	Waiting int
	Acts    []runAct
	Says    string // for who does not see the bar
}

// keyView is one part of the bar.
type keyView struct {
	Sign, Word string
	N          int
}

// fates are the parts of the bar: which states of a report they are, their
// class in the style sheet, sign and word. What is left is still to go.
var fates = []struct {
	class, sign, key string
	states           []string
}{
	{"d", "ok", "fate_delivered", []string{string(queue.Delivered)}},
	{"s", "sent", "fate_sent", []string{string(queue.Sent), string(queue.Sending)}},
	{"u", "unk", "fate_unsure", []string{string(queue.Unknown)}},
	{"f", "stop", "fate_failed", []string{string(queue.Failed), string(queue.Undelivered), string(queue.Expired), "refused"}},
	{"c", "off", "fate_cancelled", []string{string(queue.Cancelled)}},
}

const (
	progWide = 1152 // of the bar, in its own units
	leastBar = 3    // one in a thousand is seen, too
)

// run draws how far a campaign is.
func (p *page) run(c *outreach.Campaign, rep *outreach.Report) *progressView {
	if c.Report != nil {
		rep = c.Report
	}
	v := &progressView{Waiting: c.Recipients}
	var b strings.Builder
	x := 0
	for _, f := range fates {
		n := 0
		for _, s := range f.states {
			n += rep.States[s]
		}
		if n == 0 {
			continue
		}
		v.Waiting -= n
		v.Key = append(v.Key, keyView{f.sign, p.T(f.key), n})
		wide := min(max(leastBar, n*progWide/max(1, c.Recipients)), progWide-x)
		fmt.Fprintf(&b, `<rect class="%s" x="%d" width="%d" height="24"/>`, f.class, x, wide)
		if x += wide; x < progWide {
			fmt.Fprintf(&b, `<path class="seam-l" d="M%d 0v24"/>`, x)
		}
	}
	if v.Waiting > 0 {
		v.Key = append(v.Key, keyView{"line", p.T("fate_waiting"), v.Waiting})
	}
	v.H = p.T("ca_of_people", "n", c.Recipients-v.Waiting, "of", c.Recipients)
	v.Says = v.H
	for _, k := range v.Key {
		v.Says += ", " + strconv.Itoa(k.N) + " " + k.Word
	}
	v.Bar = template.HTML(fmt.Sprintf(`<svg class="prog" viewBox="0 0 %d 24" preserveAspectRatio="none" role="img" aria-label="%s"><rect class="bg" width="%d" height="24"/>%s</svg>`,
		progWide, template.HTMLEscapeString(v.Says), progWide, b.String()))
	v.Sub, v.Acts = p.runSays(c), runActs(p, c)
	return v
}

// runSays says since when it runs, and until when.
func (p *page) runSays(c *outreach.Campaign) string {
	switch c.State {
	case outreach.CampaignWaiting:
		return p.T("ca_begins", "time", p.Clock(c.Due))
	case outreach.CampaignDone:
		return p.T("ca_ended", "time", p.Clock(c.Ended))
	case outreach.CampaignStopped:
		return p.T("ca_stopped_at", "time", p.Clock(c.Ended))
	case outreach.CampaignPaused, outreach.CampaignResuming:
		return p.T("ca_paused")
	case outreach.CampaignStopping:
		return p.T("ca_stopping")
	case outreach.CampaignHanded:
		return p.T("ca_handed")
	}
	said := p.T("ca_running", "time", p.Clock(c.Due))
	if e := p.site.outreach.Leaves(c); !e.LastAt.IsZero() {
		said += " " + p.T("ca_ready_by", "time", p.Clock(e.LastAt))
	}
	return said + " " + p.T("ca_orders_first")
}

// runActs are the buttons of a campaign that is under way. Batches of tills
// and runs of rules are steered as well; only what is over is not.
func runActs(p *page, c *outreach.Campaign) (acts []runAct) {
	at := "/campaigns/" + url.PathEscape(c.Name)
	switch c.State {
	case outreach.CampaignPaused:
		acts = append(acts, runAct{At: at + "/resume", Word: p.T("ca_resume"), Post: true})
	case outreach.CampaignWaiting, outreach.CampaignRunning, outreach.CampaignHanded:
		acts = append(acts, runAct{At: at + "/pause", Word: p.T("pause"), Post: true, Class: "plain"})
	}
	switch c.State {
	case outreach.CampaignDone, outreach.CampaignStopped:
		if c.Kind == outreach.KindCampaign {
			acts = append(acts, runAct{At: "/new/campaign?like=" + url.QueryEscape(c.Name), Word: p.T("ca_again"), Class: "plain"})
		}
		acts = append(acts, runAct{At: at + "/delete", Word: p.T("ca_delete"), Class: "plain"})
	case outreach.CampaignStopping:
	default:
		acts = append(acts, runAct{At: at + "/stop", Word: p.T("ca_stop"), Class: "danger"})
	}
	return acts
}

// runAct is a button: a form of its own, or a link to a page that asks.
type runAct struct {
	At, Word, Class string
	Post            bool
}

// recipientView is one person on a list.
type recipientView struct {
	Name, Number string
	Contact      string // id; empty: none
	Msg          string // id; empty: none
	Sign, Word   string
	Why          string
	At           string
}

const listLength = 25

// readList reads a stretch of the list.
func (v *campaignView) readList(after string) error {
	from, err := strconv.Atoi(after)
	if err != nil || from < 0 {
		from = 0
	}
	if v.First = from == 0; !v.First {
		v.Live = "strip" // somebody reads further down: it stays as it is
	}
	list, next, err := v.site.outreach.Recipients(v.Name, from, listLength)
	if err != nil {
		return err
	}
	for i := range list {
		v.List = append(v.List, v.recipient(&list[i]))
	}
	if next > 0 {
		v.Older = "/campaigns/" + url.PathEscape(v.Name) + "?after=" + strconv.Itoa(next) + "#list-h"
	}
	return nil
}

// readFailures are those who did not get it.
func (v *campaignView) readFailures(rep *outreach.Report) error {
	if v.Report != nil {
		rep = v.Report
	}
	for i, f := range rep.Failures {
		if i == listLength {
			break
		}
		v.Fails = append(v.Fails, v.recipient(&outreach.Recipient{Contact: f.Contact, Row: f.Row, Msg: f.Msg, State: f.State, Why: f.Why}))
	}
	return nil
}

// recipient is one row as a person reads it: what the queue knows of the
// message goes before what the list remembers.
func (p *page) recipient(r *outreach.Recipient) recipientView {
	v := recipientView{Contact: r.Contact, Name: p.T("ca_row", "n", r.Row), Number: masked(r.To), Sign: "line", Word: p.T("fate_waiting")}
	if r.Contact != "" {
		v.Name = r.Contact
		if c, err := p.site.outreach.Contact(r.Contact); err == nil {
			v.Name, v.Number = p.nameOf(c), masked(cmp.Or(r.To, c.Number))
		}
	}
	state := r.State
	if r.Msg != 0 {
		v.Msg = r.Msg.String()
		if m, err := p.site.queue.Get(r.Msg); err == nil {
			state = m.State
			v.Number, v.At = masked(m.To), p.Moment(m.Updated)
			if why, _ := p.site.queue.Explain(m); m.State != queue.Delivered {
				v.Why = why.Text(p.Lang, p.site.cfg.Location)
			}
		} else {
			v.Msg = "" // its time is over
		}
	}
	switch {
	case r.Msg == 0 && r.Why != "":
		v.Sign, v.Word, v.Why = "stop", p.T("fate_refused"), p.Why(r.Why)
	case state != "":
		v.Sign, v.Word = signOf[state], p.T("st_"+string(state))
	}
	return v
}

// campaignFile is the list for a spreadsheet; of a draft it is whom it would go
// to.
func (s *Site) campaignFile(w http.ResponseWriter, r *http.Request) {
	p := s.customers(r, "campaigns")
	c, err := s.outreach.Campaign(r.PathValue("name"))
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", c.Name+".csv"))
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(w)
	write := func(cells ...string) error {
		for i := range cells {
			cells[i] = guarded(cells[i])
		}
		return out.Write(cells)
	}
	err = write("contact", "name", "number", "state", "why", "message")
	if err == nil {
		err = s.outreach.EachRecipient(c, func(l outreach.ListedRecipient) error {
			name, number := l.Name, l.Number
			if !p.may(numbers) {
				name, number = p.first(name), masked(number)
			}
			return write(l.Contact, name, number, l.State, p.Why(l.Why), l.Message)
		})
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil && r.Context().Err() == nil {
		s.log.Error("the list of a campaign broke off", "err", err)
		panic(http.ErrAbortHandler) // a file that is not whole must not look whole
	}
}

// printView is the list on paper.
type printView struct {
	*page
	Called string
	Sub    string
	Rows   []recipientView
	Rest   int // not printed: the file has them
}

// mostPrinted: sixty sheets of paper.
const mostPrinted = 3000

func (s *Site) printCampaign(w http.ResponseWriter, r *http.Request) {
	p := s.customers(r, "campaigns")
	c, err := s.outreach.Campaign(r.PathValue("name"))
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	v := &printView{page: p, Called: p.campaignName(c), Sub: p.campaignWhen(c)}
	err = s.outreach.EachRecipient(c, func(l outreach.ListedRecipient) error {
		if len(v.Rows) == mostPrinted {
			v.Rest++
			return nil
		}
		row := recipientView{Name: cmp.Or(l.Name, l.Contact), Number: p.number(l.Number), Why: p.Why(l.Why), Word: p.T("fate_waiting")}
		if !p.may(numbers) {
			row.Name = p.first(row.Name)
		}
		switch l.State {
		case "waiting":
		case "refused":
			row.Word = p.T("fate_refused")
		default:
			row.Word = p.T("st_" + l.State)
		}
		v.Rows = append(v.Rows, row)
		return nil
	})
	s.show(w, r, "campaign-print", v, err)
}

// watched is a campaign and what became of it.
type watched struct {
	campaign *outreach.Campaign
	report   *outreach.Report
}

// progress is what became of a campaign, at most a little while ago. Error:
// queue.ErrNotFound.
func (s *Site) progress(name string) (*outreach.Campaign, *outreach.Report, error) {
	seen, err := s.reports.get(name, s.tally.Nudge, func() (out watched, err error) {
		out.campaign, out.report, err = s.outreach.Progress(name)
		return out, err
	})
	if err != nil {
		return nil, nil, err
	}
	c := *seen.campaign // a preview notes in it until when it makes sense
	return &c, seen.report, nil
}
