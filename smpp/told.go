package smpp

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"

	"tillpost/queue/route"
)

// sinkPatience bounds one commit.
const sinkPatience = 30 * time.Second

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
	ref := d.ids.ref(r.id, from)
	rep := route.Report{
		Route: d.name, Identity: d.identity,
		Ref: ref, Exact: true, To: from, Quote: r.quote, Whole: d.whole,
		Code: r.code(), Sent: receiptTime(r.submit), Done: receiptTime(r.done),
		Raw: hex.EncodeToString(f.raw()),
	}
	v := r.verdict()
	rep.State, rep.Reason, rep.Why = v.state, v.reason, v.why
	if m.esm&esmTypeMask == esmIntermediate {
		rep.State = route.ReportPending // whatever its text says. SMPP 3.4 §5.2.12
	}
	// SMPP 3.4 §5.3.2.17. Without the setting it is no number of ours.
	if mark, ok := m.tlv[pdutlv.TagUserMessageReference]; ok && d.marked && len(mark.Bytes()) == 2 {
		rep.Mark = int(binary.BigEndian.Uint16(mark.Bytes()))
	}
	// SMSCs begin to count anew, so the date belongs to the key as well.
	rep.Key = fmt.Sprintf("%s/%s/%s/%s", d.name, ref, rep.State, r.done)

	if err := sink.Reported(ctx, rep); err != nil {
		return fmt.Errorf("storing a receipt: %w", err)
	}
	d.ids.doubtful(rep)
	return d.ids.settle(ctx, func(again route.Report) error {
		if err := sink.Reported(ctx, again); err != nil {
			return fmt.Errorf("storing a receipt under the id it was for: %w", err)
		}
		return nil
	})
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
	said, units, err := decodeText(m.coding, d.coding, h, b)
	if err != nil {
		in.Text, in.Undecodable = err.Error(), true
		return in
	}
	if in.Text = said; in.Concat != nil {
		in.Units = units
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
func (d *desk) lateAnswer(ctx context.Context, sink route.Sink, a *lateAnswer) {
	ctx, cancel := context.WithTimeout(ctx, sinkPatience)
	defer cancel()
	p := &a.part
	rep := route.Report{
		Key:   fmt.Sprintf("%s/late/%s/%d/%d", d.name, p.id, p.attempt, p.n),
		Route: d.name, Identity: d.identity, To: p.to, ID: p.id, Whole: p.whole,
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
		if a.frame.Status == statusBadNumber {
			rep.Reason = "bad_number"
		}
	}
	if err := sink.Reported(ctx, rep); err != nil {
		d.log.Warn("a late submit_sm_resp could not be stored; its message stays unknown", "msg", p.id, "err", err)
	}
}
