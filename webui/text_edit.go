package webui

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/text"
	"tillpost/webui/door"
)

// A text is written in one language at a time; the others travel in the form
// unseen, so that all become one version, and going to another loses nothing.

// textView is the page of one text.
type textView struct {
	*page
	Stored   *outreach.Stored // as it is kept
	Form     outreach.Stored  // as it stands in the form
	Channel  string           // that is written now
	In       string           // language that is written now
	Was      int              // version that the form was made from
	Defaults []defaultView
	Editors  []editorView
	Locked   string // who may change it, if this person may not

	Known    *outreach.KnownNames
	Strange  []string // placeholders that nobody has a value for
	Same     []string // other texts that say the same
	Versions []textVersion

	As     string // contact that it is shown for
	Whom   string // as typed, to choose one
	Count  countView
	Survey *surveyView
	Wrong  []string
	Done   string
}

// defaultView is what stands for a value that a contact lacks.
type defaultView struct{ Name, Value string }

// editorView is somebody who may be allowed to change the text.
type editorView struct {
	By, Word string
	On       bool
}

// textVersion is what the text was.
type textVersion struct {
	N       int
	At, By  string
	Current bool
	Texts   []heldText
}

// heldText is one of its texts.
type heldText struct {
	Channel, In, Words string
	HTML               bool // it is the other form of the e-mail
}

// placesView are the places of a text: a channel with a language.
type placesView struct {
	Channel, In string
	Has         bool // there is a text
	Current     bool
}

// Places to go to.
func (v *textView) Places() (list []placesView) {
	for _, channel := range channels {
		for _, l := range queue.Languages {
			list = append(list, placesView{channel, l, strings.TrimSpace(v.Form.Texts[channel][l]) != "", channel == v.Channel && l == v.In})
		}
	}
	return list
}

// Words are the text that is written now.
func (v *textView) Words() string { return v.Form.Texts[v.Channel][v.In] }

// Subject of the e-mail that is written now.
func (v *textView) Subject() string { return v.Form.Subjects[v.In] }

// HTML is the other form of the e-mail that is written now.
func (v *textView) HTML() string { return v.Form.HTML[v.In] }

// Unseen are the texts, subjects and HTML forms that are not on the page: name
// of the field, and value.
func (v *textView) Unseen() (list [][2]string) {
	for _, channel := range channels {
		for _, l := range queue.Languages {
			if words := v.Form.Texts[channel][l]; words != "" && (channel != v.Channel || l != v.In) {
				list = append(list, [2]string{"text." + channel + "." + l, words})
			}
		}
	}
	for _, l := range queue.Languages {
		if s := v.Form.Subjects[l]; s != "" && (v.Channel != outreach.Email || l != v.In) {
			list = append(list, [2]string{"subject." + l, s})
		}
		if s := v.Form.HTML[l]; s != "" && (v.Channel != outreach.Email || l != v.In) {
			list = append(list, [2]string{"html." + l, s})
		}
	}
	return list
}

// Channels of a text.
func (v *textView) Channels() []string { return channels }

// Maker of a version.
func (p *page) Maker(who string) string { return p.by(who) }

// Listed names are one beside the other.
func (v *textView) Listed(names []string) string { return strings.Join(names, ", ") }

// IsMissing tells what is chosen; nothing chosen is the first.
func (v *textView) IsMissing(m outreach.Missing) bool {
	return cmp.Or(v.Form.Missing, outreach.Refuse) == m
}

// Encodings to choose from.
func (v *textView) Encodings() []text.Encoding {
	return []text.Encoding{text.Smart, text.GSM7, text.UCS2, text.ASCII}
}

// Missings to choose from.
func (v *textView) Missings() []outreach.Missing {
	return []outreach.Missing{outreach.Refuse, outreach.Default, outreach.LeaveOut}
}

// Most parts that one message may have, to choose from.
func (v *textView) Most() []int { return []int{1, 2, 3, 4, 5, 6} }

// Plain is the address of the text by itself.
func (v *textView) Plain() string {
	return "/texts/" + v.Form.Name + "/plain?channel=" + v.Channel + "&in=" + v.In
}

