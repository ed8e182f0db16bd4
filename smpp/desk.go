package smpp

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"

	"tillpost/queue/route"
)

// What may lie on the desk. SMSCs keep some ten deliver_sm in flight, so the
// desk is full only when one floods us or the disk has stopped.
const (
	deskTasks = 2048
	deskBytes = 4 << 20
)

// sinkPatience bounds one commit.
const sinkPatience = 30 * time.Second

// keepUnanswered bounds the memory of messages stored but not acknowledged.
const keepUnanswered = 2 * deskTasks

// desk is where everything lands that the SMSC tells by itself. One clerk
// works it off in order, whichever session it came from.
type desk struct {
	name     string
	identity string
	coding   string // Config.Alphabet
	ids      *idBook
	marks    *markBook
	log      *slog.Logger

	tasks chan task
	late  chan lateAnswer
	size  atomic.Int64 // octets on the desk

	mu         sync.Mutex
	unanswered []digest // stored, but the session broke and nobody may have heard us say so
}

// task is one deliver_sm or data_sm, to be answered on its session.
type task struct {
	session *session
	frame   frame
}

// lateAnswer is a submit_sm_resp that came after its Send had given up.
type lateAnswer struct {
	part  outPart
	frame frame
}

// digest names a PDU by everything but its sequence number.
type digest [sha256.Size]byte

func digestOf(f frame) digest {
	h := sha256.New()
	fmt.Fprintf(h, "%d ", f.ID)
	h.Write(f.body)
	return digest(h.Sum(nil))
}

func newDesk(cfg *Config, identity string, ids *idBook, marks *markBook) *desk {
	return &desk{
		name: cfg.Name, identity: identity, coding: cfg.Alphabet, ids: ids, marks: marks, log: cfg.Log,
		tasks: make(chan task, deskTasks),
		late:  make(chan lateAnswer, maxLate),
	}
}

// put lays a task on the desk; false means that there is no room.
func (d *desk) put(t task) bool {
	n := int64(len(t.frame.body))
	if d.size.Add(n) > deskBytes {
		d.size.Add(-n)
		return false
	}
	select {
	case d.tasks <- t:
		return true
	default:
		d.size.Add(-n)
		return false
	}
}

// putLate lays a late answer on the desk. It never blocks the reader: there
// are no more late answers than maxLate, and one that finds no room leaves
// its message Unknown, as it was.
func (d *desk) putLate(a lateAnswer) {
	select {
	case d.late <- a:
	default:
		d.log.Warn("a late submit_sm_resp found no room and was dropped; its message stays unknown", "msg", a.part.id)
	}
}

// work works the desk off until ctx ends. What is left then was not
// acknowledged, and the SMSC will bring it again.
func (d *desk) work(ctx context.Context, sink route.Sink) {
	for ctx.Err() == nil {
		select {
		case t := <-d.tasks:
			d.size.Add(-int64(len(t.frame.body)))
			d.carried(ctx, sink, t)
			t.session.paid()
		case a := <-d.late:
			d.lateAnswer(ctx, sink, a)
		case <-ctx.Done():
		}
	}
}

// carried stores what a deliver_sm or data_sm brings, and then answers it.
func (d *desk) carried(ctx context.Context, sink route.Sink, t task) {
	dig := digestOf(t.frame)
	if d.answerAgain(t, dig) {
		return
	}
	m, broken := decodeCarried(t.frame.ID, t.frame.body)
	err := d.store(ctx, sink, t.frame, &m, broken)

	answer := func(status pdu.Status) error {
		return t.session.replyCarried(t.frame, status, func() {
			if status == statusOK {
				d.remember(dig)
			}
		})
	}
	switch {
	case err != nil:
		d.log.Warn("could not store what the SMSC sent; it was told to come again", "err", err)
		err = answer(statusNotNow)
	case broken != nil:
		d.log.Warn("the SMSC sent a PDU that cannot be read; it was stored as it is", "err", broken)
		err = t.session.reply(pdu.NewGenericNACK(), t.frame.Seq, statusBadLength, nil)
	default:
		if err = answer(statusOK); err != nil {
			d.remember(dig)
		}
	}
	if err != nil {
		d.log.Debug("the session ended before the answer", "err", err)
	}
}

// store hands a message or receipt to the sink, and returns after the commit.
func (d *desk) store(ctx context.Context, sink route.Sink, f frame, m *carried, broken error) error {
	ctx, cancel := context.WithTimeout(ctx, sinkPatience)
	defer cancel()
	if broken != nil {
		dig := digestOf(f)
		return sink.Received(ctx, route.Inbound{
			Key:   d.name + "/" + hex.EncodeToString(dig[:12]),
			Route: d.name, Identity: d.identity,
			Text: broken.Error(), Raw: hex.EncodeToString(f.raw()), Undecodable: true,
		})
	}
	if r, ok := d.isReceipt(ctx, m); ok {
		return d.report(ctx, sink, f, m, r)
	}
	return sink.Received(ctx, d.inbound(f, m))
}

// isReceipt says whether m is a readable receipt. Most are marked in
// esm_class; some by a TLV only; and at a few SMSCs nothing but the text shows
// it.
func (d *desk) isReceipt(ctx context.Context, m *carried) (receipt, bool) {
	r, readable := readReceipt(m)
	if !readable {
		return receipt{}, false
	}
	kind := m.esm & esmTypeMask
	if kind == esmReceipt || kind == esmIntermediate {
		return r, true
	}
	if _, marked := m.tlv[pdutlv.TagReceiptedMessageID]; marked {
		return r, true
	}
	if kind != 0 || r.submit == "" && r.done == "" {
		return receipt{}, false
	}
	return r, d.ids.unmarked(ctx, r.id)
}

