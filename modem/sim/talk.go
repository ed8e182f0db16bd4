package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	esc   = 0x1b
	ctrlZ = 0x1a
	cr    = 0x0d
	bs    = 0x08
)

// result is what a command answers.
type result struct {
	kind resultKind
	code int // of +CMS and +CME ERROR

	after time.Duration // how long the command takes…
	then  func() result // …and what it answers then
	open  bool          // a prompt is open; the answer comes after it
}

type resultKind byte

const (
	resultOK resultKind = iota
	resultError
	resultCMS
	resultCME
	resultVoid // the modem is no longer there to answer
)

var (
	success = result{}
	failure = result{kind: resultError}
	silence = result{kind: resultVoid}
)

func cms(code int) result { return result{kind: resultCMS, code: code} }
func cme(code int) result { return result{kind: resultCME, code: code} }

// prompt is the state after "> ": text comes until Ctrl-Z or ESC.
type prompt struct {
	text  []byte
	shown bool
	done  func(text string) result
}

// promptLimit is more than the longest PDU in hex, and less than a runaway.
const promptLimit = 1024

// work looks at what came from the terminal, as far as the modem listens.
func (m *Modem) work() {
	for len(m.input) > 0 && !m.deaf && m.stuck == "" && m.gone == nil {
		b := m.input[0]
		switch {
		case m.hung || m.frozen:
			m.input = m.input[1:]
			if b == esc && !m.frozen {
				m.abandon()
			}
		case m.busy:
			return
		default:
			m.input = m.input[1:]
			m.feed(b)
		}
	}
}

// abandon ends a command that never answers.
func (m *Modem) abandon() {
	m.task++
	m.hung, m.frozen, m.busy = false, false, false
	m.prompt, m.info, m.tamper, m.typed = nil, nil, tamper{}, nil
	m.release()
}

func (m *Modem) feed(b byte) {
	if m.prompt != nil {
		m.feedPrompt(b)
		return
	}
	switch b {
	case cr:
		m.echoBack(b)
		line := string(m.typed)
		m.typed = nil
		m.enter(line)
	case bs:
		m.echoBack(b)
		m.typed = m.typed[:max(0, len(m.typed)-1)]
	case 0, '\n', esc, ctrlZ: // noise between commands
	default:
		m.echoBack(b)
		if len(m.typed) <= lineLimit {
			m.typed = append(m.typed, b)
		}
		if strings.EqualFold(string(m.typed), "A/") { // V.250 §5.2.4: at once, without CR
			m.typed = nil
			m.enter(m.last)
		}
	}
}

func (m *Modem) echoBack(b byte) {
	if m.echo {
		m.say(string([]byte{b}))
	}
}

// enter runs a command line.
func (m *Modem) enter(line string) {
	if len(line) > lineLimit {
		m.busy = true
		m.finish(failure)
		return
	}
	line, ok := body(line)
	if !ok {
		return
	}
	m.last = "AT" + line
	cmds, err := parseLine(line)
	m.busy = true
	if err != nil {
		m.finish(failure)
		return
	}
	m.runLine(cmds)
}

// runLine runs the commands of a line up to the first that fails; the line has
// one final result (V.250 §5.4.3).
func (m *Modem) runLine(cmds []command) {
	for i, c := range cmds {
		r := m.exec(c)
		switch {
		case r.kind == resultVoid:
			return
		case r.open && i+1 < len(cmds): // nothing can follow a prompt
			m.prompt = nil
			m.finish(failure)
			return
		case r.open:
			m.openPrompt()
			return
		case r.then != nil:
			m.proceed(r, cmds[i+1:])
			return
		case r.kind != resultOK || m.tamper.hang || m.tamper.freeze:
			m.finish(r)
			return
		}
	}
	m.finish(success)
}

