package at

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"
)

// exchange is one command and its answer. Its fields belong to Conn.mu.
type exchange struct {
	cmd   string // "AT+CMGL=4"
	name  string // "AT+CMGL"
	limit time.Duration
	moved chan time.Duration // a new time limit, from now

	sms   bool // it has a prompt and a PDU
	sends bool // its answer says whether the network has a message
	pdu   string
	tag   any

	// writes counts the writes that the engine is at, or about to begin: it
	// listens to nothing meanwhile. To end it then is to fail the write; to
	// end it else is to feed it a final result. Both at once would leave a
	// result for the next command.
	writes   int
	prompted bool
	phase    Phase
	accepted bool  // the information line that is the result has come
	cause    error // why we gave it up
	wants    int   // length of the TPDU that its last header announced, -1 none
	wantsAt  uint64
	lines    int
}

func newExchange(cmd string, limit time.Duration) *exchange {
	name := cmd
	if i := strings.IndexAny(cmd, "=?"); i >= 0 {
		name = cmd[:i]
	}
	return &exchange{cmd: cmd, name: name, limit: limit, moved: make(chan time.Duration, 1), writes: 1, wants: -1}
}

// move sets a new time limit.
func (x *exchange) move(d time.Duration) {
	select {
	case <-x.moved: // not yet seen: the newer one holds
	default:
	}
	x.moved <- d
}

