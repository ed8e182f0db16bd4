// Package wire is the JSON of /api/v1: one Go type for each thing that goes in
// or comes out, used by both ends.
//
// It promises that a field, once named, keeps its name and meaning; fields are
// only added. It imports the seam for what that spells in JSON, and nothing
// else of the house: whoever only speaks to a box carries no queue.
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tillpost/queue/route"
)

// Send is POST /messages: one message, as a till asks for it. Absent fields
// have the defaults of the API description.
type Send struct {
	To   string `json:"to"`
	Text string `json:"text,omitempty"`

	Class     string `json:"class,omitempty"`    // transactional | marketing
	Priority  *int   `json:"priority,omitempty"` // 0 to 3, 3 = urgent; 1 if absent
	At        string `json:"at,omitempty"`       // RFC 3339; not before
	Expires   string `json:"expires,omitempty"`  // RFC 3339; ends every wait
	Report    *bool  `json:"report,omitempty"`   // ask for delivery reports; true if absent
	Encoding  string `json:"encoding,omitempty"` // smart | gsm7 | ucs2 | ascii
	MaxParts  int    `json:"max_parts,omitempty"`
	OnUnknown string `json:"on_unknown,omitempty"` // hold | resend
	OnPartial string `json:"on_partial,omitempty"` // wait | restart
	Ref       string `json:"ref,omitempty"`        // the till's own reference
	RefUnique bool   `json:"ref_unique,omitempty"` // the same ref gives the first answer again
	Pool      string `json:"pool,omitempty"`
	From      string `json:"from,omitempty"` // sender, where the route lets us choose
	Flash     bool   `json:"flash,omitempty"`
	Lang      string `json:"lang,omitempty"`    // en | nl | sv | de
	Channel   string `json:"channel,omitempty"` // sms | email
	Email     string `json:"email,omitempty"`   // the reader's address beside a number in to; "contact": the one that the contact has
	Force     bool   `json:"force,omitempty"`   // send it though the same text went to this number just now

	// Later belongs to parts of the house that this box may not have; such a
	// field is refused by its name, never dropped.
	Later
}

// Later holds the fields of Send that need contacts, templates, e-mail or
// webhooks.
type Later struct {
	Template string `json:"template,omitempty"`
	Vars     Vars   `json:"vars,omitempty"`
	Callback string `json:"callback,omitempty"`
	Contact  string `json:"contact,omitempty"`
	Event    string `json:"event,omitempty"`
	Subject  string `json:"subject,omitempty"`
	HTML     string `json:"html,omitempty"`

	Consents []string `json:"consents,omitempty"` // purposes the reader agreed to, as the till knows: class marketing needs marketing
	Consent  *Proof   `json:"consent,omitempty"`  // or proof of it
}

// Proof of consent that the caller holds.
type Proof struct {
	Given   bool      `json:"given"`
	Purpose string    `json:"purpose,omitempty"` // what for; absent: the one purpose that the call needs
	Source  string    `json:"source"`            // where it was given
	At      time.Time `json:"at"`
}

// Message is one message as anybody may see it who may see it at all.
type Message struct {
	ID      string     `json:"id"`
	State   State      `json:"state"`
	Reason  string     `json:"reason"`            // why it waits, or how it ended, in plain words
	Code    string     `json:"code"`              // the same for programs
	Until   *time.Time `json:"until"`             // when the wait that Reason explains ends; null: it waits for nothing
	Channel string     `json:"channel"`           // that it goes by now: sms | email
	To      string     `json:"to"`                //
	Other   string     `json:"other,omitempty"`   // the reader's address on the other channel
	From    string     `json:"from,omitempty"`    //
	Subject string     `json:"subject,omitempty"` // of an e-mail
	HTML    string     `json:"html,omitempty"`    // of an e-mail, where one message is asked for
	Text    string     `json:"text"`              // as it is sent
	Given   string     `json:"given,omitempty"`   // as it was handed in, where that differs

	Encoding string     `json:"encoding"` // gsm7 | ucs2 | utf-8
	Parts    []Part     `json:"parts"`
	Changes  []Change   `json:"changes"` // what was replaced so that it could be sent
	Price    *Price     `json:"price"`   // null while no tariff is known
	ETA      *time.Time `json:"eta"`     // when it should leave, by the pace of the routes now; null: that cannot be said

	Class    string     `json:"class"`
	Priority int        `json:"priority"`
	Till     string     `json:"till,omitempty"`
	Source   string     `json:"source,omitempty"`  // what told us to send it: campaign/NAME, batch/ID, rule/NAME
	Contact  string     `json:"contact,omitempty"` // whom it is for
	Event    string     `json:"event,omitempty"`   // the booking it is about
	Ref      string     `json:"ref"`
	Route    string     `json:"route,omitempty"` // that carries it, or did last
	Created  time.Time  `json:"created"`
	Updated  time.Time  `json:"updated"`
	Opened   *time.Time `json:"opened"` // e-mail only; null: not known

	Events []Event `json:"events"` // its whole story, oldest first
}

