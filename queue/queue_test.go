package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

func TestNotOfferedKeepsItsPlaceAndTheLaneRests(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		var down atomic.Bool
		down.Store(true)
		modem.Answer(func(route.Outbound) (route.Receipt, error) {
			if down.Load() {
				return route.Receipt{}, fail(route.NotOffered)
			}
			return route.Receipt{}, nil
		})
		first, second := b.add(Draft{To: anna}), b.add(Draft{To: bram})
		b.later(5 * time.Minute)
		if n := len(modem.Log()); n > 12 {
			t.Errorf("a route that takes nothing was asked %d times in 5 minutes", n)
		}
		if m := b.want(first, Queued, "in_line"); m.Tried != 0 {
			t.Errorf("not offered must not count: tried %d", m.Tried)
		}
		down.Store(false)
		modem.SetState(route.Ready) // any news of the route ends the rest
		synctest.Wait()
		log := modem.Log()
		if got := []string{log[len(log)-2].ID, log[len(log)-1].ID}; got[0] != first.String() || got[1] != second.String() {
			t.Errorf("order was lost: %v", got)
		}
	})
}

func TestOneMessageThatIsNeverTakenBlocksNobody(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			if out.To == anna {
				return route.Receipt{}, fail(route.NotOffered)
			}
			return route.Receipt{}, nil
		})
		modem.SetLanes(2)
		synctest.Wait()
		bad := b.add(Draft{To: anna})
		for i := range 60 {
			good := b.add(Draft{To: fmt.Sprintf("+316%08d", 10000000+i)})
			b.later(time.Minute)
			b.want(good, Sent, "wait_report")
		}
		if m := b.get(bad); m.Tried == 0 {
			t.Errorf("five in a row while others were carried must count as a try: %+v%s", m, b.story(m))
		}
	})
}

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

func TestOrder(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.SetState(route.Waiting)
		b.open(modem)
		draft := func(i, prio int, class Class) ID {
			b.later(time.Millisecond)
			return b.add(Draft{To: fmt.Sprintf("+316%08d", 20000000+i), Priority: &prio, Class: class})
		}
		bulk := []ID{draft(1, 1, Marketing), draft(2, 2, Marketing)}
		normal := []ID{draft(3, 1, Transactional), draft(4, 1, Transactional), draft(5, 2, Transactional), draft(6, 0, Transactional)}
		urgent := draft(7, 3, Marketing)
		modem.SetState(route.Ready)
		b.later(time.Second)
		want := []ID{urgent, normal[2], normal[0], normal[1], normal[3], bulk[1], bulk[0]}
		for i, out := range modem.Log() {
			if out.ID != want[i].String() {
				t.Errorf("place %d went to the wrong message", i+1)
			}
		}
	})
}

func TestNothingStarves(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.SetState(route.Waiting)
		b.open(modem)
		old := b.add(Draft{To: anna, Class: Marketing})
		b.later(2 * time.Hour)
		for i := range 30 {
			b.add(Draft{To: fmt.Sprintf("+316%08d", 30000000+i)})
		}
		modem.SetState(route.Ready)
		b.later(time.Second)
		place := slices.IndexFunc(modem.Log(), func(o route.Outbound) bool { return o.ID == old.String() })
		if place != oldestEvery-1 {
			t.Errorf("the message that had waited two hours went out as number %d of 31", place+1)
		}
	})
}

func TestUrgentGoesNextBehindAHugeCampaign(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(3 * time.Second)
		b.open(modem)
		for i := range 500 {
			b.add(Draft{To: fmt.Sprintf("+316%08d", 40000000+i), Class: Marketing})
		}
		b.later(time.Second)
		urgent := 3
		id := b.add(Draft{To: anna, Priority: &urgent})
		b.later(6 * time.Second)
		log := modem.Log()
		place := slices.IndexFunc(log, func(o route.Outbound) bool { return o.ID == id.String() })
		if place != 1 {
			t.Errorf("the urgent message went out as number %d, behind more than the one on the air", place+1)
		}
	})
}

