package outreach

import (
	"bytes"
	"iter"
	"strings"

	"tillpost/queue/store"
)

// Tables of outreach, and every key layout in one place.
var (
	// number · id: whose number it is.
	byNumber = store.NewIndex("contact.number", func(c *Contact) [][]byte {
		if c.Number == "" {
			return nil
		}
		return [][]byte{store.Join(store.Str(c.Number), store.Str(c.ID))}
	})
	// address · id: the same by e-mail.
	byMail = store.NewIndex("contact.email", func(c *Contact) [][]byte {
		if c.Email == "" {
			return nil
		}
		return [][]byte{store.Join(store.Str(strings.ToLower(c.Email)), store.Str(c.ID))}
	})
	contacts = store.NewTable("contact", (*Contact).key, byNumber, byMail).
			Packed(writeContact, readContact)

	// The same rows, read only as far as a selection asks. It writes nothing.
	register = store.NewTable("contact", (*Contact).key).Packed(writeContact, readLean)

	// And as far as a search does.
	findable = store.NewTable("contact", (*Contact).key).Packed(writeContact, readNames)

	// contact · purpose · channel · number: the ledger, which only grows.
	consents = store.NewTable("consent", (*Consent).key)

	byExcludedNumber = store.NewIndex("exclusion.number", func(e *Exclusion) [][]byte {
		if e.Number == "" {
			return nil
		}
		return [][]byte{store.Join(store.Str(e.Number), store.Str(e.ID))}
	})
	exclusions = store.NewTable("exclusion", (*Exclusion).key, byExcludedNumber)

	templates = store.NewTable("template", (*Stored).key)
	// name · version: what a template was.
	oldTemplates = store.NewTable("template.version", (*oldTemplate).key)

	// contact · id, and event · id: bookings of a person, tickets to an event.
	byBooker = store.NewIndex("booking.contact", func(b *Booking) [][]byte {
		if b.Contact == "" {
			return nil
		}
		return [][]byte{store.Join(store.Str(b.Contact), store.Str(b.ID))}
	})
	byEvent = store.NewIndex("booking.event", func(b *Booking) [][]byte {
		if b.Event == "" {
			return nil
		}
		return [][]byte{store.Join(store.Str(b.Event), store.Str(b.ID))}
	})
	// event or customer · start · id: what a day has.
	byStart = store.NewIndex("booking.start", func(b *Booking) [][]byte {
		if b.Start.IsZero() {
			return nil
		}
		return [][]byte{store.Join(store.Str(b.diary()), store.Time(b.Start), store.Str(b.ID))}
	})
	bookings = store.NewTable("booking", (*Booking).key, byBooker, byEvent, byStart)
	// id · version: what a booking was.
	oldBookings = store.NewTable("booking.version", (*oldBooking).key)

	rules = store.NewTable("rule", (*Rule).key)

	// due · owner · rule: what the scheduler has to do next.
	byPlanDue = store.NewIndex("plan.due", func(p *plan) [][]byte {
		return [][]byte{store.Join(store.Time(p.Due), p.key())}
	})
	plans = store.NewTable("plan", (*plan).key, byPlanDue)

	// rule · owner · occasion: never twice. And by owner, to take back what has
	// not left.
	byOwner = store.NewIndex("occasion.owner", func(o *occasion) [][]byte {
		return [][]byte{store.Join(store.Str(o.Owner), store.Str(o.Rule), store.Str(o.Key))}
	})
	occasions = store.NewTable("occasion", (*occasion).key, byOwner)

	// state: campaigns that have something to do are found without reading the
	// others.
	byActive = store.NewIndex("campaign.active", func(c *Campaign) [][]byte {
		if !c.State.active() {
			return nil
		}
		return [][]byte{store.Str(c.Name)}
	})
	// event · name: whom a moved event moves.
	byTiming = store.NewIndex("campaign.event", func(c *Campaign) [][]byte {
		if c.When.Event == "" {
			return nil
		}
		return [][]byte{store.Join(store.Str(c.When.Event), store.Str(c.Name))}
	})
	// kind · made · name: the history.
	byMade = store.NewIndex("campaign.made", func(c *Campaign) [][]byte {
		return [][]byte{store.Join(store.Str(string(c.Kind)), store.Time(c.Created), store.Str(c.Name))}
	})
	campaigns = store.NewTable("campaign", (*Campaign).key, byActive, byTiming, byMade)
	// campaign · page: recipients, a hundred to a row.
	sheets = store.NewTable("campaign.page", (*sheet).key)
)

