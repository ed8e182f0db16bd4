package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

var today = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// bench is a clock over a system clock that a test can set.
type bench struct {
	*Clock
	wall   time.Time // what the system clock read at
	at     time.Time
	synced bool
}

func (b *bench) set(t time.Time) { b.wall, b.at = t, time.Now() }

func newBench(wall, floor, newest time.Time, patience time.Duration) *bench {
	b := &bench{}
	b.set(wall)
	b.Clock = New(Config{
		Wall:     func() time.Time { return b.wall.Add(time.Since(b.at)) },
		Synced:   func() bool { return b.synced },
		Patience: patience,
	}, floor, newest)
	return b
}

// Where a clock begins, for each system clock a box may wake up with.
func TestBeginning(t *testing.T) {
	never := time.Time{}
	for _, c := range []struct {
		name                string
		wall, floor, newest time.Time
		quality             Quality
		now                 time.Time
	}{
		{"a virgin box with a good clock", today, never, never, Assumed, today},
		{"a virgin box in 1970", time.Unix(20, 0), never, never, Unset, epoch},
		{"a virgin box in 2080", today.AddDate(54, 0, 0), never, never, Unset, epoch},
		{"1970, and a last known time", time.Unix(20, 0), today, never, Unset, today},
		{"1970, and rows that are newer than it", time.Unix(20, 0), today, today.Add(time.Hour), Unset, today.Add(time.Hour)},
		{"a minute before the last known time", today.Add(-time.Minute), today, never, Unset, today},
		{"six years after it", today.AddDate(6, 0, 0), today, never, Unset, today},
		{"four years after it", today.AddDate(4, 0, 0), today, never, Assumed, today.AddDate(4, 0, 0)},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(c.wall, c.floor, c.newest, 0)
			if r := b.Reading(); r.Quality != c.quality || !r.Now.Equal(c.now) {
				t.Errorf("%s: %s %s, want %s %s", c.name, r.Quality, r.Now, c.quality, c.now)
			}
			time.Sleep(90 * time.Minute)
			if got, want := b.Now(), c.now.Add(90*time.Minute); !got.Equal(want) {
				t.Errorf("%s: 90 minutes later it is %s, want %s", c.name, got, want)
			}
		})
	}
}

// A box without battery waits for the time server before it believes its own
// clock.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(today, time.Time{}, time.Time{}, 2*time.Minute)
		time.Sleep(time.Minute)
		if _, ok := b.Look(); ok || b.Known() {
			t.Error("the clock was believed before its time")
		}
		time.Sleep(time.Minute)
		if s, ok := b.Look(); !ok || s.To != Assumed {
			t.Errorf("after its time: %+v", s)
		}
	})
}

// The time does not jump before somebody looked, and Look tells by how much.
func TestJumps(t *testing.T) {
	for _, c := range []struct {
		name string
		by   time.Duration
		told bool
	}{
		{"a second", time.Second, false},
		{"an hour forward", time.Hour, true},
		{"an hour back", -time.Hour, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(today, time.Time{}, time.Time{}, 0)
			time.Sleep(time.Minute)
			b.set(today.Add(time.Minute + c.by))
			if got := b.Now(); !got.Equal(today.Add(time.Minute)) {
				t.Errorf("%s: seen before Look: %s", c.name, got)
			}
			s, ok := b.Look()
			if ok != c.told || s.By != c.by || s.Jumped() != c.told {
				t.Errorf("%s: %+v, told %t", c.name, s, ok)
			}
			if got := b.Now(); !got.Equal(today.Add(time.Minute + c.by)) {
				t.Errorf("%s: then it is %s", c.name, got)
			}
		})
	}
}

// A running box whose system clock is thrown into 2080 goes on by itself.
func TestAbsurdJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(today, time.Time{}, time.Time{}, 0)
		time.Sleep(time.Minute)
		b.set(today.AddDate(54, 0, 0))
		s, ok := b.Look()
		if !ok || s.To != Unset || s.By != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if got := b.Now(); !got.Equal(today.Add(2 * time.Minute)) {
			t.Errorf("it is %s", got)
		}
	})
}

func TestNetworkTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(time.Unix(20, 0), today, time.Time{}, 0)
		b.Offer(today.AddDate(54, 0, 0), "counter") // claims 2080
		b.Offer(today.Add(-time.Hour), "counter")   // before the last known time
		if _, ok := b.Look(); ok {
			t.Error("a time was taken that cannot be right")
		}
		b.Offer(today.Add(48*time.Hour), "counter")
		time.Sleep(10 * time.Second)
		s, ok := b.Look()
		if !ok || s.To != Network || s.Source != "counter" || s.By != 48*time.Hour {
			t.Errorf("%+v", s)
		}
		if got, want := b.Now(), today.Add(48*time.Hour+10*time.Second); !got.Equal(want) {
			t.Errorf("it is %s, want %s", got, want)
		}
		// A system clock that agrees is finer.
		b.set(today.Add(48*time.Hour + 40*time.Second))
		if s, _ := b.Look(); s.To != Network || !b.Now().Equal(today.Add(48*time.Hour+40*time.Second)) {
			t.Errorf("%+v at %s", s, b.Now())
		}
		// A time server beats both.
		b.synced = true
		b.set(today.Add(49 * time.Hour))
		if s, ok := b.Look(); !ok || s.To != Synced || s.Below {
			t.Errorf("%+v", s)
		}
	})
}

// Only a time server raises the floor, and not faster than time goes.
func TestFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(today, time.Time{}, time.Time{}, 0)
		time.Sleep(time.Hour)
		b.Look()
		b.Offer(b.Now(), "counter")
		b.Look()
		if f := b.Floor(); !f.IsZero() {
			t.Errorf("without a time server the floor is %s", f)
		}
		b.synced = true
		b.Look()
		first := b.Floor()
		if !first.Equal(today.Add(time.Hour)) {
			t.Errorf("the first floor is %s", first)
		}
		// A time server that lies can move it by little, however often asked.
		b.set(today.AddDate(3, 0, 0))
		for range 12 {
			time.Sleep(time.Minute)
			b.Look()
		}
		if got := b.Floor().Sub(first); got < 10*time.Minute || got > 12*time.Minute+2*raiseExtra {
			t.Errorf("the floor moved by %s in 12 minutes", got)
		}
		// One that tells less than the floor is right, and that is said.
		b.set(today)
		s, ok := b.Look()
		if !ok || !s.Below || !b.Floor().Equal(today) {
			t.Errorf("%+v, floor %s", s, b.Floor())
		}
	})
}
