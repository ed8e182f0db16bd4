package queue

import (
	"strings"
)

// Rule sends messages to a pool. The first rule whose every condition holds
// wins; an empty condition always holds.
type Rule struct {
	Prefix     string // of the recipient, as in +46
	Class      Class
	Till       string
	MinAttempt int // from this try on: 2 is the first repeat
	Pool       string
}

func (r *Rule) holds(m *Message) bool {
	return strings.HasPrefix(m.To, r.Prefix) &&
		(r.Class == "" || r.Class == m.Class) &&
		(r.Till == "" || r.Till == m.Till) &&
		m.Tried+1 >= r.MinAttempt
}

// reroute puts a message into the pool that the rules give it now. One whose
// till named the pool stays, and so does one with a part out: its rest belongs
// to the identity that began it.
func (q *Queue) reroute(m *Message) {
	if m.Asked || m.Pin != "" {
		return
	}
	m.Pool = DefaultPool
	for _, r := range q.cfg.Routing {
		if r.holds(m) {
			m.Pool = r.Pool
			return
		}
	}
}
