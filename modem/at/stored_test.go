package at

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A message that is written into the modem's memory and sent from there.
func TestStoreAndSubmitStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		go func() {
			p.expect("AT+CMGW=2\r")
			p.raw("\r\n> ")
			p.expect("00AB\x1a")
			p.say("+CMGW: 7", "OK")
			p.expect("AT+CMSS=7\r")
			p.say("+CMSS: 41", "OK")
		}()
		index, err := c.Store(t.Context(), 2, "00AB")
		if err != nil || index != 7 {
			t.Fatalf("stored at %d, %v", index, err)
		}
		done, err := c.SubmitStored(t.Context(), "m", index)
		if err != nil || done.MR != 41 || done.Phase != Gone {
			t.Errorf("%+v, %v", done, err)
		}
	})
}

// What was only written was not sent, however it ends; what was told to be
// sent and not answered may have been, and its late answer is its own.
func TestStoredThatGetNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{Patience: time.Minute, Linger: time.Second})
		go p.expect("AT+CMSS=7\r")
		since := time.Now()
		done, err := c.SubmitStored(t.Context(), "m7", 7)
		if !errors.Is(err, ErrTimeout) || done.Phase != Gone || time.Since(since) != time.Minute {
			t.Fatalf("%+v, %v after %v", done, err, time.Since(since))
		}
		if _, err := c.SubmitStored(t.Context(), "m8", 8); !errors.Is(err, ErrOutOfStep) {
			t.Errorf("the next one before a resync: %v", err)
		}
		go func() {
			p.expect("\x1b\rAT\r")
			p.say("OK")
			p.expect("AT+CMGW=2\r")
			p.say("+CMSS: 9", "OK") // of the message before; the prompt is still to come
			p.raw("\r\n> ")
			p.expect("00AB\x1a")
			p.say("+CMS ERROR: 322")
		}()
		if err := c.Resync(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = c.Store(t.Context(), 2, "00AB")
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != 322 {
			t.Errorf("a full memory: %v", err)
		}
		if late := take(t, c, 1)[0].Late; late == nil || late.Tag != "m7" || late.MR != 9 {
			t.Errorf("the late answer is %+v", late)
		}
	})
}

func TestStoreRefusesAnAnswerWithoutAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, Config{})
		go func() {
			p.expect("AT+CMGW=2\r")
			p.raw("\r\n> ")
			p.expect("00AB\x1a")
			p.say("OK")
		}()
		if _, err := c.Store(t.Context(), 2, "00AB"); err == nil {
			t.Error("an answer without a place was taken")
		}
	})
}
