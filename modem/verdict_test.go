package modem

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

func cms(code int) error { return &at.Error{Command: "AT+CMGS", Kind: "CMS", Code: code} }

// Every row of the tables maps as design §4 says.
func TestVerdictOfEveryCode(t *testing.T) {
	want := map[string]route.Fate{"no": route.Reject, "yes": route.Retry, "hold": route.NotOffered, "reset": route.Retry, "ambiguous": route.Unknown}
	for _, rows := range []map[int]row{tables().cms, tables().cme} {
		for code, r := range rows {
			maker := ""
			if r.Kind == "CMS" && code >= 512 {
				maker = "Quectel"
				if code <= lastConflict {
					maker = "Wavecom"
				}
			}
			v := judge("counter", profileOf(maker).numbering, at.Gone, &at.Error{Command: "AT+CMGS", Kind: r.Kind, Code: code})
			if r.Class == "accepted" {
				if v.err != nil {
					t.Errorf("%s %d: %v, want accepted", r.Kind, code, v.err)
				}
				continue
			}
			if v.err == nil || v.err.Fate != want[r.Retry] {
				t.Errorf("%s %d (%s): %+v", r.Kind, code, r.Retry, v.err)
				continue
			}
			if (v.held != "") != (r.Retry == "hold") || v.reset != (r.Retry == "reset") {
				t.Errorf("%s %d (%s): held %q, reset %v", r.Kind, code, r.Retry, v.held, v.reset)
			}
			if v.err.Code != fmt.Sprintf("%s %d", r.Kind, code) || v.err.Wait != r.Wait || v.err.Max != r.Max {
				t.Errorf("%s %d: %+v, the row is %+v", r.Kind, code, v.err, r)
			}
			if (v.err.Scope == route.ScopeMessage) != (r.Scope == "message") {
				t.Errorf("%s %d: scope %s, the row says %s", r.Kind, code, v.err.Scope, r.Scope)
			}
		}
	}
	if n := len(tables().cms); n < 140 {
		t.Errorf("only %d CMS codes were read", n)
	}
}

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		name  string
		err   error
		maker string
		phase at.Phase
		fate  route.Fate // empty: accepted
		code  string
		held  string
		doubt bool
		reset bool
	}{
		{name: "197_is_accepted", err: cms(197), phase: at.Gone},
		{name: "number_unassigned_may_blame_the_SIM", err: cms(1), phase: at.Gone, fate: route.Reject, code: "CMS 1", doubt: true},
		{name: "28", err: cms(28), phase: at.Gone, fate: route.Reject, code: "CMS 28", doubt: true},
		{name: "30", err: cms(30), phase: at.Gone, fate: route.Reject, code: "CMS 30", doubt: true},
		{name: "29_blames_nobody_else", err: cms(29), phase: at.Gone, fate: route.Reject, code: "CMS 29"},
		{name: "barred_SIM", err: cms(8), phase: at.Gone, fate: route.NotOffered, code: "CMS 8", held: "no_credit"},
		{name: "no_smsc", err: cms(330), phase: at.Gone, fate: route.NotOffered, code: "CMS 330", held: "no_smsc"},
		{name: "no_network", err: cms(331), phase: at.Gone, fate: route.NotOffered, code: "CMS 331", held: "no_signal"},
		{name: "sim_gone", err: cms(310), phase: at.Gone, fate: route.NotOffered, code: "CMS 310", held: "sim_missing"},
		{name: "network_timeout_may_have_sent_it", err: cms(332), phase: at.Gone, fate: route.Unknown, code: "CMS 332"},
		{name: "catch_all_350", err: cms(350), phase: at.Gone, fate: route.Unknown, code: "CMS 350"},
		{name: "unlisted_low_is_as_41", err: cms(99 + 15), phase: at.Gone, fate: route.Retry, code: "CMS 114"},
		{name: "unlisted_fcs_is_as_255", err: cms(200), phase: at.Gone, fate: route.Retry, code: "CMS 200"},
		{name: "unlisted_high_is_as_500", err: cms(499), phase: at.Gone, fate: route.Retry, code: "CMS 499"},
		{name: "513_of_wavecom", err: cms(513), maker: "WAVECOM MODEM", phase: at.Gone, fate: route.Unknown, code: "CMS 513"},
		{name: "513_of_simcom", err: cms(513), maker: "SIMCOM INCORPORATED", phase: at.Gone, fate: route.Retry, code: "CMS 513", reset: true},
		{name: "513_of_who_knows", err: cms(513), phase: at.Gone, fate: route.Unknown, code: "CMS 513"},
		{name: "517_of_siemens", err: cms(517), maker: "Cinterion", phase: at.Gone, fate: route.Reject, code: "CMS 517"},
		{name: "517_of_who_knows_is_temporary", err: cms(517), phase: at.Gone, fate: route.Retry, code: "CMS 517"},
		{name: "517_of_sierra_is_not_siemens", err: cms(517), maker: "Sierra Wireless", phase: at.Gone, fate: route.Retry, code: "CMS 517"},
		{name: "bare_error", err: &at.Error{Command: "AT+CMGS", Code: -1}, phase: at.Gone, fate: route.Retry, code: "ERROR", reset: true},
		{name: "in_words", err: &at.Error{Command: "AT+CMGS", Kind: "CMS", Code: -1, Text: "Network Timeout"}, phase: at.Gone, fate: route.Unknown, code: "CMS"},
		{name: "in_words_upper_case", err: &at.Error{Command: "AT+CMGS", Kind: "CMS", Code: -1, Text: "UNASSIGNED (UNALLOCATED) NUMBER"}, phase: at.Gone, fate: route.Reject, code: "CMS", doubt: true},
		{name: "in_a_vendor's_words", err: &at.Error{Command: "AT+CMGS", Kind: "CMS", Code: -1, Text: "SIM not inserted!"}, phase: at.Gone, fate: route.NotOffered, code: "CMS", held: "sim_missing"},
		{name: "in_words_nobody_knows", err: &at.Error{Command: "AT+CMGS", Kind: "CMS", Code: -1, Text: "xyzzy"}, phase: at.Gone, fate: route.Retry, code: "CMS"},
		{name: "cme_no_network", err: &at.Error{Command: "AT+CMGS", Kind: "CME", Code: 30}, phase: at.Nothing, fate: route.NotOffered, code: "CME 30", held: "no_signal"},
		{name: "silence_after_ctrl_z", err: at.ErrTimeout, phase: at.Gone, fate: route.Unknown},
		{name: "unplugged_after_ctrl_z", err: at.ErrClosed, phase: at.Gone, fate: route.Unknown},
		{name: "silence_before_the_prompt", err: at.ErrTimeout, phase: at.Nothing, fate: route.NotOffered},
		{name: "unplugged_in_the_pdu", err: at.ErrClosed, phase: at.Writing, fate: route.NotOffered},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := judge("counter", profileOf(tc.maker).numbering, tc.phase, tc.err)
			if tc.fate == "" {
				if v.err != nil {
					t.Errorf("%v, want accepted", v.err)
				}
				return
			}
			if v.err == nil {
				t.Fatal("accepted")
			}
			if v.err.Fate != tc.fate || v.err.Code != tc.code || v.held != tc.held || v.err.Doubt != tc.doubt || v.reset != tc.reset {
				t.Errorf("got %+v, held %q, reset %v", v.err, v.held, v.reset)
			}
			if !errors.Is(v.err, tc.err) && !isATError(tc.err) {
				t.Errorf("the cause is lost: %v", v.err)
			}
			if v.held != "" && (v.wait <= 0 || v.wait > probeEvery) {
				t.Errorf("held for %v", v.wait)
			}
		})
	}
}

