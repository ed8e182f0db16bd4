package queue

import (
	"sync"
	"testing"
	"time"

	"tillpost/queue/clock"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// sun is a system clock that a test sets, in the virtual time of the bubble.
type sun struct {
	mu     sync.Mutex
	read   time.Time // what it read
	at     time.Time // when
	synced bool      // a time server keeps it
}

func wallAt(t time.Time) *sun { return &sun{read: t, at: time.Now()} }

func (w *sun) set(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read, w.at = t, time.Now()
}

// server says whether a time server keeps it from now on.
func (w *sun) server(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced = on
}

func (w *sun) config() clock.Config {
	return clock.Config{
		Wall: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.read.Add(time.Since(w.at))
		},
		Synced: func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.synced
		},
	}
}

var (
	in1970  = time.Unix(25, 0)
	tuesday = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
)

func (b *box) why(id ID) string {
	b.t.Helper()
	why, _ := b.q.Explain(b.get(id))
	return why.Code
}

// A box that boots in 1970 takes messages and sends them; what hangs on the time
// of day waits, and says so. When the time is known, ten days on, nothing has
// died of it.
func TestBootIn1970(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		w := wallAt(in1970)
		modem := routetest.NewFake("counter")
		b.openWith(Config{Clock: w.config(), Limits: Limits{QuietHours: true}, Country: "NL"}, modem)

		plain := b.add(Draft{To: anna})
		planned := b.add(Draft{To: bram, At: tuesday.Add(-time.Hour)})
		advert := b.add(Draft{To: cees, Class: Marketing})
		b.want(plain, Sent, "wait_report")
		modem.SetState(route.Waiting)
		waiting := b.add(Draft{To: dirk})
		exact := b.add(Draft{To: dirk, Expires: tuesday.Add(-time.Minute)})
		short := b.add(Draft{To: dirk, Validity: time.Hour})
		b.later(50 * time.Hour)
		for _, id := range []ID{planned, advert} {
			if m := b.get(id); b.why(id) != "clock_wrong" || m.State.Final() {
				t.Errorf("%s because %s", m.State, b.why(id))
			}
		}
		b.want(waiting, Queued, "in_line")
		b.want(exact, Queued, "in_line")
		b.want(short, Queued, "in_line")

		w.set(tuesday)
		b.later(time.Minute)
		if got := b.q.Time(); got.Quality != clock.Assumed || !got.Now.Equal(tuesday.Add(time.Minute)) {
			t.Errorf("the clock: %+v", got)
		}
		b.want(exact, Expired, "expired") // a time named in so many words
		b.want(short, Expired, "expired") // it has really waited for longer
		m := b.want(waiting, Queued, "in_line")
		if age := tuesday.Sub(m.Created); age < 50*time.Hour || age > 51*time.Hour {
			t.Errorf("it was accepted %s before the time was known", age)
		}
		if left := m.Expires.Sub(m.Created); left != defaultValidity {
			t.Errorf("it lives for %s", left)
		}
		modem.SetState(route.Ready)
		b.want(planned, Sent, "wait_report")
		b.want(advert, Sent, "wait_report")
		if !hasEvent(b, KindClock, string(clock.Assumed)) {
			t.Error("no event tells that the time is known now")
		}
	})
}

func hasEvent(b *box, k Kind, code string) bool {
	b.t.Helper()
	list, err := b.q.Events(0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list {
		if e.Kind == k && e.Code == code {
			return true
		}
	}
	return false
}

// The same where the box is switched off before anybody told the time.
func TestAcceptedWithoutAClockAndRestarted(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		w := wallAt(in1970)
		b.openWith(Config{Clock: w.config()})
		id := b.add(Draft{})
		b.later(time.Hour)
		b.close()

		w.set(tuesday.AddDate(0, 0, 10))
		modem := routetest.NewFake("counter")
		b.openWith(Config{Clock: w.config()}, modem)
		m := b.want(id, Sent, "wait_report")
		if left := m.Expires.Sub(m.Created); left != defaultValidity || m.Created.Before(tuesday) {
			t.Errorf("accepted %s, expires %s", m.Created, m.Expires)
		}
	})
}

