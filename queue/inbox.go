package queue

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// CodeIncomplete is the Code of KindReceived for a message that is shown though
// parts of it are missing. When they come after all it is received once more.
const CodeIncomplete = "incomplete"

const (
	// partsKept is how long parts of a long message wait for each other; a
	// reference that comes again later belongs to another message.
	partsKept = 72 * time.Hour
	// shownAfter is when a message that still misses parts is shown all the
	// same, with its gaps.
	shownAfter = 10 * time.Minute
	// gap stands where a part is missing.
	gap = " […] "
	// replyWithin is how long after a message what comes from its recipient is
	// taken for an answer to it.
	replyWithin = 14 * 24 * time.Hour
)

// Inbound is one message that came in, put together from its parts.
type Inbound struct {
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"` // when its first part was committed
	Route    string    `json:"route"`
	Identity string    `json:"identity"`
	From     string    `json:"from"`
	To       string    `json:"to,omitempty"`
	Text     string    `json:"text"`

	Parts   []InboundPart `json:"parts"`
	Of      int           `json:"of"`                // parts it has
	Missing []int         `json:"missing,omitempty"` // those that have not come
	Told    bool          `json:"told,omitempty"`    // shown, though incomplete

	// Units of its parts by their number, for as long as some are missing: a
	// sender may have cut inside a character.
	Units map[int]route.Units `json:"units,omitempty"`

	Reply  ID     `json:"reply,omitzero"`   // the message it seems to answer
	Action string `json:"action,omitempty"` // what its words mean: see Action…
	By     string `json:"by,omitempty"`     // who decided, where a person did

	// Undecodable: the PDU could not be read; Text says why. It is kept raw.
	Undecodable bool `json:"undecodable,omitempty"`
}

// InboundPart is one part as it came.
type InboundPart struct {
	N    int       `json:"n"`
	At   time.Time `json:"at"`
	Sent time.Time `json:"sent,omitzero"` // the SMSC's time stamp, for display
	Text string    `json:"text"`
	Raw  string    `json:"raw,omitempty"`
	Ref  int       `json:"ref,omitempty"`
	Bits int       `json:"bits,omitempty"`
}

var (
	// identity · sender · width · reference · total · number: where the next
	// part of a long message finds its siblings.
	byConcat = store.NewIndex("inbox.concat", func(in *Inbound) [][]byte {
		if in.Of < 2 || len(in.Parts) == 0 {
			return nil
		}
		return [][]byte{store.Join(concatKey(in.Identity, in.From, in.Parts[0].Bits, in.Parts[0].Ref, in.Of), seqKey(in.Seq))}
	})

	// time · number of what misses parts and is not shown yet.
	byGap = store.NewIndex("inbox.gap", func(in *Inbound) [][]byte {
		if len(in.Missing) == 0 || in.Told {
			return nil
		}
		return [][]byte{store.Join(store.Time(in.At), seqKey(in.Seq))}
	})

	inbox = store.NewTable("inbox", func(in *Inbound) []byte { return seqKey(in.Seq) }, byConcat, byGap).Expendable().Rising()
)

func concatKey(identity, from string, bits, ref, of int) []byte {
	return store.Join(store.Str(identity), store.Str(from), []byte{byte(bits)}, store.U64(uint64(ref)), []byte{byte(of)})
}

