package webui

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/store"
	"tillpost/queue/text"
	"tillpost/webui/lamp"
)

// mostNumbers that one form writes to; more is a campaign, with its own rules.
const mostNumbers = 200

// writeView is the page on which a person writes.
type writeView struct {
	*page
	To, Text string // as typed
	Class    queue.Class
	When     string // now | at
	At       string // as the browser writes it
	Me       string // one's own number, for a test
	Pick     pickView
	Once     string // makes the second press of a button harmless
	Count    countView
	Wrong    []string // whole sentences
	Test     string   // id of the test that was just sent
}

// countView is what a text comes to.
type countView struct {
	*page
	Empty    bool
	Who      string // who reads it, of a text with values in it
	Parts    int
	Units    string // "8 of 67 characters in the last one"
	Short    bool   // all of it is in the short alphabet
	People   int
	Price    string
	Gauge    []int // units of each part, of 32
	Culprits []culpritView
	Instead  *insteadView
	Said     [][]runView // the parts as they arrive
	HTML     string      // of an e-mail, with its values
	Changes  []queue.Change
	Refused  string
}

type culpritView struct {
	Char, Use string
	Times     int
	Saves     int
}

type insteadView struct {
	Text  string
	Parts int
	Price string
}

// runView is a piece of text, marked if it is what costs.
type runView struct {
	Text string
	Mark bool
}

func (s *Site) showWrite(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v := s.newWrite(r)
	v.Class, v.When = queue.Transactional, "now"
	if err := v.readPick(r); err != nil {
		s.trouble(w, v.page, err)
		return
	}
	v.count()
	s.render(w, http.StatusOK, "write", v)
}

func (s *Site) newWrite(r *http.Request) *writeView {
	v := &writeView{page: s.page(r, "write"), Once: newOnce()}
	v.Live, v.Lamp = "strip", v.lamp(lamp.Look(s.queue, s.db))
	if c, err := r.Cookie("me"); err == nil {
		v.Me = c.Value
	}
	return v
}

// countText answers what the page's script asks while somebody types: the same
// piece of the page, drawn anew.
func (s *Site) countText(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := s.newWrite(r)
	v.read(r)
	v.count()
	s.render(w, http.StatusOK, "count", v.Count)
}

func (v *writeView) read(r *http.Request) {
	f := r.PostForm
	v.To, v.Text = f.Get("to"), strings.ReplaceAll(f.Get("text"), "\r\n", "\n")
	v.Class, v.When, v.At = queue.Transactional, "now", f.Get("at")
	if queue.Class(f.Get("class")) == queue.Marketing {
		v.Class = queue.Marketing
	}
	if f.Get("when") == "at" {
		v.When = "at"
	}
	if f.Has("me") {
		v.Me = strings.TrimSpace(f.Get("me"))
	}
	if once := f.Get("once"); once != "" {
		v.Once = once
	}
}

// write does what the pressed button says.
func (s *Site) write(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := s.newWrite(r)
	v.read(r)
	if err := v.readPick(r); err != nil {
		s.trouble(w, v.page, err)
		return
	}
	v.count()
	switch do := r.PostForm.Get("do"); do {
	case "send":
		s.sendForm(w, r, v)
		return
	case "test":
		s.sendTest(w, r, v)
		return
	case "pick", "fill":
		if v.Pick.Name == "" || do == "pick" && len(v.Pick.Fields) > 0 {
			break // nothing was chosen, or its values are asked for
		}
		if err := v.fill(); err != nil {
			s.trouble(w, v.page, err)
			return
		}
	case "instead":
		if v.Count.Instead != nil {
			v.Text = v.Count.Instead.Text
		}
	default: // one character gives way
		for _, c := range v.Count.Culprits {
			if do == "use "+c.Char {
				v.Text = strings.ReplaceAll(v.Text, c.Char, c.Use)
			}
		}
	}
	v.count()
	s.render(w, http.StatusOK, "write", v)
}

