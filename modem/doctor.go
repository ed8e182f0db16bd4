package modem

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

var _ route.Doctor = (*Modem)(nil)

// Examine asks the modem what could keep short messages from going, above all
// on LTE, and says it in words. Nothing to say is good news.
func (m *Modem) Examine(ctx context.Context) ([]string, error) {
	s, why := m.current()
	if s == nil {
		return nil, route.Refuse(m.cfg.Name, why)
	}
	if err := s.seize(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	found, err := s.examine(ctx)
	if isLost(err) {
		s.raise(trouble{why: err})
	}
	return found, err
}

// exam is what was found out. A field is its zero value where the modem does
// not tell.
type exam struct {
	cs, eps *int   // <stat> of +CREG and +CEREG
	domain  *int   // AT+CGSMS: 0 packet, 1 circuit, 2 packet first, 3 circuit first
	ims     *int   // AT+CIREG: 0 not registered, 1 registered
	sms     *bool  // … and whether short messages are among what IMS gives
	allowed *bool  // the modem's own switch for IMS
	smsc    string // AT+CSCA, "" not known, "none" empty
	detach  string // AT+CEER: why the last thing failed, in the modem's words
}

// examine asks, with the line held. The error is a lost answer.
func (s *session) examine(ctx context.Context) ([]string, error) {
	var e exam
	for _, q := range []struct {
		cmd, prefix string
		read        func(v string)
	}{
		{"AT+CREG?", "+CREG", func(v string) { e.cs = stat(v) }},
		{"AT+CEREG?", "+CEREG", func(v string) { e.eps = stat(v) }},
		{"AT+CGSMS?", "+CGSMS", func(v string) { e.domain = nth(v, 0) }},
		{"AT+CIREG?", "+CIREG", func(v string) { e.ims, e.sms = nth(v, 1), smsInIMS(v) }},
		{s.profile.ims, "+QCFG", func(v string) { e.allowed = switchOf(v) }},
		{"AT+CSCA?", "+CSCA", func(v string) { e.smsc = smscOf(v) }},
		{"AT+CEER", "+CEER", func(v string) { e.detach = strings.Trim(v, `" `) }},
	} {
		if q.cmd == "" {
			continue
		}
		lines, err := s.conn.Command(ctx, q.cmd, 5*time.Second)
		if isLost(err) {
			return nil, err
		}
		if v, ok := at.Find(lines, q.prefix); ok && err == nil {
			q.read(v)
		}
	}
	return e.findings(), nil
}

func stat(v string) *int {
	if n, ok := registrationState(v); ok {
		return &n
	}
	return nil
}

func nth(v string, i int) *int {
	f := strings.Split(v, ",")
	if i >= len(f) {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(f[i]))
	if err != nil {
		return nil
	}
	return &n
}

// smsInIMS reads <ext_info> of +CIREG, a hex mask in which 4 is short messages
// over IP (27.007 §8.71).
func smsInIMS(v string) *bool {
	f := strings.Split(v, ",")
	if len(f) < 3 {
		return nil
	}
	mask, err := strconv.ParseUint(strings.Trim(f[2], `" `), 16, 32)
	if err != nil {
		return nil
	}
	has := mask&4 != 0
	return &has
}

// switchOf reads `"ims",1,0` of Quectel: 0 follows the operator's profile, 1 is
// on, 2 off.
func switchOf(v string) *bool {
	n := nth(v, 1)
	if n == nil {
		return nil
	}
	on := *n != 2
	return &on
}

func smscOf(v string) string {
	number, _, _ := strings.Cut(v, ",")
	if strings.Trim(number, `" `) == "" {
		return "none"
	}
	return "set"
}

// is tells whether a value is known and one of these.
func is(v *int, of ...int) bool { return v != nil && slices.Contains(of, *v) }

// findings puts what was found into sentences: what is wrong, and who can
// change it.
func (e exam) findings() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	registered := []int{1, 5, 6, 7, 9, 10}
	lteOnly := is(e.eps, registered...) && e.cs != nil && !is(e.cs, registered...)
	ims := is(e.ims, 1)
	switch {
	case is(e.eps, 3) || is(e.cs, 3):
		say("The network refuses this SIM. It is not activated, barred, or not meant for this kind of network: ask the operator.")
	case is(e.eps, 8) || is(e.cs, 8):
		say("The network allows emergency calls only with this SIM: ask the operator.")
	case e.eps != nil && e.cs != nil && !is(e.eps, registered...) && !is(e.cs, registered...):
		say("The modem is on no network, so nothing can be sent.")
	}
	if lteOnly && is(e.domain, 1) {
		say("The modem is on LTE alone, but is told to send short messages over the circuit switched network only (AT+CGSMS is 1). The technician can change that with AT+CGSMS=3.")
	}
	if lteOnly && is(e.domain, 0) && !ims {
		say("The modem is told to send short messages over the packet network only (AT+CGSMS is 0), and IMS is not there for them. The technician can change that with AT+CGSMS=3.")
	}
	if e.allowed != nil && !*e.allowed && lteOnly {
		say("IMS is switched off in this modem, and without it no short message goes over LTE alone. The technician can switch it on (AT+QCFG=\"ims\",1), and then restart the modem.")
	} else if lteOnly && is(e.ims, 0) {
		say("The modem is on LTE alone and IMS is not registered: either this operator does not know this kind of modem, or the SIM has no short message service over LTE. Ask the operator, or use a modem that can also do 2G or 3G.")
	}
	if ims && e.sms != nil && !*e.sms && lteOnly {
		say("IMS is registered but carries no short messages: the contract of this SIM has no SMS service. Ask the operator for it.")
	}
	if e.smsc == "none" {
		say("The SIM does not know the number of the SMS centre. The operator knows it; the technician can set it.")
	}
	if e.detach != "" && !strings.Contains(strings.ToLower(e.detach), "no cause") && len(all) > 0 {
		say("The modem's own word for the last failure is: %s.", strings.TrimSuffix(e.detach, "."))
	}
	return all
}
