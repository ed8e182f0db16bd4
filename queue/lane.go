package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"tillpost/queue/route"
)

// runner is one route with its lanes. A lane is one goroutine that takes the
// next message, hands it to the route and settles it, for ever.
type runner struct {
	q    *Queue
	r    route.Route
	name string
	pool string
	log  *slog.Logger

	bell  chan struct{} // something this route serves may be due
	ended chan struct{} // closed when run has returned
	gone  chan struct{} // closed by leave: detached
	over  chan struct{} // closed when sends under way have had their time at the end
	once  sync.Once

	mu      sync.Mutex
	status  route.Status
	changed chan struct{} // closed and replaced at every change
	paused  bool
	lanes   int // started
	busy    int // with a message in hand
	trust   trust
	known   string // the last identity that was not empty: trust is about it
	quota   Quota
	favour  favour
	perches []*perch      // of lanes that stand idle, the one that came first first
	pace    time.Duration // a message is in its hands, lately; 0: not known
}

func newRunner(q *Queue, r route.Route, pool string, paused bool) *runner {
	return &runner{
		q: q, r: r, name: r.Name(), pool: pool, paused: paused,
		log:  q.log.With("route", r.Name()),
		bell: make(chan struct{}, 1), ended: make(chan struct{}), gone: make(chan struct{}), over: make(chan struct{}),
		changed: make(chan struct{}),
		status:  route.Status{Route: r.Name(), State: route.Starting, Code: "starting", Since: time.Now()},
		trust:   trust{},
	}
}

// leave ends run, once.
func (r *runner) leave() { r.once.Do(func() { close(r.gone) }) }

// run drives the route and its lanes until ctx ends or the route is detached.
// Down: lanes take nothing new and finish what they hold, then the route stops.
func (r *runner) run(ctx context.Context) {
	defer close(r.ended)
	take, stopTaking := context.WithCancel(ctx)
	defer stopTaking()
	live, stopRoute := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRoute()

	var route, lanes sync.WaitGroup
	route.Go(func() { r.drive(live) })
	lanes.Go(func() { // starts lanes as the route asks for them
		for {
			changed := r.startLanes(take, &lanes)
			select {
			case <-changed:
			case <-r.gone:
				stopTaking()
				return
			case <-take.Done():
				return
			}
		}
	})

	drained := make(chan struct{})
	go func() { lanes.Wait(); close(drained) }()
	<-take.Done()
	select {
	case <-drained:
	case <-time.After(r.q.cfg.DrainWait):
		r.log.Warn("sends under way did not finish in time; their outcome will be unknown")
	}
	close(r.over)
	stopRoute()
	route.Wait()
	<-drained
}

// drive runs the route. A route that returns or panics is stopped: the queue
// goes on with the others.
func (r *runner) drive(ctx context.Context) {
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("the program has a fault in route %s: %v\n%s", r.name, p, debug.Stack())
			}
		}()
		return r.r.Run(ctx, &sink{r})
	}()
	if ctx.Err() != nil {
		return
	}
	last := r.snapshot()
	last.State, last.Since = route.Stopped, time.Now()
	if last.Code == "" || last.Code == "ok" || last.Code == "starting" {
		last.Code = "stopped"
	}
	if err != nil {
		last.Detail = err.Error()
		r.log.Error("the route has stopped", "err", err)
	}
	r.publish(last)
}

func (r *runner) startLanes(ctx context.Context, lanes *sync.WaitGroup) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.State == route.Ready {
		for ; r.lanes < max(1, r.status.Lanes); r.lanes++ {
			n := r.lanes
			lanes.Go(func() { r.lane(ctx, n) })
		}
	}
	return r.changed
}

