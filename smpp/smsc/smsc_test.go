package smsc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp"
	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"go.uber.org/goleak"
)

const wait = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

// start serves an SMSC on a loopback port until the test ends.
func start(t *testing.T, cfg Config) (*SMSC, string) {
	t.Helper()
	cfg.Keep = true
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m, l.Addr().String()
}

// client is a bare connection that says what a test wants.
type client struct {
	t    *testing.T
	conn net.Conn
	seq  uint32
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn}
}

func (c *client) say(id uint32, body string) uint32 {
	c.t.Helper()
	c.seq++
	if _, err := c.conn.Write(appendPacket(nil, packet{id: id, seq: c.seq, body: []byte(body)})); err != nil {
		c.t.Fatal(err)
	}
	return c.seq
}

// hear returns the next PDU, acknowledging it if it is a deliver_sm.
func (c *client) hear() packet {
	c.t.Helper()
	p, _, err := readPacket(c.conn, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if p.id == deliverSM {
		if _, err := c.conn.Write(appendPacket(nil, packet{id: deliverSM | answerBit, seq: p.seq, body: []byte{0}})); err != nil {
			c.t.Fatal(err)
		}
	}
	return p
}

func (c *client) ask(id uint32, body string) packet {
	c.t.Helper()
	seq := c.say(id, body)
	p := c.hear()
	if p.seq != seq {
		c.t.Fatalf("asked %d, answered was %+v", seq, p)
	}
	return p
}

const bindBody = "shop\x00secret\x00\x00\x34\x00\x00\x00"

func submitBody(to, text string) string {
	return "\x00\x05\x00SHOP\x00\x01\x01" + to + "\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00" + string(rune(len(text))) + text
}

// A client not written here, as it is used everywhere.
func TestServesGoSMPP(t *testing.T) {
	m, addr := start(t, Config{SystemID: "shop", Password: "secret", ReceiptAfter: time.Millisecond})
	receipts := make(chan pdu.Body, 10)
	tc := &smpp.Transceiver{Addr: addr, User: "shop", Passwd: "secret", RespTimeout: wait, Handler: func(p pdu.Body) {
		if p.Header().ID == pdu.DeliverSMID {
			receipts <- p
		}
	}}
	status := tc.Bind()
	if s := <-status; s.Status() != smpp.Connected {
		t.Fatalf("not connected: %v", s.Error())
	}
	defer tc.Close()
	sm, err := tc.Submit(&smpp.ShortMessage{Src: "SHOP", Dst: "31612345678", Text: pdutext.Raw("Hello \x00"), Register: pdufield.FinalDeliveryReceipt})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-receipts:
		text := p.Fields()[pdufield.ShortMessage].String()
		if !strings.HasPrefix(text, "id:"+sm.RespID()+" ") || !strings.Contains(text, "stat:DELIVRD") {
			t.Errorf("the receipt for %s says %q", sm.RespID(), text)
		}
	case <-time.After(wait):
		t.Fatal("no receipt")
	}
	if s := m.Submits(); len(s) != 1 || s[0].Text != "Hello @" || s[0].To != "31612345678" || !s[0].Receipt {
		t.Errorf("read was %+v", s)
	}
	if err := m.WaitFor(within(t), func(s Stats) bool { return s.Done == 1 && s.Waiting == 0 }); err != nil {
		t.Error(err)
	}
}

func TestBindStates(t *testing.T) {
	for name, p := range map[string]struct {
		cmd    uint32
		body   string
		status uint32
	}{
		"right":          {bindTransceiver, bindBody, StatusOK},
		"wrong password": {bindTransceiver, "shop\x00wrong\x00\x00\x34\x00\x00\x00", StatusBadPassword},
		"wrong name":     {bindTransmitter, "shoq\x00secret\x00\x00\x34\x00\x00\x00", StatusBadSystemID},
		"cut short":      {bindReceiver, "shop\x00secret", StatusBadLength},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := start(t, Config{SystemID: "shop", Password: "secret"})
			c := dial(t, addr)
			if got := c.ask(submitSM, submitBody("31612345678", "hi")); got.status != StatusNotBound {
				t.Errorf("a submit before the bind is answered with %#x", got.status)
			}
			got := c.ask(p.cmd, p.body)
			if got.id != p.cmd|answerBit || got.status != p.status {
				t.Errorf("answered was %+v, want status %#x", got, p.status)
			}
			if p.status != StatusOK {
				if _, _, err := readPacket(c.conn, nil); !errors.Is(err, io.EOF) {
					t.Errorf("the connection lives on: %v", err)
				}
				return
			}
			if got := c.ask(bindTransceiver, bindBody); got.status != StatusAlreadyBound {
				t.Errorf("the second bind is answered with %#x", got.status)
			}
		})
	}
}

