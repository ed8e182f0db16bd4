package queue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// box is a running queue with fake routes on a real store, in virtual time.
type box struct {
	t    *testing.T
	dir  string
	db   *store.DB
	q    *Queue
	stop func()
}

const (
	anna = "+31612345678"
	bram = "+31687654321"
	cees = "+31611112222"
	dirk = "+31622223333"
)

// inBox runs fn in virtual time with a store in a folder of its own. The store
// is checked at the end, whatever fn did.
func inBox(t *testing.T, fn func(t *testing.T, b *box)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		// The bubble begins in the year 2000; a box lives now.
		time.Sleep(time.Until(time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)))
		b := &box{t: t, dir: dir}
		defer b.close()
		fn(t, b)
	})
}

// open starts the queue on the store, with these routes in the default pool.
func (b *box) open(routes ...*routetest.Fake) { b.openWith(Config{}, routes...) }

func (b *box) openWith(cfg Config, routes ...*routetest.Fake) {
	b.t.Helper()
	db, err := store.Open(store.Options{Path: filepath.Join(b.dir, "queue.db"), MinFree: -1}, Schema()...)
	if err != nil {
		b.t.Fatal(err)
	}
	cfg.DB = db
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	q, err := New(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range routes {
		if err := q.Attach(r, ""); err != nil {
			b.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	b.db, b.q = db, q
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
}

// close stops the queue, checks the store and closes it.
func (b *box) close() {
	b.t.Helper()
	if b.q == nil {
		return
	}
	b.stop()
	if err := b.db.Check(); err != nil {
		b.t.Errorf("check: %v", err)
	}
	if err := b.db.Close(); err != nil {
		b.t.Errorf("close: %v", err)
	}
	b.q = nil
}

// snapshot returns a folder with the store as it is on disk now: what a power
// cut at this moment would leave.
func (b *box) snapshot() string {
	b.t.Helper()
	dir := filepath.Join(b.dir, "cut")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := b.db.BackupFile(filepath.Join(dir, "queue.db")); err != nil {
		b.t.Fatal(err)
	}
	return dir
}

func (b *box) add(d Draft) ID {
	b.t.Helper()
	if d.To == "" {
		d.To = anna
	}
	if d.Text == "" {
		d.Text = "Your order is ready."
	}
	m, err := b.q.Add(b.t.Context(), d)
	if err != nil {
		b.t.Fatalf("add: %v", err)
	}
	return m.ID
}

func (b *box) get(id ID) *Message {
	b.t.Helper()
	m, err := b.q.Get(id)
	if err != nil {
		b.t.Fatalf("get %s: %v", id, err)
	}
	return m
}

// want lets everything come to rest and compares the state.
func (b *box) want(id ID, s State, why string) *Message {
	b.t.Helper()
	synctest.Wait()
	m := b.get(id)
	if m.State != s || m.Why.Code != why {
		b.t.Errorf("message is %s because %s, want %s because %s\nstory: %s", m.State, m.Why.Code, s, why, b.story(m))
	}
	return m
}

func (b *box) story(m *Message) (text string) {
	list, err := b.q.Story(m)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list {
		text += "\n  " + e.At.Format(time.TimeOnly) + " " + string(e.Kind) + " " + string(e.State) + " " + e.Route + " " + e.Code + " " + e.Detail
	}
	return text
}

// later lets virtual time pass, and everything that it brings.
func (b *box) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// kinds of a story, for comparing.
func (b *box) kinds(id ID) (list []Kind) {
	b.t.Helper()
	story, err := b.q.Story(b.get(id))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range story {
		list = append(list, e.Kind)
	}
	return list
}

func sent(ids ...string) (parts []route.Part) {
	for i, ref := range ids {
		parts = append(parts, route.Part{N: i + 1, Of: len(ids), State: route.PartSent, Ref: ref})
	}
	return parts
}

func fail(fate route.Fate) error {
	return &route.Error{Fate: fate, Code: "TEST " + string(fate), Text: "the test says so"}
}

var errTest = errors.New("an error without a label")
