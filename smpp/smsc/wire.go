package smsc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Commands. SMPP 3.4 §5.1.2.1
const (
	genericNack     uint32 = 0x80000000
	bindReceiver    uint32 = 0x00000001
	bindTransmitter uint32 = 0x00000002
	submitSM        uint32 = 0x00000004
	deliverSM       uint32 = 0x00000005
	unbind          uint32 = 0x00000006
	bindTransceiver uint32 = 0x00000009
	enquireLink     uint32 = 0x00000015

	answerBit uint32 = 0x80000000
)

// Status values. SMPP 3.4 §5.1.3
const (
	StatusOK           uint32 = 0x00
	StatusBadLength    uint32 = 0x02
	StatusBadCommand   uint32 = 0x03
	StatusNotBound     uint32 = 0x04
	StatusAlreadyBound uint32 = 0x05
	StatusSystemError  uint32 = 0x08
	StatusBadRecipient uint32 = 0x0B
	StatusBadPassword  uint32 = 0x0E
	StatusBadSystemID  uint32 = 0x0F
	StatusQueueFull    uint32 = 0x14
	StatusThrottled    uint32 = 0x58
	StatusUnreadable   uint32 = 0xC2 // ESME_RINVPARLEN
)

// TLV tags. SMPP 3.4 §5.3.2
const (
	tagReceiptedID  uint16 = 0x001E
	tagMark         uint16 = 0x0204 // user_message_reference
	tagSARRef       uint16 = 0x020C
	tagSARTotal     uint16 = 0x020E
	tagSARNumber    uint16 = 0x020F
	tagInterface    uint16 = 0x0210 // sc_interface_version
	tagPayload      uint16 = 0x0424
	tagMessageState uint16 = 0x0427
)

const (
	headerLen = 16
	longest   = 128 << 10
)

// packet is one PDU.
type packet struct {
	id, status, seq uint32
	body            []byte
}

// readPacket reads one PDU; scratch is reused for its body.
func readPacket(r io.Reader, scratch []byte) (packet, []byte, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return packet{}, scratch, err
	}
	n := binary.BigEndian.Uint32(h[0:])
	p := packet{
		id:     binary.BigEndian.Uint32(h[4:]),
		status: binary.BigEndian.Uint32(h[8:]),
		seq:    binary.BigEndian.Uint32(h[12:]),
	}
	if n < headerLen || n > longest {
		return p, scratch, fmt.Errorf("command_length %d cannot be", n)
	}
	n -= headerLen
	if uint32(cap(scratch)) < n {
		scratch = make([]byte, n)
	}
	p.body = scratch[:n]
	_, err := io.ReadFull(r, p.body)
	return p, scratch, err
}

// appendPacket writes one PDU to the end of b.
func appendPacket(b []byte, p packet) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(headerLen+len(p.body)))
	b = binary.BigEndian.AppendUint32(b, p.id)
	b = binary.BigEndian.AppendUint32(b, p.status)
	b = binary.BigEndian.AppendUint32(b, p.seq)
	return append(b, p.body...)
}

func appendCString(b []byte, s string) []byte { return append(append(b, s...), 0) }

func appendTLV(b []byte, tag uint16, v []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, tag)
	b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
	return append(b, v...)
}

var errShort = errors.New("the PDU is shorter than its fields")

// fields reads the mandatory part of a PDU from the front; the first mistake
// sticks.
type fields struct {
	b   []byte
	err error
}

func (f *fields) octet() byte {
	if len(f.b) < 1 {
		f.err = errShort
		return 0
	}
	v := f.b[0]
	f.b = f.b[1:]
	return v
}

// cstring reads a C-octet string of at most most octets with its end.
func (f *fields) cstring(most int) string {
	i := bytes.IndexByte(f.b, 0)
	if i < 0 || i >= most {
		f.err = fmt.Errorf("a string has no end or is longer than %d octets", most)
		f.b = nil
		return ""
	}
	v := string(f.b[:i])
	f.b = f.b[i+1:]
	return v
}

func (f *fields) octets(n int) []byte {
	if len(f.b) < n {
		f.err = errShort
		return nil
	}
	v := f.b[:n]
	f.b = f.b[n:]
	return v
}

// tlvs reads all that is left.
func (f *fields) tlvs() map[uint16][]byte {
	if f.err != nil || len(f.b) == 0 {
		return nil
	}
	m := make(map[uint16][]byte)
	for len(f.b) > 0 {
		if len(f.b) < 4 {
			f.err = errShort
			return nil
		}
		tag, n := binary.BigEndian.Uint16(f.b), int(binary.BigEndian.Uint16(f.b[2:]))
		f.b = f.b[4:]
		m[tag] = f.octets(n)
		if f.err != nil {
			return nil
		}
	}
	return m
}
