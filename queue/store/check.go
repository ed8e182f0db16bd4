package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// maxFaults bounds what Check reports.
const maxFaults = 20

type namedCheck struct {
	name string
	fn   func(*Tx) error
}

// AddCheck has Check also run fn, an invariant of the tables' owner, in a
// View of its own.
func (db *DB) AddCheck(name string, fn func(*Tx) error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.checks = append(db.checks, namedCheck{name, fn})
}

// Check reads everything and says what is wrong, or nil: the pages of the
// file, the names of the tables, every row (checksum, JSON, its key), every
// index (each entry has its row, each row its entries) and what AddCheck
// added. Each table is read in a View of its own; commits go on meanwhile, and
// the file may grow. It looks and changes nothing: no row is set aside.
func (db *DB) Check() error {
	f := &faults{}
	if err := db.checkTables(f.add); err != nil {
		return err
	}
	db.mu.Lock()
	checks := db.checks
	db.mu.Unlock()
	for _, c := range checks {
		if _, err := db.view(c.fn); err != nil {
			f.add(fmt.Errorf("store: check %s: %w", c.name, err))
		}
	}
	return f.err()
}

// checkRows is Check without what its owners ask.
func (db *DB) checkRows() error {
	f := &faults{}
	if err := db.checkTables(f.add); err != nil {
		return err
	}
	return f.err()
}

// checkTables reports what is wrong with names, rows and indexes. Its error is
// that the pages are damaged.
func (db *DB) checkTables(report func(error)) error {
	if _, err := db.view(func(tx *Tx) error { return tx.checkPages() }); err != nil {
		return err // rows on damaged pages can only be guessed at
	}
	if _, err := db.view(func(tx *Tx) error { return tx.checkNames() }); err != nil {
		report(err)
	}
	for _, t := range db.schema {
		_, err := db.view(func(tx *Tx) error {
			t.check(tx, report)
			return nil
		})
		if err != nil {
			report(err)
		}
	}
	return nil
}

// faults are the first maxFaults of them.
type faults struct {
	list []error
	more int
}

func (f *faults) add(err error) {
	if len(f.list) == maxFaults {
		f.more++
		return
	}
	f.list = append(f.list, err)
}

func (f *faults) err() error {
	list := f.list
	if f.more > 0 {
		list = append(list, fmt.Errorf("store: and %d more", f.more))
	}
	return errors.Join(list...)
}

// checkNames finds tables that nobody asked for: where a name has rotted, Open
// made a new table, an empty one.
func (tx *Tx) checkNames() error {
	var errs []error
	err := tx.bolt.ForEach(func(name []byte, _ *bolt.Bucket) error {
		if !tx.db.names[string(name)] {
			errs = append(errs, &Damage{File: tx.db.opt.Path, What: fmt.Sprintf("nobody knows a table %q", name)})
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

func (t *Table[T]) check(tx *Tx, report func(error)) {
	fault := func(bucket, key []byte, what string) {
		report(&Damage{File: tx.db.opt.Path, What: fmt.Sprintf("%s %s: %s", bucket, hex.EncodeToString(key), what)})
	}
	wanted := make([]int, len(t.indexes))
	err := walk{}.run(tx, t.name, func(key, raw []byte) bool {
		v, err := t.decode(tx, key, raw)
		if err != nil {
			report(err)
			return true
		}
		if !bytes.Equal(t.key(v), key) {
			fault(t.name, key, "the row belongs under another key")
		}
		for i, ix := range t.indexes {
			for _, k := range ix.keys(v) {
				wanted[i]++
				if !bytes.Equal(ix.get(tx, k), key) {
					fault(ix.name, k, "the entry of row "+hex.EncodeToString(key)+" is missing")
				}
			}
		}
		return true
	})
	if err != nil {
		report(err)
		return
	}
	for i, ix := range t.indexes {
		if ix.count(tx) == wanted[i] {
			continue // every row has its entries, and there are no others
		}
		for k, pk := range ix.Keys(tx, nil) {
			v, err := t.Get(tx, pk)
			if err != nil {
				continue // reported above
			}
			if v == nil || !contains(ix.keys(v), k) {
				fault(ix.name, k, "an entry without its row")
			}
		}
	}
}

func (ix *Index[T]) get(tx *Tx, k []byte) []byte {
	b, err := tx.bucket(ix.name)
	if err != nil {
		return nil
	}
	return b.Get(k)
}

func (ix *Index[T]) count(tx *Tx) (n int) {
	for range ix.Keys(tx, nil) {
		n++
	}
	return n
}
