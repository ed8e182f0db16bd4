package hand

import (
	"context"
	"fmt"
	"time"

	"tillpost/queue/route"
	"tillpost/webui/api/wire"
)

// examine asks a modem what keeps messages from going.
func (t *Tool) examine(ctx context.Context, name string) error {
	found, err := t.Box.Examine(ctx, name)
	if err != nil || t.JSON {
		return t.Raw(wire.Findings{Findings: found}, err)
	}
	if len(found) == 0 {
		fmt.Fprintln(t.Out, "nothing was found that keeps messages from going")
	}
	for _, f := range found {
		fmt.Fprintln(t.Out, f)
	}
	return nil
}

// careRows shows how a modem is looked after: its memory, its credit, its
// self-test, and how often each way to bring it back has helped.
func careRows(rows Table, c *route.Care) {
	if c == nil {
		return
	}
	if s := c.Storage; s != nil {
		rows.Row("memory", fmt.Sprintf("%d of %d places of %s are taken", s.Used, s.Total, s.Memory))
	}
	if b := c.Balance; b != nil {
		rows.Row("credit", b.Amount, Ago(&b.At), b.Text)
	}
	if l := c.LoopTest; l != nil {
		took := "not back"
		if l.Took > 0 {
			took = l.Took.Round(time.Millisecond).String()
		}
		rows.Row("self-test", took, Ago(&l.At), l.Why)
	}
	for _, r := range c.Rungs {
		word := "not needed so far"
		switch {
		case r.Why != "":
			word = "not possible: " + r.Why
		case r.Tried > 0:
			word = fmt.Sprintf("helped %d of %d times", r.Helped, r.Tried)
		}
		rows.Row("recovery", r.Name, word)
	}
}
