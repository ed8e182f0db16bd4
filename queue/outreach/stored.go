package outreach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Stored is a template that the shop keeps: texts by channel and language, and
// how they may be filled in and spelled.
type Stored struct {
	Name    string `json:"name"`
	Version int    `json:"version"` // counts up with every change
	Draft   bool   `json:"draft,omitempty"`

	Texts    map[string]map[string]string `json:"texts"`              // channel → language → text
	Subjects map[string]string            `json:"subjects,omitempty"` // of e-mail, by language
	HTML     map[string]string            `json:"html,omitempty"`     // of e-mail, by language; its text stands beside it

	Missing  Missing           `json:"missing,omitempty"` // refuse, default, leave_out
	Defaults map[string]string `json:"defaults,omitempty"`
	Encoding string            `json:"encoding,omitempty"` // smart, gsm7, ucs2; ascii: plain characters (field-notes §2.5)
	MaxParts int               `json:"max_parts,omitempty"`
	Class    queue.Class       `json:"class,omitempty"`

	Editors []string  `json:"editors,omitempty"` // keys that may change it; none: all that may change any
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Used    time.Time `json:"used,omitzero"` // when a message was last made of it
}

const maxLabel = 64 // bytes of a name that stands in a path

// checkName refuses a name that could not stand in a path or a log.
func checkName(field, name string) error {
	ok := name != "" && len(name) <= maxLabel && !strings.HasPrefix(name, ".")
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	}
	if !ok {
		return invalid(field, "name_invalid", "%q is no name. Use up to %d letters, digits, hyphens, underscores and points", name, maxLabel)
	}
	return nil
}

// normal checks a template. Placeholders are checked where the recipients are
// known. Its error is a *queue.Invalid.
func (o *Outreach) normalTemplate(t *Stored) error {
	if err := checkName("name", t.Name); err != nil {
		return err
	}
	if len(t.Texts) == 0 {
		return invalid("texts", "text_missing", "the template has no text. Send texts: {\"sms\": {\"en\": \"…\"}}")
	}
	for channel, byLang := range t.Texts {
		if channel != SMS && channel != Email {
			return invalid("texts."+channel, "unknown_value", "%q is no channel. Use sms or email", channel)
		}
		for lang, words := range byLang {
			field := "texts." + channel + "." + lang
			if !slices.Contains(queue.Languages, lang) {
				return invalid(field, "unknown_value", "%q is no language of this box. Use one of: %s", lang, strings.Join(queue.Languages, ", "))
			}
			if t.Draft && strings.TrimSpace(words) == "" {
				continue
			}
			if _, err := Parse(words, nil, o.rules(t)); err != nil {
				return within(err, field)
			}
		}
	}
	if len(t.Subjects) > 0 && len(t.Texts[Email]) == 0 {
		return invalid("subjects", "text_missing", "a subject belongs to an e-mail, and the template has no text for it. Add texts.email, or leave subjects out")
	}
	if err := o.checkSubjects(t, "subjects"); err != nil {
		return err
	}
	if err := o.checkHTML(t); err != nil {
		return err
	}
	switch t.Class {
	case "", queue.Transactional, queue.Marketing:
	default:
		return invalid("class", "unknown_value", "%q is not known here. Use transactional or marketing", t.Class)
	}
	if t.MaxParts < 0 {
		return invalid("max_parts", "out_of_range", "max_parts must be 1 or more. Leave it out for the limit of this box")
	}
	switch text.Encoding(t.Encoding) {
	case "", text.Smart, text.GSM7, text.UCS2, text.ASCII:
	default:
		return invalid("encoding", "unknown_value", "%q is not known here. Use smart, gsm7, ucs2 or ascii", t.Encoding)
	}
	return nil
}

// checkSubjects checks the subjects of e-mail. Its error is a *queue.Invalid.
func (o *Outreach) checkSubjects(t *Stored, field string) error {
	for lang, words := range t.Subjects {
		field := field + "." + lang
		if !slices.Contains(queue.Languages, lang) {
			return invalid(field, "unknown_value", "%q is no language of this box. Use one of: %s", lang, strings.Join(queue.Languages, ", "))
		}
		if t.Draft && strings.TrimSpace(words) == "" {
			continue
		}
		if _, err := text.ComposeSubject(words); err != nil {
			return invalid(field, "subject_too_long", "%s", err)
		}
		if _, err := Parse(words, nil, o.rules(t)); err != nil {
			return within(err, field)
		}
	}
	return nil
}

