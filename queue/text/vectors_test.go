package text

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The vector files are normative: every row is a test case.

// rows reads a CSV file as one map a row, by column name.
func rows(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var out []map[string]string
	for _, row := range all[1:] {
		m := make(map[string]string)
		for i, head := range all[0] {
			m[head] = row[i]
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		t.Fatalf("%s: no rows", name)
	}
	return out
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDefaultAlphabet: gsm7.csv, in both directions.
func TestDefaultAlphabet(t *testing.T) {
	names := strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\f`, "\f")
	// Codes that are no character, and what a reader sees instead.
	noChar := map[string]string{"1B": " ", "1B0D": "\r", "1B1B": " "}
	seen := 0
	for _, row := range rows(t, "testdata/gsm7.csv") {
		code := unhex(t, row["code_hex"])
		if shown, ok := noChar[row["code_hex"]]; ok {
			if got := FromSeptets(code, 0, 0); got != shown {
				t.Errorf("%s reads %q, want %q", row["code_hex"], got, shown)
			}
			seen++
			continue
		}
		want := row["char"]
		if len(want) == 2 {
			want = names.Replace(want)
		}
		if u := fmt.Sprintf("U+%04X", []rune(want)[0]); u != row["unicode"] {
			t.Fatalf("%s: %s is not %s", row["code_hex"], u, row["unicode"])
		}
		if got := FromSeptets(code, 0, 0); got != want {
			t.Errorf("%s reads %q, want %q", row["code_hex"], got, want)
		}
		got, err := Septets(want, 0, 0)
		if err != nil || !bytes.Equal(got, code) {
			t.Errorf("%q writes %X, %v, want %s", want, got, err, row["code_hex"])
		}
		if len(got) != atoi(t, row["septets"]) {
			t.Errorf("%q takes %d septets, want %s", want, len(got), row["septets"])
		}
		seen++
	}
	if seen != 128+12 {
		t.Errorf("%d codes in the table", seen)
	}
}

type nationalFile struct {
	IDs       map[string]int `json:"language_ids"`
	Languages map[string]struct {
		ID      int               `json:"id"`
		Shift   map[string]string `json:"single_shift"`
		Locking map[string]string `json:"locking_shift"`
	} `json:"languages"`
	Capacity map[string]int `json:"capacity_septets"`
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestNationalTables: gsm7_national.json, in both directions, and that our
// tables hold nothing else.
func TestNationalTables(t *testing.T) {
	var file nationalFile
	readJSON(t, "testdata/gsm7_national.json", &file)
	if file.IDs["turkish"] != Turkish || file.IDs["spanish"] != Spanish || file.IDs["portuguese"] != Portuguese {
		t.Errorf("language identifiers: %v", file.IDs)
	}
	for name, lang := range file.Languages {
		t.Run(name, func(t *testing.T) {
			for code, char := range lang.Shift {
				septets := append([]byte{esc}, unhex(t, code)...)
				if got := FromSeptets(septets, lang.ID, 0); got != char {
					t.Errorf("1B%s reads %q, want %q", code, got, char)
				}
				// Written with one septet where the default alphabet has it too.
				if got, err := Septets(char, lang.ID, 0); err != nil || !bytes.Equal(got, septets) && len(got) != 1 {
					t.Errorf("%q writes %X, %v, want %X", char, got, err, septets)
				}
			}
			a := writable(lang.ID, 0)
			for code, r := range a.shift {
				if want := lang.Shift[fmt.Sprintf("%02X", code)]; r != 0 && string(r) != want {
					t.Errorf("1B%02X is %q, want %q", code, r, want)
				}
			}
			if lang.Locking == nil {
				if writable(0, lang.ID) != nil {
					t.Error("has a locking table, want none")
				}
				return
			}
			if len(lang.Locking) != 127 {
				t.Fatalf("%d codes in the locking table", len(lang.Locking))
			}
			for code, char := range lang.Locking {
				if got := FromSeptets(unhex(t, code), 0, lang.ID); got != char {
					t.Errorf("%s reads %q, want %q", code, got, char)
				}
				if got, err := Septets(char, 0, lang.ID); err != nil || !bytes.Equal(got, unhex(t, code)) {
					t.Errorf("%q writes %X, %v, want %s", char, got, err, code)
				}
			}
		})
	}

	bits := map[string]int{"ref8": 8, "ref16": 16}
	for name, want := range file.Capacity {
		shift, locking, ref := 0, 0, 0
		for part := range strings.SplitSeq(name, "+") {
			switch part {
			case "one_shift":
				shift = Turkish
			case "both_shifts":
				shift, locking = Turkish, Turkish
			default:
				ref = bits[part]
			}
		}
		if got := Capacity(AlphabetGSM7, Header(shift, locking, ref)); got != want {
			t.Errorf("%s holds %d septets, want %d", name, got, want)
		}
	}
}

// TestPack: gsm7_pack.csv, in both directions.
func TestPack(t *testing.T) {
	for _, row := range rows(t, "testdata/gsm7_pack.csv") {
		text, unpacked := row["text"], unhex(t, row["unpacked_hex"])
		got, err := Septets(text, 0, 0)
		if err != nil || !bytes.Equal(got, unpacked) || len(got) != atoi(t, row["septets"]) {
			t.Errorf("%q: septets %X, %v, want %X", text, got, err, unpacked)
		}
		for column, header := range map[string]int{"packed_hex": 0, "packed_hex_after_6_octet_udh": 6} {
			packed, fill := unhex(t, row[column]), FillBits(header)
			if got := Pack(unpacked, fill); !bytes.Equal(got, packed) {
				t.Errorf("%q: packed behind %d octets %X, want %X", text, header, got, packed)
			}
			if got := Unpack(packed, fill, len(unpacked)); FromSeptets(got, 0, 0) != text {
				t.Errorf("%q: unpacked behind %d octets %X", text, header, got)
			}
		}
	}
}

// TestCapacity: segment_limits.csv.
func TestCapacity(t *testing.T) {
	bits := map[string]int{"none": 0, "concat_8bit_ref": 8, "concat_16bit_ref": 16}
	for _, row := range rows(t, "testdata/segment_limits.csv") {
		ref, ok := bits[row["udh"]]
		if !ok {
			t.Fatalf("header %q", row["udh"])
		}
		header := Header(0, 0, ref)
		if header != atoi(t, row["udh_octets_incl_udhl"]) {
			t.Errorf("%s: %d octets of header", row["udh"], header)
		}
		if got := Capacity(row["encoding"], header); got != atoi(t, row["max_units_per_part"]) {
			t.Errorf("%s behind %s: %d units, want %s", row["encoding"], row["udh"], got, row["max_units_per_part"])
		}
	}
}

// TestSplitCases: split_cases.json.
func TestSplitCases(t *testing.T) {
	var cases []struct {
		Name     string
		Runs     [][2]any `json:"text_runs"`
		Bits     int      `json:"reference_bits"`
		Encoding string
		Total    int   `json:"total_units"`
		Parts    int   `json:"parts"`
		PerPart  []int `json:"units_per_part"`
	}
	readJSON(t, "testdata/split_cases.json", &cases)
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s/%d", c.Name, c.Bits), func(t *testing.T) {
			var text strings.Builder
			for _, run := range c.Runs {
				text.WriteString(strings.Repeat(run[0].(string), int(run[1].(float64))))
			}
			parts, err := Split(text.String(), c.Encoding, 0, 0, c.Bits)
			if err != nil {
				t.Fatal(err)
			}
			var units []int
			total, joined := 0, ""
			for _, p := range parts {
				units = append(units, p.Units)
				total += p.Units
				joined += p.Text
			}
			if fmt.Sprint(units) != fmt.Sprint(c.PerPart) || len(parts) != c.Parts || total != c.Total {
				t.Errorf("units %v, total %d, want %v, %d", units, total, c.PerPart, c.Total)
			}
			if joined != text.String() {
				t.Errorf("the parts joined are %q", joined)
			}
		})
	}
}

// TestTranslit: translit.csv. In the policy ascii every row gives what the
// corrected column says.
func TestTranslit(t *testing.T) {
	for _, row := range rows(t, "tables/translit.csv") {
		from, want := row["from"], row["intent_corrected"]
		switch want {
		case "(space)":
			want = " "
		case "(remove)":
			want = ""
		}
		if u := fmt.Sprintf("U+%04X", []rune(from)[0]); u != row["codepoint"] || len([]rune(from)) != 1 {
			t.Fatalf("%q is not %s", from, row["codepoint"])
		}
		p, err := Compose("x"+from+"y", Options{Encoding: ASCII})
		if err != nil {
			t.Errorf("%q: %v", from, err)
			continue
		}
		if p.Text != "x"+want+"y" || p.Alphabet != AlphabetGSM7 {
			t.Errorf("%q becomes %q, want %q", from, p.Text, "x"+want+"y")
		}
		if len(p.Changes) != 1 || p.Changes[0] != (Change{From: from, To: want, Pos: 1}) {
			t.Errorf("%q: changes %+v", from, p.Changes)
		}
		// in_gsm7 says whether the character costs nothing to keep.
		if kept := writable(0, 0).holds([]rune(from)[0]); kept != (row["in_gsm7"] == "yes") {
			t.Errorf("%q: in the short alphabet: %v, want %s", from, kept, row["in_gsm7"])
		}
	}
}

// TestTranslitAsPrinted: the column "to" is kept readable for who must compare
// with the page, slips included.
func TestTranslitAsPrinted(t *testing.T) {
	printed := translitColumn("to")
	for _, row := range rows(t, "tables/translit.csv") {
		r := []rune(row["from"])[0]
		if got, ok := printed[r]; !ok || got != row["to"] {
			t.Errorf("%q is printed as %q, want %q", r, got, row["to"])
		}
	}
	if printed['ï'] != "l" || translit()['ï'] != "i" {
		t.Errorf("ï: printed %q, corrected %q", printed['ï'], translit()['ï'])
	}
}

// TestValidityOctet: vp_relative.csv, and the minute on either side.
func TestValidityOctet(t *testing.T) {
	all := rows(t, "testdata/vp_relative.csv")
	if len(all) != 256 {
		t.Fatalf("%d rows", len(all))
	}
	for _, row := range all {
		value, d := byte(atoi(t, row["value"])), time.Duration(atoi(t, row["minutes"]))*time.Minute
		if row["hex"] != fmt.Sprintf("%02X", value) {
			t.Fatalf("%d is not %s", value, row["hex"])
		}
		if got := ValidityOctet(d); got != value {
			t.Errorf("%v: %d, want %d", d, got, value)
		}
		if got := ValidityOctet(d + time.Minute); got != value {
			t.Errorf("%v: %d, want %d", d+time.Minute, got, value)
		}
		if got := ValidityOctet(d - time.Minute); value > 0 && got != value-1 {
			t.Errorf("%v: %d, want %d", d-time.Minute, got, value-1)
		}
	}
	for _, d := range []time.Duration{-time.Hour, 0, time.Second} {
		if got := ValidityOctet(d); got != 0 {
			t.Errorf("%v: %d, want 0", d, got)
		}
	}
	if got := ValidityOctet(10 * 365 * 24 * time.Hour); got != 255 {
		t.Errorf("ten years: %d", got)
	}
}
