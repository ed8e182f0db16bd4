package smsc

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// delivery is a deliver_sm on its way to a client.
type delivery struct {
	command uint32 // deliver_sm, or what a test wants
	body    []byte
	done    chan uint32 // receives every status it is answered with; may be nil
}

// stateNumbers are the values of message_state. SMPP 3.4 §5.2.28
var stateNumbers = map[string]byte{
	"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8,
}

// planReceipts brings the receipt of an accepted message on its way.
func (m *SMSC) planReceipts(cfg *Config, s *Submit, v Verdict, id string) {
	state, code := v.State, v.Err
	if state == "" {
		state = "DELIVRD"
	}
	if code == "" {
		code = "000"
	}
	wait := v.Receipt
	if wait == 0 {
		wait = cfg.ReceiptAfter
	}
	if wait == 0 && !cfg.Early {
		// Networks differ from phone to phone: up to a second.
		wait = time.Duration(s.Number%100) * 10 * time.Millisecond
	}
	if !cfg.Early {
		wait += cfg.Latency + v.After // from the answer on
	}
	send := func() {
		if cfg.Between {
			m.enqueue(&delivery{command: deliverSM, body: receiptBody(cfg.Receipts, s, id, "ENROUTE", "000", true)})
		}
		times := 1
		if cfg.Twice {
			times = 2
		}
		for range times {
			m.enqueue(&delivery{command: deliverSM, body: receiptBody(cfg.Receipts, s, id, state, code, false)})
		}
	}
	if wait == 0 {
		send()
		return
	}
	m.later.after(wait, send)
}

// receiptBody writes a receipt in one of its forms. SMPP 3.4 Appendix B
func receiptBody(form Form, s *Submit, id, state, code string, between bool) []byte {
	dates := "0601021504"
	if form == FormLong {
		dates = "20060102150405"
	}
	submitted, done := s.Time.UTC().Format(dates), time.Now().UTC().Format(dates)
	delivered := "001"
	if state != "DELIVRD" {
		delivered = "000"
	}
	first := []rune(s.Text)
	first = first[:min(20, len(first))]
	text := fmt.Sprintf("id:%s sub:001 dlvrd:%s submit date:%s done date:%s stat:%s err:%s text:%s",
		id, delivered, submitted, done, state, code, asciiOnly(string(first)))
	switch form {
	case FormTLV:
		text = ""
	case FormShort:
		text = fmt.Sprintf("id:%s submit date:%s done date:%s stat:%s err:%s", id, submitted, done, state, code)
	}
	esm := byte(0x04)
	if between {
		esm = 0x20
	}
	if form == FormPlain {
		esm = 0
	}
	b := carriedBody(address{s.ToTON, s.ToNPI, s.To}, address{s.FromTON, s.FromNPI, s.From}, esm, 0, []byte(text))
	if form == FormBoth || form == FormTLV {
		b = appendTLV(b, tagReceiptedID, appendCString(nil, id))
		b = appendTLV(b, tagMessageState, []byte{stateNumbers[state]})
	}
	if s.Mark != 0 {
		b = appendTLV(b, tagMark, binary.BigEndian.AppendUint16(nil, uint16(s.Mark)))
	}
	return b
}

func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

type address struct {
	ton, npi byte
	digits   string
}

// carriedBody writes the mandatory part of a deliver_sm. SMPP 3.4 §4.6.1
func carriedBody(from, to address, esm, coding byte, text []byte) []byte {
	var b []byte
	b = appendCString(b, "")
	b = appendCString(append(b, from.ton, from.npi), from.digits)
	b = appendCString(append(b, to.ton, to.npi), to.digits)
	b = append(b, esm, 0, 0, 0, 0, 0, 0, coding, 0, byte(len(text)))
	return append(b, text...)
}

// Message is a message from a phone to a client.
type Message struct {
	From, To string // an empty From is an odd one; digits are international
	ESM      byte
	Coding   byte
	Text     []byte            // as it stands in short_message
	TLVs     map[uint16][]byte // added behind
	Raw      []byte            // set: the whole body, instead of all above
	Command  uint32            // 0: deliver_sm
}

// Deliver brings a message to one of the clients that may receive, and
// returns the status of its first answer.
func (m *SMSC) Deliver(ctx context.Context, msg Message) (status uint32, err error) {
	select {
	case status = <-m.Bring(msg):
		return status, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("smsc: nobody answered the message: %w", context.Cause(ctx))
	}
}

// Bring is Deliver without waiting: the channel receives the first answer.
func (m *SMSC) Bring(msg Message) <-chan uint32 {
	body := msg.Raw
	if body == nil {
		body = carriedBody(address{1, 1, msg.From}, address{1, 1, msg.To}, msg.ESM, msg.Coding, msg.Text)
		for tag, v := range msg.TLVs {
			body = appendTLV(body, tag, v)
		}
	}
	if msg.Command == 0 {
		msg.Command = deliverSM
	}
	d := &delivery{command: msg.Command, body: body, done: make(chan uint32, 1)}
	m.enqueue(d)
	return d.done
}

// enqueue lays a delivery in the line and sends what can be sent.
func (m *SMSC) enqueue(d *delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready = append(m.ready, d)
	m.pump()
}

// pump sends what waits, as far as windows allow. Called with mu held.
func (m *SMSC) pump() {
	for len(m.ready) > 0 {
		var best *session
		for s := range m.sessions {
			if s.receives() && len(s.outstanding) < m.cfg.DeliverWindow && (best == nil || len(s.outstanding) < len(best.outstanding)) {
				best = s
			}
		}
		if best == nil {
			return
		}
		d := m.ready[0]
		m.ready = m.ready[1:]
		m.stats.Sent++
		best.deliver(d, m.cfg.Collide)
	}
}

// answered books the answer to a request of ours.
func (m *SMSC) answered(s *session, p packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.changed()
	m.stats.Last = Answer{p.id, p.status, p.seq}
	if p.id == enquireLink|answerBit || p.id == unbind|answerBit {
		m.stats.Heard++
	}
	d := s.outstanding[p.seq]
	if d == nil || p.id != d.command|answerBit && p.id != genericNack {
		return
	}
	delete(s.outstanding, p.seq)
	if d.done != nil {
		select {
		case d.done <- p.status:
		default:
		}
	}
	if p.status == StatusOK && p.id != genericNack {
		m.stats.Done++
	} else {
		m.stats.Nacked++
		if p.id != genericNack { // what cannot be read does not get better
			m.later.after(m.cfg.RetryAfter, func() { m.enqueue(d) })
		}
	}
	m.pump()
}
