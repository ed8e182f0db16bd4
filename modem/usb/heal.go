package usb

import (
	"context"
	"fmt"
	"time"
)

const (
	healAfter = time.Minute      // of silence, and then between the two ways
	healEvery = 15 * time.Minute // after both were tried (field-notes §1.12)
)

// healing is how far a silent stick was helped.
type healing struct {
	tries int
	next  time.Time
}

// mustHeal tells whether a stick has been silent for so long that it is reset.
func (w *Watcher) mustHeal(s *watched, now time.Time) bool {
	if w.cfg.Heal == nil || s.stick.Mode != Modem || s.stick.Online || s.code != codeSilent || now.Sub(s.since) < healAfter || !w.cfg.Heal(s.stick) {
		return false
	}
	return !now.Before(w.healed[s.stick.Path+s.stick.ID()].next)
}

// healer chooses what a silent stick is helped with: a reset, the next time no
// power for a while, and so on by turns.
func (w *Watcher) healer(s Stick, now time.Time) func(context.Context, Stick) verdict {
	key := s.Path + s.ID()
	h := w.healed[key]
	pause := healAfter
	if h.tries > 0 {
		pause = healEvery
	}
	w.healed[key] = healing{tries: h.tries + 1, next: now.Add(pause)}
	return func(ctx context.Context, s Stick) verdict {
		d := w.reach(s)
		rung, do := RungReset, d.Reset
		if h.tries%2 == 1 {
			rung, do = RungPower, d.PowerCycle
		}
		w.log.Warn("a stick does not answer", "usb", s.Path, "name", s.Name, "rung", rung)
		v := verdict{of: s.arrival(), detail: "; " + rung + " was tried"}
		if err := do(ctx); err != nil {
			v.detail = fmt.Sprintf("; %s: %v", rung, err)
			w.log.Warn("a silent stick could not be helped", "usb", s.Path, "rung", rung, "err", err)
		}
		return v
	}
}
