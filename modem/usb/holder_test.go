package usb

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// desk is a folder with processes, devices and locks.
type desk struct {
	t               *testing.T
	proc, dev, lock string
}

func newDesk(t *testing.T) *desk {
	root := t.TempDir()
	d := &desk{t, filepath.Join(root, "proc"), filepath.Join(root, "dev"), filepath.Join(root, "lock")}
	for _, dir := range []string{d.proc, d.dev, d.lock} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *desk) write(path, text string) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// process runs with its arguments and holds some files.
func (d *desk) process(pid int, name, cmdline string, open ...string) {
	d.t.Helper()
	dir := filepath.Join(d.proc, fmt.Sprint(pid))
	d.write(filepath.Join(dir, "comm"), name+"\n")
	d.write(filepath.Join(dir, "cmdline"), cmdline)
	if err := os.Mkdir(filepath.Join(dir, "fd"), 0o755); err != nil {
		d.t.Fatal(err)
	}
	for n, file := range open {
		if err := os.Symlink(file, filepath.Join(dir, "fd", fmt.Sprint(n+3))); err != nil {
			d.t.Fatal(err)
		}
	}
}

func TestWhoHoldsAPort(t *testing.T) {
	d := newDesk(t)
	port := filepath.Join(d.dev, "ttyUSB2")
	d.write(port, "")
	link := filepath.Join(d.dev, "modem")
	if err := os.Symlink(port, link); err != nil {
		t.Fatal(err)
	}
	d.process(7, "sh", "sh\x00")
	d.process(12, "gammu-smsd", "/usr/bin/gammu-smsd\x00--daemon\x00", "/dev/null", port)
	d.process(13, "kthread", "") // a thread of the kernel has no command line
	d.process(14, "cat", "cat\x00x\x00", filepath.Join(d.dev, "ttyUSB3"))

	smsd := Holder{PID: 12, Command: "/usr/bin/gammu-smsd --daemon"}
	check := func(what, device string, want ...Holder) {
		t.Helper()
		if got := Holders(device, d.proc, d.lock); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	check("open", port, smsd)
	check("open under its real name", link, smsd)
	check("nobody", filepath.Join(d.dev, "ttyUSB4"))

	lock := filepath.Join(d.lock, "LCK..ttyUSB2")
	d.write(lock, "        12\n")
	check("open and locked", port, Holder{PID: 12, Command: smsd.Command, Lock: lock})
	d.write(lock, "         7\n")
	check("open by one, locked by another", port, smsd, Holder{PID: 7, Command: "sh", Lock: lock})
	d.write(lock, "      4711\n")
	check("locked by one that has ended", port, smsd, Holder{PID: 4711, Lock: lock, Gone: true})
	d.write(lock, string(binary.NativeEndian.AppendUint32(nil, 7)))
	check("locked with a pid in four bytes", port, smsd, Holder{PID: 7, Command: "sh", Lock: lock})
	d.write(lock, "no number")
	check("a lock without a pid", port, smsd, Holder{Lock: lock, Gone: true})
}

func TestProgramsOfThisMachine(t *testing.T) {
	me := os.Getpid()
	i := slices.IndexFunc(Programs("/proc"), func(p Program) bool { return p.PID == me })
	if i < 0 {
		t.Error("this test does not run")
	}
	if Programs(t.TempDir()) != nil || Programs("/nowhere") != nil {
		t.Error("an empty folder has processes")
	}
}
