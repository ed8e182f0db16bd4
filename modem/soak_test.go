package modem

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// What goes wrong in the soak. None of these lies about a message: what the
// modem says of it, if it says anything, is what the network did.
var soakFaults = []string{
	"cmgs: hang", "prompt: hang", "ctrl-z: hang", "answer: hang",
	"ctrl-z: freeze for 25s", "answer: freeze for 40s", "cmgs: deaf for 30s",
	"answer: late 5s", "answer: late 12s", "answer: late 14s", "answer: late 19s",
	"prompt: urc RING", "ctrl-z: urc +CMTI: \"SM\",1", "prompt: twice",
	"answer: garbage 40", "answer: mute", "echo on",
	"ctrl-z: error cms 38", "ctrl-z: error cms 42", "ctrl-z: error cms 500", "ctrl-z: error cms 512", "ctrl-z: error cms 300", "ctrl-z: error cms 196",
	"cmgs: restart", "ctrl-z: restart", "answer: restart", "restart",
	"cmgs: unplug for 4s", "ctrl-z: unplug for 4s", "answer: unplug for 4s", "unplug for 20s",
	"registration 2", "registration 1", "registration 1", "storage full",
	"csq: hang", "any: error cme 100", "cmgl: hang", "header: urc ^RSSI: 9", "cnma: hang",
	"cmss: hang", "cmgw: hang", "cmgw: error cms 322", "answer: drop 999", "call", "stuck until reset",
}

// Virtual hours of messages under faults, one after the other. At the end
// the route's verdicts are laid beside the radio cell's own list: what was
// called sent is there once, under the reference it was given; what was called
// not offered, refused or rejected is not there at all; only an unknown may be
// either. What the network brought was told, each under one key. And the modem carries messages again, without a hand.
func TestSoak(t *testing.T) {
	seeds, hours := uint64(6), 2*time.Hour
	if s, err := strconv.ParseUint(os.Getenv("TILLPOST_SOAK_SEEDS"), 10, 32); err == nil {
		seeds, hours = s, 6*time.Hour
	}
	for seed := range seeds {
		bubble(t, fmt.Sprint("seed ", seed), func(t *testing.T) { soak(t, seed, hours) })
	}
}

func soak(t *testing.T, seed uint64, long time.Duration) {
	r := rand.New(rand.NewPCG(seed, 27005))
	cfg := Config{SendTimeout: 10 * time.Second}
	if seed%3 == 2 { // these go through the modem's memory, once it was tested
		cfg.StoreFirst, cfg.LoopTest = true, LoopTest{Every: time.Hour}
	}
	var b *bench
	cfg.Rungs = []Rung{{Name: "USB reset", Do: func(context.Context) error { b.peer.USBReset(); return nil }}}
	b = plug(t, setUp{kept: seed%2 == 1, peer: sim.Config{Latency: 2 * time.Second, Vendor: []string{"Generic", "Huawei", "SIMCom", "Quectel"}[seed%4]}, modem: cfg})
	verdicts, brought := map[string]error{}, 0
	refs := map[string]string{}
	for n, end := 0, time.Now().Add(long); time.Now().Before(end); n++ {
		if r.IntN(3) == 0 {
			b.play(soakFaults[r.IntN(len(soakFaults))])
		}
		if r.IntN(5) == 0 {
			b.bring("+31687654321", fmt.Sprint("inbound ", brought))
			brought++
		}
		if s, ok := b.sink.until(func(s route.Status) bool { return s.State == route.Ready }, time.Minute); !ok {
			b.play("registration 1")
			if s.Code == "modem_gone" || s.Code == "no_credit" {
				time.Sleep(10 * time.Minute)
			}
			continue
		}
		id := fmt.Sprint("m", n)
		rcpt, err := b.send(id, fmt.Sprintf("+3161234%04d", 1000+r.IntN(8000)), "text "+id)
		verdicts[id] = err
		if err == nil {
			refs[id] = rcpt.Parts[0].Ref
		}
		time.Sleep(time.Duration(r.IntN(20)) * time.Second)
	}
	b.play("registration 1")
	for n := range 20 { // what is still queued of the script may meet the first ones
		b.ready()
		if _, err := b.send(fmt.Sprint("last ", n), "+31612345678", "last"); err == nil {
			break
		} else if n == 19 {
			t.Errorf("it carries nothing any more: %v", err)
		}
	}
	time.Sleep(time.Hour) // what waits in the network is brought
	synctest.Wait()
	told := map[string]string{}
	for _, in := range b.sink.inbound {
		if strings.HasPrefix(in.Text, "old message") {
			continue // what the script fills the storage with, anew each time
		}
		if key, ok := told[in.Text]; ok && key != in.Key {
			t.Errorf("%q came under two keys, so it would be kept twice", in.Text)
		}
		told[in.Text] = in.Key
	}
	for n := range brought {
		if told[fmt.Sprint("inbound ", n)] == "" {
			t.Errorf("message %d from the network was never told", n)
		}
	}
	judgeSoak(t, b, verdicts, refs)
}

func judgeSoak(t *testing.T, b *bench, verdicts map[string]error, refs map[string]string) {
	t.Helper()
	seen, mr := map[string]int{}, map[string]string{}
	for _, e := range b.cell.Submits() {
		id, ours := strings.CutPrefix(e.Text, "text ")
		if !ours {
			continue // a self-test
		}
		seen[id]++
		mr[id] = strconv.Itoa(e.MR)
	}
	count := map[route.Fate]int{}
	for id, err := range verdicts {
		f := fate(err)
		count[f]++
		switch n := seen[id]; {
		case f == "" && (n != 1 || refs[id] != "" && refs[id] != mr[id]):
			t.Errorf("%s was sent as %s; the network saw it %d times, as %s", id, refs[id], n, mr[id])
		case f == route.Unknown && n > 1, f != "" && f != route.Unknown && n > 0:
			t.Errorf("%s was %q (%v); the network saw it %d times", id, f, err, n)
		}
	}
	how := map[string]int{} // late, storage, or a TP-ST
	for _, rep := range b.sink.reports {
		if rep.ID == "" {
			continue
		}
		how[rep.Code]++
		gone := rep.State == route.ReportSent || rep.State == route.ReportDelivered
		if fate(verdicts[rep.ID]) != route.Unknown || gone && (seen[rep.ID] != 1 || rep.Ref != "" && rep.Ref != mr[rep.ID]) {
			t.Errorf("late: %+v; the verdict was %v, the network saw it %d times as %s", rep, verdicts[rep.ID], seen[rep.ID], mr[rep.ID])
		}
	}
	t.Logf("%d messages: %d sent, %d not offered, %d retry, %d reject, %d unknown, settled by %v; %d in; the port was opened %d times; %+v",
		len(verdicts), count[""], count[route.NotOffered], count[route.Retry], count[route.Reject], count[route.Unknown], how, len(b.sink.inbound), b.opens, b.sink.last().Care.Rungs)
	if count[""] < len(verdicts)/3 || count[route.Unknown] == 0 || len(how) == 0 {
		t.Error("the soak did not soak")
	}
}
