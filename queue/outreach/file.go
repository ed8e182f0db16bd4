package outreach

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// File is a table as business systems export it: a row of names, then rows.
// Columns are parted by semicolon, comma or tabulator; the text is UTF-8, with
// or without a byte order mark, or Windows-1252 (field-notes §4.3).
type File struct {
	Head  []string // as it was written
	Rows  []FileRow
	width int
}

// FileRow is one row and where it stands.
type FileRow struct {
	Line  int
	Cells []string
	Bad   string // it cannot be read: why
}

// maxRows of one file.
const maxRows = 250_000

// ReadFile reads a table. Its error is a *queue.Invalid about the file; a row
// that cannot be read is kept with the reason.
func ReadFile(raw []byte) (*File, error) {
	whole, err := PlainText(raw)
	if err != nil {
		return nil, err
	}
	raw = []byte(whole)
	first, _, _ := bytes.Cut(raw, []byte("\n"))
	in := csv.NewReader(bytes.NewReader(raw))
	in.Comma = Separator(first)
	in.FieldsPerRecord = -1 // told in our words
	in.LazyQuotes = true    // 12" is twelve inches
	in.ReuseRecord = false

	head, err := in.Read()
	if err != nil {
		return nil, invalid("file", "file_empty", "the file has no row of names. The first row says what the columns are")
	}
	f := &File{Head: head, width: len(head)}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if len(f.Rows) == maxRows {
			return nil, invalid("file", "file_too_long", "the file has more than %d rows. Divide it", maxRows)
		}
		if err != nil {
			bad, _ := errors.AsType[*csv.ParseError](err)
			if bad == nil {
				return nil, invalid("file", "file_unreadable", "the file cannot be read: %v", err)
			}
			f.Rows = append(f.Rows, FileRow{Line: bad.Line, Bad: "cannot be read: " + bad.Err.Error()})
			continue
		}
		line, _ := in.FieldPos(0)
		for i, cell := range cells {
			// Exports write '+31… so that no spreadsheet reads a formula.
			if len(cell) > 1 && cell[0] == '\'' && strings.ContainsRune("=+-@", rune(cell[1])) {
				cells[i] = cell[1:]
			}
		}
		row := FileRow{Line: line, Cells: cells}
		if len(cells) != f.width {
			row.Bad = fmt.Sprintf("has %d columns, the row of names has %d: is a separator missing, or a text without quotes?", len(cells), f.width)
		}
		f.Rows = append(f.Rows, row)
	}
	return f, nil
}

// PlainText reads a text as programs save it: UTF-8 with or without a byte order
// mark, or Windows-1252. Its error is a *queue.Invalid about the file.
func PlainText(raw []byte) (string, error) {
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	if utf8.Valid(raw) {
		return string(raw), nil
	}
	if bytes.ContainsRune(raw, 0) {
		return "", invalid("file", "file_encoding", "this is not a table of text. Save it as CSV, UTF-8")
	}
	decoded, err := charmap.Windows1252.NewDecoder().Bytes(raw)
	if err != nil {
		return "", invalid("file", "file_encoding", "the text is neither UTF-8 nor Windows-1252: %v. Save it as CSV UTF-8", err)
	}
	return string(decoded), nil
}

// Separator is the one of comma, semicolon and tab that the first line of a
// list has most.
func Separator(line []byte) rune {
	best := ','
	for _, s := range ";\t" {
		if bytes.Count(line, []byte(string(s))) > bytes.Count(line, []byte(string(best))) {
			best = s
		}
	}
	return best
}

// column is where a name stands; -1: nowhere.
func (f *File) column(ours string) int {
	return slices.IndexFunc(f.Head, func(h string) bool { name, _ := headName(h); return fieldName(name) == ours })
}

// headName parts a name from the type that it declares: points:number.
func headName(h string) (name string, t Type) {
	h = strings.TrimSpace(h)
	if i := strings.LastIndex(h, ":"); i > 0 {
		for _, known := range types {
			if strings.EqualFold(strings.TrimSpace(h[i+1:]), string(known)) {
				return strings.TrimSpace(h[:i]), known
			}
		}
	}
	return h, ""
}
