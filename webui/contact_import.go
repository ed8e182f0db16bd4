package webui

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/shelf"
)

// A list is brought in by three steps: the file comes, is looked at as often as
// somebody likes, and is taken over. In between it lies on the shelf, and the
// browser holds nothing but its name there.

const (
	maxList     = 64 << 20         // bytes: 100,000 contacts with all they may have
	importTime  = 10 * time.Minute // a Pi needs a minute for 100,000
	shownRows   = 30               // refused rows on the page; all are in the file
	shownCells  = 3                // examples of a column
	partRefused = "refused"        // of an item on the shelf: the file of refused rows
)

// imported is what became of a list that was taken over.
type imported struct {
	Rows, Added, Changed, Same, Removed, Refused int
	At                                           time.Time
}

// importView is a list that is looked at, or was taken over.
type importView struct {
	*page
	At       string // address
	File     string
	JSON     bool // it says itself what is what
	Columns  []columnView
	Replace  bool
	How      string
	Consents bool // a column speaks of consents
	Rep      *outreach.Imported
	Refused  []refusedRow
	Wrong    string // about the file as a whole
	Sure     bool   // it must be confirmed that contacts go
	Done     *imported
}

// columnView is one column of the file.
type columnView struct {
	Head, Examples, As string // As: what it is read as, one of Choices
	Choices            []choiceView
}

type choiceView struct{ Value, Word string }

// refusedRow is a row that will not be taken over, and why.
type refusedRow struct {
	Row         int
	Field, Said string
}

func (s *Site) askList(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	s.render(w, http.StatusOK, "import", &importView{page: s.customers(r, "contacts")})
}

// bringList puts a file on the shelf.
func (s *Site) bringList(w http.ResponseWriter, r *http.Request) {
	v := &importView{page: s.customers(r, "contacts")}
	it, err := s.shelved(w, r, v.till())
	switch {
	case err == nil:
		http.Redirect(w, r, "/contacts/import/"+it.Token, http.StatusSeeOther)
		return
	case errors.Is(err, shelf.ErrTooBig):
		v.Wrong = v.T("import_too_big", "n", maxList>>20)
	case errors.Is(err, errNoFile):
		v.Wrong = v.T("import_no_file")
	case s.db.Room() != nil:
		v.Wrong = v.Words("disk_full")
	default:
		s.trouble(w, v.page, err)
		return
	}
	s.render(w, http.StatusBadRequest, "import", v)
}

var errNoFile = errors.New("webui: the form brought no file")

// shelved reads the file of a form straight to the shelf.
func (s *Site) shelved(w http.ResponseWriter, r *http.Request, owner string) (*shelf.Item, error) {
	if err := s.db.Room(); err != nil {
		return nil, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxList+maxForm)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, errNoFile
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, errNoFile
		}
		if _, big := errors.AsType[*http.MaxBytesError](err); big {
			return nil, shelf.ErrTooBig
		}
		if err != nil {
			return nil, errNoFile // it broke off
		}
		if part.FormName() != "file" || part.FileName() == "" {
			continue
		}
		it, err := s.shelf.Keep(owner, part.FileName(), part, maxList)
		if _, big := errors.AsType[*http.MaxBytesError](err); big {
			return nil, shelf.ErrTooBig
		}
		if err == nil && it.Size == 0 {
			err = errNoFile
		}
		return it, err
	}
}

func (s *Site) showList(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	s.withList(w, r, func(v *importView, it *shelf.Item) {
		if done, ok := it.Note.(*imported); ok {
			v.Done = done
			s.render(w, http.StatusOK, "import-done", v)
			return
		}
		s.look(w, r, v, it)
	})
}

// actOnList looks at a list in another way, takes it over, or hands out what
// is refused.
func (s *Site) actOnList(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.withList(w, r, func(v *importView, it *shelf.Item) {
		switch _, done := it.Note.(*imported); {
		case done:
			http.Redirect(w, r, v.At, http.StatusSeeOther)
		case r.PostForm.Get("do") == "take":
			s.takeList(w, r, v, it)
		default:
			s.look(w, r, v, it)
		}
	})
}

