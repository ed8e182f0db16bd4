package outreach

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

const (
	// pauseAfterError is how soon the scheduler tries again what failed.
	pauseAfterError = 30 * time.Second
	// runRetry is how soon a run that could not take place is tried again.
	runRetry = 15 * time.Minute
	// maxSleep: the clock may be set meanwhile.
	maxSleep = time.Hour
	// keepLists is how long the lists of batches and runs are kept.
	keepLists = 90 * 24 * time.Hour
)

// Run does what is due by the clock until ctx ends: notices and reminders of
// bookings, the daily runs of rules, the hand-over of campaigns. Beside it it
// carries on what comes in. All of it begins where the store says it was.
func (o *Outreach) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { o.forward(ctx) })
	for ctx.Err() == nil {
		next, err := o.turn(ctx)
		if errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrSealed) {
			return nil // the queue tells why
		}
		if err != nil && ctx.Err() == nil {
			if _, full := errors.AsType[*queue.Full](err); !full {
				o.log.Error("outreach could not do all that is due; trying again", "err", err)
			}
			next = time.Now().Add(pauseAfterError)
		}
		o.sleep(ctx, next)
	}
	return nil
}

// sleep returns at a time of this process's clock, when something was changed,
// or when ctx ends.
func (o *Outreach) sleep(ctx context.Context, until time.Time) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-o.poke:
	case <-t.C:
	}
}

// turn does everything that is due and returns when to look again, by the
// process's clock.
func (o *Outreach) turn(ctx context.Context) (time.Time, error) {
	soon := time.Now().Add(maxSleep)
	if !o.q.Time().Known() {
		return time.Now().Add(pauseAfterError), nil // nobody has told the time: nothing is due
	}
	now := o.q.Now()
	var failed error
	for _, do := range []func(context.Context, time.Time) (time.Time, error){o.duePlans, o.dueRules, o.dueCampaigns} {
		next, err := do(ctx, now)
		failed = errors.Join(failed, err)
		if next.IsZero() {
			continue
		}
		if at := time.Now().Add(next.Sub(o.q.Now())); at.Before(soon) {
			soon = at
		}
	}
	return soon, failed
}

// Run of a rule on a day, as it is remembered.
type Run struct {
	Day      string     `json:"day"`
	At       time.Time  `json:"at"`
	Matched  int        `json:"matched"` // whom the trigger found
	Messages int        `json:"messages"`
	Excluded []Excluded `json:"excluded,omitempty"`
	Failed   string     `json:"failed,omitempty"` // it did not take place: why
	Missed   []string   `json:"missed,omitempty"` // days on which the box was off, and which it was too late for
	Name     string     `json:"name,omitempty"`   // of its list
}

// dueRules runs the daily rules whose hour has come.
func (o *Outreach) dueRules(ctx context.Context, now time.Time) (next time.Time, err error) {
	var list []*Rule
	err = o.db.View(func(tx *store.Tx) error {
		for r, err := range rules.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if r.daily() && !r.Off {
				list = append(list, r)
			}
		}
		return nil
	})
	if err != nil {
		return next, err
	}
	var failed error
	for _, r := range list {
		again, err := o.dueRule(ctx, r, now)
		failed = errors.Join(failed, err)
		if next.IsZero() || again.Before(next) {
			next = again
		}
	}
	if err := o.forgetOld(ctx, now); err != nil {
		failed = errors.Join(failed, err)
	}
	return next, failed
}

// dueRule runs one rule for today, and for the days before that it still may
// catch up with. It returns when it is due next.
func (o *Outreach) dueRule(ctx context.Context, r *Rule, now time.Time) (next time.Time, err error) {
	zone := o.cfg.Location
	today := dayIn(now, zone)
	if r.Done == today.Format(time.DateOnly) {
		return r.runAt(today.AddDate(0, 0, 1), zone), nil
	}
	begins := r.runAt(today, zone)
	if r.Failed.Add(runRetry).After(now) && !r.Failed.IsZero() {
		return r.Failed.Add(runRetry), nil
	}
	if now.Before(begins) {
		// The hour of today has not come; days before it may be owed.
		begins, today = r.runAt(today.AddDate(0, 0, -1), zone), today.AddDate(0, 0, -1)
		if r.Done >= today.Format(time.DateOnly) || r.From > today.Format(time.DateOnly) || r.Done == "" && r.From == today.AddDate(0, 0, 1).Format(time.DateOnly) {
			return r.runAt(today.AddDate(0, 0, 1), zone), nil
		}
	}
	if opens := r.window().after(now, zone); opens.After(now) && opens.Before(r.until(today, zone)) {
		return opens, nil // it is late, and so late in the evening that it waits for the morning
	}
	if err := o.runRule(ctx, r, today, now); err != nil {
		return now, err
	}
	return r.runAt(today.AddDate(0, 0, 1), zone), nil
}

