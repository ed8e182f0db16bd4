package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

// One modem may correct a system clock that looks right by weeks, and not by
// months; two that agree may.
func TestOneModemAloneIsNotBelievedByMonths(t *testing.T) {
	far := 300 * 24 * time.Hour
	for _, c := range []struct {
		name     string
		wall     time.Time
		patience time.Duration
		offers   map[string]time.Duration // of each source, from today
		quality  Quality
		off      time.Duration
	}{
		{"one, 300 days ahead", today, 0, map[string]time.Duration{"a": far}, Assumed, 0},
		{"one, 300 days behind", today, 0, map[string]time.Duration{"a": -far}, Assumed, 0},
		{"one, before the system clock is used", today, time.Hour, map[string]time.Duration{"a": far}, Unset, 0},
		{"one, three weeks ahead: the box was off", today, 0, map[string]time.Duration{"a": 21 * 24 * time.Hour}, Network, 21 * 24 * time.Hour},
		{"two that agree", today, 0, map[string]time.Duration{"a": far, "b": far + time.Minute}, Network, far},
		{"two that do not", today, 0, map[string]time.Duration{"a": far, "b": 2 * far}, Assumed, 0},
		{"one far off, one near", today, 0, map[string]time.Duration{"a": far, "b": time.Hour}, Network, time.Hour},
		{"one, and a system clock in 1970", time.Unix(20, 0), 0, map[string]time.Duration{"a": far}, Network, far},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(c.wall, today.AddDate(-1, 0, 0).Add(time.Hour*24*65), today, c.patience)
				for source, off := range c.offers {
					b.Offer(today.Add(off), source)
				}
				b.Look()
				off := b.Now().Sub(today.Add(c.off))
				if r := b.Reading(); r.Quality != c.quality || off < -stepLimit || off > stepLimit {
					t.Errorf("it is %s, %s, %s from what was to be", r.Now, r.Quality, off)
				}
			})
		})
	}
}

// The same modem that tells it again is no second source.
func TestASourceDoesNotSecondItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(today, time.Time{}, time.Time{}, 0)
		for range 3 {
			b.Offer(b.Now().AddDate(1, 0, 0), "counter")
			time.Sleep(time.Minute)
			b.Look()
		}
		if r := b.Reading(); r.Quality != Assumed {
			t.Errorf("%+v", r)
		}
	})
}
