package queue

import (
	"errors"
	"strconv"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

// Quota is what a SIM or an account may carry. Zero: no limit. It is counted
// per identity (ICCID, SMPP account), so that a SIM that moves to another stick
// takes its count along.
type Quota struct {
	PartsPerMinute     int
	PartsPerHour       int
	PartsPerDay        int // of the shop's time zone
	RecipientsPerMonth int // different numbers
	MonthStarts        int // day of the month on which the contract counts anew; default 1
}

func (l Quota) none() bool {
	return l.PartsPerMinute <= 0 && l.PartsPerHour <= 0 && l.PartsPerDay <= 0 && l.RecipientsPerMonth <= 0
}

// Limit sets the quota of a route. Error: ErrNotFound.
func (q *Queue) Limit(name string, l Quota) error {
	r, ok := q.runner(name)
	if !ok {
		return ErrNotFound
	}
	r.alter(func() { r.quota = l })
	return nil
}

// usage is what an identity has carried, by window. A window is named by its
// begin; a count belongs to the window that it was made in.
type usage struct {
	Identity   string `json:"identity"`
	Minute     window `json:"minute,omitzero"`
	Hour       window `json:"hour,omitzero"`
	Day        window `json:"day,omitzero"`
	Recipients window `json:"recipients,omitzero"`
}

type window struct {
	Begins time.Time `json:"begins"`
	N      int       `json:"n"`
}

// recipientUse says that an identity has sent to a recipient in the month that
// begins then. It holds a hash, not the number.
type recipientUse struct {
	Identity string    `json:"identity"`
	Month    time.Time `json:"month"`
	Hash     uint32    `json:"hash"`
}

var (
	usages     = store.NewTable("quota", func(u *usage) []byte { return store.Str(u.Identity) })
	recipients = store.NewTable("quota.recipient", func(u *recipientUse) []byte {
		return recipientUseKey(u.Identity, u.Month, u.Hash)
	})
)

func recipientUseKey(identity string, month time.Time, hash uint32) []byte {
	return store.Join(store.Str(identity), store.Time(month), store.U64(uint64(hash)))
}

// wall is one limit with its window now.
type wall struct {
	of    string
	limit int
	used  *window
	ends  time.Time
}

// walls returns the limits in force, with their windows brought up to now.
// Recipients are not parts and come separately.
func (u *usage) walls(l Quota, now time.Time) []wall {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	tomorrow := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, now.Location())
	minute, hour := now.Truncate(time.Minute), now.Truncate(time.Hour)
	list := make([]wall, 0, 3)
	for _, w := range []struct {
		wall
		begins time.Time
	}{
		{wall{"parts_per_minute", l.PartsPerMinute, &u.Minute, minute.Add(time.Minute)}, minute},
		{wall{"parts_per_hour", l.PartsPerHour, &u.Hour, hour.Add(time.Hour)}, hour},
		{wall{"parts_per_day", l.PartsPerDay, &u.Day, tomorrow}, midnight},
	} {
		if w.limit > 0 {
			w.used.roll(w.begins)
			list = append(list, w.wall)
		}
	}
	return list
}

func (w *window) roll(begins time.Time) {
	if !w.Begins.Equal(begins) {
		*w = window{Begins: begins}
	}
}

// month returns the contract month that now lies in. A contract that begins on
// the 31st begins on the last day of shorter months.
func (l Quota) month(now time.Time) (begins, ends time.Time) {
	start := func(offset int) time.Time {
		first := time.Date(now.Year(), now.Month()+time.Month(offset), 1, 0, 0, 0, 0, now.Location())
		last := first.AddDate(0, 1, -1).Day()
		return first.AddDate(0, 0, min(max(1, l.MonthStarts), last)-1)
	}
	if begins = start(0); begins.After(now) {
		return start(-1), begins
	}
	return begins, start(1)
}

// account is an identity's usage beside its quota.
type account struct {
	usage
	quota Quota
}

// quotaOf reads the account of the identity that a route has now: nil where
// nothing is limited.
func (q *Queue) quotaOf(tx *store.Tx, r *runner) (*account, error) {
	r.mu.Lock()
	l, identity := r.quota, r.status.Identity
	r.mu.Unlock()
	if l.none() || identity == "" {
		return nil, nil
	}
	u, err := usages.Get(tx, store.Str(identity))
	if u == nil {
		u = &usage{Identity: identity}
	}
	return &account{*u, l}, err
}

// closed returns until when nothing at all can be carried, and by which limit:
// zero while there is room.
func (a *account) closed(now time.Time) (until time.Time, limit int) {
	if a == nil {
		return time.Time{}, 0
	}
	for _, w := range a.walls(a.quota, now) {
		if w.used.N >= w.limit && w.ends.After(until) {
			until, limit = w.ends, w.limit
		}
	}
	return until, limit
}

// noRoom says until when a message must wait because its identity cannot carry
// it whole: zero if it can. A message of more parts than a window allows at all
// may begin an untouched window, or it would wait for ever.
func (q *Queue) noRoom(tx *store.Tx, w want, id []byte) (until time.Time, err error) {
	m, err := messages.Get(tx, id)
	if err != nil || m == nil {
		return time.Time{}, err
	}
	return q.fits(tx, w, m)
}

