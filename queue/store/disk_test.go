package store

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
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
	return &thing{ID: n, Pool: "sms", Due: time.Unix(int64(n), 0), Text: strings.Repeat("x", 3000)}
}

// TestFullDisk fills the disk to the last byte.
func TestFullDisk(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string, mounted bool) {
		path := filepath.Join(dir, "test.db")
		db, tab := openThings(t, Options{Path: path})
		tab.put(t, db, *big(1))
		var n uint64
		var err error
		for n = 2; err == nil && n < 1e6; n++ {
			err = db.Commit(t.Context(), func(tx *Tx) error { return tab.Put(tx, big(n)) })
		}
		n -= 2 // the last that was accepted
		if !errors.Is(err, ErrDiskLow) || mounted && !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
			t.Fatalf("after %d rows: %v", n, err)
		}
		if low, ok := errors.AsType[*LowDisk](db.Room()); mounted && (!ok || low.Need != minMark || low.Free >= minMark) {
			t.Errorf("room: %v", db.Room())
		}

		// Nothing that was accepted is lost, and nothing else is there.
		if got := len(texts(t, db, tab)); got != int(n) {
			t.Errorf("%d rows of %d", got, n)
		}
		// The rest can still be worked off: pages that are free are used again.
		for id := uint64(1); id <= n; id += 2 {
			err := db.Commit(t.Context(), func(tx *Tx) error { return tab.Delete(tx, U64(id)) })
			if err != nil && !errors.Is(err, ErrDiskLow) {
				t.Fatalf("delete of row %d: %v", id, err)
			}
		}
		left := len(texts(t, db, tab))
		if left > int(n)/2+50 {
			t.Errorf("%d rows are left of %d, of which half were to go", left, n)
		}
		for id := range uint64(50) {
			tab.put(t, db, *big(1e6 + id))
		}
		must(t, db.Close())
		db, tab = openThings(t, Options{Path: path})
		if got := len(texts(t, db, tab)); got != left+50 {
			t.Errorf("%d rows after opening again, want %d", got, left+50)
		}
	})
}

// TestMarkLeavesRoomForWhatWasAccepted: who asks Room before each new row
// never meets a full disk with the old ones.
func TestMarkLeavesRoomForWhatWasAccepted(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string, mounted bool) {
		if !mounted {
			return // Room cannot see a limit; TestRoom has the rest
		}
		db, tab := openThings(t, Options{Path: filepath.Join(dir, "test.db")})
		accepted := uint64(0)
		for db.Room() == nil {
			accepted++
			tab.put(t, db, *big(accepted))
			db.room.forget() // a second of filling is more than this disk has
		}
		if accepted < 1000 {
			t.Errorf("only %d rows were accepted", accepted)
		}
		for round := range 4 {
			for id := uint64(1); id <= accepted; id += 7 {
				must(t, db.Commit(t.Context(), func(tx *Tx) error {
					_, err := tab.Update(tx, U64(id), func(v *thing) error {
						v.Due = v.Due.Add(time.Duration(round) * time.Hour)
						return nil
					})
					return err
				}))
			}
		}
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
		if low, ok := errors.AsType[*LowDisk](err); ok && (low.Need != c.mark || low.Free <= 0 || !strings.Contains(err.Error(), "make room")) {
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
	db, tab := openThings(t, Options{Path: path})
	tab.put(t, db, thing{ID: 1, Text: "sure"})
	err := db.Commit(t.Context(), func(tx *Tx) error {
		must(t, tab.Put(tx, &thing{ID: 2, Text: "unsure"}))
		tx.bolt.OnCommit(func() { panic("the disk went away") }) // after the header was written
		return nil
	})
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
}
