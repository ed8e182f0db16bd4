package webui

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/lamp"
)

// search is what somebody looks for among the messages.
type search struct {
	State  queue.State
	Words  string // in the text, or of the number
	Till   string
	Source string // campaign/NAME, rule/NAME or batch/NAME: what had it sent
	Since  string // days, as browsers write them
	Until  string
	Before queue.ID
}

// readSearch reads an address. What it does not understand does not filter.
func readSearch(q url.Values) search {
	f := search{Words: strings.TrimSpace(q.Get("q")), Till: strings.TrimSpace(q.Get("from")), Source: strings.TrimSpace(q.Get("source")), Since: q.Get("since"), Until: q.Get("until")}
	if st := queue.State(q.Get("state")); slices.Contains(queue.States, st) {
		f.State = st
	}
	if id, err := queue.ParseID(q.Get("before")); err == nil {
		f.Before = id
	}
	return f
}

// at is the address that looks for the same.
func (f search) at(path string) string {
	q := url.Values{}
	for name, value := range map[string]string{"state": string(f.State), "q": f.Words, "from": f.Till, "source": f.Source, "since": f.Since, "until": f.Until} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Before != 0 {
		q.Set("before", f.Before.String())
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// plain: nothing is asked but perhaps a state, so the page can be followed.
func (f search) plain() bool {
	return f == search{State: f.State}
}

// listView is the page of all messages.
type listView struct {
	*page
	Rows   []rowView
	States []stateView
	Search search
	Causes []causeView // campaigns and rules to look for
	Older  string      // address; empty: these are the oldest
	GoOn   bool        // not all older ones were looked through
	Looked string      // until when the search came
	First  bool        // these are the newest
	CSV    string      // address of the same as a file
}

// causeView is a campaign or a rule whose messages can be looked for.
type causeView struct{ Source, Name string }

// mostCauses are offered; the address can name any.
const mostCauses = 100

// causes of messages: rules, and the newest campaigns by name.
func (p *page) causes(current string) ([]causeView, error) {
	var list []causeView
	rules, _, err := p.site.outreach.Rules("", mostCauses)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		list = append(list, causeView{"rule/" + rules[i].Name, rules[i].Name})
	}
	campaigns, _, err := p.site.outreach.Campaigns(outreach.KindCampaign, "", mostCauses)
	if err != nil {
		return nil, err
	}
	for i := range campaigns {
		list = append(list, causeView{string(outreach.KindCampaign) + "/" + campaigns[i].Name, campaigns[i].Name})
	}
	if current != "" && !slices.ContainsFunc(list, func(c causeView) bool { return c.Source == current }) {
		list = append(list, causeView{current, current})
	}
	return list, nil
}

type stateView struct {
	Word, Sign, At string
	Current        bool
}

// Table of the messages that were found.
func (v *listView) Table() tableView {
	return tableView{page: v.page, Rows: v.Rows, Filtered: !v.Search.plain() || v.Search.State != ""}
}

const (
	pageLength = 50
	// A search in texts looks at so many messages, or for so long; then it
	// shows what it has, with a link to go on.
	mostLooked  = 5000
	longestLook = 400 * time.Millisecond
	// mostRows of a file.
	mostRows = 50_000
)

func (s *Site) messages(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readMessages(s.page(r, "messages"), readSearch(r.URL.Query()))
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	s.render(w, http.StatusOK, "messages", v)
}

func (s *Site) readMessages(p *page, f search) (*listView, error) {
	p.Lamp, p.Live = p.lamp(lamp.Look(s.queue, s.db)), "strip"
	v := &listView{page: p, Search: f, First: f.Before == 0, CSV: f.at("/messages.csv")}
	if f.plain() {
		p.Live = "messages?state=" + string(f.State)
	}
	for _, st := range queue.States {
		other := f
		other.State, other.Before = st, 0
		v.States = append(v.States, stateView{Word: p.T("st_" + string(st)), Sign: signOf[st], At: other.at("/messages"), Current: st == f.State})
	}
	if p.may(looks) {
		var err error
		if v.Causes, err = p.causes(f.Source); err != nil {
			return nil, err
		}
	}
	begun := time.Now()
	sieve := p.sieve(f)
	looked := 0
	for len(v.Rows) < pageLength {
		list, next, err := s.queue.List(sieve.filter)
		if err != nil {
			return nil, err
		}
		for i, m := range list {
			sieve.filter.Before = m.ID
			if looked++; sieve.fits(m) {
				v.Rows = append(v.Rows, p.row(m))
			}
			if len(v.Rows) == pageLength && i < len(list)-1 {
				next = m.ID
				break
			}
		}
		if next == 0 {
			return v, nil
		}
		sieve.filter.Before = next
		if len(list) > 0 {
			v.Looked = p.Clock(list[len(list)-1].Created)
		}
		if looked >= mostLooked || time.Since(begun) > longestLook {
			v.GoOn = len(v.Rows) < pageLength
			break
		}
	}
	f.Before = sieve.filter.Before
	v.Older = f.at("/messages")
	return v, nil
}

// Newest is the address of the same search from its begin.
func (v *listView) Newest() string {
	f := v.Search
	f.Before = 0
	return f.at("/messages")
}

// Everything is the address without a state.
func (v *listView) Everything() string {
	f := v.Search
	f.Before, f.State = 0, ""
	return f.at("/messages")
}

// sieve is a search as the queue and we share it: it has indexes for some, the
// rest is looked at here.
type sieve struct {
	filter queue.Filter
	words  string // lower case
	digits string // of a number, without what spellings differ in
	until  time.Time
}

func (p *page) sieve(f search) sieve {
	s := sieve{filter: queue.Filter{State: f.State, Source: f.Source, Before: f.Before, Limit: pageLength}}
	if !p.may(looks) {
		s.filter.Till = p.till()
	} else if f.Till != "" {
		s.filter.Till = p.tillCalled(f.Till)
	}
	loc := p.site.cfg.Location
	if t, err := time.ParseInLocation(time.DateOnly, f.Since, loc); err == nil {
		s.filter.Since = t
	}
	if t, err := time.ParseInLocation(time.DateOnly, f.Until, loc); err == nil {
		s.until = t.AddDate(0, 0, 1)
	}
	if f.Words == "" {
		return s
	}
	if digits := onlyDigits(f.Words); len(digits) >= 9 {
		s.filter.To = f.Words // a whole number: there is an index for that
		return s
	} else if len(digits) >= 3 {
		s.digits = strings.TrimLeft(digits, "0")
	}
	s.words = strings.ToLower(f.Words)
	s.filter.Limit = 500 // few of them will fit
	return s
}

// tillCalled is the till that somebody means by a name.
func (p *page) tillCalled(name string) string {
	for _, who := range p.site.door.People() {
		if strings.EqualFold(who.Name, name) {
			return (&page{Who: who}).till()
		}
	}
	if strings.EqualFold(name, p.T("by_page")) {
		return (&page{}).till()
	}
	return name
}

func (s *sieve) fits(m *queue.Message) bool {
	if !s.until.IsZero() && !m.Created.Before(s.until) {
		return false
	}
	if s.words == "" {
		return true
	}
	return s.digits != "" && strings.Contains(m.To, s.digits) || strings.Contains(strings.ToLower(m.Text()), s.words)
}

// onlyDigits of something that looks like a number; empty for words.
func onlyDigits(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case !strings.ContainsRune("+ -()/.*", r):
			return ""
		}
	}
	return b.String()
}

