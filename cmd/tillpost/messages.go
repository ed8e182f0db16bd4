package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"tillpost/webui/api/client"
	"tillpost/webui/api/wire"
)

func (t *tool) send(ctx context.Context, args []string) error {
	fs := flagSet("send")
	var m wire.Send
	fs.StringVar(&m.Class, "class", "", "")
	priority := fs.Int("priority", 1, "")
	fs.StringVar(&m.At, "at", "", "")
	fs.StringVar(&m.Expires, "expires", "", "")
	fs.StringVar(&m.From, "from", "", "")
	fs.StringVar(&m.Ref, "ref", "", "")
	fs.StringVar(&m.Pool, "pool", "", "")
	fs.StringVar(&m.Encoding, "encoding", "", "")
	words, err := parse(fs, args, "TO", "TEXT")
	if err != nil {
		return err
	}
	m.To, m.Text, m.Priority = words[0], words[1], priority
	if m.Text, err = t.text(m.Text); err != nil {
		return err
	}
	got, err := t.box.Send(ctx, m)
	if err != nil || t.json {
		return t.raw(got, err)
	}
	fmt.Fprintf(t.out, "%s  %s, %s\n", got.ID, got.State, inParts(got))
	t.changes(got.Changes)
	return nil
}

// text is TEXT itself, or standard input for a dash.
func (t *tool) text(s string) (string, error) {
	if s != "-" {
		return s, nil
	}
	b, err := io.ReadAll(io.LimitReader(t.in, 1<<20))
	if err != nil {
		return "", fmt.Errorf("reading the text from stdin: %w", err)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

func (t *tool) show(ctx context.Context, args []string) error {
	words, err := parse(flagSet("show"), args, "ID")
	if err != nil {
		return err
	}
	m, err := t.box.Message(ctx, words[0])
	if err != nil || t.json {
		return t.raw(m, err)
	}
	fmt.Fprintf(t.out, "%s  %s\n", m.ID, m.State)
	if m.Reason != "" {
		fmt.Fprintf(t.out, "          %s\n", m.Reason)
	}
	rows := newTable(t.out)
	rows.row("to", m.To)
	rows.row("text", oneLine(m.Text))
	rows.row("parts", inParts(m))
	if m.Price != nil {
		rows.row("price", m.Price.Amount+" "+m.Price.Currency)
	}
	if m.Ref != "" {
		rows.row("ref", m.Ref)
	}
	if m.Route != "" {
		rows.row("route", m.Route)
	}
	rows.flush()
	t.changes(m.Changes)
	fmt.Fprintln(t.out)
	rows = newTable(t.out)
	for _, e := range m.Events {
		rows.row(moment(e.At), e.Kind, about(e))
	}
	return rows.flush()
}

func (t *tool) list(ctx context.Context, args []string) error {
	fs := flagSet("list")
	state := fs.String("state", "", "")
	to := fs.String("to", "", "")
	ref := fs.String("ref", "", "")
	n := fs.Int("n", 20, "")
	if _, err := parse(fs, args); err != nil {
		return err
	}
	page, err := t.box.Messages(ctx, client.Search{State: wire.State(*state), To: *to, Ref: *ref, Limit: *n})
	if err != nil || t.json {
		return t.raw(page, err)
	}
	if len(page.Items) == 0 {
		fmt.Fprintln(t.out, "no messages")
		return nil
	}
	rows := newTable(t.out)
	rows.row("ID", "WHEN", "STATE", "TO", "TEXT")
	for _, m := range page.Items {
		rows.row(m.ID, moment(m.Created), string(m.State), m.To, shorten(oneLine(m.Text), 40))
	}
	if err := rows.flush(); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(t.out, "… and older ones: -n %d shows more\n", *n*5)
	}
	return nil
}

func (t *tool) cancel(ctx context.Context, args []string) error {
	words, err := parse(flagSet("cancel"), args, "ID")
	if err != nil {
		return err
	}
	m, err := t.box.Cancel(ctx, words[0])
	if err != nil || t.json {
		return t.raw(m, err)
	}
	fmt.Fprintf(t.out, "%s  %s\n", m.ID, m.State)
	return nil
}

// changes tells what was replaced so that the text could be sent.
func (t *tool) changes(list []wire.Change) {
	for _, c := range list {
		fmt.Fprintf(t.out, "replaced %q by %q\n", c.From, c.To)
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
	s := count(len(m.Parts), "part") + " in " + m.Encoding
	for _, state := range order {
		if len(order) == 1 {
			return s + ", " + state
		}
		s += fmt.Sprintf(", %d %s", states[state], state)
	}
	return s
}
