package hand

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"tillpost/webui/api/wire"
)

// settings shows every setting and where it comes from, or changes one.
func (t *Tool) settings(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return t.changeSetting(ctx, args)
	}
	list, err := t.Box.Settings(ctx)
	if err != nil || t.JSON {
		return t.Raw(wire.Page[wire.Setting]{Items: list}, err)
	}
	rows := NewTable(t.Out)
	rows.Row("SETTING", "FROM", "VALUE")
	for _, s := range list {
		value, err := json.Marshal(s.Value)
		if err != nil {
			return err
		}
		rows.Row(s.Key, s.Origin, string(value))
	}
	return rows.Flush()
}

// changeSetting takes a dotted name and a value. What is no JSON is a text:
// nobody wants to write "\"nl\"" in a shell.
func (t *Tool) changeSetting(ctx context.Context, args []string) error {
	words, err := Parse(FlagSet("settings"), args, "KEY", "VALUE")
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
	done, err := t.Box.ChangeSettings(ctx, change)
	if err != nil || t.JSON {
		return t.Raw(done, err)
	}
	fmt.Fprintf(t.Out, "%s is set; the box begins anew with it in a moment\n", strings.Join(done.Keys, ", "))
	return nil
}
