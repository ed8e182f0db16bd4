package outreach

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Import says how contacts are taken over.
type Import struct {
	Replace      bool              // who is not in it is removed; else it only adds and changes
	DryRun       bool              // says what would happen, and changes nothing
	AllOrNothing bool              // one bad row and nothing is changed
	Columns      map[string]string // column of the file → field, where its name does not say
	How          string            // where consents of the file come from; default "import"
	By           string            // who imports

	// Refused is called for every row that was refused, also behind those that
	// the account names. Nil: nobody asks.
	Refused func(RowError)
	Warned  func(RowError) // the same of what was taken over and is remarkable

	leads []*Rule // rules of which each contact has its own lead time
}

// Imported is the account of an import.
type Imported struct {
	DryRun  bool              `json:"dry_run"`
	Rows    int               `json:"rows"`
	Added   int               `json:"added"`
	Changed int               `json:"changed"`
	Same    int               `json:"same"`
	Removed int               `json:"removed"`
	Refused int               `json:"refused"`
	Columns map[string]string `json:"columns,omitempty"` // what each column was read as
	Errors  []RowError        `json:"errors"`            // the first thousand

	Warnings []RowError `json:"warnings"` // the first thousand: rows that were taken over, and do not do what they seem to
}

// RowError is one row that was refused, or one cell of it.
type RowError struct {
	Row    int    `json:"row"` // line of the file, or place in the list from 1
	Field  string `json:"field,omitempty"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

const (
	mostErrors  = 1000
	importChunk = 500 // rows in one transaction
)

func (r *Imported) refuse(row int, err error) {
	r.Refused++
	if len(r.Errors) < mostErrors {
		r.Errors = append(r.Errors, rowError(row, err))
	}
}

func rowError(row int, err error) RowError {
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		return RowError{Row: row, Field: bad.Field, Code: bad.Code, Detail: bad.Detail}
	}
	return RowError{Row: row, Code: "invalid", Detail: err.Error()}
}

// refuse notes it in the account, and tells who wants to know of every row.
func (opt *Import) refuse(rep *Imported, row int, err error) {
	rep.refuse(row, err)
	if opt.Refused != nil {
		opt.Refused(rowError(row, err))
	}
}

// source is a list of contacts that is read as it is taken over, so that a long
// one is not in memory twice. The id of a row that is refused is known all the
// same, where it has one: a bad row is no reason to remove somebody.
type source struct {
	n    int
	line func(i int) int    // where row i stands, for people
	id   func(i int) string // empty: it has none, or cannot be read
	read func(i int) (entry, error)
}

// entry is one contact on its way in: set says what the source speaks of, nil
// for a whole contact.
type entry struct {
	row      int // where it stands, for people
	contact  Contact
	set      map[string]bool
	consents map[string]bool // purpose → granted
}

// columns of a file that are neither fields nor attributes.
var (
	consentColumns  = []string{"consent", "toestemming", "samtycke", "einwilligung", "nyhetsutskick", "nieuwsbrief", "newsletter"}
	reminderColumns = []string{FlagReminder, "auto-reminder", "automatische afspraak herinnering via sms", "automatische herinnering", "automatisk påminnelse", "automatische erinnerung"}
)

// meaning of a column: contact field, flag.NAME, consent.PURPOSE, or an
// attribute's name.
type meaning struct {
	kind string // field, flag, consent, attribute, skip
	name string
	t    Type // attribute: declared; empty: by each value
}

func (m meaning) String() string {
	switch m.kind {
	case "field":
		return m.name
	case "attribute":
		if m.t != "" {
			return "attribute " + m.name + ", " + string(m.t)
		}
		return "attribute " + m.name
	}
	return m.kind + " " + m.name
}

// ColumnMeaning says what a column is read as, in the words that Import.Columns
// takes: a field's name, flag.NAME, consent.PURPOSE, or "-" for one that is left
// out. An attribute is attribute.NAME, with its type behind a colon where one
// is declared.
func ColumnMeaning(head, mapped string) string {
	m := columnMeaning(head, mapped)
	switch {
	case m.kind == "skip":
		return "-"
	case m.kind == "field":
		return m.name
	case m.t != "":
		return m.kind + "." + m.name + ":" + string(m.t)
	}
	return m.kind + "." + m.name
}

func columnMeaning(head, mapped string) meaning {
	name, t := headName(head)
	if mapped != "" {
		name, t = headName(mapped)
	}
	folded := fold(name)
	if purpose, ok := strings.CutPrefix(folded, "consent."); ok {
		return meaning{kind: "consent", name: purpose}
	}
	if flag, ok := strings.CutPrefix(folded, "flag."); ok {
		return meaning{kind: "flag", name: flag}
	}
	switch {
	case folded == "" || folded == "-":
		return meaning{kind: "skip"}
	case slices.Contains(consentColumns, folded):
		return meaning{kind: "consent", name: Marketing}
	case slices.Contains(reminderColumns, folded):
		return meaning{kind: "flag", name: FlagReminder}
	case isContactField(fieldName(name)):
		return meaning{kind: "field", name: fieldName(name)}
	}
	return meaning{kind: "attribute", name: folded, t: t}
}

// ImportFile takes over the contacts of a file. Its error is a *queue.Invalid
// about the file as a whole; what is wrong with a row is in the account.
func (o *Outreach) ImportFile(ctx context.Context, f *File, opt Import) (*Imported, error) {
	means, err := f.meanings(opt.Columns)
	if err != nil {
		return nil, err
	}
	rep := &Imported{Rows: len(f.Rows), Columns: map[string]string{}}
	for i, h := range f.Head {
		rep.Columns[strings.TrimSpace(h)] = means[i].String()
	}
	id, set := slices.IndexFunc(means, func(m meaning) bool { return m.kind == "field" && m.name == "id" }), speaksOf(means)
	err = o.take(ctx, source{
		n:    len(f.Rows),
		line: func(i int) int { return f.Rows[i].Line },
		id: func(i int) string {
			if f.Rows[i].Bad != "" {
				return ""
			}
			return strings.TrimSpace(f.Rows[i].Cells[id])
		},
		read: func(i int) (entry, error) {
			e, err := o.entryOf(f.Rows[i], means)
			e.set = set
			return e, err
		},
	}, opt, rep)
	if odd := f.unreachable(means, rep.Added); err == nil && odd != "" {
		opt.warn(rep, RowError{Row: 1, Field: "number", Code: "column_missing", Detail: odd})
	}
	return rep, err
}

// meanings reads the row of names.
func (f *File) meanings(columns map[string]string) ([]meaning, error) {
	means := make([]meaning, len(f.Head))
	first := map[string]string{}
	for i, h := range f.Head {
		means[i] = columnMeaning(h, columns[strings.TrimSpace(h)])
		if means[i].kind == "skip" {
			continue
		}
		key := means[i].kind + means[i].name
		if other, twice := first[key]; twice {
			return nil, invalid("file", "column_twice", "row 1: the columns %q and %q both mean %s. Rename one of them, or say in columns what it is (\"-\" leaves it out)", other, h, means[i].name)
		}
		first[key] = h
	}
	for column := range columns {
		if !slices.ContainsFunc(f.Head, func(h string) bool { return strings.TrimSpace(h) == column }) {
			return nil, invalid("columns", "column_unknown", "row 1 has no column %q. It has %s", column, some(f.Head))
		}
	}
	if _, ok := first["fieldid"]; !ok {
		return nil, invalid("file", "column_missing", "row 1 has no column for the number of the contact in your system. Name one id, or say which it is in columns. The file has %s", some(f.Head))
	}
	return means, nil
}

// speaksOf is what the columns of a file say of every row: one set for all of
// them, for a file of 100,000 rows.
func speaksOf(means []meaning) map[string]bool {
	set := map[string]bool{}
	for _, m := range means {
		switch m.kind {
		case "field":
			set[m.name] = true
		case "flag":
			set["flag."+m.name] = true
		case "attribute":
			set["attributes."+m.name] = true
		}
	}
	return set
}

func (o *Outreach) entryOf(row FileRow, means []meaning) (entry, error) {
	var e entry
	if row.Bad != "" {
		return e, invalid("row", "row_unreadable", "the row %s", row.Bad)
	}
	c := &e.contact
	for i, m := range means {
		cell := strings.TrimSpace(row.Cells[i])
		switch m.kind {
		case "field":
			*c.place(m.name) = cell
		case "flag":
			if cell == "" {
				continue
			}
			on, err := readYesNo(cell)
			if err != nil {
				return e, invalid(m.name, "wrong_type", "%s", err)
			}
			if c.Flags == nil {
				c.Flags = map[string]bool{}
			}
			c.Flags[m.name] = on
		case "consent":
			if cell == "" {
				continue // nothing was said
			}
			on, err := readYesNo(cell)
			if err != nil {
				return e, invalid("consent."+m.name, "wrong_type", "%s", err)
			}
			if e.consents == nil {
				e.consents = map[string]bool{}
			}
			e.consents[m.name] = on
		case "attribute":
			if cell == "" {
				continue
			}
			v := textValue(cell)
			if m.t == "" && looksLikeDate(cell) {
				if d, err := readDate(cell); err == nil {
					v = Value{Type: TypeDate, Text: d}
				} else {
					v.noDay = dayForm.MatchString(cell)
				}
			}
			if m.t != "" {
				var err error
				if v, err = Typed(cell, m.t); err != nil {
					return e, invalid(m.name, "wrong_type", "%s", err)
				}
			}
			if c.Attrs == nil {
				c.Attrs = Attributes{}
			}
			c.Attrs[m.name] = v
		}
	}
	err := o.normal(c)
	return e, err
}

// looksLikeDate sorts out quickly what is none: each form that is tried costs an
// error. 20260401 alone may be any number.
func looksLikeDate(s string) bool {
	return len(s) >= len("1.1.2027") && len(s) <= len("2006-01-02 15:04:05") && s[0] >= '0' && s[0] <= '9' && strings.ContainsAny(s[1:5], "-./")
}

// place is where a field of that name is kept.
func (c *Contact) place(name string) *string {
	switch name {
	case "id":
		return &c.ID
	case "name":
		return &c.Name
	case "first_name":
		return &c.FirstName
	case "last_name":
		return &c.LastName
	case "number":
		return &c.Number
	case "email":
		return &c.Email
	case "language":
		return &c.Language
	case "birthday":
		return &c.Birthday
	case "status":
		return &c.Status
	}
	panic("outreach: " + name + " is no field of a contact")
}

// ImportContacts takes over a list.
func (o *Outreach) ImportContacts(ctx context.Context, list []Contact, opt Import) (*Imported, error) {
	rep := &Imported{Rows: len(list)}
	return rep, o.take(ctx, source{
		n:    len(list),
		line: func(i int) int { return i + 1 },
		id:   func(i int) string { return strings.TrimSpace(list[i].ID) },
		read: func(i int) (entry, error) {
			e := entry{contact: list[i]}
			err := o.normal(&e.contact)
			return e, err
		},
	}, opt, rep)
}

// take writes what a source has, some rows to a transaction. Each is whole or
// not there, so an import that broke off is done again as it was.
func (o *Outreach) take(ctx context.Context, from source, opt Import, rep *Imported) error {
	rep.DryRun = opt.DryRun
	if rep.Errors == nil {
		rep.Errors = []RowError{}
	}
	if rep.Warnings == nil {
		rep.Warnings = []RowError{}
	}
	var err error
	if opt.leads, err = o.leads(); err != nil {
		return err
	}
	first := make(map[string]int, from.n) // the row in which a contact is there for the first time
	for i := range from.n {
		id := from.id(i)
		if _, twice := first[id]; !twice && id != "" {
			first[id] = i
		}
	}
	// read returns row i if it is to be taken over, and else says why not.
	read := func(i int) (e entry, ok bool) {
		e, err := from.read(i)
		if err != nil {
			opt.refuse(rep, from.line(i), err)
			return e, false
		}
		if was := first[e.contact.ID]; was != i {
			opt.refuse(rep, from.line(i), invalid("id", "id_twice", "the contact %s is there twice, first in row %d. Keep one of them", e.contact.ID, from.line(was)))
			return e, false
		}
		return e, true
	}
	if opt.AllOrNothing {
		for i := range from.n {
			read(i)
		}
		if rep.Refused > 0 {
			return nil
		}
	}
	for begin := 0; begin < from.n; begin += importChunk {
		chunk := make([]entry, 0, importChunk)
		for i := begin; i < min(begin+importChunk, from.n); i++ {
			if e, ok := read(i); ok {
				e.row = from.line(i)
				chunk = append(chunk, e)
			}
		}
		if err := o.takeSome(ctx, chunk, opt, rep); err != nil {
			return err
		}
	}
	if opt.Replace {
		return o.removeOthers(ctx, first, opt, rep)
	}
	return nil
}

func (o *Outreach) takeSome(ctx context.Context, chunk []entry, opt Import, rep *Imported) error {
	done := *rep
	var noted []RowError
	work := func(tx *store.Tx) error {
		*rep, noted = done, nil // it may run more than once
		for i := range chunk {
			odd, err := o.takeOne(tx, &chunk[i], opt, rep)
			if err != nil {
				return err
			}
			noted = append(noted, odd...)
		}
		return nil
	}
	run := func() error { return o.commit(ctx, work) }
	if opt.DryRun {
		run = func() error { return o.db.View(work) }
	}
	if err := run(); err != nil {
		return err
	}
	for _, e := range noted {
		opt.warn(rep, e)
	}
	return nil
}

// takeOne takes over one contact and returns what is remarkable about it.
func (o *Outreach) takeOne(tx *store.Tx, e *entry, opt Import, rep *Imported) (odd []RowError, err error) {
	was, err := contacts.Get(tx, store.Str(e.contact.ID))
	if err != nil {
		return nil, err
	}
	c := e.contact
	if was != nil && !opt.Replace {
		c = merged(was, &e.contact, e.set)
	}
	said, odd, err := o.newConsents(tx, e, opt)
	if err != nil {
		return nil, err
	}
	switch {
	case was == nil:
		rep.Added++
	case was.same(&c) && len(said) == 0:
		rep.Same++
		return odd, nil
	default:
		rep.Changed++
	}
	for _, r := range opt.leads {
		if why := r.silent(&c, o.q.Now(), o.cfg.Location); why != "" {
			odd = append(odd, RowError{Row: e.row, Field: r.On.Lead, Code: "rule_silent", Detail: why})
		}
	}
	if opt.DryRun {
		return odd, nil
	}
	if _, err := o.putContact(tx, &c, o.q.Now()); err != nil {
		return nil, err
	}
	for _, s := range said {
		if err := note(tx, &s); err != nil {
			return nil, err
		}
	}
	return odd, nil
}

// merged is a contact with what a source says of it: the columns it has, or of
// a whole contact what is not empty.
func merged(was, now *Contact, set map[string]bool) Contact {
	c := *was
	c.Attrs, c.Flags = maps.Clone(was.Attrs), maps.Clone(was.Flags)
	for _, names := range contactFields {
		name := names[0]
		if value := *now.place(name); set[name] || set == nil && value != "" {
			*c.place(name) = value
		}
	}
	for name := range set {
		if attr, ok := strings.CutPrefix(name, "attributes."); ok {
			delete(c.Attrs, attr)
		}
	}
	for name, v := range now.Attrs {
		if c.Attrs == nil {
			c.Attrs = Attributes{}
		}
		c.Attrs[name] = v
	}
	for name, on := range now.Flags {
		if c.Flags == nil {
			c.Flags = map[string]bool{}
		}
		c.Flags[name] = on
	}
	return c
}

// removeOthers forgets who is not in a file that replaces the register.
func (o *Outreach) removeOthers(ctx context.Context, keep map[string]int, opt Import, rep *Imported) error {
	if len(keep) == 0 {
		return invalid("file", "file_empty", "the file names nobody, so it would empty the register. Import it without replace, or correct it")
	}
	var gone []string
	err := o.EachContact(func(c *Contact) error {
		if _, ok := keep[c.ID]; !ok {
			gone = append(gone, c.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	rep.Removed = len(gone)
	if opt.DryRun {
		return nil
	}
	for chunk := range slices.Chunk(gone, importChunk) {
		err := o.commit(ctx, func(tx *store.Tx) error {
			for _, id := range chunk {
				if err := forget(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("outreach: removing who is not in the file: %w", err)
		}
	}
	return nil
}
