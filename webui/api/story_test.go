package api

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"tillpost/queue"
)

// The API and the queue spell an event alike: what a webhook kept, a page was
// sent and a client reads is one thing.
func TestAnEventIsSpelledAsTheQueueSpellsIt(t *testing.T) {
	var full queue.Event
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.String:
			f.SetString(v.Type().Field(i).Name)
		case f.CanInt():
			f.SetInt(int64(i) + 1)
		case f.CanUint():
			f.SetUint(uint64(i) + 1)
		case f.Type() == reflect.TypeFor[time.Time]():
			f.Set(reflect.ValueOf(time.Unix(int64(i)+1, 0).UTC()))
		default:
			t.Fatalf("%s has a type that this test does not know", v.Type().Field(i).Name)
		}
	}
	for _, e := range []queue.Event{{}, full} {
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(event(e))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("the queue spells\n%s, the API\n%s", want, got)
		}
	}
}
