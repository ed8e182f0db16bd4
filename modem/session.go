package modem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

const (
	lookEvery   = time.Second      // for a port that is not there
	goneAfter   = 15 * time.Second // then a hand is needed (failure_texts.csv, modem_gone)
	reopenAfter = time.Second
	simEvery    = 5 * time.Second // how often a SIM that needs a hand is looked at
	netEvery    = 5 * time.Second // how often registration is asked for while there is none
	lostAfter   = 2 * time.Minute // without network this long: no_signal
	drain       = 15 * time.Second
)

// errRestarted ends a connection whose modem was told to restart.
var errRestarted = errors.New("the modem restarts")

// absent waits until the modem is somewhere.
func (m *Modem) absent(ctx context.Context) error {
	since := time.Now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if m.located() {
			if !m.here {
				m.here = true
				m.plugged()
			}
			return nil
		}
		m.here = false
		state, code, missing := m.where.missing(time.Since(since))
		m.publish(func(s *route.Status) {
			kept := &route.Care{Rungs: s.Care.Rungs}
			*s = route.Status{Route: s.Route, Kind: s.Kind, Lanes: s.Lanes, Port: m.where.Port, State: state, Since: s.Since, Code: code, Detail: missing, Doing: "looking", Care: kept}
		})
		if state == route.Hand {
			m.fetchBack(ctx, errors.New(missing))
		}
		select {
		case <-tick.C:
		case r := <-m.requests:
			r.done <- errors.New(m.cfg.Name + ": " + missing)
		case <-ctx.Done():
		}
	}
}

// fetchBack goes on with the ladder where a rung has made the modem leave its
// bus and it did not come back. One that a person pulled is left alone.
func (m *Modem) fetchBack(ctx context.Context, why error) {
	m.mu.Lock()
	left := m.ladder.open && m.ladder.at >= rungRestart && time.Now().After(m.ladder.calm)
	m.mu.Unlock()
	if !left {
		return
	}
	if rung := m.climb(trouble{why: why}, true, false); m.isOutside(rung) {
		m.fromOutside(ctx, rung)
	}
}

