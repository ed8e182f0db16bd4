package usb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Line is an open port: what package modem's Open returns.
type Line interface {
	io.ReadWriteCloser
	SetWriteDeadline(time.Time) error
}

// Answer is what a modem says of itself.
type Answer struct {
	IMEI  string // empty: it does not tell
	Maker string
	Model string
}

// errNoModem is a port behind which no modem answers as one; errStreams is one
// that talks by itself, and was not written to.
var (
	errNoModem = errors.New("no modem answers")
	errStreams = fmt.Errorf("%w: it streams", errNoModem)
)

const (
	answerWithin = 3 * time.Second        // each command (field-notes §1.1.9)
	listenFor    = 300 * time.Millisecond // before the first byte is written
	autoBaud     = 200 * time.Millisecond // between the first AT, for modules that find the rate by it
)

// ask finds out whether a modem answers behind line, and which. What streams
// unasked as GPS or diagnostics do is never written to. A port counts only if
// it passes all of the rule in field-notes §1.1.9, because some say OK, or
// ERROR, to everything.
//
// rate is the line's speed where it is not the usual one: the modem is told to
// change to that, for whoever opens the port next. ask closes the line.
func ask(ctx context.Context, line Line, rate int) (Answer, error) {
	t := listen(line)
	defer t.end()
	if err := setRate(line, rate); err != nil {
		return Answer{}, err
	}
	if err := t.overhear(ctx); err != nil {
		return Answer{}, err
	}
	if err := t.wake(ctx); err != nil {
		return Answer{}, err
	}
	var a Answer
	var err error
	if a.Maker, err = t.text(ctx, "AT+CGMI", "AT+GMI"); err != nil {
		return Answer{}, fmt.Errorf("%w: it says OK and does not name its maker", errNoModem)
	}
	// Without it a missing SIM is a bare ERROR, as everything is on some ports.
	if _, err := t.command(ctx, "AT+CMEE=1", answerWithin); err != nil && !errors.Is(err, errRefused) {
		return Answer{}, err
	}
	if !t.knowsSIM(ctx) {
		return Answer{}, fmt.Errorf("%w: it does not answer AT+CPIN?", errNoModem)
	}
	a.Model, _ = t.text(ctx, "AT+CGMM", "AT+GMM") // nice to have
	said, _ := t.text(ctx, "AT+CGSN", "AT+GSN")
	a.IMEI = imeiIn(said)
	if rate != usualRate {
		if _, err := t.command(ctx, fmt.Sprintf("AT+IPR=%d", usualRate), answerWithin); err != nil {
			return Answer{}, fmt.Errorf("it answers at %d baud and does not change to %d: %w", rate, usualRate, err)
		}
	}
	return a, ctx.Err()
}

// wake makes the modem say OK to AT, and nothing after it.
func (t *talk) wake(ctx context.Context) error {
	// ESC frees a modem that hangs at the prompt of AT+CMGS (§1.3 step 0).
	if err := t.write("\x1b\r"); err != nil {
		return err
	}
	t.drop(ctx, 50*time.Millisecond)
	for range 5 {
		_, err := t.command(ctx, "AT", autoBaud)
		switch {
		case err == nil:
			t.drop(ctx, 50*time.Millisecond) // answers to the first ones, which came late
			return nil
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return err
		}
	}
	return errNoModem
}

