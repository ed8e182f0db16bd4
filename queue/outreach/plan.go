package outreach

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// plan is one message that will be written at a time unless something changes:
// at most one for each owner and rule. It holds no text: that is written when
// it is due, so that a changed template, language or switch counts.
type plan struct {
	Owner    string    `json:"owner"` // contact/ID or booking/ID
	Rule     string    `json:"rule"`
	Due      time.Time `json:"due"`
	Key      string    `json:"key"` // of the occasion
	OldStart time.Time `json:"old_start,omitzero"`
}

// occasion is something that was said, or found not to be sayable, and is never
// said again.
type occasion struct {
	Rule  string    `json:"rule"`
	Owner string    `json:"owner"`
	Key   string    `json:"key"`
	At    time.Time `json:"at"`
	Msg   queue.ID  `json:"msg,omitzero"`
	Why   string    `json:"why,omitempty"`  // nothing was sent: why
	Gone  bool      `json:"gone,omitempty"` // it was taken back: what a lane still holds must not go again
	Run   string    `json:"run,omitempty"`  // of a daily rule: the list it stands in
}

// replan takes back what a booking's change makes wrong and plans what follows
// from it.
func (o *Outreach) replan(tx *store.Tx, b *Booking, event string, now time.Time, notices *[]Notice, flying *[]queue.ID) error {
	owner := ownerBooking + b.ID
	e, err := effective(tx, b)
	if err != nil {
		return err
	}
	oldStart := e.OldStart
	var waiting []*plan
	for p, err := range under(tx, plans, store.Str(owner)) {
		if err != nil {
			return err
		}
		waiting = append(waiting, p)
	}
	for _, p := range waiting {
		r, err := rules.Get(tx, store.Str(p.Rule))
		if err != nil {
			return err
		}
		notice := r != nil && r.On.Event != OnReminder
		if notice && event == "" && !e.Status.over() {
			continue // nothing new is to be said instead
		}
		if notice && r.On.Event == onBooking+string(Moved) && !p.OldStart.IsZero() {
			oldStart = p.OldStart // of several moves the customer knows the first
		}
		if err := plans.Delete(tx, p.key()); err != nil {
			return err
		}
	}
	again, err := o.takeBack(tx, owner, e, event, notices, flying)
	if err != nil {
		return err
	}
	for r, err := range rules.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if !r.ofBooking() || !o.about(r, e) {
			continue
		}
		if r.On.Event == OnReminder {
			err = o.planReminder(tx, r, e, now, r.Late == "now" || again[r.Name], notices)
		} else if r.On.Event == onBooking+event {
			err = o.planNotice(tx, r, e, event, oldStart, now, notices)
		}
		if err != nil {
			return err
		}
	}
	if event != "" && !slices.ContainsFunc(*notices, func(n Notice) bool { return n.Event == event }) {
		*notices = append(*notices, Notice{Event: event, Outcome: "suppressed", Why: "no rule writes to anybody when a booking is " + event})
	}
	return nil
}

// about: the rule is meant for such a booking.
func (o *Outreach) about(r *Rule, b *Booking) bool {
	return meetsAll(resolve(r.Match, o.q.Now().In(o.cfg.Location), fold), func(name string) Value { return b.field(name, o.cfg.Location) })
}

// takeBack stops messages about a booking that have not left and are wrong now:
// all of them when it is over, reminders of another start, and those to who had
// the booking before. again: rules whose reminder has now to go to who has it.
func (o *Outreach) takeBack(tx *store.Tx, owner string, b *Booking, event string, notices *[]Notice, flying *[]queue.ID) (again map[string]bool, err error) {
	var said []*occasion
	again = map[string]bool{}
	prefix := store.Str(owner)
	for key, pk := range byOwner.Keys(tx, prefix) {
		if !bytes.HasPrefix(key, prefix) {
			break
		}
		oc, err := occasions.Get(tx, pk)
		if err != nil {
			return nil, err
		}
		if oc != nil && oc.Msg != 0 && !oc.Gone {
			said = append(said, oc)
		}
	}
	for _, oc := range said {
		r, err := rules.Get(tx, store.Str(oc.Rule))
		if err != nil {
			return nil, err
		}
		reminder := r == nil || r.On.Event == OnReminder
		theirs, err := o.saidTo(tx, oc, b.Contact)
		if err != nil {
			return nil, err
		}
		if !b.Status.over() && (!reminder || theirs && oc.Key == reminderKey(r, b)) {
			continue
		}
		if b.Status.over() && event == "" && !reminder {
			continue // what tells of the end itself
		}
		taken, air, err := o.unsay(tx, oc, queue.Because("booking_changed"), "")
		if err != nil {
			return nil, err
		}
		if !taken {
			continue
		}
		if air {
			*flying = append(*flying, oc.Msg)
		}
		if err := occasions.Put(tx, oc); err != nil {
			return nil, err
		}
		if !theirs && oc.Key == reminderKey(r, b) {
			again[oc.Rule] = true
		}
		name := "reminder"
		if !reminder {
			name = r.On.Event[len(onBooking):]
		}
		*notices = append(*notices, Notice{Event: name, Rule: oc.Rule, Outcome: "taken_back"})
	}
	return again, nil
}

