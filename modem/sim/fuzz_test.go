package sim

import (
	"strings"
	"testing"
	"testing/synctest"
)

// FuzzLine: whatever a terminal types, the modem answers or ignores it, and
// after CR, ESC and CR it is ready for the next line.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		"AT\r", "ATE0V1Q0\r", "ATV0\r", "AT+CMGF=1;+CMGS=\"+31\",145\rtext\x1a", "AT+CMGS=23\r0031\x1a",
		"AT+CMGW=23\r" + hello("5678") + "\x1aAT+CMSS=1\rAT+CMGL=4\r", "AT+CPMS=\"ME\",\"SR\"\r", "A/", "ATS0=?\r", "AT+CNMI=,,,,,,\r",
		"AT+CSCS=\"HEX\";+CSCA=\"ZZ\";+CSCA?\r", "AT+CMGD=-1,9\r", "AT+CFUN=1,1\r", "AT+CPIN=\r", "AT+CMGR=99999999999999999999\r", "\x08\x08AT\x08\r",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		synctest.Test(t, func(t *testing.T) {
			c := NewCell(CellConfig{})
			d := plug(t, c, New(c, Config{}))
			d.write(typed)
			d.write("\r\x1b\r") // the end of a line, and of the prompt it may have opened
			d.said()            // all it has to say, and a restart that was asked for
			d.write("ATQ0V1E0\r")
			if got := d.said("OK"); !strings.HasSuffix(got, "OK") {
				t.Errorf("after %q it answers %q", typed, got)
			}
			d.unplug()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

// FuzzSubmit: a PDU is read or refused, and what was read is consistent.
func FuzzSubmit(f *testing.F) {
	f.Add(hello("5678"), 23)
	f.Add("0071000B911316325476F80000A70B0500032A0202C4E34D19", 24)
	f.Add("0031000B911316325476F80008A712041F044004380432043504420020D83DDE00", 32)
	f.Fuzz(func(t *testing.T, line string, length int) {
		s, err := decodeSubmit(line, length)
		if err != nil {
			return
		}
		if s.to == "" || len(s.ud) > 140 || s.refBits != 0 && (s.seq < 1 || s.seq > s.total) {
			t.Errorf("%q gives %+v", line, s)
		}
	})
}

// FuzzFaults: a script is read or refused with a reason; what was read plays.
func FuzzFaults(f *testing.F) {
	f.Add("after 3 cmgs x2: hang for 1s\nevery 5 any: error cms 38\nat 1s: urc RING")
	f.Add("# note\nheader: urc\nstorage full\nsim out\nsim in\nstorage free")
	f.Fuzz(func(t *testing.T, script string) {
		s, err := ParseFaults(strings.NewReader(script))
		if err != nil && err.Error() == "" {
			t.Error("refused without a reason")
		}
		if n := len(s.rules()); n > strings.Count(script, "\n")+1 {
			t.Errorf("%d rules", n)
		}
	})
}
