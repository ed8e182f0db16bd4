package usb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// kernelGroup is the multicast group on which the kernel itself tells; the
// second one is udev's, which not every box has.
const kernelGroup = 1

// KernelEvents calls changed for every device of interest that comes or goes,
// as the kernel tells it (NETLINK_KOBJECT_UEVENT), until ctx ends. It returns
// nil then, or an error where the kernel does not tell, as in a sandbox
// without AF_NETLINK. changed must not block.
func KernelEvents(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("the kernel's events: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "uevents") // its Close frees a read that waits
	defer socket.Close()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		return fmt.Errorf("the kernel's events: %w", err)
	}
	conn, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("the kernel's events: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	buf := make([]byte, 16<<10) // UEVENT_BUFFER_SIZE is 2 KB, with room for what follows
	for {
		n, from, err := receive(conn, buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS): // more came than we took: something has changed
			changed()
		case err != nil:
			return fmt.Errorf("the kernel's events: %w", err)
		case from == 0 && concerns(buf[:n]): // any process may send here, only the kernel is port 0
			changed()
		}
	}
}

// rawConn is what receive wants of syscall.RawConn.
type rawConn interface {
	Read(func(fd uintptr) (done bool)) error
}

// receive waits for one message and says which netlink port sent it.
func receive(conn rawConn, buf []byte) (n int, from uint32, err error) {
	var inner error
	err = conn.Read(func(fd uintptr) bool {
		var sender unix.Sockaddr
		n, sender, inner = unix.Recvfrom(int(fd), buf, 0)
		if s, ok := sender.(*unix.SockaddrNetlink); ok {
			from = s.Pid
		}
		return !errors.Is(inner, unix.EAGAIN) && !errors.Is(inner, unix.EINTR)
	})
	return n, from, errors.Join(err, inner)
}

// concerns tells whether an event is about a stick or a port. It reads
// "add@/devices/…", then KEY=value, each ended by a zero byte.
func concerns(message []byte) bool {
	head, rest, _ := bytes.Cut(message, []byte{0})
	action, _, _ := bytes.Cut(head, []byte{'@'})
	switch string(action) {
	case "add", "remove", "bind", "unbind", "move", "change", "online", "offline":
	default:
		return false
	}
	for field := range bytes.SplitSeq(rest, []byte{0}) {
		switch string(field) {
		case "SUBSYSTEM=usb", "SUBSYSTEM=usb-serial", "SUBSYSTEM=tty", "SUBSYSTEM=net":
			return true
		}
	}
	return false
}
