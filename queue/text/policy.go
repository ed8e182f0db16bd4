package text

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decision is what a policy made of a text.
type decision struct {
	alphabet       string
	shift, locking int
	fitted

	// short: with AlphabetUCS2, the short alphabet that lacks fewest of its
	// characters, which are missing.
	short *alphabet
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
		return ucs2(in, opt, cheapest(in, opt, func(*alphabet) replacer { return asItIs }))
	case ASCII:
		return decision{alphabet: AlphabetGSM7, fitted: in.fit(isPlain, plainForm(opt, opt.alphabet(0, 0).holds), true)}
	case GSM7:
		return cheapest(in, opt, func(a *alphabet) replacer { return plainForm(opt, a.holds) })
	}
	d := cheapest(in, opt, func(*alphabet) replacer { return lookalike(opt) })
	if len(d.missing) > 0 {
		d = ucs2(in, opt, d) // then nothing needs replacing
	}
	return d
}

// asItIs is the replacer that replaces nothing.
func asItIs(rune) (string, bool) { return "", false }

// ucs2 sends everything as it is; d is the nearest that the short alphabet
// comes to it.
func ucs2(in *input, opt Options, d decision) decision {
	return decision{
		alphabet: AlphabetUCS2, short: opt.alphabet(d.shift, d.locking),
		fitted: fitted{text: in.text, missing: d.missing},
	}
}

// cheapest tries the default alphabet and every national table that the shop
// allows: fewest characters missing, then fewest replaced, then fewest parts,
// then the simplest header.
func cheapest(in *input, opt Options, replace func(*alphabet) replacer) decision {
	try := func(shift, locking int) decision {
		a := opt.alphabet(shift, locking)
		return decision{alphabet: AlphabetGSM7, shift: shift, locking: locking, fitted: in.fit(a.holds, replace(a), false)}
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
