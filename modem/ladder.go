package modem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tillpost/modem/at"
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

// The rungs of the ladder, in their fixed order. Those of Config.Rungs come
// between the last of these and the rest at the top.
const (
	rungResync = iota
	rungPrepare
	rungRadio
	rungRestart
	rungReopen
	rungOutside // the first of Config.Rungs
)

// ownRungs are what commands can do; what a silent modem cannot be told is
// passed over. takes is how long it may be silent afterwards (field-notes §1.12).
var ownRungs = [rungOutside]struct {
	name, doing string
	answers     bool // only a modem that answers can do it
	takes       time.Duration
}{
	rungResync:  {name: "find it on the line", doing: "asking whether it is there"},
	rungPrepare: {name: "prepare it again", doing: "preparing it again", answers: true},
	rungRadio:   {name: "radio off and on", doing: "switching its radio off and on", answers: true, takes: 15 * time.Second},
	rungRestart: {name: "restart the modem", doing: "restarting it", takes: time.Minute},
	rungReopen:  {name: "close and open the port", doing: "opening the port again", takes: 5 * time.Second},
}

const (
	// Networks punish frequent attaching (field-notes §1.12).
	restartEvery = 5 * time.Minute
	// A modem that was well for so long starts at the foot of the ladder.
	wellAfter = 10 * time.Minute
	// After the last rung a person is told, and the ladder rests before it
	// begins anew: briefly at first, then ever longer. A modem that is silent
	// is asked meanwhile as often as ever.
	restFirst = time.Minute
	restMost  = 15 * time.Minute
	// What a rung from outside may take, and the modem after it.
	outsideLimit = time.Minute
	outsideTakes = 30 * time.Second
)

// ladder remembers how far up we are. It outlives connections, for most rungs
// end one.
type ladder struct {
	record  []route.Rung
	at      int           // the rung tried last since the modem was well; -1: none
	open    bool          // … and whether it helped is not known yet
	calm    time.Time     // until then silence is no news: a rung takes so long
	rest    time.Duration // the last one at the top …
	rested  time.Time     // … and when it ends
	since   time.Time     // ready since
	restart time.Time     // last restart
	due     bool          // a restart is to be sent on the next connection that answers
}

func newLadder(outside []Rung) ladder {
	l := ladder{at: -1}
	for _, r := range ownRungs {
		l.record = append(l.record, route.Rung{Name: r.name})
	}
	for _, r := range outside {
		l.record = append(l.record, route.Rung{Name: r.Name, Why: r.why()})
	}
	return l
}

func (r Rung) why() string {
	if r.Why == nil {
		return ""
	}
	return r.Why()
}

// judge looks again at what this box can do for the modem where it hangs now.
func (m *Modem) judge() (news bool) {
	for i, r := range m.cfg.Rungs {
		why := r.why()
		m.mu.Lock()
		record := &m.ladder.record[rungOutside+i]
		news = news || record.Why != why
		record.Why = why
		m.mu.Unlock()
	}
	return news
}

// climb chooses the next rung and writes down that it is tried; it returns the
// length of the ladder when nothing is left but to rest. silent: the modem does
// not answer. owed: it may still answer for a message, so it is not restarted.
func (l *ladder) climb(now time.Time, t trouble, silent, owed bool) int {
	for i := l.at + 1; i < len(l.record); i++ {
		if l.skips(i, now, t, silent, owed) {
			continue
		}
		l.at, l.open = i, true
		l.record[i].Tried++
		l.record[i].Last = now
		l.calm = now.Add(outsideTakes)
		if i < rungOutside {
			l.calm = now.Add(ownRungs[i].takes)
		}
		if i == rungRestart {
			l.restart = now
		}
		return i
	}
	l.rest = min(max(2*l.rest, restFirst), restMost)
	l.at, l.open, l.rested = -1, false, now.Add(l.rest)
	return len(l.record)
}

