package queue

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

const (
	orphanKept = 24 * time.Hour
	seenDays   = 7
	// reportAge bounds how far back a report may reach: references of modems
	// are one byte and come round.
	reportAge = 14 * 24 * time.Hour
	// maxCandidates bounds how many parts with one reference are looked at.
	maxCandidates = 64
)

// reported commits a delivery report. One that fits nothing is kept: it may be
// quicker than the answer to its own message.
func (q *Queue) reported(ctx context.Context, rep route.Report) error {
	return q.db.Commit(ctx, func(tx *store.Tx) error {
		if fresh, err := q.firstTime(tx, rep.Key); err != nil || !fresh {
			return err
		}
		id, part, err := q.match(tx, &rep)
		if err != nil {
			return err
		}
		if id == 0 {
			return q.keepOrphan(tx, rep)
		}
		_, err = q.change(tx, id, func(m *Message) error { return q.report(tx, m, part, &rep) })
		return err
	})
}

// firstTime notes a key and says whether it is new. An empty key always is.
func (q *Queue) firstTime(tx *store.Tx, key string) (bool, error) {
	if key == "" {
		return true, nil
	}
	today := q.now().Unix() / 86400
	for day := today; day > today-seenDays; day-- {
		if s, err := seen.Get(tx, seenAt(day, key)); err != nil || s != nil {
			return false, err
		}
	}
	return true, seen.Insert(tx, &seenKey{Day: today, Key: key})
}

// match finds the part a report speaks of: by our own id where the route knows
// it, else by identity and reference, newest first, one that still waits before
// one that is settled. Where the reference is exact, one that waits is found
// though the recipient is spelled as somebody else: some SMSCs leave sender and
// recipient of the message as they were. Without any, a part whose answer was
// lost is settled by recipient, time and text, but only if exactly one can be
// meant.
func (q *Queue) match(tx *store.Tx, rep *route.Report) (ID, int, error) {
	if rep.ID != "" {
		id, err := ParseID(rep.ID)
		if err != nil {
			return 0, 0, err
		}
		m, err := messages.Get(tx, id.key())
		if err != nil || m == nil {
			return 0, 0, err
		}
		return id, partOf(m, rep.Ref), nil
	}
	var settledID, strayID ID
	var settledPart, strayPart, strays int
	for c, err := range q.candidates(tx, refKey(rep.Identity, rep.Ref)) {
		if err != nil {
			return 0, 0, err
		}
		waits := c.m.Parts[c.n-1].waits()
		if !fits(c.m, rep, q.now()) {
			if waits && q.fitsAstray(c.m, c.n, rep) {
				strayID, strayPart, strays = c.m.ID, c.n, strays+1
			}
			continue
		}
		if waits {
			return c.m.ID, c.n, nil
		}
		if settledID == 0 {
			settledID, settledPart = c.m.ID, c.n
		}
	}
	switch {
	case settledID != 0:
		return settledID, settledPart, nil
	case strays == 1:
		return strayID, strayPart, nil
	}
	// While something is on its way to this recipient, the report is more
	// likely its own, early; but a mark leaves nothing to likelihood.
	if rep.To == "" || rep.Strange || rep.Mark == 0 && q.inFlightTo(rep.To) {
		return 0, 0, nil
	}
	return q.matchLost(tx, rep)
}

func (q *Queue) matchLost(tx *store.Tx, rep *route.Report) (ID, int, error) {
	var id ID
	var part int
	for c, err := range q.candidates(tx, refKey(rep.Identity, lostRef(rep.To))) {
		switch {
		case err != nil:
			return 0, 0, err
		case !fits(c.m, rep, q.now()) || !q.mayMean(c.m, c.n, rep):
		case id != 0:
			return 0, 0, nil // two could be meant: a person decides
		default:
			id, part = c.m.ID, c.n
		}
	}
	return id, part, nil
}

type candidate struct {
	m *Message
	n int // part, from 1
}

// candidates yields the parts under one key of byPart, newest message first.
func (q *Queue) candidates(tx *store.Tx, prefix []byte) func(func(candidate, error) bool) {
	return func(yield func(candidate, error) bool) {
		looked := 0
		for key, id := range byPart.KeysBack(tx, store.End(prefix)) {
			if !bytes.HasPrefix(key, prefix) || looked == maxCandidates {
				return
			}
			looked++
			m, err := messages.Get(tx, id)
			if err == nil && m == nil {
				continue
			}
			if !yield(candidate{m, int(key[len(key)-1])}, err) || err != nil {
				return
			}
		}
	}
}

