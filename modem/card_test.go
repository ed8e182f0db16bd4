package modem

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

func fixedPIN(pin string) func() (string, error) {
	return func() (string, error) { return pin, nil }
}

func TestPINFromTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{PIN: "1234"}, modem: Config{PIN: fixedPIN("1234\n")}})
		b.mustSend("m1")
		if n := b.peer.PINEntries(); n != 1 {
			t.Errorf("%d PINs were offered", n)
		}
		// A power cut later the same PIN is entered again: it was right.
		b.play("restart")
		b.until("preparing", func(s route.Status) bool { return s.State != route.Ready })
		b.mustSend("m2")
		if n := b.peer.PINEntries(); n > 2 {
			t.Errorf("%d PINs were offered", n)
		}
	})
}

// The promise: with a wrong PIN file, over ten restarts of the daemon and of
// the modem, exactly one attempt.
func TestWrongPINIsTriedOnceOverTenRestarts(t *testing.T) {
	for _, vendor := range []string{"Generic", "Huawei", "Sierra"} {
		bubble(t, vendor, func(t *testing.T) {
			mem := &memory{}
			card := &sim.Card{ICCID: "8931440000000000014", IMSI: "204040000000001", Number: "+31970100001", SMSC: "+31624000000", PIN: "1234"}
			for range 10 {
				b := plug(t, setUp{peer: sim.Config{NoSIM: true, Vendor: vendor}, modem: Config{PIN: fixedPIN("9999"), Memory: mem}})
				b.until("missing", code("sim_missing"))
				b.peer.Insert(card)
				s := b.until("refused", code("sim_pin_wrong"))
				if s.State != route.Hand {
					t.Errorf("%+v", s)
				}
				time.Sleep(10 * time.Minute) // it does not try again by itself
				if n := b.peer.PINEntries(); n != 1 {
					t.Fatalf("%d PINs were offered", n)
				}
				if strings.Contains(b.log.String(), "9999") {
					t.Error("the PIN is in the log")
				}
				b.peer.Insert(nil)
				b.end()
				b.ended <- nil // for the clean-up
			}
			for _, v := range mem.kept {
				if strings.Contains(string(v), "9999") {
					t.Errorf("the PIN is in the memory: %s", v)
				}
			}
		})
	}
}

func TestPINIsWrittenDownBeforeItIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := &memory{fail: errors.New("the disk is full")}
		b := plug(t, setUp{peer: sim.Config{PIN: "1234"}, modem: Config{PIN: fixedPIN("1234"), Memory: mem}})
		s := b.until("waiting for the PIN", code("sim_pin"))
		if !strings.Contains(s.Detail, "the disk is full") {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if n := b.peer.PINEntries(); n != 0 {
			t.Errorf("%d PINs were offered although none could be written down", n)
		}
		mem.mu.Lock()
		mem.fail = nil
		mem.mu.Unlock()
		b.ready()
	})
}

func TestPINByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{PIN: "1234"}})
		if s := b.until("waiting for the PIN", code("sim_pin")); s.State != route.Hand || !strings.Contains(s.Detail, "none is set") {
			t.Errorf("%+v", s)
		}
		for _, bad := range []string{"", "123", "123456789", "12a4", "1234\r", "\"1234"} {
			if err := b.modem.EnterPIN(t.Context(), bad); err == nil || !strings.HasPrefix(err.Error(), "pin:") {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := b.modem.EnterPIN(t.Context(), "1111"); !errors.Is(err, errWrongPIN) || !strings.Contains(err.Error(), "attempts left: 2") {
			t.Errorf("a wrong PIN: %v", err)
		}
		if err := b.modem.EnterPIN(t.Context(), "1111"); err == nil || !strings.Contains(err.Error(), "not tried again") {
			t.Errorf("the same again: %v", err)
		}
		if err := b.modem.EnterPIN(t.Context(), "2222"); !errors.Is(err, errWrongPIN) {
			t.Errorf("a second wrong PIN: %v", err)
		}
		if err := b.modem.EnterPIN(t.Context(), "1234"); err == nil || !strings.Contains(err.Error(), "attempt left") {
			t.Errorf("the last attempt, though right: %v", err)
		}
		if n := b.peer.PINEntries(); n != 2 {
			t.Errorf("%d PINs were offered", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{PIN: "1234"}})
		b.until("waiting for the PIN", code("sim_pin"))
		if err := b.modem.EnterPIN(t.Context(), "1234"); err != nil {
			t.Fatal(err)
		}
		b.mustSend("m1")
		if err := b.modem.EnterPIN(t.Context(), "1234"); err == nil || !strings.Contains(err.Error(), "does not ask") {
			t.Errorf("an open SIM: %v", err)
		}
	})
}

