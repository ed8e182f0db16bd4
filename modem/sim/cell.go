package sim

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// CellConfig describes a radio cell and the SMSC behind it. The zero value is
// a network in good order.
type CellConfig struct {
	// Magic gives the recipients of magic.go their meaning.
	Magic bool

	// Late is how long the answer for a recipient ending in 0004 takes. Default 15 s.
	Late time.Duration

	// Log receives one line of JSON per entry (see Entry), each in one Write.
	Log io.Writer

	// SMSC is the number of the short message centre. Default +31624000000.
	SMSC string

	// ReportAfter is the time from a SUBMIT to its status report. Default:
	// spread between 0.2 and 1.4 s, so that reports overtake each other.
	ReportAfter time.Duration

	// Reports says how this network reports.
	Reports ReportStyle

	// Bare: what the network brings comes without the SMSC's number in front.
	Bare bool

	// AckTime is how long the network waits for the acknowledgement of a
	// message it brought (TS 27.005 §3.4.1 CNMA). Default 15 s.
	AckTime time.Duration

	// RepeatAfter is the pause before the network brings a message again that
	// was not acknowledged or found no room. Default 30 s.
	RepeatAfter time.Duration
}

// Entry is one event of the cell, and a line of its log.
type Entry struct {
	Time  time.Time `json:"time"`
	Kind  string    `json:"kind"` // submit, refused, lost, deliver, report
	IMEI  string    `json:"imei,omitempty"`
	ICCID string    `json:"iccid,omitempty"`
	From  string    `json:"from,omitempty"`
	To    string    `json:"to,omitempty"`
	MR    int       `json:"mr"`
	DCS   int       `json:"dcs"`
	Ref   int       `json:"ref,omitempty"` // concatenation reference
	Bits  int       `json:"bits,omitempty"`
	Total int       `json:"total,omitempty"` // parts; 0: not concatenated
	Seq   int       `json:"seq,omitempty"`
	Text  string    `json:"text,omitempty"`
	Asked bool      `json:"asked,omitempty"` // a status report is wanted
	Cause int       `json:"cause,omitempty"` // CMS code of a refusal
	Why   string    `json:"why,omitempty"`   // what was wrong, in words
	ST    int       `json:"st,omitempty"`    // TP-ST of a report
	State string    `json:"state,omitempty"` // deliver, report: acknowledged, refused, unacknowledged
	PDU   string    `json:"pdu,omitempty"`   // hex as it went over the line
}

// Submit is an SMS-SUBMIT that the cell accepted.
type Submit = Entry

// Message is a text as it arrived at the handset, its parts joined.
type Message struct {
	From, To, Text string
	Parts          int
}

// Cell is the radio network: it knows the SIMs by their numbers, carries what
// is submitted, and keeps a list of all that happened. Safe for concurrent use.
type Cell struct {
	cfg    CellConfig
	timers timers

	mu          sync.Mutex
	changed     chan struct{} // closed and replaced at every change
	entries     []Entry
	messages    []Message
	halves      map[assembly]map[int]string // long messages that lack parts
	excused     map[string]bool             // numbers that had their one refusal
	subscribers map[string]*subscriber
	accepted    int
	reference   byte // of long messages the network brings
	logErr      error
}

type assembly struct {
	from, to         string
	ref, bits, total int
}

// subscriber is a SIM of this cell and what waits for it.
type subscriber struct {
	modem *Modem // nil: not registered
	queue []*parcel
	busy  bool // the first of the queue is at the modem
	pause bool // it was not taken: nothing is brought until RepeatAfter, or room, or a new start
	round int  // counts attempts, so that a late timer knows it is late
}

// parcel is a TPDU on its way to a modem.
type parcel struct {
	entry Entry
	tpdu  []byte
	then  func() // when it was acknowledged
}

// NewCell returns a cell that works at once. Close it when done.
func NewCell(cfg CellConfig) *Cell {
	if cfg.Late == 0 {
		cfg.Late = 15 * time.Second
	}
	if cfg.SMSC == "" {
		cfg.SMSC = "+31624000000"
	}
	if cfg.AckTime == 0 {
		cfg.AckTime = 15 * time.Second
	}
	if cfg.RepeatAfter == 0 {
		cfg.RepeatAfter = 30 * time.Second
	}
	return &Cell{
		cfg:         cfg,
		changed:     make(chan struct{}),
		halves:      make(map[assembly]map[int]string),
		excused:     make(map[string]bool),
		subscribers: make(map[string]*subscriber),
	}
}

