package smsc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fault is one line of a script: at which submits (or binds) something goes
// wrong, and what.
type Fault struct {
	Bind  bool // counts binds, not submits
	After int  // how many pass first
	Every int  // 0: once; n: again after every n
	Times int  // how many in a row

	Verdict Verdict // of the submits it hits
	Status  uint32  // of the binds it hits

	seen, left int
}

// ParseFaults reads a script. Each line is one fault, # begins a comment:
//
//	after 100 submits: drop              the connection breaks instead of the answer
//	every 50 submits: silent 3           three in a row are never answered
//	after 10 submits: lose 2             nor accepted
//	after 20 submits: status 0x58 5      five are refused with this status
//	after 20 submits: nack 0x08          a generic_nack
//	after 30 submits: late 5s 2          answered so much later
//	after 30 submits: noreceipt 10       no receipt though one was asked for
//	after 30 submits: state EXPIRED 10   the receipt says so
//	after 0 binds: refuse 0x0E 2         two binds are refused
//
// Where a number of times is left out it is 1. Every line counts every submit;
// where two strike at once the first one does.
func ParseFaults(script string) ([]Fault, error) {
	var faults []Fault
	for n, line := range strings.Split(script, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		f, err := parseFault(line)
		if err != nil {
			return nil, fmt.Errorf("fault script, line %d: %w", n+1, err)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

func parseFault(line string) (Fault, error) {
	when, what, ok := strings.Cut(line, ":")
	w, a := strings.Fields(when), strings.Fields(what)
	if !ok || len(w) != 3 || len(a) == 0 {
		return Fault{}, fmt.Errorf("%q is not of the form \"after N submits: what\"", line)
	}
	var f Fault
	n, err := strconv.Atoi(w[1])
	if err != nil || n < 0 {
		return Fault{}, fmt.Errorf("%q is not a count", w[1])
	}
	switch w[0] {
	case "after":
		f.After = n
	case "every":
		if n == 0 {
			return Fault{}, fmt.Errorf("every 0 is every what?")
		}
		f.After, f.Every = n, n
	default:
		return Fault{}, fmt.Errorf("%q is neither after nor every", w[0])
	}
	switch strings.TrimSuffix(w[2], "s") {
	case "submit":
	case "bind":
		f.Bind = true
	default:
		return Fault{}, fmt.Errorf("%q is neither submits nor binds", w[2])
	}

	act, ok := actions[a[0]]
	if !ok || act.bind != f.Bind {
		return Fault{}, fmt.Errorf("%q is nothing that can happen to %s", a[0], w[2])
	}
	args := a[1:]
	arg := ""
	if act.arg {
		if len(args) == 0 {
			return Fault{}, fmt.Errorf("%s needs a value", a[0])
		}
		arg, args = args[0], args[1:]
	}
	f.Times = 1
	if len(args) > 0 {
		if f.Times, err = strconv.Atoi(args[0]); err != nil || f.Times < 1 {
			return Fault{}, fmt.Errorf("%q is not a number of times", args[0])
		}
		args = args[1:]
	}
	if len(args) > 0 {
		return Fault{}, fmt.Errorf("%q is too much", strings.Join(args, " "))
	}
	if err := act.set(&f, arg); err != nil {
		return Fault{}, fmt.Errorf("%s: %w", a[0], err)
	}
	return f, nil
}

// actions is what can go wrong.
var actions = map[string]struct {
	bind, arg bool
	set       func(f *Fault, arg string) error
}{
	"drop":      {set: func(f *Fault, _ string) error { f.Verdict.Drop = true; return nil }},
	"silent":    {set: func(f *Fault, _ string) error { f.Verdict.Silent = true; return nil }},
	"lose":      {set: func(f *Fault, _ string) error { f.Verdict.Silent, f.Verdict.Lose = true, true; return nil }},
	"noreceipt": {set: func(f *Fault, _ string) error { f.Verdict.NoReceipt = true; return nil }},
	"status":    {arg: true, set: func(f *Fault, arg string) error { return parseStatus(arg, &f.Verdict.Status) }},
	"nack": {arg: true, set: func(f *Fault, arg string) error {
		f.Verdict.Nack = true
		return parseStatus(arg, &f.Verdict.Status)
	}},
	"late": {arg: true, set: func(f *Fault, arg string) (err error) {
		f.Verdict.After, err = time.ParseDuration(arg)
		return err
	}},
	"state": {arg: true, set: func(f *Fault, arg string) error {
		if _, ok := stateNumbers[arg]; !ok {
			return fmt.Errorf("%q is no message state", arg)
		}
		f.Verdict.State = arg
		return nil
	}},
	"refuse": {bind: true, arg: true, set: func(f *Fault, arg string) error { return parseStatus(arg, &f.Status) }},
}

func parseStatus(s string, to *uint32) error {
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return fmt.Errorf("%q is no status", s)
	}
	*to = uint32(n)
	return nil
}

// hit counts one submit or bind and reports whether the fault strikes.
func (f *Fault) hit() bool {
	if f.left > 0 {
		f.left--
		return true
	}
	f.seen++
	if f.seen <= f.After {
		return false
	}
	if f.Every == 0 {
		f.seen, f.After = 0, int(^uint(0)>>1) // never again
	} else {
		f.seen, f.After = 0, f.Every
	}
	f.left = f.Times - 1
	return true
}

// fault counts a submit for all faults and returns the verdict of the first
// that strikes. Called with mu held.
func (m *SMSC) fault() (v Verdict, struck bool) {
	for i := range m.faults {
		if f := &m.faults[i]; !f.Bind && f.hit() && !struck {
			v, struck = f.Verdict, true
		}
	}
	return v, struck
}

// bindFault is the same for binds. Called with mu held.
func (m *SMSC) bindFault() (status uint32, struck bool) {
	for i := range m.faults {
		if f := &m.faults[i]; f.Bind && f.hit() && !struck {
			status, struck = f.Status, true
		}
	}
	return status, struck
}
