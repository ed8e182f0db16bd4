package smpp

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// write sends what is pending, many PDUs at a time when there are many.
func (s *session) write() error {
	var buf []byte
	for {
		select {
		case <-s.wake:
		case <-s.done:
			return nil
		}
		for {
			batch := s.nextBatch()
			if len(batch) == 0 {
				break
			}
			buf = buf[:0]
			for _, q := range batch {
				buf = append(buf, q.frame...)
			}
			if err := s.conn.SetWriteDeadline(time.Now().Add(s.timers.Write)); err != nil {
				return fmt.Errorf("setting a deadline: %w", err)
			}
			n, err := s.conn.Write(buf)
			s.written(batch, n)
			if err != nil {
				if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
					return errDeaf
				}
				return fmt.Errorf("the connection broke while sending: %w", err)
			}
			if why := batch[len(batch)-1].last; why != nil {
				return why
			}
		}
	}
}

// nextBatch takes PDUs from the line. From here on they count as left.
func (s *session) nextBatch() []*request {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.pending), maxBatch)
	batch := s.pending[:n:n]
	for i, q := range batch {
		q.left = true
		if q.last != nil {
			batch = batch[:i+1]
			break
		}
	}
	if s.pending = s.pending[len(batch):]; len(s.pending) == 0 {
		s.pending = nil
	}
	select {
	case s.taken <- struct{}{}:
	default:
	}
	return batch
}

// written books that the first n octets of a batch have left: what lies wholly
// behind them has not, and of our own answers none is sure to have arrived.
func (s *session) written(batch []*request, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := 0
	for _, q := range batch {
		if s.exact && at >= n {
			q.left = false
		}
		at += len(q.frame)
		if q.lost == nil {
			continue
		}
		if len(s.acks) == maxAcks {
			s.acks = append(s.acks[:0], s.acks[maxAcks/2:]...)
		}
		s.acks = append(s.acks, ack{time.Now(), q.lost})
	}
}

// watch asks the SMSC for a sign of life when it has been quiet, and gives
// the connection up after two that were not answered. SMPP 3.4 §2.8, §7.2
func (s *session) watch() error {
	timer := time.NewTimer(s.timers.Enquire)
	defer timer.Stop()
	unanswered, seen := 0, s.heard.Load()
	var asked *request
	for {
		select {
		case <-timer.C:
		case <-s.done:
			return nil
		}
		if heard := s.heard.Load(); heard != seen {
			unanswered, seen = 0, heard
		}
		if quiet := time.Since(time.Unix(0, seen)); quiet < s.timers.Enquire {
			timer.Reset(s.timers.Enquire - quiet)
			continue
		}
		if unanswered == 2 {
			return errSilent
		}
		b, err := encode(pdu.NewEnquireLink(), 0, statusOK)
		if err != nil {
			return err
		}
		s.release(asked) // it was not answered, and nothing waits for it
		asked = &request{frame: b, resp: pdu.EnquireLinkRespID}
		if err := s.post(asked); err != nil {
			return err
		}
		unanswered++
		timer.Reset(s.timers.Enquire)
	}
}

// read takes every PDU from the wire. It never waits for anything but the
// wire: to read from, or to write to where the SMSC asks and does not listen.
func (s *session) read(r *bufio.Reader) error {
	for {
		f, err := readFrame(r)
		if bad, ok := errors.AsType[lengthError](err); ok {
			// The peer is out of step; it learns why before we hang up.
			return s.replyLast(pdu.NewGenericNACK(), bad.Seq, statusBadLength, err)
		}
		if err != nil {
			return fmt.Errorf("the connection ended: %w", err)
		}
		s.heard.Store(time.Now().UnixNano())
		if f.ID&isResp != 0 {
			s.answered(f)
			continue
		}
		if !s.room() {
			return errDeaf
		}
		if err := s.serveRequest(f); err != nil {
			return err
		}
	}
}

// room waits until an answer of ours has a place in the line of the writer,
// whose deadline bounds that; false when the session ended meanwhile.
func (s *session) room() bool {
	for {
		s.mu.Lock()
		full := len(s.pending) >= maxPending
		s.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-s.taken:
		case <-s.done:
			return false
		}
	}
}

// answered hands an answer to who asked. The command has to fit as well as
// the number: numbers of the two directions are independent of each other.
// SMPP 3.4 §3.2
func (s *session) answered(f frame) {
	s.mu.Lock()
	q := s.waiting[f.Seq]
	if q == nil || f.ID != q.resp && f.ID != pdu.GenericNACKID {
		s.mu.Unlock()
		s.log.Debug("an answer to nothing we asked", "command", name(f.ID), "seq", f.Seq)
		return
	}
	s.forget(q)
	s.silent = 0
	gone := q.gone
	if !gone && q.heard != nil {
		q.heard(f)
	}
	if !gone && q.answer != nil {
		q.answer <- answer{frame: f}
	}
	s.mu.Unlock()
	if gone {
		q.late(f)
	}
}

// serveRequest answers what the SMSC asks, or hands it to the desk.
func (s *session) serveRequest(f frame) error {
	switch f.ID {
	case pdu.EnquireLinkID:
		return s.reply(pdu.NewEnquireLinkResp(), f.Seq, 0, nil)
	case pdu.DeliverSMID, pdu.DataSMID:
		if s.owe() && s.desk.put(s, f) {
			return nil
		}
		// The desk is full, or closing. The SMSC keeps the message and comes
		// again.
		s.paid()
		return s.replyCarried(f, statusQueueFull, nil)
	case pdu.UnbindID:
		s.mu.Lock()
		s.parted = true
		s.mu.Unlock()
		return s.replyLast(pdu.NewUnbindResp(), f.Seq, 0, errUnbound)
	case pdu.AlertNotificationID, pdu.OutbindID: // have no answer. SMPP 3.4 §4.1.7, §4.12
		s.log.Debug("nothing to do", "command", name(f.ID))
		return nil
	default:
		return s.reply(pdu.NewGenericNACK(), f.Seq, statusBadCommand, nil)
	}
}

// owe notes that a message of theirs will be answered; false when we are
// leaving and take no more.
func (s *session) owe() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed++
	return !s.leaving
}

// paid notes that one was, or that the session is gone.
func (s *session) paid() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed--
	s.settled()
}

// replyCarried answers a deliver_sm or data_sm. lost is called when the
// session breaks and the answer may not have arrived.
func (s *session) replyCarried(f frame, status pdu.Status, lost func()) error {
	p := pdu.NewDeliverSMResp() // with an empty message_id. SMPP 3.4 §4.6.2
	if f.ID == pdu.DataSMID {
		p.Header().ID = pdu.DataSMRespID // the same body. SMPP 3.4 §4.7.2
	}
	return s.reply(p, f.Seq, status, lost)
}

// reply sends an answer of ours.
func (s *session) reply(p pdu.Body, seq uint32, status pdu.Status, lost func()) error {
	b, err := encode(p, seq, status)
	if err != nil {
		return err
	}
	return s.post(&request{frame: b, lost: lost})
}

// replyLast sends an answer of ours and ends the session once it is written.
func (s *session) replyLast(p pdu.Body, seq uint32, status pdu.Status, why error) error {
	b, err := encode(p, seq, status)
	if err != nil {
		return err
	}
	if err := s.post(&request{frame: b, last: why}); err != nil {
		return why
	}
	<-s.done // the writer ends the session, or its deadline does
	return why
}
