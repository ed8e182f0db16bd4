package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

const (
	lineLimit   = 2048      // a longer command line is refused
	outputLimit = 64 * 1024 // what nobody reads beyond that is lost, as in the FIFO of a real one
	reopenEvery = 10 * time.Millisecond
)

// Serve is power on: it boots the modem and talks AT over port until ctx ends
// (it answers the cause), the peer closes the stream (nil), or the fault
// script pulls the plug (*Unplugged). One Serve at a time.
//
// A pseudo-terminal whose other side is closed for the moment is not the end:
// the modem keeps its state, even a half-written prompt, and waits for the
// next one to open it.
//
// Serve waits for its goroutines. To free a Read or Write that blocks it sets
// deadlines if port has them, and closes port if it has not; a port with
// neither must be ended by its owner.
func (m *Modem) Serve(ctx context.Context, port io.ReadWriter) error {
	if err := m.powerOn(); err != nil {
		return err
	}
	if p, ok := port.(deadliner); ok {
		_ = p.SetDeadline(time.Time{}) // of an earlier Serve; a port without deadlines has none to lift
	}
	ctx, cancel := context.WithCancelCause(ctx)
	in := make(chan []byte)
	out := make(chan []byte)
	done := make(chan struct{}, 2)
	go func() { cancel(readLine(ctx, port, in)); done <- struct{}{} }()
	go func() { cancel(writeLine(ctx, port, out)); done <- struct{}{} }()

	err := m.converse(ctx, in, out)
	cancel(err)
	unblock(port)
	<-done
	<-done
	m.powerOff()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (m *Modem) powerOn() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.served {
		return errors.New("the modem already has a line")
	}
	m.served = true
	m.timers.restart()
	m.boot()
	m.startClock()
	return nil
}

func (m *Modem) powerOff() {
	m.mu.Lock()
	m.served = false
	m.boots++
	m.abandonDelivery()
	m.refresh()
	m.mu.Unlock()
	m.timers.stop()
}

// converse moves bytes between the line and the state machine.
func (m *Modem) converse(ctx context.Context, in <-chan []byte, out chan<- []byte) error {
	var leaving []byte // handed out by the state machine, not yet taken by the writer
	for {
		m.mu.Lock()
		m.work()
		if len(leaving) == 0 {
			leaving, m.out = m.out, nil
		}
		gone := m.gone
		listen := in
		if len(m.input) > 0 || m.deaf || m.stuck != "" {
			listen = nil
		}
		m.mu.Unlock()
		if gone != nil {
			return gone
		}
		speak := out
		if len(leaving) == 0 {
			speak = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.wake:
		case chunk := <-listen:
			m.mu.Lock()
			m.trace('<', chunk)
			m.input = append(m.input, chunk...)
			m.mu.Unlock()
		case speak <- leaving:
			m.mu.Lock()
			m.trace('>', leaving)
			m.mu.Unlock()
			leaving = nil
		}
	}
}

func (m *Modem) trace(dir rune, data []byte) {
	if m.cfg.Trace != nil {
		m.cfg.Trace(dir, data)
	}
}

// say sends text to the terminal; what it does not read is lost at some point.
func (m *Modem) say(text string) {
	if m.frozen || m.stuck != "" || len(m.out)+len(text) > outputLimit {
		return
	}
	m.out = append(m.out, text...)
	m.kick()
}

func readLine(ctx context.Context, port io.Reader, in chan<- []byte) error {
	buf := make([]byte, 4096)
	for {
		n, err := port.Read(buf)
		if n > 0 {
			select {
			case in <- append([]byte(nil), buf[:n]...):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		switch {
		case errors.Is(err, syscall.EIO): // a pseudo-terminal nobody has open
			if !wait(ctx, reopenEvery) {
				return context.Cause(ctx)
			}
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return io.EOF
		case err != nil:
			return fmt.Errorf("reading from the terminal: %w", err)
		}
	}
}

func writeLine(ctx context.Context, port io.Writer, out <-chan []byte) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case b := <-out:
			_, err := port.Write(b)
			switch {
			case errors.Is(err, syscall.EIO): // nobody has it open: the words are lost
			case errors.Is(err, io.ErrClosedPipe):
				return io.EOF
			case err != nil:
				return fmt.Errorf("writing to the terminal: %w", err)
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

type deadliner interface{ SetDeadline(time.Time) error }

// unblock frees a Read or Write that waits for the peer.
func unblock(port io.ReadWriter) {
	if p, ok := port.(deadliner); ok && p.SetDeadline(time.Unix(1, 0)) == nil {
		return
	}
	if p, ok := port.(io.Closer); ok {
		_ = p.Close() // its Read and Write tell whatever there is to tell
	}
}
