package queue

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func TestUnlabelledErrorIsUnknown(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, errTest })
		b.want(b.add(Draft{}), Unknown, "unsure_resend")
	})
}

func TestUnknownPolicies(t *testing.T) {
	lost := func(modem *routetest.Fake) {
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			if out.Attempt == 1 {
				return route.Receipt{}, fail(route.Unknown)
			}
			return route.Receipt{}, nil
		})
	}
	t.Run("transactional is sent once more after ten minutes", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			lost(modem)
			id := b.add(Draft{})
			b.want(id, Unknown, "unsure_resend")
			b.later(9 * time.Minute)
			b.want(id, Unknown, "unsure_resend")
			b.later(2 * time.Minute)
			b.want(id, Sent, "wait_report")
			if !slices.Contains(b.kinds(id), KindResent) {
				t.Errorf("the story does not say that it was resent:%s", b.story(b.get(id)))
			}
		})
	})
	t.Run("but only once", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
			id := b.add(Draft{})
			b.later(30 * 24 * time.Hour)
			b.want(id, Unknown, "unsure")
			if n := len(modem.Log()); n != 2 {
				t.Errorf("sent %d times", n)
			}
		})
	})
	t.Run("never while its route is silent", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem, other := routetest.NewFake("counter"), routetest.NewFake("other")
			other.SetState(route.Waiting)
			b.open(modem, other)
			lost(modem)
			id := b.add(Draft{})
			b.later(time.Minute)
			modem.SetState(route.Waiting)
			other.SetState(route.Ready)
			commits := b.db.Stats().Commits
			b.later(time.Hour)
			m := b.want(id, Unknown, "unsure_resend")
			if why, _ := b.q.Explain(m); why.Code != "unsure_silent" {
				t.Errorf("explained as %s", why.Code)
			}
			if n := b.db.Stats().Commits - commits; n > 3 {
				t.Errorf("waiting wrote %d times to the disk", n)
			}
			modem.SetState(route.Ready)
			b.later(time.Minute)
			b.want(id, Sent, "wait_report")
		})
	})
	t.Run("marketing is held", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			lost(modem)
			id := b.add(Draft{Class: Marketing})
			b.later(48 * time.Hour)
			b.want(id, Unknown, "unsure")
		})
	})
}

func TestReportSettlesAnUnknownOnlyWhenOneCanBeMeant(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
		one := b.add(Draft{To: anna, OnUnknown: OnUnknownHold})
		two, three := b.add(Draft{To: bram, OnUnknown: OnUnknownHold}), b.add(Draft{To: bram, OnUnknown: OnUnknownHold})
		b.later(time.Minute)
		for _, to := range []string{"0612345678", bram} {
			if err := modem.Report(route.Report{Ref: "31", To: to, State: route.ReportDelivered}); err != nil {
				t.Fatal(err)
			}
		}
		b.want(one, Delivered, "delivered")
		b.want(two, Unknown, "unsure")
		b.want(three, Unknown, "unsure")
	})
}

// A number of ours that the network repeats tells two lost messages to one
// phone apart, also after a restart and while a third is on its way.
func TestMarkTellsLostMessagesApart(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		operator := routetest.NewFake("operator")
		operator.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
		b.open(operator)
		one, two := b.add(Draft{To: bram, OnUnknown: OnUnknownHold}), b.add(Draft{To: bram, OnUnknown: OnUnknownHold})
		b.later(time.Minute)
		b.want(one, Unknown, "unsure")
		b.want(two, Unknown, "unsure")
		b.close()

		operator = routetest.NewFake("operator")
		operator.Script(routetest.Hold)
		b.open(operator)
		third := b.add(Draft{To: bram})
		b.want(third, Sending, "sending")
		report := func(mark int) {
			t.Helper()
			if err := operator.Report(route.Report{Ref: "77", To: bram, Mark: mark, State: route.ReportDelivered}); err != nil {
				t.Fatal(err)
			}
		}
		report(route.Mark(two.String(), 1, 1))
		b.want(two, Delivered, "delivered")
		report(route.Mark(one.String(), 2, 1)) // there was no second attempt
		b.want(one, Unknown, "unsure")
	})
}

