package whole

import (
	"context"
	"fmt"

	"tillpost/cmd/tillpost/hand"
)

// erase forgets a person: contacts erase NUMBER.
func (t tool) erase(ctx context.Context, args []string) error {
	words, err := hand.Parse(hand.FlagSet("contacts erase"), args, "NUMBER")
	if err != nil {
		return err
	}
	done, err := t.Box.Erase(ctx, words[0])
	if err != nil || t.JSON {
		return t.Raw(done, err)
	}
	fmt.Fprintf(t.Out, "forgotten: %s, %s received, %s kept for tills\n",
		hand.Count(done.Messages, "message"), hand.Count(done.Inbound, "message"), hand.Count(done.Answers, "answer"))
	if done.InFlight > 0 {
		fmt.Fprintf(t.Out, "%s still being sent: forgotten by itself when that has ended\n", hand.Count(done.InFlight, "message"))
	}
	return nil
}
