package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// BackupFile writes a consistent copy of the store to a local file, whole or
// not at all, and reads it back: pages, rows and indexes, as Check does. What is
// wrong with it is the error, and the file that was there stays. Rows that can
// be set aside are, and the copy is made of the rest. Commits go on meanwhile; the file may grow by
// what they write. Send the copy from there: a slow reader must not keep a
// transaction open.
//
// A copy that would leave less than the mark of Room is refused with a
// *LowDisk: it must not take the room that accepted work needs.
func (db *DB) BackupFile(path string) error {
	if !db.enter() {
		return ErrClosed
	}
	defer db.leave()
	err := db.copyTo(path, (*DB).checkRows)
	if lost := lostRows(err); len(lost) > 0 {
		if err = db.setAside(context.Background(), lost); err == nil {
			err = db.copyTo(path, (*DB).checkRows)
		}
	}
	if err != nil {
		return fmt.Errorf("store: backup to %s: %w", path, err)
	}
	return nil
}

var errOntoItself = errors.New("that is the store itself")

// copyTo writes a copy of the store to a file, by way of FILE.part. good is
// asked what is wrong with the copy.
func (db *DB) copyTo(path string, good func(copied *DB) error) error {
	ours, err := sameFile(db.file, path)
	if err != nil {
		return err
	}
	if ours {
		return errOntoItself
	}
	size, _, err := db.size()
	if err != nil {
		return err
	}
	free, total, err := space(filepath.Dir(path))
	if err != nil {
		return err
	}
	if need := size + mark(total, max(db.opt.MinFree, 0)); free < need {
		return &LowDisk{Free: free, Need: need}
	}
	part := path + ".part"
	err = db.copyPart(part, good)
	if err == nil {
		err = Verify(part) // a copy that nobody has read is a hope
	}
	if err == nil {
		err = rename(part, path)
	}
	if err == nil {
		return nil
	}
	if rerr := os.Remove(part); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// copyPart copies row by row, not page by page: pages that are free keep what
// was once written to them, also of people who have been forgotten since.
func (db *DB) copyPart(part string, good func(copied *DB) error) error {
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	opt := db.opt
	opt.Path, opt.NoSync = part, true // one sync at the end
	b, err := openBolt(f, opt)
	if err != nil {
		return err
	}
	err = sound(db.opt.Path, func() error {
		return db.bolt.View(func(tx *bolt.Tx) error { return copyRows(b, tx) })
	})
	if err == nil {
		err = b.Sync()
	}
	if err == nil { // its faults are told as those of the store that it is a copy of
		err = good(&DB{opt: db.opt, log: db.log, file: f, bolt: b, schema: db.schema, names: db.names})
	}
	return errors.Join(err, b.Close())
}

// copyRows writes all rows of from into an empty store, some at a time. (bbolt's
// own Compact lets go of its reading transaction before its last commit, which
// still points into the pages it has read: it is for files that nobody writes.)
func copyRows(into *bolt.DB, from *bolt.Tx) error {
	tx, err := into.Begin(true)
	if err != nil {
		return err
	}
	defer func() {
		if tx != nil {
			_ = tx.Rollback() // after its commit it has nothing to do, and says so
		}
	}()
	written := 0
	err = from.ForEach(func(name []byte, rows *bolt.Bucket) error {
		to, err := tx.CreateBucket(name)
		if err != nil {
			return err
		}
		if err := to.SetSequence(rows.Sequence()); err != nil {
			return err
		}
		to.FillPercent = copyFill
		return rows.ForEach(func(k, v []byte) error {
			if written += len(k) + len(v); written > compactChunk {
				written = 0
				if err := tx.Commit(); err != nil {
					return err
				}
				if tx, err = into.Begin(true); err != nil {
					return err
				}
				to = tx.Bucket(name)
				to.FillPercent = copyFill
			}
			return to.Put(k, v)
		})
	})
	if err != nil {
		return err
	}
	return tx.Commit()
}

// copyFill leaves a little room in the pages of a copy, which may become a
// store again.
const copyFill = 0.9
