package route

import (
	"context"
	"time"
)

// Care is how a device is looked after: what a route may tell of itself beyond
// being ready or not. It is plain data, like the rest of Status; a new value is
// published for each change, so that it may be kept.
type Care struct {
	Storage  *Storage  `json:"storage,omitempty"`
	Balance  *Balance  `json:"balance,omitempty"`
	LoopTest *LoopTest `json:"loop_test,omitempty"`
	Rungs    []Rung    `json:"rungs,omitempty"` // how it is brought back, in order
}

// Rung is one step by which a route brings its device back, with its record
// since the route was made. Rungs are listed in the order in which they are
// tried.
type Rung struct {
	Name   string    `json:"name"`
	Tried  int       `json:"tried,omitempty"`
	Helped int       `json:"helped,omitempty"` // the device worked after it, without another rung
	Last   time.Time `json:"last,omitzero"`    // when it was tried last
	Why    string    `json:"why,omitempty"`    // not empty: it is not possible on this box
}

// Storage is the memory in which a device keeps what it receives.
type Storage struct {
	Memory string `json:"memory"` // "SM" is the SIM, "ME" the modem
	Used   int    `json:"used"`
	Total  int    `json:"total"`
	Stuck  int    `json:"stuck,omitempty"` // of Used: places we may not or cannot clear, such as drafts
}

// Balance is what the operator says is left on a prepaid SIM.
type Balance struct {
	Amount string    `json:"amount,omitempty"` // decimal, with a point; empty: the answer was not understood
	Text   string    `json:"text"`             // the answer as it came
	At     time.Time `json:"at,omitzero"`
	Low    bool      `json:"low,omitempty"`
}

// LoopTest is a message that a route sent to itself.
type LoopTest struct {
	At    time.Time     `json:"at,omitzero"`     // when it was sent
	Took  time.Duration `json:"took,omitempty"`  // until it came back; 0: it has not
	Usual time.Duration `json:"usual,omitempty"` // the median of those before; 0: too few
	Why   string        `json:"why,omitempty"`   // not empty: what is wrong, in words
}

// Notice is something a route saw that is neither a message nor a report: a
// voice call, another SIM, a modem that is another one than before. It holds
// no number and no text of a customer.
type Notice struct {
	Route    string `json:"route"`
	Identity string `json:"identity,omitempty"`
	Code     string `json:"code"`             // call, sim_changed, modem_changed, credit_low, loop_failed …
	Detail   string `json:"detail,omitempty"` // for the technician
}

// Noticer is a Sink that keeps such notices as events. Noticed never blocks.
type Noticer interface {
	Noticed(n Notice)
}

// Latin1 is a route that may have to write the short alphabet in ISO 8859-1:
// where it does, texts for it are planned without what that lacks (€, Greek
// capitals, national tables), so that what is shown and priced is what goes
// out.
type Latin1 interface {
	Latin1() bool
}

// Doctor is a route that can examine its device and say in whole sentences
// what it found and what to do. Nothing to say is good news.
type Doctor interface {
	Examine(ctx context.Context) ([]string, error)
}

// SelfTester is a route that can send a message to itself now. It returns when
// the test is on its way, or says why it cannot be; what comes of it is told in
// Care.LoopTest.
type SelfTester interface {
	SelfTest(ctx context.Context) error
}

// Line is one line of the conversation between a route and its device, as a
// technician may see it: numbers, texts, PINs and PDUs are masked.
type Line struct {
	At   time.Time `json:"at"`
	Out  bool      `json:"out,omitempty"` // we said it
	Text string    `json:"text"`
}

// Tracer is a route that remembers the last lines of that conversation, oldest
// first. They are kept in memory only.
type Tracer interface {
	Trace() []Line
}
