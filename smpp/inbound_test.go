package smpp

import (
	"fmt"
	"testing"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// Every data_coding: what is text is read, what is not is kept as it came.
func TestInboundCodings(t *testing.T) {
	for _, p := range []struct {
		coding byte
		octets string
		text   string // empty: not decodable
	}{
		{0x00, "\x00\x1b\x65 a", "@€ a"},
		{0x01, "@ a\x80", "@ a\uFFFD"},
		{0x02, "\x01\x02", ""},
		{0x03, "@\xe9\x80", "@é€"}, // field-notes §3.3
		{0x04, "\x01\x02", ""},
		{0x05, "\x01\x02", ""},
		{0x06, "\xbf\xe0\xd8", "При"},
		{0x07, "\xf9\xec", "של"},
		{0x08, "\x04\x4f\xd8\x3d\xde\x00", "я😀"},
		{0x0D, "\x01\x02", ""},
		{0x10, "\x00", "@"},
		{0x14, "\x00", ""},
		{0x18, "\x04\x4f", "я"},
		{0x20, "\x00", ""},
		{0x80, "\x00", "@"}, // reserved: as the default alphabet, says 23.038
		{0xC8, "\x00", "@"},
		{0xE0, "\x04\x4f", "я"},
		{0xF0, "\x00", "@"},
		{0xF1, "\x00", "@"},
		{0xF4, "\x00", ""},
	} {
		t.Run(fmt.Sprintf("%02X", p.coding), func(t *testing.T) {
			_, m, rec := bound(t, smsc.Config{}, nil)
			status, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", Coding: p.coding, Text: []byte(p.octets)})
			if err != nil || status != 0 {
				t.Fatalf("answered with %#x, %v", status, err)
			}
			got := rec.messages()
			if len(got) != 1 || got[0].Raw == "" || got[0].From != "+31687654321" || got[0].To != "+31600000000" || got[0].Key != "" {
				t.Fatalf("handed up was %+v", got)
			}
			if p.text == "" != got[0].Undecodable || p.text != "" && got[0].Text != p.text || got[0].Text == "" {
				t.Errorf("handed up was %+v", got[0])
			}
		})
	}
}

func TestInboundLatin1BySetting(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{}, func(cfg *Config) { cfg.Alphabet = AlphabetLatin1 })
	if _, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", Text: []byte("@\xe9")}); err != nil {
		t.Fatal(err)
	}
	if got := rec.messages(); got[0].Text != "@é" {
		t.Errorf("handed up was %+v", got[0])
	}
}

// Parts of long messages, however they are marked.
func TestInboundParts(t *testing.T) {
	tlv := func(ref string, of, n byte) map[uint16][]byte {
		return map[uint16][]byte{0x020C: []byte(ref), 0x020E: {of}, 0x020F: {n}}
	}
	for _, p := range []struct {
		name   string
		udh    string // with its length
		tlvs   map[uint16][]byte
		want   *route.Concat
		broken bool
	}{
		{name: "whole"},
		{name: "8 bits", udh: "\x05\x00\x03\xA7\x03\x02", want: &route.Concat{Ref: 0xA7, Bits: 8, Of: 3, N: 2}},
		{name: "16 bits", udh: "\x06\x08\x04\xA7\xB8\x03\x02", want: &route.Concat{Ref: 0xA7B8, Bits: 16, Of: 3, N: 2}},
		{name: "beside a port", udh: "\x0B\x05\x04\x0B\x84\x00\x00\x00\x03\xA7\x03\x02", want: &route.Concat{Ref: 0xA7, Bits: 8, Of: 3, N: 2}},
		{name: "sar", tlvs: tlv("\xA7\xB8", 3, 2), want: &route.Concat{Ref: 0xA7B8, Bits: 16, Of: 3, N: 2}},
		{name: "sar with a short number", tlvs: tlv("\xA7", 3, 2), want: &route.Concat{Ref: 0xA7, Bits: 16, Of: 3, N: 2}},
		{name: "one of one", udh: "\x05\x00\x03\xA7\x01\x01"},
		{name: "part 0", udh: "\x05\x00\x03\xA7\x03\x00"},
		{name: "part 4 of 3", udh: "\x05\x00\x03\xA7\x03\x04"},
		{name: "sar without a total", tlvs: map[uint16][]byte{0x020C: []byte("\xA7\xB8")}},
		{name: "empty sar", tlvs: map[uint16][]byte{0x020C: {}, 0x020E: {}, 0x020F: {}}},
		{name: "header beyond the message", udh: "\x7F\x00\x03\xA7\x03\x02", broken: true},
		{name: "element beyond the header", udh: "\x05\x00\x30\xA7\x03\x02", broken: true},
	} {
		t.Run(p.name, func(t *testing.T) {
			_, m, rec := bound(t, smsc.Config{}, nil)
			msg := smsc.Message{From: "31687654321", To: "31600000000", Coding: codingASCII, Text: []byte(p.udh + "hello"), TLVs: p.tlvs}
			if p.udh != "" {
				msg.ESM = esmUDHI
			}
			if status, err := m.Deliver(within(t), msg); err != nil || status != 0 {
				t.Fatalf("answered with %#x, %v", status, err)
			}
			got := rec.messages()[0]
			if got.Undecodable != p.broken || !p.broken && got.Text != "hello" {
				t.Errorf("handed up was %+v", got)
			}
			if (got.Concat == nil) != (p.want == nil) || p.want != nil && *got.Concat != *p.want {
				t.Errorf("the part is %+v, want %+v", got.Concat, p.want)
			}
		})
	}
}

