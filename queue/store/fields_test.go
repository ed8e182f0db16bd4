package store

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func TestFieldsComeBack(t *testing.T) {
	var f Fields
	at := time.Date(1969, 12, 31, 23, 59, 59, 1, time.UTC)
	long := strings.Repeat("x", 20_000)
	f.Uint(1, math.MaxUint64)
	f.Int(2, math.MinInt)
	f.Int(3, math.MaxInt)
	f.Bool(4, true)
	f.Fixed(5, 1<<63)
	f.Time(6, at)
	f.Str(7, long)
	for _, n := range []int{0, 1, 127, 128, 16_384} {
		f.Sub(62, func(f *Fields) { f.Str(1, long[:n]) })
	}
	var lengths []int
	r := Read(f)
	for r.Next() {
		ok := true
		switch r.Field {
		case 1:
			ok = r.Uint() == math.MaxUint64
		case 2:
			ok = r.Int() == math.MinInt
		case 3:
			ok = r.Int() == math.MaxInt
		case 4:
			ok = r.Bool()
		case 5:
			ok = r.Uint() == 1<<63
		case 6:
			ok = r.Time().Equal(at)
		case 7:
			ok = r.Str() == long && bytes.Equal(r.Bytes(), []byte(long))
		case 62:
			n := 0
			r.Sub(func(r *Reader) { n = len(r.Str()) })
			lengths = append(lengths, n)
		}
		if !ok {
			t.Errorf("field %d came back otherwise", r.Field)
		}
	}
	if r.Err() != nil || len(lengths) != 5 || lengths[0] != 0 || lengths[3] != 128 || lengths[4] != 16_384 {
		t.Errorf("lengths %v, %v", lengths, r.Err())
	}

	f = nil
	f.Uint(1, 0)
	f.Int(2, 0)
	f.Bool(3, false)
	f.Time(4, time.Time{})
	f.Str(5, "")
	if len(f) != 0 {
		t.Errorf("nothing takes %d bytes", len(f))
	}
}

// TestUnknownFieldsAreSkipped: a row of a later program.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	var f Fields
	f.Str(40, "later")
	f.Uint(41, 9)
	f.Fixed(42, 9)
	f.Str(1, "mine")
	got := ""
	for r := Read(f); r.Next(); {
		if r.Field == 1 {
			got = r.Str()
		}
	}
	if got != "mine" {
		t.Errorf("read %q", got)
	}
}

func TestGarbledFieldsAreAnError(t *testing.T) {
	var whole Fields
	whole.Uint(1, 300)
	whole.Fixed(2, 1)
	whole.Sub(3, func(f *Fields) { f.Str(1, "abc") })
	ends := map[int]bool{0: true, 3: true, 12: true, len(whole): true} // a cut between fields is no error of theirs: the checksum sees it
	for n := range len(whole) + 1 {
		r := Read(whole[:n])
		for r.Next() {
			r.Sub(func(*Reader) {})
		}
		if (r.Err() == nil) != ends[n] {
			t.Errorf("cut after %d bytes: %v", n, r.Err())
		}
	}
	for _, raw := range []string{"\x07", "\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x0e\x02\x06\x09"} {
		r := Read([]byte(raw))
		for r.Next() {
			r.Sub(func(*Reader) {})
		}
		if r.Err() == nil {
			t.Errorf("%x was read", raw)
		}
	}
}

func FuzzFields(f *testing.F) {
	var row Fields
	row.Uint(1, 300)
	row.Sub(3, func(f *Fields) { f.Str(1, "abc") })
	f.Add([]byte(row))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := Read(raw)
		for n := 0; r.Next(); n++ {
			if n > len(raw) {
				t.Fatal("more fields than bytes")
			}
			r.Sub(func(r *Reader) { _, _, _ = r.Str(), r.Int(), r.Time() })
		}
	})
}