// report tells the sink of a receipt, and of earlier ones that are understood
// only now.
func (d *desk) report(ctx context.Context, sink route.Sink, f frame, m *carried, r receipt) error {
	from := m.source.subscriber()
	ref, learnt := d.ids.ref(r.id, from)
	rep := route.Report{
		Route: d.name, Identity: d.identity,
		Ref: ref, To: from,
		Code: r.code(), Sent: receiptTime(r.submit), Done: receiptTime(r.done),
		Raw: hex.EncodeToString(f.raw()),
	}
	rep.State, rep.Why = r.verdict()
	if m.esm&esmTypeMask == esmIntermediate {
		rep.State = route.ReportPending // whatever its text says. SMPP 3.4 §5.2.12
	}
	if mark, ok := m.tlv[pdutlv.TagUserMessageReference]; ok && len(mark.Bytes()) == 2 {
		rep.ID = d.marks.message(binary.BigEndian.Uint16(mark.Bytes()), from)
	}
	// SMSCs begin to count anew, so the date belongs to the key as well.
	rep.Key = fmt.Sprintf("%s/%s/%s/%s", d.name, ref, rep.State, r.done)

	if err := sink.Reported(ctx, rep); err != nil {
		return fmt.Errorf("storing a receipt: %w", err)
	}
	if learnt == "" {
		d.ids.doubtful(rep)
		return nil
	}
	for _, again := range d.ids.settle(ctx, learnt) {
		if err := sink.Reported(ctx, again); err != nil {
			return fmt.Errorf("storing a receipt under the id it was for: %w", err)
		}
	}
	return nil
}

// inbound is a message, or one part of one, that somebody sent us.
func (d *desk) inbound(f frame, m *carried) route.Inbound {
	in := route.Inbound{
		Route: d.name, Identity: d.identity,
		From: m.source.String(), To: m.dest.String(),
		Raw: hex.EncodeToString(f.raw()),
	}
	var h header
	b := m.text
	if m.esm&esmUDHI != 0 {
		var err error
		if h, b, err = cutHeader(m.text); err != nil {
			in.Text, in.Undecodable = err.Error(), true
			return in
		}
	}
	if in.Concat = h.concat; in.Concat == nil {
		in.Concat = sar(m.tlv)
	}
	kind := m.esm & esmTypeMask
	if kind == esmReceipt || kind == esmIntermediate {
		in.Text, in.Undecodable = "a delivery receipt that names no message or no state", true
		return in
	}
	var err error
	if in.Text, err = decodeText(m.coding, d.coding, h, b); err != nil {
		in.Text, in.Undecodable = err.Error(), true
	}
	return in
}

// sar reads the concatenation TLVs. SMPP 3.4 §5.3.2.22 to §5.3.2.24
func sar(tlv pdutlv.Map) *route.Concat {
	number := func(tag pdutlv.Tag) int {
		v, ok := tlv[tag]
		if !ok {
			return -1
		}
		n := 0
		for _, b := range v.Bytes()[:min(2, len(v.Bytes()))] {
			n = n<<8 | int(b)
		}
		return n
	}
	ref := number(pdutlv.TagSarMsgRefNum)
	if ref < 0 {
		return nil
	}
	return concat(ref, 16, number(pdutlv.TagSarTotalSegments), number(pdutlv.TagSarSegmentSeqnum))
}

// lateAnswer tells the queue what became of a message whose Send ended
// without knowing.
func (d *desk) lateAnswer(ctx context.Context, sink route.Sink, a lateAnswer) {
	ctx, cancel := context.WithTimeout(ctx, sinkPatience)
	defer cancel()
	p := a.part
	rep := route.Report{
		Key:   fmt.Sprintf("%s/late/%s/%d/%d", d.name, p.id, p.attempt, p.n),
		Route: d.name, Identity: d.identity, To: p.to, ID: p.id,
	}
	if a.frame.Status == statusOK {
		rep.Ref = d.ids.submitted(cstring(a.frame.body), p.to)
		rep.State, rep.Code, rep.Why = route.ReportSent, "submit_sm_resp", "the provider has it; its answer came late"
	} else {
		verdict := refused(d.name, p.what(), a.frame.Status, p.codes)
		rep.State, rep.Code, rep.Why = route.ReportGivenBack, verdict.Code, verdict.Text
		if verdict.Fate == route.Reject {
			rep.State = route.ReportUndelivered
		}
	}
	if err := sink.Reported(ctx, rep); err != nil {
		d.log.Warn("a late submit_sm_resp could not be stored; its message stays unknown", "msg", p.id, "err", err)
	}
}

// remember notes that a PDU is stored and its answer may be lost: the SMSC
// will bring it again.
func (d *desk) remember(dig digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.unanswered) == keepUnanswered {
		d.unanswered = d.unanswered[1:]
	}
	d.unanswered = append(d.unanswered, dig)
}

// answerAgain acknowledges a PDU that an earlier session brought, that is
// stored already, and whose answer was lost.
func (d *desk) answerAgain(t task, dig digest) bool {
	d.mu.Lock()
	at := -1
	for i, old := range d.unanswered {
		if old == dig {
			at = i
			break
		}
	}
	if at >= 0 {
		d.unanswered = append(d.unanswered[:at], d.unanswered[at+1:]...)
	}
	d.mu.Unlock()
	if at < 0 {
		return false
	}
	if err := t.session.replyCarried(t.frame, statusOK, func() { d.remember(dig) }); err != nil {
		d.remember(dig)
	}
	return true
}
