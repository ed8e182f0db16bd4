package whole

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"tillpost/cmd/tillpost/hand"
	"tillpost/webui/api/wire"
)

// previewTemplate is preview with a template, over the recipients in a file.
func (t tool) previewTemplate(ctx context.Context, args []string) error {
	c, file, err := hand.PreviewArgs(args)
	if err != nil {
		return err
	}
	if c.Template, err = t.Text(c.Template); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := readList(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, r := range rows {
		c.Recipients = append(c.Recipients, r.Recipient)
	}
	s, err := t.Box.PreviewTemplate(ctx, c)
	if err != nil || t.JSON {
		return t.Raw(s, err)
	}
	t.selected(s, rows)
	return nil
}

// selected shows what a template comes to. Rows of the answer are told as
// lines of the file.
func (t tool) selected(s wire.Selection, rows []row) {
	for _, r := range s.First {
		fmt.Fprintf(t.Out, "line %d, %s, %s\n    %s\n", rows[r.Row-1].line, r.To, hand.Count(len(r.Parts), "part"), strings.ReplaceAll(r.Text, "\n", "\n    "))
	}
	fmt.Fprintf(t.Out, "%s of %s, %s\n", hand.Count(s.Messages, "message"), hand.Count(s.Recipients, "recipient"), hand.Count(s.Parts, "part"))
	for _, n := range s.ByParts {
		fmt.Fprintf(t.Out, "    %s in %s\n", hand.Count(n.Messages, "message"), hand.Count(n.Parts, "part"))
	}
	if s.UCS2 > 0 {
		fmt.Fprintf(t.Out, "    %s outside the short alphabet\n", hand.Count(s.UCS2, "message"))
	}
	for _, p := range s.Total {
		fmt.Fprintf(t.Out, "price %s %s\n", p.Amount, p.Currency)
	}
	if s.Unpriced > 0 && len(s.Total) > 0 {
		fmt.Fprintf(t.Out, "    and %s without a tariff\n", hand.Count(s.Unpriced, "message"))
	}
	for _, e := range []struct {
		which string
		r     *wire.Rendering
	}{{"shortest", s.Shortest}, {"longest", s.Longest}} {
		if e.r != nil {
			fmt.Fprintf(t.Out, "%s: line %d, %s, %d units left\n", e.which, rows[e.r.Row-1].line, hand.Count(len(e.r.Parts), "part"), e.r.Left)
		}
	}
	for _, r := range s.Refusals {
		fmt.Fprintf(t.Out, "refused, %s: %s\n", lines(r.Rows, rows), r.Detail)
	}
}

// lines names where some rows stand in their file.
func lines(of []int, rows []row) string {
	const most = 10
	var list []string
	for _, n := range of[:min(len(of), most)] {
		list = append(list, strconv.Itoa(rows[n-1].line))
	}
	s := "line " + strings.Join(list, ", ")
	if n := len(of) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
