package at

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pdu and its length: vectors/pdu_samples.csv, "hellohello" to +31612345678.
const (
	pdu    = "0031000B911316325476F80000A70AE8329BFD4697D9EC37"
	length = 23
	report = "07911326040000F0062A0B911316325476F8621122015100406211220161704000"
)

func TestCommand(t *testing.T) {
	for _, tc := range []struct {
		name, cmd string
		answer    string // as it comes over the line
		want      []string
		err       string
	}{
		{name: "answer", cmd: "AT+CSQ", answer: "\r\n+CSQ: 20,99\r\n\r\nOK\r\n", want: []string{"+CSQ: 20,99"}},
		{name: "echo", cmd: "AT+CSQ", answer: "AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n", want: []string{"+CSQ: 20,99"}},
		{name: "echo_behind_a_urc", cmd: "AT+CSQ", answer: "\r\nRING\r\nAT+CSQ\r\r\n+CSQ: 1,99\r\n\r\nOK\r\n", want: []string{"+CSQ: 1,99"}},
		{name: "words_without_prefix", cmd: "AT+CGMI", answer: "\r\nhuawei\r\n\r\nOK\r\n", want: []string{"huawei"}},
		{name: "nul_before_and_second_cr_behind_OK", cmd: "AT", answer: "\r\n\x00OK\r\r\n"},
		{name: "numeric_result", cmd: "ATV1", answer: "0\r"},
		{name: "numeric_error", cmd: "ATV1", answer: "4\r", err: "ATV1: ERROR"},
		{name: "error", cmd: "AT+CSMS=1", answer: "\r\nERROR\r\n", err: "AT+CSMS: ERROR"},
		{name: "cme", cmd: "AT+CPIN?", answer: "\r\n+CME ERROR: 10\r\n", err: "AT+CPIN: +CME ERROR: 10"},
		{name: "cme_in_words", cmd: "AT+CPIN?", answer: "\r\n+CME ERROR: SIM not inserted\r\n", err: "AT+CPIN: +CME ERROR: SIM not inserted"},
		{name: "cms_without_colon", cmd: "AT+CMMS=1", answer: "\r\n+CMS ERROR 500\r\n", err: "AT+CMMS: +CMS ERROR: 500"},
		{name: "huawei_not_supported", cmd: "AT^CURC=0", answer: "\r\nCOMMAND NOT SUPPORT\r\n", err: "AT^CURC: +CME ERROR: COMMAND NOT SUPPORT"},
		{name: "huawei_too_many_parameters", cmd: "AT+CNMI=2,1,0,1,0", answer: "\r\nTOO MANY PARAMETERS\r\n", err: "AT+CNMI: +CME ERROR: TOO MANY PARAMETERS"},
		{name: "no_carrier_ends_a_call_not_a_command", cmd: "AT+CSQ", answer: "\r\nNO CARRIER\r\n\r\n+CSQ: 9,99\r\n\r\nOK\r\n", want: []string{"NO CARRIER", "+CSQ: 9,99"}},
		{name: "no_carrier_answers_hang_up", cmd: "AT+CHUP", answer: "\r\nNO CARRIER\r\n"},
		{name: "a_pin_is_not_in_the_error", cmd: `AT+CPIN="1234"`, answer: "\r\n+CME ERROR: 16\r\n", err: "AT+CPIN: +CME ERROR: 16"},
		{name: "registration_answered_amid_a_change", cmd: "AT+CREG?", answer: "\r\n+CREG: 2\r\n\r\n+CREG: 1,\"00C3\",\"A1B2\"\r\n\r\n+CREG: 1,5\r\n\r\nOK\r\n", want: []string{"+CREG: 1,5"}},
		{name: "second_prompt_glued_in_front", cmd: "AT+CSQ", answer: "> +CSQ: 5,99\r\n\r\nOK\r\n", want: []string{"+CSQ: 5,99"}},
		{name: "pin_state_without_OK", cmd: "AT+CPIN?", answer: "\r\n+CPIN: READY\r\n", want: []string{"+CPIN: READY"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := dial(t, Config{})
				go func() {
					p.expect(tc.cmd + "\r")
					p.raw(tc.answer)
				}()
				got, err := c.Command(t.Context(), tc.cmd, 5*time.Second)
				if !slices.Equal(got, tc.want) && tc.err == "" {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				if fmt.Sprint(err) != tc.err && (err != nil || tc.err != "") {
					t.Errorf("error %v, want %q", err, tc.err)
				}
			})
		})
	}
}

