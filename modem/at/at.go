// Package at holds the conversation with a GSM modem over its serial line: one
// command at a time, its answer, and whatever the modem says unasked.
//
// It promises, where a bare command/response engine cannot:
//
//   - an answer belongs to the command it is credited to. A result that comes
//     after we stopped waiting is never taken for the next command's; it is
//     reported as Late, with the tag of the Submit it answers;
//   - after a time-out the line is out of step: Command and Submit answer
//     ErrOutOfStep until Resync found the modem again;
//   - of a submission it is known whether nothing, a part, or all of the PDU
//     with its Ctrl-Z has left (Phase);
//   - unsolicited lines come out in the order in which they came in, header and
//     PDU joined, through one bounded queue, and never as part of an answer;
//   - every call ends in time, also on a port that takes no bytes.
//
// The command/response engine inside is github.com/warthog618/modem/at: it
// frames commands, collects information lines, answers the prompt and reads
// final results. It never sees the port. It sees what shim.go lets through,
// with every time limit held here, because the engine's own one cannot tell
// "not sent" from "sent, not answered".
//
// The package imports nothing of ours.
package at

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	engine "github.com/warthog618/modem/at"
)

// Port is the serial line. Close must free a blocked Read, and SetWriteDeadline
// a blocked Write: an *os.File opened non-blocking, or a net.Conn.
type Port interface {
	io.ReadWriteCloser
	SetWriteDeadline(time.Time) error
}