// Part is one short message of a message.
type Part struct {
	N     int    `json:"n"` // from 1
	State State  `json:"state"`
	Route string `json:"route"`
	Ref   string `json:"ref"` // the network's number for it
	Text  string `json:"text"`
	Units int    `json:"units"` // septets for gsm7, UTF-16 units for ucs2, without the header
}

// State of a message or of a part of one, as the contract spells it: scheduled,
// queued, held, sending, sent, delivered, undelivered, failed, expired,
// cancelled, unknown; a part may also be waiting or refused.
type State string

// Event is one thing that happened. It holds ids and codes, never numbers,
// names or texts.
type Event struct {
	Seq   uint64    `json:"seq"` // counts up by one
	At    time.Time `json:"at"`
	Kind  string    `json:"kind"`
	Msg   string    `json:"msg,omitempty"`   // id of the message it is about
	State State     `json:"state,omitempty"` // of the message after it

	Attempt  int       `json:"attempt,omitempty"`
	Part     int       `json:"part,omitempty"`
	Route    string    `json:"route,omitempty"`
	Identity string    `json:"identity,omitempty"`
	Ref      string    `json:"ref,omitempty"`
	Code     string    `json:"code,omitempty"` // the peer's own, or ours for programs
	Detail   string    `json:"detail,omitempty"`
	By       string    `json:"by,omitempty"` // person or till that decided
	Until    time.Time `json:"until,omitzero"`
}

// Change is one replacement in a text.
type Change struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Position int    `json:"position"` // in characters of the text as handed in, from 0
}

// Price is an amount in a currency, as a decimal string.
type Price struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Page is one page of a list, newest first.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"` // hand it back as "after"; empty: that was all
}

// Compose is POST /preview: Text, or Template with Recipients.
type Compose struct {
	Channel    string      `json:"channel,omitempty"` // sms | email
	Subject    string      `json:"subject,omitempty"`
	HTML       string      `json:"html,omitempty"`
	Text       string      `json:"text,omitempty"`
	To         string      `json:"to,omitempty"`       // checked if present, and what the price is for
	Template   string      `json:"template,omitempty"` // a text with placeholders
	Recipients []Recipient `json:"recipients,omitempty"`

	Missing  string `json:"missing,omitempty"`  // refuse | default | leave_out: a recipient without a value
	Defaults Vars   `json:"defaults,omitempty"` // for missing = default
	First    *int   `json:"first,omitempty"`    // recipients to show the whole text of; 10 if absent

	Encoding string `json:"encoding,omitempty"`
	MaxParts int    `json:"max_parts,omitempty"`
	Class    string `json:"class,omitempty"`
	Pool     string `json:"pool,omitempty"`
	Lang     string `json:"lang,omitempty"` // of the text, and of recipients who name none
}

// Recipient is one row for a template.
type Recipient struct {
	To   string `json:"to"`
	Lang string `json:"lang,omitempty"`
	Vars Vars   `json:"vars,omitempty"`
}

// Vars are values by name. In JSON a number reads as it is written, and null
// as no value.
type Vars map[string]string

// UnmarshalJSON reads values.
func (v *Vars) UnmarshalJSON(raw []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return errors.New("vars must be an object in braces, with a text for each name")
	}
	*v = make(Vars, len(given))
	for name, value := range given {
		switch c := value[0]; {
		case c == '"':
			var s string
			if err := json.Unmarshal(value, &s); err != nil {
				return fmt.Errorf("the value of %q: %w", name, err)
			}
			(*v)[name] = s
		case c == '-' || c >= '0' && c <= '9':
			(*v)[name] = string(value)
		case c == 'n': // null
		default:
			return fmt.Errorf("the value of %q must be a text in quotes or a number, as the customer is to read it", name)
		}
	}
	return nil
}

