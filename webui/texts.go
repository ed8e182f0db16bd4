package webui

import (
	"net/http"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// Texts that are kept: their list, and what is done with one as a whole. How
// one is written stands in text_edit.go, how it reads in text_look.go.

// textRoutes are their addresses.
func (s *Site) textRoutes(inside func(pattern string, h http.HandlerFunc)) {
	inside("GET /texts", s.texts)
	inside("POST /texts", s.newText)
	inside("GET /texts/{name}", s.text)
	inside("POST /texts/{name}", s.workOnText)
	inside("POST /texts/{name}/count", s.countTemplate)
	inside("GET /texts/{name}/plain", s.plainText)
	inside("POST /texts/{name}/plain", s.readPlain)
	inside("POST /texts/{name}/restore", s.restoreText)
	inside("POST /texts/{name}/delete", s.deleteText)
}

// channels that a text may be for, in the order in which they are named.
var channels = []string{outreach.SMS, outreach.Email}

// textsView is the list of texts.
type textsView struct {
	*page
	Rows    []textRow
	Next    string // address of those behind; empty: that is all
	Name    string // as typed, for a new one
	In      string
	Channel string
	Wrong   string
}

// Channels to choose from.
func (v *textsView) Channels() []string { return channels }

// textRow is one text in the list.
type textRow struct {
	Name    string
	Says    string    // the begin of it
	In      []textIn  // where it can be sent, and in which language
	Sign    badgeView // draft, or what it is about
	Used    string    // when it was last sent
	Version string    // and who made it
}

// textIn is a channel with its languages.
type textIn struct{ Channel, Languages string }

func (s *Site) texts(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	s.listTexts(w, r, http.StatusOK, &textsView{page: s.customers(r, "texts"), In: s.cfg.Language, Channel: outreach.SMS})
}

func (s *Site) listTexts(w http.ResponseWriter, r *http.Request, status int, v *textsView) {
	list, next, err := s.outreach.Templates(r.URL.Query().Get("after"), pageLength)
	if err != nil {
		s.trouble(w, v.page, err)
		return
	}
	for i := range list {
		v.Rows = append(v.Rows, v.textRow(&list[i]))
	}
	if next != "" {
		v.Next = "/texts?after=" + next // a name needs no escaping
	}
	s.render(w, status, "texts", v)
}

func (v *textsView) textRow(t *outreach.Stored) textRow {
	row := textRow{Name: t.Name, Used: v.T("never_sent"), Version: v.T("text_version", "n", t.Version, "by", v.by(t.By), "time", v.Clock(t.At))}
	if !t.Used.IsZero() {
		row.Used = v.T("last_sent", "time", v.Clock(t.Used))
	}
	for _, channel := range channels {
		var langs []string
		for _, l := range queue.Languages {
			words := t.Texts[channel][l]
			if strings.TrimSpace(words) == "" {
				continue
			}
			langs = append(langs, l)
			if row.Says == "" || l == v.Lang && channel == outreach.SMS {
				row.Says = strings.Join(strings.Fields(words), " ")
			}
		}
		if len(langs) > 0 {
			row.In = append(row.In, textIn{v.T("channel_" + channel), strings.Join(langs, " ")})
		}
	}
	switch {
	case t.Draft:
		row.Sign = badgeView{"line", v.T("text_draft")}
	case t.Class == queue.Marketing:
		row.Sign = badgeView{"info", v.T("about_ad")}
	default:
		row.Sign = badgeView{"ok", v.T("text_ready")}
	}
	return row
}

// newText begins a text, as a draft.
func (s *Site) newText(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f := r.PostForm
	v := &textsView{page: s.customers(r, "texts"), Name: strings.TrimSpace(f.Get("name")), In: f.Get("in"), Channel: f.Get("channel")}
	if !slices.Contains(queue.Languages, v.In) {
		v.In = s.cfg.Language
	}
	if !slices.Contains(channels, v.Channel) {
		v.Channel = outreach.SMS
	}
	name := strings.ReplaceAll(v.Name, " ", "-")
	if _, err := s.outreach.Template(name); err == nil {
		v.Wrong = v.refusedFor("text_taken", "")
		s.listTexts(w, r, http.StatusBadRequest, v)
		return
	}
	t := outreach.Stored{Name: name, Draft: true, Texts: map[string]map[string]string{v.Channel: {v.In: ""}}}
	if _, err := s.outreach.PutTemplate(r.Context(), t, v.till()); err != nil {
		_, said, known := v.refusal(err)
		if !known {
			s.trouble(w, v.page, err)
			return
		}
		v.Wrong = said
		s.listTexts(w, r, http.StatusBadRequest, v)
		return
	}
	http.Redirect(w, r, textAt(name, v.Channel, v.In), http.StatusSeeOther)
}

// textAt is the address of one text. A name needs no escaping.
func textAt(name, channel, lang string) string {
	return "/texts/" + name + "?channel=" + channel + "&in=" + lang
}

// restoreText makes an older version the newest.
func (s *Site) restoreText(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := s.customers(r, "texts")
	name := r.PathValue("name")
	list, err := s.outreach.TemplateHistory(name)
	if err == nil {
		i := slices.IndexFunc(list, func(t outreach.Stored) bool { return itoa(uint64(t.Version)) == r.PostForm.Get("version") })
		if i < 0 {
			s.nothing(w, r)
			return
		}
		_, err = s.outreach.PutTemplate(r.Context(), list[i], p.till())
	}
	s.afterText(w, r, p, err, "/texts/"+name+"#versions")
}

// deleteText removes a text with its versions.
func (s *Site) deleteText(w http.ResponseWriter, r *http.Request) {
	p := s.customers(r, "texts")
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.PostForm.Get("sure") != "yes" {
		s.afterText(w, r, p, &queue.Invalid{Field: "sure", Code: "not_sure", Detail: "tick the box first"}, "")
		return
	}
	s.afterText(w, r, p, s.outreach.DeleteTemplate(r.Context(), r.PathValue("name"), p.till()), "/texts")
}

// afterText goes on when something was done with a text; a refusal is shown on
// its page.
func (s *Site) afterText(w http.ResponseWriter, r *http.Request, p *page, err error, to string) {
	if err == nil {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	v, missing := s.readText(p, r.PathValue("name"), "", "")
	if missing != nil {
		s.show(w, r, "text", nil, missing)
		return
	}
	said, known := v.refusedText(err)
	if !known {
		s.show(w, r, "text", nil, err)
		return
	}
	v.Wrong = []string{said}
	v.count()
	s.render(w, http.StatusConflict, "text", v)
}

// plainText hands out a text by itself, for a person to keep.
func (s *Site) plainText(w http.ResponseWriter, r *http.Request) {
	t, err := s.outreach.Template(r.PathValue("name"))
	if err != nil {
		s.show(w, r, "text", nil, err)
		return
	}
	q := r.URL.Query()
	words, ok := t.Texts[q.Get("channel")][q.Get("in")]
	if !ok {
		s.nothing(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+t.Name+"-"+q.Get("in")+`.txt"`)
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(words)) // fails when the browser has gone
}
