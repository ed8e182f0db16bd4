package modem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"

	"tillpost/modem/at"
)

// portError is a port that cannot be used as it is.
type portError struct {
	code   string // key of the plain text
	detail string
	err    error
}

func (e *portError) Error() string { return e.detail }
func (e *portError) Unwrap() error { return e.err }

// baud is a formality for USB modems, which ignore it.
const baud = 115200

// port does all I/O on a non-blocking file, whose deadlines work and whose
// Close frees what blocks. The serial library's own port is kept open beside
// it for the line's mode and its exclusive flag only: its Write has no
// deadline, and after Close would go to whatever file has the number then.
type port struct {
	*os.File
	tty    serial.Port
	unlock func()
}

func (p *port) Close() error {
	err := p.File.Close()
	if e := p.tty.Close(); err == nil {
		err = e
	}
	p.unlock()
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openPort opens the serial line for us alone. The error is a *portError.
func openPort(cfg Config) (at.Port, error) {
	path, err := filepath.EvalSymlinks(cfg.Port)
	if err != nil {
		return nil, refused(cfg.Port, err)
	}
	unlock, err := lockFile(cfg.LockDir, path)
	if err != nil {
		return nil, err
	}
	p := &port{unlock: unlock}
	// First: the exclusive flag, which keeps even us out, is set by the second.
	p.File, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		unlock()
		return nil, refused(path, err)
	}
	if err := flock(p.File); err != nil {
		p.File.Close()
		unlock()
		return nil, busy(path, err)
	}
	p.tty, err = serial.Open(path, &serial.Mode{BaudRate: baud})
	if err != nil {
		p.File.Close()
		unlock()
		return nil, refused(path, err)
	}
	for _, raise := range []func(bool) error{p.tty.SetDTR, p.tty.SetRTS} {
		if err := raise(true); err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
			p.Close()
			return nil, refused(path, err)
		} // a line without modem wires (a pseudo-terminal, some USB functions) has nothing to raise
	}
	return p, nil
}

// refused says in words why a port did not open.
func refused(path string, err error) *portError {
	e, isPort := errors.AsType[*serial.PortError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EIO):
		return &portError{"modem_gone", fmt.Sprintf("port %s is not there: plug the modem in, or correct the port", path), err}
	case errors.Is(err, syscall.EBUSY), isPort && e.Code() == serial.PortBusy:
		return busy(path, err)
	case errors.Is(err, fs.ErrPermission), isPort && e.Code() == serial.PermissionDenied:
		return &portError{"port_denied", fmt.Sprintf("port %s may not be opened by this user: add the user to the group dialout", path), err}
	case isPort && e.Code() == serial.InvalidSerialPort:
		return &portError{"port_wrong", fmt.Sprintf("port %s is not a serial line: correct the port", path), err}
	}
	return &portError{"modem_gone", fmt.Sprintf("port %s cannot be opened: %v", path, err), err}
}

func busy(path string, err error) *portError {
	who := holder(path)
	if who == "" {
		who = "another program"
	}
	return &portError{"port_busy", fmt.Sprintf("port %s is held by %s: stop it, or choose another port", path, who), err}
}

// flock keeps out a second process of ours; TIOCEXCL does not bind root.
func flock(f *os.File) error {
	raw, err := f.SyscallConn() // not Fd: that would make the file blocking
	if err != nil {
		return err
	}
	var locked error
	if err := raw.Control(func(fd uintptr) { locked = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return err
	}
	return locked
}

// lockFile places the lock that getty, minicom, smsd and gammu look for: a
// file LCK..ttyUSB2 with the holder's pid (FHS 3.0 §5.9). The one of a dead
// process is taken over.
func lockFile(dir, device string) (unlock func(), err error) {
	name := filepath.Join(dir, "LCK.."+strings.ReplaceAll(strings.TrimPrefix(device, "/dev/"), "/", "_"))
	none := func() {}
	for range 2 {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			_, err = fmt.Fprintf(f, "%10d\n", os.Getpid())
			if e := f.Close(); err == nil {
				err = e
			}
			if err != nil {
				os.Remove(name)
				return none, nil // no room for a courtesy: flock still holds
			}
			return func() { os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return none, nil // no such folder, or not ours to write
		}
		pid := lockedBy(name)
		if pid != 0 && pid != os.Getpid() && alive(pid) {
			return nil, &portError{"port_busy", fmt.Sprintf("port %s is held by %s (lock file %s): stop it, or choose another port", device, process(pid), name), err}
		}
		if pid == os.Getpid() {
			return none, nil // another modem of this daemon: flock decides
		}
		if err := os.Remove(name); err != nil {
			return none, nil
		}
	}
	return none, nil
}

func lockedBy(name string) int {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// holder names a process that has the device open, as far as we may look.
func holder(device string) string {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err != nil || to != device {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(l, "/")[2])
		if err == nil && pid != os.Getpid() {
			return process(pid)
		}
	}
	return ""
}

func process(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("%s (process %d)", strings.TrimSpace(string(name)), pid)
}
