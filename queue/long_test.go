package queue

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

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

// A phone joins parts by sender and reference: none comes twice to a number in
// an hour, whatever else has to give way.
func TestNoReferenceIsUsedTwiceInAnHour(t *testing.T) {
	// A part holds 153 septets, or 152 beside the longer header. A euro sign takes
	// two, and cannot be cut.
	for name, text := range map[string]string{"parts that are full": strings.Repeat("a", 160), "parts with room": strings.Repeat("€", 80)} {
		t.Run(name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				modem := routetest.NewFake("counter")
				modem.SetLanes(4)
				b.open(modem)
				const many = 258
				var last ID
				for i := range many {
					last = b.add(Draft{Text: fmt.Sprintf("%04d%s", i, text)})
				}
				b.later(10 * time.Minute)
				wide, used := 0, map[string]int{}
				for _, out := range modem.Log() {
					used[fmt.Sprint(out.RefBits, " ", out.Ref)]++
					wide += out.RefBits / 16
				}
				for ref, n := range used {
					if n > 1 || strings.HasSuffix(ref, " 0") {
						t.Errorf("reference %s was used %d times", ref, n)
					}
				}
				if name == "parts with room" {
					if b.want(last, Sent, "wait_report"); len(used) != many || wide != many-255 {
						t.Errorf("%d references, %d of them wide", len(used), wide)
					}
					return
				}
				if m := b.want(last, Queued, "refs_used"); len(used) != 255 || !m.Due.After(b.q.now()) {
					t.Errorf("%d references were used, and the next message is due %v", len(used), m.Due)
				}
				b.later(time.Hour)
				b.want(last, Sent, "wait_report")
			})
		})
	}
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
