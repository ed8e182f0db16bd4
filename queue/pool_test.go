package queue

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/text"
)

// carriers tells how many messages each route carried.
func carriers(routes ...*routetest.Fake) (n []int) {
	for _, r := range routes {
		n = append(n, len(r.Log()))
	}
	return n
}

// Of two SIMs in a pool the one with more of its quota left is used, so that
// both come near their walls together.
func TestPoolPrefersWhoHasMostLeft(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		small, large := routetest.NewFake("small"), routetest.NewFake("large")
		b.open(small, large)
		for name, n := range map[string]int{"small": 20, "large": 60} {
			if err := b.q.Limit(name, Quota{PartsPerDay: n}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 60 {
			b.add(Draft{To: fmt.Sprintf("+316000000%02d", i)})
			b.later(time.Second)
		}
		if n := carriers(small, large); n[0] < 13 || n[0] > 17 {
			t.Errorf("a third as much room, and it carried %v of 60", n)
		}
	})
}

// Cheapest first, where tariffs are told by route; the dear one is used while
// the cheap one is away.
func TestCheapestFirst(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		tariffs, err := text.NewTariffs([]text.Tariff{
			{Prefix: "+31", PerPart: 80_000, Currency: "EUR"},
			{Prefix: "+31", PerPart: 40_000, Currency: "EUR", Pool: "cheap"},
		})
		if err != nil {
			t.Fatal(err)
		}
		dear, cheap := routetest.NewFake("dear"), routetest.NewFake("cheap")
		b.openWith(Config{Tariffs: tariffs}, dear, cheap)
		for i := range 10 {
			b.add(Draft{To: fmt.Sprintf("+316000000%02d", i)})
			b.later(time.Second)
		}
		if n := carriers(dear, cheap); n[1] != 10 {
			t.Errorf("dear and cheap carried %v", n)
		}
		cheap.SetState(route.Waiting)
		begun := time.Now()
		id := b.add(Draft{})
		b.want(id, Sent, "wait_report")
		if took := time.Since(begun); took > 0 {
			t.Errorf("the other one is away, and still it was waited for: %s", took)
		}
		// More than one can carry at once goes over both.
		cheap.SetState(route.Ready)
		cheap.Latency(time.Minute)
		for i := range 4 {
			b.add(Draft{To: fmt.Sprintf("+316000001%02d", i)})
		}
		b.later(time.Second)
		if n := carriers(dear, cheap); n[0] != 4 || n[1] != 11 {
			t.Errorf("with the cheap one busy they carried %v", n)
		}
	})
}

// A courtesy that is not taken ends by itself, and is not offered again for a
// while.
func TestCourtesyIsShort(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		worse, better := routetest.NewFake("worse"), routetest.NewFake("better")
		b.open(worse, better)
		// More left in all, but no room for four parts in this minute.
		for name, l := range map[string]Quota{"worse": {PartsPerDay: 1000}, "better": {PartsPerDay: 1000}} {
			if err := b.q.Limit(name, l); err != nil {
				t.Fatal(err)
			}
		}
		b.add(Draft{Pool: "worse"})
		b.add(Draft{Pool: "better", To: bram})
		b.later(time.Second)
		r, _ := b.q.runner("better")
		r.alter(func() { r.quota = Quota{PartsPerDay: 3} })
		begun := time.Now()
		long := b.add(Draft{To: cees, Text: longText(4)})
		b.later(time.Second)
		m := b.want(long, Sent, "wait_report")
		if m.Route != "worse" || m.Settled.Sub(begun) > courtesy {
			t.Errorf("over %s after %s", m.Route, m.Settled.Sub(begun))
		}
	})
}

func longText(parts int) string {
	s := ""
	for len(s) <= 153*(parts-1)+7 { // 160 fit into one
		s += "een lang verhaal over een fiets "
	}
	return s
}

