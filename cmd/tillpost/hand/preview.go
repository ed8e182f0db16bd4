package hand

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"strings"

	"tillpost/webui/api/wire"
)

// PreviewArgs reads what follows the word preview; last is the text, or with a
// template the file of its recipients.
func PreviewArgs(args []string) (c wire.Compose, last string, err error) {
	fs := FlagSet("preview")
	fs.StringVar(&c.To, "to", "", "")
	fs.StringVar(&c.Channel, "channel", "", "")
	fs.StringVar(&c.Subject, "subject", "", "")
	fs.StringVar(&c.Class, "class", "", "")
	fs.StringVar(&c.Pool, "pool", "", "")
	fs.StringVar(&c.Encoding, "encoding", "", "")
	fs.StringVar(&c.Lang, "lang", "", "")
	fs.StringVar(&c.Template, "template", "", "")
	fs.StringVar(&c.Missing, "missing", "", "")
	c.First = fs.Int("n", 3, "")
	words, err := Parse(fs, args, "TEXT (with -template: FILE.csv)")
	if err != nil {
		return c, "", err
	}
	return c, words[0], nil
}

func (t *Tool) preview(ctx context.Context, args []string) error {
	c, last, err := PreviewArgs(args)
	if err != nil {
		return err
	}
	if c.Template != "" {
		return t.byRest(ctx, "preview -template", args)
	}
	c.First = nil // belongs to a template
	if c.Text, err = t.Text(last); err != nil {
		return err
	}
	p, err := t.Box.Preview(ctx, c)
	if err != nil || t.JSON {
		return t.Raw(p, err)
	}
	page := bufio.NewWriter(t.Out) // one write, not one for each line
	onPage := *t
	onPage.Out = page
	onPage.previewed(p)
	return page.Flush()
}

// previewed shows one text as it would be sent.
func (t *Tool) previewed(p wire.Preview) {
	if p.Channel == "email" {
		fmt.Fprintf(t.Out, "e-mail of %s\n    subject: %s\n    %s\n", Count(p.Bytes, "byte"), p.Subject, strings.ReplaceAll(p.Text, "\n", "\n    "))
		return
	}
	for i, s := range p.Parts {
		fmt.Fprintf(t.Out, "part %d of %d, %d of %d units\n    %s\n", i+1, len(p.Parts), s.Units, p.Room, strings.ReplaceAll(s.Text, "\n", "\n    "))
	}
	fmt.Fprintf(t.Out, "%s in %s, %d units left\n", Count(len(p.Parts), "part"), p.Encoding, p.Left)
	if p.Price != nil {
		fmt.Fprintf(t.Out, "price %s %s to %s\n", p.Price.Amount, p.Price.Currency, cmp.Or(p.To, "a number of "+p.Country))
	}
	t.changes(p.Changes)
	for _, c := range p.Culprits {
		instead := "without it"
		if c.Use != "" {
			instead = fmt.Sprintf("with %q instead", c.Use)
		}
		saves := instead + " the text saves " + Count(c.Saves, "part")
		if c.Saves == 0 {
			saves = "that alone costs no part"
		}
		fmt.Fprintf(t.Out, "%q keeps the text out of the short alphabet; %s\n", c.Char, saves)
	}
	if p.Instead != nil && len(p.Culprits) > 1 {
		fmt.Fprintf(t.Out, "without all of them it is %s\n", Count(p.Instead.Parts, "part"))
	}
	if p.Refused != nil {
		fmt.Fprintf(t.Out, "it would be refused: %s\n", p.Refused.Detail)
	}
}
