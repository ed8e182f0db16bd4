package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// compactAbove is the free space from which on it is worth to make a file
// smaller that is more than half free. bbolt never gives anything back.
const compactAbove = 8 << 20

const (
	compactSuffix = ".compact"
	compactChunk  = 1 << 20 // bytes in one transaction of the copy
)

// compact replaces a mostly free file by a copy without the free pages. The
// copy is complete and synced before it takes the name: a power cut leaves
// the one or the other.
func (db *DB) compact() error {
	temp := db.opt.Path + compactSuffix
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	size, free, err := db.size()
	if err != nil {
		return err
	}
	if free <= compactAbove || free <= size/2 {
		return nil
	}
	room, _, err := space(filepath.Dir(temp))
	if err != nil {
		return err
	}
	if room < 2*(size-free)+minMark {
		db.log.Warn("the store is mostly free, but there is no room for a smaller copy", "file", db.opt.Path, "free", room)
		return nil
	}

	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("store: compact: %w", err)
	}
	opt := db.opt
	opt.Path, opt.NoSync = temp, true // one sync at the end
	b, err := openBolt(f, opt)
	if err != nil {
		return errors.Join(fmt.Errorf("store: compact: %w", err), os.Remove(temp))
	}
	err = bolt.Compact(b, db.bolt, compactChunk)
	if err == nil {
		err = b.Sync()
	}
	if err == nil {
		err = rename(temp, db.opt.Path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("store: compact %s: %w", db.opt.Path, err), b.Close())
	}
	// The copy is the store now, locked since it was made. The old file goes.
	old := db.bolt
	db.bolt, db.file = b, f
	b.NoSync, b.NoGrowSync = db.opt.NoSync, db.opt.NoSync
	if err := old.Close(); err != nil {
		return fmt.Errorf("store: compact: %w", err)
	}
	db.log.Info("the store was made smaller", "file", db.opt.Path, "from", size, "to", size-free)
	return nil
}

// size returns the bytes up to the last page in use, and how many of them are
// free.
func (db *DB) size() (size, free int64, err error) {
	err = db.bolt.View(func(tx *bolt.Tx) error {
		size = tx.Size()
		return nil
	})
	s := db.bolt.Stats()
	return size, int64(s.FreePageN+s.PendingPageN) * pageSize, err
}
