// Package modem drives one GSM modem as a route: it finds the modem behind its
// port, prepares it, unlocks its SIM, sends, receives, and brings it back when
// it falls silent.
//
// What it promises beyond the contract of package route:
//
//   - of every message it is known whether the network may have it: Unknown is
//     said exactly when the Ctrl-Z has left and no answer came;
//   - an unknown is settled by proof only: its late answer, the status report
//     that no other message can have, or a modem memory that was tested; the
//     report to the queue says by which;
//   - an answer that comes after our patience is never credited to the next
//     message (see package at). It is told to the sink as a Report with the
//     message's own ID: State sent with the Ref that delivery reports will
//     name, or, if the network refused after all, undelivered or given back;
//   - nothing is deleted from a SIM, or acknowledged to the network, before
//     the sink has committed it; what cannot be read is kept as it came;
//   - a PIN is tried once for each SIM and value, across restarts and modems,
//     and never with the last attempt;
//   - a modem that falls silent or ill is brought back by the rungs of one
//     ladder, in a fixed order, and each rung keeps its record (ladder.go).
//
// A connection is a process: the functions in session.go are its states, one
// each (absent → opening → starting → sim → registering → ready → recovering),
// and what a state needs lives on its stack. What differs between families of
// modems is data (profile.go).
//
// The package knows neither the database nor the web. It imports modem/at,
// queue/route and queue/text.
package modem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// Config describes a modem. Name, Port or Find, and Memory must be set.
type Config struct {
	Name string // of the route
	Port string // device, followed through symlinks at each opening: /dev/ttyUSB2

	// Find says where the modem is, for one that is known by its IMEI or its
	// socket instead of the name of a port. It is asked before each opening,
	// and every second while there is nothing to open; it must not block. Nil:
	// always at Port.
	Find func() Place

	// PIN returns the PIN of the SIM, "" if there is none. It is asked each
	// time a SIM wants one, so that a file can be corrected while we run.
	PIN func() (string, error)

	// SendTimeout is the wait from Ctrl-Z to the answer. Zero: 180 s; less
	// than 60 s makes unknowns of messages that are only slow.
	SendTimeout time.Duration

	// Validity is how long the network tries to deliver a message that does
	// not say when it expires. Zero: 24 h.
	Validity time.Duration

	// Memory keeps what must outlive us, under keys that begin with what it is
	// and whose: pin:ICCID (which were tried), lost:ICCID and pledge:ICCID
	// (messages whose answer was lost), proof:IMEI (what the modem's memory is
	// worth), balance:ICCID and loop:ICCID. So one Memory may serve all modems,
	// and what belongs to a SIM follows it into another one.
	Memory route.Memory

	// StoreFirst writes each message into the modem's memory before it is
	// sent, on modems where a self-test (LoopTest) has shown that the memory
	// tells the truth. It costs a commit and a few answers for each message, and
	// settles many an unknown. See stored.go.
	StoreFirst bool

	// LoopTest says whether the modem texts itself to see that all works.
	LoopTest LoopTest

	// Balance says how to watch the credit of a prepaid SIM. See Check.
	Balance Balance

	// Clock is offered the time that the network gave the modem; source is
	// "network". It must not block. Nil: nobody wants it.
	Clock func(t time.Time, source string)

	// LockDir is where other programs look for a lock on the port (UUCP
	// style, LCK..ttyUSB2). Zero: /run/lock. A folder that is not there or
	// not writable only means that they do not see ours.
	LockDir string

	// Rungs are what else this box can do for a modem that does not come back
	// by commands, in order: a USB reset, power off at the hub's port. They
	// run after close and reopen, while the port is closed.
	Rungs []Rung

	// Log tells the operator's story. It never holds numbers, texts or PINs.
	// Nil: silence.
	Log *slog.Logger
}

// Rung is one thing that can be done to a modem from outside its line.
type Rung struct {
	Name string // as shown: "USB reset"
	// Why says why it is not possible on this box, which is shown; empty: it is.
	// It is asked anew whenever the modem is ready or not well: it may have moved
	// to another hub. It may read files and must not wait. Nil: it is possible.
	Why func() string
	// Do does it and returns once it is done, within a minute. It is told by
	// ctx to stop, and never touches another device.
	Do func(ctx context.Context) error
}

// Modem is a route. Create it with New.
type Modem struct {
	cfg      Config
	log      *slog.Logger
	requests chan request // from Restart and EnterPIN to whatever state it is in
	trace    trace
	open     func(Config) (at.Port, error)
	present  func(path string) bool

	// Of Run.
	where    Place // of the connection, or of the search for one
	here     bool  // there was something to open the last time
	sink     route.Sink
	jobs     chan job        // to the worker that talks to the sink
	answered pledge          // the last one whose message was answered (stored.go)
	strays   map[string]bool // drafts of ours whose place was not told, by their hash
	owed     *at.Owed        // an answer that the last connection did not live to hear

	mu       sync.Mutex
	status   route.Status
	session  *session // that may send now; nil while not ready
	ladder   ladder
	refs     *refs // of the SIM in use
	loop     *loop // of the SIM in use
	worried  map[string]string
	doubtful bool // sending was refused as if the credit were gone: ask for the balance
}

