package outreach

import (
	"errors"
	"slices"
	"strings"
	"time"

	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Search is what somebody looks for in the register. The zero value is
// everybody.
type Search struct {
	Words    string // in a name, an id or an e-mail address; or a number in any spelling
	Language string
	Status   string
	Consent  string // to marketing by SMS: ConsentGiven, ConsentWithdrawn, ConsentNone
	OptedOut bool   // only who asked for no more advertising
	Excluded bool   // only who is kept out of everything

	After    string        // id behind which the page begins
	Limit    int           // 1 to 1000; default 100
	Patience time.Duration // how long it may look; 0: to the end of the register
}

// What Search.Consent may be.
const (
	ConsentGiven     = "given"
	ConsentWithdrawn = "withdrawn"
	ConsentNone      = "none" // never asked, or never answered
)

// Found is one page of a search, by id.
type Found struct {
	List  []Known
	Next  string // After of the next page; empty: there are no more
	Count int    // of all that were found, this page's and those behind it
	Short bool   // patience ended first: Next goes on from there, and Count is of those looked at
}

// Known is a contact, without birthday, attributes and flags, and what stands
// in the way of writing to it.
type Known struct {
	Contact
	Standing
}

// Standing says whether somebody may be written to.
type Standing struct {
	Consents  granted    // what holds for SMS, by purpose
	Exclusion *Exclusion // kept out by hand; nil: not
	Ended     bool       // its status is one after which nobody is written to
	OptedOut  time.Time  // when it asked for no more advertising; zero: never
}

// Out: nothing at all may be sent.
func (s *Standing) Out() bool { return s.Exclusion != nil || s.Ended }

// Marketing consent in the terms of a search.
func (s *Standing) Marketing() string { return said(s.Consents) }

func said(g granted) string {
	on, known := g[Marketing]
	switch {
	case !known:
		return ConsentNone
	case on:
		return ConsentGiven
	}
	return ConsentWithdrawn
}

// Find looks contacts up. The first page counts what lies behind it as well;
// later ones stop when they are full. Who is named exactly, by id or by a whole
// number, is found without looking at the others.
func (o *Outreach) Find(s Search) (*Found, error) {
	if s.Limit <= 0 {
		s.Limit = usualPage
	}
	s.Limit = min(s.Limit, maxPage)
	f := o.finder(&s)
	if s.After == "" && f.words != "" {
		if err := f.exactly(); err != nil || len(f.found.List) > 0 {
			return &f.found, err
		}
	}
	began := time.Now()
	for more := true; more; {
		var err error
		if more, err = f.chunk(); err != nil {
			return nil, err
		}
		if more && s.Patience > 0 && time.Since(began) > s.Patience {
			f.found.Short = true
			if f.found.Next == "" {
				f.found.Next = f.last
			}
			break
		}
	}
	return &f.found, nil
}

// Standing of a contact. Error: ErrNotFound.
func (o *Outreach) Standing(id string) (*Standing, error) {
	c, err := o.Contact(id)
	if err != nil {
		return nil, err
	}
	var st Standing
	return &st, o.db.View(func(tx *store.Tx) error { return st.read(tx, o, c) })
}

func (s *Standing) read(tx *store.Tx, o *Outreach, c *Contact) (err error) {
	s.Ended = endedWords[strings.ToLower(c.Status)]
	if s.Exclusion, err = exclusions.Get(tx, store.Str(c.ID)); err != nil {
		return err
	}
	if s.Consents, err = consentsOf(tx, c.ID, SMS); err != nil || c.Number == "" {
		return err
	}
	out, err := o.q.OptedOutTx(tx, c.Number)
	if out != nil {
		s.OptedOut = out.At
	}
	return err
}

// finder is a search while it runs.
type finder struct {
	o     *Outreach
	s     *Search
	words string // lower case
	whole string // E.164, if the words are a number
	part  string // digits that a number must contain
	last  string // contact that was looked at last
	found Found
}

// wholeNumber: so many digits are a telephone number and no part of one.
const wholeNumber = 9

func (o *Outreach) finder(s *Search) *finder {
	f := &finder{o: o, s: s, words: strings.ToLower(strings.TrimSpace(s.Words)), last: s.After}
	digits := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case strings.ContainsRune("+ -()/.", r):
			return -1
		}
		return 'x'
	}, f.words)
	if strings.Contains(digits, "x") || len(digits) < 3 {
		return f
	}
	f.part = strings.TrimLeft(digits, "0")
	if n, err := text.ParseNumber(f.words, o.cfg.Country); err == nil && len(digits) >= wholeNumber {
		f.whole = n.String()
	}
	return f
}

