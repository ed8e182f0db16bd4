package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"
)

// Keys are built from parts whose byte order is the order of their values, so
// that a scan over keys is a scan in order. Every part is either of fixed
// width or ends by itself: no part can run into the next one.

// U8 is one byte, for a rank or a flag.
func U8(v uint8) []byte { return []byte{v} }

// U64 is eight bytes, big endian.
func U64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// Time is eight bytes: nanoseconds since 1970 with the sign bit flipped, so
// that times before 1970 (a box without a clock) sort before later ones. The
// zero time sorts before every other. Times beyond what nanoseconds can say
// (years 1678 to 2262) sort as the first or the last of them. The location is
// lost.
func Time(t time.Time) []byte { return U64(timeBits(t)) }

const signBit = 1 << 63

var (
	firstNano = time.Unix(0, math.MinInt64+1)
	lastNano  = time.Unix(0, math.MaxInt64)
)

func timeBits(t time.Time) uint64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(firstNano):
		return 1
	case t.After(lastNano):
		return math.MaxUint64
	}
	return uint64(t.UnixNano()) ^ signBit
}

func bitsTime(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(v^signBit)).UTC()
}

// escapeStr keeps the zero byte free to end a string, and the order as it was.
var (
	escapeStr   = strings.NewReplacer("\x00", "\x01\x01", "\x01", "\x01\x02")
	unescapeStr = strings.NewReplacer("\x01\x01", "\x00", "\x01\x02", "\x01")
)

// Str is the bytes of s and a zero byte. A shorter string sorts before its
// continuations. The bytes 0 and 1 in s, which no name or number has, are
// escaped to two bytes each.
func Str(s string) []byte {
	if strings.ContainsAny(s, "\x00\x01") {
		s = escapeStr.Replace(s)
	}
	b := make([]byte, len(s)+1)
	copy(b, s)
	return b
}

// Join puts parts together into one key.
func Join(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	key := make([]byte, 0, n)
	for _, p := range parts {
		key = append(key, p...)
	}
	return key
}

// End returns the first key that sorts after every key that begins with
// prefix: where to start walking backwards. Nil, the end of everything, if
// there is no such key.
func End(prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] == 0xFF {
			continue
		}
		end := append([]byte(nil), prefix[:n]...)
		end[n-1]++
		return end
	}
	return nil
}

// errKey is what Key.Err answers for a key that is not built as it was read.
var errKey = errors.New("store: a key is not made of the parts it was read by")

// Key reads a key part by part, in the order in which it was joined. A part
// that is not there reads as zero; Err tells.
type Key struct {
	rest []byte
	bad  bool
}

// ReadKey begins to read key.
func ReadKey(key []byte) *Key { return &Key{rest: key} }

// U8 reads a part made by U8.
func (k *Key) U8() uint8 {
	b := k.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// U64 reads a part made by U64.
func (k *Key) U64() uint64 {
	b := k.take(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// Time reads a part made by Time, in UTC.
func (k *Key) Time() time.Time {
	return bitsTime(k.U64())
}

// Str reads a part made by Str.
func (k *Key) Str() string {
	n := bytes.IndexByte(k.rest, 0)
	if n < 0 {
		k.take(len(k.rest) + 1)
		return ""
	}
	s := string(k.take(n))
	k.take(1)
	if strings.IndexByte(s, 1) >= 0 {
		s = unescapeStr.Replace(s)
	}
	return s
}

// Rest returns what was not read yet.
func (k *Key) Rest() []byte { return k.rest }

// Err is nil if every part that was read was there.
func (k *Key) Err() error {
	if k.bad {
		return errKey
	}
	return nil
}

func (k *Key) take(n int) []byte {
	if n > len(k.rest) {
		k.rest, k.bad = nil, true
		return nil
	}
	b := k.rest[:n]
	k.rest = k.rest[n:]
	return b
}
