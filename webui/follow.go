package webui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/webui/door"
	"tillpost/webui/lamp"
	"tillpost/webui/live"
)

// A page follows the box by replacing its parts with what the server would
// draw now: one set of templates, so that the page with and the page without
// JavaScript cannot disagree. A part that did not change is not sent again.

// news is one message to a page.
type news struct {
	// From is the number of the drawing that the page must show for the parts to
	// fit, 0 for any; N that of the one it then shows. A page that shows another
	// loads again. Both are missing where the message only says that the box is
	// there.
	From  int               `json:"from,omitempty"`
	N     int               `json:"n,omitempty"`
	At    string            `json:"at"` // the box's clock
	Title string            `json:"title,omitempty"`
	Lamp  string            `json:"lamp,omitempty"`
	Parts map[string]string `json:"parts,omitempty"`
}

// drawing is a page as it looked at one moment.
type drawing struct {
	n     int    // counts the drawings of its easel
	wake  uint64 // of the hub, before it was drawn
	at    time.Time
	clock string // of the box, when it was drawn
	title string
	lamp  string
	parts map[string]string
}

// board holds the newest drawing of each page that is being followed, so that
// a thousand tabs cost one.
type board struct {
	site *Site

	mu     sync.Mutex
	pages  map[string]*easel
	beatAt string        // what the clock showed at …
	beat   *live.Message // … the newest sign of life
}

// easel is one page in one language, as somebody with certain rights sees it.
type easel struct {
	mu   sync.Mutex
	last *drawing
	tabs int
	n    int // of the last drawing

	toldOf *drawing                   // what follows leads there
	told   map[*drawing]*live.Message // by what a tab showed before; nil: nothing to tell
}

func newBoard(s *Site) *board { return &board{site: s, pages: map[string]*easel{}} }

// fresh is how long a drawing may be handed out: a sweep of the hub is shorter,
// and a page that nothing happened to for a while is drawn anew for who comes.
const fresh = time.Second

func (b *board) enter(name string) *easel {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.pages[name]
	if e == nil {
		e = &easel{}
		b.pages[name] = e
	}
	e.tabs++
	return e
}

func (b *board) leave(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.pages[name]; e != nil {
		if e.tabs--; e.tabs == 0 {
			delete(b.pages, name)
		}
	}
}

// look returns how the page looks. Tabs that are told in the same wake of the
// hub share a drawing: whatever changed after it wakes them again.
func (e *easel) look(wake uint64, draw func() (*drawing, error)) (*drawing, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last != nil && e.last.wake >= wake && time.Since(e.last.at) < fresh {
		return e.last, nil
	}
	at := time.Now() // before the reads, so that nothing newer is missed
	d, err := draw()
	if err != nil {
		return nil, err
	}
	e.n++
	d.n, d.wake, d.at = e.n, wake, at
	e.last = d
	return d, nil
}

// draw makes the parts of a page.
func (b *board) draw(what, lang string, who door.Person) (*drawing, error) {
	s := b.site
	p := &page{site: s, Lang: lang, Now: time.Now(), Open: !s.door.IsSet(), In: s.door.IsSet(), Who: who}
	var view any
	var parts []string
	var err error
	name, rest, _ := strings.Cut(what, "/")
	name, query, _ := strings.Cut(name, "?")
	switch name {
	case "overview":
		if !p.may(looks) {
			return nil, errNoPage
		}
		p.Nav, parts = "overview", overviewParts
		view, err = s.readOverview(p)
	case "found": // a screen of the wizard
		if !p.may(steers) {
			return nil, errNoPage
		}
		parts = []string{"brand", "found"}
		view, err = s.readStep(p, "modem")
	case "strip": // pages that show what does not change by itself, under a lamp that does
		p.Lamp, view, parts = p.lamp(lamp.Look(s.queue, s.db)), p, []string{"brand", "strip"}
	case "way":
		if !p.may(looks) {
			return nil, errNoPage
		}
		parts = wayParts
		view, err = s.readWay(p, rest)
	case "messages":
		p.Nav, parts = "messages", messagesParts
		view, err = s.readMessages(p, search{State: queue.State(strings.TrimPrefix(query, "state="))})
	case "inbox", "talk":
		if !p.may(decides) {
			return nil, errNoPage
		}
		p.Nav = "inbox"
		if name == "inbox" {
			parts = inboxParts
			view, err = s.readInbox(p, 0)
			break
		}
		parts = talkParts
		var seq uint64
		if seq, err = strconv.ParseUint(rest, 10, 64); err == nil {
			view, err = s.readTalk(p, seq)
		}
		if err != nil {
			err = errors.Join(errNoPage, err)
		}
	case "campaigns", "campaign", "rules", "rule", "booking":
		p.Lamp = p.lamp(lamp.Look(s.queue, s.db))
		view, parts, err = s.reachParts(p, name, rest, query)
	case "message":
		p.Nav, parts = "messages", messageParts
		view, err = s.readMessage(p, rest)
	default:
		err = errNoPage
	}
	if err != nil {
		return nil, err
	}
	d := &drawing{clock: b.clock(p.Now), title: p.Lamp.Title(), lamp: p.Lamp.Sign, parts: make(map[string]string, len(parts))}
	for _, part := range parts {
		var buf bytes.Buffer
		if err := fill(&buf, part, view); err != nil {
			return nil, fmt.Errorf("webui: part %s: %w", part, err)
		}
		d.parts[part] = buf.String()
	}
	return d, nil
}

