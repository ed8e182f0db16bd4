package smpp

// What go-smpp's own client gets wrong, one test each: our session must not.

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"go.uber.org/goleak"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// rawPDU writes a PDU that no library would.
func rawPDU(id pdu.ID, status pdu.Status, seq uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(pdu.HeaderLen+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = binary.BigEndian.AppendUint32(b, uint32(status))
	return append(binary.BigEndian.AppendUint32(b, seq), body...)
}

// Trap 1 and 2: a deliver_sm with the sequence number of a submit in flight,
// for every one of them, three times over.
func TestCollidingSequenceNumbers(t *testing.T) {
	const lanes, rounds = 20, 3
	c, m, rec := bound(t, smsc.Config{Decide: func(*smsc.Submit) smsc.Verdict { return smsc.Verdict{Hold: true, NoReceipt: true} }},
		func(cfg *Config) { cfg.Window = lanes })
	var wg sync.WaitGroup
	for n := range lanes {
		wg.Go(func() {
			got, err := c.Send(within(t), message(n, "in flight"))
			if err != nil || got.Parts[0].Ref == "" {
				t.Errorf("message %d: %+v, %v", n, got, err)
			}
		})
	}
	if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Submits == lanes }); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		for _, s := range m.Submits() {
			body := rawPDU(pdu.DeliverSMID, 0, s.Seq, carriedBody("31687654321", fmt.Sprint("collides ", s.Seq)))
			m.Inject(body)
		}
	}
	rec.until(t, "all messages are handed up", func() bool { return len(rec.received) == lanes*rounds })
	m.Release()
	wg.Wait()
	seen := make(map[string]int)
	for _, in := range rec.messages() {
		seen[in.Text]++
	}
	for text, n := range seen {
		if n != rounds {
			t.Errorf("%q was handed up %d times, sent were %d", text, n, rounds)
		}
	}
}

// carriedBody is the mandatory part of a deliver_sm in ASCII.
func carriedBody(from, said string) []byte {
	b := []byte("\x00\x01\x01" + from + "\x00\x01\x0131600000000\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00")
	return append(append(b, byte(len(said))), said...)
}

// Trap 3: a slow store holds up neither submits nor the SMSC's enquire_link.
func TestSlowStoreHoldsUpNothing(t *testing.T) {
	c, m, rec := bound(t, smsc.Config{}, nil)
	inside, leave := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(inside) })
	rec.set(func() {
		rec.before = func(context.Context) { enter(); <-leave }
	})
	defer close(leave)
	m.Bring(smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: []byte("slow")})
	<-inside
	if _, err := c.Send(within(t), message(1, "meanwhile")); err != nil {
		t.Fatal(err)
	}
	heard := m.Stats().Heard
	m.Enquire()
	if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Heard == heard+1 }); err != nil {
		t.Errorf("enquire_link was not answered while the store was slow: %v", err)
	}
}

// Trap 4: what could not be stored is answered with a failure, and comes again.
func TestFailedCommitIsNotAcknowledged(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{RetryAfter: 10 * time.Millisecond}, nil)
	full := errors.New("the disk is full")
	rec.set(func() { rec.fail = full })
	status, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: []byte("keep me")})
	if err != nil || pdu.Status(status) != statusNotNow {
		t.Fatalf("the answer was %#x, %v; want %#x", status, err, uint32(statusNotNow))
	}
	rec.set(func() { rec.fail = nil })
	rec.until(t, "the message is stored", func() bool { return len(rec.received) == 1 })
	if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Done == 1 && s.Waiting == 0 }); err != nil {
		t.Error(err)
	}
}