// within says where in a larger thing an error is; what is wrong stays.
func within(err error, field string) error {
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		return &queue.Invalid{Field: field, Code: bad.Code, Detail: bad.Detail}
	}
	return err
}

func (o *Outreach) rules(t *Stored) Rules {
	return Rules{Missing: t.Missing, Defaults: t.Defaults, Zone: o.cfg.Location}
}

// Forbidden is a change that this key may not make.
type Forbidden struct{ Detail string }

func (e *Forbidden) Error() string { return e.Detail }

// PutTemplate adds a version of a template. An equal one changes nothing. Its
// errors are *queue.Invalid and *Forbidden.
func (o *Outreach) PutTemplate(ctx context.Context, t Stored, by string) (*Stored, error) {
	if err := o.normalTemplate(&t); err != nil {
		return nil, err
	}
	err := o.commit(ctx, func(tx *store.Tx) error {
		was, err := templates.Get(tx, t.key())
		if err != nil {
			return err
		}
		if err := mayEdit(was, by); err != nil {
			return err
		}
		t.Version, t.By, t.At, t.Used = 1, by, o.q.Now(), time.Time{}
		if was != nil {
			t.Version, t.Used = was.Version+1, was.Used
			if was.says(&t) {
				t = *was
				return nil
			}
			if err := oldTemplates.Put(tx, &oldTemplate{*was}); err != nil {
				return err
			}
		}
		return templates.Put(tx, &t)
	})
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// mayEdit: the operator's own hand (the socket) may always.
func mayEdit(t *Stored, by string) error {
	if t == nil || len(t.Editors) == 0 || slices.Contains(t.Editors, by) || strings.HasPrefix(by, "uid:") {
		return nil
	}
	return &Forbidden{fmt.Sprintf("the template %s may be changed by %s only. Ask one of them, or use it as it is", t.Name, strings.Join(t.Editors, ", "))}
}

// MayEdit asks whether somebody may change a template. Error: *Forbidden.
func (t *Stored) MayEdit(by string) error { return mayEdit(t, by) }

// says: both would write the same.
func (t *Stored) says(o *Stored) bool {
	return t.Draft == o.Draft && maps.EqualFunc(t.Texts, o.Texts, maps.Equal) && maps.Equal(t.Subjects, o.Subjects) && maps.Equal(t.HTML, o.HTML) &&
		t.Missing == o.Missing && maps.Equal(t.Defaults, o.Defaults) && t.Encoding == o.Encoding && t.MaxParts == o.MaxParts &&
		t.Class == o.Class && slices.Equal(t.Editors, o.Editors)
}

// Template returns one as it is now. Error: ErrNotFound.
func (o *Outreach) Template(name string) (*Stored, error) { return get(o.db, templates, name) }

// TemplateHistory is every version of a template, the newest first. Error:
// ErrNotFound.
func (o *Outreach) TemplateHistory(name string) (list []Stored, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		now, err := templates.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if now == nil {
			return ErrNotFound
		}
		list = append(list, *now)
		for old, err := range oldTemplates.ScanBack(tx, store.End(store.Str(name))) {
			if err != nil {
				return err
			}
			if old.Name != name {
				return nil
			}
			list = append(list, old.Stored)
		}
		return nil
	})
	return list, err
}

// Templates lists all of them by name.
func (o *Outreach) Templates(after string, limit int) ([]Stored, string, error) {
	return page(o.db, templates, after, limit, func(t *Stored) string { return t.Name })
}

// SameText names other templates that hold a text of this one.
func (o *Outreach) SameText(t *Stored) (names []string, err error) {
	err = each(o.db, templates, func(_ *store.Tx, other *Stored) error {
		if other.Name != t.Name && sharesText(t, other) {
			names = append(names, other.Name)
		}
		return nil
	})
	return names, err
}

func sharesText(a, b *Stored) bool {
	for channel, byLang := range a.Texts {
		for _, mine := range byLang {
			for _, theirs := range b.Texts[channel] {
				if strings.TrimSpace(mine) != "" && mine == theirs {
					return true
				}
			}
		}
	}
	return false
}

