package text

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// Culprit is a character that keeps a text out of the short alphabet.
type Culprit struct {
	Char  string `json:"char"`
	At    []int  `json:"positions"` // in runes from 0, in the text as it was given
	Use   string `json:"use"`       // the plain form that could stand there; empty: none
	Saves int    `json:"saves"`     // parts saved if this character alone gave way to Use
}

// Instead is what a text would cost without its culprits.
type Instead struct {
	Text  string `json:"text"` // with the plain forms, and without the characters that have none
	Parts int    `json:"parts"`
}

// blame names the characters that made the plan UCS-2 and says what it would
// cost without them.
func (p *Plan) blame(in *input, d decision, opt Options) {
	if len(d.missing) == 0 {
		return
	}
	plain := plainForm(opt, d.short.holds)
	index := make(map[string]int) // of a character among the culprits
	for _, c := range d.missing {
		i, ok := index[c.Text]
		if !ok {
			i = len(p.Culprits)
			index[c.Text] = i
			use, ok := substitute(c.Text, d.short.holds, plain)
			if !ok {
				use = ""
			}
			p.Culprits = append(p.Culprits, Culprit{Char: c.Text, Use: use})
		}
		p.Culprits[i].At = append(p.Culprits[i].At, c.Pos)
	}

	p.Instead = p.instead(in, d.short, plain, opt)
	if len(p.Culprits) > 1 {
		p.blameEach(index, opt.RefBits)
	} else if p.Instead != nil {
		p.Culprits[0].Saves = max(0, p.Parts()-p.Instead.Parts)
	}
	slices.SortStableFunc(p.Culprits, func(a, b Culprit) int { return cmp.Compare(len(b.At), len(a.At)) })
}

// instead is the text with plain forms and without what has none; nil if that
// leaves less than half of its characters, or still too many. It is what decide
// would make of that text: a national table that it needs costs its header.
func (p *Plan) instead(in *input, short *alphabet, plain replacer, opt Options) *Instead {
	lost, of := 0, 0
	for _, c := range p.Culprits {
		if c.Use == "" {
			lost += len(c.At)
		}
	}
	for range clusters(p.Text) {
		of++
	}
	if 2*lost > of {
		return nil
	}
	without := in.fit(short.holds, plain, true).text
	d := cheapest(&input{text: without}, opt, func(*alphabet) replacer { return asItIs })
	segments, err := Split(without, AlphabetGSM7, d.shift, d.locking, opt.RefBits)
	if err != nil { // too many parts: of what is missing nothing is left
		return nil
	}
	return &Instead{Text: without, Parts: len(segments)}
}

// blameEach fills in Saves for several culprits. With one gone the others
// still force UCS-2: it saves its own code units only.
func (p *Plan) blameEach(index map[string]int, refBits int) {
	type unit struct {
		culprit  int // -1: none
		has, use int // code units as it is, and if its culprit gives way
	}
	var units []unit                     // by rune
	gain := make([]int, len(p.Culprits)) // code units that each would save
	for c := range clusters(p.Text) {
		culprit, use := -1, 0
		if i, ok := index[c]; ok {
			culprit, use = i, utf8.RuneCountInString(p.Culprits[i].Use) // plain forms are one unit a rune
		}
		for _, r := range c {
			units = append(units, unit{culprit, unitsUTF16(r), use})
			if culprit >= 0 {
				gain[culprit] += unitsUTF16(r) - use
			}
			use = 0 // it stands for the whole character, once
		}
	}
	one, many := Capacity(AlphabetUCS2, 0), Capacity(AlphabetUCS2, Header(0, 0, refBits))
	for i := range p.Culprits {
		if p.Units-gain[i] > max(one, (p.Parts()-1)*many) {
			continue // it needs as many parts without it
		}
		total, parts, part := 0, 1, 0
		for _, u := range units {
			n := u.has
			if u.culprit == i {
				n = u.use
			}
			if total += n; part+n > many {
				parts, part = parts+1, 0
			}
			part += n
		}
		if total <= one {
			parts = 1
		}
		p.Culprits[i].Saves = max(0, p.Parts()-parts) // ½ alone only grows to 1/2
	}
}