func (l *ladder) skips(i int, now time.Time, t trouble, silent, owed bool) bool {
	answers := t.reset || errors.Is(t.why, errLostSettings)
	switch {
	case l.record[i].Why != "":
		return true
	case i == rungResync:
		return answers
	case i == rungRestart:
		return silent && owed || now.Sub(l.restart) < restartEvery
	}
	return silent && i < rungOutside && ownRungs[i].answers
}

// isWell credits the rung that brought the modem back: it carried a message
// after it, or has been ready for long.
func (l *ladder) isWell() (news bool) {
	if l.open {
		l.record[l.at].Helped++
	}
	news = l.at >= 0
	l.at, l.open, l.rest = -1, false, 0
	return news
}

// climb takes the next rung, publishes and logs it.
func (m *Modem) climb(t trouble, silent, owed bool) int {
	m.judge()
	m.mu.Lock()
	rung := m.ladder.climb(time.Now(), t, silent, owed)
	record := slices.Clone(m.ladder.record)
	m.mu.Unlock()
	name, doing := "rest", "resting before it is tried again"
	switch {
	case rung < rungOutside:
		name, doing = record[rung].Name, ownRungs[rung].doing
	case rung < len(record):
		name, doing = record[rung].Name, record[rung].Name
	}
	state := route.Waiting
	if rung == len(record) {
		state = route.Hand
	}
	m.log.Warn("recovering the modem", "rung", name, "why", t.why)
	m.publish(func(s *route.Status) {
		s.State, s.Code, s.Doing, s.Detail = state, "modem_silent", doing, t.why.Error()
		care(s).Rungs = record
	})
	return rung
}

// well tells the ladder that the modem works.
func (m *Modem) well() {
	m.mu.Lock()
	news := m.ladder.isWell()
	record := slices.Clone(m.ladder.record)
	m.mu.Unlock()
	if news {
		m.publish(func(s *route.Status) { care(s).Rungs = record })
	}
}

// arrived notes that the modem is ready; whether it stays so will be seen.
func (m *Modem) arrived() {
	news := m.judge()
	m.mu.Lock()
	m.ladder.since, m.ladder.rested = time.Now(), time.Time{}
	record := slices.Clone(m.ladder.record)
	m.mu.Unlock()
	if news {
		m.publish(func(s *route.Status) { care(s).Rungs = record })
	}
}

// longWell is well for a modem that has nothing to carry.
func (m *Modem) longWell() {
	m.mu.Lock()
	long := m.ladder.at >= 0 && time.Since(m.ladder.since) >= wellAfter
	m.mu.Unlock()
	if long {
		m.well()
	}
}

// bearSilence tells whether a modem that does not answer is to be asked again
// without another rung: the last one takes its time, or the ladder rests.
func (m *Modem) bearSilence() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	return now.Before(m.ladder.calm) || now.Before(m.ladder.rested)
}

// resting is how long the rest at the top lasts.
func (m *Modem) resting() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Until(m.ladder.rested)
}

// climbing tells whether the modem is being brought back: then each attempt of
// it is no news.
func (m *Modem) climbing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ladder.at >= 0 || time.Now().Before(m.ladder.rested)
}

// plugged: the modem has just come to its port, and may take its time before it
// answers.
func (m *Modem) plugged() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if calm := time.Now().Add(bootTakes); calm.After(m.ladder.calm) {
		m.ladder.calm = calm
	}
}

// bootTakes is what the slowest need from plug to AT (field-notes §1.1.4).
const bootTakes = 20 * time.Second

// care returns what s tells of the device's care, a copy that may be changed.
func care(s *route.Status) *route.Care {
	c := route.Care{}
	if s.Care != nil {
		c = *s.Care
	}
	s.Care = &c
	return &c
}

// outside ends a connection for a rung that wants the port closed.
type outside struct {
	rung int
	why  error
}

