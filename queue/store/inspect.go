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
	err = mapped(f, path, info.Size(), func(data []byte) error {
		h, bad := headers(data)
		if bad == 2 {
			return &Damage{File: path, What: "neither of its two headers can be read, or it is no store"}
		}
		size := int64(h.high) * pageSize
		if h.high > uint64(info.Size()) || size > info.Size() {
			return &Damage{File: path, What: fmt.Sprintf("it is cut off: %d bytes are left, %d pages of %d were in use", info.Size(), h.high, pageSize)}
		}
		if bad == 1 {
			doubt = fmt.Sprintf("store: one of the two headers of %s cannot be read. If the power failed in the middle of a write this is harmless; else the last change is lost. Compare the last messages with what was sent", path)
		}
		if err := checkPages(data[:size], h.root, h.free); err != nil {
			return &Damage{File: path, What: "its pages", Err: err}
		}
		return nil
	})
	return doubt, err
}

// checkPages checks the pages that tx sees. They do not change while it lasts.
func (tx *Tx) checkPages() error {
	root := uint64(tx.bolt.Cursor().Bucket().RootPage())
	path := tx.db.opt.Path
	return mapped(tx.db.file, path, tx.bolt.Size(), func(data []byte) error {
		if err := checkPages(data, root, noFreeList); err != nil {
			return &Damage{File: path, What: "its pages", Err: err}
		}
		return nil
	})
}

// mapped maps the first size bytes of f for fn. A page that cannot be read
// there, which is a fault of the machine, is damage.
func mapped(f *os.File, path string, size int64, fn func(data []byte) error) error {
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("store: map %s: %w", path, err)
	}
	err = sound(path, func() error { return fn(data) })
	if uerr := syscall.Munmap(data); uerr != nil {
		err = errors.Join(err, fmt.Errorf("store: unmap %s: %w", path, uerr))
	}
	return err
}