var errNoPage = errors.New("webui: no such page")

// tab is one page in one browser: what it was shown.
type tab struct {
	board *board
	easel *easel
	what  string
	lang  string
	who   door.Person
	last  *drawing    // what it shows; nil: what it loaded
	over  func() bool // reports that the session has ended
}

var errLoggedOut = errors.New("logged out")

// Next is the live.Source: the parts that changed since the last call; all of
// them the first time, because the page may be older than the connection.
func (t *tab) Next(wake uint64) (*live.Message, error) {
	if t.over() {
		return nil, errLoggedOut
	}
	d, err := t.easel.look(wake, func() (*drawing, error) { return t.board.draw(t.what, t.lang, t.who) })
	if err != nil {
		return nil, err
	}
	m, err := t.easel.change(t.last, d)
	if err == nil && m != nil {
		t.last = d
	}
	return m, err
}

// Beat says that the box is there, and what its clock shows: the same to all
// within a second.
func (t *tab) Beat() (*live.Message, error) {
	b, at := t.board, t.board.clock(time.Now())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.beatAt == at {
		return b.beat, nil
	}
	m, err := told(news{At: at})
	if err == nil {
		b.beatAt, b.beat = at, m
	}
	return m, err
}

func told(n news) (*live.Message, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("webui: %w", err)
	}
	return live.NewMessage(body)
}

func (b *board) clock(t time.Time) string { return t.In(b.site.cfg.Location).Format("15:04:05") }

// change is what a page that shows from must be told to show to, made once for
// all tabs; nil: nothing.
func (e *easel) change(from, to *drawing) (*live.Message, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.toldOf != to {
		e.toldOf, e.told = to, map[*drawing]*live.Message{}
	}
	if m, done := e.told[from]; done {
		return m, nil
	}
	out := news{N: to.n, At: to.clock, Parts: map[string]string{}}
	if from != nil {
		out.From = from.n
	}
	for name, html := range to.parts {
		if from == nil || from.parts[name] != html {
			out.Parts[name] = html
		}
	}
	var m *live.Message
	if from == nil || from.title != to.title || len(out.Parts) > 0 {
		out.Title, out.Lamp = to.title, to.lamp
		var err error
		if m, err = told(out); err != nil {
			return nil, err
		}
	}
	e.told[from] = m
	return m, nil
}

// follow is the websocket of a page.
func (s *Site) follow(w http.ResponseWriter, r *http.Request) {
	what, lang := r.URL.Query().Get("page"), r.URL.Query().Get("lang")
	if !slices.Contains(queue.Languages, lang) {
		lang = s.cfg.Language
	}
	session := token(r)
	t := &tab{board: s.board, what: what, lang: lang}
	t.who, _ = s.who(r)
	t.over = func() bool { return s.door.IsSet() && !s.door.Valid(session) }
	name := lang + " " + string(t.who.Role) + " " + what
	if !(&page{Who: t.who}).may(looks) { // such a page shows what is one's own
		name = t.who.Name + " " + name
	}
	t.easel = s.board.enter(name)
	defer s.board.leave(name)
	if _, err := t.easel.look(s.hub.Wakes(), func() (*drawing, error) { return s.board.draw(what, lang, t.who) }); err != nil {
		if errors.Is(err, errNoPage) || errors.Is(err, queue.ErrNotFound) {
			http.NotFound(w, r)
			return
		}
		s.log.Error("a page cannot be followed", "err", err)
		http.Error(w, say(lang, "trouble_text"), http.StatusInternalServerError)
		return
	}
	if err := s.hub.Serve(w, r, t, fromHere); err != nil {
		s.log.Debug("a page was left", "err", err)
	}
}