// rest is the pause between two connections; err ended the last one.
func (m *Modem) rest(ctx context.Context, err error) error {
	if o, ok := errors.AsType[*outside](err); ok {
		m.fromOutside(ctx, o.rung)
	}
	if !m.present(m.where.Port) {
		return nil // absent says so at once
	}
	pause := reopenAfter
	if e, ok := errors.AsType[*portError](err); ok {
		state := route.Hand
		if e.code == "modem_gone" {
			state = route.Waiting
		}
		m.enter(state, e.code, "trying again", e.detail)
		pause = 2 * lookEvery
	} else {
		m.publish(func(s *route.Status) {
			s.Doing, s.Detail = "opening again", err.Error()
			if s.State != route.Hand || s.Code != "modem_silent" { // a person was told: that stands until it answers
				s.State, s.Code = route.Waiting, "modem_silent"
			}
		})
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case r := <-m.requests:
			r.done <- fmt.Errorf("%s: %w", m.cfg.Name, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// session is one connection, from open to close. Its plain fields belong to
// whoever holds the line: the states in all but ready, where Send takes it in
// turns with them. What the worker reads comes with its job.
type session struct {
	m    *Modem
	conn *at.Conn
	log  *slog.Logger

	maker, model, imei, imsi, iccid string
	number                          string // of the SIM, if it tells
	keepsTime                       bool   // its clock follows the network
	profile                         *profile
	functional                      string // answer of AT+CFUN?
	prepared                        bool   // it has been ready on this connection, and not restarted since
	confirms                        bool   // AT+CSMS=1: what comes directly wants AT+CNMA
	reports                         int    // <ds> of AT+CNMI that the modem took
	storage, writesTo               string // AT+CPMS: where messages are read from, and written to
	storesFirst                     bool   // a message is written there before it is sent (stored.go)
	unread                          bool   // it announces what cannot be read
	drafts                          int    // found in storage at the last sweep

	line  chan struct{} // held by whoever talks to the modem: a Send, or the states
	over  chan struct{} // closed when the session ends
	away  chan struct{} // closed when it may not send any more; of Modem.mu
	alarm chan trouble  // from Send to the states

	news   news
	offNet bool // a look at the network found none
	weak   weak
	rang   time.Time
	unlock func(pin string) error // set while the SIM waits for a person's PIN
	tasks  []task
	beside sync.WaitGroup       // what runs beside the states, and ends with the session
	until  map[string]time.Time // when each poll is next due

	mu    sync.Mutex
	acks  []ack
	acked chan struct{} // acks has something
	busy  map[slot]bool // slots whose content the sink has, or is about to get
	ussd  chan string   // who waits for +CUSD
	rearm atomic.Bool   // see rearmAfter

	// Of whoever holds the line to send.
	credit     credit
	answeredAt time.Time // the network has taken a part …
	linked     bool      // … with its link told to stay up
	noMore     bool      // it knows no AT+CMMS
	packed     bool      // it wants USSD codes as packed hex
	noValidity bool      // the SMSC does not take TP-VP …
	noReport   bool      // … or TP-SRR
	echoes     uint64
}

// identity is who carries our messages: the SIM, by its printed number.
func (s *session) identity() string {
	for _, id := range []string{s.iccid, s.imsi, s.imei} {
		if id != "" {
			return id
		}
	}
	return s.m.cfg.Name
}

// state is one state of a connection: it publishes its entrance, does its
// work, and returns the next. An error ends the connection.
type state func(context.Context) (state, error)

// connected opens the port and lives on it.
func (m *Modem) connected(ctx context.Context) error {
	cfg := m.cfg
	cfg.Port = m.where.Port
	m.publish(func(s *route.Status) { s.Port = cfg.Port })
	m.opening()
	p, err := m.open(cfg)
	if err != nil {
		return err
	}
	conn := at.New(p, at.Config{Patience: m.cfg.SendTimeout, URCs: tables().urcs, Log: m.log, Tap: m.trace.hear, Owed: m.owed})
	s := &session{
		m: m, conn: conn, log: m.log, profile: profileOf(""),
		line:  make(chan struct{}, 1), // held by the states, until ready
		over:  make(chan struct{}),
		alarm: make(chan trouble, 1),
		acked: make(chan struct{}, 1),
		busy:  map[slot]bool{},
		until: map[string]time.Time{},
	}
	m.forgetRefs()
	s.line <- struct{}{}
	defer s.beside.Wait()
	defer conn.Close()
	defer close(s.over)
	defer m.dismiss(s)
	for next := state(s.starting); ; {
		if next, err = next(ctx); err != nil {
			m.owed = nil // a modem that restarted or was unplugged has forgotten
			if errors.Is(err, at.ErrSilent) {
				m.owed = conn.Owed()
			}
			return err
		}
	}
}

// opening publishes that the port is opened. While the modem is being brought
// back each opening is no news, but for one that had left its bus.
func (m *Modem) opening() {
	climbing := m.climbing()
	m.publish(func(s *route.Status) {
		switch {
		case !climbing:
			s.State, s.Code, s.Doing, s.Detail = route.Starting, "", "opening", ""
		case s.Code == "modem_gone":
			s.State, s.Code, s.Doing, s.Detail = route.Waiting, "modem_silent", "opening the port again", ""
		}
	})
}

// starting finds the modem on the line and makes it known.
func (s *session) starting(ctx context.Context) (state, error) {
	if !s.m.climbing() {
		s.m.enter(route.Starting, "", "finding the modem", "")
	}
	s.prepared = false
	if err := s.conn.Resync(ctx); err != nil {
		return s.failed(err)
	}
	// What was said until now belongs to the life before.
	s.hearAll()
	s.news = news{}
	if s.m.resetDue() {
		s.reset(ctx)
		return nil, errRestarted
	}
	s.m.enter(route.Starting, "", "preparing the modem", "")
	if err := s.identify(ctx); err != nil {
		return s.failed(err)
	}
	if err := s.stranger(); err != nil {
		return nil, err
	}
	if err := s.sequence(ctx, asItWants); err != nil {
		return s.failed(err)
	}
	if s.functional != "" && !strings.HasPrefix(s.functional, "1") {
		// Radio off. Some take a minute to switch it on.
		if _, err := s.conn.Command(ctx, "AT+CFUN=1", 60*time.Second); isLost(err) {
			return s.failed(err)
		}
	}
	s.echoes = s.conn.Echoes()
	s.m.publish(func(st *route.Status) {
		st.Device = s.imei
		st.Model = strings.TrimSpace(s.maker + " " + s.model)
	})
	return s.card, nil
}

// isLost tells an answer that never came from a refusal.
func isLost(err error) bool {
	if err == nil {
		return false
	}
	_, refused := errors.AsType[*at.Error](err)
	return !refused
}

// failed says where an error leads that is not a refusal.
func (s *session) failed(err error) (state, error) {
	if e, ok := errors.AsType[*at.Error](err); ok {
		// A must was refused: nothing that a resync could cure.
		s.log.Warn("the modem refused a command it cannot do without", "err", e)
		return s.recovering(trouble{reset: true, why: err}), nil
	}
	if errors.Is(err, at.ErrClosed) || errors.Is(err, errRestarted) || errors.Is(err, context.Canceled) {
		return nil, err
	}
	return s.recovering(trouble{why: err}), nil
}

// registering prepares what needs the SIM and waits for the network.
func (s *session) registering(ctx context.Context) (state, error) {
	s.m.enter(route.Waiting, "searching", "preparing the SIM", "")
	if next, err := s.memory(ctx); next != nil || err != nil {
		return next, err
	}
	if err := s.sequence(ctx, withSIM); err != nil {
		return s.failed(err)
	}
	if err := s.announce(ctx); err != nil {
		return s.failed(err)
	}
	if s.m.cfg.LoopTest.Every > 0 && s.m.cfg.LoopTest.Number == "" {
		if err := s.sequence(ctx, ownNumber); err != nil {
			return s.failed(err)
		}
	}
	s.m.publish(func(st *route.Status) { st.Identity, st.Doing = s.identity(), "looking for the network" })
	for since := time.Now(); ; {
		n, err := s.askNetwork(ctx)
		if err != nil {
			return s.failed(err)
		}
		switch {
		case n.CanSend:
			return s.centre, nil
		case n.denied:
			s.m.enter(route.Hand, "sim_refused", "waiting for the network", n.Meaning)
		case time.Since(since) >= lostAfter:
			s.m.enter(route.Hand, "no_signal", "looking for the network", n.Meaning)
		}
		if next, err := s.idle(ctx, netEvery); next != nil || err != nil {
			return next, err
		}
	}
}

// memory waits until the store of messages can be used: after the PIN that
// takes a while, and not every modem has a line for it (field-notes §1.3).
func (s *session) memory(ctx context.Context) (state, error) {
	for end := time.Now().Add(simBusyFor); ; {
		_, err := s.conn.Command(ctx, "AT+CPMS?", 10*time.Second)
		if isLost(err) {
			return s.failed(err)
		}
		if err == nil || time.Now().After(end) {
			return nil, nil // a modem without a store can still send
		}
		if next, err := s.idle(ctx, 2*time.Second); next != nil || err != nil {
			return next, err
		}
	}
}

// centre makes sure that the SIM knows its SMSC: without it every message
// would be refused (CMS 330).
func (s *session) centre(ctx context.Context) (state, error) {
	for {
		lines, err := s.conn.Command(ctx, "AT+CSCA?", 5*time.Second)
		if isLost(err) {
			return s.failed(err)
		}
		v, answered := at.Find(lines, "+CSCA")
		if number, _, _ := strings.Cut(v, ","); err != nil || !answered || strings.Trim(number, `" `) != "" {
			return s.ready, nil
		}
		s.m.enter(route.Hand, "no_smsc", "waiting for the number of the SMS centre", "AT+CSCA? is empty")
		if next, err := s.idle(ctx, 2*simEvery); next != nil || err != nil {
			return next, err
		}
	}
}

// resting stands still while something is not in order that only time, or a
// person, can cure, and then tries again.
func (s *session) resting(t trouble) state {
	return func(ctx context.Context) (state, error) {
		st := route.Hand
		if t.held == "no_signal" {
			st = route.Waiting
		}
		s.m.enter(st, t.held, "waiting, then one message is tried", fmt.Sprint(t.why))
		if next, err := s.consult(ctx, t); next != nil || err != nil {
			return next, err
		}
		for end := time.Now().Add(t.wait); time.Now().Before(end); {
			if next, err := s.idle(ctx, min(simEvery, time.Until(end))); next != nil || err != nil {
				return next, err
			}
		}
		return s.card, nil
	}
}

// consult asks the modem for a better reason where a refusal has a vague one.
func (s *session) consult(ctx context.Context, t trouble) (state, error) {
	switch t.held {
	case "no_credit", "no_signal", "sim_refused":
	default:
		return nil, nil
	}
	s.m.mu.Lock()
	s.m.doubtful = true
	s.m.mu.Unlock()
	found, err := s.examine(ctx)
	if isLost(err) {
		return s.failed(err)
	}
	if len(found) > 0 {
		s.m.publish(func(st *route.Status) { st.Detail = fmt.Sprint(t.why) + ". " + strings.Join(found, " ") })
	}
	return nil, nil
}

// idle waits for d, hears what the modem says, and answers persons. It returns
// a state if something of it leads elsewhere.
func (s *session) idle(ctx context.Context, d time.Duration) (state, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil, nil
		case <-s.conn.Ready():
			s.hearAll()
			if next := s.led(); next != nil {
				return next, nil
			}
		case r := <-s.m.requests:
			if r.pin == "" {
				s.reset(ctx)
				r.done <- nil
				return nil, errRestarted
			}
			if s.unlock == nil {
				r.done <- errors.New(s.m.cfg.Name + ": the SIM does not ask for a PIN")
				continue
			}
			r.done <- s.unlock(r.pin)
			return nil, nil // look at once whether it opened
		case <-s.conn.Done():
			return nil, s.conn.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// news is what unsolicited lines have told the states, until they look.
type news struct {
	restarted bool // the modem came up again: its settings are gone
	sim       bool // the SIM was touched
	network   bool // registration changed
}

// led says where the news leads, if anywhere.
func (s *session) led() state {
	n := s.news
	s.news = news{}
	switch {
	case n.restarted:
		s.log.Warn("the modem restarted by itself")
		s.m.forgetRefs()
		s.conn.Restarted()
		return s.starting
	case n.sim:
		return s.card
	}
	s.news.network = n.network // the states that care ask for it themselves
	return nil
}
