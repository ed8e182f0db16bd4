package store

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// LowDisk says how much room there is on the disk and how much is needed for
// something new. It is an ErrDiskLow.
type LowDisk struct {
	Free, Need int64 // bytes
}

func (l *LowDisk) Error() string {
	return fmt.Sprintf("store: %d MB are free on the disk, %d MB are needed; make room there", l.Free>>20, l.Need>>20)
}

func (l *LowDisk) Is(target error) bool { return target == ErrDiskLow }

// Room says whether the disk has room for new work: nil, or a *LowDisk. What
// was accepted goes on below that mark, in the room that the mark kept free.
// The disk is asked at most once a second.
func (db *DB) Room() error {
	if db.opt.MinFree < 0 {
		return nil
	}
	return db.room.check(filepath.Dir(db.opt.Path), db.opt.MinFree)
}

// Bounds of the default mark, which is 2 % of the file system.
const (
	minMark = 4 << 20
	maxMark = 64 << 20
	roomAge = time.Second
)

// room remembers the last answer of the file system.
type room struct {
	mu    sync.Mutex
	asked time.Time
	low   error
}

func (r *room) check(dir string, need int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := time.Since(r.asked); age >= 0 && age < roomAge {
		return r.low
	}
	free, size, err := space(dir)
	if err != nil {
		return err
	}
	r.asked, r.low = time.Now(), nil
	if need := mark(size, need); free < need {
		r.low = &LowDisk{Free: free, Need: need}
	}
	return r.low
}

// mark is how much must be free on a file system of that size: what was asked
// for, or the default.
func mark(size, asked int64) int64 {
	if asked > 0 {
		return asked
	}
	return min(max(size/50, minMark), maxMark)
}

// forget has the next check ask again.
func (r *room) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = time.Time{}
}

// space asks how much a normal user can still write, and the whole size.
func space(dir string) (free, size int64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("store: free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), int64(fs.Blocks) * int64(fs.Bsize), nil
}

// reserved is how much room the file has beyond what it uses. Holes of a file
// are not room: on a full disk they cannot be written. With this much, what
// was accepted can still be worked off when others have filled the disk.
const reserved = 1 << 20

// reserve takes the room beyond the end once half of it is used. It is tried
// again after each commit on a full disk, and where the file system cannot.
func (db *DB) reserve() {
	if db.opt.NoSync {
		return
	}
	size, _, err := db.size()
	if err != nil || size+reserved/2 <= db.reservedTo {
		return
	}
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE: bbolt grows the file itself
	err = syscall.Fallocate(int(db.file.Fd()), keepSize, size, reserved)
	if err == nil {
		db.reservedTo = size + reserved
	}
}
