package smpp

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// rows reads a table of testdata without its heading.
func rows(t testing.TB, file string) [][]string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(r) < 2 {
		t.Fatalf("%s is empty", file)
	}
	return r[1:]
}

func TestParseReceiptSamples(t *testing.T) {
	for _, row := range rows(t, "dlr_samples.csv") {
		got, ok := parseReceipt(row[0])
		want := receipt{id: row[1], stat: row[2], err: row[3], submit: row[4], done: row[5]}
		if !ok || got != want {
			t.Errorf("%s (%s):\n got %+v\nwant %+v", row[0], row[6], got, want)
		}
		if receiptTime(got.submit).IsZero() || receiptTime(got.done).Year() != 2026 {
			t.Errorf("%s: the dates read as %v and %v", row[0], receiptTime(got.submit), receiptTime(got.done))
		}
	}
}

func TestParseReceiptOddities(t *testing.T) {
	for said, want := range map[string]receipt{
		"ID:77 STAT:delivrd":                       {id: "77", stat: "DELIVRD"},
		"id: 77 stat: DELIVRD err: 001":            {id: "77", stat: "DELIVRD", err: "001"},
		"id:77 err: stat:EXPIRED text:x":           {id: "77", stat: "EXPIRED"},
		"stat:DELIVRD err:0 id:77":                 {id: "77", stat: "DELIVRD", err: "0"},
		"id:77\x00 stat:DELIVRD":                   {id: "77", stat: "DELIVRD"},
		"id:77 stat:DELIVRD text:\x00\xff\xfeid:9": {id: "77", stat: "DELIVRD"},
	} {
		if got, ok := parseReceipt(said); !ok || got != want {
			t.Errorf("%q reads as %+v, %v", said, got, ok)
		}
	}
	for _, said := range []string{"", "hello", "stat:DELIVRD", "id:7", "valid:7 stat:DELIVRD", "text:id:7 stat:DELIVRD", "id: stat:DELIVRD"} {
		if got, ok := parseReceipt(said); ok {
			t.Errorf("%q reads as a receipt: %+v", said, got)
		}
	}
	for _, digits := range []string{"", "1", "26112210", "2613221015", "abcdefghij", "26112210151"} {
		if got := receiptTime(digits); !got.IsZero() {
			t.Errorf("%q reads as %v", digits, got)
		}
	}
}

// What stands behind text: says which message a receipt is about, and nothing
// else.
func TestReceiptQuotesItsMessage(t *testing.T) {
	for said, want := range map[string]string{
		"id:7 stat:DELIVRD err:000 text:Uw bestelling staat ": "Uw bestelling staat",
		"id:7 stat:DELIVRD Text:Hi\r\n":                       "Hi",
		"id:7 stat:DELIVRD text:stat:EXPIRED text:x":          "stat:EXPIRED text:x",
		"id:7 stat:DELIVRD text:\xe9\xe9n":                    "\uFFFDn",
		"id:7 stat:DELIVRD text:":                             "",
		"id:7 stat:DELIVRD context:no":                        "",
		"id:7 stat:DELIVRD":                                   "",
	} {
		if got := quoted(said); got != want {
			t.Errorf("%q quotes %q, want %q", said, got, want)
		}
	}
	c, _, rec := bound(t, smsc.Config{Receipts: smsc.FormText, ReceiptAfter: time.Millisecond}, nil)
	sent := message(1, "Uw bestelling staat klaar")
	if _, err := c.Send(within(t), sent); err != nil {
		t.Fatal(err)
	}
	rec.until(t, "the receipt", func() bool { return len(rec.reported) == 1 })
	if r := rec.reports()[0]; r.Quote != "Uw bestelling staat" || !r.Exact || r.Sent.IsZero() {
		t.Errorf("told was %+v", r)
	}
}

func TestStates(t *testing.T) {
	want := map[string]route.ReportState{
		"SCHEDULED": route.ReportPending, "ENROUTE": route.ReportPending, "ACCEPTD": route.ReportPending,
		"DELIVRD": route.ReportDelivered, "UNKNOWN": route.ReportSent,
		"EXPIRED": route.ReportUndelivered, "DELETED": route.ReportUndelivered, "UNDELIV": route.ReportUndelivered,
		"REJECTD": route.ReportUndelivered, "SKIPPED": route.ReportUndelivered,
		"BUFFERED": route.ReportPending, "": route.ReportPending,
	}
	for stat, state := range want {
		r := receipt{stat: stat}
		v := r.verdict()
		if v.state != state || v.why == "" || (v.reason != "") != (state == route.ReportUndelivered) {
			t.Errorf("%s is %+v, want %s", stat, v, state)
		}
	}
}

