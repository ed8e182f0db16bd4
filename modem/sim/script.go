package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFaults reads a fault script, one line per fault:
//
//	[when ":"] action
//
// when is a point of a command, or a time since power-up:
//
//	cmgs                 when the next AT+CMGS arrives, before it does anything
//	after 3 cmgs         when the fourth does
//	after 3 cmgs x2      the fourth and the fifth
//	every 5 cmgs         each fifth, for ever
//	any                  whatever command comes next
//	prompt               before the prompt of AT+CMGS
//	ctrl-z               the PDU is complete, the network has not seen it
//	answer               the network has it, the modem is about to say so
//	header               a +CMTI, +CDSI, +CMT or +CDS line goes out; urc comes
//	                     between it and its PDU, drop 999 loses all of it
//	at 10s, every 10s    by the clock; at acts once, also if power returns
//
// Without a when the action happens at the first power-up. The actions:
//
//	hang [for 20s]       no answer; ESC or the end of the time frees the modem
//	freeze [for 20s]     no answer, and not even ESC helps
//	late 20s             the answer takes so much longer
//	error cms 38         this answer instead (or: error cme 14)
//	result NO CARRIER    these words for a final result
//	mute                 no final result, only the information
//	twice                the prompt twice
//	drop 5               the first 5 bytes of the answer are lost
//	garbage 20           20 bytes of noise before the answer
//	urc RING             an unsolicited line, at this very point
//	echo on|off
//	registration 0       the <stat> of AT+CREG?
//	signal 3             the <rssi> of AT+CSQ
//	sim out|in
//	storage full|free
//	drafts 17            so many places hold messages that were never sent
//	call [for 20s]       somebody rings, until AT+CHUP or the end of the time
//	clock 26/11/24,…     the network gives this time, in the form of AT+CCLK
//	lte only|all         only +CEREG says registered, or all domains
//	ims on|off           what AT+CIREG? says; until then it is not known
//	domain 1             the service domain of AT+CGSMS?
//	deaf [for 20s]       the modem stops reading
//	stuck until reset    it hangs so that no command and no new opening of the
//	                     port helps, but a reset of its USB device (or: until power)
//	flip early           AT+CMSS marks the message as sent before the network has
//	                     answered (or: answer, when it has; or: never)
//	restart              settings lost, the vendor's boot lines
//	unplug [for 20s]     the port goes away
//
// Blank lines and lines that begin with # are skipped. An error names the line.
func ParseFaults(r io.Reader) (Script, error) {
	var s Script
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		rule, err := parseRule(line)
		if err != nil {
			return Script{}, fmt.Errorf("fault script line %d, %q: %w", n, line, err)
		}
		s.lines = append(s.lines, rule)
	}
	if err := lines.Err(); err != nil {
		return Script{}, fmt.Errorf("reading the fault script: %w", err)
	}
	return s, nil
}

func parseRule(line string) (rule, error) {
	when, what, found := strings.Cut(line, ": ")
	if !found {
		when, what = "", line
	}
	r, err := parseWhen(strings.Fields(when))
	if err != nil {
		return rule{}, err
	}
	name, rest, _ := strings.Cut(strings.TrimSpace(what), " ")
	act, known := actions[name]
	if !known {
		return rule{}, fmt.Errorf("unknown action %q", name)
	}
	if act.needs == atPoint && r.point == "" {
		return rule{}, fmt.Errorf("%s: is about an answer and wants a point of a command, like \"cmgs: %s\"", name, what)
	}
	if r.point == "header" && !slices.Contains(atHeader, name) {
		return rule{}, fmt.Errorf("%s: to a header only %s can happen", name, strings.Join(atHeader, ", "))
	}
	r.act = act
	r.arg, err = parseArg(act.want, strings.TrimSpace(rest))
	if err != nil {
		return rule{}, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func parseWhen(f []string) (rule, error) {
	r := rule{every: 1, times: 1}
	if len(f) == 0 {
		return r, nil
	}
	var err error
	if len(f) == 2 && (f[0] == "at" || f[0] == "every") {
		r.repeat = f[0] == "every"
		if r.delay, err = time.ParseDuration(f[1]); err != nil || r.delay <= 0 {
			return r, fmt.Errorf("%s wants a time like 10s, not %q", f[0], f[1])
		}
		return r, nil
	}
	if f[0] == "after" || f[0] == "every" {
		n := 0
		if len(f) > 1 {
			n, err = strconv.Atoi(f[1])
		}
		if len(f) < 3 || err != nil || n < 1 {
			return r, fmt.Errorf("%s wants a count and a point", f[0])
		}
		if f[0] == "after" {
			r.after = n
		} else {
			r.every, r.times = n, 0
		}
		f = f[2:]
	}
	r.point, f = f[0], f[1:]
	if !isPoint(r.point) {
		return r, fmt.Errorf("unknown point %q: neither a command, like cmgs, nor any of any, %s", r.point, strings.Join(moments, ", "))
	}
	if len(f) == 1 && strings.HasPrefix(f[0], "x") {
		if r.times, err = strconv.Atoi(f[0][1:]); err == nil && r.times > 0 {
			return r, nil
		}
	}
	if len(f) > 0 {
		return r, fmt.Errorf("cannot read %q; a repeat count looks like x3", strings.Join(f, " "))
	}
	return r, nil
}

// isPoint: a script that waits for what never comes would be a silent mistake.
func isPoint(point string) bool {
	if point == "any" || slices.Contains(moments, point) {
		return true
	}
	for name := range verbs {
		if pointOf(name) == point {
			return true
		}
	}
	return false
}

// pointOf is the name of a command in a script: "cmgs" of "+CMGS".
func pointOf(name string) string { return strings.ToLower(strings.TrimLeft(name, "+^#$*%_&")) }

func parseArg(w want, s string) (arg, error) {
	var a arg
	var err error
	switch w {
	case wantNothing:
		if s != "" {
			return a, fmt.Errorf("wants nothing more, not %q", s)
		}
	case wantNumber:
		if a.n, err = strconv.Atoi(s); err != nil || a.n < 0 {
			return a, fmt.Errorf("wants a number, not %q", s)
		}
	case wantDuration:
		if a.span, err = time.ParseDuration(s); err != nil || a.span <= 0 {
			return a, fmt.Errorf("wants a time like 20s, not %q", s)
		}
	case wantSpan:
		if s == "" {
			return a, nil
		}
		d, ok := strings.CutPrefix(s, "for ")
		if a.span, err = time.ParseDuration(d); !ok || err != nil || a.span <= 0 {
			return a, fmt.Errorf("wants nothing or \"for 20s\", not %q", s)
		}
	case wantWords, wantText:
		if a.text = s; w == wantText && s == "" {
			return a, errors.New("wants some words")
		}
	case wantOnOff, wantOutIn, wantFullFree, wantResetPower, wantFlip, wantOnlyAll:
		a.text = s
		if of := choices[w]; !slices.Contains(of, s) {
			return a, fmt.Errorf("wants %s, not %q", strings.Join(of, " or "), s)
		}
	case wantCode:
		kind, digits, _ := strings.Cut(s, " ")
		a.text = kind
		if a.n, err = strconv.Atoi(digits); err != nil || kind != "cms" && kind != "cme" {
			return a, fmt.Errorf("wants cms or cme and a number, not %q", s)
		}
	}
	return a, nil
}
