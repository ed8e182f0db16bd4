package sim

import (
	"fmt"
	"time"
)

// lte is what a modem tells of the newer networks, where a short message is one
// service among others and may be missing.
type lte struct {
	only   bool   // no circuit switched network is there
	ims    string // on, off; empty: the modem knows no AT+CIREG
	domain int    // AT+CGSMS (27.007 §10.1.21)
}

// readCIREG tells whether IMS is there, and for what: 4 is short messages over
// IP (27.007 §8.71).
func (m *Modem) readCIREG() result {
	switch m.lte.ims {
	case "on":
		return m.told("+CIREG: 0,1,%q", "5")
	case "off":
		return m.told("+CIREG: 0,0")
	}
	return failure
}

// statIn is <stat> of one domain.
func (m *Modem) statIn(domain string) int {
	if m.lte.only && domain != "+CEREG" {
		return 0
	}
	return m.stat()
}

// setNetworkTime is NITZ: the modem's clock and, unasked, the line for it.
func (m *Modem) setNetworkTime(_ *tamper, a arg) {
	m.clock = a.text
	m.urc(fmt.Sprintf("+CTZE: %q,0,%q", a.text[max(0, len(a.text)-3):], a.text))
}

// readCCLK is the modem's clock; until the network has set it, it counts from
// the year of its maker.
func (m *Modem) readCCLK() result {
	if m.clock == "" {
		return m.told("+CCLK: %q", "80/01/06,00:00:12+00")
	}
	return m.told("+CCLK: %q", m.clock)
}

const (
	ringEvery = 5 * time.Second
	ringFor   = 20 * time.Second
)

// ring is a voice call.
func (m *Modem) ring(_ *tamper, a arg) {
	m.calls++
	call := m.calls
	left := orDefault(a.span, ringFor)
	var again func()
	again = func() {
		if m.calls != call || left <= 0 {
			return
		}
		left -= ringEvery
		m.urc("RING")
		m.after(ringEvery, again)
	}
	again()
}

// hangUp is AT+CHUP and ATH.
func (m *Modem) hangUp([]string) result {
	m.calls++
	return success
}

// keepDrafts puts messages that were never sent into the store.
func (m *Modem) keepDrafts(_ *tamper, a arg) {
	s := m.storeOf(m.mem[1])
	if s == nil {
		return
	}
	for range a.n {
		tpdu, err := m.textSubmit("+31612345678", "a draft")
		if err != nil {
			return
		}
		s.put(&stored{status: stoUnsent, smsc: m.smsc, tpdu: tpdu})
	}
}
