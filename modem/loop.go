package modem

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// LoopTest has the modem send a message to its own number from time to time:
// the only proof that the whole way works while nobody sends. Its message is
// not counted in any quota and comes to no inbox.
type LoopTest struct {
	Every  time.Duration // zero: never
	Number string        // of the SIM, with plus. Empty: as the SIM tells (AT+CNUM), which not every one does
}

const (
	loopLost = 10 * time.Minute // not back by then: it will not come
	loopKept = 20               // round trips that the usual one is the median of
	loopFew  = 3                // too few to know what is usual
	loopSlow = 3                // so many times the usual, and …
	loopSure = 30 * time.Second // … so much longer, is a drift
)

// loop is the test of one SIM.
type loop struct {
	identity string
	token    string // the text of the message that is on its way; empty: none is
	sent     time.Time
	kept     loopRecord
}

// loopRecord is kept across restarts.
type loopRecord struct {
	At   time.Time       `json:"at"` // of the last test
	Took []time.Duration `json:"took"`
}

func loopKey(identity string) string { return "loop:" + identity }

// usual is the median of the round trips so far; 0 if there are too few.
func (r loopRecord) usual() time.Duration {
	if len(r.Took) < loopFew {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.Took))
	return sorted[len(sorted)/2]
}

// drifted says in words what is wrong with a round trip; empty: nothing.
func (r loopRecord) drifted(took time.Duration) string {
	usual := r.usual()
	if usual == 0 || took < loopSlow*usual || took < usual+loopSure {
		return ""
	}
	return fmt.Sprintf("the test message came back after %v; %v is usual", took.Round(time.Second), usual.Round(time.Second))
}

// loopOf returns the test of the SIM in use.
func (m *Modem) loopOf(identity string) *loop {
	m.mu.Lock()
	l := m.loop
	m.mu.Unlock()
	if l != nil && l.identity == identity {
		return l
	}
	l = &loop{identity: identity}
	b, err := m.cfg.Memory.Load(loopKey(identity))
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &l.kept)
	}
	if err != nil {
		m.log.Warn("earlier self-tests cannot be read", "err", err)
	}
	m.mu.Lock()
	m.loop = l
	m.mu.Unlock()
	return l
}

// SelfTest starts a test now, also where none is wanted from time to time.
// What comes of it is told in Status.Care, at the latest after ten minutes.
func (m *Modem) SelfTest(ctx context.Context) error {
	s, why := m.current()
	if s == nil {
		return route.Refuse(m.cfg.Name, why)
	}
	if err := s.seize(ctx); err != nil {
		return err
	}
	defer s.release()
	l := m.loopOf(s.identity())
	m.mu.Lock()
	waiting := l.token != "" && time.Since(l.sent) < loopLost
	m.mu.Unlock()
	if waiting {
		return fmt.Errorf("%s: a self-test is on its way already", m.cfg.Name)
	}
	if m.cfg.LoopTest.Number == "" && s.number == "" {
		if err := s.sequence(ctx, ownNumber); isLost(err) {
			s.raise(trouble{why: err})
			return err
		} // a refusal reads as: it does not tell
	}
	err := s.startLoop(ctx, l)
	if isLost(err) {
		s.raise(trouble{why: err})
	}
	return err
}

var _ route.SelfTester = (*Modem)(nil)

// checkLoop is a poll: it starts a test that is due, and gives one up.
func (s *session) checkLoop(ctx context.Context) error {
	l := s.m.loopOf(s.identity())
	s.m.mu.Lock()
	waiting, sent, last := l.token != "", l.sent, l.kept.At
	s.m.mu.Unlock()
	switch {
	case waiting && time.Since(sent) >= loopLost:
		s.m.loopFailed(l, sent, fmt.Sprintf("the test message has not come back after %v", loopLost))
	case s.m.cfg.LoopTest.Every > 0 && !waiting && time.Since(last) >= s.m.cfg.LoopTest.Every:
		return s.startLoop(ctx, l)
	}
	return nil
}

