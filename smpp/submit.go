package smpp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// Ways to send a long message: Config.LongMessages.
const (
	LongUDH     = "udh"     // a user data header in each part; works nearly everywhere
	LongSAR     = "sar"     // sar_* TLVs beside each part
	LongPayload = "payload" // message_payload, once; the SMSC cuts
)

// Forms of validity_period: Config.ValidityFormat.
const (
	ValidityRelative = "relative" // from when the SMSC gets it; needs no agreement about clocks
	ValidityAbsolute = "absolute" // a time of day, in UTC
	ValidityNone     = "none"     // the field is left empty
)

// maxShort is the room in short_message: sm_length is one octet and 255 is
// not allowed. SMPP 3.4 §5.2.21
const maxShort = 254

// outPart is one submit_sm to be.
type outPart struct {
	id      string // of the message
	attempt int
	n, of   int  // from 1
	whole   bool // as a payload, so it is all parts at once; n is 1
	to      string
	mark    uint16 // user_message_reference, 0 none
	codes   map[uint32]route.Fate

	frame []byte // the encoded submit_sm, sequence number still to be set
}

// what names the part in errors.
func (p *outPart) what() string {
	if p.of == 1 || p.whole {
		return "submit_sm"
	}
	return fmt.Sprintf("submit_sm for part %d of %d", p.n, p.of)
}

// priorities are the values of priority_flag for those of a message. 0 is
// what nobody charges extra for; 2 is "urgent" at every kind of network. SMPP
// 3.4 §5.2.14
var priorities = [...]byte{0, 0, 1, 2}

// compose encodes the parts of a message that are still to be sent. Every
// error is the message's own fault or the settings', and so a Reject.
func (c *Client) compose(out *route.Outbound) ([]outPart, error) {
	from := out.From
	if from == "" {
		from = c.cfg.Source
	}
	src, err := c.sourceAddress(from)
	if err != nil {
		return nil, err
	}
	dst, err := recipient(out.To)
	if err != nil {
		return nil, err
	}
	c.overrideType(&dst, c.cfg.DestTON, c.cfg.DestNPI)
	if len(out.Segments) == 0 {
		return nil, fmt.Errorf("the message has no text")
	}
	todo := out.Todo()
	base := outPart{
		id: out.ID, attempt: out.Attempt, of: len(out.Segments), to: out.To, codes: c.cfg.Codes,
	}
	// A payload is one submit_sm, so it cannot carry the rest of a message.
	base.whole = c.cfg.LongMessages == LongPayload && base.of > 1 && len(todo) == base.of
	if base.whole {
		todo = []int{1}
	}
	var parts []outPart
	for _, n := range todo {
		p := base
		p.n = n
		if c.cfg.MessageReference {
			p.mark = uint16(route.Mark(p.id, p.attempt, p.n))
		}
		if p.frame, err = c.submitSM(out, &p, src, dst); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// submitSM encodes one submit_sm. SMPP 3.4 §4.4.1
func (c *Client) submitSM(out *route.Outbound, p *outPart, src, dst address) ([]byte, error) {
	tlv := make(pdutlv.Fields)
	for tag, v := range c.cfg.TLVs {
		tlv[pdutlv.Tag(tag)] = v
	}
	if p.mark != 0 {
		tlv[pdutlv.TagUserMessageReference] = be16(p.mark)
	}
	said := out.Segments[p.n-1].Text
	if p.whole {
		said = join(out.Segments)
	}
	b, udh, coding, err := c.encodeText(out, said)
	if err != nil {
		return nil, err
	}
	if p.of > 1 && !p.whole {
		switch c.cfg.LongMessages {
		case LongSAR:
			tlv[pdutlv.TagSarMsgRefNum] = be16(uint16(out.Ref))
			tlv[pdutlv.TagSarTotalSegments] = uint8(p.of)
			tlv[pdutlv.TagSarSegmentSeqnum] = uint8(p.n)
		default:
			udh = append(concatHeader(out, p), udh...)
		}
	}
	var esm byte
	if len(udh) > 0 {
		esm = esmUDHI
		b = append(append([]byte{byte(len(udh))}, udh...), b...)
	}
	if p.whole {
		tlv[pdutlv.TagMessagePayload] = b
		b = nil
	}
	if len(b) > maxShort {
		return nil, fmt.Errorf("part %d has %d octets; short_message takes %d", p.n, len(b), maxShort)
	}

	body := pdu.NewSubmitSM(tlv)
	f := body.Fields()
	set := []struct {
		name  pdufield.Name
		value any
	}{
		{pdufield.ServiceType, c.cfg.ServiceType},
		{pdufield.SourceAddrTON, src.ton}, {pdufield.SourceAddrNPI, src.npi}, {pdufield.SourceAddr, src.digits},
		{pdufield.DestAddrTON, dst.ton}, {pdufield.DestAddrNPI, dst.npi}, {pdufield.DestinationAddr, dst.digits},
		{pdufield.ESMClass, esm},
		{pdufield.PriorityFlag, priorities[min(max(out.Priority, 0), 3)]},
		{pdufield.ValidityPeriod, c.validity(out.Expires, time.Now())},
		{pdufield.RegisteredDelivery, registered(out.Report)},
		{pdufield.DataCoding, coding},
		{pdufield.ShortMessage, b},
	}
	for _, s := range set {
		if err := f.Set(s.name, s.value); err != nil {
			return nil, fmt.Errorf("setting %s: %w", s.name, err)
		}
	}
	return encode(body, 0, statusOK)
}

func be16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

func join(segments []route.Segment) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString(s.Text)
	}
	return b.String()
}

