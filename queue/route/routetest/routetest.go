// Package routetest holds what every route is measured by: Fake, a route that
// a test can steer, and Run, the suite that reads the contract of package
// route to a route and to the Fake alike.
//
// Neither needs a descriptor or the real time: both work in a bubble of
// testing/synctest. It imports package route, goleak and the standard library.
package routetest

import (
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
)

// Harness is a route on a bench, with hands on the network behind it. It need
// not run yet. Whatever else it started (a simulated modem, a listener) it ends
// by t.Cleanup.
//
// Route, Seen, Script, Drop and Connect must be set.
type Harness struct {
	Route route.Route

	// Script says what the network does with the next parts that are offered
	// to it, one step each. Those that come after are accepted.
	Script func(steps ...Step)

	// Cannot names the steps that such a network cannot be made to take, each
	// with the reason. Sentences that need them are not read to the route.
	Cannot map[Step]string

	// Seen returns every part that reached the network whole, in order,
	// whatever the network did with it.
	Seen func() []Sent

	// Release has the network accept what it holds (Hold). It is an answer
	// like any other: late if the route has given up waiting.
	Release func()

	// Drop breaks the link, as a pulled plug or a reset connection does, and
	// keeps it broken until Connect.
	Drop, Connect func()

	// Deliver brings one inbound message to the route, and again until it is
	// acknowledged. Nil: nothing ever comes in on such a route.
	Deliver func(text string)

	// Report brings a delivery report that says delivered for a part that the
	// network accepted, and again until it is acknowledged. Nil: there are none.
	Report func(to string, p route.Part)

	// Acked is how many reports and inbound messages the route has
	// acknowledged to the network. Set if Deliver or Report is.
	Acked func() int

	// Again has the network tell once more what is not acknowledged (a new
	// session, the next look into the storage). Nil: it does so by itself
	// within half of Within.
	Again func()

	// Whole: such a route never cuts a message. No sentence about parts is
	// read to it.
	Whole bool

	// Hopeless returns a route that can never work as it is configured. Nil:
	// there is no such configuration.
	Hopeless func(t *testing.T) route.Route

	// To and From are the recipient of the bench's messages and the sender of
	// what Deliver brings. Empty: +31612345678, and any.
	To, From string

	// Patience is how long the route, as configured here, waits for an answer
	// of the network. Default 2 s.
	Patience time.Duration

	// Within is how long anything else may take: connecting, telling again.
	// Default 10 s.
	Within time.Duration
}

// Run reads every sentence of the contract to the route. newHarness is called
// anew for each of them, from the goroutine of its test.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	run(t, newHarness, func(t *testing.T, test func(*testing.T)) { test(t) })
}

// RunInBubble is Run for a route and a network without descriptors: each
// sentence is read in a bubble of its own.
func RunInBubble(t *testing.T, newHarness func(t *testing.T) Harness) {
	run(t, newHarness, synctest.Test)
}

func run(t *testing.T, newHarness func(t *testing.T) Harness, within func(*testing.T, func(*testing.T))) {
	var able Harness
	complete := t.Run("the harness is complete", func(t *testing.T) {
		within(t, func(t *testing.T) {
			able = newHarness(t)
			for name, missing := range map[string]bool{
				"Route":   able.Route == nil,
				"Script":  able.Script == nil,
				"Seen":    able.Seen == nil,
				"Drop":    able.Drop == nil,
				"Connect": able.Connect == nil,
				"Release": able.Release == nil && able.Cannot[Hold] == "",
				"Acked":   able.Acked == nil && (able.Deliver != nil || able.Report != nil),
			} {
				if missing {
					t.Errorf("%s is not set", name)
				}
			}
		})
	})
	if !complete {
		return
	}
	for _, s := range sentences {
		if why := s.lacks(able); why != "" {
			t.Logf("not read: %q: %s", s.name, why)
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			within(t, func(t *testing.T) { s.read(t, newHarness) })
		})
	}
}

// sentence is one promise of the contract.
type sentence struct {
	name  string
	needs need
	steps []Step // that the network must be able to take
	test  func(t *testing.T, b *bench)
}

type need uint

const (
	parts    need = 1 << iota // messages of several parts
	inbound                   // Deliver
	reports                   // Report
	hopeless                  // Hopeless
	idle                      // the test starts the route itself
)

// lacks says why a harness cannot answer for the sentence, or nothing.
func (s sentence) lacks(h Harness) string {
	switch {
	case s.needs&parts != 0 && h.Whole:
		return "the route carries a message whole"
	case s.needs&inbound != 0 && h.Deliver == nil:
		return "nothing comes in on such a route"
	case s.needs&reports != 0 && h.Report == nil:
		return "there are no delivery reports"
	case s.needs&hopeless != 0 && h.Hopeless == nil:
		return "no configuration is hopeless"
	}
	for _, step := range s.steps {
		if why := h.Cannot[step]; why != "" {
			return why
		}
	}
	return ""
}

func (s sentence) read(t *testing.T, newHarness func(t *testing.T) Harness) {
	checkLeaks(t) // after the harness was taken down
	b := newBench(t, newHarness(t))
	if s.needs&idle == 0 {
		b.start()
	}
	s.test(t, b)
}
