package outreach

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// box is outreach over a real queue and store, in virtual time.
type box struct {
	t    *testing.T
	dir  string
	cfg  Config
	db   *store.DB
	q    *queue.Queue
	o    *Outreach
	halt func()
}

const (
	anna = "+31612345678"
	bram = "+31687654321"
	cees = "+31611112222"
	dora = "+31622223333"
)

// inBox runs fn in virtual time on Tuesday 24 November 2026, 09:00 in
// Amsterdam. The store is checked at the end, whatever fn did.
func inBox(t *testing.T, fn func(b *box)) {
	t.Helper()
	inBoxAt(t, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC), fn)
}

func inBoxAt(t *testing.T, begin time.Time, fn func(b *box)) {
	t.Helper()
	dir := t.TempDir()
	zone := amsterdam(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begin))
		b := &box{t: t, dir: dir, cfg: Config{Country: "NL", Language: "nl", Location: zone}}
		defer b.close()
		fn(b)
	})
}

// open starts outreach, and a queue with these routes: without any nothing
// leaves, and the queue is not run.
func (b *box) open(routes ...*routetest.Fake) {
	b.t.Helper()
	var list []route.Route
	for _, r := range routes {
		list = append(list, r)
	}
	b.openWith("", list...)
}

// openWith starts outreach with routes, of which one called as its pool may
// carry e-mail.
func (b *box) openWith(mailPool string, routes ...route.Route) {
	b.t.Helper()
	db, err := store.Open(store.Options{Path: filepath.Join(b.dir, "box.db"), MinFree: -1, NoSync: true}, append(queue.Schema(), Schema()...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db, Country: "NL", Language: "nl", Location: b.cfg.Location, Steward: Steward(), MailPool: mailPool})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range routes {
		pool := ""
		if r.Name() == mailPool {
			pool = mailPool
		}
		if err := q.Attach(r, pool); err != nil {
			b.t.Fatal(err)
		}
	}
	cfg := b.cfg
	cfg.DB, cfg.Queue = db, q
	o, err := New(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	o.KnowWebhooks(func(name string) (bool, error) { return name == "software", nil })
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 2)
	runs := 1
	go func() { ended <- o.Run(ctx) }()
	if len(routes) > 0 {
		runs++
		go func() { ended <- q.Run(ctx) }()
	}
	b.db, b.q, b.o = db, q, o
	synctest.Wait() // the routes are ready
	b.halt = func() {
		cancel()
		for range runs {
			if err := <-ended; err != nil {
				b.t.Errorf("Run: %v", err)
			}
		}
	}
}

// close stops everything, checks the store and closes it.
func (b *box) close() {
	b.t.Helper()
	if b.o == nil {
		return
	}
	b.halt()
	if err := b.db.Check(); err != nil {
		b.t.Errorf("check: %v", err)
	}
	if err := b.db.Close(); err != nil {
		b.t.Errorf("close: %v", err)
	}
	b.o = nil
}

func (b *box) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *box) contact(c Contact) *Contact {
	b.t.Helper()
	got, err := b.o.PutContact(b.t.Context(), c)
	if err != nil {
		b.t.Fatalf("contact %s: %v", c.ID, err)
	}
	return got
}

func (b *box) template(name, text string, also ...func(*Stored)) {
	b.t.Helper()
	s := Stored{Name: name, Texts: map[string]map[string]string{SMS: {"nl": text}}}
	for _, fn := range also {
		fn(&s)
	}
	if _, err := b.o.PutTemplate(b.t.Context(), s, "till"); err != nil {
		b.t.Fatalf("template %s: %v", name, err)
	}
}

func (b *box) rule(r Rule) *Rule {
	b.t.Helper()
	got, err := b.o.PutRule(b.t.Context(), r, "till")
	if err != nil {
		b.t.Fatalf("rule %s: %v", r.Name, err)
	}
	return got
}

func (b *box) book(k Booking) *Booked {
	b.t.Helper()
	got, err := b.o.PutBooking(b.t.Context(), k, "till")
	if err != nil {
		b.t.Fatalf("booking %s: %v", k.ID, err)
	}
	return got
}

func (b *box) consent(contact string) {
	b.t.Helper()
	if _, err := b.o.AddConsent(b.t.Context(), Consent{Contact: contact, Purpose: Marketing, Granted: true, How: "form"}); err != nil {
		b.t.Fatal(err)
	}
}

// messages lists what the queue has, oldest first.
func (b *box) messages() (list []*queue.Message) {
	b.t.Helper()
	synctest.Wait()
	for before := queue.ID(0); ; {
		page, next, err := b.q.List(queue.Filter{Before: before, Limit: 1000})
		if err != nil {
			b.t.Fatal(err)
		}
		list = append(list, page...)
		if before = next; next == 0 {
			break
		}
	}
	slices.Reverse(list)
	return list
}

func (b *box) texts() (list []string) {
	b.t.Helper()
	for _, m := range b.messages() {
		list = append(list, m.Text())
	}
	return list
}

// wants compares the texts of all messages.
func (b *box) wants(want ...string) {
	b.t.Helper()
	if got := b.texts(); !slices.Equal(got, want) {
		b.t.Errorf("messages:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func clock(b *box, s string) time.Time {
	b.t.Helper()
	at, err := Moment("test", s, 1, b.cfg.Location)
	if err != nil {
		b.t.Fatal(err)
	}
	return at
}