// fits says whether a report can be about m: the recipient is the same in some
// spelling, and m was sent before it and not too long ago.
func fits(m *Message, rep *route.Report, now time.Time) bool {
	if rep.To != "" && !sameNumber(rep.To, m.To) {
		return false
	}
	return now.Sub(m.Took) < reportAge
}

// fitsAstray says whether an exact report names part n of m although it gives
// another recipient. An SMSC may have begun to count anew, so nothing else in
// it may speak against that.
func (q *Queue) fitsAstray(m *Message, n int, rep *route.Report) bool {
	return rep.Exact && q.now().Sub(m.Took) < reportAge && !q.contradicts(m, n, rep)
}

// waits says whether a report may still settle it.
func (p *Part) waits() bool { return p.State == PartSent || p.State == PartUnknown }

// partOf finds the part with a reference, else the first that was lost, else 0:
// the whole message.
func partOf(m *Message, ref string) int {
	lost := 0
	for _, p := range m.Parts {
		if ref != "" && p.Ref == ref {
			return p.N
		}
		if p.State == PartUnknown && lost == 0 {
			lost = p.N
		}
	}
	return lost
}

// report writes a report into the message and draws the conclusion. n is the
// part from 1, or 0 for all of them.
func (q *Queue) report(tx *store.Tx, m *Message, n int, rep *route.Report) error {
	if rep.State == route.ReportGivenBack {
		return q.givenBack(tx, m, n, rep)
	}
	for i := range m.Parts {
		if p := &m.Parts[i]; n == 0 || p.N == n || (rep.Whole && (p.Ref == rep.Ref || p.State == PartUnknown)) {
			p.reported(rep)
		}
	}
	e := Event{Kind: KindReport, Part: n, Route: rep.Route, Identity: rep.Identity, Ref: rep.Ref, Code: rep.Code, Detail: rep.Why}
	if len(m.Parts) == 1 {
		e.Part = 0
	}
	q.conclude(m, rep)
	if err := q.note(tx, m, e); err != nil {
		return err
	}
	return q.fallBack(tx, m)
}

func (p *Part) reported(rep *route.Report) {
	if p.Ref == "" {
		p.Ref = rep.Ref
	}
	if p.Identity == "" {
		p.Identity, p.Route = rep.Identity, rep.Route
	}
	// Never back from final to pending; "delivered" after a failure wins
	// (field-notes §1.14).
	switch rep.State {
	case route.ReportDelivered:
		p.State = PartDelivered
	case route.ReportUndelivered:
		if p.State != PartDelivered {
			p.State = PartUndelivered
		}
	case route.ReportSent, route.ReportPending:
		if p.State == PartUnknown || p.State == PartWaiting {
			p.State = PartSent // whoever reports on it has it
		}
	}
	p.Code = rep.Code
}

// conclude draws the state of the message from its parts: the worst honest
// answer.
func (q *Queue) conclude(m *Message, rep *route.Report) {
	count := map[PartState]int{}
	for _, p := range m.Parts {
		count[p.State]++
	}
	open := count[PartUnknown] + count[PartWaiting] + count[PartRefused]
	c := cause("")
	switch {
	case count[PartDelivered] == len(m.Parts):
		c = onDelivered
	case open == 0 && count[PartUndelivered] > 0:
		c = onUndelivered
	case open == 0:
		c = onReportSent
	case count[PartUnknown] == 0 && m.State == Unknown:
		c = onGivenBack // the lost part is settled; the rest goes on after it
	}
	if delivered := count[PartDelivered]; delivered > 0 && delivered < len(m.Parts) && m.State == Sent {
		m.Why = because("partly", "k", strconv.Itoa(delivered), "n", strconv.Itoa(len(m.Parts)))
	}
	before := m.State
	if c == "" || m.move(c) != nil {
		return // a report never moves a message backwards
	}
	switch m.State {
	case Delivered:
		m.Why, m.Wake, m.Pin, m.Due = because("delivered"), time.Time{}, "", time.Time{}
	case Undelivered:
		m.Wake, m.Pin, m.Due = time.Time{}, "", time.Time{}
		m.Why = because(cmpOr(rep.Reason, "refused"))
		if delivered := count[PartDelivered]; delivered > 0 {
			m.Why = because("partly", "k", strconv.Itoa(delivered), "n", strconv.Itoa(len(m.Parts)))
		}
	case Sent:
		if before != Sent {
			q.awaitReport(m)
		}
		if rep.State == route.ReportSent && count[PartDelivered] == 0 {
			m.Why = because("handed_over")
		}
	case Queued:
		m.pin()
		q.waitInLine(m, q.now())
	}
}