func TestReceiverMayNotSubmit(t *testing.T) {
	m, addr := start(t, Config{})
	c := dial(t, addr)
	c.ask(bindReceiver, bindBody)
	if got := c.ask(submitSM, submitBody("31612345678", "hi")); got.status != StatusNotBound {
		t.Errorf("answered was %+v", got)
	}
	done := m.Bring(Message{From: "31687654321", To: "31600000000", Text: []byte("hello")})
	if p := c.hear(); p.id != deliverSM {
		t.Errorf("heard was %+v", p)
	}
	if got := <-done; got != StatusOK {
		t.Errorf("the answer was %#x", got)
	}
}

func TestLinkCommands(t *testing.T) {
	_, addr := start(t, Config{})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	if got := c.ask(enquireLink, ""); got.id != enquireLink|answerBit {
		t.Errorf("enquire_link is answered with %+v", got)
	}
	if got := c.ask(0x03, ""); got.id != genericNack || got.status != StatusBadCommand {
		t.Errorf("query_sm is answered with %+v", got)
	}
	if got := c.ask(unbind, ""); got.id != unbind|answerBit {
		t.Errorf("unbind is answered with %+v", got)
	}
	if _, _, err := readPacket(c.conn, nil); !errors.Is(err, io.EOF) {
		t.Errorf("after unbind: %v", err)
	}
}

// What is unreadable is refused and not accepted.
func TestRefusesNonsense(t *testing.T) {
	m, addr := start(t, Config{})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	udh := func(text string) string {
		b := []byte(submitBody("31612345678", text))
		b[bytes.Index(b, []byte("31612345678\x00"))+12] = 0x40
		return string(b)
	}
	for name, p := range map[string]struct {
		body   string
		status uint32
	}{
		"an empty body":                     {"", StatusUnreadable},
		"a text longer than the body":       {submitBody("31612345678", "hello")[:30], StatusUnreadable},
		"a broken TLV":                      {submitBody("31612345678", "hi") + "\x04\x24\x00\x09x", StatusUnreadable},
		"text and payload":                  {submitBody("31612345678", "hi") + "\x04\x24\x00\x01x", StatusUnreadable},
		"no recipient":                      {submitBody("", "hi"), StatusBadRecipient},
		"a recipient with a plus":           {submitBody("+31612345678", "hi"), StatusBadRecipient},
		"a septet that is none":             {submitBody("31612345678", "\x7f\x7e\x1b\x01"), StatusUnreadable},
		"a header longer than the text":     {udh("\x20\x00"), StatusUnreadable},
		"an element longer than the header": {udh("\x03\x00\x09\x01hi"), StatusUnreadable},
	} {
		if got := c.ask(submitSM, p.body); got.status != p.status {
			t.Errorf("%s: status %#x, want %#x", name, got.status, p.status)
		}
	}
	if s := m.Stats(); s.Accepted != 0 {
		t.Errorf("accepted were %d", s.Accepted)
	}
}

func TestMagicNumbers(t *testing.T) {
	m, addr := start(t, Config{Magic: true, Late: 50 * time.Millisecond, ReceiptAfter: time.Millisecond})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	for _, want := range []uint32{StatusSystemError, StatusOK, StatusSystemError, StatusOK} {
		got := c.ask(submitSM, submitBody("31600000001", "once"))
		if got.status != want {
			t.Fatalf("…0001 is answered with %#x, want %#x", got.status, want)
		}
		if want == StatusOK {
			c.receipt("DELIVRD")
		}
	}
	if got := c.ask(submitSM, submitBody("31600000002", "no")); got.status != StatusBadRecipient {
		t.Errorf("…0002 is answered with %#x", got.status)
	}
	silent := c.say(submitSM, submitBody("31600000003", "silence"))
	begun := time.Now()
	late := c.say(submitSM, submitBody("31600000004", "late"))
	if got := c.hear(); got.seq != late || got.status != StatusOK || time.Since(begun) < 50*time.Millisecond {
		t.Errorf("after …0003 (%d) and …0004 (%d) heard was %+v", silent, late, got)
	}
	c.receipt("DELIVRD")
	if got := c.ask(submitSM, submitBody("31600000005", "no report")); got.status != StatusOK {
		t.Errorf("…0005 is answered with %#x", got.status)
	}
	if got := c.ask(submitSM, submitBody("31600000006", "undelivered")); got.status != StatusOK {
		t.Errorf("…0006 is answered with %#x", got.status)
	}
	c.receipt("UNDELIV") // and none for …0005 before it
	if s := m.Stats(); s.Submits != 9 || s.Accepted != 5 {
		t.Errorf("%d submits, %d accepted; the one that was never answered must not count", s.Submits, s.Accepted)
	}
}

