package outreach

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is one sentence of a text: from where the one before it ended, without
// and with the blanks behind it.
type span struct{ end, tail int }

// abbreviations end in a point that ends no sentence. Whatever this list lacks
// makes a sentence too short, so it has what stands before a value.
var abbreviations = words(`
	mr mrs ms dr prof st no nr art tel fax vs inc approx max min ca e.g i.e
	dhr mw mevr hr ir ing nl bijv incl excl evt o.a z.b z.g a.u.b bv
	kl tfn mob ang bl.a t.ex s.k m.m
	herr fr frau str inkl exkl bzw ggf z.hd bspw usw u.a zzgl abs`)

func words(list string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// sentences divides s. In doubt it does not: who leaves a sentence out had
// rather lose the next one too than send half a sentence.
func sentences(s string) []span {
	var spans []span
	from := 0
	for at := 0; at < len(s); {
		r, n := utf8.DecodeRuneInString(s[at:])
		switch {
		case unicode.IsSpace(r):
			tail := at + blanks(s[at:])
			if strings.Contains(s[at:tail], "\n") { // a line is never continued by the next
				spans = append(spans, span{at, tail})
				from = tail
			}
			at = tail
		case isEnd(r):
			end := at + n
			end += len(s[end:]) - len(strings.TrimLeftFunc(s[end:], isEndOrClose))
			tail := end + blanks(s[end:])
			inWord := tail == end && end < len(s) // 14.30, tillpost.example
			onlyPoint := r == '.' && end == at+1
			if inWord || onlyPoint && !endsWord(s[from:at]) || goesOn(s[tail:]) {
				at = end
				continue
			}
			spans = append(spans, span{end, tail})
			at, from = tail, tail
		default:
			at += n
		}
	}
	if from < len(s) {
		spans = append(spans, span{len(s), len(s)})
	}
	return spans
}

func isEnd(r rune) bool { return strings.ContainsRune(".!?…", r) }

func isEndOrClose(r rune) bool { return isEnd(r) || strings.ContainsRune(`"')]»”’`, r) }

func blanks(s string) int { return len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace)) }

// goesOn: a sentence does not begin with a small letter.
func goesOn(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLower(r)
}

// endsWord says whether a point behind s ends a sentence: not after an
// abbreviation, nor after a day of a month ("am 3. Mai").
func endsWord(s string) bool {
	word := s[strings.LastIndexFunc(s, unicode.IsSpace)+1:]
	word = strings.TrimLeft(word, `("'[«“‘`)
	if len(word) <= 2 && word != "" && strings.Trim(word, "0123456789") == "" {
		return false
	}
	return !abbreviations[strings.ToLower(word)]
}
