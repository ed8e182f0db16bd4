package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// herd holds the committer inside one commit while others queue up behind it,
// so that they form one group in a known order.
type herd struct {
	t    *testing.T
	db   *DB
	gate chan struct{}
	wg   sync.WaitGroup
}

func newHerd(t *testing.T, db *DB) *herd {
	h := &herd{t: t, db: db, gate: make(chan struct{})}
	begun := make(chan struct{})
	h.wg.Go(func() {
		err := db.Commit(context.Background(), func(*Tx) error {
			close(begun)
			<-h.gate
			return nil
		})
		if err != nil {
			t.Errorf("the commit that holds the gate: %v", err)
		}
	})
	<-begun
	return h
}

// outcome is what a commit of the herd was told, once done is closed.
type outcome struct {
	err  error
	done chan struct{}
}

// add queues one more commit.
func (h *herd) add(ctx context.Context, fn func(*Tx) error) *outcome {
	h.t.Helper()
	before := h.db.Stats().Waiting
	o := &outcome{done: make(chan struct{})}
	h.wg.Go(func() {
		defer close(o.done)
		o.err = h.db.Commit(ctx, fn)
	})
	for h.db.Stats().Waiting == before {
		runtime.Gosched()
	}
	return o
}

func (h *herd) run() {
	close(h.gate)
	h.wg.Wait()
}

func texts(t testing.TB, db *DB, tab things) (all []string) {
	t.Helper()
	must(t, db.View(func(tx *Tx) error {
		for v, err := range tab.Scan(tx, nil) {
			must(t, err)
			all = append(all, v.Text)
		}
		return nil
	}))
	return all
}

func TestCommitsShareOneWrite(t *testing.T) {
	db, tab := openThings(t, Options{})
	h := newHerd(t, db)
	before := db.Stats()
	var order []uint64
	for n := range uint64(50) {
		h.add(t.Context(), func(tx *Tx) error {
			id, err := tab.NextSequence(tx)
			if err != nil {
				return err
			}
			if id != n+1 {
				t.Errorf("call %d got sequence %d", n, id)
			}
			if n > 0 { // what came before is seen
				if v, err := tab.Get(tx, U64(id-1)); v == nil || err != nil {
					t.Errorf("call %d does not see the row of the one before: %v", n, err)
				}
			}
			tx.OnCommit(func() { order = append(order, n) })
			return tab.Insert(tx, &thing{ID: id})
		})
	}
	h.run()
	after := db.Stats()
	if n := after.Commits - before.Commits; n != 1 {
		t.Errorf("50 calls made %d commits, want 1", n)
	}
	if n := after.Calls - before.Calls; n != 51 {
		t.Errorf("%d calls counted, want 51 with the one at the gate", n)
	}
	if !slices.IsSorted(order) || len(order) != 50 {
		t.Errorf("hooks ran in order %v", order)
	}
	if after.LastCommit <= 0 || after.Written-before.Written < pageSize {
		t.Errorf("stats are %+v", after)
	}
}

func TestCommitIsOnDiskWhenHooksRun(t *testing.T) {
	db, tab := openThings(t, Options{})
	must(t, db.Commit(t.Context(), func(tx *Tx) error {
		tx.OnCommit(func() {
			if got := texts(t, db, tab); len(got) != 1 {
				t.Errorf("the hook sees %v", got)
			}
		})
		return tab.Put(tx, &thing{ID: 1})
	}))
}

func TestCommitWithoutWriteLeavesDiskAlone(t *testing.T) {
	db, tab := openThings(t, Options{})
	before := db.Stats()
	ran := false
	must(t, db.Commit(t.Context(), func(tx *Tx) error {
		tx.OnCommit(func() { ran = true })
		_, err := tab.Get(tx, U64(1))
		return err
	}))
	if err := db.Commit(t.Context(), func(tx *Tx) error {
		_, err := tab.Update(tx, U64(1), func(*thing) error { return nil })
		return err
	}); !errors.Is(err, ErrNotFound) {
		t.Errorf("update of nothing: %v", err)
	}
	if after := db.Stats(); after.Commits != before.Commits || after.Written != before.Written {
		t.Errorf("stats went from %+v to %+v", before, after)
	}
	if !ran {
		t.Error("the hook did not run")
	}
}

