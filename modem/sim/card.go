package sim

import "strings"

// Card is a SIM: what it holds survives every restart of the modem and moves
// with it to another one. It is guarded by the lock of the modem it is in.
type Card struct {
	ICCID  string
	IMSI   string
	Number string // MSISDN with plus
	SMSC   string // of EF_SMSP; empty: the card has none
	PIN    string // empty: the SIM does not ask
	PUK    string // default 12345678
	Slots  int    // places for messages; default 20

	pinUsed int // wrong entries in a row
	pukUsed int
	entries int  // every PIN ever offered
	open    bool // the PIN was entered since power-up
	mr      byte // the next TP-MR (TS 23.040 §9.2.3.6)
	store   store
}

// Wrong entries until the PUK is asked for, and until the SIM is dead (TS 102 221 §9.5).
const (
	pinTries = 3
	pukTries = 10
)

// state is the answer to AT+CPIN? (TS 27.007 §8.3).
func (c *Card) state() string {
	switch {
	case c.pinUsed >= pinTries:
		return "SIM PUK"
	case c.PIN != "" && !c.open:
		return "SIM PIN"
	}
	return "READY"
}

// dead: the PUK was wrong too often, nothing helps any more.
func (c *Card) dead() bool { return c.pukUsed >= pukTries }

// enter offers a PIN.
func (c *Card) enter(pin string) bool {
	c.entries++
	if pin != c.PIN {
		c.pinUsed++
		return false
	}
	c.pinUsed, c.open = 0, true
	return true
}

// unblock offers the PUK and a new PIN.
func (c *Card) unblock(puk, pin string) bool {
	if puk != c.PUK {
		c.pukUsed++
		return false
	}
	c.pinUsed, c.pukUsed, c.PIN, c.open = 0, 0, pin, true
	return true
}

// status of a stored message (27.005 §3.1 <stat>): the number is for PDU mode,
// the word for text mode.
const (
	recUnread = iota
	recRead
	stoUnsent
	stoSent
	anyStatus
)

var statusWords = []string{"REC UNREAD", "REC READ", "STO UNSENT", "STO SENT", "ALL"}

// stored is a message in a place of a store.
type stored struct {
	status int
	smsc   string
	tpdu   []byte
}

// store is a set of numbered places: the SIM's, the modem's, or the one for reports.
type store struct {
	name   string
	first  int // the lowest index
	places []*stored
}

func newStore(name string, first, size int) store {
	return store{name: name, first: first, places: make([]*stored, size)}
}

func (s *store) used() int {
	n := 0
	for _, p := range s.places {
		if p != nil {
			n++
		}
	}
	return n
}

// put stores m in the lowest free place; ok is false if there is none.
func (s *store) put(m *stored) (index int, ok bool) {
	for i, p := range s.places {
		if p == nil {
			s.places[i] = m
			return s.first + i, true
		}
	}
	return 0, false
}

// at is the place with that index, nil if there is none.
func (s *store) at(index int) **stored {
	i := index - s.first
	if i < 0 || i >= len(s.places) {
		return nil
	}
	return &s.places[i]
}

// statusOf reads the <stat> argument of a command.
func statusOf(arg string) (status int, ok bool) {
	for i, w := range statusWords {
		if arg == string(rune('0'+i)) || strings.EqualFold(arg, w) {
			return i, true
		}
	}
	return 0, false
}
