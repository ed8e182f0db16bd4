package smpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
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

	retired chan error // capacity 1: why this session shall end politely

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
		retired:   make(chan error, 1),
		wake:      make(chan struct{}, 1),
		taken:     make(chan struct{}, 1),
		done:      make(chan struct{}),
	}
	s.heard.Store(time.Now().UnixNano())
	return s
}

// serve runs the bound session until it ends, and returns why. When ctx ends
// or a new connection is wanted it takes leave: answers on their way are
// awaited. leaving is called before that, with why, and shall see to it that
// nothing new is asked here; why is nil when the session has ended already.
func (s *session) serve(ctx context.Context, restarted <-chan struct{}, r *bufio.Reader, leaving func(why error)) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.end(s.read(r)) })
	wg.Go(func() { s.end(s.write()) })
	wg.Go(func() { s.end(s.watch()) })

	var why error
	select {
	case <-s.done:
	case <-ctx.Done():
		why = context.Cause(ctx)
	case <-restarted:
		why = errRestart
	case why = <-s.retired:
	}
	leaving(why)
	if why != nil {
		s.leave()
		s.end(why)
	}
	wg.Wait()
	s.settle()
	return s.ended
}

// retire has the session take leave, as soon as may be.
func (s *session) retire(why error) {
	select {
	case s.retired <- why:
	default:
	}
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
	s.parted = s.parted || a.err == nil
}
