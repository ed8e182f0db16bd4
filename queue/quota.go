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
	usages     = store.NewTable("quota", func(u *usage) []byte { return store.Str(u.Identity) }).Expendable()
	recipients = store.NewTable("quota.recipient", func(u *recipientUse) []byte {
		return recipientUseKey(u.Identity, u.Month, u.Hash)
	})
)

func recipientUseKey(identity string, month time.Time, hash uint32) []byte {
	return store.Join(store.Str(identity), store.Time(month), store.U64(uint64(hash)))
}

// Names of limits that the code must tell apart.
const (
	partsPerMinute     = "parts_per_minute"
	recipientsPerMonth = "recipients_per_month"
)

// wall is one limit with its window now.
type wall struct {
	of    string
	limit int
	used  *window
	ends  time.Time
}

func (w *wall) left() int { return max(0, w.limit-w.used.N) }

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
		{wall{partsPerMinute, l.PartsPerMinute, &u.Minute, minute.Add(time.Minute)}, minute},
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

// closed is the limit that lets nothing at all through now, of several the one
// that ends last: zero while there is room.
func (a *account) closed(now time.Time) (shut wall) {
	if a == nil {
		return wall{}
	}
	for _, w := range a.walls(a.quota, now) {
		if w.used.N >= w.limit && w.ends.After(shut.ends) {
			shut = w
		}
	}
	return shut
}

// before is the limit that m stands before at this account: zero if all of it
// may go. One of more parts than a window allows at all may begin an untouched
// window, or it would wait for ever.
func (a *account) before(tx *store.Tx, m *Message, now time.Time) (stop wall, err error) {
	if a == nil {
		return wall{}, nil
	}
	out := m.outbound()
	parts := len(out.Todo())
	for _, w := range a.walls(a.quota, now) {
		if w.used.N > 0 && w.used.N+parts > w.limit && w.ends.After(stop.ends) {
			stop = w
		}
	}
	if w := a.month(now); w.used != nil && w.used.N >= w.limit && w.ends.After(stop.ends) {
		known, err := recipients.Get(tx, recipientUseKey(a.Identity, w.used.Begins, hashOf(m.To)))
		if err != nil {
			return wall{}, err
		}
		if known == nil {
			stop = w
		}
	}
	return stop, nil
}

// month is the limit of different recipients with its window brought up to now:
// zero where there is none.
func (a *account) month(now time.Time) wall {
	if a.quota.RecipientsPerMonth <= 0 {
		return wall{}
	}
	begins, ends := a.quota.month(now)
	a.Recipients.roll(begins)
	return wall{of: recipientsPerMonth, limit: a.quota.RecipientsPerMonth, used: &a.Recipients, ends: ends}
}

// noRoom says until when a message must wait because its identity cannot carry
// it whole: zero if it can.
func (q *Queue) noRoom(tx *store.Tx, w want, id []byte) (until time.Time, err error) {
	m, err := messages.Get(tx, id)
	if err != nil || m == nil {
		return time.Time{}, err
	}
	return q.fits(tx, w, m)
}

// fits is noRoom for a message that was read.
func (q *Queue) fits(tx *store.Tx, w want, m *Message) (until time.Time, err error) {
	stop, err := w.quota.before(tx, m, w.now.In(q.cfg.Location))
	return stop.ends, err
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
		if err := q.announce(tx, r, before, w); err != nil {
			return err
		}
	}
	if w := a.month(now); w.used != nil {
		err := recipients.Insert(tx, &recipientUse{Identity: u.Identity, Month: w.used.Begins, Hash: hashOf(m.To)})
		if err == nil {
			w.used.N++
			err = q.announce(tx, r, w.used.N-1, w)
		}
		if err != nil && !errors.Is(err, store.ErrExists) {
			return err
		}
	}
	m.Charged = n
	return usages.Put(tx, u)
}

// announce notes an event when a count passes 80 % of its limit, or all but one
// of a small one, and the limit. A limit by the minute is the pace of a route,
// and no news.
func (q *Queue) announce(tx *store.Tx, r *runner, before int, w wall) error {
	near := max(1, min((w.limit*8+9)/10, w.limit-1))
	after, code := w.used.N, ""
	switch {
	case w.of == partsPerMinute:
		return nil
	case before < w.limit && after >= w.limit:
		code = "limit_reached"
	case before < near && after >= near:
		code = "limit_near"
	default:
		return nil
	}
	return q.note(tx, nil, Event{
		Kind: KindQuota, Route: r.name, Identity: r.identity(), Code: code,
		Detail: strconv.Itoa(after) + " of " + strconv.Itoa(w.limit), Until: w.ends,
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

// wallOf is the limit of a route that m stands before: zero if it may go.
func (q *Queue) wallOf(name string, m *Message) (stop wall) {
	r, ok := q.runner(name)
	if !ok {
		return wall{}
	}
	q.viewQuota(r, func(tx *store.Tx, a *account, now time.Time) (err error) {
		if stop = a.closed(now); !stop.ends.IsZero() {
			return nil
		}
		stop, err = a.before(tx, m, now)
		return err
	})
	return stop
}

// spent says which limit of a route is used up, as a key of words.csv. A limit
// by the minute is its pace, and no news.
func (q *Queue) spent(r *runner) (code string) {
	q.viewQuota(r, func(_ *store.Tx, a *account, now time.Time) error {
		if shut := a.closed(now); !shut.ends.IsZero() && shut.of != partsPerMinute {
			code = "limit_used"
		} else if w := a.month(now); w.used != nil && w.left() == 0 {
			code = "limit_numbers"
		}
		return nil
	})
	return code
}

// viewQuota shows fn what a route has carried, where it has limits.
func (q *Queue) viewQuota(r *runner, fn func(tx *store.Tx, a *account, now time.Time) error) {
	r.mu.Lock()
	none := r.quota.none()
	r.mu.Unlock()
	if none {
		return
	}
	err := q.db.View(func(tx *store.Tx) error {
		a, err := q.quotaOf(tx, r)
		if a == nil || err != nil {
			return err
		}
		return fn(tx, a, q.now().In(q.cfg.Location))
	})
	if err != nil {
		q.log.Error("cannot read a quota", "route", r.name, "err", err)
	}
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
		now := q.now().In(q.cfg.Location)
		walls := a.walls(a.quota, now)
		if w := a.month(now); w.used != nil {
			walls = append(walls, w)
		}
		for _, w := range walls {
			list = append(list, QuotaLeft{Left: w.left(), Limit: w.limit, Until: w.ends, Of: w.of})
		}
		return nil
	})
	return list, err
}
