package text

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const (
	family = "👨‍👩‍👧"
	flag   = "🇳🇱"
)

func TestComposeShowsWhatGoesOut(t *testing.T) {
	for _, c := range []struct {
		name, in string
		opt      Options
		want     string
		alphabet string
		changes  string
	}{
		{"plain text stays", "Uw fiets is klaar. € 84,50", Options{}, "Uw fiets is klaar. € 84,50", "gsm7", "[]"},
		{"letters of the short alphabet stay", "Größe: Åse à é ñ", Options{}, "Größe: Åse à é ñ", "gsm7", "[]"},
		{"decomposed is composed", "cafe\u0301", Options{}, "café", "gsm7", "[]"},

		{"smart replaces quotes, dashes and the ellipsis", "‘Ja’ – “nee”…", Options{}, "'Ja' - \"nee\"...", "gsm7", "[{‘ ' 0} {’ ' 3} {– - 5} {“ \" 7} {” \" 11} {… ... 12}]"},
		{"smart replaces blanks and drops what has no width", "€\u00a05\u200b,-\ufeff", Options{}, "€ 5,-", "gsm7", "[{\u00a0   1} {\u200b  3} {\ufeff  6}]"},
		{"smart writes the Dutch ij", "\u0132sje \u0133s", Options{}, "IJsje ijs", "gsm7", "[{\u0132 IJ 0} {\u0133 ij 5}]"},
		{"smart drops every mark of direction", "a\u202ab\u202ec\u2066d\u2069e\u2061f\u2064", Options{}, "abcdef", "gsm7", "[{\u202a  1} {\u202e  3} {\u2066  5} {\u2069  7} {\u2061  9} {\u2064  11}]"},
		{"smart reads guillemets and odd apostrophes as quotes", "«ja» ‹nee› \u02bct \uff07s", Options{}, "\"ja\" 'nee' 't 's", "gsm7",
			"[{« \" 0} {» \" 3} {‹ ' 5} {› ' 9} {\u02bc ' 11} {\uff07 ' 14}]"},
		{"ascii keeps to the garage's table", "«ja»", Options{Encoding: ASCII}, "<<ja>>", "gsm7", "[{« << 0} {» >> 3}]"},
		{"one character by another code is told", "ja\u037e \u212a", Options{}, "ja; K", "gsm7", "[{\u037e ; 2} {\u212a K 4}]"},
		{"Latin-1 has no euro", "5 €", Options{Latin1: true}, "5 €", "ucs2", "[]"},
		{"Latin-1 has no national tables", "ş", Options{Latin1: true, Shift: Turkish}, "ş", "ucs2", "[]"},
		{"what Latin-1 lacks is replaced like the rest", "5 € [x]", Options{Latin1: true, Encoding: GSM7}, "5 EUR [x]", "gsm7", "[{€ EUR 2}]"},
		{"smart leaves ç alone", "ça va", Options{}, "ça va", "ucs2", "[]"},
		{"smart replaces ç when the shop says so", "ça va", Options{Cedilla: true}, "ca va", "gsm7", "[{ç c 0}]"},
		{"smart replaces nothing where that saves nothing", "’t is geïnspecteerd", Options{}, "’t is geïnspecteerd", "ucs2", "[]"},
		{"smart keeps emoji whole", "klaar " + family + "’s", Options{}, "klaar " + family + "’s", "ucs2", "[]"},
		{"smart keeps other scripts", "Привет", Options{}, "Привет", "ucs2", "[]"},
		{"smart does not take accents off", "x\u0304", Options{}, "x\u0304", "ucs2", "[]"},

		{"gsm7 replaces what has a plain form", "geïnspecteerd – ça: ½ ™ Łódź", Options{Encoding: GSM7}, "geinspecteerd - ca: 1/2 (tm) Lodz", "gsm7",
			"[{ï i 2} {– - 14} {ç c 16} {½ 1/2 20} {™ (tm) 22} {Ł L 24} {ó o 25} {ź z 27}]"},
		{"gsm7 keeps what costs nothing", "£ ¥ é ß Ä € [x]", Options{Encoding: GSM7}, "£ ¥ é ß Ä € [x]", "gsm7", "[]"},
		{"gsm7 takes off an accent that has no letter", "x\u0304y", Options{Encoding: GSM7}, "xy", "gsm7", "[{x\u0304 x 0}]"},
		{"gsm7 knows a coloured trade mark", "Acme™\ufe0f", Options{Encoding: GSM7}, "Acme(tm)", "gsm7", "[{™\ufe0f (tm) 4}]"},
		{"one and a half is not eleven halves", "1½ uur, ½ uur", Options{Encoding: GSM7}, "1 1/2 uur, 1/2 uur", "gsm7", "[{½  1/2 1} {½ 1/2 8}]"},
		{"gsm7 asks Unidecode last", "ḥ 2⅓ ₩5 «¿»", Options{Encoding: GSM7}, `h 2 1/3 W5 "¿"`, "gsm7", `[{ḥ h 0} {⅓  1/3 3} {₩ W 5} {« " 8} {» " 10}]`},

		{"ucs2 sends the text as it is", "Ja", Options{Encoding: UCS2}, "Ja", "ucs2", "[]"},
		{"ucs2 keeps quotes", "’t", Options{Encoding: UCS2}, "’t", "ucs2", "[]"},

		{"ascii replaces and removes", "Größe 5 € 😀 ok", Options{Encoding: ASCII}, "Grosse 5 EUR  ok", "gsm7", "[{ö o 2} {ß ss 3} {€ EUR 8} {😀  10}]"},
		{"ascii removes other scripts and says so", "ok: да", Options{Encoding: ASCII}, "ok: ", "gsm7", "[{д  4} {а  5}]"},
		{"ascii keeps line feeds", "a\nb", Options{Encoding: ASCII}, "a\nb", "gsm7", "[]"},
		{"ascii in German", "Größe über Äpfel", Options{Encoding: ASCII, Lang: "de-AT"}, "Groesse ueber Aepfel", "gsm7", "[{ö oe 2} {ß ss 3} {ü ue 6} {Ä Ae 11}]"},
		{"ascii in Danish", "på ø", Options{Encoding: ASCII, Lang: "da"}, "paa oe", "gsm7", "[{å aa 1} {ø oe 3}]"},

		{"control characters are taken out", "a\x1bb\x00c\u0085d\x7f", Options{}, "abc\nd", "gsm7", "[{\x1b  1} {\x00  3} {\u0085 \n 5} {\x7f  7}]"},
		{"in every encoding", "a\x1bя", Options{Encoding: UCS2}, "aя", "ucs2", "[{\x1b  1}]"},
		{"line ends become line feeds", "a\r\nb\rc\fd\u2028e", Options{}, "a\nb\nc\nd\ne", "gsm7", "[{\r\n \n 1} {\r \n 4} {\f \n 6} {\u2028 \n 8}]"},
		{"a tabulator becomes a blank", "a\tb", Options{}, "a b", "gsm7", "[{\t   1}]"},
		{"places are those of the text given", "e\u0301\x1b’", Options{}, "é'", "gsm7", "[{\x1b  2} {’ ' 3}]"},
		{"what stood apart composes", "e\x1b\u0301’", Options{}, "é'", "gsm7", "[{\x1b  1} {’ ' 3}]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Compose(c.in, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			if p.Text != c.want || p.Alphabet != c.alphabet {
				t.Errorf("%q in %s, want %q in %s", p.Text, p.Alphabet, c.want, c.alphabet)
			}
			if got := fmt.Sprint(p.Changes); got != c.changes {
				t.Errorf("changes %q, want %q", got, c.changes)
			}
		})
	}
}

func TestComposeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		opt      Options
		field    string
		code     string
		says     []string
	}{
		{"nothing", "", Options{}, "text", CodeTextEmpty, []string{"empty"}},
		{"blanks", " \n\u00a0", Options{}, "text", CodeTextEmpty, []string{"empty"}},
		{"control characters only", "\x1b\x00", Options{}, "text", CodeTextEmpty, []string{"empty"}},
		{"what ascii leaves nothing of", "😀 я", Options{Encoding: ASCII}, "text", CodeTextEmpty, []string{"nothing is left", "ucs2"}},
		{"what is not UTF-8", "abc\xffd", Options{}, "text", CodeTextUTF8, []string{"byte 3", "0xFF"}},
		{"a cut UTF-8 sequence", "é\xc3", Options{}, "text", CodeTextUTF8, []string{"byte 2", "after 1 character"}},
		{"emoji in gsm7", "klaar 😀 en " + family, Options{Encoding: GSM7}, "text", CodeTextNotGSM7, []string{"“😀” (U+1F600) at character 7", "U+1F468 U+200D", "smart or ucs2"}},
		{"a keycap in gsm7", "1\ufe0f\u20e3", Options{Encoding: GSM7}, "text", CodeTextNotGSM7, []string{"U+0031 U+FE0F U+20E3"}},
		{"a heart in gsm7", "❤\ufe0f", Options{Encoding: GSM7}, "text", CodeTextNotGSM7, []string{"U+2764 U+FE0F"}},
		{"another script in gsm7", "да", Options{Encoding: GSM7}, "text", CodeTextNotGSM7, []string{"“д” (U+0434) at character 1", "“а”"}},
		{"per mille, which is not %0", "5‰", Options{Encoding: GSM7}, "text", CodeTextNotGSM7, []string{"‰"}},
		{"a schwa, which is not @", "ə", Options{Encoding: GSM7}, "text", CodeTextNotGSM7, []string{"U+0259"}},
		{"an unknown encoding", "a", Options{Encoding: "utf8"}, "encoding", CodeOption, []string{"utf8"}},
		{"a reference of 12 bits", "a", Options{RefBits: 12}, "ref_bits", CodeOption, []string{"12"}},
		{"minus one part", "a", Options{MaxParts: -1}, "max_parts", CodeOption, []string{"-1"}},
		{"a Spanish locking table", "a", Options{Locking: Spanish}, "shift", CodeOption, []string{"single shift only"}},
		{"a Hindi table", "a", Options{Shift: 6}, "shift", CodeOption, []string{"6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Compose(c.in, c.opt)
			e, ok := errors.AsType[*Error](err)
			if !ok || p != nil || e.Field != c.field || e.Code != c.code {
				t.Fatalf("%+v, %v; want %s", p, err, c.code)
			}
			for _, s := range c.says {
				if !strings.Contains(e.Error(), s) {
					t.Errorf("%q does not say %q", e, s)
				}
			}
		})
	}
}

