package smpp

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"tillpost/queue/route"
)

// FuzzFrame: whatever comes, the reader takes whole PDUs or says why not, and
// what it took it can write again.
func FuzzFrame(f *testing.F) {
	f.Add(rawPDU(pdu.DeliverSMID, 0, 1, carriedBody("31687654321", "hello")))
	f.Add(rawPDU(pdu.EnquireLinkID, 0, 1, nil))
	f.Add([]byte{0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		taken := 0
		for {
			p, err := readFrame(r)
			if err != nil {
				return
			}
			raw := p.raw()
			if !bytes.Equal(raw, b[taken:taken+len(raw)]) || len(raw) != int(p.Len) {
				t.Fatalf("read %x as %x", b[taken:taken+len(raw)], raw)
			}
			taken += len(raw)
		}
	})
}

// FuzzCarried: any body of a deliver_sm or data_sm becomes a report, a message
// or an undecodable one, and always something that is kept.
func FuzzCarried(f *testing.F) {
	f.Add(false, carriedBody("31687654321", "hello"))
	f.Add(false, withESM(carriedBody("31687654321", "\x05\x00\x03\xA7\x03\x02hello")))
	f.Add(true, []byte("\x00\x01\x0131687654321\x00\x01\x0131600000000\x00\x00\x00\x00\x01\x04\x24\x00\x04data"))
	f.Add(false, append(carriedBody("1", "id:7 stat:DELIVRD"), 0x00, 0x1E, 0x00, 0x02, '8', 0, 0x04, 0x27, 0, 1, 2, 0x02, 0x04, 0, 2, 0, 7))
	c, err := New(Config{Name: "operator", Addrs: []string{"smsc:2775"}, SystemID: "shop", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data bool, body []byte) {
		if len(body) > maxPDU-pdu.HeaderLen {
			return
		}
		fr := frame{Header: pdu.Header{Len: uint32(pdu.HeaderLen + len(body)), ID: pdu.DeliverSMID, Seq: 1}, body: body}
		if data {
			fr.ID = pdu.DataSMID
		}
		rec := newRecorder()
		m, broken := decodeCarried(fr.ID, fr.body)
		if err := c.desk.store(context.Background(), rec, fr, &m, broken); err != nil {
			t.Fatal(err)
		}
		if len(rec.received)+len(rec.reported) < 1 {
			t.Fatal("nothing was kept")
		}
		for _, in := range rec.received {
			if in.Raw == "" || in.Undecodable && in.Text == "" || (broken != nil) != (in.Key != "") {
				t.Fatalf("kept was %+v", in)
			}
			if p := in.Concat; p != nil && (p.N < 1 || p.N > p.Of || p.Of < 2) {
				t.Fatalf("part %+v", p)
			}
		}
		for _, r := range rec.reported {
			if r.Key == "" || r.Ref == "" || r.Raw == "" || r.Code == "" || r.State == "" || len(r.Ref) > 2*maxID {
				t.Fatalf("kept was %+v", r)
			}
		}
	})
}

// FuzzTLV: the optional part is read as far as it is whole, and no further.
func FuzzTLV(f *testing.F) {
	f.Add([]byte{0x00, 0x1E, 0x00, 0x02, '8', 0, 0x04, 0x27, 0, 1, 2})
	f.Add([]byte{0x00, 0x1E, 0xFF, 0xFF, 'x'})
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for _, v := range decodeTLV(b) {
			total += 4 + len(v.Bytes())
		}
		if total > len(b) {
			t.Fatalf("%d octets were read out of %d", total, len(b))
		}
	})
}

// FuzzReceipt: the text of a receipt, and the id in it, whatever was learnt.
func FuzzReceipt(f *testing.F) {
	for _, row := range rows(f, "dlr_samples.csv") {
		f.Add(row[0], "499602D2")
	}
	f.Add("id:stat: stat:id: text:", "0")
	f.Fuzz(func(t *testing.T, said, submitted string) {
		r, ok := parseReceipt(said)
		if !ok {
			return
		}
		if r.id == "" || r.stat == "" || bytes.ContainsAny([]byte(r.id+r.stat), " :\n") {
			t.Fatalf("%q reads as %+v", said, r)
		}
		if v := r.verdict(); v.state == "" || v.why == "" {
			t.Fatalf("%q has no verdict", said)
		}
		receiptTime(r.done)
		for _, setting := range []string{IDAuto, IDSame, IDHexDec, IDDecHex} {
			b, err := newIDBook(setting, nil, "shop", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			stored := b.submitted(submitted, "+31612345678")
			ref := b.ref(r.id, "+31612345678")
			if ref == "" {
				t.Fatalf("%s: the id %q has no ref", setting, r.id)
			}
			if normal(stored) != stored {
				t.Fatalf("%q is not a normal form", stored)
			}
			b.doubtful(route.Report{Ref: ref})
			if err := b.settle(context.Background(), func(r route.Report) error {
				if r.Ref == "" {
					t.Fatal("a report without a ref")
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
