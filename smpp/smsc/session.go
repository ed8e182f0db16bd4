package smsc

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"
)

// session is one connection of a client.
type session struct {
	m    *SMSC
	n    int
	conn net.Conn

	// Behind SMSC.mu:
	bound       uint32 // the bind command; 0: not yet
	outstanding map[uint32]*delivery
	lastSubmit  uint32

	mu      sync.Mutex
	seq     uint32
	out     []byte
	pending int // submits unanswered
	wake    chan struct{}
	deaf    chan struct{} // set: the reader waits for it
}

// mostOut bounds what waits for a client that does not read.
const mostOut = 16 << 20

func (m *SMSC) serveConn(ctx context.Context, conn net.Conn) {
	s := &session{m: m, conn: conn, outstanding: make(map[uint32]*delivery), wake: make(chan struct{}, 1)}
	m.mu.Lock()
	m.opened++
	s.n = m.opened
	m.sessions[s] = true
	m.mu.Unlock()

	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { s.writer(done) })
	s.read(ctx)
	close(done)
	writer.Wait()
	conn.Close()

	// What was not acknowledged comes again, first.
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s)
	var again []*delivery
	for _, d := range s.outstanding {
		again = append(again, d)
	}
	m.ready = append(again, m.ready...)
	m.pump()
	m.changed()
}

// read serves the client until the connection ends.
func (s *session) read(ctx context.Context) {
	r := bufio.NewReaderSize(s.conn, 64<<10)
	var scratch []byte
	for {
		var p packet
		var err error
		if p, scratch, err = readPacket(r, scratch); err != nil {
			return
		}
		if !s.serve(p) {
			return
		}
		if deaf := s.waitDeaf(); deaf != nil {
			select {
			case <-deaf:
			case <-ctx.Done():
				return
			}
		}
	}
}

// serve answers one PDU; false ends the session.
func (s *session) serve(p packet) bool {
	m := s.m
	switch {
	case p.id&answerBit != 0:
		m.answered(s, p)
	case p.id == bindReceiver || p.id == bindTransmitter || p.id == bindTransceiver:
		return s.bind(p)
	case p.id == enquireLink:
		m.mu.Lock()
		m.stats.Enquires++
		m.changed()
		m.mu.Unlock()
		s.answer(p, StatusOK, nil)
	case p.id == unbind:
		s.answer(p, StatusOK, nil)
		return false
	case p.id == submitSM:
		if b := m.bindOf(s, p.seq); b == bindTransmitter || b == bindTransceiver {
			m.submitted(s, p.seq, p.body)
			break
		}
		s.answer(p, StatusNotBound, []byte{0})
	default:
		s.append(packet{id: genericNack, status: StatusBadCommand, seq: p.seq})
	}
	return true
}

// bindOf returns how s is bound, and notes the number of a submit.
func (m *SMSC) bindOf(s *session, seq uint32) uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.lastSubmit = seq
	return s.bound
}

// bind checks the credentials. SMPP 3.4 §4.1
func (s *session) bind(p packet) bool {
	f := fields{b: p.body}
	systemID, password := f.cstring(16), f.cstring(64)
	f.cstring(13) // system_type
	f.octets(3)   // interface_version, addr_ton, addr_npi
	f.cstring(41) // address_range

	m := s.m
	m.mu.Lock()
	status := StatusOK
	switch {
	case f.err != nil:
		status = StatusBadLength
	case s.bound != 0:
		status = StatusAlreadyBound
	case m.cfg.SystemID != "" && systemID != m.cfg.SystemID:
		status = StatusBadSystemID
	case m.cfg.SystemID != "" && password != m.cfg.Password:
		status = StatusBadPassword
	}
	if status == StatusOK {
		if code, ok := m.bindFault(); ok {
			status = code
		}
	}
	if status != StatusOK {
		m.stats.Refused++
		m.changed()
		m.mu.Unlock()
		s.answer(p, status, nil)
		return false
	}
	body := appendCString(nil, m.cfg.Name)
	m.mu.Unlock()
	s.answer(p, StatusOK, appendTLV(body, tagInterface, []byte{0x34}))

	m.mu.Lock()
	defer m.mu.Unlock()
	s.bound = p.id
	m.stats.Binds++
	m.pump()
	m.changed()
	return true
}

// receives reports whether s takes deliver_sm. Called with SMSC.mu held.
func (s *session) receives() bool {
	return s.bound == bindReceiver || s.bound == bindTransceiver
}

// deliver sends a deliver_sm. Called with SMSC.mu held.
func (s *session) deliver(d *delivery, collide bool) {
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.mu.Unlock()
	if collide && s.lastSubmit != 0 {
		seq = s.lastSubmit
	}
	for s.outstanding[seq] != nil {
		seq++
	}
	s.outstanding[seq] = d
	s.append(packet{id: d.command, seq: seq, body: d.body})
}

// ask sends a request of ours whose answer does not matter.
func (s *session) ask(id uint32, body []byte) {
	s.mu.Lock()
	s.seq++
	seq := s.seq
	s.mu.Unlock()
	s.append(packet{id: id, seq: seq, body: body})
}

func (s *session) answer(p packet, status uint32, body []byte) {
	s.append(packet{id: p.id | answerBit, status: status, seq: p.seq, body: body})
}

// answerSubmit sends a submit_sm_resp. Its body may be left out with an
// error. SMPP 3.4 §4.4.2
func (s *session) answerSubmit(seq, status uint32, id string, nack bool) {
	p := packet{id: submitSM | answerBit, status: status, seq: seq}
	if status == StatusOK {
		p.body = appendCString(nil, id)
	}
	if nack {
		p.id, p.body = genericNack, nil
	}
	s.append(p)
}

// unanswered counts submits in flight.
func (s *session) unanswered(by int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending += by
	return s.pending
}

// Deafen makes all sessions stop reading until the returned function is
// called.
func (m *SMSC) Deafen() (hear func()) {
	deaf := make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.sessions {
		s.mu.Lock()
		s.deaf = deaf
		s.mu.Unlock()
	}
	return sync.OnceFunc(func() { close(deaf) })
}

func (s *session) waitDeaf() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deaf
}

func (s *session) append(p packet) {
	s.mu.Lock()
	s.out = appendPacket(s.out, p)
	full := len(s.out) > mostOut
	s.mu.Unlock()
	s.poke(full)
}

func (s *session) write(b []byte) {
	s.mu.Lock()
	s.out = append(s.out, b...)
	full := len(s.out) > mostOut
	s.mu.Unlock()
	s.poke(full)
}

func (s *session) poke(full bool) {
	if full {
		s.conn.Close()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// writer sends what there is, in few large writes. After the last PDU was
// read it still sends what is left.
func (s *session) writer(done <-chan struct{}) {
	var spare []byte
	for last := false; ; {
		s.mu.Lock()
		out := s.out
		s.out = spare[:0]
		s.mu.Unlock()
		if len(out) > 0 {
			s.conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
			if _, err := s.conn.Write(out); err != nil {
				s.conn.Close()
				return
			}
			spare = out
			continue
		}
		spare = out
		if last {
			return
		}
		select {
		case <-s.wake:
		case <-done:
			last = true
		}
	}
}