func TestTwoMessagesToOneNumberAreNeverInFlightTogether(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("smsc")
		modem.SetLanes(8)
		modem.Latency(time.Second)
		b.open(modem)
		var mu sync.Mutex
		var flying, most, to int
		var order []string
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			mu.Lock()
			if out.To == anna {
				flying++
				most = max(most, flying)
				order = append(order, out.ID)
			} else {
				to++
			}
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			if out.To == anna {
				flying--
			}
			return route.Receipt{Parts: sent(out.ID)}, nil
		})
		var want []string
		for range 5 {
			want = append(want, b.add(Draft{To: anna, Text: fmt.Sprint("number ", len(want))}).String())
		}
		for i := range 20 {
			b.add(Draft{To: fmt.Sprintf("+316%08d", 50000000+i)})
		}
		b.later(1500 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		if to < 7 {
			t.Errorf("others had to wait for the busy recipient: %d went out beside it", to)
		}
		mu.Unlock()
		b.later(time.Minute)
		mu.Lock()
		if most != 1 {
			t.Errorf("%d messages to one number were in flight together", most)
		}
		if !slices.Equal(order, want) {
			t.Errorf("messages to one number changed places")
		}
	})
}

func TestLongMessageIsTruthfulInTheMiddle(t *testing.T) {
	long := ""
	for len(long) < 400 {
		long += "Uw afspraak is verplaatst. "
	}
	t.Run("a retry goes on after the last part that left", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			modem.Script(routetest.Accept, routetest.Busy)
			b.open(modem)
			id := b.add(Draft{Text: long})
			m := b.want(id, Queued, "retry")
			if m.Pin != "sim-counter" || m.Parts[0].State != PartSent {
				t.Fatalf("pin %q, parts %+v", m.Pin, m.Parts)
			}
			b.later(5 * time.Minute)
			b.want(id, Sent, "wait_report")
			seen := modem.Seen()
			// part 1, part 2 refused, part 2 again, part 3
			if len(seen) != 4 || seen[0].Ref != seen[3].Ref || seen[1].N != 2 || seen[2].N != 2 {
				t.Errorf("the network saw %+v", seen)
			}
		})
	})
	t.Run("two of three delivered is said so", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			id := b.add(Draft{Text: long})
			b.later(time.Second)
			for _, ref := range []string{"1", "3"} {
				if err := modem.Report(route.Report{Ref: ref, To: anna, State: route.ReportDelivered}); err != nil {
					t.Fatal(err)
				}
			}
			m := b.want(id, Sent, "partly")
			if got, want := m.Why.Text("en", time.UTC), "2 of 3 parts are delivered."; got != want {
				t.Errorf("got %q", got)
			}
			if err := modem.Report(route.Report{Ref: "2", To: anna, State: route.ReportDelivered}); err != nil {
				t.Fatal(err)
			}
			b.want(id, Delivered, "delivered")
		})
	})
	t.Run("the rest waits for the SIM that began", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem, other := routetest.NewFake("counter"), routetest.NewFake("other")
			other.SetState(route.Waiting)
			modem.Script(routetest.Accept, routetest.Busy)
			b.open(modem, other)
			id := b.add(Draft{Text: long})
			b.later(time.Second)
			modem.SetState(route.Waiting)
			other.SetState(route.Ready)
			b.later(time.Hour)
			m := b.want(id, Queued, "retry")
			if n := len(other.Log()); n != 0 {
				t.Fatalf("another SIM was given %d attempts", n)
			}
			modem.SetIdentity("sim-new") // somebody swapped the SIM
			modem.SetState(route.Ready)
			b.later(time.Hour)
			if why, _ := b.q.Explain(m); why.Code != "wait_identity" {
				t.Errorf("explained as %s", why.Code)
			}
			other.SetIdentity("sim-counter") // and put it into the other stick
			b.later(time.Minute)
			b.want(id, Sent, "wait_report")
		})
	})
	t.Run("or begins again elsewhere by policy", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem, other := routetest.NewFake("counter"), routetest.NewFake("other")
			other.SetState(route.Waiting)
			modem.Script(routetest.Accept, routetest.Busy)
			b.open(modem, other)
			id := b.add(Draft{Text: long, OnPartial: OnPartialRestart})
			b.later(time.Second)
			first := b.get(id).ConcatRef
			modem.SetState(route.Waiting)
			other.SetState(route.Ready)
			b.later(time.Hour)
			m := b.want(id, Sent, "wait_report")
			if m.ConcatRef == first || !slices.Contains(b.kinds(id), KindRestarted) || len(other.Seen()) != 3 {
				t.Errorf("ref %d then %d, other saw %d parts:%s", first, m.ConcatRef, len(other.Seen()), b.story(m))
			}
		})
	})
	t.Run("two long messages never share a reference", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			used := map[int]bool{}
			for i := range 20 {
				b.add(Draft{Text: fmt.Sprint(i, long)})
			}
			b.later(time.Minute)
			for _, s := range modem.Seen() {
				if s.N == 1 && used[s.Ref] {
					t.Errorf("reference %d was used twice", s.Ref)
				}
				used[s.Ref] = true
			}
			if len(used) != 20 {
				t.Errorf("%d references for 20 messages", len(used))
			}
		})
	})
}

