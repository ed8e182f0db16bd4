package routetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"tillpost/queue/route"
)

// Fake is a route without a wire, for tests of whatever uses routes. Out of
// the box every part is accepted at once, with references 1, 2, 3 …
//
// It obeys the contract of package route (Run proves it), works in a bubble
// of testing/synctest, and may be Run again after it ended, as the same
// network is still there after the daemon was restarted.
type Fake struct {
	name string

	publishing sync.Mutex // taken before mu

	mu       sync.Mutex
	status   route.Status
	sink     route.Sink    // nil: not running
	up       chan struct{} // closed when the link of now ends; nil: there is none
	answer   func(route.Outbound) (route.Receipt, error)
	script   []Step
	scripts  map[string][]Step
	held     chan struct{}
	latency  time.Duration
	patience time.Duration
	report   time.Duration // 0: no reports by itself
	nextRef  int
	log      []route.Outbound
	seen     []Sent
	restarts int
	ended    chan error // cap 1: what Run is to return

	told    chan struct{} // one token: look at telling
	telling []*telling
	rest    time.Time // after a refusal the worker rests until then
	acked   int
}

var (
	_ route.Route     = (*Fake)(nil)
	_ route.Restarter = (*Fake)(nil)
)

// Step is what the network does with one part that is offered to it.
type Step string

const (
	Accept  Step = "accept"  // takes it and says so
	Busy    Step = "busy"    // refuses it for now
	Refuse  Step = "refuse"  // refuses it for good
	Swallow Step = "swallow" // takes it and never answers
	Hold    Step = "hold"    // takes it, and says so when released
	Cut     Step = "cut"     // takes it, and the link breaks before the answer
)

// Sent is one part as the network saw it.
type Sent struct {
	To    string
	Text  string
	N, Of int // of a long message; a short one is 1 of 1
	Ref   int // concatenation reference; 0 in a short one
}

// NewFake returns a Fake that is ready as soon as it runs, with one lane and
// the identity "sim-NAME".
func NewFake(name string) *Fake {
	return &Fake{
		name: name,
		status: route.Status{
			Route:    name,
			Kind:     "fake",
			State:    route.Ready,
			Identity: "sim-" + name,
			Lanes:    1,
		},
		scripts:  make(map[string][]Step),
		held:     make(chan struct{}),
		patience: 30 * time.Second,
		nextRef:  1,
		ended:    make(chan error, 1),
		told:     make(chan struct{}, 1),
	}
}

// Name is the name given to NewFake.
func (f *Fake) Name() string { return f.name }

// Answer has fn decide about each message instead of the network, from the
// goroutine of Send: it may wait, panic, call Report. Where it returns neither
// a receipt nor an error, the network carries the message as if there were no
// fn. Nil takes it away.
func (f *Fake) Answer(fn func(route.Outbound) (route.Receipt, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = fn
}

// Script says what the network does with the next parts, one step each; those
// that come after are accepted.
func (f *Fake) Script(steps ...Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = slices.Clone(steps)
}

// ScriptFor is Script for the parts to one recipient. It goes before Script.
func (f *Fake) ScriptFor(to string, steps ...Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripts[to] = slices.Clone(steps)
}

// Release answers every part that is held.
func (f *Fake) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.held)
	f.held = make(chan struct{})
}

// Latency is how long the network thinks about each part.
func (f *Fake) Latency(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = d
}

// Patience is how long Send waits for an answer if its ctx has no deadline;
// 30 s if never set.
func (f *Fake) Patience(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.patience = d
}

// End has Run return err, now or as soon as it is called: a route that can
// never work.
func (f *Fake) End(err error) { f.ended <- err }

// AutoReport has every accepted part that asks for it reported as delivered,
// d after it was accepted (d > 0); 0: not. Reports whose time comes while
// nobody runs the Fake are told at the next Run.
func (f *Fake) AutoReport(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report = d
}

// NextRef sets the reference of the next part, which later ones count up
// from: TP-MR comes round after 255.
func (f *Fake) NextRef(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextRef = n
}

