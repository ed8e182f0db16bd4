package smpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

const (
	maxSeq     = 0x7FFFFFFF // SMPP 3.4 §5.1.4
	maxBatch   = 64         // PDUs per write: what a failed write leaves in doubt stays small
	maxPending = 4096       // PDUs not yet written: while there are more we do not read either
	maxLate    = 4096       // answers still hoped for after our patience

	// An answer of ours that was written this shortly before the connection
	// broke may never have arrived; more than maxAcks are not remembered.
	ackDoubt = 10 * time.Second
	maxAcks  = 256
)

var (
	errSilent   = errors.New("the SMSC does not answer enquire_link")
	errUnbound  = errors.New("the SMSC ended the session with unbind")
	errDeaf     = errors.New("the SMSC does not read what we send")
	errNoAnswer = errors.New("the SMSC leaves submit_sm unanswered")
)

// session is one bound connection. It has three goroutines: read, write and
// watch. Everything they share is behind mu.
type session struct {
	conn   net.Conn
	log    *slog.Logger
	desk   *desk // takes what the SMSC tells by itself
	timers Timers

	maxSilent int // submits unanswered in a row that mean the session is ill

	// exact: a failed write tells how many octets left. Not so under TLS,
	// where it counts whole records.
	exact bool

	heard atomic.Int64 // when the last PDU came, Unix nanoseconds

	mu      sync.Mutex
	seq     uint32
	pending []*request          // in order; not yet taken by the writer
	waiting map[uint32]*request // asked, by sequence number
	asked   int                 // of these, somebody stands waiting
	owed    int                 // messages of theirs on the desk, to be answered here
	late    int                 // of these, given up
	silent  int                 // submits given up since the last answer
	acks    []ack               // answers with a lost that were written lately
	parted  bool                // the SMSC took leave, so it has read everything
	leaving bool                // we ask nothing any more but to unbind
	idle    chan struct{}       // when set: closed once nothing is asked or owed
	ended   error               // set once; nothing is accepted after it

	wake  chan struct{} // a token: pending is not empty
	taken chan struct{} // a token: pending has become shorter
	done  chan struct{} // closed with ended
}

// request is one PDU on its way out: ours, which waits for an answer, or our
// answer to theirs.
type request struct {
	frame []byte
	seq   uint32
	resp  pdu.ID // command_id of the answer; 0: none will come

	// Behind session.mu:
	left   bool        // its first byte may have left
	gone   bool        // nobody waits any more
	answer chan answer // capacity 1; nil where nobody waits
	heard  func(frame) // called by the reader for an answer in time, before all that came after it
	late   func(frame) // called by the reader for an answer after our patience
	lost   func()      // called when the session breaks and this may not have arrived
	last   error       // set: the session ends with it once this is written
}

// answer is how a request ended: with the peer's PDU, or with err.
type answer struct {
	frame
	err  error
	left bool // with err: the first byte may have left
}

// ack is an answer of ours that was written.
type ack struct {
	at   time.Time
	lost func()
}

func newSession(conn net.Conn, cfg *Config, d *desk) *session {
	_, secure := conn.(*tls.Conn)
	s := &session{
		conn:      conn,
		log:       cfg.Log,
		desk:      d,
		timers:    cfg.Timers,
		maxSilent: max(cfg.Window, 3),
		exact:     !secure,
		waiting:   make(map[uint32]*request),
		wake:      make(chan struct{}, 1),
		taken:     make(chan struct{}, 1),
		done:      make(chan struct{}),
	}
	s.heard.Store(time.Now().UnixNano())
	return s
}

// serve runs the bound session until it ends, and returns why. When ctx ends
// or a new connection is wanted it takes leave: leaving shall see to it that
// nothing new is asked; answers on their way are awaited.
func (s *session) serve(ctx context.Context, restarted <-chan struct{}, r *bufio.Reader, leaving func()) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.end(s.read(r)) })
	wg.Go(func() { s.end(s.write()) })
	wg.Go(func() { s.end(s.watch()) })

	select {
	case <-s.done:
	case <-ctx.Done():
		leaving()
		s.leave()
		s.end(context.Cause(ctx))
	case <-restarted:
		leaving()
		s.leave()
		s.end(errRestart)
	}
	wg.Wait()
	s.settle()
	return s.ended
}

