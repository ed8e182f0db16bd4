package outreach

import (
	"errors"
	"path/filepath"
	"testing"

	"tillpost/queue"
	"tillpost/queue/store"
)

// A contact who was erased since the backup was made is forgotten again, though
// no message of him is kept.
func TestErasuresOfContactsOutliveARestore(t *testing.T) {
	schema := append(queue.Schema(), Schema()...)
	open := func(path string) (*store.DB, *queue.Queue) {
		t.Helper()
		db, err := store.Open(store.Options{Path: path, MinFree: -1, NoSync: true}, schema...)
		if err != nil {
			t.Fatal(err)
		}
		q, err := queue.New(queue.Config{DB: db, Country: "NL", Steward: Steward()})
		if err != nil {
			t.Fatal(err)
		}
		return db, q
	}
	dir := t.TempDir()
	db, q := open(filepath.Join(dir, "box.db"))
	put := func(c *Contact) {
		t.Helper()
		if err := db.Commit(t.Context(), func(tx *store.Tx) error { return contacts.Put(tx, c) }); err != nil {
			t.Fatal(err)
		}
	}
	put(&Contact{ID: "1", Name: "Zoetemelk", Number: "+31612345678"})
	put(&Contact{ID: "2", Name: "Jansen", Number: "+31687654321"})
	copied := filepath.Join(dir, "copy.db")
	if err := db.BackupFile(copied); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Erase(t.Context(), "+31612345678", "test"); err != nil {
		t.Fatal(err)
	}
	back, q2 := open(copied)
	if n, err := queue.CopyErasures(t.Context(), db, back); n != 1 || err != nil {
		t.Fatalf("%d orders, %v", n, err)
	}
	if err := q2.ForgetAgain(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := back.View(func(tx *store.Tx) error {
		for id, want := range map[string]bool{"1": false, "2": true} {
			list, err := withNumber(tx, map[string]string{"1": "+31612345678", "2": "+31687654321"}[id])
			if err != nil {
				return err
			}
			if (len(list) > 0) != want {
				t.Errorf("contact %s is kept: %t", id, !want)
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close(), back.Close()); err != nil {
		t.Error(err)
	}
}
