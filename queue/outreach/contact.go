package outreach

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Contact is a person as the business system knows them.
type Contact struct {
	ID        string     `json:"id"` // the business system's own: customer, member or debtor number
	Name      string     `json:"name,omitempty"`
	FirstName string     `json:"first_name,omitempty"`
	LastName  string     `json:"last_name,omitempty"`
	Number    string     `json:"number,omitempty"` // any spelling in, E.164 out
	Email     string     `json:"email,omitempty"`
	Language  string     `json:"language,omitempty"` // en nl sv de
	Birthday  string     `json:"birthday,omitempty"` // 1980-02-29
	Status    string     `json:"status,omitempty"`   // the business system's word: active, deceased …
	Attrs     Attributes `json:"attributes,omitempty"`

	// Flags switch what is done for this contact by itself: auto_reminder.
	Flags map[string]bool `json:"flags,omitempty"`

	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`

	// packed are the attributes as they stand in the row, for a contact that is
	// only asked whether it is meant (register). Attrs is then empty.
	packed [][]byte
}

// FlagReminder is the contact's own switch for reminders (field-notes §4.5).
const FlagReminder = "auto_reminder"

// contactFields are the names of a contact's own fields, in the words of the
// files and templates that exist. The first is ours.
var contactFields = [][]string{
	{"id", "klantnummer", "klantnr", "debiteurnummer", "debiteur", "kundnr", "kundnummer", "kundennummer", "mitgliedsnummer", "lidnummer", "medlemsnummer", "customer", "customer_id"},
	{"name", "naam", "namn", "klantnaam", "full_name"},
	{"first_name", "firstname", "voornaam", "förnamn", "fornamn", "vorname"},
	{"last_name", "lastname", "achternaam", "efternamn", "nachname"},
	{"number", "to", "mobile", "mobiel", "mobil", "phone", "telefoon", "telefon", "handy", "nummer", "mobilnummer", "06-nummer"},
	{"email", "e-mail", "mail", "e-post", "epost"},
	{"language", "lang", "taal", "språk", "sprache"},
	{"birthday", "geboortedatum", "födelsedag", "födelsedatum", "geburtstag", "geburtsdatum"},
	{"status"},
}

// fieldName is our name of a field, whatever language it was written in; any
// other name is an attribute's.
func fieldName(name string) string {
	name = fold(name)
	for _, names := range contactFields {
		if slices.Contains(names, name) {
			return names[0]
		}
	}
	return name
}

func isContactField(name string) bool {
	return slices.ContainsFunc(contactFields, func(f []string) bool { return f[0] == name })
}

// field returns a field or attribute by its folded name.
func (c *Contact) field(name string) Value {
	s := ""
	switch name {
	case "id":
		s = c.ID
	case "name":
		s = c.whole()
	case "first_name":
		s = c.FirstName
	case "last_name":
		s = c.LastName
	case "number":
		s = c.Number
	case "email":
		s = c.Email
	case "language":
		s = c.Language
	case "birthday":
		return Value{Type: TypeDate, Text: c.Birthday}
	case "status":
		s = c.Status
	default:
		if flag, ok := strings.CutPrefix(name, "flag."); ok {
			return yesNo(c.Flags[flag])
		}
		if v, ok := c.Attrs[name]; ok {
			return v
		}
		for _, raw := range c.packed {
			if v, ok := packedAttribute(raw, name); ok {
				return v
			}
		}
		if on, ok := c.Flags[name]; ok {
			return yesNo(on)
		}
	}
	return Value{Type: TypeText, Text: s}
}

func (c *Contact) whole() string {
	return cmp.Or(c.Name, strings.TrimSpace(c.FirstName+" "+c.LastName))
}

// vars are what a template may say of the contact: attributes by their names,
// fields by all of theirs.
func (c *Contact) vars() Vars {
	v := make(Vars, 16+len(c.Attrs))
	for name, value := range c.Attrs {
		v[name] = value.String()
	}
	for _, names := range contactFields {
		value := c.field(names[0]).Text
		if value == "" {
			continue
		}
		for _, name := range names {
			v[name] = value
		}
	}
	return v
}

const (
	maxID        = 200
	maxField     = 500
	maxAttrs     = 100
	maxAttrBytes = 4000
)

// normal checks a contact and brings it into the form that is kept. Its error
// is a *queue.Invalid.
func (o *Outreach) normal(c *Contact) error {
	c.ID, c.Name, c.FirstName, c.LastName = strings.TrimSpace(c.ID), strings.TrimSpace(c.Name), strings.TrimSpace(c.FirstName), strings.TrimSpace(c.LastName)
	c.Email, c.Status = strings.TrimSpace(c.Email), strings.TrimSpace(c.Status)
	c.Language = strings.ToLower(strings.TrimSpace(c.Language))
	if err := checkID("id", c.ID); err != nil {
		return err
	}
	for field, s := range map[string]string{"name": c.Name, "first_name": c.FirstName, "last_name": c.LastName, "status": c.Status, "email": c.Email} {
		if len(s) > maxField {
			return invalid(field, "too_long", "%s has %d bytes and may have %d. Shorten it", field, len(s), maxField)
		}
	}
	if c.Number = strings.TrimSpace(c.Number); c.Number != "" {
		n, err := text.ParseNumber(c.Number, o.cfg.Country)
		if err != nil {
			return invalidNumber("number", err)
		}
		c.Number = n.String()
	}
	if c.Email != "" {
		a, err := text.ParseAddress(c.Email)
		if err != nil {
			return invalid("email", "email_invalid", "%q is no e-mail address. Write anna@example.nl, or leave it out", c.Email)
		}
		c.Email = a.String()
	}
	if c.Language != "" && !slices.Contains(queue.Languages, c.Language) {
		return invalid("language", "unknown_value", "%q is no language of this box. Use one of: %s", c.Language, strings.Join(queue.Languages, ", "))
	}
	if c.Birthday = strings.TrimSpace(c.Birthday); c.Birthday != "" {
		d, err := readDate(c.Birthday)
		if err != nil {
			return invalid("birthday", "date_invalid", "%s", err)
		}
		c.Birthday = d
	}
	if len(c.Attrs) > maxAttrs {
		return invalid("attributes", "too_many", "these are %d attributes, and a contact has %d at most", len(c.Attrs), maxAttrs)
	}
	for name, v := range c.Attrs {
		if isContactField(name) {
			return invalid("attributes", "name_taken", "%s is a field of the contact and no attribute. Send it beside the attributes", name)
		}
		if v.noDay {
			return invalid("attributes."+name, "date_invalid", "%q is no day that exists. Write 2027-04-23 or 23-04-2027; in a file a column that is no date says so by its name: %s:text", v.Text, name)
		}
		if len(v.String()) > maxAttrBytes {
			return invalid("attributes", "too_long", "attribute %s is longer than %d bytes", name, maxAttrBytes)
		}
	}
	return nil
}

func checkID(field, id string) error {
	switch {
	case id == "":
		return invalid(field, "id_missing", "%s is missing. Give the number under which your system knows this one", field)
	case len(id) > maxID || strings.ContainsFunc(id, unicode.IsControl):
		return invalid(field, "id_invalid", "%s may have at most %d bytes and no control characters", field, maxID)
	}
	return nil
}

func invalid(field, code, format string, args ...any) error {
	return &queue.Invalid{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func invalidNumber(field string, err error) error {
	if e, ok := errors.AsType[*text.Error](err); ok {
		return &queue.Invalid{Field: field, Code: e.Code, Detail: e.Detail}
	}
	return err
}

// same: nothing that a person would notice differs.
func (c *Contact) same(o *Contact) bool {
	return c.Name == o.Name && c.FirstName == o.FirstName && c.LastName == o.LastName && c.Number == o.Number &&
		c.Email == o.Email && c.Language == o.Language && c.Birthday == o.Birthday && c.Status == o.Status &&
		equalMaps(c.Attrs, o.Attrs, Value.equal) && equalMaps(c.Flags, o.Flags, func(a, b bool) bool { return a == b })
}

func equalMaps[V any](a, b map[string]V, eq func(V, V) bool) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		if w, ok := b[name]; !ok || !eq(v, w) {
			return false
		}
	}
	return true
}

// ErrNotFound: no contact, template, booking, rule, campaign or batch has this
// name.
var ErrNotFound = queue.ErrNotFound

// Contact returns one. Error: ErrNotFound.
func (o *Outreach) Contact(id string) (*Contact, error) { return get(o.db, contacts, id) }

// PutContact adds a contact or replaces the one with its id. Error:
// *queue.Invalid.
func (o *Outreach) PutContact(ctx context.Context, c Contact) (*Contact, error) {
	if err := o.normal(&c); err != nil {
		return nil, err
	}
	err := o.commit(ctx, func(tx *store.Tx) error {
		_, err := o.putContact(tx, &c, o.q.Now())
		return err
	})
	return &c, err
}

// putContact writes a contact that is normal and differs from what is kept, and
// lets rules see what is new about it.
func (o *Outreach) putContact(tx *store.Tx, c *Contact, now time.Time) (was *Contact, err error) {
	if was, err = contacts.Get(tx, store.Str(c.ID)); err != nil {
		return nil, err
	}
	c.Created, c.Updated = now, now
	if was != nil {
		c.Created = was.Created
		if was.same(c) {
			c.Updated = was.Updated
			return was, nil
		}
	}
	if err := o.firsts(tx, was, c, now); err != nil {
		return nil, err
	}
	return was, contacts.Put(tx, c)
}

// DeleteContact forgets a contact with its ledger. Error: ErrNotFound.
func (o *Outreach) DeleteContact(ctx context.Context, id string) error {
	return o.commit(ctx, func(tx *store.Tx) error {
		c, err := contacts.Get(tx, store.Str(id))
		if err != nil {
			return err
		}
		if c == nil {
			return ErrNotFound
		}
		return forget(tx, id)
	})
}

func forget(tx *store.Tx, id string) error {
	if err := deleteUnder(tx, consents, store.Str(id)); err != nil {
		return err
	}
	if err := deleteUnder(tx, plans, store.Str(ownerContact+id)); err != nil {
		return err
	}
	return contacts.Delete(tx, store.Str(id))
}

// Contacts lists contacts by id, after one; at most limit (1 to 1000).
func (o *Outreach) Contacts(after string, limit int) (list []Contact, next string, err error) {
	return page(o.db, contacts, after, limit, func(c *Contact) string { return c.ID })
}

// EachContact calls fn for every contact, in small transactions.
func (o *Outreach) EachContact(fn func(*Contact) error) error {
	return each(o.db, contacts, func(_ *store.Tx, c *Contact) error { return fn(c) })
}

// withNumber lists the contacts who have a number, or an e-mail address.
func withNumber(tx *store.Tx, number string) (list []*Contact, err error) {
	index, prefix := byNumber, store.Str(number)
	if text.IsAddress(number) {
		index, prefix = byMail, store.Str(strings.ToLower(number))
	}
	for key, id := range index.Keys(tx, prefix) {
		if !bytes.HasPrefix(key, prefix) {
			break
		}
		c, err := contacts.Get(tx, id)
		if err != nil {
			return nil, err
		}
		if c != nil {
			list = append(list, c)
		}
	}
	return list, nil
}

// How a contact is written: a register of 100,000 is read whole for every
// selection, and as JSON that takes seconds.

func writeContact(c *Contact, f *store.Fields) {
	f.Str(1, c.ID)
	f.Str(2, c.Name)
	f.Str(3, c.FirstName)
	f.Str(4, c.LastName)
	f.Str(5, c.Number)
	f.Str(6, c.Email)
	f.Str(7, c.Language)
	f.Str(8, c.Birthday)
	f.Str(9, c.Status)
	writeAttributes(10, c.Attrs, f)
	for name, on := range c.Flags {
		f.Sub(11, func(f *store.Fields) {
			f.Str(1, name)
			f.Bool(2, on)
		})
	}
	f.Time(12, c.Created)
	f.Time(13, c.Updated)
}

func readContact(c *Contact, r *store.Reader) {
	switch r.Field {
	case 1:
		c.ID = r.Str()
	case 2:
		c.Name = r.Str()
	case 3:
		c.FirstName = r.Str()
	case 4:
		c.LastName = r.Str()
	case 5:
		c.Number = r.Str()
	case 6:
		c.Email = r.Str()
	case 7:
		c.Language = r.Str()
	case 8:
		c.Birthday = r.Str()
	case 9:
		c.Status = r.Str()
	case 10:
		readAttribute(&c.Attrs, r)
	case 11:
		var name string
		var on bool
		r.Sub(func(r *store.Reader) {
			switch r.Field {
			case 1:
				name = r.Str()
			case 2:
				on = r.Bool()
			}
		})
		if c.Flags == nil {
			c.Flags = map[string]bool{}
		}
		c.Flags[name] = on
	case 12:
		c.Created = r.Time()
	case 13:
		c.Updated = r.Time()
	}
}

func writeAttributes(field int, attrs Attributes, f *store.Fields) {
	for name, v := range attrs {
		f.Sub(field, func(f *store.Fields) {
			f.Str(1, name)
			f.Str(2, string(v.Type))
			f.Str(3, v.Text)
			for _, item := range v.List {
				f.Sub(4, func(f *store.Fields) { f.Str(1, item) })
			}
		})
	}
}

func readAttribute(attrs *Attributes, r *store.Reader) {
	var name string
	var v Value
	r.Sub(func(r *store.Reader) {
		if r.Field == 1 {
			name = r.Str()
		} else {
			v.read(r)
		}
	})
	if *attrs == nil {
		*attrs = Attributes{}
	}
	(*attrs)[name] = v
}

func (v *Value) read(r *store.Reader) {
	switch r.Field {
	case 2:
		v.Type = knownType(r.Bytes())
	case 3:
		v.Text = r.Str()
	case 4:
		item := ""
		r.Sub(func(r *store.Reader) { item = r.Str() })
		v.List = append(v.List, item)
	}
}

// readLean reads a contact and leaves its attributes packed: of a hundred
// thousand that are asked whether they are meant most have one looked at.
func readLean(c *Contact, r *store.Reader) {
	if r.Field != 10 {
		readContact(c, r)
		return
	}
	if c.packed == nil {
		c.packed = make([][]byte, 0, 8)
	}
	c.packed = append(c.packed, r.Bytes()) // good while the transaction lasts
}

// packedAttribute reads an attribute if it has this name; it is written first.
func packedAttribute(raw []byte, name string) (v Value, ok bool) {
	r := store.Read(raw)
	if !r.Next() || r.Field != 1 || string(r.Bytes()) != name {
		return v, false
	}
	for r.Next() {
		v.read(r)
	}
	return v, r.Err() == nil
}

// noteNames adds the names of the contact's attributes.
func (c *Contact) noteNames(names Names) {
	for name := range c.Attrs {
		names[name] = true
	}
	for _, raw := range c.packed {
		if r := store.Read(raw); r.Next() && r.Field == 1 && !names[string(r.Bytes())] {
			names[r.Str()] = true
		}
	}
}

// knownType keeps one copy of each type's name in memory.
func knownType(raw []byte) Type {
	for _, t := range types {
		if string(raw) == string(t) {
			return t
		}
	}
	return Type(raw)
}
