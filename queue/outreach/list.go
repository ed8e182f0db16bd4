package outreach

import (
	"cmp"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Columns of a list beside those of a contact.
var (
	textColumns     = []string{"text", "message", "bericht", "tekst", "meddelande", "nachricht"}
	refColumns      = []string{"ref", "reference", "referentie", "referens", "referenz", "order"}
	consentsColumns = []string{"consents", "toestemmingen", "einwilligungen"}
)

// Recipients reads a file as a list for a batch: numbers in a column that is
// called so, by e-mail addresses in theirs; languages, references, consents;
// every column is a value for the text. own: the rows bring their texts. Its
// error is a *queue.Invalid.
func (f *File) Recipients(channel string) (list []Recipient, own bool, err error) {
	find := func(names []string) int {
		return slices.IndexFunc(f.Head, func(h string) bool { return slices.Contains(names, fold(h)) })
	}
	to, lang, contact := f.column("number"), f.column("language"), f.column("id")
	words, ref, said := find(textColumns), find(refColumns), find(consentsColumns)
	agreed := find(consentColumns)
	mail := f.column("email")
	if channel == Email {
		to = f.addresses(mail, to)
	}
	switch {
	case to >= 0 || contact >= 0:
	case channel == Email:
		return nil, false, invalid("file", "column_missing", "row 1 has no column of e-mail addresses. Name one email or to. The file has %s", some(f.Head))
	case mail >= 0:
		return nil, false, invalid("file", "column_missing", "row 1 has no column of numbers, but one of e-mail addresses. Say channel email, or name a column to, mobile or phone. The file has %s", some(f.Head))
	default:
		return nil, false, invalid("file", "column_missing", "row 1 has no column of numbers. Name one to, mobile or phone. The file has %s", some(f.Head))
	}
	seen := map[string]string{}
	for _, h := range f.Head {
		if other, twice := seen[fold(h)]; twice && fold(h) != "" {
			return nil, false, invalid("file", "column_twice", "row 1: the columns %q and %q have one name. Rename one of them", other, h)
		}
		seen[fold(h)] = h
	}
	for _, row := range f.Rows {
		r := Recipient{Row: row.Line, Vars: map[string]string{}}
		if row.Bad != "" {
			r.Bad = "the row " + row.Bad
			list = append(list, r)
			continue
		}
		cell := func(i int) string {
			if i < 0 {
				return ""
			}
			return strings.TrimSpace(row.Cells[i])
		}
		r.To, r.Lang, r.Contact, r.Ref = cell(to), strings.ToLower(cell(lang)), cell(contact), cell(ref)
		for purpose := range strings.FieldsFuncSeq(cell(said), func(r rune) bool { return r == '|' || r == ',' }) {
			r.Consents = append(r.Consents, strings.TrimSpace(purpose)) // a purpose may have blanks in it: geen sms
		}
		if on, err := readYesNo(cell(agreed)); err == nil && on {
			r.Consents = append(r.Consents, Marketing)
		}
		for i, h := range f.Head {
			if name, _ := headName(h); name != "" {
				r.Vars[name] = row.Cells[i]
			}
		}
		if words >= 0 {
			r.Vars["text"] = cell(words)
		}
		list = append(list, r)
	}
	return list, words >= 0, nil
}

// OwnTexts are the options of a list whose rows bring their texts, where the
// call says none: many messages and no mailing. They are transactional, and two
// to one number are two.
func OwnTexts(lang string, class *queue.Class, dedupe *bool) (texts map[string]string, each *bool) {
	*class = cmp.Or(*class, queue.Transactional)
	return map[string]string{lang: "{text}"}, cmp.Or(dedupe, new(bool))
}

// addresses is the column of e-mail addresses: the one that is called so, or
// that of "to" where it holds them. A file of customers has numbers, too.
func (f *File) addresses(mail, number int) int {
	switch {
	case mail >= 0:
		return mail
	case number >= 0 && fold(f.Head[number]) == "to":
		return number
	}
	return -1
}

// ListedRecipient is a row of a list as a person reads it.
type ListedRecipient struct {
	Contact, Name, Number, State, Why, Message string
}

// EachRecipient calls fn for everybody on a campaign's list; for a draft, for
// everybody who would be on it now.
func (o *Outreach) EachRecipient(c *Campaign, fn func(ListedRecipient) error) error {
	if c.State == CampaignDraft {
		s, _, err := o.chosen(c, o.q.Now())
		if err != nil {
			return err
		}
		return o.listed(c.Channel, s.list, fn)
	}
	for from := 0; ; {
		list, next, err := o.Recipients(c.Name, from, maxPage)
		if err != nil {
			return err
		}
		if err := o.listed(c.Channel, list, fn); err != nil || next == 0 {
			return err
		}
		from = next
	}
}

func (o *Outreach) listed(channel string, list []Recipient, fn func(ListedRecipient) error) error {
	for chunk := range slices.Chunk(list, pageSize) {
		var rows []ListedRecipient
		err := o.db.View(func(tx *store.Tx) error {
			for _, r := range chunk {
				row := ListedRecipient{Contact: r.Contact, Number: r.To, State: "waiting", Why: r.Why}
				if r.Contact != "" {
					one, err := contacts.Get(tx, store.Str(r.Contact))
					if err != nil {
						return err
					}
					if one != nil {
						row.Name = one.whole()
						if row.Number == "" {
							row.Number = one.reach(channel)
						}
					}
				}
				if r.Why != "" {
					row.State = "refused"
				}
				if r.Msg != 0 {
					row.Message, row.State = r.Msg.String(), string(r.State)
					m, err := o.q.LookTx(tx, r.Msg)
					if err != nil {
						return err
					}
					if m != nil {
						row.State, row.Why = string(m.State), m.Why.Text(o.cfg.Language, o.cfg.Location)
					}
				}
				rows = append(rows, row)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := fn(row); err != nil {
				return err
			}
		}
	}
	return nil
}
