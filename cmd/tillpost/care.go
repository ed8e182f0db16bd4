package main

import (
	"context"
	"fmt"
	"time"

	"tillpost/queue/route"
	"tillpost/webui/api/wire"
)

// examine asks a modem what keeps messages from going.
func (t *tool) examine(ctx context.Context, name string) error {
	found, err := t.box.Examine(ctx, name)
	if err != nil || t.json {
		return t.raw(wire.Findings{Findings: found}, err)
	}
	if len(found) == 0 {
		fmt.Fprintln(t.out, "nothing was found that keeps messages from going")
	}
	for _, f := range found {
		fmt.Fprintln(t.out, f)
	}
	return nil
}

// careRows shows how a modem is looked after: its memory, its credit, its
// self-test, and how often each way to bring it back has helped.
func careRows(rows table, c *route.Care) {
	if c == nil {
		return
	}
	if s := c.Storage; s != nil {
		rows.row("memory", fmt.Sprintf("%d of %d places of %s are taken", s.Used, s.Total, s.Memory))
	}
	if b := c.Balance; b != nil {
		rows.row("credit", b.Amount, ago(&b.At), b.Text)
	}
	if l := c.LoopTest; l != nil {
		took := "not back"
		if l.Took > 0 {
			took = l.Took.Round(time.Millisecond).String()
		}
		rows.row("self-test", took, ago(&l.At), l.Why)
	}
	for _, r := range c.Rungs {
		word := "not needed so far"
		switch {
		case r.Why != "":
			word = "not possible: " + r.Why
		case r.Tried > 0:
			word = fmt.Sprintf("helped %d of %d times", r.Helped, r.Tried)
		}
		rows.row("recovery", r.Name, word)
	}
}
