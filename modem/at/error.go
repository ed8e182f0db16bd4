package at

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	engine "github.com/warthog618/modem/at"
)

var (
	// ErrTimeout: no final result in time. The line is out of step now.
	ErrTimeout = errors.New("no answer in time")
	// ErrOutOfStep: an earlier command was not answered; Resync first.
	ErrOutOfStep = errors.New("the line is out of step after a lost answer")
	// ErrSilent: Resync found no modem that answers AT.
	ErrSilent = errors.New("the modem does not answer AT")
	// ErrRestarted: the modem restarted while the command was in flight.
	ErrRestarted = errors.New("the modem restarted and has forgotten the command")
	// ErrClosed: the port was closed, here or by the world (unplugged).
	ErrClosed = errors.New("port closed")
	// ErrCommand: what we were asked to send is not one printable AT line.
	ErrCommand = errors.New("not a command that may be sent")
)

// Error is a final result by which the modem refused.
type Error struct {
	Command string // its name only, "AT+CMGS": arguments may be a PIN
	Kind    string // "CMS", "CME", or "" for a bare ERROR
	Code    int    // -1 where the modem gave words or nothing
	Text    string // as the modem wrote it after the colon
}

func (e *Error) Error() string {
	switch {
	case e.Kind == "":
		return e.Command + ": ERROR"
	case e.Code >= 0:
		return fmt.Sprintf("%s: +%s ERROR: %d", e.Command, e.Kind, e.Code)
	}
	return fmt.Sprintf("%s: +%s ERROR: %s", e.Command, e.Kind, e.Text)
}

// refusal translates a final result from the engine's words; nil if err is
// not one.
func refusal(name string, err error) *Error {
	if errors.Is(err, engine.ErrError) {
		return &Error{Command: name, Code: -1}
	}
	if e, ok := errors.AsType[engine.CMSError](err); ok {
		return numbered(name, "CMS", string(e))
	}
	if e, ok := errors.AsType[engine.CMEError](err); ok {
		return numbered(name, "CME", string(e))
	}
	return nil
}

func numbered(name, kind, text string) *Error {
	e := &Error{Command: name, Kind: kind, Code: -1, Text: text}
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		e.Code = n
	}
	return e
}

// check refuses whatever could be more than one command: a control byte in a
// USSD code or a PIN would otherwise end the line and begin another.
func check(cmd string) error {
	if !strings.HasPrefix(cmd, "AT") {
		return fmt.Errorf("%w: it does not begin with AT", ErrCommand)
	}
	for i := range len(cmd) {
		if cmd[i] < 0x20 || cmd[i] > 0x7E {
			return fmt.Errorf("%w: byte %#02x at %d is not printable ASCII", ErrCommand, cmd[i], i)
		}
	}
	return nil
}
