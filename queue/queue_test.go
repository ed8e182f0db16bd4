package queue

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func TestMessageIsDelivered(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.AutoReport(2 * time.Second)
		b.open(modem)
		id := b.add(Draft{Till: "till-1", Text: "Dag Anna, uw bestelling staat klaar."})
		m := b.want(id, Sent, "wait_report")
		if m.Parts[0].Ref == "" || m.Parts[0].Identity != "sim-counter" {
			t.Errorf("the part does not say who carried it: %+v", m.Parts[0])
		}
		b.later(3 * time.Second)
		b.want(id, Delivered, "delivered")
		if got, want := b.kinds(id), []Kind{KindAccepted, KindTaken, KindSent, KindReport}; !slices.Equal(got, want) {
			t.Errorf("story %v, want %v", got, want)
		}
		if c := b.q.Counts(); c != (Counts{}) {
			t.Errorf("something is still counted alive: %+v", c)
		}
	})
}

func TestReportMayComeBeforeTheAnswer(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			if err := modem.Report(route.Report{Ref: "77", To: "0612345678", State: route.ReportDelivered}); err != nil {
				t.Errorf("report: %v", err)
			}
			return route.Receipt{Parts: sent("77")}, nil
		})
		id := b.add(Draft{})
		b.want(id, Delivered, "delivered")
	})
}

func TestOldReportIsNotTakenForTheNextMessage(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Second)
		// A report of before our time: same reference, same number.
		if err := modem.Report(route.Report{Ref: "5", To: anna, State: route.ReportDelivered}); err != nil {
			t.Fatal(err)
		}
		b.later(time.Minute)
		modem.NextRef(5)
		b.want(b.add(Draft{}), Sent, "wait_report")
	})
}

func TestReportsOfOneReferenceGoToTheNewestThatWaits(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.NextRef(9)
		first := b.add(Draft{To: anna})
		b.later(time.Hour)
		modem.NextRef(9) // TP-MR came round
		other := b.add(Draft{To: bram})
		b.later(time.Hour)
		modem.NextRef(9)
		second := b.add(Draft{To: anna})
		b.later(time.Second)
		for _, report := range []route.Report{
			{Key: "k1", Ref: "9", To: anna, State: route.ReportDelivered},
			{Key: "k1", Ref: "9", To: anna, State: route.ReportDelivered}, // told twice
			{Key: "k2", Ref: "9", To: "+999", State: route.ReportDelivered},
		} {
			if err := modem.Report(report); err != nil {
				t.Fatal(err)
			}
		}
		b.want(second, Delivered, "delivered")
		b.want(first, Sent, "wait_report")
		b.want(other, Sent, "wait_report")
	})
}

func TestDeliveredNeverGoesBack(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		id := b.add(Draft{})
		b.later(time.Second)
		steps := []struct {
			report route.ReportState
			state  State
			why    string
		}{
			{route.ReportPending, Sent, "wait_report"},
			{route.ReportUndelivered, Undelivered, "not_reached"},
			{route.ReportPending, Undelivered, "not_reached"},
			{route.ReportDelivered, Delivered, "delivered"},
			{route.ReportUndelivered, Delivered, "delivered"},
		}
		for _, s := range steps {
			if err := modem.Report(route.Report{Ref: "1", To: anna, State: s.report, Reason: "not_reached"}); err != nil {
				t.Fatal(err)
			}
			b.want(id, s.state, s.why)
		}
	})
}

func TestNoConfirmationIsNotFailure(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		id := b.add(Draft{Validity: 2 * time.Hour})
		off := false
		plain := b.add(Draft{To: bram, Report: &off})
		b.want(plain, Sent, "sent_plain")
		b.later(2 * time.Hour)
		b.want(id, Sent, "wait_report")
		b.later(time.Hour + time.Minute)
		b.want(id, Sent, "no_report")
	})
}

func TestRefusedForNowIsTriedByTheTable(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Script(routetest.Busy, routetest.Busy)
		id := b.add(Draft{})
		m := b.want(id, Queued, "retry")
		if until := m.Until(); !until.Equal(m.Due) || time.Until(until) < time.Minute {
			t.Errorf("it waits until %s", time.Until(until))
		}
		b.later(10 * time.Minute)
		b.want(id, Sent, "wait_report")
		if m := b.get(id); m.Tried != 2 || m.Attempt != 3 {
			t.Errorf("tried %d, attempt %d", m.Tried, m.Attempt)
		}
	})
}

func TestRetryTableEndsInFailed(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Retry) })
		id := b.add(Draft{})
		b.later(24 * time.Hour)
		b.want(id, Failed, "tries_over")
		if n := len(modem.Log()); n != retryTable["refused"].max {
			t.Errorf("offered %d times, the table says %d", n, retryTable["refused"].max)
		}
	})
}

