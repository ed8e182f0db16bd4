package outreach

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// change moves a campaign from one of some states to another, by a person.
func (o *Outreach) change(ctx context.Context, name string, from []CampaignState, to CampaignState, by string) (*Campaign, error) {
	var c *Campaign
	err := o.commit(ctx, func(tx *store.Tx) (err error) {
		if c, err = campaigns.Get(tx, store.Str(name)); err != nil {
			return err
		}
		if c == nil {
			return ErrNotFound
		}
		if c.State == to {
			return nil // a second press of the button
		}
		if !slices.Contains(from, c.State) {
			return invalid("state", "not_now", "%s is %s, which does not allow that. It must be %s", name, c.State, joined(from))
		}
		c.State, c.Updated, c.Back = to, o.q.Now(), 0
		if err := o.noteCampaign(tx, c, string(to), by); err != nil {
			return err
		}
		return campaigns.Put(tx, c)
	})
	return c, err
}

func (o *Outreach) noteCampaign(tx *store.Tx, c *Campaign, code, by string) error {
	e := queue.Event{Kind: queue.KindCampaign, Ref: c.Name, Code: code, By: by}
	if c.Kind == KindRun {
		e.Kind, e.Ref, e.Identity = queue.KindRule, c.Rule, c.Name
	}
	if c.Recipients > 0 {
		e.Detail = fmt.Sprintf("recipients %d, handed over %d, refused %d", c.Recipients, c.Handed, c.Refused)
	}
	if r := c.Report; r != nil {
		e.Detail = r.counts()
	}
	return o.q.NoteTx(tx, e)
}

// Pause keeps back what has not left. Errors: ErrNotFound, *queue.Invalid.
func (o *Outreach) Pause(ctx context.Context, name, by string) (*Campaign, error) {
	c, err := o.change(ctx, name, []CampaignState{CampaignWaiting, CampaignRunning, CampaignHanded, CampaignResuming}, CampaignPaused, by)
	if err != nil {
		return nil, err
	}
	// What is in line is held now; what this misses the steward holds when a
	// lane comes for it.
	why := queue.Because("campaign_paused")
	return c, o.eachSheet(ctx, c, func(tx *store.Tx, s *sheet) error {
		now, err := campaigns.Get(tx, c.key())
		if err != nil || now == nil || now.State != CampaignPaused {
			return err
		}
		for _, r := range s.List {
			if r.Msg != 0 && r.State == "" {
				if err := o.q.HoldTx(tx, r.Msg, why, by); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Resume goes on after Pause. Errors: ErrNotFound, *queue.Invalid.
func (o *Outreach) Resume(ctx context.Context, name, by string) (*Campaign, error) {
	return o.change(ctx, name, []CampaignState{CampaignPaused}, CampaignResuming, by)
}

// Stop ends a campaign: what has not left never will. Errors: ErrNotFound,
// *queue.Invalid.
func (o *Outreach) Stop(ctx context.Context, name, by string) (*Campaign, error) {
	return o.change(ctx, name, []CampaignState{CampaignWaiting, CampaignRunning, CampaignHanded, CampaignPaused, CampaignResuming, CampaignMoving}, CampaignStopping, by)
}

// eachSheet calls fn for the pages of a list, some to a transaction.
func (o *Outreach) eachSheet(ctx context.Context, c *Campaign, fn func(*store.Tx, *sheet) error) error {
	const together = 5
	for from := 0; from < c.Pages; from += together {
		err := o.db.Commit(ctx, func(tx *store.Tx) error {
			for n := from; n < min(from+together, c.Pages); n++ {
				s, err := sheets.Get(tx, (&sheet{Campaign: c.Name, Page: n}).key())
				if err != nil {
					return err
				}
				if s != nil {
					if err := fn(tx, s); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// retime lets campaigns follow the event that times them.
func (o *Outreach) retime(tx *store.Tx, b *Booking, now time.Time) error {
	var list []*Campaign
	prefix := store.Str(b.ID)
	for key, name := range byTiming.Keys(tx, prefix) {
		if !strings.HasPrefix(string(key), string(prefix)) {
			break
		}
		c, err := campaigns.Get(tx, name)
		if err != nil {
			return err
		}
		if c != nil && (c.State.active() || c.State == CampaignPaused) {
			list = append(list, c)
		}
	}
	for _, c := range list {
		due, until, err := c.When.due(b, now, o.cfg.Location)
		switch {
		case b.Status.over():
			c.State, c.Back = CampaignStopping, 0
			if err := o.noteCampaign(tx, c, "event_"+string(b.Status), ""); err != nil {
				return err
			}
		case err != nil: // its moment has passed with the new time
			c.State, c.Back = CampaignStopping, 0
			if err := o.noteCampaign(tx, c, "too_late", ""); err != nil {
				return err
			}
		case due.Equal(c.Due) && until.Equal(c.Until):
			continue
		case c.State == CampaignWaiting || c.State == CampaignPaused && c.Handed == 0:
			c.Due, c.Until, c.Next = due, until, time.Time{}
		default:
			c.Kept = c.State == CampaignPaused || c.State == CampaignMoving && c.Kept
			c.State, c.Back, c.Due, c.Until, c.Next = CampaignMoving, 0, due, until, time.Time{}
			if err := o.noteCampaign(tx, c, "moving", ""); err != nil {
				return err
			}
		}
		c.Updated = now
		if err := campaigns.Put(tx, c); err != nil {
			return err
		}
	}
	return nil
}

// sortedStates are the states of a count, in the order of a life.
func sortedStates(counts map[string]int) []string {
	order := make([]string, 0, len(counts))
	for _, s := range queue.States {
		if counts[string(s)] > 0 {
			order = append(order, string(s))
		}
	}
	for _, s := range slices.Sorted(maps.Keys(counts)) {
		if !slices.Contains(order, s) {
			order = append(order, s)
		}
	}
	return order
}
