package sim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// header is the first octet of a TPDU (TS 23.040 §9.2.3).
const (
	mtiMask         = 0x03
	mtiDeliver      = 0x00
	mtiSubmit       = 0x01
	mtiStatusReport = 0x02
	noMoreToSend    = 0x04 // TP-MMS, in what the network sends
	vpfMask         = 0x18
	wantsReport     = 0x20 // TP-SRR
	hasHeader       = 0x40 // TP-UDHI
)

// validityOctets is the length of TP-VP by TP-VPF (§9.2.3.3).
var validityOctets = map[byte]int{0x00: 0, 0x08: 7, 0x10: 1, 0x18: 7}

// submit is an SMS-SUBMIT as it was read, or refused.
type submit struct {
	smsc    string
	to      string // with plus if international
	report  bool
	pid     byte
	dcs     byte
	udhi    bool
	udl     byte
	ud      []byte // as it came: header and packed text
	text    string
	data    bool // 8-bit data: there is no text
	ref     int
	refBits int // 8 or 16; 0: not concatenated
	total   int
	seq     int
}

// decodeSubmit reads the line of hex that follows the prompt. length is what
// AT+CMGS announced: the octets without the SMSC field (27.005 §3.5.1). It is
// strict: what a real network might let pass but no sender should send is
// refused, in words that say which field was wrong.
func decodeSubmit(line string, length int) (submit, error) {
	pdu, err := hex.DecodeString(line)
	if err != nil {
		return submit{}, fmt.Errorf("not hex: %w", err)
	}
	r := reader{octets: pdu}
	var s submit
	s.smsc = r.smsc()
	if r.err == nil && len(r.octets) != length {
		return submit{}, fmt.Errorf("announced %d octets, came %d", length, len(r.octets))
	}
	first := r.octet("first octet")
	if r.err == nil && first&mtiMask != mtiSubmit {
		return submit{}, fmt.Errorf("first octet %02X: not an SMS-SUBMIT", first)
	}
	s.report = first&wantsReport != 0
	s.udhi = first&hasHeader != 0
	r.octet("TP-MR") // the modem sets its own
	s.to = r.address("TP-DA")
	s.pid = r.octet("TP-PID")
	s.dcs = r.octet("TP-DCS")
	r.take("TP-VP", validityOctets[first&vpfMask])
	s.udl = r.octet("TP-UDL")
	if r.err != nil {
		return submit{}, r.err
	}
	s.ud = r.octets
	return s, s.decodeText()
}

// decodeText reads the user data: TP-UDL counts septets or octets, header
// included, and must agree with what came (§9.2.3.16).
func (s *submit) decodeText() error {
	kind, err := alphabetOf(s.dcs)
	if err != nil {
		return err
	}
	octets := int(s.udl)
	if kind == gsm7 {
		octets = (int(s.udl)*7 + 7) / 8
	}
	if octets != len(s.ud) {
		return fmt.Errorf("TP-UDL %d wants %d octets of user data, came %d", s.udl, octets, len(s.ud))
	}
	if octets > 140 {
		return fmt.Errorf("user data of %d octets, 140 fit", octets)
	}
	header := 0
	var single, locking byte
	if s.udhi {
		if len(s.ud) == 0 || int(s.ud[0])+1 > len(s.ud) {
			return errors.New("TP-UDHI set, header longer than the user data")
		}
		header = int(s.ud[0]) + 1
		if single, locking, err = s.decodeHeader(s.ud[1:header]); err != nil {
			return err
		}
	}
	switch kind {
	case gsm7:
		skip := (header*8 + 6) / 7
		if skip > int(s.udl) {
			return fmt.Errorf("TP-UDL %d is shorter than its header", s.udl)
		}
		s.text = fromSeptets(unpack(s.ud[header:], int(s.udl)-skip, header), single, locking)
	case ucs2:
		if (len(s.ud)-header)%2 != 0 {
			return errors.New("UCS-2 of odd length")
		}
		s.text = fromUTF16(s.ud[header:])
	case data:
		s.data = true
	}
	return nil
}