// planNotice plans what a booking's change is told by. Those that a later one
// may replace wait a moment for it: the customer hears the last word only.
func (o *Outreach) planNotice(tx *store.Tx, r *Rule, b *Booking, event string, oldStart, now time.Time, notices *[]Notice) error {
	n := Notice{Event: event, Rule: r.Name, Channel: r.Channel, Outcome: "planned", At: now}
	switch {
	case r.Off:
		n.Why = "the notice is switched off"
	case b.Contact == "":
		n.Why = "the booking has no contact"
	case b.past(now, o.cfg.Location):
		n.Why = "the booking is over"
	case event == string(Moved) && b.Start.Equal(oldStart):
		n.Why = "the booking is back where it was" // and nobody was told that it had moved
	}
	if n.Why != "" {
		n.Outcome, n.At = "suppressed", time.Time{}
		*notices = append(*notices, n)
		return nil
	}
	if (event == string(Moved) || event == string(Pending)) && o.cfg.Collapse > 0 {
		n.At = now.Add(o.cfg.Collapse)
	}
	*notices = append(*notices, n)
	return plans.Put(tx, &plan{Owner: ownerBooking + b.ID, Rule: r.Name, Due: n.At, Key: event + " " + strconv.Itoa(b.Version), OldStart: oldStart})
}

// saidTo: an occasion was told, and to this contact. A booking may be handed to
// somebody else.
func (o *Outreach) saidTo(tx *store.Tx, oc *occasion, contact string) (bool, error) {
	if oc == nil || oc.Gone || oc.Msg == 0 {
		return oc != nil && !oc.Gone, nil
	}
	m, err := o.q.LookTx(tx, oc.Msg)
	return m == nil || m.Contact == contact, err
}

// planReminder plans what is said before or after a booking. late: one that was
// due before now may go at once.
func (o *Outreach) planReminder(tx *store.Tx, r *Rule, b *Booking, now time.Time, late bool, notices *[]Notice) error {
	if b.Status != Confirmed || b.Contact == "" || r.Off {
		return nil
	}
	due, ok := r.reminderAt(b, o.cfg.Location)
	if !ok {
		return nil
	}
	key := reminderKey(r, b)
	oc, err := occasions.Get(tx, (&occasion{Rule: r.Name, Owner: ownerBooking + b.ID, Key: key}).key())
	if err != nil {
		return err
	}
	if said, err := o.saidTo(tx, oc, b.Contact); said || err != nil {
		return err
	}
	n := Notice{Event: "reminder", Rule: r.Name, Channel: r.Channel, Outcome: "planned", At: due}
	switch {
	case due.After(now):
	case !r.before():
		if now.After(catchUpOf(r, due, o.cfg.Location)) {
			return nil // long past
		}
	case late && r.limit(b, o.cfg.Location).After(now):
		n.At = now
	default:
		n.Outcome, n.Why, n.At = "suppressed", "it would have been due before now", time.Time{}
		*notices = append(*notices, n)
		return nil
	}
	*notices = append(*notices, n)
	return plans.Put(tx, &plan{Owner: ownerBooking + b.ID, Rule: r.Name, Due: n.At, Key: key})
}

// before: what the rule says comes before its booking, and is worth nothing
// after it.
func (r *Rule) before() bool { return r.On.Offset.Before() || r.On.Lead != "" }

func catchUpOf(r *Rule, due time.Time, zone *time.Location) time.Time {
	s := r.CatchUp
	if s.IsZero() {
		s = usualCatchUp
	}
	return s.From(due, zone)
}

