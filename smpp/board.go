package smpp

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"tillpost/queue/route"
)

var errRestart = errors.New("somebody asked for a new connection")

// board is what all links of an account share: who is bound, what that makes
// the route's Status, and when somebody may log in.
type board struct {
	logins chan struct{} // a token: who holds it may log in

	mu       sync.Mutex
	out      route.Sink
	links    []linkState
	refused  time.Time     // no login before this
	refusals int           // logins refused in a row
	restart  chan struct{} // closed by again
	rate     float64       // what throttling left us; 0: nothing special
	status   route.Status  // as last published
}

// linkState is one line on the board.
type linkState struct {
	state  route.State
	code   string
	detail string
	addr   string
	peer   string
	send   bool
}

func newBoard(cfg *Config, identity string) *board {
	b := &board{
		logins:  make(chan struct{}, 1),
		restart: make(chan struct{}),
		status:  route.Status{Route: cfg.Name, Kind: "smpp", Identity: identity},
	}
	b.logins <- struct{}{}
	// Twice the window, so that while one half waits for the wire the other
	// waits for the disk.
	b.status.Lanes = 2 * cfg.Window * cfg.Binds
	return b
}

// start and stop frame a run.
func (b *board) start(sink route.Sink, links []*link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out = sink
	b.links = make([]linkState, len(links))
	for i, l := range links {
		b.links[i] = linkState{state: route.Starting, send: l.send}
	}
	b.publish()
}

func (b *board) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.links {
		b.links[i] = linkState{state: route.Stopped}
	}
	b.publish()
	b.out = nil
}

// sink is nil while the route does not run.
func (b *board) sink() route.Sink {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out
}

// connecting, up and down write a link's line.
func (b *board) connecting(n int, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links[n].addr = addr
	b.publish()
}

func (b *board) up(n int, peer, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refusals = 0
	l := &b.links[n]
	l.state, l.code, l.detail, l.peer, l.addr = route.Ready, "", "", peer, addr
	b.publish()
}

func (b *board) down(n int, state route.State, code string, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &b.links[n]
	l.state, l.code, l.detail = state, code, why.Error()
	b.publish()
}

// pace shows the speed that throttling left us; 0 for the usual one.
func (b *board) pace(perSecond float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate = perSecond
	b.publish()
}

// publish tells the sink when the whole has changed. Called with mu held, so
// that the last word is the true one; Changed never blocks.
func (b *board) publish() {
	if b.out == nil {
		return
	}
	s := b.summary()
	if s.State != b.status.State {
		s.Since = time.Now()
	}
	if reflect.DeepEqual(s, b.status) { // it holds lists, of other kinds of route
		return
	}
	b.status = s
	b.out.Changed(s)
}

// gravity orders the states of links when none may submit: what a hand must
// do comes first.
var gravity = map[route.State]int{route.Stopped: 0, route.Starting: 1, route.Ready: 1, route.Waiting: 2, route.Hand: 3}

// summary is the route as a whole: ready as soon as one link may submit.
func (b *board) summary() route.Status {
	s := b.status
	s.Code, s.Detail, s.Doing = "", "", ""
	up, worst := 0, linkState{state: route.Stopped}
	var ready *linkState
	for i := range b.links {
		l := &b.links[i]
		if l.state == route.Ready {
			up++
			if l.send && ready == nil {
				ready = l
			}
		} else if gravity[l.state] > gravity[worst.state] {
			worst = *l
		}
	}
	if ready == nil {
		s.State, s.Code, s.Detail, s.Port = worst.state, worst.code, worst.detail, worst.addr
		return s
	}
	s.State, s.Port, s.Device = route.Ready, ready.addr, ready.peer
	if up < len(b.links) {
		s.Detail = fmt.Sprintf("%d of %d binds are up", up, len(b.links))
		if worst.detail != "" {
			s.Detail += "; " + worst.detail
		}
	}
	if b.rate > 0 {
		s.Doing = fmt.Sprintf("throttled to %.0f parts/s", b.rate)
	}
	return s
}

// login waits until this link may log in, and returns the function that lets
// the next one: one at a time, and none while the SMSC refuses the account,
// for providers lock accounts that hammer.
func (b *board) login(ctx context.Context) (done func(), err error) {
	select {
	case <-b.logins:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	done = sync.OnceFunc(func() { b.logins <- struct{}{} })
	for {
		b.mu.Lock()
		wait, restart := time.Until(b.refused), b.restart
		b.mu.Unlock()
		if wait <= 0 {
			return done, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-restart:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			done()
			return nil, context.Cause(ctx)
		}
	}
}

// refusedLogin keeps all links from logging in for a while, and returns for
// how long. The first refusal of the kind that may be the SMSC's own trouble
// (stop is false) is given another try after a minute.
func (b *board) refusedLogin(pause time.Duration, stop bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refusals++; b.refusals == 1 && !stop {
		pause = min(pause, time.Minute)
	}
	b.refused = time.Now().Add(pause)
	return pause
}

// again ends all sessions and pauses: whatever there was to wait for, a
// person has asked for a try now.
func (b *board) again() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = time.Time{}
	close(b.restart)
	b.restart = make(chan struct{})
}

// restarted is closed by the next call of again.
func (b *board) restarted() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.restart
}