// decodeHeader walks the information elements of a user data header (§9.2.3.24).
func (s *submit) decodeHeader(h []byte) (single, locking byte, err error) {
	for len(h) > 0 {
		if len(h) < 2 || len(h) < 2+int(h[1]) {
			return 0, 0, errors.New("user data header: element cut short")
		}
		id, body := h[0], h[2:2+int(h[1])]
		h = h[2+len(body):]
		switch {
		case id == 0x00 && len(body) == 3: // §9.2.3.24.1
			s.refBits, s.ref, s.total, s.seq = 8, int(body[0]), int(body[1]), int(body[2])
		case id == 0x08 && len(body) == 4: // §9.2.3.24.8
			s.refBits, s.ref, s.total, s.seq = 16, int(body[0])<<8|int(body[1]), int(body[2]), int(body[3])
		case id == 0x24 && len(body) == 1: // §9.2.3.24.15
			single = body[0]
		case id == 0x25 && len(body) == 1: // §9.2.3.24.16
			locking = body[0]
		case id == 0x00 || id == 0x08 || id == 0x24 || id == 0x25:
			return 0, 0, fmt.Errorf("user data header: element %02X has length %d", id, len(body))
		}
	}
	if s.refBits != 0 && (s.total == 0 || s.seq == 0 || s.seq > s.total) {
		return 0, 0, fmt.Errorf("user data header: part %d of %d", s.seq, s.total)
	}
	return single, locking, nil
}

type alphabet int

const (
	gsm7 alphabet = iota
	ucs2
	data
)

// alphabetOf reads TP-DCS (TS 23.038 §4). Compressed text and reserved groups
// are refused: nobody sends them on purpose.
func alphabetOf(dcs byte) (alphabet, error) {
	switch {
	case dcs&0x80 == 0: // general, and marked for automatic deletion
		if dcs&0x20 != 0 {
			return 0, fmt.Errorf("TP-DCS %02X: compressed", dcs)
		}
		switch dcs >> 2 & 3 {
		case 0:
			return gsm7, nil
		case 1:
			return data, nil
		case 2:
			return ucs2, nil
		}
	case dcs&0xf0 == 0xc0, dcs&0xf0 == 0xd0:
		return gsm7, nil
	case dcs&0xf0 == 0xe0:
		return ucs2, nil
	case dcs&0xfc == 0xf0:
		return gsm7, nil
	case dcs&0xfc == 0xf4:
		return data, nil
	}
	return 0, fmt.Errorf("TP-DCS %02X: reserved", dcs)
}

// reader takes a PDU apart field by field and remembers the first complaint.
type reader struct {
	octets []byte
	err    error
}

func (r *reader) take(field string, n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.octets) {
		r.err = fmt.Errorf("PDU ends inside %s", field)
		return nil
	}
	b := r.octets[:n]
	r.octets = r.octets[n:]
	return b
}

func (r *reader) octet(field string) byte {
	b := r.take(field, 1)
	if r.err != nil {
		return 0
	}
	return b[0]
}

// smsc reads the field before the TPDU; its length counts octets (27.005 §3.1 <pdu>).
func (r *reader) smsc() string {
	n := int(r.octet("SMSC length"))
	b := r.take("SMSC address", n)
	if r.err != nil || n == 0 {
		return ""
	}
	digits := fromBCD(b[1:])
	if b[0]&0x70 == 0x10 {
		digits = "+" + digits
	}
	return digits
}

// address reads an address field; its length counts digits (TS 23.040 §9.1.2.5).
func (r *reader) address(field string) string {
	n := int(r.octet(field))
	toa := r.octet(field)
	b := r.take(field, (n+1)/2)
	if r.err != nil {
		return ""
	}
	if n == 0 || n > 20 {
		r.err = fmt.Errorf("%s of %d digits", field, n)
		return ""
	}
	if toa&0x80 == 0 {
		r.err = fmt.Errorf("%s: type of address %02X lacks bit 7", field, toa)
		return ""
	}
	if toa&0x70 == 0x50 {
		r.err = fmt.Errorf("%s: an alphanumeric address cannot receive", field)
		return ""
	}
	digits := fromBCD(b)
	if len(digits) != n {
		r.err = fmt.Errorf("%s announces %d digits, holds %d", field, n, len(digits))
		return ""
	}
	if toa&0x70 == 0x10 {
		digits = "+" + digits
	}
	return digits
}

// bcd are the digits of an address, by semi-octet (TS 23.040 §9.1.2.3); 15 is filler.
const bcd = "0123456789*#abc"

// fromBCD reads digits up to the first filler.
func fromBCD(octets []byte) string {
	var b strings.Builder
	for _, o := range octets {
		for _, d := range []byte{o & 15, o >> 4} {
			if d == 15 {
				return b.String()
			}
			b.WriteByte(bcd[d])
		}
	}
	return b.String()
}

