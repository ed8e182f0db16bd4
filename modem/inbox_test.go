package modem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

func (b *bench) bring(from, s string) {
	b.t.Helper()
	if err := b.cell.Deliver(sim.Identity(0).Number, from, s); err != nil {
		b.t.Fatal(err)
	}
}

func TestReportsArePushedOrStored(t *testing.T) {
	for name, peer := range map[string]sim.Config{
		"pushed":                   {},
		"stored_on_the_SIM":        {Reports: []int{0, 2}},
		"stored_in_a_memory_apart": {Reports: []int{0, 2}, ReportsInSR: true},
		"pushed_by_Huawei":         {Vendor: "Huawei"},
		"places_counted_from_0":    {Reports: []int{0, 2}, FirstAt0: true},
	} {
		bubble(t, name, func(t *testing.T) {
			b := plug(t, setUp{peer: peer})
			b.ready()
			long := strings.Repeat("drie delen ", 40)
			rcpt, err := b.send("m1", "+31612345678", long)
			if err != nil {
				t.Fatal(err)
			}
			refs := map[string]bool{}
			for _, r := range b.reports(len(rcpt.Parts)) {
				refs[r.Ref] = r.State == route.ReportDelivered
			}
			for _, p := range rcpt.Parts {
				if !refs[p.Ref] {
					t.Errorf("no report for part %+v", p)
				}
			}
			time.Sleep(2 * time.Minute)
			if n := b.peer.Stored("SM") + b.peer.Stored("SR"); n > 0 {
				t.Errorf("%d reports still lie in a memory", n)
			}
			if n := len(b.sink.reports); n != len(rcpt.Parts) {
				t.Errorf("%d reports were told, want %d", n, len(rcpt.Parts))
			}
		})
	}
}

func TestNoReportsToBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Reports: []int{0}}})
		b.mustSend("m1")
		b.bring("+31687654321", "still heard")
		if in := b.inbound(1); in[0].Text != "still heard" {
			t.Errorf("%+v", in)
		}
	})
}

// What lies on the SIM at the start, what is announced, and what is not: all
// is told once, and gone from the SIM only afterwards.
func TestInboundIsDrainedAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.ready()
		var stored []int
		b.sink.mu.Lock()
		b.sink.fail = func() error { stored = append(stored, b.peer.Stored("SM")); return nil }
		b.sink.mu.Unlock()
		b.bring("+31687654321", "Ja graag 👍")
		b.bring("Bakkerij", strings.Repeat("Uw taart staat klaar. ", 10))
		in := b.inbound(3)
		if in[0].Text != "Ja graag 👍" || in[0].From != "+31687654321" || in[0].Concat != nil || in[0].Key == "" || in[0].Identity == "" || in[0].Sent.IsZero() {
			t.Errorf("%+v", in[0])
		}
		if c := in[1].Concat; c == nil || c.Of != 2 || in[1].From != "Bakkerij" || in[2].Concat == nil || in[2].Concat.Ref != c.Ref {
			t.Errorf("%+v, %+v", in[1], in[2])
		}
		for i, n := range stored {
			if n == 0 {
				t.Errorf("message %d was deleted before it was committed", i)
			}
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if n := b.peer.Stored("SM"); n != 0 {
			t.Errorf("%d messages are left on the SIM", n)
		}
	})
}

func TestWhatTheStoreRefusesStaysOnTheSIM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.ready()
		full := errors.New("the disk is full")
		b.sink.mu.Lock()
		b.sink.fail = func() error { return full }
		b.sink.mu.Unlock()
		b.bring("+31687654321", "keep me")
		time.Sleep(10 * time.Minute)
		if n := b.peer.Stored("SM"); n != 1 {
			t.Fatalf("%d messages on the SIM, want the one that could not be kept", n)
		}
		b.sink.mu.Lock()
		b.sink.fail = nil
		b.sink.mu.Unlock()
		if in := b.inbound(1); len(in) != 1 || in[0].Text != "keep me" {
			t.Errorf("%+v", in)
		}
	})
}

func TestSIMFullOfOldMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Slots: 10}, faults: "storage full"})
		b.ready()
		b.inbound(10)
		b.bring("+31687654321", "there is room again")
		if in := b.inbound(11); in[10].Text != "there is room again" {
			t.Errorf("%+v", in[10])
		}
	})
}

func TestSweepFindsWhatWasNotAnnounced(t *testing.T) {
	for name, faults := range map[string]string{
		"lost_announcement":       "header: drop 0", // the script has nothing for it; the announcement is lost below
		"listing_is_refused":      "every 1 cmgl: error cms 303",
		"listing_is_refused_once": "cmgl: error cms 500",
	} {
		bubble(t, name, func(t *testing.T) {
			b := plug(t, setUp{faults: "every 1 cmgr x1: error cms 321\n" + faults})
			b.ready()
			b.bring("+31687654321", "found")
			since := time.Now()
			in := b.inbound(1)
			if in[0].Text != "found" {
				t.Errorf("%+v", in)
			}
			if d := time.Since(since); d > 2*time.Minute+10*time.Second {
				t.Errorf("found after %v", d)
			}
			time.Sleep(5 * time.Minute)
			if n := len(b.sink.inbound); n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// 40 reports come back while 40 messages go out: nothing stops, nothing is
// lost, and each is acknowledged in its time.
func TestReportsDuringSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Latency: 3 * time.Second}})
		b.ready()
		const n = 40
		for i := range n {
			if _, err := b.send(fmt.Sprint(i), "+31612345678", fmt.Sprint("number ", i)); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(b.reports(n)); got != n {
			t.Errorf("%d reports", got)
		}
		keys := map[string]bool{}
		for _, r := range b.sink.reports {
			keys[r.Key] = true
		}
		if len(keys) != n {
			t.Errorf("%d keys for %d reports", len(keys), n)
		}
	})
}

// A message that takes longer than the network's acknowledgement timer keeps
// the acknowledgement of a report back; reports come again afterwards.
func TestReportsComeAgainAfterAMissedAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "after 1 answer: late 40s", cell: sim.CellConfig{ReportAfter: 5 * time.Second}})
		b.ready()
		if _, err := b.send("1", "+31612345678", "one"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.send("2", "+31612345678", "two"); err != nil { // 40 s, in which the report of 1 comes
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := b.send("3", "+31612345678", "three"); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		b.sink.wait(10*time.Minute, func() bool {
			for _, r := range b.sink.reports {
				seen[r.Ref] = true
			}
			return seen["0"] && seen["2"]
		})
		// The modem itself may have swallowed that of 2, while it had stopped.
		if !seen["0"] || !seen["2"] {
			t.Errorf("reports for %v, want those of 1 and 3: %+v", seen, b.cell.Entries())
		}
	})
}

func TestURCBetweenHeaderAndPDU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "every 1 header: urc ^RSSI: 17"})
		b.mustSend("m1")
		if r := b.reports(1)[0]; r.State != route.ReportDelivered {
			t.Errorf("%+v", r)
		}
	})
}

func TestUndecodableIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		m := New(Config{Name: "counter", Port: "/dev/simulated", Memory: &memory{}})
		m.open, m.present = n.open, n.connected
		b := &bench{t: t, modem: m, sink: newSink(), log: &notebook{}, ended: make(chan error, 1)}
		ctx, cancel := context.WithCancel(context.Background())
		defer func() { cancel(); <-b.ended }()
		go func() { b.ended <- m.Run(ctx, b.sink) }()
		b.ready()
		n.line.say("\r\n+CMT: ,5\r\n0004FF911306\r\n")
		in := b.inbound(1)
		if !in[0].Undecodable || in[0].Raw == "" || in[0].Text == "" {
			t.Errorf("%+v", in[0])
		}
	})
}

