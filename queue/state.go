package queue

import "fmt"

// State of a message. The strings are on disk and in the API: one spelling.
type State string

const (
	Scheduled   State = "scheduled"   // waits for its time
	Queued      State = "queued"      // next in line, or waits for another try
	Held        State = "held"        // quiet hours, a pause, or a person's decision
	Sending     State = "sending"     // a lane has it
	Sent        State = "sent"        // the network has it
	Delivered   State = "delivered"   // the phone has it
	Undelivered State = "undelivered" // the network gave up
	Failed      State = "failed"      // will never work
	Expired     State = "expired"     // its time ran out while it waited
	Cancelled   State = "cancelled"   //
	Unknown     State = "unknown"     // handed over, the answer was lost
)

// States in the order of a life.
var States = []State{Scheduled, Queued, Held, Sending, Sent, Delivered, Undelivered, Failed, Expired, Cancelled, Unknown}

// cause is what can happen to a message.
type cause string

const (
	onDue         cause = "due"         // its planned time has come
	onTake        cause = "take"        // a lane takes it
	onHandedOver  cause = "handed over" // verdict: the network has it
	onRelayed     cause = "relayed"     // verdict: another queue has it
	onNotOffered  cause = "not offered" // verdict
	onRetry       cause = "retry"       // verdict
	onReject      cause = "reject"      // verdict, or the retry table ran out
	onLost        cause = "lost"        // verdict: the answer was lost; or found sending at start
	onRestored    cause = "restored"    // a backup was put back; it may have left since
	onReportSent  cause = "report sent" // relayed and now with the network; or a late answer
	onDelivered   cause = "delivered"   // report
	onUndelivered cause = "undelivered" // report
	onGivenBack   cause = "given back"  // report: the relay could not carry it
	onResend      cause = "resend"      // policy or person: send it again
	onGiveUp      cause = "give up"     // person: it did not go out
	onHold        cause = "hold"        //
	onRelease     cause = "release"     //
	onExpire      cause = "expire"      //
	onCancel      cause = "cancel"      //
	onFallBack    cause = "fall back"   // it failed on its channel and goes on with the other
)

// door is the only place where a state follows from another. A cause that a
// state does not list is impossible for it and changes nothing: a report that
// would go backwards is kept in the story and otherwise ignored (conclude).
var door = map[State]map[cause]State{
	Scheduled: {onDue: Queued, onHold: Held, onExpire: Expired, onCancel: Cancelled, onRestored: Unknown},
	Queued: {
		onTake: Sending, onHold: Held, onExpire: Expired, onCancel: Cancelled, onRestored: Unknown,
		// It is to be sent again because its answer was lost, and a report of
		// the first try comes after all.
		onReportSent: Sent, onDelivered: Delivered, onUndelivered: Undelivered,
	},
	Held: {onRelease: Queued, onExpire: Expired, onCancel: Cancelled, onRestored: Unknown},
	Sending: {
		onHandedOver: Sent, onRelayed: Sending, onNotOffered: Queued, onRetry: Queued,
		onReject: Failed, onLost: Unknown, onCancel: Cancelled, onExpire: Expired,
		onReportSent: Sent, onDelivered: Delivered, onUndelivered: Undelivered, onGivenBack: Queued,
	},
	Sent: {
		onReportSent: Sent, onDelivered: Delivered, onUndelivered: Undelivered,
		onGivenBack: Queued, onResend: Queued,
	},
	Unknown: {
		onReportSent: Sent, onDelivered: Delivered, onUndelivered: Undelivered,
		onGivenBack: Queued, onResend: Queued, onGiveUp: Failed,
	},
	// A later "delivered" after a failure wins (field-notes §1.14); the other
	// way round never happens.
	Undelivered: {onDelivered: Delivered, onResend: Queued, onFallBack: Queued},
	Failed:      {onDelivered: Delivered, onResend: Queued, onFallBack: Queued},
	Expired:     {onDelivered: Delivered, onResend: Queued},
	Delivered:   {onResend: Queued},
	Cancelled:   {onDelivered: Delivered, onResend: Queued},
}

// ErrNotNow is a transition that the state does not allow.
type ErrNotNow struct {
	State State
	Cause string
}

func (e *ErrNotNow) Error() string {
	return fmt.Sprintf("a message that is %s cannot be changed by %q", e.State, e.Cause)
}

// On returns the state that follows when c happens in s.
func (s State) On(c cause) (State, error) {
	if next, ok := door[s][c]; ok {
		return next, nil
	}
	return s, &ErrNotNow{State: s, Cause: string(c)}
}

// Final reports whether the queue has nothing more to do with the message.
// Sent is not final: a report may come.
func (s State) Final() bool {
	switch s {
	case Delivered, Undelivered, Failed, Expired, Cancelled:
		return true
	}
	return false
}

// Waits reports whether a message in this state waits for something, and so
// must say for what.
func (s State) Waits() bool { return !s.Final() }
