package queue

import (
	"encoding/binary"

	"tillpost/queue/store"
)

// asideCode says in words.csv that something on the disk cannot be read.
const asideCode = "row_aside"

// wasAside follows a row that the store sets aside (store.Expendable): there is
// an event, and a message that nobody can read any more is not counted as
// waiting. What it was about is known by its index entries alone.
func (q *Queue) wasAside(tx *store.Tx, a *store.Aside, entries [][][]byte) error {
	e := Event{Kind: KindNotice, Code: asideCode, Detail: a.Table}
	if a.Table == messages.Name() && len(a.Key) == 8 {
		e.Msg = ID(binary.BigEndian.Uint64(a.Key))
		for _, key := range entries[wakeEntries] {
			_, s, _ := wakeOf(key)
			q.slots[s].Add(-1)
			tx.OnRollback(func() { q.slots[s].Add(1) })
		}
	}
	tx.OnCommit(q.signal)
	return q.note(tx, nil, e)
}