// maxText is of a form with a text: an e-mail's HTML is long, and the other
// languages travel with it.
const maxText = 1 << 20

// nameTime is how long the names of a long register may be read, so that a page
// is there in time.
const nameTime = 100 * time.Millisecond

func (s *Site) text(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	q := r.URL.Query()
	v, err := s.readText(s.customers(r, "texts"), r.PathValue("name"), q.Get("channel"), q.Get("in"))
	if err == nil {
		if q.Has("kept") {
			v.Done = v.T("text_kept", "n", v.Stored.Version)
		}
		v.count()
	}
	s.show(w, r, "text", v, err)
}

// readText is the page of a text as it is kept, at a place of it.
func (s *Site) readText(p *page, name, channel, lang string) (*textView, error) {
	t, err := s.outreach.Template(name)
	if err != nil {
		return nil, err
	}
	v := &textView{page: p, Stored: t, Form: *t, Was: t.Version}
	v.Form.Texts, v.Form.Defaults, v.Form.Subjects = cloneTexts(t.Texts), maps.Clone(t.Defaults), maps.Clone(t.Subjects)
	v.Form.HTML = maps.Clone(t.HTML)
	v.goTo(channel, lang)
	if err := t.MayEdit(p.till()); err != nil {
		v.Locked = strings.Join(v.peopleOf(t.Editors), ", ")
	}
	if v.Known, err = s.outreach.KnownNames(nameTime); err != nil {
		return nil, err
	}
	if v.Same, err = s.outreach.SameText(t); err != nil {
		return nil, err
	}
	return v, v.readVersions()
}

func cloneTexts(texts map[string]map[string]string) map[string]map[string]string {
	out := make(map[string]map[string]string, len(texts))
	for channel, byLang := range texts {
		out[channel] = maps.Clone(byLang)
	}
	return out
}

// goTo a place; where none is named, to the reader's language if there is a
// text in it, to the shop's, or to the first there is.
func (v *textView) goTo(channel, lang string) {
	if v.Channel = channel; !slices.Contains(channels, channel) {
		v.Channel = outreach.SMS
		if len(v.Form.Texts[outreach.SMS]) == 0 && len(v.Form.Texts[outreach.Email]) > 0 {
			v.Channel = outreach.Email
		}
	}
	if v.In = lang; slices.Contains(queue.Languages, lang) {
		return
	}
	v.In = v.site.cfg.Language
	for _, l := range slices.Concat([]string{v.Lang, v.site.cfg.Language}, queue.Languages) {
		if _, has := v.Form.Texts[v.Channel][l]; has {
			v.In = l
			return
		}
	}
}

func (v *textView) readVersions() error {
	list, err := v.site.outreach.TemplateHistory(v.Form.Name)
	for i := range list {
		t := &list[i]
		old := textVersion{N: t.Version, At: v.Clock(t.At), By: v.by(t.By), Current: i == 0}
		for _, channel := range channels {
			for _, l := range queue.Languages {
				if words := t.Texts[channel][l]; words != "" {
					old.Texts = append(old.Texts, heldText{channel, l, words, false})
				}
				if words := t.HTML[l]; words != "" && channel == outreach.Email {
					old.Texts = append(old.Texts, heldText{channel, l, words, true})
				}
			}
		}
		v.Versions = append(v.Versions, old)
	}
	return err
}

// peopleOf are names of editors as people say them.
func (p *page) peopleOf(editors []string) (names []string) {
	for _, e := range editors {
		names = append(names, p.by(e))
	}
	return names
}

// prepare completes what the page shows of the text as it stands in the form.
func (v *textView) prepare() {
	var used []string
	for _, byLang := range v.Form.Texts {
		for _, words := range byLang {
			parsed, err := outreach.Parse(words, nil, outreach.Rules{})
			if err != nil {
				continue // an empty one
			}
			for _, f := range parsed.Fields() {
				if !slices.Contains(used, f) {
					used = append(used, f)
				}
			}
		}
	}
	slices.Sort(used)
	v.Strange, v.Defaults = nil, nil
	for _, name := range used {
		if !v.Known.Has(name) && v.Form.Defaults[name] == "" {
			v.Strange = append(v.Strange, name)
		}
		v.Defaults = append(v.Defaults, defaultView{name, v.Form.Defaults[name]})
	}
	v.Editors = v.editors()
}

