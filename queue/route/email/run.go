package email

import (
	"context"
	"errors"
	"time"

	"tillpost/queue/route"
)

// Run keeps an eye on the mail server until ctx ends: it logs in, says that the
// route is ready, and looks again now and then. What a Send finds out makes it
// look at once. Wrong credentials do not end it: a person corrects them at the
// provider as often as here, so it tries again, slowly, and says what is wrong.
func (r *Route) Run(ctx context.Context, sink route.Sink) error {
	r.begin(sink)
	defer r.end()
	pause := time.Duration(0)
	for ctx.Err() == nil {
		select { // what was to be looked at is
		case <-r.poke:
		default:
		}
		err := r.prove(ctx)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			pause = 0
			r.publish(route.Ready, "ok", "")
			r.wait(ctx, r.cfg.Timers.Prove)
			continue
		}
		state, code := route.Waiting, "mail_offline"
		if t, ok := errors.AsType[*trouble](err); ok {
			state, code = t.health()
		}
		pause = r.longer(pause, state)
		r.publish(state, code, err.Error())
		r.log.Warn("the mail server cannot be used", "route", r.cfg.Name, "why", err, "again", pause)
		r.wait(ctx, pause)
	}
	return ctx.Err()
}

// longer is the pause after one that did not help.
func (r *Route) longer(pause time.Duration, state route.State) time.Duration {
	first, most := r.cfg.Timers.Retry, maxRetry
	if state == route.Hand { // a person must do something, and a server locks out who knocks too often
		first, most = r.cfg.Timers.Refused, maxRefused
	}
	return min(max(2*pause, first), max(most, first))
}

// prove asks over an idle wire, or logs in anew. While mails are under way on
// all lanes, they are the proof.
func (r *Route) prove(ctx context.Context) error {
	for {
		w := r.takeIdle()
		if w == nil {
			break
		}
		if w.noop(ctx, r.from.Address, r.cfg.Timers.Dial) == nil {
			r.putIdle(w)
			return nil
		}
		r.closed(w) // the server may close what is idle; that is no trouble
	}
	if len(r.slots) == cap(r.slots) && r.ready() {
		return nil
	}
	w, err := r.dial(ctx)
	if err != nil {
		return err
	}
	if err := w.noop(ctx, r.from.Address, r.cfg.Timers.Dial); err != nil {
		r.closed(w)
		return err
	}
	r.putIdle(w)
	return nil
}

// wait sleeps, and tidies up, until somebody wants the server looked at.
func (r *Route) wait(ctx context.Context, d time.Duration) {
	until := time.NewTimer(d)
	defer until.Stop()
	for {
		tidy := time.NewTimer(r.cfg.Timers.Keep)
		select {
		case <-ctx.Done():
		case <-r.poke:
		case <-until.C:
		case <-tidy.C:
			r.dropOld(time.Now().Add(-r.cfg.Timers.Keep))
			continue
		}
		tidy.Stop()
		return
	}
}

// look has Run look at the server now.
func (r *Route) look() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// mind is what a Send does with the trouble of its wire: lanes stop taking at
// once, and Run finds out whether it lasts. A Send that itself ran out of time
// only has Run look.
func (r *Route) mind(ctx context.Context, err error) {
	t, ok := errors.AsType[*trouble](err)
	if !ok {
		return
	}
	state, code := t.health()
	if code == "" {
		return
	}
	if ctx.Err() == nil || t.code() != 0 {
		r.publish(state, code, t.Error())
	}
	r.look()
}

func (r *Route) begin(sink route.Sink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sink = sink
	sink.Changed(r.status)
}

// end lets nobody send any more and closes what is open.
func (r *Route) end() {
	r.mu.Lock()
	r.sink = nil
	r.status.State = route.Stopped
	r.mu.Unlock()
	r.dropIdle()
	r.hangUp()
}

// publish tells the queue how the route is, if that is news.
func (r *Route) publish(state route.State, code, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.status
	if r.sink == nil || s.State == state && s.Code == code && s.Detail == detail {
		return
	}
	if s.State != state || s.Code != code {
		s.Since = time.Now()
	}
	s.State, s.Code, s.Detail = state, code, detail
	r.sink.Changed(*s) // under the lock, so that statuses arrive in order; it never blocks
}

func (r *Route) ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sink != nil && r.status.State == route.Ready
}

// Every wire is in open from its first byte to its last, so that Run can end
// them all; those that nobody uses are in idle too.

func (r *Route) opened(w *wire) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sink == nil {
		return false
	}
	r.open[w] = true
	return true
}

func (r *Route) closed(w *wire) {
	w.cut()
	r.mu.Lock()
	delete(r.open, w)
	r.mu.Unlock()
}

func (r *Route) takeIdle() *wire {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.idle) == 0 {
		return nil
	}
	w := r.idle[len(r.idle)-1]
	r.idle = r.idle[:len(r.idle)-1]
	return w
}

// putIdle keeps a wire for the next mail.
func (r *Route) putIdle(w *wire) {
	w.since = time.Now()
	r.mu.Lock()
	keep := r.sink != nil && r.open[w] && len(r.idle) < r.cfg.Lanes
	if keep {
		r.idle = append(r.idle, w)
	}
	r.mu.Unlock()
	if !keep {
		w.quit()
		r.closed(w)
	}
}

// dropOld takes leave on wires that have been idle since before a time: servers
// count who stays without a word.
func (r *Route) dropOld(before time.Time) {
	r.mu.Lock()
	var old, rest []*wire
	for _, w := range r.idle {
		if w.since.Before(before) {
			old = append(old, w)
		} else {
			rest = append(rest, w)
		}
	}
	r.idle = rest
	r.mu.Unlock()
	for _, w := range old {
		w.quit()
		r.closed(w)
	}
}

func (r *Route) dropIdle() { r.dropOld(time.Now().Add(time.Hour)) }

// hangUp breaks every wire: Run has been told to end, and what waits for an
// answer then has lost it.
func (r *Route) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.open {
		w.cut()
	}
}
