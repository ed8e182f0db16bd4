package modem

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warthog618/sms/encoding/gsm7"
	"github.com/warthog618/sms/encoding/tpdu"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// Message type indicator of a TPDU from the network (3GPP TS 23.040 §9.2.3.1).
const (
	mtiMask         = 0x03
	mtiDeliver      = 0x00
	mtiSubmit       = 0x01
	mtiStatusReport = 0x02
)

// unwrap splits what a modem gives into SMSC field and TPDU.
func unwrap(raw string) ([]byte, error) {
	b, err := hex.DecodeString(raw)
	if err != nil {
		return nil, fmt.Errorf("not hex: %w", err)
	}
	if len(b) == 0 {
		return nil, errors.New("empty")
	}
	sca := 1 + int(b[0])
	if sca >= len(b) || sca > 12 { // TS 24.011 §8.2.5.1: at most 10 octets of address behind its type
		return nil, fmt.Errorf("an SMSC field of %d octets in %d", sca, len(b))
	}
	return b[sca:], nil
}

// warm has the library build its alphabet before two modems decode at once:
// it does so on first use, and without a lock.
var warm = sync.OnceFunc(func() {
	if _, err := gsm7.Decode([]byte{'A'}); err != nil {
		panic(err) // its default alphabet has an A
	}
})

// key makes a repeat harmless: the same PDU on the same SIM is the same event.
func key(identity, raw string) string {
	sum := sha256.Sum256([]byte(strings.ToUpper(raw)))
	return identity + ":" + hex.EncodeToString(sum[:12])
}

// readDeliver reads an SMS-DELIVER, leniently: networks and modems produce
// things that the standard does not know, and no message may be lost over a
// bad byte. What cannot be read at all is kept as it came.
func readDeliver(raw string) route.Inbound {
	warm()
	in := route.Inbound{Raw: raw}
	b, err := unwrap(raw)
	if err == nil {
		var t *tpdu.TPDU
		if t, err = deliver(b); err == nil {
			fillIn(&in, t, b)
			return in
		}
		if t, err2 := deliver(mendDeliver(b)); err2 == nil {
			fillIn(&in, t, b)
			return in
		}
		in.From = sender(b)
	}
	in.Undecodable = true
	in.Text = "This message could not be read: " + err.Error()
	return in
}

func deliver(b []byte) (*tpdu.TPDU, error) {
	t := &tpdu.TPDU{Direction: tpdu.MT}
	if err := t.UnmarshalBinary(b); err != nil {
		return nil, err
	}
	return t, nil
}

// fillIn takes over what t says; b is the TPDU as it came.
func fillIn(in *route.Inbound, t *tpdu.TPDU, b []byte) {
	in.From = t.OA.Number()
	if at := 1 + 2 + (int(b[1])+1)/2 + 2; at+7 <= len(b) {
		in.Sent = stamp(b[at : at+7])
	}
	in.Concat = concatOf(t.UDH)
	u := &route.Units{Octets: hex.EncodeToString(t.UD)}
	switch alphabet, _ := t.Alphabet(); alphabet {
	case tpdu.AlphaUCS2:
		u.Alphabet = route.UCS2
		in.Text = text.FromUTF16(t.UD)
	case tpdu.Alpha8Bit:
		in.Text, in.Undecodable = octets(t.UD)
		return
	default:
		u.Alphabet, u.Shift, u.Locking = route.GSM7, language(t.UDH, ieShift), language(t.UDH, ieLocking)
		in.Text = text.FromSeptets(t.UD, u.Shift, u.Locking)
	}
	if in.Concat != nil {
		in.Units = u
	}
}

// octets shows 8-bit data, which has no agreed alphabet: as text if it is
// printable ASCII, otherwise a person sees that there is something.
func octets(b []byte) (string, bool) {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' && c != '\t' {
			return fmt.Sprintf("This message is no text but %d octets of data.", len(b)), true
		}
	}
	return string(b), false
}

func language(udh tpdu.UserDataHeader, id byte) int {
	if ie, ok := udh.IE(id); ok && len(ie.Data) == 1 {
		return int(ie.Data[0])
	}
	return 0
}

// concatOf reads the place in a long message. A header that says "part 3 of 2"
// or "of 0" is no part of anything (field-notes §2.3).
func concatOf(udh tpdu.UserDataHeader) *route.Concat {
	c := &route.Concat{Bits: 8}
	of, n, ref, ok := udh.ConcatInfo8()
	if !ok {
		if of, n, ref, ok = udh.ConcatInfo16(); !ok {
			return nil
		}
		c.Bits = 16
	}
	if of < 1 || n < 1 || n > of {
		return nil
	}
	c.Ref, c.Of, c.N = ref, of, n
	return c
}

// mendDeliver repairs the ways in which a DELIVER is known to be odd: a time
// stamp that is none, a reserved DCS (to be read as the default alphabet,
// TS 23.038 §4), a length that does not match, an odd UCS-2, a sender with
// fill where it does not belong.
func mendDeliver(b []byte) []byte {
	if len(b) < 2 {
		return b
	}
	out := append([]byte(nil), b...)
	at := 1
	at += mendAddress(out[at:])
	if len(out) < at+10 {
		return out
	}
	dcs := &out[at+1]
	if *dcs >= 0x80 && *dcs <= 0xBF {
		*dcs = dcsGSM7
	}
	mendTime(out[at+2 : at+9])
	return mendUserData(out, at+9, *dcs)
}

