package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestSecondProgramIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, tab := openThings(t, Options{Path: path})
	tab.put(t, db, thing{ID: 1})
	begun := time.Now()
	_, err := Open(Options{Path: path, Timeout: 200 * time.Millisecond}, newThings())
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "daemon") {
		t.Errorf("told %v", err)
	}
	if waited := time.Since(begun); waited < 200*time.Millisecond || waited > 5*time.Second {
		t.Errorf("it waited %v, of 200ms", waited)
	}
	must(t, db.Close())
	db, err = Open(Options{Path: path}, newThings())
	must(t, err)
	must(t, db.Close())
}

func TestOneOfManyMakesTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var winners []*DB
	for range 8 {
		wg.Go(func() {
			db, err := Open(Options{Path: path, Timeout: 300 * time.Millisecond}, newThings())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				winners = append(winners, db)
			case !errors.Is(err, ErrInUse):
				t.Errorf("told %v", err)
			}
		})
	}
	wg.Wait()
	if len(winners) != 1 {
		t.Fatalf("%d programs have the store", len(winners))
	}
	closeChecked(t, winners[0])
	if !exists(t, path) || exists(t, path+newSuffix) {
		t.Error("the file does not have its name alone")
	}
}

func TestInterruptedBeginningIsForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	must(t, os.WriteFile(path+newSuffix, []byte("half a store"), 0o600))
	db, tab := openThings(t, Options{Path: path})
	tab.put(t, db, thing{ID: 1})
	if exists(t, path+newSuffix) {
		t.Error("the half store is still there")
	}
}

// TestFileExchangedWhileWaiting: whoever waits for the lock gets the file that
// has the name then, not the one that lost it.
func TestFileExchangedWhileWaiting(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "test.db"), filepath.Join(dir, "other.db")
	db, tab := openThings(t, Options{Path: other})
	tab.put(t, db, thing{ID: 1, Text: "new"})
	must(t, db.Close())
	old, tab := openThings(t, Options{Path: path})
	tab.put(t, old, thing{ID: 1, Text: "old"})

	opened := make(chan *DB)
	tab2 := newThings()
	go func() {
		db, err := Open(Options{Path: path, Timeout: 10 * time.Second}, tab2)
		if err != nil {
			t.Error(err)
		}
		opened <- db
	}()
	waiting := func() bool { // the other has the file open
		n := 0
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		for _, fd := range fds {
			if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && to == path {
				n++
			}
		}
		return n == 2
	}
	for !waiting() {
		time.Sleep(time.Millisecond)
	}
	must(t, os.Rename(other, path))
	must(t, old.Close())
	db = <-opened
	if db == nil {
		return
	}
	t.Cleanup(func() { closeChecked(t, db) })
	if got := texts(t, db, tab2); len(got) != 1 || got[0] != "new" {
		t.Errorf("opened was the file with %v", got)
	}
}

func TestWideOpenFileIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, _ := openThings(t, Options{Path: path})
	must(t, db.Close())
	must(t, os.Chmod(path, 0o666))
	openThings(t, Options{Path: path})
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v", info.Mode())
	}
}

func TestOpenWhereNothingCanBe(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"a folder that is not there": filepath.Join(dir, "no", "test.db"),
		"a folder":                   dir,
	} {
		db, err := Open(Options{Path: path})
		if err == nil {
			t.Errorf("%s was opened", name)
			must(t, db.Close())
			continue
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q does not name it", name, err)
		}
	}
	if err := Verify(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("verify of nothing: %v", err)
	}
}

// TestOpenWritesNothing: a box that restarts does not wear its card.
func TestOpenWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, tab := openThings(t, Options{Path: path})
	tab.put(t, db, thing{ID: 1})
	must(t, db.Close())
	before, err := os.ReadFile(path)
	must(t, err)
	db, _ = openThings(t, Options{Path: path})
	must(t, db.Close())
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("opening and closing changed the file")
	}
}

