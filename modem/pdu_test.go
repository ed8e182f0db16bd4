package modem

import (
	"encoding/csv"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// samples reads testdata/pdu_samples.csv: type, hex, meaning.
func samples(t testing.TB) [][]string {
	t.Helper()
	f, err := os.Open("testdata/pdu_samples.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func sample(t testing.TB, kind, words string) string {
	t.Helper()
	for _, s := range samples(t) {
		if s[0] == kind && strings.Contains(s[2], words) {
			return s[1]
		}
	}
	t.Fatalf("no sample %s %q", kind, words)
	return ""
}

func TestEncodeAsTheSamples(t *testing.T) {
	day := form{report: true, validity: true, period: 24 * time.Hour}
	long := strings.Repeat("a", 153) + "bc€"
	for _, tc := range []struct {
		name   string
		out    route.Outbound
		n      int
		form   form
		want   string
		length int
	}{
		{"without_report", route.Outbound{To: "+46708251358", Alphabet: route.GSM7, Segments: one("hellohello")}, 1, form{validity: true, period: 4 * 24 * time.Hour}, sample(t, "SUBMIT", "widely published"), 23},
		{"with_report", route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Segments: one("hellohello")}, 1, day, sample(t, "SUBMIT", "fo 31"), 23},
		{"ucs2_with_emoji", route.Outbound{To: "+31612345678", Alphabet: route.UCS2, Segments: one("Привет 😀")}, 1, day, sample(t, "SUBMIT", "UCS-2"), 32},
		{"part_1_of_2", route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Ref: 0x2A, RefBits: 8, Segments: []route.Segment{{Text: long[:153]}, {Text: long[153:]}}}, 1, day, sample(t, "SUBMIT", "part 1 of 2"), 154},
		{"part_2_of_2", route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Ref: 0x2A, RefBits: 8, Segments: []route.Segment{{Text: long[:153]}, {Text: long[153:]}}}, 2, day, sample(t, "SUBMIT", "part 2 of 2"), 24},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := encode(&tc.out, tc.n, tc.form)
			if err != nil || got.hex != tc.want || got.length != tc.length {
				t.Errorf("got  %s (%d), %v\nwant %s (%d)", got.hex, got.length, err, tc.want, tc.length)
			}
		})
	}
}

func one(s string) []route.Segment { return []route.Segment{{Text: s}} }

func pdu(t *testing.T, out route.Outbound, n int, f form) string {
	t.Helper()
	s, err := encode(&out, n, f)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.hex) != 2*(s.length+1) {
		t.Errorf("%d octets are announced of %s", s.length, s.hex)
	}
	return s.hex
}

