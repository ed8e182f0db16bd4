package smsc

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/warthog618/sms/encoding/gsm7"
	"github.com/warthog618/sms/encoding/gsm7/charset"
)

// Submit is one submit_sm that was read, and what became of it. It is also
// one line of the log.
type Submit struct {
	Time     time.Time     `json:"time"`
	ID       string        `json:"id"` // message_id, as in the submit_sm_resp
	Number   uint64        `json:"number"`
	Session  int           `json:"session"`
	Seq      uint32        `json:"seq"`
	From     string        `json:"from"`
	FromTON  byte          `json:"from_ton"`
	FromNPI  byte          `json:"from_npi"`
	To       string        `json:"to"`
	ToTON    byte          `json:"to_ton"`
	ToNPI    byte          `json:"to_npi"`
	ESM      byte          `json:"esm_class"`
	Priority byte          `json:"priority"`
	Validity string        `json:"validity,omitempty"`
	Receipt  bool          `json:"receipt"` // registered_delivery asks for one
	Coding   byte          `json:"data_coding"`
	Text     string        `json:"text"`
	Hex      string        `json:"hex"` // short_message or payload, with its header
	Ref      int           `json:"ref,omitempty"`
	Of       int           `json:"of,omitempty"`
	N        int           `json:"n,omitempty"`
	Mark     int           `json:"mark,omitempty"` // user_message_reference
	Status   uint32        `json:"status"`         // command_status of the answer
	Accepted bool          `json:"accepted"`       // the SMSC has it
	Silent   bool          `json:"silent,omitempty"`
	After    time.Duration `json:"after,omitempty"`
}

// parseSubmit reads the body of a submit_sm strictly: a client that writes
// nonsense shall hear of it. SMPP 3.4 §4.4.1
func parseSubmit(body []byte, latin1 bool) (*Submit, error) {
	f := fields{b: body}
	s := new(Submit)
	f.cstring(6) // service_type
	s.FromTON, s.FromNPI, s.From = f.octet(), f.octet(), f.cstring(21)
	s.ToTON, s.ToNPI, s.To = f.octet(), f.octet(), f.cstring(21)
	s.ESM = f.octet()
	f.octet() // protocol_id
	s.Priority = f.octet()
	f.cstring(17) // schedule_delivery_time
	s.Validity = f.cstring(17)
	s.Receipt = f.octet()&3 != 0
	f.octet() // replace_if_present_flag
	s.Coding = f.octet()
	f.octet() // sm_default_msg_id
	text := f.octets(int(f.octet()))
	tlv := f.tlvs()
	if f.err != nil {
		return nil, f.err
	}
	if !isNumber(s.To) {
		return s, fmt.Errorf("destination_addr is no number")
	}
	if payload, ok := tlv[tagPayload]; ok {
		if len(text) > 0 {
			return s, fmt.Errorf("short_message and message_payload at once")
		}
		text = payload
	}
	s.Hex = hex.EncodeToString(text)
	if v := tlv[tagMark]; len(v) == 2 {
		s.Mark = int(binary.BigEndian.Uint16(v))
	}
	if ref, of, n := tlv[tagSARRef], tlv[tagSARTotal], tlv[tagSARNumber]; len(ref) == 2 && len(of) == 1 && len(n) == 1 {
		s.Ref, s.Of, s.N = int(binary.BigEndian.Uint16(ref)), int(of[0]), int(n[0])
	}
	return s, s.readText(text, latin1)
}

// readText reads header and text of a short_message.
func (s *Submit) readText(b []byte, latin1 bool) error {
	var shift, locking int
	if s.ESM&0x40 != 0 {
		if len(b) == 0 || int(b[0])+1 > len(b) {
			return fmt.Errorf("the user data header is longer than the message")
		}
		h := b[1 : 1+b[0]]
		b = b[1+b[0]:]
		for len(h) >= 2 && len(h) >= 2+int(h[1]) {
			v := h[2 : 2+h[1]]
			switch {
			case h[0] == 0x00 && len(v) == 3:
				s.Ref, s.Of, s.N = int(v[0]), int(v[1]), int(v[2])
			case h[0] == 0x08 && len(v) == 4:
				s.Ref, s.Of, s.N = int(binary.BigEndian.Uint16(v)), int(v[2]), int(v[3])
			case h[0] == 0x24 && len(v) == 1:
				shift = int(v[0])
			case h[0] == 0x25 && len(v) == 1:
				locking = int(v[0])
			}
			h = h[2+h[1]:]
		}
		if len(h) > 0 {
			return fmt.Errorf("an information element is longer than the user data header")
		}
	}
	switch s.Coding {
	case 0x08, 0x18:
		if len(b)%2 != 0 {
			return fmt.Errorf("UCS2 of an odd length")
		}
		u := make([]uint16, len(b)/2)
		for i := range u {
			u[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		s.Text = string(utf16.Decode(u))
		return nil
	case 0x03:
		latin1 = true
	}
	if latin1 {
		r := make([]rune, len(b))
		for i, c := range b {
			r[i] = rune(c)
		}
		s.Text = string(r)
		return nil
	}
	d := gsm7.NewDecoder().Strict()
	if shift != 0 {
		d = d.WithExtCharset(charset.NewExtDecoder(shift))
	}
	if locking != 0 {
		d = d.WithCharset(charset.NewDecoder(locking))
	}
	text, err := d.Decode(b)
	s.Text = string(text)
	return err
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