// Config of a conversation. The zero value is usable.
type Config struct {
	// Patience is the wait from Ctrl-Z to the answer of a Submit. Networks
	// take 2 to 60 s, some modules up to 180 s, and a short wait makes
	// duplicates. Zero: 180 s.
	Patience time.Duration
	// Prompt is the wait for "> " after AT+CMGS. Zero: 10 s.
	Prompt time.Duration
	// Write is the longest that one write to the port may take. Zero: 5 s.
	Write time.Duration
	// Linger is how long Resync first waits, in silence, for the answer of a
	// Submit that was given up: an answer that came after the Ctrl-Z of the
	// next message would be taken for that one's. Zero: 10 s.
	Linger time.Duration

	Gap       time.Duration // between a final result and the next command (Telit asks for 20 ms)
	PromptGap time.Duration // between the prompt and the PDU (slow phones)

	// Owed is the answer that an earlier conversation over the same line was
	// still owed when it ended (Conn.Owed). Nil: none.
	Owed *Owed

	// URCs lists what the modem may say unasked. Nil: Standard.
	URCs []URC

	// Tap is told every line as it passes, without its line end: what we write
	// (out) and what the modem says, echoes too. Lines hold numbers, texts and
	// PINs: who keeps them must mask them first. It must not block, nor call
	// the Conn. Nil: nobody listens.
	Tap func(out bool, line string)

	// Log takes protocol notes: prefixes and counts, never a whole line, for
	// lines hold numbers, texts and PINs. Nil: silence.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		v     *time.Duration
		value time.Duration
	}{
		{&c.Patience, 180 * time.Second},
		{&c.Prompt, 10 * time.Second},
		{&c.Write, 5 * time.Second},
		{&c.Linger, 10 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.value
		}
	}
	if c.URCs == nil {
		c.URCs = Standard
	}
	if c.Tap == nil {
		c.Tap = func(bool, string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Conn is one conversation, from New to Close. Its methods may be called from
// any goroutine; commands wait for each other.
type Conn struct {
	cfg  Config
	port Port
	eng  *engine.AT
	feed *feed
	turn chan struct{} // held while a command or a resync runs
	read sync.WaitGroup

	mu     sync.Mutex
	room   *sync.Cond // the reader may read on: see waitRoom
	urcs   map[string]URC
	seen   map[string]bool // unknown prefixes already logged
	cur    *exchange       // the command whose final result is outstanding
	dirty  bool            // out of step: Resync first
	unsure bool            // an OK is missing that may still come: probe first
	heard  uint64          // lines read: Resync knows silence by it
	echoes uint64
	events []Event
	lost   uint64
	ready  chan struct{}
	err    error // why the conversation ended
	done   chan struct{}
	ended  time.Time // last final result, for Gap

	// A Submit given up after Ctrl-Z, whose answer may still come; murky when
	// another command was given up since.
	owed      *exchange
	owedUntil time.Time
	lingered  bool // Resync has waited for it
	murky     bool
	stale     time.Time // until then the next final result belongs to it

	header   *Event // +CMT, +CDS or +CBM that waits for its PDU line
	headerAt uint64 // when it came, in lines heard
	quote    *Event // +CUSD whose quoted text goes on
}

// New starts a conversation over port, which it owns from now on.
func New(port Port, cfg Config) *Conn {
	c := &Conn{
		cfg:   cfg.withDefaults(),
		port:  port,
		feed:  newFeed(),
		turn:  make(chan struct{}, 1),
		seen:  map[string]bool{},
		ready: make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
	if o := cfg.Owed; o != nil {
		c.owed, c.owedUntil, c.lingered = newExchange("AT+CMGS", 0), o.Until, true
		c.owed.tag = o.Tag
	}
	c.room = sync.NewCond(&c.mu)
	c.urcs = make(map[string]URC, len(c.cfg.URCs))
	for _, u := range c.cfg.URCs {
		c.urcs[u.Prefix] = u
	}
	// No guard after ESC: the shim decides itself when ESC is written and
	// Resync waits longer than any guard. WithCmds only silences the default.
	c.eng = engine.New(&shim{c}, engine.WithEscTime(time.Millisecond), engine.WithCmds())
	c.read.Go(c.readLoop)
	return c
}

// Close ends the conversation: the port is closed, commands in flight answer
// ErrClosed, and every goroutine is gone when it returns.
func (c *Conn) Close() error {
	err := c.port.Close()
	c.end(ErrClosed)
	c.read.Wait()
	<-c.eng.Closed()
	return err
}

// Done is closed when the conversation has ended; Err says why.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil while the conversation lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end marks the conversation as over, once.
func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	c.feed.close()
	c.room.Broadcast()
}

// Owed is the answer of a Submit that was given up and may still come. A modem
// that was silent when the line was closed may give it when it is open again.
type Owed struct {
	Tag   any
	Until time.Time
}

// Owed returns what is owed now, nil if nothing is.
func (c *Conn) Owed() *Owed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.owes() {
		return nil
	}
	return &Owed{c.owed.tag, c.owedUntil}
}

// Pace sets Config.Gap and Config.PromptGap, once it is known what the modem
// wants.
func (c *Conn) Pace(gap, prompt time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg.Gap, c.cfg.PromptGap = gap, prompt
}

// Echoes counts the commands that came back as echo. A modem that was told
// ATE0 and echoes again has restarted.
func (c *Conn) Echoes() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.echoes
}

// Command sends cmd, spelled whole ("AT+CSQ"), and returns the information
// lines of its answer. Lines of other origin may be among them: search by
// prefix (Find), never by position.
//
// The error is an *Error if the modem refused, ErrTimeout after timeout,
// ErrOutOfStep, ErrClosed, ErrCommand, or the cause of ctx.
func (c *Conn) Command(ctx context.Context, cmd string, timeout time.Duration) ([]string, error) {
	if err := check(cmd); err != nil {
		return nil, err
	}
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	defer c.give()
	return c.command(ctx, cmd, timeout, false)
}

// command runs with the turn held; resync lets it pass the quarantine.
func (c *Conn) command(ctx context.Context, cmd string, timeout time.Duration, resync bool) ([]string, error) {
	x := newExchange(cmd, timeout)
	if err := c.begin(ctx, x, resync); err != nil {
		return nil, err
	}
	return c.await(ctx, x, func() ([]string, error) {
		return c.eng.Command(cmd[len("AT"):], engine.WithTimeout(-1))
	})
}