// editors are the people who may see the page, the keys that may keep texts,
// and who was named otherwise.
func (v *textView) editors() (list []editorView) {
	add := func(by string) {
		if !slices.ContainsFunc(list, func(e editorView) bool { return e.By == by }) {
			list = append(list, editorView{by, v.by(by), slices.Contains(v.Form.Editors, by)})
		}
	}
	add((&page{}).till())
	for _, who := range v.site.door.People() {
		if rights[who.Role]&reaches != 0 {
			add((&page{Who: door.Person{Name: who.Name}}).till())
		}
	}
	for _, key := range v.site.API.Keys() {
		if slices.Contains(key.Scopes, "manage") || slices.Contains(key.Scopes, "admin") {
			add(key.Name)
		}
	}
	for _, e := range v.Form.Editors {
		add(e)
	}
	return list
}

// read takes over what stands in the form.
func (v *textView) read(f url.Values) {
	t := &v.Form
	v.goTo(f.Get("channel"), f.Get("in"))
	if n, err := strconv.Atoi(f.Get("was")); err == nil {
		v.Was = n
	}
	t.Texts, t.Subjects, t.HTML = map[string]map[string]string{}, map[string]string{}, map[string]string{}
	put := func(channel, lang, words string) {
		if words = strings.ReplaceAll(words, "\r\n", "\n"); words == "" {
			return
		}
		if t.Texts[channel] == nil {
			t.Texts[channel] = map[string]string{}
		}
		t.Texts[channel][lang] = words
	}
	for _, channel := range channels {
		for _, l := range queue.Languages {
			put(channel, l, f.Get("text."+channel+"."+l))
		}
	}
	for _, l := range queue.Languages {
		if s := strings.TrimSpace(f.Get("subject." + l)); s != "" {
			t.Subjects[l] = s
		}
		if s := f.Get("html." + l); strings.TrimSpace(s) != "" {
			t.HTML[l] = strings.ReplaceAll(s, "\r\n", "\n")
		}
	}
	delete(t.Texts[v.Channel], v.In)
	put(v.Channel, v.In, f.Get("text"))
	if v.Channel == outreach.Email {
		delete(t.Subjects, v.In)
		if s := strings.TrimSpace(f.Get("subject")); s != "" {
			t.Subjects[v.In] = s
		}
		delete(t.HTML, v.In)
		if s := f.Get("html"); strings.TrimSpace(s) != "" {
			t.HTML[v.In] = strings.ReplaceAll(s, "\r\n", "\n")
		}
	}
	maps.DeleteFunc(t.Texts, func(_ string, byLang map[string]string) bool { return len(byLang) == 0 })
	if len(t.Subjects) == 0 {
		t.Subjects = nil
	}
	if len(t.HTML) == 0 {
		t.HTML = nil
	}
	t.Missing, t.Encoding, t.Class = outreach.Missing(f.Get("missing")), f.Get("encoding"), queue.Class(f.Get("class"))
	t.MaxParts, _ = strconv.Atoi(f.Get("max_parts")) // empty: the box's limit
	t.Draft, t.Defaults = f.Get("draft") == "yes", nil
	if t.Missing == outreach.Default {
		for name := range f {
			if of, ok := strings.CutPrefix(name, "default."); ok && strings.TrimSpace(f.Get(name)) != "" {
				if t.Defaults == nil {
					t.Defaults = map[string]string{}
				}
				t.Defaults[of] = strings.TrimSpace(f.Get(name))
			}
		}
	}
	t.Editors = nil
	if f.Get("who_may") == "some" {
		t.Editors = slices.Clone(f["editor"])
		slices.Sort(t.Editors)
	}
	v.As, v.Whom = f.Get("as"), strings.TrimSpace(f.Get("who"))
}

// Some tells whether only some people may change the text.
func (v *textView) Some() bool { return len(v.Form.Editors) > 0 }

