package whole

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"tillpost/queue/outreach"
	"tillpost/webui/api/wire"
)

// maxList is as much as the box takes in one preview.
const maxList = 8 << 20

// What the column of numbers, and that of languages, is called by the programs
// that write such files (field-notes §4.3, §4.4).
var (
	numberColumns   = []string{"to", "mobil", "mobile", "mobiel", "phone", "number", "telefon", "telefoon", "handy", "nummer"}
	languageColumns = []string{"lang", "language", "taal", "språk", "sprache"}
)

// row is one recipient of a file.
type row struct {
	wire.Recipient
	line int
}

// readList reads a CSV file with a row of names: one column has the numbers,
// perhaps one the language, and all are values for a template. Columns are
// parted by semicolons, commas or tabulators, as in the first line.
func readList(r io.Reader) ([]row, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxList+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) > maxList:
		return nil, errors.New("it has more than 8 MB; divide it")
	case !utf8.Valid(raw):
		return nil, errors.New("it is not UTF-8; save it as CSV UTF-8")
	}
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF")) // as spreadsheets begin
	first, _, _ := bytes.Cut(raw, []byte("\n"))
	in := csv.NewReader(bytes.NewReader(raw))
	in.Comma = outreach.Separator(first)
	in.FieldsPerRecord = -1 // told in our words

	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("it has no row of names: %w", err)
	}
	to, lang := column(head, numberColumns), column(head, languageColumns)
	if to < 0 {
		return nil, fmt.Errorf("none of its columns is named to, phone or mobile: line 1 has %s", strings.Join(head, ", "))
	}
	var rows []row
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err // csv names the line
		}
		line, _ := in.FieldPos(0)
		if len(cells) != len(head) {
			return nil, fmt.Errorf("line %d has %d columns, the row of names has %d", line, len(cells), len(head))
		}
		one := row{wire.Recipient{To: cells[to], Vars: wire.Vars{}}, line}
		if lang >= 0 {
			one.Lang = strings.ToLower(strings.TrimSpace(cells[lang]))
		}
		for i, name := range head {
			if strings.TrimSpace(name) != "" {
				one.Vars[name] = cells[i]
			}
		}
		rows = append(rows, one)
	}
	if len(rows) == 0 {
		return nil, errors.New("it has names of columns, and no row below them")
	}
	return rows, nil
}

// column finds the first column that has one of these names; -1: none has.
func column(head, names []string) int {
	return slices.IndexFunc(head, func(h string) bool {
		return slices.Contains(names, strings.ToLower(strings.TrimSpace(h)))
	})
}
