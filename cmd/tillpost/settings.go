package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"tillpost/webui/api/wire"
)

// settings shows every setting and where it comes from, or changes one.
func (t *tool) settings(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return t.changeSetting(ctx, args)
	}
	list, err := t.box.Settings(ctx)
	if err != nil || t.json {
		return t.raw(wire.Page[wire.Setting]{Items: list}, err)
	}
	rows := newTable(t.out)
	rows.row("SETTING", "FROM", "VALUE")
	for _, s := range list {
		value, err := json.Marshal(s.Value)
		if err != nil {
			return err
		}
		rows.row(s.Key, s.Origin, string(value))
	}
	return rows.flush()
}

// changeSetting takes a dotted name and a value. What is no JSON is a text:
// nobody wants to write "\"nl\"" in a shell.
func (t *tool) changeSetting(ctx context.Context, args []string) error {
	words, err := parse(flagSet("settings"), args, "KEY", "VALUE")
	if err != nil {
		return err
	}
	var value any = words[1]
	if json.Valid([]byte(words[1])) {
		value = json.RawMessage(words[1])
	}
	path := strings.Split(words[0], ".")
	for i := len(path) - 1; i >= 0; i-- {
		value = map[string]any{path[i]: value}
	}
	change, _ := value.(map[string]any) // made above: the path has at least one step
	done, err := t.box.ChangeSettings(ctx, change)
	if err != nil || t.json {
		return t.raw(done, err)
	}
	fmt.Fprintf(t.out, "%s is set; the box begins anew with it in a moment\n", strings.Join(done.Keys, ", "))
	return nil
}
