package modem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// simBusyFor is how long a SIM may be busy after power-up before that is news.
const simBusyFor = 30 * time.Second

// What a SIM may say of itself, beside the keys of failure_texts.csv.
const (
	simReady = "ready"
	simBusy  = "busy"
)

// locks reads the answer of AT+CPIN? by how it begins (27.007 §8.3). SIM PIN2
// and PUK2 come from devices that are in fact ready to send.
var locks = []struct{ begins, means string }{
	{"READY", simReady}, {"SIM PIN2", simReady}, {"SIM PUK2", simReady},
	{"SIM PIN", "sim_pin"}, {"SIM PUK", "sim_puk"}, {"PH-", "modem_locked"},
	{"NOT INSERTED", "sim_missing"}, {"NOT READY", simBusy},
}

// refusals reads a CME number in place of the answer.
var refusals = map[int]string{
	3: simBusy, 14: simBusy, 515: simBusy, 5: "modem_locked", 10: "sim_missing",
	11: "sim_pin", 12: "sim_puk", 13: "sim_missing", 15: "sim_refused", 17: simReady, 18: simReady,
}

// askSIM returns simReady, simBusy, or the key of what is wrong.
func (s *session) askSIM(ctx context.Context) (string, error) {
	lines, err := s.conn.Command(ctx, "AT+CPIN?", 5*time.Second)
	if e, ok := errors.AsType[*at.Error](err); ok {
		r := lookup(e, s.profile.numbering)
		if means, ok := refusals[e.Code]; ok && e.Kind == "CME" {
			return means, nil
		}
		if key, ok := held[r.Kind][r.Code]; ok {
			return key, nil
		}
		return simBusy, nil
	}
	if err != nil {
		return "", err
	}
	said, _ := at.Find(lines, "+CPIN")
	for _, l := range locks {
		if strings.HasPrefix(strings.Trim(said, `"`), l.begins) {
			return l.means, nil
		}
	}
	return simBusy, nil
}

// card waits until the SIM is there and open.
func (s *session) card(ctx context.Context) (state, error) {
	s.iccid, s.imsi = "", "" // it may be another one than before
	s.m.publish(func(st *route.Status) {
		st.State, st.Code, st.Doing, st.Detail, st.Identity = route.Starting, "", "asking for the SIM", "", ""
	})
	defer func() { s.unlock = nil }()
	for since := time.Now(); ; {
		means, err := s.askSIM(ctx)
		if err != nil {
			return s.failed(err)
		}
		pause := simEvery
		s.unlock = nil
		switch means {
		case simReady:
			return s.registering, nil
		case simBusy:
			pause = 2 * time.Second
			if time.Since(since) > simBusyFor {
				s.m.enter(route.Waiting, "modem_silent", "waiting for the SIM", "the SIM has been busy for more than "+simBusyFor.String())
			}
		case "sim_pin":
			if err := s.sequence(ctx, whichSIM); err != nil {
				return s.failed(err)
			}
			err := s.unlockByItself(ctx)
			if isLost := errors.Is(err, at.ErrTimeout) || errors.Is(err, at.ErrClosed) || errors.Is(err, at.ErrOutOfStep); isLost {
				return s.failed(err)
			}
			if err == nil { // READY follows at once, or after up to 20 s
				pause = time.Second
				break
			}
			code := "sim_pin"
			if errors.Is(err, errWrongPIN) {
				code = "sim_pin_wrong"
			}
			s.unlock = func(pin string) error { return s.tryPIN(ctx, pin, true) }
			s.m.enter(route.Hand, code, "waiting for the PIN", err.Error())
		default:
			s.m.enter(route.Hand, means, "waiting for the SIM", "AT+CPIN? says so")
		}
		if next, err := s.idle(ctx, pause); next != nil || err != nil {
			return next, err
		}
	}
}

var (
	errNoPIN    = errors.New("the SIM asks for a PIN and none is set")
	errWrongPIN = errors.New("the SIM refused the PIN")
)

// unlockByItself tries the configured PIN. Nil: it was accepted.
func (s *session) unlockByItself(ctx context.Context) error {
	pin, err := s.m.cfg.PIN()
	if err != nil {
		return fmt.Errorf("the PIN cannot be read: %w", err)
	}
	pin = strings.TrimSpace(pin)
	if pin == "" {
		return errNoPIN
	}
	if !isPIN(pin) {
		return errors.New("pin_file: a PIN has four to eight digits")
	}
	return s.tryPIN(ctx, pin, false)
}

// outcome of a PIN on a SIM, as it is remembered.
type outcome string

const (
	pinTrying   outcome = "trying" // written before the command; stays if we die in it
	pinAccepted outcome = "accepted"
	pinRefused  outcome = "refused"
)

// fullTries is what a SIM grants after a right PIN (3GPP TS 31.101).
const fullTries = 3

