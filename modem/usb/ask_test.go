package usb

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
)

// peer is what hangs behind a port: it answers each line with what say
// returns, and may speak first. It keeps what it heard.
type peer struct {
	first string
	say   func(cmd string) string

	mu    sync.Mutex
	heard strings.Builder
}

// line opens the port; the peer ends with it.
func (p *peer) line(t *testing.T) Line {
	ours, theirs := net.Pipe()
	var served sync.WaitGroup
	served.Go(func() {
		if p.first != "" {
			theirs.Write([]byte(p.first)) // fails when the port is closed, which is fine
		}
	})
	served.Go(func() {
		r := bufio.NewReader(theirs)
		for {
			cmd, err := r.ReadString('\r')
			p.mu.Lock()
			p.heard.WriteString(cmd)
			p.mu.Unlock()
			if err != nil {
				return
			}
			if p.say != nil {
				if answer := p.say(strings.Trim(cmd, "\r\x1b")); answer != "" {
					theirs.Write([]byte(answer))
				}
			}
		}
	})
	t.Cleanup(func() { theirs.Close(); served.Wait() })
	return ours
}

func (p *peer) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard.String()
}

// answers is a modem as a table.
func answers(table map[string]string) func(string) string {
	return func(cmd string) string {
		if cmd == "" {
			return ""
		}
		if a, ok := table[cmd]; ok {
			return a
		}
		return "\r\nERROR\r\n"
	}
}

// numeric is a modem that gives numbers for its errors only when it was told
// to, as all of them do after power-up.
func numeric(table map[string]string) func(string) string {
	told := false
	return func(cmd string) string {
		if cmd == "AT+CMEE=1" {
			told = true
			return ok
		}
		if a := answers(table)(cmd); told || !strings.Contains(a, "+CME") {
			return a
		}
		return "\r\nERROR\r\n"
	}
}

const ok = "\r\nOK\r\n"

func TestAsk(t *testing.T) {
	for _, tc := range []struct {
		name    string
		peer    *peer
		want    Answer
		refused string // why it is no modem
		silent  bool   // nothing may be written to it
	}{
		{
			name: "a modem",
			peer: &peer{say: answers(map[string]string{"AT": ok, "AT+CGMI": "\r\nhuawei\r\n" + ok, "AT+CGMM": "\r\nE173\r\n" + ok,
				"AT+CGSN": "\r\n352099001761481\r\n" + ok, "AT+CPIN?": "\r\n+CPIN: READY\r\n" + ok})},
			want: Answer{"352099001761481", "huawei", "E173"},
		},
		{
			name: "with echo, prefixes and lines that come by themselves",
			peer: &peer{say: func(cmd string) string {
				return cmd + "\r" + answers(map[string]string{"AT": ok, "AT+CGMI": "\r\n^RSSI: 12\r\n\r\n+CGMI: \"Quectel\"\r\n" + ok, "AT+CGMM": "\r\nEC25\r\n" + ok,
					"AT+CGSN": "\r\nIMEI: 35209900176148\r\n" + ok, "AT+CPIN?": "\r\n+CPIN: SIM PIN\r\n" + ok})(cmd)
			}},
			want: Answer{"35209900176148", "Quectel", "EC25"},
		},
		{
			name: "without a SIM, by its other spellings",
			peer: &peer{say: numeric(map[string]string{"AT": ok, "AT+GMI": "\r\nSIMCOM_Ltd\r\n" + ok, "AT+GSN": "\r\n3520990017614823\r\n" + ok,
				"AT+CPIN?": "\r\n+CME ERROR: 10\r\n"})},
			want: Answer{IMEI: "3520990017614823", Maker: "SIMCOM_Ltd"},
		},
		{
			name: "never given an IMEI",
			peer: &peer{say: answers(map[string]string{"AT": ok, "AT+CGMI": "\r\nCheap\r\n" + ok, "AT+CGSN": "\r\n000000000000000\r\n" + ok,
				"AT+CPIN?": "\r\n+CPIN: READY\r\n" + ok})},
			want: Answer{Maker: "Cheap"},
		},
		{
			name:    "GPS is heard and not written to",
			peer:    &peer{first: "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n"},
			refused: "NMEA", silent: true,
		},
		{
			name:    "diagnostics are heard and not written to",
			peer:    &peer{first: "\x7e\x1d\x00\x00\x7e"},
			refused: "QCDM", silent: true,
		},
		{ // §1.1.9: some Sierra APP ports
			name:    "OK to everything is no modem",
			peer:    &peer{say: func(cmd string) string { return ok }},
			refused: "does not name its maker",
		},
		{ // §1.1.9: some Icera ports
			name:    "ERROR to everything is no modem",
			peer:    &peer{say: func(cmd string) string { return "\r\nERROR\r\n" }},
			refused: "no modem answers",
		},
		{
			name:    "a text to everything is no modem",
			peer:    &peer{say: func(cmd string) string { return "\r\nhello\r\n" + ok }},
			refused: "AT+CPIN?",
		},
		{
			name:    "silence",
			peer:    &peer{},
			refused: "no modem answers",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := ask(t.Context(), tc.peer.line(t), usualRate)
				switch {
				case tc.refused == "" && (err != nil || got != tc.want):
					t.Errorf("%+v, %v; want %+v", got, err, tc.want)
				case tc.refused != "" && (!errors.Is(err, errNoModem) || !strings.Contains(err.Error(), tc.refused)):
					t.Errorf("%+v, %v; want a refusal about %q", got, err, tc.refused)
				}
				if said := tc.peer.said(); (said == "") != tc.silent {
					t.Errorf("written to it: %q", said)
				}
			})
		})
	}
}

