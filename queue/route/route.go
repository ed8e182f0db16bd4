// Package route is the seam of the house: everything that can carry a message
// (a GSM modem, an SMSC, a mail server) is a Route, and the queue knows a
// route by nothing else.
//
// It promises that the values which cross the seam are plain data: they
// survive JSON both ways, so that a route may one day live in another box. It
// imports the standard library only.
//
// The contract of the interfaces below is checked by the conformance suite in
// queue/route/routetest; whoever writes a route runs that suite first.
package route

import (
	"context"
	"time"
)

// Route carries messages to a network.
//
// Run owns the connection from the first dial to the last byte. It reconnects
// by itself and returns only when ctx ends (nil or ctx.Err()) or when the
// route can never work as configured (wrong PIN, bad credentials). When it
// returns, every goroutine and descriptor it made is gone. Run is called once.
//
// Send offers one message and returns one verdict, before the deadline of ctx
// if it has one:
//
//   - a nil error means that every part in out.Segments is with the network
//     (or with another queue: Receipt.Relayed);
//   - an *Error says the fate of the message (see Fate) and, if the route
//     itself is ill, that too (Scope);
//   - any other error is read by FateOf: Unknown once the first byte of a PDU
//     has left, NotOffered before.
//
// Send may be called from as many goroutines as Status.Lanes says. A Send that
// is called while the route is not ready answers NotOffered at once. When ctx
// is cancelled before the first byte of the PDU left, Send answers NotOffered
// and nothing goes out; after it, Send goes on to its verdict, for at most the
// route's own patience.
//
// A long message is truthful in the middle: parts in out.Done are not sent
// again; after each part but the last Send calls Sink.Progress and continues
// only if that returned nil; after a part whose outcome is unknown no later
// part is sent.
type Route interface {
	Name() string
	Run(ctx context.Context, sink Sink) error
	Send(ctx context.Context, out Outbound) (Receipt, error)
}

// Sink is what a route calls to tell the queue what happened.
//
// Progress, Received and Reported return after the commit. Only then may the
// route acknowledge to the network (+CNMA, delete from the SIM,
// deliver_sm_resp); if they fail it must not acknowledge, so that the network
// tells it again. A route calls Received and Reported in order for each phone,
// from a bounded number of workers, never from the goroutine that reads the
// wire: one worker is enough for a modem, while a fast SMSC needs several, so
// that its receipts share commits. Progress is called from inside Send. Changed
// never blocks.
type Sink interface {
	Progress(ctx context.Context, id string, attempt int, p Part) error
	Received(ctx context.Context, in Inbound) error
	Reported(ctx context.Context, r Report) error
	Changed(s Status)
}

// Memory is what a route must remember across restarts: which PIN was tried
// on which SIM, which spelling of ids an SMSC uses. Load answers nil for a key
// never saved. Save returns after the commit.
type Memory interface {
	Load(key string) ([]byte, error)
	Save(ctx context.Context, key string, v []byte) error
}

// Alphabet of the segments of an Outbound, as in 3GPP TS 23.038.
const (
	GSM7 = "gsm7" // default alphabet and its extension, or a national table
	UCS2 = "ucs2" // UTF-16 big endian
)

// Outbound is one attempt to send one message.
type Outbound struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"` // 1 for the first

	To   string `json:"to"`             // E.164 with plus, or the bare digits of a short code
	From string `json:"from,omitempty"` // sender, where the route lets us choose (SMPP)

	// Segments is the text, cut by text.Split; never empty for SMS.
	Segments []Segment `json:"segments,omitempty"`
	Alphabet string    `json:"alphabet,omitempty"`
	Shift    int       `json:"shift,omitempty"`   // national single shift table, 0 none (TS 23.038 §6.2.1.2)
	Locking  int       `json:"locking,omitempty"` // national locking shift table, 0 none

	// Ref is the concatenation reference, chosen and committed by the queue
	// when it took the message; RefBits is 8 or 16 (TS 23.040 §9.2.3.24.1, .8).
	Ref     int `json:"ref,omitempty"`
	RefBits int `json:"ref_bits,omitempty"`

	// Done lists the parts that an earlier attempt already handed over.
	Done []Part `json:"done,omitempty"`

	Report   bool      `json:"report,omitempty"`   // ask for delivery reports
	Flash    bool      `json:"flash,omitempty"`    // message class 0
	Priority int       `json:"priority,omitempty"` // 0 to 3, 3 = urgent
	Expires  time.Time `json:"expires,omitzero"`   // the network should stop trying then; zero: the route's default

	Subject string `json:"subject,omitempty"` // e-mail only
	Text    string `json:"text,omitempty"`    // the whole text, for routes that do not cut
	HTML    string `json:"html,omitempty"`    // e-mail only
	// Marketing: it is advertising, which an e-mail must say how to end.
	Marketing bool `json:"marketing,omitempty"`
}