func TestOneReportMaySpeakForAWholePayload(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		smsc := routetest.NewFake("operator")
		b.open(smsc)
		smsc.Answer(func(out route.Outbound) (route.Receipt, error) {
			rcpt := route.Receipt{}
			for n := range out.Segments {
				rcpt.Parts = append(rcpt.Parts, route.Part{N: n + 1, Of: len(out.Segments), State: route.PartSent, Ref: "one-id"})
			}
			return rcpt, nil
		})
		id := b.add(Draft{Text: strings.Repeat("Uw afspraak is verplaatst. ", 15)})
		b.later(time.Second)
		if err := smsc.Report(route.Report{Ref: "one-id", To: anna, Whole: true, State: route.ReportDelivered}); err != nil {
			t.Fatal(err)
		}
		b.want(id, Delivered, "delivered")
	})
}

func TestOnePartGivenBackIsSentAlone(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		smsc := routetest.NewFake("operator")
		smsc.Script(routetest.Accept, routetest.Swallow)
		b.open(smsc)
		id := b.add(Draft{Text: strings.Repeat("Uw afspraak is verplaatst. ", 10), OnUnknown: OnUnknownHold})
		b.later(10 * time.Minute)
		b.want(id, Unknown, "unsure")
		// The answer comes late, and says no.
		if err := smsc.Report(route.Report{ID: id.String(), State: route.ReportGivenBack, Code: "SMPP 0x58"}); err != nil {
			t.Fatal(err)
		}
		b.want(id, Sent, "wait_report")
		if seen := smsc.Seen(); len(seen) != 3 || seen[2].N != 2 || seen[2].Ref != seen[0].Ref {
			t.Errorf("the network saw %+v", seen)
		}
	})
}

func TestCancel(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Script(routetest.Hold)
		b.open(modem)
		flying := b.add(Draft{To: anna})
		waiting := b.add(Draft{To: bram})
		synctest.Wait()
		if _, err := b.q.Cancel(t.Context(), waiting, "till-1"); err != nil {
			t.Errorf("a waiting message: %v", err)
		}
		b.want(waiting, Cancelled, "cancelled")
		done := make(chan error, 1)
		go func() {
			_, err := b.q.Cancel(t.Context(), flying, "till-1")
			done <- err
		}()
		synctest.Wait()
		modem.Release()
		var notNow *ErrNotNow
		if err := <-done; !errors.As(err, &notNow) || notNow.State != Sent {
			t.Errorf("a message on the air: %v", err)
		}
		b.want(flying, Sent, "wait_report")
		if _, err := b.q.Cancel(t.Context(), ID(12345), "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("no such message: %v", err)
		}
	})
}

func TestCancelBeforeTheFirstByte(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		slow := &slowRoute{Fake: routetest.NewFake("slow")}
		b.open()
		if err := b.q.Attach(slow, ""); err != nil {
			t.Fatal(err)
		}
		id := b.add(Draft{})
		b.want(id, Sending, "sending")
		m, err := b.q.Cancel(t.Context(), id, "till-1")
		if err != nil || m.State != Cancelled {
			t.Errorf("got %v, %v", m, err)
		}
	})
}

// slowRoute waits before the first byte until its ctx ends.
type slowRoute struct{ *routetest.Fake }

func (s *slowRoute) Send(ctx context.Context, out route.Outbound) (route.Receipt, error) {
	<-ctx.Done()
	return route.Receipt{}, route.Ended(ctx, "slow")
}

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