// Schema is what store.Open must know to hold what outreach keeps.
func Schema() []store.Schema {
	return []store.Schema{contacts, consents, exclusions, templates, oldTemplates, bookings, oldBookings, rules, plans, occasions, campaigns, sheets, drops, places, forwardPlaces, forwards}
}

// get reads one row by its name.
func get[T any](db *store.DB, table *store.Table[T], name string) (v *T, err error) {
	err = db.View(func(tx *store.Tx) error {
		v, err = table.Get(tx, store.Str(name))
		return err
	})
	if err == nil && v == nil {
		err = ErrNotFound
	}
	return v, err
}

const (
	usualPage = 100
	maxPage   = 1000
	scanChunk = 2000 // rows in one read transaction
)

// row is a pointer to a row that knows its key.
type row[T any] interface {
	*T
	key() []byte
}

// page lists rows by key, after the one called after.
func page[T any, R row[T]](db *store.DB, table *store.Table[T], after string, limit int, name func(*T) string) (list []T, next string, err error) {
	if limit <= 0 {
		limit = usualPage
	}
	limit = min(limit, maxPage)
	var from []byte
	if after != "" {
		from = append(store.Str(after), 0)
	}
	err = db.View(func(tx *store.Tx) error {
		for v, err := range table.Scan(tx, from) {
			if err != nil {
				return err
			}
			if len(list) == limit {
				next = name(&list[limit-1])
				return nil
			}
			list = append(list, *v)
		}
		return nil
	})
	return list, next, err
}

// each calls fn for every row, in read transactions that end: a long one keeps
// pages from being used again.
func each[T any, R row[T]](db *store.DB, table *store.Table[T], fn func(*store.Tx, *T) error) error {
	var from []byte
	for more := true; more; {
		more = false
		err := db.View(func(tx *store.Tx) error {
			n := 0
			var last *T
			for v, err := range table.Scan(tx, from) {
				if err != nil {
					return err
				}
				if err := fn(tx, v); err != nil {
					return err
				}
				if n, last = n+1, v; n == scanChunk {
					more = true
					break
				}
			}
			if last != nil {
				from = append(R(last).key(), 0)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// under lists the rows whose key begins with a prefix.
func under[T any, R row[T]](tx *store.Tx, table *store.Table[T], prefix []byte) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for v, err := range table.Scan(tx, prefix) {
			if err == nil && !bytes.HasPrefix(R(v).key(), prefix) {
				return
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// deleteUnder removes them.
func deleteUnder[T any, R row[T]](tx *store.Tx, table *store.Table[T], prefix []byte) error {
	var keys [][]byte
	for v, err := range under[T, R](tx, table, prefix) {
		if err != nil {
			return err
		}
		keys = append(keys, R(v).key())
	}
	for _, key := range keys {
		if err := table.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}

func (c *Contact) key() []byte   { return store.Str(c.ID) }
func (e *Exclusion) key() []byte { return store.Str(e.ID) }
func (t *Stored) key() []byte    { return store.Str(t.Name) }
func (b *Booking) key() []byte   { return store.Str(b.ID) }
func (r *Rule) key() []byte      { return store.Str(r.Name) }
func (c *Campaign) key() []byte  { return store.Str(c.Name) }

func (c *Consent) key() []byte {
	return store.Join(store.Str(c.Contact), store.Str(c.Purpose), store.Str(c.Channel), store.U64(c.Seq))
}

func (p *plan) key() []byte { return store.Join(store.Str(p.Owner), store.Str(p.Rule)) }

func (o *occasion) key() []byte {
	return store.Join(store.Str(o.Rule), store.Str(o.Owner), store.Str(o.Key))
}

func (s *sheet) key() []byte { return store.Join(store.Str(s.Campaign), store.U64(uint64(s.Page))) }

// What a template or a booking was, by version.
type (
	oldTemplate struct{ Stored }
	oldBooking  struct{ Booking }
)

func (t *oldTemplate) key() []byte {
	return store.Join(store.Str(t.Name), store.U64(uint64(t.Version)))
}

func (b *oldBooking) key() []byte {
	return store.Join(store.Str(b.ID), store.U64(uint64(b.Version)))
}

// A plan or an occasion belongs to a contact or to a booking.
const (
	ownerContact = "contact/"
	ownerBooking = "booking/"
)

func bookingOf(owner string) string {
	id, ok := strings.CutPrefix(owner, ownerBooking)
	if !ok {
		return ""
	}
	return id
}

func contactOf(owner string) string {
	id, ok := strings.CutPrefix(owner, ownerContact)
	if !ok {
		return ""
	}
	return id
}
