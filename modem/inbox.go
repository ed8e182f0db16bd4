package modem

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// slot is a place in a memory of the modem or the SIM.
type slot struct {
	memory string // "SM", "ME", "SR" …
	index  int
}

// parseSlot reads `"SM",3` behind +CMTI and +CDSI.
func parseSlot(v string) (slot, bool) {
	memory, index, ok := strings.Cut(v, ",")
	if !ok {
		return slot{}, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(index))
	memory = strings.Trim(memory, `" `)
	return slot{memory, n}, err == nil && n >= 0 && isMemory(memory)
}

// isMemory keeps what the modem said from becoming a command of its own.
func isMemory(s string) bool {
	return len(s) == 2 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// <stat> of a stored message in PDU mode (27.005 §3.1).
const (
	recUnread = 0
	recRead   = 1
	stoUnsent = 2
	stoSent   = 3
)

// in runs do with the storage set to memory, and back.
func (s *session) in(ctx context.Context, memory string, do func() error) error {
	if memory == s.storage {
		return do()
	}
	if _, err := s.conn.Command(ctx, fmt.Sprintf("AT+CPMS=%q", memory), 10*time.Second); err != nil {
		return err
	}
	err := do()
	if _, e := s.conn.Command(ctx, fmt.Sprintf("AT+CPMS=%q", s.storage), 10*time.Second); e != nil {
		// Every index would now mean a place in the wrong memory.
		return fmt.Errorf("%w: %w", errLostSettings, e)
	}
	return err
}

// fetch reads one announced message or report.
func (s *session) fetch(ctx context.Context, from slot) error {
	if !s.claim(from) {
		return nil
	}
	stat, raw, err := s.lookAt(ctx, from)
	if err != nil || raw == "" {
		s.disclaim(from)
		if isLost(err) {
			return err
		}
		if slices.Contains(s.profile.unreadable, from.memory) && !s.unread {
			s.unread = true // said once
			s.log.Warn("this modem announces reports in a memory that it cannot read: no delivery can be confirmed", "memory", from.memory, "err", err)
		}
		return nil
	}
	s.take(from, stat, raw)
	return nil
}

// sweep reads everything that lies in the storage, for announcements get lost
// and some modems make none, and watches how full it is.
func (s *session) sweep(ctx context.Context) error {
	s.drafts = 0
	if err := s.sweepAll(ctx); err != nil {
		return err
	}
	return s.watchStorage(ctx)
}

// fullAt: from so much on a person is told (field-notes §1.6): a full storage
// takes no reply and no report.
const fullAt = 80 // percent

// watchStorage accounts for every place: it is free, or on its way to the
// queue, or holds what we may not clear.
func (s *session) watchStorage(ctx context.Context) error {
	used, total, err := s.countPlaces(ctx)
	if err != nil || total == 0 {
		return err
	}
	s.mu.Lock()
	going := len(s.busy)
	s.mu.Unlock()
	st := &route.Storage{Memory: s.storage, Used: used, Total: total, Stuck: max(0, used-going)}
	s.m.publish(func(rs *route.Status) { care(rs).Storage = st })
	why := ""
	if stays := max(used-going, 0); stays*100 >= fullAt*total {
		why = fmt.Sprintf("%d of %d places of the memory %s are taken by what is not ours to clear (%d drafts): delete it in a phone, or messages and reports will not come in", stays, total, s.storage, s.drafts)
	}
	s.m.worry("memory_full", why)
	return nil
}

// countPlaces asks how many places of the storage are taken; none of none where
// the modem does not tell. The error is a lost answer.
func (s *session) countPlaces(ctx context.Context) (used, total int, err error) {
	lines, err := s.conn.Command(ctx, "AT+CPMS?", 10*time.Second)
	if isLost(err) {
		return 0, 0, err
	}
	used, total = places(lines)
	return used, total, nil
}

// lookAt reads one place.
func (s *session) lookAt(ctx context.Context, from slot) (stat int, raw string, err error) {
	err = s.in(ctx, from.memory, func() error {
		lines, err := s.conn.Command(ctx, fmt.Sprintf("AT+CMGR=%d", from.index), 10*time.Second)
		if err == nil {
			stat, raw = oneMessage(lines)
		}
		return err
	})
	return stat, raw, err
}

func (s *session) sweepAll(ctx context.Context) error {
	lines, err := s.conn.Command(ctx, "AT+CMGL=4", 60*time.Second)
	if isLost(err) {
		return err
	}
	if err != nil {
		return s.sweepSlots(ctx) // some EP06 firmware refuses to list
	}
	for i := 0; i+1 < len(lines); i++ {
		v, ok := at.Find(lines[i:i+1], "+CMGL")
		if !ok {
			continue
		}
		f := strings.Split(v, ",")
		if len(f) < 3 {
			continue
		}
		index, err1 := strconv.Atoi(strings.TrimSpace(f[0]))
		stat, err2 := strconv.Atoi(strings.TrimSpace(f[1]))
		from := slot{s.storage, index}
		if err1 != nil || err2 != nil || !s.claim(from) {
			continue
		}
		if !s.take(from, stat, pduLine(lines[i+1:])) {
			return nil // the worker is full; the rest at the next sweep
		}
	}
	return nil
}

// sweepSlots reads slot by slot, as many as the counter says are used.
func (s *session) sweepSlots(ctx context.Context) error {
	used, total, err := s.countPlaces(ctx)
	if err != nil {
		return err
	}
	for index := 0; index <= total && used > 0; index++ {
		lines, err := s.conn.Command(ctx, fmt.Sprintf("AT+CMGR=%d", index), 10*time.Second)
		if isLost(err) {
			return err
		}
		stat, raw := oneMessage(lines)
		if err != nil || raw == "" {
			continue
		}
		used--
		if from := (slot{s.storage, index}); s.claim(from) && !s.take(from, stat, raw) {
			return nil
		}
	}
	return nil
}

// take hands a stored PDU on. It returns false if the worker has no room.
func (s *session) take(from slot, stat int, raw string) bool {
	switch stat {
	case recUnread, recRead:
		if raw == "" {
			s.disclaim(from)
			return true
		}
		if len(s.m.jobs) >= cap(s.m.jobs) {
			s.disclaim(from)
			return false
		}
		s.deliver(job{raw: raw, report: from.memory == "SR", ack: ack{slot: from}})
	case stoSent:
		s.owe(from) // a copy of a sent one that the phone kept
	default:
		if s.isStray(raw) {
			s.owe(from)
			break
		}
		s.drafts++
		s.disclaim(from) // a draft: not ours to remove
	}
	return true
}

// owe has a claimed slot cleared when the line is free.
func (s *session) owe(from slot) {
	s.mu.Lock()
	s.acks = append(s.acks, ack{slot: from})
	s.mu.Unlock()
	select {
	case s.acked <- struct{}{}:
	default:
	}
}

// remove deletes a slot whose content is committed.
func (s *session) remove(ctx context.Context, from slot) error {
	err := s.in(ctx, from.memory, func() error {
		_, err := s.conn.Command(ctx, fmt.Sprintf("AT+CMGD=%d", from.index), 10*time.Second)
		return err
	})
	s.disclaim(from)
	if err != nil && !isLost(err) {
		s.log.Warn("a stored message could not be deleted", "err", err)
	}
	return err
}

// claim marks a slot as being handled; false if it is already.
func (s *session) claim(from slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[from] {
		return false
	}
	s.busy[from] = true
	return true
}

func (s *session) disclaim(from slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, from)
}