// Segment is one part of a text as it fits into one short message.
type Segment struct {
	Text  string `json:"text"`
	Units int    `json:"units"` // septets for gsm7, UTF-16 code units for ucs2, without the header
}

// Todo returns the numbers (from 1) of the parts still to be sent, in order.
func (o *Outbound) Todo() []int {
	done := make(map[int]bool, len(o.Done))
	for _, p := range o.Done {
		done[p.N] = p.State == PartSent
	}
	var todo []int
	for n := range o.Segments {
		if !done[n+1] {
			todo = append(todo, n+1)
		}
	}
	return todo
}

// PartState is what is known about a part that was offered.
type PartState string

const (
	PartSent    PartState = "sent"    // the network confirmed that it has it
	PartUnknown PartState = "unknown" // handed over, the answer was lost
	PartRefused PartState = "refused" // the network said no
)

// Part is the fate of one part of a message.
type Part struct {
	N        int       `json:"n"` // from 1
	Of       int       `json:"of"`
	State    PartState `json:"state"`
	Ref      string    `json:"ref,omitempty"`      // TP-MR in decimal, or the SMSC's message id: what a Report will name
	Identity string    `json:"identity,omitempty"` // who carried it: ICCID, or SMPP account and sender
	At       time.Time `json:"at,omitzero"`
}

// Receipt is the verdict "handed over". Parts lists every part that left in
// this attempt, also beside an error.
type Receipt struct {
	Parts    []Part `json:"parts,omitempty"`
	Identity string `json:"identity,omitempty"`
	// Relayed: another queue took responsibility; later reports carry sent,
	// delivered, undelivered or given back.
	Relayed bool `json:"relayed,omitempty"`
}

// ReportState is what a delivery report says about a part.
type ReportState string

const (
	ReportPending     ReportState = "pending"     // still trying, not final
	ReportSent        ReportState = "sent"        // final, but no proof of delivery (TP-ST 01, 02; relayed and now sent)
	ReportDelivered   ReportState = "delivered"   // final
	ReportUndelivered ReportState = "undelivered" // final
	ReportGivenBack   ReportState = "given_back"  // a relay could not carry it; the message is the queue's again
)

// Report is a delivery report (SMS-STATUS-REPORT, TS 23.040 §9.2.2.3; SMPP
// receipt; bounce).
type Report struct {
	// Key makes repeats harmless: an equal key is dropped, an empty one never is.
	Key      string `json:"key,omitempty"`
	Route    string `json:"route"`
	Identity string `json:"identity"`        // of the SIM or account it came to
	Ref      string `json:"ref"`             // TP-MR or message id, spelled as in Part.Ref
	To       string `json:"to,omitempty"`    // recipient as the network spells it; empty where the id alone decides
	ID       string `json:"id,omitempty"`    // our message id, where the route knows it (relay)
	Whole    bool   `json:"whole,omitempty"` // it speaks for every part with this Ref: the network cut the text itself
	// Strange: its Ref cannot be that of a part whose answer was lost, so it
	// settles none; it speaks of what somebody else sent from this SIM.
	Strange bool `json:"strange,omitempty"`
	// Exact: its Ref is long enough to name one part alone, so that To need not
	// agree. A TP-MR, which is one byte, never is.
	Exact bool        `json:"exact,omitempty"`
	Mark  int         `json:"mark,omitempty"`  // the Mark of its part, where the network has repeated it; 0: it has not
	Quote string      `json:"quote,omitempty"` // how the text it is about begins, where the network repeats that
	State ReportState `json:"state"`           //
	Code  string      `json:"code,omitempty"`  // the network's own code: "TP-ST 46", "stat:UNDELIV err:011"
	Why   string      `json:"why,omitempty"`   // its meaning in the network's words
	// Reason is the key of the plain text for a person: not_reached, refused …
	// Empty reads as refused where State is undelivered.
	Reason string    `json:"reason,omitempty"`
	Sent   time.Time `json:"sent,omitzero"` // the network's times, in a zone it may not tell: for display, never for order
	Done   time.Time `json:"done,omitzero"`
	Raw    string    `json:"raw,omitempty"` // hex of the PDU as it came
}

