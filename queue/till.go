package queue

import (
	"fmt"
	"time"

	"tillpost/queue/store"
)

// TillLimits is how many messages one till may hand in. Zero: no limit.
type TillLimits struct {
	PerHour, PerDay int // the day is the shop's
}

// TooFast is the answer to a till that has used up its limit.
type TooFast struct {
	Till       string
	Limit      int
	Of         string // per_hour or per_day
	RetryAfter time.Duration
}

func (e *TooFast) Error() string {
	span := map[string]string{"per_hour": "an hour", "per_day": "a day"}[e.Of]
	return fmt.Sprintf("%s may send %d messages in %s, and has. Send it again in %s, or raise %s of its key", e.Till, e.Limit, span, e.RetryAfter.Round(time.Second), e.Of)
}

// tillUse is what a till with a limit has handed in.
type tillUse struct {
	Till string `json:"till"`
	Hour window `json:"hour,omitzero"`
	Day  window `json:"day,omitzero"`
}

var tillUses = store.NewTable("till", func(u *tillUse) []byte { return store.Str(u.Till) }).Expendable()

// chargeTill counts a message against the limits of its till, in the commit that
// accepts it. Error: *TooFast.
func (q *Queue) chargeTill(tx *store.Tx, m *Message) error {
	l := m.tillLimits
	if l.PerHour <= 0 && l.PerDay <= 0 {
		return nil
	}
	u, err := tillUses.Get(tx, store.Str(m.Till))
	if err != nil {
		return err
	}
	if u == nil {
		u = &tillUse{Till: m.Till}
	}
	now := q.now().In(q.cfg.Location)
	hour := now.Truncate(time.Hour)
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	for _, w := range []struct {
		of           string
		limit        int
		used         *window
		begins, ends time.Time
	}{
		{"per_hour", l.PerHour, &u.Hour, hour, hour.Add(time.Hour)},
		{"per_day", l.PerDay, &u.Day, day, time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, now.Location())},
	} {
		if w.limit <= 0 {
			continue
		}
		if w.used.roll(w.begins); w.used.N >= w.limit {
			return &TooFast{Till: m.Till, Limit: w.limit, Of: w.of, RetryAfter: w.ends.Sub(now)}
		}
		w.used.N++
	}
	return tillUses.Put(tx, u)
}
