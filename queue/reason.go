package queue

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"strings"
	"sync"
	"time"
)

// Reason says in plain words why a message waits or how it ended. It is kept
// as a code with its arguments, so that it can be read in four languages.
type Reason struct {
	Code string            `json:"code"` // key of words.csv
	Args map[string]string `json:"args,omitempty"`
}

func because(code string, args ...string) Reason {
	r := Reason{Code: code}
	for i := 0; i+1 < len(args); i += 2 {
		if r.Args == nil {
			r.Args = make(map[string]string, len(args)/2)
		}
		r.Args[args[i]] = args[i+1]
	}
	return r
}

// Words of the house: what is wrong and what to do, in the languages of the
// shop. A table, so that somebody who knows the language can check it.
//
//go:embed words.csv
var wordsCSV []byte

// Languages that words.csv has, in its order.
var Languages = []string{"en", "nl", "sv", "de"}

type word struct {
	lamp  string
	texts [4]string
}

var words = sync.OnceValue(func() map[string]word {
	rows, err := csv.NewReader(bytes.NewReader(wordsCSV)).ReadAll()
	if err != nil {
		panic("words.csv: " + err.Error()) // compiled in, and read by a test
	}
	table := make(map[string]word, len(rows))
	for _, row := range rows[1:] {
		table[row[0]] = word{lamp: row[1], texts: [4]string(row[3:7])}
	}
	return table
})

// Words returns the plain text of a code in a language, with its {arguments}
// filled in. An unknown language reads as English; an unknown code is its own
// text, so that nothing is ever hidden.
func Words(code, lang string, args map[string]string) string {
	w, ok := words()[code]
	if !ok {
		return code
	}
	text := w.texts[0]
	for i, l := range Languages {
		if l == lang {
			text = w.texts[i]
		}
	}
	for name, value := range args {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// Lamp returns the colour that a code gives the box: green, amber, red, info
// or message.
func Lamp(code string) string { return words()[code].lamp }

// Text is the reason in plain words. Times are written as clock times in loc.
func (r Reason) Text(lang string, loc *time.Location) string {
	if r.Code == "" {
		return ""
	}
	args := make(map[string]string, len(r.Args))
	for k, v := range r.Args {
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			v = Clock(t, time.Now(), loc)
		}
		args[k] = v
	}
	return Words(r.Code, lang, args)
}

// Clock writes t as a person beside a till says it: the time of day, and the
// date where it is not today.
func Clock(t, now time.Time, loc *time.Location) string {
	if loc == nil {
		loc = time.Local
	}
	t, now = t.In(loc), now.In(loc)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}
