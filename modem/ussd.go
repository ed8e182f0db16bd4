package modem

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/text"
)

// ussdCode is what may be asked, by contract; everything else that begins with
// * or # sets something at the network: call forwarding, barring, PINs.
var (
	ussdCode      = regexp.MustCompile(`^[*#][0-9*#]{0,38}#$`)
	supplementary = regexp.MustCompile(`^(\*\*|##|\*#)|^[*#](0[0-9]|2[1-9]|3[0-9]|4[0-9]|6[1-9]|7[0-9]|9[0-9])[*#]|^[*#](0[0-9]|33|35|21|43|61|62|67|002|004|300|330|331|332|333|351|353)[0-9]*#$`)
)

// ussdWait is how long a network may take.
const ussdWait = 90 * time.Second

// USSD asks the network, *100# for instance, and returns its text. The error
// names the field where the code is at fault.
func (m *Modem) USSD(ctx context.Context, code string) (string, error) {
	if err := checkUSSD(code); err != nil {
		return "", err
	}
	s, why := m.current()
	if s == nil {
		return "", fmt.Errorf("%s: %s", m.cfg.Name, why)
	}
	return s.ask(ctx, code)
}

// checkUSSD refuses what is not asked from here. The error names the field.
func checkUSSD(code string) error {
	if !ussdCode.MatchString(code) {
		return errors.New("code: it must begin with * or #, end with #, and hold digits, * and # only, at most 40 characters")
	}
	if supplementary.MatchString(code) {
		return errors.New("code: this one changes settings at the network (forwarding, barring, PIN) and is not sent from here")
	}
	return nil
}

func (s *session) ask(ctx context.Context, code string) (string, error) {
	answer := make(chan string, 1)
	if !s.expect(answer) {
		return "", fmt.Errorf("%s: another code is being asked", s.m.cfg.Name)
	}
	defer s.expect(nil)
	packed, err := s.dial(ctx, code)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.m.cfg.Name, err)
	}
	timer := time.NewTimer(ussdWait)
	defer timer.Stop()
	select {
	case v := <-answer:
		return readUSSD(v, packed)
	case <-timer.C:
		return "", fmt.Errorf("%s: the network did not answer within %v", s.m.cfg.Name, ussdWait)
	case <-s.over:
		return "", fmt.Errorf("%s: the connection to the modem ended before the answer", s.m.cfg.Name)
	case <-ctx.Done():
		return "", fmt.Errorf("%s: %w", s.m.cfg.Name, context.Cause(ctx))
	}
}

// dial sends the code: plain, and packed where the modem refuses that or its
// family wants it (field-notes §1.10). It says which it was.
func (s *session) dial(ctx context.Context, code string) (packed bool, err error) {
	if err := s.seize(ctx); err != nil {
		return false, err
	}
	defer s.release()
	if !s.packed && !s.profile.packed {
		if err := s.cusd(ctx, code); err == nil || isLost(err) {
			return false, err
		}
	}
	inHex, err := packUSSD(code)
	if err != nil {
		return true, err
	}
	if err := s.cusd(ctx, inHex); err != nil {
		return true, err
	}
	s.packed = true
	return true, nil
}

func (s *session) cusd(ctx context.Context, code string) error {
	_, err := s.conn.Command(ctx, `AT+CUSD=1,"`+code+`",15`, 30*time.Second)
	if isLost(err) {
		s.raise(trouble{why: err})
	}
	return err
}

// packUSSD packs a code as octets in hex. Where that leaves seven bits they
// are filled with CR, for the other side counts octets only (TS 23.038 §6.1.2.3.1).
func packUSSD(code string) (string, error) {
	septets, err := text.Septets(code, 0, 0)
	if err != nil {
		return "", err
	}
	if len(septets)%8 == 7 {
		septets = append(septets, '\r')
	}
	return strings.ToUpper(hex.EncodeToString(text.Pack(septets, 0))), nil
}

// expect registers who waits for an answer; nil: nobody any more.
func (s *session) expect(answer chan string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer != nil && s.ussd != nil {
		return false
	}
	s.ussd = answer
	return true
}

// answered hands +CUSD to who waits.
func (s *session) answered(e at.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ussd == nil {
		s.log.Info("the network sent a text that nobody asked for")
		return
	}
	select {
	case s.ussd <- e.Args():
	default:
	}
}

// ussdRefusals are the values of <m> without an answer (27.007 §7.15).
var ussdRefusals = map[string]string{
	"2": "the network ended the session",
	"3": "another client answered",
	"4": "the network does not support this code, or not over LTE",
	"5": "the network did not answer in time",
}

// readUSSD reads `m,"text",dcs`.
func readUSSD(v string, packed bool) (string, error) {
	m, rest, _ := strings.Cut(v, ",")
	m = strings.TrimSpace(m)
	open, end := strings.IndexByte(rest, '"'), strings.LastIndexByte(rest, '"')
	if open < 0 || end <= open {
		if why, ok := ussdRefusals[m]; ok {
			return "", errors.New("+CUSD " + m + ": " + why)
		}
		return "", errors.New("+CUSD " + m + ": no text")
	}
	said := rest[open+1 : end]
	dcs, err := strconv.Atoi(strings.Trim(rest[end+1:], ", "))
	if err != nil {
		dcs = 15
	}
	b, err := hex.DecodeString(said)
	switch {
	case err != nil || len(b) == 0:
		return said, nil
	case dcs == 72 || dcs&0xC0 == 0x40 && dcs&0x0C == 0x08 || looksUCS2(b): // TS 23.038 §5
		return text.FromUTF16(b), nil
	case packed:
		return strings.TrimRight(text.FromSeptets(text.Unpack(b, 0, len(b)*8/7), 0, 0), "\r"), nil
	}
	return said, nil
}

// looksUCS2: hex in the pattern 00xx, which a text of plain digits is not.
func looksUCS2(b []byte) bool {
	if len(b) < 4 || len(b)%2 != 0 {
		return false
	}
	for i := 0; i < len(b); i += 2 {
		if b[i] != 0 {
			return false
		}
	}
	return true
}
