package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

// settle commits the one verdict of an attempt. As long as the disk refuses, the
// lane stands and tries again; when the box stops meanwhile, the message is
// found sending at the next start and becomes unknown.
func (q *Queue) settle(ctx context.Context, r *runner, f *flight, rcpt route.Receipt, sendErr error) {
	ctx = context.WithoutCancel(ctx)
	for pause := restFirst; ; pause = longer(pause) {
		err := q.db.Commit(ctx, func(tx *store.Tx) error { return q.settleTx(tx, r, f, rcpt, sendErr) })
		if err == nil || errors.Is(err, errStale) || errors.Is(err, ErrNotFound) || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrSealed) {
			break
		}
		if closed(r.over) {
			q.log.Error("what became of a message is not written down; it will be unknown at the next start", "msg", f.m.ID, "err", err)
			break
		}
		q.log.Error("cannot write down what became of a message; trying again", "msg", f.m.ID, "err", err)
		wait(ctx, time.Now().Add(pause), r.over, nil)
	}
	q.land(r, f, sendErr)
}

// settleAndTake settles an attempt that went well and takes the lane's next
// message (nil if there is none) in one commit: a lane waits for the disk once
// per message, not twice. When that fails it has changed nothing, and settle
// has the patience for it.
func (q *Queue) settleAndTake(ctx context.Context, r *runner, f *flight, rcpt route.Receipt, w want) (next *flight, ok bool) {
	h := hashOf(f.m.To)
	w.lands = &h
	next = newFlight(ctx)
	err := q.db.Commit(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := q.settleTx(tx, r, f, rcpt, nil); err != nil {
			return err
		}
		_, err := q.takeTx(tx, r, w, next)
		return err
	})
	if err != nil {
		next.cancel()
		return nil, false
	}
	q.land(r, f, nil)
	if next.m == nil {
		next.cancel()
		return nil, true
	}
	return next, true
}

func (q *Queue) settleTx(tx *store.Tx, r *runner, f *flight, rcpt route.Receipt, sendErr error) error {
	_, err := q.change(tx, f.m.ID, func(m *Message) error {
		if m.Attempt != f.m.Attempt {
			return errStale
		}
		return q.verdict(tx, r, m, q.askedToCancel(f), rcpt, sendErr)
	})
	return err
}

// land lets go of a message that is settled.
func (q *Queue) land(r *runner, f *flight, sendErr error) {
	q.mu.Lock()
	delete(q.flights, f.m.ID)
	q.mu.Unlock()
	h := hashOf(f.m.To)
	if q.vacate(h) {
		q.ringAll()
	}
	q.record(r, h, sendErr)
	close(f.landed)
}

// record lets the route's account follow the verdict.
func (q *Queue) record(r *runner, recipient uint32, err error) {
	e, _ := errors.AsType[*route.Error](err)
	if err != nil && (e == nil || !e.Doubt) {
		return
	}
	now, refusedNow := q.now(), false
	r.mu.Lock()
	before := r.trust.refused()
	if err == nil {
		r.trust.carriedOne(now)
	} else {
		refusedNow = r.trust.doubted(recipient, now) && !before
	}
	r.mu.Unlock()
	if refusedNow || (before && err == nil) {
		r.alter(func() {})
		code := "ok"
		if refusedNow {
			code = "sim_refused"
		}
		q.tell(Event{Kind: KindRoute, Route: r.name, Identity: r.identity(), Code: code})
	}
}

// verdict writes into m what became of the attempt.
func (q *Queue) verdict(tx *store.Tx, r *runner, m *Message, cancelledBy string, rcpt route.Receipt, sendErr error) error {
	now := q.now()
	m.Settled = now
	q.mergeParts(m, r, rcpt)
	if err := q.refund(tx, m, rcpt, sendErr); err != nil {
		return err
	}
	if m.State != Sending {
		return nil // a report was quicker and has settled it; the parts are kept
	}
	e := Event{Route: r.name, Identity: m.Identity}
	err := sendErr
	if err == nil {
		return q.handedOver(tx, m, rcpt, e)
	}
	e.Detail = err.Error()
	var re *route.Error
	if labelled, ok := errors.AsType[*route.Error](err); ok {
		re, e.Code, e.Detail = labelled, labelled.Code, labelled.Text
	}
	switch fate := route.FateOf(err, true); {
	case fate == route.NotOffered && cancelledBy != "" && !m.out():
		return q.end(tx, m, onCancel, because("cancelled"), Event{Kind: KindCancelled, By: cancelledBy})
	case fate == route.NotOffered:
		return q.notOffered(tx, r, m, e)
	case fate == route.Unknown:
		m.loseNext(r.name, m.Identity, now)
		if p, ok := errors.AsType[*panicked](err); ok {
			m.OnUnknown, e.Code, e.Detail = OnUnknownHold, "fault", p.what
		}
		e.Kind = KindUnknown
		return q.lose(tx, m, e)
	case fate == route.Reject && (re == nil || !re.Doubt || r.believes(m)):
		if err := q.end(tx, m, onReject, m.refusal(), withKind(e, KindRejected)); err != nil {
			return err
		}
		return q.fallBack(tx, m)
	case fate == route.Reject:
		m.Doubt, m.DoubtAt = r.name, now
		return q.again(tx, m, "doubt", re, e)
	default:
		return q.again(tx, m, "refused", re, e)
	}
}

