package at

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// library-facts §9.1, trap §1.1: the answer of message 1 comes after our
// patience. Message 2 must be written, and get its own reference.
func TestLateAnswerIsNotCreditedToTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{Patience: 200 * time.Millisecond})
		go func() {
			p.expect("AT+CMGS=23\r")
			p.raw("\r\n> ")
			p.expect(pdu + "\x1a")
			time.Sleep(250 * time.Millisecond)
			p.say("+CMGS: 41", "OK")
			p.expect("\x1b\rAT\r")
			p.say("OK")
			p.accept("23", pdu, "42")
		}()
		got, err := c.Submit(t.Context(), "message 1", length, pdu)
		if !errors.Is(err, ErrTimeout) || got.Phase != Gone {
			t.Fatalf("message 1: %+v, %v; want a time-out after Ctrl-Z", got, err)
		}
		if _, err := c.Submit(t.Context(), "message 2", length, pdu); !errors.Is(err, ErrOutOfStep) {
			t.Fatalf("before a resync: %v, want ErrOutOfStep", err)
		}
		if err := c.Resync(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := take(t, c, 1)[0]
		if e.Late == nil || e.Late.Tag != "message 1" || e.Late.MR != 41 || e.Late.Err != nil {
			t.Fatalf("late result %+v, want 41 for message 1", e.Late)
		}
		got, err = c.Submit(t.Context(), "message 2", length, pdu)
		if err != nil || got.MR != 42 {
			t.Fatalf("message 2: %+v, %v; want reference 42", got, err)
		}
		if n := strings.Count(p.written(), pdu+"\x1a"); n != 2 {
			t.Errorf("%d PDUs were written, want 2", n)
		}
	})
}

// A modem that answers AT while an old answer is still on its way: the answer
// meets every kind of later moment.
func TestLateAnswerMeets(t *testing.T) {
	lost := func(t *testing.T, c *Conn, p *peer) {
		t.Helper()
		go func() {
			p.expect("AT+CMGS=23\r")
			p.raw("\r\n> ")
			p.expect(pdu + "\x1a")
		}()
		if got, err := c.Submit(t.Context(), "old", length, pdu); got.Phase != Gone || !errors.Is(err, ErrTimeout) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	resync := func(t *testing.T, c *Conn, p *peer) {
		t.Helper()
		go func() { p.expect("\x1b\rAT\r"); p.say("OK") }()
		if err := c.Resync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Config{Patience: time.Second, Linger: time.Second}
	check := func(t *testing.T, c *Conn, mr int) {
		t.Helper()
		if l := take(t, c, 1)[0].Late; l == nil || l.Tag != "old" || l.MR != mr {
			t.Errorf("late result %+v, want %d for the old message", l, mr)
		}
	}

	t.Run("idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, cfg)
			lost(t, c, p)
			resync(t, c, p)
			p.say("+CMGS: 41", "OK")
			check(t, c, 41)
		})
	})
	t.Run("another_command", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, cfg)
			lost(t, c, p)
			resync(t, c, p)
			go func() {
				p.expect("AT+CSQ\r")
				p.say("+CMGS: 41", "OK")
				p.say("+CSQ: 20,99", "OK")
			}()
			info, err := c.Command(t.Context(), "AT+CSQ", time.Second)
			if v, _ := Find(info, "+CSQ"); err != nil || v != "20,99" {
				t.Errorf("got %q, %v", info, err)
			}
			check(t, c, 41)
		})
	})
	t.Run("the_next_prompt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, cfg)
			lost(t, c, p)
			resync(t, c, p)
			go func() {
				p.expect("AT+CMGS=23\r")
				p.say("+CMGS: 41", "OK")
				p.raw("\r\n> ")
				p.expect(pdu + "\x1a")
				p.say("+CMGS: 42", "OK")
			}()
			if got, err := c.Submit(t.Context(), "new", length, pdu); err != nil || got.MR != 42 {
				t.Errorf("new: %+v, %v", got, err)
			}
			check(t, c, 41)
		})
	})
	t.Run("a_refusal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, cfg)
			lost(t, c, p)
			resync(t, c, p)
			p.say("+CMS ERROR: 38")
			l := take(t, c, 1)[0].Late
			if l == nil || l.Tag != "old" || l.Err == nil || l.Err.Code != 38 {
				t.Errorf("late result %+v, want CMS 38", l)
			}
		})
	})
	// Of an error before the next prompt nobody can tell whose it is. To credit
	// it to the old message would give that one back, and send it twice.
	t.Run("a_refusal_before_the_next_prompt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, cfg)
			lost(t, c, p)
			resync(t, c, p)
			go func() {
				p.expect("AT+CMGS=23\r")
				p.say("+CMS ERROR: 38")
				p.raw("\r\n> ")
				p.expect(pdu + "\x1a")
				p.say("+CMGS: 42", "OK")
				p.expect("AT+CMGS=23\r")
				p.say("+CMS ERROR: 302")
			}()
			if got, err := c.Submit(t.Context(), "new", length, pdu); err != nil || got.MR != 42 {
				t.Errorf("new: %+v, %v", got, err)
			}
			if e, ok := c.Take(); ok {
				t.Errorf("%+v was credited", e.Late)
			}
			_, err := c.Submit(t.Context(), "newer", length, pdu) // nothing is owed now: this one is its own
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != 302 {
				t.Errorf("newer: %v", err)
			}
		})
	})
	t.Run("nobody_after_five_minutes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := dial(t, cfg)
			lost(t, c, p)
			resync(t, c, p)
			time.Sleep(owedFor + time.Second)
			p.say("+CMGS: 41", "OK")
			synctest.Wait()
			if e, ok := c.Take(); ok {
				t.Errorf("%+v was credited", e.Late)
			}
		})
	})
}