// proceed goes on with a line behind a command that may take its time.
func (m *Modem) proceed(r result, rest []command) {
	for r.then != nil && r.after == 0 {
		r = r.then()
	}
	switch {
	case r.kind == resultVoid:
	case r.then != nil:
		m.later(r.after, func() { m.proceed(r.then(), rest) })
	case r.kind != resultOK || m.tamper.hang || m.tamper.freeze:
		m.finish(r)
	default:
		m.runLine(rest)
	}
}

// exec runs one command. The script may act first.
func (m *Modem) exec(c command) result {
	if !m.at(pointOf(c.name), &m.tamper) {
		return silence
	}
	if m.tamper.hang || m.tamper.freeze {
		return success
	}
	if r := m.tamper.instead; r != nil {
		return *r
	}
	v, known := m.verb(c.name)
	if !known {
		return failure
	}
	return v.call(m, c)
}

// openPrompt says "> " (27.005 §3.5.1).
func (m *Modem) openPrompt() {
	if !m.at("prompt", &m.tamper) {
		return
	}
	t := m.tamper
	m.tamper = tamper{}
	switch {
	case t.hang || t.freeze:
		m.prompt = nil
		m.hang(t)
		return
	case t.instead != nil:
		m.prompt = nil
		m.finish(*t.instead)
		return
	}
	say := func() {
		text := "\r\n> "
		if t.again {
			text += text
		}
		m.say(t.spoil(text))
		m.prompt.shown = true
		m.busy = false
	}
	if t.late > 0 {
		m.later(t.late, say)
		return
	}
	say()
}

func (m *Modem) feedPrompt(b byte) {
	p := m.prompt
	switch {
	case b == esc: // nothing is sent, and the answer is OK (27.005 §3.5.1)
		m.prompt, m.busy = nil, true
		m.finish(success)
	case b == ctrlZ:
		m.prompt, m.busy = nil, true
		m.proceed(p.done(string(p.text)), nil)
	case b == bs:
		p.text = p.text[:max(0, len(p.text)-1)]
	case b == cr && m.text:
		p.text = append(p.text, '\n')
		m.say("\r\n> ")
	case b == cr, b == '\n', b == 0 && !m.text: // 0 is the @ of AT+CSCS="GSM"
	case len(p.text) < promptLimit:
		m.echoBack(b)
		p.text = append(p.text, b)
	}
}

// later runs f when d has passed, unless the command was abandoned meanwhile.
func (m *Modem) later(d time.Duration, f func()) {
	task := m.task
	m.after(d, func() {
		if m.task == task {
			f()
		}
	})
}

// finish gives the final result of a line, in its time and as the script wants it.
func (m *Modem) finish(r result) {
	t := m.tamper
	m.tamper = tamper{}
	if t.hang || t.freeze {
		m.hang(t)
		return
	}
	if t.late+m.cfg.Think == 0 {
		m.answer(r, t)
		return
	}
	m.later(t.late+m.cfg.Think, func() { m.answer(r, t) })
}

func (m *Modem) hang(t tamper) {
	m.info = nil
	m.hung, m.frozen = t.hang, t.freeze
	if t.span > 0 {
		m.later(t.span, m.abandon)
	}
}

func (m *Modem) answer(r result, t tamper) {
	var b strings.Builder
	for _, l := range m.info {
		b.WriteString(m.format(l))
	}
	switch {
	case t.mute:
	case t.text != "":
		b.WriteString(m.format(t.text))
	default:
		b.WriteString(m.resultText(r))
	}
	m.info = nil
	m.say(t.spoil(b.String()))
	m.task++
	m.busy = false
	m.release()
}

// reply adds an information line to the answer.
func (m *Modem) reply(format string, args ...any) {
	m.info = append(m.info, fmt.Sprintf(format, args...))
}

// format puts the line ends around an information line (V.250 §5.7.1, table 2).
func (m *Modem) format(line string) string {
	if m.verbose {
		return "\r\n" + line + "\r\n"
	}
	return line + "\r\n"
}

