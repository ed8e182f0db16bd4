package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
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
	h, bad, err := headers(f)
	size := int64(h.high) * pageSize
	switch {
	case err != nil:
		return "", fmt.Errorf("store: read %s: %w", path, err)
	case bad == 2:
		return "", &Damage{File: path, What: "neither of its two headers can be read, or it is no store"}
	case h.high > uint64(info.Size()) || size > info.Size():
		return "", &Damage{File: path, What: fmt.Sprintf("it is cut off: %d bytes are left, %d pages of %d were in use", info.Size(), h.high, pageSize)}
	}
	err = mapped(f, path, size, func(data []byte) error { return checkPages(data, h.root, h.free) })
	if err == nil && bad == 1 {
		doubt = fmt.Sprintf("store: one of the two headers of %s cannot be read. If the power failed in the middle of a write this is harmless; else the last change is lost. Compare the last messages with what was sent", path)
	}
	return doubt, err
}

// checkPages checks the pages that tx sees. They do not change while it lasts.
func (tx *Tx) checkPages() error {
	root := uint64(tx.bolt.Cursor().Bucket().RootPage())
	return mapped(tx.db.file, tx.db.opt.Path, tx.bolt.Size(), func(data []byte) error {
		return checkPages(data, root, noFreeList)
	})
}

// mapped maps the pages in use, which are size bytes of f, for fn. What fn
// finds is damage, and so is a page that cannot be read, which is a fault of
// the machine.
func mapped(f *os.File, path string, size int64, fn func(data []byte) error) error {
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("store: map %s: %w", path, err)
	}
	err = sound(path, func() error {
		if err := fn(data); err != nil {
			return &Damage{File: path, What: "its pages", Err: err}
		}
		return nil
	})
	if uerr := syscall.Munmap(data); uerr != nil {
		err = errors.Join(err, fmt.Errorf("store: unmap %s: %w", path, uerr))
	}
	return err
}
