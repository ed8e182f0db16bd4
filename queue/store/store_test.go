package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// thing is the row of the tests: a small message.
type thing struct {
	ID    uint64    `json:"id"`
	Pool  string    `json:"pool"`
	Due   time.Time `json:"due,omitzero"` // zero: waits for nothing
	Words []string  `json:"words,omitempty"`
	Text  string    `json:"text,omitempty"`
}

func (v *thing) pk() []byte { return U64(v.ID) }

// things is a table with an index that has one entry or none for a row, and
// one that has many.
type things struct {
	*Table[thing]
	due  *Index[thing]
	word *Index[thing]
}

func newThings() things {
	due := NewIndex("thing.due", func(v *thing) [][]byte {
		if v.Due.IsZero() {
			return nil
		}
		return [][]byte{Join(Str(v.Pool), Time(v.Due), v.pk())}
	})
	word := NewIndex("thing.word", func(v *thing) (keys [][]byte) {
		for _, w := range v.Words {
			keys = append(keys, Join(Str(w), v.pk()))
		}
		return keys
	})
	return things{NewTable("thing", (*thing).pk, due, word), due, word}
}

// openThings opens a store in a new folder; when the test ends it is checked
// and closed.
func openThings(t testing.TB, opt Options) (*DB, things) {
	t.Helper()
	tab := newThings()
	if opt.Path == "" {
		opt.Path = filepath.Join(t.TempDir(), "test.db")
	}
	return openChecked(t, opt, tab), tab
}

func openChecked(t testing.TB, opt Options, schema ...Schema) *DB {
	t.Helper()
	db, err := Open(opt, schema...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeChecked(t, db) })
	return db
}

// closeChecked also asks bbolt, which knows its free list: with nobody writing
// it can be asked.
func closeChecked(t testing.TB, db *DB) {
	t.Helper()
	err := db.Check()
	if errors.Is(err, ErrClosed) {
		return // the test closed it
	}
	if err != nil {
		t.Errorf("check at the end: %v", err)
	}
	err = db.bolt.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("bbolt's check at the end: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (tab things) put(t testing.TB, db *DB, vs ...thing) {
	t.Helper()
	must(t, db.Commit(context.Background(), func(tx *Tx) error {
		for i := range vs {
			if err := tab.Put(tx, &vs[i]); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestRowsSurviveClosing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	due := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	db, tab := openThings(t, Options{Path: path})
	box, created := db.Box(), db.Created()
	tab.put(t, db, thing{ID: 1, Pool: "sms", Due: due, Text: "<b>&"}, thing{ID: 2, Pool: "sms", Words: []string{"a", "b"}})
	must(t, db.Close())

	db, tab = openThings(t, Options{Path: path})
	if db.Box() != box || len(box) != 26 || !db.Created().Equal(created) || created.IsZero() {
		t.Errorf("box %q of %v is now %q of %v", box, created, db.Box(), db.Created())
	}
	must(t, db.View(func(tx *Tx) error {
		v, err := tab.Get(tx, U64(1))
		must(t, err)
		if v == nil || v.Text != "<b>&" || !v.Due.Equal(due) {
			t.Errorf("row 1 is %+v", v)
		}
		if v, err := tab.Get(tx, U64(3)); v != nil || err != nil {
			t.Errorf("row 3 that was never written is %+v, %v", v, err)
		}
		var found []string
		for k, pk := range tab.word.Keys(tx, nil) {
			found = append(found, fmt.Sprint(ReadKey(k).Str(), ReadKey(pk).U64()))
		}
		if fmt.Sprint(found) != "[a2 b2]" {
			t.Errorf("words are %v", found)
		}
		return nil
	}))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, want 0600", info.Mode())
	}
}
