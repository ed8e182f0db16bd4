package queue

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// ID names a message. The upper 40 bits count up, so that ids sort by age
// whatever the clock says; the lower 24 are random, so that an id cannot be
// guessed from another and a restored backup does not hand out old ids again.
// As text it is 13 characters of base32, the same order.
type ID uint64

// Crockford's alphabet: no I, L, O, U, so that an id can be read over a phone.
var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func (id ID) key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

func (id ID) String() string { return idText.EncodeToString(id.key()) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	b, err := idText.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, fmt.Errorf("%q is not a message id: it has 13 letters and digits, as the answer to the send call gave it", s)
	}
	return ID(binary.BigEndian.Uint64(b)), nil
}

func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// Class of a message: what the law and the order of the queue ask about it.
type Class string

const (
	Transactional Class = "transactional"
	Marketing     Class = "marketing"
)

// Channel is how a message reaches its reader.
type Channel string

const (
	SMS   Channel = "sms"
	Email Channel = "email"
)

// Policies for a message whose outcome is not known (contract.md).
const (
	OnUnknownHold   = "hold"   // a person or a report decides
	OnUnknownResend = "resend" // once, after a pause, never while its route is silent
)

// Policies for a long message of which only some parts left.
const (
	OnPartialWait    = "wait"    // for the identity that carried the first parts, until expires
	OnPartialRestart = "restart" // another route may start again at part one
)

// Message is the record of one message. It is written whole; State is
// assigned by State.On alone.
type Message struct {
	ID   ID     `json:"id"`
	Till string `json:"till,omitempty"` // the API client that sent it
	Ref  string `json:"ref,omitempty"`  // the till's own reference

	State State  `json:"state"`
	Why   Reason `json:"why,omitzero"` // why it waits, or how it ended

	Channel Channel `json:"channel,omitempty"` // empty reads as SMS
	// To is E.164 with plus, or a short code; by e-mail an address. Other is the
	// reader's address on the other channel, which the message may go on with
	// when this one fails (fallback.go); Fell says that it has.
	To      string `json:"to"`
	Other   string `json:"other,omitempty"`
	Fell    bool   `json:"fell,omitempty"`
	Country string `json:"country,omitempty"` // of the number, ISO 3166; empty for short codes
	From    string `json:"from,omitempty"`    // sender, where the route lets us choose
	Given   string `json:"given,omitempty"`   // the text as handed in, where it differs from what is sent
	Subject string `json:"subject,omitempty"` // of an e-mail; empty: how its text begins
	HTML    int    `json:"html,omitempty"`    // bytes of an e-mail's other form, kept beside it (mail.go)

	// The text as it is sent: cut once, when the message was accepted, so that
	// a part which left before a crash is the same part after it.
	Alphabet string `json:"alphabet"`
	Shift    int    `json:"shift,omitempty"`
	Locking  int    `json:"locking,omitempty"`
	RefBits  int    `json:"ref_bits,omitempty"`
	// An e-mail is one segment, whatever its length.
	Segments []route.Segment `json:"segments"`
	Changes  []Change        `json:"changes,omitempty"`

	// Price is what its parts cost by the tariff of the day it was accepted,
	// over the pool it then had. A second attempt may cost more.
	Price text.Price `json:"price,omitzero"`

	Class     Class  `json:"class"`
	Priority  int    `json:"priority"` // 0 to 3, 3 = urgent
	Report    bool   `json:"report,omitempty"`
	Flash     bool   `json:"flash,omitempty"`
	OnUnknown string `json:"on_unknown"`
	OnPartial string `json:"on_partial,omitempty"`
	Lang      string `json:"lang,omitempty"`

	// Who told us to send it: a campaign or rule by name (campaign/NAME), the
	// contact it is for, and the booking it is about.
	Source  string `json:"source,omitempty"`
	Contact string `json:"contact,omitempty"`
	Booking string `json:"booking,omitempty"`

	// Pool is where it waits; Asked says that the till named it, so that no
	// rule moves it. Pin, once a part has left, names the identity
	// that carried it: phones join parts by originator.
	Pool  string `json:"pool"`
	Asked bool   `json:"asked,omitempty"`
	Pin   string `json:"pin,omitempty"`

	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	At      time.Time `json:"at,omitzero"`      // not before
	Due     time.Time `json:"due,omitzero"`     // queued: when a lane may take it
	Expires time.Time `json:"expires"`          // ends every wait
	Wake    time.Time `json:"wake,omitzero"`    // when the timer has something to do with it
	Took    time.Time `json:"took,omitzero"`    // when the last attempt began
	Settled time.Time `json:"settled,omitzero"` // when the last attempt ended
	Misses  time.Time `json:"misses,omitzero"`  // when the row of Missed began

	Attempt int `json:"attempt,omitempty"` // times a lane took it; names the attempt
	Tried   int `json:"tried,omitempty"`   // attempts that count for the retry table
	Missed  int `json:"missed,omitempty"`  // times in a row not offered
	Resent  int `json:"resent,omitempty"`  // times the unknown policy or a person sent it again

	Route    string `json:"route,omitempty"`    // that carries it now, or did last
	Identity string `json:"identity,omitempty"` // of that route when it took it
	Charged  int    `json:"charged,omitempty"`  // parts counted against its quota by this attempt
	// Doubt is the route that blamed the number where the SIM may be at fault
	// (route.Error.Doubt), and when.
	Doubt     string    `json:"doubt,omitempty"`
	DoubtAt   time.Time `json:"doubt_at,omitzero"`
	ConcatRef int       `json:"concat_ref,omitempty"`
	Relayed   bool      `json:"relayed,omitempty"`
	Wiped     bool      `json:"wiped,omitempty"` // its text is gone, its time being over
	Parts     []Part    `json:"parts"`

	Events []uint64 `json:"events"` // its story, by number

	noted      []Event    // since it was read, for Noted
	force      bool       // Limits.Repeat does not hold it up
	tillLimits TillLimits // of the till that hands it in
	callback   string     // where to tell what becomes of it; kept beside it
	html       string     // as handed in, or as a lane needs it; kept beside it
	relative   bool       // Expires counts from its acceptance; see adrift
}