// receipt hears a receipt with a state.
func (c *client) receipt(state string) string {
	c.t.Helper()
	p := c.hear()
	if p.id != deliverSM || !strings.Contains(string(p.body), "stat:"+state) {
		c.t.Fatalf("heard was %+v, want a receipt that says %s", p, state)
	}
	return string(p.body)
}

func TestSpellings(t *testing.T) {
	for style, want := range map[IDStyle][2]string{
		IDDecimal: {"255", "255"}, IDHex: {"FF", "FF"}, IDHexDec: {"FF", "255"}, IDDecHex: {"255", "FF"},
		IDPadded: {"000FF", "FF"}, IDCase: {"FF", "ff"}, IDText: {"1a2B-3c_4D-255", "1a2B-3c_4D-255"},
	} {
		cfg := Config{IDs: style}
		if err := cfg.Check(); err != nil {
			t.Error(err)
		}
		if answer, receipt := cfg.spell(255); answer != want[0] || receipt != want[1] {
			t.Errorf("%q: %s and %s, want %v", style, answer, receipt, want)
		}
	}
	for _, cfg := range []Config{{IDs: "roman"}, {Receipts: "shiny"}} {
		if err := cfg.Check(); err == nil {
			t.Errorf("%+v passes", cfg)
		}
	}
}

func TestReceiptForms(t *testing.T) {
	for form, want := range map[Form]struct {
		esm  byte
		text string
		tlv  bool
	}{
		FormBoth:  {4, "id:1000000000 sub:001 dlvrd:001 submit date:", true},
		FormTLV:   {4, "", true},
		FormText:  {4, "id:1000000000 sub:001", false},
		FormPlain: {0, "id:1000000000 sub:001", false},
		FormShort: {4, "id:1000000000 submit date:", false},
		FormLong:  {4, "submit date:20", false},
	} {
		t.Run(string(form), func(t *testing.T) {
			_, addr := start(t, Config{Receipts: form, ReceiptAfter: time.Millisecond})
			c := dial(t, addr)
			c.ask(bindTransceiver, bindBody)
			c.ask(submitSM, submitBody("31612345678", "hello"))
			p := c.hear()
			f := fields{b: p.body}
			f.cstring(6)
			f.octets(2)
			from := f.cstring(21)
			f.octets(2)
			to := f.cstring(21)
			esm := f.octet()
			f.octets(8)
			text := string(f.octets(int(f.octet())))
			tlv := f.tlvs()
			if f.err != nil || from != "31612345678" || to != "SHOP" || esm != want.esm || !strings.Contains(text, want.text) || (text == "") != (want.text == "") {
				t.Errorf("%v: from %s to %s, esm_class %d: %q", f.err, from, to, esm, text)
			}
			if got := string(tlv[tagReceiptedID]) == "1000000000\x00" && bytes.Equal(tlv[tagMessageState], []byte{2}); got != want.tlv {
				t.Errorf("the TLVs are %v", tlv)
			}
		})
	}
}

func TestReceiptsEarlyBetweenAndTwice(t *testing.T) {
	_, addr := start(t, Config{Early: true, Between: true, Twice: true})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	seq := c.say(submitSM, submitBody("31612345678", "hello"))
	c.receipt("ENROUTE")
	if first, second := c.receipt("DELIVRD"), c.receipt("DELIVRD"); first != second {
		t.Errorf("the second time it says %q", second)
	}
	if p := c.hear(); p.id != submitSM|answerBit || p.seq != seq {
		t.Errorf("heard was %+v", p)
	}
}