// SetStatus publishes s; Route, Kind, and empty Identity and Lanes are filled
// in. Before Run it is what Run will publish.
func (f *Fake) SetStatus(s route.Status) {
	f.change(func(old *route.Status) {
		s.Route, s.Kind = old.Route, old.Kind
		if s.Identity == "" {
			s.Identity = old.Identity
		}
		if s.Lanes == 0 {
			s.Lanes = old.Lanes
		}
		*old = s
	})
}

// SetState is SetStatus for the state alone: nothing else changes.
func (f *Fake) SetState(state route.State) {
	f.change(func(s *route.Status) { s.State, s.Since = state, time.Now() })
}

// SetIdentity changes the SIM: it publishes the status with this identity.
func (f *Fake) SetIdentity(id string) {
	f.change(func(s *route.Status) { s.Identity = id })
}

// SetLanes changes how many Sends the status invites.
func (f *Fake) SetLanes(n int) {
	f.change(func(s *route.Status) { s.Lanes = n })
}

// change publishes what fn makes of the status. The lock is held meanwhile,
// so that statuses arrive in order; Changed never blocks.
func (f *Fake) change(fn func(*route.Status)) {
	f.publishing.Lock()
	defer f.publishing.Unlock()
	f.mu.Lock()
	fn(&f.status)
	s, sink := f.status, f.sink
	f.mu.Unlock()
	if sink != nil {
		sink.Changed(s)
	}
}

// Status is the last status, published or to be.
func (f *Fake) Status() route.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Log returns every message that was offered while the Fake was ready, in
// order, whatever came of it.
func (f *Fake) Log() []route.Outbound {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// Seen returns every part that the network saw, in order.
func (f *Fake) Seen() []Sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// Restarts says how often somebody restarted the route.
func (f *Fake) Restarts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.restarts
}

// Restart drops the link and makes it anew.
func (f *Fake) Restart(context.Context) error {
	f.mu.Lock()
	f.restarts++
	f.mu.Unlock()
	f.Drop()
	f.Connect()
	return nil
}

// Drop breaks the link: parts whose answer is outstanding are unknown, and
// the route waits until Connect.
func (f *Fake) Drop() {
	f.mu.Lock()
	if f.up != nil {
		close(f.up)
		f.up = nil
	}
	f.mu.Unlock()
	f.SetState(route.Waiting)
}

// Connect makes the link again after Drop.
func (f *Fake) Connect() {
	f.mu.Lock()
	if f.sink != nil && f.up == nil {
		f.up = make(chan struct{})
	}
	f.mu.Unlock()
	f.SetState(route.Ready)
}

// Run obeys the contract of route.Route.
func (f *Fake) Run(ctx context.Context, sink route.Sink) error {
	if err := f.join(sink); err != nil {
		return err
	}
	defer f.leave(sink)
	return f.tell(ctx, sink)
}

func (f *Fake) join(sink route.Sink) error {
	f.publishing.Lock()
	defer f.publishing.Unlock()
	f.mu.Lock()
	if f.sink != nil {
		f.mu.Unlock()
		return fmt.Errorf("%s: runs already", f.name)
	}
	f.sink, f.up = sink, make(chan struct{})
	s := f.status
	f.mu.Unlock()

	starting := s
	starting.State, starting.Since = route.Starting, time.Now()
	sink.Changed(starting)
	sink.Changed(s)
	return nil
}

// leave ends the link and whatever waits for it.
func (f *Fake) leave(sink route.Sink) {
	f.publishing.Lock()
	defer f.publishing.Unlock()
	stopped := f.unlink()
	stopped.State, stopped.Since = route.Stopped, time.Now()
	sink.Changed(stopped)
}

func (f *Fake) unlink() route.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sink = nil
	if f.up != nil {
		close(f.up)
		f.up = nil
	}
	f.telling = slices.DeleteFunc(f.telling, func(t *telling) bool {
		if !t.again {
			t.done <- errGone
		}
		return !t.again
	})
	return f.status
}

