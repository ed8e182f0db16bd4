package at

import (
	"context"
	"fmt"
	"time"
)

// Steps of a resync. The first drops a hanging prompt, the second finds the
// modem, the third makes sure that no answer of earlier is still on its way.
const (
	escapeDrain = 50 * time.Millisecond // after ESC CR, before the first AT
	probes      = 5                     // AT this often …
	probeWait   = time.Second           // … with this wait each
	quiet       = 150 * time.Millisecond
)

// OutOfStep tells whether Resync is due.
func (c *Conn) OutOfStep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dirty
}

// Resync finds the modem again after a lost answer, or at the start: ESC CR to
// leave a prompt, AT until OK, then silence. If the answer of a Submit is owed
// it first lingers for it and writes nothing, for whatever we write may break
// off the very command whose answer we want (V.250 §5.6.1). The error is
// ErrSilent, ErrClosed or the cause of ctx.
func (c *Conn) Resync(ctx context.Context) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	defer c.give()
	for end := time.Now().Add(c.cfg.Linger); c.lingers() && time.Now().Before(end); {
		if err := c.sleep(ctx, min(quiet, time.Until(end))); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.lingered = true
	c.mu.Unlock()
	if err := c.writeEscape(); err != nil {
		if c.Err() != nil {
			return c.closed()
		}
		return fmt.Errorf("%w: ESC could not be written: %w", ErrSilent, err)
	}
	if err := c.sleep(ctx, escapeDrain); err != nil {
		return err
	}
	return c.find(ctx, probes)
}

// find sends AT until the modem answers and falls silent.
func (c *Conn) find(ctx context.Context, times int) error {
	var last error
	for range times {
		heard, err := c.probe(ctx)
		switch {
		case err == nil && heard:
			continue // something came after the OK: look again
		case err == nil:
			c.inStep()
			return nil
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case c.Err() != nil:
			return c.closed()
		}
		last = err
	}
	if last == nil {
		c.inStep()
		return nil // it answers each AT and never falls silent: a chatterer, but in step
	}
	return fmt.Errorf("%w (%d times): %w", ErrSilent, times, last)
}

// Blurt writes a command to a modem that does not answer and waits for nothing:
// it may still listen. The line stays out of step.
func (c *Conn) Blurt(cmd string) error {
	if err := check(cmd); err != nil {
		return err
	}
	c.mu.Lock()
	c.dirty = true
	c.mu.Unlock()
	c.port.SetWriteDeadline(time.Now().Add(c.cfg.Write)) // fails only on a closed port, as the write will
	_, err := c.port.Write([]byte(cmd + "\r"))
	return err
}

// probe sends AT and tells whether anything came in the quiet after its OK.
func (c *Conn) probe(ctx context.Context) (heard bool, err error) {
	if _, err := c.command(ctx, "AT", probeWait, true); err != nil {
		return false, err
	}
	before := c.count()
	if err := c.sleep(ctx, quiet); err != nil {
		return false, err
	}
	return c.count() != before, nil
}

func (c *Conn) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// inStep ends the quarantine: a modem that answered AT and then fell silent is
// done with the command before.
func (c *Conn) inStep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dirty, c.unsure = false, false
}

// lingers tells whether to wait for an owed answer: once, for after the first AT
// there is nothing left that silence could save.
func (c *Conn) lingers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owes() && !c.lingered
}

func (c *Conn) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-c.done:
		return c.closed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
