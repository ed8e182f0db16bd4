package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"

	bolt "go.etcd.io/bbolt"
)

// Schema is a table that Open is to know. Only Table implements it.
type Schema interface {
	names() []string // of the table, then of its indexes
	missing(b *bolt.Tx) bool
	create(b *bolt.Tx) error
	fill(db *DB) error
	check(tx *Tx, report func(error))
	aside(ctx context.Context, db *DB, key []byte) error
}

// Table keeps rows of T under the key that key makes of them, in key order,
// and its indexes with every change. A row is a checksum and JSON, readable
// with other tools and tolerant of fields that come later, or packed fields.
type Table[T any] struct {
	name       []byte
	key        func(*T) []byte
	indexes    []*Index[T]
	pack       float64
	toFields   func(*T, *Fields)
	fromFields func(*T, *Reader)
	expendable bool
}

// NewTable describes a table. The name is its name on the disk. key must make
// the same key of a row for as long as the row exists.
func NewTable[T any](name string, key func(*T) []byte, indexes ...*Index[T]) *Table[T] {
	return &Table[T]{name: []byte(name), key: key, indexes: indexes, pack: bolt.DefaultFillPercent}
}

// Rising says that new keys are always the highest (a sequence, a time) and
// rows seldom grow later: pages are then filled to nine tenths instead of
// half. It returns t.
func (t *Table[T]) Rising() *Table[T] {
	t.pack = 0.9
	return t
}

// Packed says how a row is written as fields and read from them, for a table
// where the time and size of JSON matter. Rows that are JSON are still read.
// It returns t.
func (t *Table[T]) Packed(write func(*T, *Fields), read func(*T, *Reader)) *Table[T] {
	t.toFields, t.fromFields = write, read
	return t
}

// Name is its name on the disk.
func (t *Table[T]) Name() string { return string(t.name) }

func (t *Table[T]) names() []string {
	all := []string{string(t.name)}
	for _, ix := range t.indexes {
		all = append(all, string(ix.name))
	}
	return all
}

// Get returns the row with this key, or nil if there is none, or if it cannot
// be read and a View skips it (Expendable).
func (t *Table[T]) Get(tx *Tx, key []byte) (*T, error) {
	b, err := tx.bucket(t.name)
	if err != nil {
		return nil, err
	}
	raw := b.Get(key)
	if raw == nil {
		return nil, nil
	}
	v, err := t.decode(tx, key, raw)
	if err != nil && t.skips(tx, key, err) {
		return nil, nil
	}
	return v, err
}

// Insert adds a row. ErrExists if there is one with its key.
func (t *Table[T]) Insert(tx *Tx, v *T) error {
	b, err := tx.bucket(t.name)
	if err != nil {
		return err
	}
	key := t.key(v)
	if b.Get(key) != nil {
		return fmt.Errorf("table %s: %w", t.name, ErrExists)
	}
	return t.write(tx, key, v, make([][][]byte, len(t.indexes)))
}

// Put adds a row, or replaces the one with its key.
func (t *Table[T]) Put(tx *Tx, v *T) error {
	b, err := tx.bucket(t.name)
	if err != nil {
		return err
	}
	key := t.key(v)
	before, err := t.keysOf(tx, b, key)
	if err != nil {
		return err
	}
	return t.write(tx, key, v, before)
}

// Update changes the row with this key by fn and returns it as it is now.
// ErrNotFound if there is none. After an error of fn nothing is written. fn
// must not change what the key is made of.
func (t *Table[T]) Update(tx *Tx, key []byte, fn func(*T) error) (*T, error) {
	b, err := tx.bucket(t.name)
	if err != nil {
		return nil, err
	}
	raw := b.Get(key)
	if raw == nil {
		return nil, fmt.Errorf("table %s: %w", t.name, ErrNotFound)
	}
	v, err := t.decode(tx, key, raw)
	if err != nil {
		return nil, err
	}
	before := t.indexKeys(v)
	if err := fn(v); err != nil {
		return nil, err
	}
	if !bytes.Equal(t.key(v), key) {
		return nil, fmt.Errorf("store: table %s: an update changed the key of a row", t.name)
	}
	if err := t.write(tx, key, v, before); err != nil {
		return nil, err
	}
	return v, nil
}

// Delete removes the row with this key, if there is one.
func (t *Table[T]) Delete(tx *Tx, key []byte) error {
	b, err := tx.bucket(t.name)
	if err != nil {
		return err
	}
	if b.Get(key) == nil {
		return nil
	}
	before, err := t.keysOf(tx, b, key)
	if err != nil {
		return err
	}
	if b, err = t.change(tx); err != nil {
		return err
	}
	if err := b.Delete(key); err != nil {
		return fmt.Errorf("store: table %s: %w", t.name, err)
	}
	for i, ix := range t.indexes {
		if err := ix.move(tx, key, before[i], nil); err != nil {
			return err
		}
	}
	return nil
}

// NextSequence returns 1, 2, 3 … : a number this table never gave before. A
// number whose commit failed is given again.
func (t *Table[T]) NextSequence(tx *Tx) (uint64, error) {
	b, err := t.change(tx)
	if err != nil {
		return 0, err
	}
	return b.NextSequence()
}

