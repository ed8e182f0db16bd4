package modem

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// memoryBench is a modem that keeps messages before it sends them, after its
// self-test.
func memoryBench(t *testing.T, flip sim.Flip) *bench {
	t.Helper()
	b := plug(t, setUp{kept: true, peer: sim.Config{Flip: flip}, modem: Config{
		SendTimeout: 10 * time.Second, StoreFirst: true, LoopTest: LoopTest{Every: 24 * time.Hour},
	}})
	b.ready()
	if _, ok := b.sink.until(func(s route.Status) bool { return s.Care.LoopTest != nil && s.Care.LoopTest.Took > 0 }, 10*time.Minute); !ok {
		t.Fatalf("the self-test did not come back: %+v\n%s", b.sink.last().Care.LoopTest, b.log)
	}
	synctest.Wait()
	return b
}

func (b *bench) stores() int { return strings.Count(b.trace.String(), "AT+CMSS=") }

// Issue 4, point 6: only a modem that was seen to tell the truth is believed.
func TestMemoryIsBelievedOnlyAfterItsTest(t *testing.T) {
	for _, tc := range []struct {
		name     string
		flip     sim.Flip
		believed bool
		why      string
	}{
		{"when_the_network_answers", sim.FlipOnAnswer, true, "was refused was not"},
		{"never", sim.FlipNever, false, "was not called sent"},
		{"before_the_network_answers", sim.FlipEarly, false, "before the network has answered"},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			b := memoryBench(t, tc.flip)
			if !strings.Contains(b.log.String(), tc.why) {
				t.Errorf("the log does not say %q:\n%s", tc.why, b.log)
			}
			tested := b.stores()
			b.mustSend("m1")
			if through := b.stores() > tested; through != tc.believed {
				t.Errorf("the message went through the memory: %v", through)
			}
			again := b.again(t) // the proof outlives the daemon; there is no second test
			again.mustSend("m2")
			time.Sleep(5 * time.Minute)
			if n := len(b.cell.Submits()); n != 3 {
				t.Errorf("the network took %d messages, want the test and two", n)
			}
			if n := b.peer.Stored("SM"); n != 0 {
				t.Errorf("%d messages still lie in the memory", n)
			}
		})
	}
}

// A stored "sent" proves that it left; a stored "unsent" proves nothing.
func TestLostMessageIsSettledByTheMemory(t *testing.T) {
	for _, tc := range []struct {
		name, fault string
		restart     bool
		settled     bool
		saw         int
	}{
		{"the_network_has_it", "answer: drop 999", false, true, 1},
		{"the_network_has_it_and_the_daemon_restarts", "answer: drop 999", true, true, 1},
		{"the_network_never_saw_it", "cmss: hang", false, false, 0},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			b := memoryBench(t, sim.FlipOnAnswer)
			b.play(tc.fault)
			_, err := b.send("m1", "+31698765432", "lost")
			if fate(err) != route.Unknown {
				t.Fatalf("%v\n%s", err, b.log)
			}
			if tc.restart {
				b = b.again(t)
			}
			b.ready()
			synctest.Wait()
			time.Sleep(time.Minute)
			var how []string
			for _, r := range b.sink.reports {
				if r.ID == "m1" && r.State == route.ReportSent {
					how = append(how, r.Code)
				}
			}
			if tc.settled && (len(how) != 1 || how[0] != "storage") {
				t.Errorf("it was settled by %v: %+v\n%s", how, b.sink.reports, b.log)
			}
			if !tc.settled && len(how) > 0 {
				t.Errorf("it was settled by %v", how)
			}
			if got := b.arrived("lost"); got != tc.saw {
				t.Errorf("the network saw it %d times, want %d", got, tc.saw)
			}
			if n := b.peer.Stored("SM"); n != 0 {
				t.Errorf("%d messages still lie in the memory", n)
			}
		})
	}
}

// The place is written down before the message is sent from it. If that fails
// the message goes out as on any other modem.
func TestPlaceIsWrittenDownBeforeTheMessageLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memoryBench(t, sim.FlipOnAnswer)
		mem := b.modem.cfg.Memory.(*memory)
		b.mustSend("m1")
		kept, err := mem.Load("pledge:" + b.sink.last().Identity)
		if p := string(kept); err != nil || !strings.Contains(p, `"id":"m1"`) || !strings.Contains(p, `"hash":"`) {
			t.Errorf("written down is %s", p)
		}
		mem.mu.Lock()
		mem.fail = errDisk
		mem.mu.Unlock()
		before := b.stores()
		b.mustSend("m2")
		if b.stores() != before {
			t.Error("a message was sent from a place that is written down nowhere")
		}
	})
}

// It is off unless somebody wants it.
func TestMemoryIsNotUsedUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.mustSend("m1")
		if s := b.trace.String(); strings.Contains(s, "CMGW") || strings.Contains(s, "CMSS") {
			t.Errorf("%s", s)
		}
	})
}

// A full memory is no reason not to send.
func TestFullMemoryDoesNotStopSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memoryBench(t, sim.FlipOnAnswer)
		b.play("cmgw: error cms 322")
		b.mustSend("m1")
	})
}

// A message that was written while the answer was lost lies somewhere as a
// draft: ours to clear, and found by what it is.
func TestStrayDraftOfOursIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memoryBench(t, sim.FlipOnAnswer)
		b.play("drafts 2")
		b.play("cmgw: drop 999") // the prompt, or the answer
		b.send("m1", "+31612345678", "somewhere")
		b.ready()
		b.play("cmgw: mute")
		b.send("m2", "+31612345678", "somewhere else")
		b.mustSend("m3")
		time.Sleep(3 * time.Minute)
		if n := b.peer.Stored("SM"); n != 2 {
			t.Errorf("%d places are taken, want the two drafts of somebody else", n)
		}
	})
}