// Send obeys the contract of route.Route.
func (f *Fake) Send(ctx context.Context, out route.Outbound) (route.Receipt, error) {
	if ctx.Err() != nil {
		return route.Receipt{}, route.Ended(ctx, f.name)
	}
	f.mu.Lock()
	link, sink, answer, state := f.up, f.sink, f.answer, f.status.State
	if link == nil || state != route.Ready {
		f.mu.Unlock()
		return route.Receipt{}, route.Refuse(f.name, "not ready")
	}
	f.log = append(f.log, out)
	f.mu.Unlock()

	if answer != nil {
		receipt, err := answer(out)
		if err != nil || receipt.Relayed || len(receipt.Parts) > 0 {
			return receipt, err
		}
	}
	return f.carry(ctx, sink, link, out)
}

// carry offers the parts that are still to be sent, one after the other.
func (f *Fake) carry(ctx context.Context, sink route.Sink, link <-chan struct{}, out route.Outbound) (route.Receipt, error) {
	identity := f.Status().Identity
	receipt := route.Receipt{Identity: identity}
	todo := out.Todo()
	if len(out.Segments) == 0 { // a route that does not cut
		out.Segments, todo = []route.Segment{{Text: out.Text}}, []int{1}
	}
	for i, n := range todo {
		p := route.Part{N: n, Of: len(out.Segments), Identity: identity}
		err := f.offer(ctx, link, &out, &p)
		p.At = time.Now()
		receipt.Parts = append(receipt.Parts, p)
		if err != nil {
			return receipt, err
		}
		if out.Report {
			f.autoReport(out.To, p)
		}
		if i == len(todo)-1 {
			break
		}
		// As long as the first byte has left the message goes on to its
		// verdict, whoever cancelled.
		if err := sink.Progress(context.WithoutCancel(ctx), out.ID, out.Attempt, p); err != nil {
			return receipt, &route.Error{Fate: route.NotOffered, Text: fmt.Sprintf("%s: stopped after part %d of %d, which could not be recorded", f.name, n, p.Of), Err: err}
		}
	}
	return receipt, nil
}

// offer gives one part to the network and fills in what became of it.
func (f *Fake) offer(ctx context.Context, link <-chan struct{}, out *route.Outbound, p *route.Part) error {
	step, held, latency := f.take(out, p)
	if step == Cut {
		f.Drop()
	}
	lost := &route.Error{Fate: route.Unknown, Text: fmt.Sprintf("%s: no answer to part %d of %d", f.name, p.N, p.Of)}
	deadline := f.deadline(ctx)
	defer deadline.Stop()

	if step == Accept || step == Busy || step == Refuse {
		thought := make(chan struct{})
		timer := time.AfterFunc(latency, func() { close(thought) })
		defer timer.Stop()
		held = thought
	}
	if step == Swallow {
		held = nil
	}
	select {
	case <-held:
	case <-link:
		p.State = route.PartUnknown
		lost.Text += ": the link broke"
		return lost
	case <-deadline.C:
		p.State = route.PartUnknown
		lost.Text += " in time"
		return lost
	}
	switch step {
	case Busy:
		p.State = route.PartRefused
		return &route.Error{Fate: route.Retry, Code: "FAKE 38", Text: f.name + ": network out of order"}
	case Refuse:
		p.State = route.PartRefused
		return &route.Error{Fate: route.Reject, Code: "FAKE 21", Text: f.name + ": short message transfer rejected"}
	}
	p.State = route.PartSent
	p.Ref = f.ref()
	return nil
}

// take notes the part as seen and looks up what to do with it.
func (f *Fake) take(out *route.Outbound, p *route.Part) (Step, <-chan struct{}, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, Sent{To: out.To, Text: out.Segments[p.N-1].Text, N: p.N, Of: p.Of, Ref: out.Ref})
	step := Accept
	if own := f.scripts[out.To]; len(own) > 0 {
		step, f.scripts[out.To] = own[0], own[1:]
	} else if len(f.script) > 0 {
		step, f.script = f.script[0], f.script[1:]
	}
	return step, f.held, f.latency
}

func (f *Fake) ref() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ref := strconv.Itoa(f.nextRef)
	f.nextRef++
	return ref
}

// deadline is when a Send must have its verdict: a little before ctx says so.
// That ctx was cancelled does not hurry it, the part is out.
func (f *Fake) deadline(ctx context.Context) *time.Timer {
	f.mu.Lock()
	wait := f.patience
	f.mu.Unlock()
	if d, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(d)*9/10)
	}
	return time.NewTimer(wait)
}