var (
	_ route.Route     = (*Modem)(nil)
	_ route.Restarter = (*Modem)(nil)
	_ route.USSD      = (*Modem)(nil)
	_ route.PINEntry  = (*Modem)(nil)
)

// Check says what in the settings cannot work; the error names the field as
// the boot file does. New takes settings as they are.
func (c Config) Check() error {
	if n := c.LoopTest.Number; n != "" {
		if _, err := address(n); err != nil {
			return fmt.Errorf("self_test_number: %w", err)
		}
	}
	return c.Balance.check()
}

// New returns the route; Run brings it to life.
func New(cfg Config) *Modem {
	if cfg.SendTimeout <= 0 {
		cfg.SendTimeout = 180 * time.Second
	}
	if cfg.Validity <= 0 {
		cfg.Validity = 24 * time.Hour
	}
	if cfg.PIN == nil {
		cfg.PIN = func() (string, error) { return "", nil }
	}
	if cfg.LockDir == "" {
		cfg.LockDir = "/run/lock"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Modem{
		cfg:      cfg,
		log:      cfg.Log.With("route", cfg.Name),
		requests: make(chan request),
		open:     openPort,
		present:  exists,
		ladder:   newLadder(cfg.Rungs),
		worried:  map[string]string{},
		strays:   map[string]bool{},
		status:   route.Status{Route: cfg.Name, Kind: "modem", State: route.Starting, Lanes: 1, Port: cfg.Port},
	}
	care(&m.status).Rungs = slices.Clone(m.ladder.record)
	return m
}

// Name of the route.
func (m *Modem) Name() string { return m.cfg.Name }

// Run owns the modem until ctx ends. A modem that is missing, silent or locked
// is not an error: it waits, and says for what.
func (m *Modem) Run(ctx context.Context, sink route.Sink) error {
	m.mu.Lock()
	m.sink, m.jobs = sink, make(chan job, 64)
	m.mu.Unlock()
	var worker sync.WaitGroup
	worker.Go(func() { m.tell(ctx) })
	defer worker.Wait()
	defer close(m.jobs)
	defer m.publish(func(s *route.Status) { s.State, s.Code, s.Doing = route.Stopped, "", "" })
	for {
		if err := m.absent(ctx); err != nil {
			return nil // ctx ended: that is how a route is stopped
		}
		err := m.connected(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := m.rest(ctx, err); err != nil {
			return nil
		}
	}
}

// publish changes the status and tells the sink if it is news.
func (m *Modem) publish(change func(*route.Status)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.status
	change(&m.status)
	s := &m.status
	if s.State != before.State || s.Code != before.Code {
		s.Since = time.Now()
		m.log.Info("modem", "state", s.State, "code", s.Code, "detail", s.Detail)
	}
	if sameStatus(before, *s) {
		return
	}
	if m.sink != nil {
		m.sink.Changed(m.status) // never blocks, by contract
	}
}

func sameStatus(a, b route.Status) bool {
	a.Since, b.Since = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// enter publishes the entrance into a state.
func (m *Modem) enter(state route.State, code, doing, detail string) {
	m.publish(func(s *route.Status) { s.State, s.Code, s.Doing, s.Detail = state, code, doing, detail })
}

// admit lets Send use s.
func (m *Modem) admit(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session, s.away = s, make(chan struct{})
}

// dismiss keeps Send away from s; what has begun goes on. It returns false if
// that was so before.
func (m *Modem) dismiss(s *session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != s {
		return false
	}
	m.session = nil
	close(s.away)
	return true
}

// current returns the session that may send, or why there is none.
func (m *Modem) current() (*session, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != nil {
		return m.session, ""
	}
	why := "not ready"
	if m.status.Code != "" {
		why += " (" + m.status.Code + ")"
	}
	if m.status.Detail != "" {
		why += ": " + m.status.Detail
	}
	return nil, why
}

// request is what a person asks of the modem, whatever state it is in.
type request struct {
	pin  string // enter this PIN; empty: restart
	done chan error
}

func (m *Modem) ask(ctx context.Context, r request) error {
	r.done = make(chan error, 1)
	select {
	case m.requests <- r:
	case <-ctx.Done():
		return fmt.Errorf("%s: the modem is busy: %w", m.cfg.Name, context.Cause(ctx))
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: no outcome yet: %w", m.cfg.Name, context.Cause(ctx))
	}
}

// Restart restarts the modem itself (AT+CFUN=1,1). It returns when the restart
// is under way; Status tells how it goes on. A message that is with the modem
// at that moment, for more than a few seconds, becomes Unknown.
func (m *Modem) Restart(ctx context.Context) error {
	return m.ask(ctx, request{})
}

// EnterPIN unlocks the SIM. It refuses what is not four to eight digits, a PIN
// that was tried on this SIM before, and the last attempt.
func (m *Modem) EnterPIN(ctx context.Context, pin string) error {
	if !isPIN(pin) {
		return errors.New("pin: a PIN has four to eight digits")
	}
	return m.ask(ctx, request{pin: pin})
}

func isPIN(s string) bool {
	if len(s) < 4 || len(s) > 8 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