// mendAddress makes an address readable in place and returns its octets.
func mendAddress(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	n := 2 + (int(b[0])+1)/2
	if n > len(b) {
		return len(b)
	}
	if b[1]>>4&7 == 5 { // alphanumeric: an extension character is shown by its basic one
		septets := text.Unpack(b[2:n], 0, int(b[0])*4/7)
		for i, c := range septets {
			if c == 0x1B {
				septets[i] = ' '
			}
		}
		copy(b[2:n], text.Pack(septets, 0))
		return n
	}
	digits := int(b[0])
	for i := range digits {
		if nibble(b[2+i/2], i) == 0x0F { // fill inside the number: it ends here
			digits = i
			break
		}
	}
	// The library insists on fill exactly behind an odd number's last digit.
	// The octets stay as many, so that what follows stays in place: digits cut
	// off are shown as 0 only where nothing else fits.
	if digits == int(b[0]) {
		if digits%2 == 1 {
			b[n-1] |= 0xF0
		}
		return n
	}
	for i := digits; i < int(b[0]); i++ {
		setNibble(&b[2+i/2], i, 0)
	}
	if b[0]%2 == 1 {
		b[n-1] |= 0xF0
	}
	return n
}

func nibble(b byte, i int) byte {
	if i%2 == 0 {
		return b & 0x0F
	}
	return b >> 4
}

func setNibble(b *byte, i int, v byte) {
	if i%2 == 0 {
		*b = *b&0xF0 | v
	} else {
		*b = *b&0x0F | v<<4
	}
}

// mendTime zeroes a time stamp with a nibble that is no digit. fillIn reads it
// from the original, where it is none.
func mendTime(b []byte) {
	for i, c := range b {
		lo, hi := c&0x0F, c>>4
		if i == 6 {
			lo &= 0x07 // the sign is in bit 3 (TS 23.040 §9.2.3.11)
		}
		if lo > 9 || hi > 9 {
			clear(b)
			return
		}
	}
}

// mendUserData makes TP-UDL and the octets behind it agree. at is the place of
// TP-UDL.
func mendUserData(b []byte, at int, dcs byte) []byte {
	have := b[at+1:]
	switch alphabet, err := tpdu.DCS(dcs).Alphabet(); {
	case err == nil && alphabet == tpdu.Alpha7Bit:
		if most := len(have) * 8 / 7; int(b[at]) > most {
			b[at] = byte(most)
		}
		have = have[:min(len(have), (int(b[at])*7+7)/8)]
	case err == nil && alphabet == tpdu.AlphaUCS2:
		n := min(int(b[at]), len(have))
		if b[0]&0x40 == 0 { // with a header the parity is the header's too
			n &^= 1
		} else if n > 0 && (n-1-int(have[0]))%2 != 0 {
			n--
		}
		b[at], have = byte(n), have[:n]
	default:
		n := min(int(b[at]), len(have))
		b[at], have = byte(n), have[:n]
	}
	if b[0]&0x40 != 0 && (len(have) == 0 || 1+int(have[0]) > len(have) || !soundHeader(have[1:1+int(have[0])])) {
		b[0] &^= 0x40 // the header is broken: read it as text rather than lose the rest
	}
	return b[:at+1+len(have)]
}

func soundHeader(h []byte) bool {
	for len(h) > 0 {
		if len(h) < 2 || 2+int(h[1]) > len(h) {
			return false
		}
		h = h[2+int(h[1]):]
	}
	return true
}

// sender reads TP-OA alone, for a message that is otherwise unreadable.
func sender(b []byte) string {
	if len(b) < 3 {
		return ""
	}
	part := append([]byte(nil), b[1:]...)
	mendAddress(part)
	var a tpdu.Address
	if _, err := a.UnmarshalBinary(part); err != nil {
		return ""
	}
	return a.Number()
}

// readReport reads an SMS-STATUS-REPORT (3GPP TS 23.040 §9.2.2.3). Its first
// fields say all that matters and are read here, by hand: the library refuses
// the whole for an odd digit in a time that is for display only.
func readReport(raw string) (route.Report, error) {
	warm()
	b, err := unwrap(raw)
	if err != nil {
		return route.Report{}, err
	}
	if b[0]&mtiMask != mtiStatusReport {
		return route.Report{}, fmt.Errorf("TP-MTI %d is no status report", b[0]&mtiMask)
	}
	if len(b) < 4 {
		return route.Report{}, fmt.Errorf("%d octets", len(b))
	}
	end := 4 + (int(b[2])+1)/2 // behind TP-RA
	if len(b) < end+15 {
		return route.Report{}, fmt.Errorf("%d octets, of which TP-ST should be number %d", len(b), end+15)
	}
	ra := append([]byte(nil), b[2:end]...)
	mendAddress(ra)
	var to tpdu.Address
	if _, err := to.UnmarshalBinary(ra); err != nil {
		to = tpdu.Address{} // matched by reference and time then
	}
	st := b[end+14]
	r := tables().reports[st]
	rep := route.Report{
		Ref:   strconv.Itoa(int(b[1])),
		To:    to.Number(),
		State: r.State,
		Code:  fmt.Sprintf("TP-ST %02X", st),
		Why:   r.Name,
		Sent:  stamp(b[end : end+7]),
		Done:  stamp(b[end+7 : end+14]),
		Raw:   raw,
	}
	if rep.State == route.ReportUndelivered {
		rep.Reason = "refused"
		if notReached[st] {
			rep.Reason = "not_reached"
		}
	}
	return rep, nil
}

// notReached are the states that say the phone was off or away
// (failure_texts.csv).
var notReached = map[byte]bool{0x46: true, 0x61: true, 0x62: true}

// stamp reads a time stamp; zero if it is none.
func stamp(b []byte) time.Time {
	var t tpdu.Timestamp
	if err := t.UnmarshalBinary(b); err != nil || b[1] == 0 || b[2] == 0 { // no clock shows month or day 0
		return time.Time{}
	}
	return t.Time
}