// Every spelling of ids, in every form of receipt, from an SMSC whose
// receipts come before, after and twice: each is matched by its ref.
func TestReceiptsMatch(t *testing.T) {
	for _, ids := range []smsc.IDStyle{smsc.IDDecimal, smsc.IDHex, smsc.IDHexDec, smsc.IDDecHex, smsc.IDPadded, smsc.IDCase, smsc.IDText} {
		for _, form := range []smsc.Form{smsc.FormBoth, smsc.FormTLV, smsc.FormText, smsc.FormPlain, smsc.FormShort, smsc.FormLong} {
			t.Run(fmt.Sprintf("%s %s", ids, form), func(t *testing.T) {
				c, _, rec := bound(t, smsc.Config{IDs: ids, Receipts: form, ReceiptAfter: time.Millisecond, Twice: true, FirstID: 0x499602D0}, nil)
				var mu sync.Mutex
				refs := make(map[string]bool)
				var wg sync.WaitGroup
				for n := range 40 {
					wg.Go(func() {
						got, err := c.Send(within(t), message(n, "hello"))
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						refs[got.Parts[0].Ref] = true
					})
				}
				wg.Wait()
				matched := make(map[string]bool)
				rec.until(t, "every receipt is told under the ref of its message", func() bool {
					for _, r := range rec.reported {
						if refs[r.Ref] {
							matched[r.Ref] = true
						}
					}
					return len(matched) == 40 && len(rec.received) == 0
				})
				keys := make(map[string]route.Report)
				for _, r := range rec.reports() {
					if first, again := keys[r.Key]; again && (first.Ref != r.Ref || first.State != r.State) {
						t.Errorf("two reports share the key %q: %+v and %+v", r.Key, first, r)
					}
					keys[r.Key] = r
				}
			})
		}
	}
}

// A receipt before the submit_sm_resp is told at once; one whose spelling
// could not be known yet is told again when it is.
func TestEarlyReceiptsInAnUnknownSpelling(t *testing.T) {
	c, _, rec := bound(t, smsc.Config{IDs: smsc.IDHexDec, Early: true, FirstID: 0x499602D0, Latency: time.Millisecond}, nil)
	refs := make(map[string]bool)
	for n := range 5 {
		got, err := c.Send(within(t), message(n, "hello"))
		if err != nil {
			t.Fatal(err)
		}
		refs[got.Parts[0].Ref] = true
	}
	m2 := message(99, "this one teaches")
	if _, err := c.Send(within(t), m2); err != nil {
		t.Fatal(err)
	}
	// A duplicate of the first receipt comes when its id is known: that is proof.
	first := rec.reports()[0]
	deliver(t, c, rec, first)
	rec.until(t, "all are told under the right ref", func() bool {
		matched := make(map[string]bool)
		for _, r := range rec.reported {
			if refs[r.Ref] {
				matched[r.Ref] = true
			}
		}
		return len(matched) == 5
	})
	if got := string(rec.memory["receipt_id/shop@127.0.0.1"]); got != IDHexDec {
		t.Errorf("remembered is %q", got)
	}
}

// deliver brings the receipt of a report once more, past the wire.
func deliver(t *testing.T, c *Client, rec *recorder, r route.Report) {
	t.Helper()
	m := carried{source: address{tonInternational, npiISDN, r.To[1:]}, dest: address{tonAlphanumeric, npiUnknown, "SHOP"}, esm: esmReceipt,
		text: fmt.Appendf(nil, "id:%s stat:DELIVRD done date:2611221016", r.Ref)}
	parsed, ok := c.desk.isReceipt(t.Context(), &m)
	if !ok {
		t.Fatal("not a receipt")
	}
	if err := c.desk.report(context.Background(), rec, frame{}, &m, parsed); err != nil {
		t.Fatal(err)
	}
}