func TestCommand_refuses_control_bytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		for _, cmd := range []string{"AT+CUSD=1,\"*100#\r\nAT+CFUN=0\"", "AT\x1a", "AT\x1b", "AT\x00", "AT+CPIN=\"é\"", "", "CSQ"} {
			if _, err := c.Command(t.Context(), cmd, time.Second); !errors.Is(err, ErrCommand) {
				t.Errorf("%q: %v, want ErrCommand", cmd, err)
			}
		}
		if _, err := c.Submit(t.Context(), nil, length, pdu+"\x1a"); !errors.Is(err, ErrCommand) {
			t.Errorf("a PDU with Ctrl-Z inside: %v", err)
		}
		if w := p.written(); w != "" {
			t.Errorf("%q was written", w)
		}
	})
}

func TestSubmit(t *testing.T) {
	for _, tc := range []struct {
		name   string
		prompt string
		answer string
		want   Submitted
		err    string
	}{
		{name: "accepted", prompt: "\r\n> ", answer: "\r\n+CMGS: 7\r\n\r\nOK\r\n", want: Submitted{Gone, 7}},
		{name: "prompt_without_blank", prompt: "\r\n>", answer: "\r\n+CMGS: 7\r\n\r\nOK\r\n", want: Submitted{Gone, 7}},
		{name: "prompt_glued_to_the_echo", prompt: "AT+CMGS=23> ", answer: "\r\n+CMGS: 7\r\n\r\nOK\r\n", want: Submitted{Gone, 7}},
		{name: "urc_before_the_prompt", prompt: "\r\nRING\r\n\r\n> ", answer: "\r\n+CMGS: 7\r\n\r\nOK\r\n", want: Submitted{Gone, 7}},
		{name: "echo_of_the_pdu", prompt: "\r\n> ", answer: pdu + "\x1a\r\n+CMGS: 7\r\n\r\nOK\r\n", want: Submitted{Gone, 7}},
		{name: "second_prompt", prompt: "\r\n> ", answer: "\r\n> \r\n+CMGS: 7\r\n\r\nOK\r\n", want: Submitted{Gone, 7}},
		{name: "reference_with_ack_pdu", prompt: "\r\n> ", answer: "\r\n+CMGS: 12,\"ackpdu\"\r\n\r\nOK\r\n", want: Submitted{Gone, 12}},
		{name: "reference_out_of_range", prompt: "\r\n> ", answer: "\r\n+CMGS: 300\r\n\r\nOK\r\n", want: Submitted{Gone, -1}},
		{name: "no_final_OK", prompt: "\r\n> ", answer: "\r\n+CMGS: 9\r\n", want: Submitted{Gone, 9}},
		{name: "call_ends_meanwhile", prompt: "\r\n> ", answer: "\r\nNO CARRIER\r\n\r\n+CMGS: 9\r\n\r\nOK\r\n", want: Submitted{Gone, 9}},
		{name: "refused", prompt: "\r\n> ", answer: "\r\n+CMS ERROR: 38\r\n", want: Submitted{Gone, -1}, err: "AT+CMGS: +CMS ERROR: 38"},
		{name: "refused_without_prompt", prompt: "\r\n+CMS ERROR: 304\r\n", want: Submitted{Nothing, -1}, err: "AT+CMGS: +CMS ERROR: 304"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := dial(t, Config{})
				go func() {
					p.expect("AT+CMGS=23\r")
					p.raw(tc.prompt)
					if tc.answer != "" {
						p.expect(pdu + "\x1a")
						p.raw(tc.answer)
					}
				}()
				got, err := c.Submit(t.Context(), "m1", length, pdu)
				if got != tc.want {
					t.Errorf("got %+v, want %+v", got, tc.want)
				}
				if fmt.Sprint(err) != tc.err && (err != nil || tc.err != "") {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				if n := strings.Count(p.written(), pdu); n > 1 {
					t.Errorf("the PDU was written %d times", n)
				}
			})
		})
	}
}

