package modem

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/at"
	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// Issue 4, point 8: the rungs in their fixed order, whatever the trouble; what
// cannot be done is passed over, never done out of turn.
func TestLadderOrder(t *testing.T) {
	usb := []Rung{{Name: "USB reset"}, {Name: "USB power", Why: func() string { return "the hub cannot switch its ports" }}}
	lost, unwell, settings := trouble{why: at.ErrTimeout}, trouble{reset: true, why: errors.New("CMS 300")}, trouble{why: errLostSettings}
	const rest = rungOutside + 2
	for _, tc := range []struct {
		name         string
		t            trouble
		silent, owed bool
		recent       bool // it was restarted a minute ago
		want         []int
	}{
		{"an answer is lost, the modem answers again", lost, false, false, false, []int{rungResync, rungPrepare, rungRadio, rungRestart, rungReopen, rungOutside, rest, rungResync}},
		{"it is silent", lost, true, false, false, []int{rungResync, rungRestart, rungReopen, rungOutside, rest, rungResync}},
		{"it is silent with a message in hand", lost, true, true, false, []int{rungResync, rungReopen, rungOutside, rest}},
		{"it is silent and was restarted just now", lost, true, false, true, []int{rungResync, rungReopen, rungOutside, rest}},
		{"it is not well", unwell, false, false, false, []int{rungPrepare, rungRadio, rungRestart, rungReopen, rungOutside, rest, rungPrepare}},
		{"it has lost its settings", settings, false, false, false, []int{rungPrepare, rungRadio, rungRestart}},
	} {
		l, now := newLadder(usb), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
		if tc.recent {
			l.restart = now.Add(-time.Minute)
		}
		var got []int
		for range tc.want {
			got = append(got, l.climb(now, tc.t, tc.silent, tc.owed))
			now = now.Add(10 * time.Second)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: the rungs are %v, want %v", tc.name, got, tc.want)
		}
	}
}

// The record says how often a rung was tried and how often it was the one that
// helped.
func TestLadderRecord(t *testing.T) {
	l, now := newLadder(nil), time.Now()
	lost := trouble{why: at.ErrTimeout}
	l.climb(now, lost, false, false) // find it
	l.climb(now, lost, false, false) // prepare it: this one helped
	if !l.isWell() || l.isWell() {
		t.Error("it is well once, and that is news once")
	}
	l.climb(now, lost, false, false) // at the foot again
	r := l.record
	if r[rungResync].Tried != 2 || r[rungResync].Helped != 0 || r[rungPrepare].Tried != 1 || r[rungPrepare].Helped != 1 || !r[rungPrepare].Last.Equal(now) {
		t.Errorf("%+v", r)
	}
}

// The rest at the top grows, and begins small again once the modem was well.
func TestLadderRests(t *testing.T) {
	l, now := newLadder(nil), time.Now()
	silent := trouble{why: at.ErrSilent}
	rest := func() time.Duration {
		for l.climb(now, silent, true, true) < rungOutside {
		}
		return l.rested.Sub(now)
	}
	var got []time.Duration
	for range 6 {
		got = append(got, rest())
	}
	l.isWell()
	got = append(got, rest())
	if want := []time.Duration{1, 2, 4, 8, 15, 15, 1}; !slices.EqualFunc(got, want, func(a, b time.Duration) bool { return a == b*time.Minute }) {
		t.Errorf("it rests %v, want %v minutes", got, want)
	}
}

// stubborn plugs a modem that only a rung from outside brings back, and
// returns the calls of the two there are.
func stubborn(t *testing.T, fault string, peer sim.Config) (b *bench, calls func() []string) {
	t.Helper()
	var mu sync.Mutex
	var did []string
	do := func(name string, f func(*sim.Modem)) func(context.Context) error {
		return func(context.Context) error {
			mu.Lock()
			did = append(did, name)
			mu.Unlock()
			f(b.peer)
			return nil
		}
	}
	b = plug(t, setUp{kept: true, peer: peer, modem: Config{SendTimeout: 10 * time.Second, Rungs: []Rung{
		{Name: "USB reset", Do: do("reset", (*sim.Modem).USBReset)},
		{Name: "USB port power", Do: do("power", (*sim.Modem).PowerCycle)},
	}}})
	b.mustSend("before")
	b.play(fault)
	return b, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(did)
	}
}