// Noted returns the events that were appended to its story by the call that
// returned m: for one just accepted, the whole of it.
func (m *Message) Noted() []Event { return m.noted }

// Change is one replacement made in the text so that it could be sent.
type Change struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Position int    `json:"position"` // in characters of the text as handed in, from 0
}

// PartState is what is known about one part.
type PartState string

const (
	PartWaiting     PartState = "waiting"
	PartSent        PartState = "sent"
	PartDelivered   PartState = "delivered"
	PartUndelivered PartState = "undelivered"
	PartUnknown     PartState = "unknown"
	PartRefused     PartState = "refused"
)

// Part is one part of a message and what became of it.
type Part struct {
	N        int       `json:"n"` // from 1
	State    PartState `json:"state"`
	Route    string    `json:"route,omitempty"`
	Identity string    `json:"identity,omitempty"`
	Ref      string    `json:"ref,omitempty"` // what a delivery report will name
	At       time.Time `json:"at,omitzero"`
	Code     string    `json:"code,omitempty"` // the network's last word on it
}

// Text is what the customer reads: all segments together.
func (m *Message) Text() string {
	n := 0
	for _, s := range m.Segments {
		n += len(s.Text)
	}
	b := make([]byte, 0, n)
	for _, s := range m.Segments {
		b = append(b, s.Text...)
	}
	return string(b)
}

// Until is when the wait that Why explains will end: zero once nothing is
// waited for.
func (m *Message) Until() time.Time {
	switch m.State {
	case Scheduled:
		return m.At
	case Queued:
		if m.Due.After(m.Updated) {
			return m.Due
		}
		return m.Expires
	case Held:
		return m.Wake
	case Sending:
		return m.Expires
	case Sent, Unknown:
		return m.Wake
	}
	return time.Time{}
}

// out reports whether any part has left or may have left.
func (m *Message) out() bool {
	for _, p := range m.Parts {
		if p.State != PartWaiting && p.State != PartRefused {
			return true
		}
	}
	return false
}

// left reports whether any part is known to have left.
func (m *Message) left() bool {
	for _, p := range m.Parts {
		switch p.State {
		case PartSent, PartDelivered, PartUndelivered:
			return true
		}
	}
	return false
}

// lane is the name under which it waits: its pool, or the identity it is
// pinned to.
func (m *Message) lane() string {
	if m.Pin != "" {
		return pinned(m.Pin)
	}
	return m.Pool
}

func pinned(identity string) string { return "@" + identity }

// Draft is what a till, a campaign or a file asks for. The zero value of each
// field reads as the default of contract.md.
type Draft struct {
	Till string // API client; for its own view and limits
	Ref  string

	To   string // any spelling the shop's country allows; by e-mail an address
	From string
	Text string

	Channel Channel // default SMS
	// Email is the reader's address beside a number in To. The message goes by
	// Channel, and by the other one if that fails (fallback.go).
	Email   string
	Subject string // of the e-mail; default how the text begins
	HTML    string // the e-mail's other form

	Class     Class         // default Transactional
	Priority  *int          // 0 to 3, default 1
	At        time.Time     // not before; default now
	Expires   time.Time     // default 72 hours after At
	Report    *bool         // default true
	Encoding  string        // smart (default), gsm7, ucs2, ascii; SMS only
	MaxParts  int           // default the limit of the box, never above it
	OnUnknown string        // default by class
	OnPartial string        // default wait
	Pool      string        // default by routing rules
	Flash     bool          //
	Lang      string        // en nl sv de
	Validity  time.Duration // alternative to Expires

	Source, Contact, Booking string // as in Message

	TillLimits TillLimits
	Force      bool   // send it though the same text went to this number just now
	Callback   string // address that is told what becomes of it; its owner has checked it
}
