package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Open opens the store at opt.Path, or makes it, with the tables of schema.
//
// A file of an older version is copied aside (FILE.v1) and brought up to date;
// a new index over old rows is filled; a file that is mostly free is made
// smaller. Errors: ErrInUse, ErrDamaged, ErrFuture, and those of the file
// system. After ErrDamaged and ErrFuture the file is as it was.
func Open(opt Options, schema ...Schema) (*DB, error) {
	return open(opt, migrations, schema)
}

func open(opt Options, steps []step, schema []Schema) (_ *DB, err error) {
	if opt.Path == "" {
		return nil, errors.New("store: Options.Path is empty")
	}
	names := map[string]bool{string(metaBucket): true, string(asideBucket): true}
	for _, s := range schema {
		for _, name := range s.names() {
			if names[name] {
				return nil, fmt.Errorf("store: the name %s was given to Open twice", name)
			}
			names[name] = true
		}
	}
	if opt.Timeout <= 0 {
		opt.Timeout = defaultTimeout
	}
	if opt.MaxBatch <= 0 {
		opt.MaxBatch = defaultMaxBatch
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	db := &DB{
		opt:       opt,
		log:       opt.Log,
		schema:    schema,
		names:     names,
		wake:      make(chan struct{}, 1),
		committed: make(chan struct{}),
		idle:      make(chan struct{}),
	}
	fresh, err := db.acquire()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.abandon())
		}
	}()
	if !fresh {
		if err := db.inspect(); err != nil {
			return nil, err
		}
	}
	if db.bolt, err = openBolt(db.file, opt); err != nil {
		return nil, err
	}
	// Reading can still meet damage: bbolt panics.
	if err := sound(opt.Path, func() error { return db.prepare(steps, fresh) }); err != nil {
		return nil, err
	}
	db.reserve()
	go db.committer()
	return db, nil
}

// prepare brings an open file to the state in which work can begin.
func (db *DB) prepare(steps []step, fresh bool) error {
	if err := db.migrate(steps, fresh); err != nil {
		return err
	}
	if err := db.compact(); err != nil {
		return err
	}
	if err := db.setUp(); err != nil {
		return err
	}
	if fresh {
		return db.publish()
	}
	return db.findLastAside()
}

// newSuffix marks a store that is being made. It gets its name when it is
// whole, so that a power cut never leaves half a store under that name.
const newSuffix = ".new"

// acquire opens and locks the file, which is db.file from then on. fresh: it
// is new, and bears its name with newSuffix.
func (db *DB) acquire() (fresh bool, err error) {
	path := db.opt.Path
	deadline := time.Now().Add(db.opt.Timeout)
	for {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if fresh = errors.Is(err, fs.ErrNotExist); fresh {
			f, err = os.OpenFile(path+newSuffix, os.O_RDWR|os.O_CREATE, 0o600)
		}
		if err != nil {
			return false, fmt.Errorf("store: open: %w", err)
		}
		ours, err := db.lock(f, deadline)
		if err == nil && ours && fresh {
			ours, err = db.stillAbsent(f)
		}
		if err == nil && ours {
			err = f.Chmod(0o600)
		}
		if err == nil && ours {
			db.file = f
			return fresh, nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return false, err
		}
		// The name changed hands while we waited: look again.
	}
}

// lockRetry is the pause between two tries for the lock.
const lockRetry = 50 * time.Millisecond

// lock takes the lock that bbolt takes too. False: f got it, but is no longer
// the file of that name.
func (db *DB) lock(f *os.File, deadline time.Time) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return sameFile(f, f.Name())
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return false, fmt.Errorf("store: lock %s: %w", f.Name(), err)
		case time.Now().After(deadline):
			return false, fmt.Errorf("%w: %s was locked for %s; is the daemon running?", ErrInUse, db.opt.Path, db.opt.Timeout)
		default:
			time.Sleep(lockRetry)
		}
	}
}

// sameFile says whether f is the file that name names.
func sameFile(f *os.File, name string) (bool, error) {
	have, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	named, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	return os.SameFile(have, named), nil
}

// stillAbsent makes sure that nobody made the store while we went for f, and
// empties what an interrupted beginning left there.
func (db *DB) stillAbsent(f *os.File) (bool, error) {
	_, err := os.Stat(db.opt.Path)
	if err == nil {
		return false, os.Remove(f.Name())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("store: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	return true, nil
}

// initialMap is how much address space is taken at once: 8 GB, or 512 MB on a
// 32-bit board. Nothing is read for it. As long as the file fits, the writer
// need not map it anew, for which it would wait for all readers.
const initialMap = 1 << (29 + 4*(^uint(0)>>63))

func openBolt(f *os.File, opt Options) (b *bolt.DB, err error) {
	err = sound(opt.Path, func() error {
		b, err = bolt.Open(f.Name(), 0o600, &bolt.Options{
			OpenFile:        only(f),
			Timeout:         opt.Timeout,
			PageSize:        pageSize,
			InitialMmapSize: initialMap,
			NoSync:          opt.NoSync,
			NoGrowSync:      opt.NoSync,
			NoFreelistSync:  true, // else each commit after a drained backlog writes the whole list
			FreelistType:    bolt.FreelistMapType,
		})
		if err != nil {
			return fmt.Errorf("store: open %s: %w", opt.Path, err)
		}
		return nil
	})
	return b, err
}

// only is an os.OpenFile that knows one file, which is open.
func only(f *os.File) func(string, int, os.FileMode) (*os.File, error) {
	return func(name string, _ int, _ os.FileMode) (*os.File, error) {
		if f == nil || name != f.Name() {
			return nil, fmt.Errorf("store: bbolt wants to open %s", name)
		}
		given := f
		f = nil
		return given, nil
	}
}

// sound runs fn and makes damage of a panic of bbolt, or of a fault in the
// mapped file.
func sound(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = panicError(path, v)
			if !errors.Is(err, ErrDamaged) {
				err = &Damage{File: path, What: fmt.Sprint(v)}
			}
		}
	}()
	return fn()
}

// abandon closes what a failed Open opened.
func (db *DB) abandon() error {
	if db.bolt == nil {
		if err := db.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err // bbolt closes it when it fails by itself
		}
		return nil
	}
	return db.bolt.Close()
}

// publish gives a new store its name.
func (db *DB) publish() error {
	if err := db.bolt.Sync(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return rename(db.opt.Path+newSuffix, db.opt.Path)
}

// rename moves a file within its folder, durably.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // file systems of USB sticks cannot
	}
	if err = errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