func withKind(e Event, k Kind) Event { e.Kind = k; return e }

// believes says whether a refusal that may blame the SIM counts against the
// number: another route says the same, or this one has carried somebody else's
// message since it first said so.
func (r *runner) believes(m *Message) bool {
	if m.Doubt == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.Doubt != r.name || r.trust.carried.After(m.DoubtAt)
}

// mergeParts writes down what the route says of each part it offered. What a
// report has already said of a part is worth more.
func (q *Queue) mergeParts(m *Message, r *runner, rcpt route.Receipt) {
	for _, p := range rcpt.Parts {
		if p.N >= 1 && p.N <= len(m.Parts) {
			m.Parts[p.N-1].offered(p, r.name, m.Identity, q.now())
		}
	}
	if rcpt.Identity != "" {
		m.Identity = rcpt.Identity
	}
}

func (mp *Part) offered(p route.Part, routeName, identity string, now time.Time) {
	switch mp.State {
	case PartWaiting, PartUnknown, PartRefused:
		mp.State = map[route.PartState]PartState{
			route.PartSent: PartSent, route.PartUnknown: PartUnknown, route.PartRefused: PartRefused,
		}[p.State]
	}
	mp.Route, mp.Identity, mp.At = routeName, p.Identity, p.At
	if mp.Identity == "" {
		mp.Identity = identity
	}
	if mp.At.IsZero() {
		mp.At = now
	}
	if p.Ref != "" {
		mp.Ref = p.Ref
	}
}

// loseNext marks the part whose answer was lost, where the route did not say
// which it was: the first that had not left. Later ones were never offered,
// since a route waits for each part to be committed.
func (m *Message) loseNext(routeName, identity string, now time.Time) {
	for i := range m.Parts {
		switch p := &m.Parts[i]; p.State {
		case PartUnknown:
			return
		case PartWaiting, PartRefused:
			p.State, p.Route, p.Identity, p.At = PartUnknown, routeName, identity, now
			return
		}
	}
}

// handedOver: the network, or another queue, has all of it. A report may have
// come before this answer; then it is already delivered.
func (q *Queue) handedOver(tx *store.Tx, m *Message, rcpt route.Receipt, e Event) error {
	m.Missed, m.Doubt = 0, ""
	if rcpt.Relayed {
		m.Relayed, m.Why = true, because("relayed")
		e.Kind = KindRelayed
		return q.note(tx, m, e)
	}
	for i := range m.Parts {
		if p := &m.Parts[i]; p.State == PartWaiting {
			p.offered(route.Part{State: route.PartSent}, e.Route, m.Identity, q.now())
		}
	}
	if err := m.move(onHandedOver); err != nil {
		return err
	}
	q.awaitReport(m)
	e.Kind = KindSent
	if err := q.note(tx, m, e); err != nil {
		return err
	}
	return q.adopt(tx, m)
}

// awaitReport sets what a sent message waits for.
func (q *Queue) awaitReport(m *Message) {
	m.Pin, m.Due = "", time.Time{}
	if m.Channel == Email { // no server tells what became of it
		m.Why, m.Wake = because("mail_sent"), time.Time{}
		return
	}
	if !m.Report {
		m.Why, m.Wake = because("sent_plain"), time.Time{}
		return
	}
	m.Why, m.Wake = because("wait_report"), m.Expires.Add(q.cfg.ReportWait)
}

