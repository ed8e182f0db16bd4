package smpp

// Peers that mean no good, or are broken beyond manners.

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// A length that cannot be ends the session, with a generic_nack that says so,
// and the next one works.
func TestLyingLengths(t *testing.T) {
	for _, length := range []uint32{0, 1, 15, maxPDU + 1, 1 << 31, 0xFFFFFFFF} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, l, rec := alone(t, nil)
				p := meet(t, l)
				p.admit(t)
				rec.untilState(t, route.Ready)
				lie := rawPDU(pdu.DeliverSMID, 0, 5, []byte("some body"))
				binary.BigEndian.PutUint32(lie, length)
				if _, err := p.conn.Write(lie[:pdu.HeaderLen]); err != nil {
					t.Fatal(err)
				}
				if f := p.next(t, pdu.GenericNACKID); f.Status != statusBadLength || f.Seq != 5 {
					t.Errorf("the answer is %+v", f.Header)
				}
				if _, err := p.r.ReadByte(); err == nil {
					t.Error("the client said something more")
				}
				meet(t, l).admit(t)
				rec.untilState(t, route.Ready)
			})
		})
	}
}

// A body that never comes does not hold the session for ever.
func TestBodyThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, rec := alone(t, nil)
		p := meet(t, l)
		p.admit(t)
		p.say(t, rawPDU(pdu.DeliverSMID, 0, 5, make([]byte, 100))[:50])
		io.Copy(io.Discard, p.r) // until the client hangs up
		rec.untilState(t, route.Waiting)
		meet(t, l).admit(t)
		rec.untilState(t, route.Ready)
	})
}

// The largest PDU there is.
func TestLargestPDU(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{}, nil)
	head := carriedBody("31687654321", "")
	n := maxPDU - pdu.HeaderLen - len(head) - 4
	body := append(head, 0x04, 0x24, byte(n>>8), byte(n))
	body = append(body, bytes.Repeat([]byte("x"), n)...)
	m.Inject(rawPDU(pdu.DeliverSMID, 0, 1, body))
	rec.until(t, "it is handed up", func() bool { return len(rec.received) == 1 })
	if got := rec.messages()[0].Text; got != strings.Repeat("x", n) {
		t.Errorf("%d characters were handed up, %d sent", len(got), n)
	}
}

// A flood of messages while the store stands still: what does not fit is
// refused, and comes again; memory is bounded and nothing is lost.
func TestFloodOfMessages(t *testing.T) {
	const flood = 5 * deskTasks
	c, m, rec := bound(t, smsc.Config{DeliverWindow: flood, RetryAfter: 50 * time.Millisecond}, nil)
	leave := make(chan struct{})
	rec.set(func() { rec.before = func(context.Context) { <-leave } })
	for n := range flood {
		m.Bring(smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: fmt.Append(nil, n)})
	}
	if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Nacked >= flood-deskTasks-10 }); err != nil {
		t.Fatal(err)
	}
	if n := c.desk.count.Load(); n > deskTasks {
		t.Errorf("%d messages lie on the desk", n)
	}
	if _, err := c.Send(within(t), message(1, "meanwhile")); err != nil {
		t.Errorf("during the flood: %v", err)
	}
	close(leave)
	rec.set(func() { rec.before = nil })
	seen := make(map[string]int)
	rec.until(t, "all are stored", func() bool { return len(rec.received) >= flood })
	for _, in := range rec.messages() {
		seen[in.Text]++
	}
	if len(seen) != flood {
		t.Errorf("%d different messages were stored, sent were %d", len(seen), flood)
	}
	if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Waiting == 0 }); err != nil {
		t.Error(err)
	}
}

// Large messages are counted by their octets.
func TestFloodOfLargeMessages(t *testing.T) {
	const size = 60_000
	c, m, rec := bound(t, smsc.Config{}, nil)
	leave := make(chan struct{})
	rec.set(func() { rec.before = func(context.Context) { <-leave } })
	defer close(leave)
	head := carriedBody("31687654321", "")
	body := append(append(head, 0x04, 0x24, byte(size>>8), byte(size&0xFF)), make([]byte, size)...)
	const flood = 3 * deskBytes / size
	for n := range uint32(flood) {
		m.Inject(rawPDU(pdu.DeliverSMID, 0, n+1, body))
	}
	if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Last.Seq == flood }); err != nil {
		t.Fatal(err)
	}
	if got := m.Stats().Last.Status; got != uint32(statusQueueFull) {
		t.Errorf("the last answer is %#x", got)
	}
	if got := c.desk.size.Load(); got > deskBytes {
		t.Errorf("%d octets lie on the desk", got)
	}
}

// A peer that asks and never reads: the session ends, memory stays bounded.
func TestPeerThatNeverReads(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rec := newRecorder()
	c := newClient(t, l.Addr().String(), rec, func(cfg *Config) {
		cfg.Timers.Write = 200 * time.Millisecond
		cfg.Window = 200
		cfg.SendTimeout = 5 * time.Second
	})
	run(t, c, rec)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := &peer{conn, nil}
	var head [pdu.HeaderLen]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		t.Fatal(err)
	}
	rest := binary.BigEndian.Uint32(head[:]) - pdu.HeaderLen
	if _, err := io.CopyN(io.Discard, conn, int64(rest)); err != nil {
		t.Fatal(err)
	}
	p.say(t, rawPDU(pdu.BindTransceiverRespID, 0, binary.BigEndian.Uint32(head[12:]), []byte("smsc\x00")))
	rec.untilState(t, route.Ready)

	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	enquire := bytes.Repeat(rawPDU(pdu.EnquireLinkID, 0, 1, nil), 4096)
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			_, err := c.Send(context.Background(), message(n, strings.Repeat("x", 160)))
			if err == nil {
				t.Error("a message is said to be sent")
			}
		})
	}
	if err := conn.SetWriteDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until the client hangs up
		_, err = conn.Write(enquire)
	}
	rec.untilState(t, route.Waiting)
	wg.Wait()
	var after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap has grown by %d octets", grown)
	}
}

// Answers to nothing, twice to the same, of the wrong kind.
func TestAnswersOutOfNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l, rec := alone(t, nil)
		p := meet(t, l)
		p.admit(t)
		rec.untilState(t, route.Ready)
		type verdict struct {
			got route.Receipt
			err error
		}
		verdicts := make(chan verdict, 1)
		go func() {
			got, err := c.Send(context.Background(), message(1, "hello"))
			verdicts <- verdict{got, err}
		}()
		f := p.next(t, pdu.SubmitSMID)
		for _, id := range []pdu.ID{pdu.EnquireLinkRespID, pdu.UnbindRespID, pdu.DeliverSMRespID, pdu.BindTransceiverRespID, 0x8000FFFF} {
			p.say(t, rawPDU(id, 0, f.Seq, []byte("wrong\x00")))
		}
		p.say(t, rawPDU(pdu.SubmitSMRespID, 0, f.Seq+1, []byte("other\x00")))
		p.say(t, rawPDU(pdu.SubmitSMRespID, 0, f.Seq, []byte("Right")))
		p.say(t, rawPDU(pdu.SubmitSMRespID, 0, f.Seq, []byte("twice\x00")))
		v := <-verdicts
		if v.err != nil || v.got.Parts[0].Ref != "right" {
			t.Errorf("the verdict is %+v, %v", v.got, v.err)
		}
		synctest.Wait()
		if rec.last().State != route.Ready {
			t.Errorf("the status is %+v", rec.last())
		}
	})
}
