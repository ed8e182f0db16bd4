package webui

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/webui/lamp"
)

// What came in, as conversations: everything with one number is one thread. A
// thread is addressed by the number of one message in it, so that no address
// holds anybody's telephone number.

const (
	inboxLook = 500  // messages that came in, looked at for one page of threads
	talkLook  = 2000 // and for one conversation
	talkMost  = 50   // messages of ours in one conversation
)

// inboxView is the list of conversations.
type inboxView struct {
	*page
	Decide  []threadView // a person must say what the customer meant
	Threads []threadView
	Older   string
}

// threadView is one conversation in the list: its newest message.
type threadView struct {
	Seq  uint64
	At   time.Time
	From string
	Said string
	N    int    // messages in it, of those that were looked at
	Word string // what was done about it; empty: nothing
	Sign string
}

func (s *Site) inbox(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	before, err := strconv.ParseUint(r.URL.Query().Get("before"), 10, 64)
	if err != nil {
		before = 0 // the newest
	}
	v, err := s.readInbox(s.page(r, "inbox"), before)
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	s.render(w, http.StatusOK, "inbox", v)
}

func (s *Site) readInbox(p *page, before uint64) (*inboxView, error) {
	p.Lamp, p.Live = p.lamp(lamp.Look(s.queue, s.db)), "strip"
	if before == 0 {
		p.Live = "inbox"
	}
	v := &inboxView{page: p}
	list, next, err := s.queue.Inbox(before, inboxLook)
	if err != nil {
		return nil, err
	}
	at := map[string]int{} // of a thread, by number
	for i := range list {
		in := &list[i]
		if undecided(in) {
			v.Decide = append(v.Decide, p.thread(in))
		}
		if k, known := at[in.From]; known {
			v.Threads[k].N++
			continue
		}
		if len(v.Threads) == pageLength {
			continue // counted with the next page
		}
		at[in.From] = len(v.Threads)
		v.Threads = append(v.Threads, p.thread(in))
	}
	if n := len(v.Threads); n == pageLength {
		next = v.Threads[n-1].Seq
	}
	if next != 0 {
		v.Older = "/inbox?before=" + itoa(next)
	}
	return v, nil
}

// undecided: its words may mean that the customer wants no more advertising,
// and nobody has said so yet.
func undecided(in *queue.Inbound) bool { return in.Action == queue.ActionSuggest && in.By == "" }

func (p *page) thread(in *queue.Inbound) threadView {
	v := threadView{Seq: in.Seq, At: in.At, From: masked(in.From), Said: strings.Join(strings.Fields(in.Text), " "), N: 1}
	v.Word, v.Sign = p.meaning(in)
	return v
}

// meaning is what an inbound message was taken for.
func (p *page) meaning(in *queue.Inbound) (word, sign string) {
	switch {
	case in.Undecodable:
		return p.T("in_undecodable"), "unk"
	case undecided(in):
		return p.T("in_suggest"), "unk"
	case in.Action == queue.ActionOptOut:
		return p.T("in_optout"), "off"
	case in.Action == queue.ActionOptIn:
		return p.T("in_optin"), "ok"
	case in.Action == queue.ActionHelp:
		return p.T("in_help"), "info"
	case len(in.Missing) > 0:
		return p.T("in_missing", "n", len(in.Missing), "of", in.Of), "warn"
	}
	return "", ""
}

// talkView is one conversation.
type talkView struct {
	*page
	Seq      uint64
	With     string // whose number
	Turns    []turnView
	Decide   uint64 // the message that waits for a decision; 0: none
	OptedOut string // since when it wants no advertising; empty: it may be sent to
	Reply    bool   // there is a number to answer to
	Text     string // as typed
	Once     string
	Wrong    string
}

// turnView is one message of a conversation.
type turnView struct {
	At       time.Time
	Ours     bool
	Text     string
	ID       string // of ours
	Word     string
	Sign     string
	Decision string // who decided what it meant
}

var errNoTalk = errors.New("webui: no such conversation")

func (s *Site) inbound(seq uint64) (*queue.Inbound, error) {
	if seq == 0 || seq == ^uint64(0) {
		return nil, errNoTalk
	}
	list, _, err := s.queue.Inbox(seq+1, 1)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].Seq != seq {
		return nil, errNoTalk
	}
	return &list[0], nil
}