// library-facts §9.6, traps §2.1 to §2.6.
func TestTrapsOfTheEncoder(t *testing.T) {
	t.Run("a_short_code_is_not_international", func(t *testing.T) {
		got := pdu(t, route.Outbound{To: "8080", Alphabet: route.GSM7, Segments: one("x")}, 1, form{})
		if !strings.HasPrefix(got, "000100"+"0481"+"0808") {
			t.Errorf("got %s, want TOA 81 and 8080", got)
		}
		if got := pdu(t, route.Outbound{To: "0612345678", Alphabet: route.GSM7, Segments: one("x")}, 1, form{}); !strings.HasPrefix(got, "000100"+"0A81"+"6021436587") {
			t.Errorf("a national number became %s", got)
		}
	})
	t.Run("two_long_messages_have_the_references_they_were_given", func(t *testing.T) {
		for _, ref := range []int{1, 2, 0x2A, 0xFF} {
			out := route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Ref: ref, RefBits: 8, Segments: []route.Segment{{Text: "a"}, {Text: "b"}}}
			for n := 1; n <= 2; n++ {
				want := "050003" + hex2(ref) + "02" + hex2(n)
				if got := pdu(t, out, n, form{}); !strings.Contains(got, want) {
					t.Errorf("part %d with reference %d: %s does not hold %s", n, ref, got, want)
				}
			}
		}
	})
	t.Run("sixteen_bits", func(t *testing.T) {
		out := route.Outbound{To: "+31612345678", Alphabet: route.UCS2, Ref: 0x1234, RefBits: 16, Segments: []route.Segment{{Text: "ж"}, {Text: "ж"}}}
		if got := pdu(t, out, 2, form{}); !strings.Contains(got, "06080412340202"+"0436") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("256_parts_are_refused", func(t *testing.T) {
		out := route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Segments: make([]route.Segment, 256)}
		if _, err := encode(&out, 1, form{}); err == nil {
			t.Error("accepted")
		}
		out.Segments = out.Segments[:255]
		out.Segments[254].Text = "z"
		if got := pdu(t, out, 255, form{}); !strings.Contains(got, "05000300FFFF") {
			t.Errorf("part 255 of 255: %s", got)
		}
	})
	t.Run("an_escape_in_the_text_is_refused", func(t *testing.T) {
		out := route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Segments: one("a\x1bb")}
		if s, err := encode(&out, 1, form{}); err == nil {
			t.Errorf("U+001B was encoded: %s", s.hex)
		}
	})
	t.Run("too_long_a_part_is_refused", func(t *testing.T) {
		out := route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Segments: one(strings.Repeat("a", 161))}
		if _, err := encode(&out, 1, form{}); err == nil {
			t.Error("161 septets were encoded")
		}
	})
	t.Run("bad_recipients_are_refused", func(t *testing.T) {
		for _, to := range []string{"", "+", "+31 6", "abc", "+316123456781234567890123", "06-12"} {
			out := route.Outbound{To: to, Alphabet: route.GSM7, Segments: one("x")}
			if _, err := encode(&out, 1, form{}); err == nil || !strings.HasPrefix(err.Error(), "to:") {
				t.Errorf("%q: %v", to, err)
			}
		}
	})
	t.Run("flash", func(t *testing.T) {
		for alphabet, dcs := range map[string]string{route.GSM7: "0010", route.UCS2: "0018"} {
			out := route.Outbound{To: "+31612345678", Alphabet: alphabet, Flash: true, Segments: one("x")}
			if got := pdu(t, out, 1, form{}); !strings.Contains(got, "1316325476F8"+dcs) {
				t.Errorf("%s: %s, want DCS %s", alphabet, got, dcs)
			}
		}
	})
	t.Run("national_tables_by_their_hexadecimal_identifiers", func(t *testing.T) {
		// TS 23.040 §9.2.3.24: 24 and 25 in the table are hexadecimal; the
		// library has them as decimals.
		out := route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Shift: 1, Segments: one("ğ")}
		if got := pdu(t, out, 1, form{}); !strings.Contains(got, "03240101") {
			t.Errorf("single shift: %s", got)
		}
		out.Shift, out.Locking = 3, 3
		out.Segments = one("ã")
		if got := pdu(t, out, 1, form{}); !strings.Contains(got, "06240103250103") {
			t.Errorf("locking shift: %s", got)
		}
	})
	t.Run("five_minutes_stay_five_minutes", func(t *testing.T) {
		for period, want := range map[time.Duration]string{0: "00", 5 * time.Minute: "00", 10 * time.Minute: "01", time.Hour: "0B", 24 * time.Hour: "A7", 48 * time.Hour: "A8", 2000 * 24 * time.Hour: "FF"} {
			out := route.Outbound{To: "+31612345678", Alphabet: route.GSM7, Segments: one("x")}
			got := pdu(t, out, 1, form{validity: true, period: period})
			if !strings.Contains(got, "1316325476F80000"+want+"01") {
				t.Errorf("%v: %s, want VP %s", period, got, want)
			}
		}
	})
}

func hex2(n int) string { return strings.ToUpper(hex.EncodeToString([]byte{byte(n)})) }

// What the modem sends is what the preview has shown: a text that was cut by
// package text fits, in every alphabet, with every kind of header.
func TestWhatTextCutsFits(t *testing.T) {
	for _, bits := range []int{8, 16} {
		for _, s := range []string{strings.Repeat("a", 1600), strings.Repeat("€", 700), strings.Repeat("ж", 800), strings.Repeat("😀", 400)} {
			p, err := text.Compose(s, text.Options{MaxParts: 255, RefBits: bits})
			if err != nil {
				t.Fatal(err)
			}
			out := route.Outbound{To: "+31612345678", Alphabet: p.Alphabet, Ref: 7, RefBits: bits, Segments: segments(p)}
			for n := range out.Segments {
				if h := pdu(t, out, n+1, form{report: true, validity: true}); len(h) > 2*(1+164) {
					t.Errorf("part %s is %d octets", strconv.Itoa(n+1), len(h)/2)
				}
			}
		}
	}
}
