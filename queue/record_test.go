package queue

import (
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"tillpost/queue/store"
)

// fillIn gives every field of v a value of its own, so that one which is not
// written, or read into another, is noticed.
func fillIn(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000, int64(*n)).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillIn(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fillIn(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fillIn(key, n)
			fillIn(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString("word " + string(rune('a'+*n%26)) + time.Duration(*n).String())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(-*n))
	case reflect.Uint64:
		v.SetUint(1<<63 + uint64(*n))
	default:
		panic("a field of kind " + v.Kind().String() + " is not known to this test")
	}
}

func packAndRead[T any](v *T, write func(*T, *store.Fields), read func(*T, *store.Reader)) (*T, []byte, error) {
	var f store.Fields
	write(v, &f)
	got := new(T)
	r := store.Read(f)
	for r.Next() {
		read(got, r)
	}
	return got, f, r.Err()
}

func TestEveryFieldIsWritten(t *testing.T) {
	n := 0
	m, e := new(Message), new(Event)
	fillIn(reflect.ValueOf(m).Elem(), &n)
	fillIn(reflect.ValueOf(e).Elem(), &n)
	if got, _, err := packAndRead(m, writeMessage, readMessage); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("written %+v\nread    %+v\n%v", m, got, err)
	}
	if got, _, err := packAndRead(e, writeEvent, readEvent); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("written %+v\nread    %+v\n%v", e, got, err)
	}
	if got, raw, err := packAndRead(&Message{}, writeMessage, readMessage); err != nil || len(raw) != 0 || !reflect.DeepEqual(got, &Message{}) {
		t.Errorf("an empty message is %d bytes and reads %+v, %v", len(raw), got, err)
	}
}

// TestNumbersOfFieldsStay holds the numbers in record.go against a row as the
// first release with packed rows wrote it.
func TestNumbersOfFieldsStay(t *testing.T) {
	e := &Event{
		Seq: 7, At: time.Unix(1_700_000_000, 0).UTC(), Kind: KindSent, Msg: 9, State: Sent, Attempt: 1, Part: 2,
		Route: "counter", Identity: "8931", Ref: "12", Code: "ok", Detail: "d", By: "till", Until: time.Unix(1_700_000_001, 0).UTC(),
	}
	const row = "0407" + "0997979cfe362a0000" + "0e0473656e74" + "110000000000000009" + "160473656e74" + "1802" + "1c04" +
		"2207636f756e746572" + "260438393331" + "2a023132" + "2e026f6b" + "320164" + "360474696c6c" + "3997979cfe71c4ca00"
	got, raw, err := packAndRead(e, writeEvent, readEvent)
	if err != nil || hex.EncodeToString(raw) != row || !reflect.DeepEqual(got, e) {
		t.Errorf("the row is %x\nwant       %s\n%v", raw, row, err)
	}
}

// TestRowsOfBeforeAreRead: rows were JSON once, and stay so until they change.
func TestRowsOfBeforeAreRead(t *testing.T) {
	n := 0
	m := new(Message)
	fillIn(reflect.ValueOf(m).Elem(), &n)
	m.ID &= 1<<63 - 1
	path := filepath.Join(t.TempDir(), "queue.db")
	before := store.NewTable("message", func(m *Message) []byte { return m.ID.key() })
	inStore(t, path, before, func(tx *store.Tx) error { return before.Insert(tx, m) })

	now := store.NewTable("message", func(m *Message) []byte { return m.ID.key() }).Packed(writeMessage, readMessage)
	for _, change := range []func(m *Message) error{
		func(*Message) error { return nil },                       // what was JSON
		func(m *Message) error { m.Till = "another"; return nil }, // and is packed since
	} {
		inStore(t, path, now, func(tx *store.Tx) error {
			got, err := now.Get(tx, m.ID.key())
			if err != nil {
				return err
			}
			if a, b := asJSON(t, got), asJSON(t, m); a != b {
				t.Errorf("read %s\nwant %s", a, b)
			}
			_, err = now.Update(tx, m.ID.key(), change)
			return err
		})
		if err := change(m); err != nil {
			t.Fatal(err)
		}
	}
}

func inStore(t *testing.T, path string, s store.Schema, fn func(*store.Tx) error) {
	t.Helper()
	db, err := store.Open(store.Options{Path: path}, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(t.Context(), fn); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
