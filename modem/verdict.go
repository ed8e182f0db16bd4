package modem

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// lookup finds the row for a refusal. numbering is the profile's: from 512 on
// the numbers are the vendors' own, and two families use the same ones for
// different things (field-notes §1.11).
func lookup(e *at.Error, numbering string) row {
	t := tables()
	switch {
	case e.Kind == "":
		return bareError
	case e.Code < 0:
		return inWords(e.Text)
	case e.Kind == "CME":
		if r, ok := t.cme[e.Code]; ok {
			return r
		}
		return t.cme[100] // unknown error
	case e.Code >= 512:
		return vendorRow(e.Code, numbering)
	}
	if r, ok := t.cms[e.Code]; ok {
		return r
	}
	// vectors/README, "codes not listed".
	switch {
	case e.Code < 128:
		return renumbered(t.cms[41], e.Code)
	case e.Code < 256:
		return renumbered(t.cms[255], e.Code)
	}
	return renumbered(t.cms[500], e.Code)
}

func renumbered(r row, code int) row {
	r.Code = code
	return r
}

// bareError: ERROR with nothing behind it means, after a PDU, a malformed one
// or trouble with SIM or registration: look at both, then try twice more.
var bareError = row{Name: "ERROR without a number", Class: "temporary", Scope: "modem", Retry: "reset", Wait: 30 * time.Second, Max: 2}

// inWords finds the row for a text, for modems under CMEE=2 and those that
// know no numbers.
func inWords(text string) row {
	text = strings.ToLower(strings.TrimSpace(text))
	if r, ok := tables().words[text]; ok {
		return r
	}
	for _, w := range vendorWords {
		if strings.Contains(text, w.text) {
			rows := tables().cms
			if w.kind == "CME" {
				rows = tables().cme
			}
			return renamed(rows[w.code], text)
		}
	}
	return renamed(tables().cms[500], text)
}

func renamed(r row, name string) row {
	r.Name = name
	return r
}

// vendorWords are spellings that the tables do not have, by the code they mean.
var vendorWords = []struct {
	text string
	kind string
	code int
}{
	{"command not support", "CME", 4}, // Huawei
	{"too many parameters", "CME", 50},
	{"network timeout", "CMS", 332},
	{"timeout", "CMS", 332},
	{"no network", "CMS", 331},
	{"not inserted", "CMS", 310},
	{"puk", "CMS", 316},
	{"pin", "CMS", 311},
	{"busy", "CMS", 314},
	{"barred", "CMS", 10},
	{"congestion", "CMS", 42},
	{"memory full", "CMS", 322},
	{"smsc", "CMS", 330},
}

// siemensCodes are the readings of the codes that conflict, in the numbering
// of Siemens, SIMCom and Quectel's M modules; the table has Wavecom's.
var siemensCodes = map[int]row{
	512: {Kind: "CMS", Code: 512, Name: "user abort", Class: "temporary", Scope: "modem", Retry: "yes", Wait: 15 * time.Second, Max: 3},
	513: {Kind: "CMS", Code: 513, Name: "unable to store", Class: "modem", Scope: "modem", Retry: "reset", Wait: 15 * time.Second, Max: 2},
	514: {Kind: "CMS", Code: 514, Name: "invalid status", Class: "temporary", Scope: "message", Retry: "yes", Wait: 2 * time.Minute, Max: 3},
	515: {Kind: "CMS", Code: 515, Name: "device busy", Class: "temporary", Scope: "modem", Retry: "yes", Wait: 10 * time.Second, Max: 6},
}

// lastConflict is the highest code that both families use.
const lastConflict = 515

// vendorRow reads a code of 512 and above. Of a family that we do not know,
// or in a numbering that is not its own, the code means "temporary, few
// tries", with one exception: 513 is never a reason to repeat blindly.
func vendorRow(code int, numbering string) row {
	r, listed := tables().cms[code]
	switch {
	case numbering == "siemens" && code <= lastConflict:
		return siemensCodes[code]
	case listed && (numbering == "siemens" || code <= lastConflict && numbering == "wavecom" || r.Retry == "ambiguous"):
		return r
	case listed && r.Retry == "hold" && numbering == "":
		return r // to wait is never wrong
	}
	return renumbered(tables().cms[500], code)
}

// verdict is what a refusal means: for the message, and for the route.
type verdict struct {
	err   *route.Error // nil: the network has it after all
	held  string       // not empty: the route is to stop, with this key of failure_texts.csv
	wait  time.Duration
	reset bool // the ladder is to run
}