// received commits something that came in: a whole message, or a part that
// joins its siblings in whatever order they come.
func (q *Queue) received(ctx context.Context, in route.Inbound) error {
	return q.db.Commit(ctx, func(tx *store.Tx) error {
		if fresh, err := q.firstTime(tx, in.Key); err != nil || !fresh {
			return err
		}
		if n, err := text.ReadNumber(in.From, q.cfg.Country); err == nil {
			in.From = n.String() // networks spell one number in several ways
		}
		now := q.now()
		part := InboundPart{N: 1, At: now, Sent: in.Sent, Text: in.Text, Raw: in.Raw}
		of := 1
		// A total of 0, or a number beyond it, is no long message (TS 23.040
		// §9.2.3.24.1: such a header is to be ignored).
		if c := in.Concat; c != nil && c.Of > 1 && c.Of < 256 && c.N >= 1 && c.N <= c.Of {
			part.N, part.Ref, part.Bits, of = c.N, c.Ref, c.Bits, c.Of
			joined, err := q.join(tx, &in, part, of)
			if err != nil || joined {
				return err
			}
		}
		n, err := inbox.NextSequence(tx)
		if err != nil {
			return err
		}
		m := &Inbound{
			Seq: n, At: now, Route: in.Route, Identity: in.Identity, From: in.From, To: in.To,
			Parts: []InboundPart{part}, Of: of, Undecodable: in.Undecodable,
		}
		m.keepUnits(part.N, in.Units)
		return q.keepInbound(tx, m)
	})
}

// join adds a part to the message that waits for it. A part that is there
// already is a repeat, unless its text differs: then the sender uses a
// reference again, and it begins a message of its own.
func (q *Queue) join(tx *store.Tx, in *route.Inbound, part InboundPart, of int) (bool, error) {
	prefix := concatKey(in.Identity, in.From, part.Bits, part.Ref, of)
	for key, pk := range byConcat.KeysBack(tx, store.End(prefix)) {
		if !bytes.HasPrefix(key, prefix) {
			return false, nil
		}
		m, err := inbox.Get(tx, pk)
		if err != nil {
			return false, err
		}
		if part.At.Sub(m.At) > partsKept {
			return false, nil
		}
		at := slices.IndexFunc(m.Parts, func(p InboundPart) bool { return p.N >= part.N })
		switch {
		case at < 0:
			m.Parts = append(m.Parts, part)
		case m.Parts[at].N == part.N:
			return m.Parts[at].Text == part.Text, nil
		default:
			m.Parts = slices.Insert(m.Parts, at, part)
		}
		m.keepUnits(part.N, in.Units)
		return true, q.keepInbound(tx, m)
	}
	return false, nil
}

// keepUnits keeps the units of part n until all parts are there.
func (in *Inbound) keepUnits(n int, u *route.Units) {
	if u == nil {
		return
	}
	if in.Units == nil {
		in.Units = map[int]route.Units{}
	}
	in.Units[n] = *u
}

// keepInbound writes m as its parts make it and, once it is whole, acts on it.
func (q *Queue) keepInbound(tx *store.Tx, m *Inbound) error {
	m.Text, m.Missing = assemble(m.Parts, m.Units, m.Of)
	whole := len(m.Missing) == 0
	if whole {
		m.Units = nil
		if err := q.understand(tx, m); err != nil {
			return err
		}
		if err := q.noteInbound(tx, m, KindReceived, ""); err != nil {
			return err
		}
	} else {
		tx.OnCommit(func() { q.wakeBy(m.At.Add(shownAfter)) })
	}
	tx.OnCommit(q.signal)
	return inbox.Put(tx, m)
}

func (q *Queue) noteInbound(tx *store.Tx, m *Inbound, k Kind, by string) error {
	e := Event{Kind: k, Route: m.Route, Identity: m.Identity, Ref: strconv.FormatUint(m.Seq, 10), Code: m.Action, By: by}
	if len(m.Missing) > 0 {
		e.Code = CodeIncomplete
	}
	return q.note(tx, nil, e)
}

// assemble puts the text of a long message together and lists what is missing.
// Parts that follow on each other are read as one where their units are known.
func assemble(parts []InboundPart, units map[int]route.Units, of int) (whole string, missing []int) {
	var b strings.Builder
	var r run
	next := 0
	for n := 1; n <= of; n++ {
		if next < len(parts) && parts[next].N == n {
			if u, ok := units[n]; !ok || !r.add(&b, u) {
				r.end(&b)
				b.WriteString(parts[next].Text)
			}
			next++
			continue
		}
		r.end(&b)
		if len(missing) == 0 || missing[len(missing)-1] != n-1 {
			b.WriteString(gap)
		}
		missing = append(missing, n)
	}
	r.end(&b)
	return strings.TrimSpace(b.String()), missing
}

