package modem

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

func daily() Config { return Config{LoopTest: LoopTest{Every: 24 * time.Hour}} }

// Issue 4, point 10: the message to its own number comes back, is timed, and
// is nobody else's business.
func TestLoopIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{modem: daily(), peer: sim.Config{Latency: 3 * time.Second}})
		s := b.until("tested", func(s route.Status) bool { return s.Care.LoopTest != nil })
		if l := s.Care.LoopTest; l.Took < 3*time.Second || l.Took > 5*time.Second || l.Why != "" || l.At.IsZero() {
			t.Errorf("%+v", l)
		}
		time.Sleep(5*24*time.Hour + time.Hour)
		if n := len(b.cell.Submits()); n != 6 {
			t.Errorf("%d tests in five days", n)
		}
		if s := b.sink.last(); s.Code != "" || s.Care.LoopTest.Usual < 3*time.Second {
			t.Errorf("%+v, %+v", s, s.Care.LoopTest)
		}
		if len(b.sink.inbound)+len(b.sink.reports) > 0 {
			t.Errorf("the queue was told of it: %+v, %+v", b.sink.inbound, b.sink.reports)
		}
		if n := b.peer.Stored("SM"); n != 0 {
			t.Errorf("%d messages lie on the SIM", n)
		}
		// A restart is no reason for a test of its own.
		again := b.again(t)
		again.ready()
		time.Sleep(time.Hour)
		if n := len(b.cell.Submits()); n != 6 {
			t.Errorf("%d tests after a restart", n)
		}
	})
}

// A round trip far from the usual one is told, and so is one that never ends;
// the next good one takes the word back.
func TestLoopThatDriftsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{modem: daily()})
		b.ready()
		time.Sleep(4*24*time.Hour + time.Hour)
		b.play("header: drop 999") // the announcement is lost, so the sweep finds it, much later
		s := b.untilDay("slow", code("loop_failed"))
		if s.State != route.Ready || !strings.Contains(s.Detail, "is usual") || s.Care.LoopTest.Took < loopSure {
			t.Errorf("%+v, %+v", s, s.Care.LoopTest)
		}
		b.untilDay("well", func(s route.Status) bool { return s.Code == "" })
		// The network takes it and loses it.
		b.play("ctrl-z: error cms 38")
		b.untilDay("refused", func(s route.Status) bool { return s.Code == "loop_failed" && strings.Contains(s.Detail, "CMS") })
		synctest.Wait() // the status comes first, its notice behind it
		if n := len(b.sink.noticed("loop_failed")); n != 2 {
			t.Errorf("%d notices", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cfg := daily()
		cfg.LoopTest.Number = "+31600000005" // of nobody here
		b := plug(t, setUp{modem: cfg})
		s := b.untilDay("lost", code("loop_failed"))
		if !strings.Contains(s.Detail, "has not come back") || s.Care.LoopTest.Took != 0 {
			t.Errorf("%+v", s)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{modem: daily(), faults: "every 1 cnum: error cme 22"})
		if s := b.until("asked for", code("loop_failed")); !strings.Contains(s.Detail, "does not tell its number") {
			t.Errorf("%+v", s)
		}
	})
}

// untilDay is until for what happens once a day.
func (b *bench) untilDay(what string, fits func(route.Status) bool) route.Status {
	b.t.Helper()
	s, ok := b.sink.until(fits, 49*time.Hour)
	if !ok {
		b.t.Fatalf("never %s; the last status is %+v\nlog:\n%s", what, s, b.log)
	}
	return s
}

func withBalance(texts ...string) (setUp, func()) {
	u := setUp{modem: Config{Balance: Balance{Code: "*100#"}}, peer: sim.Config{USSD: map[string]string{"*100#": texts[0]}}}
	return u, func() { texts = texts[1:]; u.peer.USSD["*100#"] = texts[0] }
}

