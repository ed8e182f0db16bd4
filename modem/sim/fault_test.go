package sim

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func play(t *testing.T, m *Modem, lines ...string) {
	t.Helper()
	if err := m.Play(strings.Join(lines, "\n")); err != nil {
		t.Fatal(err)
	}
}

func TestMagic(t *testing.T) {
	bench(t, CellConfig{Magic: true}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		report := func() string {
			got := d.said("0791*")
			return got[len(got)-2:]
		}
		if got := d.send(hello("0001")); got != "+CMS ERROR: 41" {
			t.Errorf("0001 answers %s", got)
		}
		if got := d.send(hello("0001")); got != "+CMGS: 1|OK" {
			t.Errorf("0001 the second time answers %s", got)
		}
		if st := report(); st != "00" {
			t.Errorf("0001 reports %s", st)
		}
		for range 2 {
			if got := d.send(hello("0002")); got != "+CMS ERROR: 196" {
				t.Errorf("0002 answers %s", got)
			}
		}
		if got := d.send(hello("0005")); got != "+CMGS: 4|OK" {
			t.Errorf("0005 answers %s", got)
		}
		if got := d.said(); got != "SILENCE" {
			t.Errorf("0005 reports %s", got)
		}
		if got := d.send(hello("0006")); got != "+CMGS: 5|OK" {
			t.Errorf("0006 answers %s", got)
		}
		if st := report(); st != "43" {
			t.Errorf("0006 reports %s", st)
		}
		if n := len(d.cell.Submits()); n != 3 {
			t.Errorf("the cell accepted %d, want 3", n)
		}
	})
}

func TestMagic_0003_never_answers_until_ESC(t *testing.T) {
	bench(t, CellConfig{Magic: true}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		if got := d.send(hello("0003")); got != "SILENCE" {
			t.Errorf("answers %s", got)
		}
		d.expect("AT", "SILENCE")
		d.write("\x1b\r")
		d.expect("AT", "OK")
		e := d.cell.Entries()
		if len(d.cell.Submits()) != 0 || len(e) != 1 || e[0].Kind != "lost" {
			t.Errorf("the cell has %+v", e)
		}
	})
}

func TestMagic_0004_answers_late_but_the_cell_has_it(t *testing.T) {
	bench(t, CellConfig{Magic: true, Late: 15 * time.Second}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CNMI=2,1,0,0,0")
		start := time.Now()
		d.write("AT+CMGS=23\r")
		d.said("> ")
		d.write(hello("0004") + "\x1a")
		if err := d.cell.Wait(t.Context(), func(c *Cell) bool { return len(c.Submits()) == 1 }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the cell had it after %v", took)
		}
		if got := d.said(finals...); got != "+CMGS: 0|OK" || time.Since(start) != 15*time.Second {
			t.Errorf("answers %s after %v", got, time.Since(start))
		}
	})
}

func TestMagic_off_means_nothing(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		if got := d.send(hello("0002")); got != "+CMGS: 0|OK" {
			t.Errorf("answers %s", got)
		}
	})
}

