package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// delivery is a message that went to the terminal directly and waits for its
// AT+CNMA.
type delivery struct {
	answer func(state string)
}

// receive is what the network brings: a DELIVER or a STATUS-REPORT. answer is
// called once, at once or when the terminal has acknowledged, and must not
// call back into the modem.
func (m *Modem) receive(tpdu []byte, answer func(state string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.served || m.frozen || !canSend(m.stat()):
		answer(unacknowledged)
	case tpdu[0]&mtiMask == mtiStatusReport:
		m.receiveReport(tpdu, answer)
	case m.cnmi[1] == 2 || m.cnmi[1] == 3 && class(tpdu) == 3:
		m.direct("+CMT: ,", tpdu, answer)
	default:
		m.keep(m.mem[2], "+CMTI", m.cnmi[1] == 1 || m.cnmi[1] == 3, tpdu, answer)
	}
}

// receiveReport routes a status report by <ds> (27.005 §3.4.1).
func (m *Modem) receiveReport(tpdu []byte, answer func(string)) {
	switch m.cnmi[3] {
	case 1:
		m.direct("+CDS: ", tpdu, answer)
	case 2:
		memory := m.mem[2]
		if m.cfg.ReportsInSR {
			memory = "SR"
		}
		m.keep(memory, "+CDSI", true, tpdu, answer)
	default: // not for the terminal; the modem takes it and says nothing
		answer(acknowledged)
	}
}

// direct sends a message to the terminal. With AT+CSMS=1 the network is told
// only when the terminal has acknowledged; if it does not, the modem stops
// sending directly (27.005 §3.4.1, AT+CNMA).
func (m *Modem) direct(header string, tpdu []byte, answer func(string)) {
	if m.csms == 1 {
		if m.ack != nil { // one at a time
			answer(unacknowledged)
			return
		}
		d := &delivery{answer: answer}
		m.ack = d
		m.after(m.cell.cfg.AckTime, func() {
			if m.ack == d {
				m.cnmi[1], m.cnmi[3] = 0, 0
				m.acknowledged(unacknowledged)
			}
		})
	}
	if m.text {
		m.indicate(strings.TrimSuffix(header, ",") + m.textForm(tpdu))
	} else {
		m.indicate(header+strconv.Itoa(len(tpdu)), hexUpper(append(smscField(m.cell.smsc()), tpdu...)))
	}
	if m.csms == 0 {
		answer(acknowledged)
	}
	m.kick()
}

// keep stores a message and says where.
func (m *Modem) keep(memory, header string, tell bool, tpdu []byte, answer func(string)) {
	s := m.storeOf(memory)
	index, ok := s.put(&stored{status: recUnread, smsc: m.cell.smsc(), tpdu: tpdu})
	if !ok {
		if strings.EqualFold(m.cfg.Vendor, "Huawei") {
			m.urc(fmt.Sprintf("^SMMEMFULL: %q", memory))
		}
		answer(refused)
		m.kick()
		return
	}
	answer(acknowledged)
	if tell {
		m.indicate(fmt.Sprintf("%s: %q,%d", header, memory, index))
	}
	m.kick()
}

// indicate tells the terminal about a message, or holds it back (<mode> 0).
// The script may put something behind the header, or lose some of it.
func (m *Modem) indicate(lines ...string) {
	if m.cnmi[0] == 0 {
		m.buffered = append(m.buffered, lines)
		return
	}
	var t tamper
	m.ask("header", &t)
	lines = slices.Insert(lines, 1, t.between...)
	m.intrude(t.spoil(m.unsolicited(lines)))
}

// acknowledge is AT+CNMA: 0 and 1 mean yes, 2 no (27.005 §3.4.4).
func (m *Modem) acknowledge(args []string) result {
	n, ok := argument(args, 0, 0)
	switch {
	case !ok || n > 2 || len(args) > 1:
		return cms(303)
	case m.ack == nil || m.csms == 0:
		return cms(340)
	case n == 2:
		m.acknowledged(refused)
	default:
		m.acknowledged(acknowledged)
	}
	return success
}

func (m *Modem) acknowledged(state string) {
	d := m.ack
	m.ack = nil
	d.answer(state)
}

// abandonDelivery: power goes, and with it the message nobody acknowledged.
func (m *Modem) abandonDelivery() {
	if m.ack != nil {
		m.acknowledged(unacknowledged)
	}
}

// room tells the network that there is room again.
func (m *Modem) room() {
	if m.card != nil {
		m.cell.roomAt(m.card.Number)
	}
}

// class is the message class of a DELIVER, -1 if it has none (TS 23.038 §4).
func class(tpdu []byte) int {
	digits := int(tpdu[1])
	dcs := tpdu[1+2+(digits+1)/2+1]
	if dcs&0xd0 == 0x10 || dcs&0xf0 == 0xf0 {
		return int(dcs & 3)
	}
	return -1
}

// textForm is a received message as text mode shows it: a DELIVER as
// <oa>,[<alpha>],<scts> and the text, a report as <fo>,<mr>,<ra>,<tora>,<scts>,
// <dt>,<st> (27.005 §3.4.1, §3.4.3).
func (m *Modem) textForm(tpdu []byte) string {
	r := reader{octets: tpdu}
	first := r.octet("first octet")
	switch first & mtiMask {
	case mtiStatusReport:
		mr := r.octet("TP-MR")
		toa, ra := m.textAddress(&r)
		sent, at := r.time(), r.time()
		return fmt.Sprintf("%d,%d,%s,%d,%q,%q,%d", first, mr, ra, toa, sent, at, r.octet("TP-ST"))
	case mtiSubmit:
		r.octet("TP-MR")
		_, da := m.textAddress(&r)
		r.take("TP-PID", 1)
		dcs := r.octet("TP-DCS")
		r.take("TP-VP", validityOctets[first&vpfMask])
		return da + ",\r\n" + m.textOf(first, dcs, &r)
	default:
		_, oa := m.textAddress(&r)
		r.take("TP-PID", 1)
		dcs := r.octet("TP-DCS")
		at := r.time()
		return fmt.Sprintf("%s,,%q\r\n%s", oa, at, m.textOf(first, dcs, &r))
	}
}

// textAddress reads an address and quotes it in the character set of AT+CSCS.
func (m *Modem) textAddress(r *reader) (toa byte, quoted string) {
	n := int(r.octet("address"))
	toa = r.octet("address")
	b := r.take("address", (n+1)/2)
	var s string
	switch {
	case toa&0x70 == 0x50:
		s = fromSeptets(unpack(b, n*4/7, 0), 0, 0)
	case toa&0x70 == 0x10:
		s = "+" + fromBCD(b)
	default:
		s = fromBCD(b)
	}
	return toa, quote(m.encode(s))
}

func (r *reader) time() string {
	digits := fromBCD(r.take("time stamp", 7))
	t, err := time.Parse("060102150405", digits[:min(12, len(digits))])
	if err != nil {
		return ""
	}
	return stamp(t)
}

// textOf is the text of user data: itself, or hex where 27.005 §3.1 <data> wants hex.
func (m *Modem) textOf(first, dcs byte, r *reader) string {
	s := submit{udhi: first&hasHeader != 0, dcs: dcs, udl: r.octet("TP-UDL"), ud: r.octets}
	if err := s.decodeText(); err != nil || s.data || dcs&0x0c == 0x08 || s.udhi {
		return hexUpper(r.octets)
	}
	return m.encode(s.text)
}