func (s *Site) readTalk(p *page, seq uint64) (*talkView, error) {
	first, err := s.inbound(seq)
	if err != nil {
		return nil, err
	}
	p.Lamp, p.Live = p.lamp(lamp.Look(s.queue, s.db)), "talk/"+itoa(seq)
	v := &talkView{page: p, Seq: seq, With: p.number(first.From), Reply: strings.HasPrefix(first.From, "+")}
	theirs, _, err := s.queue.Inbox(0, talkLook)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(theirs, func(in queue.Inbound) bool { return in.Seq == seq }) {
		theirs = append(theirs, *first) // long ago
	}
	for i := range theirs {
		in := &theirs[i]
		if in.From != first.From {
			continue
		}
		t := turnView{At: in.At, Text: in.Text}
		t.Word, t.Sign = p.meaning(in)
		if in.By != "" {
			t.Decision = p.T("by_whom", "by", p.by(in.By))
		}
		if undecided(in) && v.Decide == 0 {
			v.Decide = in.Seq
		}
		v.Turns = append(v.Turns, t)
	}
	if v.Reply {
		if err := v.readOurs(first.From); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(v.Turns, func(a, b turnView) int { return a.At.Compare(b.At) })
	return v, nil
}

// readOurs adds what we wrote to a number, and whether it may be sent
// advertising.
func (v *talkView) readOurs(number string) error {
	q := v.site.queue
	ours, _, err := q.List(queue.Filter{To: number, Limit: talkMost})
	if err != nil {
		return err
	}
	for _, m := range ours {
		v.Turns = append(v.Turns, turnView{At: m.Created, Ours: true, Text: m.Text(), ID: m.ID.String(), Word: v.T("st_" + string(m.State)), Sign: signOf[m.State]})
	}
	o, err := q.OptedOut(number)
	if err != nil {
		return err
	}
	if o != nil {
		v.OptedOut = v.Clock(o.At)
	}
	return nil
}

func (s *Site) talk(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	s.showTalk(w, r, http.StatusOK, "", "")
}

// showTalk draws a conversation, with what was typed and what is wrong with it.
func (s *Site) showTalk(w http.ResponseWriter, r *http.Request, status int, typed, wrong string) {
	p := s.page(r, "inbox")
	p.Path = "/inbox/" + r.PathValue("seq")
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil {
		s.nothing(w, r)
		return
	}
	v, err := s.readTalk(p, seq)
	if errors.Is(err, errNoTalk) {
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	v.Text, v.Wrong, v.Once = typed, wrong, newOnce()
	s.render(w, status, "talk", v)
}

// actOnInbound answers a customer, or decides what one meant.
func (s *Site) actOnInbound(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil {
		s.nothing(w, r)
		return
	}
	p := s.page(r, "inbox")
	switch act := r.PathValue("act"); act {
	case "reply":
		s.reply(w, r, p, seq)
		return
	case "optout":
		err = s.queue.DecideInbound(r.Context(), seq, queue.ActionOptOut, p.till())
	case "optin":
		err = s.queue.DecideInbound(r.Context(), seq, queue.ActionOptIn, p.till())
	case "plain":
		err = s.queue.DecideInbound(r.Context(), seq, "", p.till())
	default:
		err = queue.ErrNotFound
	}
	if errors.Is(err, queue.ErrNotFound) {
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	http.Redirect(w, r, "/inbox/"+itoa(seq), http.StatusSeeOther)
}

func (s *Site) reply(w http.ResponseWriter, r *http.Request, p *page, seq uint64) {
	back := "/inbox/" + itoa(seq)
	in, err := s.inbound(seq)
	if errors.Is(err, errNoTalk) {
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	words := strings.ReplaceAll(r.PostForm.Get("text"), "\r\n", "\n")
	if strings.TrimSpace(words) == "" {
		s.showTalk(w, r, http.StatusBadRequest, "", p.T("wrong_empty"))
		return
	}
	if _, done := s.sent.begin(p.till(), r.PostForm.Get("once")); done {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	_, err = s.acceptAll(r.Context(), []queue.Draft{{Till: p.till(), To: in.From, Text: words}})
	if err != nil {
		s.sent.end(p.till(), r.PostForm.Get("once"), "")
		s.showTalk(w, r, http.StatusBadRequest, words, s.refusedAs(p, err))
		return
	}
	s.sent.end(p.till(), r.PostForm.Get("once"), back)
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// decisionView is what a person may say that a customer meant.
type decisionView struct {
	*page
	Seq uint64
}

// Decision on one inbound message.
func (p *page) Decision(seq uint64) decisionView { return decisionView{p, seq} }

// Acts are the buttons: address and word.
func (v decisionView) Acts() [][2]string {
	return [][2]string{{"optout", v.T("decide_optout")}, {"plain", v.T("decide_plain")}}
}
