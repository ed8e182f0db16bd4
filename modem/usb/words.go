package usb

import (
	"fmt"
	"time"
)

// Keys of the plain texts (queue/words.csv).
const (
	codeDisk   = "stick_disk"
	codeRouter = "stick_router"
	codeClosed = "stick_closed"
	codeDriver = "stick_driver"
	codeSilent = "modem_silent"
	codeBusy   = "port_busy"
	codeDenied = "port_denied"
)

// modes says of each mode that is of no use how long it may be only on its way
// to another one, and then what it is and what helps.
var modes = map[Mode]struct {
	grace      time.Duration
	code, text string
}{
	Disk:     {switchFor, codeDisk, "still shows itself as a disk: the package usb-modeswitch makes a modem of it; install that, or unplug the stick and plug it in again"},
	Router:   {settleFor, codeRouter, "is in router mode: it has a network card and a web page, and no port for AT commands; use a stick with modem firmware (of a Huawei E3372h: 21.x, not 22.x)"},
	Closed:   {settleFor, codeClosed, "has no port for AT commands as it is set up now; its maker's tool changes its USB composition"},
	NoDriver: {settleFor, codeDriver, "has ports that this system makes no tty of: load the kernel module option, or take a newer kernel"},
}

// Why says why a stick that shows itself so cannot be used, now or yet: a key
// of the plain text, and what it is and what helps; empty: it can.
func (m Mode) Why() (code, text string) { return modes[m].code, modes[m].text }

// found is the stick as others see it.
func (s *watched) found(now time.Time) Found {
	f := Found{Stick: s.stick, Answer: s.answer}
	m, useless := modes[s.stick.Mode]
	switch age := now.Sub(s.since); {
	case s.at >= 0 && s.port() != "":
		f.Port = s.port()
	case useless && age >= m.grace:
		f.Code, f.Detail = m.code, fmt.Sprintf("%s %s", s.stick, m.text)
		if s.stick.Mode == NoDriver && s.stick.Note != "" {
			f.Detail += " (" + s.stick.Note + ")"
		}
	case s.stick.Mode == Adapter && s.may != Again: // nobody said that a modem hangs behind it
	case s.code == codeSilent && age >= silentFor, s.code != "" && s.code != codeSilent && age >= settleFor:
		f.Code, f.Detail = s.code, fmt.Sprintf("%s: %s%s", s.stick, s.detail, s.help)
	}
	return f
}

// wake is when found says something else without any news, or the stick is due
// to be asked; zero: never.
func (s *watched) wake(now time.Time) time.Time {
	var next time.Time
	soon := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if s.at >= 0 {
		return next
	}
	for _, grace := range []time.Duration{settleFor, silentFor, switchFor} {
		soon(s.since.Add(grace))
	}
	if !s.asking && !s.done && len(s.stick.Candidates()) > 0 {
		soon(s.next)
	}
	return next
}