func TestPhases(t *testing.T) {
	t.Run("no_prompt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, Config{})
			start := time.Now()
			got, err := c.Submit(t.Context(), nil, length, pdu)
			if got.Phase != Nothing || !errors.Is(err, ErrTimeout) || time.Since(start) != 10*time.Second {
				t.Errorf("%+v, %v after %v", got, err, time.Since(start))
			}
			// A prompt that comes now must not be answered.
			p.raw("\r\n> ")
			go func() { p.expect("AT+CMGS=23\r\x1b\rAT\r"); p.say("OK") }()
			if err := c.Resync(t.Context()); err != nil {
				t.Error(err)
			}
			if strings.Contains(p.written(), pdu) {
				t.Error("the PDU was written to a prompt that had been given up")
			}
		})
	})
	t.Run("silence_after_ctrl_z", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, Config{})
			go func() { p.expect("AT+CMGS=23\r"); p.raw("\r\n> "); p.expect(pdu + "\x1a") }()
			start := time.Now()
			got, err := c.Submit(t.Context(), nil, length, pdu)
			if got.Phase != Gone || !errors.Is(err, ErrTimeout) || time.Since(start) != 180*time.Second {
				t.Errorf("%+v, %v after %v", got, err, time.Since(start))
			}
			synctest.Wait()
			if w := p.written(); !strings.HasSuffix(w, "\x1a") {
				t.Errorf("something was written after Ctrl-Z: %q", w)
			}
		})
	})
	t.Run("unplugged_after_ctrl_z", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, Config{})
			go func() {
				p.expect("AT+CMGS=23\r")
				p.raw("\r\n> ")
				p.expect(pdu + "\x1a")
				p.line.Close()
			}()
			got, err := c.Submit(t.Context(), nil, length, pdu)
			if got.Phase != Gone || !errors.Is(err, ErrClosed) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	})
	t.Run("unplugged_in_the_pdu", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			c := New(ours, Config{})
			var peer sync.WaitGroup
			peer.Go(func() {
				buf := make([]byte, 64)
				theirs.Read(buf) // the command
				theirs.Write([]byte("\r\n> "))
				theirs.Read(buf[:10])
				theirs.Close()
			})
			got, err := c.Submit(t.Context(), nil, length, pdu)
			if got.Phase != Writing || err == nil {
				t.Errorf("%+v, %v; want the PDU begun", got, err)
			}
			c.Close()
			peer.Wait()
		})
	})
	t.Run("cancelled_before_the_prompt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, Config{})
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("withdrawn")
			go func() { p.expect("AT+CMGS=23\r"); cancel(why) }()
			got, err := c.Submit(ctx, nil, length, pdu)
			if got.Phase != Nothing || !errors.Is(err, why) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	})
	t.Run("cancelled_after_ctrl_z", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, Config{})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				p.expect("AT+CMGS=23\r")
				p.raw("\r\n> ")
				p.expect(pdu + "\x1a")
				cancel()
				time.Sleep(30 * time.Second)
				p.say("+CMGS: 3", "OK")
			}()
			if got, err := c.Submit(ctx, nil, length, pdu); err != nil || got.MR != 3 {
				t.Errorf("%+v, %v; want the answer in spite of the cancellation", got, err)
			}
		})
	})
	t.Run("deadline_after_ctrl_z", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, Config{})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			go func() { p.expect("AT+CMGS=23\r"); p.raw("\r\n> "); p.expect(pdu + "\x1a") }()
			start := time.Now()
			got, err := c.Submit(ctx, nil, length, pdu)
			if got.Phase != Gone || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Second {
				t.Errorf("%+v, %v after %v", got, err, time.Since(start))
			}
		})
	})
}

