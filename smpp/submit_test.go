package smpp

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"tillpost/queue/route"
	"tillpost/queue/text"
	"tillpost/smpp/smsc"
)

// long cuts a text as the queue does.
func long(t *testing.T, n int, said, alphabet string, shift, locking, refBits int) route.Outbound {
	t.Helper()
	out := message(n, "")
	out.Alphabet, out.Shift, out.Locking, out.Ref, out.RefBits = alphabet, shift, locking, 0xA7, refBits
	if refBits == 16 {
		out.Ref = 0xA7B8
	}
	cut, err := text.Split(said, alphabet, shift, locking, refBits)
	if err != nil {
		t.Fatal(err)
	}
	out.Segments = nil
	for _, s := range cut {
		out.Segments = append(out.Segments, route.Segment(s))
	}
	return out
}

// Trap 11: long messages in each way to send them, put together again by an
// SMSC that reads every part strictly.
func TestLongMessages(t *testing.T) {
	euros := strings.Repeat("a", 152) + "€" + strings.Repeat("b€", 100) // escapes at the cuts
	emoji := strings.Repeat("x", 66) + strings.Repeat("😀é", 60)         // surrogates at the cuts
	turkish := strings.Repeat("Şişli'de görüşürüz ", 20)
	for _, p := range []struct {
		name, said, alphabet string
		shift, locking       int
		bits                 int
	}{
		{"gsm7", euros, route.GSM7, 0, 0, 8},
		{"gsm7 with a wide reference", euros, route.GSM7, 0, 0, 16},
		{"ucs2", emoji, route.UCS2, 0, 0, 8},
		{"turkish single shift", turkish, route.GSM7, 1, 0, 8},
		{"turkish locking shift", turkish, route.GSM7, 1, 1, 8},
	} {
		for _, way := range []string{LongUDH, LongSAR, LongPayload} {
			t.Run(p.name+" "+way, func(t *testing.T) {
				c, m, rec := bound(t, smsc.Config{}, func(cfg *Config) { cfg.LongMessages = way })
				out := long(t, 1, p.said, p.alphabet, p.shift, p.locking, p.bits)
				got, err := c.Send(within(t), out)
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Parts) != len(out.Segments) {
					t.Errorf("%d parts are reported, %d were cut", len(got.Parts), len(out.Segments))
				}
				submits := m.Submits()
				wantSubmits, wantProgress := len(out.Segments), len(out.Segments)-1
				if way == LongPayload {
					wantSubmits, wantProgress = 1, 0
				}
				if len(submits) != wantSubmits || len(rec.progress) != wantProgress {
					t.Fatalf("%d submits and %d times progress, want %d and %d", len(submits), len(rec.progress), wantSubmits, wantProgress)
				}
				said := ""
				for i, s := range submits {
					said += s.Text
					if way != LongPayload && (s.Ref != out.Ref || s.Of != len(submits) || s.N != i+1) {
						t.Errorf("part %d arrived as %d of %d, reference %X", i+1, s.N, s.Of, s.Ref)
					}
					if s.ESM&^esmUDHI != 0 {
						t.Errorf("esm_class is %02X", s.ESM)
					}
				}
				if said != p.said {
					t.Errorf("arrived is %q, sent was %q", said, p.said)
				}
			})
		}
	}
}

// A payload cannot carry the rest of a message: the rest goes in parts.
func TestPayloadOfARest(t *testing.T) {
	c, m, _ := bound(t, smsc.Config{}, func(cfg *Config) { cfg.LongMessages = LongPayload })
	out := long(t, 1, strings.Repeat("x", 400), route.GSM7, 0, 0, 8)
	out.Done = []route.Part{{N: 1, Of: 3, State: route.PartSent}}
	got, err := c.Send(within(t), out)
	if err != nil || len(got.Parts) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := m.Submits(); len(s) != 2 || s[0].N != 2 || s[1].N != 3 {
		t.Errorf("arrived were %+v", s)
	}
}

