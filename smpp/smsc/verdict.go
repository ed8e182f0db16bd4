package smsc

import "time"

// Verdict is what happens to one submit_sm. The zero value accepts it,
// answers after Config.Latency and, if one was asked for, sends a receipt
// that says delivered.
type Verdict struct {
	Status uint32        // of the answer; anything but 0 means that the message is not accepted
	After  time.Duration // before the answer, besides Config.Latency
	Silent bool          // never answer
	Lose   bool          // the message is not accepted though nobody says so: for Silent
	Hold   bool          // answer when Release is called
	Drop   bool          // break the connection instead of answering
	Nack   bool          // answer with a generic_nack that carries Status
	NoID   bool          // answer without a message_id

	NoReceipt bool
	State     string        // DELIVRD if empty
	Err       string        // 000 if empty
	Receipt   time.Duration // before the receipt; 0: Config.ReceiptAfter
}

// magic recipients rehearse failures: the last four digits say what happens.
const (
	magicOnce        = "0001" // a temporary error once, then fine
	magicRejected    = "0002"
	magicSilent      = "0003" // never answered, and not accepted either
	magicLate        = "0004" // accepted; answered when nobody waits any more
	magicNoReport    = "0005"
	magicUndelivered = "0006"
)

// decide finds the verdict: faults first, then the test's own, then magic.
func (m *SMSC) decide(s *Submit) Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cfg.Rate > 0 && m.tooFast() {
		return Verdict{Status: StatusThrottled}
	}
	if v, ok := m.fault(); ok {
		return v
	}
	if m.cfg.Decide != nil {
		return m.cfg.Decide(s)
	}
	if !m.cfg.Magic || len(s.To) < 4 {
		return Verdict{}
	}
	switch s.To[len(s.To)-4:] {
	case magicOnce:
		if m.seen[s.To] = !m.seen[s.To]; m.seen[s.To] {
			return Verdict{Status: StatusSystemError}
		}
	case magicRejected:
		return Verdict{Status: StatusBadRecipient}
	case magicSilent:
		return Verdict{Silent: true, Lose: true}
	case magicLate:
		return Verdict{After: m.cfg.Late}
	case magicNoReport:
		return Verdict{NoReceipt: true}
	case magicUndelivered:
		return Verdict{State: "UNDELIV", Err: "011"}
	}
	return Verdict{}
}

// tooFast counts a submit against Config.Rate. Called with mu held.
func (m *SMSC) tooFast() bool {
	now := time.Now()
	if now.Sub(m.second) >= time.Second {
		m.second, m.inSecond = now, 0
	}
	m.inSecond++
	return m.inSecond > m.cfg.Rate
}

// submitted deals with one submit_sm. It runs on the goroutine that reads the
// session.
func (m *SMSC) submitted(sess *session, seq uint32, body []byte) {
	m.mu.Lock()
	cfg := m.cfg
	m.mu.Unlock()
	s, err := parseSubmit(body, cfg.Latin1)
	if err != nil {
		status := StatusUnreadable
		if s == nil {
			s = new(Submit)
		} else if !isNumber(s.To) {
			status = StatusBadRecipient
		}
		s.Time, s.Session, s.Seq, s.Status, s.Text = time.Now(), sess.n, seq, status, "unreadable: "+err.Error()
		m.record(s)
		sess.answerSubmit(seq, status, "", false)
		return
	}
	s.Time, s.Session, s.Seq = time.Now(), sess.n, seq
	v := m.decide(s)
	if cfg.Window > 0 && sess.unanswered(+1) > cfg.Window {
		v = Verdict{Status: StatusThrottled}
	}
	s.Status, s.Silent, s.After = v.Status, v.Silent, v.After
	s.Accepted = v.Status == StatusOK && !v.Lose
	receiptID := ""
	if s.Accepted {
		m.mu.Lock()
		m.number++
		s.Number = m.number
		m.mu.Unlock()
		s.ID, receiptID = cfg.spell(s.Number)
	}
	m.record(s)
	if v.Drop {
		sess.conn.Close()
	}

	answer := func() {
		if cfg.Window > 0 {
			sess.unanswered(-1)
		}
		if v.Silent || v.Drop {
			return
		}
		id := s.ID
		if v.NoID {
			id = ""
		}
		sess.answerSubmit(seq, v.Status, id, v.Nack)
	}
	receipts := func() {
		if s.Accepted && s.Receipt && !v.NoReceipt {
			m.planReceipts(&cfg, s, v, receiptID)
		}
	}
	if cfg.Early {
		receipts()
	}
	if v.Hold {
		m.hold(answer)
	} else if wait := cfg.Latency + v.After; wait > 0 {
		m.later.after(wait, answer)
	} else {
		answer()
	}
	if !cfg.Early {
		receipts()
	}
}

// hold keeps an answer back until Release.
func (m *SMSC) hold(answer func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, answer)
}

// Release sends the answers that were held back.
func (m *SMSC) Release() {
	m.mu.Lock()
	held := m.held
	m.held = nil
	m.mu.Unlock()
	for _, answer := range held {
		answer()
	}
}
