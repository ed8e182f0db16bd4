package store

import (
	"crypto/rand"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// step brings a file from one version to the next. It works on the bytes of
// its day, never through today's tables and types, which will have changed.
type step struct {
	what string
	do   func(*bolt.Tx, *meta) error
}

// migrations is the history of the layout: the version of a file is the
// number of steps it has taken. Append; never change what was released.
var migrations = []step{
	{"give the box a name and a birthday", func(_ *bolt.Tx, m *meta) error {
		m.Box, m.Created = rand.Text(), time.Now().UTC().Truncate(time.Second)
		return nil
	}},
	// Rows of before stay as they are until they are next written; the number
	// keeps a program that knows only JSON from calling the others damaged.
	{"rows may be packed fields", func(*bolt.Tx, *meta) error { return nil }},
}

// meta is what is true of the file as a whole: the row keyMeta of the bucket
// of the same name, which is older than all tables.
type meta struct {
	Version int       `json:"version"`
	Box     string    `json:"box"`
	Created time.Time `json:"created"`
}

var (
	metaBucket = []byte("meta")
	keyMeta    = []byte("meta")
)

// migrate takes the steps that the file has not taken, each in one
// transaction with its number.
func (db *DB) migrate(steps []step, fresh bool) error {
	if !fresh {
		if err := db.readMeta(); err != nil {
			return err
		}
	}
	version := db.meta.Version
	if version > len(steps) {
		return fmt.Errorf("%w: %s has layout %d, this program knows %d; install the newer version again, or put a backup back that this version made",
			ErrFuture, db.opt.Path, version, len(steps))
	}
	if version < len(steps) && !fresh {
		aside := fmt.Sprintf("%s.v%d", db.opt.Path, version)
		if err := db.copyTo(aside, asItIs); err != nil {
			return fmt.Errorf("store: no copy could be put aside before the update of the layout: %w", err)
		}
		db.log.Info("the layout of the store is brought up to date", "from", version, "to", len(steps), "copy", aside)
	}
	for _, s := range steps[version:] {
		err := db.bolt.Update(func(tx *bolt.Tx) error { return db.take(tx, s) })
		if err != nil {
			return fmt.Errorf("store: update of %s to layout %d (%s): %w", db.opt.Path, db.meta.Version+1, s.what, err)
		}
	}
	return nil
}

// asItIs is asked of a copy that may be of an older layout: only its pages must
// be sound.
func asItIs(*DB) error { return nil }

func (db *DB) take(tx *bolt.Tx, s step) error {
	next := db.meta
	next.Version++
	if err := s.do(tx, &next); err != nil {
		return err
	}
	raw, err := encode(next)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	if err := b.Put(keyMeta, raw); err != nil {
		return err
	}
	tx.OnCommit(func() { db.meta = next })
	return nil
}

// readMeta reads the meta row. Every store has one since before it got its
// name: a file without it has lost more than that.
func (db *DB) readMeta() error {
	return db.bolt.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(metaBucket)
		if b == nil {
			return &Damage{File: db.opt.Path, What: "its meta row is gone"}
		}
		if err := decode(b.Get(keyMeta), &db.meta); err != nil {
			return &Damage{File: db.opt.Path, What: "its meta row", Err: err}
		}
		return nil
	})
}

// setUp makes the tables and indexes that the file does not have yet.
func (db *DB) setUp() error {
	missing := false
	err := db.bolt.View(func(b *bolt.Tx) error {
		for _, s := range db.schema {
			missing = missing || s.missing(b)
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	// A table that nobody knows beside one that is missing is that one, with a
	// rotten name: an empty one in its place would hide what it holds.
	if _, err := db.view((*Tx).checkNames); err != nil {
		return fmt.Errorf("store: a table is missing, and %w", err)
	}
	err = db.bolt.Update(func(b *bolt.Tx) error {
		for _, s := range db.schema {
			if err := s.create(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: set up %s: %w", db.opt.Path, err)
	}
	for _, s := range db.schema {
		if err := s.fill(db); err != nil {
			return err
		}
	}
	return nil
}

// fillChunk is how many rows are indexed in one transaction, which lives in
// memory until it is committed.
const fillChunk = 5000

func (t *Table[T]) missing(b *bolt.Tx) bool {
	if b.Bucket(t.name) == nil {
		return true
	}
	for _, ix := range t.indexes {
		if b.Bucket(ix.name) == nil || b.Bucket(metaBucket).Get(ix.marker()) != nil {
			return true
		}
	}
	return false
}

// create makes the buckets. An index that comes later than the rows it is to
// find gets a marker that says how far it is filled.
func (t *Table[T]) create(b *bolt.Tx) error {
	table, err := b.CreateBucketIfNotExists(t.name)
	if err != nil {
		return fmt.Errorf("table %s: %w", t.name, err)
	}
	for _, ix := range t.indexes {
		if b.Bucket(ix.name) != nil {
			continue
		}
		if _, err := b.CreateBucket(ix.name); err != nil {
			return fmt.Errorf("index %s: %w", ix.name, err)
		}
		if k, _ := table.Cursor().First(); k == nil {
			continue
		}
		if err := b.Bucket(metaBucket).Put(ix.marker(), []byte{}); err != nil {
			return err
		}
	}
	return nil
}

// marker is the key in the meta bucket of the last row that is indexed, while
// an index is being filled.
func (ix *Index[T]) marker() []byte { return append([]byte("filling "), ix.name...) }

// fill indexes the rows that are not indexed yet, in chunks, so that it can
// be interrupted.
func (t *Table[T]) fill(db *DB) error {
	for _, ix := range t.indexes {
		for more := true; more; {
			err := db.bolt.Update(func(b *bolt.Tx) (err error) {
				more, err = t.fillSome(&Tx{db: db, bolt: b}, ix)
				return err
			})
			if err != nil {
				return fmt.Errorf("store: fill index %s of %s: %w", ix.name, db.opt.Path, err)
			}
		}
	}
	return nil
}

func (t *Table[T]) fillSome(tx *Tx, ix *Index[T]) (more bool, err error) {
	meta := tx.bolt.Bucket(metaBucket)
	done := meta.Get(ix.marker())
	if done == nil {
		return false, nil
	}
	n := 0
	var last []byte
	for v, err := range t.Scan(tx, append(done[:len(done):len(done)], 0)) {
		if err != nil {
			return false, err
		}
		if err := ix.move(tx, t.key(v), nil, ix.keys(v)); err != nil {
			return false, err
		}
		if last, n = t.key(v), n+1; n == fillChunk {
			return true, meta.Put(ix.marker(), last)
		}
	}
	return false, meta.Delete(ix.marker())
}