func TestSpellingOutlivesARestart(t *testing.T) {
	rec := newRecorder()
	m, addr := startSMSC(t, smsc.Config{IDs: smsc.IDHexDec, FirstID: 0x499602D0, Decide: func(s *smsc.Submit) smsc.Verdict {
		if strings.HasSuffix(s.To, "1") {
			return smsc.Verdict{Receipt: time.Millisecond}
		}
		return smsc.Verdict{NoReceipt: true}
	}})
	c := newClient(t, addr, rec, nil)
	stop := run(t, c, rec)
	rec.untilState(t, route.Ready)
	if _, err := c.Send(within(t), message(1, "teaches")); err != nil {
		t.Fatal(err)
	}
	rec.until(t, "the spelling is learnt", func() bool { return rec.memory["receipt_id/shop@127.0.0.1"] != nil })
	before, err := c.Send(within(t), message(2, "before the restart"))
	if err != nil {
		t.Fatal(err)
	}
	stop()

	c = newClient(t, addr, rec, nil)
	run(t, c, rec)
	rec.untilState(t, route.Ready)
	receipt := "id:" + decimal(t, before.Parts[0].Ref) + " stat:DELIVRD done date:2611221016"
	if status, err := m.Deliver(within(t), smsc.Message{From: "31600000002", To: "31600000000", ESM: esmReceipt, Text: []byte(receipt)}); err != nil || status != 0 {
		t.Fatalf("answered with %#x, %v", status, err)
	}
	got := rec.reports()
	if last := got[len(got)-1]; last.Ref != before.Parts[0].Ref || last.Identity != before.Parts[0].Identity {
		t.Errorf("told was %+v, the part was %+v", last, before.Parts[0])
	}
}

func decimal(t *testing.T, hex string) string {
	t.Helper()
	s, ok := convert(IDDecHex, hex)
	if !ok {
		t.Fatalf("%q is no number", hex)
	}
	return s
}

// An SMSC that does not mark its receipts is known by it after a restart, and
// so are receipts for messages from before.
func TestUnmarkedReceiptsAfterARestart(t *testing.T) {
	rec := newRecorder()
	m, addr := startSMSC(t, smsc.Config{Receipts: smsc.FormPlain, ReceiptAfter: time.Millisecond})
	c := newClient(t, addr, rec, nil)
	stop := run(t, c, rec)
	rec.untilState(t, route.Ready)
	got, err := c.Send(within(t), message(1, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	rec.until(t, "the receipt is told", func() bool { return len(rec.reported) == 1 })
	stop()
	run(t, newClient(t, addr, rec, nil), rec)
	rec.untilState(t, route.Ready)
	receipt := "id:" + got.Parts[0].Ref + " sub:001 dlvrd:001 submit date:2611221015 done date:2611221016 stat:DELIVRD err:000 text:hello"
	if status, err := m.Deliver(within(t), smsc.Message{From: "31600000001", To: "31600000000", Text: []byte(receipt)}); err != nil || status != 0 {
		t.Fatalf("answered with %#x, %v", status, err)
	}
	if r := rec.reports(); len(r) != 2 || r[1].Ref != got.Parts[0].Ref || len(rec.messages()) != 0 {
		t.Errorf("told were %+v", r)
	}
}

func TestIntermediateIsPending(t *testing.T) {
	c, _, rec := bound(t, smsc.Config{Between: true, ReceiptAfter: time.Millisecond}, nil)
	if _, err := c.Send(within(t), message(1, "hello")); err != nil {
		t.Fatal(err)
	}
	rec.until(t, "both are told", func() bool { return len(rec.reported) == 2 })
	got := rec.reports()
	if got[0].State != route.ReportPending || got[1].State != route.ReportDelivered || got[0].Key == got[1].Key {
		t.Errorf("told were %+v", got)
	}
}

// Text that looks like a receipt but belongs to no message of ours may have
// been typed by anybody.
func TestForgedReceiptIsAMessage(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{}, nil)
	const said = "id:123 sub:001 dlvrd:001 submit date:2611221015 done date:2611221016 stat:DELIVRD err:000 text:"
	if _, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", Text: []byte(said), Coding: codingASCII}); err != nil {
		t.Fatal(err)
	}
	if got := rec.messages(); len(got) != 1 || got[0].Text != said || len(rec.reports()) != 0 {
		t.Errorf("handed up was %+v", got)
	}
}

func TestUnreadableReceiptIsKept(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{}, nil)
	status, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", ESM: esmReceipt, Text: []byte("your message has arrived")})
	if err != nil || status != 0 {
		t.Fatalf("answered with %#x, %v", status, err)
	}
	if got := rec.messages(); len(got) != 1 || !got[0].Undecodable || got[0].Raw == "" {
		t.Errorf("handed up was %+v", got)
	}
}

