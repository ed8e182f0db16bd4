package smpp

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

func TestPacerKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(10, func() {})
		begun := time.Now()
		for range 101 {
			if err := p.wait(t.Context(), nil, p.ticket()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took < 9900*time.Millisecond || took > 10100*time.Millisecond {
			t.Errorf("101 turns at 10 per second took %v", took)
		}
	})
}

func TestPacerServesTheOldestTicketFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1, func() {})
		tickets := make([]uint64, 10)
		for i := range tickets {
			tickets[i] = p.ticket()
		}
		if err := p.wait(t.Context(), nil, p.ticket()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var got []uint64
		var wg sync.WaitGroup
		for _, i := range []int{7, 3, 9, 0, 5, 1, 8, 2, 6, 4} {
			wg.Go(func() {
				if err := p.wait(t.Context(), nil, tickets[i]); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got = append(got, tickets[i])
			})
			synctest.Wait()
		}
		wg.Wait()
		for i := range got {
			if got[i] != tickets[i] {
				t.Fatalf("served were %v", got)
			}
		}
	})
}

func TestPacerLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1, func() {})
		if err := p.wait(t.Context(), nil, p.ticket()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := p.wait(ctx, nil, p.ticket()); err == nil {
			t.Error("a turn after ctx ended")
		}
		gone := make(chan struct{})
		close(gone)
		if err := p.wait(t.Context(), gone, p.ticket()); err == nil {
			t.Error("a turn on a session that is gone")
		}
		if err := p.wait(t.Context(), nil, p.ticket()); err != nil || len(p.waiting) != 0 {
			t.Errorf("afterwards: %v, %d wait", err, len(p.waiting))
		}
	})
}

func TestPacerSlowsAndRecovers(t *testing.T) {
	for _, ceiling := range []int{20, 0} {
		synctest.Test(t, func(t *testing.T) {
			recovered := 0
			p := newPacer(ceiling, func() { recovered++ })
			turn := func() {
				t.Helper()
				if err := p.wait(t.Context(), nil, p.ticket()); err != nil {
					t.Fatal(err)
				}
			}
			for range 20 { // a second at 20 per second, limited or not
				turn()
				if ceiling == 0 {
					time.Sleep(50 * time.Millisecond)
				}
			}
			rate, fresh := p.throttled()
			if rate != 10 || !fresh {
				t.Fatalf("ceiling %d: throttled to %v, %v", ceiling, rate, fresh)
			}
			if _, fresh := p.throttled(); fresh {
				t.Error("the answers to what was in flight count as news")
			}
			begun := time.Now()
			turn()
			if took := time.Since(begun); took != throttlePause {
				t.Errorf("the pause was %v", took)
			}
			time.Sleep(9 * time.Minute)
			turn()
			if p.rate != float64(ceiling) || recovered != 1 {
				t.Errorf("ceiling %d: after nine minutes the rate is %v, recovered %d times", ceiling, p.rate, recovered)
			}
		})
	}
}

func TestPacerHasAFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(0, func() {})
		for range 10 {
			if err := p.wait(t.Context(), nil, p.ticket()); err != nil {
				t.Fatal(err)
			}
			rate, _ := p.throttled()
			if rate < slowest {
				t.Fatalf("the rate is %v", rate)
			}
		}
	})
}

// Throttled messages go again, in their order, and none is lost or doubled.
func TestThrottledInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, rec := boundInLobby(t, smsc.Config{Rate: 5}, func(cfg *Config) { cfg.Window = 1 })
		const n = 30
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if _, err := c.Send(context.Background(), message(i, fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		var got []string
		refused := 0
		for _, s := range m.Submits() {
			if s.Accepted {
				got = append(got, s.Text)
			} else {
				refused++
			}
		}
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint(i))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("accepted were %v", got)
		}
		if refused == 0 || refused > n {
			t.Errorf("%d submits were throttled", refused)
		}
		seen := false
		for _, s := range rec.states {
			seen = seen || s.State == route.Ready && strings.HasPrefix(s.Doing, "throttled to")
		}
		if !seen {
			t.Error("the status never said that we are throttled")
		}
	})
}

// An SMSC that throttles for ever: the queue decides, after our patience.
func TestThrottledForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, _ := boundInLobby(t, smsc.Config{Decide: func(*smsc.Submit) smsc.Verdict { return smsc.Verdict{Status: smsc.StatusThrottled} }}, nil)
		begun := time.Now()
		got, err := c.Send(context.Background(), message(1, "hello"))
		e := fate(t, err, route.Retry)
		if e.Scope != route.ScopeRoute || e.Code != "SMPP 0x00000058" || len(got.Parts) != 1 || got.Parts[0].State != route.PartRefused {
			t.Errorf("the verdict is %+v, %+v", e, got)
		}
		if took := time.Since(begun); took > 61*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := m.Stats().Submits; n < 10 || n > 61 {
			t.Errorf("%d submits", n)
		}
	})
}

// Who is cancelled while throttled was refused, not lost.
func TestCancelledWhileThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := boundInLobby(t, smsc.Config{Decide: func(*smsc.Submit) smsc.Verdict { return smsc.Verdict{Status: smsc.StatusQueueFull} }}, nil)
		ctx, cancel := context.WithCancel(context.Background())
		verdict := make(chan error, 1)
		go func() {
			_, err := c.Send(ctx, message(1, "hello"))
			verdict <- err
		}()
		synctest.Wait()
		cancel()
		fate(t, <-verdict, route.Retry)
	})
}

func TestPartsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, _ := boundInLobby(t, smsc.Config{}, func(cfg *Config) { cfg.PartsPerSecond = 5 })
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 26 {
			wg.Go(func() {
				if _, err := c.Send(context.Background(), message(i, "hello")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begun); took < 4900*time.Millisecond || took > 5100*time.Millisecond {
			t.Errorf("26 parts at 5 per second took %v", took)
		}
		if n := m.Stats().Accepted; n != 26 {
			t.Errorf("%d accepted", n)
		}
	})
}