func TestUSSD(t *testing.T) {
	for _, vendor := range []string{"Generic", "Huawei"} {
		bubble(t, vendor, func(t *testing.T) {
			b := plug(t, setUp{peer: sim.Config{Vendor: vendor}})
			b.ready()
			got, err := b.modem.USSD(t.Context(), "*100#")
			if err != nil || got != "Your balance is EUR 12.34." {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := b.modem.USSD(t.Context(), "*123#"); err == nil || !strings.Contains(err.Error(), "does not support") {
				t.Errorf("an unknown code: %v", err)
			}
		})
	}
	for _, bad := range []string{"", "100", "*100", "100#", "*100#;+CFUN=0", "*100#\r\nAT+CFUN=0", "*1a#", "**21*0612345678#", "##002#", "*21*0612345678#", "*#21#", "#21#", "*#06#", "##21#", "**04*1111*2222*2222#", "*#62#", "*61*06*11*20#", "*31#", "#31#", "*43#", "*33*0000#", "*03*330*0*1*1#", "*" + strings.Repeat("1", 39) + "#"} {
		m := New(Config{Name: "counter", Port: "x", Memory: &memory{}})
		if _, err := m.USSD(t.Context(), bad); err == nil || !strings.HasPrefix(err.Error(), "code:") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"*100#", "*101#", "#123#", "*147*1#", "*111*2*3#", "*140#", "*1234#", "*100*05#"} {
		m := New(Config{Name: "counter", Port: "x", Memory: &memory{}})
		if _, err := m.USSD(t.Context(), good); err == nil || strings.HasPrefix(err.Error(), "code:") {
			t.Errorf("%q: %v, want only that the modem is not ready", good, err)
		}
	}
}

func TestUSSDAnswers(t *testing.T) {
	for _, tc := range []struct {
		v      string
		packed bool
		want   string
		err    bool
	}{
		{v: `0,"Your balance is 5 EUR",15`, want: "Your balance is 5 EUR"},
		{v: `0,"00530061006C0064006F",72`, want: "Saldo"},
		{v: `0,"00530061006C0064006F",15`, want: "Saldo"},
		{v: `0,"12345678",15`, want: "12345678"},
		{v: `1,"1) Balance` + "\n" + `2) Credit",15`, want: "1) Balance\n2) Credit"},
		{v: `4`, err: true}, {v: `2`, err: true}, {v: ``, err: true},
	} {
		got, err := readUSSD(tc.v, tc.packed)
		if (err != nil) != tc.err || got != tc.want {
			t.Errorf("%q: %q, %v, want %q", tc.v, got, err, tc.want)
		}
	}
	hex, err := packUSSD("Saldo 5")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readUSSD(`0,"`+hex+`",15`, true); err != nil || got != "Saldo 5" {
		t.Errorf("packed %s: %q, %v", hex, got, err)
	}
	if got, err := packUSSD("*144#"); err != nil || got != "AA188D3602" {
		t.Errorf("packed %s, %v", got, err)
	}
}

// The log of everything above tells no number, no text, no PIN.
func TestLogTellsNoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{
			peer:   sim.Config{PIN: "4711"},
			modem:  Config{PIN: fixedPIN("4711"), SendTimeout: 10 * time.Second},
			cell:   sim.CellConfig{Magic: true},
			faults: "after 3 cmgs: error cms 500\nafter 4 cmgs: hang\nat 90s: sim out\nat 120s: sim in",
		})
		var wait sync.WaitGroup
		for i, to := range []string{"+31612345678", "+31612340004", "+31612340002", "+31612345678", "+31612345678", "+31612340003"} {
			b.ready()
			b.send(fmt.Sprint(i), to, "the secret text")
		}
		wait.Wait()
		b.bring("+31687654321", "another secret")
		time.Sleep(5 * time.Minute)
		log := b.log.String()
		if !strings.Contains(log, "state=ready") {
			t.Fatalf("the log is %q", log)
		}
		for _, secret := range []string{"612345678", "61234000", "87654321", "secret", "4711", "1316325476"} {
			if strings.Contains(log, secret) {
				t.Errorf("the log holds %q:\n%s", secret, log)
			}
		}
	})
}
