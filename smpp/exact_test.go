package smpp

import (
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// tearing is a connection that takes so many octets of a write and breaks.
type tearing struct {
	net.Conn
	take int
}

var errReset = errors.New("connection reset by peer")

func (c tearing) Write(b []byte) (int, error) {
	if n := min(c.take, len(b)); n < len(b) {
		return n, errReset
	}
	return len(b), nil
}
func (tearing) SetWriteDeadline(time.Time) error { return nil }
func (tearing) Close() error                     { return nil }

// Four requests and an answer of ours go into one write, which breaks after so
// many octets: of each it is known whether it may have left.
func TestTornWrite(t *testing.T) {
	frame := rawPDU(pdu.SubmitSMID, 0, 0, make([]byte, 84)) // 100 octets
	for _, p := range []struct {
		take int
		left [4]bool
	}{
		{0, [4]bool{}},
		{1, [4]bool{true}},
		{100, [4]bool{true}},
		{150, [4]bool{true, true}},
		{399, [4]bool{true, true, true, true}},
		{410, [4]bool{true, true, true, true}},
	} {
		s := newSession(tearing{take: p.take}, &Config{Window: 4, Log: slog.New(slog.DiscardHandler)}, nil)
		var asked []*request
		for range 4 {
			q := &request{frame: append([]byte(nil), frame...), resp: submitResp, answer: make(chan answer, 1)}
			if err := s.post(q); err != nil {
				t.Fatal(err)
			}
			asked = append(asked, q)
		}
		lost := 0
		if err := s.reply(pdu.NewDeliverSMResp(), 7, 0, func() { lost++ }); err != nil {
			t.Fatal(err)
		}
		s.end(s.write())
		s.settle()
		for i, q := range asked {
			if a := <-q.answer; a.left != p.left[i] || !errors.Is(a.err, errReset) {
				t.Errorf("%d octets were taken: request %d has left %v (%v), want %v", p.take, i+1, a.left, a.err, p.left[i])
			}
		}
		if lost != 1 {
			t.Errorf("%d octets were taken: our answer is called lost %d times", p.take, lost)
		}
	}
}

// Under TLS a count of octets proves nothing about what has not left.
func TestTornWriteUnderTLS(t *testing.T) {
	s := newSession(tearing{take: 0}, &Config{Window: 4, Log: slog.New(slog.DiscardHandler)}, nil)
	s.exact = false
	q := &request{frame: rawPDU(pdu.SubmitSMID, 0, 0, nil), resp: submitResp, answer: make(chan answer, 1)}
	if err := s.post(q); err != nil {
		t.Fatal(err)
	}
	s.end(s.write())
	s.settle()
	if a := <-q.answer; !a.left {
		t.Error("it is said not to have left")
	}
}

// What has not been taken by the writer can be taken back, what has cannot.
func TestWithdraw(t *testing.T) {
	s := newSession(tearing{take: 1 << 20}, &Config{Window: 4, Log: slog.New(slog.DiscardHandler)}, nil)
	ask := func() *request {
		q := &request{frame: rawPDU(pdu.SubmitSMID, 0, 0, nil), resp: submitResp, answer: make(chan answer, 1)}
		if err := s.post(q); err != nil {
			t.Fatal(err)
		}
		return q
	}
	first := ask()
	if n := len(s.nextBatch()); n != 1 {
		t.Fatalf("the writer took %d", n)
	}
	second := ask()
	if s.withdraw(first) {
		t.Error("what has left was taken back")
	}
	if !s.withdraw(second) || s.withdraw(second) {
		t.Error("what has not left is to be taken back once")
	}
	if len(s.nextBatch()) != 0 || s.asked != 1 || len(s.waiting) != 1 {
		t.Errorf("%d are asked, %d wait", s.asked, len(s.waiting))
	}
}