// Trap 5: PDUs that are strange or broken cost themselves and not the session.
func TestPoisonPDUs(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	deliver := carriedBody("31687654321", "hello")
	payload := append(carriedBody("31687654321", ""), 0x04, 0x24, byte(len(long)>>8), byte(len(long)))
	short := carriedBody("31687654321", "hello")
	dataSM := []byte("\x00\x01\x0131687654321\x00\x01\x0131600000000\x00\x00\x00\x01\x04\x24\x00\x04data")
	for _, p := range []struct {
		name   string
		id     pdu.ID
		body   []byte
		answer uint32 // command_id; 0: none is due
		status uint32
		text   string // of the message handed up; empty: none
		broken bool
	}{
		{name: "data_sm", id: pdu.DataSMID, body: dataSM, answer: uint32(pdu.DataSMRespID), text: "data"},
		{name: "alert_notification", id: pdu.AlertNotificationID, body: []byte("\x00\x00a\x00\x00\x00b\x00")},
		{name: "outbind", id: pdu.OutbindID, body: []byte("smsc\x00pw\x00")},
		{name: "data_sm_resp to nothing", id: pdu.DataSMRespID, body: []byte{0}},
		{name: "submit_sm_resp to nothing", id: pdu.SubmitSMRespID, body: []byte("1\x00")},
		{name: "an unknown command", id: 0x7777, answer: uint32(pdu.GenericNACKID), status: uint32(statusBadCommand)},
		{name: "query_sm, which is not for us", id: pdu.QuerySMID, answer: uint32(pdu.GenericNACKID), status: uint32(statusBadCommand)},
		{name: "sm_length beyond the body", id: pdu.DeliverSMID, body: short[:len(short)-2], answer: uint32(pdu.GenericNACKID), status: uint32(statusBadLength), broken: true},
		{name: "a body that ends in the middle", id: pdu.DeliverSMID, body: deliver[:9], answer: uint32(pdu.GenericNACKID), status: uint32(statusBadLength), broken: true},
		{name: "no body", id: pdu.DeliverSMID, answer: uint32(pdu.GenericNACKID), status: uint32(statusBadLength), broken: true},
		{name: "a broken TLV", id: pdu.DeliverSMID, body: append(bytes.Clone(deliver), 0x00, 0x1E, 0xFF, 0xFF, 'x'), answer: uint32(pdu.DeliverSMRespID), text: "hello"},
		{name: "a payload of 5000 octets", id: pdu.DeliverSMID, body: append(payload, long...), answer: uint32(pdu.DeliverSMRespID), text: long},
		{name: "a user data header of length 0", id: pdu.DeliverSMID, body: withESM(carriedBody("31687654321", "\x00hello")), answer: uint32(pdu.DeliverSMRespID), text: "hello"},
	} {
		t.Run(p.name, func(t *testing.T) {
			c, m, rec := bound(t, smsc.Config{}, nil)
			m.Inject(rawPDU(p.id, 0, 77, p.body))
			if p.answer != 0 {
				if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Last.ID == p.answer && s.Last.Seq == 77 }); err != nil {
					t.Fatal(err)
				}
				if got := m.Stats().Last.Status; got != p.status {
					t.Errorf("the status of the answer is %#x, want %#x", got, p.status)
				}
			}
			if _, err := c.Send(within(t), message(1, "still here")); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if s := m.Stats(); s.Binds != 1 || s.Bound != 1 {
				t.Errorf("the session did not survive: %+v", s)
			}
			got := rec.messages()
			switch {
			case p.broken && (len(got) != 1 || !got[0].Undecodable || got[0].Raw == "" || got[0].Key == ""):
				t.Errorf("handed up was %+v, want the raw PDU", got)
			case !p.broken && p.text != "" && (len(got) != 1 || got[0].Text != p.text):
				t.Errorf("handed up was %+v", got)
			case !p.broken && p.text == "" && len(got) != 0:
				t.Errorf("handed up was %+v", got)
			}
		})
	}
}

func withESM(body []byte) []byte {
	at := bytes.Index(body, []byte("31600000000\x00")) + 12
	body[at] = esmUDHI
	return body
}

// Trap 6: it is known whether a submit left. Three are in flight when the
// connection breaks, one waits for a place in the window.
func TestLossInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, rec := boundInLobby(t, smsc.Config{Decide: func(*smsc.Submit) smsc.Verdict { return smsc.Verdict{Silent: true} }},
			func(cfg *Config) { cfg.Window = 3 })
		fates := make(map[route.Fate]int)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				_, err := c.Send(within(t), message(n, "in flight"))
				e, _ := errors.AsType[*route.Error](err)
				if e == nil {
					t.Errorf("message %d: %v", n, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				fates[e.Fate]++
			})
		}
		synctest.Wait()
		m.Disconnect()
		wg.Wait()
		if fates[route.Unknown] != 3 || fates[route.NotOffered] != 1 {
			t.Errorf("the verdicts are %v, want 3 unknown and 1 not offered", fates)
		}
		rec.until(t, "it is bound again", func() bool { return rec.last().State == route.Ready && m.Stats().Binds == 2 })
		if n := len(m.Submits()); n != 3 {
			t.Errorf("the SMSC has %d submits: something was sent again", n)
		}
	})
}