// The first AT are answered late, after others were sent: their OK must not be
// taken for the answer to the next question.
func TestAskOfAModemThatWakesSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		table := answers(map[string]string{"AT": ok, "AT+CGMI": "\r\nTelit\r\n" + ok, "AT+CPIN?": "\r\n+CPIN: READY\r\n" + ok})
		slow := peer{say: func(cmd string) string {
			if d := time.Since(began); d < 900*time.Millisecond {
				time.Sleep(900*time.Millisecond - d)
			}
			return table(cmd)
		}}
		if got, err := ask(t.Context(), slow.line(t), usualRate); err != nil || got.Maker != "Telit" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAskOfTheSimulatedModem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cell := sim.NewCell(sim.CellConfig{})
		defer cell.Close()
		ours, theirs := net.Pipe()
		var serve sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		serve.Go(func() { sim.New(cell, sim.Identity(0)).Serve(ctx, theirs) })
		defer serve.Wait()
		defer cancel()
		got, err := ask(t.Context(), ours, usualRate)
		if err != nil || got.IMEI != sim.Identity(0).IMEI {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAskEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := ask(ctx, (&peer{}).line(t), usualRate); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// A line without speed, as a test's pipe is, cannot be set to another one; a
// terminal can.
func TestRateOfALine(t *testing.T) {
	for rate := range rateCodes {
		master, path, err := sim.OpenPTY("")
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		line, err := openTTY(path)
		if err != nil {
			t.Fatal(err)
		}
		defer line.Close()
		if err := setRate(line, rate); err != nil {
			t.Errorf("%d: %v", rate, err)
		}
	}
	if len(rateCodes) != len(adapterRates) {
		t.Errorf("%d rates have codes, %d are tried", len(rateCodes), len(adapterRates))
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	if err := setRate(ours, 9600); err == nil {
		t.Error("a pipe has a speed")
	}
}

// A module behind an adapter that talks at 9600: it is told to use the usual
// rate, for whoever opens the port next.
func TestModuleAtAnotherRateIsToldTheUsualOne(t *testing.T) {
	master, path, err := sim.OpenPTY("")
	if err != nil {
		t.Fatal(err)
	}
	line, err := openTTY(path)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 64)
	var served sync.WaitGroup
	table := answers(map[string]string{"AT": ok, "AT+CGMI": "\r\nSIMCOM_Ltd\r\n" + ok, "AT+CPIN?": "\r\n+CPIN: READY\r\n" + ok, "AT+IPR=115200": ok})
	served.Go(func() {
		defer close(told)
		r := bufio.NewReader(master)
		for {
			cmd, err := r.ReadString('\r')
			if err != nil {
				return
			}
			cmd = strings.Trim(cmd, "\r\x1b")
			told <- cmd
			if a := table(cmd); a != "" {
				master.Write([]byte(a))
			}
		}
	})
	got, err := ask(t.Context(), line, 9600)
	master.Close()
	served.Wait()
	if err != nil || got.Maker != "SIMCOM_Ltd" {
		t.Errorf("%+v, %v", got, err)
	}
	last := ""
	for cmd := range told {
		last = cmd
	}
	if last != "AT+IPR=115200" {
		t.Errorf("the last it was told is %q", last)
	}
}