// Inbound is one message, or one part of one, that came in.
type Inbound struct {
	Key      string    `json:"key,omitempty"` // as in Report
	Route    string    `json:"route"`
	Identity string    `json:"identity"`
	From     string    `json:"from"`
	To       string    `json:"to,omitempty"`
	Text     string    `json:"text,omitempty"`
	Concat   *Concat   `json:"concat,omitempty"` // nil for a whole message
	Units    *Units    `json:"units,omitempty"`  // of a part, where the queue can read them
	Sent     time.Time `json:"sent,omitzero"`    // SMSC time stamp, for display
	Raw      string    `json:"raw,omitempty"`    // hex of the PDU as it came
	// Undecodable: Raw could not be read; Text holds the reason. It is kept
	// so that nothing is lost, and shown to a person.
	Undecodable bool `json:"undecodable,omitempty"`
}

// Concat says which part of which long message an Inbound is.
type Concat struct {
	Ref  int `json:"ref"`
	Bits int `json:"bits"` // width of Ref, 8 or 16: they are different key spaces
	Of   int `json:"of"`
	N    int `json:"n"` // from 1
}

// Units is the text of one part as it came. Some senders cut a long message
// inside a character, so that its halves can be read only together.
type Units struct {
	Alphabet string `json:"alphabet"`
	Shift    int    `json:"shift,omitempty"` // national tables, as in Outbound
	Locking  int    `json:"locking,omitempty"`
	Octets   string `json:"octets"` // hex of gsm7 septets, one an octet, or of ucs2
}

// State of a route.
type State string

const (
	Starting State = "starting" // connecting, or preparing the modem
	Ready    State = "ready"    // lanes may take
	Waiting  State = "waiting"  // will come back by itself: no network, throttled, recovering
	Hand     State = "hand"     // somebody must do something; Code says what
	Stopped  State = "stopped"  // Run has ended
)

// Status is the health of a route at one moment. Every change is published
// whole through Sink.Changed.
type Status struct {
	Route    string    `json:"route"`
	Kind     string    `json:"kind"` // modem | smpp | email
	State    State     `json:"state"`
	Since    time.Time `json:"since,omitzero"`
	Code     string    `json:"code,omitempty"`   // key of a plain text: sim_pin, modem_gone, no_signal …
	Detail   string    `json:"detail,omitempty"` // for the technician, in the peer's words
	Doing    string    `json:"doing,omitempty"`  // what it does this second, one or two words
	Identity string    `json:"identity,omitempty"`
	Lanes    int       `json:"lanes,omitempty"` // how many Sends at once; 0 reads as 1

	Port     string `json:"port,omitempty"`     // device or address in use
	Device   string `json:"device,omitempty"`   // IMEI, or the SMSC's system_id
	Model    string `json:"model,omitempty"`    // manufacturer and model
	Operator string `json:"operator,omitempty"` // network name
	Tech     string `json:"tech,omitempty"`     // GSM, UMTS, LTE
	Signal   *int   `json:"signal,omitempty"`   // dBm; nil while not known

	Care *Care `json:"care,omitempty"` // of a modem
}

// Restarter is a route that a person can restart.
type Restarter interface {
	Restart(ctx context.Context) error
}

// USSD is a route that can run a supplementary service code such as *100#.
// The answer is the network's text.
type USSD interface {
	USSD(ctx context.Context, code string) (string, error)
}

// PINEntry is a route whose SIM can be unlocked by a person. The route
// refuses a PIN that was tried before, and the last attempt.
type PINEntry interface {
	EnterPIN(ctx context.Context, pin string) error
}
