package route_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"tillpost/queue/route"
)

// TestPlainDataSurvivesJSON fills every field there is, also those that come
// later, and brings it through JSON and back: a route may one day live in
// another box.
func TestPlainDataSurvivesJSON(t *testing.T) {
	for _, v := range []any{
		&route.Outbound{},
		&route.Receipt{},
		&route.Inbound{},
		&route.Report{},
		&route.Status{},
		&route.Error{},
	} {
		typ := reflect.TypeOf(v).Elem()
		t.Run(typ.Name(), func(t *testing.T) {
			roundTrip(t, v) // empty
			n := 0
			fill(t, reflect.ValueOf(v).Elem(), typ.Name(), &n)
			if n < 3 {
				t.Fatalf("only %d fields were filled", n)
			}
			roundTrip(t, v)
		})
	}
}

func roundTrip(t *testing.T, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
	if err := json.Unmarshal(raw, back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, v) {
		t.Errorf("came back as\n%+v, was\n%+v, as JSON\n%s", back, v, raw)
	}
}

// fill gives every field below v a value of its own that is not zero. The only
// field that does not cross the seam is the cause of an Error.
func fill(t *testing.T, v reflect.Value, path string, n *int) {
	t.Helper()
	*n++
	switch at := v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(at.UTC().AddDate(2025, *n%12, *n).Add(time.Duration(*n))))
		return
	case time.Duration:
		v.SetInt(int64(time.Duration(*n) * time.Second))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if path == "Error" && f.Name == "Err" && f.Tag.Get("json") == "-" {
				continue
			}
			if !f.IsExported() {
				t.Errorf("%s.%s does not cross the seam", path, f.Name)
				continue
			}
			fill(t, v.Field(i), path+"."+f.Name, n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), path, n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), path, n)
		}
	case reflect.String:
		v.SetString(path + " \"<é€😀>\"\x00")
	case reflect.Int:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Errorf("%s is a %s: no plain data", path, v.Type())
	}
}

func TestTodo(t *testing.T) {
	part := func(n int, s route.PartState) route.Part { return route.Part{N: n, Of: 3, State: s} }
	for _, c := range []struct {
		name string
		done []route.Part
		want []int
	}{
		{"nothing went out", nil, []int{1, 2, 3}},
		{"the first went out", []route.Part{part(1, route.PartSent)}, []int{2, 3}},
		{"one in the middle went out", []route.Part{part(2, route.PartSent)}, []int{1, 3}},
		{"all went out", []route.Part{part(1, route.PartSent), part(2, route.PartSent), part(3, route.PartSent)}, nil},
		{"a refused part goes again", []route.Part{part(1, route.PartSent), part(2, route.PartRefused)}, []int{2, 3}},
		{"a resend of an unknown part", []route.Part{part(1, route.PartUnknown)}, []int{1, 2, 3}},
		{"the last word about a part counts", []route.Part{part(1, route.PartRefused), part(1, route.PartSent)}, []int{2, 3}},
	} {
		out := route.Outbound{Segments: make([]route.Segment, 3), Done: c.done}
		if got := out.Todo(); !slices.Equal(got, c.want) {
			t.Errorf("%s: to do are %v, want %v", c.name, got, c.want)
		}
	}
}