func isATError(err error) bool {
	_, ok := errors.AsType[*at.Error](err)
	return ok
}

func TestNoCreditIsAPattern(t *testing.T) {
	refusal := func(code string, f route.Fate) *route.Error { return &route.Error{Code: code, Fate: f} }
	for _, tc := range []struct {
		name  string
		notes []string // recipient:code; "-" for sent
		want  bool
	}{
		{"three_recipients", []string{"a:CMS 38", "b:CMS 500", "c:CMS 21"}, true},
		{"one_recipient_thrice", []string{"a:CMS 38", "a:CMS 38", "a:CMS 38"}, false},
		{"one_got_through", []string{"a:CMS 38", "b:CMS 38", "c:-", "d:CMS 38"}, false},
		{"another_reason_between", []string{"a:CMS 38", "b:CMS 38", "c:CMS 27", "d:CMS 38"}, false},
		{"lost_before_the_network_is_no_reason", []string{"a:CMS 38", "b:CMS 38", "c:lost", "d:CMS 38"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c credit
			var got bool
			for _, n := range tc.notes {
				var e *route.Error
				switch to, code := n[:1], n[2:]; code {
				case "-":
					got = c.note(to, nil)
				case "lost":
					got = c.note(to, refusal("", route.NotOffered))
				default:
					e = refusal(code, route.Retry)
					got = c.note(to, e)
				}
			}
			if got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestTables(t *testing.T) {
	for code, want := range map[byte]struct {
		state route.ReportState
		final bool
	}{
		0x00: {route.ReportDelivered, true},
		0x01: {route.ReportSent, true},
		0x02: {route.ReportSent, true},
		0x20: {route.ReportPending, false},
		0x30: {route.ReportPending, false},
		0x40: {route.ReportUndelivered, true},
		0x46: {route.ReportUndelivered, true},
		0x60: {route.ReportUndelivered, true},
		0x7F: {route.ReportUndelivered, true},
		0x80: {route.ReportUndelivered, true}, // reserved: as 63
		0xFF: {route.ReportUndelivered, true},
	} {
		if r := tables().reports[code]; r.State != want.state || r.Final != want.final || r.Name == "" {
			t.Errorf("TP-ST %02X: %+v", code, r)
		}
	}
	for code, r := range tables().reports {
		if r.State == "" || r.Final == (r.State == route.ReportPending) {
			t.Errorf("TP-ST %02X: %+v", code, r)
		}
	}
	known := map[string]bool{}
	for _, u := range tables().urcs {
		known[u.Prefix] = true
	}
	for p := range notices {
		if !known[p] {
			t.Errorf("%s is heard and not in urcs.csv", p)
		}
	}
	for stat, want := range map[int]bool{0: false, 1: true, 2: false, 3: false, 4: false, 5: true, 6: true, 7: true, 8: false, 9: true, 10: true, 11: false} {
		if n, ok := tables().registration[stat]; !ok || n.CanSend != want {
			t.Errorf("registration %d: %+v", stat, n)
		}
	}
	for _, s := range []struct {
		scale string
		v     string
		field int
		want  int
		ok    bool
	}{
		{"csq", "20,99", 0, -73, true}, {"csq", "0,99", 0, -113, true}, {"csq", "31,0", 0, -51, true}, {"csq", "99,99", 0, 0, false},
		{"cesq_rsrp", "99,99,255,255,20,50", 5, -91, true}, {"cesq_rsrp", "99,99,255,255,20,255", 5, 0, false}, {"csq", "x", 0, 0, false},
	} {
		if got, ok := level(s.scale, s.v, s.field); got != s.want || ok != s.ok {
			t.Errorf("%s of %q: %d, %v", s.scale, s.v, got, ok)
		}
	}
	if time.Duration(tables().cms[38].Wait) != 2*time.Minute || tables().cms[38].Max != 5 {
		t.Errorf("CMS 38: %+v", tables().cms[38])
	}
}
