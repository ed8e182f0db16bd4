package text

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decision is what a policy made of a text.
type decision struct {
	alphabet       string
	shift, locking int
	fitted
}

// fitted is a text after replacement.
type fitted struct {
	text    string
	changes []Change
	missing []Char // what the alphabet does not hold and nothing could replace
}

// decide applies the policy of opt.
func decide(in *input, opt Options) decision {
	switch opt.Encoding {
	case UCS2:
		a := writable(0, 0)
		return decision{alphabet: AlphabetUCS2, fitted: fitted{text: in.text, missing: missing(in.text, in, a.holds)}}
	case ASCII:
		return decision{alphabet: AlphabetGSM7, fitted: in.fit(isPlain, plainForm(opt, writable(0, 0).holds), true)}
	case GSM7:
		return cheapest(in, opt, func(a *alphabet) replacer { return plainForm(opt, a.holds) })
	}
	d := cheapest(in, opt, func(*alphabet) replacer { return lookalike(opt) })
	if len(d.missing) > 0 {
		// It will be UCS-2 anyway: then nothing needs replacing.
		d = decision{alphabet: AlphabetUCS2, fitted: fitted{text: in.text, missing: d.missing}}
	}
	return d
}

// cheapest tries the default alphabet and every national table that the shop
// allows: fewest characters missing, then fewest replaced, then fewest parts,
// then the simplest header.
func cheapest(in *input, opt Options, replace func(*alphabet) replacer) decision {
	try := func(shift, locking int) decision {
		a := writable(shift, locking)
		return decision{AlphabetGSM7, shift, locking, in.fit(a.holds, replace(a), false)}
	}
	best := try(0, 0)
	if len(best.missing)+len(best.changes) == 0 || opt.Shift+opt.Locking == 0 {
		return best
	}
	parts := func(d decision) int {
		s, err := Split(d.text, d.alphabet, d.shift, d.locking, opt.RefBits)
		if err != nil {
			return MostParts + 1 // only too many parts is possible here
		}
		return len(s)
	}
	for _, t := range [][2]int{{opt.Shift, 0}, {0, opt.Locking}, {opt.Shift, opt.Locking}} {
		if t == [2]int{} || writable(t[0], t[1]) == nil {
			continue
		}
		d := try(t[0], t[1])
		order := cmp.Or(
			cmp.Compare(len(d.missing), len(best.missing)),
			cmp.Compare(len(d.changes), len(best.changes)),
		)
		if order == 0 && len(d.missing) == 0 {
			order = cmp.Compare(parts(d), parts(best))
		}
		if order < 0 {
			best = d
		}
	}
	return best
}

// replacer gives what may stand for r. It is asked only for what the alphabet
// lacks, so that £, é and ß stay what they are where they can.
type replacer func(r rune) (string, bool)

// fit replaces, character by character, what holds does not hold. A character
// that has no replacement is missing and stays as it is, or with drop is
// removed, which is a change like any other.
func (in *input) fit(holds func(rune) bool, replace replacer, drop bool) fitted {
	var (
		f   fitted
		out strings.Builder
		at  int // rune offset in in.text
	)
	for c := range clusters(in.text) {
		pos := at
		at += utf8.RuneCountInString(c)
		if all(c, holds) {
			out.WriteString(c)
			continue
		}
		to, ok := substitute(c, holds, replace)
		if !ok && !drop {
			f.missing = append(f.missing, Char{Text: c, Pos: in.place(pos)})
			out.WriteString(c)
			continue
		}
		to = apart(out.String(), to)
		out.WriteString(to)
		from, same := narrow(c, to)
		f.changes = append(f.changes, Change{From: from, To: to[len(c)-len(from):], Pos: in.place(pos + same)})
	}
	f.text = out.String()
	return f
}

// narrow leaves out of a change the runes in front that stayed the same, and
// says how many they were. A letter and the accents on it stay together: an
// accent alone cannot be shown.
func narrow(from, to string) (rest string, same int) {
	for from != "" {
		_, n := utf8.DecodeRuneInString(from)
		next, _ := utf8.DecodeRuneInString(from[n:])
		if !strings.HasPrefix(to, from[:n]) || unicode.Is(unicode.M, next) {
			break
		}
		from, to = from[n:], to[n:]
		same++
	}
	return from, same
}

