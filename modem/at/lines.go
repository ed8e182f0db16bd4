package at

import (
	"errors"
	"io"
	"strings"
	"time"
)

// readLoop is the only reader of the port, until it ends.
func (c *Conn) readLoop() {
	var cut cutter
	buf := make([]byte, 4096)
	for idle := 0; ; {
		c.waitRoom()
		n, err := c.port.Read(buf)
		if n > 0 {
			idle = 0
			cut.cut(buf[:n], c.wantsPrompt, c.line, c.prompt)
		} else if err == nil {
			// A port that reads nothing without an error would make this a
			// busy loop; it is broken.
			if idle++; idle > 100 {
				err = io.ErrNoProgress
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the modem hung up (unplugged or restarted)")
			}
			c.end(err)
			return
		}
	}
}

// wantsPrompt tells whether a prompt is awaited, and the echo it may be glued to.
func (c *Conn) wantsPrompt() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.cur
	return cmdOf(x), x != nil && x.sms && !x.prompted
}

func cmdOf(x *exchange) string {
	if x == nil {
		return ""
	}
	return x.cmd
}

// prompt lets the prompt through, once: the engine answers each with the PDU.
func (c *Conn) prompt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.cur
	if x == nil || x.prompted {
		return
	}
	x.prompted = true
	x.writes++
	c.cfg.Tap(false, ">")
	c.feed.push(">")
}

// line sorts one line: echo, unsolicited, final result, information.
func (c *Conn) line(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard++
	c.cfg.Tap(false, s)
	if strings.HasPrefix(s, ">") { // a prompt nobody waits for: a second one, or one after ESC
		if s = strings.TrimLeft(s, "> "); s == "" {
			return
		}
	}
	x := c.cur
	if x != nil && (s == x.cmd || s == x.pdu) {
		c.echoes++
		return // echo, matched by content: unsolicited lines may come before it
	}
	if c.takesPDU(s) {
		e := c.header
		c.header = nil
		e.PDU = s
		c.announce(*e)
		return
	}
	if u, ok := c.urc(s); ok && (x == nil || !x.answers(u, s)) {
		c.unsolicited(u, s)
		return
	}
	if c.quote != nil && s != "OK" && s != "ERROR" && !strings.HasPrefix(s, "+CM") {
		c.goesOn(s)
		return
	}
	if mapped, ok := final(s, x); ok {
		c.final(mapped)
		return
	}
	if name, ok := sends(s); ok && (x == nil || x.name != name || x.phase != Gone) {
		c.late(s)
		return
	}
	if x == nil {
		c.unknown(s)
		return
	}
	c.information(x, s)
}

func (c *Conn) unsolicited(u URC, s string) {
	if c.header != nil && u.PDU { // the PDU of the earlier one never came
		c.announce(*c.header)
		c.header = nil
	}
	if c.quote != nil { // its closing quote never came
		c.announce(*c.quote)
		c.quote = nil
	}
	e := Event{Prefix: u.Prefix, Line: s}
	switch {
	case u.PDU:
		c.header, c.headerAt = &e, c.heard
	case strings.Count(s, `"`)%2 == 1:
		c.quote = &e
	default:
		c.announce(e)
	}
}

// goesOn adds a line to a quoted text that has line breaks: what the network
// writes into a USSD answer.
func (c *Conn) goesOn(s string) {
	e := c.quote
	e.Line += "\n" + s
	if strings.Contains(s, `"`) || len(e.Line) > maxLine {
		c.quote = nil
		c.announce(*e)
	}
}

func (c *Conn) announce(e Event) {
	if !c.urcs[e.Prefix].Ignore {
		c.push(e)
	}
}

// information passes a line of the answer on.
func (c *Conn) information(x *exchange, s string) {
	if x.lines++; x.lines > maxLines {
		return
	}
	if strings.HasPrefix(s, x.name[len("AT"):]+":") {
		x.wants, x.wantsAt = headerLength(s), c.heard
		if d, ok := mayLackOK[x.name]; ok {
			x.accepted = true
			x.move(d)
		}
	}
	if fitsLength(s, x.wants) && isHex(s) {
		x.wants = -1
	}
	c.feed.push(s + "\n")
}

// maxLines bounds one answer; 255 stored messages take 510.
const maxLines = 4096

