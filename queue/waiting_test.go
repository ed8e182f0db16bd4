package queue

import (
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// Whatever a message waits for, it says so in four languages, and until when:
// every state that waits, by every way into it. What ends a wait without a time
// is a person or a report, and only that.
func TestWaitingSaysWhyAndUntil(t *testing.T) {
	evening := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		state State
		code  string
		open  bool // nothing but a person or a report ends it
		do    func(t *testing.T, b *box, modem *routetest.Fake) ID
	}{
		{"planned", Scheduled, "planned", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			return b.add(Draft{At: time.Now().Add(time.Hour)})
		}},
		{"next in line", Queued, "in_line", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Latency(time.Minute)
			b.add(Draft{To: bram})
			return b.add(Draft{})
		}},
		{"behind a wall", Queued, "limit_reached", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			if err := b.q.Limit("counter", Quota{PartsPerDay: 1}); err != nil {
				t.Fatal(err)
			}
			b.add(Draft{To: bram})
			b.later(time.Second)
			return b.add(Draft{})
		}},
		{"too little left of a limit for its parts", Queued, "limit_left", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			return b.walled(Quota{PartsPerDay: 4}, Draft{To: bram, Text: longText(2)}, Draft{Text: longText(3)})
		}},
		{"a new number when the month is full", Queued, "limit_new", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			return b.walled(Quota{RecipientsPerMonth: 1}, Draft{To: bram}, Draft{Validity: 30 * 24 * time.Hour})
		}},
		{"a limit that outlasts it", Queued, "limit_too_late", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			return b.walled(Quota{RecipientsPerMonth: 1}, Draft{To: bram}, Draft{})
		}},
		{"the route is away", Queued, "modem_gone", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.SetStatus(route.Status{State: route.Waiting, Code: "modem_gone"})
			return b.add(Draft{})
		}},
		{"the route is paused", Queued, "paused", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			if err := b.q.Pause(t.Context(), "counter", "test"); err != nil {
				t.Fatal(err)
			}
			return b.add(Draft{})
		}},
		{"nobody serves its pool", Queued, "no_route", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			id := b.add(Draft{At: time.Now().Add(time.Second)})
			if err := b.q.Detach(t.Context(), "counter"); err != nil {
				t.Fatal(err)
			}
			b.later(time.Minute)
			return id
		}},
		{"refused for now", Queued, "retry", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Script(routetest.Busy)
			return b.add(Draft{})
		}},
		{"its identity is away", Queued, "wait_identity", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Script(routetest.Accept, routetest.Busy)
			id := b.add(Draft{Text: longText(2)})
			b.later(time.Second)
			m.SetIdentity("sim-other")
			b.later(2 * time.Hour)
			return id
		}},
		{"quiet hours", Held, "quiet_hours", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			time.Sleep(time.Until(evening))
			return b.add(Draft{Class: Marketing})
		}},
		{"quiet hours that outlast it", Held, "quiet_too_late", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			time.Sleep(time.Until(evening))
			return b.add(Draft{Class: Marketing, Validity: time.Hour})
		}},
		{"being sent", Sending, "sending", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Script(routetest.Hold)
			return b.add(Draft{})
		}},
		{"sent, a report may come", Sent, "wait_report", false, func(t *testing.T, b *box, _ *routetest.Fake) ID {
			return b.add(Draft{})
		}},
		{"outcome lost, sent again by policy", Unknown, "unsure_resend", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Script(routetest.Cut)
			return b.add(Draft{})
		}},
		{"outcome lost, the route cannot be heard", Unknown, "unsure_silent", false, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Script(routetest.Cut)
			id := b.add(Draft{})
			b.later(time.Second)
			m.SetState(route.Waiting)
			b.later(time.Hour)
			return id
		}},
		{"outcome lost, a person decides", Unknown, "unsure", true, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Script(routetest.Cut)
			return b.add(Draft{OnUnknown: OnUnknownHold})
		}},
		{"a fault in the program", Unknown, "fault", true, func(t *testing.T, b *box, m *routetest.Fake) ID {
			m.Answer(func(route.Outbound) (route.Receipt, error) { panic("the test says so") })
			return b.add(Draft{})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				modem := routetest.NewFake("counter")
				b.openWith(Config{Limits: Limits{QuietHours: true}}, modem)
				id := c.do(t, b, modem)
				b.later(time.Second)
				m := b.get(id)
				why, until := b.q.Explain(m)
				if m.State != c.state || why.Code != c.code {
					t.Errorf("it is %s because %s, want %s because %s\n%s", m.State, why.Code, c.state, c.code, b.story(m))
				}
				if until.IsZero() != c.open {
					t.Errorf("until %v", until)
				}
				said := map[string]bool{}
				for _, lang := range Languages {
					text := why.Text(lang, time.UTC)
					if text == "" || text == why.Code || said[text] {
						t.Errorf("in %s it says %q", lang, text)
					}
					said[text] = true
				}
				modem.Release()
			})
		})
	}
}