func (o *outside) Error() string { return o.why.Error() }
func (o *outside) Unwrap() error { return o.why }

// recovering brings the modem back after t: it climbs until a rung leads back
// to one of the states, or ends the connection.
func (s *session) recovering(t trouble) state {
	return func(ctx context.Context) (state, error) {
		silent := errors.Is(t.why, at.ErrSilent)
		if silent && s.m.bearSilence() {
			return nil, t.why
		}
		for {
			rung := s.m.climb(t, silent, s.conn.Owed() != nil)
			switch rung {
			case rungResync:
				err := s.conn.Resync(ctx)
				if err == nil {
					return s.rejoin, nil
				}
				if !errors.Is(err, at.ErrSilent) {
					return nil, err
				}
				silent, t.why = true, err
			case rungPrepare:
				return s.starting, nil
			case rungRadio:
				return s.radio(ctx)
			case rungRestart:
				if !silent {
					s.reset(ctx)
					return nil, errRestarted
				}
				// It does not answer, but it may still listen.
				if err := s.conn.Blurt(s.profile.restart[0]); err != nil {
					return nil, err
				}
				return nil, t.why
			case rungReopen:
				return nil, t.why
			default:
				if s.m.isOutside(rung) {
					return nil, &outside{rung, t.why}
				}
				if silent {
					return nil, t.why
				}
				t.held, t.wait = "modem_silent", s.m.resting()
				return s.resting(t), nil
			}
		}
	}
}

// rejoin goes back to ready after a resync, if all is as we made it.
func (s *session) rejoin(ctx context.Context) (state, error) {
	if !s.prepared {
		return s.starting, nil
	}
	if err := s.checkSettings(ctx); err != nil {
		if errors.Is(err, errLostSettings) {
			return s.starting, nil
		}
		return s.failed(err)
	}
	means, err := s.askSIM(ctx)
	if err != nil {
		return s.failed(err)
	}
	before := s.iccid
	if err := s.sequence(ctx, whichSIM); err != nil {
		return s.failed(err)
	}
	if means != simReady || s.iccid != before {
		return s.card, nil
	}
	n, err := s.askNetwork(ctx)
	if err != nil {
		return s.failed(err)
	}
	if !n.CanSend {
		return s.registering, nil
	}
	return s.ready, nil
}

// radio switches the radio off and on.
func (s *session) radio(ctx context.Context) (state, error) {
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

// reset restarts the modem itself, in the first way that it does not refuse. Its answer does not matter: it may be gone
// before it gives one.
func (s *session) reset(ctx context.Context) {
	s.m.restarted()
	s.log.Warn("restarting the modem")
	for _, cmd := range s.profile.restart {
		_, err := s.conn.Command(ctx, cmd, 10*time.Second)
		if err == nil {
			return
		}
		s.log.Info("the restart was not confirmed", "command", cmd, "err", err)
		if isLost(err) {
			return
		}
	}
}

func (m *Modem) isOutside(rung int) bool {
	return rung >= rungOutside && rung < rungOutside+len(m.cfg.Rungs)
}

// fromOutside does a rung while the port is closed.
func (m *Modem) fromOutside(ctx context.Context, rung int) {
	r := m.cfg.Rungs[rung-rungOutside]
	limited, cancel := context.WithTimeout(ctx, outsideLimit)
	defer cancel()
	if err := r.Do(limited); err != nil {
		m.log.Error("a rung of the recovery could not be done", "rung", r.Name, "err", err)
		m.publish(func(s *route.Status) { s.Detail = fmt.Sprintf("%s: %v", r.Name, err) })
		m.mu.Lock()
		m.ladder.calm = time.Time{} // nothing to wait for
		m.mu.Unlock()
	}
}

func (m *Modem) restarted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ladder.restart, m.ladder.due = time.Now(), false
	m.ladder.calm = m.ladder.restart.Add(ownRungs[rungRestart].takes)
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
