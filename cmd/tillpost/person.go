package main

import (
	"context"
	"fmt"
)

// erase forgets a person: contacts erase NUMBER.
func (t *tool) erase(ctx context.Context, args []string) error {
	words, err := parse(flagSet("contacts erase"), args, "NUMBER")
	if err != nil {
		return err
	}
	done, err := t.box.Erase(ctx, words[0])
	if err != nil || t.json {
		return t.raw(done, err)
	}
	fmt.Fprintf(t.out, "forgotten: %s, %s received, %s kept for tills\n",
		count(done.Messages, "message"), count(done.Inbound, "message"), count(done.Answers, "answer"))
	if done.InFlight > 0 {
		fmt.Fprintf(t.out, "%s still being sent: forgotten by itself when that has ended\n", count(done.InFlight, "message"))
	}
	return nil
}
