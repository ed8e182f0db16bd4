package hand

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"tillpost/webui/api/wire"
)

// Table lines its columns up.
// It is printed by Flush.
type Table struct{ w *tabwriter.Writer }

func NewTable(out io.Writer) Table { return Table{tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)} }

func (t Table) Row(cells ...string) {
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (t Table) Flush() error { return t.w.Flush() }

// Moment is a time as the operator's clock shows it.
func Moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.Local()
	if y, m, d := time.Now().Date(); t.Year() == y && t.Month() == m && t.Day() == d {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// Ago is how long something has been so.
func Ago(t *time.Time) string {
	if t == nil {
		return ""
	}
	d := time.Since(*t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "⏎") }

func Shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// About is what an event adds to its kind.
func About(e wire.Event) string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if e.Part > 0 {
		add("part %d", e.Part)
	}
	if e.Route != "" {
		add("%s", e.Route)
	}
	if e.Attempt > 1 {
		add("attempt %d", e.Attempt)
	}
	if e.Ref != "" {
		add("ref %s", e.Ref)
	}
	if what := cmp.Or(e.Detail, e.Code); what != "" {
		add("%s", what)
	}
	if !e.Until.IsZero() {
		add("until %s", Moment(e.Until))
	}
	if e.By != "" {
		add("by %s", e.By)
	}
	return strings.Join(words, ", ")
}
