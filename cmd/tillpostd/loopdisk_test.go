package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// loopDisk is an ext4 file system in a file, mounted through a loop device.
//
// Copied at a moment, that file is what a power cut at that moment leaves. The
// loop device does direct I/O: it has no cache of its own, so the file holds
// exactly what the file system has handed to its disk by then. What was still
// in the computer's memory, the page cache above the loop device, is not in it;
// and that is what a power cut takes. The disk of this test keeps all it was
// handed. One whose own cache dies with the power keeps only what it was told to
// flush; a program that writes and never has it flushed is not found out here.
//
// The copy would be of no moment if something were written while it is made;
// so the program that writes is stopped, and a copy during which the device
// has counted a write is made again.
type loopDisk struct {
	t      testing.TB
	file   string // the backing file
	dir    string // where it is mounted
	device string // /dev/loopN
}

// noLoopDisk says why no loop device can be mounted here, or "". Where it says
// nothing a failure is a failure.
func noLoopDisk(t testing.TB) string {
	t.Helper()
	const sysAdmin = 21 // CAP_SYS_ADMIN, capabilities(7)
	caps, err := strconv.ParseUint(procWord(t, os.Getpid(), "status", "CapEff:"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	if caps&(1<<sysAdmin) == 0 {
		return "mounting wants root"
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "there are no loop devices: " + err.Error()
	}
	control.Close()
	return ""
}

// notRun is the outcome of a test that wants a loop device where there is none:
// neither passed nor skipped. make test counts it by this word (cross/report).
// Where CI runs as root there must be one.
func notRun(t testing.TB, what, why string) {
	t.Helper()
	if os.Getenv("TILLPOST_CI") == "1" && os.Geteuid() == 0 {
		t.Fatalf("%s: not run, and CI must run it: %s", what, why)
	}
	t.Logf("%s: not run: %s", what, why)
}

// newLoopDisk makes a file system of so many MB and mounts it at dir. All of
// it is for everybody (-m 0), and nothing is initialised behind our back.
func newLoopDisk(t testing.TB, dir string, mb int) *loopDisk {
	t.Helper()
	d := &loopDisk{t: t, file: filepath.Join(t.TempDir(), "disk")}
	f, err := os.OpenFile(d.file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(mb)<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	sudo(t, "mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.file)
	d.mount(dir)
	return d
}

// mount gives the file a loop device and mounts it. Mounting is what repairs
// the file system by its journal.
func (d *loopDisk) mount(dir string) {
	d.t.Helper()
	d.dir = dir
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	d.device = strings.TrimSpace(sudo(d.t, "losetup", "--direct-io=on", "--find", "--show", d.file))
	d.t.Cleanup(d.unmount)
	sudo(d.t, "mount", "-t", "ext4", d.device, d.dir)
}

// unmount is repeatable: the end of the test does it once more.
func (d *loopDisk) unmount() {
	if d.device == "" {
		return
	}
	device := d.device
	d.device = ""
	if out, err := exec.Command("umount", d.dir).CombinedOutput(); err != nil {
		d.t.Errorf("umount %s: %v: %s", d.dir, err, out)
	}
	if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
		d.t.Errorf("losetup --detach %s: %v: %s", device, err, out)
	}
}

// remove deletes the file of a disk that is not mounted.
func (d *loopDisk) remove() {
	d.t.Helper()
	if err := os.Remove(d.file); err != nil {
		d.t.Fatal(err)
	}
}

// cut copies the disk as it is now. Whoever writes to it has been stopped.
func (d *loopDisk) cut() *loopDisk {
	d.t.Helper()
	c := &loopDisk{t: d.t, file: filepath.Join(d.t.TempDir(), "copy")}
	for tries := 0; ; tries++ {
		before := d.writes()
		copyFile(d.t, d.file, c.file)
		if d.writes() == before {
			return c
		}
		if tries == 20 {
			d.t.Fatal("the kernel writes to the disk again and again: no copy of one moment can be made")
		}
	}
}

// writes counts what the device was told to write, and what it has in hand:
// fields 5 and 9 of its stat, and 16 for flushes
// (Documentation/block/stat.rst in the kernel's source).
func (d *loopDisk) writes() string {
	d.t.Helper()
	f := d.stat()
	return fmt.Sprint(f[4], f[8], f[15])
}

func (d *loopDisk) stat() []string {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(d.device), "stat"))
	if err != nil {
		d.t.Fatal(err)
	}
	f := strings.Fields(string(data))
	if len(f) < 16 {
		d.t.Fatalf("%s has the stat %q", d.device, data)
	}
	return f
}

// written counts the bytes that have reached the device (field 7 of its stat, in
// sectors of 512 bytes), with everything the file system still held.
func (d *loopDisk) written() int64 {
	d.t.Helper()
	sudo(d.t, "sync", "--file-system", d.dir)
	n, err := strconv.ParseInt(d.stat()[6], 10, 64)
	if err != nil {
		d.t.Fatal(err)
	}
	return n * 512
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// sudo runs a program that only root may, or has in its path.
func sudo(t testing.TB, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path = filepath.Join("/usr/sbin", program)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}
