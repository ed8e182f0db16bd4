package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui"
	"tillpost/webui/api/client"
	"tillpost/webui/api/wire"
)

func (t *tool) status(ctx context.Context, args []string) error {
	if _, err := parse(flagSet("status"), args); err != nil {
		return err
	}
	s, err := t.box.Status(ctx)
	if err != nil || t.json {
		return t.raw(s, err)
	}
	fmt.Fprintf(t.out, "%s: %s\n", s.Status, s.Reason)
	if s.SetUp != "" {
		fmt.Fprintf(t.out, "No password is set yet. Open the page and enter this code: %s\n", s.SetUp)
	}
	if s.Clock.Quality == "unset" {
		fmt.Fprintf(t.out, "The clock is not set: what is planned waits until a time server or a modem tells the time\n")
	}
	w := s.Waiting
	fmt.Fprintf(t.out, "waiting %d, scheduled %d, held %d, being sent %d, unknown %d, awaiting a report %d\n\n",
		w.Queued, w.Scheduled, w.Held, w.Sending, w.Unknown, w.Awaiting)
	if err := t.table(s.Routes); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "\ntillpostd %s, up %s, last event %d\n", s.Version, ago(&s.Started), s.LastSeq)
	return nil
}

func (t *tool) routes(ctx context.Context, args []string) error {
	if _, err := parse(flagSet("routes"), args); err != nil {
		return err
	}
	routes, err := t.box.Routes(ctx)
	if err != nil || t.json {
		return t.raw(wire.Page[wire.Route]{Items: routes}, err)
	}
	return t.table(routes)
}

// table prints routes, with what a hand must do below those that wait for one.
func (t *tool) table(routes []wire.Route) error {
	if len(routes) == 0 {
		fmt.Fprintln(t.out, "no modem and no provider is set up: name one in the configuration file")
		return nil
	}
	rows := newTable(t.out)
	rows.row("ROUTE", "KIND", "STATE", "SINCE", "OPERATOR", "SIGNAL", "WHAT")
	for _, r := range routes {
		signal := ""
		if r.Signal != nil {
			signal = fmt.Sprintf("%d dBm", *r.Signal)
		}
		state := string(r.State)
		if r.Paused {
			state = "paused"
		}
		rows.row(r.Name, r.Kind, state, ago(r.Since), r.Operator, signal, cmp.Or(r.Doing, r.Reason))
	}
	return rows.flush()
}

func (t *tool) modem(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errUse{"NAME and what to do are missing"}
	}
	name, what := args[0], args[1]
	var r wire.Route
	var err error
	switch {
	case what == "status" && len(args) == 2:
		return t.modemStatus(ctx, name)
	case what == "examine" && len(args) == 2:
		return t.examine(ctx, name)
	case what == "restart" && len(args) == 2:
		r, err = t.box.Restart(ctx, name)
	case what == "ussd" && len(args) == 3:
		return t.ussd(ctx, name, args[2])
	case what == "pin" && len(args) == 2:
		// Never as an argument: those are in everybody's process list.
		var pin string
		if pin, err = t.secret("PIN of the SIM in " + name + ": "); err != nil {
			return err
		}
		r, err = t.box.EnterPIN(ctx, name, pin)
	default:
		return errUse{strings.Join(args[1:], " ") + " is not what a modem can do"}
	}
	if err != nil || t.json {
		return t.raw(r, err)
	}
	return t.table([]wire.Route{r})
}

func (t *tool) ussd(ctx context.Context, name, code string) error {
	text, err := t.box.USSD(ctx, name, code)
	if err != nil || t.json {
		return t.raw(wire.USSDAnswer{Text: text}, err)
	}
	fmt.Fprintln(t.out, text)
	return nil
}

func (t *tool) modemStatus(ctx context.Context, name string) error {
	routes, err := t.box.Routes(ctx)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Name != name {
			continue
		}
		if t.json {
			return t.raw(r, nil)
		}
		rows := newTable(t.out)
		for _, line := range [][2]string{
			{"route", r.Name + " (" + r.Kind + ", pool " + r.Pool + ")"}, {"state", string(r.State) + " for " + ago(r.Since)},
			{"means", r.Reason}, {"detail", r.Detail}, {"doing", r.Doing}, {"port", r.Port}, {"model", r.Model},
			{"device", r.Device}, {"identity", r.Identity}, {"operator", strings.TrimSpace(r.Operator + " " + r.Tech)},
		} {
			if line[1] != "" {
				rows.row(line[0], line[1])
			}
		}
		if r.Signal != nil {
			rows.row("signal", fmt.Sprintf("%d dBm", *r.Signal))
		}
		careRows(rows, r.Care)
		return rows.flush()
	}
	return fmt.Errorf("there is no route called %q; tillpost routes lists them", name)
}

func (t *tool) keys(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUse{"add, list or revoke is missing"}
	}
	what, args := args[0], args[1:]
	switch what {
	case "add":
		fs := flagSet("key add")
		scopes := fs.String("scope", "send", "")
		hosts := fs.String("callback", "", "")
		in := wire.NewKey{}
		fs.IntVar(&in.PerHour, "per-hour", 0, "")
		fs.IntVar(&in.PerDay, "per-day", 0, "")
		words, err := parse(fs, args, "NAME")
		if err != nil {
			return err
		}
		in.Name, in.Scopes = words[0], strings.Split(*scopes, ",")
		if *hosts != "" {
			in.CallbackHosts = strings.Split(*hosts, ",")
		}
		k, err := t.box.MakeKey(ctx, in)
		if err != nil || t.json {
			return t.raw(k, err)
		}
		fmt.Fprintf(t.out, "%s\n", k.Key)
		fmt.Fprintf(t.err, "This key of %s is shown once: write it into the till now. It may: %s\n", k.Name, strings.Join(k.Scopes, ", "))
		return nil
	case "list":
		if _, err := parse(flagSet("key list"), args); err != nil {
			return err
		}
		keys, err := t.box.Keys(ctx)
		if err != nil || t.json {
			return t.raw(wire.Page[wire.Key]{Items: keys}, err)
		}
		if len(keys) == 0 {
			fmt.Fprintln(t.out, "no keys: tillpost key add NAME -scope send makes one")
			return nil
		}
		rows := newTable(t.out)
		rows.row("NAME", "SCOPES", "MADE", "BY")
		for _, k := range keys {
			rows.row(k.Name, strings.Join(k.Scopes, ","), moment(k.Created), k.By)
		}
		return rows.flush()
	case "revoke":
		words, err := parse(flagSet("key revoke"), args, "NAME")
		if err != nil {
			return err
		}
		if err := t.box.RevokeKey(ctx, words[0]); err != nil || t.json {
			return err
		}
		fmt.Fprintf(t.out, "%s: its key is worth nothing from now on\n", words[0])
		return nil
	}
	return errUse{fmt.Sprintf("%q is not add, list or revoke", what)}
}

var errNotAsked = errors.New("the daemon was not asked")

// check asks the daemon or, when none runs, reads the store itself.
func (t *tool) check(ctx context.Context, args []string) error {
	flags := flagSet("check")
	dir := flags.String("data", "", "")
	if _, err := parse(flags, args); err != nil {
		return err
	}
	var c wire.Check
	err := error(errNotAsked)
	if *dir == "" {
		c, err = t.box.Check(ctx)
	}
	if errors.Is(err, errNotAsked) || t.socket != "" && errors.Is(err, client.ErrNoBox) && !errors.Is(err, fs.ErrPermission) {
		c, err = checkFile(filepath.Join(cmp.Or(*dir, configuredDir()), storeFile))
	}
	if err != nil {
		return err
	}
	if t.json {
		if err := t.raw(c, nil); err != nil {
			return err
		}
	}
	if !c.OK {
		return errors.New("the store does not hold together:\n  " + strings.Join(c.Problems, "\n  "))
	}
	if !t.json {
		fmt.Fprintln(t.out, "the store holds together")
	}
	return nil
}

// checkFile opens the store that no daemon holds. A file that is not there is
// an error: nothing is made by looking.
func checkFile(path string) (c wire.Check, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("the daemon is not running and there is no store at %s; -data names its folder", path)
	}
	db, err := store.Open(store.Options{Path: path}, schema()...)
	if err != nil {
		return c, err
	}
	db.AddCheck("queue", queue.Check)
	found := db.Check()
	if found != nil {
		c.Problems = strings.Split(found.Error(), "\n")
	}
	c.OK = found == nil
	return c, db.Close()
}

// storeFile is the store in the data folder.
const storeFile = "tillpost.db"

// schema is every table that the daemon's store has.
func schema() []store.Schema { return append(queue.Schema(), webui.Schema()...) }

// configuredDir is where the boot file in its usual place says the data is.
func configuredDir() string {
	boot := struct {
		DataDir string `toml:"data_dir"`
	}{dataDir}
	if _, err := toml.DecodeFile("/etc/tillpost/tillpost.toml", &boot); err != nil {
		return dataDir // no file, or one that the daemon will complain about
	}
	return boot.DataDir
}

// tail follows what happens until it is interrupted.
func (t *tool) tail(ctx context.Context, args []string) error {
	fs := flagSet("tail")
	n := fs.Uint64("n", 10, "")
	if _, err := parse(fs, args); err != nil {
		return err
	}
	s, err := t.box.Status(ctx)
	if err != nil {
		return err
	}
	after := s.LastSeq - min(*n, s.LastSeq)
	err = t.box.Follow(ctx, &after, func(e wire.Event) error {
		if t.json {
			return json.NewEncoder(t.out).Encode(e) // a line each, for programs
		}
		_, err := fmt.Fprintf(t.out, "%s  %-13s  %-12s  %s\n", moment(e.At), e.Msg, e.Kind, about(e))
		return err
	})
	if ctx.Err() != nil {
		return nil // interrupted by hand, as it is meant to be
	}
	return err
}