// TestFailureConcernsItsCallerOnly lets one of five calls of a group fail in
// every way there is.
func TestFailureConcernsItsCallerOnly(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name  string
		fail  func(tx *Tx, tab things) error
		wrote bool
		want  error
	}{
		{"error before a write", func(*Tx, things) error { return boom }, false, boom},
		{"error after a write", func(tx *Tx, tab things) error {
			return errors.Join(tab.Put(tx, &thing{ID: 99, Text: "never"}), boom)
		}, true, boom},
		{"error after a delete", func(tx *Tx, tab things) error {
			return errors.Join(tab.Delete(tx, U64(1)), boom)
		}, true, boom},
		{"error after a sequence", func(tx *Tx, tab things) error {
			_, err := tab.NextSequence(tx)
			return errors.Join(err, boom)
		}, true, boom},
		{"panic before a write", func(*Tx, things) error { panic(boom) }, true, boom},
		{"panic after a write", func(tx *Tx, tab things) error {
			must(t, tab.Put(tx, &thing{ID: 99, Text: "never"}))
			panic(boom)
		}, true, boom},
		{"a row that exists", func(tx *Tx, tab things) error { return tab.Insert(tx, &thing{ID: 1}) }, false, ErrExists},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, tab := openThings(t, Options{})
			h := newHerd(t, db)
			runs := make([]int, 5)
			undone := make([]int, 5)
			results := make([]*outcome, 5)
			for n := range 5 {
				results[n] = h.add(t.Context(), func(tx *Tx) error {
					runs[n]++
					tx.OnRollback(func() { undone[n]++ })
					if n == 2 {
						return c.fail(tx, tab)
					}
					return tab.Put(tx, &thing{ID: uint64(n + 1), Text: fmt.Sprint("row ", n)})
				})
			}
			h.run()

			for n, o := range results {
				if n == 2 && !errors.Is(o.err, c.want) {
					t.Errorf("the culprit was told %v, want %v", o.err, c.want)
				}
				if n != 2 && o.err != nil {
					t.Errorf("call %d was told %v", n, o.err)
				}
			}
			if got := strings.Join(texts(t, db, tab), ","); got != "row 0,row 1,row 3,row 4" {
				t.Errorf("the rows are %s", got)
			}
			wantRuns, wantUndone := []int{1, 1, 1, 1, 1}, []int{0, 0, 1, 0, 0}
			if c.wrote { // the two before it ran again, the two after it only once
				wantRuns, wantUndone = []int{2, 2, 1, 1, 1}, []int{1, 1, 1, 0, 0}
			}
			if !slices.Equal(runs, wantRuns) || !slices.Equal(undone, wantUndone) {
				t.Errorf("runs %v and rollbacks %v, want %v and %v", runs, undone, wantRuns, wantUndone)
			}
		})
	}
}

func TestManyFailuresRepeatEachCallOnce(t *testing.T) {
	db, tab := openThings(t, Options{NoSync: true})
	h := newHerd(t, db)
	const n = 400
	runs := 0
	for i := range uint64(n) {
		h.add(t.Context(), func(tx *Tx) error {
			runs++
			must(t, tab.Put(tx, &thing{ID: i + 1}))
			if i%2 == 1 {
				return errors.New("no")
			}
			return nil
		})
	}
	h.run()
	if runs > 2*n {
		t.Errorf("%d calls of which half fail ran %d times, want at most twice each", n, runs)
	}
	if got := len(texts(t, db, tab)); got != n/2 {
		t.Errorf("%d rows, want %d", got, n/2)
	}
}

