package webui

import (
	"strconv"

	"tillpost/queue"
)

// waitingView is who waits, and when the line will be empty.
type waitingView struct {
	Rows []waitView
	Says string // when all of it has left; empty: nobody is in the line
}

// waitView is one kind of waiting: never a number without its reason.
type waitView struct {
	Key   string // of the row, for what changed
	State string
	Rank  string // right of way of those who are next; empty: no line
	Sign  string
	N     int64
	More  bool // N is as far as was counted
	Why   string
	Since string // of the oldest
	Bar   int    // 0 to 128
}

func (p *page) waiting() (waitingView, error) {
	c := p.site.queue.Counts()
	line, err := p.site.queue.Line()
	if err != nil {
		return waitingView{}, err
	}
	var v waitingView
	add := func(state queue.State, n int64, why string) {
		if n > 0 {
			v.Rows = append(v.Rows, waitView{Key: string(state), State: p.T("st_" + string(state)), Sign: signOf[state], N: n, Why: why})
		}
	}
	add(queue.Sending, c.Sending, p.T("why_sending"))
	for _, r := range line.Ranks {
		row := waitView{
			State: p.T("st_" + string(queue.Queued)), Sign: signOf[queue.Queued], N: int64(r.N), More: r.More,
			Key: string(r.Class) + strconv.Itoa(r.Priority), Rank: p.T(rankWord(r)),
		}
		if m := r.Oldest; m != nil {
			why, _ := p.site.queue.Explain(m)
			row.Why, row.Since = why.Text(p.Lang, p.site.cfg.Location), p.Clock(m.Due)
			if m.Due.After(p.Now) {
				row.Since = p.Clock(m.Created) // it has been in line before, and will be again
			}
		}
		v.Rows = append(v.Rows, row)
	}
	add(queue.Scheduled, c.Scheduled, p.T("why_planned"))
	add(queue.Held, c.Held, p.T("why_held"))
	add(queue.Unknown, c.Unknown, p.T("why_unknown"))
	most := int64(16) // a few do not fill the bar
	for _, row := range v.Rows {
		most = max(most, row.N)
	}
	for i := range v.Rows {
		v.Rows[i].Bar = max(2, int(v.Rows[i].N*128/most))
	}
	switch {
	case len(v.Rows) == 0:
		v.Says = p.T("waiting_nobody")
	case len(line.Ranks) == 0:
	case line.Empty.IsZero():
		v.Says = p.T("empty_unknown")
	default:
		v.Says = p.T("empty_by", "time", p.Clock(line.Empty))
	}
	return v, nil
}

// rankWord is the key of how a right of way is called.
func rankWord(r queue.Rank) string {
	if r.Priority >= 3 {
		return "rank_urgent"
	}
	return "rank_" + string(r.Class) + "_" + strconv.Itoa(r.Priority)
}