// DeleteTemplate removes a template with its versions. What is on its way keeps
// its text. Errors: ErrNotFound, *Forbidden, *queue.Invalid while a rule uses
// it.
func (o *Outreach) DeleteTemplate(ctx context.Context, name, by string) error {
	return o.commit(ctx, func(tx *store.Tx) error {
		was, err := templates.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if was == nil {
			return ErrNotFound
		}
		if err := mayEdit(was, by); err != nil {
			return err
		}
		for r, err := range rules.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if r.Template == name {
				return invalid("name", "in_use", "the rule %s writes with this template. Change the rule first", r.Name)
			}
		}
		for c, err := range campaigns.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if c.Template == name && c.State.active() {
				return invalid("name", "in_use", "the campaign %s writes with this template. Stop it first", c.Name)
			}
		}
		if err := deleteUnder(tx, oldTemplates, store.Str(name)); err != nil {
			return err
		}
		return templates.Delete(tx, store.Str(name))
	})
}

// choose picks the language a recipient reads: theirs, the shop's, or the
// first that there is.
func choose(byLang map[string]string, lang, shop string) (string, bool) {
	for _, l := range []string{lang, shop} {
		if _, ok := byLang[l]; ok {
			return l, true
		}
	}
	for _, l := range slices.Sorted(maps.Keys(byLang)) {
		return l, true
	}
	return "", false
}

// writer writes one template for many recipients: each language is parsed once.
type writer struct {
	o       *Outreach
	t       *Stored
	channel string
	parsed  map[string]*Template // by language

	subjects map[string]*Template // of e-mail, by language
	html     map[string]*Template // of e-mail, by language
}

// writer parses a template for recipients who have these names. Its error is a
// *queue.Invalid.
func (o *Outreach) writer(t *Stored, channel string, names Names) (*writer, error) {
	w := &writer{o: o, t: t, channel: channel, parsed: map[string]*Template{}}
	byLang := t.Texts[channel]
	if len(byLang) == 0 {
		return nil, invalid("template", "text_missing", "the template %s has no text for %s. Add one", t.Name, channel)
	}
	for lang, words := range byLang {
		p, err := Parse(words, names, o.rules(t))
		if err != nil {
			return nil, within(err, "template."+channel+"."+lang)
		}
		w.parsed[lang] = p
	}
	if channel != Email {
		return w, nil
	}
	w.subjects = map[string]*Template{}
	for lang, words := range t.Subjects {
		p, err := Parse(words, names, o.rules(t))
		if err != nil {
			return nil, within(err, "template.subjects."+lang)
		}
		w.subjects[lang] = p
	}
	w.html = map[string]*Template{}
	for lang, words := range t.HTML {
		p, err := parseHTML(words, names, o.rules(t))
		if err != nil {
			return nil, within(err, "template.html."+lang)
		}
		w.html[lang] = p
	}
	return w, nil
}

// templates are all that are written, by language; texts before subjects, and
// those before HTML.
func (w *writer) templates() (all []*Template) {
	for _, of := range []map[string]*Template{w.parsed, w.subjects, w.html} {
		for _, lang := range slices.Sorted(maps.Keys(of)) {
			all = append(all, of[lang])
		}
	}
	return all
}

// unknown is the refusal that placeholders nobody can fill in mean; nil: none.
func (w *writer) unknown() error {
	for _, p := range w.templates() {
		if bad := p.refused; bad != nil {
			return bad
		}
	}
	return nil
}

// fields are the names that any language uses.
func (w *writer) fields() (all []string) {
	for _, p := range w.templates() {
		for _, f := range p.Fields() {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// subject is that of the e-mail for one reader; empty: the template has none, and
// how the text begins is it.
func (w *writer) subject(vars func(name, lang string) string, lang string) (string, error) {
	l, ok := choose(w.t.Subjects, lang, w.o.cfg.Language)
	if !ok {
		return "", nil
	}
	p, reads := w.subjects[l], cmp.Or(lang, l)
	return p.Render(p.values(vars, reads), reads)
}

// htmlForm is the HTML beside a text that was written in a language; empty: there
// is none.
func (w *writer) htmlForm(vars func(name, lang string) string, lang, written string) (string, error) {
	p, ok := w.html[written]
	if !ok {
		return "", nil
	}
	reads := cmp.Or(lang, written)
	return p.renderHTML(p.values(vars, reads), reads)
}

// values are those that a text needs, for one reader.
func (t *Template) values(vars func(name, lang string) string, reads string) Vars {
	v := make(Vars, len(t.fields))
	for _, name := range t.fields {
		v[name] = vars(name, reads)
	}
	return v
}

// write is the text for one reader.
func (w *writer) write(vars func(name, lang string) string, lang string) (words, language string, err error) {
	l, _ := choose(w.t.Texts[w.channel], lang, w.o.cfg.Language)
	reads := cmp.Or(lang, l)
	p := w.parsed[l]
	words, err = p.Render(p.values(vars, reads), reads)
	return words, l, err
}
