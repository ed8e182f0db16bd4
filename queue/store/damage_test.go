package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// goodFile makes a small store that has everything: tables of several levels,
// tables that fit into the list of tables, values longer than a page, free
// pages. It returns its bytes up to the last page in use, its rows, and every
// state that it went through.
func goodFile(t *testing.T) (raw []byte, rows []string, past map[string]bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "good.db")
	tab := newThings()
	small := NewTable("small", (*thing).pk)
	db, err := Open(Options{Path: path, NoSync: true}, tab, small)
	must(t, err)
	var vs []thing
	for n := range uint64(400) {
		v := thing{ID: n + 1, Pool: "sms", Due: time.Unix(int64(n), 0), Text: fmt.Sprint("text ", n)}
		if n%100 == 0 {
			v.Text = strings.Repeat("long ", 3000)
		}
		vs = append(vs, v)
	}
	tab.put(t, db, vs...)
	must(t, db.Commit(t.Context(), func(tx *Tx) error { return small.Put(tx, &thing{ID: 1}) }))
	past = make(map[string]bool)
	for n := range uint64(50) {
		must(t, db.Commit(t.Context(), func(tx *Tx) error { return tab.Delete(tx, U64(n*4+2)) }))
		rows = texts(t, db, tab)
		past[strings.Join(rows, "|")] = true
	}
	size := db.Stats().Size
	must(t, db.Check())
	must(t, db.Close())
	raw, err = os.ReadFile(path)
	must(t, err)
	return raw[:size], rows, past
}

// try opens a file, reads it all, writes to it and closes it, and returns the
// first error. rows is what it has if there was none.
func try(t *testing.T, path string) (rows []string, doubt string, err error) {
	t.Helper()
	tab := newThings()
	small := NewTable("small", (*thing).pk)
	db, err := Open(Options{Path: path, NoSync: true}, tab, small)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Check(); err != nil {
		return nil, db.Doubt(), err
	}
	rows = texts(t, db, tab)
	err = db.Commit(t.Context(), func(tx *Tx) error { return tab.Put(tx, &thing{ID: 1e6}) })
	return rows, db.Doubt(), err
}

