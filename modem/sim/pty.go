package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OpenPTY makes a pseudo-terminal in raw mode: master is the modem's side,
// slavePath the device for the terminal. link, if not empty, becomes a
// symbolic link to the device; a link that is there already is replaced in one
// step, anything else in its place is an error.
//
// The master has deadlines, and Close frees a Read that waits. (creack/pty
// would hand out one in blocking mode, which has neither.)
func OpenPTY(link string) (master *os.File, slavePath string, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, "", fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	slavePath, err = unlock(master)
	if err == nil && link != "" {
		err = relink(slavePath, link)
	}
	if err != nil {
		return nil, "", errors.Join(err, master.Close())
	}
	return master, slavePath, nil
}

// unlock makes the other side of a master usable and raw, and names it.
func unlock(master *os.File) (slavePath string, err error) {
	var n int
	err = control(master, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("unlocking a pseudo-terminal: %w", err)
	}
	slavePath = fmt.Sprintf("/dev/pts/%d", n)
	// The terminal's mode lives as long as the master, so its own descriptor need not.
	slave, err := os.OpenFile(slavePath, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return "", fmt.Errorf("opening the other side of a pseudo-terminal: %w", err)
	}
	err = control(slave, makeRaw)
	if err := errors.Join(err, slave.Close()); err != nil {
		return "", fmt.Errorf("raw mode of %s: %w", slavePath, err)
	}
	return slavePath, nil
}

// control runs f with the descriptor of file, which stays in its mode.
func control(file *os.File, f func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) { inner = f(int(fd)) })
	return errors.Join(err, inner)
}

// makeRaw is cfmakeraw: no echo, no line editing, 8 bits, not a byte changed.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func relink(target, link string) error {
	old, err := os.Lstat(link)
	if err == nil && old.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("link %s: there is something that is not a symbolic link", link)
	}
	next := filepath.Join(filepath.Dir(link), fmt.Sprintf(".%s.%d", filepath.Base(link), os.Getpid()))
	if err := os.Symlink(target, next); err != nil {
		return fmt.Errorf("link %s: %w", link, err)
	}
	if err := os.Rename(next, link); err != nil {
		return fmt.Errorf("link %s: %w", link, errors.Join(err, os.Remove(next)))
	}
	return nil
}

// ServePTY serves the modem on a pseudo-terminal behind link until ctx ends.
// When the script unplugs the modem, terminal and link vanish, and come back
// under another device name. ready, if set, is told each device that is open.
func (m *Modem) ServePTY(ctx context.Context, link string, ready func(slavePath string)) error {
	for {
		err := m.servePTY(ctx, link, ready)
		unplugged, ok := errors.AsType[*Unplugged](err)
		if !ok {
			return err
		}
		if unplugged.Away == 0 {
			<-ctx.Done()
			return ctx.Err()
		}
		if !wait(ctx, unplugged.Away) {
			return ctx.Err()
		}
	}
}

func (m *Modem) servePTY(ctx context.Context, link string, ready func(string)) (err error) {
	master, path, err := OpenPTY(link)
	if err != nil {
		return err
	}
	defer func() {
		if link != "" {
			err = errors.Join(err, os.Remove(link))
		}
		if e := master.Close(); e != nil && !errors.Is(e, os.ErrClosed) {
			err = errors.Join(err, e)
		}
	}()
	if ready != nil {
		ready(path)
	}
	return m.Serve(ctx, master)
}