// lane number n, from 0.
func (r *runner) lane(ctx context.Context, n int) {
	var rest time.Duration
	var avoid ID
	var f *flight // what was taken with the last verdict, or handed to it
	rung := false // somebody said that there is something
	for takes := 1; ; takes++ {
		// News from here on is not missed, however long take and send last.
		news := r.news()
		handed := f != nil
		if f == nil {
			var ok bool
			if news, ok = r.waitReady(ctx, n); !ok {
				return
			}
			var next time.Time
			var err error
			f, next, err = r.q.take(ctx, r, want{oldest: takes%oldestEvery == 0, avoid: avoid, sure: rung})
			rung = false
			switch {
			case f != nil:
			case ctx.Err() != nil:
				return
			case err != nil:
				r.log.Error("cannot take the next message; trying again", "err", err)
				rest = longer(rest)
				wait(ctx, time.Now().Add(rest), news, nil)
				continue
			default:
				takes-- // an empty look is no take
				f, rung = r.idle(ctx, n, r.q.alarm(next), news)
				continue
			}
		}
		if !handed {
			r.ring() // there may be more: let another lane look
		}
		id := f.m.ID
		var offered bool
		if f, offered = r.carry(ctx, n, f, want{oldest: (takes+1)%oldestEvery == 0}); offered {
			rest, avoid = 0, 0
			continue
		}
		rest, avoid = longer(rest), id
		wait(ctx, time.Now().Add(rest), news, nil)
		if closed(news) {
			avoid = 0
		}
	}
}

// carry sends a message and settles it. It reports whether the route took it
// at all, and returns the lane's next one if that could be had with the verdict.
func (r *runner) carry(ctx context.Context, n int, f *flight, w want) (next *flight, offered bool) {
	r.count(+1)
	defer r.count(-1)
	defer f.cancel()
	begun := time.Now()
	rcpt, err := r.send(f.ctx, f.m)
	if err == nil {
		r.paced(time.Since(begun))
	}
	if err == nil && ctx.Err() == nil && r.mayTake(n) {
		if next, ok := r.q.settleAndTake(ctx, r, f, rcpt, w); ok {
			return next, true
		}
	}
	r.q.settle(ctx, r, f, rcpt, err)
	return nil, err == nil || route.FateOf(err, true) != route.NotOffered
}

// sendLimit is how long a lane waits for one part at the very most. Routes
// have their own, shorter patience; one that outlives this is broken.
const sendLimit = 10 * time.Minute

// send gives m to the route and catches a panic: that message is parked, the
// lane goes on.
func (r *runner) send(ctx context.Context, m *Message) (rcpt route.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("the program has a fault: the message is parked", "msg", m.ID, "panic", p, "stack", string(debug.Stack()))
			err = &panicked{fmt.Sprint(p)}
		}
	}()
	out := m.outbound()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(1, len(out.Todo())))*sendLimit)
	defer cancel()
	return r.r.Send(ctx, out)
}

// panicked is the verdict of a Send that did not come to one.
type panicked struct{ what string }

func (p *panicked) Error() string { return "a fault in the program: " + p.what }

// waitReady returns when lane n may take, with the channel that tells of the
// next change of the route; false when ctx has ended.
func (r *runner) waitReady(ctx context.Context, n int) (changed <-chan struct{}, ok bool) {
	for {
		changed, probe, ok := r.ready(n)
		if ctx.Err() != nil {
			return nil, false
		}
		if ok {
			return changed, true
		}
		wait(ctx, r.q.alarm(probe), changed, nil)
	}
}

// ready says whether lane n may take now; if not, probe is when to ask again
// (zero: when changed is closed).
func (r *runner) ready(n int) (changed <-chan struct{}, probe time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	probe, trusted := r.trust.mayTake(r.q.now(), n)
	return r.changed, probe, trusted && r.status.State == route.Ready && !r.paused && n < max(1, r.status.Lanes)
}

func (r *runner) mayTake(n int) bool {
	_, _, ok := r.ready(n)
	return ok
}

// news is closed at the next change of the route.
func (r *runner) news() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func longer(rest time.Duration) time.Duration {
	return min(max(2*rest, restFirst), restMax)
}