// A pool that nobody serves for too long has its messages routed again, with an
// event; new ones go there at once, and come back with it.
func TestPoolIsAwayForTooLong(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		operator := routetest.NewFake("operator")
		b.openWith(Config{
			RerouteAfter: 15 * time.Minute,
			Routing:      []Rule{{Prefix: "+46", Pool: "abroad"}, {MinAttempt: 2, Class: Marketing, Pool: "abroad"}},
			Countries:    []string{"NL", "SE"},
		}, modem)
		if err := b.q.Attach(operator, "abroad"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		operator.SetState(route.Waiting)
		b.later(time.Second)
		swede := b.add(Draft{To: "+46701234567"})
		asked := b.add(Draft{To: "+46701234568", Pool: "abroad"})
		b.later(14 * time.Minute)
		b.want(swede, Queued, "in_line")
		b.later(2 * time.Minute)
		m := b.want(swede, Sent, "wait_report")
		if m.Pool != DefaultPool || !slices.Contains(b.kinds(swede), KindRerouted) {
			t.Errorf("in pool %s, story %s", m.Pool, b.story(m))
		}
		b.want(asked, Queued, "in_line") // who named the pool meant it
		soon := b.add(Draft{To: "+46701234569"})
		b.want(soon, Sent, "wait_report")

		operator.SetState(route.Ready)
		b.later(10 * time.Second)
		back := b.add(Draft{To: "+46701234560"})
		if m := b.want(back, Sent, "wait_report"); m.Route != "operator" {
			t.Errorf("back again, and it went over %s", m.Route)
		}
		b.want(asked, Sent, "wait_report")

		// The default pool itself: a rule for repeats is a rule for this, too.
		modem.SetState(route.Waiting)
		advert, plain := b.add(Draft{To: anna, Class: Marketing}), b.add(Draft{To: bram})
		b.later(20 * time.Minute)
		if m := b.want(advert, Sent, "wait_report"); m.Route != "operator" {
			t.Errorf("it went over %s", m.Route)
		}
		b.want(plain, Queued, "in_line") // no rule knows another way
		if why, _ := b.q.Explain(b.get(plain)); why.Code != "starting" && why.Code != "stopped" {
			t.Logf("it waits because %s", why.Code)
		}
	})
}

// Who pauses a route means its messages to wait.
func TestPausedIsNotAway(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, operator := routetest.NewFake("counter"), routetest.NewFake("operator")
		b.openWith(Config{RerouteAfter: time.Minute, Routing: []Rule{{Prefix: "+31", Pool: "operator"}}}, modem, operator)
		if err := b.q.Pause(t.Context(), "operator", "test"); err != nil {
			t.Fatal(err)
		}
		id := b.add(Draft{})
		b.later(time.Hour)
		b.want(id, Queued, "in_line")
		if why, _ := b.q.Explain(b.get(id)); why.Code != "paused" {
			t.Errorf("it waits because %s", why.Code)
		}
	})
}

// Every condition of a rule by itself.
func TestRules(t *testing.T) {
	tariffs, err := text.NewTariffs([]text.Tariff{
		{Prefix: "+31", PerPart: 50_000, Currency: "EUR", Pool: "operator"}, {Prefix: "+32", PerPart: 90_000, Currency: "EUR", Pool: "operator"},
	})
	if err != nil {
		t.Fatal(err)
	}
	clockAt := func(s string) time.Duration {
		d, err := clockOf(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	dutch := Message{To: anna, Class: Transactional, Till: "till-1"}
	for _, c := range []struct {
		name string
		rule Rule
		m    func(m *Message)
		hour int
		want bool
	}{
		{"no condition", Rule{}, nil, 10, true},
		{"prefix", Rule{Prefix: "+31"}, nil, 10, true},
		{"another prefix", Rule{Prefix: "+46"}, nil, 10, false},
		{"class", Rule{Class: Marketing}, nil, 10, false},
		{"till", Rule{Till: "till-1"}, nil, 10, true},
		{"another till", Rule{Till: "till-2"}, nil, 10, false},
		{"the first try", Rule{MinAttempt: 2}, nil, 10, false},
		{"the second try", Rule{MinAttempt: 2}, func(m *Message) { m.Tried = 1 }, 10, true},
		{"within the hours", Rule{Hours: Hours{clockAt("08:00"), clockAt("20:00")}}, nil, 8, true},
		{"after the hours", Rule{Hours: Hours{clockAt("08:00"), clockAt("20:00")}}, nil, 20, false},
		{"hours over midnight", Rule{Hours: Hours{clockAt("20:00"), clockAt("08:00")}}, nil, 3, true},
		{"and outside them", Rule{Hours: Hours{clockAt("20:00"), clockAt("08:00")}}, nil, 12, false},
		{"cheap enough", Rule{MaxPrice: 50_000, Pool: "operator"}, nil, 10, true},
		{"too dear", Rule{MaxPrice: 60_000, Pool: "operator"}, func(m *Message) { m.To = "+32470123456" }, 10, false},
		{"a price that is not known", Rule{MaxPrice: 60_000, Pool: "counter"}, nil, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				b.openWith(Config{Tariffs: tariffs})
				time.Sleep(time.Until(time.Date(2026, 11, 25, c.hour, 0, 0, 0, time.UTC)))
				m := dutch
				if c.m != nil {
					c.m(&m)
				}
				if got := b.q.holds(&c.rule, &m, m.Tried+1); got != c.want {
					t.Errorf("holds: %t", got)
				}
			})
		})
	}
}
