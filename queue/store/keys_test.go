package store

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestKeyOrder lists keys in the order in which a lane is to find its work.
func TestKeyOrder(t *testing.T) {
	at := func(year int) time.Time { return time.Date(year, 7, 1, 12, 0, 0, 0, time.UTC) }
	sorted := [][]byte{
		Join(Str(""), U8(0), Time(time.Time{}), U64(0)),
		Join(Str("\x00"), U8(0), Time(time.Time{}), U64(0)),
		Join(Str("\x01"), U8(0), Time(time.Time{}), U64(0)),
		Join(Str("\x01\x00"), U8(0), Time(time.Time{}), U64(0)),
		Join(Str("\x02"), U8(0), Time(time.Time{}), U64(0)),
		Join(Str("sms"), U8(0), Time(time.Time{}), U64(7)),
		Join(Str("sms"), U8(0), Time(at(1)), U64(7)), // before nanoseconds begin
		Join(Str("sms"), U8(0), Time(at(1678)), U64(7)),
		Join(Str("sms"), U8(0), Time(time.Unix(0, -1)), U64(7)),
		Join(Str("sms"), U8(0), Time(time.Unix(0, 0)), U64(7)), // a box without a clock
		Join(Str("sms"), U8(0), Time(time.Unix(0, 1)), U64(7)),
		Join(Str("sms"), U8(0), Time(at(2026)), U64(7)),
		Join(Str("sms"), U8(0), Time(at(2026)), U64(8)),
		Join(Str("sms"), U8(0), Time(at(2026)), U64(256)),
		Join(Str("sms"), U8(0), Time(at(2026).Add(1)), U64(0)),
		Join(Str("sms"), U8(0), Time(at(2400)), U64(7)), // after they end
		Join(Str("sms"), U8(1), Time(time.Time{}), U64(0)),
		Join(Str("sms"), U8(200), Time(time.Time{}), U64(0)),
		Join(Str("sms-2"), U8(0), Time(time.Time{}), U64(0)),
		Join(Str("é"), U8(0), Time(time.Time{}), U64(0)),
	}
	for i := 1; i < len(sorted); i++ {
		if bytes.Compare(sorted[i-1], sorted[i]) >= 0 {
			t.Errorf("key %d %x is not below key %d %x", i-1, sorted[i-1], i, sorted[i])
		}
	}
}

func TestKeysKeepOrderAndValues(t *testing.T) {
	type parts struct {
		s string
		n int64
		u uint64
		b uint8
	}
	gen := rapid.Custom(func(t *rapid.T) parts {
		return parts{
			s: string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xFF}), 0, 5).Draw(t, "s")),
			n: rapid.Int64Range(math.MinInt64+1, math.MaxInt64).Draw(t, "n"),
			u: rapid.Uint64().Draw(t, "u"),
			b: rapid.Uint8().Draw(t, "b"),
		}
	})
	key := func(p parts) []byte { return Join(Str(p.s), Time(time.Unix(0, p.n)), U64(p.u), U8(p.b)) }
	rapid.Check(t, func(t *rapid.T) {
		p, q := gen.Draw(t, "p"), gen.Draw(t, "q")
		if rapid.Bool().Draw(t, "same start") {
			q.s = p.s
		}
		want := cmp.Or(cmp.Compare(p.s, q.s), cmp.Compare(p.n, q.n), cmp.Compare(p.u, q.u), cmp.Compare(p.b, q.b))
		if got := bytes.Compare(key(p), key(q)); got != want {
			t.Fatalf("%+v and %+v compare as %d, their keys as %d", p, q, want, got)
		}
		k := ReadKey(key(p))
		back := parts{s: k.Str(), n: k.Time().UnixNano(), u: k.U64(), b: k.U8()}
		if back != p || k.Err() != nil || len(k.Rest()) != 0 {
			t.Fatalf("%+v was read back as %+v, %v", p, back, k.Err())
		}
	})
}

func TestReadKeyTellsWrongKeys(t *testing.T) {
	for name, read := range map[string]func(*Key){
		"Str without an end": func(k *Key) { k.Str() },
		"Time too short":     func(k *Key) { k.Time() },
		"U64 too short":      func(k *Key) { k.U8(); k.U64() },
	} {
		k := ReadKey([]byte("abcdefg"))
		read(k)
		if k.Err() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	k := ReadKey(Time(time.Time{}))
	if !k.Time().IsZero() || k.Err() != nil {
		t.Error("the zero time does not come back")
	}
	if k.U8(); k.Err() == nil {
		t.Error("a part beyond the end: no error")
	}
}

func TestEndIsAboveAllWithPrefix(t *testing.T) {
	for _, c := range []struct{ prefix, end []byte }{
		{[]byte("ab"), []byte("ac")},
		{[]byte{1, 0xFF, 0xFF}, []byte{2}},
		{[]byte{0xFF}, nil},
		{nil, nil},
	} {
		if got := End(c.prefix); !slices.Equal(got, c.end) || (got == nil) != (c.end == nil) {
			t.Errorf("End(%x) = %x, want %x", c.prefix, got, c.end)
		}
	}
}
