package queue

import (
	"errors"
	"fmt"
	"time"

	"tillpost/queue/store"
)

// Check holds every message against the invariants of the queue. It runs with
// store.Check where a Queue is open; a command that looks at a file of a
// stopped box adds it with store.AddCheck. The store itself checks that records
// are whole and that each index entry has its row.
//
//  1. A state is one of States.
//  2. There is a part for each segment, numbered in order, and at least one.
//  3. A living message that waits by the clock has a wake time; queued ones expire.
//  4. A message that waits says why.
//  5. A message's story exists, in order.
//  6. A delivered message has only delivered parts.
//  7. Nothing that was sent has a part that never left.
//  8. Only a message of several parts is pinned.
func Check(tx *store.Tx) error {
	var wrong []error
	for m, err := range messages.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if err := checkMessage(tx, m); err != nil {
			wrong = append(wrong, fmt.Errorf("message %s (%s): %w", m.ID, m.State, err))
			if len(wrong) == 20 {
				break
			}
		}
	}
	return errors.Join(wrong...)
}

func checkMessage(tx *store.Tx, m *Message) error {
	if _, ok := door[m.State]; !ok {
		return errors.New("1: this state does not exist")
	}
	if len(m.Parts) == 0 || len(m.Parts) != len(m.Segments) {
		return fmt.Errorf("2: %d parts for %d segments", len(m.Parts), len(m.Segments))
	}
	count := map[PartState]int{}
	for i, p := range m.Parts {
		if p.N != i+1 {
			return fmt.Errorf("2: part %d stands at place %d", p.N, i+1)
		}
		count[p.State]++
	}
	switch m.State {
	case Scheduled, Queued, Held:
		if m.Wake.IsZero() || m.Wake.After(latest(m.Expires, m.At)) {
			return errors.New("3: it waits, and nothing would ever end that")
		}
	}
	if m.State.Waits() && m.Why.Code == "" {
		return errors.New("4: it does not say why it waits")
	}
	if err := checkStory(tx, m); err != nil {
		return err
	}
	if m.State == Delivered && count[PartDelivered] != len(m.Parts) {
		return fmt.Errorf("6: delivered with %d of %d parts delivered", count[PartDelivered], len(m.Parts))
	}
	if m.State == Sent && count[PartWaiting] > 0 {
		return fmt.Errorf("7: sent with %d parts that never left", count[PartWaiting])
	}
	if m.Pin != "" && len(m.Parts) == 1 {
		return errors.New("8: pinned with a single part")
	}
	return nil
}

func checkStory(tx *store.Tx, m *Message) error {
	if len(m.Events) == 0 {
		return errors.New("5: it has no story")
	}
	var last uint64
	for _, seq := range m.Events {
		if seq <= last {
			return fmt.Errorf("5: event %d follows event %d", seq, last)
		}
		last = seq
		e, err := events.Get(tx, seqKey(seq))
		if err != nil {
			return err
		}
		if e == nil && events.WasAside(tx, seqKey(seq)) {
			continue
		}
		if e == nil || e.Msg != m.ID {
			return fmt.Errorf("5: event %d of its story is missing or another's", seq)
		}
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