// TestCompactAtOpen empties a store and opens it again.
func TestCompactAtOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	opt := Options{Path: path, NoSync: true}
	db, tab := openThings(t, opt)
	for n := range 30 {
		must(t, db.Commit(t.Context(), func(tx *Tx) error {
			for i := range 100 {
				id, err := tab.NextSequence(tx)
				must(t, err)
				must(t, tab.Put(tx, &thing{ID: id, Pool: "sms", Due: time.Unix(int64(n*100+i), 0), Text: strings.Repeat("x", 4000)}))
			}
			return nil
		}))
	}
	must(t, db.Commit(t.Context(), func(tx *Tx) error {
		for v, err := range tab.Scan(tx, U64(20)) {
			must(t, err)
			must(t, tab.Delete(tx, v.pk()))
		}
		return nil
	}))
	tab.put(t, db, thing{ID: 1, Text: "kept"})
	rows, before, box := texts(t, db, tab), db.Stats(), db.Box()
	must(t, db.Close())

	must(t, os.WriteFile(path+compactSuffix, []byte("left over"), 0o600))
	opt.NoSync = false
	db, tab = openThings(t, opt)
	if db.bolt.NoSync || db.bolt.NoGrowSync {
		t.Error("the smaller file is not synced")
	}
	after := db.Stats()
	if before.Size < 10<<20 || after.Size > 1<<20 {
		t.Errorf("the store went from %d to %d bytes", before.Size, after.Size)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Size() > 2<<20 || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has %d bytes and mode %v", info.Size(), info.Mode())
	}
	if got := texts(t, db, tab); strings.Join(got, "|") != strings.Join(rows, "|") || db.Box() != box {
		t.Errorf("%d rows of %d, box %s of %s", len(got), len(rows), db.Box(), box)
	}
	must(t, db.Commit(t.Context(), func(tx *Tx) error {
		id, err := tab.NextSequence(tx)
		if id != 3001 {
			t.Errorf("the sequence goes on with %d", id)
		}
		return err
	}))
	if exists(t, path+compactSuffix) {
		t.Error("the copy is still there")
	}
	if _, err := Open(Options{Path: path, Timeout: time.Millisecond}, newThings()); !errors.Is(err, ErrInUse) {
		t.Errorf("the smaller file is not locked: %v", err)
	}
	tab.put(t, db, thing{ID: 5000, Text: "last"})
	rows = texts(t, db, tab)
	must(t, db.Check())
	must(t, db.Close())
	db, tab = openThings(t, opt)
	if got := texts(t, db, tab); strings.Join(got, "|") != strings.Join(rows, "|") {
		t.Errorf("after one more opening %d rows of %d", len(got), len(rows))
	}
}

// TestDrainedBacklogCostsNothing: bbolt by default writes the list of all free
// pages with each commit, hundreds of kilobytes after a campaign.
func TestDrainedBacklogCostsNothing(t *testing.T) {
	db, tab := openThings(t, Options{NoSync: true})
	one := func() int64 {
		before := db.Stats().Written
		tab.put(t, db, thing{ID: 1e9, Pool: "sms", Due: time.Unix(1, 0), Text: "alone"})
		must(t, db.Commit(t.Context(), func(tx *Tx) error { return tab.Delete(tx, U64(1e9)) }))
		return (db.Stats().Written - before) / 2
	}
	empty := one()
	const rows, chunk = 30000, 3000
	for at := uint64(0); at < rows; at += chunk {
		must(t, db.Commit(t.Context(), func(tx *Tx) error {
			for n := range uint64(chunk) {
				must(t, tab.Put(tx, &thing{ID: at + n + 1, Pool: "sms", Due: time.Unix(int64(n), 0), Text: strings.Repeat("x", 200)}))
			}
			return nil
		}))
	}
	for at := uint64(0); at < rows; at += chunk {
		must(t, db.Commit(t.Context(), func(tx *Tx) error {
			for n := range uint64(chunk) {
				must(t, tab.Delete(tx, U64(at+n+1)))
			}
			return nil
		}))
	}
	drained := one()
	if free := db.Stats().Free; free < 8<<20 {
		t.Fatalf("only %d bytes are free, too little to prove anything", free)
	}
	if drained > empty+4*pageSize {
		t.Errorf("a commit writes %d bytes after a drained backlog, %d before", drained, empty)
	}
}

func TestBackup(t *testing.T) {
	dir := t.TempDir()
	db, tab := openThings(t, Options{NoSync: true})
	pair := func(n int) error { // both rows say the same at any time
		return db.Commit(context.Background(), func(tx *Tx) error {
			text := fmt.Sprint("text ", n)
			return errors.Join(
				tab.Put(tx, &thing{ID: 1, Text: text}),
				tab.Put(tx, &thing{ID: 2, Text: text}),
				tab.Put(tx, &thing{ID: uint64(n) + 3, Text: strings.Repeat("x", 500)}),
			)
		})
	}
	must(t, pair(0))
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				if err := pair(n); err != nil {
					t.Error(err)
				}
			}
		}
	})
	path := filepath.Join(dir, "backup.db")
	for range 5 {
		must(t, db.BackupFile(path)) // the second replaces the first
		tab := newThings()
		copied := openChecked(t, Options{Path: path}, tab)
		must(t, copied.Check())
		if got := texts(t, copied, tab); len(got) < 3 || got[0] != got[1] {
			t.Errorf("the copy has %d rows, the first two say %q and %q", len(got), got[0], got[1])
		}
		if copied.Box() != db.Box() {
			t.Errorf("the copy is of box %s", copied.Box())
		}
		must(t, copied.Close())
	}
	close(stop)
	writer.Wait()
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the copy is %v", info.Mode())
	}

	if err := db.BackupFile(filepath.Join(dir, "no", "backup.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("backup to nowhere: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.part")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if err := db.BackupFile(db.opt.Path); err == nil || !strings.Contains(err.Error(), "the store itself") {
		t.Errorf("backup onto the store itself: %v", err)
	}
	must(t, db.Check())
	must(t, db.Close())
	if err := db.BackupFile(path); !errors.Is(err, ErrClosed) {
		t.Errorf("backup of a closed store: %v", err)
	}
}