// faults that show in the answer of one AT+CMGS.
func TestFaults_in_the_answer(t *testing.T) {
	for _, c := range []struct {
		fault, want string
		sent        int
	}{
		{"cmgs: hang", "SILENCE", 0},
		{"prompt: hang", "SILENCE", 0},
		{"ctrl-z: hang", "SILENCE", 0},
		{"answer: hang", "SILENCE", 1},
		{"cmgs: error cms 38", "+CMS ERROR: 38", 0},
		{"prompt: error cms 500", "+CMS ERROR: 500", 0},
		{"ctrl-z: error cms 42", "+CMS ERROR: 42", 0},
		{"answer: error cms 332", "+CMS ERROR: 332", 1},
		{"any: error cme 14", "+CME ERROR: 14", 0},
		{"cmgs: result COMMAND NOT SUPPORT", "", 1},
		{"answer: result NO CARRIER", "+CMGS: 0|NO CARRIER|SILENCE", 1},
		{"answer: mute", "+CMGS: 0|SILENCE", 1},
		{"answer: drop 4", "MGS: 0|OK", 1},
		{"answer: urc RING", "RING|+CMGS: 0|OK", 1},
		{"after 1 cmgs: error cms 38", "+CMGS: 0|OK", 1},
		{"every 2 cmgs: error cms 38", "+CMGS: 0|OK", 1},
	} {
		t.Run(c.fault, func(t *testing.T) {
			bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
				d.ready()
				d.at("AT+CNMI=0,0,0,0,0")
				play(t, d.modem, c.fault)
				if got := d.send(hello("5678")); got != c.want && c.want != "" {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				if n := len(d.cell.Submits()); n != c.sent && c.want != "" {
					t.Errorf("the cell has %d, want %d", n, c.sent)
				}
				d.write("\x1b\r")
				d.expect("AT+CSQ", "+CSQ: 20,99|OK") // it recovers
			})
		})
	}
}

func TestFault_repeats_as_often_as_it_says(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CNMI=0,0,0,0,0")
		play(t, d.modem, "after 1 cmgs x2: error cms 38", "every 3 csq: error cme 14")
		for i, want := range []string{"+CMGS: 0|OK", "+CMS ERROR: 38", "+CMS ERROR: 38", "+CMGS: 1|OK"} {
			if got := d.send(hello("5678")); got != want {
				t.Errorf("%d: got %s, want %s", i, got, want)
			}
		}
		for i := range 6 {
			want := "+CSQ: 20,99|OK"
			if i%3 == 2 {
				want = "+CME ERROR: 14"
			}
			d.expect("AT+CSQ", want)
		}
	})
}

func TestFault_prompt(t *testing.T) {
	for _, c := range []struct{ fault, want string }{
		{"prompt: urc RING", "RING|> "},
		{"prompt: twice", "> |> "},
	} {
		bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
			d.ready()
			play(t, d.modem, c.fault)
			d.write("AT+CMGS=23\r")
			got := d.said("> ")
			if strings.Count(c.want, "> ") == 2 {
				got += "|" + d.said("> ")
			}
			if got != c.want {
				t.Errorf("%s: got %q", c.fault, got)
			}
			d.write(hello("5678") + "\x1a")
			if got := d.said("OK"); got != "+CMGS: 0|OK" {
				t.Errorf("%s: then %q", c.fault, got)
			}
		})
	}
}

func TestFault_late(t *testing.T) {
	for _, point := range []string{"cmgs", "prompt", "ctrl-z", "answer"} {
		bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
			d.ready()
			d.at("AT+CNMI=0,0,0,0,0")
			play(t, d.modem, point+": late 20s")
			start := time.Now()
			if got := d.send(hello("5678")); got != "+CMGS: 0|OK" || time.Since(start) != 20*time.Second {
				t.Errorf("%s: %s after %v", point, got, time.Since(start))
			}
		})
	}
}

func TestFault_hang_for_a_while(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "csq: hang for 90m", "cgsn: freeze for 90m")
		d.expect("AT+CSQ", "SILENCE")
		d.expect("AT", "SILENCE") // 90 minutes pass meanwhile
		d.expect("AT", "OK")
		d.expect("AT+CGSN", "SILENCE")
		d.write("\x1b\r")
		d.expect("AT", "SILENCE") // ESC did not help
		d.expect("AT", "OK")
	})
}

func TestFault_garbage_is_no_result(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "csq: garbage 20")
		got := d.at("AT+CSQ")
		if noise, rest, _ := strings.Cut(got, "|"); len(noise) != 20 || rest != "+CSQ: 20,99|OK" {
			t.Errorf("got %q", got)
		}
	})
}

