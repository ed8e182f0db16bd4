package modem

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// task is something to do at the modem when nobody sends: a few commands.
type task func(context.Context) error

// polls are asked when nothing else goes on. Their cost is a few milliseconds
// of the modem's time.
var polls = []struct {
	name  string
	every time.Duration
	do    func(*session, context.Context) error
}{
	{"sweep", time.Minute, (*session).sweep}, // an announcement may be lost
	{"signal", 30 * time.Second, func(s *session, ctx context.Context) error {
		s.m.longWell()
		return s.look(ctx, &s.weak)
	}},
	{"network", time.Minute, (*session).checkNetwork},
	{"loop", time.Minute, (*session).checkLoop},
	{"balance", time.Minute, (*session).checkBalance},
	{"clock", 10 * time.Minute, (*session).checkClock},
	{"operator", 5 * time.Minute, (*session).checkOperator},
	{"settings", time.Hour, (*session).checkSettings},
	{"announcements", time.Hour, (*session).announce},
}

// ready lets messages through, and keeps house between them.
func (s *session) ready(ctx context.Context) (state, error) {
	for _, p := range polls {
		s.until[p.name] = time.Now()
		if p.every >= time.Hour { // just set
			s.until[p.name] = time.Now().Add(p.every)
		}
	}
	select {
	case <-s.alarm: // of the last time, overtaken by what came between
	default:
	}
	if err := s.redeem(ctx); err != nil {
		return s.failed(err)
	}
	s.storesFirst = s.m.cfg.StoreFirst && s.writesTo != "" && s.believed()
	s.prepared = true
	s.m.arrived()
	s.m.admit(s) // first, so that no message is turned away after the word is out
	s.m.publish(func(st *route.Status) {
		st.State, st.Doing, st.Identity = route.Ready, "", s.identity()
		st.Code, st.Detail = s.m.worst()
	})
	s.release()
	next, err := s.serve(ctx)
	s.m.dismiss(s)
	if err != nil {
		return nil, err
	}
	// The states hold the line again. A message that is with the modem keeps
	// it until its verdict: they could not talk to the modem anyway.
	select {
	case s.line <- struct{}{}:
		return next, nil
	default:
		s.m.publish(func(st *route.Status) {
			if st.State == route.Ready {
				st.State, st.Code, st.Doing = route.Waiting, "", "waiting for the verdict on a message"
			}
		})
	}
	select {
	case s.line <- struct{}{}:
		return next, nil
	case <-s.conn.Done():
		return nil, s.conn.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve is ready's loop, with the line free.
func (s *session) serve(ctx context.Context) (state, error) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		var grab chan<- struct{} // the line, wanted only if there is something to do
		if len(s.tasks) > 0 || s.hasAcks() {
			grab = s.line
		}
		var events <-chan struct{} // not heard while the worker is full: then nothing is acknowledged
		if len(s.m.jobs) < cap(s.m.jobs)/2 {
			events = s.conn.Ready()
		}
		select {
		case <-events:
			s.hearSome()
			if next := s.led(); next != nil {
				return next, nil
			}
			if s.news.network {
				s.news.network = false
				s.tasks = append(s.tasks, s.checkNetwork)
			}
		case grab <- struct{}{}:
			err := s.keepHouse(ctx)
			s.release()
			if s.offNet {
				s.offNet = false
				return s.registering, nil
			}
			if err != nil {
				return s.failed(err)
			}
		case <-s.acked:
		case <-tick.C:
			tick.Reset(s.schedule())
		case t := <-s.alarm:
			if t.held != "" {
				return s.resting(t), nil
			}
			return s.recovering(t), nil
		case r := <-s.m.requests:
			if r.pin != "" {
				r.done <- fmt.Errorf("%s: the SIM does not ask for a PIN", s.m.cfg.Name)
				continue
			}
			s.restartNow(ctx)
			r.done <- nil
			return nil, errRestarted
		case <-s.conn.Done():
			return nil, s.conn.Err()
		case <-ctx.Done():
			s.m.dismiss(s)
			s.settleDown()
			return nil, ctx.Err()
		}
	}
}