func TestMayTry(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tried  map[string]outcome
		left   int
		known  bool
		byHand bool
		may    bool
	}{
		{"fresh", nil, 3, true, false, true},
		{"fresh_unknown_counter", nil, 0, false, false, true},
		{"accepted_before", map[string]outcome{"x": pinAccepted}, 3, true, false, true},
		{"accepted_before_unknown_counter", map[string]outcome{"x": pinAccepted}, 0, false, false, true},
		{"refused_before", map[string]outcome{"x": pinRefused}, 3, true, true, false},
		{"died_in_it_all_left", map[string]outcome{"x": pinTrying}, 3, true, false, true},
		{"died_in_it_two_left", map[string]outcome{"x": pinTrying}, 2, true, true, false},
		{"died_in_it_unknown_counter", map[string]outcome{"x": pinTrying}, 0, false, true, false},
		{"somebody_tried", nil, 2, true, false, false},
		{"somebody_tried_a_person_may", nil, 2, true, true, true},
		{"last_one", nil, 1, true, true, false},
		{"none_left", nil, 0, true, true, false},
		{"another_was_refused_unknown_counter", map[string]outcome{"y": pinRefused}, 0, false, false, false},
		{"another_was_refused_unknown_counter_by_hand", map[string]outcome{"y": pinRefused}, 0, false, true, true},
		{"two_were_refused_unknown_counter_by_hand", map[string]outcome{"y": pinRefused, "z": pinTrying}, 0, false, true, false},
		{"two_were_refused_but_three_left", map[string]outcome{"y": pinRefused, "z": pinRefused}, 3, true, false, true},
	} {
		if err := mayTry(tc.tried, "x", tc.left, tc.known, tc.byHand); (err == nil) != tc.may {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestLockedSIMsSayWhatIsNeeded(t *testing.T) {
	for name, tc := range map[string]struct{ answer, code string }{
		"puk":       {"+CPIN: SIM PUK", "sim_puk"},
		"simlock":   {"+CPIN: PH-NET PIN", "modem_locked"},
		"failure":   {"+CME ERROR: 13", "sim_missing"},
		"no_card":   {"+CME ERROR: SIM not inserted", "sim_missing"},
		"tray":      {"+CPIN: NOT INSERTED", "sim_missing"},
		"wrong_sim": {"+CME ERROR: 15", "sim_refused"},
	} {
		bubble(t, name, func(t *testing.T) {
			b := parrot(t, func(cmd string) string {
				switch {
				case cmd != "AT+CPIN?":
					return "OK"
				case strings.HasPrefix(tc.answer, "+CME"):
					return tc.answer
				}
				return tc.answer + "\r\n\r\nOK"
			})
			if s := b.until(tc.code, code(tc.code)); s.State != route.Hand {
				t.Errorf("%+v", s)
			}
			time.Sleep(time.Hour)
			if strings.Contains(b.trace.String(), "AT+CPIN=") {
				t.Error("something was entered")
			}
		})
	}
}

// Old Wavecom answers AT+CPIN? without OK (field-notes §1.3): it gets through.
func TestPINStateWithoutOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := parrot(t, func(cmd string) string {
			switch cmd {
			case "AT+CPIN?":
				return "+CPIN: READY"
			case "AT+CREG?":
				return "+CREG: 1,1\r\n\r\nOK"
			}
			return "OK"
		})
		b.ready()
	})
}

func TestWaysToReadTheCard(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"8931440000000000014", "8931440000000000014"},
		{"+CCID: 8931440000000000014", "8931440000000000014"},
		{`+CCID: "8931440000000000014F"`, "8931440000000000014"},
		{"^ICCID: 98134400000000000041", "89314400000000000014"},
		{"+ICCID: 981344000000000010F4", "8931440000000000014"},
		{"#CCID: 89314400000000000014", "89314400000000000014"},
		{"ERROR", ""},
		{"204040000000001", ""},
	} {
		if got := cardNumber([]string{"", tc.line}); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.line, got, tc.want)
		}
	}
	for _, tc := range []struct{ line, want string }{
		{"352099000000014", "352099000000014"}, {"+CGSN: 352099000000014", "352099000000014"}, {`IMEI: "352099000000014"`, "352099000000014"}, {"nothing", ""},
	} {
		if got := digits([]string{"manufacturer", tc.line}, 14, 16); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.line, got, tc.want)
		}
	}
}

func TestPINFileThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pin")
		b := plug(t, setUp{peer: sim.Config{PIN: "1234"}, modem: Config{PIN: func() (string, error) {
			p, err := os.ReadFile(path)
			return string(p), err
		}}})
		if s := b.until("waiting for the PIN", code("sim_pin")); !strings.Contains(s.Detail, "cannot be read") {
			t.Errorf("%+v", s)
		}
		if err := os.WriteFile(path, []byte("1234\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.mustSend("m1") // corrected while it ran
	})
}

// Issue 4, point 4: a SIM that is moved into another modem takes the memory of
// its PINs along, as long as the modem can tell it by its number; one that
// cannot be told before its PIN is remembered by the modem it is in.
func TestWrongPINFollowsTheSIM(t *testing.T) {
	for name, tc := range map[string]struct {
		faults string
		modems []string // IMEIs, one after the other
	}{
		"into_another_modem":           {"", []string{"352099000000014", "352099000000022", "352099000000030"}},
		"its_number_hidden_by_the_PIN": {"every 1 ccid: error cme 11", []string{"352099000000014", "352099000000014", "352099000000014"}},
	} {
		bubble(t, name, func(t *testing.T) {
			mem := &memory{}
			card := &sim.Card{ICCID: "8931440000000000014", IMSI: "204040000000001", Number: "+31970100001", SMSC: "+31624000000", PIN: "1234"}
			for _, imei := range tc.modems {
				b := plug(t, setUp{faults: tc.faults, peer: sim.Config{NoSIM: true, IMEI: imei}, modem: Config{PIN: fixedPIN("9999"), Memory: mem}})
				b.until("missing", code("sim_missing"))
				b.peer.Insert(card)
				b.until("refused", code("sim_pin_wrong"))
				time.Sleep(time.Minute)
				if n := b.peer.PINEntries(); n != 1 {
					t.Fatalf("in modem %s: %d PINs were offered", imei, n)
				}
				b.peer.Insert(nil)
				b.end()
				b.ended <- nil // for the clean-up
			}
		})
	}
}