func TestPanicCarriesItsStack(t *testing.T) {
	db, _ := openThings(t, Options{})
	for name, err := range map[string]error{
		"Commit": db.Commit(t.Context(), func(*Tx) error { panic("out of cheese") }),
		"View":   db.View(func(*Tx) error { panic("out of cheese") }),
	} {
		p, ok := errors.AsType[*PanicError](err)
		if !ok || p.Value != "out of cheese" || !strings.Contains(string(p.Stack), "TestPanicCarriesItsStack") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHookThatPanicsIsToldAndKept(t *testing.T) {
	db, tab := openThings(t, Options{})
	err := db.Commit(t.Context(), func(tx *Tx) error {
		tx.OnCommit(func() { panic("hook") })
		return tab.Put(tx, &thing{ID: 1})
	})
	if p, ok := errors.AsType[*PanicError](err); !ok || p.Value != "hook" {
		t.Errorf("the caller was told %v", err)
	}
	if len(texts(t, db, tab)) != 1 {
		t.Error("the row is gone")
	}
	must(t, db.Commit(t.Context(), func(*Tx) error { return nil })) // the committer lives
}

func TestFunctionThatEndsItsGoroutine(t *testing.T) {
	db, tab := openThings(t, Options{})
	h := newHerd(t, db)
	before := h.add(t.Context(), func(tx *Tx) error { return tab.Put(tx, &thing{ID: 1}) })
	culprit := h.add(t.Context(), func(*Tx) error { runtime.Goexit(); return nil })
	after := h.add(t.Context(), func(tx *Tx) error { return tab.Put(tx, &thing{ID: 2}) })
	h.run()
	for _, o := range []*outcome{before, culprit, after} {
		if !errors.Is(o.err, errGoexit) {
			t.Errorf("told %v", o.err)
		}
	}
	tab.put(t, db, thing{ID: 3, Text: "the next"})
	if got := texts(t, db, tab); len(got) != 1 || got[0] != "the next" {
		t.Errorf("rows are %v", got)
	}
}

func TestCommitIsWithdrawnBeforeItBegan(t *testing.T) {
	db, tab := openThings(t, Options{})
	h := newHerd(t, db)
	why := errors.New("the till hung up")
	ctx, cancel := context.WithCancelCause(context.Background())
	ran := false
	result := h.add(ctx, func(tx *Tx) error {
		ran = true
		return tab.Put(tx, &thing{ID: 1})
	})
	other := h.add(context.Background(), func(tx *Tx) error { return tab.Put(tx, &thing{ID: 2}) })
	cancel(why)
	<-result.done // although the gate is shut
	h.run()
	if !errors.Is(result.err, why) || ran || other.err != nil {
		t.Errorf("withdrawn: %v, ran: %v, the other: %v", result.err, ran, other.err)
	}
	if err := db.Commit(ctx, func(*Tx) error { ran = true; return nil }); !errors.Is(err, why) || ran {
		t.Errorf("after its context ended a commit ran, or was told %v", err)
	}
}

func TestCommitThatBeganWaitsForTheTruth(t *testing.T) {
	db, tab := openThings(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	must(t, db.Commit(ctx, func(tx *Tx) error {
		cancel()
		return tab.Put(tx, &thing{ID: 1, Text: "true"})
	}))
	if got := texts(t, db, tab); len(got) != 1 {
		t.Errorf("rows are %v", got)
	}
}

func TestBatchIsBounded(t *testing.T) {
	db, tab := openThings(t, Options{MaxBatch: 10})
	h := newHerd(t, db)
	before := db.Stats().Commits
	for n := range uint64(35) {
		h.add(t.Context(), func(tx *Tx) error { return tab.Put(tx, &thing{ID: n + 1}) })
	}
	h.run()
	if n := db.Stats().Commits - before; n != 4 {
		t.Errorf("35 calls at 10 a batch made %d commits, want 4", n)
	}
}

func TestCloseServesWhoWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, tab := openThings(t, Options{Path: path})
	h := newHerd(t, db)
	result := h.add(t.Context(), func(tx *Tx) error { return tab.Put(tx, &thing{ID: 1, Text: "late"}) })
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for db.View(func(*Tx) error { return nil }) == nil {
		runtime.Gosched()
	}
	if err := db.Commit(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("a commit while closing: %v", err)
	}
	h.run()
	must(t, <-closed)
	if result.err != nil {
		t.Errorf("who waited was told %v", result.err)
	}
	if err := db.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("the second close: %v", err)
	}
	db, tab = openThings(t, Options{Path: path})
	if got := texts(t, db, tab); len(got) != 1 {
		t.Errorf("rows are %v", got)
	}
}

// TestStuckReader holds a View as long as the test lasts. The writer goes on,
// and pays with pages that cannot be reused.
func TestStuckReader(t *testing.T) {
	db, tab := openThings(t, Options{NoSync: true})
	release, inside := make(chan struct{}), make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		err := db.View(func(tx *Tx) error {
			close(inside)
			<-release
			if v, err := tab.Get(tx, U64(1)); v != nil || err != nil {
				t.Errorf("the reader sees what came after it: %v, %v", v, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	const commits = 3000
	for n := range commits {
		tab.put(t, db, thing{ID: uint64(n%50 + 1), Text: strings.Repeat("x", 200)})
	}
	if size := db.Stats().Size; size > commits*10*pageSize {
		t.Errorf("%d commits beside a reader let the file grow to %d bytes", commits, size)
	}
	close(release)
	reader.Wait()
	before := db.Stats().Size
	for n := range 500 {
		tab.put(t, db, thing{ID: uint64(n%50 + 1)})
	}
	if after := db.Stats().Size; after != before {
		t.Errorf("the reader is gone and the file still grows, from %d to %d", before, after)
	}
}

func TestCloseDoesNotWaitForStuckReaderForever(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(Options{Path: path})
		must(t, err)
		release := make(chan struct{})
		done := make(chan error)
		go func() { done <- db.View(func(*Tx) error { <-release; return nil }) }()
		synctest.Wait()
		begun := time.Now()
		if err := db.Close(); err == nil || !strings.Contains(err.Error(), "reader") {
			t.Errorf("close beside a stuck reader: %v", err)
		}
		if waited := time.Since(begun); waited != closePatience {
			t.Errorf("close waited %v", waited)
		}
		close(release)
		must(t, <-done)
		must(t, db.bolt.Close())
	})
}

// TestVirtualTime is what the tests of the queue rest on: a store in a bubble.
func TestVirtualTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		tab := newThings()
		db, err := Open(Options{Path: filepath.Join(dir, "test.db")}, tab)
		must(t, err)
		begun := time.Now()
		for n := range uint64(24) {
			time.Sleep(time.Hour)
			tab.put(t, db, thing{ID: n + 1, Due: time.Now()})
		}
		if d := time.Since(begun); d != 24*time.Hour {
			t.Errorf("a day took %v", d)
		}
		must(t, db.Close())
	})
}