func TestDoubtBlamesTheSIMAfterThreeRecipients(t *testing.T) {
	doubt := &route.Error{Fate: route.Reject, Doubt: true, Code: "CMS 28", Text: "unidentified subscriber"}
	t.Run("three in a row are the SIM", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			var refuse atomic.Bool
			refuse.Store(true)
			modem.Answer(func(out route.Outbound) (route.Receipt, error) {
				if refuse.Load() {
					return route.Receipt{}, doubt
				}
				return route.Receipt{}, nil
			})
			var ids []ID
			for i, to := range []string{anna, bram, cees, dirk} {
				ids = append(ids, b.add(Draft{To: to}))
				b.later(time.Duration(i) * time.Millisecond)
			}
			b.later(10 * time.Minute)
			if n := len(modem.Log()); n != 3 {
				t.Errorf("a refused SIM was given %d messages", n)
			}
			for _, id := range ids {
				if m := b.get(id); m.State != Queued {
					t.Errorf("message is %s, it must wait", m.State)
				}
			}
			if why, _ := b.q.Explain(b.get(ids[3])); why.Code != "sim_refused" {
				t.Errorf("explained as %s", why.Code)
			}
			refuse.Store(false) // the SIM was topped up; the probe heals it without a click
			b.later(30 * time.Minute)
			for _, id := range ids {
				b.want(id, Sent, "wait_report")
			}
		})
	})
	t.Run("one while others are carried is the number", func(t *testing.T) {
		inBox(t, func(t *testing.T, b *box) {
			modem := routetest.NewFake("counter")
			b.open(modem)
			modem.Answer(func(out route.Outbound) (route.Receipt, error) {
				if out.To == anna {
					return route.Receipt{}, doubt
				}
				return route.Receipt{}, nil
			})
			bad := b.add(Draft{To: anna})
			b.want(bad, Queued, "retry")
			b.later(time.Second)
			b.want(b.add(Draft{To: bram}), Sent, "wait_report")
			b.later(10 * time.Minute)
			b.want(bad, Failed, "refused")
		})
	})
}

func TestPanicParksOneMessage(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(out route.Outbound) (route.Receipt, error) {
			if out.To == anna {
				panic("a fault of the test")
			}
			return route.Receipt{}, nil
		})
		bad, good := b.add(Draft{To: anna}), b.add(Draft{To: bram})
		b.later(24 * time.Hour)
		b.want(bad, Unknown, "fault")
		b.want(good, Sent, "wait_report")
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

func TestPauseHoldsAcrossARestart(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		if err := b.q.Pause(t.Context(), "counter", "uid:0"); err != nil {
			t.Fatal(err)
		}
		id := b.add(Draft{})
		b.close()
		b.open(modem)
		m := b.want(id, Queued, "in_line")
		if why, _ := b.q.Explain(m); why.Code != "paused" {
			t.Errorf("explained as %s", why.Code)
		}
		if err := b.q.Resume(t.Context(), "counter", "uid:0"); err != nil {
			t.Fatal(err)
		}
		b.want(id, Sent, "wait_report")
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

func TestRefusedDraftsNameTheFieldAndTheRemedy(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Country: "NL", MaxParts: 2})
		nine, minus := 9, -1
		long := fmt.Sprintf("%0400d", 7)
		for _, c := range []struct {
			field string
			d     Draft
		}{
			{"to", Draft{To: "", Text: "x"}},
			{"to", Draft{To: "not a number", Text: "x"}},
			{"to", Draft{To: "+1 202 555 0123", Text: "x"}},
			{"text", Draft{To: anna, Text: ""}},
			{"text", Draft{To: anna, Text: long}},
			{"text", Draft{To: anna, Text: "\xff"}},
			{"class", Draft{To: anna, Text: "x", Class: "spam"}},
			{"priority", Draft{To: anna, Text: "x", Priority: &nine}},
			{"priority", Draft{To: anna, Text: "x", Priority: &minus}},
			{"encoding", Draft{To: anna, Text: "x", Encoding: "utf8"}},
			{"pool", Draft{To: anna, Text: "x", Pool: "nowhere"}},
			{"lang", Draft{To: anna, Text: "x", Lang: "tlh"}},
			{"on_unknown", Draft{To: anna, Text: "x", OnUnknown: "guess"}},
			{"on_partial", Draft{To: anna, Text: "x", OnPartial: "guess"}},
			{"expires", Draft{To: anna, Text: "x", Expires: time.Now().Add(-time.Hour)}},
			{"at", Draft{To: anna, Text: "x", At: time.Now().Add(10 * 366 * 24 * time.Hour)}},
			{"max_parts", Draft{To: anna, Text: "x", MaxParts: -1}},
		} {
			_, err := b.q.Add(t.Context(), c.d)
			var invalid *Invalid
			if !errors.As(err, &invalid) || invalid.Field != c.field || len(invalid.Detail) < 20 || invalid.Code == "" {
				t.Errorf("%+v: got %v, want a refusal of field %q that says what to do", c.d, err, c.field)
			}
		}
		if n := b.q.Counts().Queued; n != 0 {
			t.Errorf("%d refused drafts are in the queue", n)
		}
	})
}

func TestFullQueueRefusesAndGoesOn(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.SetState(route.Waiting)
		b.openWith(Config{QueueMax: 3}, modem)
		for range 3 {
			b.add(Draft{})
		}
		var full *Full
		if _, err := b.q.Add(t.Context(), Draft{To: bram, Text: "x"}); !errors.As(err, &full) || full.RetryAfter <= 0 {
			t.Errorf("got %v", err)
		}
		modem.SetState(route.Ready)
		b.later(time.Second)
		b.add(Draft{})
	})
}