// tryPIN enters a PIN, if that cannot cost the SIM (field-notes §1.8: three
// wrong ones block it, and a service that restarts does that within seconds).
func (s *session) tryPIN(ctx context.Context, pin string, byHand bool) error {
	tried, err := s.triedPINs()
	if err != nil {
		return err
	}
	left, known, err := s.triesLeft(ctx)
	if err != nil {
		return err
	}
	mark := s.pinMark(pin)
	if err := mayTry(tried, mark, left, known, byHand); err != nil {
		return err
	}
	if err := s.remember(ctx, tried, mark, pinTrying); err != nil {
		return err
	}
	_, err = s.conn.Command(ctx, `AT+CPIN="`+pin+`"`, 30*time.Second)
	e, refused := errors.AsType[*at.Error](err)
	switch {
	case err == nil:
		s.log.Info("the SIM accepted the PIN")
		return s.remember(ctx, tried, mark, pinAccepted)
	case !refused:
		return err
	case wrongPIN(e):
		if err := s.remember(ctx, tried, mark, pinRefused); err != nil {
			return err
		}
		s.log.Warn("the SIM refused the PIN; it will not be tried again")
		if known {
			return fmt.Errorf("%w; attempts left: %d", errWrongPIN, left-1)
		}
		return errWrongPIN
	}
	return fmt.Errorf("the PIN was not taken: %w", e)
}

// mayTry says why a PIN must not be tried; nil if it may.
func mayTry(tried map[string]outcome, mark string, left int, known, byHand bool) error {
	spent := 0 // attempts that may have been lost, as far as we know
	for _, o := range tried {
		if o != pinAccepted {
			spent++
		}
	}
	switch {
	case tried[mark] == pinRefused:
		return fmt.Errorf("%w before; it is not tried again", errWrongPIN)
	case tried[mark] == pinTrying && !(known && left == fullTries):
		// We died between the command and its answer. All attempts left
		// means that it was accepted, or never got there.
		return errors.New("this PIN was tried before, and its outcome is not known; a person must look")
	case known && left <= 1:
		return fmt.Errorf("the SIM has %d attempt left, which is not used from here: unlock it in a phone", left)
	case known && left < fullTries && !byHand:
		return fmt.Errorf("somebody has tried wrong PINs: the SIM has %d attempts left, so a person must enter it", left)
	case !known && spent > 0 && !byHand:
		return errors.New("a PIN was refused before, and this modem does not tell how many attempts are left; a person must enter it")
	case !known && spent >= fullTries-1:
		return errors.New("two PINs were refused before; the last attempt is not used from here: unlock the SIM in a phone")
	}
	return nil
}

// wrongPIN recognises the refusals that cost an attempt.
func wrongPIN(e *at.Error) bool {
	return e.Kind == "CME" && (e.Code == 16 || e.Code == 12) || strings.Contains(strings.ToLower(e.Text), "incorrect password")
}

func (s *session) pinKey() string { return "pin:" + s.identity() }

// pinMark stands for a PIN in the memory. A hash of four digits hides nothing
// from who can compute; it keeps them out of a backup read by eye.
func (s *session) pinMark(pin string) string {
	sum := sha256.Sum256([]byte(s.identity() + "\x00" + pin))
	return hex.EncodeToString(sum[:8])
}

func (s *session) triedPINs() (map[string]outcome, error) {
	b, err := s.m.cfg.Memory.Load(s.pinKey())
	if err != nil {
		return nil, fmt.Errorf("which PINs were tried cannot be read, so none is: %w", err)
	}
	tried := map[string]outcome{}
	if len(b) == 0 {
		return tried, nil
	}
	if err := json.Unmarshal(b, &tried); err != nil {
		return nil, fmt.Errorf("which PINs were tried cannot be read, so none is: %w", err)
	}
	return tried, nil
}

func (s *session) remember(ctx context.Context, tried map[string]outcome, mark string, o outcome) error {
	tried[mark] = o
	b, err := json.Marshal(tried)
	if err != nil {
		return err
	}
	if err := s.m.cfg.Memory.Save(ctx, s.pinKey(), b); err != nil {
		return fmt.Errorf("that a PIN is tried cannot be written down: %w", err)
	}
	return nil
}

// triesLeft asks how many attempts the SIM grants. An error is a lost answer.
func (s *session) triesLeft(ctx context.Context) (left int, known bool, err error) {
	for _, c := range s.profile.counters {
		lines, err := s.conn.Command(ctx, c.cmd, 5*time.Second)
		if isLost(err) {
			return 0, false, err
		}
		v, ok := at.Find(lines, c.prefix)
		fields := strings.Split(v, ",")
		if !ok || len(fields) <= c.field {
			continue
		}
		f := strings.Trim(fields[c.field], `" `)
		if c.prefix == "+CSIM" {
			if len(f) != 4 || !strings.HasPrefix(f, "63C") {
				continue
			}
			f = f[3:]
		}
		if n, err := strconv.Atoi(f); err == nil && n >= 0 && n <= 10 {
			return n, true, nil
		}
	}
	return 0, false, nil
}
