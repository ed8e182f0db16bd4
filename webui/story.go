package webui

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/webui/lamp"
)

// messageView is one message and its story.
type messageView struct {
	*page
	ID       string
	To       string
	Sign     string
	H1, Sub  string
	Help     string // address in the manual; empty: all is well
	Steps    []stepView
	Rails    []int // numbers of the parts that have a rail of their own; one 0: all together
	Segments []string
	TextLang string // empty: not known
	Facts    [][2]string
	Acts     []actView
}

// stepView is one event as a person reads it.
type stepView struct {
	Time  time.Time
	Clock string
	Rails []railView
	H     string
	Text  string
	Say   string // a sentence of the queue's own, in a box of Class
	Class string
	Tech  [][2]string
}

// railView is the line of one part beside an event: its colour from here on,
// dotted where nothing is known, and the sign that stands on it.
type railView struct {
	Sign  string
	Class string
}

type actView struct {
	Act, Word string
	Plain     bool
	Danger    bool
}

func (s *Site) message(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readMessage(s.page(r, "messages"), r.PathValue("id"))
	s.show(w, r, "message", v, err)
}

func (s *Site) readMessage(p *page, id string) (*messageView, error) {
	n, err := queue.ParseID(id)
	if err != nil {
		return nil, queue.ErrNotFound
	}
	m, err := s.queue.Get(n)
	if err != nil {
		return nil, err
	}
	if !p.may(looks) && m.Till != p.till() {
		return nil, queue.ErrNotFound // of somebody else
	}
	story, err := s.queue.Story(m)
	if err != nil {
		return nil, err
	}
	p.Live, p.Lamp = "message/"+m.ID.String(), p.lamp(lamp.Look(s.queue, s.db))
	v := &messageView{page: p, ID: m.ID.String(), To: p.number(m.To), Sign: signOf[m.State], TextLang: m.Lang}
	for _, seg := range m.Segments {
		v.Segments = append(v.Segments, seg.Text)
	}
	v.H1, v.Sub = p.verdict(m)
	if why, _ := s.queue.Explain(m); !quiet[why.Code] {
		v.Help = p.help(why.Code)
	}
	v.Rails = rails(m)
	v.Steps = p.tellStory(m, story, v.Rails)
	v.Facts = p.facts(m)
	v.Acts = p.acts(m)
	return v, nil
}

// verdict is how it stands, in one line and one sentence.
func (p *page) verdict(m *queue.Message) (h1, sub string) {
	h1 = p.T("st_" + string(m.State))
	why, _ := p.site.queue.Explain(m)
	sub = why.Text(p.Lang, p.site.cfg.Location)
	if m.State == queue.Delivered {
		h1 = p.T("verdict_delivered", "time", p.Clock(m.Updated))
		sub += " " + p.T("verdict_took", "time", p.Took(m.Updated.Sub(m.Created)))
	}
	return h1, sub
}

// mostRails: more would not fit a telephone. Longer messages have one rail for
// all parts, and the headings say which part is meant.
const mostRails = 3

func rails(m *queue.Message) []int {
	if len(m.Parts) == 1 || len(m.Parts) > mostRails {
		return []int{0}
	}
	var n []int
	for _, p := range m.Parts {
		n = append(n, p.N)
	}
	return n
}

// tellStory draws the events beside the rails of the parts.
func (p *page) tellStory(m *queue.Message, story []queue.Event, rails []int) []stepView {
	line := make([]string, len(rails)) // class of each rail after the events so far
	has := make([]bool, len(rails))    // the network has that part
	var before queue.State
	steps := make([]stepView, len(story))
	for i := range story {
		e, st := &story[i], &steps[i]
		ends := i == len(story)-1 && m.State.Final() && e.State == m.State
		lastWord := i == lastReport(story, e.Part)
		st.Time, st.Clock, st.Rails = e.At, p.Second(e.At), make([]railView, len(rails))
		p.head(st, m, e, lastWord)
		sign, class := markOf(m, e, lastWord)
		for k, part := range rails {
			if begunAnew(e, before) {
				has[k] = false
			}
			if concerns(e, part, has[k], ends) {
				st.Rails[k].Sign, line[k] = sign, class
				has[k] = has[k] || handed(e)
			}
			st.Rails[k].Class = line[k]
		}
		before = e.State
	}
	if len(steps) == 0 {
		return nil
	}
	for k := range rails {
		steps[0].Rails[k].Class += " from"
		if m.State.Final() {
			steps[len(steps)-1].Rails[k].Class += " to"
		}
	}
	return steps
}

// concerns reports whether an event says something about the part of a rail
// (0: all of them). One that names no part is about those that the network does
// not have yet, unless it ends the story.
func concerns(e *queue.Event, part int, has, ends bool) bool {
	switch {
	case part == 0:
		return true
	case e.Part != 0:
		return e.Part == part
	}
	return !has || ends
}

