package modem

import (
	"context"
	"time"

	"tillpost/queue/route"
)

// trouble is what makes a state leave: a lost answer, a refusal that stops the
// route, or one that asks for the ladder.
type trouble struct {
	held  string        // key of the plain text; empty: recover
	wait  time.Duration // how long a held route stands still
	reset bool          // the modem answers, but is not well
	why   error
}

// ladder counts what was tried to bring a modem back. It outlives connections,
// for most rungs end one.
type ladder struct {
	silent  int       // connections in a row on which it never answered
	unwell  int       // refusals in a row that ask for a reset
	last    time.Time // of these
	restart time.Time // last AT+CFUN=1,1
	due     bool      // … is to be sent on the next connection that answers
}

const (
	// Networks punish frequent attaching (field-notes §1.12).
	restartEvery = 5 * time.Minute
	// A modem that was well for so long starts at the foot of the ladder.
	wellAfter = 10 * time.Minute
)

// recovering brings the modem back after t, by the rungs in order: resync,
// prepare again, radio off and on, restart, close and open.
func (s *session) recovering(t trouble) state {
	return func(ctx context.Context) (state, error) {
		s.m.enter(route.Waiting, "modem_silent", "asking whether it is there", t.why.Error())
		if err := s.conn.Resync(ctx); err != nil {
			if s.m.silentAgain() {
				// It does not answer, but it may still listen.
				s.log.Warn("restarting a silent modem blindly")
				s.conn.Blurt("AT+CFUN=1,1")
			}
			return nil, err
		}
		s.m.answered()
		if !t.reset {
			return s.starting, nil
		}
		switch s.m.unwellAgain() {
		case 1:
			return s.starting, nil
		case 2:
			s.m.enter(route.Waiting, "modem_silent", "switching its radio off and on", t.why.Error())
			s.log.Warn("radio off and on", "why", t.why)
			for _, cmd := range []string{"AT+CFUN=0", "AT+CFUN=1"} {
				if _, err := s.conn.Command(ctx, cmd, 15*time.Second); isLost(err) {
					return s.failed(err)
				}
				if next, err := s.idle(ctx, 5*time.Second); next != nil || err != nil {
					return next, err
				}
			}
			return s.starting, nil
		}
		if !s.m.mayRestart() {
			s.m.enter(route.Waiting, "modem_silent", "resting before the next restart", t.why.Error())
			if next, err := s.idle(ctx, lookAgain); next != nil || err != nil {
				return next, err
			}
			return s.starting, nil
		}
		s.m.enter(route.Waiting, "modem_silent", "restarting it", t.why.Error())
		s.reset(ctx)
		return nil, errRestarted
	}
}

// reset restarts the modem itself. Its answer does not matter: it may be gone
// before it gives one.
func (s *session) reset(ctx context.Context) {
	s.m.restarted()
	s.log.Warn("restarting the modem")
	if _, err := s.conn.Command(ctx, "AT+CFUN=1,1", 10*time.Second); err != nil {
		s.log.Info("the restart was not confirmed", "err", err)
	}
}

// silentAgain counts a connection without an answer and says whether it is
// time for a blind restart.
func (m *Modem) silentAgain() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ladder.silent++
	if m.ladder.silent < 3 || time.Since(m.ladder.restart) < restartEvery {
		return false
	}
	m.ladder.restart = time.Now()
	return true
}

func (m *Modem) answered() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ladder.silent = 0
}

// unwellAgain counts a refusal that asks for a reset and returns which in a
// row it is.
func (m *Modem) unwellAgain() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.ladder.last) > wellAfter {
		m.ladder.unwell = 0
	}
	m.ladder.last = time.Now()
	m.ladder.unwell++
	return m.ladder.unwell
}

func (m *Modem) mayRestart() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.ladder.restart) >= restartEvery
}

func (m *Modem) restarted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ladder.restart, m.ladder.unwell, m.ladder.due = time.Now(), 0, false
}

// owesRestart remembers that a person wants a restart which this connection
// can no longer do.
func (m *Modem) owesRestart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ladder.due = true
}

func (m *Modem) resetDue() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ladder.due
}
