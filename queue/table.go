package queue

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"strings"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Tables and indexes of the queue, and every key layout in one place. Numbers
// in keys are big endian, times sort as bytes, pool and rank lead: urgent is
// found before bulk, and no lane wades through another's campaign.
var (
	// lane · rank · due · id · hash of the recipient: what a lane may take.
	byDue = store.NewIndex("message.due", func(m *Message) [][]byte {
		if m.State != Queued {
			return nil
		}
		return [][]byte{byDueKey(m)}
	})

	// wake · state · id: what the timer looks at. Every message that still
	// waits for something is in it, so it is also the count of what is alive.
	byWake = store.NewIndex("message.wake", func(m *Message) [][]byte {
		n := slotOf(m)
		if n == slotNone {
			return nil
		}
		return [][]byte{store.Join(wakeTime(m.Wake), []byte{byte(n)}, m.ID.key())}
	})

	// identity · reference · id · part: how a delivery report finds its part.
	// A part whose answer was lost has no reference yet; it is found by the
	// tail of its recipient instead.
	byPart = store.NewIndex("message.part", func(m *Message) [][]byte {
		var keys [][]byte
		for _, p := range m.Parts {
			ref := p.Ref
			switch {
			case p.State == PartWaiting || p.State == PartRefused:
				continue
			case ref == "" && p.State == PartUnknown:
				ref = lostRef(m.To)
			case ref == "":
				continue
			}
			keys = append(keys, store.Join(refKey(p.Identity, ref), m.ID.key(), []byte{byte(p.N)}))
		}
		return keys
	})

	byTillRef = store.NewIndex("message.ref", func(m *Message) [][]byte {
		if m.Ref == "" {
			return nil
		}
		return [][]byte{store.Join(store.Str(m.Ref), m.ID.key())}
	})

	// tail of the recipient · id: all about one number, or one e-mail address.
	byTo = store.NewIndex("message.to", func(m *Message) [][]byte {
		keys := [][]byte{store.Join(store.Str(tail(m.To)), m.ID.key())}
		if m.Other != "" {
			keys = append(keys, store.Join(store.Str(tail(m.Other)), m.ID.key()))
		}
		return keys
	})

	messages = store.NewTable("message", func(m *Message) []byte { return m.ID.key() }, byDue, byWake, byPart, byTillRef, byTo).
			Expendable().Rising().Packed(writeMessage, readMessage)

	events = store.NewTable("event", func(e *Event) []byte { return seqKey(e.Seq) }).Expendable().Rising().Packed(writeEvent, readEvent)

	// Reports that matched nothing yet; kept for 24 hours.
	orphans = store.NewTable("report.orphan", func(o *orphan) []byte {
		return store.Join(refKey(o.Report.Identity, o.Report.Ref), seqKey(o.Seq))
	}).Expendable()

	// Keys of reports and inbound messages already seen, by the day they came,
	// so that a whole day is forgotten by one range.
	seen = store.NewTable("seen", func(s *seenKey) []byte { return seenAt(s.Day, s.Key) }).Expendable()

	// The last concatenation references used for a recipient.
	concats = store.NewTable("concat", func(c *concat) []byte { return store.Str(c.To) }).Expendable()

	memory = store.NewTable("memory", func(r *remembered) []byte { return memoryKey(r.Route, r.Key) })

	pauses = store.NewTable("pause", func(p *pause) []byte { return store.Str(p.Route) })
)

// wakeEntries is the place of byWake among the indexes of messages.
const wakeEntries = 1

// Schema is what store.Open must know to hold a queue.
func Schema() []store.Schema {
	return []store.Schema{messages, events, orphans, seen, concats, inbox, memory, pauses, usages, recipients, optOuts, counts, erasures, wipes, clocks, adrifts, callbacks, tillUses, htmls}
}

type orphan struct {
	Seq    uint64       `json:"seq"`
	At     time.Time    `json:"at"`
	Report route.Report `json:"report"`
}

