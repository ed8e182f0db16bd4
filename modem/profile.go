package modem

import (
	"cmp"
	"embed"
	"encoding/csv"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What differs between families of modems is data, one file for each: a key, a
// value, and why. A person who has such a modem on the desk can check and
// correct it without Go. What a family does not name is as in generic.csv; a
// key that it names replaces all of that key there.
//
//go:embed profiles/*.csv
var profileFiles embed.FS

// profile is one family.
type profile struct {
	family     string
	match      [][]string // it is of this family if all words of one are in what it calls itself
	prepare    []string   // commands behind the identification; a refusal is no matter
	card       []string   // ways to ask for the ICCID, tried in turn
	counters   []counter  // ways to ask for the PIN's attempts left
	announce   [][5]int   // ways to set AT+CNMI: mode, mt, bm, ds, bfr
	storage    []string   // memories for AT+CPMS
	unreadable []string   // memories that it announces and cannot read
	restart    []string   // ways to restart it
	clock      []string   // what makes it keep the network's time
	ims        string     // what tells whether it may use IMS
	numbering  string     // of CMS codes from 512: wavecom, siemens, or not known
	packed     bool       // USSD codes as packed septets
	more       int        // AT+CMMS
	gap        time.Duration
	promptGap  time.Duration
}

// counter is a way to ask how often a PIN may still be wrong. field counts
// from 0 in what follows the prefix.
type counter struct {
	cmd, prefix string
	field       int
}

// keys of a profile: how each value is read. Only these are known, and the
// test of the files fails at any other.
var profileKeys = map[string]func(p *profile, v string) error{
	"match":      func(p *profile, v string) error { p.match = append(p.match, strings.Fields(v)); return nil },
	"prepare":    commands(func(p *profile) *[]string { return &p.prepare }),
	"card":       commands(func(p *profile) *[]string { return &p.card }),
	"restart":    commands(func(p *profile) *[]string { return &p.restart }),
	"clock":      commands(func(p *profile) *[]string { return &p.clock }),
	"counter":    readCounter,
	"announce":   readAnnounce,
	"storage":    readStorageWay,
	"unreadable": func(p *profile, v string) error { p.unreadable = append(p.unreadable, v); return nil },
	"ims":        func(p *profile, v string) error { p.ims = v; return nil },
	"numbering":  oneOf(func(p *profile, v string) { p.numbering = v }, "wavecom", "siemens"),
	"ussd":       oneOf(func(p *profile, v string) { p.packed = v == "packed" }, "packed", "plain"),
	"more":       oneOf(func(p *profile, v string) { p.more = int(v[0] - '0') }, "0", "1", "2"),
	"gap":        duration(func(p *profile) *time.Duration { return &p.gap }),
	"prompt_gap": duration(func(p *profile) *time.Duration { return &p.promptGap }),
}

func commands(of func(*profile) *[]string) func(*profile, string) error {
	return func(p *profile, v string) error {
		if !strings.HasPrefix(v, "AT") {
			return fmt.Errorf("%q is no command", v)
		}
		list := of(p)
		*list = append(*list, v)
		return nil
	}
}

func oneOf(set func(*profile, string), words ...string) func(*profile, string) error {
	return func(p *profile, v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("%q is none of %s", v, strings.Join(words, ", "))
		}
		set(p, v)
		return nil
	}
}

func duration(of func(*profile) *time.Duration) func(*profile, string) error {
	return func(p *profile, v string) (err error) {
		*of(p), err = time.ParseDuration(v)
		return err
	}
}

// readCounter reads "3 ^CPIN AT^CPIN?".
func readCounter(p *profile, v string) error {
	f := strings.SplitN(v, " ", 3)
	if len(f) < 3 || !strings.HasPrefix(f[2], "AT") {
		return fmt.Errorf("%q is not a field, a prefix and a command", v)
	}
	n, err := strconv.Atoi(f[0])
	p.counters = append(p.counters, counter{cmd: f[2], prefix: f[1], field: n})
	return err
}

