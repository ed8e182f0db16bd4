package usb

import (
	"os"
	"syscall"
)

// openTTY opens a terminal as package modem's Open does, without its locks.
func openTTY(path string) (Line, error) {
	return os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
}