// Phase is how far the PDU of a Submit got.
type Phase int

const (
	Nothing Phase = iota // no byte of the PDU has left
	Writing              // bytes of the PDU have left, its Ctrl-Z has not: the modem cannot have sent it
	Gone                 // Ctrl-Z is with the modem: only its answer says more
)

func (p Phase) String() string {
	return [...]string{"nothing written", "PDU begun", "Ctrl-Z gone"}[p]
}

// Submitted is the outcome of a Submit.
type Submitted struct {
	Phase Phase
	MR    int // TP-MR, 0 to 255; -1 if the modem accepted without naming it
}

// Submit sends one short message with AT+CMGS in PDU mode. length is the
// number of octets of the TPDU without its SMSC field, pdu the hex of both
// (3GPP TS 27.005 §3.5.1, §4.3). tag comes back in a Late result.
//
// Without error the network has the message. With an error Phase says what it
// means: below Gone nothing was sent, in Gone the outcome is the *Error of the
// modem or, for any other error, unknown.
//
// When ctx is cancelled before the first byte of the PDU, Submit gives up;
// after it, it goes on to the answer, for at most Patience. A deadline of ctx
// always holds.
func (c *Conn) Submit(ctx context.Context, tag any, length int, pdu string) (Submitted, error) {
	none := Submitted{MR: -1}
	if err := checkPDU(length, pdu); err != nil {
		return none, err
	}
	x := newExchange("AT+CMGS="+strconv.Itoa(length), c.cfg.Prompt)
	x.sms, x.sends, x.pdu, x.tag = true, true, pdu, tag
	info, out, err := c.submit(ctx, x, func() ([]string, error) {
		return c.eng.SMSCommand(x.cmd[len("AT"):], pdu, engine.WithTimeout(-1))
	})
	if line, ok := Find(info, "+CMGS"); ok {
		out.MR = parseMR(line)
	}
	return out, err
}

// Store writes one short message into the modem's memory with AT+CMGW, without
// sending it, and returns its place (27.005 §3.5.3). length and pdu are as for
// Submit. Whatever the error is, nothing was sent.
func (c *Conn) Store(ctx context.Context, length int, pdu string) (index int, err error) {
	if err := checkPDU(length, pdu); err != nil {
		return 0, err
	}
	x := newExchange("AT+CMGW="+strconv.Itoa(length), c.cfg.Prompt)
	x.sms, x.pdu = true, pdu
	info, _, err := c.submit(ctx, x, func() ([]string, error) {
		return c.eng.SMSCommand(x.cmd[len("AT"):], pdu, engine.WithTimeout(-1))
	})
	if err != nil {
		return 0, err
	}
	line, _ := Find(info, "+CMGW")
	if index, err = strconv.Atoi(line); err != nil || index < 0 {
		return 0, fmt.Errorf("AT+CMGW: the answer %q names no place", line)
	}
	return index, nil
}

// SubmitStored sends the message that Store wrote, with AT+CMSS (27.005
// §3.5.2). Its outcome reads as that of Submit; there is no PDU to be in the
// middle of, so Phase is Nothing until the command has left, and then Gone.
func (c *Conn) SubmitStored(ctx context.Context, tag any, index int) (Submitted, error) {
	x := newExchange("AT+CMSS="+strconv.Itoa(index), c.cfg.Prompt)
	x.sends, x.tag = true, tag
	info, out, err := c.submit(ctx, x, func() ([]string, error) {
		return c.eng.Command(x.cmd[len("AT"):], engine.WithTimeout(-1))
	})
	if line, ok := Find(info, "+CMSS"); ok {
		out.MR = parseMR(line)
	}
	return out, err
}