// wantDamage fails unless err is a sentence that names the file and the remedy.
func wantDamage(t *testing.T, path string, err error) {
	t.Helper()
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("told %v", err)
		return
	}
	for _, want := range []string{path, "tillpost restore"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestDamagedFileIsASentence(t *testing.T) {
	good, rows, _ := goodFile(t)
	zero := make([]byte, pageSize)
	for _, c := range []struct {
		name  string
		spoil func(raw []byte) []byte
		doubt bool // opens, but says that something may be lost
	}{
		{"empty", func([]byte) []byte { return nil }, false},
		{"one byte", func(raw []byte) []byte { return raw[:1] }, false},
		{"half a header", func(raw []byte) []byte { return raw[:40] }, false},
		{"one header", func(raw []byte) []byte { return raw[:pageSize] }, false},
		{"two headers", func(raw []byte) []byte { return raw[:2*pageSize] }, false},
		{"half of it", func(raw []byte) []byte { return raw[:len(raw)/2] }, false},
		{"a byte short", func(raw []byte) []byte { return raw[:len(raw)-1] }, false},
		{"a page short", func(raw []byte) []byte { return raw[:len(raw)-pageSize] }, false},
		{"no store at all", func(raw []byte) []byte { return bytes.Repeat([]byte("I am a letter. "), 4000) }, false},
		{"first header zeroed", func(raw []byte) []byte { copy(raw, zero); return raw }, true},
		{"second header zeroed", func(raw []byte) []byte { copy(raw[pageSize:], zero); return raw }, true},
		{"second header torn", func(raw []byte) []byte { raw[pageSize+64]++; return raw }, true},
		{"both headers zeroed", func(raw []byte) []byte { copy(raw, zero); copy(raw[pageSize:], zero); return raw }, false},
		{"all but the headers zeroed", func(raw []byte) []byte { clear(raw[2*pageSize:]); return raw }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.db")
			bad := c.spoil(bytes.Clone(good))
			must(t, os.WriteFile(path, bad, 0o600))
			got, doubt, err := try(t, path)
			if c.doubt {
				// The last commit may be gone, but nothing else.
				if err != nil || !strings.Contains(doubt, path) || len(got) < len(rows)-1 || len(got) > len(rows)+1 {
					t.Errorf("opened with %d of %d rows, doubt %q, error %v", len(got), len(rows), doubt, err)
				}
				return
			}
			wantDamage(t, path, err)
			wantDamage(t, path, Verify(path))
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, bad) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

// TestEveryOverwrittenPage ruins one page after the other, as a dying card
// does. Either that is said, or the page was free and nothing is missing. What
// cannot be noticed is the root page as it was before the last commits: with
// it the whole store is as it was then.
func TestEveryOverwrittenPage(t *testing.T) {
	good, _, past := goodFile(t)
	path := filepath.Join(t.TempDir(), "bad.db")
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, pageSize)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	said := 0
	for page := 2; page < len(good)/pageSize; page++ {
		neighbour := good[pageSize*(2+(page+5)%(len(good)/pageSize-2)):][:pageSize]
		for name, with := range map[string][]byte{
			"zeros":             make([]byte, pageSize),
			"ones":              bytes.Repeat([]byte{0xFF}, pageSize),
			"noise":             noise,
			"its old self":      append(bytes.Clone(good[page*pageSize:][:8]), noise[8:]...),
			"another page":      neighbour,
			"another's content": append(bytes.Clone(good[page*pageSize:][:8]), neighbour[8:]...),
		} {
			bad := bytes.Clone(good)
			copy(bad[page*pageSize:], with)
			must(t, os.WriteFile(path, bad, 0o600))
			got, _, err := try(t, path)
			switch {
			case err != nil:
				said++
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("page %d overwritten with %s: %v", page, name, err)
				}
			case !past[strings.Join(got, "|")]:
				t.Errorf("page %d overwritten with %s: %d rows that never were, and nothing is said", page, name, len(got))
			}
		}
	}
	if said < 100 {
		t.Errorf("only %d damages were found in %d pages", said, len(good)/pageSize)
	}
}

// TestEveryFlippedBit flips bits all over the file.
func TestEveryFlippedBit(t *testing.T) {
	good, rows, _ := goodFile(t)
	path := filepath.Join(t.TempDir(), "bad.db")
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		at, bit := random.IntN(len(good)-2*pageSize)+2*pageSize, random.IntN(8)
		bad := bytes.Clone(good)
		bad[at] ^= 1 << bit
		must(t, os.WriteFile(path, bad, 0o600))
		got, _, err := try(t, path)
		if err == nil && strings.Join(got, "|") != strings.Join(rows, "|") {
			t.Errorf("bit %d of byte %d flipped: %d rows instead of %d, and nothing is said", bit, at, len(got), len(rows))
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("bit %d of byte %d flipped: %v", bit, at, err)
		}
	}
}

// TestFileCutOffUnderneath has the open file lose its end. Reading beyond it
// is a fault of the machine, which must not end the program.
func TestFileCutOffUnderneath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, tab := openThings(t, Options{Path: path, NoSync: true})
	var vs []thing
	for n := range uint64(2000) {
		vs = append(vs, thing{ID: n + 1, Pool: "sms", Due: time.Unix(int64(n), 0)})
	}
	tab.put(t, db, vs...)
	must(t, os.Truncate(path, 2*pageSize))
	wantDamage(t, path, db.View(func(tx *Tx) error {
		for _, err := range tab.Scan(tx, nil) {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	wantDamage(t, path, db.Commit(t.Context(), func(tx *Tx) error { return tab.Put(tx, &vs[0]) }))
	wantDamage(t, path, db.Check())
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestInspectionAgreesWithBbolt: what bbolt itself calls sound must not be
// refused. Every other test that closes a store asks both.
func TestInspectionAgreesWithBbolt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plain.db")
	b, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	random := rand.New(rand.NewPCG(5, 6))
	for round := range 60 {
		must(t, b.Update(func(tx *bolt.Tx) error {
			top, err := tx.CreateBucketIfNotExists(fmt.Append(nil, "top", round%7))
			must(t, err)
			inner, err := top.CreateBucketIfNotExists([]byte("inner"))
			must(t, err)
			for range random.IntN(200) {
				key := U64(random.Uint64N(500))
				switch random.IntN(3) {
				case 0:
					must(t, inner.Delete(key))
				case 1:
					must(t, inner.Put(key, make([]byte, random.IntN(9000))))
				case 2:
					must(t, top.Put(key, make([]byte, random.IntN(60))))
				}
			}
			return nil
		}))
		must(t, Verify(path))
	}
	must(t, b.Close())
}
