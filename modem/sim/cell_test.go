package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// part is a SUBMIT of one part of a long text, to +31612345678.
func part(text string, ref, total, seq byte) string {
	septets, _ := toSeptets(text)
	ud := append([]byte{5, 0, 3, ref, total, seq}, pack(septets, 6)...)
	return "0071000B911316325476F80000A7" + fmt.Sprintf("%02X", 7+len(septets)) + hexUpper(ud)
}

func TestCell_joins_parts_as_a_handset_does(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CNMI=2,0,0,0,0")
		for _, pdu := range []string{
			part("C", 7, 3, 3), part("a", 8, 2, 1), part("A", 7, 3, 1), part("A", 7, 3, 1), // out of order, mixed, twice
			hello("5678"), part("b", 8, 2, 2), part("B", 7, 3, 2),
			part("x", 9, 2, 1), // its other half never comes
		} {
			if got := d.send(pdu); !strings.HasSuffix(got, "OK") {
				t.Fatalf("got %s", got)
			}
		}
		want := []Message{
			{From: own, To: "+31612345678", Text: "hellohello", Parts: 1},
			{From: own, To: "+31612345678", Text: "ab", Parts: 2},
			{From: own, To: "+31612345678", Text: "ABC", Parts: 3},
		}
		if got := d.cell.Messages(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if n := d.cell.Accepted(); n != 8 {
			t.Errorf("%d accepted, want 8", n)
		}
	})
}

func TestCell_logs_a_line_per_event(t *testing.T) {
	var log bytes.Buffer
	bench(t, CellConfig{Log: &log}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.send(hello("5678"))
		d.said("0791*")
	})
	var kinds []string
	for line := range strings.Lines(log.String()) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		kinds = append(kinds, e.Kind)
	}
	if fmt.Sprint(kinds) != "[submit report]" {
		t.Errorf("the log has %v", kinds)
	}
}

type brokenDisk struct{}

func (brokenDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestCell_says_that_its_log_is_broken(t *testing.T) {
	c := NewCell(CellConfig{Log: brokenDisk{}})
	c.refuse(Entry{}, 304, "test")
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}

func TestCell_Wait_ends_with_its_context(t *testing.T) {
	c := NewCell(CellConfig{})
	defer c.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	err := c.Wait(ctx, func(*Cell) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v", err)
	}
}

func TestNetwork_repeats_to_a_modem_that_left_without_acknowledging(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.at("ATE0;+CSMS=1;+CNMI=2,2,0,1,0")
		deliver(t, d.cell, "STOP")
		d.said("0791*")
		play(t, d.modem, "unplug for 5s")
		<-d.ended
		again := plug(t, d.cell, d.modem) // CNMI is lost, so it is stored now
		again.at("ATE0;+CNMI=2,1,0,0,0")
		if n := again.modem.Stored("SM"); n != 1 {
			t.Errorf("%d stored, want 1", n)
		}
		*d = *again
	})
}

func TestClass_3_goes_straight_to_the_terminal_with_mt_3(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, a *terminal) {
		b := plug(t, a.cell, New(a.cell, Identity(1)))
		a.ready()
		b.at("ATE0;+CNMI=2,3,0,0,0")
		for _, c := range []struct{ dcs, want string }{{"13", "+CMT: ,29"}, {"00", `+CMTI: "SM",1`}} {
			a.send("0011000D91137910001000F200" + c.dcs + "A70AE8329BFD4697D9EC37")
			if got := b.said("+CMT*"); got != c.want {
				t.Errorf("DCS %s: got %s, want %s", c.dcs, got, c.want)
			}
			b.said("0791*")
		}
		b.unplug()
	})
}

func TestCFUN_switches_the_radio(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CREG=1")
		d.expect("AT+CFUN=4", "+CREG: 0|OK")
		if got := d.send(hello("5678")); got != "+CMS ERROR: 331" {
			t.Errorf("got %s", got)
		}
		d.expect("AT+COPS?", "+COPS: 0|OK")
		d.expect(`AT+CUSD=1,"*100#"`, "+CME ERROR: 30")
		d.expect("AT+CFUN=1", "+CREG: 1|OK")
		d.expect("AT+CFUN=7", "+CME ERROR: 50")
		if got := d.send(hello("5678")); got != "+CMGS: 0|OK" {
			t.Errorf("got %s", got)
		}
	})
}

func TestATZ_forgets_settings_but_not_the_PIN(t *testing.T) {
	bench(t, CellConfig{}, Config{PIN: "1234"}, func(t *testing.T, d *terminal) {
		d.ready()
		d.at("AT+CPIN=1234")
		d.expect("ATZ", "OK")
		d.expect("AT+CNMI?;+CPIN?", "AT+CNMI?;+CPIN?|+CNMI: 0,0,0,0,0|+CPIN: READY|OK")
	})
}

func TestModem_without_SMSC_cannot_send(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		d.expect(`AT+CSCA=""`, "OK")
		if got := d.send(hello("5678")); got != "+CMS ERROR: 330" {
			t.Errorf("got %s", got)
		}
		// One that the PDU itself names will do.
		pdu := "07911326040000F0" + hello("5678")[2:]
		d.write("AT+CMGS=23\r")
		d.said("> ")
		d.write(pdu + "\x1a")
		if got := d.said(finals...); got != "+CMGS: 0|OK" {
			t.Errorf("got %s", got)
		}
	})
}

func TestHang_by_the_clock_takes_the_running_command_with_it(t *testing.T) {
	bench(t, CellConfig{}, Config{Latency: time.Minute}, func(t *testing.T, d *terminal) {
		d.ready()
		d.write("AT+CMGS=23\r")
		d.said("> ")
		d.write(hello("5678") + "\x1a")
		play(t, d.modem, "hang")
		if got := d.said(finals...); got != "SILENCE" {
			t.Errorf("got %s", got)
		}
		if n := d.cell.Accepted(); n != 0 {
			t.Errorf("%d accepted", n)
		}
		d.write("\x1b\r")
		d.expect("AT", "OK")
		play(t, d.modem, "freeze for 1m", "garbage 5")
		d.expect("AT", "SILENCE")
		d.expect("AT", "OK")
	})
}
