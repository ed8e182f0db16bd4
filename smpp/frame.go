package smpp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// maxPDU bounds command_length. The largest PDU that makes sense is a
// message_payload of some kilobytes; whoever announces more has lost the frame.
const maxPDU = 64 << 10

// isResp is the bit of command_id that marks an answer. SMPP 3.4 §5.1.2
const isResp pdu.ID = 0x80000000

// frame is one PDU as it came: the header, and the body not yet looked at.
type frame struct {
	pdu.Header
	body []byte
}

// lengthError is a command_length that cannot be. Nothing behind it can be
// trusted, so the session ends.
type lengthError struct{ pdu.Header }

func (e lengthError) Error() string {
	return fmt.Sprintf("the SMSC sent a PDU with command_length %d; between %d and %d is possible", e.Len, pdu.HeaderLen, maxPDU)
}

// readFrame reads one PDU. The library's Decode would do that too, but stops
// at 4096 octets and at every command it does not know.
func readFrame(r io.Reader) (frame, error) {
	var head [pdu.HeaderLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{Header: pdu.Header{
		Len:    binary.BigEndian.Uint32(head[0:]),
		ID:     pdu.ID(binary.BigEndian.Uint32(head[4:])),
		Status: pdu.Status(binary.BigEndian.Uint32(head[8:])),
		Seq:    binary.BigEndian.Uint32(head[12:]),
	}}
	if f.Len < pdu.HeaderLen || f.Len > maxPDU {
		return frame{}, lengthError{f.Header}
	}
	f.body = make([]byte, f.Len-pdu.HeaderLen)
	if _, err := io.ReadFull(r, f.body); err != nil {
		return frame{}, fmt.Errorf("the connection ended inside a PDU: %w", err)
	}
	return f, nil
}

// raw puts the PDU together again, for the record.
func (f *frame) raw() []byte {
	var b bytes.Buffer
	b.Grow(int(f.Len))
	f.Header.SerializeTo(&b) // a bytes.Buffer does not fail
	b.Write(f.body)
	return b.Bytes()
}

// encode writes p with the given sequence number and status.
func encode(p pdu.Body, seq uint32, status pdu.Status) ([]byte, error) {
	p.Header().Seq = seq
	p.Header().Status = status
	var b bytes.Buffer
	b.Grow(256)
	if err := p.SerializeTo(&b); err != nil {
		return nil, fmt.Errorf("writing a %s: %w", p.Header().ID, err)
	}
	return b.Bytes(), nil
}

// stamp sets the sequence number of an encoded PDU.
func stamp(pdu []byte, seq uint32) { binary.BigEndian.PutUint32(pdu[12:], seq) }

// Mandatory fields of the PDUs that bring messages. SMPP 3.4 §4.6.1, §4.7.1
//
// deliver_sm has the fields of submit_sm. The library's own list for it cuts
// the user data header out of short_message and fails on an empty one.
var (
	deliverFields = pdu.NewSubmitSM(nil).FieldList()
	dataFields    = pdufield.List{
		pdufield.ServiceType,
		pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr,
		pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr,
		pdufield.ESMClass, pdufield.RegisteredDelivery, pdufield.DataCoding,
	}
)

// address is a number or name with its type. SMPP 3.4 §5.2.5, §5.2.6
type address struct {
	ton, npi byte
	digits   string
}

// carried is what deliver_sm and data_sm have in common.
type carried struct {
	source, dest address
	esm          byte
	coding       byte
	text         []byte // short_message, or message_payload where that is empty
	tlv          pdutlv.Map
}

// decodeCarried reads the body of a deliver_sm or data_sm. A damaged optional
// part costs only itself: the mandatory part is the message.
func decodeCarried(id pdu.ID, body []byte) (carried, error) {
	list := deliverFields
	if id == pdu.DataSMID {
		list = dataFields
	}
	r := bytes.NewBuffer(body)
	f, err := list.Decode(r)
	if err != nil {
		return carried{}, fmt.Errorf("the %s cannot be read: %w", name(id), err)
	}
	if len(f) != len(list) { // Decode stops silently where the bytes end
		return carried{}, fmt.Errorf("the %s ends after %d of its %d fields", name(id), len(f), len(list))
	}
	fixed := func(n pdufield.Name) byte { return f[n].Bytes()[0] }
	m := carried{
		source: address{fixed(pdufield.SourceAddrTON), fixed(pdufield.SourceAddrNPI), f[pdufield.SourceAddr].String()},
		dest:   address{fixed(pdufield.DestAddrTON), fixed(pdufield.DestAddrNPI), f[pdufield.DestinationAddr].String()},
		esm:    fixed(pdufield.ESMClass),
		coding: fixed(pdufield.DataCoding),
		tlv:    decodeTLV(r.Bytes()),
	}
	if sm, ok := f[pdufield.ShortMessage]; ok {
		m.text = sm.Bytes()
	}
	if payload, ok := m.tlv[pdutlv.TagMessagePayload]; ok && len(m.text) == 0 {
		m.text = payload.Bytes()
	}
	return m, nil
}

// decodeTLV reads the optional parameters up to the first that claims more
// than there is. SMPP 3.4 §3.2.4
func decodeTLV(b []byte) pdutlv.Map {
	whole := 0
	for len(b)-whole >= 4 {
		n := 4 + int(binary.BigEndian.Uint16(b[whole+2:]))
		if n > len(b)-whole {
			break
		}
		whole += n
	}
	m, err := pdutlv.DecodeTLV(bytes.NewBuffer(b[:whole]))
	if err != nil {
		return nil // cannot be: every length was checked
	}
	return m
}

// cstring reads a C-octet string that may lack its end, as message ids of
// some SMSCs do.
func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// names spells commands as SMPP 3.4 §5.1.2.1 does, for people.
var names = map[pdu.ID]string{
	pdu.GenericNACKID:         "generic_nack",
	pdu.BindReceiverID:        "bind_receiver",
	pdu.BindTransmitterID:     "bind_transmitter",
	pdu.BindTransceiverID:     "bind_transceiver",
	pdu.BindReceiverRespID:    "bind_receiver_resp",
	pdu.BindTransmitterRespID: "bind_transmitter_resp",
	pdu.BindTransceiverRespID: "bind_transceiver_resp",
	pdu.SubmitSMID:            "submit_sm",
	pdu.SubmitSMRespID:        "submit_sm_resp",
	pdu.DeliverSMID:           "deliver_sm",
	pdu.DataSMID:              "data_sm",
	pdu.DataSMRespID:          "data_sm_resp",
	pdu.UnbindID:              "unbind",
	pdu.UnbindRespID:          "unbind_resp",
	pdu.EnquireLinkID:         "enquire_link",
	pdu.OutbindID:             "outbind",
	pdu.AlertNotificationID:   "alert_notification",
}

func name(id pdu.ID) string {
	if n, ok := names[id]; ok {
		return n
	}
	return fmt.Sprintf("command 0x%08X", uint32(id))
}