// lose: the outcome is not known. The policy decides whether the timer will
// send it again; a report or a person may decide before.
func (q *Queue) lose(tx *store.Tx, m *Message, e Event) error {
	if err := m.move(onLost); err != nil {
		return err
	}
	m.pin()
	m.Due, m.Wake, m.Why = time.Time{}, time.Time{}, because("unsure")
	if m.OnUnknown == OnUnknownResend && m.Resent == 0 {
		m.Wake = q.now().Add(q.cfg.UnknownWait)
		m.Why = because("unsure_resend", "time", stamp(m.Wake))
	}
	if e.Code == "fault" {
		m.Why = because("fault")
	}
	e.Until = m.Wake
	if err := q.note(tx, m, e); err != nil {
		return err
	}
	return q.adopt(tx, m)
}

// pin ties the rest of a long message to the identity that carried its first
// parts: phones join parts by originator.
func (m *Message) pin() {
	if len(m.Parts) < 2 {
		return
	}
	for _, p := range m.Parts {
		switch p.State {
		case PartSent, PartDelivered, PartUndelivered, PartUnknown:
			m.Pin = p.Identity
			return
		}
	}
}

// notOffered: the network never saw it (or the rest of it). Back in line, where
// it was; the lane rests, not the message. But a message that is never taken
// while others are is itself the cause: that counts as a try.
func (q *Queue) notOffered(tx *store.Tx, r *runner, m *Message, e Event) error {
	if m.Missed++; m.Missed == 1 {
		m.Misses = m.Settled
	}
	r.mu.Lock()
	carriedOthers := r.trust.carried.After(m.Misses)
	r.mu.Unlock()
	if m.Missed >= missLimit && carriedOthers {
		m.Missed = 0
		return q.again(tx, m, "missed", nil, e)
	}
	if err := m.move(onNotOffered); err != nil {
		return err
	}
	m.pin()
	q.waitInLine(m, m.Due)
	if m.Missed > 1 {
		return nil // once is news; its repeats would only fill the story
	}
	return q.note(tx, m, withKind(e, KindNotOffered))
}

// again: refused for now. The retry table says when, and when it is enough.
func (q *Queue) again(tx *store.Tx, m *Message, row string, re *route.Error, e Event) error {
	m.Tried++
	pause, more := retryTable[row].after(m.Tried, re)
	if !more {
		if err := q.end(tx, m, onReject, because("tries_over", "n", strconv.Itoa(m.Tried)), withKind(e, KindRejected)); err != nil {
			return err
		}
		return q.fallBack(tx, m)
	}
	if err := m.move(onRetry); err != nil {
		return err
	}
	m.pin()
	q.waitInLine(m, q.now().Add(pause))
	m.Why = because("retry", "time", stamp(m.Due))
	before := m.Pool
	if q.reroute(m); m.Pool != before { // elsewhere it need not wait
		q.waitInLine(m, q.now())
	}
	e.Until = m.Due
	if err := q.note(tx, m, withKind(e, KindRetry)); err != nil || m.Pool == before {
		return err
	}
	return q.note(tx, m, Event{Kind: KindRerouted, Code: m.Pool, Detail: "from " + before})
}

// waitInLine sets what a queued message waits for: its turn, from due on. One
// that may begin again elsewhere is looked at by the timer before it expires.
func (q *Queue) waitInLine(m *Message, due time.Time) {
	m.Due, m.Wake, m.Why = due, m.Expires, because("in_line")
	if soon := q.now().Add(restartAfter); m.canRestart() && soon.Before(m.Expires) {
		m.Wake = soon
	}
}

// end: nothing more will be done with it.
func (q *Queue) end(tx *store.Tx, m *Message, c cause, why Reason, e Event) error {
	if err := m.move(c); err != nil {
		return err
	}
	m.Pin, m.Due, m.Wake, m.Why = "", time.Time{}, time.Time{}, why
	return q.note(tx, m, e)
}

// progress commits the fate of one part of several, before the next is sent.
func (q *Queue) progress(ctx context.Context, r *runner, id ID, attempt int, p route.Part) error {
	return q.db.Commit(ctx, func(tx *store.Tx) error {
		_, err := q.change(tx, id, func(m *Message) error {
			if m.State != Sending || m.Attempt != attempt {
				return errStale
			}
			if p.N < 1 || p.N > len(m.Parts) {
				return fmt.Errorf("queue: route %s speaks of part %d of a message of %d", r.name, p.N, len(m.Parts))
			}
			m.Parts[p.N-1].offered(p, r.name, m.Identity, q.now())
			return q.note(tx, m, Event{Kind: KindPart, Part: p.N, Route: r.name, Identity: p.Identity, Ref: p.Ref, Code: string(p.State)})
		})
		return err
	})
}

func (q *Queue) ringAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.runners {
		r.ring()
	}
}

func (q *Queue) askedToCancel(f *flight) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return f.asked
}