// run is the units of parts that follow on each other, not read yet.
type run struct {
	like   route.Units // what they have in common
	octets []byte
}

// add appends the units of a part; before those that are written otherwise, b
// gets the text of the run until there. It is false for units that cannot be
// read.
func (r *run) add(b *strings.Builder, u route.Units) bool {
	octets, err := hex.DecodeString(u.Octets)
	if err != nil || u.Alphabet != route.GSM7 && u.Alphabet != route.UCS2 {
		return false
	}
	u.Octets = ""
	// An odd octet is damage, and must not spoil what follows it.
	if r.like != u || u.Alphabet == route.UCS2 && len(r.octets)%2 != 0 {
		r.end(b)
		r.like = u
	}
	r.octets = append(r.octets, octets...)
	return true
}

// end writes the text of the run.
func (r *run) end(b *strings.Builder) {
	switch r.like.Alphabet {
	case route.GSM7:
		b.WriteString(text.FromSeptets(r.octets, r.like.Shift, r.like.Locking))
	case route.UCS2:
		b.WriteString(text.FromUTF16(r.octets))
	}
	*r = run{}
}

// maxReplied bounds how many messages to a number are looked at for the one it
// answers.
const maxReplied = 50

// understand links a whole message to the one it answers, and does what its
// words ask for.
func (q *Queue) understand(tx *store.Tx, in *Inbound) error {
	if in.Undecodable {
		return nil
	}
	took, looked := q.now().Add(-replyWithin), 0
	for m, err := range newestUnder(tx, byTo, store.Str(tail(in.From)), 0) {
		if err != nil {
			return err
		}
		// A newer one may still be planned, and an older one have left later.
		if m.out() && m.Took.After(took) {
			in.Reply, took = m.ID, m.Took
		}
		if looked++; looked == maxReplied {
			break
		}
	}
	in.Action = meaning(in.Text)
	return q.obey(tx, in, "")
}

// tellIncomplete shows what still misses parts after shownAfter. It returns
// when the next such message is due.
func (q *Queue) tellIncomplete(ctx context.Context, now time.Time) (next time.Time, err error) {
	var due [][]byte
	err = q.db.View(func(tx *store.Tx) error {
		for key, pk := range byGap.Keys(tx, nil) {
			at := store.ReadKey(key).Time().Add(shownAfter)
			if at.After(now) {
				next = at
				return nil
			}
			due = append(due, bytes.Clone(pk))
		}
		return nil
	})
	if err != nil || len(due) == 0 {
		return next, err
	}
	return next, q.db.Commit(ctx, func(tx *store.Tx) error {
		for _, pk := range due {
			m, err := inbox.Update(tx, pk, func(m *Inbound) error { m.Told = true; return nil })
			if err != nil {
				return err
			}
			if err := q.noteInbound(tx, m, KindReceived, ""); err != nil {
				return err
			}
		}
		tx.OnCommit(q.signal)
		return nil
	})
}

// Inbox returns what came in, newest first, before a number (0: from the end),
// and the number to go on with: 0 at the end. A message that misses parts is
// left out until it is shown with its gaps.
func (q *Queue) Inbox(before uint64, limit int) (list []Inbound, next uint64, err error) {
	if limit <= 0 || limit > maxList {
		limit = maxList
	}
	var from []byte
	if before != 0 {
		from = seqKey(before)
	}
	err = q.db.View(func(tx *store.Tx) error {
		for in, err := range inbox.ScanBack(tx, from) {
			if err != nil {
				return err
			}
			if len(in.Missing) > 0 && !in.Told {
				continue
			}
			if len(list) == limit {
				next = list[limit-1].Seq
				return nil
			}
			list = append(list, *in)
		}
		return nil
	})
	return list, next, err
}
