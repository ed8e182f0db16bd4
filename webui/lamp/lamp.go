// Package lamp says in one word and one sentence how the box is.
//
// Two lamps must not be mixed. The lamp of a way out is red when that way
// cannot send. The lamp of the box is red only when something waits that has
// no way out; it is amber when another way carries it. Everything that shows a
// lamp (page, API, command) asks here, so that they agree.
//
// It imports queue, queue/route and queue/store.
package lamp

import (
	"slices"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Colour is a class of the style sheet.
type Colour string

const (
	OK   Colour = "ok"   // works
	Info Colour = "info" // good to know: will be well by itself
	Warn Colour = "warn" // somebody should come
	Stop Colour = "stop" // stopped
)

var rank = map[Colour]int{OK: 0, Info: 1, Warn: 2, Stop: 3}

// colours of words.csv in the classes of the style sheet.
var colours = map[string]Colour{"green": OK, "amber": Warn, "red": Stop, "info": Info, "message": Info}

// Way is the lamp of one way out. Code is a key of queue.Words.
type Way struct {
	Colour Colour
	Code   string
	Ready  bool // it takes messages
}

// Of is the lamp of a way out.
func Of(r queue.RouteInfo) Way {
	var w Way
	w.Code, w.Ready = r.Plain()
	w.Colour = colours[queue.Lamp(w.Code)]
	if w.Colour == "" { // a code without words: never let it look well
		w.Colour = Stop
	}
	return w
}

// Health of the box as a machine asks for it.
type Health string

const (
	Healthy  Health = "ok"
	Degraded Health = "degraded" // it runs, and something needs a look
	Down     Health = "down"     // it can neither accept nor send
)

// Box is the lamp of the whole box.
type Box struct {
	Colour Colour
	Health Health
	Code   string // what is the matter: a key of queue.Words, or box_stuck while Health is Down
	Route  string // the way out it is about; empty: the box itself
	Kind   string // of that way
	Since  time.Time
	Others []string // ways that carry meanwhile
	Ways   int
	Ready  int // ways that take messages
	// Waiting counts what should be leaving now: next in line, or in the hands
	// of a way out.
	Waiting int64
}

// stale is when a timer that does not turn means a stuck queue.
const stale = time.Minute

// Look reads the lamp of the box.
func Look(q *queue.Queue, db *store.DB) Box {
	counts := q.Counts()
	b := judge(q.Routes(), counts.Queued+counts.Sending)
	if b.Colour == OK && !q.Time().Known() { // it sends; only what is planned waits
		b.Colour, b.Code = Warn, "clock_wrong"
	}
	if t := db.LastAside(); !t.IsZero() && time.Since(t) < store.AsideFresh {
		b.Colour, b.Code, b.Route, b.Kind, b.Since = Stop, "row_aside", "", "", t
	}
	if err := db.Room(); err != nil {
		b.Colour, b.Code, b.Route, b.Kind, b.Since = Stop, "disk_full", "", "", time.Time{}
	}
	b.Health = Healthy
	if b.Colour != OK {
		b.Health = Degraded
	}
	readable := db.View(func(*store.Tx) error { return nil }) == nil
	if !readable || time.Since(q.Beat()) > stale {
		b.Colour, b.Health, b.Code, b.Route, b.Kind = Stop, Down, "box_stuck", "", ""
	}
	return b
}

// judge looks at the ways out. The worst of them names what is the matter; how
// bad that is depends on whether another carries the messages.
func judge(ways []queue.RouteInfo, waiting int64) Box {
	b := Box{Colour: OK, Code: "ok", Ways: len(ways), Waiting: waiting}
	if len(ways) == 0 {
		b.Colour, b.Code = Warn, "no_route"
		if waiting > 0 {
			b.Colour = Stop
		}
		return b
	}
	worst := -1
	for _, r := range ways {
		w := Of(r)
		if w.Ready {
			b.Ready++
			b.Others = append(b.Others, r.Route)
		}
		if w.Colour != OK && rank[w.Colour] > worst {
			worst = rank[w.Colour]
			b.Colour, b.Code, b.Route, b.Kind, b.Since = w.Colour, w.Code, r.Route, r.Kind, r.Since
		}
	}
	b.Others = slices.DeleteFunc(b.Others, func(name string) bool { return name == b.Route })
	switch b.Colour {
	case Stop:
		if b.Ready > 0 || waiting == 0 {
			b.Colour = Warn
		}
	case Warn:
		if b.Ready == 0 && waiting > 0 {
			b.Colour = Stop
		}
	}
	return b
}
