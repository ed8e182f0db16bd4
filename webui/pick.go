package webui

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// pickView is a kept text on the page where somebody writes: it is chosen, its
// values are asked for, and what comes of it stands in the field as if it had
// been typed, and may be changed there.
type pickView struct {
	Names  []string // of the texts there are
	Name   string   // the one that was chosen; empty: none
	Langs  []string // it is written in
	Lang   string
	Fields []pickField
}

type pickField struct {
	Name, Value string
	Lacks       bool // it must be filled in, and is not
}

// mostPicks is more than anybody chooses from by eye.
const mostPicks = 200

// readPick finds the kept texts, and what the form says about one of them.
func (v *writeView) readPick(r *http.Request) error {
	all, _, err := v.site.outreach.Templates("", mostPicks)
	if err != nil {
		return err
	}
	p := &v.Pick
	p.Name, p.Lang = r.PostForm.Get("template"), r.PostForm.Get("in")
	for i := range all {
		t := &all[i]
		words := t.Texts[outreach.SMS]
		if t.Draft || len(words) == 0 {
			continue
		}
		p.Names = append(p.Names, t.Name)
		if t.Name == p.Name {
			p.choose(t, r, cmp.Or(v.Lang, v.site.cfg.Language))
		}
	}
	if !slices.Contains(p.Names, p.Name) {
		*p = pickView{Names: p.Names}
	}
	return nil
}

// choose readies a text: its languages, and a field for each of its values.
func (p *pickView) choose(t *outreach.Stored, r *http.Request, reader string) {
	words := t.Texts[outreach.SMS]
	for _, l := range queue.Languages {
		if words[l] != "" {
			p.Langs = append(p.Langs, l)
		}
	}
	if !slices.Contains(p.Langs, p.Lang) {
		p.Lang = reader
	}
	if !slices.Contains(p.Langs, p.Lang) {
		p.Lang = p.Langs[0]
	}
	parsed, err := outreach.Parse(words[p.Lang], nil, outreach.Rules{})
	if err != nil {
		return // an empty text: it has no values
	}
	for _, name := range parsed.Fields() {
		value := strings.TrimSpace(r.PostForm.Get("v." + name))
		if !r.PostForm.Has("v."+name) && t.Missing == outreach.Default {
			value = t.Defaults[name]
		}
		p.Fields = append(p.Fields, pickField{Name: name, Value: value})
	}
}

// fill writes the chosen text into the field. Values that are missing are
// marked, and nothing is written then.
func (v *writeView) fill() error {
	p := &v.Pick
	vars := map[string]string{}
	for _, f := range p.Fields {
		if f.Value != "" {
			vars[f.Name] = f.Value
		}
	}
	to := "-" // the text is the same for all
	if list := v.numbers(); len(list) > 0 {
		to = list[0]
	}
	d, err := v.site.outreach.Fill(queue.Draft{Till: v.till(), To: to, Lang: p.Lang}, outreach.Single{Template: p.Name, Vars: vars})
	bad, ok := errors.AsType[*queue.Invalid](err)
	switch {
	case ok && bad.Code == outreach.CodeMissing:
		v.Wrong = append(v.Wrong, v.T("pick_missing"))
		for i := range p.Fields {
			p.Fields[i].Lacks = p.Fields[i].Value == ""
		}
		return nil
	case ok:
		v.Wrong = append(v.Wrong, v.sentence(err, to))
		return nil
	case err != nil:
		return err
	}
	v.Text, v.Class = d.Text, cmp.Or(d.Class, v.Class)
	return nil
}
