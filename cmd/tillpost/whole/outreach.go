package whole

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"tillpost/cmd/tillpost/hand"
	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

// contacts is everything that the command does with the register.
func (t tool) contacts(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return hand.ErrUse("import, export, optouts or erase is missing")
	}
	switch what, args := args[0], args[1:]; what {
	case "import":
		return t.importContacts(ctx, args)
	case "export":
		return t.exportContacts(ctx, args)
	case "optouts":
		return t.exportOptOuts(ctx, args)
	case "erase":
		return t.erase(ctx, args)
	default:
		return hand.ErrUse(fmt.Sprintf("%q is not import, export, optouts or erase", what))
	}
}

func (t tool) importContacts(ctx context.Context, args []string) error {
	fs := hand.FlagSet("contacts import")
	replace := fs.Bool("replace", false, "")
	dry := fs.Bool("dry", false, "")
	all := fs.Bool("all-or-nothing", false, "")
	how := fs.String("how", "", "")
	words, err := hand.Parse(fs, args, "FILE.csv")
	if err != nil {
		return err
	}
	file, err := os.ReadFile(words[0])
	if err != nil {
		return err
	}
	options := url.Values{}
	for name, on := range map[string]bool{"dry_run": *dry, "all_or_nothing": *all} {
		if on {
			options.Set(name, "true")
		}
	}
	if *replace {
		options.Set("mode", "replace")
	}
	if *how != "" {
		options.Set("how", *how)
	}
	var rep reach.Imported
	err = t.Box.Upload(ctx, "/contacts/import", options, file, &rep)
	if err != nil || t.JSON {
		return t.Raw(rep, err)
	}
	for _, column := range slices.Sorted(maps.Keys(rep.Columns)) {
		fmt.Fprintf(t.Out, "column %s: %s\n", column, rep.Columns[column])
	}
	t.rowErrors(rep.Errors)
	would := ""
	if rep.DryRun {
		would = "would be "
	}
	fmt.Fprintf(t.Out, "%s: %s%d added, %d changed, %d as they were, %d removed, %d refused\n",
		hand.Count(rep.Rows, "row"), would, rep.Added, rep.Changed, rep.Same, rep.Removed, rep.Refused)
	return nil
}

func (t tool) rowErrors(list []reach.RowError) {
	for _, e := range list {
		fmt.Fprintf(t.Out, "line %d, %s: %s\n", e.Row, e.Field, e.Detail)
	}
}

// exportContacts writes the register as a file that import reads.
func (t tool) exportContacts(ctx context.Context, args []string) error {
	if _, err := hand.Parse(hand.FlagSet("contacts export"), args); err != nil {
		return err
	}
	all, err := everything[reach.Contact](ctx, t, "/contacts")
	if err != nil {
		return err
	}
	names := map[string]bool{}
	flags := map[string]bool{}
	if t.JSON {
		return t.Raw(wire.Page[reach.Contact]{Items: all}, nil)
	}
	for _, c := range all {
		for name := range c.Attrs {
			names[name] = true
		}
		for flag := range c.Flags {
			flags[flag] = true
		}
	}
	attrs, switches := slices.Sorted(maps.Keys(names)), slices.Sorted(maps.Keys(flags))
	out := csv.NewWriter(t.Out)
	out.Comma = ';'
	head := []string{"id", "name", "first_name", "last_name", "number", "email", "language", "birthday", "status"}
	head = append(head, attrs...)
	for _, flag := range switches {
		head = append(head, "flag."+flag)
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, c := range all {
		row := []string{c.ID, c.Name, c.FirstName, c.LastName, c.Number, c.Email, c.Language, c.Birthday, c.Status}
		for _, name := range attrs {
			row = append(row, c.Attrs[name].String())
		}
		for _, flag := range switches {
			row = append(row, map[bool]string{true: "yes", false: "no"}[c.Flags[flag]])
		}
		if err := out.Write(cells(row)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// exportOptOuts writes who wants no advertising, for the system in which the
// tick must go, too.
func (t tool) exportOptOuts(ctx context.Context, args []string) error {
	if _, err := hand.Parse(hand.FlagSet("contacts optouts"), args); err != nil {
		return err
	}
	all, err := everything[reach.OptOut](ctx, t, "/opt-outs")
	if err != nil {
		return err
	}
	if t.JSON {
		return t.Raw(wire.Page[reach.OptOut]{Items: all}, nil)
	}
	out := csv.NewWriter(t.Out)
	out.Comma = ';'
	if err := out.Write([]string{"number", "contacts", "time", "by"}); err != nil {
		return err
	}
	for _, o := range all {
		row := []string{o.Number, strings.Join(o.Contacts, " "), o.At.Format(time.RFC3339), cmp.Or(o.By, "SMS")}
		if err := out.Write(cells(row)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// everything reads all pages of a list.
func everything[T any](ctx context.Context, t tool, path string) (all []T, err error) {
	for after := ""; ; {
		var page wire.Page[T]
		if err := t.Box.Read(ctx, path, url.Values{"after": {after}, "limit": {"1000"}}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// cells keeps a spreadsheet from reading a formula (contract.md); import takes
// the sign off.
func cells(row []string) []string {
	for i, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			row[i] = "'" + cell
		}
	}
	return row
}

// batch sends to the list in a file: its own texts, a text, or a template.
func (t tool) batch(ctx context.Context, args []string) error {
	fs := hand.FlagSet("batch")
	options := url.Values{}
	for _, name := range []string{"template", "text", "class", "at", "event", "offset", "encoding"} {
		fs.Func(name, "", func(s string) error { options.Set(name, s); return nil })
	}
	all := fs.Bool("all-or-nothing", false, "")
	words, err := hand.Parse(fs, args, "FILE.csv")
	if err != nil {
		return err
	}
	file, err := os.ReadFile(words[0])
	if err != nil {
		return err
	}
	if *all {
		options.Set("all_or_nothing", "true")
	}
	var got reach.Started
	err = t.Box.Upload(ctx, "/batches", options, file, &got)
	if err != nil || t.JSON {
		return t.Raw(got, err)
	}
	t.rowErrors(got.Errors)
	for _, e := range got.Campaign.Excluded {
		fmt.Fprintf(t.Out, "left out, %s: %s\n", hand.Count(e.Count, "row"), e.Why)
	}
	for _, w := range got.Warnings {
		fmt.Fprintf(t.Out, "mind: %s\n", w)
	}
	fmt.Fprintf(t.Out, "%s: %s, %d merged\n", got.ID, hand.Count(got.Campaign.Recipients, "recipient"), got.Campaign.Merged)
	if got.LastAt != nil {
		fmt.Fprintf(t.Out, "the last one leaves at about %s\n", hand.Moment(*got.LastAt))
	}
	return nil
}