// Close stops the network: reports and deliveries still on their way are
// dropped. It waits for those that are being handed over and answers the
// first error of writing the log.
func (c *Cell) Close() error {
	c.timers.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logErr
}

// Entries returns everything that happened so far, oldest first.
func (c *Cell) Entries() []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.entries)
}

// Submits returns what the cell accepted, oldest first.
func (c *Cell) Submits() []Submit {
	return slices.DeleteFunc(c.Entries(), func(e Entry) bool { return e.Kind != "submit" })
}

// Accepted is the number of Submits.
func (c *Cell) Accepted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted
}

// Messages returns the texts whose last part has arrived, oldest first. A part
// that came twice before the text was whole is counted once.
func (c *Cell) Messages() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

// Wait returns when ok does, which is asked at every change, or with the cause
// of ctx's end.
func (c *Cell) Wait(ctx context.Context, ok func(c *Cell) bool) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if ok(c) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the cell: %w", context.Cause(ctx))
		}
	}
}

// Deliver brings a text to a SIM of this cell, in as many parts as it needs.
// It waits in the network while the SIM is not registered or has no room.
// from is a number or an alphanumeric sender of at most 11 characters.
func (c *Cell) Deliver(to, from, text string) error {
	if _, ok := toSeptets(from); !ok || from == "" || len(from) > 20 {
		return fmt.Errorf("deliver: sender %q has characters or a length that no address can hold", from)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subscribers[to] == nil {
		return fmt.Errorf("deliver: no SIM of this cell has the number %s", to)
	}
	c.reference++
	for _, u := range cut(text, c.reference) {
		c.bring(to, Entry{Kind: "deliver", From: from, Text: text, DCS: int(u.dcs)}, u, nil)
	}
	return nil
}

// bring queues a DELIVER. c.mu is held.
func (c *Cell) bring(to string, e Entry, u userData, then func()) {
	e.To = to
	c.enqueue(to, &parcel{entry: e, tpdu: deliverTPDU(e.From, time.Now(), u), then: then})
}

// subscribe makes the number of a SIM known. It may be away.
func (c *Cell) subscribe(number string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number != "" && c.subscribers[number] == nil {
		c.subscribers[number] = &subscriber{}
	}
}

// attach registers the SIM with that number at m; what waited is brought.
func (c *Cell) attach(number string, m *Modem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.subscribers[number]
	if s == nil {
		return
	}
	s.modem, s.busy, s.pause = m, false, false
	s.round++
	c.pump(s)
}

// detach takes the SIM off the network, if m still has it.
func (c *Cell) detach(number string, m *Modem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.subscribers[number]; s != nil && s.modem == m {
		s.modem, s.busy = nil, false
		s.round++
	}
}

// roomAt is RP-SMMA: the SIM has room again (TS 23.040 §10.3 MemoryAvailable).
func (c *Cell) roomAt(number string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.subscribers[number]; s != nil {
		s.pause = false
		c.pump(s)
	}
}

func (c *Cell) enqueue(number string, p *parcel) {
	s := c.subscribers[number]
	if s == nil {
		return
	}
	s.queue = append(s.queue, p)
	c.pump(s)
}

// pump brings the first of the queue, one at a time and in order. c.mu is held;
// the modem is called without it.
func (c *Cell) pump(s *subscriber) {
	if s.busy || s.pause || s.modem == nil || len(s.queue) == 0 {
		return
	}
	s.busy = true
	s.round++
	round, m, p := s.round, s.modem, s.queue[0]
	c.timers.after(0, func() {
		m.receive(p.tpdu, func(state string) { c.brought(s, round, p, m, state) })
	})
	// A modem that was switched off in between never answers.
	c.timers.after(c.cfg.AckTime+time.Second, func() { c.brought(s, round, p, m, "unacknowledged") })
}

// How a modem answers what the network brings.
const (
	acknowledged   = "acknowledged"
	refused        = "refused" // memory capacity exceeded
	unacknowledged = "unacknowledged"
)

// brought is the modem's answer to a parcel.
func (c *Cell) brought(s *subscriber, round int, p *parcel, m *Modem, state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.round != round || !s.busy {
		return
	}
	s.busy = false
	e := p.entry
	e.State, e.IMEI = state, m.cfg.IMEI
	e.PDU = hexUpper(p.tpdu)
	c.note(e)
	if state != acknowledged {
		s.pause = true
		c.timers.after(c.cfg.RepeatAfter, func() { c.retry(s, round) })
		return
	}
	s.queue = s.queue[1:]
	if p.then != nil {
		p.then()
	}
	c.pump(s)
}

func (c *Cell) retry(s *subscriber, round int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.round == round {
		s.pause = false
		c.pump(s)
	}
}

// verdict is what the network answers to a SUBMIT.
type verdict struct {
	cause  int           // CMS code; 0: accepted
	silent bool          // no answer at all
	after  time.Duration // before the answer, beyond the modem's own time
}

// submit takes an SMS-SUBMIT from a modem. e holds who sends it and the PDU.
func (c *Cell) submit(e Entry, s submit) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Kind = "submit"
	e.To, e.DCS, e.Text, e.Asked = s.to, int(s.dcs), s.text, s.report
	e.Ref, e.Bits, e.Total, e.Seq = s.ref, s.refBits, s.total, s.seq
	if s.data {
		e.Text = hexUpper(s.ud)
	}
	var f fate
	if c.cfg.Magic {
		f = magicFate(s.to)
	}
	if f.once && c.excused[s.to] {
		f = fate{}
	}
	switch {
	case s.smsc != "" && s.smsc != c.cfg.SMSC:
		// No such service centre: the exchange cannot route it (TS 24.011 §E.2).
		e.Kind, e.Cause, e.Why = "refused", 38, "there is no SMSC "+s.smsc
		c.note(e)
		return verdict{cause: 38}
	case f.lost:
		e.Kind = "lost"
		c.note(e)
		return verdict{silent: true}
	case f.cause != 0:
		c.excused[s.to] = f.once
		e.Kind, e.Cause = "refused", f.cause
		c.note(e)
		return verdict{cause: f.cause}
	}
	c.note(e)
	c.carry(e, s, f)
	if f.late {
		return verdict{after: c.cfg.Late}
	}
	return verdict{}
}

