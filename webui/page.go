package webui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/webui/door"
	"tillpost/webui/lamp"
)

//go:embed templates static
var files embed.FS

// pages are read when the first one is asked for: nobody looks at most boxes
// most of the time, and the parsed pages are half of what an idle box would
// hold. A test opens every one.
var pages = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"sign": sign, "bigSign": bigSign, "classOf": classOf, "bars": bars, "masked": masked, "asset": asset,
		"inc": func(n int) int { return n + 1 },
	}).ParseFS(files, "templates/*.html")
})

// fill writes a page, or a part of one.
func fill(w io.Writer, name string, view any) error {
	all, err := pages()
	if err != nil {
		return fmt.Errorf("webui: the pages that are built in do not parse: %w", err)
	}
	return all.ExecuteTemplate(w, name, view)
}

// page is what every page needs: the reader's language, the time it shows, and
// the lamp.
type page struct {
	site *Site
	Lang string
	Now  time.Time
	Path string // as the browser calls it
	Nav  string // entry of the menu that is current
	Sub  string // and of the row below it, if it has one
	Open bool   // no password is set: the page is open to this screen alone
	In   bool   // a session is open
	Who  door.Person
	Live string // what the page follows; empty: nothing
	Lamp lampView
}

// page begins an answer to r. nav is the entry of the menu.
func (s *Site) page(r *http.Request, nav string) *page {
	p := &page{site: s, Lang: s.language(r), Now: time.Now(), Path: r.URL.Path, Nav: nav, Open: !s.door.IsSet()}
	var known bool
	p.Who, known = s.who(r)
	p.In = known && !p.Open
	return p
}

// language of the reader: ?lang, what was chosen before, the shop's.
func (s *Site) language(r *http.Request) string {
	if l := r.URL.Query().Get("lang"); slices.Contains(queue.Languages, l) {
		return l
	}
	if c, err := r.Cookie("lang"); err == nil && slices.Contains(queue.Languages, c.Value) {
		return c.Value
	}
	return s.cfg.Language
}

// keepLanguage remembers a language that was chosen with ?lang.
func keepLanguage(w http.ResponseWriter, r *http.Request) {
	if l := r.URL.Query().Get("lang"); slices.Contains(queue.Languages, l) {
		setLanguage(w, r, l)
	}
}

