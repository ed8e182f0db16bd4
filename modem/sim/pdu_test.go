package sim

import (
	"encoding/csv"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warthog618/sms/encoding/gsm7/charset"
	"github.com/warthog618/sms/encoding/tpdu"
)

// rows reads a vector file without its header line.
func rows(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}

func TestSubmit_reads_the_samples(t *testing.T) {
	want := []submit{
		{to: "+46708251358", udl: 10, text: "hellohello"},
		{to: "+31612345678", udl: 10, text: "hellohello", report: true},
		{to: "+31612345678", udl: 18, text: "Привет 😀", report: true, dcs: 8},
		{to: "+31612345678", udl: 160, text: strings.Repeat("a", 153), report: true, udhi: true, ref: 0x2a, refBits: 8, total: 2, seq: 1},
		{to: "+31612345678", udl: 11, text: "bc€", report: true, udhi: true, ref: 0x2a, refBits: 8, total: 2, seq: 2},
	}
	n := 0
	for _, row := range rows(t, "testdata/pdu_samples.csv") {
		if row[0] != "SUBMIT" {
			continue
		}
		got, err := decodeSubmit(row[1], len(row[1])/2-1)
		if err != nil {
			t.Errorf("%s: %v", row[2], err)
			continue
		}
		w := want[n]
		n++
		if !equalSubmit(got, w) {
			t.Errorf("%s:\n got  %+v\n want %+v", row[2], got, w)
		}
	}
	if n != len(want) {
		t.Errorf("%d samples, want %d", n, len(want))
	}
}

func equalSubmit(a, b submit) bool {
	return a.to == b.to && a.udl == b.udl && a.text == b.text && a.report == b.report && a.dcs == b.dcs &&
		a.udhi == b.udhi && a.ref == b.ref && a.refBits == b.refBits && a.total == b.total && a.seq == b.seq && a.smsc == b.smsc
}

