// Package clock is the time of the box, and how far it can be believed.
//
// A small board has no battery: after a power cut it begins in 1970, or where
// it was switched off. A mobile network may tell the time, or claim 2080. What
// this package promises:
//
//   - Now never jumps by itself. It goes on by the time that really elapsed
//     until Look finds that somebody told another time, and says by how much.
//   - A time that cannot be right is not used: before the floor, which is the
//     last time a time server vouched for, or years after it.
//   - One modem alone does not move a system clock that looks right by months.
//   - The time that a modem offers is an offset inside this process. The system
//     clock is never set.
//
// It imports the standard library only.
package clock

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Quality says how far Now can be believed.
type Quality string

const (
	Unset   Quality = "unset"   // nobody has told the time: Now only counts on
	Assumed Quality = "assumed" // the system clock looks right, and nobody vouches for it
	Network Quality = "network" // the mobile network told it
	Synced  Quality = "synced"  // a time server keeps the system clock
)

// Config of a Clock. The zero value believes a plausible system clock.
type Config struct {
	// Wall reads the system clock; nil: time.Now.
	Wall func() time.Time
	// Synced says whether a time server keeps the system clock; nil: never.
	Synced func() bool
	// Patience is how long after the start a system clock that nobody vouches
	// for is not used: on a board without battery it is where it was switched
	// off, until the time server is reached. 0: use it at once.
	Patience time.Duration
}

const (
	// stepLimit is what counts as a jump; less is the drift of cheap crystals.
	stepLimit = 5 * time.Minute
	// raiseEvery and raiseExtra bound how fast a time server, which may lie,
	// can move the floor: by what elapsed, and a little.
	raiseEvery = 10 * time.Minute
	raiseExtra = 5 * time.Minute
	// maxOff is the longest that a box is thought to have been without power.
	maxOff = 5 * 366 * 24 * time.Hour
	// networkSlack is how far a modem's time may be off before it is preferred
	// to a plausible system clock: it is told in whole seconds, some time ago.
	networkSlack = 2 * time.Minute
	// alone is how far one modem by itself may move a system clock that looks
	// right: no shop closes for longer, and then it is a network that errs. Two
	// that agree are believed.
	alone = 31 * 24 * time.Hour
)

// epoch is older than no release of this program: an earlier time is wrong. A
// virgin box believes the twenty years after it.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Clock tells the time. Its methods may be called from any goroutine.
type Clock struct {
	cfg     Config
	started time.Time // as all time.Time below that are read by Since: with the monotonic clock
	now     atomic.Pointer[anchor]

	mu     sync.Mutex
	floor  time.Time // zero: no time server was ever reached
	raised time.Time // when it was last looked at
	offers []offer   // the newest first, one of each source
}

// anchor is a time that was known, and when.
type anchor struct {
	base    time.Time
	at      time.Time
	quality Quality
	source  string
}

type offer struct {
	t      time.Time
	at     time.Time
	source string
}

// Step is what Look found: that the quality changed, or time jumped.
type Step struct {
	Before   time.Time // what Now would have said without it
	By       time.Duration
	From, To Quality
	Source   string // of the new time: "system", or who offered it
	// Below: a time server tells a time before the floor. It wins; the floor
	// was wrong.
	Below bool
}

// Jumped says whether time itself moved, and not only who vouches for it.
func (s Step) Jumped() bool { return s.By >= stepLimit || s.By <= -stepLimit }

// New starts a clock from what the store remembers: the floor, and the newest
// time that was written down, from which an unset clock counts on. Either may
// be zero.
func New(cfg Config, floor, newest time.Time) *Clock {
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	if cfg.Synced == nil {
		cfg.Synced = func() bool { return false }
	}
	c := &Clock{cfg: cfg, started: time.Now(), floor: floor}
	base := epoch
	for _, t := range []time.Time{floor, newest} {
		if t.After(base) {
			base = t
		}
	}
	c.now.Store(&anchor{base: base, at: c.started, quality: Unset})
	c.Look()
	return c
}

// Now is the time, as well as it is known.
func (c *Clock) Now() time.Time {
	a := c.now.Load()
	return a.base.Add(time.Since(a.at))
}

// Known is false while nobody has told the time.
func (c *Clock) Known() bool { return c.now.Load().quality != Unset }

