// Package store keeps the box's memory: tables with indexes in one bbolt file.
//
// It promises that
//   - what Commit reported is on the disk, and survives a power cut;
//   - many small commits share one write to the disk (see Commit);
//   - a table's indexes follow its rows, and Check proves it;
//   - a damaged file, a file from the future, a full disk and a second
//     program are told in a sentence that names the file and the remedy,
//     never by a panic.
//
// It knows nothing of messages. It imports bbolt and the standard library.
package store

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Options say how to open a store. Path must be set.
type Options struct {
	Path string

	// Timeout is how long to wait for the lock on the file; 0: 2 s. Then
	// Open returns an ErrInUse.
	Timeout time.Duration

	// MinFree is how many bytes must be free on the disk for Room to agree to
	// new work; 0: 2 % of the file system, at least 4 MB, at most 64 MB;
	// below 0: Room always agrees.
	MinFree int64

	// MaxBatch is the most calls that share one commit; 0: 1000.
	MaxBatch int

	// Log hears what a person should look at; nil: nobody does.
	Log *slog.Logger

	// NoSync leaves out fdatasync. A power cut then loses everything. For
	// tests and benchmarks.
	NoSync bool

	// CommitDelay makes each commit slower, as an SD card would. For
	// benchmarks.
	CommitDelay time.Duration
}

const (
	defaultTimeout  = 2 * time.Second
	defaultMaxBatch = 1000
	pageSize        = 4096 // on every board, so that a file can move
)

// DB is an open store. Its methods may be called from any goroutine.
type DB struct {
	opt    Options
	log    *slog.Logger
	file   *os.File // locked; bbolt reads, writes and closes it
	bolt   *bolt.DB
	schema []Schema
	names  map[string]bool // of every bucket that is known
	meta   meta
	doubt  string

	onAside   func(tx *Tx, a *Aside, entries [][][]byte) error
	asideMu   sync.Mutex   // held by who sets a row aside
	lastAside atomic.Int64 // when, nanoseconds since 1970; 0: never

	room room

	wake      chan struct{} // tells the committer that something waits or Close began
	committed chan struct{} // closed when the committer ended
	idle      chan struct{} // closed when the store is closed and no View is left

	mu       sync.Mutex // guards what follows
	waiting  []*call
	expected int       // how many calls the next commit may wait for
	patience time.Time // and until when
	readers  int
	closed   bool
	sealed   error
	checks   []namedCheck

	commits    atomic.Int64
	batched    atomic.Int64
	lastCommit atomic.Int64 // nanoseconds
}

// closePatience is how long Close waits for the last commit and the last View.
// They are short; a longer one hangs.
const closePatience = 10 * time.Second

// Close commits what is waiting, waits for every View and closes the file.
// Commits and Views that come later get ErrClosed. If one does not end for
// 10 s, Close returns an error and leaves the file to the end of the process.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return ErrClosed
	}
	db.closed = true
	if db.readers == 0 {
		close(db.idle)
	}
	db.mu.Unlock()

	select {
	case db.wake <- struct{}{}:
	default: // it will wake anyhow
	}
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-db.committed:
	case <-patience.C:
		return fmt.Errorf("store: %s stays open: a commit did not end for %s", db.opt.Path, closePatience)
	}
	select {
	case <-db.idle:
	case <-patience.C:
		return fmt.Errorf("store: %s stays open: a reader did not end for %s", db.opt.Path, closePatience)
	}
	db.saveFreeList()
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("store: close %s: %w", db.opt.Path, err)
	}
	return nil
}

// saveAbove is the size from which on the list of free pages is saved at
// Close. A smaller file is scanned in no time.
const saveAbove = 16 << 20

// saveFreeList spares the next Open the scan by which bbolt else finds out
// which pages are free: half its time. It is saved at no other commit.
func (db *DB) saveFreeList() {
	size, _, err := db.size()
	if err != nil || size < saveAbove || db.Sealed() != nil {
		return
	}
	db.bolt.NoFreelistSync = false
	if err := db.bolt.Update(func(*bolt.Tx) error { return nil }); err != nil {
		db.log.Info("the list of free pages was not saved, the next start takes longer", "file", db.opt.Path, "err", err)
	}
}

// enter counts a reader in; false: the store is closed.
func (db *DB) enter() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return false
	}
	db.readers++
	return true
}

func (db *DB) leave() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.readers--
	if db.closed && db.readers == 0 {
		close(db.idle)
	}
}

// Box is the random name that this store got when it was made (26 letters and
// digits).
func (db *DB) Box() string { return db.meta.Box }

// Path is the file of the store.
func (db *DB) Path() string { return db.opt.Path }

// Created is when the store was made, by the box's clock of that time.
func (db *DB) Created() time.Time { return db.meta.Created }

// Doubt is what a person should know about the file although it works: that
// its last commit may be lost. Empty: nothing.
func (db *DB) Doubt() string { return db.doubt }

// Stats are counters since Open.
type Stats struct {
	Commits    int64         // transactions written to the disk
	Calls      int64         // Commit calls that succeeded, also without a write
	Written    int64         // bytes written to the file
	Waiting    int           // Commit calls that wait for their turn
	LastCommit time.Duration // how long the disk took for the last one

	Size int64 // bytes of the file in use and free, without its unwritten end
	Free int64 // bytes of it that are free for reuse
}

// Stats returns the counters. Size and Free are 0 once the store is closed.
func (db *DB) Stats() Stats {
	b := db.bolt.Stats()
	s := Stats{
		Commits:    db.commits.Load(),
		Calls:      db.batched.Load(),
		LastCommit: time.Duration(db.lastCommit.Load()),
	}
	// Every commit writes the pages it allocated, and a header.
	s.Written = b.TxStats.GetPageAlloc() + s.Commits*pageSize
	db.mu.Lock()
	s.Waiting = len(db.waiting)
	db.mu.Unlock()
	if size, free, err := db.size(); err == nil {
		s.Size, s.Free = size, free
	}
	return s
}
