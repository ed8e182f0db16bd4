package sim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readCPMS lists the three memories and how full they are (27.005 §3.2.2).
func (m *Modem) readCPMS() result {
	var f []string
	for _, name := range m.mem {
		s := m.storeOf(name)
		// Huawei leaves the names out.
		if !strings.EqualFold(m.cfg.Vendor, "Huawei") {
			f = append(f, strconv.Quote(name))
		}
		f = append(f, strconv.Itoa(s.used()), strconv.Itoa(len(s.places)))
	}
	return m.told("+CPMS: %s", strings.Join(f, ","))
}

func (m *Modem) setCPMS(args []string) result {
	if len(args) == 0 || len(args) > 3 {
		return cms(305)
	}
	mem := m.mem
	for i, name := range args {
		if m.storeOf(name) == nil || i > 0 && name == "SR" {
			return cms(302)
		}
		mem[i] = name
	}
	m.mem = mem
	var f []string
	for _, name := range m.mem {
		s := m.storeOf(name)
		f = append(f, strconv.Itoa(s.used()), strconv.Itoa(len(s.places)))
	}
	return m.told("+CPMS: %s", strings.Join(f, ","))
}

func (m *Modem) readCSCA() result {
	toa := 129
	if strings.HasPrefix(m.smsc, "+") {
		toa = 145
	}
	return m.told("+CSCA: %q,%d", m.encode(m.smsc), toa)
}

func (m *Modem) setCSCA(args []string) result {
	if len(args) == 0 {
		return cms(305)
	}
	number := m.decode(args[0])
	toa, ok := argument(args, 1, 0)
	digits, plus := strings.CutPrefix(number, "+")
	if !ok || strings.Trim(digits, "0123456789") != "" {
		return cms(305)
	}
	if toa == 145 && !plus && digits != "" {
		number = "+" + digits
	}
	m.smsc = number
	return success
}

func (m *Modem) setCSMP(args []string) result {
	next := m.csmp
	for i := range args {
		if i >= len(next) {
			return cms(305)
		}
		v, ok := argument(args, i, next[i])
		if !ok || v > 255 {
			return cms(305)
		}
		next[i] = v
	}
	m.csmp = next
	return success
}

// setCNMI takes the values that AT+CNMI=? lists; omitted ones are 0 (27.005 §3.4.1).
func (m *Modem) setCNMI(args []string) result {
	var next [5]int
	limits := [5][]int{{0, 1, 2}, {0, 1, 2, 3}, {0, 2}, m.cfg.Reports, {0, 1}}
	for i := range args {
		if i >= len(next) {
			return cms(302)
		}
		v, ok := argument(args, i, 0)
		if !ok || !slices.Contains(limits[i], v) {
			return cms(302)
		}
		next[i] = v
	}
	m.cnmi = next
	if next[0] == 0 {
		return success
	}
	waiting := m.buffered
	m.buffered = nil
	if next[4] == 0 { // <bfr> 1 would drop what was held back
		for _, lines := range waiting {
			m.urc(lines...)
		}
	}
	return success
}

// sendMessage is AT+CMGS: it opens the prompt (27.005 §3.5.1, §4.3).
func (m *Modem) sendMessage(args []string) result {
	return m.compose(args, func(line string, length int) result {
		if !m.at("ctrl-z", &m.tamper) {
			return silence
		}
		if r := m.tamper.instead; r != nil {
			return *r
		}
		if m.tamper.hang || m.tamper.freeze {
			return success
		}
		return m.transmit(line, length, "+CMGS")
	})
}

// compose opens a prompt for a message. In PDU mode the argument is a length;
// in text mode it is the recipient, and the PDU is written here.
func (m *Modem) compose(args []string, then func(line string, length int) result) result {
	if !m.text {
		length, ok := argument(args, 0, 0)
		if !ok || length < 8 || length > 164 {
			return cms(304)
		}
		m.prompt = &prompt{done: func(line string) result { return then(line, length) }}
		return result{open: true}
	}
	if len(args) == 0 || args[0] == "" {
		return cms(305)
	}
	to := m.decode(args[0])
	if toa, _ := argument(args, 1, 129); toa == 145 && !strings.HasPrefix(to, "+") {
		to = "+" + to
	}
	m.prompt = &prompt{done: func(text string) result {
		tpdu, err := m.textSubmit(to, text)
		if err != nil {
			m.cell.refuse(m.entry("", 0), 305, err.Error())
			return cms(305)
		}
		return then("00"+hexUpper(tpdu), len(tpdu))
	}}
	return result{open: true}
}