// startLoop sends the message, with the line held. The error is a lost answer.
func (s *session) startLoop(ctx context.Context, l *loop) error {
	number := s.m.cfg.LoopTest.Number
	if number == "" {
		number = s.number
	}
	if number == "" {
		s.m.loopFailed(l, time.Now(), "the SIM does not tell its number; set it in the settings of the modem")
		return nil
	}
	token := "Tillpost self-test " + rand.Text()[:8]
	out := route.Outbound{To: number, Alphabet: route.GSM7, Segments: []route.Segment{{Text: token, Units: len(token)}}}
	sub, err := encode(&out, 1, form{validity: true, period: time.Hour})
	if err != nil {
		s.m.loopFailed(l, time.Now(), err.Error())
		return nil
	}
	s.m.mu.Lock()
	l.token, l.sent = token, time.Now()
	s.m.mu.Unlock()
	if err := s.m.keepLoop(ctx, l); err != nil {
		s.log.Warn("a self-test cannot be written down", "err", err)
	}
	done, err := s.submitLoop(ctx, sub)
	if err == nil {
		s.noteAnswer(done.MR, number)
		return nil
	}
	s.m.loopFailed(l, time.Now(), "the test message was not taken: "+err.Error())
	if isLost(err) {
		return err
	}
	return nil
}

// submitLoop also tests the modem's memory where that is wanted and not known.
func (s *session) submitLoop(ctx context.Context, sub submit) (at.Submitted, error) {
	if s.m.cfg.StoreFirst {
		if _, known, err := s.recallProof(); err == nil && !known {
			return s.prove(ctx, sub)
		}
	}
	return s.conn.Submit(ctx, offered{}, sub.length, sub.hex)
}

// keepLoop writes the record down.
func (m *Modem) keepLoop(ctx context.Context, l *loop) error {
	m.mu.Lock()
	if l.token != "" {
		l.kept.At = l.sent
	}
	b, err := json.Marshal(l.kept)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return m.cfg.Memory.Save(context.WithoutCancel(ctx), loopKey(l.identity), b)
}

// loopCame takes a message that came in if it is the test's, and says so.
func (m *Modem) loopCame(ctx context.Context, identity, text string) bool {
	m.mu.Lock()
	l := m.loop
	mine := l != nil && l.identity == identity && l.token != "" && strings.TrimSpace(text) == l.token
	if !mine {
		m.mu.Unlock()
		return false
	}
	sent := l.sent
	took := max(time.Since(sent), time.Millisecond) // 0 would read as: not back
	why, usual := l.kept.drifted(took), l.kept.usual()
	l.token = ""
	l.kept.Took = append(l.kept.Took, took)
	l.kept.Took = l.kept.Took[max(0, len(l.kept.Took)-loopKept):]
	m.mu.Unlock()
	if err := m.keepLoop(ctx, l); err != nil {
		m.log.Warn("a self-test cannot be written down", "err", err)
	}
	m.log.Info("a self-test came back", "took", took.Round(time.Millisecond), "usual", usual.Round(time.Millisecond))
	m.publish(func(s *route.Status) {
		care(s).LoopTest = &route.LoopTest{At: sent, Took: took, Usual: usual, Why: why}
	})
	m.worry("loop_failed", why)
	if why != "" {
		m.notice("loop_failed", why)
	}
	return true
}

// loopFailed ends a test that did not come back, or could not be sent.
func (m *Modem) loopFailed(l *loop, at time.Time, why string) {
	m.mu.Lock()
	l.token = ""
	l.kept.At = time.Now()
	usual := l.kept.usual()
	m.mu.Unlock()
	m.log.Warn("the self-test failed", "why", why)
	m.publish(func(s *route.Status) {
		care(s).LoopTest = &route.LoopTest{At: at, Usual: usual, Why: why}
	})
	m.worry("loop_failed", why)
	m.notice("loop_failed", why)
}
