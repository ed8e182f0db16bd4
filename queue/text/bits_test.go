package text

import (
	"bytes"
	"strings"
	"sync"
	"testing"
)

// TestTextOfSamplePDUs: the user data of pdu_samples.csv, in both directions.
func TestTextOfSamplePDUs(t *testing.T) {
	// In the order of the file, status reports left out: they carry no text.
	want := []string{
		"hellohello", "hellohello", "hellohello", "Привет 😀", strings.Repeat("a", 153), "bc€", "STOP", "Hi",
	}
	for _, row := range rows(t, "testdata/pdu_samples.csv") {
		if row["type"] == "STATUS-REPORT" {
			continue
		}
		if len(want) == 0 {
			t.Fatalf("no text for %s", row["pdu_hex"])
		}
		text := want[0]
		want = want[1:]
		dcs, header, units, data := userData(t, unhex(t, row["pdu_hex"]))
		if dcs == 0x08 {
			if got := FromUTF16(data); got != text || !bytes.Equal(UTF16(text), data) || len(data) != units {
				t.Errorf("%s reads %q, want %q", row["pdu_hex"], got, text)
			}
			continue
		}
		fill := FillBits(header)
		n := units - (header*8+fill)/7
		if got := FromSeptets(Unpack(data, fill, n), 0, 0); got != text {
			t.Errorf("%s reads %q, want %q", row["pdu_hex"], got, text)
		}
		septets, err := Septets(text, 0, 0)
		if err != nil || len(septets) != n || !bytes.Equal(Pack(septets, fill), data) {
			t.Errorf("%q writes %X, %v, want %X", text, Pack(septets, fill), err, data)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the file: %q", want)
	}
}

// userData walks a PDU with its SCA field to the user data (3GPP TS 23.040
// §9.2.2.1, §9.2.2.2). units is TP-UDL; the header is taken off data.
func userData(t *testing.T, pdu []byte) (dcs byte, header, units int, data []byte) {
	t.Helper()
	b := pdu[1+int(pdu[0]):]
	first := b[0]
	submit := first&0x03 == 1
	b = b[1:]
	if submit {
		b = b[1:] // TP-MR
	}
	b = b[2+(int(b[0])+1)/2:] // address
	dcs = b[1]
	b = b[2:]
	if !submit {
		b = b[7:] // TP-SCTS
	} else if first&0x18 == 0x10 {
		b = b[1:] // relative TP-VP
	}
	units, data = int(b[0]), b[1:]
	if first&0x40 != 0 {
		header = 1 + int(data[0])
		data = data[header:]
	}
	return dcs, header, units, data
}

// TestFromSeptetsIsLenient: 3GPP TS 23.038 §6.2.1.1 says what a reader sees
// of a code that its phone does not know.
func TestFromSeptetsIsLenient(t *testing.T) {
	for _, c := range []struct {
		name           string
		septets        string
		shift, locking int
		want           string
	}{
		{"an undefined escape shows the basic character", "a\x1bAb", 0, 0, "aAb"},
		{"a lone escape at the end is a blank", "a\x1b", 0, 0, "a "},
		{"two escapes are one blank", "a\x1b\x1bb", 0, 0, "a b"},
		{"three are a blank and an escape", "\x1b\x1b\x1b\x65", 0, 0, " €"},
		{"the eighth bit is nobody's", "\xe1\xe2", 0, 0, "ab"},
		{"an unknown language is the default", "\x1b\x65\x00", 99, -1, "€@"},
		{"Spanish has no locking table", "\x09", 0, Spanish, "Ç"},
		{"Turkish under its own tables", "\x0b\x1b\x73", Turkish, Turkish, "Ğş"},
		{"an undefined escape under a locking table", "\x1b\x0c", 0, Turkish, "ğ"},
		{"Hindi: the sign before the letters is Devanagari", "\x00\x03\x1b\x1b", 6, 6, "\u0901अ "},
		{"a visitor's Tamil", "\x1b\x65", 11, 11, "€"},
		{"Tamil after the escape, Portuguese before it", "\x04\x1b\x65", 11, Portuguese, "ê€"},
		{"a reserved code is a blank", "\x00", 0, 11, " "},
		{"nothing", "", 0, 0, ""},
	} {
		if got := FromSeptets([]byte(c.septets), c.shift, c.locking); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSeptetsRefusesWhatIsNotThere(t *testing.T) {
	for _, c := range []struct {
		text           string
		shift, locking int
	}{{"я", 0, 0}, {"\x1b", 0, 0}, {"ş", 0, 0}, {"ä", 0, Portuguese}, {"a", 7, 0}, {"\xff", 0, 0}} {
		if got, err := Septets(c.text, c.shift, c.locking); err == nil {
			t.Errorf("%q under %d, %d writes %X", c.text, c.shift, c.locking, got)
		}
	}
}

func TestFromUTF16IsLenient(t *testing.T) {
	for _, c := range []struct{ name, units, want string }{
		{"a pair", "\xd8\x3d\xde\x00!", "😀\ufffd"},
		{"a lone high surrogate takes nothing with it", "\xd8\x3d\x00a", "\ufffda"},
		{"a lone low surrogate", "\xde\x00\x00a", "\ufffda"},
		{"a high surrogate at the end", "\x00a\xd8\x3d", "a\ufffd"},
		{"two high surrogates and a low one", "\xd8\x3d\xd8\x3d\xde\x00", "\ufffd😀"},
		{"an odd byte at the end", "\x00a\x00", "a\ufffd"},
		{"a single byte", "a", "\ufffd"},
		{"nothing", "", ""},
	} {
		if got := FromUTF16([]byte(c.units)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestUnpackTakesWhatThereIs(t *testing.T) {
	packed := Pack([]byte("hellohello"), 0)
	for _, c := range []struct {
		fill, n int
		want    string
	}{{0, 10, "hellohello"}, {0, 3, "hel"}, {0, 0, ""}, {0, -1, ""}, {0, 200, "hellohello"}} {
		if got := string(Unpack(packed, c.fill, c.n)); got != c.want {
			t.Errorf("%d septets: %q, want %q", c.n, got, c.want)
		}
	}
	if got := Unpack(nil, 1, 5); got != nil {
		t.Errorf("of nothing: %X", got)
	}
	// Seven octets hold seven septets or eight; only TP-UDL knows.
	seven := Pack([]byte("1234567"), 0)
	if got := string(Unpack(seven, 0, 7)); got != "1234567" {
		t.Errorf("seven septets: %q", got)
	}
}

func TestFillBits(t *testing.T) {
	for header, want := range map[int]int{0: 0, 4: 3, 6: 1, 7: 0, 9: 5, 10: 4, 12: 2, 13: 1} {
		if got := FillBits(header); got != want || (header*8+got)%7 != 0 {
			t.Errorf("behind %d octets: %d, want %d", header, got, want)
		}
	}
}

// TestTogether: everything may be called from anywhere, from the first call
// on. It proves something under the race detector only.
func TestTogether(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Compose("ḥ – ç", Options{Encoding: GSM7, Shift: Turkish}); err != nil {
				t.Error(err)
			}
			if _, err := ParseNumber("0612345678", "NL"); err != nil {
				t.Error(err)
			}
			if got := FromSeptets([]byte{3}, 0, 6); got != "अ" {
				t.Errorf("%q", got)
			}
		})
	}
	wg.Wait()
}
