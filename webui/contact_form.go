package webui

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// The form of a contact, to add one and to change one.

// freeRows for attributes that are not there yet.
const freeRows = 3

// contactForm is the form as it stands.
type contactForm struct {
	*page
	At      string // address of the form
	Back    string
	New     bool
	Contact outreach.Contact // as typed
	Was     string           // when it was changed last, as the form was made
	Attrs   []attrView
	Flags   []flagView
	Wrong   string
	Field   string
}

// attrView is one row of attributes, as typed.
type attrView struct {
	Name, Value string
	Type        outreach.Type
}

// Types that an attribute may have.
func (v *contactForm) Types() []outreach.Type { return outreach.Types() }

// TypeWord is how a type is called.
func (p *page) TypeWord(t outreach.Type) string {
	return p.T("type_" + strings.ReplaceAll(string(t), "/", ""))
}

// Err is what is wrong with a field.
func (v *contactForm) Err(field string) string {
	if v.Field == field {
		return v.Wrong
	}
	return ""
}

// Elsewhere: what is wrong is no field of its own on the form.
func (v *contactForm) Elsewhere() string {
	switch v.Field {
	case "id", "name", "first_name", "last_name", "number", "email", "language", "birthday", "status", "attributes":
		return ""
	}
	return v.Wrong
}

func (s *Site) newContact(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v := &contactForm{page: s.customers(r, "contacts"), At: "/contacts/new", Back: "/contacts", New: true}
	v.fill(&outreach.Contact{})
	s.render(w, http.StatusOK, "contact-form", v)
}

func (s *Site) editContact(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	c, err := s.outreach.Contact(r.PathValue("id"))
	if err != nil {
		s.show(w, r, "contact-form", nil, err)
		return
	}
	v := s.changing(r, c)
	v.fill(c)
	s.render(w, http.StatusOK, "contact-form", v)
}

// changing is the form of a contact that is there.
func (s *Site) changing(r *http.Request, c *outreach.Contact) *contactForm {
	v := &contactForm{page: s.customers(r, "contacts"), At: contactAt(c.ID) + "/edit", Back: contactAt(c.ID), Was: c.Updated.Format(time.RFC3339Nano)}
	v.Path = v.At
	return v
}

// fill shows a contact in the form.
func (v *contactForm) fill(c *outreach.Contact) {
	v.Contact, v.Flags = *c, v.flags(c)
	for _, name := range sortedNames(c.Attrs) {
		v.Attrs = append(v.Attrs, attrView{name, c.Attrs[name].String(), c.Attrs[name].Type})
	}
	v.free()
}

func (v *contactForm) free() {
	for range freeRows {
		v.Attrs = append(v.Attrs, attrView{Type: outreach.TypeText})
	}
}

// read takes over what was typed into a contact. Its error is a *queue.Invalid
// about the attributes.
func (v *contactForm) read(f url.Values, c *outreach.Contact) error {
	c.Name, c.FirstName, c.LastName = f.Get("name"), f.Get("first_name"), f.Get("last_name")
	c.Number, c.Email, c.Language = f.Get("number"), f.Get("email"), f.Get("language")
	c.Birthday, c.Status = f.Get("birthday"), f.Get("status")
	flags := map[string]bool{}
	for name := range c.Flags {
		flags[name] = false // a box that is not ticked is not sent
	}
	for _, name := range f["flag"] {
		flags[name] = true
	}
	if c.Flags = flags; len(flags) == 0 {
		c.Flags = nil
	}
	v.Contact, v.Flags = *c, v.flags(c)
	names, values, types := f["attr"], f["value"], f["type"]
	if len(names) != len(values) || len(names) != len(types) {
		return &queue.Invalid{Field: "attributes", Code: "row_unreadable", Detail: "the form is not whole"}
	}
	attrs := outreach.Attributes{}
	var wrong error
	for i := range names {
		row := attrView{strings.TrimSpace(names[i]), strings.TrimSpace(values[i]), outreach.Type(types[i])}
		if row.Name == "" && row.Value == "" {
			continue
		}
		v.Attrs = append(v.Attrs, row)
		if err := addAttribute(attrs, row); err != nil && wrong == nil {
			wrong = err
		}
	}
	v.free()
	if c.Attrs = attrs; len(attrs) == 0 {
		c.Attrs = nil
	}
	return wrong
}

// addAttribute reads one row. Without a value the attribute goes.
func addAttribute(attrs outreach.Attributes, row attrView) error {
	value, err := outreach.Typed(row.Value, row.Type)
	switch name := outreach.FoldName(row.Name); {
	case name == "":
		return &queue.Invalid{Field: "attributes", Code: "attribute_unnamed", Detail: "an attribute has no name"}
	case err != nil:
		return &queue.Invalid{Field: "attributes", Code: "attribute_" + strings.ReplaceAll(string(row.Type), "/", ""), Detail: name + ": " + err.Error()}
	case value.IsZero():
	case !attrs[name].IsZero():
		return &queue.Invalid{Field: "attributes", Code: "attribute_twice", Detail: name + " is there twice"}
	default:
		attrs[name] = value
	}
	return nil
}

func (s *Site) addContact(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := &contactForm{page: s.customers(r, "contacts"), At: "/contacts/new", Back: "/contacts", New: true}
	c := outreach.Contact{ID: strings.TrimSpace(r.PostForm.Get("id"))}
	err := v.read(r.PostForm, &c)
	if err == nil {
		if _, there := s.outreach.Contact(c.ID); there == nil {
			err = &queue.Invalid{Field: "id", Code: "id_taken", Detail: "somebody has this customer number already"}
		} else if !errors.Is(there, outreach.ErrNotFound) {
			err = there
		}
	}
	s.keepContact(w, r, v, &c, err)
}

func (s *Site) saveContact(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, err := s.outreach.Contact(r.PathValue("id"))
	if err != nil {
		s.show(w, r, "contact-form", nil, err)
		return
	}
	v := s.changing(r, c)
	err = v.read(r.PostForm, c)
	if err == nil && r.PostForm.Get("was") != v.Was {
		err = &queue.Invalid{Code: "changed_meanwhile", Detail: "somebody else changed this contact meanwhile"}
	}
	s.keepContact(w, r, v, c, err)
}

// keepContact puts it into the register, or shows the form again with what is
// wrong.
func (s *Site) keepContact(w http.ResponseWriter, r *http.Request, v *contactForm, c *outreach.Contact, err error) {
	if err == nil {
		c, err = s.outreach.PutContact(r.Context(), *c)
	}
	if err == nil {
		http.Redirect(w, r, contactAt(c.ID), http.StatusSeeOther)
		return
	}
	var known bool
	if v.Field, v.Wrong, known = v.refusal(err); !known {
		s.trouble(w, v.page, err)
		return
	}
	s.render(w, http.StatusBadRequest, "contact-form", v)
}

// lineView is one field of the form on a line.
type lineView struct{ Name, Value, Type, Word, Hint, Wrong string }

// Line of a field, with what is wrong with it.
func (v *contactForm) Line(name, value, kind string) lineView {
	l := lineView{Name: name, Value: value, Type: kind, Word: v.T("f_" + name), Wrong: v.Err(name)}
	switch name {
	case "id", "name", "number", "status":
		l.Hint = v.T("hint_" + name)
	}
	return l
}