// exactly finds who has just this id or this number.
func (f *finder) exactly() error {
	return f.o.db.View(func(tx *store.Tx) error {
		c, err := contacts.Get(tx, store.Str(strings.TrimSpace(f.s.Words)))
		if err != nil {
			return err
		}
		list := []*Contact{c}
		if f.whole != "" {
			others, err := withNumber(tx, f.whole)
			if err != nil {
				return err
			}
			list = append(list, slices.DeleteFunc(others, func(o *Contact) bool { return c != nil && o.ID == c.ID })...)
		}
		for _, c := range list {
			if c == nil {
				continue
			}
			if err := f.look(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// chunk looks at some of the register, in one transaction.
func (f *finder) chunk() (more bool, err error) {
	var from []byte
	if f.last != "" {
		from = append(store.Str(f.last), 0)
	}
	err = f.o.db.View(func(tx *store.Tx) error {
		n := 0
		for c, err := range findable.Scan(tx, from) {
			if err != nil {
				return err
			}
			if err := f.look(tx, c); err != nil {
				return err
			}
			if f.last = c.ID; f.found.Next != "" && f.s.After != "" {
				return nil // it is no first page, and full
			}
			if n++; n == scanChunk {
				more = true
				return nil
			}
		}
		return nil
	})
	return more, err
}

// look puts a contact that is meant on the page, or counts it.
func (f *finder) look(tx *store.Tx, c *Contact) error {
	if fits, err := f.fits(tx, c); !fits || err != nil {
		return err
	}
	f.found.Count++
	if len(f.found.List) == f.s.Limit {
		f.found.Next = f.found.List[f.s.Limit-1].ID
		return nil
	}
	k := Known{Contact: *c}
	if err := k.Standing.read(tx, f.o, c); err != nil {
		return err
	}
	f.found.List = append(f.found.List, k)
	return nil
}

// fits asks what is asked, the cheap before the dear.
func (f *finder) fits(tx *store.Tx, c *Contact) (bool, error) {
	if f.s.Language != "" && c.Language != f.s.Language || f.s.Status != "" && !strings.EqualFold(c.Status, f.s.Status) || !f.named(c) {
		return false, nil
	}
	if f.s.Excluded && !endedWords[strings.ToLower(c.Status)] {
		e, err := exclusions.Get(tx, store.Str(c.ID))
		if e == nil || err != nil {
			return false, err
		}
	}
	if f.s.OptedOut {
		if c.Number == "" {
			return false, nil
		}
		out, err := f.o.q.OptedOutTx(tx, c.Number)
		if out == nil || err != nil {
			return false, err
		}
	}
	if f.s.Consent == "" {
		return true, nil
	}
	g, err := consentsOf(tx, c.ID, SMS)
	return said(g) == f.s.Consent, err
}

// named: the words fit.
func (f *finder) named(c *Contact) bool {
	switch {
	case f.words == "":
		return true
	case f.whole != "":
		return c.Number == f.whole || strings.Contains(c.ID, f.words)
	case f.part != "" && strings.Contains(c.Number, f.part):
		return true
	}
	for _, said := range []string{c.ID, c.whole(), c.FirstName, c.LastName, c.Email} {
		if strings.Contains(strings.ToLower(said), f.words) {
			return true
		}
	}
	return false
}

// readNames reads a contact as a search needs it.
func readNames(c *Contact, r *store.Reader) {
	if r.Field <= 7 || r.Field == 9 {
		readContact(c, r)
	}
}

// KnownNames are what a text can be filled in with.
type KnownNames struct {
	Fields     []string // of a contact
	Attributes []string // that contacts have
	Booking    []string // of a booking, for rules about bookings
}

// Has tells whether any contact or booking has a value of that name, in
// whatever language a field is called.
func (k *KnownNames) Has(name string) bool {
	name = fold(name)
	return isContactField(fieldName(name)) || slices.Contains(k.Attributes, name) || bookingNames[name]
}

var errEnough = errors.New("outreach: enough was read")

// KnownNames lists them. Of a long register it reads as much as patience
// allows; 0: all of it.
func (o *Outreach) KnownNames(patience time.Duration) (*KnownNames, error) {
	began, all := time.Now(), Names{}
	err := each(o.db, register, func(_ *store.Tx, c *Contact) error {
		c.noteNames(all)
		if patience > 0 && time.Since(began) > patience {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	k := &KnownNames{}
	for name := range all {
		k.Attributes = append(k.Attributes, name)
	}
	for _, field := range contactFields {
		k.Fields = append(k.Fields, field[0])
	}
	for name := range bookingNames {
		k.Booking = append(k.Booking, name)
	}
	slices.Sort(k.Attributes)
	slices.Sort(k.Booking)
	return k, nil
}
