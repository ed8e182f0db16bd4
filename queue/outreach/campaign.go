package outreach

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Campaign is one text to many: to an audience of the register, to a list that
// was handed over (a batch), or to whom a rule found on a day (a run).
type Campaign struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`

	// What is said: a stored template, or texts by language.
	Template   string            `json:"template,omitempty"`
	Texts      map[string]string `json:"texts,omitempty"`
	Subjects   map[string]string `json:"subjects,omitempty"`    // of e-mail, with texts
	CustomText string            `json:"custom_text,omitempty"` // fills # CUSTOMTEXT #
	Vars       map[string]string `json:"vars,omitempty"`        // the same for all
	Missing    Missing           `json:"missing,omitempty"`     // with texts; a template says its own
	Defaults   map[string]string `json:"defaults,omitempty"`
	Encoding   string            `json:"encoding,omitempty"`
	MaxParts   int               `json:"max_parts,omitempty"`

	Channel  string      `json:"channel,omitempty"`
	Class    queue.Class `json:"class,omitempty"` // default marketing: a list is advertising until its owner says otherwise
	Priority *int        `json:"priority,omitempty"`
	Pool     string      `json:"pool,omitempty"`

	Audience Audience `json:"audience,omitzero"`
	Listed   int      `json:"listed,omitempty"` // instead: rows of a list that it brought (PutList)

	Consent  Policy   `json:"consent,omitzero"`
	When     When     `json:"when,omitzero"`
	Throttle Throttle `json:"throttle,omitzero"`
	Dedupe   *bool    `json:"dedupe,omitempty"` // one message for each number; default true
	Notify   Notify   `json:"notify,omitzero"`

	ExternalID string `json:"external_id,omitempty"` // of the caller
	Till       string `json:"till,omitempty"`

	// Limits are those of the till's key: a batch is no way around them.
	Limits queue.TillLimits `json:"limits,omitzero"`

	By string `json:"by,omitempty"`

	State   CampaignState `json:"state"`
	Created time.Time     `json:"created,omitzero"`
	Updated time.Time     `json:"updated,omitzero"`
	Started time.Time     `json:"started,omitzero"`
	Due     time.Time     `json:"due,omitzero"`   // when it begins
	Until   time.Time     `json:"until,omitzero"` // after this it is pointless: its event has begun
	Ended   time.Time     `json:"ended,omitzero"`

	Recipients int        `json:"recipients"` // on the list
	Merged     int        `json:"merged"`     // rows that were one person's
	Excluded   []Excluded `json:"excluded,omitempty"`
	Handed     int        `json:"handed"`          // given to the queue
	Parts      int        `json:"parts,omitempty"` // of those
	Cost       text.Total `json:"cost,omitempty"`  // of those
	Refused    int        `json:"refused"`         // could not be: why is in the list

	Rule string `json:"rule,omitempty"` // of a run
	Day  string `json:"day,omitempty"`

	Report *Report `json:"report,omitempty"` // in the end

	Frozen  *Stored   `json:"frozen,omitempty"` // the text as it was when it started
	Pages   int       `json:"pages,omitempty"`
	Page    int       `json:"page,omitempty"` // the next recipient: page and place
	Place   int       `json:"place,omitempty"`
	Back    int       `json:"back,omitempty"`  // pages taken back while it moves or stops
	Kept    bool      `json:"kept,omitempty"`  // moving: a person paused it, and it stays so
	Burst   int       `json:"burst,omitempty"` // handed over since the last pause
	Next    time.Time `json:"next,omitzero"`   // not before
	HandedT time.Time `json:"handed_at,omitzero"`
}

// Kind of a campaign.
type Kind string

const (
	KindCampaign Kind = "campaign"
	KindBatch    Kind = "batch"
	KindRun      Kind = "run"
)

// CampaignState is where a campaign stands.
type CampaignState string

const (
	CampaignDraft    CampaignState = "draft"    // can be changed
	CampaignWaiting  CampaignState = "waiting"  // for its time
	CampaignRunning  CampaignState = "running"  // its messages are handed to the queue
	CampaignHanded   CampaignState = "handed"   // all are; some have not left yet
	CampaignPaused   CampaignState = "paused"   // by a person
	CampaignResuming CampaignState = "resuming" // what was held is let go
	CampaignMoving   CampaignState = "moving"   // its event was moved: what has not left is taken back, then it waits again or stays paused
	CampaignStopping CampaignState = "stopping" //
	CampaignStopped  CampaignState = "stopped"  // what had not left never will
	CampaignDone     CampaignState = "done"
)

// active: the scheduler has something to do with it.
func (s CampaignState) active() bool {
	switch s {
	case CampaignDraft, CampaignPaused, CampaignStopped, CampaignDone, "":
		return false
	}
	return true
}

// Throttle slows a campaign, inside what its routes carry (field-notes §4.3: X,
// Y and Z).
type Throttle struct {
	Burst int     `json:"burst,omitempty"`         // after so many messages …
	Pause float64 `json:"burst_pause_s,omitempty"` // … so many seconds of pause
	Gap   float64 `json:"gap_s,omitempty"`         // seconds between two messages
}

// When a campaign begins. Exactly one of Now, At and Offset.
type When struct {
	Now        bool      `json:"now,omitempty"`
	At         time.Time `json:"at,omitzero"`
	Event      string    `json:"event,omitempty"`      // a booking; its start and end are followed when they change
	EventStart time.Time `json:"event_start,omitzero"` // or its times as they are now
	EventEnd   time.Time `json:"event_end,omitzero"`   //
	Offset     Span      `json:"offset,omitzero"`      // -PT3H before the start, PT2H after the end
}

const (
	// grace: what was due so short a time ago is sent now (field-notes §4.1).
	grace = 15 * time.Minute
	// promise: "now" means that the first message leaves within this time.
	promise = 15 * time.Minute

	pageSize      = 100    // recipients in one row
	maxBatch      = 10_000 // rows of a batch
	maxAhead      = 2 * 366 * 24 * time.Hour
	maxThrottle   = 24 * 3600
	maxCustomText = 4000
)

// Recipient is one row of a list, and what became of it.
type Recipient struct {
	Row      int               `json:"row,omitempty"` // of the list, from 1, or line of the file
	Contact  string            `json:"contact,omitempty"`
	Booking  string            `json:"booking,omitempty"`
	Occasion string            `json:"occasion,omitempty"` // of a run
	To       string            `json:"to,omitempty"`
	Lang     string            `json:"lang,omitempty"`
	Ref      string            `json:"ref,omitempty"`
	Vars     map[string]string `json:"vars,omitempty"`
	Consents []string          `json:"consents,omitempty"`
	Proof    *Proof            `json:"consent,omitempty"`
	Bad      string            `json:"-"` // the row of a file cannot be read: why

	Msg   queue.ID    `json:"msg,omitzero"`
	State queue.State `json:"state,omitempty"` // once it is final
	Why   string      `json:"why,omitempty"`   // it got no message: why
}

// sheet is a page of the list.
type sheet struct {
	Campaign string      `json:"campaign"`
	Page     int         `json:"page"`
	Settled  bool        `json:"settled,omitempty"` // nothing more happens to any of them
	List     []Recipient `json:"list"`
}

// normalCampaign checks a campaign by itself and completes it. Its error is a
// *queue.Invalid.
func (o *Outreach) normalCampaign(c *Campaign) error {
	if c.Kind != KindBatch {
		if err := checkName("name", c.Name); err != nil {
			return err
		}
	}
	c.Channel = cmp.Or(c.Channel, SMS)
	c.Class = cmp.Or(c.Class, queue.Marketing)
	switch {
	case c.Template != "" && len(c.Texts) > 0:
		return invalid("texts", "one_of_two", "template and texts are two ways to say one thing. Send one of them")
	case c.Template == "" && len(c.Texts) == 0:
		return invalid("template", "text_missing", "there is nothing to say. Name a template, or send texts by language: {\"nl\": \"…\"}")
	case len(c.Subjects) > 0 && (c.Template != "" || c.Channel != Email):
		return invalid("subjects", "field_not_here", "subjects belong to texts that go by e-mail. A template has its own: leave them out")
	case c.Template != "" && (c.Missing != "" || len(c.Defaults) > 0):
		return invalid("missing", "field_not_here", "the template %s says itself what is done without a value. Leave missing and defaults out", c.Template)
	case c.Class != queue.Marketing && c.Class != queue.Transactional:
		return invalid("class", "unknown_value", "%q is not known here. Use transactional or marketing", c.Class)
	case c.Priority != nil && (*c.Priority < 0 || *c.Priority > 3):
		return invalid("priority", "out_of_range", "%d is not a priority. Use 0 (last) to 3 (urgent)", *c.Priority)
	case len(c.CustomText) > maxCustomText:
		return invalid("custom_text", "too_long", "custom_text has more than %d bytes. Shorten it", maxCustomText)
	case c.Listed > 0 && !c.Audience.IsZero():
		return invalid("audience", "one_of_two", "an audience and a list of its own are two ways to say whom it is for. Leave one of them out")
	case c.Kind == KindCampaign && c.Audience.IsZero() && c.Listed == 0:
		return invalid("audience", "audience_missing", "say whom it is for in audience, or everybody: true if that is meant")
	}
	if _, err := NewVars(c.Vars); err != nil {
		return err
	}
	if err := c.Throttle.check(); err != nil {
		return err
	}
	if err := c.Audience.check("audience"); err != nil {
		return err
	}
	if err := c.When.check(); err != nil {
		return err
	}
	var err error
	if c.Consent, err = o.policy(c.Consent, c.Class); err != nil {
		return err
	}
	return o.checkWay(c.Channel, &c.Notify)
}

func (t *Throttle) check() error {
	switch {
	case t.Burst < 0 || t.Pause < 0 || t.Gap < 0 || t.Pause > maxThrottle || t.Gap > maxThrottle:
		return invalid("throttle", "out_of_range", "burst, burst_pause_s and gap_s are 0 or more, and pauses at most a day")
	case t.Burst == 0 && t.Pause > 0:
		return invalid("throttle.burst", "field_missing", "burst_pause_s is a pause after how many messages? Send burst, too")
	}
	return nil
}

func (w *When) check() error {
	ways := 0
	for _, on := range []bool{w.Now, !w.At.IsZero(), !w.Offset.IsZero()} {
		if on {
			ways++
		}
	}
	related := w.Event != "" || !w.EventStart.IsZero() || !w.EventEnd.IsZero()
	switch {
	case ways > 1:
		return invalid("when", "one_of_two", "now, at and offset are three ways to say when. Send one of them")
	case related && w.Offset.IsZero():
		return invalid("when.offset", "field_missing", "how long before or after the event? Send offset: -PT3H is three hours before its start, PT2H two hours after its end")
	case !related && !w.Offset.IsZero():
		return invalid("when.event", "field_missing", "before or after what? Send event, the id of a booking, or event_start and event_end")
	case w.Event != "" && (!w.EventStart.IsZero() || !w.EventEnd.IsZero()):
		return invalid("when.event_start", "one_of_two", "event names a booking that has its times. Leave event_start and event_end out, or event")
	case !w.EventEnd.IsZero() && !w.EventStart.IsZero() && w.EventEnd.Before(w.EventStart):
		return invalid("when.event_end", "ends_before_start", "the event ends at %s, before it starts at %s. Correct one of them", w.EventEnd.Format(time.RFC3339), w.EventStart.Format(time.RFC3339))
	case w.Offset.Before() && w.Event == "" && w.EventStart.IsZero() && related:
		return invalid("when.event_start", "field_missing", "an offset before the event counts from its start. Send event_start")
	}
	return nil
}

// due is when it begins, and until when it makes sense. b is the event, if it
// names one.
func (w *When) due(b *Booking, now time.Time, zone *time.Location) (due, until time.Time, err error) {
	start, end := w.EventStart, w.EventEnd
	if b != nil {
		if b.Status.over() {
			return due, until, invalid("when.event", "event_over", "the event %s is %s, so nothing is sent about it", b.ID, b.Status)
		}
		start, end = b.Start, b.End
	}
	switch {
	case !w.At.IsZero():
		due = w.At
	case w.Offset.Before():
		due, until = w.Offset.From(start, zone), start
	case !w.Offset.IsZero():
		if end.IsZero() {
			end = start
		}
		due = w.Offset.From(end, zone)
	default:
		return now, time.Time{}, nil
	}
	switch {
	case due.After(now.Add(maxAhead)):
		return due, until, invalid("when", "too_far", "%s lies more than two years ahead. Correct the year, or start it later", due.In(zone).Format("2006-01-02 15:04"))
	case now.Sub(due) > grace:
		return due, until, invalid("when", "in_the_past", "it should have begun at %s, %s ago. Choose a time to come, or now: true", due.In(zone).Format("2006-01-02 15:04"), now.Sub(due).Round(time.Minute))
	case due.Before(now):
		due = now
	}
	return due, until, nil
}

// text is what a campaign says, as a template.
func (c *Campaign) text(tx *store.Tx) (*Stored, error) {
	if c.Template == "" {
		t := &Stored{Name: "text", Texts: map[string]map[string]string{c.Channel: c.Texts}, Subjects: c.Subjects, Missing: c.Missing, Defaults: c.Defaults, Encoding: c.Encoding, MaxParts: c.MaxParts}
		return t, nil
	}
	t, err := templates.Get(tx, store.Str(c.Template))
	if err != nil {
		return nil, err
	}
	switch {
	case t == nil:
		return nil, invalid("template", "template_unknown", "there is no template %q. Save it first", c.Template)
	case t.Draft:
		return nil, invalid("template", "template_draft", "the template %s is a draft. Save it without draft when it is finished", t.Name)
	}
	t.Encoding = cmp.Or(c.Encoding, t.Encoding)
	if c.MaxParts > 0 {
		t.MaxParts = c.MaxParts
	}
	return t, nil
}

// shared are the values that all recipients have.
func (c *Campaign) shared() Vars {
	v, _ := NewVars(c.Vars) // was checked
	if c.CustomText != "" {
		v["customtext"] = c.CustomText
	}
	return v
}

// PutCampaign saves a draft, or changes one. With Listed it keeps the list that
// the draft has. Error: *queue.Invalid.
func (o *Outreach) PutCampaign(ctx context.Context, c Campaign, by string) (*Campaign, error) {
	return o.putCampaign(ctx, c, nil, by)
}

func (o *Outreach) putCampaign(ctx context.Context, c Campaign, list []Recipient, by string) (*Campaign, error) {
	c.Kind = KindCampaign
	if err := o.normalCampaign(&c); err != nil {
		return nil, err
	}
	given := c
	err := o.commit(ctx, func(tx *store.Tx) error {
		c = given
		was, err := campaigns.Get(tx, c.key())
		if err != nil {
			return err
		}
		if was != nil && (was.Kind != KindCampaign || was.State != CampaignDraft) {
			return invalid("name", "not_a_draft", "%s is %s, and only a draft can be changed. Choose another name for a new one", c.Name, was.State)
		}
		t, err := c.text(tx)
		if err != nil {
			return err
		}
		if err := o.checkTexts(t, c.Channel); err != nil {
			return err
		}
		now := o.q.Now()
		if _, _, err := o.dueOf(tx, &c, now); err != nil {
			return err
		}
		c.State, c.By, c.Created, c.Updated = CampaignDraft, by, now, now
		if was != nil {
			c.Created = was.Created
		}
		if err := o.keepList(tx, &c, was, list); err != nil {
			return err
		}
		return campaigns.Put(tx, &c)
	})
	return &c, err
}

// checkTexts refuses texts that no recipient could be sent.
func (o *Outreach) checkTexts(t *Stored, channel string) error {
	for lang, words := range t.Texts[channel] {
		if !slices.Contains(queue.Languages, lang) {
			return invalid("texts."+lang, "unknown_value", "%q is no language of this box. Use one of: %s", lang, strings.Join(queue.Languages, ", "))
		}
		if _, err := Parse(words, nil, o.rules(t)); err != nil {
			return within(err, "texts."+lang)
		}
	}
	if len(t.Texts[channel]) == 0 {
		return invalid("template", "text_missing", "the template %s has no text for %s. Add one", t.Name, channel)
	}
	return nil
}

func (o *Outreach) dueOf(tx *store.Tx, c *Campaign, now time.Time) (due, until time.Time, err error) {
	var b *Booking
	if c.When.Event != "" {
		if b, err = bookings.Get(tx, store.Str(c.When.Event)); err != nil {
			return due, until, err
		}
		if b == nil {
			return due, until, invalid("when.event", "event_unknown", "there is no booking %q. Send the event first, with its start and end", c.When.Event)
		}
	}
	return c.When.due(b, now, o.cfg.Location)
}

// Campaign returns a campaign, batch or run. Error: ErrNotFound.
func (o *Outreach) Campaign(name string) (*Campaign, error) { return get(o.db, campaigns, name) }

// Campaigns lists those of one kind, the newest first, from the one after a
// cursor that an earlier answer gave. Error: *queue.Invalid about the cursor.
func (o *Outreach) Campaigns(kind Kind, after string, limit int) (list []Campaign, next string, err error) {
	if limit <= 0 {
		limit = usualPage
	}
	limit = min(limit, maxPage)
	prefix := store.Str(string(kind))
	end := store.End(prefix)
	if after != "" {
		rest, err := hex.DecodeString(after)
		if err != nil {
			return nil, "", invalid("after", "cursor_invalid", "after must be the next of an earlier answer. Leave it out to begin")
		}
		end = append(prefix[:len(prefix):len(prefix)], rest...)
	}
	err = o.db.View(func(tx *store.Tx) error {
		var last []byte
		for key, name := range byMade.KeysBack(tx, end) {
			if !bytes.HasPrefix(key, prefix) {
				return nil
			}
			if len(list) == limit {
				next = hex.EncodeToString(last)
				return nil
			}
			c, err := campaigns.Get(tx, name)
			if err != nil {
				return err
			}
			if c != nil {
				list, last = append(list, *c), bytes.Clone(key[len(prefix):])
			}
		}
		return nil
	})
	return list, next, err
}

// DeleteCampaign forgets a campaign with its list. Errors: ErrNotFound,
// *queue.Invalid while it is under way.
func (o *Outreach) DeleteCampaign(ctx context.Context, name string) error {
	return o.commit(ctx, func(tx *store.Tx) error {
		c, err := campaigns.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if c == nil {
			return ErrNotFound
		}
		if c.State.active() || c.State == CampaignPaused {
			return invalid("name", "under_way", "%s is %s. Stop it first", name, c.State)
		}
		return dropCampaign(tx, name)
	})
}

func dropCampaign(tx *store.Tx, name string) error {
	if err := deleteUnder(tx, sheets, store.Str(name)); err != nil {
		return err
	}
	return campaigns.Delete(tx, store.Str(name))
}