func TestComposeNamesEachCharacterOnce(t *testing.T) {
	_, err := Compose("я я 😀 я", Options{Encoding: GSM7})
	e, ok := errors.AsType[*Error](err)
	if !ok || !reflect.DeepEqual(e.Chars, []Char{{"я", 0}, {"😀", 4}}) {
		t.Errorf("%+v", e)
	}
	_, err = Compose("абвгдежзийклмн", Options{Encoding: GSM7})
	if e, ok := errors.AsType[*Error](err); !ok || len(e.Chars) != 14 || !strings.Contains(e.Detail, "and 6 more") {
		t.Errorf("%v", err)
	}
}

func TestLimitOnParts(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		most int
		says string // empty: no refusal
	}{
		{"six by default", strings.Repeat("a", 6*153), 0, ""},
		{"not seven", strings.Repeat("a", 6*153+1), 0, "needs 7 SMS and the limit is 6: shorten it by about 1 character"},
		{"one part holds 160", strings.Repeat("a", 160), 1, ""},
		{"and not 161", strings.Repeat("a", 161), 1, "needs 2 SMS and the limit is 1: shorten it by about 1 character"},
		{"the remedy may be one character", strings.Repeat("a", 200) + "ï", 2, "or replace the characters that the short alphabet lacks, then it needs 2"},
		{"255 are the most", strings.Repeat("a", 255*153), 1000, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Compose(c.text, Options{MaxParts: c.most})
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != CodeTextTooLong || !strings.Contains(e.Detail, c.says) {
				t.Fatalf("%v; want %q", err, c.says)
			}
			if p == nil || p.Text != c.text {
				t.Error("the plan is missing beside the refusal")
			}
		})
	}
	for _, text := range []string{strings.Repeat("a", 255*153+1), strings.Repeat("a", 10_000_000), strings.Repeat("ş", 255*153)} {
		p, err := Compose(text, Options{MaxParts: 1000, Shift: Turkish, Locking: Turkish})
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeTextTooLong || p != nil {
			t.Errorf("%d bytes: %v, %v", len(text), p, err)
		}
	}
}