// withList finds a list on the shelf; one piece of work on it at a time.
func (s *Site) withList(w http.ResponseWriter, r *http.Request, fn func(*importView, *shelf.Item)) {
	p := s.customers(r, "contacts")
	it, err := s.shelf.Take(r.PathValue("token"), p.till())
	if err != nil {
		s.render(w, http.StatusNotFound, "import", &importView{page: p, Wrong: p.T("import_gone")})
		return
	}
	it.Lock()
	defer it.Unlock()
	v := &importView{page: p, At: "/contacts/import/" + it.Token, File: it.Name, How: "import " + it.Name}
	p.Path = v.At
	fn(v, it)
}

// look says what the list would do.
func (s *Site) look(w http.ResponseWriter, r *http.Request, v *importView, it *shelf.Item) {
	list, err := v.read(r.PostForm, it)
	if err == nil {
		v.Rep, err = list.run(r.Context(), s.outreach, outreach.Import{DryRun: true, Refused: func(e outreach.RowError) {
			if len(v.Refused) < shownRows {
				v.Refused = append(v.Refused, v.refused(e))
			}
		}})
	}
	if !v.told(err) {
		s.trouble(w, v.page, err)
		return
	}
	slices.SortStableFunc(v.Refused, func(a, b refusedRow) int { return a.Row - b.Row })
	status := http.StatusOK
	if v.Wrong != "" {
		status = http.StatusBadRequest
	}
	s.render(w, status, "import-look", v)
}

// told keeps a refusal of the whole file for the page; other errors are none
// that a person can help.
func (v *importView) told(err error) bool {
	if err == nil {
		return true
	}
	_, said, known := v.refusal(err)
	v.Wrong = said
	return known
}

func (v *importView) refused(e outreach.RowError) refusedRow {
	field := e.Field
	if field == "row" { // all of it
		field = ""
	}
	if _, ok := words()["f_"+field]; ok {
		field = v.T("f_" + field)
	}
	return refusedRow{Row: e.Row, Field: field, Said: v.refusedFor(e.Code, e.Detail)}
}

// broughtList is a file that was read.
type broughtList struct {
	file     *outreach.File // nil: contacts
	contacts []outreach.Contact
	opt      outreach.Import
}

func (l *broughtList) run(ctx context.Context, o *outreach.Outreach, opt outreach.Import) (*outreach.Imported, error) {
	opt.Columns, opt.Replace, opt.How, opt.By = l.opt.Columns, l.opt.Replace, l.opt.How, l.opt.By
	if l.file == nil {
		return o.ImportContacts(ctx, l.contacts, opt)
	}
	return o.ImportFile(ctx, l.file, opt)
}

// read reads the file again, with what somebody chose on the page. Its error
// is a *queue.Invalid about the file.
func (v *importView) read(f url.Values, it *shelf.Item) (*broughtList, error) {
	raw, err := it.Read("")
	if err != nil {
		return nil, err
	}
	v.Replace, v.How = f.Get("mode") == "replace", cmp.Or(strings.TrimSpace(f.Get("how")), v.How)
	l := &broughtList{opt: outreach.Import{Replace: v.Replace, How: v.How, By: v.till()}}
	if v.JSON = isJSON(raw); v.JSON {
		l.contacts, err = contactsOf(raw)
		return l, err
	}
	if l.file, err = outreach.ReadFile(raw); err != nil {
		return nil, err
	}
	l.opt.Columns = map[string]string{}
	for i, h := range l.file.Head {
		head := strings.TrimSpace(h)
		if as := f.Get("col" + strconv.Itoa(i)); as != "" {
			if mapped := mappedTo(head, as); mapped != "" {
				l.opt.Columns[head] = mapped
			}
		}
		v.Columns = append(v.Columns, v.column(l.file, i, l.opt.Columns[head]))
		v.Consents = v.Consents || strings.HasPrefix(v.Columns[i].As, "consent.")
	}
	return l, nil
}

