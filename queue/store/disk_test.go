package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The tests of a full disk run in a child process, which can have what the
// test process must not: a small disk of its own (a tmpfs in a mount
// namespace) or, where the kernel refuses that, a limit on the size of files.
const smallDiskEnv = "TILLPOST_STORE_TEST_SMALL_DISK"

const smallDisk = 24 << 20

// onSmallDisk runs the rest of the calling test in a child process, with a
// folder on a small disk. mounted: it is a disk of its own.
func onSmallDisk(t *testing.T, rest func(t *testing.T, dir string, mounted bool)) {
	if how := os.Getenv(smallDiskEnv); how != "" {
		rest(t, smallDiskHere(t, how), how == "mount")
		return
	}
	child := func(how string, attr *syscall.SysProcAttr) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), smallDiskEnv+"="+how)
		cmd.SysProcAttr = attr
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := child("mount", attr)
	if errors.Is(err, syscall.EPERM) || strings.Contains(out, cannotMount) {
		t.Log("no disk can be mounted here; a limit on the size of files does instead")
		out, err = child("limit", nil)
	}
	if err != nil || !strings.Contains(out, "--- PASS: "+t.Name()) {
		t.Errorf("in the child: %v\n%s", err, out)
	}
}

const cannotMount = "a mount is not allowed here"

func smallDiskHere(t *testing.T, how string) string {
	dir := t.TempDir()
	if how == "limit" {
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: smallDisk, Max: smallDisk}
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		return dir
	}
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		t.Fatal(cannotMount, err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Fatal(cannotMount, err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	return dir
}

func big(n uint64) *thing {
	return &thing{ID: n, Pool: "sms", Due: time.Unix(int64(n), 0), Text: strings.Repeat("x", 30000)}
}

// fillUp has another program take what is left of the disk, and returns what
// gives it back.
func fillUp(t *testing.T, dir string) (giveBack func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	must(t, err)
	for _, chunk := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, chunk))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(path)) }
}

// TestFullDisk goes on accepting until the disk is full, as nobody should.
func TestFullDisk(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string, mounted bool) {
		path := filepath.Join(dir, "test.db")
		giveBack := func() {}
		if mounted {
			must(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 4<<20), 0o600))
			giveBack = func() { must(t, os.Remove(filepath.Join(dir, "ballast"))) }
		}
		db, tab := openThings(t, Options{Path: path})
		var n uint64
		var err error
		for n = 1; err == nil && n < 1e5; n++ {
			err = db.Commit(t.Context(), func(tx *Tx) error { return tab.Put(tx, big(n)) })
		}
		n -= 2 // the last that was accepted
		if !errors.Is(err, ErrDiskLow) || mounted && !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
			t.Fatalf("after %d rows: %v", n, err)
		}
		if low, ok := errors.AsType[*LowDisk](db.Room()); mounted && (!ok || low.Need < minMark || low.Free >= minMark) {
			t.Errorf("room: %v", db.Room())
		}
		if got := len(texts(t, db, tab)); got != int(n) {
			t.Errorf("%d rows, %d were accepted", got, n)
		}
		must(t, db.Check())

		giveBack()
		if !mounted { // a limit on files gives nothing back, but what is deleted
			for err = ErrDiskLow; errors.Is(err, ErrDiskLow); n-- {
				err = db.Commit(t.Context(), func(tx *Tx) error { return tab.Delete(tx, U64(n)) })
			}
			must(t, err)
		}
		tab.put(t, db, thing{ID: 1e6})
		must(t, db.Close())
		db, tab = openThings(t, Options{Path: path})
		if got := len(texts(t, db, tab)); got != int(n)+1 {
			t.Errorf("%d rows after opening again, want %d", got, n+1)
		}
	})
}

// TestWhatWasAcceptedGoesOutOnFullDisk asks Room before each new row, as the
// intake does. When it says no, others fill the rest of the disk: what is there
// can still be worked off, one by one and in groups.
func TestWhatWasAcceptedGoesOutOnFullDisk(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string, mounted bool) {
		if !mounted {
			return // Room cannot see a limit
		}
		db, tab := openThings(t, Options{Path: filepath.Join(dir, "test.db")})
		var ids []uint64
		for id := uint64(1); db.Room() == nil; id++ {
			tab.put(t, db, *big(id))
			ids = append(ids, id)
			db.room.forget() // this disk is full within a second
		}
		if len(ids) < 100 {
			t.Fatalf("only %d rows were accepted", len(ids))
		}
		giveBack := fillUp(t, dir)

		settle := func(id uint64) error {
			return db.Commit(context.Background(), func(tx *Tx) error {
				_, err := tab.Update(tx, U64(id), func(v *thing) error { v.Due = v.Due.Add(time.Hour); return nil })
				return err
			})
		}
		for _, id := range ids[:50] {
			must(t, settle(id))
		}
		h := newHerd(t, db)
		var outcomes []*outcome
		for _, id := range ids[50:] { // a change in every leaf: more at once than is reserved
			outcomes = append(outcomes, h.add(t.Context(), func(tx *Tx) error {
				_, err := tab.Update(tx, U64(id), func(v *thing) error { v.Text = v.Text[1:] + "y"; return nil })
				return err
			}))
		}
		h.run()
		for i, o := range outcomes {
			if o.err != nil {
				t.Errorf("row %d in a group: %v", ids[50+i], o.err)
			}
		}
		for _, id := range ids {
			must(t, db.Commit(t.Context(), func(tx *Tx) error { return tab.Delete(tx, U64(id)) }))
		}
		giveBack()
	})
}