// refuse lists a PDU that the modem did not let through. c.mu is not held.
func (c *Cell) refuse(e Entry, cause int, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Kind, e.Cause, e.Why = "refused", cause, why
	c.note(e)
}

// carry takes an accepted SUBMIT to its recipient and reports. c.mu is held.
func (c *Cell) carry(e Entry, s submit, f fate) {
	c.join(e)
	c.accepted++
	report := func() {
		if s.report && !f.mute {
			c.report(e, f.status)
		}
	}
	if c.subscribers[s.to] != nil && f == (fate{}) {
		u := userData{pid: s.pid, dcs: s.dcs, udhi: s.udhi, udl: s.udl, ud: s.ud}
		c.bring(s.to, Entry{Kind: "deliver", From: e.From, MR: e.MR, DCS: e.DCS, Text: e.Text}, u, report)
		return
	}
	c.timers.after(c.reportAfter(), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		report()
	})
}

// join puts the parts of a long message together, as the handset does: by
// originator, reference, width and total (TS 23.040 §9.2.3.24.1). c.mu is held.
func (c *Cell) join(e Entry) {
	if e.Total == 0 {
		c.messages = append(c.messages, Message{From: e.From, To: e.To, Text: e.Text, Parts: 1})
		return
	}
	key := assembly{e.From, e.To, e.Ref, e.Bits, e.Total}
	parts := c.halves[key]
	if parts == nil {
		parts = make(map[int]string)
		c.halves[key] = parts
	}
	parts[e.Seq] = e.Text
	if len(parts) < e.Total {
		return
	}
	delete(c.halves, key)
	var whole strings.Builder
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		whole.WriteString(parts[n])
	}
	c.messages = append(c.messages, Message{From: e.From, To: e.To, Text: whole.String(), Parts: e.Total})
}

// note lists an entry, writes it to the log and wakes the waiters. c.mu is held.
func (c *Cell) note(e Entry) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	c.entries = append(c.entries, e)
	close(c.changed)
	c.changed = make(chan struct{})
	if c.cfg.Log == nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = c.cfg.Log.Write(append(line, '\n'))
	}
	if err != nil && c.logErr == nil {
		c.logErr = fmt.Errorf("cell: writing the log: %w", err)
	}
}

func hexUpper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }
