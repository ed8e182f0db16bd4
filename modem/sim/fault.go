package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Script is what goes wrong and when, as ParseFaults read it. The zero value
// is a modem in good order. Each modem that is given it plays it from the start.
type Script struct {
	lines []rule
}

// rule is one line of a script.
type rule struct {
	point  string        // where; empty: by the clock
	after  int           // it lets that many pass
	every  int           // then acts at each so manyth
	times  int           // and stops after so many; 0: never
	delay  time.Duration // by the clock: first time and, with repeat, pause
	repeat bool
	act    action
	arg    arg

	passed, acted int
}

// rules makes the script playable.
func (s Script) rules() []*rule {
	var rules []*rule
	for _, r := range s.lines {
		rules = append(rules, &r)
	}
	return rules
}

// arg is what follows an action's name.
type arg struct {
	n    int
	span time.Duration
	text string
}

// tamper collects what the script does to one answer.
type tamper struct {
	hang, freeze bool
	span         time.Duration // for so long; 0: until ESC, or a restart
	late         time.Duration
	instead      *result
	text         string // a final result of its own
	mute         bool   // no final result
	again        bool   // the prompt twice
	drop         int    // bytes lost from the front
	noise        int    // bytes of garbage before it
	between      []string
}

// spoil does to an answer what disturbs the line.
func (t tamper) spoil(text string) string {
	text = text[min(t.drop, len(text)):]
	return string(noise(t.noise)) + text
}

// noise is garbage as a wrong baud rate gives it: the same every time, without
// a line end or anything an AT parser could take for a result.
func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0x80 | byte(i*37+11)
	}
	return b
}

// action is what a rule does; want says what it must be told.
type action struct {
	want  want
	needs moment
	do    func(m *Modem, t *tamper, a arg)
}

// moment is when an action makes sense.
type moment byte

const (
	anyTime moment = iota
	atPoint        // only while a command is answered
)

type want byte

const (
	wantNothing    want = iota
	wantNumber          // N
	wantDuration        // 3s
	wantSpan            // [for 3s]
	wantWords           // the rest of the line, which may be empty
	wantText            // the same, not empty
	wantOnOff           // on|off
	wantOutIn           // out|in
	wantFullFree        // full|free
	wantResetPower      // until reset|until power
	wantFlip            // answer|early|never
	wantOnlyAll         // only|all
	wantCode            // cms N | cme N
)

// choices are the words of the kinds that have two.
var choices = map[want][]string{wantOnOff: {"on", "off"}, wantOutIn: {"out", "in"}, wantFullFree: {"full", "free"}, wantResetPower: {"until reset", "until power"}, wantFlip: {"answer", string(FlipEarly), string(FlipNever)}, wantOnlyAll: {"only", "all"}}

// actions is the vocabulary of a script.
var actions = map[string]action{
	// about the answer of a command
	"hang":    {wantSpan, anyTime, func(m *Modem, t *tamper, a arg) { t.hang, t.span = true, a.span }},
	"freeze":  {wantSpan, anyTime, func(m *Modem, t *tamper, a arg) { t.freeze, t.span = true, a.span }},
	"late":    {wantDuration, atPoint, func(m *Modem, t *tamper, a arg) { t.late += a.span }},
	"error":   {wantCode, atPoint, func(m *Modem, t *tamper, a arg) { t.instead = codeResult(a) }},
	"result":  {wantText, atPoint, func(m *Modem, t *tamper, a arg) { t.text = a.text }},
	"mute":    {wantNothing, atPoint, func(m *Modem, t *tamper, a arg) { t.mute = true }},
	"twice":   {wantNothing, atPoint, func(m *Modem, t *tamper, a arg) { t.again = true }},
	"drop":    {wantNumber, atPoint, func(m *Modem, t *tamper, a arg) { t.drop = a.n }},
	"garbage": {wantNumber, anyTime, func(m *Modem, t *tamper, a arg) { t.noise = a.n }},
	"urc":     {wantWords, anyTime, func(m *Modem, t *tamper, a arg) { t.between = append(t.between, a.text) }},

	// about the modem
	"echo":         {wantOnOff, anyTime, func(m *Modem, t *tamper, a arg) { m.echo = a.text == "on" }},
	"registration": {wantNumber, anyTime, func(m *Modem, t *tamper, a arg) { m.network = a.n; m.refresh() }},
	"signal":       {wantNumber, anyTime, func(m *Modem, t *tamper, a arg) { m.signal = a.n }},
	"sim":          {wantOutIn, anyTime, (*Modem).moveSIM},
	"storage":      {wantFullFree, anyTime, (*Modem).fillStorage},
	"deaf":         {wantSpan, anyTime, (*Modem).goDeaf},
	"drafts":       {wantNumber, anyTime, (*Modem).keepDrafts},
	"call":         {wantSpan, anyTime, (*Modem).ring},
	"clock":        {wantText, anyTime, (*Modem).setNetworkTime},
	"lte":          {wantOnlyAll, anyTime, func(m *Modem, t *tamper, a arg) { m.lte.only = a.text == "only"; m.refresh() }},
	"ims":          {wantOnOff, anyTime, func(m *Modem, t *tamper, a arg) { m.lte.ims = a.text }},
	"domain":       {wantNumber, anyTime, func(m *Modem, t *tamper, a arg) { m.lte.domain = a.n }},
	"flip":         {wantFlip, anyTime, (*Modem).flip},
	"stuck":        {wantResetPower, anyTime, (*Modem).stick},
	"restart":      {wantNothing, anyTime, func(m *Modem, t *tamper, a arg) { m.restart() }},
	"unplug":       {wantSpan, anyTime, func(m *Modem, t *tamper, a arg) { m.leave(a.span) }},
}

