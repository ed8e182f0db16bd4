// Package hand is the operator's command tillpost: its words, how they are
// read, and those that are said every day, which only ask a running daemon.
//
// It promises a start like that of an empty program, so it imports the client
// of the API and little else; a test in cmd/tillpostd holds it to that. The
// words that open a store, read lists or look at the machine are package whole,
// which is part of the daemon's program (Rest).
package hand

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"tillpost/webui/api/client"
)

// Where the daemon's socket may be, best first (contract.md).
//
// The third place is below the data folder, which the boot file names: that is
// for Rest to read.
const unitSocket = "/run/tillpost/tillpost.sock"

// callLimit is the longest a single call may take: a network has two minutes
// for a service code, and a check of a large store reads all of it.
const callLimit = 150 * time.Second

// Exit codes.
const (
	Done   = 0
	Failed = 1 // refused or failed; the reason is on stderr
	Misuse = 2 // wrong use
)

// Tool is one invocation.
type Tool struct {
	Socket string // "" when a URL is given
	URL    string
	Key    string
	JSON   bool // answers are printed as the API spells them

	Box *client.Client

	In  io.Reader
	Out io.Writer
	Err io.Writer

	rest *Rest
}

// Verb does one word of the command with the arguments behind it.
type Verb func(t *Tool, ctx context.Context, args []string) error

// Rest is what the command can do where the whole house is at hand.
type Rest struct {
	Verbs  map[string]Verb // by word; "preview -template" is one
	Secure func(ctx context.Context, conn net.Conn, host string) (net.Conn, error)
	Socket func() string // where the daemon's socket is, by its boot file
}

// ErrUse is a call that cannot be understood; usage follows it on stderr.
type ErrUse string

func (e ErrUse) Error() string { return string(e) }

// errRest is a call that Rest is needed for, and not there. Nothing was done.
var errRest = errors.New("the rest of the house is needed")

// Run does what args say and returns the exit code. With a nil rest it may
// instead say that somebody who has it must be asked: then nothing was done.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, rest *Rest) (code int, ask bool) {
	t := &Tool{In: stdin, Out: stdout, Err: stderr, rest: rest}
	flags := flag.NewFlagSet("tillpost", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told once, by us
	flags.StringVar(&t.Socket, "socket", "", "")
	flags.StringVar(&t.URL, "url", "", "")
	flags.StringVar(&t.Key, "key", "", "")
	flags.BoolVar(&t.JSON, "json", false, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp), err == nil && flags.Arg(0) == "help":
		fmt.Fprint(stdout, manual())
		return Done, false
	case err != nil:
		return wrong(stderr, err.Error(), nil), false
	case t.URL != "" && t.Socket != "":
		return wrong(stderr, "-socket and -url are two ways to one box: give one of them", nil), false
	case t.URL != "" && t.Key == "":
		return wrong(stderr, "-url needs -key: over HTTP the box wants a key (tillpost key add NAME -scope …)", nil), false
	case t.URL == "" && t.Key != "":
		return wrong(stderr, "-key belongs to -url: over the socket no key is asked for", nil), false
	case flags.NArg() == 0:
		return wrong(stderr, "what shall it do? Give one of these words", nil), false
	}
	v := find(flags.Arg(0))
	if v == nil {
		return wrong(stderr, fmt.Sprintf("%q is none of these words", flags.Arg(0)), nil), false
	}
	err = t.run(ctx, v, flags.Args()[1:])
	use, misused := errors.AsType[ErrUse](err)
	switch {
	case errors.Is(err, errRest):
		return Failed, true
	case misused:
		return wrong(stderr, string(use), v), false
	case err != nil:
		fmt.Fprintln(stderr, "tillpost: "+t.Explain(err))
		return Failed, false
	}
	return Done, false
}

// run finds the box and does one word.
func (t *Tool) run(ctx context.Context, v *verb, args []string) error {
	if err := t.locate(); err != nil {
		return err
	}
	cfg := client.Config{Socket: t.Socket, URL: t.URL, Key: t.Key, Lang: "en", Timeout: callLimit}
	if t.rest != nil {
		cfg.Secure = t.rest.Secure
	}
	var err error
	if t.Box, err = client.New(cfg); err != nil {
		return ErrUse(err.Error())
	}
	if v.run == nil {
		return t.byRest(ctx, v.word, args)
	}
	return v.run(t, ctx, args)
}

// locate decides where the box is, as far as that was not said.
func (t *Tool) locate() error {
	if t.rest == nil && strings.HasPrefix(strings.ToLower(t.URL), "https:") {
		return errRest
	}
	if t.URL != "" || t.Socket != "" {
		return nil
	}
	if t.Socket = os.Getenv("TILLPOST_SOCKET"); t.Socket != "" {
		return nil
	}
	t.Socket = unitSocket
	if _, err := os.Stat(unitSocket); err == nil {
		return nil
	}
	if t.rest == nil {
		return errRest
	}
	t.Socket = t.rest.Socket()
	return nil
}

// byRest does a word that is not ours.
func (t *Tool) byRest(ctx context.Context, word string, args []string) error {
	if t.rest == nil {
		return errRest
	}
	return t.rest.Verbs[word](t, ctx, args)
}

// wrong tells what was not understood and how it is written.
func wrong(stderr io.Writer, why string, v *verb) int {
	fmt.Fprintln(stderr, "tillpost: "+why)
	if v != nil {
		fmt.Fprintln(stderr, "usage: tillpost "+v.usage)
	} else {
		fmt.Fprint(stderr, manual())
	}
	return Misuse
}

// Explain words an error of the way to the daemon; what the daemon itself
// refused is in its own words already.
func (t *Tool) Explain(err error) string {
	switch {
	case t.Socket == "", !errors.Is(err, client.ErrNoBox): // a file may be missing, too
		return err.Error()
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("the daemon does not answer at %s: is it running (systemctl status tillpostd)? Another place is given by -socket or $TILLPOST_SOCKET", t.Socket)
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("you may not use %s: become a member of the group tillpost (sudo usermod -aG tillpost $USER, then log in again)", t.Socket)
	}
	return err.Error()
}

// Raw prints an answer as the API spells it, for programs.
func (t *Tool) Raw(answer any, err error) error {
	if err != nil {
		return err
	}
	enc := json.NewEncoder(t.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(answer)
}
