package text

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// anyText draws what people write: words of many languages with typographic
// signs, emoji, stray controls, and now and then any rune at all.
func anyText() *rapid.Generator[string] {
	word := rapid.SampledFrom([]string{
		"a", "Beste klant, ", "uw fiets is klaar. ", "€ 84,50 ", "[x] ", "~^{}\\|", "Größe ", "på måndag ", "één ", "ça va ", "Łódź ",
		"žluťoučký kůň ", "İstanbul'da ışık ", "São Paulo ", "ñandú ", "Привет ", "Ελλάδα ", "שלום ", "مرحبا ", "日本語 ", "हिन्दी ",
		"’", "“", "”", "–", "…", "\u00a0", "\u200b", "\u00ad", "ĳ", "½", "1½", "™", "ﬁ", "e\u0301", "x\u0304", "\u0301",
		"😀", family, flag, "👍🏽", "1️⃣", "❤️", "\r\n", "\n", "\t", "\x1b", "\x00", "\u0085", "\u2028", "@", "£", "ç", "¦",
	})
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(word, word, word, rapid.StringN(0, 3, -1)), 0, 60).Draw(t, "parts")
		s := strings.Join(parts, "")
		if n := rapid.IntRange(0, 3).Draw(t, "long"); n == 3 {
			s += strings.Repeat("b", rapid.IntRange(0, 400).Draw(t, "run"))
		}
		return s
	})
}

func anyOptions() *rapid.Generator[Options] {
	return rapid.Custom(func(t *rapid.T) Options {
		return Options{
			Encoding: rapid.SampledFrom([]Encoding{"", Smart, GSM7, UCS2, ASCII}).Draw(t, "encoding"),
			MaxParts: rapid.SampledFrom([]int{0, 1, 3, 255}).Draw(t, "parts"),
			RefBits:  rapid.SampledFrom([]int{0, 8, 16}).Draw(t, "bits"),
			Shift:    rapid.IntRange(0, 3).Draw(t, "shift"),
			Locking:  rapid.SampledFrom([]int{0, Turkish, Portuguese}).Draw(t, "locking"),
			Cedilla:  rapid.Bool().Draw(t, "cedilla"),
			Lang:     rapid.SampledFrom([]string{"", "nl", "de-DE", "da"}).Draw(t, "lang"),
		}
	})
}

// TestComposeKeepsItsPromises: what Compose plans is what a handset shows, no
// part is fuller than it may be, and every difference is accounted for.
func TestComposeKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, opt := anyText().Draw(t, "text"), anyOptions().Draw(t, "options")
		checkCompose(t, s, opt)
	})
}

// checkCompose is what the property test and the fuzz target both demand.
func checkCompose(t rapid.TB, s string, opt Options) {
	t.Helper()
	p, err := Compose(s, opt)
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Field == "" || e.Code == "" || e.Detail == "" {
			t.Fatalf("refused with %#v", err)
		}
	}
	if p == nil {
		if err == nil {
			t.Fatal("neither plan nor error")
		}
		return
	}
	if !norm.NFC.IsNormalString(p.Text) && opt.Encoding != ASCII && opt.Encoding != GSM7 {
		t.Errorf("%q is not NFC", p.Text)
	}

	shown, units := "", 0
	for i, seg := range p.Segments {
		shown += onHandset(t, p, seg)
		units += seg.Units
		refBits := p.RefBits
		if p.Parts() == 1 {
			refBits = 0
		}
		if room := Capacity(p.Alphabet, Header(p.Shift, p.Locking, refBits)); seg.Units > room || room != p.Room {
			t.Errorf("part %d has %d units, room %d, announced %d", i+1, seg.Units, room, p.Room)
		}
		if seg.Text == "" {
			t.Errorf("part %d is empty", i+1)
		}
	}
	if shown != p.Text {
		t.Errorf("a handset shows %q, planned was %q", shown, p.Text)
	}
	if units != p.Units || p.Left != p.Room-p.Segments[p.Parts()-1].Units {
		t.Errorf("units %d, left %d; announced %d, %d", units, p.Room-p.Segments[p.Parts()-1].Units, p.Units, p.Left)
	}
	most := opt.MaxParts
	if most == 0 {
		most = defaultParts
	}
	if p.Parts() > most && err == nil || p.Parts() <= most && err != nil {
		t.Errorf("%d parts of %d: %v", p.Parts(), most, err)
	}
	if (opt.Shift != p.Shift && p.Shift != 0) || (opt.Locking != p.Locking && p.Locking != 0) {
		t.Errorf("tables %d, %d were not allowed", p.Shift, p.Locking)
	}

	given := []rune(s)
	for _, c := range p.Changes {
		if c.From == c.To || c.Pos < 0 || c.Pos >= len(given) {
			t.Errorf("change %+v of %d characters", c, len(given))
		}
	}
	if len(p.Changes) == 0 && p.Text != norm.NFC.String(s) {
		t.Errorf("%q became %q without a change", s, p.Text)
	}
	// A change names what stands at its place, unless it stood apart before.
	if norm.NFC.IsNormalString(s) && !strings.ContainsFunc(s, isControl) {
		for _, c := range p.Changes {
			if !strings.HasPrefix(string(given[c.Pos:]), c.From) {
				t.Errorf("change %+v is not at its place in %q", c, s)
			}
		}
	}
	if opt.Encoding == ASCII && !all(p.Text, func(r rune) bool { return r < utf8.RuneSelf }) {
		t.Errorf("ascii sends %q", p.Text)
	}
	if (opt.Encoding == UCS2) != (p.Alphabet == AlphabetUCS2) && opt.Encoding != Smart && opt.Encoding != "" {
		t.Errorf("%s sends in %s", opt.Encoding, p.Alphabet)
	}
	for _, c := range p.Culprits {
		if len(c.At) == 0 || c.Saves < 0 || c.Char == "" {
			t.Errorf("culprit %+v", c)
		}
	}
}