// oneMessage reads the answer of AT+CMGR: stat,[alpha],length and the PDU.
func oneMessage(lines []string) (stat int, raw string) {
	for i, l := range lines {
		v, ok := at.Find([]string{l}, "+CMGR")
		if !ok {
			continue
		}
		f, _, _ := strings.Cut(v, ",")
		stat, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil {
			return 0, ""
		}
		return stat, pduLine(lines[i+1:])
	}
	return 0, ""
}

// pduLine returns the first of lines that is hex; another header comes first
// if the PDU is missing.
func pduLine(lines []string) string {
	for _, l := range lines {
		if strings.HasPrefix(l, "+CMGL:") || strings.HasPrefix(l, "+CMGR:") {
			return ""
		}
		if len(l) >= 4 && strings.Trim(l, "0123456789ABCDEFabcdef") == "" {
			return l
		}
	}
	return ""
}

// places reads used and total from the answer of AT+CPMS?; Huawei leaves the
// name of the memory out.
func places(lines []string) (used, total int) {
	v, _ := at.Find(lines, "+CPMS")
	f := strings.Split(v, ",")
	if strings.HasPrefix(v, `"`) {
		f = f[1:]
	}
	if len(f) < 2 {
		return 0, 0
	}
	used, err1 := strconv.Atoi(strings.TrimSpace(f[0]))
	total, err2 := strconv.Atoi(strings.TrimSpace(f[1]))
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return used, total
}