func cmpOr(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

// givenBack: whoever had taken it could not carry it, so it is ours again: from
// the start, or from the one part that is named.
func (q *Queue) givenBack(tx *store.Tx, m *Message, n int, rep *route.Report) error {
	if m.move(onGivenBack) != nil {
		return nil // it was settled otherwise meanwhile; nothing to take back
	}
	if n == 0 || rep.Whole {
		m.startAgain()
	} else {
		m.Parts[n-1] = Part{N: n, State: PartWaiting}
		m.Pin = ""
		m.pin()
	}
	q.waitInLine(m, q.now())
	return q.note(tx, m, Event{Kind: KindReport, Part: n, Route: rep.Route, Identity: rep.Identity, Code: rep.Code, Detail: rep.Why})
}

// startAgain forgets what is known of the parts: the next attempt begins at
// part one, under a new reference.
func (m *Message) startAgain() {
	for i := range m.Parts {
		m.Parts[i] = Part{N: i + 1, State: PartWaiting}
	}
	m.Pin, m.ConcatRef, m.Relayed, m.Doubt, m.Missed = "", 0, false, "", 0
}

func (q *Queue) keepOrphan(tx *store.Tx, rep route.Report) error {
	n, err := orphans.NextSequence(tx)
	if err != nil {
		return err
	}
	return orphans.Insert(tx, &orphan{Seq: n, At: q.now(), Report: rep})
}

// adopt applies the reports that came before the answer to m did: those that
// name one of its references, and the one that can only mean its lost part. A
// report older than the attempt speaks of another message.
func (q *Queue) adopt(tx *store.Tx, m *Message) error {
	for i := range m.Parts {
		p := &m.Parts[i]
		var found []*orphan
		var err error
		switch {
		case p.Ref != "":
			found, err = q.orphansOf(tx, m, refKey(p.Identity, p.Ref), func(rep *route.Report) bool {
				return fits(m, rep, q.now()) || p.waits() && q.fitsAstray(m, p.N, rep)
			})
		case p.State == PartUnknown:
			found, err = q.orphansOf(tx, m, store.Str(p.Identity), func(rep *route.Report) bool {
				return fits(m, rep, q.now()) && !rep.Strange && q.mayMean(m, p.N, rep)
			})
			if len(found) > 1 || (len(found) == 1 && found[0].Report.To == "") {
				found = nil // not certain: a person decides
			}
		}
		if err != nil {
			return err
		}
		for _, o := range found {
			if err := q.report(tx, m, p.N, &o.Report); err != nil {
				return err
			}
			if err := orphans.Delete(tx, store.Join(refKey(o.Report.Identity, o.Report.Ref), seqKey(o.Seq))); err != nil {
				return err
			}
		}
	}
	return nil
}

// orphansOf returns those under a prefix that came since m was taken and that
// fit.
func (q *Queue) orphansOf(tx *store.Tx, m *Message, prefix []byte, fit func(*route.Report) bool) (found []*orphan, err error) {
	for o, err := range orphans.Scan(tx, prefix) {
		if err != nil {
			return nil, err
		}
		key := refKey(o.Report.Identity, o.Report.Ref)
		if !bytes.HasPrefix(key, prefix) {
			break
		}
		if !o.At.Before(m.Took) && fit(&o.Report) {
			found = append(found, o)
		}
	}
	return found, nil
}

// inFlightTo says whether a lane holds a message to this number.
func (q *Queue) inFlightTo(to string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy[hashOf(to)] > 0
}

// ErrNotFound: no such message or route.
var ErrNotFound = errors.New("not found")