func toBCD(digits string) []byte {
	var out []byte
	for i := range len(digits) {
		d := byte(strings.IndexByte(bcd, digits[i]))
		if i%2 == 0 {
			out = append(out, 0xf0|d)
			continue
		}
		out[len(out)-1] = out[len(out)-1]&15 | d<<4
	}
	return out
}

// addressField writes an address: a number with plus is international, bare
// digits are of unknown type, everything else is alphanumeric.
func addressField(a string) []byte {
	digits, plus := strings.CutPrefix(a, "+")
	switch {
	case strings.Trim(digits, bcd) != "":
		septets, _ := toSeptets(a)
		packed := pack(septets, 0)
		// The length counts semi-octets that hold something (§9.1.2.5).
		return append([]byte{byte((len(septets)*7 + 3) / 4), 0xd0}, packed...)
	case plus:
		return append([]byte{byte(len(digits)), 0x91}, toBCD(digits)...)
	default:
		return append([]byte{byte(len(digits)), 0x81}, toBCD(digits)...)
	}
}

func smscField(smsc string) []byte {
	digits, plus := strings.CutPrefix(smsc, "+")
	if digits == "" {
		return []byte{0}
	}
	toa := byte(0x81)
	if plus {
		toa = 0x91
	}
	b := toBCD(digits)
	return append([]byte{byte(len(b) + 1), toa}, b...)
}

// timeField writes a time stamp in UTC: swapped semi-octets, and a zone of zero (§9.2.3.11).
func timeField(t time.Time) []byte {
	t = t.UTC()
	return append(toBCD(t.Format("060102150405")), 0)
}

// userData is what a DELIVER carries, taken from a SUBMIT or made of a text.
type userData struct {
	pid, dcs byte
	udhi     bool
	udl      byte
	ud       []byte
}

// deliverTPDU writes an SMS-DELIVER (§9.2.2.1).
func deliverTPDU(from string, at time.Time, u userData) []byte {
	first := byte(mtiDeliver | noMoreToSend)
	if u.udhi {
		first |= hasHeader
	}
	t := append([]byte{first}, addressField(from)...)
	t = append(t, u.pid, u.dcs)
	t = append(t, timeField(at)...)
	t = append(t, u.udl)
	return append(t, u.ud...)
}

// reportTPDU writes an SMS-STATUS-REPORT (§9.2.2.3); to is an address field.
func reportTPDU(mr byte, to []byte, sent, done time.Time, status byte) []byte {
	t := append([]byte{mtiStatusReport | noMoreToSend, mr}, to...)
	t = append(t, timeField(sent)...)
	t = append(t, timeField(done)...)
	return append(t, status)
}

// cut makes the user data of a text, of one or more parts with that reference.
func cut(text string, ref byte) []userData {
	if septets, ok := toSeptets(text); ok {
		return cutUnits(septets, 160, 153, ref, func(part []byte, header []byte) userData {
			skip := (len(header)*8 + 6) / 7
			return userData{udl: byte(skip + len(part)), ud: append(header, pack(part, len(header))...)}
		}, func(last byte) bool { return last == escape })
	}
	units := toUTF16(text)
	pairs := make([][2]byte, len(units)/2)
	for i := range pairs {
		pairs[i] = [2]byte{units[2*i], units[2*i+1]}
	}
	return cutUnits(pairs, 70, 67, ref, func(part [][2]byte, header []byte) userData {
		ud := header
		for _, p := range part {
			ud = append(ud, p[0], p[1])
		}
		return userData{dcs: 0x08, udl: byte(len(ud)), ud: ud}
	}, func(last [2]byte) bool { return last[0]&0xfc == 0xd8 })
}

// cutUnits never cuts behind a unit that opens a pair (an escape, a high surrogate).
func cutUnits[U any](units []U, whole, part int, ref byte, make func([]U, []byte) userData, opens func(U) bool) []userData {
	if len(units) <= whole {
		return []userData{make(units, nil)}
	}
	var pieces [][]U
	for len(units) > 0 {
		n := min(part, len(units))
		if n < len(units) && opens(units[n-1]) {
			n--
		}
		pieces, units = append(pieces, units[:n]), units[n:]
	}
	var parts []userData
	for i, p := range pieces {
		u := make(p, []byte{5, 0, 3, ref, byte(len(pieces)), byte(i + 1)})
		u.udhi = true
		parts = append(parts, u)
	}
	return parts
}