// Scan goes through the rows in key order from the first key that is not
// below from; nil: from the start. A row that cannot be read comes as an
// error; the loop may go on to the next. A View skips it if it is Expendable. Rows may be changed in the loop:
// what lies ahead is seen as it is by then.
func (t *Table[T]) Scan(tx *Tx, from []byte) iter.Seq2[*T, error] {
	return t.rows(tx, walk{from: from}, fresh[T])
}

// ScanInto is Scan into rows of the caller's: room gives an empty one for
// each. A list of a thousand is then one piece of memory, not a thousand.
func (t *Table[T]) ScanInto(tx *Tx, from []byte, room func() *T) iter.Seq2[*T, error] {
	return t.rows(tx, walk{from: from}, room)
}

// ScanBack goes through the rows backwards, starting with the last key below
// from; nil: from the end. Else it is like Scan.
func (t *Table[T]) ScanBack(tx *Tx, from []byte) iter.Seq2[*T, error] {
	return t.rows(tx, walk{from: from, back: true}, fresh[T])
}

func fresh[T any]() *T { return new(T) }

func (t *Table[T]) rows(tx *Tx, w walk, room func() *T) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		err := w.run(tx, t.name, func(key, raw []byte) bool {
			v, err := t.decodeInto(room(), tx, key, raw)
			if err != nil && t.skips(tx, key, err) {
				return true
			}
			return yield(v, err)
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// write puts v under key and moves its index entries from before (one list of
// keys for each index) to where they belong now.
func (t *Table[T]) write(tx *Tx, key []byte, v *T, before [][][]byte) error {
	raw, err := t.encode(v)
	if err != nil {
		return fmt.Errorf("store: table %s: %w", t.name, err)
	}
	b, err := t.change(tx)
	if err != nil {
		return err
	}
	if err := b.Put(key, raw); err != nil {
		return fmt.Errorf("store: table %s: %w", t.name, err)
	}
	for i, ix := range t.indexes {
		if err := ix.move(tx, key, before[i], ix.keys(v)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table[T]) change(tx *Tx) (*bolt.Bucket, error) {
	b, err := tx.change(t.name)
	if err != nil {
		return nil, err
	}
	b.FillPercent = t.pack
	return b, nil
}

// keysOf returns the index keys of the row that is stored under key.
func (t *Table[T]) keysOf(tx *Tx, b *bolt.Bucket, key []byte) ([][][]byte, error) {
	raw := b.Get(key)
	if raw == nil || len(t.indexes) == 0 {
		return make([][][]byte, len(t.indexes)), nil
	}
	v, err := t.decode(tx, key, raw)
	if err != nil {
		return nil, err
	}
	return t.indexKeys(v), nil
}

func (t *Table[T]) indexKeys(v *T) [][][]byte {
	all := make([][][]byte, len(t.indexes))
	for i, ix := range t.indexes {
		all[i] = ix.keys(v)
	}
	return all
}

func (t *Table[T]) encode(v *T) ([]byte, error) {
	if t.toFields == nil {
		return encode(v)
	}
	f := make(Fields, sumSize+1, 512)
	f[sumSize] = packed
	t.toFields(v, &f)
	return seal(f), nil
}

func (t *Table[T]) decode(tx *Tx, key, raw []byte) (*T, error) {
	return t.decodeInto(new(T), tx, key, raw)
}

func (t *Table[T]) decodeInto(v *T, tx *Tx, key, raw []byte) (*T, error) {
	if err := t.read(raw, v); err != nil {
		return nil, t.damage(tx.db, key, err)
	}
	return v, nil
}

// damage is what is told of a row that cannot be read.
func (t *Table[T]) damage(db *DB, key []byte, err error) *Damage {
	d := &Damage{File: db.opt.Path, What: "table " + string(t.name) + ", row " + hex.EncodeToString(key), Err: err}
	if t.expendable {
		d.row = &lostRow{table: string(t.name), key: bytes.Clone(key)}
	}
	return d
}

func (t *Table[T]) read(raw []byte, v *T) error {
	if len(raw) <= sumSize || raw[sumSize] != packed || t.fromFields == nil {
		return decode(raw, v)
	}
	if err := checkSum(raw); err != nil {
		return err
	}
	r := Read(raw[sumSize+1:])
	for r.Next() {
		t.fromFields(v, r)
	}
	return r.Err()
}

// A row on the disk: CRC-32C of the rest, then JSON, or the byte packed and
// fields. bbolt has no checksums of its own: without this a flipped bit in a
// text would go out as it is.
const (
	sumSize = 4
	packed  = 1 // no JSON begins so
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errShort = errors.New("the row is cut off")
	errSum   = errors.New("the checksum does not match")
)

// seal writes the checksum into the room before raw.
func seal(raw []byte) []byte {
	binary.BigEndian.PutUint32(raw, crc32.Checksum(raw[sumSize:], castagnoli))
	return raw
}

func checkSum(raw []byte) error {
	if len(raw) < sumSize {
		return errShort
	}
	if binary.BigEndian.Uint32(raw) != crc32.Checksum(raw[sumSize:], castagnoli) {
		return errSum
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	buf.Write(make([]byte, sumSize))
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // half the size for a text full of angle brackets
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return seal(buf.Bytes()[:buf.Len()-1]), nil // Encode ends the line
}

func decode(raw []byte, v any) error {
	if err := checkSum(raw); err != nil {
		return err
	}
	return json.Unmarshal(raw[sumSize:], v)
}
