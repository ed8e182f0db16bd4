package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Commit runs fn in a write transaction and returns after the change is on
// the disk (two fdatasync, the second for the header that makes it valid).
//
// Commits are made in groups by one goroutine. A group starts at once when
// the disk is idle; calls that arrive meanwhile share the next one, in the
// order in which they came, for which it may wait a moment (see expect). Each
// fn sees what the ones before it wrote.
//
//   - An error of fn is returned to its caller only. If fn had written
//     something, the group is rolled back and the others run again without
//     it: fn must be repeatable, and have no effect outside tx but through
//     OnCommit and OnRollback.
//   - A panic in fn is such an error (*PanicError).
//   - A row that cannot be read is set aside if its table is Expendable, and
//     fn runs again without it.
//   - If nothing was written, nothing is committed and the disk is left alone.
//   - When ctx ends before fn was begun the call is withdrawn, and its cause
//     returned. After that Commit waits for the truth.
//   - If the disk refuses, the whole group is told, and none of it is kept;
//     a full disk reads as ErrDiskLow. ErrSealed and ErrClosed as they say.
//
// fn runs on the committing goroutine: it must not wait for anything, and
// not call Commit or Close.
func (db *DB) Commit(ctx context.Context, fn func(*Tx) error) error {
	err := db.commitOnce(ctx, fn)
	for n := 0; err != nil && n < maxAside; n++ {
		d, ok := errors.AsType[*Damage](err)
		if !ok || d.row == nil {
			return err
		}
		if aerr := db.setAside(ctx, []lostRow{*d.row}); aerr != nil {
			return errors.Join(err, aerr)
		}
		err = db.commitOnce(ctx, fn)
	}
	return err
}

func (db *DB) commitOnce(ctx context.Context, fn func(*Tx) error) error {
	if ctx.Err() != nil {
		return withdrawn(ctx)
	}
	c := &call{fn: fn, done: make(chan struct{})}
	if err := db.enqueue(c); err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		if c.withdraw() {
			return withdrawn(ctx)
		}
		<-c.done
		return c.err
	}
}

func withdrawn(ctx context.Context) error {
	return fmt.Errorf("store: not begun: %w", context.Cause(ctx))
}

// call is one Commit on its way through the committer.
type call struct {
	fn    func(*Tx) error
	state atomic.Int32
	tx    *Tx // of the last run
	err   error
	done  chan struct{} // closed when err is final
}

const (
	callWaiting = iota
	callBegun
	callOver // answered or withdrawn
)

func (c *call) withdraw() bool { return c.state.CompareAndSwap(callWaiting, callOver) }

// begin says whether c is to be run, for the first time or again.
func (c *call) begin() bool {
	return c.state.CompareAndSwap(callWaiting, callBegun) || c.state.Load() == callBegun
}

func (c *call) answer(err error) {
	c.err = err
	c.state.Store(callOver)
	close(c.done)
}

func (db *DB) enqueue(c *call) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	switch {
	case db.closed:
		return ErrClosed
	case db.sealed != nil:
		return db.sealed
	}
	db.waiting = append(db.waiting, c)
	select {
	case db.wake <- struct{}{}:
	default: // the committer has not yet seen the last wake
	}
	return nil
}

// committer makes commits until Close, and whatever was waiting then.
func (db *DB) committer() {
	var calls []*call
	over := false
	defer func() {
		if over {
			close(db.committed)
			return
		}
		// A function ended its goroutine (runtime.Goexit, as t.Fatal does),
		// which was this one. The others need an answer, and a new committer.
		db.fail(calls, errGoexit)
		go db.committer()
	}()
	debug.SetPanicOnFault(true) // a fault in the mapped file: damage, not a crash
	for {
		calls = db.next()
		if calls == nil {
			over = true
			return
		}
		db.serve(calls)
	}
}

// next waits for calls, at most MaxBatch. Nil: closed, and none left.
func (db *DB) next() []*call {
	for {
		db.mu.Lock()
		n := min(len(db.waiting), db.opt.MaxBatch)
		if n > 0 && n < db.expected {
			if late := time.Until(db.patience); late > 0 {
				db.mu.Unlock()
				db.linger(late)
				continue
			}
		}
		calls, closed := db.waiting[:n:n], db.closed
		db.waiting = db.waiting[n:]
		db.mu.Unlock()
		if n > 0 {
			return calls
		}
		if closed {
			return nil
		}
		<-db.wake
	}
}

// Who was answered often comes back at once: a lane, a till with a list. If
// the next commit began with whoever waited already, two herds would take
// turns, each waiting for the other's commit. So after a commit the next one
// may wait for as many as could come, for as long as the last one took: who
// waits no longer than the thing costs that the wait may save is never much
// worse off than who knows what will come. A call that comes to an idle disk,
// or alone, never waits.
const lingerMost = 5 * time.Millisecond

// expect is called after a commit that took so long, before its n calls are
// answered.
func (db *DB) expect(n int, took time.Duration) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.expected = min(len(db.waiting)+n, db.opt.MaxBatch)
	db.patience = time.Now().Add(min(took, lingerMost))
}

func (db *DB) linger(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-db.wake:
	case <-timer.C:
	}
}

// serve answers every call. After a spoiled group the calls before the culprit
// are committed on their own and the ones after it begin afresh: a run of
// failures repeats each call once, not once per failure.
func (db *DB) serve(calls []*call) {
	for len(calls) > 0 {
		culprit := db.group(calls)
		if culprit < 0 {
			return
		}
		db.serve(calls[:culprit])
		calls = calls[culprit+1:]
	}
}

