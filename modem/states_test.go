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

	"tillpost/modem/at"
	"tillpost/modem/sim"
	"tillpost/queue/route"
)

func (b *bench) send(id, to, s string) (route.Receipt, error) {
	b.t.Helper()
	return b.modem.Send(context.Background(), out(b.t, id, to, s))
}

// mustSend sends and fails unless the network has it.
func (b *bench) mustSend(id string) route.Receipt {
	b.t.Helper()
	b.ready()
	r, err := b.send(id, "+31612345678", "hello "+id)
	if err != nil {
		b.t.Fatalf("%s: %v\nlog:\n%s", id, err, b.log)
	}
	return r
}

// arrived counts how often the cell took a text.
func (b *bench) arrived(s string) (n int) {
	for _, m := range b.cell.Submits() {
		if m.Text == s {
			n++
		}
	}
	return n
}

func TestModemMissingAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{gone: time.Minute})
		s := b.until("gone", code("modem_gone"))
		if s.State != route.Waiting || !strings.Contains(s.Detail, "/dev/simulated") {
			t.Errorf("at first %+v", s)
		}
		if _, err := b.send("early", "+31612345678", "x"); fate(err) != route.NotOffered || !strings.Contains(err.Error(), "plug the modem in") {
			t.Errorf("Send says %v", err)
		}
		s = b.until("a hand's work", func(s route.Status) bool { return s.State == route.Hand })
		if d := time.Since(s.Since); s.Code != "modem_gone" || d > time.Second {
			t.Errorf("then %+v", s)
		}
		if err := b.modem.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "is not there") {
			t.Errorf("Restart of a missing modem: %v", err)
		}
		b.mustSend("m1")
		if d := time.Since(b.away); d > 5*time.Second {
			t.Errorf("sent %v after the modem came, want less than 5 s", d)
		}
	})
}

func TestReplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.mustSend("before")
		if err := b.peer.Play("unplug for 30s"); err != nil {
			t.Fatal(err)
		}
		b.until("gone", code("modem_gone"))
		b.mustSend("after")
		if d := time.Since(b.away); d > 5*time.Second {
			t.Errorf("sent %v after the modem came back, want less than 5 s", d)
		}
	})
}

func TestPortInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, sink: newSink(), log: &notebook{}, ended: make(chan error, 1)}
		m := New(Config{Name: "counter", Port: "/dev/ttyUSB2", Memory: &memory{}})
		m.present = func(string) bool { return true }
		m.open = func(Config) (at.Port, error) { return nil, busy("/dev/ttyUSB2", errors.New("locked")) }
		ctx, cancel := context.WithCancel(t.Context())
		go func() { b.ended <- m.Run(ctx, b.sink) }()
		s := b.until("busy", code("port_busy"))
		if s.State != route.Hand || !strings.Contains(s.Detail, "/dev/ttyUSB2 is held by") || !strings.Contains(s.Detail, "stop it") {
			t.Errorf("%+v", s)
		}
		cancel()
		<-b.ended
	})
}

// A modem that hangs, in every way the script knows, comes back by itself, and
// the verdict on the message says the truth.
func TestModemThatFails(t *testing.T) {
	for _, tc := range []struct {
		name   string
		faults string
		peer   sim.Config
		fate   route.Fate // of the first message; empty: sent
		saw    int        // how often the cell took it
	}{
		{name: "hangs_before_the_prompt", faults: "cmgs: hang", fate: route.NotOffered},
		{name: "hangs_at_the_prompt", faults: "prompt: hang", fate: route.NotOffered},
		{name: "hangs_after_ctrl_z_before_the_network", faults: "ctrl-z: hang", fate: route.Unknown, saw: 0},
		{name: "hangs_when_the_network_has_it", faults: "answer: hang", fate: route.Unknown, saw: 1},
		{name: "freezes_for_two_minutes", faults: "ctrl-z: freeze for 2m", fate: route.Unknown},
		{name: "is_deaf_for_two_minutes", faults: "cmgs: deaf for 2m", fate: route.NotOffered},
		{name: "answers_slowly", faults: "answer: late 7s", saw: 1},
		{name: "URC_before_the_prompt", faults: "prompt: urc RING", saw: 1},
		{name: "second_prompt", faults: "prompt: twice", saw: 1},
		{name: "garbage_before_the_answer", faults: "answer: garbage 40", saw: 1},
		{name: "no_final_OK", faults: "answer: mute", saw: 1},
		{name: "restarts_before_the_prompt", faults: "cmgs: restart", fate: route.NotOffered},
		{name: "restarts_with_the_message", faults: "ctrl-z: restart", fate: route.Unknown},
		{name: "restarts_after_the_network_has_it", faults: "answer: restart", fate: route.Unknown, saw: 1},
		{name: "unplugged_before_the_prompt", faults: "cmgs: unplug for 20s", fate: route.NotOffered},
		{name: "unplugged_with_the_message", faults: "ctrl-z: unplug for 20s", fate: route.Unknown},
		{name: "unplugged_after_the_network_has_it", faults: "answer: unplug for 20s", fate: route.Unknown, saw: 1},
		{name: "echo_comes_back_with_its_restart", faults: "answer: echo on", saw: 1},
		{name: "temporary_failure", faults: "ctrl-z: error cms 41", fate: route.Retry},
		{name: "permanent_failure", faults: "ctrl-z: error cms 196", fate: route.Reject},
		{name: "vendor_512", faults: "ctrl-z: error cms 512", fate: route.Retry},
		{name: "500", faults: "ctrl-z: error cms 500", fate: route.Retry},
		{name: "300_needs_the_ladder", faults: "ctrl-z: error cms 300", fate: route.Retry},
		{name: "unknown_final_result", faults: "ctrl-z: result COMMAND NOT SUPPORT", fate: route.Reject, saw: 1},
		{name: "cms_without_colon", faults: "ctrl-z: result +CMS ERROR 38", fate: route.Retry, saw: 1},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			b := plug(t, setUp{faults: tc.faults, peer: tc.peer, modem: Config{SendTimeout: 10 * time.Second}})
			b.ready()
			_, err := b.send("first", "+31612345678", "the first")
			if got := fate(err); got != tc.fate {
				t.Errorf("the verdict is %q (%v), want %q", got, err, tc.fate)
			}
			synctest.Wait()
			if got := b.arrived("the first"); got != tc.saw {
				t.Errorf("the network saw it %d times, want %d", got, tc.saw)
			}
			b.mustSend("next") // nobody touched the box
			if got := b.arrived("hello next"); got != 1 {
				t.Errorf("the network saw the next %d times", got)
			}
			if l := b.sink.parts; len(l) > 0 {
				t.Errorf("Progress for one part: %+v", l)
			}
		})
	}
}

