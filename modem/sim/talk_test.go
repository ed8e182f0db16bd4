package sim

import (
	"strings"
	"testing"
	"time"
)

func TestLine_answers_as_V250_says(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"echo is on at power-up", "AT", "AT|OK"},
		{"lower case", "ate0", "ate0|OK"},
		{"several commands, one result", "ATE0V1+CMEE=1;+CMGF=0", "ATE0V1+CMEE=1;+CMGF=0|OK"},
		{"a line stops at the first error", "AT+NONE;+CMGF=1", "AT+NONE;+CMGF=1|ERROR"},
		{"numeric results", "ATV0", "ATV0|0"},
		{"noise before AT", "\x00\x1bxyAT+CSQ", "xyAT+CSQ|+CSQ: 20,99|OK"},
		{"quotes protect a semicolon", `AT+CSCS="a;b"`, `AT+CSCS="a;b"|ERROR`},
		{"an open quote", `AT+CSCS="GSM`, `AT+CSCS="GSM|ERROR`},
		{"nothing after a sign", "AT+", "AT+|ERROR"},
		{"a basic command wants 0 or 1", "ATE7", "ATE7|ERROR"},
		{"test of a command without values", "AT+CMGD=?", "AT+CMGD=?|OK"},
		{"space is no matter", "AT + CSQ", "AT + CSQ|ERROR"},
		{"space between arguments is", "AT+CNMI=2, 1,0, 0 ,0", "AT+CNMI=2, 1,0, 0 ,0|OK"},
		{"an S register", "ATS0=0;S3?", "ATS0=0;S3?|013|OK"},
		{"dialling is not for us", "ATD+31612345678;", "ATD+31612345678;|NO CARRIER"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
				d.write(c.line + "\r")
				if got := d.said(append(finals, "NO CARRIER")...); got != c.want {
					t.Errorf("got  %q\nwant %q", got, c.want)
				}
			})
		})
	}
}

func TestLine_remembers_for_A_slash(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0")
		d.expect("AT+CSQ", "+CSQ: 20,99|OK")
		d.write("A/") // no CR (V.250 §5.2.4)
		if got := d.said("OK"); got != "+CSQ: 20,99|OK" {
			t.Errorf("got %s", got)
		}
	})
}

func TestLine_backspace_and_overlong(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0")
		d.expect("AT+CSX\bQ", "+CSQ: 20,99|OK")
		d.expect("AT"+strings.Repeat("+CSQ;", 1000), "ERROR")
		d.expect("AT", "OK")
	})
}

func TestQuiet_says_no_results(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0")
		d.write("ATQ1\rAT+CSQ\r")
		if got := d.said("OK"); got != "+CSQ: 20,99|SILENCE" {
			t.Errorf("got %s", got)
		}
	})
}

func TestCMEE_decides_how_errors_are_spelled(t *testing.T) {
	for _, c := range []struct{ cmee, cme, cms string }{
		{"0", "ERROR", "+CMS ERROR: 310"}, // 27.005 has its own results, whatever CMEE says
		{"1", "+CME ERROR: 10", "+CMS ERROR: 310"},
		{"2", "+CME ERROR: SIM not inserted", "+CMS ERROR: (U)SIM not inserted"},
	} {
		bench(t, CellConfig{}, Config{NoSIM: true}, func(t *testing.T, d *terminal) {
			d.at("ATE0")
			d.expect("AT+CMEE="+c.cmee, "OK")
			d.expect("AT+CPIN?", c.cme)
			d.expect("AT+CMGS=23", c.cms)
		})
	}
}

func TestPrompt(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.write("AT+CMGS=23\r")
		if got := d.said("> "); got != "> " {
			t.Fatalf("got %q", got)
		}
		d.write("0031\x1b")
		if got := d.said(finals...); got != "OK" {
			t.Errorf("ESC answers %q", got)
		}
		if n := len(d.cell.Entries()); n != 0 {
			t.Errorf("ESC sent something: %+v", d.cell.Entries())
		}
		d.expect("AT+CMGS=23;+CSQ", "ERROR")
		d.expect("AT+CMGS=3", "+CMS ERROR: 304")
	})
}

func TestPrompt_holds_unsolicited_lines_back(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.write("AT+CMGS=23\r")
		d.said("> ")
		if err := d.modem.Play("urc RING"); err != nil {
			t.Fatal(err)
		}
		d.write(hello("5678") + "\x1a")
		if got := d.said("RING"); got != "+CMGS: 0|OK|RING" {
			t.Errorf("got %s", got)
		}
	})
}

