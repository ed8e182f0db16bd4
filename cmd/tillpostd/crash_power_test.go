package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tillpost/webui/api/wire"
)

// TestPowerCut accepts messages on a disk that is copied at random moments,
// each a moment after an accept. Each copy is mounted and a daemon opens it:
// whatever had been answered with 202 must be there. make crash cuts more often.
//
// Where no loop device can be mounted the result reads "not run".
func TestPowerCut(t *testing.T) {
	t.Parallel()
	n := asked(t, "TILLPOST_CUTS", 10)
	if why := noLoopDisk(t); why != "" {
		notRun(t, "power cut", why)
		return
	}
	accepted, lost := cutPower(t, build(t, ""), n)
	if lost > 0 {
		t.Errorf("%d messages of those accepted were not there after a power cut", lost)
	}
	t.Logf("power cut: %d cuts, %d messages accepted, %d of them missing after a cut", n, accepted, lost)
}

// A store that does not sync must lose messages in the same test, or the test
// would prove nothing.
func TestPowerCutNoticesAStoreThatDoesNotSync(t *testing.T) {
	t.Parallel()
	if why := noLoopDisk(t); why != "" {
		notRun(t, "power cut without syncing", why)
		return
	}
	bin := build(t, overlay(t, "cmd/tillpostd/run.go", [][2]string{{"		MinFree: cfg.Limits.minFree,\n", "		MinFree: cfg.Limits.minFree, NoSync: true,\n"}}))
	accepted, lost := cutPower(t, bin, 3)
	if lost == 0 {
		t.Errorf("%d messages were accepted without syncing, and the harness missed none of them after three power cuts", accepted)
	}
	t.Logf("power cut without syncing: %d messages accepted, %d missing", accepted, lost)
}

// cutsPerDisk bounds how much there is to look through after each.
const cutsPerDisk = 10

// cutPower goes through n power cuts, and returns how many messages were
// accepted in all and how often one was missing.
func cutPower(t *testing.T, bin string, n int) (accepted, lost int) {
	t.Helper()
	for n > 0 {
		a, l := cutOneDisk(t, bin, min(n, cutsPerDisk))
		accepted, lost, n = accepted+a, lost+l, n-cutsPerDisk
	}
	return accepted, lost
}

// cutOneDisk does so on one disk. After the last cut the daemon itself goes on
// with what that has left: nothing may go out twice without a doubt.
func cutOneDisk(t *testing.T, bin string, n int) (accepted, lost int) {
	t.Helper()
	c := startCenter(t, bin, "-latency", "5ms", "-receipt-after", "50ms")
	b := newBox(t, bin, c.table("operator", 10, marked))
	disk := newLoopDisk(t, filepath.Join(b.dir, "data"), 64)
	defer func() { disk.unmount() }()
	defer b.kill()
	b.start("-log", "info")
	b.makeKey("send,read,admin")

	ctx, cancel := context.WithCancel(t.Context())
	o := newOrdeal(t, b, 0, 1, c)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	clients.Go(func() { o.flood(ctx) })
	for cut := range n {
		o.awaitMore(1 + rand.IntN(60))
		stopped := b.freeze()
		left := disk.cut()
		promised, _ := o.ids() // also what was answered before, and read only now
		missed := missing(t, bin, left, b.key, promised)
		lost += missed
		if cut < n-1 {
			stopped.thaw()
			left.remove()
			continue
		}
		b.kill() // it is frozen: nothing more leaves it
		clients.Wait()
		accepted = len(promised)
		if missed > 0 {
			return accepted, lost
		}
		disk.unmount()
		disk = left
		disk.mount(filepath.Join(b.dir, "data"))
		o.start()
		o.drained()
		o.reported()
		for _, v := range o.violations() {
			t.Error("after the last power cut: ", v)
		}
	}
	return accepted, lost
}

// frozen is a daemon that stands still.
type frozen struct {
	t   testing.TB
	pid int
}

// freeze stops the daemon in the middle of whatever it does, and returns when
// all of its threads stand.
func (b *box) freeze() frozen {
	b.t.Helper()
	f := frozen{b.t, b.pid()}
	if err := syscall.Kill(f.pid, syscall.SIGSTOP); err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "the daemon stands still", func() (bool, string) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", f.pid))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, thread := range threads {
			data, err := os.ReadFile(thread)
			if err != nil {
				continue // it has ended
			}
			if stat := string(data); stat[strings.LastIndex(stat, ")")+2] != 'T' {
				return false, stat
			}
		}
		return len(threads) > 0, ""
	})
	return f
}

func (f frozen) thaw() {
	f.t.Helper()
	if err := syscall.Kill(f.pid, syscall.SIGCONT); err != nil {
		f.t.Fatal(err)
	}
}

// missing mounts what a power cut has left, has a daemon open it and counts
// which of the messages are not there.
func missing(t *testing.T, bin string, left *loopDisk, key string, promised []string) int {
	t.Helper()
	b := newBox(t, bin, "")
	b.key = key
	left.mount(filepath.Join(b.dir, "data"))
	defer left.unmount()
	defer b.kill()
	b.start("-log", "info")
	b.must("check")
	var page wire.Page[wire.Message]
	status, err := b.call("GET", "/api/v1/messages?limit=1", nil, &page)
	if err != nil {
		t.Fatal(err)
	}
	if status == http.StatusUnauthorized { // not even the key is there
		return len(promised)
	}
	there := make(map[string]bool)
	for _, id := range b.list("") {
		there[id] = true
	}
	return len(slices.DeleteFunc(slices.Clone(promised), func(id string) bool { return there[id] }))
}