// library-facts §9.1 at the level of the route: the answer comes after our
// patience. The next message has its own reference, and the late one is told
// for the message it belongs to.
func TestLateAnswerIsToldForItsMessage(t *testing.T) {
	for _, late := range []time.Duration{11 * time.Second, 15 * time.Second, 19 * time.Second} {
		bubble(t, late.String(), func(t *testing.T) {
			b := plug(t, setUp{
				cell:  sim.CellConfig{Magic: true, Late: late},
				modem: Config{SendTimeout: 10 * time.Second},
			})
			b.ready()
			_, err := b.send("m4", "+31612340004", "late")
			if fate(err) != route.Unknown {
				t.Fatalf("%v, want unknown", err)
			}
			next := b.mustSend("m5")
			var found *route.Report
			for _, r := range b.reports(3) { // the late answer, and a delivery report each
				if r.ID == "m4" {
					found = &r
				}
			}
			if found == nil || found.State != route.ReportSent || found.Ref == "" || found.Code != "late" {
				t.Fatalf("the late answer was told as %+v", b.sink.reports)
			}
			if next.Parts[0].Ref == found.Ref {
				t.Errorf("both messages have reference %s", found.Ref)
			}
			if b.arrived("late") != 1 || b.arrived("hello m5") != 1 {
				t.Errorf("the network saw %+v", b.cell.Submits())
			}
		})
	}
}

// The modem is silent for so long that the line is closed and opened; then it
// answers after all.
func TestLateAnswerOutlivesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "answer: late 45s", kept: true, modem: Config{SendTimeout: 10 * time.Second}})
		b.ready()
		if _, err := b.send("m1", "+31612345678", "late"); fate(err) != route.Unknown {
			t.Fatalf("%v, want unknown", err)
		}
		b.mustSend("m2")
		if b.opens < 2 {
			t.Fatalf("the port was opened %d times", b.opens)
		}
		if !b.sink.wait(time.Minute, func() bool {
			for _, r := range b.sink.reports {
				if r.ID == "m1" && r.Ref == "0" && r.State == route.ReportSent {
					return true
				}
			}
			return false
		}) {
			t.Errorf("the late answer was told as %+v", b.sink.reports)
		}
	})
}

func TestMagicRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{cell: sim.CellConfig{Magic: true}, modem: Config{SendTimeout: 10 * time.Second}})
		for _, step := range []struct {
			to   string
			fate route.Fate
		}{
			{"+31612340001", route.Retry}, {"+31612340001", ""}, {"+31612340002", route.Reject},
			{"+31612340003", route.Unknown}, {"+31612340004", route.Unknown}, {"+31612340005", ""}, {"+31612340006", ""},
		} {
			b.ready()
			if _, err := b.send("m", step.to, "to "+step.to); fate(err) != step.fate {
				t.Errorf("%s: %v, want %q", step.to, err, step.fate)
			}
		}
		b.ready()
		if !b.sink.wait(time.Hour, func() bool {
			for _, r := range b.sink.reports {
				if r.To == "+31612340006" && r.State == route.ReportUndelivered && r.Reason == "refused" {
					return true
				}
			}
			return false
		}) {
			t.Errorf("no report says undelivered: %+v", b.sink.reports)
		}
	})
}

