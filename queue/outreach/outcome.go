package outreach

import (
	"slices"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Outcome is what a campaign, a batch or a run of a rule came to: the notice of
// its end, for machines (field-notes §4.4). Whom it could not be sent to stands
// in it by contact, row and message, never by number.
type Outcome struct {
	Name       string         `json:"name"`          // of the campaign or rule; of a batch its id
	Kind       Kind           `json:"kind"`          //
	Day        string         `json:"day,omitempty"` // of a run
	ExternalID string         `json:"external_id,omitempty"`
	At         time.Time      `json:"at"`
	Recipients int            `json:"recipients"` // on the list; 0: nobody was meant, or it did not take place
	Excluded   []Excluded     `json:"excluded"`   // left out, and why
	States     map[string]int `json:"states"`
	Failures   []Failure      `json:"failures"`
	Why        string         `json:"why,omitempty"`    // it did not take place
	Missed     []string       `json:"missed,omitempty"` // days that a run was too late for
}

// Codes of the events with which something ends.
var (
	endsCampaign = []string{string(CampaignDone), string(CampaignStopped)}
	endsRun      = []string{"empty", "failed", "missed"}
)

// Outcome reads what an event ends, and the webhook that is to hear of it
// whatever else it listens to. It is nil for an event that ends nothing, and
// when what it ended was removed since.
func (o *Outreach) Outcome(e queue.Event) (out *Outcome, webhook string, err error) {
	campaign := ""
	switch {
	case e.Kind == queue.KindCampaign && slices.Contains(endsCampaign, e.Code):
		campaign = e.Ref
	case e.Kind == queue.KindRule && slices.Contains(endsCampaign, e.Code):
		campaign = e.Identity
	case e.Kind != queue.KindRule || !slices.Contains(endsRun, e.Code):
		return nil, "", nil
	}
	err = o.db.View(func(tx *store.Tx) error {
		if campaign != "" {
			c, err := campaigns.Get(tx, store.Str(campaign))
			if err != nil || c == nil || c.Report == nil {
				return err
			}
			out, webhook = c.outcome(), c.Notify.Webhook
			return nil
		}
		r, err := rules.Get(tx, store.Str(e.Ref))
		if err != nil || r == nil || r.Last == nil || runName(r.Name, r.Last.Day) != e.Identity { // another day is not this one
			return err
		}
		out = &Outcome{
			Name: r.Name, Kind: KindRun, Day: r.Last.Day, At: e.At, Excluded: append([]Excluded{}, r.Last.Excluded...),
			States: map[string]int{}, Failures: []Failure{}, Why: r.Last.Failed, Missed: r.Last.Missed,
		}
		if e.Code != "empty" || r.Notify.Empty {
			webhook = r.Notify.Webhook
		}
		return nil
	})
	return out, webhook, err
}

func (c *Campaign) outcome() *Outcome {
	out := &Outcome{
		Name: c.Name, Kind: c.Kind, Day: c.Day, ExternalID: c.ExternalID, At: c.Report.At, Recipients: c.Recipients,
		Excluded: append([]Excluded{}, c.Excluded...), States: c.Report.States, Failures: c.Report.Failures,
	}
	if c.Kind == KindRun {
		out.Name = c.Rule
	}
	return out
}

// KnowWebhooks registers who knows the webhooks of the box: a notice to one that
// is not there is refused when it is set, not missed when it would have come. It
// must be called before Run.
func (o *Outreach) KnowWebhooks(known func(name string) (bool, error)) { o.webhook = known }

// checkWebhook refuses the name of a webhook that there is not.
func (o *Outreach) checkWebhook(name string) error {
	if name == "" {
		return nil
	}
	ok := false
	if o.webhook != nil {
		var err error
		if ok, err = o.webhook(name); err != nil {
			return err
		}
	}
	if !ok {
		return invalid("notify.webhook", "unknown_value", "there is no webhook called %q. Make it first: PUT /webhooks/%s", name, name)
	}
	return nil
}
