// Command tillpost is the operator's hand on the box: it sends, looks, unlocks
// and checks, as a client of the daemon's API over its socket or over HTTP with
// a key.
//
//	tillpost [-socket PATH | -url URL -key KEY] [-json] VERB …
//
// The verbs are the table in hand/verbs.go; `tillpost help` prints it. Exit
// codes: 0 done, 1 refused or failed (the reason is on stderr), 2 wrong use.
//
// This program is small, because a till that calls it waits for its start. What
// it cannot do itself it has tillpostd do, which stands beside it and knows all
// of the house.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"tillpost/cmd/tillpost/hand"
)

func main() {
	code, ask := hand.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, nil)
	if ask {
		code = handOver()
	}
	os.Exit(code)
}

// handOver becomes tillpostd, which does what was asked under our name. It
// returns only if that cannot be.
func handOver() (code int) {
	places := filepath.SplitList(os.Getenv("PATH"))
	self, err := os.Executable()
	if err == nil {
		places = slices.Insert(places, 0, filepath.Dir(self))
	}
	for _, place := range places {
		err = syscall.Exec(filepath.Join(place, "tillpostd"), append([]string{"tillpost"}, os.Args[1:]...), os.Environ())
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	fmt.Fprintf(os.Stderr, "tillpost: this is done by tillpostd, which must stand beside tillpost or on the PATH: %v\n", err)
	return hand.Failed
}