func TestCollisions(t *testing.T) {
	_, addr := start(t, Config{Early: true, Collide: true})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	c.seq = 4710
	seq := c.say(submitSM, submitBody("31612345678", "hello"))
	if p := c.hear(); p.id != deliverSM || p.seq != seq {
		t.Errorf("heard was %+v, want a deliver_sm with the number %d", p, seq)
	}
	if p := c.hear(); p.id != submitSM|answerBit || p.seq != seq {
		t.Errorf("heard was %+v", p)
	}
}

// What is refused, or in flight when a session breaks, comes again.
func TestBringsAgain(t *testing.T) {
	m, addr := start(t, Config{RetryAfter: time.Millisecond})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	m.Bring(Message{From: "31687654321", To: "31600000000", Text: []byte("again")})
	p, _, err := readPacket(c.conn, nil)
	if err != nil || p.id != deliverSM {
		t.Fatalf("heard was %+v, %v", p, err)
	}
	if _, err := c.conn.Write(appendPacket(nil, packet{id: deliverSM | answerBit, status: 0x64, seq: p.seq, body: []byte{0}})); err != nil {
		t.Fatal(err)
	}
	if p, _, err = readPacket(c.conn, nil); err != nil || p.id != deliverSM {
		t.Fatalf("after a refusal heard was %+v, %v", p, err)
	}
	c.conn.Close()
	if err := m.WaitFor(within(t), func(s Stats) bool { return s.Bound == 0 }); err != nil {
		t.Fatal(err)
	}
	c = dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	if p := c.hear(); p.id != deliverSM {
		t.Errorf("after the break heard was %+v", p)
	}
	if err := m.WaitFor(within(t), func(s Stats) bool { return s == Stats{Binds: 2, Bound: 1, Sent: 3, Done: 1, Nacked: 1, Last: s.Last} }); err != nil {
		t.Error(err)
	}
}

func TestWindowAndRate(t *testing.T) {
	_, addr := start(t, Config{Window: 2, Latency: 50 * time.Millisecond})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	for range 3 {
		c.say(submitSM, strings.Replace(submitBody("31612345678", "hi"), "\x00\x01\x00\x00\x00\x02", "\x00\x00\x00\x00\x00\x02", 1))
	}
	// All answers take as long; the third is over the window.
	got := map[uint32]uint32{}
	for range 3 {
		p := c.hear()
		got[p.seq] = p.status
	}
	if got[2] != StatusOK || got[3] != StatusOK || got[4] != StatusThrottled {
		t.Errorf("answered was %v", got)
	}

	m, addr := start(t, Config{Rate: 3})
	c = dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	for range 5 {
		c.ask(submitSM, strings.Replace(submitBody("31612345678", "hi"), "\x00\x01\x00\x00\x00\x02", "\x00\x00\x00\x00\x00\x02", 1))
	}
	if s := m.Stats(); s.Accepted < 3 || s.Accepted > 4 { // 4 where a second ends between
		t.Errorf("accepted were %d of 5 at 3 per second", s.Accepted)
	}
}