// Preview says what would be sent for a text, and what it costs.
type Preview struct {
	Channel  string    `json:"channel"`
	To       string    `json:"to,omitempty"`      // as it would be dialled, or the address
	Subject  string    `json:"subject,omitempty"` // of an e-mail
	Bytes    int       `json:"bytes,omitempty"`   // of an e-mail's text and HTML
	Text     string    `json:"text"`
	Encoding string    `json:"encoding"`
	Parts    []Segment `json:"parts"`
	Units    int       `json:"units"` // of all parts
	Room     int       `json:"room"`  // units one part holds
	Left     int       `json:"left"`  // units free in the last part
	Changes  []Change  `json:"changes"`
	Culprits []Culprit `json:"culprits"` // characters that keep the text out of the short alphabet
	Instead  *Instead  `json:"instead"`  // what the text would cost without them; null: nothing to save
	Price    *Price    `json:"price"`    // null while no tariff is known
	Country  string    `json:"country"`  // of the number, or without one of the shop: what the price is for
	Refused  *Refusal  `json:"refused"`  // why it would not be accepted as it is; null: it would
}

// Refusal is why something would not be accepted.
type Refusal struct {
	Rows   []int  `json:"rows,omitempty"` // recipients that it is about, from 1
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Selection says what a template comes to over its recipients.
type Selection struct {
	Recipients int `json:"recipients"` // rows given
	Messages   int `json:"messages"`   // that would be sent
	Refused    int `json:"refused"`    // rows that get none

	Parts    int       `json:"parts"`    // of all messages
	ByParts  []ByParts `json:"by_parts"` // few first
	UCS2     int       `json:"ucs2"`     // messages outside the short alphabet
	Total    []Price   `json:"total"`    // by currency; empty while no tariff is known
	Unpriced int       `json:"unpriced"` // messages whose price is not known

	Shortest *Rendering  `json:"shortest"` // null: nothing would be sent
	Longest  *Rendering  `json:"longest"`
	First    []Rendering `json:"first"` // of those that would be sent

	Fields   []string      `json:"fields"`   // names that the template uses
	Unknown  []Placeholder `json:"unknown"`  // that no recipient has a value for: nothing is sent
	Refusals []Refusal     `json:"refusals"` // every refused row, by reason
}

// ByParts counts the messages that need so many parts.
type ByParts struct {
	Parts    int `json:"parts"`
	Messages int `json:"messages"`
}

// Rendering is a template as one recipient would read it.
type Rendering struct {
	Row int `json:"row"` // from 1
	Preview
}

// Placeholder is one place of a template that a value fills.
type Placeholder struct {
	As       string `json:"as"`       // as it is written: [VERFALLDATUM]
	Name     string `json:"name"`     // folded: verfalldatum
	Position int    `json:"position"` // in characters of the template, from 0
}

// Segment is one part of a previewed text.
type Segment struct {
	Text  string `json:"text"`
	Units int    `json:"units"`
}

// Culprit is a character that makes a text expensive.
type Culprit struct {
	Char      string `json:"char"`
	Positions []int  `json:"positions"` // in characters from 0, in the text as given
	Use       string `json:"use"`       // what could stand there; empty: nothing
	Saves     int    `json:"saves"`     // parts saved if it gave way
}

// Instead is a cheaper spelling of a text.
type Instead struct {
	Text  string `json:"text"`
	Parts int    `json:"parts"`
}

// Settle is POST /messages/{id}/settle: what a person knows about a message
// whose outcome the box does not know.
type Settle struct {
	State State `json:"state"` // sent | delivered | failed | queued
}

// Route is one way out and its health.
type Route struct {
	Name     string      `json:"name"`
	Kind     string      `json:"kind"` // modem | smpp | email
	Pool     string      `json:"pool"`
	State    route.State `json:"state"`
	Paused   bool        `json:"paused"`
	Busy     int         `json:"busy"` // messages in its hands this second
	Lanes    int         `json:"lanes"`
	Code     string      `json:"code"`   // what is the matter, for programs
	Reason   string      `json:"reason"` // the same in plain words
	Detail   string      `json:"detail,omitempty"`
	Doing    string      `json:"doing,omitempty"`
	Since    *time.Time  `json:"since"`
	Identity string      `json:"identity,omitempty"` // ICCID, or SMPP account and sender
	Port     string      `json:"port,omitempty"`
	Device   string      `json:"device,omitempty"`
	Model    string      `json:"model,omitempty"`
	Operator string      `json:"operator,omitempty"`
	Tech     string      `json:"tech,omitempty"`
	Signal   *int        `json:"signal"` // dBm; null: not known
	Limits   []Limit     `json:"limits"` // none: nothing is limited
	Care     *route.Care `json:"care,omitempty"`
}

// Limit is what a route may still carry.
type Limit struct {
	Of    string     `json:"of"` // parts_per_minute | parts_per_hour | parts_per_day | recipients_per_month
	Left  int        `json:"left"`
	Limit int        `json:"limit"`
	Until *time.Time `json:"until"` // when the count begins anew
}

// Findings is the answer to POST /routes/{name}/examine: sentences, none of
// which is good news.
type Findings struct {
	Findings []string `json:"findings"`
}

// USSD is POST /routes/{name}/ussd: a service code such as *100#, or the
// answer to a question the network asked.
type USSD struct {
	Code string `json:"code"`
}

// USSDAnswer is what the network said.
type USSDAnswer struct {
	Text string `json:"text"`
}

// PIN is POST /routes/{name}/pin.
type PIN struct {
	PIN string `json:"pin"`
}

// NewKey is POST /keys.
type NewKey struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`

	CallbackHosts []string `json:"callback_hosts,omitempty"` // that it may name in callback: software.example, *.software.example, 192.168.1.20:8000
	PerHour       int      `json:"per_hour,omitempty"`       // messages it may send; 0: no limit
	PerDay        int      `json:"per_day,omitempty"`        // the same in a day of the shop
}

// Key is one till's key. Key itself is there only in the answer that made it.
type Key struct {
	Name   string   `json:"name"`
	Key    string   `json:"key,omitempty"`
	Scopes []string `json:"scopes"`

	CallbackHosts []string `json:"callback_hosts"`
	PerHour       int      `json:"per_hour,omitempty"`
	PerDay        int      `json:"per_day,omitempty"`

	Created time.Time `json:"created"`
	By      string    `json:"by,omitempty"`
}

// Where a setting comes from.
const (
	OriginDefault = "default" // the box came so
	OriginFile    = "file"    // the boot file says it, and wins
	OriginStore   = "store"   // it was set by wizard, page or API
)

// Setting is one setting of the box, as it is in force.
type Setting struct {
	Key    string `json:"key"` // as in the boot file: limits.max_parts
	Value  any    `json:"value"`
	Origin string `json:"origin"` // default | file | store
	Fixed  bool   `json:"fixed"`  // it can be changed in the boot file only
}

// SettingsChanged is the answer to PUT /settings.
type SettingsChanged struct {
	Keys    []string `json:"keys"`
	Restart bool     `json:"restart"` // the box begins anew with them, in a moment
}

// Webhook is PUT /webhooks/{name}, and how it fares. Of what goes in only URL
// is needed.
type Webhook struct {
	Name   string   `json:"name"`
	URL    string   `json:"url"`
	Kinds  []string `json:"kinds"`            // of the events it wants; empty: all
	Text   bool     `json:"text"`             // calls hold the texts of messages
	Pin    string   `json:"pin,omitempty"`    // SHA-256 of the server's certificate; empty: a public authority vouches for it
	Secret string   `json:"secret,omitempty"` // signs the calls; shown when the box has made it
	Off    bool     `json:"off"`

	Created time.Time  `json:"created"`
	By      string     `json:"by,omitempty"`
	Cursor  uint64     `json:"cursor"`            // the last event that was told, or was not wanted
	Behind  uint64     `json:"behind"`            // events since then
	Told    *time.Time `json:"told"`              // when a call was last taken
	Tries   int        `json:"tries"`             // in vain, in a row
	Due     *time.Time `json:"due"`               // of the next try
	Error   string     `json:"error,omitempty"`   // why the last one was in vain
	Stopped bool       `json:"stopped,omitempty"` // nothing is tried until it is set or replayed
	Skipped int        `json:"skipped,omitempty"` // events that the other side would not take
}

// NewWebhook is what PUT /webhooks/{name} reads.
type NewWebhook struct {
	URL    string   `json:"url"`
	Kinds  []string `json:"kinds,omitempty"`
	Text   bool     `json:"text,omitempty"`
	Pin    string   `json:"pin,omitempty"`
	Secret string   `json:"secret,omitempty"`
	Off    bool     `json:"off,omitempty"`
}

// Replay is POST /webhooks/{name}/replay.
type Replay struct {
	After *uint64 `json:"after,omitempty"` // tell everything after this event once more; absent: go on where it stands
}

// WebhookTest is what came of POST /webhooks/{name}/test.
type WebhookTest struct {
	OK     bool   `json:"ok"`
	Status int    `json:"status"` // of the answer; 0: there was none
	Millis int64  `json:"millis"`
	Error  string `json:"error,omitempty"`
	Answer string `json:"answer,omitempty"` // how it begins
}

// HookCall is what a webhook, or a callback of a message, is sent.
type HookCall struct {
	Box     string   `json:"box"`
	Hook    string   `json:"hook,omitempty"` // empty: the callback of a message
	Event   Event    `json:"event"`
	Message *Message `json:"message,omitempty"` // as it is now, where the event is about one
	Inbound *Inbound `json:"inbound,omitempty"` // the same of one that came in
	Outcome any      `json:"outcome,omitempty"` // a reach.Outcome, where the event ends a campaign or a rule's run
}

// Happened is GET /events, and each message of the websocket /live.
type Happened struct {
	Items []Event `json:"items"` // oldest first
	Next  string  `json:"next"`  // hand it back as "after"; empty: that was all
	Last  uint64  `json:"last"`  // the newest event there is
}

// Inbound is one message that came in, put together from its parts.
type Inbound struct {
	ID          string        `json:"id"`
	From        string        `json:"from"`
	To          string        `json:"to,omitempty"`
	Text        string        `json:"text"`
	Route       string        `json:"route"`
	Identity    string        `json:"identity"`
	Received    time.Time     `json:"received"`
	Parts       []InboundPart `json:"parts"`
	Of          int           `json:"of"`               // parts it has
	Missing     []int         `json:"missing"`          // those that have not come
	Reply       string        `json:"reply,omitempty"`  // the message it seems to answer
	Action      string        `json:"action,omitempty"` // what its words mean
	By          string        `json:"by,omitempty"`     // who decided that
	Undecodable bool          `json:"undecodable,omitempty"`
}

// InboundPart is one part of it as it came.
type InboundPart struct {
	N    int       `json:"n"`
	At   time.Time `json:"at"`
	Sent time.Time `json:"sent,omitzero"` // the SMSC's time stamp, for display
	Text string    `json:"text"`
	Raw  string    `json:"raw,omitempty"`
	Ref  int       `json:"ref,omitempty"`
	Bits int       `json:"bits,omitempty"`
}

// Health is GET /healthz with a key.
type Health struct {
	Status string `json:"status"` // ok | degraded | down
	Lamp   string `json:"lamp"`   // ok | info | warn | stop
	Code   string `json:"code"`
	Reason string `json:"reason"` // plain words
}

// Status is GET /status: what the operator sees first.
type Status struct {
	Health
	Version  string    `json:"version"`
	Box      string    `json:"box"` // this installation
	Now      time.Time `json:"now"`
	Clock    Clock     `json:"clock"`
	Started  time.Time `json:"started"`
	Waiting  Counts    `json:"waiting"`
	Routes   []Route   `json:"routes"`
	LastSeq  uint64    `json:"last_event"`
	Commits  int64     `json:"commits"`
	SetUp    string    `json:"setup_code,omitempty"` // over the socket, until a password is set
	Password bool      `json:"password"`             // one is set
}

// Counts of what is alive.
type Counts struct {
	Scheduled int64 `json:"scheduled"`
	Queued    int64 `json:"queued"`
	Held      int64 `json:"held"`
	Sending   int64 `json:"sending"`
	Unknown   int64 `json:"unknown"`
	Awaiting  int64 `json:"awaiting"` // sent, and a report may still come
}

// Clock says how the box knows the time.
type Clock struct {
	Quality string     `json:"quality"` // unset | assumed | network | synced
	Source  string     `json:"source"`  // who told it: "system", or the modem by name; empty: nobody
	Offset  int64      `json:"offset"`  // seconds that the box's time is ahead of the system's
	Floor   *time.Time `json:"floor"`   // the last time that a time server vouched for; null: none yet
}

// Person is POST /erase and POST /export: whom it is about.
type Person struct {
	Number string `json:"number"`
}

// Erased is the answer to POST /erase.
type Erased struct {
	Messages int `json:"messages"`
	Inbound  int `json:"inbound"`
	Answers  int `json:"answers"`   // kept for tills that repeat a request
	InFlight int `json:"in_flight"` // still being sent: forgotten by itself when that has ended
}

// About is all that is kept about one number.
type About struct {
	Number   string     `json:"number"`
	Messages []Message  `json:"messages"`
	Inbound  []Inbound  `json:"inbound"`
	OptedOut *time.Time `json:"opted_out"`        // since when it wants no advertising; null: it may be sent to
	Others   any        `json:"others,omitempty"` // contacts, consents and the like
}

// Check is GET /check.
type Check struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"`
}

// Problem is every error of the API (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`            // for programs
	Detail string `json:"detail"`          // for people: what is wrong and what to do
	Field  string `json:"field,omitempty"` // the field of the request it is about
	First  uint64 `json:"first,omitempty"` // 410: the first event still held

	RetryAfter time.Duration `json:"-"` // the header of that name
}

func (p *Problem) Error() string {
	if p.Field != "" {
		return fmt.Sprintf("%s: %s", p.Field, p.Detail)
	}
	return p.Detail
}