// TestReserve has others fill the disk when the store has no free page to
// speak of. The next change, larger than any before, goes to what is reserved.
func TestReserve(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string, mounted bool) {
		if !mounted {
			return // a limit is not filled by others
		}
		db, tab := openThings(t, Options{Path: filepath.Join(dir, "test.db")})
		tab.put(t, db, *big(1))
		if free := db.Stats().Free; free > reserved/4 {
			t.Fatalf("%d bytes are free", free)
		}
		giveBack := fillUp(t, dir)
		tab.put(t, db, thing{ID: 2, Text: strings.Repeat("y", reserved/2)})
		giveBack()
		tab.put(t, db, thing{ID: 3}) // and takes a new reserve
		if size := db.Stats().Size; db.room.reservedTo < size+reserved/2 {
			t.Errorf("reserved up to %d of a store of %d bytes", db.room.reservedTo, size)
		}
	})
}

// TestWhatIsOwedCanBeWrittenOnFullDisk tells the store that its rows will come
// to take 4 MB more. Others then fill the disk, and the 4 MB are there.
func TestWhatIsOwedCanBeWrittenOnFullDisk(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string, mounted bool) {
		if !mounted {
			return // a limit is not filled by others
		}
		db, tab := openThings(t, Options{Path: filepath.Join(dir, "test.db")})
		var debt atomic.Int64
		db.Owe(debt.Load)
		debt.Store(4 << 20)
		tab.put(t, db, *big(1))
		giveBack := fillUp(t, dir)
		for written := int64(0); debt.Load() > 0; written += 32 << 10 {
			debt.Add(-32 << 10)
			tab.put(t, db, *big(uint64(2 + written)))
		}
		giveBack()

		tab.put(t, db, thing{ID: 9})
		debt.Store(1 << 40)
		if low, ok := errors.AsType[*LowDisk](db.Room()); !ok || low.Need < 1<<40 {
			t.Errorf("with a debt of a terabyte: %v", db.Room())
		}
		debt.Store(0)
		must(t, db.Room()) // what is owed counts at once, though the disk is not asked again
	})
}

func TestRoom(t *testing.T) {
	free, size, err := space(t.TempDir())
	must(t, err)
	if free <= 0 || size < free {
		t.Fatalf("%d bytes free of %d", free, size)
	}
	for _, c := range []struct {
		name string
		mark int64
		low  bool
	}{
		{"more than there is", 1 << 60, true},
		{"a byte", 1, false},
		{"off", -1, false},
	} {
		db, _ := openThings(t, Options{MinFree: c.mark})
		err := db.Room()
		if c.low != errors.Is(err, ErrDiskLow) || !c.low && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if low, ok := errors.AsType[*LowDisk](err); ok && (low.Need != c.mark || low.Free <= 0 || !strings.Contains(err.Error(), "make room there")) {
			t.Errorf("%s: %+v, %v", c.name, low, err)
		}
	}
}

// TestRoomAsksOncePerSecond counts in a file system that is not there.
func TestRoomAsksOncePerSecond(t *testing.T) {
	var r room
	must(t, r.check(t.TempDir(), 1))
	must(t, r.check(filepath.Join(t.TempDir(), "none"), 1)) // not asked
	r.forget()
	if err := r.check(filepath.Join(t.TempDir(), "none"), 1); err == nil {
		t.Error("the file system was not asked again")
	}
}

// TestUnknownFateSealsTheStore has a commit fail after its header reached the
// file: what bbolt then shows to readers may never be on the disk.
func TestUnknownFateSealsTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, tab := openThings(t, Options{Path: path, MaxBatch: 1}) // each waits for a commit of its own
	tab.put(t, db, thing{ID: 1, Text: "sure"})
	h := newHerd(t, db)
	unsure := h.add(t.Context(), func(tx *Tx) error {
		must(t, tab.Put(tx, &thing{ID: 2, Text: "unsure"}))
		tx.bolt.OnCommit(func() { panic("the disk went away") }) // after the header was written
		return nil
	})
	waiting := h.add(t.Context(), func(tx *Tx) error { return tab.Put(tx, &thing{ID: 9, Text: "too late"}) })
	h.run()
	err := unsure.err
	if !errors.Is(waiting.err, ErrSealed) {
		t.Errorf("who waited was told %v", waiting.err)
	}
	if !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restart") {
		t.Errorf("told %v", err)
	}
	if err := db.Commit(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrSealed) {
		t.Errorf("the next was told %v", err)
	}
	if got := texts(t, db, tab); len(got) == 0 {
		t.Error("nothing can be read any more")
	}
	must(t, db.Close())
	db, tab = openThings(t, Options{Path: path})
	tab.put(t, db, thing{ID: 3})
	for _, text := range texts(t, db, tab) {
		if text == "too late" {
			t.Error("something was written after the seal")
		}
	}
}
