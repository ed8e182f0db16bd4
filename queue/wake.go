package queue

import (
	"context"
	"errors"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/store"
)

const (
	// maxSleep keeps the heartbeat fresh while nothing is to do.
	maxSleep = 5 * time.Second
	// wakeChunk messages are looked at in one transaction.
	wakeChunk = 200
	// restartAfter is how long a long message waits for the identity that began
	// it, before on_partial: restart lets another begin anew.
	restartAfter = time.Minute
	// recheck is how soon the timer looks again at what it could not decide.
	recheck = 15 * time.Second
	// sweepEvery is how often what is kept for a time is thrown out.
	sweepEvery = time.Hour
)

// runTimer does what is due by the clock: planned messages whose time has
// come, waits that expire, the resend policy of unknown ones, reports that
// never came. It also commits what routes have to tell about themselves.
func (q *Queue) runTimer(ctx context.Context, broken context.CancelCauseFunc) {
	nextSweep, nextNumbers := q.began, q.began
	for {
		q.turned()
		if err := q.lookAtClock(ctx); err != nil && ctx.Err() == nil {
			q.log.Error("the time has jumped, and what waits by it cannot be planned anew; trying again", "err", err)
		}
		now := q.now()
		if err := q.db.Sealed(); err != nil {
			broken(err)
		}
		if err := q.commitNews(ctx); err != nil && ctx.Err() == nil {
			q.log.Error("cannot write down what a route told; trying again", "err", err)
		}
		next, err := q.wakeDue(ctx, now)
		if err != nil && ctx.Err() == nil {
			q.log.Error("the timer cannot write; trying again", "err", err)
			next = now.Add(restFirst)
		}
		if soon, err := q.tellIncomplete(ctx, now); err != nil && ctx.Err() == nil {
			q.log.Error("cannot tell of an incomplete message; trying again", "err", err)
		} else if !soon.IsZero() {
			next = sooner(next, soon)
		}
		if err := q.watchPools(ctx); err != nil && ctx.Err() == nil {
			q.log.Error("cannot route messages again; trying again", "err", err)
		}
		if at := q.forgetAt.Load(); at > 0 && int64(time.Since(q.began)) >= at {
			if err := q.ForgetAgain(ctx); err != nil && ctx.Err() == nil {
				q.forgetLater()
				q.log.Error("cannot forget a person; trying again", "err", err)
			}
		}
		if q.clock.Known() && !time.Now().Before(nextSweep) {
			nextSweep = time.Now().Add(sweepEvery)
			if err := errors.Join(q.sweep(ctx, now), q.retain(ctx, now)); err != nil && ctx.Err() == nil {
				q.log.Error("cannot throw out what is too old", "err", err)
			}
		}
		if q.clock.Known() && !time.Now().Before(nextNumbers) {
			nextNumbers = time.Now().Add(numbersEvery)
			if err := q.sweepNumbers(ctx, now); err != nil && ctx.Err() == nil {
				q.log.Error("cannot throw out numbers that are of no more use", "err", err)
			}
		}
		if latest := now.Add(maxSleep); next.IsZero() || next.After(latest) {
			next = latest
		}
		q.mu.Lock()
		q.nextWake = next
		q.mu.Unlock()
		wait(ctx, q.alarm(next), nil, q.poke)
		if ctx.Err() != nil {
			if err := q.commitNews(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, store.ErrSealed) {
				q.log.Error("the last change of a route is not in the log of events", "err", err)
			}
			return
		}
	}
}

// turned keeps the heartbeat fresh: the timer is at work, however much there is.
func (q *Queue) turned() { q.beat.Store(int64(time.Since(q.began))) }

// wakeBy makes the timer look no later than t.
func (q *Queue) wakeBy(t time.Time) {
	q.mu.Lock()
	sooner := t.Before(q.nextWake)
	q.mu.Unlock()
	if sooner {
		q.prod()
	}
}