func TestFault_echo_comes_back(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "echo on")
		d.expect("AT+CSQ", "AT+CSQ|+CSQ: 20,99|OK")
		play(t, d.modem, "echo off", "signal 3")
		d.expect("AT+CSQ", "+CSQ: 3,99|OK")
	})
}

func TestFault_registration(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CREG=1")
		play(t, d.modem, "registration 2")
		if got := d.said("+CREG*"); got != "+CREG: 2" {
			t.Errorf("got %s", got)
		}
		if got := d.send(hello("5678")); got != "+CMS ERROR: 331" {
			t.Errorf("got %s", got)
		}
		play(t, d.modem, "registration 5")
		if got := d.said("+CREG*"); got != "+CREG: 5" {
			t.Errorf("got %s", got)
		}
		if got := d.send(hello("5678")); got != "+CMGS: 0|OK" {
			t.Errorf("got %s", got)
		}
	})
}

func TestFault_SIM_pulled(t *testing.T) {
	bench(t, CellConfig{}, Config{PIN: "1234"}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CPIN=1234")
		play(t, d.modem, "sim out")
		if got := d.said("+CPIN*"); got != "+CPIN: NOT INSERTED" {
			t.Errorf("got %s", got)
		}
		d.expect("AT+CPIN?", "+CME ERROR: 10")
		if got := d.send(hello("5678")); got != "+CMS ERROR: 310" {
			t.Errorf("got %s", got)
		}
		play(t, d.modem, "sim in")
		if got := d.said("+CPIN*"); got != "+CPIN: SIM PIN" { // it asks again
			t.Errorf("got %s", got)
		}
	})
}

func TestFault_SIM_pulled_in_the_prompt(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.write("AT+CMGS=23\r")
		d.said("> ")
		play(t, d.modem, "sim out")
		d.write(hello("5678") + "\x1a")
		if got := d.said(finals...); got != "+CMS ERROR: 310" {
			t.Errorf("got %s", got)
		}
	})
}

func TestFault_storage_full(t *testing.T) {
	bench(t, CellConfig{RepeatAfter: time.Minute}, Config{Slots: 3, Vendor: "Huawei"}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "storage full")
		d.expect("AT+CPMS?", "+CPMS: 3,3,3,3,3,3|OK")
		if err := d.cell.Deliver("+3197010001001", "+31612345678", "STOP"); err != nil {
			t.Fatal(err)
		}
		if got := d.said("^SMMEMFULL*"); got != `^SMMEMFULL: "SM"` {
			t.Errorf("got %s", got)
		}
		d.expect("AT+CMGD=2", "OK")
		if got := d.said("+CMTI*"); got != `+CMTI: "SM",2` { // the network did not wait for its minute
			t.Errorf("got %s", got)
		}
		play(t, d.modem, "storage free")
		if n := d.modem.Stored("SM"); n != 0 {
			t.Errorf("%d stored", n)
		}
	})
}

func TestFault_deaf(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "deaf for 30s")
		d.write("AT\r") // the reader of the line holds one chunk
		d.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := d.conn.Write([]byte("AT+CSQ\r")); err == nil {
			t.Error("a deaf modem reads on")
		}
		d.said("OK")
		d.expect("AT", "OK")
	})
}

func TestFault_restart_in_the_middle(t *testing.T) {
	for _, c := range []struct {
		point string
		sent  int
	}{{"cmgs", 0}, {"prompt", 0}, {"ctrl-z", 0}, {"answer", 1}} {
		bench(t, CellConfig{}, Config{Vendor: "Quectel"}, func(t *testing.T, d *terminal) {
			d.ready()
			play(t, d.modem, c.point+": restart")
			d.write("AT+CMGS=23\r")
			if c.point == "ctrl-z" || c.point == "answer" {
				d.said("> ")
				d.write(hello("5678") + "\x1a")
			}
			if got := d.said("+QIND*"); got != "RDY|+CFUN: 1|+QIND: SMS DONE" {
				t.Errorf("%s: got %s", c.point, got)
			}
			if n := len(d.cell.Submits()); n != c.sent {
				t.Errorf("%s: the cell has %d, want %d", c.point, n, c.sent)
			}
			d.expect("AT", "AT|OK")
		})
	}
}