// schedule turns the polls that are due into tasks and returns how long until
// the next one.
func (s *session) schedule() time.Duration {
	if s.rearm.Swap(false) {
		s.until["announcements"] = time.Now().Add(rearmAfter)
	}
	next := 20 * time.Second
	for _, p := range polls {
		if d := time.Until(s.until[p.name]); d > 0 {
			next = min(next, d)
			continue
		}
		s.until[p.name] = time.Now().Add(24 * time.Hour) // not again while it waits for the line
		next = min(next, p.every)
		s.tasks = append(s.tasks, func(ctx context.Context) error {
			s.until[p.name] = time.Now().Add(p.every)
			return p.do(s, ctx)
		})
	}
	return next
}

// keepHouse does, with the line held, what the network waits for, and then one
// task: a message that waits for the line comes before the next.
func (s *session) keepHouse(ctx context.Context) error {
	if s.conn.OutOfStep() {
		return at.ErrOutOfStep
	}
	if err := s.acknowledge(ctx, true); err != nil {
		return err
	}
	if len(s.tasks) == 0 {
		return nil
	}
	t := s.tasks[0]
	s.tasks = s.tasks[1:]
	return t(ctx)
}

// seize takes the line; what takes it first has it first.
func (s *session) seize(ctx context.Context) error {
	if ctx.Err() != nil {
		return route.Ended(ctx, s.m.cfg.Name)
	}
	s.m.mu.Lock()
	away := s.away
	s.m.mu.Unlock()
	select {
	case s.line <- struct{}{}:
		return nil
	case <-away: // the states may hold the line for hours now
		_, why := s.m.current()
		return route.Refuse(s.m.cfg.Name, why)
	case <-s.over:
		return route.Refuse(s.m.cfg.Name, "the connection to the modem ended")
	case <-ctx.Done():
		return route.Ended(ctx, s.m.cfg.Name)
	}
}

func (s *session) release() { <-s.line }

// settleDown gives a message that is with the modem its time before the port
// is closed: a few seconds are better than an unknown.
func (s *session) settleDown() {
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case s.line <- struct{}{}:
		s.release()
	case <-s.conn.Done():
	case <-timer.C:
	}
}

// restartNow restarts the modem for a person, who waits less patiently than
// the network: a message that is with the modem gets a few seconds.
func (s *session) restartNow(ctx context.Context) {
	s.m.enter(route.Waiting, "modem_silent", "restarting", "a person asked for it")
	s.m.dismiss(s)
	timer := time.NewTimer(restartGrace)
	defer timer.Stop()
	select {
	case s.line <- struct{}{}:
		defer s.release()
		if !s.conn.OutOfStep() {
			s.reset(ctx)
			return
		}
	case <-timer.C:
	case <-s.conn.Done():
	}
	s.m.owesRestart()
}

const restartGrace = 5 * time.Second

// checkNetwork looks whether messages can still go.
func (s *session) checkNetwork(ctx context.Context) error {
	n, err := s.askNetwork(ctx)
	if err != nil {
		return err
	}
	if !n.CanSend {
		s.offNet = true
		s.m.dismiss(s)
		s.m.enter(route.Waiting, "searching", "looking for the network", n.Meaning)
	}
	return nil
}

func (s *session) checkOperator(ctx context.Context) error {
	name, tech, err := s.askOperator(ctx)
	if err != nil {
		return err
	}
	s.m.publish(func(st *route.Status) { st.Operator, st.Tech = name, tech })
	return nil
}

// checkSettings finds a modem that restarted without a word: it has lost PDU
// mode and announcements, or echoes again.
func (s *session) checkSettings(ctx context.Context) error {
	lines, err := s.conn.Command(ctx, "AT+CMGF?", 5*time.Second)
	if isLost(err) {
		return err
	}
	if v, ok := at.Find(lines, "+CMGF"); ok && v != "0" {
		return errLostSettings
	}
	lines, err = s.conn.Command(ctx, "AT+CNMI?", 5*time.Second)
	if isLost(err) {
		return err
	}
	if v, ok := at.Find(lines, "+CNMI"); ok && s.reports > 0 && !strings.Contains(strings.ReplaceAll(v, " ", ""), ",1,0,"+fmt.Sprint(s.reports)) {
		return errLostSettings
	}
	if s.conn.Echoes() != s.echoes {
		return errLostSettings
	}
	return nil
}
