package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A release that changes the layout runs this once, with the program as it was
// before, and commits what it wrote:
//
//	go test ./queue/store -run TestOldFilesOpen -write-fixture
var writeFixture = flag.Bool("write-fixture", false, "write testdata/layout-N.db, N being the layout of this program")

func fixture(layout int) string {
	return filepath.Join("testdata", fmt.Sprintf("layout-%d.db", layout))
}

// fixtureRows are in every fixture.
var fixtureRows = []thing{
	{ID: 1, Pool: "sms", Due: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Text: "Your table is ready"},
	{ID: 2, Pool: "sms", Words: []string{"stop", "halt"}, Text: "é € 😀 <b>"},
	{ID: 7, Pool: "mail", Text: "the last"},
}

// TestOldFilesOpen opens a file of every layout there ever was, each written
// by the program of its day.
func TestOldFilesOpen(t *testing.T) {
	if *writeFixture {
		writeCurrentFixture(t)
	}
	for layout := 1; layout <= len(migrations); layout++ {
		t.Run(fmt.Sprint("layout ", layout), func(t *testing.T) {
			path := copyFixture(t, layout)
			db, tab := openThings(t, Options{Path: path})
			if db.meta.Version != len(migrations) || len(db.Box()) != 26 || db.Created().Year() < 2026 {
				t.Errorf("its meta row is %+v", db.meta)
			}
			must(t, db.Check())
			var got []thing
			must(t, db.View(func(tx *Tx) error {
				for v, err := range tab.Scan(tx, nil) {
					must(t, err)
					got = append(got, *v)
				}
				return nil
			}))
			if !slices.EqualFunc(got, fixtureRows, equal) {
				t.Errorf("its rows are %+v", got)
			}
		})
	}
}

func writeCurrentFixture(t *testing.T) {
	tab := newThings()
	path := filepath.Join(t.TempDir(), "new.db")
	db, err := Open(Options{Path: path}, tab)
	must(t, err)
	tab.put(t, db, fixtureRows...)
	must(t, db.Close())
	src, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	must(t, err)
	to := fixture(len(migrations))
	must(t, os.RemoveAll(to))
	dst, err := bolt.Open(to, 0o644, &bolt.Options{PageSize: pageSize, NoFreelistSync: true}) // small: no map ahead
	must(t, err)
	must(t, bolt.Compact(dst, src, 0))
	must(t, errors.Join(dst.Close(), src.Close()))
}

func copyFixture(t *testing.T, layout int) string {
	t.Helper()
	raw, err := os.ReadFile(fixture(layout))
	must(t, err)
	path := filepath.Join(t.TempDir(), "old.db")
	must(t, os.WriteFile(path, raw, 0o600))
	return path
}

// shout is a step of a release to come: it works on bytes, and makes every
// text of the table upper case.
var shout = step{"write texts in capitals", func(tx *bolt.Tx, _ *meta) error {
	b := tx.Bucket([]byte("thing"))
	return b.ForEach(func(k, raw []byte) error {
		var row map[string]any
		if err := decode(raw, &row); err != nil {
			return err
		}
		row["text"] = strings.ToUpper(row["text"].(string))
		raw, err := encode(row)
		return errors.Join(err, b.Put(k, raw))
	})
}}

func TestOldFileIsCopiedAsideAndBroughtUpToDate(t *testing.T) {
	path := copyFixture(t, len(migrations))
	before, err := os.ReadFile(path)
	must(t, err)
	var log bytes.Buffer
	tab := newThings()
	steps := append(slices.Clone(migrations), shout)
	db, err := open(Options{Path: path, Log: slog.New(slog.NewJSONHandler(&log, nil))}, steps, []Schema{tab})
	must(t, err)
	if got := texts(t, db, tab); got[0] != "YOUR TABLE IS READY" || db.meta.Version != len(steps) {
		t.Errorf("texts are %q, layout %d", got, db.meta.Version)
	}
	box := db.Box()
	closeChecked(t, db)

	var line struct{ Copy string }
	if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Copy != fmt.Sprint(path, ".v", len(migrations)) {
		t.Errorf("the log says %s", log.Bytes())
	}
	// The old program opens the copy, with everything in it.
	old := newThings()
	db, err = Open(Options{Path: line.Copy}, old)
	must(t, err)
	if got := texts(t, db, old); got[0] != fixtureRows[0].Text || db.Box() != box {
		t.Errorf("the copy has %q of box %s", got, db.Box())
	}
	must(t, db.Close())

	// The old program does not open the new file, and leaves it alone.
	now, err := os.ReadFile(path)
	must(t, err)
	_, err = Open(Options{Path: path}, newThings())
	if !errors.Is(err, ErrFuture) {
		t.Fatalf("told %v", err)
	}
	for _, want := range []string{path, fmt.Sprint("layout ", len(migrations)+1), fmt.Sprint("knows ", len(migrations)), "install the newer version"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(now, after) || bytes.Equal(before, after) {
		t.Error("a refused file was changed, or the update changed nothing")
	}
}

func TestFailedStepIsTakenAgain(t *testing.T) {
	path := copyFixture(t, len(migrations))
	boom := errors.New("boom")
	half := step{"half a step", func(tx *bolt.Tx, m *meta) error {
		m.Box = "never"
		return errors.Join(tx.DeleteBucket([]byte("thing")), boom)
	}}
	_, err := open(Options{Path: path}, append(slices.Clone(migrations), shout, half), []Schema{newThings()})
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), fmt.Sprintf("layout %d (half a step)", len(migrations)+2)) || !strings.Contains(err.Error(), path) {
		t.Errorf("told %v", err)
	}
	tab := newThings()
	db, err := open(Options{Path: path}, append(slices.Clone(migrations), shout), []Schema{tab})
	must(t, err)
	if got := texts(t, db, tab); len(got) != 3 || got[0] != "YOUR TABLE IS READY" || db.Box() == "never" {
		t.Errorf("rows %q, box %s", got, db.Box())
	}
	closeChecked(t, db)
}

func TestNoUpdateWithoutCopy(t *testing.T) {
	path := copyFixture(t, len(migrations))
	aside := fmt.Sprint(path, ".v", len(migrations))
	must(t, os.Mkdir(aside, 0o700)) // in the way of the copy
	must(t, os.WriteFile(filepath.Join(aside, "x"), nil, 0o600))
	_, err := open(Options{Path: path}, append(slices.Clone(migrations), shout), []Schema{newThings()})
	if err == nil || !strings.Contains(err.Error(), "no copy could be put aside") {
		t.Errorf("told %v", err)
	}
	db, _ := openThings(t, Options{Path: path})
	if db.meta.Version != len(migrations) {
		t.Errorf("the layout is %d", db.meta.Version)
	}
}