// expire is called when the time limit of x has passed.
func (c *Conn) expire(x *exchange) {
	c.mu.Lock()
	if c.cur == x && x.accepted {
		// Only the OK is missing. It may still come and would be taken for
		// the next command's.
		c.cur, c.unsure = nil, true
		c.feed.push("OK\n")
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.giveUp(x, ErrTimeout)
}

// cancel gives x up unless a PDU of it has begun to leave: then only its
// answer counts.
func (c *Conn) cancel(x *exchange, cause error) {
	c.mu.Lock()
	begun := x.phase != Nothing
	c.mu.Unlock()
	if !begun {
		c.giveUp(x, cause)
	}
}

// giveUp makes the engine return without a final result.
func (c *Conn) giveUp(x *exchange, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cur != x || x.cause != nil {
		return
	}
	x.cause = cause
	c.abandon(x)
	if x.writes > 0 {
		c.port.SetWriteDeadline(time.Unix(1, 0)) // an error here means it is closed, which ends the write too
		return
	}
	c.cur = nil
	c.feed.push("ERROR\n")
}

// Restarted tells the conversation that the modem came up anew: the command in
// flight ends with ErrRestarted, and no answer is owed any more.
func (c *Conn) Restarted() {
	c.mu.Lock()
	x := c.cur
	c.mu.Unlock()
	if x != nil {
		c.giveUp(x, ErrRestarted)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed, c.header, c.quote = nil, nil, nil
	c.dirty = true
}

// abandon notes that the answer of x may still come.
func (c *Conn) abandon(x *exchange) {
	c.dirty = true
	switch {
	case x.sends && x.phase == Gone:
		c.owed, c.owedUntil, c.lingered, c.murky = x, time.Now().Add(owedFor), false, false
	case x.name != "AT":
		c.murky = true // its answer, too, may be a late +CMS ERROR
	}
}

// owedFor is how long a late answer still has its Submit. After that the
// network's own timers have long run out.
const owedFor = 5 * time.Minute

// shim is the modem as the engine sees it.
type shim struct{ c *Conn }

func (s *shim) Read(p []byte) (int, error) { return s.c.feed.read(p) }

// Write takes what the engine writes: a command, the PDU with its Ctrl-Z, or
// the ESC by which it cancels.
func (s *shim) Write(p []byte) (int, error) {
	var err error
	switch {
	case p[0] == esc:
		err = s.c.escape()
	case p[len(p)-1] == ctrlZ:
		err = s.c.writePDU(p[:len(p)-1])
	default:
		// CR alone ends a command: CR LF leaves an LF in front of the PDU
		// that a few firmwares trip over.
		err = s.c.writeCommand(append(bytes.TrimRight(p, "\r\n"), '\r'))
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

const (
	ctrlZ = 0x1A
	esc   = 0x1B
)

// allow sets the deadline of the next write of x, unless x was given up.
func (c *Conn) allow(x *exchange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return ErrClosed
	case x == nil || c.cur != x:
		return ErrOutOfStep
	case x.cause != nil:
		return x.cause
	}
	return c.port.SetWriteDeadline(time.Now().Add(c.cfg.Write))
}

func (c *Conn) current() *exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cur
}

func (c *Conn) writeCommand(p []byte) error {
	x := c.current()
	if err := c.allow(x); err != nil {
		return c.written(x, err)
	}
	whole := x.sends && !x.sms // AT+CMSS: the command itself is what sends
	if whole {
		c.phase(x, Gone) // before the write, as in writePDU
	}
	c.cfg.Tap(true, x.cmd)
	n, err := c.port.Write(p)
	switch {
	case !whole:
	case err != nil && n < len(p):
		c.phase(x, Nothing) // without its CR it is no command
	default:
		c.patient(x)
	}
	return c.written(x, err)
}

// patient lets x wait for the network from now on.
func (c *Conn) patient(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !x.accepted {
		x.move(c.cfg.Patience)
	}
}

// writePDU writes the PDU, then Ctrl-Z, and keeps the phase.
func (c *Conn) writePDU(pdu []byte) error {
	x := c.current()
	c.mu.Lock()
	gap := c.cfg.PromptGap
	c.mu.Unlock()
	if gap > 0 {
		time.Sleep(gap)
	}
	if err := c.allow(x); err != nil {
		return c.written(x, err)
	}
	c.phase(x, Writing)
	c.cfg.Tap(true, x.pdu)
	if n, err := c.port.Write(pdu); err != nil {
		if n == 0 {
			c.phase(x, Nothing)
		}
		return c.written(x, err)
	}
	if err := c.allow(x); err != nil {
		return c.written(x, err)
	}
	// Before the write, for the answer may come before we look again.
	c.phase(x, Gone)
	n, err := c.port.Write([]byte{ctrlZ})
	if err != nil && n == 0 {
		c.phase(x, Writing)
	}
	if err == nil {
		c.patient(x)
	}
	return c.written(x, err)
}

func (c *Conn) phase(x *exchange, p Phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x.phase = p
	if p == Gone {
		c.owed = nil // from here a +CMGS is ours; Resync gave the older one its time
	}
}

// written ends a write of x. From a failed one the engine returns at once, so
// nothing may be left for it to read.
func (c *Conn) written(x *exchange, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x == nil {
		return err
	}
	x.writes--
	if err == nil {
		err = x.cause
	}
	if err == nil {
		return nil
	}
	c.feed.reset()
	if c.cur == x {
		c.cur = nil
		c.abandon(x)
	}
	return err
}

// escape cancels a prompt. After Ctrl-Z there is nothing to cancel, and the
// line is to stay silent until the answer.
func (c *Conn) escape() error {
	c.mu.Lock()
	gone := c.owed != nil || c.cur != nil && c.cur.phase == Gone
	c.mu.Unlock()
	if gone {
		return nil
	}
	return c.writeEscape()
}

func (c *Conn) writeEscape() error {
	c.port.SetWriteDeadline(time.Now().Add(c.cfg.Write)) // fails only on a closed port, as the write will
	_, err := c.port.Write([]byte{esc, '\r'})
	return err
}

// feed is the stream of lines that the engine reads. Pushing never blocks:
// the reader of the port must not wait for the engine, which may be writing.
type feed struct {
	mu     sync.Mutex
	some   *sync.Cond
	buf    bytes.Buffer
	closed bool
}

func newFeed() *feed {
	f := &feed{}
	f.some = sync.NewCond(&f.mu)
	return f
}

func (f *feed) push(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf.WriteString(s)
	f.some.Signal()
}

func (f *feed) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf.Reset()
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.some.Signal()
}

// read blocks until there is something: the engine takes (0, nil) a hundred
// times for the end.
func (f *feed) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.buf.Len() == 0 && !f.closed {
		f.some.Wait()
	}
	if f.buf.Len() == 0 {
		return 0, io.EOF
	}
	return f.buf.Read(p)
}
