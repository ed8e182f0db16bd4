package smpp

import (
	"context"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// ask sends a request and waits for its answer, at most for patience. If ctx
// ends before the first byte left, the request is taken back; afterwards only
// its deadline counts: the answer is what everybody wants to know.
func (s *session) ask(ctx context.Context, q *request, patience time.Duration) answer {
	hasty := false // the caller's time ends before our patience
	if at, ok := ctx.Deadline(); ok && time.Until(at) < patience {
		hasty, patience = true, time.Until(at)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()

	q.answer = make(chan answer, 1)
	if err := s.post(q); err != nil {
		return answer{err: err}
	}
	stop := ctx.Done()
	for {
		select {
		case a := <-q.answer:
			return a
		case <-stop:
			if s.withdraw(q) {
				return answer{err: context.Cause(ctx)}
			}
			stop = nil
		case <-timer.C:
			if s.withdraw(q) {
				return answer{err: errDeaf}
			}
			return s.giveUp(q, hasty)
		}
	}
}

// post puts a PDU in the line of the writer and gives it a sequence number if
// it waits for an answer.
func (s *session) post(q *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	if s.leaving && q.resp != 0 && q.resp != pdu.UnbindRespID {
		return errNotBound
	}
	if q.resp != 0 {
		q.seq = s.number()
		stamp(q.frame, q.seq)
		s.waiting[q.seq] = q
		if q.answer != nil {
			s.asked++
		}
	}
	s.pending = append(s.pending, q)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// number returns the next sequence number that is not in use: 1 to
// 0x7FFFFFFF, then 1 again. SMPP 3.4 §3.2, §5.1.4
func (s *session) number() uint32 {
	for {
		s.seq++
		if s.seq > maxSeq {
			s.seq = 1
		}
		if _, used := s.waiting[s.seq]; !used {
			return s.seq
		}
	}
}

// withdraw takes a request back whose first byte has not left.
func (s *session) withdraw(q *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.left || s.waiting[q.seq] != q {
		return false
	}
	for i, p := range s.pending {
		if p == q {
			s.pending = append(s.pending[:i], s.pending[i+1:]...)
			break
		}
	}
	s.forget(q)
	return true
}

// giveUp ends the wait for an answer that may still come. Who was hasty
// proves nothing about the session.
func (s *session) giveUp(q *request, hasty bool) answer {
	a, ill := s.abandon(q)
	if ill && !hasty {
		s.end(errNoAnswer)
	}
	return a
}

func (s *session) abandon(q *request) (a answer, ill bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case a := <-q.answer: // it came at the last moment
		return a, false
	default:
	}
	q.gone = true
	s.asked--
	s.settled()
	if q.late == nil || s.late >= maxLate {
		delete(s.waiting, q.seq)
	} else {
		s.late++
	}
	s.silent++
	return answer{err: errNoAnswer, left: true}, s.silent >= s.maxSilent
}

// forget removes a request from those that wait. Called with mu held.
func (s *session) forget(q *request) {
	delete(s.waiting, q.seq)
	switch {
	case q.gone:
		s.late--
	case q.answer != nil:
		s.asked--
		s.settled()
	}
}

// release forgets a request for whose answer nobody stands waiting.
func (s *session) release(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q != nil && s.waiting[q.seq] == q {
		s.forget(q)
	}
}

// settled closes idle when nobody waits any more, here or there. Called with
// mu held.
func (s *session) settled() {
	if s.idle != nil && s.asked == 0 && s.owed == 0 {
		close(s.idle)
		s.idle = nil
	}
}