// handed reports whether the network has a part after an event about it.
func handed(e *queue.Event) bool {
	return e.Kind == queue.KindSent || e.Kind == queue.KindPart && e.Code == string(queue.PartSent)
}

// begunAnew reports whether everything is sent again, also what the network
// had. before is the state of the message before the event: an unsure one goes
// on after the parts that are known to have left.
func begunAnew(e *queue.Event, before queue.State) bool {
	return e.Kind == queue.KindRestarted || e.Kind == queue.KindResent && before != queue.Unknown
}

// lastReport is the place of the last report on a part in a story.
func lastReport(story []queue.Event, part int) int {
	at := -1
	for i, e := range story {
		if e.Kind == queue.KindReport && e.Part == part {
			at = i
		}
	}
	return at
}

// markOf is the sign an event puts on the rails it is about, and the class of
// the line after it. lastWord: no later report on this part is known.
func markOf(m *queue.Message, e *queue.Event, lastWord bool) (sign, class string) {
	switch e.Kind {
	case queue.KindAccepted:
		if e.State == queue.Scheduled {
			return "planned", ""
		}
		return "line", ""
	case queue.KindTaken:
		return "sending", "info"
	case queue.KindPart:
		switch queue.PartState(e.Code) {
		case queue.PartUnknown:
			return "unk", "unk dash"
		case queue.PartRefused:
			return "stop", "stop dash"
		}
		return "sent", "info"
	case queue.KindSent, queue.KindRelayed:
		return "sent", "info"
	case queue.KindUnknown, queue.KindInterrupted:
		return "unk", "unk dash"
	case queue.KindNotOffered, queue.KindRetry, queue.KindResent, queue.KindRestarted, queue.KindDue:
		return "line", ""
	case queue.KindReport:
		switch reported(m, e, lastWord) {
		case queue.PartDelivered:
			return "ok", "ok"
		case queue.PartUndelivered:
			return "warn", "warn dash"
		}
		return "sent", "info"
	case queue.KindNoReport:
		return "sent", "info dash"
	}
	sign = signOf[e.State]
	class = classOf(sign)
	if e.State != queue.Delivered && e.State != queue.Sent {
		class += " dash"
	}
	return sign, class
}

// reported is what a report said about its part.
func reported(m *queue.Message, e *queue.Event, lastWord bool) queue.PartState {
	switch {
	case e.State == queue.Delivered:
		return queue.PartDelivered
	case e.State == queue.Undelivered && (e.Part == 0 || !lastWord):
		return queue.PartUndelivered
	case lastWord && e.Part > 0 && e.Part <= len(m.Parts):
		return m.Parts[e.Part-1].State
	}
	return queue.PartSent
}

// headings of the events whose heading needs nothing else.
var headings = map[queue.Kind]string{
	queue.KindAccepted: "ev_accepted", queue.KindDue: "ev_due", queue.KindSent: "ev_sent", queue.KindNotOffered: "ev_not_offered",
	queue.KindRetry: "ev_retry", queue.KindRejected: "ev_rejected", queue.KindUnknown: "ev_unknown", queue.KindInterrupted: "ev_interrupted",
	queue.KindReport: "ev_report", queue.KindNoReport: "ev_no_report", queue.KindResent: "ev_resent", queue.KindSettled: "ev_settled",
	queue.KindRestarted: "ev_restarted", queue.KindRelayed: "ev_relayed", queue.KindExpired: "ev_expired", queue.KindCancelled: "ev_cancelled",
	queue.KindHeld: "ev_held", queue.KindReleased: "ev_released", queue.KindRerouted: "ev_rerouted", queue.KindErased: "ev_erased",
}