// readAnnounce reads "2,1,0,1,0".
func readAnnounce(p *profile, v string) error {
	var way [5]int
	f := strings.Split(v, ",")
	if len(f) != len(way) {
		return fmt.Errorf("%q is not mode,mt,bm,ds,bfr", v)
	}
	for i := range f {
		n, err := strconv.Atoi(f[i])
		if err != nil {
			return err
		}
		way[i] = n
	}
	p.announce = append(p.announce, way)
	return nil
}

// readStorageWay reads "SM,SM,SM".
func readStorageWay(p *profile, v string) error {
	for m := range strings.SplitSeq(v, ",") {
		if !isMemory(m) {
			return fmt.Errorf("%q is no memory", m)
		}
	}
	p.storage = append(p.storage, `AT+CPMS="`+strings.ReplaceAll(v, ",", `","`)+`"`)
	return nil
}

// profiles are all families, the one with the most words to match first.
var profiles = sync.OnceValue(func() []*profile {
	names, err := profileFiles.ReadDir("profiles")
	if err != nil {
		panic(err) // compiled in
	}
	generic := readProfile("generic", nil)
	list := []*profile{}
	for _, n := range names {
		if family := strings.TrimSuffix(n.Name(), ".csv"); family != generic.family {
			list = append(list, readProfile(family, generic))
		}
	}
	slices.SortStableFunc(list, func(a, b *profile) int { return cmp.Compare(words(b), words(a)) })
	return append(list, generic)
})

func words(p *profile) (most int) {
	for _, m := range p.match {
		most = max(most, len(m))
	}
	return most
}

// readProfile reads a family over the generic one. A file that cannot be read
// is a fault of the build, and the first test that runs meets it.
func readProfile(family string, generic *profile) *profile {
	f, err := profileFiles.Open(path.Join("profiles", family+".csv"))
	if err != nil {
		panic(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		panic(fmt.Sprintf("profiles/%s.csv: %v", family, err))
	}
	p := &profile{family: family}
	named := map[string]bool{}
	for i, row := range rows[1:] {
		read, known := profileKeys[row[0]]
		if !known {
			panic(fmt.Sprintf("profiles/%s.csv:%d: the key %q is not known", family, i+2, row[0]))
		}
		if err := read(p, row[1]); err != nil {
			panic(fmt.Sprintf("profiles/%s.csv:%d: %s: %v", family, i+2, row[0], err))
		}
		named[row[0]] = true
	}
	if generic != nil {
		p.complete(generic, named)
	}
	return p
}

// complete takes what the family does not name from the generic profile.
func (p *profile) complete(g *profile, named map[string]bool) {
	for key, take := range map[string]func(){
		"prepare":    func() { p.prepare = g.prepare },
		"card":       func() { p.card = g.card },
		"counter":    func() { p.counters = g.counters },
		"announce":   func() { p.announce = g.announce },
		"storage":    func() { p.storage = g.storage },
		"unreadable": func() { p.unreadable = g.unreadable },
		"restart":    func() { p.restart = g.restart },
		"clock":      func() { p.clock = g.clock },
		"ims":        func() { p.ims = g.ims },
		"numbering":  func() { p.numbering = g.numbering },
		"ussd":       func() { p.packed = g.packed },
		"more":       func() { p.more = g.more },
		"gap":        func() { p.gap = g.gap },
		"prompt_gap": func() { p.promptGap = g.promptGap },
	} {
		if !named[key] {
			take()
		}
	}
}

// profileOf finds the family of a modem by what it calls itself: the answers
// of AT+CGMI and AT+CGMM, or of ATI.
func profileOf(said string) *profile {
	said = strings.ToLower(said)
	all := profiles()
	for _, p := range all {
		for _, m := range p.match {
			if !slices.ContainsFunc(m, func(word string) bool { return !strings.Contains(said, word) }) {
				return p
			}
		}
	}
	return all[len(all)-1]
}
