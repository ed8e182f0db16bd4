package modem

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// What is kept of a line can be shown to anybody who looks after the box.
func TestMaskedLines(t *testing.T) {
	for line, want := range map[string]string{
		"AT+CSQ":                                 "AT+CSQ",
		"+CSQ: 20,99":                            "+CSQ: 20,99",
		"OK":                                     "OK",
		">":                                      ">",
		`AT+CPIN="1234"`:                         "AT+CPIN=…",
		"AT+CPIN=1234":                           "AT+CPIN=…",
		"+CPIN: SIM PIN":                         "+CPIN: SIM PIN",
		`AT+CPWD="SC","1234","4321"`:             "AT+CPWD=…",
		"+CME ERROR: SIM not inserted":           "+CME ERROR: SIM not inserted",
		"+CMS ERROR: 38":                         "+CMS ERROR: 38",
		"AT+CMGS=23":                             "AT+CMGS=23",
		"0031000B911316325476F80000A70AE8329B":   "(PDU, 18 octets)",
		"+CMGS: 17":                              "+CMGS: 17",
		"+CMT: ,24":                              "+CMT: ,24",
		`+CREG: 2,1,"00C3","A1B2"`:               `+CREG: 2,1,"…","…"`,
		`+COPS: 0,0,"Noordzee Mobiel",7`:         `+COPS: 0,0,"Noordzee Mobiel",7`,
		`+COPS: 0,2,"20404",7`:                   `+COPS: 0,2,"…",7`,
		`+CPMS: "SM",3,20,"SM",3,20,"",0,0`:      `+CPMS: "SM",3,20,"SM",3,20,"",0,0`,
		`+CNUM: ,"+31612345678",145`:             `+CNUM: ,"…",145`,
		`AT+CSCA="+31624000000",145`:             `AT+CSCA="…",145`,
		"8931000000000004417":                    "(19 characters)",
		"+CCID: 8931000000000004417":             "+CCID: …",
		"Quectel":                                "(7 characters)",
		`AT+CUSD=1,"*100#",15`:                   `AT+CUSD=1,"…",15`,
		`+CUSD: 0,"Your balance is EUR 4.02",15`: `+CUSD: (31 characters)`,
		`+CUSD: 0,Saldo 4.02`:                    `+CUSD: (12 characters)`,
		`^SMSO: Beste klant`:                     `^SMSO: (11 characters)`,
		`+CLIP: "+31612345678",145`:              `+CLIP: "…",145`,
		`+XTXT: "Uw fiets`:                       `+XTXT: "…`,
		"Uw fiets is klaar":                      "(17 characters)",
		"":                                       "(0 characters)",
	} {
		if got := maskLine(line); got != want {
			t.Errorf("%s\nis kept as %s\nwant       %s", line, got, want)
		}
	}
}

// The conversation is remembered, without number, text, PIN or PDU, and no
// longer than there is room for.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{PIN: "4711"}, modem: Config{PIN: func() (string, error) { return "4711", nil }}})
		b.ready()
		b.send("m1", "+31612345678", "Uw fiets is klaar")
		all := b.modem.Trace()
		var said strings.Builder
		for _, l := range all {
			if l.At.IsZero() || l.At.After(time.Now()) {
				t.Errorf("%q was said at %s", l.Text, l.At)
			}
			said.WriteString(map[bool]string{true: "> ", false: "< "}[l.Out] + l.Text + "\n")
		}
		for _, want := range []string{"> AT+CPIN=…\n", "> AT+CMGS=", "< >\n> (PDU, ", "< +CMGS: ", "< OK\n"} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("%q is not in\n%s", want, said.String())
			}
		}
		for _, secret := range []string{"4711", "31612345678", "1316325476", "Uw fiets"} {
			if strings.Contains(said.String(), secret) {
				t.Errorf("%q is in\n%s", secret, said.String())
			}
		}
	})
	var full trace
	for range traceKept + 7 {
		full.hear(true, "AT+CSQ")
	}
	full.hear(false, "+CSQ: 9,99")
	m := &Modem{}
	m.trace.lines, m.trace.next = full.lines, full.next
	if all := m.Trace(); len(all) != traceKept || all[len(all)-1] != full.lines[full.next-1] || all[len(all)-1].Text != "+CSQ: 9,99" {
		t.Errorf("%d lines, the last is %+v", len(all), all[len(all)-1])
	}
}

// A person can ask for a self-test, where none is due and none is configured.
func TestSelfTestOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.ready()
		if err := b.modem.SelfTest(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.modem.SelfTest(t.Context()); err == nil || !strings.Contains(err.Error(), "on its way already") {
			t.Errorf("a second one: %v", err)
		}
		b.until("tested", func(s route.Status) bool { return s.Care.LoopTest != nil && s.Care.LoopTest.Took > 0 })
		if err := b.modem.SelfTest(t.Context()); err != nil {
			t.Errorf("another one: %v", err)
		}
		b.until("tested again", func(s route.Status) bool { return s.Care.LoopTest != nil && s.Care.LoopTest.Took > 0 })
		time.Sleep(48 * time.Hour)
		if n := len(b.cell.Submits()); n != 2 {
			t.Errorf("%d tests were sent", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.ready()
		b.play("ctrl-z: error cms 38")
		if err := b.modem.SelfTest(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := b.until("refused", code("loop_failed")); s.Care.LoopTest.Took != 0 || s.Care.LoopTest.Why == "" {
			t.Errorf("%+v", s.Care.LoopTest)
		}
	})
}