func TestModem_takes_its_time(t *testing.T) {
	bench(t, CellConfig{}, Config{Latency: 3 * time.Second, Think: 20 * time.Millisecond}, func(t *testing.T, d *terminal) {
		start := time.Now()
		d.at("ATE0")
		if took := time.Since(start); took != 20*time.Millisecond {
			t.Errorf("ATE0 took %v", took)
		}
		start = time.Now()
		d.send(hello("5678"))
		if took := time.Since(start); took != 3020*time.Millisecond {
			t.Errorf("AT+CMGS took %v", took)
		}
	})
}

func TestModem_serves_what_came_while_it_was_busy(t *testing.T) {
	bench(t, CellConfig{}, Config{Latency: 3 * time.Second}, func(t *testing.T, d *terminal) {
		d.ready()
		d.write("AT+CMGS=23\r")
		d.said("> ")
		d.write(hello("5678") + "\x1aAT+CSQ\r")
		if got := d.said("OK"); got != "+CMGS: 0|OK" {
			t.Errorf("got %s", got)
		}
		if got := d.said("OK"); got != "+CSQ: 20,99|OK" {
			t.Errorf("got %s", got)
		}
	})
}

func TestCommands(t *testing.T) {
	for _, c := range []struct{ vendor, line, want string }{
		{"", "AT+CGMI", "Generic|OK"},
		{"", "AT+CGSN", "352099000000014|OK"},
		{"", "AT+CIMI", "204040000000001|OK"},
		{"", "AT+CCID", "+CCID: 8931440000000000014|OK"},
		{"", "AT+CNUM", `+CNUM: ,"+3197010001001",145|OK`},
		{"", "AT+CPIN?", "+CPIN: READY|OK"},
		{"", "AT+CPINR", "+CPINR: SIM PIN,3,3|+CPINR: SIM PUK,10,10|OK"},
		{"", `AT+CSIM=10,"0020000100"`, `+CSIM: 4,"63C3"|OK`},
		{"", `AT+CLCK="SC",2`, "+CLCK: 0|OK"},
		{"", "AT+CREG?", "+CREG: 0,1|OK"},
		{"", "AT+CREG=2;+CREG?", `+CREG: 2,1,"00C8","1234"|OK`},
		{"", "AT+COPS?", `+COPS: 0,0,"Tillpost Cell",0|OK`},
		{"", "AT+COPS=3,2;+COPS?", `+COPS: 0,2,"20499",0|OK`},
		{"", "AT+CFUN?", "+CFUN: 1|OK"},
		{"", "AT+CSCA?", `+CSCA: "+31624000000",145|OK`},
		{"", `AT+CSCA="31653131313",145;+CSCA?`, `+CSCA: "+31653131313",145|OK`},
		{"", "AT+CPMS?", `+CPMS: "SM",0,20,"SM",0,20,"SM",0,20|OK`},
		{"", `AT+CPMS="ME","SM","ME"`, "+CPMS: 0,50,0,20,0,50|OK"},
		{"", `AT+CPMS="XX"`, "+CMS ERROR: 302"},
		{"", "AT+CSMS=1;+CSMS?", "+CSMS: 1,1,1|+CSMS: 1,1,1,1|OK"},
		{"", "AT+CNMI=?", "+CNMI: (0-2),(0-3),(0,2),(0,1,2),(0,1)|OK"},
		{"", "AT+CNMI=2,1,0,3", "+CMS ERROR: 302"},
		{"", "AT+CNMA", "+CMS ERROR: 340"},
		{"", "AT+CMGR=1", "+CMS ERROR: 321"},
		{"", "AT+CMGR=99", "+CMS ERROR: 321"},
		{"", "AT+CMGL=4", "OK"},
		{"", "AT+CMGD=1", "OK"},
		{"", "AT+CMGD=99", "+CMS ERROR: 321"},
		{"", "AT^CURC=0", "ERROR"},
		{"", "ATI", "Manufacturer: Generic|Model: SIM-1|Revision: 1.0|IMEI: 352099000000014|OK"},
		{"", `AT+CSIM=10,"002C000100"`, `+CSIM: 4,"63CA"|OK`},
		{"", `AT+CSIM=10,"00A4000000"`, `+CSIM: 4,"6D00"|OK`},
		{"", "AT+GCAP;+CPAS", "+GCAP: +CGSM|+CPAS: 0|OK"},
		{"Sierra", "AT+CPINC?", "+CPINC: 3,3,10,10|OK"},
		{"Huawei", "AT^CURC=0", "OK"},
		{"Huawei", "AT^ICCID?", "^ICCID: 8931440000000000014|OK"},
		{"Huawei", "AT+CPMS?", "+CPMS: 0,20,0,20,0,20|OK"},
		{"Huawei", "AT^CPIN?", "^CPIN: READY,,10,3,10,3|OK"},
		{"Quectel", "AT+QCCID", "+QCCID: 8931440000000000014|OK"},
	} {
		t.Run(c.vendor+c.line, func(t *testing.T) {
			bench(t, CellConfig{}, Config{Vendor: c.vendor}, func(t *testing.T, d *terminal) {
				d.at("ATE0")
				d.expect(c.line, c.want)
			})
		})
	}
}

