package modem

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue/route"
)

// refs keeps account of the references (TP-MR, TS 23.040 §9.2.3.6) of one SIM,
// so that a status report for a part whose answer was lost finds that part: the
// network counts on by one for each, so the lost one has the next after the
// last that was answered. It settles what exactly one part fits, and nothing
// else.
type refs struct {
	identity string
	last     int  // of the last answer; -1: not known, for instance after a restart of the modem
	skipped  int  // parts lost since: each may have taken a reference, or not
	stuck    bool // this modem says the same reference each time: it means nothing
	given    [256]given
	lost     []lostPart
}

// given is who had a reference last.
type given struct {
	to string
	at time.Time
}

// lostPart is a part whose answer was lost.
type lostPart struct {
	ID    string    `json:"id"`
	To    string    `json:"to"`
	N     int       `json:"n"`
	First int       `json:"first"` // the reference it has if it went, or …
	More  int       `json:"more"`  // … one of so many behind that; First is -1 if nothing is known
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // the network gives up by then
}

// answered notes the reference of a part that the network took.
func (r *refs) answered(mr int, to string, now time.Time) {
	if mr < 0 {
		r.last, r.skipped = -1, 0
		return
	}
	r.stuck = r.last == mr
	r.last, r.skipped = mr, 0
	r.given[mr] = given{to, now}
}

// forget: the modem restarted, and may count from anywhere.
func (r *refs) forget() { r.last, r.skipped, r.stuck = -1, 0, false }

// loses notes a part without an answer.
func (r *refs) loses(p lostPart) {
	p.First = -1
	if r.last >= 0 && !r.stuck {
		p.First, p.More = (r.last+1)%256, r.skipped
	}
	r.skipped++
	r.lost = append(r.lost, p)
}

// settled forgets the lost parts of a message: its fate is known, or it goes
// again. It says whether there were any.
func (r *refs) settled(id string, n int) bool {
	before := len(r.lost)
	r.lost = slices.DeleteFunc(r.lost, func(p lostPart) bool { return p.ID == id && (n == 0 || p.N == n) })
	return len(r.lost) != before
}

// Of what a report can be, beside the message that has its reference.
type reading int

const (
	ordinary reading = iota // nothing here knows better than its reference
	settles                 // exactly one lost part
	strange                 // no part of ours: its reference cannot be that of the lost one
)

// read tells what a report with reference mr about a message to to can be.
func (r *refs) read(mr int, to string, now time.Time) (lostPart, reading) {
	r.lost = slices.DeleteFunc(r.lost, func(p lostPart) bool { return now.After(p.Until) })
	var fits []lostPart
	others := 0 // lost parts to that phone which cannot have mr
	for _, p := range r.lost {
		switch {
		case !sameEnd(p.To, to):
		case p.First < 0:
			return lostPart{}, ordinary // any reference fits: who knows the message decides
		case (mr-p.First+256)%256 <= p.More:
			fits = append(fits, p)
		default:
			others++
		}
	}
	g := r.given[mr&0xFF]
	known := !g.at.IsZero() && sameEnd(g.to, to)
	switch {
	case len(fits) == 1 && !known:
		return fits[0], settles
	case len(fits) == 0 && others > 0 && !known:
		return lostPart{}, strange
	}
	return lostPart{}, ordinary
}

// sameEnd compares two spellings of a number from the right: the country may be
// missing, or spelled otherwise (field-notes §1.14).
func sameEnd(a, b string) bool {
	const enough = 8
	digits := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, s)
	}
	a, b = digits(a), digits(b)
	if n := min(len(a), len(b)); n >= enough {
		return a[len(a)-enough:] == b[len(b)-enough:]
	}
	return a == b
}

// refsOf returns the account of the SIM in use; another SIM has another.
func (m *Modem) refsOf(identity string) *refs {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refs == nil || m.refs.identity != identity {
		m.refs = &refs{identity: identity, last: -1, lost: m.recallLost(identity)}
	}
	return m.refs
}

func lostKey(identity string) string { return "lost:" + identity }

// recallLost reads the lost parts of an earlier life. What cannot be read costs
// a settlement, nothing more: the queue still knows the message as unknown.
func (m *Modem) recallLost(identity string) (lost []lostPart) {
	b, err := m.cfg.Memory.Load(lostKey(identity))
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &lost)
	}
	if err != nil {
		m.log.Warn("which parts were lost before cannot be read", "err", err)
	}
	return lost
}

// keepLost writes the lost parts down.
func (m *Modem) keepLost(r *refs) {
	m.mu.Lock()
	b, err := json.Marshal(r.lost)
	identity := r.identity
	m.mu.Unlock()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = m.cfg.Memory.Save(ctx, lostKey(identity), b)
	}
	if err != nil {
		m.log.Warn("a lost part cannot be written down; a report may find it only while we run", "err", err)
	}
}

// noteAnswer, noteLost and noteSettled keep the account of the SIM in use.
func (s *session) noteAnswer(mr int, to string) {
	r := s.m.refsOf(s.identity())
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	r.answered(mr, to, time.Now())
}

func (s *session) noteLost(out *route.Outbound, n int, period time.Duration) {
	r := s.m.refsOf(s.identity())
	s.m.mu.Lock()
	r.loses(lostPart{ID: out.ID, To: out.To, N: n, At: time.Now(), Until: time.Now().Add(period + time.Hour)})
	s.m.mu.Unlock()
	s.m.keepLost(r)
}

func (m *Modem) noteSettled(identity, id string, n int) {
	r := m.refsOf(identity)
	m.mu.Lock()
	had := r.settled(id, n)
	m.mu.Unlock()
	if had {
		m.keepLost(r)
	}
}

// forgetRefs: the modem came up anew, and may count from anywhere.
func (m *Modem) forgetRefs() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refs != nil {
		m.refs.forget()
	}
}

// settle completes a status report by what is known of lost parts. The event
// that the queue makes of it says how it was decided.
func (m *Modem) settle(rep *route.Report) {
	mr, err := strconv.Atoi(rep.Ref)
	if err != nil {
		return
	}
	r := m.refsOf(rep.Identity)
	m.mu.Lock()
	p, what := r.read(mr, rep.To, time.Now())
	m.mu.Unlock()
	switch what {
	case settles:
		rep.ID = p.ID
		rep.Why = fmt.Sprintf("%s; the answer was lost, and this report is its: recipient and time fit, and %d is the next reference", rep.Why, mr)
		m.log.Info("a lost message is settled by its report", "msg", p.ID)
	case strange:
		rep.Strange = true
		m.log.Info("a report belongs to no message of ours", "ref", rep.Ref)
	}
}
