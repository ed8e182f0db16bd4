package whole

import (
	"context"
	"encoding/json"
	"fmt"

	"tillpost/cmd/tillpost/hand"
	"tillpost/webui/api/client/follow"
	"tillpost/webui/api/wire"
)

// tail follows what happens until it is interrupted.
func (t tool) tail(ctx context.Context, args []string) error {
	fs := hand.FlagSet("tail")
	n := fs.Uint64("n", 10, "")
	if _, err := hand.Parse(fs, args); err != nil {
		return err
	}
	s, err := t.Box.Status(ctx)
	if err != nil {
		return err
	}
	after := s.LastSeq - min(*n, s.LastSeq)
	err = follow.Events(ctx, t.Box, &after, func(e wire.Event) error {
		if t.JSON {
			return json.NewEncoder(t.Out).Encode(e) // a line each, for programs
		}
		_, err := fmt.Fprintf(t.Out, "%s  %-13s  %-12s  %s\n", hand.Moment(e.At), e.Msg, e.Kind, hand.About(e))
		return err
	})
	if ctx.Err() != nil {
		return nil // interrupted by hand, as it is meant to be
	}
	return err
}
