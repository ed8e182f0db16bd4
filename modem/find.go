package modem

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// Place is where a modem is at this moment, or why it is nowhere.
type Place struct {
	Port string // device; empty: there is no modem to open

	// IMEI is whose the port must be, where that is known. If another modem
	// answers there, the connection ends and the place is asked for again.
	IMEI string

	// Wrong, if set, is told when another modem than IMEI's answers there.
	Wrong func()

	// Code and Detail say why there is no Port: a key of the plain text, and
	// the words for the technician. An empty Code reads as modem_gone, or, if
	// the modem is Coming, as nothing at all: it is plugged in and is being
	// looked at.
	Code, Detail string
	Coming       bool
}

// missing says what state a modem is in that cannot be opened at p, for so
// long now.
func (p Place) missing(since time.Duration) (state route.State, code, detail string) {
	code, detail = cmp.Or(p.Code, "modem_gone"), p.Detail
	switch {
	case p.Port != "":
		code, detail = "modem_gone", fmt.Sprintf("port %s is not there: plug the modem in, or correct the port", p.Port)
	case p.Coming:
		return route.Starting, "", detail
	}
	if code == "modem_gone" && since < goneAfter {
		return route.Waiting, code, detail
	}
	return route.Hand, code, detail
}

// located asks where the modem is and reports whether it can be opened there.
func (m *Modem) located() bool {
	m.where = Place{Port: m.cfg.Port}
	if m.cfg.Find != nil {
		m.where = m.cfg.Find()
	}
	return m.where.Port != "" && m.present(m.where.Port)
}

// stranger is the error of a connection to another modem than the one that
// was looked for, nil if it is the right one.
func (s *session) stranger() error {
	want := s.m.where.IMEI
	if want == "" || s.imei == "" || SameIMEI(want, s.imei) {
		return nil
	}
	if s.m.where.Wrong != nil {
		s.m.where.Wrong()
	}
	return &portError{code: "modem_gone", detail: fmt.Sprintf("another modem answers at %s, with IMEI %s instead of %s: looking for the right one", s.m.where.Port, s.imei, want)}
}

// SameIMEI compares what names the device: the first 14 digits. A check digit
// may follow, or two of the software's version (3GPP TS 23.003 §6.2).
func SameIMEI(a, b string) bool {
	const device = 14
	return len(a) >= device && len(b) >= device && a[:device] == b[:device]
}

// Open opens a serial port as a Modem does: raw, locked, for us alone. It is
// for whoever looks behind a port for a modem. An error comes with the key of
// its plain text (modem_gone, port_busy, port_denied, port_wrong).
func Open(port, lockDir string) (line at.Port, code string, err error) {
	line, err = openPort(New(Config{Port: port, LockDir: lockDir}).cfg)
	if e, ok := errors.AsType[*portError](err); ok {
		return nil, e.code, err
	}
	return line, "", err
}
