package outreach

import (
	"cmp"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Tried is one text of a template as a contact would read it.
type Tried struct {
	Contact *Contact     // nil: the register is empty, and the text stands as it is
	Fields  []string     // that the text uses
	Lacks   []string     // of those, what this contact has no value for
	Left    bool         // no sentence is left without them
	Text    string       // as it is written; empty: it would not be
	HTML    string       // of an e-mail, beside it; empty: the text goes alone
	Quote   *queue.Quote // of an SMS: cut and priced
}

// Try writes one text of a template, as it stands while somebody edits it, for
// one contact; for the first of the register if none is named. Nothing is kept
// and nothing is sent. Errors: ErrNotFound, *queue.Invalid about a text that
// nobody could be sent.
func (o *Outreach) Try(t Stored, channel, lang, contact string) (*Tried, error) {
	// Only this text: another language of the template is another text.
	t.Texts = map[string]map[string]string{channel: {lang: t.Texts[channel][lang]}}
	if html := t.HTML[lang]; strings.TrimSpace(html) != "" && channel == Email {
		t.HTML = map[string]string{lang: html}
	} else {
		t.HTML = nil
	}
	w, err := o.anyNames(&t, channel)
	if err != nil {
		return nil, err
	}
	out := &Tried{Fields: w.fields()}
	if contact != "" {
		out.Contact, err = o.Contact(contact)
	} else {
		out.Contact, err = o.firstReader(lang)
	}
	if err != nil {
		return nil, err
	}
	d := queue.Draft{Text: t.Texts[channel][lang], Lang: lang, Encoding: t.Encoding, MaxParts: t.MaxParts, Class: cmp.Or(t.Class, queue.Transactional)}
	if out.Contact != nil {
		who := &recipient{contact: out.Contact, lang: lang}
		value := func(name, reads string) string { return who.value(name, reads, o.cfg.Location) }
		for _, parsed := range []*Template{w.parsed[lang], w.html[lang]} {
			if parsed == nil {
				continue
			}
			for _, name := range parsed.fields {
				if !slices.Contains(out.Lacks, name) && parsed.value(name, Vars{name: value(name, lang)}, lang) == "" {
					out.Lacks = append(out.Lacks, name)
				}
			}
		}
		if len(out.Lacks) > 0 && w.parsed[lang].rules.Missing != LeaveOut {
			return out, nil
		}
		words, _, err := w.write(value, lang)
		if err != nil {
			return nil, err
		}
		if out.HTML, err = w.htmlForm(value, lang, lang); err != nil {
			return nil, err
		}
		if out.Left = words == ""; out.Left {
			return out, nil
		}
		d.Text = words
	}
	if out.Contact == nil {
		out.HTML = t.HTML[lang]
	}
	if out.Text = d.Text; channel != SMS {
		return out, nil
	}
	out.Quote, err = o.q.Quote(d)
	return out, err
}

// firstReader is the first contact who reads a language; if nobody does, the
// first there is. It looks no further than one chunk.
func (o *Outreach) firstReader(lang string) (first *Contact, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		n := 0
		for c, err := range register.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if first == nil {
				first = c
			}
			if c.Language == lang {
				first = c
				break
			}
			if n++; n == scanChunk {
				break
			}
		}
		if first != nil {
			first, err = contacts.Get(tx, first.key()) // with its attributes
		}
		return err
	})
	return first, err
}

// Survey writes a template, as it stands while somebody edits it, for the whole
// register: what it comes to, who reads the shortest and the longest, and for
// whom it cannot be written. Error: *queue.Invalid.
func (o *Outreach) Survey(t Stored, channel string) (*Preview, error) {
	return o.Preview(&Campaign{
		Kind: KindCampaign, Channel: channel, Texts: t.Texts[channel], Missing: t.Missing, Defaults: t.Defaults,
		Encoding: t.Encoding, MaxParts: t.MaxParts, Class: queue.Transactional,
		Audience: Audience{Everybody: true}, Consent: Policy{Ignore: true},
	})
}
