package modem

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tillpost/queue/route"
)

// trace is what a technician asks for first when a modem is strange: the last
// lines that passed between it and us. It is kept in memory alone, and nothing
// gets into it that a log may not hold: a line is masked before it is kept.
type trace struct {
	mu    sync.Mutex
	lines []route.Line // a ring, once it is full
	next  int          // the place of the oldest, and of the next one
}

// traceKept lines are 30 KB or so, and some minutes of a modem that sends.
const traceKept = 500

// hear keeps a line.
func (t *trace) hear(out bool, line string) {
	l := route.Line{At: time.Now(), Out: out, Text: maskLine(line)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < traceKept {
		t.lines = append(t.lines, l)
		return
	}
	t.lines[t.next] = l
	t.next = (t.next + 1) % traceKept
}

var _ route.Tracer = (*Modem)(nil)

// Trace returns the last lines of the conversation with the modem.
func (m *Modem) Trace() []route.Line {
	t := &m.trace
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Concat(t.lines[t.next:], t.lines[:t.next])
}

// telling are the commands and answers that hold nothing of a customer, of the
// SIM or of the place of the box, so that their words in quotes may be seen.
// Long digits are masked in them as well.
var telling = []string{"AT+CPMS", "+CPMS", "AT+CSCS", "+CSCS", "AT+COPS", "+COPS", "AT+QCFG", "+QCFG"}

// secret are the commands whose values are nobody's business (TS 27.007 §8.3,
// §7.4, §7.5): not even how long they are.
var secret = []string{"AT+CPIN=", "AT+CLCK=", "AT+CPWD=", "AT^CPIN="}

const (
	leastPDU    = 16 // hex digits; shorter ones are read as numbers
	leastNumber = 5  // digits in a row that may be a number of somebody
	masked      = "…"
)

// maskLine writes a line without what must not be kept. A line that is no
// command, no result and no answer with a name is free text: a model, a number
// of the SIM, a piece of a network's words. Of that, and of PDUs, only the
// length is kept.
func maskLine(s string) string {
	if len(s) >= leastPDU && len(s)%2 == 0 && allOf(s, isHexDigit) {
		return fmt.Sprintf("(PDU, %d octets)", len(s)/2)
	}
	for _, cmd := range secret {
		if strings.HasPrefix(s, cmd) {
			return cmd + masked
		}
	}
	if !named(s) {
		return fmt.Sprintf("(%d characters)", len([]rune(s)))
	}
	if name, rest, ok := strings.Cut(s, ":"); ok && wordy(s) {
		return fmt.Sprintf("%s: (%d characters)", name, len([]rune(strings.TrimSpace(rest))))
	}
	open := slices.ContainsFunc(telling, func(name string) bool { return strings.HasPrefix(s, name) })
	var b strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"':
			end := strings.IndexByte(s[i+1:], '"')
			if end < 0 { // its text goes on in the next line
				return b.String() + `"` + masked
			}
			if inside := s[i+1 : i+1+end]; inside == "" || open && longestDigits(inside) < leastNumber {
				b.WriteString(s[i : i+end+2])
			} else {
				b.WriteString(`"` + masked + `"`)
			}
			i += end + 2
		case isDigit(c):
			end := i
			for end < len(s) && isDigit(s[end]) {
				end++
			}
			if end-i >= leastNumber {
				b.WriteString(masked)
			} else {
				b.WriteString(s[i:end])
			}
			i = end
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// named: the line is a command, a result, or an answer that says what it is
// about. Results are those of TS 27.005 §3.2.5, 27.007 §9.2 and V.250 §5.7.1.
func named(s string) bool {
	switch s {
	case "OK", "ERROR", ">", "RING", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS":
		return true
	}
	if strings.HasPrefix(s, "AT") {
		return true
	}
	if s == "" || !strings.ContainsRune("+^*_$#", rune(s[0])) {
		return false
	}
	name, _, _ := strings.Cut(s[1:], ":")
	return len(name) > 0 && len(name) <= 16 && allOf(name, isNameByte)
}

// wordy reports whether the values of an answer hold words outside quotes, as
// people write them: devices speak in capitals, except of errors. What an
// operator writes (+CUSD) is words in any case.
func wordy(s string) bool {
	switch {
	case strings.HasPrefix(s, "+CUSD"):
		return true
	case strings.HasPrefix(s, "AT"), strings.HasPrefix(s, "+CME ERROR"), strings.HasPrefix(s, "+CMS ERROR"):
		return false
	}
	quoted := false
	for i := range len(s) {
		if s[i] == '"' {
			quoted = !quoted
		}
		if !quoted && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 0x80) {
			return true
		}
	}
	return false
}

func allOf(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool    { return c >= '0' && c <= '9' }
func isHexDigit(c byte) bool { return isDigit(c) || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f' }
func isNameByte(c byte) bool {
	return isDigit(c) || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == ' '
}

// longestDigits counts the longest row of digits.
func longestDigits(s string) (most int) {
	row := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			row = 0
			continue
		}
		row++
		most = max(most, row)
	}
	return most
}