// reminderKey names the occasion: a booking that moves away and back is
// reminded of once.
func reminderKey(r *Rule, b *Booking) string {
	of := b.Start
	if r != nil && r.On.Of == "end" {
		of = b.End
	}
	return "start " + of.UTC().Format(time.RFC3339)
}

// reminderAt is when the reminder of a booking is due, inside its window.
func (r *Rule) reminderAt(b *Booking, zone *time.Location) (time.Time, bool) {
	of := b.Start
	if r.On.Of == "end" {
		of = b.End
		if of.IsZero() {
			of = b.Start
		}
	}
	if of.IsZero() {
		return time.Time{}, false
	}
	span := r.On.Offset
	if r.On.Lead != "" {
		days, err := strconv.Atoi(b.Attrs[r.On.Lead].Text)
		if err != nil {
			return time.Time{}, false // no lead time, no reminder
		}
		span = Span{Days: -days}
	}
	due := span.From(of, zone)
	if r.On.At != "" {
		h, m, _ := clockOf(r.On.At) // was checked
		due = at(due.In(zone), h, m, zone)
	}
	if span.Before() {
		return r.window().fit(due, r.limit(b, zone), zone), true
	}
	return r.window().after(due, zone), true
}

// limit is the last moment at which a reminder still helps.
func (r *Rule) limit(b *Booking, zone *time.Location) time.Time {
	margin := r.Margin
	if margin.IsZero() {
		margin = usualMargin
	}
	return Span{Days: -margin.Days, Rest: -margin.Rest}.From(b.Start, zone)
}

// firsts plans what rules say when an attribute of a contact appears.
func (o *Outreach) firsts(tx *store.Tx, was, c *Contact, now time.Time) error {
	for r, err := range rules.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if r.On.Event != OnFirst || r.Off {
			continue
		}
		if c.field(r.On.Field).IsZero() || was != nil && !was.field(r.On.Field).IsZero() {
			continue
		}
		p := &plan{Owner: ownerContact + c.ID, Rule: r.Name, Due: now, Key: "first " + r.On.Field}
		if r.On.At != "" {
			if p.Due = r.runAt(now.In(o.cfg.Location), o.cfg.Location); p.Due.Before(now) {
				p.Due = r.runAt(now.In(o.cfg.Location).AddDate(0, 0, 1), o.cfg.Location)
			}
		}
		p.Due = r.window().after(p.Due, o.cfg.Location)
		if err := plans.Put(tx, p); err != nil {
			return err
		}
	}
	return nil
}

