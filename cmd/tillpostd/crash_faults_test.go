package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// modemFaults is a modem that hangs before it has a message and after the
// network has it, refuses, restarts and goes away.
const modemFaults = `
every 37 prompt: hang for 2s
every 71 ctrl-z: hang for 2s
every 47 answer: hang for 2s
after 4 ctrl-z: error cms 38
every 400 ctrl-z: error cms 38
every 13 cmgs: late 300ms
every 31 prompt: garbage 20
every 53 answer: mute
every 500 any: restart
every 25s: unplug for 1s
`

// centerFaults is an SMSC that throttles, refuses, breaks off and loses
// answers, with the message or without. The times before the refusals that
// are tried again later are long, because such a try comes a minute later.
const centerFaults = `
every 41 submits: status 0x58 3
every 61 submits: silent 2
every 83 submits: lose
every 97 submits: drop
every 131 submits: late 3s 2
every 71 submits: noreceipt 2
every 89 submits: state UNDELIV
after 30 submits: status 0x45
every 2000 submits: status 0x45
every 19 binds: refuse 0x08
`

// TestCrashWithFaults is the run in which everything goes wrong at once: a
// modem and an SMSC that misbehave by script, receipts that come late, twice,
// with an intermediate one before and under the sequence number of a submit,
// and a daemon that is killed at random moments: 60 times in make test, 1,000
// times in make crash. It prints what it was and how each doubt ended.
func TestCrashWithFaults(t *testing.T) {
	t.Parallel()
	n := asked(t, "TILLPOST_KILLS", 60)
	bin := build(t, "")
	script := func(name, lines string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r := startRadio(t, bin, "-latency", "25ms", "-fault", script("modem", modemFaults))
	c := startCenter(t, bin, "-latency", "5ms", "-receipt-after", "700ms", "-twice", "-between", "-collide", "-fault", script("smsc", centerFaults))
	o := newOrdeal(t, newBox(t, bin, modemTable("counter", r.port)+c.table("operator", 10, marked, `send_timeout = "2s"`)), 10*n, n, r, c)
	o.long = true
	o.pools = []string{"", "", "", "", "", "counter"} // the SMSC is quick and would take them all
	o.lives = []time.Duration{60 * time.Millisecond, 700 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second}
	o.patience = 4 * time.Minute // for what was refused and is tried again later
	for _, v := range o.run() {
		t.Error(v)
	}
	t.Log(o.account())
}
