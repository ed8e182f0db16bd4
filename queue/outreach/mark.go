package outreach

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// marks are the ways in which shops' programs write a placeholder, the longer
// before the shorter (field-notes §4.1 to §4.4).
var marks = []struct {
	open, shut string
	// stranger says whether a name that nobody knows is a placeholder all the
	// same, or a text that happens to stand between such signs.
	stranger func(between string) bool
}{
	{"{{", "}}", func(string) bool { return true }}, // nobody writes this for another reason
	{"{", "}", isWords},
	{"[", "]", isWords},
	// Two hash tags in a row look like a placeholder: "#sale #deal". In ours the
	// blanks are on both sides or on none.
	{"#", "#", func(s string) bool {
		name := strings.TrimSpace(s)
		return isWords(s) && !strings.ContainsFunc(name, unicode.IsSpace) &&
			strings.HasPrefix(s, " ") == strings.HasSuffix(s, " ")
	}},
}

const (
	markSigns = "{}[]#"
	maxName   = 200 // bytes between two marks
)

// mark is one placeholder in a text.
type mark struct {
	from, to int    // bytes
	name     string // folded
	known    bool
}

// findMarks finds the placeholders of s. A name that is known is one in
// whatever marks it stands; of the others only what can hardly be meant
// otherwise: better refuse a text with "[sic]" than send "[VERFALLDATUM]" to
// four hundred members.
func findMarks(s string, known Names) []mark {
	var found []mark
	for at := 0; ; {
		next := strings.IndexAny(s[at:], markSigns)
		if next < 0 {
			return found
		}
		at += next
		if m, ok := markAt(s, at, known); ok {
			found = append(found, m)
			at = m.to
		} else {
			at++
		}
	}
}

func markAt(s string, at int, known Names) (mark, bool) {
	for _, form := range marks {
		rest, opens := strings.CutPrefix(s[at:], form.open)
		if !opens {
			continue
		}
		end := strings.IndexAny(rest[:min(len(rest), maxName)], markSigns+"\r\n")
		if end < 0 || !strings.HasPrefix(rest[end:], form.shut) {
			continue
		}
		m := mark{from: at, to: at + len(form.open) + end + len(form.shut), name: fold(rest[:end])}
		m.known = known[m.name]
		if m.name != "" && (m.known || form.stranger(rest[:end])) {
			return m, true
		}
	}
	return mark{}, false
}

// isWords: letters first, then letters, digits and what joins them, with
// blanks between and around.
func isWords(s string) bool {
	s = strings.TrimSpace(s)
	for i, r := range s {
		switch {
		case unicode.IsLetter(r):
		case i == 0:
			return false
		case unicode.IsDigit(r), unicode.Is(unicode.M, r), unicode.IsSpace(r), strings.ContainsRune("_-.", r):
		default:
			return false
		}
	}
	return s != ""
}

// fold is how names are compared: without regard to case, to blanks around
// them, and to how an accent was typed.
func fold(name string) string {
	if folded(name) {
		return name // nearly all are, and a selection asks a hundred thousand times
	}
	return strings.ToLower(strings.Join(strings.Fields(norm.NFC.String(name)), " "))
}

// folded: fold would change nothing, as far as can be told without work.
func folded(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}
