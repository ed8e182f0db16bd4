package queue

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func number(i int) string { return fmt.Sprintf("+316%08d", 60000000+i) }

func TestQuotaPerMinuteHoldsAndSaysUntil(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.SetState(route.Waiting)
		b.open(modem)
		if err := b.q.Limit("counter", Quota{PartsPerMinute: 3}); err != nil {
			t.Fatal(err)
		}
		var last ID
		for i := range 10 {
			last = b.add(Draft{To: number(i)})
			b.later(time.Millisecond)
		}
		modem.SetState(route.Ready)
		for minute, want := range []int{3, 6, 9, 10} {
			b.later(time.Second)
			if n := len(modem.Log()); n != want {
				t.Fatalf("minute %d: %d messages went out, want %d", minute, n, want)
			}
			if minute == 0 {
				why, _ := b.q.Explain(b.get(last))
				if why.Code != "limit_reached" || !strings.Contains(why.Text("nl", time.UTC), "08:01") {
					t.Errorf("explained as %q", why.Text("nl", time.UTC))
				}
			}
			b.later(59 * time.Second)
		}
	})
}

func TestQuotaFollowsTheSIM(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, other := routetest.NewFake("counter"), routetest.NewFake("other")
		other.SetState(route.Waiting)
		b.open(modem, other)
		limit := func() {
			for _, name := range []string{"counter", "other"} {
				if err := b.q.Limit(name, Quota{PartsPerDay: 2}); err != nil {
					t.Fatal(err)
				}
			}
		}
		limit()
		for i := range 4 {
			b.add(Draft{To: number(i)})
		}
		b.later(time.Second)
		b.close() // the count is on disk
		other.SetIdentity("sim-counter")
		modem.SetIdentity("sim-fresh")
		modem.SetState(route.Waiting)
		b.open(modem, other)
		limit() // before the first lane takes, as the daemon does
		other.SetState(route.Ready)
		b.later(time.Hour)
		if n := len(other.Log()); n != 0 {
			t.Errorf("the SIM carried %d messages beyond its limit in another stick", n)
		}
		left, err := b.q.Quotas("other")
		if err != nil || len(left) != 1 || left[0].Left != 0 || left[0].Of != "parts_per_day" {
			t.Errorf("left: %+v, %v", left, err)
		}
		b.later(24 * time.Hour)
		if n := len(other.Log()); n != 2 {
			t.Errorf("on the next day %d messages went out, want 2", n)
		}
	})
}

func TestQuotaOfRecipientsLetsKnownOnesPass(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		if err := b.q.Limit("counter", Quota{RecipientsPerMonth: 2, MonthStarts: 31}); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{anna, bram, cees, anna, bram, dirk} {
			b.add(Draft{To: to, Validity: 30 * 24 * time.Hour})
			b.later(time.Second)
		}
		if n := len(modem.Log()); n != 4 {
			t.Errorf("%d messages went out, want the 4 to known recipients", n)
		}
		b.later(7 * 24 * time.Hour) // past the last day of November
		if n := len(modem.Log()); n != 6 {
			t.Errorf("in the next contract month %d went out in all, want 6", n)
		}
	})
}

func TestQuotaCountsOnlyWhatTheNetworkSaw(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		if err := b.q.Limit("counter", Quota{PartsPerDay: 12}); err != nil {
			t.Fatal(err)
		}
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			if out.Attempt < 5 {
				return route.Receipt{}, fail(route.NotOffered)
			}
			return route.Receipt{}, nil
		})
		b.add(Draft{Text: strings.Repeat("Uw afspraak is verplaatst. ", 10)})
		b.later(time.Hour)
		if left, _ := b.q.Quotas("counter"); left[0].Left != 10 {
			t.Errorf("a message of 2 parts left %d of 12", left[0].Left)
		}
	})
}

