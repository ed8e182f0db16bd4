// Package reach is the JSON of /api/v1 for what causes messages: contacts,
// consents, templates, bookings, rules, campaigns and batches. It is to wire
// what outreach is to the queue: whoever only sends and looks does not need it.
//
// It promises what wire promises, and imports outreach for what that already
// spells in JSON.
package reach

import (
	"time"

	"tillpost/queue/outreach"
	"tillpost/webui/api/wire"
)

// What outreach already spells in JSON.
type (
	Contact      = outreach.Contact
	Consent      = outreach.Consent
	Exclusion    = outreach.Exclusion
	OptOut       = outreach.OptOut
	Imported     = outreach.Imported
	RowError     = outreach.RowError
	Audience     = outreach.Audience
	Condition    = outreach.Condition
	Policy       = outreach.Policy
	Proof        = outreach.Proof
	Notify       = outreach.Notify
	Throttle     = outreach.Throttle
	Rule         = outreach.Rule
	Trigger      = outreach.Trigger
	RuleRun      = outreach.Run
	Upcoming     = outreach.Upcoming
	Booked       = outreach.Booked
	Notice       = outreach.Notice
	Excluded     = outreach.Excluded
	ListRow      = outreach.Recipient
	Shown        = outreach.Shown
	Replaced     = outreach.Replaced
	Placeholder  = outreach.Placeholder
	Report       = outreach.Report
	Outcome      = outreach.Outcome
	Failure      = outreach.Failure
	StoredFields = outreach.Stored
)

// ContactImport is POST /contacts/import as JSON. As text/csv the options are
// query parameters of the same names.
type ContactImport struct {
	Contacts     []Contact         `json:"contacts,omitempty"`
	CSV          string            `json:"csv,omitempty"`            // instead: the file itself
	Mode         string            `json:"mode,omitempty"`           // update (default) | replace
	DryRun       bool              `json:"dry_run,omitempty"`        // only says what would happen
	AllOrNothing bool              `json:"all_or_nothing,omitempty"` // one bad row and nothing changes
	Columns      map[string]string `json:"columns,omitempty"`        // column of the file → field; "-" leaves it out
	How          string            `json:"how,omitempty"`            // where consents of the file come from
}

// Template is a stored template.
type Template struct {
	StoredFields
	SameAs []string `json:"same_as,omitempty"` // other templates with a text of this one
}

// BookingIn is PUT /bookings/{id}: what is known of it now. What a change
// leaves out stays.
type BookingIn struct {
	Version  int      `json:"version,omitempty"`  // counts up; an older one that comes late is ignored
	Contact  string   `json:"contact,omitempty"`  // id of a contact
	Customer *Contact `json:"customer,omitempty"` // or the contact itself, which is saved
	Event    string   `json:"event,omitempty"`    // booking that it belongs to
	Type     string   `json:"type,omitempty"`
	Status   string   `json:"status,omitempty"` // pending, confirmed (default), rejected, cancelled, moved

	Start string `json:"start,omitempty"` // RFC 3339, or the clock of the shop: 2026-12-04T14:30
	End   string `json:"end,omitempty"`
	Fold  int    `json:"fold,omitempty"` // of an hour that the autumn night has twice: 1 first, 2 second

	Service      string              `json:"service,omitempty"`
	Place        string              `json:"place,omitempty"`
	Staff        string              `json:"staff,omitempty"`
	Attributes   outreach.Attributes `json:"attributes,omitempty"`
	AutoReminder *bool               `json:"auto_reminder,omitempty"`
}

// Booking is one as it is kept.
type Booking = outreach.Booking

// When a campaign or batch begins; without any, at once.
type When struct {
	Now        bool   `json:"now,omitempty"`
	At         string `json:"at,omitempty"`          // RFC 3339, or the clock of the shop
	Event      string `json:"event,omitempty"`       // a booking whose times are followed when they change
	EventStart string `json:"event_start,omitempty"` // or its times as they are
	EventEnd   string `json:"event_end,omitempty"`
	Offset     string `json:"offset,omitempty"` // -PT3H before the start, PT2H after the end
	Zone       string `json:"tz,omitempty"`     // of clock times; default the shop's
	Fold       int    `json:"fold,omitempty"`
}