// What was deleted is in no copy, though the store's free pages still have it.
func TestBackupHasNothingOfWhatWasDeleted(t *testing.T) {
	db, tab := openThings(t, Options{NoSync: true})
	const name = "Mevrouw De Vries"
	for n := range uint64(200) {
		tab.put(t, db, thing{ID: n, Text: name + strings.Repeat("x", 400)})
	}
	must(t, db.Commit(t.Context(), func(tx *Tx) error {
		for n := range uint64(200) {
			if err := tab.Delete(tx, U64(n)); err != nil {
				return err
			}
		}
		return nil
	}))
	tab.put(t, db, thing{ID: 1000, Text: "stays"})
	path := filepath.Join(t.TempDir(), "backup.db")
	must(t, db.BackupFile(path))
	for file, want := range map[string]bool{db.opt.Path: true, path: false} {
		raw, err := os.ReadFile(file)
		must(t, err)
		if bytes.Contains(raw, []byte(name)) != want {
			t.Errorf("%s: the name is in it: %v", filepath.Base(file), !want)
		}
	}
	copied := newThings()
	if got := texts(t, openChecked(t, Options{Path: path}, copied), copied); len(got) != 1 || got[0] != "stays" {
		t.Errorf("the copy says %q", got)
	}
}

func TestStatsOfClosedStore(t *testing.T) {
	db, _ := openThings(t, Options{})
	must(t, db.Close())
	if s := db.Stats(); s.Size != 0 || s.Free != 0 {
		t.Errorf("a closed store has %+v", s)
	}
	if err := db.View(func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("view of a closed store: %v", err)
	}
}

// TestNewIndexIsFilled opens old rows with a new index, and again after the
// filling was interrupted in the middle.
func TestNewIndexIsFilled(t *testing.T) {
	const rows = fillChunk*2 + 7
	path := filepath.Join(t.TempDir(), "test.db")
	opt := Options{Path: path, NoSync: true}
	bare := NewTable("thing", (*thing).pk)
	db := openChecked(t, opt, bare)
	must(t, db.Commit(t.Context(), func(tx *Tx) error {
		for n := range uint64(rows) {
			must(t, bare.Put(tx, &thing{ID: n + 1, Words: []string{"w"}}))
		}
		return nil
	}))
	must(t, db.Close())

	// The first chunk, and then the power failed.
	half := newThings()
	db = openChecked(t, opt, bare)
	must(t, db.bolt.Update(func(b *bolt.Tx) error {
		must(t, half.create(b))
		for _, ix := range []*Index[thing]{half.due, half.word} {
			more, err := half.fillSome(&Tx{db: db, bolt: b}, ix)
			if !more || err != nil {
				t.Fatalf("after the first chunk: %v, %v", more, err)
			}
		}
		return nil
	}))
	must(t, db.Close())

	db, tab := openThings(t, opt)
	must(t, db.View(func(tx *Tx) error {
		if n := tab.word.count(tx); n != rows {
			t.Errorf("the index has %d entries of %d", n, rows)
		}
		if tab.missing(tx.bolt) {
			t.Error("something is still to be filled")
		}
		return nil
	}))
}

// TestFreeListIsSavedAtClose: half the time of opening a large store goes into
// finding the free pages, unless Close wrote them down.
func TestFreeListIsSavedAtClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	opt := Options{Path: path, NoSync: true}
	db, tab := openThings(t, opt)
	for n := range uint64(25) {
		must(t, db.Commit(t.Context(), func(tx *Tx) error {
			for i := range uint64(100) {
				must(t, tab.Put(tx, &thing{ID: n*1000 + i + 1, Text: strings.Repeat("x", 8000)}))
			}
			return nil
		}))
	}
	must(t, db.Commit(t.Context(), func(tx *Tx) error { // some free pages, too few to compact
		for n := range uint64(3) {
			for i := range uint64(100) {
				must(t, tab.Delete(tx, U64(n*1000+i+1)))
			}
		}
		return nil
	}))
	saved := func() (h header) {
		f, err := os.Open(path)
		must(t, err)
		h, bad, err := headers(f)
		if bad > 0 || err != nil {
			t.Fatalf("%d bad headers, %v", bad, err)
		}
		must(t, f.Close())
		return h
	}
	free := db.Stats().Free
	must(t, db.Close())
	h := saved()
	if h.free == noFreeList {
		t.Fatal("the list was not saved")
	}
	db, tab = openThings(t, opt)
	if now := db.Stats().Free; now < free/2 || free < 1<<20 {
		t.Errorf("%d bytes were free, %d are", free, now)
	}
	tab.put(t, db, thing{ID: 1e9})
	must(t, db.Check())
	if saved().free != noFreeList {
		t.Error("a later commit saved the list again")
	}
	must(t, db.Close())

	// A list that calls a page free which is in use would have it overwritten.
	h = saved()
	raw, err := os.ReadFile(path)
	must(t, err)
	page := raw[h.free*pageSize:]
	order.PutUint64(page[pageHeader:], h.root)
	must(t, os.WriteFile(path, raw, 0o600))
	_, err = Open(opt, newThings())
	wantDamage(t, path, err)
	if err == nil || !strings.Contains(err.Error(), "said to be free") {
		t.Errorf("told %v", err)
	}
}
