package webui

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strings"
	"sync"

	"tillpost/queue"
)

// Words of the page itself, in the languages of the queue's own table, which
// has what is wrong and what to do. Somebody who knows the language can check
// both.
//
//go:embed words.csv
var wordsCSV []byte

var words = sync.OnceValue(func() map[string]map[string]string {
	rows, err := csv.NewReader(bytes.NewReader(wordsCSV)).ReadAll()
	if err != nil {
		panic("words.csv: " + err.Error()) // compiled in, and read by a test
	}
	table := make(map[string]map[string]string, len(rows))
	for _, row := range rows[1:] {
		table[row[0]] = make(map[string]string, len(queue.Languages))
		for i, lang := range rows[0][1:] {
			table[row[0]][lang] = row[1+i]
		}
	}
	return table
})

// say is a text of the page in a language, with its {arguments} filled in:
// names and values in turn. A key that is not there is its own text, so that
// nothing is hidden.
func say(lang, key string, args ...any) string {
	texts, ok := words()[key]
	if !ok {
		return key
	}
	text, ok := texts[lang]
	if !ok {
		text = texts["en"]
	}
	for i := 0; i+1 < len(args); i += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%v}", args[i]), fmt.Sprint(args[i+1]))
	}
	return text
}