// messagesFile is the same search as a file for a spreadsheet, newest first.
func (s *Site) messagesFile(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "messages")
	sieve := p.sieve(readSearch(r.URL.Query()))
	sieve.filter.Limit = 500
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="messages-`+p.in(p.Now).Format("2006-01-02-1504")+`.csv"`)
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(w)
	write := func(cells ...string) { // an error shows at Flush
		for i := range cells {
			cells[i] = guarded(cells[i])
		}
		_ = out.Write(cells)
	}
	write("id", "created", "updated", "to", "state", "reason", "text", "parts", "price", "from", "ref", "route")
	for rows := 0; rows < mostRows; {
		list, next, err := s.queue.List(sieve.filter)
		if err != nil {
			s.log.Error("an export broke off", "err", err)
			panic(http.ErrAbortHandler) // a file that is not whole must not look whole
		}
		for _, m := range list {
			if !sieve.fits(m) {
				continue
			}
			why, _ := s.queue.Explain(m)
			to := masked(m.To)
			if p.may(numbers) {
				to = m.To
			}
			write(m.ID.String(), p.ISO(m.Created), p.ISO(m.Updated), to, string(m.State), why.Text(p.Lang, s.cfg.Location),
				m.Text(), itoa(uint64(len(m.Parts))), m.Price.String(), p.by(m.Till), m.Ref, m.Route)
			rows++
		}
		if out.Flush(); out.Error() != nil || next == 0 {
			return // all of it, or the browser has gone
		}
		sieve.filter.Before = next
	}
}

// guarded keeps a spreadsheet from reading a cell as a formula (contract.md,
// "What keeps strangers out").
func guarded(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