// Trap 6: an answer after our patience is no orphan: it settles its message,
// and nothing else.
func TestLateAnswerIsReported(t *testing.T) {
	for _, p := range []struct {
		name   string
		status uint32
		want   route.ReportState
	}{
		{"accepted", 0, route.ReportSent},
		{"refused for good", smsc.StatusBadRecipient, route.ReportUndelivered},
		{"refused for now", smsc.StatusSystemError, route.ReportGivenBack},
	} {
		t.Run(p.name, func(t *testing.T) {
			c, m, rec := bound(t, smsc.Config{Decide: func(*smsc.Submit) smsc.Verdict { return smsc.Verdict{Hold: true, NoReceipt: true, Status: p.status} }},
				func(cfg *Config) { cfg.SendTimeout = 50 * time.Millisecond })
			got, err := c.Send(within(t), message(7, "late"))
			fate(t, err, route.Unknown)
			if len(got.Parts) != 1 || got.Parts[0].State != route.PartUnknown {
				t.Errorf("the receipt says %+v", got)
			}
			m.Release()
			rec.until(t, "the late answer is told", func() bool { return len(rec.reported) == 1 })
			r := rec.reports()[0]
			if r.ID != "m7" || r.State != p.want || r.Identity != got.Parts[0].Identity || (r.Ref != "") != (p.status == 0) || r.Key == "" {
				t.Errorf("told was %+v", r)
			}
		})
	}
}

// Trap 10 and 12.
func TestWindowWaits(t *testing.T) {
	c, m, _ := bound(t, smsc.Config{Window: 2, Latency: time.Millisecond}, func(cfg *Config) { cfg.Window = 2 })
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			if _, err := c.Send(within(t), message(n, "one of many")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := m.Stats(); s.Accepted != 50 || s.Submits != 50 {
		t.Errorf("the SMSC, which throttles more than 2 in flight, counts %+v", s)
	}
}

func TestTooLongForShortMessage(t *testing.T) {
	c, m, _ := bound(t, smsc.Config{}, nil)
	_, err := c.Send(within(t), message(1, strings.Repeat("x", 255)))
	fate(t, err, route.Reject)
	if n := len(m.Submits()); n != 0 {
		t.Errorf("the SMSC read %d submits", n)
	}
}

// Trap 14: a generic_nack to a submit is an answer like any other.
func TestGenericNackKeepsItsCode(t *testing.T) {
	c, _, _ := bound(t, smsc.Config{Decide: func(*smsc.Submit) smsc.Verdict { return smsc.Verdict{Nack: true, Status: smsc.StatusBadCommand} }}, nil)
	got, err := c.Send(within(t), message(1, "nack me"))
	if e := fate(t, err, route.Reject); e.Code != "SMPP 0x00000003" {
		t.Errorf("the code is %q", e.Code)
	}
	if len(got.Parts) != 1 || got.Parts[0].State != route.PartRefused {
		t.Errorf("the receipt says %+v", got)
	}
}

// Trap 17 and 16: after reconnections in the middle of traffic nothing is left
// behind, and everything has a verdict.
func TestReconnectUnderLoad(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("load", func(t *testing.T) {
		c, m, rec := bound(t, smsc.Config{}, func(cfg *Config) { cfg.Window = 20 })
		var sent, unknown atomic.Int32
		var wg sync.WaitGroup
		for lane := range 40 {
			wg.Go(func() {
				for n := range 50 {
					for {
						_, err := c.Send(within(t), message(lane*50+n, "hello"))
						e, _ := errors.AsType[*route.Error](err)
						if e != nil && e.Fate == route.NotOffered {
							rec.untilState(t, route.Ready)
							continue
						}
						if err == nil {
							sent.Add(1)
						} else if e != nil && e.Fate == route.Unknown {
							unknown.Add(1)
						} else {
							t.Error(err)
						}
						break
					}
				}
			})
		}
		for n := range 5 {
			if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Submits >= 300*(n+1) && s.Bound == 1 }); err != nil {
				t.Error(err)
			}
			m.Disconnect()
		}
		wg.Wait()
		accepted := int32(m.Stats().Accepted)
		if sent.Load()+unknown.Load() != 2000 || accepted < sent.Load() || accepted > 2000 {
			t.Errorf("%d sent and %d unknown of 2000, the SMSC has %d", sent.Load(), unknown.Load(), accepted)
		}
	})
	if err := goleak.Find(before); err != nil {
		t.Errorf("something was left running: %v", err)
	}
}

// The library's own decoder stays the measure for what we write.
func TestSubmitIsReadByTheLibrary(t *testing.T) {
	c := newClient(t, "127.0.0.1:1", newRecorder(), nil)
	out := message(12345678, "Hello @")
	parts, err := c.compose(&out)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pdu.Decode(bytes.NewReader(parts[0].frame))
	if err != nil {
		t.Fatal(err)
	}
	f := p.Fields()
	if f[pdufield.DestinationAddr].String() != "31612345678" || f[pdufield.SourceAddr].String() != "SHOP" || !bytes.Equal(f[pdufield.ShortMessage].Bytes(), []byte("Hello \x00")) {
		t.Errorf("read was %v", f)
	}
}
