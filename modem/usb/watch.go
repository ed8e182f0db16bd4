package usb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Asking is how far a stick may be asked who it is.
type Asking int

const (
	Again Asking = iota // until it answers
	Once                // then it is left alone until it is plugged in again
	Never               // somebody else talks to it
)

// Config of a Watcher. Open must be set.
type Config struct {
	Sys, Dev string // as for Sweep

	// Events calls changed whenever something may have been plugged in or
	// pulled out, until ctx ends. Default KernelEvents. If it returns an error,
	// the Watcher looks every two seconds instead.
	Events func(ctx context.Context, changed func()) error

	// Open opens a port for us alone. The error comes with a key of its plain
	// text; port_busy and port_denied are told as such.
	Open func(port string) (line Line, code string, err error)

	// May says how far a stick may be asked. Nil: Again for modems, Once for
	// adapters. Settle is how long a stick is left alone before, so that May
	// finds the links that udev makes.
	May    func(Stick) Asking
	Settle time.Duration

	// Heal says which sticks are reset when they do not answer; nil: none. A
	// stick that answers, that somebody else talks to, or by which the box may
	// reach the Internet is never reset.
	Heal func(Stick) bool

	// Changed is told the whole picture after every change of it, from the
	// goroutine of Run.
	Changed func([]Found)

	Log *slog.Logger // nil: silence
}

// Found is a stick and what is known of it.
type Found struct {
	Stick
	Answer        // of the modem, once it answers
	Port   string // that answers; empty: not known, or gone for the moment

	// Code and Detail say why the stick cannot be used: a key of the plain
	// text, and the words for the technician. An empty Code beside an empty
	// Port: it is on its way.
	Code, Detail string
}

// Watcher keeps the picture of what is plugged in. Create it with New.
type Watcher struct {
	cfg   Config
	log   *slog.Logger
	nudge chan struct{}
	said  chan verdict
	reach func(Stick) *Device

	mu      sync.Mutex
	picture []Found
	doubts  map[arrival]bool // sticks that are another one than they were

	// Of Run.
	sticks map[arrival]*watched
	healed map[string]healing // by socket and id: it outlives the arrivals it causes
}

// watched is what Run keeps of one arrival.
type watched struct {
	stick  Stick
	since  time.Time // plugged in, or became what it is
	may    Asking
	asking bool      // a goroutine asks it now
	done   bool      // asked once, which is enough
	next   time.Time // when it may be asked again
	answer Answer
	at     int    // interface that answers; -1: not known
	code   string // why the last round failed
	detail string
	help   string // what was tried to help it, and what came of it
}

// verdict is the end of a round of asking, or of an attempt to help.
type verdict struct {
	of           arrival
	round        bool // of asking; otherwise only detail counts
	answer       Answer
	at           int
	code, detail string
}

const (
	sweepEvery  = 30 * time.Second // beside the kernel's events
	sweepBlind  = 2 * time.Second  // without them
	quietFor    = 100 * time.Millisecond
	quietAtMost = 500 * time.Millisecond

	// A stick makes its ports, and udev gives the rights to them, in the first
	// seconds; a switch of mode takes some more (field-notes §1.2).
	settleFor = 5 * time.Second
	switchFor = 20 * time.Second
	silentFor = 20 * time.Second // modems take so long to start up (TOBY-L4)

	askLimit = time.Minute // one round over all ports
	askEvery = time.Second
	askLater = 5 * time.Second // after the first minute
)