func TestResync_lingers_for_an_owed_answer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{Patience: time.Second, Linger: 10 * time.Second})
		go func() {
			p.expect("AT+CMGS=23\r")
			p.raw("\r\n> ")
			p.expect(pdu + "\x1a")
			time.Sleep(5 * time.Second) // patience 1 s, then 4 s more
			if w := p.written(); !strings.HasSuffix(w, pdu+"\x1a") {
				t.Errorf("while the answer was owed it read %q", w)
			}
			p.say("+CMGS: 41", "OK")
			p.expect("\x1b\rAT\r")
			p.say("OK")
			p.accept("23", pdu, "42")
		}()
		c.Submit(t.Context(), "old", length, pdu)
		start := time.Now()
		if err := c.Resync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 4*time.Second || d > 5*time.Second {
			t.Errorf("resync took %v, want until the late answer at 4 s", d)
		}
		if got, err := c.Submit(t.Context(), "new", length, pdu); err != nil || got.MR != 42 {
			t.Errorf("new: %+v, %v", got, err)
		}
	})
}

// The modem is silent until the line is closed, and gives its answer when it is
// open again.
func TestLateAnswerComesToTheNextConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, p := dial(t, Config{Patience: time.Second, Linger: time.Second})
		go func() {
			p.expect("AT+CMGS=23\r")
			p.raw("\r\n> ")
			p.expect(pdu + "\x1a")
		}()
		first.Submit(t.Context(), "old", length, pdu)
		if err := first.Resync(t.Context()); !errors.Is(err, ErrSilent) {
			t.Fatalf("%v, want ErrSilent", err)
		}
		owed := first.Owed()
		if owed == nil || owed.Tag != "old" {
			t.Fatalf("owed is %+v", owed)
		}
		first.Close()

		second, p := dial(t, Config{Owed: owed})
		start := time.Now()
		go func() {
			p.expect("\x1b\rAT\r")
			p.say("+CMGS: 41", "OK")
			p.say("OK")
		}()
		if err := second.Resync(t.Context()); err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if l := take(t, second, 1)[0].Late; l == nil || l.Tag != "old" || l.MR != 41 {
			t.Errorf("late result %+v, want 41 for the old message", l)
		}
		if owed := second.Owed(); owed != nil {
			t.Errorf("%+v is still owed", owed)
		}
	})
}
