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
// was accepted goes on below that mark, in room that is the store's already
// (see Owe). The disk is asked at most once a second; what was accepted since
// then counts at once.
func (db *DB) Room() error {
	if db.opt.MinFree < 0 {
		return nil
	}
	return db.room.check(filepath.Dir(db.opt.Path), db.opt.MinFree)
}

// Owe tells how many bytes the rows that are there will still come to take,
// because of what must yet be written about them. The store takes that room
// beforehand: then it can be written when others have filled the disk. growth
// is called often and must be quick.
func (db *DB) Owe(growth func() int64) {
	db.room.mu.Lock()
	db.room.owed = growth
	db.room.mu.Unlock()
	db.reserve()
}

// Bounds of the default mark, which is 2 % of the file system.
const (
	minMark = 4 << 20
	maxMark = 64 << 20
	roomAge = time.Second
)

// room remembers the last answer of the file system, and what the store has
// taken of it.
type room struct {
	mu         sync.Mutex
	asked      time.Time
	free, size int64 // of the file system, then

	owed       func() int64 // see Owe; nil: nothing
	end, inner int64        // of the file: behind the last page in use, and free pages before that
	reservedTo int64        // see reserve
}

func (r *room) check(dir string, asked int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := time.Since(r.asked); age < 0 || age >= roomAge {
		free, size, err := space(dir)
		if err != nil {
			return err
		}
		r.asked, r.free, r.size = time.Now(), free, size
	}
	// What could not be taken beforehand must be free beside the mark.
	need := mark(r.size, asked) + max(0, r.wanted()-max(0, r.reservedTo-r.end))
	if r.free < need {
		return &LowDisk{Free: r.free, Need: need}
	}
	return nil
}

// wanted is how much room there should be beyond the end of the file.
func (r *room) wanted() int64 {
	if r.owed == nil {
		return reserved
	}
	return reserved + max(0, r.owed()-r.inner)
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

// reserved is how much room the file has beyond what it uses and owes. Holes of
// a file are not room: on a full disk they cannot be written. With this much,
// what was accepted can still be worked off when others have filled the disk.
const reserved = 1 << 20

// reserve takes the room beyond the end once half of what is beside the debt
// is used. It is called after each commit, and so tried again on a full disk,
// and where the file system cannot.
func (db *DB) reserve() {
	end, inner, err := db.size()
	if err != nil {
		return
	}
	r := &db.room
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end, r.inner = end, inner
	to := end + r.wanted()
	if db.opt.NoSync || to-reserved/2 <= r.reservedTo {
		return
	}
	from := max(end, r.reservedTo)
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE: bbolt grows the file itself
	if syscall.Fallocate(int(db.file.Fd()), keepSize, from, to-from) == nil {
		r.reservedTo = to
		r.free -= to - from // since it was asked
	}
}