// walled sends one message within a limit and returns the next one, which it
// keeps.
func (b *box) walled(l Quota, goes, waits Draft) ID {
	b.t.Helper()
	if err := b.q.Limit("counter", l); err != nil {
		b.t.Fatal(err)
	}
	b.add(goes)
	b.later(time.Second)
	return b.add(waits)
}

// What waits behind a limit waits until that opens, and the route says that its
// limit is used up.
func TestAWallSaysUntilAndTheRouteSaysSo(t *testing.T) {
	midnight := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		limit Quota
		waits Draft
		until time.Time // zero: its own end
		route string
	}{
		{"a day's parts", Quota{PartsPerDay: 1}, Draft{}, midnight, "limit_used"},
		{"too few parts left", Quota{PartsPerDay: 3}, Draft{Text: longText(3)}, midnight, "ok"},
		{"a minute's parts", Quota{PartsPerMinute: 1}, Draft{}, time.Date(2026, 11, 24, 8, 1, 0, 0, time.UTC), "ok"},
		{"a month's numbers", Quota{RecipientsPerMonth: 1}, Draft{Validity: 30 * 24 * time.Hour}, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), "limit_numbers"},
		{"a month's numbers, and it ends before", Quota{RecipientsPerMonth: 1}, Draft{}, time.Time{}, "limit_numbers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				b.open(routetest.NewFake("counter"))
				m := b.get(b.walled(c.limit, Draft{To: bram}, c.waits))
				if c.until.IsZero() {
					c.until = m.Expires
				}
				b.later(time.Second)
				if why, until := b.q.Explain(m); !until.Equal(c.until) {
					t.Errorf("it waits until %s, want %s: %s", until, c.until, why.Text("en", time.UTC))
				}
				info := b.q.Routes()[0]
				if code, ready := info.Plain(); code != c.route || !ready {
					t.Errorf("the route says %q, want %q", code, c.route)
				}
			})
		})
	}
}

// The table above knows every state that waits.
func TestEveryWaitingStateIsInTheTable(t *testing.T) {
	known := map[State]bool{Scheduled: true, Queued: true, Held: true, Sending: true, Sent: true, Unknown: true}
	for _, s := range States {
		if s.Waits() != known[s] {
			t.Errorf("%s waits: %t", s, s.Waits())
		}
	}
}

// "2 of 3 delivered": the whole is the worst honest answer, and each part says
// its own.
func TestTwoOfThreeDelivered(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Answer(func(out route.Outbound) (route.Receipt, error) { return route.Receipt{Parts: sent("a", "b", "c")}, nil })
		b.open(modem)
		id := b.add(Draft{Text: longText(3)})
		b.want(id, Sent, "wait_report")
		for _, ref := range []string{"a", "c"} {
			if err := modem.Report(route.Report{Ref: ref, To: anna, State: route.ReportDelivered}); err != nil {
				t.Fatal(err)
			}
		}
		m := b.want(id, Sent, "partly")
		if got := m.Why.Text("en", time.UTC); got != "2 of 3 parts are delivered." {
			t.Errorf("it says %q", got)
		}
		if err := modem.Report(route.Report{Ref: "b", To: anna, State: route.ReportUndelivered}); err != nil {
			t.Fatal(err)
		}
		m = b.want(id, Undelivered, "partly")
		if m.Parts[0].State != PartDelivered || m.Parts[1].State != PartUndelivered || m.Parts[2].State != PartDelivered {
			t.Errorf("%+v", m.Parts)
		}
	})
}