// A restart of the modem loses its settings; it is prepared again before the
// next message, which still gets its report.
func TestSilentRestartIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.mustSend("m1")
		b.reports(1)
		if err := b.peer.Play("restart"); err != nil { // Generic says RDY
			t.Fatal(err)
		}
		b.until("preparing", func(s route.Status) bool { return s.State != route.Ready })
		b.mustSend("m2")
		b.reports(2)
	})
}

func TestRegistrationLostAndFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.ready()
		b.play("registration 2")
		s := b.until("searching", code("searching"))
		if s.State != route.Waiting {
			t.Errorf("%+v", s)
		}
		if _, err := b.send("m", "+31612345678", "x"); fate(err) != route.NotOffered {
			t.Errorf("%v", err)
		}
		since := time.Now()
		if s = b.until("no signal", code("no_signal")); s.State != route.Hand || time.Since(since) < lostAfter-10*time.Second {
			t.Errorf("%+v after %v", s, time.Since(since))
		}
		b.play("registration 3")
		b.until("refused", code("sim_refused"))
		b.play("registration 5")
		b.mustSend("roaming")
	})
}

func (b *bench) play(s string) {
	b.t.Helper()
	if err := b.peer.Play(s); err != nil {
		b.t.Fatal(err)
	}
}

func TestSIMPulledAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.mustSend("m1")
		b.play("sim out")
		if s := b.until("missing", code("sim_missing")); s.State != route.Hand {
			t.Errorf("%+v", s)
		}
		b.play("sim in")
		b.mustSend("m2")
	})
}

func TestAnotherSIMIsAnotherIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		first := b.ready().Identity
		other := sim.Identity(7)
		b.peer.Insert(nil)
		b.until("missing", code("sim_missing"))
		b.peer.Insert(&sim.Card{ICCID: other.ICCID, IMSI: other.IMSI, Number: other.Number, SMSC: "+31624000000"})
		s := b.ready()
		if s.Identity != other.ICCID || first == other.ICCID {
			t.Errorf("identity %s, was %s, the card is %s", s.Identity, first, other.ICCID)
		}
		if r := b.mustSend("m"); r.Identity != other.ICCID || r.Parts[0].Identity != other.ICCID {
			t.Errorf("%+v", r)
		}
	})
}

func TestNoSMSC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{NoSIM: true}})
		b.until("missing", code("sim_missing"))
		id := sim.Identity(3)
		b.peer.Insert(&sim.Card{ICCID: id.ICCID, IMSI: id.IMSI, Number: id.Number})
		if s := b.until("without SMSC", code("no_smsc")); s.State != route.Hand {
			t.Errorf("%+v", s)
		}
	})
}

// A SIM that the operator bars stops the route, keeps the messages, and tries
// one from time to time.
func TestBarredSIMIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "ctrl-z: error cms 8"})
		b.ready()
		if _, err := b.send("m1", "+31612345678", "x"); fate(err) != route.NotOffered {
			t.Fatalf("%v", err)
		}
		since := time.Now()
		if s := b.until("barred", code("no_credit")); s.State != route.Hand {
			t.Errorf("%+v", s)
		}
		b.sink.until(func(s route.Status) bool { return s.State == route.Ready }, time.Hour)
		if d := time.Since(since); d < probeEvery || d > probeEvery+time.Minute {
			t.Errorf("tried again after %v", d)
		}
		b.mustSend("m2")
	})
}

func TestThreeRefusalsInARowMeanNoCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "ctrl-z x3: error cms 38"})
		for i := range 3 {
			b.ready()
			if _, err := b.send("m", fmt.Sprintf("+3161234567%d", i), "x"); fate(err) != route.Retry {
				t.Fatalf("%v", err)
			}
		}
		b.until("without credit", code("no_credit"))
	})
}

func TestRestartByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Away: 5 * time.Second}})
		b.mustSend("m1")
		if err := b.modem.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.until("away", func(s route.Status) bool { return s.State != route.Ready })
		b.mustSend("m2")
		if b.opens != 2 {
			t.Errorf("the port was opened %d times", b.opens)
		}
	})
}

func TestRestartWhileAMessageHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "answer: freeze for 3m"})
		b.ready()
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := b.send("m1", "+31612345678", "x"); fate(err) != route.Unknown {
				t.Errorf("%v, want unknown", err)
			}
		})
		synctest.Wait()
		since := time.Now()
		if err := b.modem.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
		if d := time.Since(since); d > restartGrace+time.Second {
			t.Errorf("the person waited %v", d)
		}
		b.mustSend("m2")
	})
}

func TestStopGivesAMessageItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Latency: 5 * time.Second}})
		b.ready()
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := b.modem.Send(ctx, out(t, "m1", "+31612345678", "x")); err != nil {
				t.Errorf("%v, want sent", err)
			}
		})
		time.Sleep(time.Second)
		cancel()
		b.stop()
		wait.Wait()
	})
}