func TestLongMessageIsNotStarvedBySmallQuota(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		if err := b.q.Limit("counter", Quota{PartsPerMinute: 1}); err != nil {
			t.Fatal(err)
		}
		b.add(Draft{To: bram})
		id := b.add(Draft{Text: strings.Repeat("Uw afspraak is verplaatst. ", 10)})
		b.later(2 * time.Minute)
		b.want(id, Sent, "wait_report")
	})
}

func TestAWallIsAnnouncedBeforeItIsHit(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit Quota
		want  string
	}{
		{"ten a day", Quota{PartsPerDay: 10}, "limit_near 8 of 10, limit_reached 10 of 10"},
		{"three a day", Quota{PartsPerDay: 3}, "limit_near 2 of 3, limit_reached 3 of 3"},
		{"two numbers a month", Quota{RecipientsPerMonth: 2}, "limit_near 1 of 2, limit_reached 2 of 2"},
		{"one a day has no before", Quota{PartsPerDay: 1}, "limit_reached 1 of 1"},
		{"a pace is no news", Quota{PartsPerMinute: 3}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				b.open(routetest.NewFake("counter"))
				if err := b.q.Limit("counter", c.limit); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				for i := range 12 {
					b.add(Draft{To: number(i)})
					b.later(time.Second)
				}
				var codes []string
				list, err := b.q.Events(0, 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range list {
					if e.Kind == KindQuota {
						codes = append(codes, e.Code+" "+e.Detail)
					}
				}
				if got := strings.Join(codes, ", "); got != c.want {
					t.Errorf("announced: %s", got)
				}
			})
		})
	}
}

func TestContractMonths(t *testing.T) {
	day := func(m time.Month, d int) time.Time { return time.Date(2027, m, d, 12, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		starts       int
		now          time.Time
		begins, ends string
	}{
		{0, day(3, 10), "2027-03-01", "2027-04-01"},
		{15, day(3, 10), "2027-02-15", "2027-03-15"},
		{15, day(3, 15), "2027-03-15", "2027-04-15"},
		{31, day(3, 10), "2027-02-28", "2027-03-31"},
		{31, day(1, 31), "2027-01-31", "2027-02-28"},
	} {
		begins, ends := Quota{MonthStarts: c.starts}.month(c.now)
		if begins.Format(time.DateOnly) != c.begins || ends.Format(time.DateOnly) != c.ends {
			t.Errorf("starts %d on %s: %s to %s", c.starts, c.now.Format(time.DateOnly), begins.Format(time.DateOnly), ends.Format(time.DateOnly))
		}
	}
}

func TestRoutingRules(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, smsc := routetest.NewFake("counter"), routetest.NewFake("operator")
		b.openWith(Config{
			Country: "NL", Countries: []string{"NL", "SE"},
			Routing: []Rule{
				{Prefix: "+46", Pool: "operator"},
				{Class: Marketing, Till: "till-1", Pool: "operator"},
				{MinAttempt: 2, Pool: "operator"},
			},
		}, modem)
		if err := b.q.Attach(smsc, "operator"); err != nil {
			t.Fatal(err)
		}
		modem.ScriptFor(dirk, routetest.Busy)
		for _, c := range []struct {
			d    Draft
			pool string
		}{
			{Draft{To: "+46701234567"}, "operator"},
			{Draft{To: anna}, "sms"},
			{Draft{To: anna, Class: Marketing}, "sms"},
			{Draft{To: anna, Class: Marketing, Till: "till-1"}, "operator"},
			{Draft{To: "+46701234567", Pool: "sms"}, "sms"}, // the till decides
		} {
			id := b.add(c.d)
			if m := b.want(id, Sent, "wait_report"); m.Pool != c.pool {
				t.Errorf("%+v went to pool %s, want %s", c.d, m.Pool, c.pool)
			}
		}
		id := b.add(Draft{To: dirk})
		m := b.want(id, Sent, "wait_report")
		if m.Route != "operator" {
			t.Errorf("after the refusal it went by %s:%s", m.Route, b.story(m))
		}
		if got := fmt.Sprint(b.kinds(id)); got != "[accepted taken retry rerouted taken sent]" {
			t.Errorf("story %s", got)
		}
	})
}