// library-facts §9.2, traps §1.5 to §1.7.
func TestHeaderAndPDUAreJoined(t *testing.T) {
	const deliver = "00040B911316325476F80000621122015100400453EA130A"
	for _, tc := range []struct {
		name string
		cmd  string // in flight meanwhile, if any
		raw  string
		want []Event
		info []string
	}{
		{name: "plain", raw: "\r\n+CDS: 25\r\n" + report + "\r\n", want: []Event{{Prefix: "+CDS", Line: "+CDS: 25", PDU: report}}},
		{name: "blank_between", raw: "\r\n+CDS: 25\r\n\r\n\r\n" + report + "\r\n", want: []Event{{Prefix: "+CDS", Line: "+CDS: 25", PDU: report}}},
		{name: "answer_between", cmd: "AT+CSQ", raw: "\r\n+CDS: 25\r\n\r\n+CSQ: 8,99\r\n\r\nOK\r\n" + report + "\r\n",
			want: []Event{{Prefix: "+CDS", Line: "+CDS: 25", PDU: report}}, info: []string{"+CSQ: 8,99"}},
		{name: "urc_between", raw: "\r\n+CDS: 25\r\n\r\n+CMTI: \"SM\",3\r\n" + report + "\r\n",
			want: []Event{{Prefix: "+CMTI", Line: `+CMTI: "SM",3`}, {Prefix: "+CDS", Line: "+CDS: 25", PDU: report}}},
		{name: "iccid_between", cmd: "AT+CCID", raw: "\r\n+CDS: 25\r\n\r\n8931440301234567890\r\n\r\n89314403012345678901\r\n\r\nOK\r\n" + report + "\r\n",
			want: []Event{{Prefix: "+CDS", Line: "+CDS: 25", PDU: report}}, info: []string{"8931440301234567890", "89314403012345678901"}},
		{name: "inside_a_listing", cmd: "AT+CMGL=4", raw: "\r\n+CMGL: 1,0,,23\r\n+CMT: ,23\r\n" + deliver + "\r\n" + deliver + "\r\n\r\nOK\r\n",
			want: []Event{{Prefix: "+CMT", Line: "+CMT: ,23", PDU: deliver}}, info: []string{"+CMGL: 1,0,,23", deliver}},
		{name: "a_listing_inside", cmd: "AT+CMGL=4", raw: "\r\n+CMT: ,23\r\n+CMGL: 1,0,,23\r\n" + deliver + "\r\n" + deliver + "\r\n\r\nOK\r\n",
			want: []Event{{Prefix: "+CMT", Line: "+CMT: ,23", PDU: deliver}}, info: []string{"+CMGL: 1,0,,23", deliver}},
		{name: "wrong_length", raw: "\r\n+CDS: 24\r\n" + report + "\r\n", want: []Event{{Prefix: "+CDS", Line: "+CDS: 24", PDU: report}}},
		{name: "no_pdu", raw: "\r\n+CDS: 25\r\n\r\n+CDS: 25\r\n" + report + "\r\n",
			want: []Event{{Prefix: "+CDS", Line: "+CDS: 25"}, {Prefix: "+CDS", Line: "+CDS: 25", PDU: report}}},
		{name: "ussd_over_three_lines", raw: "\r\n+CUSD: 0,\"Balance 5 EUR\r\nValid until 1 May\r\nBye\",15\r\n",
			want: []Event{{Prefix: "+CUSD", Line: "+CUSD: 0,\"Balance 5 EUR\nValid until 1 May\nBye\",15"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := dial(t, Config{})
				if tc.cmd != "" {
					go func() { p.expect(tc.cmd + "\r"); p.raw(tc.raw) }()
					info, err := c.Command(t.Context(), tc.cmd, time.Second)
					if err != nil || !slices.Equal(info, tc.info) {
						t.Errorf("%s: %q, %v; want %q", tc.cmd, info, err, tc.info)
					}
				} else {
					p.raw(tc.raw)
				}
				if got := take(t, c, len(tc.want)); !slices.Equal(got, tc.want) {
					t.Errorf("got  %+v\nwant %+v", got, tc.want)
				}
			})
		})
	}
}