func TestInboundIsKeptOnce(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		synctest.Wait()
		for range 2 {
			if err := modem.Deliver(route.Inbound{Key: "same", From: anna, Text: "ja, is goed"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := modem.Deliver(route.Inbound{From: anna, Text: "tot morgen"}); err != nil {
			t.Fatal(err)
		}
		list, next, err := b.q.Inbox(0, 10)
		if err != nil || next != 0 || len(list) != 2 || list[0].Text != "tot morgen" {
			t.Errorf("got %+v, next %d, %v", list, next, err)
		}
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

func TestListPagesAndFilters(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		for i := range 25 {
			b.add(Draft{To: anna, Till: fmt.Sprint("till-", i%2), Ref: fmt.Sprint("r", i%5), Text: fmt.Sprint("number ", i)})
		}
		var all []string
		for cursor := ID(0); ; {
			items, next, err := b.q.List(Filter{Till: "till-1", Before: cursor, Limit: 5})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range items {
				all = append(all, m.Text())
			}
			if cursor = next; next == 0 {
				break
			}
		}
		if len(all) != 12 || all[0] != "number 23" || all[11] != "number 1" {
			t.Errorf("paged through %v", all)
		}
		items, next, err := b.q.List(Filter{Ref: "r3", Limit: 3})
		if err != nil || len(items) != 3 || next == 0 || items[0].Text() != "number 23" {
			t.Errorf("by ref: %d items, next %v, %v", len(items), next, err)
		}
		items, next, err = b.q.List(Filter{Ref: "r3", Limit: 3, Before: next})
		if err != nil || len(items) != 2 || next != 0 {
			t.Errorf("by ref, next page: %d items, next %v, %v", len(items), next, err)
		}
	})
}

func TestEventsAreReadFromACursor(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		wake, stop := b.q.Subscribe()
		defer stop()
		b.later(time.Second)
		mark := b.q.LastEvent()
		for len(wake) > 0 {
			<-wake
		}
		id := b.add(Draft{})
		b.later(time.Second)
		if len(wake) == 0 {
			t.Error("nobody was told")
		}
		list, err := b.q.Events(mark, 0)
		if err != nil || len(list) != 3 || list[0].Msg != id || list[0].Seq != mark+1 {
			t.Errorf("got %+v, %v", list, err)
		}
	})
}

func TestTwoRoutesOfOneName(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		if err := b.q.Attach(routetest.NewFake("counter"), ""); err == nil {
			t.Error("two routes of one name were attached")
		}
		if err := b.q.Detach(t.Context(), "counter"); err != nil {
			t.Error(err)
		}
		if err := b.q.Attach(routetest.NewFake("counter"), ""); err != nil {
			t.Error(err)
		}
		b.want(b.add(Draft{}), Sent, "wait_report")
	})
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

func TestRefusedSIMStaysRefusedThroughASession(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		modem.Answer(func(route.Outbound) (route.Receipt, error) {
			return route.Receipt{}, &route.Error{Fate: route.Reject, Doubt: true, Code: "CMS 28", Text: "unidentified subscriber"}
		})
		for _, to := range []string{anna, bram, cees} {
			b.add(Draft{To: to})
			b.later(time.Second)
		}
		sameSIM := modem.Status()
		modem.SetStatus(route.Status{State: route.Starting}) // a new session begins
		modem.SetStatus(sameSIM)
		b.later(time.Minute)
		if info := b.q.Routes()[0]; info.Code != "sim_refused" {
			t.Errorf("after a restart of the modem the SIM is %q", info.Code)
		}
		modem.SetIdentity("sim-new")
		b.later(time.Second)
		if info := b.q.Routes()[0]; info.Code == "sim_refused" {
			t.Error("another SIM is blamed for the last one")
		}
	})
}

func TestRouteServesWhatAsksForItByName(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem, other := routetest.NewFake("counter"), routetest.NewFake("office")
		b.open(modem, other)
		for range 5 {
			id := b.add(Draft{To: anna, Pool: "office"})
			if m := b.want(id, Sent, "wait_report"); m.Route != "office" {
				t.Errorf("it went by %s", m.Route)
			}
		}
	})
}

func TestExpiresHasABound(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open(routetest.NewFake("counter"))
		var invalid *Invalid
		_, err := b.q.Add(t.Context(), Draft{To: anna, Text: "x", Expires: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)})
		if !errors.As(err, &invalid) || invalid.Field != "expires" {
			t.Errorf("got %v", err)
		}
	})
}