func codeResult(a arg) *result {
	r := cme(a.n)
	if a.text == "cms" {
		r = cms(a.n)
	}
	return &r
}

// moveSIM pulls the SIM, or puts the pulled one back.
func (m *Modem) moveSIM(_ *tamper, a arg) {
	switch {
	case a.text == "out" && m.card != nil:
		m.pulled = m.insert(nil)
	case a.text == "in" && m.card == nil:
		m.insert(m.pulled)
	}
}

// fillStorage fills the place where messages are received with old ones, or
// empties it.
func (m *Modem) fillStorage(_ *tamper, a arg) {
	s := m.storeOf(m.mem[2])
	if s == nil {
		return
	}
	for i := range s.places {
		switch {
		case a.text == "free":
			s.places[i] = nil
		case s.places[i] == nil:
			u := cut(fmt.Sprintf("old message %d", i+1), 0)[0]
			s.places[i] = &stored{status: recRead, smsc: m.smsc, tpdu: deliverTPDU("+31611111111", time.Now(), u)}
		}
	}
	if a.text == "free" {
		m.room()
	}
}

// flip sets when a message sent from the store is marked as sent.
func (m *Modem) flip(_ *tamper, a arg) {
	m.cfg.Flip = Flip(a.text)
	if a.text == "answer" {
		m.cfg.Flip = FlipOnAnswer
	}
}

// stick hangs the modem until USBReset or PowerCycle.
func (m *Modem) stick(_ *tamper, a arg) {
	m.stuck = a.text
	m.kick()
}

// USBReset is what the bus does to the device: one that is stuck for want of a
// reset starts anew.
func (m *Modem) USBReset() { m.free("until reset") }

// PowerCycle switches the power of its port off and on.
func (m *Modem) PowerCycle() { m.free("until reset", "until power") }

func (m *Modem) free(what ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stuck != "" && !slices.Contains(what, m.stuck) {
		return
	}
	m.stuck = ""
	m.restart()
	m.kick()
}

func (m *Modem) goDeaf(_ *tamper, a arg) {
	m.deaf = true
	if a.span > 0 {
		m.after(a.span, func() { m.deaf = false })
	}
}

// at asks the script at a point of a command and adds to t what it wants. It
// answers false if that was the end of the command: the modem restarted or the
// port went away.
func (m *Modem) at(point string, t *tamper) bool {
	boots := m.boots
	m.ask(point, t)
	for _, line := range t.between {
		m.urc(line)
	}
	t.between = nil
	return m.boots == boots && m.gone == nil
}

func (m *Modem) ask(point string, t *tamper) {
	for _, r := range m.rules {
		if r.point == point || r.point == "any" && !slices.Contains(moments, point) {
			r.meet(m, t)
		}
	}
}

// moments are the points of a command that are not its name.
var moments = []string{"prompt", "ctrl-z", "answer", "header"}

// atHeader are the actions that make sense at that point.
var atHeader = []string{"urc", "drop", "garbage"}

// meet counts and, if it is time, acts.
func (r *rule) meet(m *Modem, t *tamper) {
	r.passed++
	n := r.passed - r.after
	if n <= 0 || r.times > 0 && r.acted >= r.times || n%r.every != 0 {
		return
	}
	r.acted++
	r.act.do(m, t, r.arg)
}

// startClock starts the rules that go by the clock.
func (m *Modem) startClock() {
	for _, r := range m.rules {
		if r.point == "" && (r.repeat || r.acted == 0) {
			m.wind(r)
		}
	}
}

func (m *Modem) wind(r *rule) {
	m.timers.after(r.delay, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !m.served {
			return
		}
		m.strike(r)
		if r.repeat {
			m.wind(r)
		}
		m.kick()
	})
}

// strike does an action outside the points of a command. hang and freeze take
// the command that runs now with them.
func (m *Modem) strike(r *rule) {
	var t tamper
	r.acted++
	r.act.do(m, &t, r.arg)
	for _, line := range t.between {
		m.urc(line)
	}
	if t.hang || t.freeze {
		m.task++
		m.prompt, m.tamper, m.busy = nil, tamper{}, true
		m.hang(t)
	}
	if t.noise > 0 {
		m.say(string(noise(t.noise)))
	}
}

// Play adds lines of a script to what the modem plays. A line without a point
// or a time acts at once.
func (m *Modem) Play(lines string) error {
	s, err := ParseFaults(strings.NewReader(lines))
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range s.rules() {
		switch {
		case r.point != "":
			m.rules = append(m.rules, r)
		case r.delay == 0 && !r.repeat:
			m.strike(r)
		default:
			m.rules = append(m.rules, r)
			if m.served {
				m.wind(r)
			}
		}
	}
	m.kick()
	return nil
}
