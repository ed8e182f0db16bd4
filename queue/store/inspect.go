package store

import (
	"fmt"
	"os"
)

// Verify reads the file at path and says whether Open would find it sound:
// nil, a *Damage, or an error of the file system. It changes nothing, takes no
// lock, and is not for a file that is being written.
func Verify(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("store: verify: %w", err)
	}
	defer f.Close() // only read
	_, err = inspect(f, path)
	return err
}

// inspect looks at the file before bbolt does.
func (db *DB) inspect() (err error) {
	if db.doubt, err = inspect(db.file, db.opt.Path); err != nil {
		return err
	}
	if db.doubt != "" {
		db.log.Warn(db.doubt)
	}
	return nil
}

func inspect(f *os.File, path string) (doubt string, err error) {
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if info.Size() == 0 {
		return "", &Damage{File: path, What: "it is empty: what it held is gone"}
	}
	h, bad, err := readHeaders(f)
	switch {
	case err != nil:
		return "", fmt.Errorf("store: %w", err)
	case bad == 2:
		return "", &Damage{File: path, What: "neither of its two headers can be read, or it is no store"}
	case int64(h.high)*pageSize > info.Size():
		return "", &Damage{File: path, What: fmt.Sprintf("it is cut off: %d bytes are left of at least %d", info.Size(), int64(h.high)*pageSize)}
	}
	if err := checkPages(f, h.root, h.high); err != nil {
		return "", &Damage{File: path, Err: err, What: "its pages"}
	}
	if bad == 1 {
		doubt = fmt.Sprintf("store: one of the two headers of %s cannot be read. If the power failed in the middle of a write this is harmless; else the last change is lost. Compare the last messages with what was sent", path)
	}
	return doubt, nil
}

// checkPages checks the pages that tx sees. They do not change while it lasts.
func (tx *Tx) checkPages() error {
	root := uint64(tx.bolt.Cursor().Bucket().RootPage())
	if err := checkPages(tx.db.file, root, uint64(tx.bolt.Size()/pageSize)); err != nil {
		return &Damage{File: tx.db.opt.Path, Err: err, What: "its pages"}
	}
	return nil
}