// registered asks for a receipt on success and failure. SMPP 3.4 §5.2.17
func registered(report bool) pdufield.DeliverySetting {
	if report {
		return pdufield.FinalDeliveryReceipt
	}
	return pdufield.NoDeliveryReceipt
}

// concatHeader is the information element that joins the parts. 3GPP TS
// 23.040 §9.2.3.24.1, §9.2.3.24.8
func concatHeader(out *route.Outbound, p *outPart) []byte {
	if out.RefBits == 16 {
		return []byte{ieConcat16, 4, byte(out.Ref >> 8), byte(out.Ref), byte(p.of), byte(p.n)}
	}
	return []byte{ieConcat8, 3, byte(out.Ref), byte(p.of), byte(p.n)}
}

// languageHeader names the national tables of the text. 3GPP TS 23.040
// §9.2.3.24.15, §9.2.3.24.16
func languageHeader(out *route.Outbound) []byte {
	var h []byte
	if out.Shift != 0 {
		h = append(h, ieShift, 1, byte(out.Shift))
	}
	if out.Locking != 0 {
		h = append(h, ieLocking, 1, byte(out.Locking))
	}
	return h
}

// encodeText writes a text as short_message wants it, and says which
// data_coding that is. udh names the national tables, which only septets have.
func (c *Client) encodeText(out *route.Outbound, said string) (b, udh []byte, coding byte, err error) {
	if out.Alphabet == route.UCS2 {
		return text.UTF16(said), nil, c.codingUCS2(out), nil
	}
	coding = c.cfg.CodingGSM7
	if out.Flash {
		coding = codingFlashGSM7
	}
	if c.cfg.Alphabet != AlphabetLatin1 {
		b, err = text.Septets(said, out.Shift, out.Locking)
		return b, languageHeader(out), coding, err
	}
	b, odd, ok := toLatin1(said)
	if ok {
		return b, nil, coding, nil
	}
	// The queue plans texts for Latin-1 without what it lacks; this one was
	// planned for another pool and came here later. As UCS2 it may still fit into
	// the one message that it was to be.
	b = text.UTF16(said)
	if len(out.Segments) > 1 || len(b) > text.Capacity(text.AlphabetUCS2, 0)*2 {
		return nil, nil, 0, fmt.Errorf("%q is not in Latin-1, which %s is set to (alphabet = \"latin1\"); write it otherwise or send with encoding ucs2", odd, c.cfg.Name)
	}
	return b, nil, c.codingUCS2(out), nil
}

func (c *Client) codingUCS2(out *route.Outbound) byte {
	if out.Flash {
		return codingFlashUCS2
	}
	return c.cfg.CodingUCS2
}

// validity is how long the SMSC shall try: YYMMDDhhmmss000R from now, or the
// time itself. SMPP 3.4 §7.1.1
func (c *Client) validity(expires, now time.Time) string {
	d := c.cfg.Validity
	if !expires.IsZero() {
		if left := expires.Sub(now); d == 0 || left < d {
			d = left
		}
	}
	if d == 0 || c.cfg.ValidityFormat == ValidityNone {
		return "" // the SMSC's own default
	}
	const day = 24 * time.Hour
	d = min(max(d.Round(time.Second), time.Minute), 30*day)
	if c.cfg.ValidityFormat == ValidityAbsolute {
		return now.Add(d).UTC().Format("060102150405") + "000+"
	}
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", d/day, d/time.Hour%24, d/time.Minute%60, d/time.Second%60)
}

// sourceAddress is the address of a sender with the types the settings want.
// They were set with the usual sender in mind. Another number than a usual one
// goes as that does; a name is of type 5 and nothing else, and no number goes
// as a name.
func (c *Client) sourceAddress(from string) (address, error) {
	a, err := sender(from)
	if err != nil {
		return address{}, err
	}
	if from != c.cfg.Source {
		usual, err := sender(c.cfg.Source)
		if err != nil {
			return address{}, err
		}
		if a.ton == tonAlphanumeric || usual.ton == tonAlphanumeric {
			return a, nil
		}
	}
	c.overrideType(&a, c.cfg.SourceTON, c.cfg.SourceNPI)
	return a, nil
}

func (c *Client) overrideType(a *address, ton, npi *int) {
	if ton != nil {
		a.ton = byte(*ton)
	}
	if npi != nil {
		a.npi = byte(*npi)
	}
}