// judge turns the outcome of one Submit that failed into a verdict.
func judge(name, numbering string, phase at.Phase, err error) verdict {
	e, ok := errors.AsType[*at.Error](err)
	if !ok {
		return unanswered(name, phase, err)
	}
	r := lookup(e, numbering)
	v := &route.Error{Code: codeOf(e), Text: fmt.Sprintf("%s: %v (%s)", name, e, r.Name), Scope: route.ScopeMessage, Wait: r.Wait, Max: r.Max, Err: err}
	if r.Scope != "message" {
		v.Scope = route.ScopeRoute
	}
	switch r.Retry {
	case "yes":
		v.Fate = route.Retry
	case "reset":
		v.Fate = route.Retry
		return verdict{err: v, reset: true}
	case "hold":
		v.Fate = route.NotOffered
		wait := min(r.Wait, probeEvery)
		if wait == 0 {
			wait = lookAgain
		}
		return verdict{err: v, held: heldBy(r), wait: wait}
	case "ambiguous":
		v.Fate = route.Unknown
		v.Text += ": the network may have it"
	default:
		if r.Class == "accepted" {
			return verdict{}
		}
		v.Fate = route.Reject
		v.Doubt = r.Kind == "CMS" && doubtful[r.Code]
	}
	return verdict{err: v}
}

// unanswered judges a Submit without a final result.
func unanswered(name string, phase at.Phase, err error) verdict {
	v := &route.Error{Fate: route.NotOffered, Scope: route.ScopeRoute, Err: err,
		Text: fmt.Sprintf("%s: %v; %v, so nothing was sent", name, err, phase)}
	if phase == at.Gone {
		v.Fate = route.Unknown
		v.Text = fmt.Sprintf("%s: %v; the whole message was with the modem, so it may have been sent", name, err)
	}
	return verdict{err: v}
}

// probeEvery is how often a SIM that is refused tries one message, so that a
// top-up heals it without a click (field-notes §1.11).
const probeEvery = 15 * time.Minute

// lookAgain is the pause where the table names none: the SIM is asked then,
// and sooner if it says something itself.
const lookAgain = 30 * time.Second

// doubtful are the refusals that may blame the SIM instead of the number.
var doubtful = map[int]bool{1: true, 28: true, 30: true}

// held maps what stops a route to the plain text for it (failure_texts.csv).
var held = map[string]map[int]string{
	"CMS": {
		262: "sim_puk", 310: "sim_missing", 311: "sim_pin", 312: "modem_locked", 315: "sim_refused",
		316: "sim_puk", 330: "no_smsc", 770: "sim_refused", 773: "sim_missing",
	},
	"CME": {
		5: "modem_locked", 6: "modem_locked", 7: "modem_locked", 10: "sim_missing", 11: "sim_pin", 12: "sim_puk",
		15: "sim_refused", 16: "sim_pin_wrong", 32: "sim_refused", 40: "modem_locked", 41: "modem_locked",
		42: "modem_locked", 43: "modem_locked", 44: "modem_locked", 45: "modem_locked", 46: "modem_locked",
		47: "modem_locked", 48: "modem_locked", 54: "sim_refused", 62: "no_credit", 102: "sim_refused", 103: "sim_refused",
		105: "sim_refused", 106: "sim_refused", 108: "sim_refused",
	},
}

// heldBy says which text a held route shows.
func heldBy(r row) string {
	if key, ok := held[r.Kind][r.Code]; ok {
		return key
	}
	if r.Class == "sim" {
		return "no_credit" // 8, 10, 50, 193, 257: the operator bars this SIM
	}
	return "no_signal"
}

// codeOf spells the modem's code for the queue.
func codeOf(e *at.Error) string {
	switch {
	case e.Kind == "":
		return "ERROR"
	case e.Code < 0:
		return e.Kind
	}
	return fmt.Sprintf("%s %d", e.Kind, e.Code)
}

// credit watches for the pattern that has no code of its own: refusals of
// these kinds for three different recipients in a row, while registered, mean
// that the SIM has no credit or is barred (field-notes §1.11.3).
type credit struct{ refused []string }

var creditCodes = map[string]bool{"CMS 8": true, "CMS 10": true, "CMS 21": true, "CMS 38": true, "CMS 50": true, "CMS 500": true}

// note takes one verdict (nil: sent) and tells whether the pattern is there.
func (c *credit) note(to string, e *route.Error) bool {
	if e == nil || !creditCodes[e.Code] {
		if e == nil || e.Fate != route.NotOffered {
			c.refused = nil
		}
		return false
	}
	if !slices.Contains(c.refused, to) {
		c.refused = append(c.refused, to)
	}
	return len(c.refused) >= 3
}