// fits is noRoom for a message that was read.
func (q *Queue) fits(tx *store.Tx, w want, m *Message) (until time.Time, err error) {
	a, now := w.quota, w.now.In(q.cfg.Location)
	out := m.outbound()
	parts := len(out.Todo())
	for _, w := range a.walls(a.quota, now) {
		if w.used.N > 0 && w.used.N+parts > w.limit && w.ends.After(until) {
			until = w.ends
		}
	}
	if a.quota.RecipientsPerMonth > 0 {
		begins, ends := a.quota.month(now)
		if a.Recipients.roll(begins); a.Recipients.N >= a.quota.RecipientsPerMonth {
			known, err := recipients.Get(tx, recipientUseKey(a.Identity, begins, hashOf(m.To)))
			if err != nil || known == nil {
				return ends, err
			}
		}
	}
	return until, nil
}

// charge counts a message against the quota of the route that takes it, in the
// commit of the take. Near a limit, and at it, an event says so.
func (q *Queue) charge(tx *store.Tx, r *runner, m *Message) error {
	m.Charged = 0
	a, err := q.quotaOf(tx, r)
	if a == nil || err != nil {
		return err
	}
	u, l := &a.usage, a.quota
	out := m.outbound()
	now, n := q.now().In(q.cfg.Location), len(out.Todo())
	for _, w := range u.walls(l, now) {
		before := w.used.N
		w.used.N += n
		if err := q.announce(tx, r, before, w.used.N, w.limit, w.ends); err != nil {
			return err
		}
	}
	if l.RecipientsPerMonth > 0 {
		begins, ends := l.month(now)
		u.Recipients.roll(begins)
		err := recipients.Insert(tx, &recipientUse{Identity: u.Identity, Month: begins, Hash: hashOf(m.To)})
		if err == nil {
			u.Recipients.N++
			err = q.announce(tx, r, u.Recipients.N-1, u.Recipients.N, l.RecipientsPerMonth, ends)
		}
		if err != nil && !errors.Is(err, store.ErrExists) {
			return err
		}
	}
	m.Charged = n
	return usages.Put(tx, u)
}

// announce notes an event when a count passes 80 % of its limit, and the limit.
func (q *Queue) announce(tx *store.Tx, r *runner, before, after, limit int, ends time.Time) error {
	near := (limit*8 + 9) / 10
	code := ""
	switch {
	case before < limit && after >= limit:
		code = "limit_reached"
	case before < near && after >= near && limit >= 10:
		code = "limit_near"
	default:
		return nil
	}
	return q.note(tx, nil, Event{
		Kind: KindQuota, Route: r.name, Identity: r.identity(), Code: code,
		Detail: strconv.Itoa(after) + " of " + strconv.Itoa(limit), Until: ends,
	})
}

// refund gives back, in the commit of the settle, what was counted for parts
// that the network never saw. A part whose answer was lost counts as sent.
func (q *Queue) refund(tx *store.Tx, m *Message, rcpt route.Receipt, err error) error {
	left := m.Charged
	m.Charged = 0
	if left == 0 || err == nil {
		return nil
	}
	offered := len(rcpt.Parts)
	if route.FateOf(err, true) != route.NotOffered && offered == 0 {
		offered = 1
	}
	back := left - offered
	if back <= 0 {
		return nil
	}
	u, err := usages.Get(tx, store.Str(m.Identity))
	if u == nil || err != nil {
		return err
	}
	for _, w := range []*window{&u.Minute, &u.Hour, &u.Day} {
		if !m.Took.Before(w.Begins) {
			w.N = max(0, w.N-back)
		}
	}
	return usages.Put(tx, u)
}

// wallOf says until when a route has used up a limit, and which.
func (q *Queue) wallOf(name string) (until time.Time, limit int) {
	r, ok := q.runner(name)
	if !ok {
		return time.Time{}, 0
	}
	err := q.db.View(func(tx *store.Tx) error {
		a, err := q.quotaOf(tx, r)
		until, limit = a.closed(q.now().In(q.cfg.Location))
		return err
	})
	if err != nil {
		q.log.Error("cannot read a quota", "route", name, "err", err)
	}
	return until, limit
}

// QuotaLeft is what a route may still carry before a wall.
type QuotaLeft struct {
	Left  int       `json:"left"`
	Limit int       `json:"limit"`
	Until time.Time `json:"until"` // when the count begins anew
	Of    string    `json:"of"`    // parts_per_minute, parts_per_hour, parts_per_day, recipients_per_month
}

// Quotas lists what is left of each limit of a route. Error: ErrNotFound.
func (q *Queue) Quotas(name string) (list []QuotaLeft, err error) {
	r, ok := q.runner(name)
	if !ok {
		return nil, ErrNotFound
	}
	err = q.db.View(func(tx *store.Tx) error {
		a, err := q.quotaOf(tx, r)
		if a == nil || err != nil {
			return err
		}
		u, l := &a.usage, a.quota
		now := q.now().In(q.cfg.Location)
		for _, w := range u.walls(l, now) {
			list = append(list, QuotaLeft{Left: max(0, w.limit-w.used.N), Limit: w.limit, Until: w.ends, Of: w.of})
		}
		if l.RecipientsPerMonth > 0 {
			begins, ends := l.month(now)
			u.Recipients.roll(begins)
			list = append(list, QuotaLeft{
				Left: max(0, l.RecipientsPerMonth-u.Recipients.N), Limit: l.RecipientsPerMonth, Until: ends, Of: "recipients_per_month",
			})
		}
		return nil
	})
	return list, err
}
