package queue

import (
	"context"
	"slices"
	"time"

	"tillpost/queue/store"
)

// restorer is who decides about messages when a backup is put back.
const restorer = "restore"

// Restored makes sure that a backup which is put back (to) sends nothing that
// left after it was made: what waits in it gets the fate that the store it
// replaces (from) knows. Where that cannot be told (from is nil, cannot be read
// in that place, or is another box's) a message whose time had come is unknown,
// and a person decides. It returns how many of either there are. Both stores
// must be open with Schema, and no Queue be on them.
func Restored(ctx context.Context, from, to *store.DB) (known, unsure int, err error) {
	if from != nil && from.Box() != to.Box() {
		from = nil
	}
	var waiting []ID
	err = to.View(func(tx *store.Tx) error {
		waiting = nil
		for key := range byWake.Keys(tx, nil) {
			if _, s, id := wakeOf(key); s != slotAwaiting {
				waiting = append(waiting, id)
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	for chunk := range slices.Chunk(waiting, 500) {
		fates, err := fatesOf(from, chunk)
		if err != nil {
			return known, unsure, err
		}
		var k, u int
		err = to.Commit(ctx, func(tx *store.Tx) (err error) {
			k, u, err = restoreFates(tx, chunk, fates)
			return err
		})
		if err != nil {
			return known, unsure, err
		}
		known, unsure = known+k, unsure+u
	}
	return known, unsure, nil
}

// fatesOf reads what became of some messages, as far as it is known.
func fatesOf(from *store.DB, ids []ID) (map[ID]*Message, error) {
	fates := map[ID]*Message{}
	if from == nil {
		return fates, nil
	}
	err := from.View(func(tx *store.Tx) error {
		for _, id := range ids {
			m, err := messages.Get(tx, id.key())
			if err != nil {
				return err
			}
			if m != nil {
				fates[id] = m
			}
		}
		return nil
	})
	return fates, err
}

func restoreFates(tx *store.Tx, ids []ID, fates map[ID]*Message) (known, unsure int, err error) {
	for _, id := range ids {
		_, err := messages.Update(tx, id.key(), func(m *Message) error {
			later := fates[id]
			switch {
			case later != nil && slices.Equal(later.Events, m.Events):
				return nil // nothing has happened to it since
			case later != nil:
				known++
				story := m.Events
				*m = *later
				m.Events = story // what happened since is in the other store
				return noteRestored(tx, m, Event{Kind: KindSettled, Code: string(m.State)})
			case m.State == Unknown, m.Relayed, m.State == Scheduled && m.At.After(time.Now()):
				return nil // a person or a report decides it, or it cannot have left
			}
			unsure++
			if m.State != Sending {
				if err := m.move(onRestored); err != nil {
					return err
				}
			} else if err := m.move(onLost); err != nil {
				return err
			}
			for i := range m.Parts {
				if m.Parts[i].State == PartWaiting {
					m.Parts[i].State = PartUnknown
				}
			}
			m.OnUnknown, m.Due, m.Wake, m.Why = OnUnknownHold, time.Time{}, time.Time{}, because("unsure_restored")
			return noteRestored(tx, m, Event{Kind: KindUnknown})
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return known, unsure, nil
}

func noteRestored(tx *store.Tx, m *Message, e Event) error {
	seq, err := events.NextSequence(tx)
	if err != nil {
		return err
	}
	e.Seq, e.At, e.By, e.Msg, e.State, e.Attempt = seq, time.Now(), restorer, m.ID, m.State, m.Attempt
	m.Events = append(m.Events, seq)
	return events.Insert(tx, &e)
}
