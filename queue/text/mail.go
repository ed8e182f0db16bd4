package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AlphabetUTF8 is Plan.Alphabet of an e-mail: every character is itself, and
// nothing is cut.
const AlphabetUTF8 = "utf-8"

// Codes of an Error about an e-mail.
const (
	CodeSubjectTooLong = "subject_too_long"
	CodeHTMLTooLong    = "html_too_long"
)

const (
	// MaxMail is the longest text of an e-mail, in characters; MaxHTML that of
	// its HTML form, in bytes. They are mails to customers, not catalogues.
	MaxMail = 20_000
	MaxHTML = 100_000
	// MaxSubject is in characters. What shops show of a subject is half of it.
	MaxSubject = 200
	// firstLine is how much of a text stands in for a subject.
	firstLine = 60
)

// ComposeMail makes the text of an e-mail ready to be sent, by the same reading
// as Compose: NFC, one kind of line end, control characters out and reported.
// The plan has one part, whatever its length. Errors are *Error: text_empty,
// text_too_long, text_invalid_utf8.
func ComposeMail(s string) (*Plan, error) {
	if len(s) > utf8.UTFMax*MaxMail {
		return nil, mailTooLong()
	}
	in, err := read(s)
	if err != nil {
		return nil, err
	}
	if strings.TrimFunc(in.text, unicode.IsSpace) == "" {
		return nil, &Error{Field: "text", Code: CodeTextEmpty, Detail: "the text is empty: write something to send. An html needs it too, for readers who see no HTML"}
	}
	units := utf8.RuneCountInString(in.text)
	if units > MaxMail {
		return nil, mailTooLong()
	}
	return &Plan{
		Text: in.text, Alphabet: AlphabetUTF8, Segments: []Segment{{Text: in.text, Units: units}},
		Changes: append([]Change{}, in.changes...), Units: units, Room: MaxMail, Left: MaxMail - units,
	}, nil
}

func mailTooLong() error {
	return &Error{Field: "text", Code: CodeTextTooLong, Detail: fmt.Sprintf("the text has more than %d characters. Shorten it, or put a link into it", MaxMail)}
}

// ComposeSubject makes a subject ready: one line without control characters,
// so that it can begin no header of its own. Its errors are *Error with Field
// "subject".
func ComposeSubject(s string) (string, error) {
	if len(s) > utf8.UTFMax*MaxSubject {
		return "", subjectTooLong()
	}
	in, err := read(s)
	if e, ok := err.(*Error); ok {
		e.Field = "subject"
		return "", e
	}
	line := strings.Join(strings.Fields(in.text), " ")
	if utf8.RuneCountInString(line) > MaxSubject {
		return "", subjectTooLong()
	}
	return line, nil
}

func subjectTooLong() error {
	return &Error{Field: "subject", Code: CodeSubjectTooLong, Detail: fmt.Sprintf("the subject has more than %d characters. Shorten it, and say the rest in text", MaxSubject)}
}

// CheckHTML checks the HTML form of an e-mail, which is sent as it is. Its
// errors are *Error with Field "html".
func CheckHTML(s string) error {
	if len(s) > MaxHTML {
		return &Error{Field: "html", Code: CodeHTMLTooLong, Detail: fmt.Sprintf("the html has %d bytes and may have %d. Take pictures out of it and link to them", len(s), MaxHTML)}
	}
	if !utf8.ValidString(s) {
		e := notUTF8(s)
		e.Field = "html"
		return e
	}
	return nil
}

// SubjectOf is the subject of a text that was given none: how its first line
// begins.
func SubjectOf(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.Join(strings.Fields(line), " ")
	if utf8.RuneCountInString(line) <= firstLine {
		return line
	}
	cut := string([]rune(line)[:firstLine])
	if at := strings.LastIndexByte(cut, ' '); at > firstLine/2 {
		cut = cut[:at]
	}
	return cut + "…"
}
