package at

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzCutter: whatever comes, and however the reads fall, the lines are the
// same, none is blank, long, or has a control byte.
func FuzzCutter(f *testing.F) {
	for _, s := range []string{
		"\r\nOK\r\n", "\x00OK\r\r\n", "AT+CMGS=23\r\r\n> ", "\r\n+CDS: 25\r\n\r\n" + report + "\r\n",
		"AT+CMGS=23> ", "> > +CMGS: 4\r\n", "\x7e\xff\x00\x1a\x1b", strings.Repeat("x", 2*maxLine) + "\r\nOK\r\n",
	} {
		f.Add([]byte(s), uint8(3), true)
		f.Add([]byte(s), uint8(1), false)
	}
	f.Fuzz(func(t *testing.T, p []byte, step uint8, wanted bool) {
		run := func(step int) []string {
			var c cutter
			var out []string
			want := func() (string, bool) { return "AT+CMGS=23", wanted }
			for chunk := range chunks(p, step) {
				c.cut(chunk, want, func(s string) { out = append(out, s) }, func() { out = append(out, "(prompt)") })
			}
			if len(c.buf) > maxLine {
				t.Fatalf("%d bytes are kept", len(c.buf))
			}
			return out
		}
		whole, pieces := run(len(p)+1), run(int(step)+1)
		if strings.Join(whole, "\n") != strings.Join(pieces, "\n") {
			t.Fatalf("in one read %q, in pieces %q", whole, pieces)
		}
		for _, s := range whole {
			if s == "" || len(s) > maxLine || strings.ContainsAny(s, "\r\n\x00\x1a\x1b") || s != strings.TrimSpace(s) {
				t.Fatalf("line %q", s)
			}
		}
	})
}

func chunks(p []byte, step int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for r := bytes.NewReader(p); r.Len() > 0; {
			b := make([]byte, min(step, r.Len()))
			r.Read(b)
			if !yield(b) {
				return
			}
		}
	}
}

// FuzzLines: no line, in any state of the conversation, makes it panic or
// leaves it without an answer.
func FuzzLines(f *testing.F) {
	f.Add("+CMTI: \"SM\",3\nOK")
	f.Add("+CDS: 25\n+CMGS: 3\nOK\n" + report)
	f.Add("> \n+CUSD: 0,\"a\n+CMS ERROR\n+CREG: ,\n,:=\n0")
	f.Fuzz(func(t *testing.T, s string) {
		for _, x := range []*exchange{nil, newExchange("AT+CREG?", 0), newExchange("AT+CMGL=4", 0), {cmd: "AT+CMGS=9", name: "AT+CMGS", sms: true, phase: Gone, moved: make(chan dur, 1), wants: -1}} {
			c := bare()
			c.cur, c.owed, c.owedUntil = x, newExchange("AT+CMGS=9", 0), far
			for _, l := range strings.Split(s, "\n") {
				if l = strings.TrimSpace(l); l != "" {
					c.line(l)
				}
			}
			c.line("OK")
			c.line("OK")
			if c.cur != nil {
				t.Fatalf("after two OK %s is still in flight", c.cur.cmd)
			}
		}
	})
}
