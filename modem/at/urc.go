package at

import (
	"strconv"
	"strings"
)

// URC is one kind of line that a modem says unasked (unsolicited result code).
type URC struct {
	Prefix string // "+CMTI", "RING": the line is it, or goes on with something that is no letter or digit
	PDU    bool   // the next line is a PDU and belongs to it
	Ignore bool   // nobody wants it: it is taken out and forgotten
}

// Standard holds the unsolicited lines of 3GPP TS 27.005 and 27.007 that
// matter to short messages. Package modem has the long list with the vendors'.
var Standard = []URC{
	{Prefix: "+CMTI"},
	{Prefix: "+CMT", PDU: true},
	{Prefix: "+CDSI"},
	{Prefix: "+CDS", PDU: true},
	{Prefix: "+CBM", PDU: true, Ignore: true},
	{Prefix: "+CREG"},
	{Prefix: "+CGREG"},
	{Prefix: "+CEREG"},
	{Prefix: "+CUSD"},
	{Prefix: "+CPIN"},
	{Prefix: "RING"},
}

// Event is one thing that the modem said unasked, or one late answer.
type Event struct {
	Prefix string // the URC's
	Line   string // the line as it came
	PDU    string // hex of the PDU line; empty if the modem never sent it
	Late   *Late  // set: this is a late answer, and the rest is empty
}

// Args is what follows the prefix and its colon.
func (e Event) Args() string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(e.Line, e.Prefix), ":"))
}

// Late is the answer of a Submit that had been given up.
type Late struct {
	Tag any    // as given to Submit
	MR  int    // as in Submitted, if Err is nil
	Err *Error // the modem's refusal
}

// urc finds the entry for line.
func (c *Conn) urc(line string) (URC, bool) {
	// The prefix is the longest run before the first separator; a few have a
	// blank inside ("SMS Ready", "+AT: READY"), so the whole line is tried
	// first, then ever shorter heads.
	for end := len(line); end > 0; {
		if u, ok := c.urcs[line[:end]]; ok {
			return u, true
		}
		end = strings.LastIndexAny(line[:end], ": ,=")
	}
	return URC{}, false
}

// answers tells whether a line that could be unsolicited is the answer of the
// command in flight. Registration, PIN state and the like have one prefix for
// both: only a query gets an answer, and that of +CREG? has <n> before <stat>
// (27.007 §7.2), where the unsolicited form has <stat> alone or with quoted
// area and cell behind it.
func (x *exchange) answers(u URC, line string) bool {
	if "AT"+u.Prefix != x.name || !strings.Contains(x.cmd, "?") || u.Prefix == "+CUSD" {
		return false
	}
	switch u.Prefix {
	case "+CREG", "+CGREG", "+CEREG":
		_, rest, ok := strings.Cut(line, ",")
		return ok && !strings.HasPrefix(strings.TrimSpace(rest), `"`)
	}
	return true
}

// takesPDU tells whether the hex line s belongs to the header that waits for
// its PDU, rather than to the command in flight.
func (c *Conn) takesPDU(s string) bool {
	if c.header == nil || !isHex(s) {
		return false
	}
	if fitsLength(s, headerLength(c.header.Line)) {
		// A listing may want a PDU of the same length: the later header wins.
		x := c.cur
		return x == nil || !fitsLength(s, x.wants) || c.headerAt > x.wantsAt
	}
	// The length is wrong. While a command is in flight the line may be its
	// answer, a PDU of a listing or an ICCID, which is all hex too; otherwise
	// nobody else can want it.
	if x := c.cur; x != nil {
		return x.wants < 0 && len(s) > 24
	}
	return len(s) >= 14
}

// headerLength reads the TPDU's length, the last number of "+CMT: ,25",
// "+CDS: 25" or "+CMGL: 1,1,,25"; -1 if there is none.
func headerLength(line string) int {
	i := strings.LastIndexAny(line, ",:")
	n, err := strconv.Atoi(strings.TrimSpace(line[i+1:]))
	if err != nil {
		return -1
	}
	return n
}

// fitsLength tells whether the hex s is an SMSC field and n octets of TPDU.
func fitsLength(s string, n int) bool {
	if len(s) < 2 || n < 0 {
		return false
	}
	sca, err := strconv.ParseUint(s[:2], 16, 8)
	return err == nil && len(s) == 2*(1+int(sca)+n)
}

func isHex(s string) bool {
	if len(s) == 0 || len(s)%2 != 0 {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case '0' <= b && b <= '9', 'A' <= b && b <= 'F', 'a' <= b && b <= 'f':
		default:
			return false
		}
	}
	return true
}

// Queue of events. While room is full the reader stops reading between
// commands: the line's own flow control then holds the modem back, and nothing
// is acknowledged that nobody took. While a command is in flight it must read
// on, up to flood; beyond that events are dropped and counted. Each of the
// first kind is repeated by the network, or found on the SIM by a sweep.
const (
	room  = 256
	flood = 4096
)

// Ready is signalled when Take has something.
func (c *Conn) Ready() <-chan struct{} { return c.ready }

// Take returns the oldest event.
func (c *Conn) Take() (Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) == 0 {
		return Event{}, false
	}
	e := c.events[0]
	c.events[0] = Event{}
	c.events = c.events[1:]
	if len(c.events) == 0 {
		c.events = nil
	} else {
		c.signal()
	}
	c.room.Broadcast()
	return e, true
}

// Lost counts the events dropped in a flood.
func (c *Conn) Lost() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

func (c *Conn) push(e Event) {
	if len(c.events) >= flood {
		c.lost++
		return
	}
	c.events = append(c.events, e)
	c.signal()
}

func (c *Conn) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// waitRoom holds the reader back while the queue is full.
func (c *Conn) waitRoom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.events) >= room && c.cur == nil && c.err == nil {
		c.room.Wait()
	}
}