// end closes the connection; the first reason is the one that counts.
func (s *session) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return
	}
	s.ended = why
	close(s.done)
	s.conn.Close()
}

// settle tells everybody who still waits that no answer will come. All
// goroutines have ended, so what left is known.
func (s *session) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.pending {
		if q.resp == 0 && q.lost != nil {
			q.lost()
		}
	}
	s.pending = nil
	for _, a := range s.acks {
		if !s.parted && time.Since(a.at) < ackDoubt {
			a.lost()
		}
	}
	for seq, q := range s.waiting {
		if !q.gone && q.answer != nil {
			q.answer <- answer{err: s.ended, left: q.left}
		}
		delete(s.waiting, seq)
	}
}

// leave is the polite end: the answers on their way, theirs and ours, are
// awaited, then unbind.
func (s *session) leave() {
	s.mu.Lock()
	idle := make(chan struct{})
	s.idle, s.leaving = idle, true
	s.settled()
	s.mu.Unlock()
	patience := time.NewTimer(s.timers.Drain)
	defer patience.Stop()
	select {
	case <-idle:
	case <-patience.C:
	case <-s.done:
		return
	}
	b, err := encode(pdu.NewUnbind(), 0, statusOK)
	if err != nil {
		s.log.Error("leaving without unbind", "err", err)
		return
	}
	// The connection closes whatever the answer is.
	a := s.ask(context.Background(), &request{frame: b, resp: pdu.UnbindRespID}, s.timers.Unbind)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parted = a.err == nil
}

// ask sends a request and waits for its answer, at most for patience. If ctx
// ends before the first byte left, the request is taken back; afterwards only
// its deadline counts: the answer is what everybody wants to know.
func (s *session) ask(ctx context.Context, q *request, patience time.Duration) answer {
	if at, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(at))
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
			return s.giveUp(q)
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

// giveUp ends the wait for an answer that may still come.
func (s *session) giveUp(q *request) answer {
	a, ill := s.abandon(q)
	if ill {
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

// settled closes idle when nobody waits any more, here or there. Called with
// mu held.
func (s *session) settled() {
	if s.idle != nil && s.asked == 0 && s.owed == 0 {
		close(s.idle)
		s.idle = nil
	}
}

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
			if n, err := s.conn.Write(buf); err != nil {
				s.neverLeft(batch, n)
				if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
					return errDeaf
				}
				return fmt.Errorf("the connection broke while sending: %w", err)
			}
			s.written(batch)
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

// written notes which answers of ours are on their way.
func (s *session) written(batch []*request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range batch {
		if q.lost == nil {
			continue
		}
		if len(s.acks) == maxAcks {
			s.acks = append(s.acks[:0], s.acks[maxAcks/2:]...)
		}
		s.acks = append(s.acks, ack{time.Now(), q.lost})
	}
}

// neverLeft corrects what nextBatch assumed, when a write ended after n octets.
func (s *session) neverLeft(batch []*request, n int) {
	if !s.exact {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := 0
	for _, q := range batch {
		if at >= n {
			q.left = false
			if q.resp == 0 {
				s.pending = append(s.pending, q) // for settle
			}
		}
		at += len(q.frame)
	}
}

// watch asks the SMSC for a sign of life when it has been quiet, and gives
// the connection up after two that were not answered. SMPP 3.4 §2.8, §7.2
func (s *session) watch() error {
	timer := time.NewTimer(s.timers.Enquire)
	defer timer.Stop()
	unanswered, seen := 0, s.heard.Load()
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
		if err := s.post(&request{frame: b, resp: pdu.EnquireLinkRespID}); err != nil {
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
		if s.owe() && s.desk.put(task{session: s, frame: f}) {
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
