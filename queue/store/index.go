package store

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Index finds rows of a table by other keys. An entry holds the primary key
// of its row.
type Index[T any] struct {
	name []byte
	keys func(*T) [][]byte
}

// NewIndex describes an index. The name is its name on the disk, by custom
// that of the table, a dot and what it is by. keys returns the whole keys
// under which a row is to be found: none if it is not, and each unique in the
// index, which ending in the primary key brings about.
func NewIndex[T any](name string, keys func(*T) [][]byte) *Index[T] {
	return &Index[T]{name: []byte(name), keys: keys}
}

// Keys goes through the entries (index key, primary key) from the first key
// that is not below from; nil: from the start. Both slices are valid until
// the next step, and not to be changed. Rows may be changed in the loop. That
// the store was opened without the table is a panic, which View and Commit
// return.
func (ix *Index[T]) Keys(tx *Tx, from []byte) iter.Seq2[[]byte, []byte] {
	return ix.entries(tx, walk{from: from})
}

// KeysBack goes through the entries backwards, starting with the last key
// below before; nil: from the end. Else it is like Keys.
func (ix *Index[T]) KeysBack(tx *Tx, before []byte) iter.Seq2[[]byte, []byte] {
	return ix.entries(tx, walk{from: before, back: true})
}

func (ix *Index[T]) entries(tx *Tx, w walk) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, pk []byte) bool) {
		if err := w.run(tx, ix.name, yield); err != nil {
			panic(err) // a wrong program: View and Commit make it an error
		}
	}
}

// move takes the entries of the row pk from the keys old to the keys now.
// What stays where it is costs nothing.
func (ix *Index[T]) move(tx *Tx, pk []byte, old, now [][]byte) error {
	if slices.EqualFunc(old, now, bytes.Equal) {
		return nil
	}
	b, err := tx.change(ix.name)
	if err != nil {
		return err
	}
	for _, k := range old {
		if contains(now, k) {
			continue
		}
		if err := b.Delete(k); err != nil {
			return fmt.Errorf("store: index %s: %w", ix.name, err)
		}
	}
	for _, k := range now {
		if contains(old, k) {
			continue
		}
		// A key that holds the primary key is nobody else's.
		if !bytes.Contains(k, pk) {
			if other := b.Get(k); other != nil && !bytes.Equal(other, pk) {
				return fmt.Errorf("store: index %s: two rows want one key", ix.name)
			}
		}
		if err := b.Put(k, pk); err != nil {
			return fmt.Errorf("store: index %s: %w", ix.name, err)
		}
	}
	return nil
}

func contains(keys [][]byte, k []byte) bool {
	return slices.ContainsFunc(keys, func(o []byte) bool { return bytes.Equal(o, k) })
}

// walk is one pass over a bucket.
type walk struct {
	from []byte
	back bool
}

// run calls visit for each entry until it says false. A cursor of bbolt is
// lost when its bucket changes; it is then placed anew by the key it was at.
func (w walk) run(tx *Tx, name []byte, visit func(k, v []byte) bool) error {
	b, err := tx.bucket(name)
	if err != nil {
		return err
	}
	c := b.Cursor()
	step, again := c.Next, after
	k, v := c.Seek(w.from)
	if w.back {
		step, again = c.Prev, below
		k, v = below(c, w.from)
	}
	var at []byte
	for k != nil {
		at = append(at[:0], k...)
		writes := tx.writes
		if !visit(k, v) {
			return nil
		}
		if tx.over {
			return errOver
		}
		if tx.writes == writes {
			k, v = step()
		} else {
			k, v = again(c, at)
		}
	}
	return nil
}

// after finds the first entry above key.
func after(c *bolt.Cursor, key []byte) (k, v []byte) {
	if k, v = c.Seek(key); bytes.Equal(k, key) {
		return c.Next()
	}
	return k, v
}

// below finds the last entry below key, or the last of all if key is nil.
func below(c *bolt.Cursor, key []byte) (k, v []byte) {
	if key == nil {
		return c.Last()
	}
	if k, _ := c.Seek(key); k == nil {
		return c.Last()
	}
	return c.Prev()
}