// CampaignIn is PUT /campaigns/{name}.
type CampaignIn struct {
	Template   string            `json:"template,omitempty"`    // a stored one
	Texts      map[string]string `json:"texts,omitempty"`       // or texts by language
	Subjects   map[string]string `json:"subjects,omitempty"`    // of those by e-mail
	CustomText string            `json:"custom_text,omitempty"` // fills # CUSTOMTEXT #
	Vars       wire.Vars         `json:"vars,omitempty"`        // the same for all
	Missing    string            `json:"missing,omitempty"`
	Defaults   wire.Vars         `json:"defaults,omitempty"`
	Encoding   string            `json:"encoding,omitempty"`
	MaxParts   int               `json:"max_parts,omitempty"`

	Class    string `json:"class,omitempty"` // marketing (default) | transactional
	Priority *int   `json:"priority,omitempty"`
	Channel  string `json:"channel,omitempty"` // sms (default) | email
	Pool     string `json:"pool,omitempty"`

	Audience   Audience `json:"audience,omitzero"`
	Consent    Policy   `json:"consent,omitzero"`
	When       When     `json:"when,omitzero"`
	Throttle   Throttle `json:"throttle,omitzero"`
	Dedupe     *bool    `json:"dedupe,omitempty"` // one message for each number; true if absent
	Notify     Notify   `json:"notify,omitzero"`
	ExternalID string   `json:"external_id,omitempty"`
}

// BatchIn is POST /batches.
type BatchIn struct {
	CampaignIn
	Recipients   []BatchRow `json:"recipients"`
	AllOrNothing bool       `json:"all_or_nothing,omitempty"`
}

// BatchRow is one recipient of a batch.
type BatchRow struct {
	To       string    `json:"to,omitempty"`
	Contact  string    `json:"contact,omitempty"` // or in place of a number
	Lang     string    `json:"lang,omitempty"`
	Ref      string    `json:"ref,omitempty"`
	Vars     wire.Vars `json:"vars,omitempty"`
	Consents []string  `json:"consents,omitempty"` // purposes this person agreed to, as the till knows
	Consent  *Proof    `json:"consent,omitempty"`  // or proof of it
}

// Estimate is when messages leave, as well as it is known.
type Estimate struct {
	FirstAt  *time.Time `json:"first_at"`
	LastAt   *time.Time `json:"eta_last"`          // null: no route is ready
	Within   bool       `json:"within_15_minutes"` // the promise of "now" holds
	Warnings []string   `json:"warnings"`
}

// Campaign is a campaign or batch and what became of it.
type Campaign struct {
	Name  string `json:"name"` // of a batch: its id
	Kind  string `json:"kind"` // campaign | batch | run
	State string `json:"state"`

	Template   string            `json:"template,omitempty"`
	Texts      map[string]string `json:"texts,omitempty"`
	Subjects   map[string]string `json:"subjects,omitempty"`
	Channel    string            `json:"channel"`
	Class      string            `json:"class"`
	Audience   Audience          `json:"audience,omitzero"`
	Consent    Policy            `json:"consent,omitzero"`
	Throttle   Throttle          `json:"throttle,omitzero"`
	ExternalID string            `json:"external_id,omitempty"`
	Till       string            `json:"till,omitempty"`
	By         string            `json:"by,omitempty"`

	Created time.Time  `json:"created"`
	Updated time.Time  `json:"updated"`
	Started *time.Time `json:"started"`
	Due     *time.Time `json:"due"` // when it begins
	Ended   *time.Time `json:"ended"`

	Recipients int            `json:"recipients"` // on the list
	Merged     int            `json:"merged"`     // rows that were one person's
	Excluded   []Excluded     `json:"excluded"`   // left out, and why
	Handed     int            `json:"handed"`     // given to the queue
	Refused    int            `json:"refused"`
	States     map[string]int `json:"states"` // recipients by state: waiting, refused, or that of their message
	Failures   []Failure      `json:"failures"`
}

// CampaignPreview is what a campaign comes to before anything is sent.
type CampaignPreview struct {
	Recipients int            `json:"recipients"`
	Merged     int            `json:"merged"`
	Excluded   []Excluded     `json:"excluded"`
	Refused    []Excluded     `json:"refused"` // on the list, and no text can be written for them
	Messages   int            `json:"messages"`
	Parts      int            `json:"parts"`
	ByParts    map[string]int `json:"by_parts"`
	UCS2       int            `json:"ucs2"`
	Total      []wire.Price   `json:"total"`
	Unpriced   int            `json:"unpriced"`
	Shortest   *Shown         `json:"shortest"`
	Longest    *Shown         `json:"longest"`
	First      []Shown        `json:"first"`
	Replaced   []Replaced     `json:"replaced"`
	Fields     []string       `json:"fields"`
	Unknown    []Placeholder  `json:"unknown"`
	Estimate
}

// CampaignTest is POST /campaigns/{name}/test.
type CampaignTest struct {
	To      string    `json:"to"`
	Contact string    `json:"contact,omitempty"` // whose values are shown; the first of the selection if absent
	Vars    wire.Vars `json:"vars,omitempty"`    // or sample values
}

// Started is the answer to a start and to a batch.
type Started struct {
	ID       string     `json:"id"` // of a batch; the name of a campaign
	Campaign Campaign   `json:"campaign"`
	Errors   []RowError `json:"errors"` // rows that get nothing
	Estimate
}
