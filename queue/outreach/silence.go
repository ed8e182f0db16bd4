package outreach

import (
	"context"
	"slices"

	"tillpost/queue"
	"tillpost/queue/store"
)

// silence takes back what a rule that was switched off or deleted has planned
// and written: as with a booking, what a lane has may still go. What this does
// not come to before a power cut, fire and the steward refuse when its turn
// comes.
func (o *Outreach) silence(ctx context.Context, rule, by string) error {
	if err := o.commit(ctx, func(tx *store.Tx) error {
		if err := deletePlansOf(tx, rule); err != nil {
			return err
		}
		return o.stopRuns(tx, rule, by)
	}); err != nil {
		return err
	}
	said, err := o.saidBy(rule)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(said, importChunk) {
		var flying []queue.ID
		err := o.db.Commit(ctx, func(tx *store.Tx) error {
			flying = nil
			for _, key := range chunk {
				oc, err := occasions.Get(tx, key)
				if err != nil {
					return err
				}
				if oc == nil {
					continue
				}
				taken, air, err := o.unsay(tx, oc, queue.Because("rule_off"), by)
				if err != nil {
					return err
				}
				if air {
					flying = append(flying, oc.Msg)
				}
				if taken {
					if err := occasions.Put(tx, oc); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		o.cancelFlying(ctx, flying, by)
	}
	return nil
}

// unsay takes back the message of an occasion, if it has not left: taken. flying:
// a lane has it.
func (o *Outreach) unsay(tx *store.Tx, oc *occasion, why queue.Reason, by string) (taken, flying bool, err error) {
	m, err := o.q.LookTx(tx, oc.Msg)
	if err != nil || m == nil || !m.State.Waits() || m.State == queue.Sent || m.State == queue.Unknown {
		return false, false, err
	}
	if flying, err = o.q.StopTx(tx, oc.Msg, why, by); err != nil {
		return false, false, err
	}
	oc.Gone = true
	return true, flying, nil
}

// saidBy lists the occasions of a rule whose messages have not left, by key.
func (o *Outreach) saidBy(rule string) (keys [][]byte, err error) {
	err = o.db.View(func(tx *store.Tx) error {
		for oc, err := range under(tx, occasions, store.Str(rule)) {
			if err != nil {
				return err
			}
			if oc.Msg == 0 || oc.Gone {
				continue
			}
			m, err := o.q.LookTx(tx, oc.Msg)
			if err != nil {
				return err
			}
			if m != nil && m.State.Waits() {
				keys = append(keys, oc.key())
			}
		}
		return nil
	})
	return keys, err
}

// stopRuns stops the runs of a rule that are under way.
func (o *Outreach) stopRuns(tx *store.Tx, rule, by string) error {
	var list []*Campaign
	for c, err := range under(tx, campaigns, []byte(runName(rule, ""))) {
		if err != nil {
			return err
		}
		if c.Rule == rule && (c.State.active() || c.State == CampaignPaused) && c.State != CampaignStopping {
			list = append(list, c)
		}
	}
	for _, c := range list {
		c.State, c.Back, c.Updated = CampaignStopping, 0, o.q.Now()
		if err := o.noteCampaign(tx, c, string(CampaignStopping), by); err != nil {
			return err
		}
		if err := campaigns.Put(tx, c); err != nil {
			return err
		}
	}
	return nil
}

func deletePlansOf(tx *store.Tx, rule string) error {
	var keys [][]byte
	for p, err := range plans.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if p.Rule == rule {
			keys = append(keys, p.key())
		}
	}
	for _, key := range keys {
		if err := plans.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}