func TestUnitsAndWhatIsLeft(t *testing.T) {
	for _, c := range []struct {
		text                     string
		opt                      Options
		parts, units, room, left int
	}{
		{"a", Options{}, 1, 1, 160, 159},
		{"€", Options{}, 1, 2, 160, 158},
		{strings.Repeat("a", 161), Options{}, 2, 161, 153, 145},
		{strings.Repeat("a", 161), Options{RefBits: 16}, 2, 161, 152, 143},
		{strings.Repeat("я", 71), Options{}, 2, 71, 67, 63},
		{"😀", Options{}, 1, 2, 70, 68},
		{"ş", Options{Shift: Turkish}, 1, 2, 155, 153},
		{"ş", Options{Locking: Turkish}, 1, 1, 155, 154},
	} {
		p, err := Compose(c.text, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		if p.Parts() != c.parts || p.Units != c.units || p.Room != c.room || p.Left != c.left {
			t.Errorf("%.8q %+v: %d parts, %d units, room %d, left %d; want %+v", c.text, c.opt, p.Parts(), p.Units, p.Room, p.Left, c)
		}
	}
}

// TestNationalTablesAreUsedWhereTheyHelp: only what the shop allows, and only
// where the default alphabet would lose a character or a part.
func TestNationalTablesAreUsedWhereTheyHelp(t *testing.T) {
	both := Options{Shift: Turkish, Locking: Turkish}
	for _, c := range []struct {
		name, text     string
		opt            Options
		alphabet       string
		shift, locking int
		changes        int
	}{
		{"not for a text that needs none", "Hazir", both, "gsm7", 0, 0, 0},
		{"not unless allowed", "Hazır", Options{}, "ucs2", 0, 0, 0},
		{"the single shift", "Hazır", Options{Shift: Turkish}, "gsm7", 1, 0, 0},
		{"the locking table alone where it holds all", "Hazır", Options{Locking: Turkish}, "gsm7", 0, 1, 0},
		{"the simpler header of two that fit", "Hazır", both, "gsm7", 1, 0, 0},
		{"the locking table where it saves a part", strings.Repeat("ış", 60), both, "gsm7", 0, 1, 0},
		{"no table holds this", "Hazır я", both, "ucs2", 0, 0, 0},
		{"keep ã and replace the quote", "São ’", Options{Shift: Portuguese}, "gsm7", 3, 0, 1},
		{"keep ç by table although it may be replaced", "ça", Options{Shift: Spanish, Cedilla: true}, "gsm7", 2, 0, 0},
		{"gsm7 keeps by table what it would replace", "Ê", Options{Encoding: GSM7, Shift: Portuguese}, "gsm7", 3, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Compose(c.text, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			if p.Alphabet != c.alphabet || p.Shift != c.shift || p.Locking != c.locking || len(p.Changes) != c.changes {
				t.Errorf("%s with shift %d, locking %d, changes %v; want %+v", p.Alphabet, p.Shift, p.Locking, p.Changes, c)
			}
		})
	}
}

func TestCulprits(t *testing.T) {
	for _, c := range []struct {
		name, text string
		opt        Options
		parts      int
		culprits   string
		instead    int // parts; 0: nothing to advise
	}{
		{"none in the short alphabet", "klaar’", Options{}, 1, "[]", 0},
		{"one letter costs a part", strings.Repeat("a", 99) + "ï", Options{}, 2, "[{ï [99] i 1}]", 1},
		{"quotes go with it", strings.Repeat("a", 138) + "ï’", Options{}, 3, "[{ï [138] i 2}]", 1},
		{"one of two saves nothing", "ï " + strings.Repeat("a", 90) + " ë ï", Options{}, 2, "[{ï [0 95] i 0} {ë [93] e 0}]", 1},
		{"one of two saves its own units", "😀😀" + strings.Repeat("a", 66) + "я", Options{}, 2, "[{😀 [0 1]  1} {я [68]  1}]", 1},
		{"a family is one character", "ok " + family, Options{}, 1, "[{" + family + " [3]  0}]", 1},
		{"half a text is still advice", "да ok", Options{}, 1, "[{д [0]  0} {а [1]  0}]", 1},
		{"and no advice is left of it", "да!", Options{}, 1, "[{д [0]  0} {а [1]  0}]", 0},
		{"nothing would be left to say", strings.Repeat("😀", 40) + "!", Options{}, 2, "[{😀 " + fmt.Sprint(upTo(40)) + "  0}]", 0},
		{"asked for, and nothing to blame", "Ja", Options{Encoding: UCS2}, 1, "[]", 0},
		{"asked for", strings.Repeat("a", 99) + "’", Options{Encoding: UCS2}, 2, "[{’ [99] ' 1}]", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Compose(c.text, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			if p.Parts() != c.parts || fmt.Sprint(p.Culprits) != c.culprits {
				t.Errorf("%d parts because of %v; want %d, %s", p.Parts(), p.Culprits, c.parts, c.culprits)
			}
			if (p.Instead == nil) != (c.instead == 0) || p.Instead != nil && p.Instead.Parts != c.instead {
				t.Errorf("instead %+v, want %d parts", p.Instead, c.instead)
			}
		})
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestCulpritsKeepTheirWord: taking the advice really saves what it says.
// With a table that is allowed, what it holds is no culprit, and its header
// counts in what is told of the text without the others.
func TestCulpritsBesideANationalTable(t *testing.T) {
	for _, encoding := range []Encoding{Smart, UCS2} {
		opt := Options{Encoding: encoding, Shift: Turkish}
		said := strings.Repeat("a", 156) + "ş"
		p, err := Compose(said+"😀", opt)
		if err != nil {
			t.Fatal(err)
		}
		opt.Encoding = Smart
		without, err := Compose(said, opt)
		if err != nil {
			t.Fatal(err)
		}
		if without.Parts() != 2 || p.Parts() != 3 || len(p.Culprits) != 1 || p.Culprits[0].Char != "😀" || p.Culprits[0].Saves != 1 ||
			p.Instead == nil || p.Instead.Text != said || p.Instead.Parts != 2 {
			t.Errorf("%s: %d parts, culprits %+v, instead %+v; without the emoji it is %d", encoding, p.Parts(), p.Culprits, p.Instead, without.Parts())
		}
	}
}

func TestNothingButWhatNobodySees(t *testing.T) {
	_, err := Compose("\u200b\u2066", Options{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeTextEmpty || strings.Contains(e.Detail, "smart") {
		t.Errorf("%v", err)
	}
}

func TestCulpritsKeepTheirWord(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("Größe ê ", 12), "😀" + strings.Repeat("ab", 33) + "ïï", strings.Repeat("я", 68) + "ë", strings.Repeat("😀ï", 40) + "日本",
	} {
		p, err := Compose(text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Culprits {
			q, err := Compose(strings.ReplaceAll(text, c.Char, c.Use), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if p.Parts()-q.Parts() != c.Saves {
				t.Errorf("%.20q without %s: %d parts instead of %d, promised to save %d", text, c.Char, q.Parts(), p.Parts(), c.Saves)
			}
		}
		if p.Instead == nil {
			continue
		}
		q, err := Compose(p.Instead.Text, Options{})
		if err != nil || q.Alphabet != AlphabetGSM7 || q.Parts() != p.Instead.Parts {
			t.Errorf("%.20q: instead %+v, sent as %+v, %v", text, p.Instead, q, err)
		}
	}
}
