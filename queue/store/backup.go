package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// BackupFile writes a consistent copy of the store to a local file, whole or
// not at all, and reads it back. Commits go on meanwhile; the file may grow by
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
	if err := db.copyTo(path); err != nil {
		return fmt.Errorf("store: backup to %s: %w", path, err)
	}
	return nil
}

var errOntoItself = errors.New("that is the store itself")

// copyTo writes a copy of the store to a file, by way of FILE.part.
func (db *DB) copyTo(path string) error {
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
	err = db.copyPart(part)
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

func (db *DB) copyPart(part string) error {
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = db.bolt.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