// drop forgets what comes until nothing has come for quiet.
func (t *talk) drop(ctx context.Context, quiet time.Duration) {
	end := time.Now().Add(20 * quiet) // of one that never is
	for time.Now().Before(end) && ctx.Err() == nil {
		timer := time.NewTimer(quiet)
		select {
		case _, ok := <-t.heard:
			if timer.Stop(); !ok {
				return
			}
		case <-timer.C:
			t.rest = nil
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
	t.rest = nil
}

// talk is a conversation. One goroutine reads all the time, so that a line
// without read deadlines can be listened to for a while.
type talk struct {
	line  Line
	heard chan []byte
	lost  chan error // why reading ended
	rest  []byte     // of a line that has not ended
}

func listen(line Line) *talk {
	t := &talk{line: line, heard: make(chan []byte), lost: make(chan error, 1)}
	go func() { // ends when the line is closed, and end waits for it
		defer close(t.heard)
		for {
			buf := make([]byte, 512)
			n, err := line.Read(buf)
			if n > 0 {
				t.heard <- buf[:n]
			}
			if err != nil {
				t.lost <- err
				return
			}
		}
	}()
	return t
}

// end closes the line and waits for the reader.
func (t *talk) end() {
	t.line.Close() // whatever it says: the answer is in
	for range t.heard {
	}
}

// overhear is silent for a moment and says why the port must not be written
// to, if it streams.
func (t *talk) overhear(ctx context.Context) error {
	var got []byte
	timer := time.NewTimer(listenFor)
	defer timer.Stop()
	for {
		select {
		case b, ok := <-t.heard:
			if !ok {
				return t.over()
			}
			got = append(got, b...)
			switch {
			case bytes.Contains(got, []byte("$GP")), bytes.Contains(got, []byte("$GN")), bytes.Contains(got, []byte("$GL")):
				return fmt.Errorf("%w positions (NMEA)", errStreams)
			case got[0] == 0x7e:
				return fmt.Errorf("%w diagnostics (QCDM)", errStreams)
			case len(got) > 16<<10:
				return fmt.Errorf("%w without end", errStreams)
			}
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *talk) over() error {
	err := <-t.lost
	t.lost <- err // for whoever asks next
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("%w: %w", io.EOF, err)
}

func (t *talk) write(s string) error {
	if err := t.line.SetWriteDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	_, err := io.WriteString(t.line, s)
	return err
}

// finals end an answer, beside the +CME ERROR that is an answer itself.
var finals = map[string]bool{"OK": true, "ERROR": false, "COMMAND NOT SUPPORT": false, "NO CARRIER": false}

var errRefused = errors.New("refused")

// command returns the lines of the answer. An error of the modem is
// errRefused, beside the line that says so.
func (t *talk) command(ctx context.Context, cmd string, within time.Duration) (lines []string, err error) {
	if err := t.write(cmd + "\r"); err != nil {
		return nil, err
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		for {
			line, rest, whole := bytes.Cut(t.rest, []byte("\n"))
			if !whole {
				break
			}
			t.rest = rest
			s := strings.Trim(string(line), "\r\x00 ")
			ok, final := finals[s]
			switch {
			case s == "" || s == cmd: // echo
			case final && ok:
				return lines, nil
			case final, strings.HasPrefix(s, "+CME ERROR"), strings.HasPrefix(s, "+CMS ERROR"):
				return append(lines, s), errRefused
			default:
				lines = append(lines, s)
			}
		}
		select {
		case b, ok := <-t.heard:
			if !ok {
				return nil, t.over()
			}
			t.rest = append(t.rest, b...)
			if len(t.rest) > 4<<10 { // no line is as long
				return nil, errNoModem
			}
		case <-timer.C:
			return nil, errNoModem
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// text asks for a plain text, by one spelling or the next.
func (t *talk) text(ctx context.Context, spellings ...string) (string, error) {
	for _, cmd := range spellings {
		lines, err := t.command(ctx, cmd, answerWithin)
		if err != nil {
			continue
		}
		prefix := strings.TrimPrefix(cmd, "AT") + ":"
		for _, l := range lines {
			l = strings.Trim(strings.TrimSpace(strings.TrimPrefix(l, prefix)), `"`)
			if l != "" && !strings.ContainsAny(l[:1], "+^*#$_") { // not a line that came by itself
				return l, nil
			}
		}
	}
	return "", errNoModem
}

// knowsSIM: the port answers the question for the PIN, with whatever.
func (t *talk) knowsSIM(ctx context.Context) bool {
	lines, err := t.command(ctx, "AT+CPIN?", answerWithin)
	if err != nil && !errors.Is(err, errRefused) {
		return false
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "+CPIN:") || strings.HasPrefix(l, "+CME ERROR") {
			return true
		}
	}
	return false
}

// imeiIn finds the run of 14 to 16 digits in an answer (3GPP TS 23.003 §6.2).
// Nothing but zeros is what a stick says that was never given one.
func imeiIn(s string) string {
	for _, run := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		if len(run) >= 14 && len(run) <= 16 && strings.Trim(run, "0") != "" {
			return run
		}
	}
	return ""
}
