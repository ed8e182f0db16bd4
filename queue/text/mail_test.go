package text

import (
	"errors"
	"strings"
	"testing"
)

func TestComposeMail(t *testing.T) {
	p, err := ComposeMail("Beste Zoë,\r\n\r\nuw fiets “Åsa” is klaar 🚲\x1b[0m\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Beste Zoë,\n\nuw fiets “Åsa” is klaar 🚲[0m\n"; p.Text != want {
		t.Errorf("the text is %q, want %q", p.Text, want)
	}
	if p.Parts() != 1 || p.Alphabet != AlphabetUTF8 || p.Segments[0].Text != p.Text || p.Left != MaxMail-p.Units {
		t.Errorf("the plan is %+v", p)
	}
	if len(p.Changes) != 4 || p.Changes[2].From != "\x1b" {
		t.Errorf("the account of what was changed: %+v", p.Changes)
	}
	long, err := ComposeMail(strings.Repeat("å", MaxMail))
	if err != nil || long.Parts() != 1 || long.Left != 0 {
		t.Errorf("the longest text: %v", err)
	}
	for text, code := range map[string]string{
		"":                               CodeTextEmpty,
		" \r\n":                          CodeTextEmpty,
		"caf\xe9":                        CodeTextUTF8,
		strings.Repeat("a", MaxMail+1):   CodeTextTooLong,
		strings.Repeat("a", MaxMail*4+1): CodeTextTooLong,
	} {
		_, err := ComposeMail(text)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != code || e.Field != "text" {
			t.Errorf("%.20q: %v, want %s", text, err, code)
		}
	}
}

func TestComposeSubject(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "",
		"Uw fiets is klaar":                "Uw fiets is klaar",
		" Zoë\tis \r\nBcc: all@example.nl": "Zoë is Bcc: all@example.nl",
		"a\x00b\u2028c":                    "ab c",
	} {
		got, err := ComposeSubject(in)
		if err != nil || got != want {
			t.Errorf("%q becomes %q, %v; want %q", in, got, err, want)
		}
	}
	for in, code := range map[string]string{
		strings.Repeat("a", MaxSubject+1): CodeSubjectTooLong,
		"caf\xe9":                         CodeTextUTF8,
	} {
		_, err := ComposeSubject(in)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != code || e.Field != "subject" {
			t.Errorf("%.20q: %v, want %s", in, err, code)
		}
	}
}

func TestCheckHTML(t *testing.T) {
	if err := CheckHTML("<p>Hallo Zoë</p>"); err != nil {
		t.Error(err)
	}
	for in, code := range map[string]string{strings.Repeat("a", MaxHTML+1): CodeHTMLTooLong, "<p>caf\xe9": CodeTextUTF8} {
		err := CheckHTML(in)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != code || e.Field != "html" {
			t.Errorf("%.20q: %v, want %s", in, err, code)
		}
	}
}

func TestSubjectOf(t *testing.T) {
	for in, want := range map[string]string{
		"\n Uw fiets is klaar.\nTot straks":                                              "Uw fiets is klaar.",
		"Wij bevestigen uw afspraak op dinsdag om half tien bij de kapper in Amersfoort": "Wij bevestigen uw afspraak op dinsdag om half tien bij de…",
		strings.Repeat("x", 80):                                                          strings.Repeat("x", 60) + "…",
	} {
		if got := SubjectOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
