package hand

import (
	"context"
	"fmt"
	"io"
	"strings"

	"tillpost/webui/api/client"
	"tillpost/webui/api/wire"
)

func (t *Tool) send(ctx context.Context, args []string) error {
	fs := FlagSet("send")
	var m wire.Send
	fs.StringVar(&m.Class, "class", "", "")
	priority := fs.Int("priority", 1, "")
	fs.StringVar(&m.At, "at", "", "")
	fs.StringVar(&m.Expires, "expires", "", "")
	fs.StringVar(&m.From, "from", "", "")
	fs.StringVar(&m.Ref, "ref", "", "")
	fs.StringVar(&m.Pool, "pool", "", "")
	fs.StringVar(&m.Encoding, "encoding", "", "")
	fs.StringVar(&m.Channel, "channel", "", "")
	fs.StringVar(&m.Email, "email", "", "")
	fs.StringVar(&m.Subject, "subject", "", "")
	words, err := Parse(fs, args, "TO", "TEXT")
	if err != nil {
		return err
	}
	m.To, m.Text, m.Priority = words[0], words[1], priority
	if m.Text, err = t.Text(m.Text); err != nil {
		return err
	}
	got, err := t.Box.Send(ctx, m)
	if err != nil || t.JSON {
		return t.Raw(got, err)
	}
	fmt.Fprintf(t.Out, "%s  %s, %s\n", got.ID, got.State, inParts(got))
	t.changes(got.Changes)
	return nil
}

// Text is TEXT itself, or standard input for a dash.
func (t *Tool) Text(s string) (string, error) {
	if s != "-" {
		return s, nil
	}
	b, err := io.ReadAll(io.LimitReader(t.In, 1<<20))
	if err != nil {
		return "", fmt.Errorf("reading the text from stdin: %w", err)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

func (t *Tool) show(ctx context.Context, args []string) error {
	words, err := Parse(FlagSet("show"), args, "ID")
	if err != nil {
		return err
	}
	m, err := t.Box.Message(ctx, words[0])
	if err != nil || t.JSON {
		return t.Raw(m, err)
	}
	fmt.Fprintf(t.Out, "%s  %s\n", m.ID, m.State)
	if m.Reason != "" {
		fmt.Fprintf(t.Out, "          %s\n", m.Reason)
	}
	rows := NewTable(t.Out)
	rows.Row("to", m.To)
	if m.Other != "" {
		rows.Row("or to", m.Other)
	}
	if m.Subject != "" {
		rows.Row("subject", m.Subject)
	}
	rows.Row("text", oneLine(m.Text))
	rows.Row("parts", inParts(m))
	if m.Price != nil {
		rows.Row("price", m.Price.Amount+" "+m.Price.Currency)
	}
	if m.Ref != "" {
		rows.Row("ref", m.Ref)
	}
	if m.Route != "" {
		rows.Row("route", m.Route)
	}
	rows.Flush()
	t.changes(m.Changes)
	fmt.Fprintln(t.Out)
	rows = NewTable(t.Out)
	for _, e := range m.Events {
		rows.Row(Moment(e.At), e.Kind, About(e))
	}
	return rows.Flush()
}

func (t *Tool) list(ctx context.Context, args []string) error {
	fs := FlagSet("list")
	state := fs.String("state", "", "")
	to := fs.String("to", "", "")
	ref := fs.String("ref", "", "")
	n := fs.Int("n", 20, "")
	if _, err := Parse(fs, args); err != nil {
		return err
	}
	page, err := t.Box.Messages(ctx, client.Search{State: wire.State(*state), To: *to, Ref: *ref, Limit: *n})
	if err != nil || t.JSON {
		return t.Raw(page, err)
	}
	if len(page.Items) == 0 {
		fmt.Fprintln(t.Out, "no messages")
		return nil
	}
	rows := NewTable(t.Out)
	rows.Row("ID", "WHEN", "STATE", "TO", "TEXT")
	for _, m := range page.Items {
		rows.Row(m.ID, Moment(m.Created), string(m.State), m.To, Shorten(oneLine(m.Text), 40))
	}
	if err := rows.Flush(); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(t.Out, "… and older ones: -n %d shows more\n", *n*5)
	}
	return nil
}

func (t *Tool) cancel(ctx context.Context, args []string) error {
	words, err := Parse(FlagSet("cancel"), args, "ID")
	if err != nil {
		return err
	}
	m, err := t.Box.Cancel(ctx, words[0])
	if err != nil || t.JSON {
		return t.Raw(m, err)
	}
	fmt.Fprintf(t.Out, "%s  %s\n", m.ID, m.State)
	return nil
}

// changes tells what was replaced so that the text could be sent.
func (t *Tool) changes(list []wire.Change) {
	for _, c := range list {
		fmt.Fprintf(t.Out, "replaced %q by %q\n", c.From, c.To)
	}
}

// inParts says how many parts a message has and how they fared.
func inParts(m wire.Message) string {
	states := make(map[string]int)
	var order []string
	for _, p := range m.Parts {
		if states[string(p.State)]++; states[string(p.State)] == 1 {
			order = append(order, string(p.State))
		}
	}
	s := Count(len(m.Parts), "part") + " in " + m.Encoding
	if m.Channel == "email" {
		s = "by e-mail"
	}
	for _, state := range order {
		if len(order) == 1 {
			return s + ", " + state
		}
		s += fmt.Sprintf(", %d %s", states[state], state)
	}
	return s
}
