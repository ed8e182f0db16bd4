package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// rotten opens a store of three things, the second of which cannot be read.
func rotten(t *testing.T, path string, expendable bool) (*DB, things) {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "test.db")
	}
	tab := newThings()
	if expendable {
		tab.Expendable()
	}
	db := openChecked(t, Options{Path: path, NoSync: true}, tab)
	due := time.Unix(1000, 0).UTC()
	tab.put(t, db, thing{ID: 1, Due: due, Words: []string{"a"}}, thing{ID: 2, Due: due, Words: []string{"b", "c"}}, thing{ID: 3})
	must(t, db.bolt.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("thing")).Put(U64(2), []byte("rot12345")) }))
	return db, tab
}

func TestARottenRowIsSetAside(t *testing.T) {
	for name, meet := range map[string]func(t *testing.T, db *DB, tab things) error{
		"met by a reader": func(t *testing.T, db *DB, tab things) error {
			return db.View(func(tx *Tx) error {
				n := 0
				for _, err := range tab.Scan(tx, nil) {
					must(t, err)
					n++
				}
				if v, err := tab.Get(tx, U64(2)); n != 2 || v != nil || err != nil {
					t.Errorf("%d rows, the rotten one is %v, %v", n, v, err)
				}
				return nil
			})
		},
		"met by a writer": func(t *testing.T, db *DB, tab things) error {
			return db.Commit(t.Context(), func(tx *Tx) error {
				return errors.Join(tab.Put(tx, &thing{ID: 4}), tab.Put(tx, &thing{ID: 2, Text: "anew"}))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			db, tab := rotten(t, path, true)
			told := 0
			db.OnAside(func(_ *Tx, a *Aside, entries [][][]byte) error {
				if a.Table == "thing" && len(entries) == len(tab.indexes) {
					told++
				}
				return nil
			})
			must(t, meet(t, db, tab))
			must(t, meet(t, db, tab))
			must(t, db.Check()) // its index entries are gone
			list, err := db.Asides()
			if err != nil || len(list) != 1 || string(list[0].Raw) != "rot12345" || list[0].Why == "" || told != 1 {
				t.Errorf("set aside: %+v, told %d times, %v", list, told, err)
			}
			since := db.LastAside()
			must(t, db.Close())
			db = openChecked(t, Options{Path: path, NoSync: true}, tab)
			if since.IsZero() || !db.LastAside().Equal(since) {
				t.Errorf("set aside at %v, after the next start %v", since, db.LastAside())
			}
			must(t, db.WipeAsides(t.Context(), since.Add(time.Second)))
			if list, err := db.Asides(); err != nil || len(list) != 1 || list[0].Raw != nil {
				t.Errorf("wiped: %+v, %v", list, err)
			}
		})
	}
}

// Check looks and changes nothing; a table that the house cannot do without
// stays as it is.
func TestARottenRowStays(t *testing.T) {
	db, tab := rotten(t, "", true)
	if err := db.Check(); !errors.Is(err, ErrDamaged) {
		t.Errorf("check says %v", err)
	}
	if list, err := db.Asides(); err != nil || len(list) != 0 {
		t.Errorf("check has set aside %+v, %v", list, err)
	}
	must(t, db.View(func(tx *Tx) error { _, err := tab.Get(tx, U64(2)); return err }))

	db, tab = rotten(t, "", false)
	read := func(tx *Tx) error { _, err := tab.Get(tx, U64(2)); return err }
	for _, err := range []error{db.View(read), db.Commit(t.Context(), read)} {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("told %v", err)
		}
	}
	must(t, db.Close())
}

// A backup is of rows, not of pages: what cannot be read is set aside, or the
// backup says what is wrong and the file that was there stays.
func TestABackupOfARottenStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saturday.db")
	db, tab := rotten(t, "", true)
	must(t, db.BackupFile(file))
	if db.LastAside().IsZero() {
		t.Error("nothing was set aside")
	}
	copied, err := Open(Options{Path: file, NoSync: true}, tab)
	must(t, err)
	must(t, errors.Join(copied.Check(), copied.Close()))
	before, err := os.ReadFile(file)
	must(t, err)

	bad, _ := rotten(t, "", false)
	if err := bad.BackupFile(file); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "row 0000000000000002") || !strings.Contains(err.Error(), bad.Path()+" is damaged") {
		t.Errorf("told %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file that was there is another now, %v", err)
	}
	must(t, bad.Close())
}

// A table whose name has rotted is not begun anew, empty.
func TestARottenNameIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	tab, small := newThings(), NewTable("small", (*thing).pk)
	db, err := Open(Options{Path: path, NoSync: true}, tab, small)
	must(t, err)
	must(t, db.Commit(t.Context(), func(tx *Tx) error { return small.Put(tx, &thing{ID: 1}) }))
	must(t, db.Close())
	raw, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, bytes.ReplaceAll(raw, []byte("small"), []byte("smalm")), 0o600))
	_, err = Open(Options{Path: path, NoSync: true}, tab, small)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), `"smalm"`) {
		t.Errorf("told %v", err)
	}
}
