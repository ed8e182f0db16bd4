package smpp

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tillpost/smpp/smsc"
)

// What comes from one phone is told in order; a phone whose message is stuck
// in the store holds nobody else up.
func TestOrderForEachPhone(t *testing.T) {
	const phones, each = 100, 20
	_, m, rec := bound(t, smsc.Config{DeliverWindow: phones * each}, nil)
	leave := make(chan struct{})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	rec.set(func() {
		rec.before = func(context.Context) {
			select {
			case <-first:
				<-leave
			default:
			}
		}
	})
	for n := range each {
		for phone := range phones {
			m.Bring(smsc.Message{From: fmt.Sprintf("316%08d", phone), To: "31600000000", Coding: codingASCII, Text: fmt.Append(nil, n)})
		}
	}
	// Even if a dozen phones share the clerk of the one that is stuck.
	rec.until(t, "the others are told", func() bool { return len(rec.received) >= (phones-12)*each })
	close(leave)
	rec.until(t, "all are told", func() bool { return len(rec.received) == phones*each })
	next := make(map[string]int)
	for _, in := range rec.messages() {
		if want := fmt.Sprint(next[in.From]); in.Text != want {
			t.Fatalf("from %s came %s, want %s", in.From, in.Text, want)
		}
		next[in.From]++
	}
}

func TestSource(t *testing.T) {
	for body, want := range map[string]string{
		string(carriedBody("31687654321", "hi")): "31687654321",
		"CMT\x00\x05\x00Bank\x00":                "Bank",
		"":                                       "",
		"\x00":                                   "",
		"\x00\x01":                               "",
		"\x00\x01\x01":                           "",
		"no end":                                 "",
		"\x00\x01\x01no end":                     "no end",
	} {
		if got := string(source([]byte(body))); got != want {
			t.Errorf("%q comes from %q, want %q", body, got, want)
		}
	}
}

// Leaving waits for what is on the desk, and takes no more.
func TestLeavesWithAnEmptyDesk(t *testing.T) {
	m, addr := startSMSC(t, smsc.Config{RetryAfter: time.Hour})
	rec := newRecorder()
	stop := run(t, newClient(t, addr, rec, nil), rec)
	rec.until(t, "it is bound", func() bool { return m.Stats().Bound == 1 })
	inside, leave := make(chan struct{}, 1), make(chan struct{})
	rec.set(func() { rec.before = func(context.Context) { inside <- struct{}{}; <-leave } })
	answer := m.Bring(smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: []byte("the last")})
	<-inside
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	rec.until(t, "it takes leave", func() bool { return rec.last().Detail == context.Canceled.Error() })
	late := m.Bring(smsc.Message{From: "31687654322", To: "31600000000", Coding: codingASCII, Text: []byte("too late")})
	if got := <-late; got != uint32(statusQueueFull) {
		t.Errorf("what came during the leave is answered with %#x", got)
	}
	close(leave)
	<-ended
	if got := <-answer; got != 0 {
		t.Errorf("what was on the desk is answered with %#x", got)
	}
}
