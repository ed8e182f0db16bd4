package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"tillpost/webui/api/wire"
)

func (t *tool) preview(ctx context.Context, args []string) error {
	fs := flagSet("preview")
	var c wire.Compose
	fs.StringVar(&c.To, "to", "", "")
	fs.StringVar(&c.Class, "class", "", "")
	fs.StringVar(&c.Pool, "pool", "", "")
	fs.StringVar(&c.Encoding, "encoding", "", "")
	fs.StringVar(&c.Lang, "lang", "", "")
	fs.StringVar(&c.Template, "template", "", "")
	fs.StringVar(&c.Missing, "missing", "", "")
	c.First = fs.Int("n", 3, "")
	words, err := parse(fs, args, "TEXT (with -template: FILE.csv)")
	if err != nil {
		return err
	}
	if c.Template != "" {
		return t.previewTemplate(ctx, c, words[0])
	}
	c.First = nil // belongs to a template
	if c.Text, err = t.text(words[0]); err != nil {
		return err
	}
	p, err := t.box.Preview(ctx, c)
	if err != nil || t.json {
		return t.raw(p, err)
	}
	t.previewed(p)
	return nil
}

// previewed shows one text as it would be sent.
func (t *tool) previewed(p wire.Preview) {
	for i, s := range p.Parts {
		fmt.Fprintf(t.out, "part %d of %d, %d of %d units\n    %s\n", i+1, len(p.Parts), s.Units, p.Room, strings.ReplaceAll(s.Text, "\n", "\n    "))
	}
	fmt.Fprintf(t.out, "%s in %s, %d units left\n", count(len(p.Parts), "part"), p.Encoding, p.Left)
	if p.Price != nil {
		fmt.Fprintf(t.out, "price %s %s to %s\n", p.Price.Amount, p.Price.Currency, cmp.Or(p.To, "a number of "+p.Country))
	}
	t.changes(p.Changes)
	for _, c := range p.Culprits {
		instead := "without it"
		if c.Use != "" {
			instead = fmt.Sprintf("with %q instead", c.Use)
		}
		saves := instead + " the text saves " + count(c.Saves, "part")
		if c.Saves == 0 {
			saves = "that alone costs no part"
		}
		fmt.Fprintf(t.out, "%q keeps the text out of the short alphabet; %s\n", c.Char, saves)
	}
	if p.Instead != nil && len(p.Culprits) > 1 {
		fmt.Fprintf(t.out, "without all of them it is %s\n", count(p.Instead.Parts, "part"))
	}
	if p.Refused != nil {
		fmt.Fprintf(t.out, "it would be refused: %s\n", p.Refused.Detail)
	}
}

func (t *tool) previewTemplate(ctx context.Context, c wire.Compose, file string) error {
	var err error
	if c.Template, err = t.text(c.Template); err != nil {
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
	s, err := t.box.PreviewTemplate(ctx, c)
	if err != nil || t.json {
		return t.raw(s, err)
	}
	t.selected(s, rows)
	return nil
}

// selected shows what a template comes to. Rows of the answer are told as
// lines of the file.
func (t *tool) selected(s wire.Selection, rows []row) {
	for _, r := range s.First {
		fmt.Fprintf(t.out, "line %d, %s, %s\n    %s\n", rows[r.Row-1].line, r.To, count(len(r.Parts), "part"), strings.ReplaceAll(r.Text, "\n", "\n    "))
	}
	fmt.Fprintf(t.out, "%s of %s, %s\n", count(s.Messages, "message"), count(s.Recipients, "recipient"), count(s.Parts, "part"))
	for _, n := range s.ByParts {
		fmt.Fprintf(t.out, "    %s in %s\n", count(n.Messages, "message"), count(n.Parts, "part"))
	}
	if s.UCS2 > 0 {
		fmt.Fprintf(t.out, "    %s outside the short alphabet\n", count(s.UCS2, "message"))
	}
	for _, p := range s.Total {
		fmt.Fprintf(t.out, "price %s %s\n", p.Amount, p.Currency)
	}
	if s.Unpriced > 0 && len(s.Total) > 0 {
		fmt.Fprintf(t.out, "    and %s without a tariff\n", count(s.Unpriced, "message"))
	}
	for _, e := range []struct {
		which string
		r     *wire.Rendering
	}{{"shortest", s.Shortest}, {"longest", s.Longest}} {
		if e.r != nil {
			fmt.Fprintf(t.out, "%s: line %d, %s, %d units left\n", e.which, rows[e.r.Row-1].line, count(len(e.r.Parts), "part"), e.r.Left)
		}
	}
	for _, r := range s.Refusals {
		fmt.Fprintf(t.out, "refused, %s: %s\n", lines(r.Rows, rows), r.Detail)
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
