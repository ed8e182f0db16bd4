package queue

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

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