type seenKey struct {
	Day int64  `json:"day"` // days since 1970 UTC
	Key string `json:"key"`
}

type concat struct {
	To   string    `json:"to"`
	Last int       `json:"last"`           // of 8 bits
	Wide int       `json:"wide,omitempty"` // of 16
	Used []int64   `json:"used,omitempty"` // when those of 8 bits were, in seconds since 1970; see refRest
	At   time.Time `json:"at"`
}

type remembered struct {
	Route string `json:"route"`
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

type pause struct {
	Route string    `json:"route"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

// Ranks: urgent first, whatever its class; then transactional before
// marketing; then by priority.
const ranks = 7

func (m *Message) rank() int {
	if m.Priority >= 3 {
		return 0
	}
	r := 1 + 2 - m.Priority
	if m.Class == Marketing {
		r += 3
	}
	return r
}

func laneKey(lane string, rank int) []byte {
	return store.Join(store.Str(lane), []byte{byte(rank)})
}

func byDueKey(m *Message) []byte {
	return store.Join(laneKey(m.lane(), m.rank()), store.Time(m.Due), m.ID.key(), recipientHash(m.To))
}

// linePrefix is the laneKey that a byDue key begins with.
func linePrefix(key []byte) []byte { return key[:bytes.IndexByte(key, 0)+2] }

// dueOf reads what follows prefix in a byDue key.
func dueOf(key, prefix []byte) (due time.Time, id ID, recipient uint32) {
	k := store.ReadKey(key[len(prefix):])
	due, id = k.Time(), ID(k.U64())
	return due, id, binary.BigEndian.Uint32(k.Rest())
}

// recipientHash lets a lane see that a recipient is busy without reading the
// message. It is made from the tail, so that a report that spells the number
// otherwise finds it too. A collision only makes one message wait for another.
func recipientHash(to string) []byte {
	h := fnv.New32a()
	h.Write([]byte(tail(to)))
	return h.Sum(nil)
}

func hashOf(to string) uint32 { return binary.BigEndian.Uint32(recipientHash(to)) }

// wakeOf reads a byWake key.
func wakeOf(key []byte) (at time.Time, s slot, id ID) {
	k := store.ReadKey(key)
	return k.Time(), slot(k.U8()), ID(k.U64())
}

// wakeTime sorts "never" behind everything.
func wakeTime(t time.Time) []byte {
	if t.IsZero() {
		return []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	return store.Time(t)
}

func refKey(identity, ref string) []byte {
	return store.Join(store.Str(identity), store.Str(ref))
}

// lostRef stands for the reference that an answer would have brought.
func lostRef(to string) string { return "?" + tail(to) }

// tail is what two spellings of one number have in common: the last eight
// digits (field-notes §1.14). Networks report recipients in national form,
// with another type of address, or behind a prefix. An e-mail address is all of
// it.
func tail(number string) string {
	if text.IsAddress(number) {
		return strings.ToLower(number)
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
	if len(digits) > 8 {
		digits = digits[len(digits)-8:]
	}
	return digits
}

// sameNumber compares two spellings from the right.
func sameNumber(a, b string) bool { return a == b || tail(a) == tail(b) }

func seenAt(day int64, key string) []byte {
	return store.Join(store.U64(uint64(day)), store.Str(key))
}

func memoryKey(routeName, key string) []byte {
	return store.Join(store.Str(routeName), store.Str(key))
}

// slot is what a living message counts as. The numbers are on disk.
type slot byte

const (
	slotNone slot = iota
	slotScheduled
	slotQueued
	slotHeld
	slotSending
	slotUnknown
	slotAwaiting // sent, and a report may still come
	slots
)

func slotOf(m *Message) slot {
	switch m.State {
	case Scheduled:
		return slotScheduled
	case Queued:
		return slotQueued
	case Held:
		return slotHeld
	case Sending:
		return slotSending
	case Unknown:
		return slotUnknown
	case Sent:
		if !m.Wake.IsZero() {
			return slotAwaiting
		}
	}
	return slotNone
}