// Offer is a time that a modem was told by its network. It is used from the
// next Look on, unless a time server is reached, the time cannot be right, or it
// is months from a system clock that looks right and no other source agrees.
func (c *Clock) Offer(t time.Time, source string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plausible(t) {
		others := slices.DeleteFunc(c.offers, func(o offer) bool { return o.source == source })
		c.offers = slices.Insert(others, 0, offer{t: t.Round(0), at: time.Now(), source: source})
	}
}

// best is the newest offer that may be used beside a system clock. One that
// would move it far wants a second source.
func (c *Clock) best(wall, at time.Time) *offer {
	for i := range c.offers {
		o := &c.offers[i]
		off := o.now(at).Sub(wall)
		if !c.plausible(wall) || off <= alone && off >= -alone || c.seconded(o, at) {
			return o
		}
	}
	return nil
}

func (c *Clock) seconded(o *offer, at time.Time) bool {
	return slices.ContainsFunc(c.offers, func(other offer) bool {
		off := other.now(at).Sub(o.now(at))
		return other.source != o.source && off < stepLimit && off > -stepLimit
	})
}

// now is what the offer has come to since it was made.
func (o *offer) now(at time.Time) time.Time { return o.t.Add(at.Sub(o.at)) }

// Look asks everybody for the time and takes over the best answer. It is to be
// called every few seconds. ok: the quality changed, or time jumped.
func (c *Clock) Look() (s Step, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.now.Load()
	at := time.Now()
	s = Step{Before: old.base.Add(at.Sub(old.at)), From: old.quality}
	next := &anchor{base: s.Before, at: at, quality: Unset}
	// The system clock as it reads now: without the monotonic part, by which
	// Go would not see it jump.
	wall := c.cfg.Wall().Round(0)
	told := c.best(wall, at)
	switch {
	case c.cfg.Synced():
		next.base, next.quality, next.source = wall, Synced, "system"
	case told != nil:
		next.quality, next.source = Network, told.source
		next.base = told.now(at)
		if off := next.base.Sub(wall); off < networkSlack && off > -networkSlack {
			next.base = wall
		}
	case c.plausible(wall) && at.Sub(c.started) >= c.cfg.Patience:
		next.base, next.quality, next.source = wall, Assumed, "system"
	}
	if next.quality == Synced {
		s.Below = c.raise(next.base, at)
	}
	s.To, s.Source, s.By = next.quality, next.source, next.base.Sub(s.Before)
	c.now.Store(next)
	return s, s.From != s.To || s.Jumped() || s.Below
}

// plausible: not before the floor, and not absurdly long after it.
func (c *Clock) plausible(t time.Time) bool {
	if c.floor.IsZero() {
		return !t.Before(epoch) && t.Before(epoch.Add(4*maxOff))
	}
	return !t.Before(c.floor) && t.Before(c.floor.Add(maxOff))
}

// raise lets the floor follow a time that a server vouches for, by no more than
// elapsed and a little. below: the time lies below the floor, which gives way.
func (c *Clock) raise(now, at time.Time) (below bool) {
	switch {
	case c.floor.IsZero():
		c.floor, c.raised = now, at
	case now.Before(c.floor):
		below = c.floor.Sub(now) >= stepLimit
		c.floor, c.raised = now, at
	case c.raised.IsZero() || at.Sub(c.raised) >= raiseEvery:
		most := at.Sub(c.started)
		if !c.raised.IsZero() {
			most = at.Sub(c.raised)
		}
		if limit := c.floor.Add(most + raiseExtra); now.After(limit) {
			now = limit
		}
		c.floor, c.raised = now, at
	}
	return below
}

// Reading is the state of a clock, for people.
type Reading struct {
	Now     time.Time     `json:"now"`
	Quality Quality       `json:"quality"`
	Source  string        `json:"source,omitempty"` // who told it
	Offset  time.Duration `json:"offset,omitempty"` // from the system clock
	Floor   time.Time     `json:"floor,omitzero"`   // the last time that a time server vouched for
}

// Known is false while nobody has told the time.
func (r Reading) Known() bool { return r.Quality != Unset }

// Reading reads all of it at once.
func (c *Clock) Reading() Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.now.Load()
	r := Reading{Now: c.Now(), Quality: a.quality, Source: a.source, Floor: c.floor}
	r.Offset = r.Now.Round(0).Sub(c.cfg.Wall().Round(0)).Round(time.Second)
	return r
}

// Floor is what the store should remember.
func (c *Clock) Floor() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.floor
}
