package text

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// The numbering plans are tables of our own: a library for them is half the
// program's size (library-facts §8), and a shop needs its own country, its
// neighbours and the difference between a mobile and a premium number.
//
//go:embed tables/countries.csv
var countriesCSV string

//go:embed tables/numbers.csv
var numbersCSV string

//go:embed tables/codes.csv
var codesCSV string

//go:embed tables/emergency.csv
var emergencyCSV string

// country is one country whose numbering plan we have.
type country struct {
	iso, name  string
	code       string   // calling code
	trunk      []string // what is dialled before a number inside the country; none in many
	neighbours []string
	ranges     map[string]numberRange // by prefix of the national number; "" is the rest
}

// numberRange is a range of national significant numbers.
type numberRange struct {
	prefix   string
	kind     Kind
	min, max int // digits
}

// find returns the range of a national significant number; the longest prefix
// decides. why is empty, or says what is wrong with the number and what is
// right.
func (c *country) find(nsn string) (r numberRange, why string) {
	for n := min(len(nsn), 4); n > 0; n-- {
		r, ok := c.ranges[nsn[:n]]
		if !ok {
			continue
		}
		if r.holds(nsn) {
			return r, ""
		}
		if why == "" {
			why = c.wrongLength(r, len(nsn))
		}
		// A landline range may lie under a premium one and have other lengths
		// (IE 1 5… and 15…). Nothing lies under a mobile range.
		if r.kind == KindMobile {
			break
		}
	}
	if why != "" {
		return numberRange{}, why
	}
	// The rest is for numbers that no range claims: plans grow. A zero in front
	// is a trunk prefix, and where it belongs to the number (IT) a range says so.
	rest := c.ranges[""]
	switch {
	case !rest.holds(nsn):
		return numberRange{}, c.wrongLength(rest, len(nsn))
	case nsn[0] == '0':
		return numberRange{}, fmt.Sprintf("no number of %s begins with 0 after +%s", c.name, c.code)
	}
	return rest, ""
}

func (r numberRange) holds(nsn string) bool { return len(nsn) >= r.min && len(nsn) <= r.max }

func (c *country) wrongLength(r numberRange, has int) string {
	is := "too short"
	if has > r.max {
		is = "too long"
	}
	want := strconv.Itoa(r.min)
	if r.min != r.max {
		want += " to " + strconv.Itoa(r.max)
	}
	what := "a number"
	if r.kind == KindMobile {
		what = "a mobile number"
	}
	return fmt.Sprintf("it is %s, %s of %s has %s digits after +%s", is, what, c.name, want, c.code)
}

// countries are the plans, by ISO code.
var countries = sync.OnceValue(func() map[string]*country {
	all := make(map[string]*country)
	for _, row := range table("countries.csv", countriesCSV) {
		all[row["iso"]] = &country{
			iso: row["iso"], name: row["name"], code: row["code"],
			trunk:      strings.Fields(row["trunk"]),
			neighbours: strings.Fields(row["neighbours"]),
			ranges:     make(map[string]numberRange),
		}
	}
	for _, row := range table("numbers.csv", numbersCSV) {
		r := numberRange{kind: Kind(row["kind"])}
		r.min, r.max = number(row["min"]), number(row["max"])
		prefixes := strings.Fields(row["prefixes"])
		if len(prefixes) == 0 {
			prefixes = []string{""}
		}
		for _, r.prefix = range prefixes {
			all[row["iso"]].ranges[r.prefix] = r
		}
	}
	return all
})

// codes are the calling codes of the world, and the longer ones of countries
// that share a code, with the ISO code of each.
var codes = sync.OnceValue(func() map[string]string {
	all := make(map[string]string)
	for _, row := range table("codes.csv", codesCSV) {
		all[row["prefix"]] = row["iso"]
	}
	return all
})

// callFor is a number that calls for help in a country; everywhere if that is
// empty.
type callFor struct{ iso, digits string }

var emergency = sync.OnceValue(func() map[callFor]bool {
	all := make(map[callFor]bool)
	for _, row := range table("emergency.csv", emergencyCSV) {
		for _, digits := range strings.Fields(row["numbers"]) {
			all[callFor{row["iso"], digits}] = true
		}
	}
	return all
})

// callingCode returns the longest prefix of digits that stands for a country,
// and that country; empty if there is none.
func callingCode(digits string) (code, iso string) {
	for n := min(len(digits), 7); n > 0; n-- {
		if iso, ok := codes()[digits[:n]]; ok {
			return digits[:n], iso
		}
	}
	return "", ""
}

// planOf returns the country whose plan the numbers behind that code follow.
func planOf(code string) (*country, bool) {
	for n := min(len(code), 3); n > 0; n-- {
		if c, ok := countries()[codes()[code[:n]]]; ok && c.code == code[:n] {
			return c, true
		}
	}
	return nil, false
}

// Neighbours returns the country itself and those around it (ISO 3166): what
// a shop sends to unless it says otherwise.
func Neighbours(iso string) []string {
	iso = strings.ToUpper(iso)
	c, ok := countries()[iso]
	if !ok {
		if iso == "" {
			return nil
		}
		return []string{iso}
	}
	return append([]string{iso}, c.neighbours...)
}

// Countries returns the ISO codes of the countries whose national spelling
// ParseNumber reads.
func Countries() []string {
	var all []string
	for _, row := range table("countries.csv", countriesCSV) {
		all = append(all, row["iso"])
	}
	return all
}

// table reads an embedded CSV file as one map a row. A fault in it is a fault
// of the build, which the tests find.
func table(name, file string) []map[string]string {
	r := csv.NewReader(strings.NewReader(file))
	r.Comment = '#'
	all, err := r.ReadAll()
	if err != nil {
		panic("text: tables/" + name + ": " + err.Error())
	}
	out := make([]map[string]string, 0, len(all))
	for _, row := range all[1:] {
		m := make(map[string]string, len(row))
		for i, head := range all[0] {
			m[head] = row[i]
		}
		out = append(out, m)
	}
	return out
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("text: tables: " + err.Error())
	}
	return n
}