// runRule makes the list of a day: whoever is meant on it, or was on a day
// before that was missed and is not too long ago.
func (o *Outreach) runRule(ctx context.Context, r *Rule, day, now time.Time) error {
	zone := o.cfg.Location
	run := &Run{Day: day.Format(time.DateOnly), At: now}
	from, err := time.Parse(time.DateOnly, r.From)
	if err != nil {
		return fmt.Errorf("outreach: rule %s begins on %q: %w", r.Name, r.From, err)
	}
	first := day
	for first.After(from) && r.until(first.AddDate(0, 0, -1), zone).After(now) {
		first = first.AddDate(0, 0, -1)
	}
	owed := from // what lies before the rule, or before it was switched on, was not missed
	if done, err := time.Parse(time.DateOnly, r.Done); err == nil && !done.Before(from) {
		owed = done.AddDate(0, 0, 1)
	}
	for d := owed; d.Before(first); d = d.AddDate(0, 0, 1) {
		run.Missed = append(run.Missed, d.Format(time.DateOnly))
	}
	tooLate := !r.until(day, zone).After(now)
	if tooLate {
		run.Missed = append(run.Missed, run.Day)
	}
	c, s := r.asCampaign(run.Day), &selection{names: fieldNames(), byNumber: map[string]bool{}}
	if !tooLate {
		if err := o.selectRun(r, c, s, first, day, now, run); err != nil {
			return err
		}
	}
	run.Excluded, run.Messages = s.left.list, len(s.list)
	if len(s.list) > 0 {
		run.Name = c.Name
	}
	if bad := o.runnable(c, s); bad != nil {
		run.Failed, run.Messages, run.Name = bad.Error(), 0, ""
	}
	return o.commit(ctx, func(tx *store.Tx) error {
		fresh, err := rules.Get(tx, r.key())
		if err != nil || fresh == nil || !fresh.Updated.Equal(r.Updated) {
			return err // changed meanwhile: the next turn sees it
		}
		told := fresh.Last != nil && fresh.Last.Failed == run.Failed && fresh.Last.Day == run.Day && run.Failed != ""
		fresh.Last = run
		if run.Failed != "" {
			fresh.Failed = now // within its time it is tried again
			if err := rules.Put(tx, fresh); err != nil || told {
				return err
			}
			return o.tellRun(tx, fresh, run)
		}
		fresh.Done, fresh.Failed = run.Day, time.Time{}
		if err := rules.Put(tx, fresh); err != nil {
			return err
		}
		if len(s.list) == 0 || len(run.Missed) > 0 {
			if err := o.tellRun(tx, fresh, run); err != nil {
				return err
			}
		}
		if len(s.list) == 0 {
			return nil
		}
		c.State, c.Created, c.Started, c.Updated, c.Due = CampaignWaiting, now, now, now, now
		c.Recipients, c.Excluded = len(s.list), s.left.list
		if c.Pages, err = writeSheets(tx, c.Name, s.list); err != nil {
			return err
		}
		if err := o.noteCampaign(tx, c, "run", ""); err != nil {
			return err
		}
		return campaigns.Put(tx, c)
	})
}

// asCampaign is the run of a day: a campaign to whom the rule found.
func (r *Rule) asCampaign(day string) *Campaign {
	return &Campaign{
		Name: runName(r.Name, day), Kind: KindRun, Rule: r.Name, Day: day, Template: r.Template, Channel: r.Channel,
		Class: r.Class, Priority: r.Priority, Consent: r.Consent, Notify: r.Notify, By: "rule " + r.Name,
	}
}

func runName(rule, day string) string { return "run." + rule + "." + day }

// selectRun finds whom a rule means between two days.
func (o *Outreach) selectRun(r *Rule, c *Campaign, s *selection, first, day, now time.Time, run *Run) error {
	who, err := o.selector(&r.Audience, now)
	if err != nil {
		return err
	}
	return each(o.db, register, func(tx *store.Tx, one *Contact) error {
		days := r.dueDays(one, first, day)
		if len(days) == 0 {
			return nil
		}
		if _, ok := who.matches(one); !ok {
			return nil
		}
		for _, d := range days {
			old, err := occasions.Get(tx, (&occasion{Rule: r.Name, Owner: ownerContact + one.ID, Key: d.key}).key())
			if err != nil {
				return err
			}
			if old != nil {
				continue
			}
			run.Matched++
			why, err := refusesContact(tx, one, &r.Consent, r.Channel, nil)
			if err != nil {
				return err
			}
			if why == "" && !flagOn(r, one, nil) {
				why = r.Flag + " is off"
			}
			if why != "" {
				s.left.add(one.ID, why)
				continue
			}
			one.noteNames(s.names)
			s.take(Recipient{Contact: one.ID, Occasion: d.key}, one.reach(c.Channel), false)
		}
		return nil
	})
}

// runnable freezes the text of a run, and says why it cannot take place: better
// no message than "[VERFALLDATUM]" to four hundred members (field-notes §4.4).
func (o *Outreach) runnable(c *Campaign, s *selection) error {
	err := o.db.View(func(tx *store.Tx) (err error) {
		c.Frozen, err = c.text(tx)
		return err
	})
	if err != nil || len(s.list) == 0 {
		return err
	}
	w, err := o.writer(c.Frozen, c.Channel, s.names)
	if err != nil {
		return err
	}
	return w.unknown()
}

// forgetOld removes the lists of batches and runs whose time is over, and whom
// mails told of that are gone, once a day.
func (o *Outreach) forgetOld(ctx context.Context, now time.Time) error {
	o.mu.Lock()
	again := now.Sub(o.swept) >= 24*time.Hour
	if again {
		o.swept = now
	}
	o.mu.Unlock()
	if !again {
		return nil
	}
	var old []string
	err := each(o.db, campaigns, func(_ *store.Tx, c *Campaign) error {
		if c.Kind != KindCampaign && !c.State.active() && !c.Ended.IsZero() && now.Sub(c.Ended) > keepLists {
			old = append(old, c.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := o.db.Commit(ctx, func(tx *store.Tx) error { return dropCampaign(tx, name) }); err != nil {
			return err
		}
	}
	return o.forgetForwarded(ctx)
}
