package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Tx is the transaction of one View or one run of a Commit. It must not be
// used after that function returned, nor from another goroutine.
type Tx struct {
	db         *DB
	bolt       *bolt.Tx
	writes     int // how many changes this run made
	over       bool
	onCommit   []func()
	onRollback []func()
	found      []foundBucket // by a reader: bbolt remembers only for a writer
	lost       []lostRow     // that a reader skipped
}

type foundBucket struct {
	name []byte
	b    *bolt.Bucket
}

// OnCommit has fn called once the changes of this run are on the disk, on the
// committing goroutine, in the order of registration and before Commit
// returns. It must be short, and not call Commit. In a View it never runs.
func (tx *Tx) OnCommit(fn func()) { tx.onCommit = append(tx.onCommit, fn) }

// OnRollback has fn called when this run came to nothing, even if the
// function will be run again, which registers anew. The last registered comes
// first.
func (tx *Tx) OnRollback(fn func()) { tx.onRollback = append(tx.onRollback, fn) }

var errOver = errors.New("store: a transaction was used after its function returned")

// bucket finds a table or index.
func (tx *Tx) bucket(name []byte) (*bolt.Bucket, error) {
	if tx.over {
		return nil, errOver
	}
	for _, f := range tx.found {
		if bytes.Equal(f.name, name) {
			return f.b, nil
		}
	}
	b := tx.bolt.Bucket(name)
	if b == nil {
		return nil, fmt.Errorf("store: table %s was not given to Open", name)
	}
	if !b.Writable() {
		tx.found = append(tx.found, foundBucket{name, b})
	}
	return b, nil
}

// change finds a bucket to write to, and notes that it will be.
func (tx *Tx) change(name []byte) (*bolt.Bucket, error) {
	b, err := tx.bucket(name)
	if err != nil {
		return nil, err
	}
	if !b.Writable() {
		return nil, ErrReadOnly
	}
	tx.writes++
	return b, nil
}

func (tx *Tx) end() { tx.over = true }

// committed runs the hooks. The changes are kept whatever they do; a panic in
// one is returned, so that it is not lost.
func (tx *Tx) committed() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("store: after the commit, which is kept: %w", &PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	for _, fn := range tx.onCommit {
		fn()
	}
	return nil
}

func (tx *Tx) rolledBack() {
	hooks := tx.onRollback
	tx.onRollback, tx.onCommit = nil, nil
	for i := len(hooks) - 1; i >= 0; i-- {
		tx.undo(hooks[i])
	}
}

func (tx *Tx) undo(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			tx.db.log.Error("panic in a rollback hook", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	fn()
}

// slowView is when a reader is worth a line in the log: while it is open no
// page that was replaced can be used again, and the file grows.
const slowView = 5 * time.Second

// View runs fn in a read transaction: one state of the store, whatever is
// committed meanwhile. It returns fn's error, a *PanicError if fn panicked,
// or ErrClosed.
//
// fn must copy what it needs and return: never hold a View while waiting for
// a device, a socket or a browser. Rows that it skips are set aside before View
// returns, so it must not be called in a Commit either.
func (db *DB) View(fn func(*Tx) error) error {
	lost, err := db.view(fn)
	if len(lost) == 0 {
		return err
	}
	if aerr := db.setAside(context.Background(), lost); aerr != nil && !errors.Is(aerr, ErrClosed) {
		db.log.Error("a row is skipped", "file", db.opt.Path, "err", aerr)
	}
	return err
}

// view is View without what follows: it returns the rows that were skipped.
func (db *DB) view(fn func(*Tx) error) (lost []lostRow, err error) {
	if !db.enter() {
		return nil, ErrClosed
	}
	defer db.leave()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = panicError(db.opt.Path, v)
		}
	}()
	begun := time.Now()
	err = db.bolt.View(func(b *bolt.Tx) error {
		tx := &Tx{db: db, bolt: b}
		defer tx.end()
		defer func() { lost = tx.lost }()
		return fn(tx)
	})
	if held := time.Since(begun); held > slowView {
		db.log.Warn("a reader held the store for long", "file", db.opt.Path, "held", held)
	}
	return lost, err
}