// workOnText does what the pressed button says.
func (s *Site) workOnText(w http.ResponseWriter, r *http.Request) {
	if err := longForm(w, r, maxText); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v, err := s.readText(s.customers(r, "texts"), r.PathValue("name"), "", "")
	if err != nil {
		s.show(w, r, "text", nil, err)
		return
	}
	v.read(r.PostForm)
	do, what, _ := strings.Cut(r.PostForm.Get("do"), " ")
	switch do {
	case "keep":
		s.keepText(w, r, v)
		return
	case "go":
		channel, lang, _ := strings.Cut(what, ".")
		v.goTo(channel, lang)
	case "put":
		v.setWords(v.Words() + what)
	case "use", "instead":
		v.count()
		v.setWords(v.Count.mended(do, what, v.Words()))
	case "first":
		v.As = ""
	case "who":
		v.choose()
	case "shortest", "longest":
		v.survey(do)
	}
	v.count()
	s.render(w, http.StatusOK, "text", v)
}

func (v *textView) setWords(words string) {
	if v.Form.Texts[v.Channel] == nil {
		v.Form.Texts[v.Channel] = map[string]string{}
	}
	v.Form.Texts[v.Channel][v.In] = words
}

// keepText adds a version.
func (s *Site) keepText(w http.ResponseWriter, r *http.Request, v *textView) {
	t := v.Form
	switch {
	case v.Was != v.Stored.Version:
		v.Wrong = []string{v.T("text_changed_meanwhile", "by", v.by(v.Stored.By))}
	case r.PostForm.Get("who_may") == "some" && !slices.Contains(t.Editors, v.till()):
		v.Wrong = []string{v.T("text_locks_out")}
	case len(t.Texts) == 0 && t.Draft: // a draft may be empty
		t.Texts = map[string]map[string]string{v.Channel: {v.In: ""}}
	}
	if len(v.Wrong) == 0 {
		_, err := s.outreach.PutTemplate(r.Context(), t, v.till())
		if err == nil {
			http.Redirect(w, r, textAt(t.Name, v.Channel, v.In)+"&kept", http.StatusSeeOther)
			return
		}
		said, known := v.refusedText(err)
		if !known {
			s.trouble(w, v.page, err)
			return
		}
		v.Wrong = []string{said}
	}
	v.count()
	s.render(w, http.StatusBadRequest, "text", v)
}

// refusedText says what may not be done with the text; known is false for
// errors that are no refusal.
func (v *textView) refusedText(err error) (said string, known bool) {
	if _, locked := errors.AsType[*outreach.Forbidden](err); locked {
		return v.T("text_locked", "who", v.Locked), true
	}
	_, said, known = v.refusal(err)
	return said, known
}

// maxPlain is a text as a file: more than any message can carry.
const maxPlain = 64 << 10

// readPlain puts a text from a file into the form. It is kept when somebody
// has looked at it.
func (s *Site) readPlain(w http.ResponseWriter, r *http.Request) {
	p := s.customers(r, "texts")
	r.Body = http.MaxBytesReader(w, r.Body, maxPlain+maxForm)
	raw, fields, err := smallFile(r)
	v, missing := s.readText(p, r.PathValue("name"), fields.Get("channel"), fields.Get("in"))
	if missing != nil {
		s.show(w, r, "text", nil, missing)
		return
	}
	words := ""
	if err == nil {
		words, err = outreach.PlainText(raw)
	}
	status := http.StatusOK
	if err != nil || strings.TrimSpace(words) == "" {
		status, v.Wrong = http.StatusBadRequest, []string{v.T("text_no_file")}
	} else {
		v.setWords(strings.ReplaceAll(words, "\r\n", "\n"))
		v.Done = v.T("text_read")
	}
	v.count()
	s.render(w, status, "text", v)
}

// smallFile reads a form with one file that fits into memory.
func smallFile(r *http.Request) (raw []byte, fields url.Values, err error) {
	fields = url.Values{}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, fields, err
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return raw, fields, nil
		}
		if err != nil {
			return nil, fields, err
		}
		body, err := io.ReadAll(io.LimitReader(part, maxPlain+1))
		switch {
		case err != nil:
			return nil, fields, err
		case len(body) > maxPlain:
			return nil, fields, errors.New("webui: the file is too long for a text")
		case part.FormName() == "file":
			raw = body
		default:
			fields.Set(part.FormName(), string(body))
		}
	}
}
