package modem

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// A modem that tells neither maker nor model is known by what ATI says.
func TestModemKnownByATI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := parrot(t, func(cmd string) string {
			switch cmd {
			case "AT+CGMI", "AT+GMI", "AT+CGMM", "AT+GMM":
				return "ERROR"
			case "ATI":
				return "SIM7600E-H\r\nRevision: LE20B04\r\n\r\nOK"
			case "AT+CPIN?":
				return "+CPIN: READY\r\n\r\nOK"
			case "AT+CREG?":
				return "+CREG: 1,1\r\n\r\nOK"
			}
			return "OK"
		})
		b.ready()
		if !strings.Contains(b.trace.String(), "AT+CICCID") {
			t.Errorf("it was not asked as a SIM7600:\n%s", b.trace)
		}
	})
}

// After the PIN the store of messages takes its time; nothing is prepared before.
func TestStoreOfMessagesIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now()
		b := plug(t, setUp{faults: "every 1 cpms x5: error cms 314"})
		b.mustSend("m1")
		if d := time.Since(since); d < 8*time.Second || d > 15*time.Second {
			t.Errorf("ready after %v", d)
		}
		b.bring("+31687654321", "still heard")
		b.inbound(1)
	})
	synctest.Test(t, func(t *testing.T) { // one without a store can still send
		b := plug(t, setUp{faults: "every 1 cpms: error cms 303"})
		b.mustSend("m1")
	})
}

// A restart that the modem refuses is tried in the family's next way.
func TestRestartInTheNextWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Vendor: "Huawei"}})
		b.ready()
		b.play("every 1 cfun: error cme 4")
		if err := b.modem.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.until("ready again", func(s route.Status) bool { return s.State == route.Ready })
		if s := b.trace.String(); !strings.Contains(s, "AT+CFUN=1,1\rAT^RESET\r") {
			t.Errorf("%s", s)
		}
	})
}

// Reports that are announced where they cannot be read are lost, which is said
// once; everything else goes on.
func TestReportsThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{
			peer:   sim.Config{Vendor: "Huawei", Reports: []int{0, 2}, ReportsInSR: true},
			faults: "every 1 cmgr: error cms 321",
		})
		for _, id := range []string{"1", "2", "3"} {
			b.mustSend(id)
			time.Sleep(5 * time.Second)
		}
		if n := strings.Count(b.log.String(), "cannot read"); n != 1 {
			t.Errorf("said %d times:\n%s", n, b.log)
		}
	})
}
