package usb

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"
)

// The encodings as linux/usbdevice_fs.h and asm/ioctl.h of each architecture
// give them: struct usbdevfs_ctrltransfer is 24 bytes with 64-bit pointers and
// 16 with 32-bit ones. strace and uhubctl show the same numbers.
func TestIoctlNumbers(t *testing.T) {
	for _, tc := range []struct {
		arch           string
		size           uintptr
		control, reset uintptr
	}{
		{"amd64", 24, 0xc0185500, 0x5514},
		{"arm64", 24, 0xc0185500, 0x5514},
		{"riscv64", 24, 0xc0185500, 0x5514},
		{"arm", 16, 0xc0105500, 0x5514},
		{"mipsle", 16, 0xc0105500, 0x20005514},
	} {
		if got := ioctlFor(tc.arch, ioctlRead|ioctlWrite, 'U', 0, tc.size); got != tc.control {
			t.Errorf("%s: USBDEVFS_CONTROL is %#x, want %#x", tc.arch, got, tc.control)
		}
		if got := ioctlFor(tc.arch, 0, 'U', 20, 0); got != tc.reset {
			t.Errorf("%s: USBDEVFS_RESET is %#x, want %#x", tc.arch, got, tc.reset)
		}
	}
	// One direction alone, for the architectures that spell them apart.
	if got := ioctlFor("mipsle", ioctlRead, 'U', 8, 4); got != 0x40045508 {
		t.Errorf("mipsle _IOR: %#x", got)
	}
	if got := ioctlFor("amd64", ioctlWrite, 'U', 8, 4); got != 0x40045508 {
		t.Errorf("amd64 _IOW: %#x", got)
	}
}

func TestControlTransferHasTheKernelsLayout(t *testing.T) {
	var c controlTransfer
	pointer := unsafe.Sizeof(uintptr(0))
	if size, want := unsafe.Sizeof(c), 8+2*pointer; pointer == 8 && size != want || pointer == 4 && size != 16 {
		t.Errorf("struct usbdevfs_ctrltransfer takes %d bytes", size)
	}
	for name, at := range map[string][2]uintptr{
		"wValue": {unsafe.Offsetof(c.value), 2}, "wIndex": {unsafe.Offsetof(c.index), 4}, "wLength": {unsafe.Offsetof(c.length), 6},
		"timeout": {unsafe.Offsetof(c.timeout), 8}, "data": {unsafe.Offsetof(c.data), 16 - (8 - pointer)},
	} {
		if at[0] != at[1] {
			t.Errorf("%s is at byte %d, must be at %d", name, at[0], at[1])
		}
	}
}

func TestNodePathIsThreeDigitsEach(t *testing.T) {
	if got := nodePath("/dev", 1, 5); got != "/dev/bus/usb/001/005" {
		t.Error(got)
	}
}

// What is no USB device refuses both requests, and says so instead of crashing.
func TestRequestsToWhatIsNoUSBDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := openNode(path)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.reset(); err == nil {
		t.Error("a file was reset")
	}
	if _, err := n.control(control{hubIn, getDescriptor, hubDescriptor << 8, 0}, make([]byte, 8)); err == nil {
		t.Error("a file has described itself as a hub")
	}
}