// isJSON: no row of names begins like that.
func isJSON(raw []byte) bool {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\uFEFF")))
	return len(raw) > 0 && (raw[0] == '[' || raw[0] == '{')
}

// contactsOf reads a list of contacts as the API has them: [{…}], or as its
// import takes them: {"contacts": [{…}]}.
func contactsOf(raw []byte) (contacts []outreach.Contact, err error) {
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	whole := struct {
		Contacts *[]outreach.Contact `json:"contacts"`
		Items    *[]outreach.Contact `json:"items"`
	}{&contacts, &contacts}
	if bytes.TrimSpace(raw)[0] == '[' {
		err = json.Unmarshal(raw, &contacts)
	} else {
		err = json.Unmarshal(raw, &whole)
	}
	if err != nil {
		return nil, &queue.Invalid{Field: "file", Code: "file_json", Detail: fmt.Sprintf("this is no list of contacts in JSON: %v", err)}
	}
	if len(contacts) == 0 {
		return nil, &queue.Invalid{Field: "file", Code: "file_empty", Detail: "the file names nobody"}
	}
	return contacts, nil
}

// The choices for a column, besides the fields of a contact.
const (
	leftOut     = "-"
	toConsent   = "consent." + outreach.Marketing
	toReminder  = "flag." + outreach.FlagReminder
	toAttribute = "attribute"
)

var contactFieldNames = []string{"id", "name", "first_name", "last_name", "number", "email", "language", "birthday", "status"}

// mappedTo is what a choice means for Import.Columns; empty: as the name says.
func mappedTo(head, as string) string {
	kind, t, _ := strings.Cut(as, ":")
	switch {
	case kind == toAttribute && t == "":
		return bareName(head)
	case kind == toAttribute && slices.Contains(outreach.Types(), outreach.Type(t)):
		return bareName(head) + ":" + t
	case as == leftOut || as == toConsent || as == toReminder || slices.Contains(contactFieldNames, as):
		return as
	}
	return ""
}

// bareName of a column is without the type that it may declare.
func bareName(head string) string {
	if i := strings.LastIndex(head, ":"); i > 0 && slices.Contains(outreach.Types(), outreach.Type(strings.TrimSpace(strings.ToLower(head[i+1:])))) {
		return strings.TrimSpace(head[:i])
	}
	return head
}

// column shows what a column is read as, with the first of its values.
func (v *importView) column(f *outreach.File, i int, mapped string) columnView {
	head := strings.TrimSpace(f.Head[i])
	c := columnView{Head: head, As: outreach.ColumnMeaning(head, mapped)}
	if _, typed, ok := strings.Cut(c.As, toAttribute+"."); ok {
		c.As = toAttribute
		if j := strings.LastIndex(typed, ":"); j >= 0 {
			c.As += typed[j:]
		}
	}
	var seen []string
	for _, row := range f.Rows {
		if row.Bad != "" {
			continue
		}
		if cell := strings.TrimSpace(row.Cells[i]); cell != "" && !slices.Contains(seen, cell) {
			seen = append(seen, cell)
		}
		if len(seen) == shownCells {
			break
		}
	}
	c.Examples = strings.Join(seen, " · ")
	add := func(value, word string) { c.Choices = append(c.Choices, choiceView{value, word}) }
	add(leftOut, v.T("as_nothing"))
	for _, name := range contactFieldNames {
		word := "f_" + name
		if name == "language" {
			word = "language"
		}
		add(name, v.T(word))
	}
	add(toConsent, v.T("as_consent"))
	add(toReminder, v.T("flag_reminder"))
	if head != "" {
		add(toAttribute, v.T("as_attribute", "name", bareName(head)))
		for _, t := range outreach.Types() {
			add(toAttribute+":"+string(t), v.T("as_attribute_of", "name", bareName(head), "type", v.TypeWord(t)))
		}
	}
	if !slices.ContainsFunc(c.Choices, func(o choiceView) bool { return o.Value == c.As }) {
		add(c.As, c.As) // another purpose or flag, which the name of the column says
	}
	return c
}

