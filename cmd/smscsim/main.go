// Command smscsim is the simulated SMSC of package smpp/smsc on a TCP port,
// for rehearsals, for tests of the daemon as a whole and for SMPP clients of
// others.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tillpost/smpp/smsc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUse):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "smscsim:", err)
		os.Exit(1)
	}
}

// errUse: the flag package has told what is wrong with the command line.
var errUse = errors.New("wrong use")

// run serves until ctx ends. The first line on stdout says where.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var cfg smsc.Config
	fs := flag.NewFlagSet("smscsim", flag.ContinueOnError)
	fs.SetOutput(stderr)
	listen := fs.String("listen", "127.0.0.1:2775", "address to listen on")
	fs.BoolVar(&cfg.Magic, "magic", false, "recipients ending in 0001 to 0006 rehearse failures")
	script := fs.String("fault", "", "file with a fault script")
	fs.DurationVar(&cfg.Late, "late", 15*time.Second, "how late the answer to a recipient …0004 is")
	log := fs.String("log", "", "file to append a JSON line to for every submit_sm")
	fs.DurationVar(&cfg.Latency, "latency", 0, "time before each submit_sm_resp")
	fs.StringVar(&cfg.SystemID, "system-id", "", "who may bind; empty: everybody")
	fs.StringVar(&cfg.Password, "password", "", "with which password")
	fs.IntVar(&cfg.Window, "window", 0, "throttle a session with more submits unanswered; 0: never")
	fs.IntVar(&cfg.Rate, "rate", 0, "throttle more submits in a second; 0: never")
	ids := fs.String("ids", "", "spelling of message ids: hex, hex-dec, dec-hex, padded, case, text; empty: decimal")
	receipts := fs.String("receipts", "", "form of receipts: tlv, text, plain, short, long; empty: tlv and text")
	fs.DurationVar(&cfg.ReceiptAfter, "receipt-after", 0, "time before a receipt; 0: up to a second")
	fs.BoolVar(&cfg.Early, "early", false, "send receipts before the submit_sm_resp")
	fs.BoolVar(&cfg.Twice, "twice", false, "send every receipt two times")
	fs.BoolVar(&cfg.Between, "between", false, "send an intermediate receipt before the final one")
	fs.BoolVar(&cfg.Collide, "collide", false, "give deliver_sm the sequence number of the last submit_sm")
	fs.BoolVar(&cfg.Latin1, "latin1", false, "data_coding 0 is Latin-1")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUse
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "smscsim: %q is not a flag\n", fs.Arg(0))
		fs.Usage()
		return errUse
	}
	cfg.IDs, cfg.Receipts = smsc.IDStyle(*ids), smsc.Form(*receipts)
	if err := cfg.Check(); err != nil {
		return err
	}
	if *script != "" {
		b, err := os.ReadFile(*script)
		if err != nil {
			return fmt.Errorf("reading the fault script: %w", err)
		}
		if cfg.Faults, err = smsc.ParseFaults(string(b)); err != nil {
			return fmt.Errorf("%s: %w", *script, err)
		}
	}
	if *log != "" {
		f, err := os.OpenFile(*log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("opening the log: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		cfg.Log = f
	}

	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Fprintf(stdout, "smscsim listens on %s\n", l.Addr())
	m := smsc.New(cfg)
	if err := m.Serve(ctx, l); err != nil {
		return err
	}
	if err := m.LogError(); err != nil {
		return fmt.Errorf("the log is not complete: %w", err)
	}
	s := m.Stats()
	fmt.Fprintf(stdout, "%d submits, %d accepted; %d receipts and messages acknowledged, %d refused\n", s.Submits, s.Accepted, s.Done, s.Nacked)
	return nil
}