// New returns a Watcher; Run brings it to life.
func New(cfg Config) *Watcher {
	if cfg.Events == nil {
		cfg.Events = KernelEvents
	}
	if cfg.May == nil {
		cfg.May = func(s Stick) Asking {
			if s.Mode == Adapter {
				return Once
			}
			return Again
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{
		cfg: cfg, log: cfg.Log,
		nudge: make(chan struct{}, 1), said: make(chan verdict),
		reach:  func(s Stick) *Device { return Reach(s, cfg.Sys, cfg.Dev) },
		doubts: map[arrival]bool{}, sticks: map[arrival]*watched{}, healed: map[string]healing{},
	}
}

// Sticks is the picture as it is now, by socket.
func (w *Watcher) Sticks() []Found {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.picture)
}

// Doubt has a stick asked again who it is: behind an adapter the modem can be
// changed without a word from the kernel.
func (w *Watcher) Doubt(f Found) {
	w.mu.Lock()
	w.doubts[f.arrival()] = true
	w.mu.Unlock()
	w.changed()
}

func (w *Watcher) changed() {
	select {
	case w.nudge <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends, and then waits for what it started.
func (w *Watcher) Run(ctx context.Context) error {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	every, blind := sweepEvery, make(chan error, 1)
	helpers.Go(func() {
		if err := w.cfg.Events(ctx, w.changed); err != nil {
			blind <- err
		}
	})
	for ctx.Err() == nil {
		w.sweep()
		next := time.Now().Add(every)
		for _, s := range w.sticks {
			w.tend(ctx, s, &helpers)
			next = earlier(next, s.wake(time.Now()))
		}
		w.publish()
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-w.nudge:
			w.quieten(ctx)
		case v := <-w.said:
			w.take(v)
		case err := <-blind:
			w.log.Warn("no news of what is plugged in; looking every two seconds", "err", err)
			every = sweepBlind
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// earlier of two times; a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// quieten waits until the burst of events is over that a plug makes.
func (w *Watcher) quieten(ctx context.Context) {
	end := time.Now().Add(quietAtMost)
	for time.Now().Before(end) {
		timer := time.NewTimer(quietFor)
		select {
		case <-w.nudge:
			timer.Stop()
		case <-timer.C:
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// sweep takes over what is plugged in now.
func (w *Watcher) sweep() {
	list, err := Sweep(w.cfg.Sys, w.cfg.Dev)
	if err != nil {
		w.log.Error("what is plugged in cannot be seen", "err", err)
		return
	}
	now := time.Now()
	there := make(map[arrival]bool, len(list))
	for _, s := range list {
		a := s.arrival()
		there[a] = true
		if old, known := w.sticks[a]; known {
			if old.stick.Mode != s.Mode {
				old.since = now
			}
			old.stick = s
			continue
		}
		w.log.Info("a stick is plugged in", "usb", s.Path, "id", s.ID(), "name", s.Name, "mode", s.Mode)
		w.sticks[a] = &watched{stick: s, since: now, at: -1}
	}
	for a, s := range w.sticks {
		if !there[a] {
			w.log.Info("a stick is gone", "usb", a.path, "id", a.id, "name", s.stick.Name)
			delete(w.sticks, a)
		}
	}
	w.mu.Lock()
	for a := range w.doubts {
		if s := w.sticks[a]; s != nil {
			s.answer, s.at, s.next, s.done = Answer{}, -1, time.Time{}, false
		}
		delete(w.doubts, a)
	}
	w.mu.Unlock()
}

// tend asks a stick who it is, or helps one that does not say.
func (w *Watcher) tend(ctx context.Context, s *watched, helpers *sync.WaitGroup) {
	now := time.Now()
	if s.at >= 0 || s.asking || s.done || len(s.stick.Candidates()) == 0 || now.Before(s.next) {
		return
	}
	if settled := s.since.Add(w.cfg.Settle); now.Before(settled) {
		s.next = settled
		return
	}
	if s.may = w.cfg.May(s.stick); s.may == Never {
		return
	}
	s.asking, s.done = true, s.may == Once
	do := w.round
	if w.mustHeal(s, now) {
		do = w.healer(s.stick, now)
	}
	stick := s.stick
	helpers.Go(func() {
		v := do(ctx, stick)
		select {
		case w.said <- v:
		case <-ctx.Done():
		}
	})
}

// round asks the ports of a stick, best first.
func (w *Watcher) round(ctx context.Context, s Stick) verdict {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	v := verdict{of: s.arrival(), round: true, at: -1, code: codeSilent, detail: "it does not answer AT"}
	rates := []int{usualRate}
	if s.Mode == Adapter {
		rates = adapterRates
	}
	for _, p := range s.Candidates() {
		for _, rate := range rates {
			line, code, err := w.cfg.Open(p.Device)
			if err != nil {
				if code == codeBusy || code == codeDenied {
					v.code, v.detail = code, err.Error()
				}
				break
			}
			answer, err := ask(ctx, line, rate)
			if err == nil {
				v.answer, v.at, v.code, v.detail = answer, p.Interface, "", ""
				return v
			}
			if v.code == codeSilent {
				v.detail = fmt.Sprintf("%s: %v", p.Device, err)
			}
			if errors.Is(err, errStreams) {
				break // it was understood, at this rate
			}
		}
	}
	return v
}

// take keeps the end of a round.
func (w *Watcher) take(v verdict) {
	s := w.sticks[v.of]
	if s == nil {
		return // pulled out meanwhile
	}
	now := time.Now()
	s.asking = false
	if !v.round {
		s.help, s.next = v.detail, now
		return
	}
	s.code, s.detail = v.code, v.detail
	if v.code != codeSilent {
		s.done = false // it was not asked at all
	}
	switch age := now.Sub(s.since); {
	case v.at >= 0:
		s.answer, s.at = v.answer, v.at
		delete(w.healed, s.stick.Path+s.stick.ID())
		w.log.Info("a modem answers", "usb", s.stick.Path, "port", s.port(), "maker", v.answer.Maker, "model", v.answer.Model)
	case age < time.Minute && v.code == codeSilent:
		s.next = now.Add(askEvery)
	default:
		s.next = now.Add(askLater)
	}
}

// port is where the modem answers now; its name may change with a reset.
func (s *watched) port() string {
	for _, p := range s.stick.Ports {
		if p.Interface == s.at {
			return p.Device
		}
	}
	return ""
}

// publish tells the picture, if it is another one than before.
func (w *Watcher) publish() {
	now := time.Now()
	picture := make([]Found, 0, len(w.sticks))
	for _, s := range slices.SortedFunc(maps.Values(w.sticks), func(a, b *watched) int { return bySocket(a.stick.Path, b.stick.Path) }) {
		picture = append(picture, s.found(now))
	}
	w.mu.Lock()
	same := slices.EqualFunc(picture, w.picture, sameFound)
	w.picture = picture
	w.mu.Unlock()
	if !same && w.cfg.Changed != nil {
		w.cfg.Changed(slices.Clone(picture))
	}
}

func sameFound(a, b Found) bool {
	return a.arrival() == b.arrival() && a.Mode == b.Mode && a.Online == b.Online && a.Answer == b.Answer && a.Port == b.Port &&
		a.Code == b.Code && a.Detail == b.Detail && slices.Equal(a.Ports, b.Ports)
}