var errGoexit = errors.New("store: the function of a commit ended its goroutine")

// group runs calls in one transaction and commits it. It answers them all and
// returns -1, or answers only the call that spoiled the transaction and
// returns its index, having changed nothing.
func (db *DB) group(calls []*call) (culprit int) {
	if err := db.Sealed(); err != nil {
		db.fail(calls, err)
		return -1
	}
	b, err := db.bolt.Begin(true)
	if err != nil {
		db.fail(calls, fmt.Errorf("store: begin: %w", err))
		return -1
	}
	finished := false
	defer func() {
		if !finished { // Goexit
			db.rollback(b, calls)
		}
	}()

	begun := time.Now()
	wrote := false
	for i, c := range calls {
		if !c.begin() {
			continue
		}
		err, panicked := c.run(&Tx{db: db, bolt: b})
		if err == nil {
			wrote = wrote || c.tx.writes > 0
			continue
		}
		if c.tx.writes > 0 || panicked {
			db.rollback(b, calls[:i+1])
			c.answer(err)
			finished = true
			return i
		}
		c.tx.rolledBack()
		c.answer(err)
	}

	if wrote {
		err = db.commit(b)
	} else {
		err = b.Rollback()
	}
	finished = true
	if errors.Is(err, ErrDiskLow) && len(calls) > 1 {
		db.oneByOne(calls)
		return -1
	}
	if err != nil {
		db.fail(calls, err)
		return -1
	}
	if wrote {
		db.expect(len(calls), time.Since(begun))
	}
	for _, c := range calls {
		if c.state.Load() == callBegun {
			db.batched.Add(1)
			c.answer(c.tx.committed())
		}
	}
	return -1
}

// oneByOne serves a group for which the disk had no room. There is always
// some in pages that are free, and one change alone may fit.
func (db *DB) oneByOne(calls []*call) {
	for i := len(calls) - 1; i >= 0; i-- {
		if c := calls[i]; c.state.Load() == callBegun {
			c.tx.rolledBack()
		}
	}
	for i := range calls {
		db.serve(calls[i : i+1])
	}
}

func (c *call) run(tx *Tx) (err error, panicked bool) {
	c.tx = tx
	defer tx.end()
	defer func() {
		if v := recover(); v != nil {
			err, panicked = panicError(tx.db.opt.Path, v), true
		}
	}()
	return c.fn(tx), false
}

// commit writes b to the disk. After an error it is rolled back, or the store
// is sealed because that cannot be known.
func (db *DB) commit(b *bolt.Tx) error {
	if db.opt.CommitDelay > 0 {
		time.Sleep(db.opt.CommitDelay)
	}
	id := b.ID()
	begun := time.Now()
	err := db.write(b)
	db.lastCommit.Store(int64(time.Since(begun)))
	if err == nil {
		db.commits.Add(1)
		db.reserve()
		return nil
	}
	if _, ok := errors.AsType[*PanicError](err); ok || db.holds(id) {
		return db.seal(err)
	}
	db.room.forget()
	if diskFull(err) {
		return fmt.Errorf("%w: commit to %s: %w", ErrDiskLow, db.opt.Path, err)
	}
	return fmt.Errorf("store: commit to %s, nothing of it was kept: %w", db.opt.Path, err)
}

// write is b.Commit, whose panics leave b open.
func (db *DB) write(b *bolt.Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(db.opt.Path, v)
			if rerr := b.Rollback(); rerr != nil {
				err = errors.Join(err, rerr)
			}
		}
	}()
	return b.Commit()
}

// diskFull: no space, no quota, or the largest file that the file system can
// hold (4 GB on FAT).
func diskFull(err error) bool {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		// bbolt passes on only the words where the file could not grow.
		if errors.Is(err, full) || strings.HasSuffix(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// holds says whether a new reader would see transaction id, although its
// commit failed: then its header reached the file but perhaps not the disk.
func (db *DB) holds(id int) bool {
	b, err := db.bolt.Begin(false)
	if err != nil {
		return true
	}
	seen := b.ID() >= id
	return b.Rollback() != nil || seen
}

func (db *DB) seal(cause error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.sealed = fmt.Errorf("%w: whether the last changes are on the disk is not known until %s is opened again; restart the program, and look at the disk: %w", ErrSealed, db.opt.Path, cause)
	return db.sealed
}

// Sealed returns why nothing is written any more (an ErrSealed), or nil. Only
// opening the file again helps.
func (db *DB) Sealed() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.sealed
}

// rollback undoes b, and tells the calls that had run, the last one first.
func (db *DB) rollback(b *bolt.Tx, ran []*call) {
	if err := b.Rollback(); err != nil && !errors.Is(err, bolt.ErrTxClosed) {
		db.log.Error("rollback failed", "file", db.opt.Path, "err", err)
	}
	for i := len(ran) - 1; i >= 0; i-- {
		if c := ran[i]; c.state.Load() == callBegun && c.tx != nil {
			c.tx.rolledBack()
		}
	}
}

// fail answers what was not answered yet with err.
func (db *DB) fail(calls []*call, err error) {
	for i := len(calls) - 1; i >= 0; i-- {
		if c := calls[i]; c.begin() {
			if c.tx != nil {
				c.tx.rolledBack()
			}
		}
	}
	for _, c := range calls {
		if c.state.Load() == callBegun {
			c.answer(err)
		}
	}
}