// replanRule plans the reminders of a rule that was changed. Notices that wait
// for their moment stay: they tell of what has happened.
func (o *Outreach) replanRule(ctx context.Context, r *Rule, by string) error {
	if r.Off {
		return o.silence(ctx, r.Name, by)
	}
	if r.On.Event != OnReminder {
		return nil
	}
	if err := o.commit(ctx, func(tx *store.Tx) error { return deletePlansOf(tx, r.Name) }); err != nil {
		return err
	}
	now := o.q.Now()
	var ids []string
	err := each(o.db, bookings, func(_ *store.Tx, b *Booking) error {
		if b.Contact != "" && b.Status == Confirmed {
			ids = append(ids, b.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, importChunk) {
		err := o.commit(ctx, func(tx *store.Tx) error {
			for _, id := range chunk {
				b, err := bookings.Get(tx, store.Str(id))
				if err != nil {
					return err
				}
				if b == nil {
					continue
				}
				if b, err = effective(tx, b); err != nil {
					return err
				}
				if !o.about(r, b) {
					continue
				}
				if err := o.planReminder(tx, r, b, now, false, &[]Notice{}); err != nil {
					return err
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

// duePlans fires what is due and returns when the next plan is.
func (o *Outreach) duePlans(ctx context.Context, now time.Time) (next time.Time, err error) {
	for ctx.Err() == nil {
		var due [][]byte
		next = time.Time{}
		err := o.db.View(func(tx *store.Tx) error {
			for key, pk := range byPlanDue.Keys(tx, nil) {
				if t := store.ReadKey(key).Time(); t.After(now) {
					next = t
					return nil
				}
				if due = append(due, bytes.Clone(pk)); len(due) == importChunk {
					return nil
				}
			}
			return nil
		})
		if err != nil || len(due) == 0 {
			return next, err
		}
		err = o.db.Commit(ctx, func(tx *store.Tx) error {
			for _, key := range due {
				p, err := plans.Get(tx, key)
				if err != nil {
					return err
				}
				if p == nil || p.Due.After(now) {
					continue // it was changed between the look and the commit
				}
				if err := o.fire(tx, p, now); err != nil {
					return err
				}
				if err := plans.Delete(tx, key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return next, err
		}
	}
	return next, ctx.Err()
}

// fire writes the message of a plan, or writes down why there is none.
func (o *Outreach) fire(tx *store.Tx, p *plan, now time.Time) error {
	r, err := rules.Get(tx, store.Str(p.Rule))
	if err != nil || r == nil || r.Off {
		return err
	}
	oc := &occasion{Rule: p.Rule, Owner: p.Owner, Key: p.Key, At: now}
	old, err := occasions.Get(tx, oc.key())
	if err != nil {
		return err
	}
	m, why, err := o.compose(tx, r, p, now)
	if err != nil {
		return err
	}
	if old != nil && !old.Gone {
		if m == nil {
			return nil
		}
		if said, err := o.saidTo(tx, old, m.Contact); said || err != nil {
			return err
		}
	}
	if m != nil {
		err = o.q.AddTx(tx, m)
		if bad, ok := errors.AsType[*queue.Invalid](err); ok {
			why, err, m = bad.Detail, nil, nil
		}
		if err != nil {
			return err // full, or no room: the plan stays
		}
	}
	if m != nil {
		oc.Msg = m.ID
	}
	oc.Why = why
	if why != "" {
		if err := o.q.NoteTx(tx, queue.Event{Kind: queue.KindRule, Ref: r.Name, Code: "rule_skipped"}); err != nil {
			return err
		}
	}
	return occasions.Put(tx, oc)
}

// compose makes the message of a plan; without one it says why.
func (o *Outreach) compose(tx *store.Tx, r *Rule, p *plan, now time.Time) (m *queue.Message, why string, err error) {
	var b *Booking
	id := contactOf(p.Owner)
	if name := bookingOf(p.Owner); name != "" {
		if b, err = bookings.Get(tx, store.Str(name)); err != nil || b == nil {
			return nil, "the booking is gone", err
		}
		if b, err = effective(tx, b); err != nil {
			return nil, "", err
		}
		id = b.Contact
		if !p.OldStart.IsZero() {
			b.OldStart = p.OldStart
		}
	}
	c, err := contacts.Get(tx, store.Str(id))
	if err != nil || c == nil {
		return nil, "the contact is gone", err
	}
	if why, err = o.mayRule(tx, r, c, b); why != "" || err != nil {
		return nil, why, err
	}
	d := queue.Draft{Source: sourceRule + r.Name, Contact: c.ID, Class: r.Class, Priority: r.Priority}
	if b != nil {
		d.Booking = b.ID
		switch {
		case r.On.Event != OnReminder:
		case !r.before():
			if now.After(catchUpOf(r, p.Due, o.cfg.Location)) {
				return nil, "the box was off when it was due", nil
			}
		case !r.limit(b, o.cfg.Location).After(now):
			return nil, "it was too late to remind", nil
		default:
			d.Expires = b.Start // a reminder after the start is none
		}
	}
	t, err := templates.Get(tx, store.Str(r.Template))
	if err != nil || t == nil {
		return nil, "the template " + r.Template + " is gone", err
	}
	m, err = o.draft(t, r.Channel, d, &recipient{contact: c, booking: b})
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		return nil, bad.Detail, nil
	}
	return m, "", err
}

// mayRule says why a contact gets nothing from a rule.
func (o *Outreach) mayRule(tx *store.Tx, r *Rule, c *Contact, b *Booking) (why string, err error) {
	s, err := o.selector(&Audience{All: r.Audience.All, Any: r.Audience.Any, Contacts: r.Audience.Contacts}, o.q.Now())
	if err != nil {
		return "", err
	}
	if _, ok := s.matches(c); !ok {
		return "is not among those the rule is for", nil
	}
	if !flagOn(r, c, b) {
		return r.Flag + " is off", nil
	}
	return refusesContact(tx, c, &r.Consent, r.Channel, nil)
}

// flagOn: the contact's switch, or the booking's own, lets the rule go.
func flagOn(r *Rule, c *Contact, b *Booking) bool {
	if r.Flag == "" {
		return true
	}
	if b != nil && b.AutoReminder != nil && r.Flag == FlagReminder {
		return *b.AutoReminder
	}
	return c.Flags[r.Flag]
}