// The balance is asked once a day, read in whatever words it comes, and a
// person is warned before it is gone.
func TestBalance(t *testing.T) {
	for _, vendor := range []string{"Generic", "Huawei"} {
		bubble(t, vendor, func(t *testing.T) {
			u, next := withBalance("Your balance is EUR 12.34.", "Your balance is EUR 8,14.", "Your balance is EUR 4.02. Valid until 24.12.2026", "Ваш баланс: 3,50 EUR")
			u.peer.Vendor = vendor
			b := plug(t, u)
			is := func(amount string) func(route.Status) bool {
				return func(s route.Status) bool { return s.Care.Balance != nil && s.Care.Balance.Amount == amount }
			}
			s := b.untilDay("asked", is("12.34"))
			if s.Care.Balance.Low || s.Care.Balance.Text != "Your balance is EUR 12.34." {
				t.Errorf("%+v", s.Care.Balance)
			}
			next()
			if s = b.untilDay("asked again", is("8.14")); s.Care.Balance.Low == (8.14 > 3*4.20) {
				t.Errorf("%+v", s.Care.Balance)
			}
			next()
			b.untilDay("low", is("4.02"))
			if s := b.until("warned", func(s route.Status) bool { return s.Code == "credit_low" && strings.Contains(s.Detail, "4.02") }); s.State != route.Ready {
				t.Errorf("%+v", s)
			}
			synctest.Wait()
			if len(b.sink.noticed("credit_low")) == 0 {
				t.Error("no event")
			}
			next() // Cyrillic comes in UCS-2
			b.untilDay("asked in Russian", is("3.50"))
			if n := strings.Count(b.trace.String(), "AT+CUSD=1"); n > 4+1 { // Huawei is tried plain first, by no one: its profile knows
				t.Errorf("asked %d times in three days", n)
			}
		})
	}
}

// Refusals that look like an empty SIM make it ask at once.
func TestBalanceIsAskedWhenSendingIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, next := withBalance("Saldo: 5,00 EUR", "Saldo: 0,00 EUR")
		u.faults = "ctrl-z: error cms 8"
		b := plug(t, u)
		b.until("asked", func(s route.Status) bool { return s.Care.Balance != nil })
		next()
		b.send("m", "+31612345678", "x")
		b.until("barred", code("no_credit"))
		s, _ := b.sink.until(func(s route.Status) bool { return s.Care.Balance != nil && s.Care.Balance.Amount == "0.00" }, time.Hour)
		if s.Care.Balance == nil || !s.Care.Balance.Low {
			t.Errorf("%+v", s.Care.Balance)
		}
	})
}

func TestAmountsInAnswers(t *testing.T) {
	anchor := ""
	for i, tc := range []struct{ said, want string }{
		{"Uw beltegoed is 12,50 euro. Bel 1200 voor info.", "12.50"},    // alone: the words before it are learnt
		{"Actie: 10,00 euro bonus! Uw beltegoed is 9,80 euro.", "9.80"}, // two: the learnt words decide
		{"Tegoed 3,00 euro, bundel 4,00 euro", ""},                      // two, and none is known
		{"Beltegoed: € 7", "7.00"},                                      //
		{"Saldo 1.234,56 kr giltigt till 2026-12-24 23:59", "1234.56"},  //
		{"Credit: $0.99. Call +31612345678.", "0.99"},                   //
		{"You have 50 texts left", ""},                                  // no money
		{"Restguthaben 5,00EUR", "5.00"},                                //
	} {
		b := Balance{}
		p := b.read(purse{Anchor: anchor}, tc.said, time.Now())
		if p.Last.Amount != tc.want || p.Last.Text != tc.said {
			t.Errorf("%q is read as %q, want %q", tc.said, p.Last.Amount, tc.want)
		}
		if i == 0 {
			if anchor = p.Anchor; anchor != "uw beltegoed is" {
				t.Errorf("learnt: %q", anchor)
			}
		}
	}
	given := Balance{Pattern: `(?i)rest:\s*([\d,]+)`, Below: "5.00"}
	for said, low := range map[string]bool{"1,00 EUR Bonus, REST: 4,99 EUR": true, "REST: 5,00": false} {
		if p := given.read(purse{}, said, time.Now()); p.Last.Low != low || p.Last.Amount == "" {
			t.Errorf("%q: %+v", said, p.Last)
		}
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	for want, c := range map[string]Config{
		"code:":             {Balance: Balance{Code: "*21*123#"}},
		"balance_pattern:":  {Balance: Balance{Code: "*100#", Pattern: "("}},
		"needs a group":     {Balance: Balance{Code: "*100#", Pattern: `\d+`}},
		"balance_below:":    {Balance: Balance{Code: "*100#", Below: "five"}},
		"self_test_number:": {LoopTest: LoopTest{Number: "call me"}},
	} {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	good := Config{Balance: Balance{Code: "*100#", Pattern: `is ([\d.]+)`, Below: "2.50"}, LoopTest: LoopTest{Every: time.Hour, Number: "+31612345678"}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	if fmt.Sprint(Config{}.Check()) != "<nil>" {
		t.Error("nothing set is fine")
	}
}