func (q *Queue) prod() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// wakeDue acts on every message whose wake time has come and returns when the
// next one does. What must wait for something else (a resend whose route is
// silent) is left as it is, without a write, and looked at again.
func (q *Queue) wakeDue(ctx context.Context, now time.Time) (next time.Time, err error) {
	var from []byte
	for {
		var due []ID
		next, from, err = q.dueNow(now, from, &due)
		if err != nil {
			return next, err
		}
		q.turned()
		if len(due) > 0 {
			err = q.db.Commit(ctx, func(tx *store.Tx) error {
				for _, id := range due {
					if err := q.wakeOne(tx, id, now); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil || from == nil {
			return next, err
		}
	}
}

// dueNow collects up to wakeChunk messages to act on, from an index position.
// A position is returned while there may be more.
func (q *Queue) dueNow(now time.Time, from []byte, due *[]ID) (next time.Time, more []byte, err error) {
	err = q.db.View(func(tx *store.Tx) error {
		looked := 0
		for key, id := range byWake.Keys(tx, from) {
			at, _, _ := wakeOf(key)
			if at.After(now) {
				if next.IsZero() || at.Before(next) {
					next = at
				}
				return nil
			}
			if looked++; looked > wakeChunk {
				more = append([]byte(nil), key...)
				return nil
			}
			m, err := messages.Get(tx, id)
			if err != nil {
				return err
			}
			if m != nil && q.actsNow(m, now) {
				*due = append(*due, m.ID)
			} else {
				next = now.Add(recheck)
			}
		}
		return nil
	})
	return next, more, err
}

// actsNow reports whether the timer has something to do with m.
func (q *Queue) actsNow(m *Message, now time.Time) bool {
	if m.Wake.IsZero() || m.Wake.After(now) {
		return false
	}
	switch m.State {
	case Scheduled, Sent, Held:
		return q.clock.Known()
	case Queued:
		return q.past(m.Expires) || (m.canRestart() && !q.identityReady(m.Pin))
	case Unknown:
		return q.past(m.Expires) || (m.OnUnknown == OnUnknownResend && m.Resent == 0 && !q.silent(m))
	}
	return false
}

func (q *Queue) wakeOne(tx *store.Tx, id ID, now time.Time) error {
	_, err := q.change(tx, id, func(m *Message) error {
		if !q.actsNow(m, now) {
			return nil // it moved on between the look and the commit
		}
		switch {
		case m.State == Scheduled:
			if err := m.move(onDue); err != nil {
				return err
			}
			before := m.Pool
			q.reroute(m) // by the rules of this hour
			q.waitInLine(m, m.At)
			if err := q.note(tx, m, Event{Kind: KindDue}); err != nil {
				return err
			}
			if m.Pool != before {
				if err := q.note(tx, m, Event{Kind: KindRerouted, Code: m.Pool, Detail: "from " + before}); err != nil {
					return err
				}
			}
			_, err := q.holdForQuiet(tx, m)
			return err
		case m.State == Sent:
			m.Wake, m.Why = time.Time{}, because("no_report")
			return q.note(tx, m, Event{Kind: KindNoReport})
		case m.State == Unknown && q.past(m.Expires):
			m.Wake, m.Why = time.Time{}, because("unsure_expired")
			return q.note(tx, m, Event{Kind: KindExpired})
		case m.State == Unknown:
			return q.resend(tx, m, "policy on_unknown: resend")
		case q.past(m.Expires):
			return q.end(tx, m, onExpire, because("expired"), Event{Kind: KindExpired})
		case m.State == Held:
			if err := m.move(onRelease); err != nil {
				return err
			}
			q.waitInLine(m, now)
			return q.note(tx, m, Event{Kind: KindReleased})
		default:
			return q.restart(tx, m)
		}
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// resend sends an unknown or ended message once more; a person may do so even
// when its time has run out. A long one whose first parts are known to have left
// goes on after them. What was lost stays so until a lane takes it: until then
// a report can still show that nothing need be sent.
func (q *Queue) resend(tx *store.Tx, m *Message, by string) error {
	if m.Wiped {
		return &Invalid{"id", "text_gone", "its text is gone, since the time that texts are kept is over (retention.text_days). Write a new message"}
	}
	unknown := m.State == Unknown
	if err := m.move(onResend); err != nil {
		return err
	}
	m.Resent++
	if !unknown {
		m.startAgain()
		m.Tried = 0
	}
	now := q.now()
	if q.past(m.Expires) {
		m.Expires = now.Add(defaultValidity)
	}
	q.waitInLine(m, now)
	return q.note(tx, m, Event{Kind: KindResent, By: by})
}

// canRestart: a long message, begun by an identity that may be away, whose
// sender would rather have it whole from another than wait.
func (m *Message) canRestart() bool { return m.Pin != "" && m.OnPartial == OnPartialRestart }

// restart lets another route begin a long message again at part one.
func (q *Queue) restart(tx *store.Tx, m *Message) error {
	pin := m.Pin
	m.startAgain()
	q.waitInLine(m, m.Due)
	return q.note(tx, m, Event{Kind: KindRestarted, Identity: pin})
}

// silent reports whether whoever carried the lost part of m cannot be heard:
// then its report could not arrive either, and the resend waits.
func (q *Queue) silent(m *Message) bool {
	for _, p := range m.Parts {
		if p.State == PartUnknown {
			return !q.identityReady(p.Identity)
		}
	}
	return false
}

func (q *Queue) identityReady(identity string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.runners {
		if s := r.snapshot(); s.State == route.Ready && s.Identity == identity {
			return true
		}
	}
	return false
}

// tell takes news of a route for the event log. It never blocks: routes call
// it from where they must not wait. The timer commits it.
func (q *Queue) tell(e Event) {
	q.mu.Lock()
	q.news = append(q.news, e)
	q.mu.Unlock()
	q.prod()
}

func (q *Queue) commitNews(ctx context.Context) error {
	q.mu.Lock()
	news := q.news
	q.mu.Unlock()
	if len(news) == 0 {
		return nil
	}
	err := q.db.Commit(ctx, func(tx *store.Tx) error {
		for _, e := range news {
			if err := q.note(tx, nil, e); err != nil {
				return err
			}
		}
		tx.OnCommit(q.signal)
		return nil
	})
	if err == nil {
		q.mu.Lock()
		q.news = q.news[len(news):]
		q.mu.Unlock()
	}
	return err
}

// sweep throws out reports nobody claimed, and keys of repeats that can no
// longer come.
func (q *Queue) sweep(ctx context.Context, now time.Time) error {
	type old struct{ orphan, seen []byte }
	for {
		var gone []old
		err := q.db.View(func(tx *store.Tx) error {
			for o, err := range orphans.Scan(tx, nil) {
				if err != nil {
					return err
				}
				if now.Sub(o.At) > orphanKept {
					gone = append(gone, old{orphan: store.Join(refKey(o.Report.Identity, o.Report.Ref), seqKey(o.Seq))})
				}
				if len(gone) == wakeChunk {
					return nil
				}
			}
			for s, err := range seen.Scan(tx, nil) {
				if err != nil {
					return err
				}
				if s.Day > now.Unix()/86400-seenDays || len(gone) == wakeChunk {
					return nil
				}
				gone = append(gone, old{seen: seenAt(s.Day, s.Key)})
			}
			return nil
		})
		if err != nil || len(gone) == 0 {
			return err
		}
		q.turned()
		err = q.db.Commit(ctx, func(tx *store.Tx) error {
			for _, g := range gone {
				if g.orphan != nil {
					if err := orphans.Delete(tx, g.orphan); err != nil {
						return err
					}
				} else if err := seen.Delete(tx, g.seen); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}
