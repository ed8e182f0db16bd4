package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"
)

// BackupFile writes a consistent copy of the store to a local file, whole or
// not at all, and reads it back. Commits go on meanwhile; the file may grow by
// what they write. Send the copy from there: a slow reader must not keep a
// transaction open.
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

// copyTo writes a copy of the store to a file, by way of FILE.part.
func (db *DB) copyTo(path string) error {
	part := path + ".part"
	err := db.copyPart(part)
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