// A modem that hangs so that no command, and not even a new opening, reaches
// it comes back by the rung that can: nobody touched the box.
func TestLadderReachesWhatNoCommandDoes(t *testing.T) {
	for fault, want := range map[string][]string{
		"cmgs: stuck until reset": {"reset"},
		"cmgs: stuck until power": {"reset", "power"},
	} {
		bubble(t, fault, func(t *testing.T) {
			b, calls := stubborn(t, fault, sim.Config{})
			if _, err := b.send("m", "+31612345678", "x"); fate(err) != route.NotOffered {
				t.Errorf("%v", err)
			}
			b.mustSend("after")
			if got := calls(); !slices.Equal(got, want) {
				t.Errorf("from outside were done %v, want %v\n%s", got, want, b.log)
			}
			rungs := b.sink.last().Care.Rungs
			helped := rungs[rungOutside+len(want)-1]
			if helped.Tried != 1 || helped.Helped != 1 {
				t.Errorf("the record is %+v", rungs)
			}
			if n := strings.Count(b.log.String(), "recovering the modem"); n != len(want)+3 {
				t.Errorf("%d rungs in the log:\n%s", n, b.log)
			}
		})
	}
}

// Nothing helps: a person is told, the modem is asked on, and the ladder
// begins anew after its rest. When the modem answers at last it works at once.
func TestLadderRestsAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{kept: true, modem: Config{SendTimeout: 10 * time.Second, Rungs: []Rung{{Name: "USB reset", Why: func() string { return "no such device here" }}}}})
		b.mustSend("before")
		b.play("freeze for 40m")
		b.until("a hand's work", func(s route.Status) bool { return s.State == route.Hand && s.Code == "modem_silent" })
		time.Sleep(30 * time.Minute)
		s := b.sink.last()
		rungs := s.Care.Rungs
		if rungs[rungRestart].Tried < 2 || rungs[rungRestart].Tried > 4 || rungs[rungOutside].Tried != 0 || rungs[rungOutside].Why == "" {
			t.Errorf("after half an hour the record is %+v", rungs)
		}
		b.until("back", func(s route.Status) bool { return s.State == route.Ready })
		b.mustSend("after")
	})
}

// A rung that cannot be done is no end of the ladder.
func TestLadderRungThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		b = plug(t, setUp{kept: true, modem: Config{SendTimeout: 10 * time.Second, Rungs: []Rung{
			{Name: "USB reset", Do: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			{Name: "USB port power", Do: func(context.Context) error { b.peer.PowerCycle(); return nil }},
		}}})
		b.mustSend("before")
		b.play("stuck until power")
		b.until("silent", code("modem_silent"))
		b.mustSend("after")
		if r := b.sink.last().Care.Rungs[rungOutside:]; r[0].Tried != 1 || r[0].Helped != 0 || r[1].Helped != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// A modem that has just been plugged in may be silent for a while; nothing is
// done to it before.
func TestModemThatWakesSlowlyIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{kept: true, gone: time.Minute, faults: "deaf for 18s"})
		b.mustSend("m1")
		if strings.Contains(b.trace.String(), "AT+CFUN=1,1") || strings.Contains(b.log.String(), "recovering") {
			t.Errorf("it was disturbed:\n%s", b.log)
		}
		if d := time.Since(b.away); d > 18*time.Second+5*time.Second {
			t.Errorf("sent %v after it was plugged in, want within 5 s after it answers", d)
		}
	})
}

// A modem may move to another hub: what this box can do for it is judged where
// it is when it is ready again, and before each rung.
func TestARungIsJudgedWhereTheModemIsNow(t *testing.T) {
	why := "the hub cannot switch its ports"
	m := New(Config{Name: "counter", Rungs: []Rung{{Name: "USB power", Why: func() string { return why }}}})
	shown := func() string { return m.status.Care.Rungs[rungOutside].Why }
	if shown() != why {
		t.Errorf("at first it says %q", shown())
	}
	why = ""
	m.arrived()
	if shown() != "" {
		t.Errorf("after it moved it says %q", shown())
	}
	why = "this box has no /dev/bus/usb"
	for range rungOutside + 1 {
		m.climb(trouble{why: errLostSettings}, true, false)
	}
	if shown() != why || m.status.Care.Rungs[rungOutside].Tried != 0 {
		t.Errorf("before a rung it says %+v", m.status.Care.Rungs[rungOutside])
	}
}