// A retry and a resend wait for elapsed time, wherever the clock jumps.
func TestJumpsDoNotMoveWhatWaitsForElapsedTime(t *testing.T) {
	for _, c := range []struct {
		name string
		by   time.Duration
	}{
		{"five hours forward", 5 * time.Hour},
		{"five hours back", -5 * time.Hour},
		{"into 1970", in1970.Sub(tuesday)},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				w := wallAt(tuesday)
				modem := routetest.NewFake("counter")
				b.openWith(Config{Clock: w.config(), UnknownWait: time.Minute}, modem)
				modem.ScriptFor(anna, routetest.Busy)
				retried := b.add(Draft{To: anna})
				b.want(retried, Queued, "retry")
				due := b.get(retried).Due.Sub(b.q.Now())
				modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
				lost := b.add(Draft{To: bram})
				b.want(lost, Unknown, "unsure_resend")
				modem.Answer(nil)

				b.later(time.Second)
				w.set(tuesday.Add(c.by))
				b.later(40 * time.Second)
				b.want(retried, Queued, "retry")
				b.want(lost, Unknown, "unsure_resend")
				b.later(30 * time.Second)
				b.want(lost, Sent, "wait_report")
				b.later(due - 70*time.Second + time.Second)
				b.want(retried, Sent, "wait_report")
			})
		})
	}
}

// A modem's network tells the time before a time server does.
func TestModemTellsTheTime(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		w := wallAt(in1970)
		modem := routetest.NewFake("counter")
		b.openWith(Config{Clock: w.config()}, modem)
		id := b.add(Draft{At: tuesday.Add(time.Minute)})
		b.later(time.Hour)
		if b.why(id) != "clock_wrong" {
			t.Errorf("it waits because %s", b.why(id))
		}
		b.q.OfferTime(tuesday, "counter")
		b.want(id, Scheduled, "planned")
		if r := b.q.Time(); r.Quality != clock.Network || r.Source != "counter" {
			t.Errorf("the clock: %+v", r)
		}
		b.later(time.Minute)
		b.want(id, Sent, "wait_report")

		w.set(tuesday.Add(2 * time.Minute))
		w.server(true)
		b.later(10 * time.Second)
		b.add(Draft{To: bram})
		if r := b.q.Time(); r.Quality != clock.Synced || r.Floor.IsZero() {
			t.Errorf("the clock: %+v", r)
		}
		b.close() // and the floor outlives a stop
		w.set(tuesday.Add(-time.Hour))
		w.server(false)
		b.openWith(Config{Clock: w.config()})
		if r := b.q.Time(); r.Quality != clock.Unset {
			t.Errorf("an hour before the last known time is believed: %+v", r)
		}
		w.server(true)
		b.later(10 * time.Second)
		if !hasEvent(b, KindClock, codeBelowFloor) {
			t.Error("a time server below the floor wins, with an event")
		}
	})
}

// The nights on which the hour changes have 23 and 25 hours; a day's quota lasts
// that long, and a planned message goes at its instant.
func TestNightsOfTheHour(t *testing.T) {
	amsterdam, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		day   string
		hours int
	}{{"2027-03-28", 23}, {"2026-10-25", 25}, {"2026-11-24", 24}} {
		begin, err := time.ParseInLocation(time.DateOnly, c.day, amsterdam)
		if err != nil {
			t.Fatal(err)
		}
		for h := range c.hours {
			now := begin.Add(time.Duration(h)*time.Hour + 30*time.Minute)
			u := &usage{}
			w := u.walls(Quota{PartsPerDay: 1, PartsPerHour: 1}, now)
			if day := w[1]; !day.used.Begins.Equal(begin) || day.ends.Sub(begin) != time.Duration(c.hours)*time.Hour {
				t.Errorf("%s: at hour %d the day is %s to %s", c.day, h, day.used.Begins, day.ends)
			}
			if hour := w[0]; hour.ends.Sub(now) != 30*time.Minute {
				t.Errorf("%s: at hour %d the hour ends %s", c.day, h, hour.ends)
			}
		}
	}
	inBox(t, func(t *testing.T, b *box) {
		w := wallAt(time.Date(2026, 10, 25, 0, 0, 0, 0, amsterdam))
		modem := routetest.NewFake("counter")
		b.openWith(Config{Clock: w.config(), Location: amsterdam}, modem)
		first := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC) // half past two, for the first time
		a, z := b.add(Draft{To: anna, At: first}), b.add(Draft{To: bram, At: first.Add(time.Hour)})
		b.later(2*time.Hour + 31*time.Minute)
		b.want(a, Sent, "wait_report")
		b.want(z, Scheduled, "planned")
		b.later(time.Hour)
		b.want(z, Sent, "wait_report")
	})
}