// head writes what an event means.
func (p *page) head(st *stepView, m *queue.Message, e *queue.Event, lastWord bool) {
	key, ok := headings[e.Kind]
	if !ok {
		key = string(e.Kind)
	}
	st.H = p.T(key)
	switch e.Kind {
	case queue.KindAccepted:
		if e.By != "" {
			st.H, st.Text = p.T("ev_accepted_from", "by", p.by(e.By)), p.T("ev_accepted_text", "by", p.by(e.By))
		}
		switch n := len(m.Changes); {
		case n == 1:
			st.Text += " " + p.T("ev_replaced_one")
		case n > 1:
			st.Text += " " + p.T("ev_replaced", "n", n)
		}
	case queue.KindTaken:
		st.H = p.T("ev_taken", "n", e.Attempt, "route", e.Route)
	case queue.KindPart:
		st.H = p.T("ev_part_"+e.Code, "n", e.Part)
	case queue.KindUnknown, queue.KindInterrupted:
		code, args := "unsure", map[string]string(nil)
		if !e.Until.IsZero() {
			code, args = "unsure_resend", map[string]string{"time": p.Clock(e.Until)}
		}
		st.Say, st.Class = queue.Words(code, p.Lang, args), "unk"
	case queue.KindRetry:
		if !e.Until.IsZero() {
			st.Text = queue.Words("retry", p.Lang, map[string]string{"time": p.Clock(e.Until)})
		}
	case queue.KindNoReport:
		st.Text = p.Words("no_report")
	case queue.KindHeld:
		why := queue.Reason{Code: e.Code}
		if !e.Until.IsZero() {
			why.Args = map[string]string{"time": e.Until.Format(time.RFC3339)}
		}
		st.Text = why.Text(p.Lang, p.site.cfg.Location)
	case queue.KindReport:
		said, part := string(reported(m, e, lastWord)), ""
		if e.Part > 0 {
			part = "part_"
		}
		if _, ok := words()["ev_report_"+part+said]; ok {
			st.H = p.T("ev_report_"+part+said, "n", e.Part)
		}
	case queue.KindResent:
		st.Text = p.T("by_whom", "by", p.by(e.By))
		if strings.HasPrefix(e.By, "policy") {
			st.Text = p.T("by_policy")
		}
	case queue.KindSettled:
		st.Text = p.T("by_whom", "by", p.by(e.By)) + " " + p.T("st_"+string(e.State)) + "."
	case queue.KindCancelled:
		st.Text = p.T("by_whom", "by", p.by(e.By))
	}
	for _, row := range [][2]string{
		{"route", e.Route}, {"identity", e.Identity}, {"network’s number", e.Ref}, {"code", codeOf(e)}, {"said", e.Detail}, {"event", itoa(e.Seq)},
	} {
		if row[1] != "" && (row[0] != "event" || len(st.Tech) > 0) {
			st.Tech = append(st.Tech, row)
		}
	}
}

// codeOf leaves out codes that the heading has said already.
func codeOf(e *queue.Event) string {
	if e.Kind == queue.KindPart || e.Kind == queue.KindSettled {
		return ""
	}
	return e.Code
}

func (p *page) facts(m *queue.Message) [][2]string {
	rows := [][2]string{
		{p.T("fact_from"), p.by(m.Till)},
		{p.T("fact_ref"), m.Ref},
		{p.T("search_source"), m.Source[strings.IndexByte(m.Source, '/')+1:]},
		{p.T("fact_kind"), p.T("kind_" + string(m.Class))},
		{p.T("fact_until"), p.Clock(m.Expires)},
		{p.T("fact_way"), m.Route},
		{p.T("fact_parts"), itoa(uint64(len(m.Parts)))},
		{p.T("fact_price"), m.Price.String()},
		{p.T("fact_id"), m.ID.String()},
	}
	return slices.DeleteFunc(rows, func(r [2]string) bool { return r[1] == "" })
}

// acts are what a person may decide now.
func (p *page) acts(m *queue.Message) []actView {
	if !p.may(decides) && m.Till != p.till() {
		return nil
	}
	switch m.State {
	case queue.Unknown:
		return []actView{{"resend", p.T("send_again"), false, false}, {"arrived", p.T("it_arrived"), true, false}, {"failed", p.T("it_did_not"), true, false}}
	case queue.Scheduled, queue.Queued, queue.Held:
		if count(m, queue.PartWaiting)+count(m, queue.PartRefused) == len(m.Parts) {
			return []actView{{"cancel", p.T("cancel"), true, true}}
		}
	case queue.Failed, queue.Undelivered, queue.Expired, queue.Cancelled:
		return []actView{{"resend", p.T("send_again"), true, false}}
	}
	return nil
}

// actOnMessage does what a person decided, and shows how it stands then; also
// when the message had moved on meanwhile.
func (s *Site) actOnMessage(w http.ResponseWriter, r *http.Request) {
	id, err := queue.ParseID(r.PathValue("id"))
	if err != nil {
		s.nothing(w, r)
		return
	}
	p := s.page(r, "messages")
	if !p.may(decides) {
		m, err := s.queue.Get(id)
		if err == nil && m.Till != p.till() {
			err = queue.ErrNotFound
		}
		if err != nil {
			s.nothing(w, r)
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	switch r.PathValue("act") {
	case "resend":
		_, err = s.queue.Resend(ctx, id, p.till())
	case "arrived":
		_, err = s.queue.Settle(ctx, id, queue.Delivered, p.till())
	case "failed":
		_, err = s.queue.Settle(ctx, id, queue.Failed, p.till())
	case "cancel":
		_, err = s.queue.Cancel(ctx, id, p.till())
	default:
		s.nothing(w, r)
		return
	}
	back := "/messages/" + id.String()
	if _, moved := errors.AsType[*queue.ErrNotNow](err); moved {
		s.note(w, p, http.StatusConflict, "trouble_h", p.T("not_now_text"), back)
		return
	}
	if errors.Is(err, queue.ErrNotFound) {
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}
