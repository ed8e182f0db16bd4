package outreach

import (
	"context"
	"errors"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// Hand-over: the recipients of a campaign become messages, some hundreds in one
// transaction, with the campaign's own place in its list. A power cut at any
// moment finds either both or neither.

const (
	handTogether = 5                // pages in one transaction
	lookAgain    = 5 * time.Second  // at messages that have not left
	reportGrace  = 15 * time.Minute // after the last has left, for reports to come
)

// dueCampaigns does what is due for every campaign and returns when to look
// again.
func (o *Outreach) dueCampaigns(ctx context.Context, now time.Time) (next time.Time, err error) {
	var names []string
	err = o.db.View(func(tx *store.Tx) error {
		for _, name := range byActive.Keys(tx, nil) {
			names = append(names, store.ReadKey(name).Str())
		}
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	var failed error
	for _, name := range names {
		if ctx.Err() != nil {
			return next, ctx.Err()
		}
		again, err := o.step(ctx, name, now)
		failed = errors.Join(failed, err)
		if !again.IsZero() && (next.IsZero() || again.Before(next)) {
			next = again
		}
	}
	return next, failed
}

// step moves one campaign on by some pages; again is when it wants to go on.
func (o *Outreach) step(ctx context.Context, name string, now time.Time) (again time.Time, err error) {
	c, err := o.Campaign(name)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	switch c.State {
	case CampaignWaiting:
		if c.Due.After(now) {
			return c.Due, nil
		}
		return now, o.move(ctx, c, CampaignRunning, "running")
	case CampaignRunning:
		if c.Next.After(now) {
			return c.Next, nil
		}
		return o.handOver(ctx, c, now)
	case CampaignHanded:
		return o.settle(ctx, c, now)
	case CampaignResuming:
		return now, o.letGo(ctx, c)
	case CampaignStopping:
		if c.Back >= c.Pages {
			return o.settle(ctx, c, now)
		}
		return now, o.takeBackPage(ctx, c)
	case CampaignMoving:
		return now, o.takeBackPage(ctx, c)
	}
	return time.Time{}, nil
}

// move takes a campaign from the state in which it was read to another.
func (o *Outreach) move(ctx context.Context, c *Campaign, to CampaignState, code string) error {
	return o.db.Commit(ctx, func(tx *store.Tx) error {
		now, err := campaigns.Get(tx, c.key())
		if err != nil || now == nil || now.State != c.State {
			return err
		}
		now.State, now.Updated = to, o.q.Now()
		if to == CampaignRunning {
			now.Page, now.Place, now.Burst = 0, 0, 0
		}
		if err := o.noteCampaign(tx, now, code, ""); err != nil {
			return err
		}
		return campaigns.Put(tx, now)
	})
}

// handOver gives the queue as many messages as the throttle allows now.
func (o *Outreach) handOver(ctx context.Context, c *Campaign, now time.Time) (again time.Time, err error) {
	switch {
	case c.Page >= c.Pages:
		return now, o.handedOver(ctx, c, "handed")
	case !c.Until.IsZero() && !c.Until.After(now):
		return now, o.tooLate(ctx, c)
	}
	most := c.Throttle.now(c.Burst)
	work, err := o.readWork(c, most)
	if err != nil {
		return time.Time{}, err
	}
	w, err := o.anyNames(c.Frozen, c.Channel)
	if err != nil {
		return time.Time{}, err
	}
	if err := o.write(c, w, work); err != nil {
		return time.Time{}, err
	}
	err = o.db.Commit(ctx, func(tx *store.Tx) error {
		fresh, err := campaigns.Get(tx, c.key())
		if err != nil || fresh == nil || fresh.State != CampaignRunning || fresh.Page != c.Page || fresh.Place != c.Place {
			return err // paused, moved or stopped meanwhile
		}
		fresh.Next = time.Time{}
		if err := o.accept(tx, fresh, work); err != nil {
			return err
		}
		if slow := c.Throttle.next(fresh, work.sent, o.q.Now()); slow.After(fresh.Next) {
			fresh.Next = slow
		}
		again = fresh.Next
		return campaigns.Put(tx, fresh)
	})
	if again.IsZero() {
		again = now
	}
	return again, err
}

// work is a stretch of the list on its way to the queue.
type work struct {
	pages    []*sheet
	items    []item
	page     int // where it ends
	place    int
	sent     int
	accepted int
}

type item struct {
	sheet, place int
	who          *recipient
	why          string // it gets nothing
	msg          *queue.Message
}

// now is how many messages may be handed over at once.
func (t *Throttle) now(burst int) int {
	switch {
	case t.Gap > 0:
		return 1
	case t.Burst > 0:
		return max(1, t.Burst-burst)
	}
	return handTogether * pageSize
}

// next is when the throttle lets the next message be handed over.
func (t *Throttle) next(c *Campaign, sent int, now time.Time) time.Time {
	if sent == 0 || t.Gap == 0 && t.Burst == 0 {
		return time.Time{}
	}
	c.Burst += sent
	pause := t.Gap
	if t.Burst > 0 && c.Burst >= t.Burst {
		c.Burst, pause = 0, max(pause, t.Pause)
	}
	return now.Add(time.Duration(pause * float64(time.Second)))
}

// readWork reads the next recipients who have no message yet, with what may be
// said to them.
func (o *Outreach) readWork(c *Campaign, most int) (*work, error) {
	w := &work{page: c.Page, place: c.Place}
	shared := c.shared()
	err := o.db.View(func(tx *store.Tx) error {
		for w.page < c.Pages && len(w.pages) < handTogether && len(w.items) < most {
			s, err := sheets.Get(tx, (&sheet{Campaign: c.Name, Page: w.page}).key())
			if err != nil {
				return err
			}
			if s == nil {
				return errors.New("outreach: a page of campaign " + c.Name + " is gone")
			}
			w.pages = append(w.pages, s)
			for ; w.place < len(s.List) && len(w.items) < most; w.place++ {
				r := &s.List[w.place]
				if r.Msg != 0 || r.Why != "" {
					continue
				}
				it := item{sheet: len(w.pages) - 1, place: w.place}
				if it.who, err = readRecipient(tx, r, shared); err != nil {
					return err
				}
				if it.why, err = o.refusesNow(tx, c, r, it.who); err != nil {
					return err
				}
				w.items = append(w.items, it)
			}
			if w.place == len(s.List) {
				w.page, w.place = w.page+1, 0
			}
		}
		return nil
	})
	return w, err
}

// refusesNow asks again what was asked when the list was made: hours may lie
// between.
func (o *Outreach) refusesNow(tx *store.Tx, c *Campaign, r *Recipient, who *recipient) (string, error) {
	if c.Kind == KindRun {
		rule, err := rules.Get(tx, store.Str(c.Rule))
		if err != nil {
			return "", err
		}
		switch {
		case who.contact == nil:
			return "the contact is gone", nil
		case rule != nil && !flagOn(rule, who.contact, nil):
			return rule.Flag + " is off", nil
		}
		oc, err := occasions.Get(tx, (&occasion{Rule: c.Rule, Owner: ownerContact + r.Contact, Key: r.Occasion}).key())
		if err != nil || oc != nil {
			return "was told before", err
		}
	}
	if who.contact == nil && r.Contact != "" && r.To == "" {
		return "the contact is gone", nil
	}
	return refusesRow(tx, c, r, who.contact, who.reach(c.Channel))
}

// write makes the messages, outside of any transaction.
func (o *Outreach) write(c *Campaign, w *writer, list *work) error {
	for i := range list.items {
		it := &list.items[i]
		if it.why != "" {
			continue
		}
		d, err := w.draft(c.draftFor(&list.pages[it.sheet].List[it.place]), it.who)
		if err == nil {
			it.msg, err = o.q.Prepare(d)
		}
		if bad, ok := errors.AsType[*queue.Invalid](err); ok {
			it.why, err = bad.Detail, nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// accept gives the messages to the queue and notes them in the list.
func (o *Outreach) accept(tx *store.Tx, c *Campaign, w *work) error {
	w.sent = 0
	now := o.q.Now()
	for i := range w.items {
		it := &w.items[i]
		r := &w.pages[it.sheet].List[it.place]
		r.Msg, r.Why = 0, it.why
		if it.msg != nil {
			m := *it.msg // AddTx may run more than once
			err := o.q.AddTx(tx, &m)
			if slow, ok := errors.AsType[*queue.TooFast](err); ok {
				// The till's limit is used up: the rest waits for the next hour or day.
				c.Next = now.Add(slow.RetryAfter)
				return o.keepPlace(tx, c, w, c.Page+it.sheet, it.place)
			}
			if bad, ok := errors.AsType[*queue.Invalid](err); ok {
				r.Why, err = bad.Detail, nil
			}
			if err != nil {
				return err // full: the campaign waits where it is
			}
			if r.Why == "" {
				r.Msg = m.ID
			}
		}
		if r.Msg == 0 {
			c.Refused++
			continue
		}
		c.Handed++
		c.count(it.msg, 1)
		w.sent++
		if c.Kind == KindRun {
			if err := occasions.Put(tx, &occasion{Rule: c.Rule, Owner: ownerContact + r.Contact, Key: r.Occasion, At: now, Msg: r.Msg, Run: c.Name}); err != nil {
				return err
			}
		}
	}
	return o.keepPlace(tx, c, w, w.page, w.place)
}

// count adds what a message comes to, or with -1 takes it off.
func (c *Campaign) count(m *queue.Message, sign int) {
	c.Parts += sign * len(m.Parts)
	price := m.Price
	price.Amount *= text.Amount(sign)
	c.Cost.Add(price)
}

// keepPlace writes down how far the list has been handed over.
func (o *Outreach) keepPlace(tx *store.Tx, c *Campaign, w *work, page, place int) error {
	for _, s := range w.pages {
		if err := sheets.Put(tx, s); err != nil {
			return err
		}
	}
	c.Page, c.Place, c.Updated = page, place, o.q.Now()
	return nil
}

func (o *Outreach) handedOver(ctx context.Context, c *Campaign, code string) error {
	return o.db.Commit(ctx, func(tx *store.Tx) error {
		now, err := campaigns.Get(tx, c.key())
		if err != nil || now == nil || now.State != CampaignRunning {
			return err
		}
		return o.endHandOver(tx, now, code)
	})
}

func (o *Outreach) endHandOver(tx *store.Tx, c *Campaign, code string) error {
	c.State, c.HandedT, c.Updated = CampaignHanded, o.q.Now(), o.q.Now()
	if err := o.noteCampaign(tx, c, code, ""); err != nil {
		return err
	}
	return campaigns.Put(tx, c)
}

// Why those get nothing whose turn never came.
const (
	whyLate    = "the event had begun"
	whyStopped = "the campaign was stopped"
)

// tooLate leaves out some pages of those whose turn had not come when the event
// began, and ends the hand-over with the last.
func (o *Outreach) tooLate(ctx context.Context, c *Campaign) error {
	return o.db.Commit(ctx, func(tx *store.Tx) error {
		now, err := campaigns.Get(tx, c.key())
		if err != nil || now == nil || now.State != CampaignRunning || now.Page != c.Page || now.Place != c.Place {
			return err // paused, moved or stopped meanwhile
		}
		for n := 0; n < handTogether && now.Page < now.Pages; n++ {
			if err := leaveOut(tx, now, now.Page, whyLate); err != nil {
				return err
			}
			now.Page, now.Place = now.Page+1, 0
		}
		if now.Page >= now.Pages {
			return o.endHandOver(tx, now, "too_late")
		}
		return campaigns.Put(tx, now)
	})
}

// leaveOut tells of everybody on a page who has no message that they get none.
func leaveOut(tx *store.Tx, c *Campaign, page int, why string) error {
	s, err := sheets.Get(tx, (&sheet{Campaign: c.Name, Page: page}).key())
	if err != nil || s == nil {
		return err
	}
	n := 0
	for i := range s.List {
		if r := &s.List[i]; r.Msg == 0 && r.Why == "" {
			r.Why = why
			n++
		}
	}
	if n == 0 {
		return nil
	}
	c.Refused += n
	return sheets.Put(tx, s)
}

// letGo releases what a pause held, some pages at a time, and goes on.
func (o *Outreach) letGo(ctx context.Context, c *Campaign) error {
	return o.db.Commit(ctx, func(tx *store.Tx) error {
		now, err := campaigns.Get(tx, c.key())
		if err != nil || now == nil || now.State != CampaignResuming {
			return err
		}
		for n := 0; n < handTogether && now.Back < now.Pages; n++ {
			s, err := sheets.Get(tx, (&sheet{Campaign: c.Name, Page: now.Back}).key())
			if err != nil {
				return err
			}
			for _, r := range s.list() {
				if r.Msg != 0 && r.State == "" {
					if err := o.q.ReleaseTx(tx, r.Msg, "campaign_paused", now.By); err != nil {
						return err
					}
				}
			}
			now.Back++
		}
		if now.Back >= now.Pages {
			now.State = CampaignRunning
			switch {
			case now.Due.After(o.q.Now()):
				now.State = CampaignWaiting
			case now.Page >= now.Pages:
				now.State = CampaignHanded
			}
			now.Back = 0
			if err := o.noteCampaign(tx, now, "resumed", ""); err != nil {
				return err
			}
		}
		return campaigns.Put(tx, now)
	})
}

func (s *sheet) list() []Recipient {
	if s == nil {
		return nil
	}
	return s.List
}

// takeBackPage takes back what has not left of one page of a campaign that is
// stopped or moved. Who got theirs keeps it, and is not written to again.
func (o *Outreach) takeBackPage(ctx context.Context, c *Campaign) error {
	var flying []queue.ID
	err := o.db.Commit(ctx, func(tx *store.Tx) error {
		flying = nil
		why, err := whyTaken(tx, c)
		if err != nil {
			return err
		}
		s, err := sheets.Get(tx, (&sheet{Campaign: c.Name, Page: c.Back}).key())
		if err != nil {
			return err
		}
		for _, r := range s.list() {
			if r.Msg == 0 || r.State != "" {
				continue
			}
			air, err := o.q.StopTx(tx, r.Msg, why, c.By)
			if err != nil {
				return err
			}
			if air {
				flying = append(flying, r.Msg)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	o.cancelFlying(ctx, flying, c.By)
	return o.db.Commit(ctx, func(tx *store.Tx) error {
		now, err := campaigns.Get(tx, c.key())
		if err != nil || now == nil || now.State != c.State || now.Back != c.Back {
			return err
		}
		s, err := sheets.Get(tx, (&sheet{Campaign: c.Name, Page: c.Back}).key())
		if err != nil {
			return err
		}
		if s != nil && now.State == CampaignMoving {
			for i := range s.List {
				r := &s.List[i]
				if r.Msg == 0 {
					continue
				}
				m, err := o.q.LookTx(tx, r.Msg)
				if err != nil {
					return err
				}
				if m != nil && m.State == queue.Cancelled {
					r.Msg, r.State = 0, "" // it is written anew, at the new time
					now.Handed--
					now.count(m, -1)
				}
			}
			s.Settled = false
			if err := sheets.Put(tx, s); err != nil {
				return err
			}
		}
		if now.State == CampaignStopping {
			if err := leaveOut(tx, now, now.Back, whyStopped); err != nil {
				return err
			}
		}
		now.Back++
		if now.State == CampaignMoving && now.Back >= now.Pages {
			now.State, now.Page, now.Place, now.Burst, now.Back = CampaignWaiting, 0, 0, 0, 0
			if now.Kept {
				now.State, now.Kept = CampaignPaused, false // only a person lets it go on
			}
			if err := o.noteCampaign(tx, now, "moved", ""); err != nil {
				return err
			}
		}
		now.Updated = o.q.Now()
		return campaigns.Put(tx, now)
	})
}

// whyTaken is what a message that is taken back says of itself.
func whyTaken(tx *store.Tx, c *Campaign) (queue.Reason, error) {
	if c.State == CampaignMoving {
		return queue.Because("booking_changed"), nil
	}
	if c.Kind == KindRun {
		if r, err := rules.Get(tx, store.Str(c.Rule)); err != nil || r == nil || r.Off {
			return queue.Because("rule_off"), err
		}
	}
	return queue.Because("campaign_stopped"), nil
}

// settle looks whether everything of a campaign has its end, and tells.
func (o *Outreach) settle(ctx context.Context, c *Campaign, now time.Time) (again time.Time, err error) {
	waits, airborne, err := o.open(ctx, c)
	if err != nil {
		return time.Time{}, err
	}
	if waits > 0 {
		return now.Add(o.patience(c, now)), nil
	}
	if airborne > 0 && c.State == CampaignHanded { // all have left; the grace runs from then
		if left := o.leftAt(c.Name, now); now.Sub(left) < reportGrace {
			return now.Add(o.patience(c, now)), nil
		}
	}
	return now, o.db.Commit(ctx, func(tx *store.Tx) error {
		fresh, err := campaigns.Get(tx, c.key())
		if err != nil || fresh == nil || fresh.State != c.State {
			return err
		}
		code := CampaignDone
		if fresh.State == CampaignStopping {
			code = CampaignStopped
		}
		fresh.State, fresh.Ended, fresh.Updated = code, now, now
		if err := o.finish(tx, fresh, string(code)); err != nil {
			return err
		}
		return campaigns.Put(tx, fresh)
	})
}

// patience is how long until the next look: the longer it goes on, the rarer.
func (o *Outreach) patience(c *Campaign, now time.Time) time.Duration {
	return min(max(lookAgain, now.Sub(c.Updated)/20), 15*time.Minute)
}

// leftAt is when a campaign was first seen with nothing waiting to leave.
func (o *Outreach) leftAt(name string, now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t, ok := o.left[name]; ok {
		return t
	}
	o.left[name] = now
	return now
}

// open counts the messages of a campaign that wait to leave, and those that
// have left and may still be reported. What is final is written into the list,
// so that it is not looked for again.
func (o *Outreach) open(ctx context.Context, c *Campaign) (waits, airborne int, err error) {
	var settled []*sheet
	err = o.db.View(func(tx *store.Tx) error {
		for s, err := range under(tx, sheets, store.Str(c.Name)) {
			if err != nil {
				return err
			}
			if s.Settled {
				continue
			}
			w, a, err := o.look(tx, s)
			if err != nil {
				return err
			}
			waits, airborne = waits+w, airborne+a
			if w+a == 0 {
				s.Settled = true
				settled = append(settled, s)
			}
		}
		return nil
	})
	if err != nil || len(settled) == 0 {
		return waits, airborne, err
	}
	return waits, airborne, o.db.Commit(ctx, func(tx *store.Tx) error {
		for _, s := range settled {
			if err := sheets.Put(tx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// look reads what became of a page.
func (o *Outreach) look(tx *store.Tx, s *sheet) (waits, airborne int, err error) {
	for i := range s.List {
		r := &s.List[i]
		if r.Msg == 0 || r.State != "" {
			continue
		}
		m, err := o.q.LookTx(tx, r.Msg)
		if err != nil {
			return 0, 0, err
		}
		switch {
		case m == nil:
			r.State = queue.Sent // its time is over, and nothing bad was noted
		case m.State.Final() || m.State == queue.Sent && m.Wake.IsZero():
			r.State = m.State
		case m.State == queue.Sent, m.State == queue.Unknown:
			airborne++
		default:
			waits++
		}
	}
	return waits, airborne, nil
}
