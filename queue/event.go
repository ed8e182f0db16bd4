package queue

import (
	"time"

	"tillpost/queue/store"
)

// Event is one thing that happened. It holds ids and codes, never numbers,
// names or texts: readers join, so that erasing a person stays possible.
type Event struct {
	Seq   uint64    `json:"seq"` // counts up by one
	At    time.Time `json:"at"`
	Kind  Kind      `json:"kind"`
	Msg   ID        `json:"msg,omitzero"`
	State State     `json:"state,omitempty"` // of the message after it

	Attempt  int       `json:"attempt,omitempty"`
	Part     int       `json:"part,omitempty"`
	Route    string    `json:"route,omitempty"`
	Identity string    `json:"identity,omitempty"` // of the SIM or account; of a rule's run its list
	Ref      string    `json:"ref,omitempty"`
	Code     string    `json:"code,omitempty"` // the peer's own code, or a key of words.csv
	Detail   string    `json:"detail,omitempty"`
	By       string    `json:"by,omitempty"` // person or till that decided
	Until    time.Time `json:"until,omitzero"`
}

// Kind of an event.
type Kind string

const (
	KindAccepted    Kind = "accepted"    // on disk; the till got its id
	KindDue         Kind = "due"         // its planned time has come
	KindTaken       Kind = "taken"       // a lane begins an attempt
	KindPart        Kind = "part"        // one part of several has its fate
	KindSent        Kind = "sent"        // the network has the whole message
	KindNotOffered  Kind = "not_offered" // the network never saw it; back in line
	KindRetry       Kind = "retry"       // refused for now
	KindRejected    Kind = "rejected"    // refused for good
	KindUnknown     Kind = "unknown"     // handed over, the answer was lost
	KindInterrupted Kind = "interrupted" // the box stopped in the middle of an attempt
	KindReport      Kind = "report"      // a delivery report
	KindNoReport    Kind = "no_report"   // none came in time
	KindResent      Kind = "resent"      // sent again, by policy or by a person
	KindSettled     Kind = "settled"     // a person decided an unknown
	KindRestarted   Kind = "restarted"   // a long message begins again at part one, elsewhere
	KindRelayed     Kind = "relayed"     // another queue took it over
	KindErased      Kind = "erased"      // a person was forgotten
	KindHeld        Kind = "held"        // waits by a rule: Code says which
	KindReleased    Kind = "released"    //
	KindRerouted    Kind = "rerouted"    // waits in another pool now
	KindQuota       Kind = "quota"       // a SIM or account comes near its limit, or reaches it
	KindExpired     Kind = "expired"     // its time ran out
	KindCancelled   Kind = "cancelled"   //
	KindReceived    Kind = "received"    // something came in; Ref is its number in the inbox
	KindOptOut      Kind = "opt_out"     // somebody wants no more marketing; Ref as above
	KindOptIn       Kind = "opt_in"      // and now does again
	KindRoute       Kind = "route"       // a route changed its state
	KindNotice      Kind = "notice"      // a route saw something beside messages: Code says what
	KindPaused      Kind = "paused"      // a person paused a route
	KindResumed     Kind = "resumed"     //
	KindClock       Kind = "clock"       // the time jumped, or is known now: Code says how well, Detail from whom and by how much
	KindHook        Kind = "hook"        // a webhook stopped, gave an event up, or works again: Ref is its name, Code says which
	KindSettings    Kind = "settings"    // somebody changed settings: Detail names them
	KindCampaign    Kind = "campaign"    // Ref is its name, Code what became of it, Detail the counts
	KindRule        Kind = "rule"        // the same of a rule's run
)

func seqKey(n uint64) []byte { return store.U64(n) }
