package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tillpost/queue/clock"
)

// clockPatience is how long a board without a battery waits for a time server
// at its start, before it believes the time it was switched off at.
const clockPatience = 2 * time.Minute

// systemClock says what is known of the clock of this box.
func systemClock() clock.Config {
	c := clock.Config{Synced: keptByServer}
	if !exists("/sys/class/rtc/rtc0") && (exists("/etc/fake-hwclock.data") || exists("/var/lib/systemd/timesync/clock")) {
		c.Patience = clockPatience
	}
	return c
}

// keptByServer asks the kernel whether somebody disciplines its clock
// (adjtimex(2): STA_UNSYNC is clear, after at most 16 s of maximal error). Where
// the unit's sandbox forbids the question, timesyncd's own mark answers it.
func keptByServer() bool {
	var t unix.Timex // Modes 0: only read
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return exists("/run/systemd/timesync/synchronized")
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