func TestSubmit_refuses_nonsense_in_words(t *testing.T) {
	const good = "0031000B911316325476F80000A70AE8329BFD4697D9EC37"
	for _, c := range []struct{ name, pdu, want string }{
		{"empty", "", "PDU ends inside SMSC length"},
		{"not hex", "0031ZZ", "not hex"},
		{"odd hex", good[:len(good)-1], "not hex"},
		{"cut short", good[:30], "announced"},
		{"a DELIVER", "0004" + good[4:], "not an SMS-SUBMIT"},
		{"a STATUS-REPORT", "0006" + good[4:], "not an SMS-SUBMIT"},
		{"no recipient", "00310000910000A70AE8329BFD4697D9EC37", "TP-DA of 0 digits"},
		{"recipient of 21 digits", "0031001591" + strings.Repeat("11", 10) + "F10000A70AE8329BFD4697D9EC37", "TP-DA of 21 digits"},
		{"type of address without bit 7", "0031000B111316325476F80000A70AE8329BFD4697D9EC37", "lacks bit 7"},
		{"alphanumeric recipient", "0031000BD01316325476F80000A70AE8329BFD4697D9EC37", "cannot receive"},
		{"filler in the middle", "0031000B9113F6325476F80000A70AE8329BFD4697D9EC37", "announces 11 digits, holds 3"},
		{"a filler too few", "0031000B911316325476080000A70AE8329BFD4697D9EC37", "announces 11 digits, holds 12"},
		{"compressed", "0031000B911316325476F80020A70AE8329BFD4697D9EC37", "compressed"},
		{"reserved alphabet", "0031000B911316325476F8000CA70AE8329BFD4697D9EC37", "TP-DCS 0C: reserved"},
		{"reserved group", "0031000B911316325476F80080A70AE8329BFD4697D9EC37", "TP-DCS 80: reserved"},
		{"text shorter than it says", "0031000B911316325476F80000A70BE8329BFD4697D9EC37", "wants 10 octets of user data, came 9"},
		{"text longer than it says", "0031000B911316325476F80000A708E8329BFD4697D9EC37", "wants 7 octets"},
		{"141 octets", "0031000B911316325476F80004A78D" + strings.Repeat("41", 141), "141 octets, 140 fit"},
		{"161 septets", "0031000B911316325476F80000A7A1" + strings.Repeat("41", 141), "141 octets, 140 fit"},
		{"UCS-2 of odd length", "0031000B911316325476F80008A703004100", "odd length"},
		{"header longer than the text", "0071000B911316325476F80004A703100041", "header longer"},
		{"header element cut", "0071000B911316325476F80004A70402000341", "element cut short"},
		{"part 3 of 2", "0071000B911316325476F80004A7070500032A020341", "part 3 of 2"},
		{"part 0", "0071000B911316325476F80004A7070500032A020041", "part 0 of 2"},
		{"of 0 parts", "0071000B911316325476F80004A7070500032A000141", "part 1 of 0"},
		{"reference of a wrong length", "0071000B911316325476F80004A706040002012A41", "element 00 has length 2"},
		{"header longer than TP-UDL", "0071000B911316325476F80000A7060500032A0201", "shorter than its header"},
	} {
		length := len(c.pdu)/2 - 1
		if c.name == "cut short" {
			length = len(good)/2 - 1
		}
		_, err := decodeSubmit(c.pdu, length)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestModem_refuses_a_bad_PDU_with_304_and_says_why(t *testing.T) {
	bench(t, CellConfig{}, Config{}, func(t *testing.T, d *terminal) {
		d.ready()
		bad := "0031000B911316325476F80000A70BE8329BFD4697D9EC37"
		if got := d.send(bad); got != "+CMS ERROR: 304" {
			t.Errorf("got %s", got)
		}
		e := d.cell.Entries()
		if len(e) != 1 || e[0].Kind != "refused" || e[0].Cause != 304 || !strings.Contains(e[0].Why, "TP-UDL 11") || e[0].PDU != bad {
			t.Errorf("the cell has %+v", e)
		}
		if got := d.send(hello("5678")); got != "+CMGS: 0|OK" { // a refusal costs no TP-MR
			t.Errorf("got %s", got)
		}
	})
}

func TestPack_as_the_vectors_say(t *testing.T) {
	for _, row := range rows(t, "testdata/gsm7_pack.csv") {
		septets, ok := toSeptets(row[0])
		if !ok || hexUpper(septets) != row[1] {
			t.Errorf("%q: septets %X, want %s", row[0], septets, row[1])
		}
		for header, want := range map[int]string{0: row[3], 6: row[4]} {
			packed := pack(septets, header)
			if hexUpper(packed) != want {
				t.Errorf("%q behind %d octets: %X, want %s", row[0], header, packed, want)
			}
			if back := fromSeptets(unpack(packed, len(septets), header), 0, 0); back != row[0] {
				t.Errorf("%q behind %d octets comes back as %q", row[0], header, back)
			}
		}
	}
}

// TestAlphabets_agree_with_a_library compares every table with one not written
// here. The library is known to differ in two places: it lacks Ê in the
// Portuguese single shift, and reads 0D there as a line feed.
func TestAlphabets_agree_with_a_library(t *testing.T) {
	for _, lang := range []byte{0, 1, 2, 3} {
		main, shift := charset.NewDecoder(int(lang)), charset.NewExtDecoder(int(lang))
		for code := range byte(128) {
			if code == escape {
				continue
			}
			if got, want := fromSeptets([]byte{code}, 0, lang), string(main[code]); got != want {
				t.Errorf("language %d, %02X: %q, library %q", lang, code, got, want)
			}
			got, want := fromSeptets([]byte{escape, code}, lang, 0), "\uFFFD"
			if r, ok := shift[code]; ok {
				want = string(r)
			}
			if known := code == 0x0d || lang == 3 && code == 0x1f; got != want && !known {
				t.Errorf("language %d, 1B %02X: %q, library %q", lang, code, got, want)
			}
		}
	}
}

// TestSubmit_agrees_with_a_library lets a library that was not written here
// make the PDUs.
func TestSubmit_agrees_with_a_library(t *testing.T) {
	runes := []rune("abcXYZ 0189 @£$èéùìòÇØøÅå_ÆæßÉ€{}[]~|^\\ÄÖÑÜ§¿äöñüàжшб漢字😀")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var b strings.Builder
		for range 1 + rnd.IntN(400) {
			b.WriteRune(runes[rnd.IntN(len(runes)-rnd.IntN(2)*6)])
		}
		ud, udh, alpha := tpdu.EncodeUserData([]byte(b.String()))
		msg, err := tpdu.NewSubmit()
		if err != nil {
			t.Fatal(err)
		}
		msg.DA.SetNumber("+31612345678")
		dcs, err := msg.DCS.WithAlphabet(alpha)
		if err != nil {
			t.Fatal(err)
		}
		msg.DCS = dcs
		msg.SetUDH(udh)
		var joined strings.Builder
		for _, part := range msg.Segment(ud, tpdu.With16BitConcatRef) {
			raw, err := part.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			s, err := decodeSubmit("00"+hex.EncodeToString(raw), len(raw))
			if err != nil {
				t.Fatalf("%q: %v", b.String(), err)
			}
			joined.WriteString(s.text)
		}
		if joined.String() != b.String() {
			t.Fatalf("got  %q\nwant %q", joined.String(), b.String())
		}
	}
}

// TestDeliver_agrees_with_a_library lets the library read what the network brings.
func TestDeliver_agrees_with_a_library(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 15, 0, 0, time.UTC)
	for _, from := range []string{"+31612345678", "8080", "Bakkerij", "Shop 24 NL"} {
		for _, text := range []string{
			"STOP", strings.Repeat("{a}", 100), strings.Repeat("Привет 😀", 40), strings.Repeat("x", 160),
		} {
			var joined []byte
			parts := cut(text, 7)
			for i, u := range parts {
				var got tpdu.TPDU
				if err := got.UnmarshalBinary(deliverTPDU(from, at, u)); err != nil {
					t.Fatalf("%s %q: %v", from, text, err)
				}
				total, seq, ref, concat := got.ConcatInfo()
				if concat != (len(parts) > 1) || concat && (total != len(parts) || seq != i+1 || ref != 7) {
					t.Errorf("part %d of %d: %d %d %d", i+1, len(parts), total, seq, ref)
				}
				alpha, err := got.Alphabet()
				if err != nil {
					t.Fatal(err)
				}
				b, err := tpdu.DecodeUserData(got.UD, got.UDH, alpha)
				if err != nil {
					t.Fatalf("%s %q: %v", from, text, err)
				}
				joined = append(joined, b...)
				if number := got.OA.Number(); number != from || !got.SCTS.Equal(at) {
					t.Errorf("from %q at %v, want %q at %v", number, got.SCTS, from, at)
				}
			}
			if string(joined) != text {
				t.Errorf("%s: got %q, want %q", from, joined, text)
			}
		}
	}
}