func TestUSSD(t *testing.T) {
	codes := map[string]string{"*100#": "Balance EUR 12.34", "*144#": "Сальдо", "*1#": "seven c"}
	for _, c := range []struct{ vendor, code, ok, want string }{
		{"", "*100#", "OK", `+CUSD: 0,"Balance EUR 12.34",15`},
		{"", "*144#", "OK", `+CUSD: 0,"04210430043B044C0434043E",72`},
		{"", "*999#", "OK", "+CUSD: 4"},
		{"Huawei", "AA188D3602", "OK", `+CUSD: 0,"04210430043B044C0434043E",72`}, // *144#
		{"Huawei", "*100#", "ERROR", ""},
		{"Huawei", "AAD808", "OK", ""}, // *1#
	} {
		bench(t, CellConfig{}, Config{Vendor: c.vendor, USSD: codes}, func(t *testing.T, d *terminal) {
			d.at("ATE0")
			d.expect(`AT+CUSD=1,"`+c.code+`",15`, c.ok)
			if c.ok != "OK" {
				return
			}
			got := d.said("+CUSD*")
			if c.want == "" { // seven septets: the eighth is a CR
				packed, _ := toSeptets("seven c\r")
				c.want = `+CUSD: 0,"` + hexUpper(pack(packed, 0)) + `",15`
			}
			if got != c.want {
				t.Errorf("%s %s: got %s, want %s", c.vendor, c.code, got, c.want)
			}
		})
	}
}

func TestPIN(t *testing.T) {
	bench(t, CellConfig{}, Config{PIN: "1234"}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CMEE=1;+CREG=1")
		d.expect("AT+CPIN?", "+CPIN: SIM PIN|OK")
		d.expect("AT+CIMI", "+CME ERROR: 11")
		d.expect("AT+CMGS=23", "+CMS ERROR: 311")
		d.expect("AT+CCID", "+CCID: 8931440000000000014|OK") // to know the SIM before its PIN
		d.expect(`AT+CPIN="0000"`, "+CME ERROR: 16")
		d.expect(`AT+CSIM=10,"0020000100"`, `+CSIM: 4,"63C2"|OK`)
		d.expect(`AT+CPIN="1234"`, "+CREG: 1|OK")
		d.expect("AT+CPIN?", "+CPIN: READY|OK")
		d.expect("AT+CPINR", "+CPINR: SIM PIN,3,3|+CPINR: SIM PUK,10,10|OK")
		if n := d.modem.PINEntries(); n != 2 {
			t.Errorf("%d entries counted, want 2", n)
		}
	})
}

func TestPIN_three_times_wrong_wants_the_PUK(t *testing.T) {
	bench(t, CellConfig{}, Config{PIN: "1234"}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CMEE=1")
		for range 3 {
			d.expect("AT+CPIN=0000", "+CME ERROR: 16")
		}
		d.expect("AT+CPIN?", "+CPIN: SIM PUK|OK")
		d.expect("AT+CPIN=1234", "+CME ERROR: 12")
		d.expect("AT+CMGS=23", "+CMS ERROR: 316")
		d.expect("AT+CPIN=00000000,1234", "+CME ERROR: 16")
		d.expect("AT+CPIN=12345678,4321", "OK")
		d.expect("AT+CPIN?", "+CPIN: READY|OK")
	})
}

