package store

import (
	"encoding/binary"
	"errors"
	"time"
)

// A row that is written thousands of times a second is kept as fields instead
// of JSON (Table.Packed): a third of the bytes and a tenth of the time. Each
// field is a byte that says which one it is and how long, and its value.
// What is zero is left out; a reader skips numbers it does not know, so that a
// later program may add some.

// Fields is a row being written. Field numbers are 1 to 62 and belong to
// their table for ever.
type Fields []byte

const (
	kindUint  = 0 // unsigned varint
	kindFixed = 1 // eight bytes, big endian
	kindBytes = 2 // varint length, then that many bytes
)

func (f *Fields) tag(field, kind int) {
	if field < 1 || field > 62 {
		panic("store: field numbers are 1 to 62")
	}
	*f = append(*f, byte(field<<2|kind))
}

// Uint adds a number, small ones in few bytes.
func (f *Fields) Uint(field int, v uint64) {
	if v == 0 {
		return
	}
	f.tag(field, kindUint)
	*f = binary.AppendUvarint(*f, v)
}

// Int adds a number that may be negative.
func (f *Fields) Int(field int, v int) { f.Uint(field, uint64(v)<<1^uint64(v>>63)) }

// Bool adds a truth.
func (f *Fields) Bool(field int, v bool) {
	if v {
		f.Uint(field, 1)
	}
}

// Fixed adds a number whose high bits are in use.
func (f *Fields) Fixed(field int, v uint64) {
	if v == 0 {
		return
	}
	f.tag(field, kindFixed)
	*f = binary.BigEndian.AppendUint64(*f, v)
}

// Time adds a moment, as the key part of the same name: to the nanosecond,
// without its location.
func (f *Fields) Time(field int, t time.Time) { f.Fixed(field, timeBits(t)) }

// Str adds a string.
func (f *Fields) Str(field int, s string) {
	if s == "" {
		return
	}
	f.tag(field, kindBytes)
	*f = append(binary.AppendUvarint(*f, uint64(len(s))), s...)
}

// Sub adds what fn writes as one field, even when that is nothing: one
// element of a list.
func (f *Fields) Sub(field int, fn func(*Fields)) {
	f.tag(field, kindBytes)
	at := len(*f)
	*f = append(*f, 0) // the length, when it fits one byte
	fn(f)
	n := len(*f) - at - 1
	if n < 0x80 {
		(*f)[at] = byte(n)
		return
	}
	var size [binary.MaxVarintLen64]byte
	w := binary.PutUvarint(size[:], uint64(n))
	*f = append(*f, size[1:w]...) // room
	copy((*f)[at+w:], (*f)[at+1:at+1+n])
	copy((*f)[at:], size[:w])
}

// Reader goes through the fields of a row:
//
//	for r := store.Read(raw); r.Next(); {
//		switch r.Field {
//		case 1: v.To = r.Str()
//		}
//	}
//	return r.Err()
type Reader struct {
	Field int // number of the field at hand

	rest  []byte
	kind  int
	num   uint64
	bytes []byte
	err   error
}

var errFields = errors.New("the fields of the row are garbled")

// Read starts at the first field.
func Read(raw []byte) *Reader { return &Reader{rest: raw} }

// Next goes to the next field; false at the end or at the first that cannot
// be read.
func (r *Reader) Next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	r.Field, r.kind = int(r.rest[0]>>2), int(r.rest[0]&3)
	r.rest = r.rest[1:]
	r.num, r.bytes = 0, nil
	switch r.kind {
	case kindFixed:
		if len(r.rest) < 8 {
			return r.fail()
		}
		r.num, r.rest = binary.BigEndian.Uint64(r.rest), r.rest[8:]
	case kindUint, kindBytes:
		v, n := binary.Uvarint(r.rest)
		if n <= 0 {
			return r.fail()
		}
		r.rest = r.rest[n:]
		if r.kind == kindUint {
			r.num = v
			break
		}
		if v > uint64(len(r.rest)) {
			return r.fail()
		}
		r.bytes, r.rest = r.rest[:v], r.rest[v:]
	default:
		return r.fail()
	}
	return true
}

func (r *Reader) fail() bool {
	r.err = errFields
	return false
}

// Err is what stopped Next, nil at the end of a whole row.
func (r *Reader) Err() error { return r.err }

// Uint is the value of a field that Uint or Fixed wrote.
func (r *Reader) Uint() uint64 { return r.num }

// Int is the value of a field that Int wrote.
func (r *Reader) Int() int { return int(r.num>>1) ^ -int(r.num&1) }

// Bool is the value of a field that Bool wrote.
func (r *Reader) Bool() bool { return r.num != 0 }

// Time is the value of a field that Time wrote, in UTC.
func (r *Reader) Time() time.Time { return bitsTime(r.num) }

// Str is the value of a field that Str wrote.
func (r *Reader) Str() string { return string(r.bytes) }

// Bytes is that value without a copy: good while the transaction lasts.
func (r *Reader) Bytes() []byte { return r.bytes }

// Sub reads a field that Sub wrote; what is wrong in it stops r too.
func (r *Reader) Sub(fn func(*Reader)) {
	sub := Reader{rest: r.bytes}
	for sub.Next() {
		fn(&sub)
	}
	if sub.err != nil {
		r.err = sub.err
	}
}
