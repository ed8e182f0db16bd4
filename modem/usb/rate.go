package usb

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// usualRate is how ports are opened. A USB modem does not care; a module
// behind a serial adapter does.
const usualRate = 115200

// adapterRates are tried in turn behind a serial adapter (field-notes §1.1.6).
var adapterRates = []int{usualRate, 9600, 57600, 19200, 38400, 230400}

var rateCodes = map[int]uint32{
	9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400,
	57600: unix.B57600, usualRate: unix.B115200, 230400: unix.B230400,
}

// setRate changes the speed of a line that was opened at the usual one.
func setRate(line Line, rate int) error {
	if rate == usualRate {
		return nil
	}
	c, ok := line.(syscall.Conn)
	if !ok {
		return fmt.Errorf("this line has no speed to set to %d baud", rate)
	}
	conn, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		var t *unix.Termios
		if t, inner = unix.IoctlGetTermios(int(fd), unix.TCGETS); inner != nil {
			return
		}
		t.Cflag = t.Cflag&^unix.CBAUD | rateCodes[rate]
		t.Ispeed, t.Ospeed = rateCodes[rate], rateCodes[rate]
		inner = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
	})
	if err := errors.Join(err, inner); err != nil {
		return fmt.Errorf("setting the line to %d baud: %w", rate, err)
	}
	return nil
}