func TestLateAnswerSettlesAnUnknown(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
		id := b.add(Draft{})
		b.want(id, Unknown, "unsure_resend")
		if err := modem.Report(route.Report{ID: id.String(), Ref: "41", State: route.ReportSent}); err != nil {
			t.Fatal(err)
		}
		if m := b.want(id, Sent, "handed_over"); m.Parts[0].Ref != "41" {
			t.Errorf("the late reference was not kept: %+v", m.Parts[0])
		}
		if err := modem.Report(route.Report{Ref: "41", To: anna, State: route.ReportDelivered}); err != nil {
			t.Fatal(err)
		}
		b.want(id, Delivered, "delivered")
	})
}

func TestCrashWhileSendingIsUnknown(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Script(routetest.Hold)
		b.open(modem)
		id := b.add(Draft{})
		b.want(id, Sending, "sending")
		cut := b.snapshot()
		modem.Release()
		b.close()

		b.dir = cut
		b.open(modem)
		m := b.want(id, Unknown, "unsure_resend")
		if got := b.kinds(id); got[len(got)-1] != KindInterrupted {
			t.Errorf("story %v", got)
		}
		if c := b.q.Counts(); c.Unknown != 1 || c.Sending != 0 {
			t.Errorf("counts after the start: %+v", c)
		}
		// Its report arrives after all.
		if err := modem.Report(route.Report{Ref: "1", To: anna, State: route.ReportDelivered}); err != nil {
			t.Fatal(err)
		}
		b.want(m.ID, Delivered, "delivered")
	})
}

func TestSettleAndResendByAPerson(t *testing.T) {
	for _, c := range []struct {
		as    State
		state State
		why   string
	}{{Sent, Sent, "handed_over"}, {Delivered, Delivered, "delivered"}, {Failed, Failed, "given_up"}, {Queued, Sent, "wait_report"}} {
		t.Run(string(c.as), func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				modem := routetest.NewFake("counter")
				modem.Script(routetest.Swallow)
				b.open(modem)
				id := b.add(Draft{Class: Marketing})
				b.want(id, Sending, "sending")
				modem.Drop()
				modem.Connect()
				b.want(id, Unknown, "unsure")
				if _, err := b.q.Settle(t.Context(), id, c.as, "uid:1000"); err != nil {
					t.Fatal(err)
				}
				b.want(id, c.state, c.why)
				story, _ := b.q.Story(b.get(id))
				if !slices.ContainsFunc(story, func(e Event) bool { return e.By == "uid:1000" }) {
					t.Error("the story does not say who decided")
				}
				var notNow *ErrNotNow
				if _, err := b.q.Settle(t.Context(), id, Sent, "x"); !errors.As(err, &notNow) {
					t.Errorf("settled twice: %v", err)
				}
			})
		})
	}
}

func TestUnknownIsNotResentAfterItsTime(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
		code := b.add(Draft{Text: "Uw code is 1234", Validity: 5 * time.Minute})
		b.later(time.Hour)
		b.want(code, Unknown, "unsure_expired")
		if n := len(modem.Log()); n != 1 {
			t.Errorf("a code that had expired was sent %d times", n)
		}
	})
}

func TestReportStillPreventsAResendThatWaits(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
		id := b.add(Draft{})
		b.later(time.Minute)
		if err := b.q.Pause(t.Context(), "counter", "test"); err != nil {
			t.Fatal(err)
		}
		b.later(time.Hour)
		b.want(id, Queued, "in_line")
		if err := modem.Report(route.Report{Ref: "9", To: anna, State: route.ReportDelivered}); err != nil {
			t.Fatal(err)
		}
		b.want(id, Delivered, "delivered")
		if err := b.q.Resume(t.Context(), "counter", "test"); err != nil {
			t.Fatal(err)
		}
		b.later(time.Hour)
		if n := len(modem.Log()); n != 1 {
			t.Errorf("what was reported delivered was sent %d times", n)
		}
	})
}
