package sim

import (
	"strings"
	"testing"
	"time"
)

func TestFault_LTE_without_IMS(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.expect("AT+CIREG?", "ERROR")
		d.expect("AT+CGSMS?", "+CGSMS: 3|OK")
		play(t, d.modem, "lte only", "ims off", "domain 1")
		d.expect("AT+CREG?;+CGREG?;+CEREG?", "+CREG: 0,0|+CGREG: 0,0|+CEREG: 0,1|OK")
		d.expect("AT+CIREG?;+CGSMS?", "+CIREG: 0,0|+CGSMS: 1|OK")
		play(t, d.modem, "ims on", "lte all")
		d.expect("AT+CREG?;+CIREG?", `+CREG: 0,1|+CIREG: 0,1,"5"|OK`)
	})
}

func TestFault_clock(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		if got := d.at("AT+CCLK?"); !strings.HasPrefix(got, `+CCLK: "80/`) {
			t.Errorf("before the network has given the time: %s", got)
		}
		play(t, d.modem, "clock 26/11/24,12:34:56+04")
		if got := d.said("+CTZE*"); got != `+CTZE: "+04",0,"26/11/24,12:34:56+04"` {
			t.Errorf("got %s", got)
		}
		d.expect("AT+CCLK?", `+CCLK: "26/11/24,12:34:56+04"|OK`)
	})
}

func TestFault_call_rings_until_it_is_refused(t *testing.T) {
	for how, rings := range map[string]int{"AT+CHUP": 3, "ATH": 3, "": 4} {
		bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
			d.ready()
			play(t, d.modem, "call for 20s")
			time.Sleep(11 * time.Second)
			if how != "" {
				d.at(how)
			}
			time.Sleep(time.Minute)
			if got := strings.Count(d.at("AT"), "RING"); how == "" && got != rings {
				t.Errorf("it rang %d times, want %d", got, rings)
			} else if how != "" && got != 0 {
				t.Errorf("it rang %d times after %s", got, how)
			}
		})
	}
}

func TestFault_drafts(t *testing.T) {
	bench(t, CellConfig{}, Config{Slots: 5}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "drafts 3")
		d.expect("AT+CPMS?", `+CPMS: "SM",3,5,"SM",3,5,"SM",3,5|OK`)
		if got := d.at("AT+CMGL=2"); strings.Count(got, "+CMGL:") != 3 {
			t.Errorf("got %s", got)
		}
		play(t, d.modem, "drafts 9") // as many as there is room for
		if n := d.modem.Stored("SM"); n != 5 {
			t.Errorf("%d places are taken", n)
		}
	})
}

// A modem that is stuck neither reads nor speaks, whoever opens its port, and
// comes up anew by the right thing from outside only.
func TestFault_stuck(t *testing.T) {
	for _, tc := range []struct {
		script string
		free   func(*Modem)
		frees  bool
	}{
		{"stuck until reset", (*Modem).USBReset, true},
		{"stuck until reset", (*Modem).PowerCycle, true},
		{"stuck until power", (*Modem).USBReset, false},
		{"stuck until power", (*Modem).PowerCycle, true},
	} {
		bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
			d.ready()
			play(t, d.modem, tc.script, "urc RING")
			tc.free(d.modem)
			time.Sleep(time.Minute)
			if !tc.frees {
				if got := d.at("AT"); got != "SILENCE" {
					t.Errorf("%s: it says %s", tc.script, got)
				}
				d.modem.PowerCycle()
				d.said(finals...) // of that AT, which was on the line all the time
			}
			if got := d.at("AT+CSQ"); !strings.HasSuffix(got, "+CSQ: 20,99|OK") || strings.Contains(got, "RING") {
				t.Errorf("%s: got %s", tc.script, got)
			}
		})
	}
}

// What a modem calls sent, by its habit, when the network has taken the message
// and when it has refused it: there is no SMSC 999.
func TestFault_flip(t *testing.T) {
	for habit, want := range map[string][2]string{ // <stat> after a sent one, and after a refused one
		"flip answer": {"3", "2"}, "flip early": {"3", "3"}, "flip never": {"2", "2"},
	} {
		bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
			d.ready()
			play(t, d.modem, habit)
			for i, pdu := range []string{hello("5678"), "069199090000F0" + hello("5678")[2:]} {
				d.write("AT+CMGW=23\r")
				d.said("> ")
				d.write(pdu + "\x1a")
				index := strings.TrimSuffix(strings.TrimPrefix(d.said(finals...), "+CMGW: "), "|OK")
				got := d.at("AT+CMSS=" + index)
				if i == 1 && got != "+CMS ERROR: 38" {
					t.Errorf("through an SMSC that is not there: %s", got)
				}
				for strings.Contains(got, "+CDS") {
					got = d.said(finals...)
				}
				if got := d.at("AT+CMGR=" + index); !strings.Contains(got, "+CMGR: "+want[i]+",") {
					t.Errorf("%s, message %d: %s, want <stat> %s", habit, i, got, want[i])
				}
			}
			if n := len(d.cell.Submits()); n != 1 {
				t.Errorf("the network took %d messages", n)
			}
		})
	}
}
