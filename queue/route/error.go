package route

import (
	"context"
	"errors"
	"time"
)

// Fate is what became of a message that was handed to Send.
type Fate string

const (
	// NotOffered: the network never saw it. The attempt does not count.
	NotOffered Fate = "not_offered"
	// Retry: offered and refused for now.
	Retry Fate = "retry"
	// Reject: will never work as it is.
	Reject Fate = "reject"
	// Unknown: handed over, the answer was lost. Never resent blindly.
	Unknown Fate = "unknown"
)

// Scope says what is ill: only this message, or the route as a whole.
type Scope string

const (
	ScopeMessage Scope = "message"
	ScopeRoute   Scope = "route"
)

// Error is the verdict of a Send that did not hand everything over.
type Error struct {
	Fate  Fate   `json:"fate"`
	Scope Scope  `json:"scope,omitempty"` // empty reads as ScopeMessage
	Code  string `json:"code,omitempty"`  // the peer's code: "CMS 38", "SMPP 0x00000058"
	Text  string `json:"text"`            // what was tried and what the peer said, in its words

	// Wait and Max are the row of the error table that the code has in the
	// vector files: the first pause, and how many tries. Zero: the queue's own
	// retry table decides.
	Wait time.Duration `json:"wait,omitempty"`
	Max  int           `json:"max,omitempty"`

	// Doubt marks a Reject that may blame the SIM instead of the number (CMS
	// 1, 28, 30): it counts only if the same route has carried another
	// recipient's message since, or a second route agrees.
	Doubt bool `json:"doubt,omitempty"`

	Err error `json:"-"` // cause, for errors.Is
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Text
	}
	return e.Code + ": " + e.Text
}

func (e *Error) Unwrap() error { return e.Err }

// FateOf reads the fate from the error of a Send. offered says whether the
// first byte of the PDU has left: it decides for errors without a label.
func FateOf(err error, offered bool) Fate {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Fate
	}
	if offered {
		return Unknown
	}
	return NotOffered
}

// Refuse is the answer of a Send that cannot even begin: the route is not
// ready, or ctx ended before the first byte.
func Refuse(route, why string) *Error {
	return &Error{Fate: NotOffered, Scope: ScopeRoute, Text: route + ": " + why}
}

// Ended is Refuse for a ctx that ended before the first byte.
func Ended(ctx context.Context, route string) *Error {
	e := Refuse(route, "stopped before the first byte: "+context.Cause(ctx).Error())
	e.Scope, e.Err = ScopeMessage, context.Cause(ctx)
	return e
}