// onHandset writes a part as a PDU carries it and reads it back.
func onHandset(t rapid.TB, p *Plan, seg Segment) string {
	t.Helper()
	if p.Alphabet == AlphabetUCS2 {
		b := UTF16(seg.Text)
		if len(b) != 2*seg.Units {
			t.Errorf("%q takes %d units, announced %d", seg.Text, len(b)/2, seg.Units)
		}
		return FromUTF16(b)
	}
	septets, err := Septets(seg.Text, p.Shift, p.Locking)
	if err != nil || len(septets) != seg.Units {
		t.Fatalf("%q takes %d septets, announced %d, %v", seg.Text, len(septets), seg.Units, err)
	}
	refBits := p.RefBits
	if p.Parts() == 1 {
		refBits = 0
	}
	header := Header(p.Shift, p.Locking, refBits)
	packed := Pack(septets, FillBits(header))
	if header+len(packed) > 140 {
		t.Errorf("%d octets of user data", header+len(packed))
	}
	return FromSeptets(Unpack(packed, FillBits(header), len(septets)), p.Shift, p.Locking)
}

// TestPolicies: the same text decides alike however it is drawn.
func TestPolicies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyText().Draw(t, "text")
		smart, err := Compose(s, Options{MaxParts: MostParts})
		if err != nil {
			return
		}
		again, err := Compose(smart.Text, Options{MaxParts: MostParts})
		if err != nil || again.Text != smart.Text || len(again.Changes) > 0 {
			t.Errorf("what smart made of it is changed again: %q, %v", smart.Text, again)
		}
		ucs2, err := Compose(s, Options{Encoding: UCS2, MaxParts: MostParts})
		if err != nil || ucs2.Parts() < smart.Parts() {
			t.Errorf("ucs2 needs %d parts and smart %d, %v", ucs2.Parts(), smart.Parts(), err)
		}
		if smart.Alphabet == AlphabetUCS2 && smart.Text != ucs2.Text {
			t.Errorf("smart changed a text that stays UCS-2: %q, %q", smart.Text, ucs2.Text)
		}
		// gsm7 refuses, or replaces at least what smart replaces.
		gsm7, err := Compose(s, Options{Encoding: GSM7, MaxParts: MostParts})
		if err == nil && smart.Alphabet == AlphabetGSM7 && gsm7.Text != smart.Text {
			t.Errorf("gsm7 says %q, smart %q", gsm7.Text, smart.Text)
		}
	})
}

// TestCutIsBest compares with the best of all ways to cut: never a part more
// than needed, and no character torn if that many parts can do without.
func TestCutIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOfN(rapid.IntRange(1, 2), 1, 40).Draw(t, "units")
		room := rapid.IntRange(2, 7).Draw(t, "room")
		border := make([]bool, len(units)+1)
		border[0], border[len(units)] = true, true
		for i := 1; i < len(units); i++ {
			border[i] = rapid.Bool().Draw(t, "border")
		}
		type score struct{ parts, torn int }
		best := make([]score, len(units)+1)
		for to := 1; to <= len(units); to++ {
			best[to] = score{len(units) + 1, 0}
			for from, n := to-1, 0; from >= 0; from-- {
				if n += units[from]; n > room {
					break
				}
				s := score{best[from].parts + 1, best[from].torn}
				if !border[to] {
					s.torn++
				}
				if s.parts < best[to].parts || s.parts == best[to].parts && s.torn < best[to].torn {
					best[to] = s
				}
			}
		}
		var got score
		from := 0
		for _, to := range cut(units, room, border) {
			if n := sum(units[from:to]); to <= from || n > room {
				t.Fatalf("part from %d to %d of %d units", from, to, n)
			}
			got.parts++
			if !border[to] {
				got.torn++
			}
			from = to
		}
		if want := best[len(units)]; from != len(units) || got.parts != want.parts || want.torn == 0 && got.torn > 0 {
			t.Errorf("%+v up to %d, best is %+v", got, from, want)
		}
	})
}

// TestUTF16 agrees with the standard library.
func TestUTF16(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		b := UTF16(s)
		want := utf16.Encode([]rune(s))
		if len(b) != 2*len(want) || FromUTF16(b) != s {
			t.Errorf("%q: %X, reads %q", s, b, FromUTF16(b))
		}
	})
}
