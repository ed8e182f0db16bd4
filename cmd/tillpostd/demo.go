package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tillpost/modem/sim"
	"tillpost/smpp/smsc"
	"tillpost/webui/api"
)

const (
	demoListen   = "127.0.0.1:8080"
	demoPatience = 10 * time.Second // send_timeout: …0003 and …0004 are lost sooner than in a shop
	demoLatency  = 700 * time.Millisecond
)

// runDemo is -demo: the product, wired as always, with two simulated modems
// on pseudo-terminals and a simulated SMSC on the loopback in place of the
// world. Everything it makes is in one folder that goes with it.
func runDemo(ctx context.Context, log *slog.Logger, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tillpost-demo-")
	if err != nil {
		return fmt.Errorf("the demo needs a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	world, worldEnds := context.WithCancel(context.WithoutCancel(ctx)) // outlives the daemon
	var peers sync.WaitGroup
	defer peers.Wait()
	defer worldEnds()

	cfg := defaultConfig()
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.Listen = []string{freeAddress(demoListen)}

	cell := sim.NewCell(sim.CellConfig{Magic: true})
	defer func() { err = errors.Join(err, cell.Close()) }()
	for n, name := range []string{"counter", "office"} {
		id := sim.Identity(n)
		id.Latency = demoLatency
		port := filepath.Join(dir, name)
		open := make(chan struct{}, 1)
		peers.Go(func() {
			err := sim.New(cell, id).ServePTY(world, port, func(string) {
				select {
				case open <- struct{}{}:
				default:
				}
			})
			if world.Err() == nil {
				log.Error("the simulated modem has ended", "route", name, "err", err)
			}
		})
		select {
		case <-open:
		case <-ctx.Done():
			return nil
		}
		m := Modem{Name: name, Port: port}
		m.defaults()
		m.SendTimeout = demoPatience
		cfg.Modems = append(cfg.Modems, m)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the simulated SMSC needs a port of the loopback: %w", err)
	}
	center := smsc.New(smsc.Config{SystemID: "shop", Password: "demo", Magic: true})
	peers.Go(func() {
		if err := center.Serve(world, l); err != nil && world.Err() == nil {
			log.Error("the simulated SMSC has ended", "err", err)
		}
	})
	s := SMPP{Name: "operator", Addr: l.Addr().String(), SystemID: "shop", Password: "demo", Source: "SHOP"}
	s.defaults()
	s.Pool = "operator" // a pool of its own, so that the modems get their share
	cfg.SMPP = append(cfg.SMPP, s)
	cfg.Tariffs = []Tariff{{Prefix: "+31", PerPart: "0.045", Currency: "EUR"}, {Prefix: "+31", PerPart: "0.06", Currency: "EUR", Pool: s.Pool}}
	cfg.validate(&problems{}) // fills in what follows from the rest

	ready := func(d *daemon) error { return welcome(ctx, d, out) }
	return keepServing(func() error {
		first := ready
		ready = nil
		return serve(ctx, cfg, log, first)
	})
}

// welcome makes a key and a password and prints what a newcomer needs.
func welcome(ctx context.Context, d *daemon, out io.Writer) error {
	key, err := d.site.API.AddKey(ctx, "demo", []api.Scope{api.Send, api.Read}, "demo")
	if err != nil {
		return fmt.Errorf("the demo's key: %w", err)
	}
	password := strings.ToLower(rand.Text()[:12])
	if err := d.site.SetPassword(ctx, password); err != nil {
		return fmt.Errorf("the demo's password: %w", err)
	}
	_, err = fmt.Fprintf(out, `
Tillpost on two simulated modems and a simulated SMSC. Nothing leaves this machine.

  page      %[1]s/
  password  %[2]s
  till key  %[3]s

Send a message as a till does:

  curl -s %[1]s/api/v1/messages -H 'Authorization: Bearer %[3]s' -H 'Content-Type: application/json' \
    -d '{"to": "06-12345678", "text": "Your order is ready. See you soon!"}'

or by hand, and see what became of it:

  export TILLPOST_SOCKET=%[4]s
  %[5]s send 06-12345678 "Your order is ready. See you soon!"
  %[5]s list

Numbers that rehearse trouble, by their last digits: 0001 refused once, then sent · 0002 refused ·
0003 the modem never answers · 0004 answers too late · 0005 no report · 0006 not delivered.
"pool": "operator" in the call (-pool operator by hand) sends over the SMSC.

Ctrl-C ends it and removes everything it made.
`, d.base, password, key, d.socket, sister("tillpost"))
	return err
}

// sister is how to call another program of ours: it stands beside this one,
// and is on the path where this one was found on it.
func sister(name string) string {
	if !strings.ContainsRune(os.Args[0], filepath.Separator) {
		return name
	}
	return filepath.Join(filepath.Dir(os.Args[0]), name)
}

// freeAddress is the usual address, or any port of the loopback when somebody
// is there already: a demo should just run.
func freeAddress(usual string) string {
	l, err := net.Listen("tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close() // nobody has connected
	return usual
}