// transmit takes a SUBMIT to the network, which takes its time.
func (m *Modem) transmit(line string, length int, name string) result {
	line = strings.TrimSpace(line)
	s, err := decodeSubmit(line, length)
	if err != nil {
		m.cell.refuse(m.entry(line, 0), 304, err.Error())
		return cms(304)
	}
	if code := m.unable(s); code != 0 {
		m.cell.refuse(m.entry(line, 0), code, cmsNames[code])
		return cms(code)
	}
	mr := m.card.mr
	m.card.mr++
	e := m.entry(line, mr)
	return result{after: m.cfg.Latency, then: func() result {
		v := m.cell.submit(e, s)
		switch {
		case v.silent:
			m.tamper.hang = true
			return success
		case v.cause != 0:
			return cms(v.cause)
		case !m.at("answer", &m.tamper):
			return silence
		}
		return result{after: v.after, then: func() result {
			if r := m.tamper.instead; r != nil {
				return *r
			}
			return m.told("%s: %d", name, mr)
		}}
	}}
}

// unable is why nothing can be sent now.
func (m *Modem) unable(s submit) int {
	switch {
	case m.card == nil: // pulled while the prompt was open
		return 310
	case !canSend(m.stat()):
		return 331
	case s.smsc == "" && m.smsc == "":
		return 330
	}
	return 0
}

// entry is who sends, for the cell's list.
func (m *Modem) entry(pdu string, mr byte) Entry {
	e := Entry{Time: time.Now(), IMEI: m.cfg.IMEI, MR: int(mr), PDU: strings.ToUpper(pdu)}
	if m.card != nil {
		e.ICCID, e.From = m.card.ICCID, m.card.Number
	}
	return e
}

// textSubmit writes the SUBMIT of text mode from AT+CSMP and AT+CSCS.
func (m *Modem) textSubmit(to, text string) ([]byte, error) {
	digits := strings.TrimPrefix(to, "+")
	if digits == "" || strings.Trim(digits, bcd) != "" || len(digits) > 20 {
		return nil, errors.New("text mode: not a number to send to")
	}
	first, vp, pid, dcs := byte(m.csmp[0]), byte(m.csmp[1]), byte(m.csmp[2]), byte(m.csmp[3])
	if first&mtiMask != mtiSubmit || first&hasHeader != 0 || first&vpfMask != 0 && first&vpfMask != 0x10 {
		return nil, fmt.Errorf("text mode: first octet %d of AT+CSMP", first)
	}
	kind, err := alphabetOf(dcs)
	if err != nil {
		return nil, fmt.Errorf("text mode: %w", err)
	}
	var udl byte
	var ud []byte
	switch kind {
	case gsm7:
		septets, ok := toSeptets(m.decode(text))
		if !ok || len(septets) > 160 {
			return nil, errors.New("text mode: too long, or not in the default alphabet")
		}
		udl, ud = byte(len(septets)), pack(septets, 0)
	default: // 27.005 §3.1 <data>: hex, for 8-bit data and UCS-2
		if ud, err = hex.DecodeString(text); err != nil || len(ud) > 140 {
			return nil, errors.New("text mode: the text is not hex, or too long")
		}
		udl = byte(len(ud))
	}
	t := append([]byte{first, 0}, addressField(to)...)
	t = append(t, pid, dcs)
	if first&vpfMask != 0 {
		t = append(t, vp)
	}
	return append(append(t, udl), ud...), nil
}

// decode reads a string in the character set of AT+CSCS (27.007 §5.5).
func (m *Modem) decode(s string) string {
	switch m.cscs {
	case "GSM":
		return fromSeptets([]byte(s), 0, 0)
	case "IRA":
		return s
	}
	octets, err := hex.DecodeString(s)
	switch {
	case err != nil:
		return s // a number in plain digits is understood too
	case m.cscs == "HEX":
		return fromSeptets(octets, 0, 0)
	}
	return fromUTF16(octets)
}

// encode writes a string in the character set of AT+CSCS. What it has no place
// for becomes a question mark.
func (m *Modem) encode(s string) string {
	if m.cscs == "UCS2" {
		return hexUpper(toUTF16(s))
	}
	var septets []byte
	for _, r := range s {
		one, ok := toSeptets(string(r))
		switch {
		case !ok, m.cscs == "IRA" && r > 0x7e:
			one = []byte{'?'}
		case m.cscs == "IRA":
			one = []byte{byte(r)}
		}
		septets = append(septets, one...)
	}
	if m.cscs == "HEX" {
		return hexUpper(septets)
	}
	return string(septets)
}