func TestFault_unplug(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		play(t, d.modem, "ctrl-z: unplug for 5s")
		if got := d.send(hello("5678")); got != "CLOSED" {
			t.Errorf("got %s", got)
		}
		err := <-d.ended
		if u, ok := errors.AsType[*Unplugged](err); !ok || u.Away != 5*time.Second {
			t.Errorf("Serve answers %v", err)
		}
		again := plug(t, d.cell, d.modem)
		again.expect("AT", "AT|OK") // booted
		if n := len(d.cell.Submits()); n != 0 {
			t.Errorf("the cell has %d", n)
		}
		*d = *again
	})
}

func TestFault_restart_as_USB_modems_do(t *testing.T) {
	bench(t, CellConfig{}, Config{Away: 8 * time.Second}, func(t *testing.T, d *terminal) {
		d.at("ATE0")
		d.expect("AT+CFUN=1,1", "OK")
		if got := d.said(); got != "CLOSED" {
			t.Errorf("got %s", got)
		}
		if u, ok := errors.AsType[*Unplugged](<-d.ended); !ok || u.Away != 8*time.Second {
			t.Errorf("got %v", u)
		}
		*d = *plug(t, d.cell, d.modem)
	})
}

func TestFault_by_the_clock(t *testing.T) {
	s, err := ParseFaults(strings.NewReader("# a busy place\n\nsignal 7\nat 10s: urc RING\nevery 1m: urc ^RSSI:9\n"))
	if err != nil {
		t.Fatal(err)
	}
	bench(t, CellConfig{}, Config{Faults: s}, func(t *testing.T, d *terminal) {
		start := time.Now()
		d.said("RING")
		if time.Since(start) != 10*time.Second {
			t.Errorf("RING after %v", time.Since(start))
		}
		for range 3 {
			d.said("^RSSI*")
		}
		if time.Since(start) != 3*time.Minute {
			t.Errorf("three ^RSSI after %v", time.Since(start))
		}
		d.at("ATE0")
		d.expect("AT+CSQ", "+CSQ: 7,99|OK")
	})
}

func TestParseFaults_names_line_and_trouble(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"cmgs: hang\n\nexplode", `line 3, "explode": unknown action "explode"`},
		{"cmgs: hang 20s", "hang: wants nothing or \"for 20s\""},
		{"cmgs: late", "late: wants a time like 20s"},
		{"cmgs: late -1s", "late: wants a time"},
		{"cmgs: error 38", "error: wants cms or cme and a number"},
		{"cmgs: error cms x", "error: wants cms or cme and a number"},
		{"cmgs: result", "result: wants some words"},
		{"cmgs: mute please", "mute: wants nothing more"},
		{"echo maybe", "echo: wants on or off"},
		{"sim up", "sim: wants out or in"},
		{"signal strong", "signal: wants a number"},
		{"cmsg: hang", `unknown point "cmsg"`},
		{"at 10s: late 5s", "late: is about an answer"},
		{"mute", "mute: is about an answer"},
		{"header: hang", "hang: to a header only urc, drop, garbage can happen"},
		{"after cmgs: hang", "after wants a count and a point"},
		{"every 0 cmgs: hang", "every wants a count and a point"},
		{"at soon: restart", "at wants a time like 10s"},
		{"cmgs twice: hang", `cannot read "twice"`},
		{"cmgs x0: hang", `cannot read "x0"`},
	} {
		_, err := ParseFaults(strings.NewReader(c.script))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.script, err, c.want)
		}
		if (&Modem{}).Play(c.script) == nil {
			t.Errorf("Play takes %q", c.script)
		}
	}
}
