package modem

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/warthog618/sms/encoding/tpdu"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// submit is one part, ready for AT+CMGS.
type submit struct {
	n      int
	length int    // octets of the TPDU, without the SMSC field
	hex    string // SMSC field and TPDU
}

// form is how a SUBMIT is filled in, beside what the message says.
type form struct {
	report   bool
	validity bool
	period   time.Duration // of validity
}

// Information elements of the user data header (3GPP TS 23.040 §9.2.3.24).
const (
	ieConcat8  = 0x00
	ieConcat16 = 0x08
	ieShift    = 0x24
	ieLocking  = 0x25
)

// Data coding schemes (3GPP TS 23.038 §4).
const (
	dcsGSM7  = 0x00
	dcsUCS2  = 0x08
	dcsFlash = 0x10 // with message class 0
)

// encode builds the SUBMIT of part n (from 1) of out (3GPP TS 23.040 §9.2.2.2).
func encode(out *route.Outbound, n int, f form) (submit, error) {
	to, err := address(out.To)
	if err != nil {
		return submit{}, err
	}
	t, err := tpdu.NewSubmit()
	if err != nil {
		return submit{}, fmt.Errorf("SUBMIT: %w", err)
	}
	t.DA = to
	if f.report {
		t.FirstOctet |= tpdu.FoSRR
	}
	if f.validity {
		t.SetVP(tpdu.ValidityPeriod{Format: tpdu.VpfRelative})
	}
	seg := out.Segments[n-1]
	switch out.Alphabet {
	case route.GSM7:
		septets, err := text.Septets(seg.Text, out.Shift, out.Locking)
		if err != nil {
			return submit{}, fmt.Errorf("part %d: %w", n, err)
		}
		t.UD = septets
		t.SetDCS(dcsGSM7)
	case route.UCS2:
		t.UD = text.UTF16(seg.Text)
		t.SetDCS(dcsUCS2)
	default:
		return submit{}, fmt.Errorf("alphabet %q: a modem sends %s and %s", out.Alphabet, route.GSM7, route.UCS2)
	}
	if out.Flash {
		t.DCS |= dcsFlash
	}
	udh, err := header(out, n)
	if err != nil {
		return submit{}, err
	}
	if len(udh) > 0 {
		t.SetUDH(udh)
	}
	if room := t.UDBlockSize(); len(t.UD) > room {
		return submit{}, fmt.Errorf("part %d: %d units do not fit into %d", n, len(t.UD), room)
	}
	b, err := t.MarshalBinary()
	if err != nil {
		return submit{}, fmt.Errorf("part %d: %w", n, err)
	}
	if f.validity {
		setValidity(b, text.ValidityOctet(f.period))
	}
	// 00: the SMSC that the SIM knows.
	return submit{n: n, length: len(b), hex: "00" + strings.ToUpper(hex.EncodeToString(b))}, nil
}

// setValidity writes TP-VP, the octet behind TP-PID and TP-DCS. The library
// would turn 5 minutes into 10, so the octet is ours.
func setValidity(b []byte, octet byte) {
	digits := int(b[2])
	b[4+(digits+1)/2+2] = octet
}

// address is a recipient: international with a plus, otherwise as dialled, for
// a short code is not a number of any country.
func address(to string) (tpdu.Address, error) {
	digits, international := strings.CutPrefix(to, "+")
	if len(digits) == 0 || len(digits) > 20 || strings.Trim(digits, "0123456789") != "" {
		return tpdu.Address{}, fmt.Errorf("to: it must be a plus and digits, or the digits of a short code, at most 20")
	}
	a := tpdu.Address{Addr: digits, TOA: 0x81} // unknown, ISDN
	if international {
		a.TOA = 0x91
	}
	return a, nil
}

// header builds the user data header of part n: its place in a long message,
// and the national tables it is written in.
func header(out *route.Outbound, n int) (tpdu.UserDataHeader, error) {
	var udh tpdu.UserDataHeader
	if total := len(out.Segments); total > 1 {
		ref := out.Ref
		switch {
		case total > 255: // the octet would run over and say "part 0 of 0"
			return nil, fmt.Errorf("%d parts: 255 is the most that a phone can join", total)
		case out.RefBits == 16:
			udh = append(udh, tpdu.InformationElement{ID: ieConcat16, Data: []byte{byte(ref >> 8), byte(ref), byte(total), byte(n)}})
		default:
			udh = append(udh, tpdu.InformationElement{ID: ieConcat8, Data: []byte{byte(ref), byte(total), byte(n)}})
		}
	}
	if out.Alphabet != route.GSM7 {
		return udh, nil
	}
	if out.Shift != 0 {
		udh = append(udh, tpdu.InformationElement{ID: ieShift, Data: []byte{byte(out.Shift)}})
	}
	if out.Locking != 0 {
		udh = append(udh, tpdu.InformationElement{ID: ieLocking, Data: []byte{byte(out.Locking)}})
	}
	return udh, nil
}