// TestWritersDoNotTakeTurns has eight writers come back after each commit, the
// moment they are answered. One commit carries them all; a writer alone does
// not wait for anybody.
func TestWritersDoNotTakeTurns(t *testing.T) {
	const commit = 100 * time.Millisecond
	for _, c := range []struct {
		writers, calls, least, most int
	}{
		{writers: 1, calls: 10, least: 10, most: 10},
		{writers: 8, calls: 80, least: 10, most: 13}, // not 20
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			tab := newThings()
			db, err := Open(Options{Path: filepath.Join(dir, "test.db"), CommitDelay: commit}, tab)
			must(t, err)
			before, begun := db.Stats().Commits, time.Now()
			var wg sync.WaitGroup
			for w := range c.writers {
				wg.Go(func() {
					for n := range c.calls / c.writers {
						tab.put(t, db, thing{ID: uint64(w*1000 + n + 1)})
					}
				})
			}
			wg.Wait()
			commits := int(db.Stats().Commits - before)
			if commits < c.least || commits > c.most {
				t.Errorf("%d writers, %d calls: %d commits, want %d to %d", c.writers, c.calls, commits, c.least, c.most)
			}
			if took, most := time.Since(begun), time.Duration(commits)*(commit+lingerMost); took > most || c.writers == 1 && took != time.Duration(commits)*commit {
				t.Errorf("%d writers: %d commits of %v took %v", c.writers, commits, commit, took)
			}
			must(t, db.Close())
		})
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	db, tab := openThings(t, Options{NoSync: true})
	var wg sync.WaitGroup
	for w := range uint64(8) {
		wg.Go(func() {
			for n := range uint64(50) {
				ctx, cancel := context.WithCancel(context.Background())
				if n%7 == 0 {
					go cancel()
				}
				err := db.Commit(ctx, func(tx *Tx) error {
					if n%11 == 0 {
						return errors.Join(tab.Put(tx, &thing{ID: 1e6}), errors.New("no"))
					}
					return tab.Put(tx, &thing{ID: w*1000 + n + 1, Words: []string{"w"}})
				})
				cancel()
				if err == nil && n%11 == 0 {
					t.Error("a call that failed was told nil")
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				err := db.View(func(tx *Tx) error {
					for range tab.word.Keys(tx, nil) {
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				db.Stats()
				if err := db.Room(); err != nil && !errors.Is(err, ErrDiskLow) {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 3 {
			if err := db.Check(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}
