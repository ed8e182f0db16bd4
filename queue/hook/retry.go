package hook

import "time"

// When a call that was not taken is made again. After the last pause its length
// stays. `go test -run TestRetryTable -v ./queue/hook` prints what comes of it.
var pauses = []time.Duration{
	10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, longestPause,
}

const (
	longestPause = 6 * time.Hour
	// patience is how long a machine may be away: then the webhook is stopped,
	// and a person lets it go on where it stood. A callback is given up.
	patience = 7 * 24 * time.Hour
	// refusals is how often an event is offered to a machine that says that it
	// does not want this one; then the next has its turn.
	refusals = 3
)

// pause after a number of tries in vain, in a row.
func pause(tries int) time.Duration {
	return pauses[min(max(tries, 1), len(pauses))-1]
}

// verdict is what an answer means.
type verdict int

const (
	taken   verdict = iota
	later           // not now: the machine is away, or busy
	refused         // not this one: nothing is gained by waiting
	stop            // never again
)

// verdicts by HTTP status (RFC 9110 §15). What is not here is later: also 401,
// 403 and 404, which a person mends at the other side, and redirects, which are
// not followed.
var verdicts = map[int]verdict{
	400: refused, 405: refused, 406: refused, 411: refused, 413: refused, 414: refused, 415: refused, 422: refused,
	410: stop,
}

func (r *Result) verdict() verdict {
	switch {
	case r.Err == "":
		return taken
	case r.Status == 0:
		return later
	}
	if v, ok := verdicts[r.Status]; ok {
		return v
	}
	return later
}