func TestReport_is_the_sample(t *testing.T) {
	var want string
	for _, row := range rows(t, "testdata/pdu_samples.csv") {
		if row[0] == "STATUS-REPORT" {
			want = row[1]
			break
		}
	}
	at := time.Date(2026, 11, 22, 9, 15, 0, 0, time.UTC)
	got := hexUpper(append(smscField("+31624000000"), reportTPDU(42, addressField("+31612345678"), at, at.Add(67*time.Second), 0)...))
	// The sample says the same moments in a zone of +01:00, and is the same up to there.
	cut := strings.Index(want, "621122015100")
	if got[:cut] != want[:cut] || got[cut:] != "62112290510000"+"62112290617000"+"00" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestIdentity_has_check_digits(t *testing.T) {
	seen := map[string]bool{}
	for n := range 100 {
		id := Identity(n)
		for _, digits := range []string{id.IMEI, id.ICCID} {
			if luhn(digits[:len(digits)-1]) != digits {
				t.Errorf("%s: wrong check digit", digits)
			}
		}
		if len(id.IMEI) != 15 || len(id.ICCID) != 19 || len(id.IMSI) != 15 {
			t.Errorf("%+v: wrong lengths", id)
		}
		if magicFate(id.Number) != (fate{}) {
			t.Errorf("%s is magic", id.Number)
		}
		for _, v := range []string{id.IMEI, id.ICCID, id.IMSI, id.Number} {
			if seen[v] {
				t.Errorf("%s: twice (modem %s)", v, strconv.Itoa(n))
			}
			seen[v] = true
		}
	}
	if luhn("49015420323751") != "490154203237518" { // the example of 3GPP TS 23.003 annex B
		t.Error("luhn")
	}
}
