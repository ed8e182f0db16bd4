// Command tillpost is the operator's hand on the box: it sends, looks,
// unlocks and checks, as a client of the daemon's API over its socket or over
// HTTP with a key.
//
//	tillpost [-socket PATH | -url URL -key KEY] [-json] VERB …
//
// The verbs are the table in verbs.go; `tillpost help` prints it. Exit codes:
// 0 done, 1 refused or failed (the reason is on stderr), 2 wrong use.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"tillpost/webui/api/client"
)

// Where the daemon's socket may be, best first (contract.md).
const (
	unitSocket = "/run/tillpost/tillpost.sock"
	dataDir    = "/var/lib/tillpost"
)

// callLimit is the longest a single call may take: a network has two minutes
// for a service code, and a check of a large store reads all of it.
const callLimit = 150 * time.Second

// Exit codes.
const (
	done   = 0
	failed = 1 // refused or failed; the reason is on stderr
	misuse = 2 // wrong use
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// tool is one invocation.
type tool struct {
	socket string // "" when a URL is given
	url    string
	key    string
	json   bool

	box *client.Client

	in  io.Reader
	out io.Writer
	err io.Writer
}

// errUse is a call that cannot be understood; usage follows it on stderr.
type errUse struct{ why string }

func (e errUse) Error() string { return e.why }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := &tool{in: stdin, out: stdout, err: stderr}
	flags := flag.NewFlagSet("tillpost", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told once, by us
	flags.StringVar(&t.socket, "socket", "", "")
	flags.StringVar(&t.url, "url", "", "")
	flags.StringVar(&t.key, "key", "", "")
	flags.BoolVar(&t.json, "json", false, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, manual())
		return done
	case err != nil:
		return wrong(stderr, err.Error(), nil)
	case t.url != "" && t.socket != "":
		return wrong(stderr, "-socket and -url are two ways to one box: give one of them", nil)
	case t.url != "" && t.key == "":
		return wrong(stderr, "-url needs -key: over HTTP the box wants a key (tillpost key add NAME -scope …)", nil)
	case t.url == "" && t.key != "":
		return wrong(stderr, "-key belongs to -url: over the socket no key is asked for", nil)
	case flags.NArg() == 0:
		return wrong(stderr, "what shall it do? Give one of these words", nil)
	}
	if t.url == "" && t.socket == "" {
		t.socket = defaultSocket()
	}

	word := flags.Arg(0)
	if word == "help" {
		fmt.Fprint(stdout, manual())
		return done
	}
	v := find(word)
	if v == nil {
		return wrong(stderr, fmt.Sprintf("%q is none of these words", word), nil)
	}
	t.box, err = client.New(client.Config{Socket: t.socket, URL: t.url, Key: t.key, Lang: "en", Timeout: callLimit})
	if err != nil {
		return wrong(stderr, err.Error(), nil)
	}
	defer t.box.Close()
	err = v.run(t, ctx, flags.Args()[1:])
	if use, ok := errors.AsType[errUse](err); ok {
		return wrong(stderr, use.why, v)
	}
	if err != nil {
		fmt.Fprintln(stderr, "tillpost: "+t.explain(err))
		return failed
	}
	return done
}

// wrong tells what was not understood and how it is written.
func wrong(stderr io.Writer, why string, v *verb) int {
	fmt.Fprintln(stderr, "tillpost: "+why)
	if v != nil {
		fmt.Fprintln(stderr, "usage: tillpost "+v.usage)
	} else {
		fmt.Fprint(stderr, manual())
	}
	return misuse
}

// explain words an error of the way to the daemon; what the daemon itself
// refused is in its own words already.
func (t *tool) explain(err error) string {
	switch {
	case t.socket == "", !errors.Is(err, client.ErrNoBox): // a file may be missing, too
		return err.Error()
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("the daemon does not answer at %s: is it running (systemctl status tillpostd)? Another place is given by -socket or $TILLPOST_SOCKET", t.socket)
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("you may not use %s: become a member of the group tillpost (sudo usermod -aG tillpost $USER, then log in again)", t.socket)
	}
	return err.Error()
}

// raw prints an answer as the API spells it, for programs.
func (t *tool) raw(answer any, err error) error {
	if err != nil {
		return err
	}
	enc := json.NewEncoder(t.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(answer)
}

func defaultSocket() string {
	if path := os.Getenv("TILLPOST_SOCKET"); path != "" {
		return path
	}
	if _, err := os.Stat(unitSocket); err == nil {
		return unitSocket
	}
	return filepath.Join(configuredDir(), "tillpost.sock")
}