// writeMessage is AT+CMGW: a message to be sent later (27.005 §3.5.3).
func (m *Modem) writeMessage(args []string) result {
	return m.compose(args, func(line string, length int) result {
		if _, err := decodeSubmit(strings.TrimSpace(line), length); err != nil {
			m.cell.refuse(m.entry(line, 0), 304, err.Error())
			return cms(304)
		}
		st := m.storeOf(m.mem[1])
		if st == nil {
			return cms(310)
		}
		raw, _ := hex.DecodeString(strings.TrimSpace(line)) // decodeSubmit has just read it
		smsc, tpdu := splitSMSC(raw)
		index, ok := st.put(&stored{status: stoUnsent, smsc: smsc, tpdu: tpdu})
		if !ok {
			return cms(322)
		}
		return m.told("+CMGW: %d", index)
	})
}

func splitSMSC(raw []byte) (smsc string, tpdu []byte) {
	r := reader{octets: raw}
	smsc = r.smsc()
	return smsc, r.octets
}

// sendStored is AT+CMSS (27.005 §3.5.2).
func (m *Modem) sendStored(args []string) result {
	s, r := m.place(m.mem[1], args)
	if s == nil {
		return r
	}
	line := hexUpper(append(smscField(s.smsc), s.tpdu...))
	sent := m.transmit(line, len(s.tpdu), "+CMSS")
	if sent.then == nil {
		return sent
	}
	if m.cfg.Flip == FlipEarly {
		s.status = stoSent
	}
	return sent.followed(func(r result) {
		if r.kind == resultOK && !m.tamper.hang && m.cfg.Flip == FlipOnAnswer {
			s.status = stoSent
		}
	})
}

// followed calls f with the answer when it is there.
func (r result) followed(f func(result)) result {
	if r.then == nil {
		f(r)
		return r
	}
	then := r.then
	r.then = func() result { return then().followed(f) }
	return r
}

// place finds a stored message by its index.
func (m *Modem) place(memory string, args []string) (*stored, result) {
	index, ok := argument(args, 0, -1)
	if !ok {
		return nil, cms(321)
	}
	p := m.storeOf(memory).at(index)
	if p == nil || *p == nil {
		return nil, cms(321)
	}
	return *p, success
}

// readMessage is AT+CMGR; reading marks as read (27.005 §3.4.3).
func (m *Modem) readMessage(args []string) result {
	s, r := m.place(m.mem[0], args)
	if s == nil {
		return r
	}
	m.show("+CMGR: ", s)
	if s.status == recUnread {
		s.status = recRead
	}
	return success
}

// listMessages is AT+CMGL (27.005 §3.4.2).
func (m *Modem) listMessages(args []string) result {
	want := recUnread
	if len(args) > 0 && args[0] != "" {
		status, ok := statusOf(args[0])
		if !ok {
			return cms(305)
		}
		want = status
	}
	st := m.storeOf(m.mem[0])
	for i, s := range st.places {
		if s == nil || want != anyStatus && s.status != want {
			continue
		}
		m.show(fmt.Sprintf("+CMGL: %d,", st.first+i), s)
		if s.status == recUnread {
			s.status = recRead
		}
	}
	return success
}

// show adds a stored message to the answer. prefix ends before <stat>.
func (m *Modem) show(prefix string, s *stored) {
	if !m.text {
		m.reply("%s%d,,%d\r\n%s", prefix, s.status, len(s.tpdu), hexUpper(append(smscField(s.smsc), s.tpdu...)))
		return
	}
	m.reply("%s%q,%s", prefix, statusWords[s.status], m.textForm(s.tpdu))
}

// deleteMessage is AT+CMGD with the flags of 27.005 §3.5.4.
func (m *Modem) deleteMessage(args []string) result {
	index, ok := argument(args, 0, -1)
	flag, ok2 := argument(args, 1, 0)
	st := m.storeOf(m.mem[0])
	if !ok || !ok2 || flag > 4 || flag == 0 && st.at(index) == nil {
		return cms(321)
	}
	if flag == 0 {
		*st.at(index) = nil
		m.room()
		return success
	}
	for i, s := range st.places {
		if s != nil && deletes(flag, s.status) {
			st.places[i] = nil
		}
	}
	m.room()
	return success
}

// deletes: 1 all read, 2 and the sent, 3 and the unsent, 4 everything.
func deletes(flag, status int) bool {
	switch status {
	case recRead:
		return true
	case stoSent:
		return flag >= 2
	case stoUnsent:
		return flag >= 3
	}
	return flag == 4
}
