package modem

import (
	"context"
	"slices"
	"time"

	"tillpost/queue/route"
)

// job is something for the sink, and what to do at the modem once the sink has
// committed it.
type job struct {
	raw    string        // hex of a PDU as it came
	report bool          // it came as a report (+CDS, +CDSI)
	ready  *route.Report // instead of a PDU
	ack    ack

	from     *session
	identity string // of the SIM that it came to
}

// ack is owed to the network, or to a memory.
type ack struct {
	direct bool      // came by +CMT or +CDS …
	wanted bool      // … and wants AT+CNMA
	came   time.Time // when
	slot   slot      // to be deleted; the zero slot is none
}

// deliver hands a job to the worker. The caller has made sure of room, or
// waits: there is one worker for all connections of a modem, so that what
// happened first is told first.
func (s *session) deliver(j job) {
	if j.ready == nil && j.raw == "" {
		s.log.Warn("the modem announced a message and did not show it")
		return
	}
	j.from, j.identity = s, s.identity()
	s.m.jobs <- j
}

// tell is the worker: it tells the sink, in order, and queues the
// acknowledgement at the connection that the job came from. It ends when jobs
// is closed.
func (m *Modem) tell(ctx context.Context) {
	for j := range m.jobs {
		committed := m.tellOne(ctx, j)
		s := j.from
		s.mu.Lock()
		if committed {
			s.acks = append(s.acks, j.ack)
		} else if j.ack.slot != (slot{}) {
			delete(s.busy, j.ack.slot) // the next sweep finds it again
		}
		s.mu.Unlock()
		select {
		case s.acked <- struct{}{}:
		default:
		}
	}
}

// Retrying a sink that fails. What lies in a memory is found again by the
// sweep; what came directly exists only here, and the network repeats it only
// if AT+CNMA stays out.
const (
	tellPause = time.Second
	tellFor   = 12 * time.Second // inside the network's acknowledgement timer, about 15 s
)

// rearmAfter: a direct message that was acknowledged late, or not at all, makes
// the modem stop direct delivery when its timer ends (27.005 §3.4.1). Setting
// AT+CNMI again helps only after that.
const rearmAfter = 20 * time.Second

func (m *Modem) tellOne(ctx context.Context, j job) bool {
	for {
		err := m.tellSink(ctx, j)
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case j.ack.slot != (slot{}), j.ack.wanted && time.Since(j.ack.came) > tellFor:
			m.log.Error("a message from the network could not be kept; it will come again", "err", err)
			j.from.rearm.Store(j.ack.wanted)
			return false
		}
		select {
		case <-time.After(tellPause):
		case <-ctx.Done():
			return false
		}
	}
}

func (m *Modem) tellSink(ctx context.Context, j job) error {
	if j.ready != nil {
		return m.sink.Reported(ctx, *j.ready)
	}
	if isReport(j) {
		rep, err := readReport(j.raw)
		if err == nil {
			rep.Route, rep.Identity, rep.Key = m.cfg.Name, j.identity, key(j.identity, j.raw)
			m.settle(&rep)
			if err := m.sink.Reported(ctx, rep); err != nil {
				return err
			}
			if rep.ID != "" {
				m.noteSettled(rep.Identity, rep.ID, 0)
			}
			return nil
		}
		m.log.Warn("a status report could not be read; it is kept as it came", "err", err)
	}
	in := readDeliver(j.raw)
	if m.loopCame(ctx, j.identity, in.Text) {
		return nil
	}
	in.Route, in.Identity, in.Key = m.cfg.Name, j.identity, key(j.identity, j.raw)
	return m.sink.Received(ctx, in)
}

// isReport tells by the PDU, where it can be read that far: a memory may hold
// both kinds.
func isReport(j job) bool {
	b, err := unwrap(j.raw)
	if err != nil {
		return j.report
	}
	return b[0]&mtiMask == mtiStatusReport
}

func (s *session) hasAcks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acks) > 0
}

// acknowledge does what is owed after commits; the line is held. Removing what
// was stored can wait, the network does not.
func (s *session) acknowledge(ctx context.Context, all bool) error {
	s.mu.Lock()
	var acks []ack
	acks, s.acks = s.acks, nil
	if !all {
		s.acks = slices.DeleteFunc(slices.Clone(acks), func(a ack) bool { return a.direct })
	}
	s.mu.Unlock()
	var age time.Duration
	for _, a := range acks {
		if !all && !a.direct {
			continue
		}
		var err error
		switch {
		case a.direct && a.wanted:
			// A refusal is harmless: 340 says that nothing was waited for.
			_, err = s.conn.Command(ctx, "AT+CNMA", 5*time.Second)
			age = max(age, time.Since(a.came)) // the line may have been busy with a message
		case a.slot != (slot{}):
			err = s.remove(ctx, a.slot)
		}
		if isLost(err) {
			return err
		}
	}
	switch {
	case age > rearmAfter: // its timer has ended: nothing to wait for
		return s.announce(ctx)
	case age > tellFor:
		s.rearm.Store(true)
	}
	return nil
}