// The wire, octet by octet. SMPP 3.4 §4.4.1
func TestSubmitOnTheWire(t *testing.T) {
	c := newClient(t, "smsc:2775", newRecorder(), func(cfg *Config) {
		cfg.Validity = 24 * time.Hour
		cfg.ServiceType = "CMT"
		cfg.TLVs = map[uint16][]byte{0x1400: []byte("tag")}
	})
	out := message(12345678, "@{1}")
	out.Priority, out.Flash = 3, true
	parts, err := c.compose(&out)
	if err != nil {
		t.Fatal(err)
	}
	want := "434D5400" + // service_type CMT
		"050053484F5000" + // alphanumeric SHOP
		"0101333136313233343536373800" + // international 31612345678
		"00" + "00" + "02" + // esm_class, protocol_id, priority_flag
		"00" + hex.EncodeToString([]byte("000001000000000R")) + "00" + // at once, valid for a day
		"01" + "00" + "F0" + "00" + // receipt, no replacing, class 0, no canned text
		"06" + "001B28311B29" + // @{1} in septets
		"1400" + "0003" + hex.EncodeToString([]byte("tag"))
	if got := hex.EncodeToString(parts[0].frame[pdu.HeaderLen:]); !strings.EqualFold(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAlphabets(t *testing.T) {
	for _, p := range []struct {
		name     string
		alphabet string
		said     string
		latin1   bool
		coding   byte
		hex      string // empty: refused
	}{
		{"gsm7 as septets", route.GSM7, "@£$é[€", false, 0, "000102051b3c1b65"},
		{"latin1 as octets", route.GSM7, "@£$é[", true, 0, "40a324e95b"},
		{"what latin1 lacks goes as ucs2", route.GSM7, "5€", true, 8, "003520ac"},
		{"where it fits", route.GSM7, strings.Repeat("x", 70) + "€", true, 0, ""},
		{"ucs2", route.UCS2, "я😀", false, 8, "044fd83dde00"},
		{"ucs2 whatever data_coding 0 means", route.UCS2, "я", true, 8, "044f"},
	} {
		t.Run(p.name, func(t *testing.T) {
			c, m, _ := bound(t, smsc.Config{Latin1: p.latin1}, func(cfg *Config) {
				if p.latin1 {
					cfg.Alphabet = AlphabetLatin1
				}
			})
			out := message(1, p.said)
			out.Alphabet = p.alphabet
			_, err := c.Send(within(t), out)
			if p.hex == "" {
				if e := fate(t, err, route.Reject); !strings.Contains(e.Text, "€") || !strings.Contains(e.Text, "ucs2") {
					t.Errorf("the refusal names neither character nor remedy: %v", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := m.Submits()[0]; s.Hex != p.hex || s.Coding != p.coding || s.Text != p.said {
				t.Errorf("arrived is %+v", s)
			}
		})
	}
}

// What is not sent as septets has no national table, and no header that names
// one: it would take room, and the text would be read by it.
func TestNationalTablesAreForSeptets(t *testing.T) {
	for said, want := range map[string]struct {
		hex    string
		coding byte
	}{
		"façade":                      {"6661e7616465", 0},
		"ş" + strings.Repeat("a", 69): {"015f" + strings.Repeat("0061", 69), 8}, // 140 octets, not one more
	} {
		c, m, _ := bound(t, smsc.Config{Latin1: true}, func(cfg *Config) { cfg.Alphabet = AlphabetLatin1 })
		out := message(1, said)
		out.Alphabet, out.Shift = route.GSM7, text.Turkish
		if _, err := c.Send(within(t), out); err != nil {
			t.Fatal(err)
		}
		if s := m.Submits()[0]; s.Hex != want.hex || s.Coding != want.coding || s.Text != said {
			t.Errorf("%q arrived as %+v", said, s)
		}
	}
}

func TestDataCodingBySetting(t *testing.T) {
	c := newClient(t, "smsc:2775", newRecorder(), func(cfg *Config) { cfg.CodingGSM7, cfg.CodingUCS2 = 0xF1, 0x18 })
	for alphabet, want := range map[string]byte{route.GSM7: 0xF1, route.UCS2: 0x18} {
		out := message(1, "x")
		out.Alphabet = alphabet
		if _, _, got, err := c.encodeText(&out, "x"); err != nil || got != want {
			t.Errorf("%s has data_coding %02X, %v", alphabet, got, err)
		}
	}
}

func TestValidity(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for _, p := range []struct {
		setting, left time.Duration // left 0: the message has no end
		want          string
	}{
		{0, 0, ""},
		{24 * time.Hour, 0, "000001000000000R"},
		{24 * time.Hour, 90 * time.Minute, "000000013000000R"},
		{time.Hour, 48 * time.Hour, "000000010000000R"},
		{0, 48*time.Hour + 3*time.Second, "000002000003000R"},
		{0, time.Second, "000000000100000R"},
		{0, -time.Hour, "000000000100000R"},
		{0, 5000 * time.Hour, "000030000000000R"},
	} {
		c := newClient(t, "smsc:2775", newRecorder(), func(cfg *Config) { cfg.Validity = p.setting })
		var expires time.Time
		if p.left != 0 {
			expires = now.Add(p.left)
		}
		if got := c.validity(expires, now); got != p.want {
			t.Errorf("setting %v, %v left: %q, want %q", p.setting, p.left, got, p.want)
		}
	}
}

// SMPP 3.4 §7.1.1: the time itself in UTC, or nothing at all.
func TestValidityFormats(t *testing.T) {
	now := time.Date(2026, 11, 24, 23, 30, 0, 0, time.FixedZone("CET", 3600))
	for format, want := range map[string]string{
		ValidityRelative: "000000020000000R", ValidityAbsolute: "261125003000000+", ValidityNone: "",
	} {
		c := newClient(t, "smsc:2775", newRecorder(), func(cfg *Config) { cfg.Validity, cfg.ValidityFormat = 2*time.Hour, format })
		if got := c.validity(now.Add(48*time.Hour), now); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

// The types of the settings are the usual sender's: a name never goes as a
// number, nor a number as a name.
func TestTypeOfOtherSenders(t *testing.T) {
	one, five := 1, 5
	for _, p := range []struct {
		usual string
		ton   *int
		from  string
		want  byte
	}{
		{"0612345678", &one, "0612345678", 1},
		{"0612345678", &one, "0687654321", 1}, // as the operator wants numbers
		{"0612345678", &one, "BAKKER", 5},
		{"", &one, "BAKKER", 5},
		{"", &one, "0687654321", 1},
		{"SHOP", &one, "SHOP", 1}, // an oddity, but said of this very sender
		{"SHOP", &five, "0687654321", 2},
	} {
		c := newClient(t, "smsc:2775", newRecorder(), func(cfg *Config) { cfg.Source, cfg.SourceTON = p.usual, p.ton })
		if got, err := c.sourceAddress(p.from); err != nil || got.ton != p.want {
			t.Errorf("source %q of type %d: %q leaves as %+v, %v; want %d", p.usual, *p.ton, p.from, got, err, p.want)
		}
	}
}

func TestSenders(t *testing.T) {
	for said, want := range map[string]address{
		"":              {0, 0, ""},
		"+31612345678":  {1, 1, "31612345678"},
		"31612345678":   {1, 1, "31612345678"},
		"0612345678":    {2, 1, "0612345678"},
		"8080":          {3, 0, "8080"},
		"SHOP":          {5, 0, "SHOP"},
		"Bakkerij 2":    {5, 0, "Bakkerij 2"},
		"1-2-3 Taxi":    {5, 0, "1-2-3 Taxi"},
		"elevenchars":   {5, 0, "elevenchars"},
		"+123456":       {1, 1, "123456"},
		"999999":        {3, 0, "999999"},
		"4420812345678": {1, 1, "4420812345678"},
	} {
		if got, err := sender(said); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", said, got, err, want)
		}
	}
	for _, said := range []string{"twelve chars", "Café", "a@b", "1-2", "+", "1234567890123456", "a\x00b", " "} {
		if got, err := sender(said); err == nil {
			t.Errorf("%q is taken for %+v", said, got)
		}
	}
}

func TestRecipients(t *testing.T) {
	for said, want := range map[string]address{"+31612345678": {1, 1, "31612345678"}, "8080": {3, 0, "8080"}} {
		if got, err := recipient(said); err != nil || got != want {
			t.Errorf("%q is %+v, %v", said, got, err)
		}
	}
	c, m, _ := bound(t, smsc.Config{}, nil)
	for _, said := range []string{"", "+", "bob", "+31 6", strings.Repeat("1", 21)} {
		out := message(1, "hello")
		out.To = said
		_, err := c.Send(within(t), out)
		if e := fate(t, err, route.Reject); said != "" && said != "+" && strings.Contains(e.Text, said) {
			t.Errorf("the error repeats the number: %v", e)
		}
	}
	if n := m.Stats().Submits; n != 0 {
		t.Errorf("%d submits arrived", n)
	}
}

func TestTypesBySetting(t *testing.T) {
	one, two, three, four := 1, 2, 3, 4
	c, m, _ := bound(t, smsc.Config{}, func(cfg *Config) {
		cfg.SourceTON, cfg.SourceNPI, cfg.DestTON, cfg.DestNPI = &one, &two, &three, &four
	})
	if _, err := c.Send(within(t), message(1, "hello")); err != nil {
		t.Fatal(err)
	}
	if s := m.Submits()[0]; s.FromTON != 1 || s.FromNPI != 2 || s.ToTON != 3 || s.ToNPI != 4 {
		t.Errorf("arrived is %+v", s)
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	negative := -1
	for want, change := range map[string]func(*Config){
		"name":             func(c *Config) { c.Name = "" },
		"addrs":            func(c *Config) { c.Addrs = nil },
		"host:port":        func(c *Config) { c.Addrs = []string{"smsc.example"} },
		"system_id":        func(c *Config) { c.SystemID = strings.Repeat("x", 16) },
		"bind":             func(c *Config) { c.Bind = "receiver" },
		"alphabet":         func(c *Config) { c.Alphabet = "ebcdic" },
		"long_messages":    func(c *Config) { c.LongMessages = "cut" },
		"receipt_id":       func(c *Config) { c.ReceiptID = "guess" },
		"window":           func(c *Config) { c.Window = -1 },
		"binds":            func(c *Config) { c.Binds = 17 },
		"parts_per_second": func(c *Config) { c.PartsPerSecond = -5 },
		"source":           func(c *Config) { c.Source = "far too long a name" },
		"source_ton":       func(c *Config) { c.SourceTON = &negative },
		"codes":            func(c *Config) { c.Codes = map[uint32]route.Fate{0x401: "maybe"} },
		"password":         func(c *Config) { c.Password = "a\x00b" },
	} {
		cfg := Config{Name: "operator", Addrs: []string{"smsc:2775"}, SystemID: "shop", Log: newClient(t, "smsc:1", newRecorder(), nil).cfg.Log}
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestPriorities(t *testing.T) {
	c, m, _ := bound(t, smsc.Config{}, nil)
	for n := range 4 {
		out := message(n, "hello")
		out.Priority = n
		if _, err := c.Send(within(t), out); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	for _, s := range m.Submits() {
		got = append(got, s.Priority)
	}
	if fmt.Sprint(got) != "[0 0 1 2]" {
		t.Errorf("the flags are %v", got)
	}
}

// Sequence numbers go from 1 to 0x7FFFFFFF and round again, past those in use.
func TestSequenceNumbers(t *testing.T) {
	s := &session{waiting: map[uint32]*request{1: {}, 2: {}, maxSeq: {}}, seq: maxSeq - 2}
	var got []uint32
	for range 3 {
		got = append(got, s.number())
	}
	if fmt.Sprint(got) != fmt.Sprint([]uint32{maxSeq - 1, 3, 4}) {
		t.Errorf("numbers are %v", got)
	}
}
