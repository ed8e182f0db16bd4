package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A row that cannot be read must not stop what is whole beside it. In a table
// that is Expendable it is set aside: its bytes go to a table for a person to
// look at, its index entries go, and the others carry on as if it had never
// been there. Nothing is thrown away unseen, and Aside tells of it.
//
// A View skips such a row and sets it aside when it has ended; a Commit does so
// and then runs its function again.

// Aside is a row that was set aside.
type Aside struct {
	Table string    `json:"table"`
	Key   []byte    `json:"key"`
	At    time.Time `json:"at"`  // by the clock of the machine
	Why   string    `json:"why"` // what is wrong with it
	Raw   []byte    `json:"raw,omitempty"`
}

// AsideKept is how long the bytes of a row that was set aside are kept: they
// may be of a person, and nobody can tell of whom.
const AsideKept = 30 * 24 * time.Hour

// AsideFresh is how long after that a person is told without being asked, and
// how long copies of before are not replaced by what is left.
const AsideFresh = 7 * 24 * time.Hour

var asideBucket = []byte("aside")

// lostRow names a row that could not be read.
type lostRow struct {
	table string
	key   []byte
}

// maxAside bounds how many rows one Commit sets aside before it gives up: by
// then it is no row that has rotted but the disk.
const maxAside = 100

// Expendable says that the house does without a row of this table that cannot
// be read. It returns t.
func (t *Table[T]) Expendable() *Table[T] {
	t.expendable = true
	return t
}

// skips says whether a View goes on without a row, for which it is set aside.
func (t *Table[T]) skips(tx *Tx, key []byte, err error) bool {
	d, ok := errors.AsType[*Damage](err)
	if !ok || d.row == nil || tx.bolt.Writable() {
		return false
	}
	tx.lost = append(tx.lost, *d.row)
	return true
}

// lostRows lists the rows that the faults of a check are about and that can be
// set aside.
func lostRows(err error) (list []lostRow) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			list = append(list, lostRows(e)...)
		}
		return list
	}
	if d, ok := errors.AsType[*Damage](err); ok && d.row != nil {
		list = append(list, *d.row)
	}
	return list
}

// OnAside has fn run in the transaction that sets a row aside, with the keys
// that its index entries had, in the order of the table's indexes. It must be
// called before the first View or Commit that could meet such a row.
func (db *DB) OnAside(fn func(tx *Tx, a *Aside, entries [][][]byte) error) { db.onAside = fn }

// setAside sets rows aside, those that are still there and still cannot be read.
func (db *DB) setAside(ctx context.Context, rows []lostRow) error {
	db.asideMu.Lock() // whoever meets a row first sees to it
	defer db.asideMu.Unlock()
	for _, r := range rows {
		for _, s := range db.schema {
			if s.names()[0] != r.table {
				continue
			}
			if err := s.aside(ctx, db, r.key); err != nil {
				return fmt.Errorf("store: row %s of table %s cannot be read, nor be set aside: %w", hex.EncodeToString(r.key), r.table, err)
			}
		}
	}
	return nil
}

func (t *Table[T]) aside(ctx context.Context, db *DB, key []byte) error {
	// Which entries it has is not known any more: all are looked through, and
	// not in the transaction that everybody waits for.
	entries := make([][][]byte, len(t.indexes))
	_, err := db.view(func(tx *Tx) error {
		for i, ix := range t.indexes {
			for k, pk := range ix.Keys(tx, nil) {
				if bytes.Equal(pk, key) {
					entries[i] = append(entries[i], bytes.Clone(k))
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return db.commitOnce(ctx, func(tx *Tx) error {
		b, err := t.change(tx)
		if err != nil {
			return err
		}
		raw := b.Get(key)
		why := t.read(raw, new(T))
		if raw == nil || why == nil {
			return nil // somebody else was quicker
		}
		a := &Aside{Table: string(t.name), Key: bytes.Clone(key), At: time.Now().UTC(), Why: why.Error(), Raw: bytes.Clone(raw)}
		if err := a.put(tx); err != nil {
			return err
		}
		if err := b.Delete(key); err != nil {
			return err
		}
		for i, ix := range t.indexes {
			if err := ix.move(tx, key, entries[i], nil); err != nil {
				return err
			}
		}
		tx.OnCommit(func() {
			db.lastAside.Store(a.At.UnixNano())
			db.log.Error("a row cannot be read and was set aside; the others go on. Look at the disk, and make a backup", "file", db.opt.Path, "table", a.Table, "err", a.Why)
		})
		if db.onAside == nil {
			return nil
		}
		return db.onAside(tx, a, entries)
	})
}

func (a *Aside) put(tx *Tx) error {
	b, err := tx.bolt.CreateBucketIfNotExists(asideBucket)
	if err != nil {
		return err
	}
	raw, err := encode(a)
	if err != nil {
		return err
	}
	tx.writes++
	return b.Put(Join(Str(a.Table), a.Key), raw)
}

// LastAside is when a row was last set aside; zero: never.
func (db *DB) LastAside() time.Time {
	if n := db.lastAside.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Asides lists what was set aside, by table and key.
func (db *DB) Asides() (list []Aside, err error) {
	_, err = db.view(func(tx *Tx) (err error) {
		list, err = asides(tx.bolt)
		return err
	})
	return list, err
}

func asides(tx *bolt.Tx) (list []Aside, err error) {
	b := tx.Bucket(asideBucket)
	if b == nil {
		return nil, nil
	}
	err = b.ForEach(func(k, raw []byte) error {
		var a Aside
		if err := decode(raw, &a); err != nil { // rotten in its turn: it was there
			a = Aside{Table: string(k[:max(0, bytes.IndexByte(k, 0))]), Why: err.Error()}
		}
		list = append(list, a)
		return nil
	})
	return list, err
}

// WasAside says whether the row with this key was set aside.
func (t *Table[T]) WasAside(tx *Tx, key []byte) bool {
	b := tx.bolt.Bucket(asideBucket)
	return b != nil && b.Get(Join(Str(string(t.name)), key)) != nil
}

// WipeAsides removes the bytes of rows that were set aside before a time: that
// they were stays known.
func (db *DB) WipeAsides(ctx context.Context, before time.Time) error {
	list, err := db.Asides()
	if err != nil || len(list) == 0 {
		return err
	}
	return db.Commit(ctx, func(tx *Tx) error {
		for _, a := range list {
			if a.Raw == nil || !a.At.Before(before) {
				continue
			}
			a.Raw = nil
			if err := a.put(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// findLastAside reads it when the store is opened.
func (db *DB) findLastAside() error {
	return db.bolt.View(func(tx *bolt.Tx) error {
		list, err := asides(tx)
		for _, a := range list {
			if n := a.At.UnixNano(); !a.At.IsZero() && n > db.lastAside.Load() {
				db.lastAside.Store(n)
			}
		}
		return err
	})
}