// wait returns at until (zero: never), or when a channel delivers. It waits by
// the clock of the process: a time of the queue goes through alarm first. It
// reports whether it was the bell.
func wait(ctx context.Context, until time.Time, changed, bell <-chan struct{}) (rung bool) {
	var alarm <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-ctx.Done():
	case <-alarm:
	case <-changed:
	case <-bell:
		return true
	}
	return false
}

func (r *runner) ring() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

func (r *runner) count(n int) {
	r.mu.Lock()
	r.busy += n
	r.mu.Unlock()
}

func (r *runner) snapshot() route.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *runner) identity() string { return r.snapshot().Identity }

// serves lists the lines this route takes from.
func (r *runner) serves() []string { return linesOf(r.name, r.pool, r.identity()) }

// linesOf lists the lines that a route takes from: what is pinned to the
// identity it has now, what asks for it by name, and its pool.
func linesOf(name, pool, identity string) []string {
	lines := make([]string, 0, 3)
	if identity != "" {
		lines = append(lines, pinned(identity))
	}
	if name != pool {
		lines = append(lines, name)
	}
	return append(lines, pool)
}

// publish takes over a new status and tells everybody who waits for one.
func (r *runner) publish(s route.Status) {
	r.mu.Lock()
	before := r.status
	s.Route = r.name
	if s.Since.IsZero() {
		s.Since = time.Now()
	}
	r.status = s
	if s.Identity != "" && s.Identity != r.known {
		r.known, r.trust = s.Identity, trust{} // another SIM starts with a clean sheet
	}
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	if before.State != s.State || before.Code != s.Code || before.Identity != s.Identity {
		r.q.tell(Event{Kind: KindRoute, Route: s.Route, Identity: s.Identity, Code: s.Code, Detail: string(s.State)})
	}
	r.q.signal()
}

// alter changes what a person or the queue decides about the route.
func (r *runner) alter(fn func()) {
	r.mu.Lock()
	fn()
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	r.q.signal()
}

// trust keeps account of whether refusals blame numbers or the SIM. Networks
// say "unknown subscriber" for both: three different recipients refused in a
// row mean the SIM (field-notes §1.11).
type trust struct {
	doubts  map[uint32]bool // recipients refused in a row, by hash
	carried time.Time       // when it last carried a message
	probe   time.Time       // while refused: when one message may try
}

func (t *trust) carriedOne(now time.Time) {
	t.doubts, t.carried, t.probe = nil, now, time.Time{}
}

func (t *trust) doubted(recipient uint32, now time.Time) (refused bool) {
	if t.doubts == nil {
		t.doubts = map[uint32]bool{}
	}
	t.doubts[recipient] = true
	if len(t.doubts) >= doubtLimit {
		t.probe = now.Add(probeEvery)
	}
	return t.refused()
}

func (t *trust) refused() bool { return !t.probe.IsZero() }

// mayTake lets everybody take while the SIM is trusted, and one lane now and
// then while it is not. next is when to ask again.
func (t *trust) mayTake(now time.Time, lane int) (next time.Time, ok bool) {
	if !t.refused() {
		return time.Time{}, true
	}
	if lane > 0 || now.Before(t.probe) {
		return t.probe, false
	}
	t.probe = now.Add(probeEvery)
	return t.probe, true
}

// sink is what a route tells its queue.
type sink struct{ r *runner }

func (s *sink) Changed(st route.Status) { s.r.publish(st) }

func (s *sink) Progress(ctx context.Context, id string, attempt int, p route.Part) error {
	n, err := ParseID(id)
	if err != nil {
		return err
	}
	return s.r.q.progress(ctx, s.r, n, attempt, p)
}

func (s *sink) Reported(ctx context.Context, rep route.Report) error {
	if rep.Route == "" {
		rep.Route = s.r.name
	}
	return s.r.q.reported(ctx, rep)
}

func (s *sink) Received(ctx context.Context, in route.Inbound) error {
	if in.Route == "" {
		in.Route = s.r.name
	}
	return s.r.q.received(ctx, in)
}

var errStale = errors.New("queue: this attempt is over; its message has moved on")
