package text

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"

	"github.com/mozillazg/go-unidecode"
)

// lookalikes are replacements that no reader notices. They are all that the
// policy smart does.
var lookalikes = map[rune]string{
	// quotes, and the accents that people type for them
	'ʼ': "'", '＇': "'", '‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '`': "'",
	'“': "\"", '”': "\"", '„': "\"", '‟': "\"", '″': "\"",
	// dashes
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-",
	'…': "...",
	// blanks: no-break, en quad to hair space, narrow no-break, mathematical, ideographic
	'\u00A0': " ", '\u2000': " ", '\u2001': " ", '\u2002': " ", '\u2003': " ", '\u2004': " ", '\u2005': " ",
	'\u2006': " ", '\u2007': " ", '\u2008': " ", '\u2009': " ", '\u200A': " ", '\u202F': " ", '\u205F': " ", '\u3000': " ",
	// of no width: soft hyphen, zero-width space, joiners, marks of direction, word joiner, byte order mark
	'\u00AD': "", '\u200B': "", '\u200C': "", '\u200D': "", '\u200E': "", '\u200F': "", '\u2060': "", '\uFEFF': "",
	// and embeddings, overrides and isolates of direction, and the operators of
	// formulas that nobody sees
	'\u202A': "", '\u202B': "", '\u202C': "", '\u202D': "", '\u202E': "",
	'\u2066': "", '\u2067': "", '\u2068': "", '\u2069': "",
	'\u2061': "", '\u2062': "", '\u2063': "", '\u2064': "",
	// letters that are two letters
	'Ĳ': "IJ", 'ĳ': "ij", 'ﬀ': "ff", 'ﬁ': "fi", 'ﬂ': "fl", 'ﬃ': "ffi", 'ﬄ': "ffl",
}

// guillemets are quotes to a reader; the garage's table (field-notes §2.5),
// which the policy ascii keeps to, writes them as << and >>.
var guillemets = map[rune]string{'«': "\"", '»': "\"", '‹': "'", '›': "'"}

// lookalike is the replacer of the policy smart.
func lookalike(opt Options) replacer {
	return func(r rune) (string, bool) {
		if to, ok := guillemets[r]; ok && opt.Encoding != ASCII {
			return to, true
		}
		if r == 'ç' && opt.Cedilla {
			return "c", true
		}
		to, ok := lookalikes[r]
		return to, ok
	}
}

// byLanguage are the plain forms that differ by language (field-notes §2.5).
// The table of tables/translit.csv, which speaks Dutch, holds for the others.
var byLanguage = map[string]map[rune]string{
	"de": german,
	"da": nordic, "no": nordic, "nb": nordic, "nn": nordic,
}

var (
	german = map[rune]string{'ä': "ae", 'ö': "oe", 'ü': "ue", 'Ä': "Ae", 'Ö': "Oe", 'Ü': "Ue"}
	nordic = map[rune]string{'å': "aa", 'ø': "oe", 'Å': "Aa", 'Ø': "Oe"}
)

// plainForm is the replacer of the policies gsm7 and ascii: the language of
// the text, look-alikes, the table, and Unidecode as the last step
// (library-facts §8). Whatever comes out must be held.
func plainForm(opt Options, holds func(rune) bool) replacer {
	lang, _, _ := strings.Cut(strings.ToLower(opt.Lang), "-")
	steps := []replacer{
		func(r rune) (string, bool) { to, ok := byLanguage[lang][r]; return to, ok },
		lookalike(opt),
		func(r rune) (string, bool) { to, ok := translit()[r]; return to, ok },
		func(r rune) (string, bool) { return "", isLatinAccent(r) || isStyle(r) },
		lastStep,
	}
	return func(r rune) (string, bool) {
		for _, step := range steps {
			if to, ok := step(r); ok && all(to, holds) {
				return to, true
			}
		}
		return "", false
	}
}

// lastStep asks Unidecode, which knows some plain form for nearly everything.
// Taken are letters for Latin letters, and signs for punctuation, currency and
// numbers. Emoji and other scripts have no plain form here: Unidecode returns
// nothing for the first, and a sound that no reader expects for the second.
func lastStep(r rune) (string, bool) {
	if r < 0x80 {
		return "", false // it is plain, and where that is not enough nothing is plainer
	}
	to := strings.TrimSpace(unidecode.Unidecode(string(r)))
	if to == "" || !all(to, isPlain) {
		return "", false
	}
	switch {
	case unicode.Is(unicode.Latin, r):
		return to, all(to, isLetter) // ə is not @
	case !unicode.Is(unicode.Common, r):
		return "", false
	case unicode.In(r, unicode.P):
		return to, !strings.ContainsFunc(to, isLetterOrDigit) // ‰ is not %0
	}
	return to, unicode.In(r, unicode.Sc, unicode.N)
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isLetterOrDigit(r rune) bool { return isLetter(r) || isDigit(r) }

// isPlain: what the policy ascii lets through. The list is that of the
// substitution table's page (field-notes §2.5), and the line feed, which the
// page forgot.
func isPlain(r rune) bool {
	return isLetterOrDigit(r) || strings.ContainsRune(" \n'\"_-!#$%&()*+,./:;<=>?@", r)
}

// isLatinAccent: the combining marks used with Latin letters. One that NFC
// could not compose has no plain form but nothing.
func isLatinAccent(r rune) bool { return r >= 0x0300 && r <= 0x036F }

// isStyle: the selectors of a coloured or a plain picture, as in ™️. They go
// with the character they follow if that has a plain form.
func isStyle(r rune) bool { return r == '\uFE0E' || r == '\uFE0F' }

// apart puts a blank before a fraction that follows a digit: 1½ is not 11/2.
func apart(before, to string) string {
	if before != "" && to != "" && isDigit(rune(before[len(before)-1])) && isDigit(rune(to[0])) && strings.Contains(to, "/") {
		return " " + to
	}
	return to
}

//go:embed tables/translit.csv
var translitCSV string

// translit is the substitution table with its slips corrected and its gaps
// filled.
var translit = sync.OnceValue(func() map[rune]string { return translitColumn("intent_corrected") })

// translitColumn reads one column of the table: "intent_corrected", or "to"
// for the table as it was printed, which only compatibility tests want.
func translitColumn(name string) map[rune]string {
	all := make(map[rune]string)
	for _, row := range table("translit.csv", translitCSV) {
		to := row[name]
		switch to {
		case "(space)":
			to = " "
		case "(remove)":
			to = ""
		}
		all[[]rune(row["from"])[0]] = to
	}
	return all
}