// mayLackOK lists the commands whose information line is the result, with the
// wait for an OK that some modems leave out: old Wavecom after +CPIN, and a
// +CMGS whose OK was lost is still an accepted message.
var mayLackOK = map[string]time.Duration{
	"AT+CPIN": time.Second,
	"AT+CMGS": 2 * time.Second,
	"AT+CMSS": 2 * time.Second,
}

// final ends the command in flight, or is recognised as somebody else's.
func (c *Conn) final(mapped string) {
	x := c.cur
	refused := mapped != "OK"
	switch {
	case time.Now().Before(c.stale):
		c.stale = time.Time{} // the OK of the late +CMGS just reported
	case c.owes() && !c.murky && strings.HasPrefix(mapped, "+CMS") && x == nil:
		// A CMS error where nothing of ours can have one: it answers the
		// Submit that was given up.
		c.push(Event{Late: &Late{Tag: c.owed.tag, MR: -1, Err: numbered("AT+CMGS", "CMS", strings.TrimSpace(mapped[len("+CMS ERROR:"):]))}})
		c.owed = nil
	case c.owes() && strings.HasPrefix(mapped, "+CMS") && x != nil && x.sms && x.phase != Gone:
		// It answers the Submit that was given up, or the one that has no
		// prompt yet: nobody can tell, so it is credited to neither. If it was
		// this one's, its prompt stays out, and nothing was sent.
		c.owed = nil
	case x == nil:
		c.cfg.Log.Debug("a final result that nobody waits for")
	case x.sms && !refused && x.phase != Gone:
		// CMGS has no OK before its Ctrl-Z: whatever this answers is over.
	default:
		c.cur = nil
		c.feed.push(mapped + "\n")
	}
}

// sends recognises the line by which a modem confirms a message, and names its
// command.
func sends(line string) (name string, ok bool) {
	for _, name := range []string{"AT+CMGS", "AT+CMSS"} {
		if strings.HasPrefix(line, name[len("AT"):]+":") {
			return name, true
		}
	}
	return "", false
}

// late takes a +CMGS or +CMSS that no submission of ours can have: its Ctrl-Z has not
// left yet. Crediting it to the next message would lose that one silently.
func (c *Conn) late(s string) {
	c.stale = time.Now().Add(staleOK)
	if !c.owes() {
		c.cfg.Log.Warn("the modem confirmed a message that nobody waits for")
		return
	}
	c.push(Event{Late: &Late{Tag: c.owed.tag, MR: parseMR(s[len("+CMGS:"):])}})
	c.owed = nil
}

// owes tells whether the answer of a given up Submit may still come.
func (c *Conn) owes() bool { return c.owed != nil && time.Now().Before(c.owedUntil) }

// staleOK is how long after a late +CMGS its OK may follow: they come together.
const staleOK = 500 * time.Millisecond

// unknown notes a line outside a command, once for each prefix.
func (c *Conn) unknown(s string) {
	if !strings.ContainsRune("+^*_$#", rune(s[0])) {
		return
	}
	prefix := s
	if i := strings.IndexAny(s, ": ,="); i > 0 {
		prefix = s[:i]
	}
	if len(prefix) > 16 || c.seen[prefix] || len(c.seen) > 64 {
		return
	}
	c.seen[prefix] = true
	c.cfg.Log.Info("unknown unsolicited line", "prefix", prefix)
}

// final recognises a final result and spells it as the engine reads it.
// Results of a call (NO CARRIER, BUSY) are none of ours: they end a voice call
// that may run beside, and we never dial.
func final(s string, x *exchange) (string, bool) {
	switch {
	case s == "OK":
		return "OK", true
	case s == "ERROR":
		return "ERROR", true
	case s == "COMMAND NOT SUPPORT", s == "TOO MANY PARAMETERS": // Huawei
		return "+CME ERROR: " + s, true
	case s == "NO CARRIER" && x != nil && hangsUp[x.name]:
		return "OK", true
	case x != nil && (s == "0" || s == "4"): // ATV0, before ATV1 was heard (V.250 §6.2.6)
		return map[string]string{"0": "OK", "4": "ERROR"}[s], true
	}
	for _, kind := range []string{"+CMS ERROR", "+CME ERROR"} {
		if rest, ok := strings.CutPrefix(s, kind); ok { // Huawei leaves the colon out
			return kind + ": " + strings.TrimSpace(strings.TrimPrefix(rest, ":")), true
		}
	}
	return "", false
}

// hangsUp are the commands that some modems answer with NO CARRIER.
var hangsUp = map[string]bool{"ATH": true, "AT+CHUP": true}