// The mark (user_message_reference) that a receipt repeats is told to the queue,
// which knows by it what was lost.
func TestMarkIsTold(t *testing.T) {
	var mu sync.Mutex
	var marks []int
	c, m, rec := bound(t, smsc.Config{Decide: func(s *smsc.Submit) smsc.Verdict {
		mu.Lock()
		defer mu.Unlock()
		marks = append(marks, s.Mark)
		return smsc.Verdict{Silent: true, NoReceipt: true}
	}}, func(cfg *Config) {
		cfg.MessageReference = true
		cfg.SendTimeout = 20 * time.Millisecond
	})
	_, err := c.Send(within(t), message(1, "hello"))
	fate(t, err, route.Unknown)
	mu.Lock()
	mark := []byte{byte(marks[0] >> 8), byte(marks[0])}
	mu.Unlock()
	status, err := m.Deliver(within(t), smsc.Message{From: "31600000001", To: "31600000000", ESM: esmReceipt,
		Text: []byte("id:555 stat:DELIVRD done date:2611221016"), TLVs: map[uint16][]byte{0x0204: mark}})
	if err != nil || status != 0 {
		t.Fatalf("answered with %#x, %v", status, err)
	}
	// Nothing is remembered of it, so a receipt after a restart says the same.
	if r := rec.reports()[0]; r.Mark != route.Mark("m1", 1, 1) || r.State != route.ReportDelivered || r.To != "+31600000001" {
		t.Errorf("told was %+v", r)
	}
}

// A number that is none of ours must not look like one.
func TestForeignMarkIsNotTold(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{}, nil)
	status, err := m.Deliver(within(t), smsc.Message{From: "31600000001", To: "31600000000", ESM: esmReceipt,
		Text: []byte("id:555 stat:DELIVRD done date:2611221016"), TLVs: map[uint16][]byte{0x0204: {0, 7}}})
	if err != nil || status != 0 {
		t.Fatalf("answered with %#x, %v", status, err)
	}
	if r := rec.reports()[0]; r.Mark != 0 {
		t.Errorf("told was %+v", r)
	}
}

// What was stored but not acknowledged, because the session broke, is not
// stored twice when it comes again.
func TestRedeliveryAfterALostAnswer(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{}, nil)
	rec.set(func() {
		rec.before = func(context.Context) { // the session breaks during the commit
			m.Disconnect()
			if err := m.WaitFor(context.Background(), func(s smsc.Stats) bool { return s.Bound == 0 || s.Binds == 2 }); err != nil {
				t.Error(err)
			}
			rec.set(func() { rec.before = nil })
		}
	})
	status, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: []byte("once")})
	if err != nil || status != 0 {
		t.Fatalf("the second time it was answered with %#x, %v", status, err)
	}
	if got := rec.messages(); len(got) != 1 || got[0].Key != "" {
		t.Errorf("handed up was %+v", got)
	}
	// The same words said again are another message.
	if _, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: []byte("once")}); err != nil {
		t.Fatal(err)
	}
	if got := rec.messages(); len(got) != 2 {
		t.Errorf("handed up was %+v", got)
	}
}

// One identity for all that an account carries, whoever is named as sender.
func TestIdentityOfAReceipt(t *testing.T) {
	c, m, rec := bound(t, smsc.Config{ReceiptAfter: time.Millisecond}, nil)
	for n, from := range []string{"", "OTHER", "+31611111111"} {
		out := message(n, "hello")
		out.From = from
		got, err := c.Send(within(t), out)
		if err != nil {
			t.Fatal(err)
		}
		rec.until(t, "the receipt is told", func() bool { return len(rec.reported) == n+1 })
		r := rec.reports()[n]
		if r.Identity != got.Identity || r.Identity != got.Parts[0].Identity || r.Identity != rec.states[0].Identity || r.Ref != got.Parts[0].Ref {
			t.Errorf("sender %q: sent as %s, reported for %s", from, got.Identity, r.Identity)
		}
		want := map[string]string{"": "SHOP", "OTHER": "OTHER", "+31611111111": "31611111111"}[from]
		if s := m.Submits()[n]; s.From != want {
			t.Errorf("sender %q arrived as %q", from, s.From)
		}
	}
	out := message(9, "hello")
	out.From = "far too long a name"
	_, err := c.Send(within(t), out)
	if e := fate(t, err, route.Reject); !strings.Contains(e.Text, "11") {
		t.Errorf("the refusal is %v", e)
	}
}

func TestSubscribers(t *testing.T) {
	for want, a := range map[string]address{
		"+31612345678":  {tonUnknown, npiUnknown, "31612345678"},
		"+31612345679":  {tonUnknown, npiUnknown, "0031612345679"},
		"0612345678":    {tonUnknown, npiUnknown, "0612345678"},
		"8080":          {tonUnknown, npiUnknown, "8080"},
		"+316123":       {tonInternational, npiISDN, "316123"},
		"someone else?": {tonUnknown, npiUnknown, "someone else?"},
	} {
		if got := a.subscriber(); got != want {
			t.Errorf("%+v is %q, want %q", a, got, want)
		}
	}
}