// resultText spells a final result (V.250 §5.7.1; 27.005 §3.2.5; 27.007 §9.1).
func (m *Modem) resultText(r result) string {
	if m.quiet {
		return ""
	}
	text, digit := "OK", "0"
	switch {
	case r.kind == resultCMS:
		text = "+CMS ERROR: " + m.spell(r.code, cmsNames)
		digit = text
	case r.kind == resultCME && m.cmee > 0:
		text = "+CME ERROR: " + m.spell(r.code, cmeNames)
		digit = text
	case r.kind != resultOK:
		text, digit = "ERROR", "4"
	}
	if m.verbose {
		return "\r\n" + text + "\r\n"
	}
	return digit + "\r"
}

// spell writes an error as number or, with AT+CMEE=2, as text.
func (m *Modem) spell(code int, names map[int]string) string {
	if name := names[code]; m.cmee == 2 && name != "" {
		return name
	}
	return strconv.Itoa(code)
}

// urc sends an unsolicited line, with what belongs to it on lines of its own.
func (m *Modem) urc(lines ...string) { m.intrude(m.unsolicited(lines)) }

func (m *Modem) unsolicited(lines []string) string {
	text := m.format(lines[0])
	for _, l := range lines[1:] {
		text += l + "\r\n"
	}
	return text
}

// intrude says what was not asked for, after the prompt if one is open.
func (m *Modem) intrude(text string) {
	if m.prompt != nil && m.prompt.shown {
		m.held = append(m.held, text)
		return
	}
	m.say(text)
}

// release sends what the prompt held back.
func (m *Modem) release() {
	if m.prompt != nil {
		return
	}
	for _, text := range m.held {
		m.say(text)
	}
	m.held = nil
}

// cmsNames and cmeNames are the texts of AT+CMEE=2 (27.005 §3.2.5, 27.007 §9.2;
// below 256 the causes of TS 24.011 §E.2 and TS 23.040 §9.2.3.22). A code
// without a name keeps its number, as on real modems.
var cmsNames = map[int]string{
	1:   "Unassigned (unallocated) number",
	8:   "Operator determined barring",
	10:  "Call barred",
	21:  "Short message transfer rejected",
	27:  "Destination out of service",
	28:  "Unidentified subscriber",
	29:  "Facility rejected",
	30:  "Unknown subscriber",
	38:  "Network out of order",
	41:  "Temporary failure",
	42:  "Congestion",
	47:  "Resources unavailable, unspecified",
	50:  "Requested facility not subscribed",
	69:  "Requested facility not implemented",
	95:  "Invalid message, unspecified",
	96:  "Invalid mandatory information",
	111: "Protocol error, unspecified",
	192: "SC busy",
	195: "Invalid SME address",
	196: "Destination SME barred",
	197: "SM Rejected-Duplicate SM",
	300: "ME failure",
	301: "SMS service of ME reserved",
	302: "operation not allowed",
	303: "operation not supported",
	304: "invalid PDU mode parameter",
	305: "invalid text mode parameter",
	310: "(U)SIM not inserted",
	311: "(U)SIM PIN required",
	313: "(U)SIM failure",
	314: "(U)SIM busy",
	315: "(U)SIM wrong",
	316: "(U)SIM PUK required",
	320: "memory failure",
	321: "invalid memory index",
	322: "memory full",
	330: "SMSC address unknown",
	331: "no network service",
	332: "network timeout",
	340: "no +CNMA acknowledgement expected",
	500: "unknown error",
}

var cmeNames = map[int]string{
	3:   "operation not allowed",
	4:   "operation not supported",
	10:  "SIM not inserted",
	11:  "SIM PIN required",
	12:  "SIM PUK required",
	13:  "SIM failure",
	14:  "SIM busy",
	15:  "SIM wrong",
	16:  "incorrect password",
	20:  "memory full",
	21:  "invalid index",
	22:  "not found",
	30:  "no network service",
	31:  "network timeout",
	50:  "Incorrect parameters",
	100: "unknown",
}