// submit runs x, which is about a message, and tells how far it got.
func (c *Conn) submit(ctx context.Context, x *exchange, call func() ([]string, error)) ([]string, Submitted, error) {
	none := Submitted{MR: -1}
	if err := c.take(ctx); err != nil {
		return nil, none, err
	}
	defer c.give()
	if err := c.begin(ctx, x, false); err != nil {
		return nil, none, err
	}
	info, err := c.await(ctx, x, call)
	c.mu.Lock()
	defer c.mu.Unlock()
	return info, Submitted{Phase: x.phase, MR: -1}, err
}

func checkPDU(length int, pdu string) error {
	if !isHex(pdu) || length <= 0 {
		return fmt.Errorf("%w: a PDU of %d octets in %d characters that are not all hex", ErrCommand, length, len(pdu))
	}
	return nil
}

// take waits for the turn.
func (c *Conn) take(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-c.done:
		return c.closed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Conn) give() { <-c.turn }

func (c *Conn) closed() error { return closed(c.Err()) }

// closed is ErrClosed and, where it was not us, why.
func closed(err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// begin makes x the command in flight.
func (c *Conn) begin(ctx context.Context, x *exchange, resync bool) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	err, gap := c.err, time.Duration(0)
	if c.cfg.Gap > 0 {
		gap = c.cfg.Gap - time.Since(c.ended)
	}
	dirty, unsure := c.dirty && !resync, c.unsure && !resync
	c.mu.Unlock()
	switch {
	case err != nil:
		return closed(err)
	case dirty:
		return ErrOutOfStep
	case gap > 0:
		time.Sleep(gap)
	}
	if unsure {
		if err := c.find(ctx, probes); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return closed(c.err)
	}
	c.cur = x
	c.room.Broadcast() // while an answer is awaited the reader reads on
	return nil
}

// await runs call, which talks through the engine, and holds the time limits
// of x. It returns only after call has.
func (c *Conn) await(ctx context.Context, x *exchange, call func() ([]string, error)) ([]string, error) {
	type answer struct {
		info []string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		info, err := call()
		answers <- answer{info, err}
	}()
	timer := time.NewTimer(x.limit)
	defer timer.Stop()
	var deadline <-chan time.Time // of ctx, which holds also where its cancellation does not
	if d, ok := ctx.Deadline(); ok {
		t := time.NewTimer(time.Until(d))
		defer t.Stop()
		deadline = t.C
	}
	cancelled := ctx.Done()
	for {
		select {
		case a := <-answers:
			return a.info, c.settle(x, a.err)
		case d := <-x.moved:
			timer.Reset(d)
		case <-timer.C:
			c.expire(x)
		case <-deadline:
			c.giveUp(x, context.DeadlineExceeded)
		case <-cancelled:
			cancelled = nil
			c.cancel(x, context.Cause(ctx))
		}
	}
}

// settle closes x and says in our words how it ended.
func (c *Conn) settle(x *exchange, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = time.Now()
	if c.cur == x { // ended without a final result: the write failed, or the port went
		c.cur = nil
		c.abandon(x)
	}
	name := x.name
	switch {
	case x.cause != nil:
		return fmt.Errorf("%s: %w", name, x.cause)
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrClosed):
		return fmt.Errorf("%s: %w", name, closed(c.err))
	}
	if e := refusal(name, err); e != nil {
		return e
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Find returns what follows "prefix:" in the first of lines that begins with
// it, without the blank.
func Find(lines []string, prefix string) (string, bool) {
	for _, l := range lines {
		if rest, ok := strings.CutPrefix(l, prefix); ok && strings.HasPrefix(rest, ":") {
			return strings.TrimSpace(rest[1:]), true
		}
	}
	return "", false
}

// parseMR reads the reference from what follows "+CMGS:". Some modems append
// a time stamp or the acknowledgement PDU (27.005 §3.5.1); -1 if it is none.
func parseMR(s string) int {
	s, _, _ = strings.Cut(s, ",")
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 || n > 255 {
		return -1
	}
	return n
}