func TestLog(t *testing.T) {
	var log bytes.Buffer
	m, addr := start(t, Config{Log: &log, ReceiptAfter: time.Hour})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	c.ask(submitSM, submitBody("31612345678", "first"))
	c.ask(submitSM, submitBody("", "second"))
	var got []Submit
	for line := range strings.Lines(log.String()) {
		var s Submit
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if len(got) != 2 || got[0].Text != "first" || !got[0].Accepted || got[0].ID != "1000000000" || got[1].Accepted || got[1].Status != StatusBadRecipient {
		t.Errorf("the log says %+v", got)
	}
	if m.LogError() != nil {
		t.Error(m.LogError())
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestLogThatCannotBeWritten(t *testing.T) {
	m, addr := start(t, Config{Log: full{}})
	c := dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	c.ask(submitSM, submitBody("31612345678", "first"))
	if m.LogError() == nil {
		t.Error("nobody is told")
	}
}

func TestFaultScript(t *testing.T) {
	faults, err := ParseFaults(`
		# what goes wrong today
		after 1 submits: status 0x58 2   # twice in a row
		after 4 submit: nack 0x08
		after 5 submits: noreceipt
		after 6 submits: state EXPIRED
		after 0 binds: refuse 0x05
	`)
	if err != nil {
		t.Fatal(err)
	}
	_, addr := start(t, Config{Faults: faults, ReceiptAfter: time.Millisecond})
	c := dial(t, addr)
	if got := c.ask(bindTransceiver, bindBody); got.status != StatusAlreadyBound {
		t.Fatalf("the first bind is answered with %#x", got.status)
	}
	c = dial(t, addr)
	c.ask(bindTransceiver, bindBody)
	var got []string
	for range 7 {
		p := c.ask(submitSM, submitBody("31612345678", "hi"))
		got = append(got, fmt.Sprintf("%08X %#x", p.id, p.status))
		if p.status != StatusOK || len(got) == 6 { // faults count what reaches them
			continue
		}
		state := "DELIVRD"
		if len(got) == 7 {
			state = "EXPIRED"
		}
		c.receipt(state)
	}
	want := "80000004 0x0|80000004 0x58|80000004 0x58|80000004 0x0|80000000 0x8|80000004 0x0|80000004 0x0"
	if strings.Join(got, "|") != want {
		t.Errorf("answered was\n%s, want\n%s", strings.Join(got, "|"), want)
	}
}

func TestFaultsThatBreakTheConnection(t *testing.T) {
	faults, err := ParseFaults("every 2 submits: drop")
	if err != nil {
		t.Fatal(err)
	}
	m, addr := start(t, Config{Faults: faults})
	for range 2 {
		c := dial(t, addr)
		c.ask(bindTransceiver, bindBody)
		body := strings.Replace(submitBody("31612345678", "hi"), "\x00\x01\x00\x00\x00\x02", "\x00\x00\x00\x00\x00\x02", 1)
		c.ask(submitSM, body)
		c.ask(submitSM, body)
		c.say(submitSM, body)
		if _, _, err := readPacket(c.conn, nil); err == nil {
			t.Fatal("the third submit was answered")
		}
	}
	if s := m.Stats(); s.Accepted != 6 {
		t.Errorf("accepted were %d; a message whose answer is lost is accepted", s.Accepted)
	}
}

func TestFaultScriptsThatAreNone(t *testing.T) {
	for _, line := range []string{
		"drop", "after 1 submits", "after x submits: drop", "after -1 submits: drop", "every 0 submits: drop", "sometimes 3 submits: drop",
		"after 1 enquires: drop", "after 1 submits: dance", "after 1 submits: status", "after 1 submits: status no", "after 1 submits: drop 0",
		"after 1 submits: drop 1 2", "after 1 submits: late soon", "after 1 submits: state HAPPY", "after 1 binds: drop", "after 1 submits: refuse 0x0E",
	} {
		if f, err := ParseFaults("# a script\n" + line); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q reads as %+v, %v", line, f, err)
		}
	}
}

func TestEveryFaultReadsWell(t *testing.T) {
	script := "after 1 submits: drop\nafter 1 submits: silent 3\nafter 1 submits: lose\nafter 1 submits: late 5s 2\n"
	faults, err := ParseFaults(script)
	if err != nil {
		t.Fatal(err)
	}
	want := []Verdict{{Drop: true}, {Silent: true}, {Silent: true, Lose: true}, {After: 5 * time.Second}}
	for i, f := range faults {
		if f.Verdict != want[i] {
			t.Errorf("line %d: %+v", i+1, f.Verdict)
		}
	}
}

// BenchmarkServe is the SMSC alone: a client that writes submits without
// looking, and counts the answers.
func BenchmarkServe(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	m := New(Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if err := m.Serve(ctx, l); err != nil {
			b.Error(err)
		}
	})
	defer cancel()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(appendPacket(nil, packet{id: bindTransmitter, seq: 1, body: []byte(bindBody)})); err != nil {
		b.Fatal(err)
	}
	if _, _, err := readPacket(conn, nil); err != nil {
		b.Fatal(err)
	}
	submit := appendPacket(nil, packet{id: submitSM, body: []byte(submitBody("31612345678", strings.Repeat("x", 100)))})
	b.ResetTimer()
	wg.Go(func() {
		var out []byte
		for n := range b.N {
			binary.BigEndian.PutUint32(submit[12:], uint32(n+2))
			if out = append(out, submit...); len(out) > 16<<10 || n == b.N-1 {
				if _, err := conn.Write(out); err != nil {
					b.Error(err)
					return
				}
				out = out[:0]
			}
		}
	})
	var scratch []byte
	for range b.N {
		if _, scratch, err = readPacket(conn, scratch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
}