func setLanguage(w http.ResponseWriter, r *http.Request, lang string) {
	http.SetCookie(w, &http.Cookie{
		Name: "lang", Value: lang, Path: "/", MaxAge: 365 * 24 * 3600,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// T is a text of the page.
func (p *page) T(key string, args ...any) string { return say(p.Lang, key, args...) }

// Kind of a way out.
func (p *page) Kind(kind string) string {
	if _, ok := words()["kind_"+kind]; !ok {
		return kind
	}
	return p.T("kind_" + kind)
}

// Languages to choose from.
func (p *page) Languages() []string { return queue.Languages }

func (p *page) in(t time.Time) time.Time { return t.In(p.site.cfg.Location) }

// Second is a time of day to the second.
func (p *page) Second(t time.Time) string { return p.in(t).Format("15:04:05") }

// Milli is a time of day to the millisecond, for technicians.
func (p *page) Milli(t time.Time) string { return p.in(t).Format("15:04:05.000") }

// Clock is a time as a person beside a till says it.
func (p *page) Clock(t time.Time) string { return queue.Clock(t, p.Now, p.site.cfg.Location) }

// Moment is a time in a list: to the second today, with the date before.
func (p *page) Moment(t time.Time) string {
	if at := p.Clock(t); len(at) > len("15:04") {
		return at
	}
	return p.Second(t)
}

// ISO is a time for machines.
func (p *page) ISO(t time.Time) string { return p.in(t).Format(time.RFC3339) }

// Day is the date, with the day of the week.
func (p *page) Day(t time.Time) string {
	t = p.in(t)
	return weekdays[p.Lang][t.Weekday()] + " " + t.Format("2006-01-02")
}

var weekdays = map[string][7]string{
	"en": {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"},
	"nl": {"zo", "ma", "di", "wo", "do", "vr", "za"},
	"sv": {"sön", "mån", "tis", "ons", "tor", "fre", "lör"},
	"de": {"So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"},
}

// Zone is the place whose clock the page shows.
func (p *page) Zone() string { return p.site.cfg.Location.String() }

// Version of the program.
func (p *page) Version() string { return p.site.cfg.Version }

// Words says how a thing is called for a code of the queue.
func (p *page) Words(code string) string { return queue.Words(code, p.Lang, nil) }

// Took is how long something lasted, in the words of a person.
func (p *page) Took(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return p.T("seconds_few")
	case d < 2*time.Minute:
		return p.T("seconds", "n", int(d.Seconds()))
	case d < 2*time.Hour:
		return p.T("minutes", "n", int(d.Minutes()))
	case d < 48*time.Hour:
		return p.T("hours", "n", int(d.Hours()))
	}
	return p.T("days", "n", int(d.Hours()/24))
}

// lampView is the band on top of the overview, and the slim one elsewhere.
type lampView struct {
	Sign    string // sign and class
	Eyebrow string // what it is about
	Name    string // which way out
	Since   string
	H1      string // the answer, in one line or two
	Next    string // what to do
	After   string // what happens to those who wait
	Route   string // way out that the button is for
	Act     string // resume | restart; empty: no button
	Help    string // address in the manual; empty: nothing is the matter
}

// Title of the tab begins with the sign.
func (v lampView) Title() string {
	first, _, _ := strings.Cut(v.H1, "\n")
	return mark[v.Sign] + " " + strings.TrimSuffix(first, ".") + " · Tillpost"
}

func (p *page) lamp(b lamp.Box) lampView {
	v := lampView{Sign: string(b.Colour), Next: p.Words(b.Code), After: p.waits(b.Waiting)}
	if b.Route != "" {
		v.Eyebrow, v.Name = p.Kind(b.Kind), b.Route
		if b.Ways == 1 {
			v.Since = p.T("only_way")
		}
		if !b.Since.IsZero() {
			since := p.T("since", "time", p.Clock(b.Since))
			v.Since = strings.TrimPrefix(v.Since+", "+since, ", ")
		}
		v.Route, v.Act = b.Route, p.site.remedy(b.Route, b.Code)
	}
	if b.Colour != lamp.OK {
		v.Help = p.help(b.Code)
	}
	switch {
	case b.Health == lamp.Down:
		v.H1, v.Next = p.T("box_stuck"), p.T("box_stuck_next")
	case b.Code == "disk_full":
		v.H1 = p.T("intake_closed")
	case b.Code == "row_aside":
		v.H1 = p.T("row_aside")
	case b.Code == "no_route":
		v.H1 = p.T("no_way")
	case b.Colour == lamp.OK:
		v.H1, v.Next, v.After = p.Words("ok"), p.T("nothing_to_do"), p.leaving(b.Waiting)
	case b.Colour == lamp.Stop:
		v.H1 = p.T("nothing_sent")
	case b.Colour == lamp.Info:
		v.H1 = p.T("getting_ready")
		if b.Ready > 0 {
			v.H1 = p.Words("ok")
		}
	case b.Ready == 0:
		v.H1 = p.T("not_now")
	case len(b.Others) == 0: // it works, though not well
		v.H1, v.After = p.Words("ok"), p.leaving(b.Waiting)
	default:
		v.H1 = p.T(hands[b.Kind])
		v.After = p.T("others_carry", "names", strings.Join(b.Others, ", "))
	}
	return v
}

// hands are the headlines for one way out of several that needs somebody.
var hands = map[string]string{"modem": "hand_modem", "smpp": "hand_smpp", "email": "hand_other", "": "hand_other"}

func (p *page) waits(n int64) string {
	switch n {
	case 0:
		return p.T("waits_none")
	case 1:
		return p.T("waits_one")
	}
	return p.T("waits_many", "n", n)
}

func (p *page) leaving(n int64) string {
	said := p.T("waits_none")
	switch {
	case n == 1:
		said = p.T("leaving_one")
	case n > 1:
		said = p.T("leaving_many", "n", n)
	}
	if at := p.site.tally.Today().LastDelivered; !at.IsZero() {
		said += " " + p.T("last_delivered_at", "time", p.Second(at))
	}
	return said
}

// render writes a whole page.
func (s *Site) render(w http.ResponseWriter, status int, name string, view any) {
	var buf bytes.Buffer
	if err := fill(&buf, name, view); err != nil {
		s.log.Error("a page could not be drawn", "page", name, "err", err)
		http.Error(w, say("en", "trouble_text"), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // fails when the browser has gone
}

type noteView struct {
	*page
	H1, Text string
	Back     string // address of the button
}

// note is a page that says one thing.
func (s *Site) note(w http.ResponseWriter, p *page, status int, h1, text, back string) {
	s.render(w, status, "note", &noteView{page: p, H1: p.T(h1), Text: text, Back: back})
}

// trouble is for errors that a person cannot help.
func (s *Site) trouble(w http.ResponseWriter, p *page, err error) {
	s.log.Error("a page failed", "err", err)
	s.note(w, p, http.StatusInternalServerError, "trouble_h", p.T("trouble_text"), "/")
}

// show writes the page of one thing that was looked for, or says why there is
// none.
func (s *Site) show(w http.ResponseWriter, r *http.Request, name string, view any, err error) {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		s.nothing(w, r)
	case err != nil:
		s.trouble(w, s.page(r, ""), err)
	default:
		s.render(w, http.StatusOK, name, view)
	}
}

// acted ends what a button of a page did: back where it leads to, or the page
// once more with what was wrong, which again draws up.
func (s *Site) acted(w http.ResponseWriter, r *http.Request, p *page, err error, back, page string, again func(wrong string) (any, error)) {
	if err == nil {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	said, ours := p.wrongWith(err)
	if !ours {
		s.show(w, r, "", nil, err)
		return
	}
	v, err := again(said)
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	s.render(w, http.StatusConflict, page, v)
}

func (s *Site) nothing(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "-")
	s.note(w, p, http.StatusNotFound, "gone_h", p.T("gone_text"), "/")
}

// Static files carry a piece of their hash in the address, so that a browser
// may keep them for a year and still gets new ones after an update.

var assets = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	err := fs.WalkDir(files, "static", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(path)
		sum := sha256.Sum256(body)
		all[strings.TrimPrefix(path, "static/")] = hex.EncodeToString(sum[:6])
		return err
	})
	if err != nil {
		panic("webui: " + err.Error()) // compiled in
	}
	return all
})

func asset(name string) string { return "/static/" + name + "?v=" + assets()[name] }

func static() http.Handler {
	serve := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum, ok := assets()[strings.TrimPrefix(r.URL.Path, "/static/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		if r.URL.Query().Get("v") == sum {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		serve.ServeHTTP(w, r)
	})
}