// numbers that were typed, each once, in the order in which they stand there.
func (v *writeView) numbers() []string {
	fields := strings.FieldsFunc(v.To, func(r rune) bool { return strings.ContainsRune(",;\n\r", r) })
	var list []string
	for _, f := range fields {
		if f = strings.TrimSpace(f); f != "" && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

func (v *writeView) draft(to string) queue.Draft {
	return queue.Draft{Till: v.till(), To: to, Text: v.Text, Class: v.Class}
}

// count works out what the text comes to; a number that cannot be written to
// is left to who sends.
func (v *writeView) count() {
	v.Count = countView{page: v.page, Empty: v.Text == "", Short: true}
	if v.Text == "" {
		return
	}
	quote, err := v.site.queue.Quote(v.draft(""))
	if err != nil {
		v.Count.Refused = v.sentence(err, "")
		return
	}
	c := &v.Count
	c.tell(quote)
	var total text.Total
	for _, to := range v.numbers() {
		q, err := v.site.queue.Quote(v.draft(to))
		if err != nil || q.Refused != nil {
			continue
		}
		c.People++
		total.Add(q.Price)
	}
	c.Price = sum(total)
	if c.People == 0 {
		c.Price = quote.Price.String()
	}
	if c.Instead != nil {
		if q, err := v.site.queue.Quote(queue.Draft{Till: v.till(), Text: c.Instead.Text, Class: v.Class}); err == nil {
			c.Instead.Price = q.Price.String()
		}
	}
}

// tell takes over what the queue would make of a text, all but its price.
func (c *countView) tell(quote *queue.Quote) {
	plan := quote.Plan
	c.Parts, c.Short = plan.Parts(), plan.Alphabet == text.AlphabetGSM7
	if quote.Refused != nil {
		c.Refused = c.sentence(quote.Refused, "")
	}
	last := plan.Segments[len(plan.Segments)-1]
	c.Units = c.T("count_room", "n", last.Units, "room", plan.Room)
	for _, seg := range plan.Segments {
		c.Gauge = append(c.Gauge, max(1, seg.Units*32/max(plan.Room, 1)))
		c.Said = append(c.Said, marked(seg.Text, plan.Culprits))
	}
	for _, cu := range plan.Culprits {
		c.Culprits = append(c.Culprits, culpritView{Char: cu.Char, Use: cu.Use, Times: len(cu.At), Saves: cu.Saves})
	}
	for _, ch := range plan.Changes {
		c.Changes = append(c.Changes, queue.Change{From: ch.From, To: ch.To, Position: ch.Pos})
	}
	if in := plan.Instead; in != nil {
		c.Instead = &insteadView{Text: in.Text, Parts: in.Parts}
	}
}

func sum(t text.Total) string {
	var parts []string
	for _, p := range t {
		parts = append(parts, p.String())
	}
	return strings.Join(parts, " + ")
}

// marked cuts a text where characters stand that make it expensive.
func marked(s string, culprits []text.Culprit) []runView {
	var runs []runView
	for s != "" {
		at, long := len(s), 0
		for _, c := range culprits {
			if i := strings.Index(s, c.Char); i >= 0 && i < at {
				at, long = i, len(c.Char)
			}
		}
		if at > 0 {
			runs = append(runs, runView{Text: s[:at]})
		}
		if long > 0 {
			runs = append(runs, runView{Text: s[at : at+long], Mark: true})
		}
		s = s[at+long:]
	}
	return runs
}

// sentence tells a refusal in the language of the page where there are words
// for it, and else in those of the queue.
func (p *page) sentence(err error, number string) string {
	bad, ok := errors.AsType[*queue.Invalid](err)
	if !ok {
		return p.T("trouble_text")
	}
	switch {
	case bad.Code == text.CodeTextTooLong:
		return p.T("wrong_long")
	case bad.Code == "no_consent":
		return p.T("wrong_ad", "number", number)
	case bad.Field == "to" && bad.Code == text.CodeNumberInvalid:
		return queue.Words("bad_number", p.Lang, map[string]string{"number": number})
	case bad.Field == "to":
		return number + ": " + bad.Detail
	}
	return bad.Detail
}

// planned is when it should go out; zero: now.
func (v *writeView) planned() (time.Time, bool) {
	if v.When != "at" {
		return time.Time{}, true
	}
	t, err := time.ParseInLocation("2006-01-02T15:04", v.At, v.site.cfg.Location)
	return t, err == nil && t.After(v.Now)
}

// sendForm accepts the text for every number, or for none.
func (s *Site) sendForm(w http.ResponseWriter, r *http.Request, v *writeView) {
	if to, done := s.sent.begin(v.till(), v.Once); done {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	target := ""
	defer func() { s.sent.end(v.till(), v.Once, target) }()
	drafts := v.drafts()
	if len(v.Wrong) > 0 {
		s.render(w, http.StatusBadRequest, "write", v)
		return
	}
	list, err := s.acceptAll(r.Context(), drafts)
	if err != nil {
		v.Wrong = []string{s.refusedAs(v.page, err)}
		s.render(w, http.StatusServiceUnavailable, "write", v)
		return
	}
	target = "/messages"
	if len(list) == 1 {
		target += "/" + list[0].ID.String()
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// drafts of the form; what is wrong with it goes to Wrong.
func (v *writeView) drafts() []queue.Draft {
	to := v.numbers()
	at, ok := v.planned()
	switch {
	case len(to) == 0:
		v.Wrong = append(v.Wrong, v.T("wrong_nobody"))
	case len(to) > mostNumbers:
		v.Wrong = append(v.Wrong, v.T("wrong_many", "n", len(to), "most", mostNumbers))
		return nil
	}
	if strings.TrimSpace(v.Text) == "" {
		v.Wrong = append(v.Wrong, v.T("wrong_empty"))
		return nil
	}
	if !ok {
		v.Wrong = append(v.Wrong, v.T("wrong_time"))
	}
	var drafts []queue.Draft
	known := map[string]bool{}
	for _, n := range to {
		d := v.draft(n)
		d.At = at
		quote, err := v.site.queue.Quote(d)
		if err == nil && quote.Refused != nil {
			err = quote.Refused
		}
		if err == nil {
			err = v.site.outreach.Agreed(d, outreach.Said{})
		}
		if err != nil {
			if said := v.sentence(err, n); !slices.Contains(v.Wrong, said) {
				v.Wrong = append(v.Wrong, said)
			}
			continue
		}
		if !known[quote.To.String()] { // the same number in two spellings
			known[quote.To.String()] = true
			drafts = append(drafts, d)
		}
	}
	return drafts
}

// acceptAll puts all messages on disk in one commit, or none.
func (s *Site) acceptAll(ctx context.Context, drafts []queue.Draft) ([]*queue.Message, error) {
	if err := s.db.Room(); err != nil {
		return nil, err
	}
	list := make([]*queue.Message, len(drafts))
	for i, d := range drafts {
		var err error
		if list[i], err = s.queue.Prepare(d); err != nil {
			return nil, err
		}
	}
	return list, s.db.Commit(ctx, func(tx *store.Tx) error {
		for _, m := range list {
			if err := s.queue.AddTx(tx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// refusedAs says why nothing was accepted.
func (s *Site) refusedAs(p *page, err error) string {
	if _, full := errors.AsType[*queue.Full](err); full {
		return p.T("wrong_full")
	}
	if errors.Is(err, store.ErrDiskLow) {
		return p.Words("disk_full")
	}
	if _, bad := errors.AsType[*queue.Invalid](err); bad {
		return p.sentence(err, "")
	}
	s.log.Error("a message from the page was not accepted", "err", err)
	return p.T("trouble_text")
}

// sendTest sends the text to who writes it, and leaves the form as it is.
func (s *Site) sendTest(w http.ResponseWriter, r *http.Request, v *writeView) {
	d := v.draft(v.Me)
	switch {
	case v.Me == "":
		v.Wrong = append(v.Wrong, v.T("wrong_me"))
	case strings.TrimSpace(v.Text) == "":
		v.Wrong = append(v.Wrong, v.T("wrong_empty"))
	}
	if len(v.Wrong) > 0 {
		s.render(w, http.StatusBadRequest, "write", v)
		return
	}
	d.Class = queue.Transactional // to oneself nothing is advertising
	list, err := s.acceptAll(r.Context(), []queue.Draft{d})
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		v.Wrong = []string{v.sentence(bad, v.Me)}
		s.render(w, http.StatusBadRequest, "write", v)
		return
	}
	if err != nil {
		v.Wrong = []string{s.refusedAs(v.page, err)}
		s.render(w, http.StatusServiceUnavailable, "write", v)
		return
	}
	keepMe(w, r, v.Me)
	v.Test = list[0].ID.String()
	s.render(w, http.StatusOK, "write", v)
}

// keepMe remembers one's own number in one's own browser.
func keepMe(w http.ResponseWriter, r *http.Request, number string) {
	http.SetCookie(w, &http.Cookie{
		Name: "me", Value: strings.Map(digit, number), Path: "/", MaxAge: 365 * 24 * 3600,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}

func digit(r rune) rune {
	if r == '+' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// once remembers forms that were sent, so that a second press, or a page that
// is loaded again, does not write to a customer twice.
type once struct {
	mu   sync.Mutex
	done map[string]string // where the first one led; empty: it is under way
	line []string          // oldest first
}

// mostForms are remembered; a form older than that many others is new again.
const mostForms = 1000

// newOnce names a form.
func newOnce() string { return rand.Text() }

// begin reports whether the form was sent before, and where that led.
func (o *once) begin(who, form string) (target string, done bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := who + " " + form
	if target, done = o.done[key]; done {
		if target == "" {
			target = "/messages"
		}
		return target, true
	}
	if o.done == nil {
		o.done = map[string]string{}
	}
	o.done[key] = ""
	if o.line = append(o.line, key); len(o.line) > mostForms {
		delete(o.done, o.line[0])
		o.line = o.line[1:]
	}
	return "", false
}

// end keeps where a form led; nowhere if it was refused, and may come again.
func (o *once) end(who, form, target string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := who + " " + form
	if target != "" {
		o.done[key] = target
		return
	}
	delete(o.done, key)
	o.line = slices.DeleteFunc(o.line, func(k string) bool { return k == key })
}