// library-facts §9.2, trap §1.6: 2 000 numbered URCs while commands run.
func TestOrderOf2000URCsDuringCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		const n, batch = 2000, 20
		go func() {
			for i := 0; i < n; i += batch {
				p.expect("AT+CSQ\r")
				for j := range batch {
					p.raw(fmt.Sprintf("\r\n+CMTI: \"SM\",%d\r\n", i+j))
					if j == batch/2 {
						p.say("+CSQ: 20,99")
					}
				}
				p.say("OK")
			}
		}()
		var wait sync.WaitGroup
		wait.Go(func() {
			for i, e := range take(t, c, n) {
				if want := fmt.Sprintf(`"SM",%d`, i); e.Args() != want {
					t.Errorf("event %d is %q", i, e.Line)
					return
				}
			}
		})
		for range n / batch {
			info, err := c.Command(t.Context(), "AT+CSQ", time.Second)
			if err != nil || !slices.Equal(info, []string{"+CSQ: 20,99"}) {
				t.Fatalf("%q, %v", info, err)
			}
		}
		wait.Wait()
		if l := c.Lost(); l != 0 {
			t.Errorf("%d events were dropped", l)
		}
	})
}

func TestFullQueueStopsTheReaderButNotAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		sent := 0
		var flood sync.WaitGroup
		flood.Go(func() {
			for ; sent < 2*room; sent++ {
				p.raw("\r\nRING\r\n")
			}
		})
		synctest.Wait()
		if sent < room || sent > room+2 {
			t.Fatalf("the reader took %d lines with nobody to hear them, want about %d", sent, room)
		}
		var peer sync.WaitGroup
		peer.Go(func() { p.expect("AT+CSQ\r"); flood.Wait(); p.say("+CSQ: 1,99", "OK") })
		if _, err := c.Command(t.Context(), "AT+CSQ", time.Minute); err != nil {
			t.Error(err)
		}
		peer.Wait()
		if got := len(take(t, c, 2*room)); got != 2*room || c.Lost() != 0 {
			t.Errorf("%d events, %d lost", got, c.Lost())
		}
	})
}

// library-facts §9.3, trap §1.4: a modem that stops reading.
func TestModemThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe() // unbuffered: a write blocks at once
		c := New(ours, Config{Write: 2 * time.Second})
		start := time.Now()
		_, err := c.Command(t.Context(), "AT+CSQ", time.Second)
		if !errors.Is(err, ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("Command: %v after %v, want a time-out after 1 s", err, time.Since(start))
		}
		start = time.Now()
		if err := c.Resync(t.Context()); !errors.Is(err, ErrSilent) || time.Since(start) > 3*time.Second {
			t.Errorf("Resync: %v after %v", err, time.Since(start))
		}
		// Close must free whatever still waits.
		var blocked sync.WaitGroup
		blocked.Go(func() {
			if err := c.Resync(context.Background()); err == nil {
				t.Error("Resync on a closed port succeeded")
			}
		})
		synctest.Wait()
		c.Close()
		blocked.Wait()
		theirs.Close()
		if _, err := c.Command(t.Context(), "AT", time.Second); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestUnpluggedWhileIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		p.line.Close()
		<-c.Done()
		if _, err := c.Command(t.Context(), "AT", time.Second); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "hung up") {
			t.Errorf("%v, want ErrClosed and why", err)
		}
	})
}

func TestResync_leaves_a_hanging_prompt_and_survives_garbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		go func() {
			p.expect("\x1b\r")
			p.raw("\x7e\x00\xff\x80garbage")
			p.expect("AT\r") // lost in the noise
			p.expect("AT\r")
			p.say("OK")
		}()
		if err := c.Resync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSilentModem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		start := time.Now()
		if err := c.Resync(t.Context()); !errors.Is(err, ErrSilent) {
			t.Errorf("%v, want ErrSilent", err)
		}
		if d := time.Since(start); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("gave up after %v, want five AT of 1 s", d)
		}
		if w := p.written(); w != "\x1b\r"+strings.Repeat("AT\r", 5) {
			t.Errorf("written %q", w)
		}
	})
}

func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{Gap: 20 * time.Millisecond})
		go func() {
			for range 2 {
				p.expect("AT\r")
				p.say("OK")
			}
		}()
		start := time.Now()
		for range 2 {
			if _, err := c.Command(t.Context(), "AT", time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d != 20*time.Millisecond {
			t.Errorf("two commands took %v, want the gap of 20 ms", d)
		}
	})
}
