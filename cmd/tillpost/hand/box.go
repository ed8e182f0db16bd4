package hand

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"tillpost/webui/api/wire"
)

func (t *Tool) status(ctx context.Context, args []string) error {
	if _, err := Parse(FlagSet("status"), args); err != nil {
		return err
	}
	s, err := t.Box.Status(ctx)
	if err != nil || t.JSON {
		return t.Raw(s, err)
	}
	fmt.Fprintf(t.Out, "%s: %s\n", s.Status, s.Reason)
	if s.SetUp != "" {
		fmt.Fprintf(t.Out, "No password is set yet. Open the page and enter this code: %s\n", s.SetUp)
	}
	if s.Clock.Quality == "unset" {
		fmt.Fprintf(t.Out, "The clock is not set: what is planned waits until a time server or a modem tells the time\n")
	}
	w := s.Waiting
	fmt.Fprintf(t.Out, "waiting %d, scheduled %d, held %d, being sent %d, unknown %d, awaiting a report %d\n\n",
		w.Queued, w.Scheduled, w.Held, w.Sending, w.Unknown, w.Awaiting)
	if err := t.table(s.Routes); err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "\ntillpostd %s, up %s, last event %d\n", s.Version, Ago(&s.Started), s.LastSeq)
	return nil
}

func (t *Tool) routes(ctx context.Context, args []string) error {
	if _, err := Parse(FlagSet("routes"), args); err != nil {
		return err
	}
	routes, err := t.Box.Routes(ctx)
	if err != nil || t.JSON {
		return t.Raw(wire.Page[wire.Route]{Items: routes}, err)
	}
	return t.table(routes)
}

// table prints routes, with what a hand must do below those that wait for one.
func (t *Tool) table(routes []wire.Route) error {
	if len(routes) == 0 {
		fmt.Fprintln(t.Out, "no modem and no provider is set up: name one in the configuration file")
		return nil
	}
	rows := NewTable(t.Out)
	rows.Row("ROUTE", "KIND", "STATE", "SINCE", "OPERATOR", "SIGNAL", "WHAT")
	for _, r := range routes {
		signal := ""
		if r.Signal != nil {
			signal = fmt.Sprintf("%d dBm", *r.Signal)
		}
		state := string(r.State)
		if r.Paused {
			state = "paused"
		}
		rows.Row(r.Name, r.Kind, state, Ago(r.Since), r.Operator, signal, cmp.Or(r.Doing, r.Reason))
	}
	return rows.Flush()
}

func (t *Tool) modem(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return ErrUse("NAME and what to do are missing")
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
		r, err = t.Box.Restart(ctx, name)
	case what == "ussd" && len(args) == 3:
		return t.ussd(ctx, name, args[2])
	case what == "pin" && len(args) == 2:
		// Never as an argument: those are in everybody's process list.
		var pin string
		if pin, err = t.secret(ctx, "PIN of the SIM in "+name+": "); err != nil {
			return err
		}
		r, err = t.Box.EnterPIN(ctx, name, pin)
	default:
		return ErrUse(strings.Join(args[1:], " ") + " is not what a modem can do")
	}
	if err != nil || t.JSON {
		return t.Raw(r, err)
	}
	return t.table([]wire.Route{r})
}

func (t *Tool) ussd(ctx context.Context, name, code string) error {
	text, err := t.Box.USSD(ctx, name, code)
	if err != nil || t.JSON {
		return t.Raw(wire.USSDAnswer{Text: text}, err)
	}
	fmt.Fprintln(t.Out, text)
	return nil
}

func (t *Tool) modemStatus(ctx context.Context, name string) error {
	routes, err := t.Box.Routes(ctx)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Name != name {
			continue
		}
		if t.JSON {
			return t.Raw(r, nil)
		}
		rows := NewTable(t.Out)
		for _, line := range [][2]string{
			{"route", r.Name + " (" + r.Kind + ", pool " + r.Pool + ")"}, {"state", string(r.State) + " for " + Ago(r.Since)},
			{"means", r.Reason}, {"detail", r.Detail}, {"doing", r.Doing}, {"port", r.Port}, {"model", r.Model},
			{"device", r.Device}, {"identity", r.Identity}, {"operator", strings.TrimSpace(r.Operator + " " + r.Tech)},
		} {
			if line[1] != "" {
				rows.Row(line[0], line[1])
			}
		}
		if r.Signal != nil {
			rows.Row("signal", fmt.Sprintf("%d dBm", *r.Signal))
		}
		careRows(rows, r.Care)
		return rows.Flush()
	}
	return fmt.Errorf("there is no route called %q; tillpost routes lists them", name)
}

func (t *Tool) keys(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return ErrUse("add, list or revoke is missing")
	}
	what, args := args[0], args[1:]
	switch what {
	case "add":
		fs := FlagSet("key add")
		scopes := fs.String("scope", "send", "")
		hosts := fs.String("callback", "", "")
		in := wire.NewKey{}
		fs.IntVar(&in.PerHour, "per-hour", 0, "")
		fs.IntVar(&in.PerDay, "per-day", 0, "")
		words, err := Parse(fs, args, "NAME")
		if err != nil {
			return err
		}
		in.Name, in.Scopes = words[0], strings.Split(*scopes, ",")
		if *hosts != "" {
			in.CallbackHosts = strings.Split(*hosts, ",")
		}
		k, err := t.Box.MakeKey(ctx, in)
		if err != nil || t.JSON {
			return t.Raw(k, err)
		}
		fmt.Fprintf(t.Out, "%s\n", k.Key)
		fmt.Fprintf(t.Err, "This key of %s is shown once: write it into the till now. It may: %s\n", k.Name, strings.Join(k.Scopes, ", "))
		return nil
	case "list":
		if _, err := Parse(FlagSet("key list"), args); err != nil {
			return err
		}
		keys, err := t.Box.Keys(ctx)
		if err != nil || t.JSON {
			return t.Raw(wire.Page[wire.Key]{Items: keys}, err)
		}
		if len(keys) == 0 {
			fmt.Fprintln(t.Out, "no keys: tillpost key add NAME -scope send makes one")
			return nil
		}
		rows := NewTable(t.Out)
		rows.Row("NAME", "SCOPES", "MADE", "BY")
		for _, k := range keys {
			rows.Row(k.Name, strings.Join(k.Scopes, ","), Moment(k.Created), k.By)
		}
		return rows.Flush()
	case "revoke":
		words, err := Parse(FlagSet("key revoke"), args, "NAME")
		if err != nil {
			return err
		}
		if err := t.Box.RevokeKey(ctx, words[0]); err != nil || t.JSON {
			return err
		}
		fmt.Fprintf(t.Out, "%s: its key is worth nothing from now on\n", words[0])
		return nil
	}
	return ErrUse(fmt.Sprintf("%q is not add, list or revoke", what))
}