// takeList takes the list over, and keeps what became of it.
func (s *Site) takeList(w http.ResponseWriter, r *http.Request, v *importView, it *shelf.Item) {
	if v.Sure = r.PostForm.Get("mode") == "replace" && r.PostForm.Get("sure") != "yes"; v.Sure {
		s.look(w, r, v, it)
		return
	}
	list, err := v.read(r.PostForm, it)
	var bad []outreach.RowError
	if err == nil {
		// Who has pressed the button may close the page: half a list helps nobody.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), importTime)
		defer cancel()
		v.Rep, err = list.run(ctx, s.outreach, outreach.Import{Refused: func(e outreach.RowError) { bad = append(bad, e) }})
	}
	if err != nil {
		if !v.told(err) {
			s.trouble(w, v.page, err)
			return
		}
		s.render(w, http.StatusBadRequest, "import-look", v)
		return
	}
	rep := v.Rep
	done := &imported{rep.Rows, rep.Added, rep.Changed, rep.Same, rep.Removed, rep.Refused, s.queue.Now()}
	if err := it.Write(partRefused, func(out io.Writer) error { return v.writeRefused(out, list, bad) }); err != nil {
		s.trouble(w, v.page, fmt.Errorf("webui: the list was taken over, and its file of refused rows could not be written: %w", err))
		return
	}
	it.Note = done
	s.log.Info("a list of contacts was taken over", "by", v.till(), "rows", done.Rows, "added", done.Added, "changed", done.Changed, "removed", done.Removed, "refused", done.Refused)
	http.Redirect(w, r, v.At, http.StatusSeeOther)
}

// writeRefused makes the file of refused rows: as they came, with the row and
// the reason in front, so that they can be mended and brought again.
func (v *importView) writeRefused(out io.Writer, l *broughtList, bad []outreach.RowError) error {
	whys := map[int][]string{}
	var order []int
	for _, e := range bad {
		r := v.refused(e)
		if _, known := whys[e.Row]; !known {
			order = append(order, e.Row)
		}
		whys[e.Row] = append(whys[e.Row], strings.TrimPrefix(r.Field+": "+r.Said, ": "))
	}
	w := csv.NewWriter(out)
	write := func(row string, why string, cells []string) { // an error shows at Flush
		line := append([]string{row, why}, cells...)
		for i := range line {
			line[i] = guarded(line[i])
		}
		_ = w.Write(line)
	}
	if l.file == nil {
		write(v.T("import_row"), v.T("import_why"), []string{"id", "name"})
		for _, n := range order {
			c := l.contacts[n-1]
			write(strconv.Itoa(n), strings.Join(whys[n], " "), []string{c.ID, called(&c)})
		}
	} else {
		write(v.T("import_row"), v.T("import_why"), l.file.Head)
		for _, row := range l.file.Rows {
			if why, ok := whys[row.Line]; ok {
				write(strconv.Itoa(row.Line), strings.Join(why, " "), row.Cells)
			}
		}
	}
	w.Flush()
	return w.Error()
}

// refusedFile hands it out.
func (s *Site) refusedFile(w http.ResponseWriter, r *http.Request) {
	s.withList(w, r, func(v *importView, it *shelf.Item) {
		raw, err := it.Read(partRefused)
		if err != nil {
			s.nothing(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="refused.csv"`)
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(raw) // fails when the browser has gone
	})
}

// More refused rows than are shown.
func (v *importView) More() int {
	if v.Rep == nil {
		return 0
	}
	return v.Rep.Refused - len(v.Refused)
}

// Takes is how many contacts would be written or removed.
func (v *importView) Takes() int { return v.Rep.Added + v.Rep.Changed + v.Rep.Removed }