func TestRejectedIsFinalAndTellsThePeersWords(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.ScriptFor(anna, routetest.Refuse)
		bad, good := b.add(Draft{To: anna}), b.add(Draft{To: bram})
		m := b.want(bad, Failed, "refused")
		b.want(good, Sent, "wait_report")
		story, _ := b.q.Story(m)
		if last := story[len(story)-1]; last.Kind != KindRejected || last.Detail == "" {
			t.Errorf("the story does not end in the peer's words: %+v", last)
		}
	})
}

func TestRestartContinuesWhatWaits(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		id := b.add(Draft{})
		planned := b.add(Draft{To: bram, At: time.Now().Add(time.Hour)})
		if why, until := b.q.Explain(b.get(id)); why.Code != "no_route" || until.IsZero() {
			t.Errorf("explained as %v until %v", why, until)
		}
		b.close()
		b.open(routetest.NewFake("counter"))
		b.want(id, Sent, "wait_report")
		b.want(planned, Scheduled, "planned")
		b.later(time.Hour + time.Second)
		b.want(planned, Sent, "wait_report")
	})
}

// slowRoute waits before the first byte until its ctx ends.
func TestExpiresEndsEveryWait(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		id := b.add(Draft{Validity: time.Hour})
		planned := b.add(Draft{At: time.Now().Add(time.Hour), Expires: time.Now().Add(2 * time.Hour)})
		b.later(time.Hour + time.Second)
		b.want(id, Expired, "expired")
		b.want(planned, Queued, "in_line")
		b.later(time.Hour)
		b.want(planned, Expired, "expired")
	})
}

func TestRelayedKeepsWaitingAcrossARestart(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("relay")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{Relayed: true}, nil })
		one, two := b.add(Draft{To: anna}), b.add(Draft{To: bram})
		b.want(one, Sending, "relayed")
		b.close()
		b.open(modem)
		b.want(one, Sending, "relayed")
		if err := modem.Report(route.Report{ID: one.String(), State: route.ReportSent}); err != nil {
			t.Fatal(err)
		}
		b.want(one, Sent, "handed_over")
		modem.Answer(nil)
		if err := modem.Report(route.Report{ID: two.String(), State: route.ReportGivenBack}); err != nil {
			t.Fatal(err)
		}
		b.want(two, Sent, "wait_report")
	})
}

func TestWaitingMessagesAlwaysSayWhyAndUntil(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.ScriptFor(bram, routetest.Busy)
		modem.ScriptFor(cees, routetest.Hold)
		waiting := []ID{
			b.add(Draft{To: dirk, At: time.Now().Add(time.Hour)}),
			b.add(Draft{To: bram}), b.add(Draft{To: cees}), b.add(Draft{To: anna}),
		}
		synctest.Wait()
		for _, id := range waiting {
			m := b.get(id)
			why, until := b.q.Explain(m)
			if why.Code == "" || until.IsZero() {
				t.Errorf("%s waits because %q until %v", m.State, why.Code, until)
			}
			for _, lang := range Languages {
				if why.Text(lang, time.UTC) == "" {
					t.Errorf("no words in %s for %s", lang, why.Code)
				}
			}
		}
		modem.Release()
	})
}

func TestCommitsPerMessage(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.later(time.Minute)
		before := b.db.Stats().Commits
		b.add(Draft{})
		synctest.Wait()
		if n := b.db.Stats().Commits - before; n > 3 {
			t.Errorf("%d commits from accept to handed over; the budget is 3", n)
		}
		before = b.db.Stats().Commits
		b.later(30 * time.Minute)
		if n := b.db.Stats().Commits - before; n != 0 {
			t.Errorf("an idle box wrote to its disk %d times in half an hour", n)
		}
	})
}

func TestNothingGoesOutAfterItsTimeOrAStop(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open()
		late := b.add(Draft{To: bram, Validity: time.Hour})
		b.close()
		b.later(2 * time.Hour) // the box was off
		b.open(modem)
		b.want(late, Expired, "expired")
		if n := len(modem.Log()); n != 0 {
			t.Errorf("%d messages went out after their time", n)
		}
		// A STOP comes while a lane holds the message and is refused for now.
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			time.Sleep(time.Second)
			return route.Receipt{}, fail(route.Retry)
		})
		id := b.add(Draft{To: anna, Class: Marketing})
		synctest.Wait()
		b.deliver(modem, route.Inbound{From: "06 12345678", Text: "stop"})
		b.later(time.Hour)
		b.want(id, Cancelled, "opted_out")
		if n := len(modem.Log()); n != 1 {
			t.Errorf("offered %d times", n)
		}
	})
}
