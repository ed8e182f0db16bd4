// Command modemsim is a simulated GSM modem, or several on one radio cell, on
// pseudo-terminals: package modem/sim as a program. It outlives whoever talks
// to it: a terminal that closes its side, or is killed, finds the modem as it
// left it.
//
//	modemsim -link /run/modem0 -magic -log cell.json
//
// prints the link (or the device, without -link) of each modem on a line of
// its own and runs until it is interrupted. The log holds what the radio cell
// saw, a line of JSON per event.
//
// A fault script (-fault) has a line per fault, what goes wrong and when:
//
//	after 3 cmgs: hang for 20s
//	ctrl-z: error cms 38
//	header: urc RING
//	every 30s: unplug for 5s
//
// The whole vocabulary is that of sim.ParseFaults.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"tillpost/modem/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil && !errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(os.Stderr, "modemsim:", err)
		os.Exit(1)
	}
}

// errUsage: the flag package has already said what is wrong.
var errUsage = errors.New("wrong use")

// options are the command line.
type options struct {
	link, fault, log string
	count            int
	cell             sim.CellConfig
	modem            sim.Config
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("modemsim", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.link, "link", "", "symbolic link to the pseudo-terminal; with -n, a number is appended from the second on")
	f.IntVar(&o.count, "n", 1, "how many modems are on the cell")
	f.StringVar(&o.fault, "fault", "", "file with a fault script, played by each modem")
	f.StringVar(&o.log, "log", "", "file to which the radio cell appends what it sees, a line of JSON per event")
	f.BoolVar(&o.cell.Magic, "magic", false, "recipients ending in 0001 to 0006 rehearse failures")
	f.DurationVar(&o.cell.Late, "late", 15*time.Second, "how late the answer for a recipient ending in 0004 comes")
	f.StringVar(&o.modem.IMEI, "imei", "", "IMEI of the first modem")
	f.StringVar(&o.modem.ICCID, "iccid", "", "ICCID of the SIM in the first modem")
	f.StringVar(&o.modem.Number, "number", "", "number of the SIM in the first modem, with plus")
	f.StringVar(&o.modem.PIN, "pin", "", "PIN of the SIMs; empty: they do not ask")
	f.DurationVar(&o.modem.Latency, "latency", 0, "time from Ctrl-Z to the answer of AT+CMGS")
	f.StringVar(&o.modem.Vendor, "vendor", "", "manufacturer, which also decides the vendor's own commands")
	f.StringVar(&o.modem.Model, "model", "", "model")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	if f.NArg() > 0 || o.count < 1 {
		fmt.Fprintln(stderr, "modemsim: takes flags only, and -n is at least 1")
		f.Usage()
		return o, errUsage
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.fault != "" {
		if o.modem.Faults, err = readFaults(o.fault); err != nil {
			return err
		}
	}
	if o.log != "" {
		// One write per line, straight to the file: whoever kills us finds
		// every event that was answered.
		file, err := os.OpenFile(o.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("-log: %w", err)
		}
		defer file.Close()
		o.cell.Log = file
	}
	cell := sim.NewCell(o.cell)
	defer func() { err = errors.Join(err, cell.Close()) }()
	return serve(ctx, o, cell, stdout)
}

func readFaults(path string) (sim.Script, error) {
	file, err := os.Open(path)
	if err != nil {
		return sim.Script{}, fmt.Errorf("-fault: %w", err)
	}
	defer file.Close()
	script, err := sim.ParseFaults(file)
	if err != nil {
		return sim.Script{}, fmt.Errorf("-fault %s: %w", path, err)
	}
	return script, nil
}

// serve runs the modems until ctx ends or one of them cannot go on.
func serve(ctx context.Context, o options, cell *sim.Cell, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var print sync.Mutex
	errs := make([]error, o.count)
	for n := range o.count {
		modem := sim.New(cell, o.nth(n))
		link := linkOf(o.link, n)
		wg.Go(func() {
			err := modem.ServePTY(ctx, link, func(device string) {
				print.Lock()
				defer print.Unlock()
				if link != "" {
					device = link
				}
				fmt.Fprintln(stdout, device)
			})
			if !errors.Is(err, context.Canceled) {
				errs[n] = fmt.Errorf("modem %d: %w", n+1, err)
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// nth is the configuration of one of several modems: the flags name the first,
// the others get an identity of their own.
func (o options) nth(n int) sim.Config {
	cfg := o.modem
	if n > 0 {
		id := sim.Identity(n)
		cfg.IMEI, cfg.ICCID, cfg.IMSI, cfg.Number = id.IMEI, id.ICCID, id.IMSI, id.Number
	}
	return cfg
}

// linkOf is PATH for the first modem, PATH2 for the second, and so on.
func linkOf(link string, n int) string {
	if link == "" || n == 0 {
		return link
	}
	return fmt.Sprintf("%s%d", link, n+1)
}
