package routetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"tillpost/queue/route"
)

// telling is one thing that the network has to say to the queue.
type telling struct {
	at      time.Time // not before; zero: now
	report  *route.Report
	inbound *route.Inbound
	again   bool       // told until it was taken
	done    chan error // cap 1; for one that is told once: what the sink said
}

// errGone is what Report and Deliver answer when nobody runs the Fake.
var errGone = errors.New("routetest: the route does not run")

// Report tells the sink of a delivery report, once, in its turn, and returns
// what the sink said. Empty Route and Identity are filled in.
func (f *Fake) Report(r route.Report) error {
	f.fill(&r.Route, &r.Identity)
	return f.once(&telling{report: &r})
}

// Deliver tells the sink of an inbound message, as Report does.
func (f *Fake) Deliver(in route.Inbound) error {
	f.fill(&in.Route, &in.Identity)
	return f.once(&telling{inbound: &in})
}

// ReportAgain is Report by a network that tells it again, once a second, until
// the sink takes it. It does not wait.
func (f *Fake) ReportAgain(r route.Report) {
	f.fill(&r.Route, &r.Identity)
	f.add(&telling{report: &r, again: true})
}

// DeliverAgain is Deliver by such a network.
func (f *Fake) DeliverAgain(in route.Inbound) {
	f.fill(&in.Route, &in.Identity)
	f.add(&telling{inbound: &in, again: true})
}

// Acked says how many reports and inbound messages the sink has taken.
func (f *Fake) Acked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acked
}

func (f *Fake) fill(name, identity *string) {
	if *name == "" {
		*name = f.name
	}
	if *identity == "" {
		*identity = f.Status().Identity
	}
}

func (f *Fake) once(t *telling) error {
	t.done = make(chan error, 1)
	if !f.add(t) {
		return errGone
	}
	return <-t.done
}

// add hands t to the worker. False: there is none, and t cannot wait for one.
func (f *Fake) add(t *telling) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sink == nil && !t.again {
		return false
	}
	f.telling = append(f.telling, t)
	select {
	case f.told <- struct{}{}:
	default: // the worker will look anyhow
	}
	return true
}

// autoReport has part p reported as delivered when its time comes.
func (f *Fake) autoReport(to string, p route.Part) {
	f.mu.Lock()
	delay := f.report
	f.mu.Unlock()
	if delay <= 0 {
		return
	}
	at := time.Now().Add(delay)
	f.add(&telling{at: at, again: true, report: &route.Report{
		Key:   p.Identity + " " + p.Ref + " " + strconv.FormatInt(at.UnixNano(), 36),
		Route: f.name, Identity: p.Identity, Ref: p.Ref, To: to,
		State: route.ReportDelivered, Code: "TP-ST 0", Sent: p.At, Done: at,
	}})
}

// restAfter is the pause after the sink refused something.
const restAfter = time.Second

// tell is the one worker that calls Received and Reported, until ctx ends or
// somebody ends the route.
func (f *Fake) tell(ctx context.Context, sink route.Sink) error {
	for ctx.Err() == nil {
		t, wait := f.due()
		if t == nil {
			timer := time.NewTimer(wait)
			select {
			case <-f.told:
			case <-timer.C:
			case <-ctx.Done():
			case err := <-f.ended:
				timer.Stop()
				return err
			}
			timer.Stop()
			continue
		}
		var err error
		if t.report != nil {
			err = sink.Reported(ctx, *t.report)
		} else {
			err = sink.Received(ctx, *t.inbound)
		}
		f.said(t, err)
	}
	return ctx.Err()
}

// due returns the first thing whose time has come, or how long to wait.
func (f *Fake) due() (*telling, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := time.Hour
	now := time.Now()
	for _, t := range f.telling {
		at := t.at
		if t.again && at.Before(f.rest) {
			at = f.rest
		}
		if !at.After(now) {
			return t, 0
		}
		wait = min(wait, at.Sub(now))
	}
	return nil, wait
}

// said notes what the sink said: only a nil is an acknowledgement.
func (f *Fake) said(t *telling, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.acked++
	}
	if err != nil && t.again {
		f.rest = time.Now().Add(restAfter)
		return
	}
	f.telling = slices.DeleteFunc(f.telling, func(o *telling) bool { return o == t })
	if t.done != nil {
		t.done <- err
	}
}