// substitute replaces rune by rune inside one character. ok is false if a rune
// had no replacement and was left out.
func substitute(c string, holds func(rune) bool, replace replacer) (to string, ok bool) {
	ok = true
	for _, r := range c {
		if holds(r) {
			to += string(r)
			continue
		}
		plain, found := replace(r)
		to += plain
		ok = ok && found
	}
	return to, ok
}

// missing lists the characters of s that holds does not hold. in tells where
// they stood in the text given; nil: where they stand in s.
func missing(s string, in *input, holds func(rune) bool) []Char {
	var chars []Char
	at := 0
	for c := range clusters(s) {
		if !all(c, holds) {
			pos := at
			if in != nil {
				pos = in.place(at)
			}
			chars = append(chars, Char{Text: c, Pos: pos})
		}
		at += utf8.RuneCountInString(c)
	}
	return chars
}

func all(s string, holds func(rune) bool) bool {
	for _, r := range s {
		if !holds(r) {
			return false
		}
	}
	return true
}

// blame names the characters that made the plan UCS-2 and says what it would
// cost without them.
func (p *Plan) blame(in *input, chars []Char, opt Options) {
	if len(chars) == 0 {
		return
	}
	a := writable(0, 0)
	plain := plainForm(opt, a.holds)
	index := make(map[string]int)
	for _, c := range chars {
		i, ok := index[c.Text]
		if !ok {
			i = len(p.Culprits)
			index[c.Text] = i
			use, ok := substitute(c.Text, a.holds, plain)
			if !ok {
				use = ""
			}
			p.Culprits = append(p.Culprits, Culprit{Char: c.Text, Use: use})
		}
		p.Culprits[i].At = append(p.Culprits[i].At, c.Pos)
	}

	without := in.fit(a.holds, plain, true)
	segments, err := Split(without.text, AlphabetGSM7, 0, 0, opt.RefBits)
	if err != nil {
		return // more than MostParts even so: there is nothing to advise
	}
	p.Instead = &Instead{Text: without.text, Parts: len(segments)}
	if len(p.Culprits) == 1 {
		p.Culprits[0].Saves = max(0, p.Parts()-p.Instead.Parts)
	} else {
		// One gone, the others still force UCS-2: it saves its own units only.
		u := unitsWithout(p.Text, index, p.Culprits)
		for i := range p.Culprits {
			p.Culprits[i].Saves = max(0, p.Parts()-u.parts(i, opt.RefBits)) // ½ alone only grows to 1/2
		}
	}
	slices.SortStableFunc(p.Culprits, func(a, b Culprit) int { return cmp.Compare(len(b.At), len(a.At)) })
}

// units16 are the code units of a text, rune by rune, with and without one
// culprit.
type units16 []struct {
	units, use int // code units as it is, and if its culprit gives way
	culprit    int // -1: none
}

func unitsWithout(s string, index map[string]int, culprits []Culprit) units16 {
	var u units16
	for c := range clusters(s) {
		i, ok := index[c]
		if !ok {
			i = -1
		}
		use := 0
		if ok {
			use = utf8.RuneCountInString(culprits[i].Use) // all in the BMP
		}
		for _, r := range c {
			e := struct{ units, use, culprit int }{unitsUTF16(r), use, i}
			use = 0
			u = append(u, e)
		}
	}
	return u
}

// parts counts the parts of the text without the culprit i.
func (u units16) parts(i, refBits int) int {
	one, many := Capacity(AlphabetUCS2, 0), Capacity(AlphabetUCS2, Header(0, 0, refBits))
	total, parts, part := 0, 1, 0
	for _, e := range u {
		n := e.units
		if e.culprit == i {
			n = e.use
		}
		total += n
		if part+n > many {
			parts, part = parts+1, 0
		}
		part += n
	}
	if total <= one {
		return 1
	}
	return parts
}