// The queue reads the parts of a long message together, so it gets their
// octets; a whole message needs none.
func TestInboundPartsKeepTheirUnits(t *testing.T) {
	for _, p := range []struct {
		coding byte
		octets string
		want   *route.Units
	}{
		{codingUCS2, "\x05\x00\x03\xA7\x02\x01\x00H\xd8\x3d", &route.Units{Alphabet: route.UCS2, Octets: "0048d83d"}},
		{codingDefault, "\x05\x00\x03\xA7\x02\x01a\x1b", &route.Units{Alphabet: route.GSM7, Octets: "611b"}},
		{codingDefault, "\x08\x00\x03\xA7\x02\x01\x24\x01\x01a\x1b", &route.Units{Alphabet: route.GSM7, Shift: 1, Octets: "611b"}},
		{codingLatin1, "\x05\x00\x03\xA7\x02\x01a\xe9", nil},
		{codingDefault, "\x03\x24\x01\x01a", nil},
	} {
		_, m, rec := bound(t, smsc.Config{}, nil)
		if _, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", ESM: esmUDHI, Coding: p.coding, Text: []byte(p.octets)}); err != nil {
			t.Fatal(err)
		}
		got := rec.messages()[0].Units
		if (got == nil) != (p.want == nil) || got != nil && *got != *p.want {
			t.Errorf("the units of %q are %+v, want %+v", p.octets, got, p.want)
		}
	}
}

func TestInboundNationalTables(t *testing.T) {
	_, m, rec := bound(t, smsc.Config{}, nil)
	// 3GPP TS 23.038 A.2.1: in the Turkish single shift table 1B 53 is Ş.
	if _, err := m.Deliver(within(t), smsc.Message{From: "31687654321", To: "31600000000", ESM: esmUDHI, Text: []byte("\x03\x24\x01\x01\x1b\x53i")}); err != nil {
		t.Fatal(err)
	}
	if got := rec.messages()[0]; got.Text != "Şi" {
		t.Errorf("handed up was %+v", got)
	}
}

func TestInboundSenders(t *testing.T) {
	for want, a := range map[string]address{
		"+31687654321": {1, 1, "31687654321"},
		"0687654321":   {2, 1, "0687654321"},
		"8080":         {3, 0, "8080"},
		"Bank":         {5, 0, "Bank"},
		"":             {1, 1, ""},
		"odd":          {1, 1, "odd"},
	} {
		if got := a.String(); got != want {
			t.Errorf("%+v is spelled %q, want %q", a, got, want)
		}
	}
}
