package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
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
	wantCode            // cms N | cme N
)

// choices are the words of the kinds that have two.
var choices = map[want][]string{wantOnOff: {"on", "off"}, wantOutIn: {"out", "in"}, wantFullFree: {"full", "free"}, wantResetPower: {"until reset", "until power"}, wantFlip: {"answer", string(FlipEarly), string(FlipNever)}}

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

// ParseFaults reads a fault script, one line per fault:
//
//	[when ":"] action
//
// when is a point of a command, or a time since power-up:
//
//	cmgs                 when the next AT+CMGS arrives, before it does anything
//	after 3 cmgs         when the fourth does
//	after 3 cmgs x2      the fourth and the fifth
//	every 5 cmgs         each fifth, for ever
//	any                  whatever command comes next
//	prompt               before the prompt of AT+CMGS
//	ctrl-z               the PDU is complete, the network has not seen it
//	answer               the network has it, the modem is about to say so
//	header               a +CMTI, +CDSI, +CMT or +CDS line goes out; urc comes
//	                     between it and its PDU, drop 999 loses all of it
//	at 10s, every 10s    by the clock; at acts once, also if power returns
//
// Without a when the action happens at the first power-up. The actions:
//
//	hang [for 20s]       no answer; ESC or the end of the time frees the modem
//	freeze [for 20s]     no answer, and not even ESC helps
//	late 20s             the answer takes so much longer
//	error cms 38         this answer instead (or: error cme 14)
//	result NO CARRIER    these words for a final result
//	mute                 no final result, only the information
//	twice                the prompt twice
//	drop 5               the first 5 bytes of the answer are lost
//	garbage 20           20 bytes of noise before the answer
//	urc RING             an unsolicited line, at this very point
//	echo on|off
//	registration 0       the <stat> of AT+CREG?
//	signal 3             the <rssi> of AT+CSQ
//	sim out|in
//	storage full|free
//	deaf [for 20s]       the modem stops reading
//	stuck until reset    it hangs so that no command and no new opening of the
//	                     port helps, but a reset of its USB device (or: until power)
//	flip early           AT+CMSS marks the message as sent before the network has
//	                     answered (or: answer, when it has; or: never)
//	restart              settings lost, the vendor's boot lines
//	unplug [for 20s]     the port goes away
//
// Blank lines and lines that begin with # are skipped. An error names the line.
func ParseFaults(r io.Reader) (Script, error) {
	var s Script
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		rule, err := parseRule(line)
		if err != nil {
			return Script{}, fmt.Errorf("fault script line %d, %q: %w", n, line, err)
		}
		s.lines = append(s.lines, rule)
	}
	if err := lines.Err(); err != nil {
		return Script{}, fmt.Errorf("reading the fault script: %w", err)
	}
	return s, nil
}

func parseRule(line string) (rule, error) {
	when, what, found := strings.Cut(line, ": ")
	if !found {
		when, what = "", line
	}
	r, err := parseWhen(strings.Fields(when))
	if err != nil {
		return rule{}, err
	}
	name, rest, _ := strings.Cut(strings.TrimSpace(what), " ")
	act, known := actions[name]
	if !known {
		return rule{}, fmt.Errorf("unknown action %q", name)
	}
	if act.needs == atPoint && r.point == "" {
		return rule{}, fmt.Errorf("%s: is about an answer and wants a point of a command, like \"cmgs: %s\"", name, what)
	}
	if r.point == "header" && !slices.Contains(atHeader, name) {
		return rule{}, fmt.Errorf("%s: to a header only %s can happen", name, strings.Join(atHeader, ", "))
	}
	r.act = act
	r.arg, err = parseArg(act.want, strings.TrimSpace(rest))
	if err != nil {
		return rule{}, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func parseWhen(f []string) (rule, error) {
	r := rule{every: 1, times: 1}
	if len(f) == 0 {
		return r, nil
	}
	var err error
	if len(f) == 2 && (f[0] == "at" || f[0] == "every") {
		r.repeat = f[0] == "every"
		if r.delay, err = time.ParseDuration(f[1]); err != nil || r.delay <= 0 {
			return r, fmt.Errorf("%s wants a time like 10s, not %q", f[0], f[1])
		}
		return r, nil
	}
	if f[0] == "after" || f[0] == "every" {
		n := 0
		if len(f) > 1 {
			n, err = strconv.Atoi(f[1])
		}
		if len(f) < 3 || err != nil || n < 1 {
			return r, fmt.Errorf("%s wants a count and a point", f[0])
		}
		if f[0] == "after" {
			r.after = n
		} else {
			r.every, r.times = n, 0
		}
		f = f[2:]
	}
	r.point, f = f[0], f[1:]
	if !isPoint(r.point) {
		return r, fmt.Errorf("unknown point %q: neither a command, like cmgs, nor any of any, %s", r.point, strings.Join(moments, ", "))
	}
	if len(f) == 1 && strings.HasPrefix(f[0], "x") {
		if r.times, err = strconv.Atoi(f[0][1:]); err == nil && r.times > 0 {
			return r, nil
		}
	}
	if len(f) > 0 {
		return r, fmt.Errorf("cannot read %q; a repeat count looks like x3", strings.Join(f, " "))
	}
	return r, nil
}

// isPoint: a script that waits for what never comes would be a silent mistake.
func isPoint(point string) bool {
	if point == "any" || slices.Contains(moments, point) {
		return true
	}
	for name := range verbs {
		if pointOf(name) == point {
			return true
		}
	}
	return false
}

// pointOf is the name of a command in a script: "cmgs" of "+CMGS".
func pointOf(name string) string { return strings.ToLower(strings.TrimLeft(name, "+^#$*%_&")) }

func parseArg(w want, s string) (arg, error) {
	var a arg
	var err error
	switch w {
	case wantNothing:
		if s != "" {
			return a, fmt.Errorf("wants nothing more, not %q", s)
		}
	case wantNumber:
		if a.n, err = strconv.Atoi(s); err != nil || a.n < 0 {
			return a, fmt.Errorf("wants a number, not %q", s)
		}
	case wantDuration:
		if a.span, err = time.ParseDuration(s); err != nil || a.span <= 0 {
			return a, fmt.Errorf("wants a time like 20s, not %q", s)
		}
	case wantSpan:
		if s == "" {
			return a, nil
		}
		d, ok := strings.CutPrefix(s, "for ")
		if a.span, err = time.ParseDuration(d); !ok || err != nil || a.span <= 0 {
			return a, fmt.Errorf("wants nothing or \"for 20s\", not %q", s)
		}
	case wantWords, wantText:
		if a.text = s; w == wantText && s == "" {
			return a, errors.New("wants some words")
		}
	case wantOnOff, wantOutIn, wantFullFree, wantResetPower, wantFlip:
		a.text = s
		if of := choices[w]; !slices.Contains(of, s) {
			return a, fmt.Errorf("wants %s, not %q", strings.Join(of, " or "), s)
		}
	case wantCode:
		kind, digits, _ := strings.Cut(s, " ")
		a.text = kind
		if a.n, err = strconv.Atoi(digits); err != nil || kind != "cms" && kind != "cme" {
			return a, fmt.Errorf("wants cms or cme and a number, not %q", s)
		}
	}
	return a, nil
}