func TestPUK_ten_times_wrong_kills_the_SIM(t *testing.T) {
	bench(t, CellConfig{}, Config{PIN: "1234"}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CMEE=1")
		for range 3 {
			d.at("AT+CPIN=0000")
		}
		for range 10 {
			d.expect("AT+CPIN=00000000,1234", "+CME ERROR: 16")
		}
		d.expect("AT+CPIN=12345678,1234", "+CME ERROR: 13")
	})
}

func TestRestart_loses_every_setting(t *testing.T) {
	bench(t, CellConfig{}, Config{PIN: "1234", Vendor: "SIMCom"}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CPIN=1234")
		d.at(`AT+CSMS=1;+CREG=1;+CSCA="+31600000000"`)
		d.expect("AT+CFUN=1,1", "OK")
		d.said("SMS Ready")
		d.expect("AT+CPIN?", "AT+CPIN?|+CPIN: SIM PIN|OK") // with echo
		d.at("AT+CPIN=1234")
		d.at("ATE0")
		d.expect("AT+CMEE?;+CSMS?;+CNMI?;+CREG?;+CSCA?",
			`+CMEE: 0|+CSMS: 0,1,1,1|+CNMI: 0,0,0,0,0|+CREG: 0,1|+CSCA: "+31624000000",145|OK`)
	})
}

func TestTextMode(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.expect("AT+CMGF=1;+CSMP=49,167,0,0;+CNMI=2,2,0,1,0", "OK")
		d.write("AT+CMGS=\"+31612345678\"\r")
		d.said("> ")
		d.write("two\rlines\x1a")
		if got := d.said("OK"); got != "> |+CMGS: 0|OK" {
			t.Errorf("got %s", got)
		}
		if got := d.said("+CDS*"); !strings.HasPrefix(got, `+CDS: 6,0,"+31612345678",145,"`) || !strings.HasSuffix(got, `+00",0`) {
			t.Errorf("got %s", got)
		}
		if s := d.cell.Submits(); len(s) != 1 || s[0].Text != "two\nlines" || !s[0].Asked {
			t.Errorf("the cell has %+v", s)
		}
		d.write("AT+CMGS=\"x\"\r")
		d.said("> ")
		d.write("y\x1a")
		if got := d.said(finals...); got != "+CMS ERROR: 305" {
			t.Errorf("got %s", got)
		}
		if err := d.cell.Deliver("+3197010001001", "Bakkerij", "100 @ hier"); err != nil {
			t.Fatal(err)
		}
		if got := d.said("100*"); !strings.HasPrefix(got, `+CMT: "Bakkerij",,"`) || !strings.HasSuffix(got, "|100 \x00 hier") {
			t.Errorf("got %q", got)
		}
	})
}

func TestCMGW_CMSS(t *testing.T) {
	for _, c := range []struct {
		flip   Flip
		answer string // of AT+CMSS to a number that never answers
		before int    // <stat> of the message then
		after  int    // and after one that went well
	}{
		{FlipOnAnswer, "SILENCE", stoUnsent, stoSent},
		{FlipEarly, "SILENCE", stoSent, stoSent},
		{FlipNever, "SILENCE", stoUnsent, stoUnsent},
	} {
		t.Run(string(c.flip), func(t *testing.T) {
			bench(t, CellConfig{Magic: true}, Config{Flip: c.flip}, func(t *testing.T, d *terminal) {
				d.ready()
				for _, last4 := range []string{"0003", "5678"} {
					d.write("AT+CMGW=23\r")
					d.said("> ")
					d.write(hello(last4) + "\x1a")
					d.said("OK")
				}
				if got := d.at("AT+CMSS=1"); got != c.answer {
					t.Errorf("AT+CMSS answers %s", got)
				}
				d.write("\x1b")
				if got := d.at("AT+CMGR=1"); !strings.HasPrefix(got, "+CMGR: "+string(rune('0'+c.before))+",,23|"+hello("0003")[:8]) {
					t.Errorf("AT+CMGR=1 answers %s", got)
				}
				d.expect("AT+CMSS=2", "+CMSS: 1|OK")
				if got := d.at("AT+CMGR=2"); !strings.HasPrefix(got, "+CMGR: "+string(rune('0'+c.after))) {
					t.Errorf("AT+CMGR=2 answers %s", got)
				}
			})
		})
	}
}
