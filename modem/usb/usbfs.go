package usb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// node is an open device of usbfs: /dev/bus/usb/001/005. The kernel's own is
// nodeFile; tests have another.
type node interface {
	reset() error
	control(c control, data []byte) (n int, err error)
	Close() error
}

// control is a transfer on the default endpoint (USB 2.0 §9.3).
type control struct {
	requestType, request byte
	value, index         uint16
}

// controlWithin is how long a hub may take.
const controlWithin = 2 * time.Second

// nodePath of a device below dev (/dev).
func nodePath(dev string, bus, number int) string {
	return filepath.Join(dev, "bus", "usb", fmt.Sprintf("%03d", bus), fmt.Sprintf("%03d", number))
}

type nodeFile struct{ *os.File }

func openNode(path string) (node, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return nodeFile{f}, nil
}

// Requests of usbfs (linux/usbdevice_fs.h):
//
//	USBDEVFS_CONTROL _IOWR('U', 0, struct usbdevfs_ctrltransfer)
//	USBDEVFS_RESET   _IO('U', 20)
var (
	usbdevfsControl = ioctlNumber(ioctlRead|ioctlWrite, 'U', 0, unsafe.Sizeof(controlTransfer{}))
	usbdevfsReset   = ioctlNumber(0, 'U', 20, 0)
)

// Directions of an ioctl; ioctlNumber spells them as the architecture does.
const (
	ioctlWrite = 1 << iota // from us to the kernel
	ioctlRead
)

// ioctlNumber is _IOC of asm-generic/ioctl.h: 2 bits direction, 14 bits size,
// 8 bits type, 8 bits number. MIPS and PowerPC have 3 bits and 13, and another
// code for each direction.
func ioctlNumber(direction uintptr, kind byte, number byte, size uintptr) uintptr {
	return ioctlFor(runtime.GOARCH, direction, kind, number, size)
}

func ioctlFor(arch string, direction uintptr, kind byte, number byte, size uintptr) uintptr {
	shift := uintptr(30)
	switch arch {
	case "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le":
		shift = 29
		direction = map[uintptr]uintptr{0: 1, ioctlRead: 2, ioctlWrite: 4, ioctlRead | ioctlWrite: 6}[direction]
	}
	return direction<<shift | size<<16 | uintptr(kind)<<8 | uintptr(number)
}

// controlTransfer is struct usbdevfs_ctrltransfer.
type controlTransfer struct {
	requestType, request uint8
	value, index, length uint16
	timeout              uint32 // ms
	data                 unsafe.Pointer
}

func (f nodeFile) reset() error {
	return f.ioctl(usbdevfsReset, nil)
}

func (f nodeFile) control(c control, data []byte) (n int, err error) {
	t := controlTransfer{
		requestType: c.requestType, request: c.request, value: c.value, index: c.index,
		length: uint16(len(data)), timeout: uint32(controlWithin.Milliseconds()),
	}
	if len(data) > 0 {
		t.data = unsafe.Pointer(&data[0])
	}
	err = f.call(usbdevfsControl, unsafe.Pointer(&t), &n)
	runtime.KeepAlive(data)
	return n, err
}

func (f nodeFile) ioctl(request uintptr, arg unsafe.Pointer) error {
	return f.call(request, arg, new(int))
}

// call makes one ioctl; its positive answer is n.
func (f nodeFile) call(request uintptr, arg unsafe.Pointer, n *int) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed unix.Errno
	err = conn.Control(func(fd uintptr) {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg))
		*n, failed = int(r), errno
	})
	if failed != 0 {
		return errors.Join(err, failed)
	}
	return err
}

// whyNot words the refusal to open a node.
func whyNot(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "this box has no " + path
	case errors.Is(err, fs.ErrPermission):
		return path + " may not be written: the udev rule 70-tillpost.rules gives the right"
	}
	return err.Error()
}
