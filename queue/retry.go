package queue

import (
	"math/rand/v2"
	"time"

	"tillpost/queue/route"
)

// A retryRow says when a refused message is tried again.
type retryRow struct {
	kind  string
	first time.Duration // pause after the first refusal
	grow  float64       // each later pause is this much longer
	cap   time.Duration // and never longer than this
	max   int           // offers in all; then it has failed
}

// The retry table. Where the error table of the network's code has its own
// first pause and number of tries (route.Error Wait and Max), these win and
// the last two columns still hold. `go test -run TestRetryTable -v` prints it.
var retryTable = map[string]retryRow{
	"refused": {"the network refused it for now", 60 * time.Second, 2, time.Hour, 6},
	"doubt":   {"the number is blamed, the SIM may be at fault", 60 * time.Second, 2, time.Hour, 6},
	"missed":  {"five times in a row not offered, while others were", 60 * time.Second, 2, time.Hour, 6},
}

// after returns the pause before try number tried+1, and whether there is one.
// A random factor of 0.5 to 1.5 keeps messages that failed together from
// coming back together; a pause that the network's own table set is not shortened.
func (r retryRow) after(tried int, e *route.Error) (time.Duration, bool) {
	first, limit := r.first, r.max
	if e != nil && e.Wait > 0 {
		first = e.Wait
	}
	if e != nil && e.Max > 0 {
		limit = e.Max + 1 // the table counts repeats, we count offers
	}
	if tried >= limit {
		return 0, false
	}
	wait := float64(first)
	for range tried - 1 {
		wait *= r.grow
	}
	wait = min(wait, float64(max(r.cap, first)))
	return time.Duration(wait * (1 + rand.Float64()/2)), true
}

// A lane whose route did not take a message rests before its next take.
const (
	restFirst = time.Second
	restMax   = time.Minute
	// missLimit NotOffered in a row count as one try, if the route carried
	// another message meanwhile: then it is this message that cannot be sent.
	missLimit = 5
	// doubtLimit recipients refused in a row mean that the SIM is refused.
	doubtLimit = 3
	// probeEvery is how often a refused SIM is given one message to prove
	// that it works again (field-notes §1.11.3).
	probeEvery = 15 * time.Minute
)
