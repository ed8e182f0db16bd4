package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestParseNumber: number_cases.csv. The national spellings in it were written
// by software that knows every plan, not by this package.
func TestParseNumber(t *testing.T) {
	seen := make(map[string]bool)
	for _, row := range rows(t, "testdata/number_cases.csv") {
		t.Run(row["country"]+"/"+row["input"], func(t *testing.T) {
			n, err := ParseNumber(row["input"], row["country"])
			if row["code"] == "" {
				seen[row["iso"]+row["kind"]] = true
				if err != nil || n.String() != row["want"] || n.Country() != row["iso"] || string(n.Kind()) != row["kind"] {
					t.Errorf("%q: %q, %q of %q, %v; want %q, %q of %q", row["input"], n, n.Kind(), n.Country(), err, row["want"], row["kind"], row["iso"])
				}
				if again, err := ParseNumber(n.String(), row["country"]); err != nil || again != n {
					t.Errorf("%q is read again as %q, %v", n, again, err)
				}
				return
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != row["code"] || e.Field != "to" || !n.IsZero() {
				t.Fatalf("%q: %q, %v; want %s", row["input"], n, err, row["code"])
			}
			if !strings.Contains(e.Detail, ":") {
				t.Errorf("%q names no remedy", e.Detail)
			}
		})
	}
	for _, iso := range Countries() {
		if !seen[iso+"mobile"] && !seen[iso+"any"] {
			t.Errorf("no mobile number of %s among the cases", iso)
		}
	}
}

func TestReadNumberKeepsPremium(t *testing.T) {
	n, err := ReadNumber("0900-1234", "NL")
	if err != nil || n.String() != "+319001234" || !n.Premium() || n.Kind() != KindPremium {
		t.Errorf("%q, %q, %v", n, n.Kind(), err)
	}
	if n, err := ReadNumber("118000", "DE"); err != nil || !n.Short() || !n.Premium() {
		t.Errorf("%q, %v", n, err)
	}
}

func TestZeroNumberIsNone(t *testing.T) {
	var n Number
	if !n.IsZero() || n.String() != "" || n.Short() || n.Premium() || n.Country() != "" {
		t.Errorf("%+v", n)
	}
}

func TestLongNonsenseIsNotRepeated(t *testing.T) {
	_, err := ParseNumber(strings.Repeat("12345 ", 1000), "NL")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeNumberInvalid || len(e.Detail) > 200 {
		t.Errorf("%d bytes of refusal: %.300v", len(e.Detail), err)
	}
}

func TestNumberAsJSON(t *testing.T) {
	n, err := ParseNumber("0612345678", "NL")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(n); err != nil || string(b) != `"+31612345678"` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestNumberStaysOutOfLogs(t *testing.T) {
	n, err := ParseNumber("0612345678", "NL")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("sent", "to", n)
	if strings.Contains(b.String(), "12345") || !strings.Contains(b.String(), "678") {
		t.Errorf("logged as %s", b.String())
	}
}

// TestPlans: the tables hold together.
func TestPlans(t *testing.T) {
	want := strings.Fields("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK NO CH GB")
	slices.Sort(want)
	if got := Countries(); !slices.Equal(got, want) {
		t.Errorf("countries %v, want the European Union, NO, CH, GB: %v", got, want)
	}
	kinds := []Kind{KindMobile, KindLandline, KindAny, KindFree, KindShared, KindPremium, KindOther, KindUnknown}
	known := slices.Collect(maps.Values(codes()))
	for iso, c := range countries() {
		if codes()[c.code] != iso {
			t.Errorf("+%s is %s in codes.csv, %s in countries.csv", c.code, codes()[c.code], iso)
		}
		if _, ok := c.ranges[""]; !ok {
			t.Errorf("%s has no line for the rest", iso)
		}
		for prefix, r := range c.ranges {
			if r.min < 4 || r.max < r.min || len(c.code)+r.max > 15 || !slices.Contains(kinds, r.kind) || len(prefix) > 4 || len(prefix) >= r.min {
				t.Errorf("%s %q: %+v", iso, prefix, r)
			}
		}
		if hood := Neighbours(iso); hood[0] != iso {
			t.Errorf("%s is not first in its own list: %v", iso, hood)
		}
		for _, near := range c.neighbours {
			// The relation goes both ways where we know the other side.
			if other, ok := countries()[near]; ok && !slices.Contains(other.neighbours, iso) && !oneWay[iso+near] {
				t.Errorf("%s has %s as a neighbour, but not the reverse", iso, near)
			}
			if !slices.Contains(known, near) {
				t.Errorf("%s: no calling code for its neighbour %s", iso, near)
			}
		}
	}
	for prefix, iso := range codes() {
		if len(prefix) > 7 || len(iso) != 2 {
			t.Errorf("codes.csv: %s,%s", prefix, iso)
		}
	}
}

// oneWay: across the sea, from the island only.
var oneWay = map[string]bool{"GBFR": true, "GBBE": true, "GBNL": true}

func TestNeighboursOfAnUnknownCountry(t *testing.T) {
	if got := fmt.Sprint(Neighbours("is"), Neighbours("")); got != "[IS] []" {
		t.Errorf("got %s", got)
	}
}
