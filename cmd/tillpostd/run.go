package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/store"
	"tillpost/systemd"
	"tillpost/webui"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
	"tillpost/webui/recent"
)

const (
	storeFile = "tillpost.db"   // in the data folder
	sockFile  = "tillpost.sock" // there too, or in the unit's folder below /run

	// httpDrain is how long requests under way may take at the end.
	httpDrain = 5 * time.Second
	// logKept is how many lines of the log the page shows: 100 KB or so.
	logKept = 500
	// stale is how old the scheduler's last turn may be; it turns every 5 s.
	stale = 20 * time.Second
)

// daemon is a box that runs: what -demo needs to know of it.
type daemon struct {
	site   *webui.Site
	base   string // address of the page
	socket string
}

// serve is the daemon, from the first file to the last. It returns when ctx
// ends, or earlier with the reason why it cannot go on. ready, if set, is
// called once messages are accepted; its error ends the daemon.
//
// Up: store → queue (settles what was interrupted) → HTTP → routes → READY.
// A missing modem delays nothing. Down is the reverse: HTTP takes nothing new,
// lanes finish what they hold, routes close, then pages, then the store.
func serve(ctx context.Context, cfg *Config, log *slog.Logger, ready func(*daemon) error) (err error) {
	syscall.Umask(0o077) // nothing we make is for others; the socket says otherwise itself
	console := log       // the page must never show the set-up code, so this is not kept
	kept := recent.New(log.Handler(), logKept)
	log = slog.New(kept)
	manager := systemd.New(log)

	if err := ownFolder(cfg.DataDir); err != nil {
		return err
	}
	db, err := store.Open(store.Options{
		Path:    filepath.Join(cfg.DataDir, storeFile),
		MinFree: cfg.Limits.minFree,
		Log:     log,
	}, slices.Concat(queue.Schema(), webui.Schema())...)
	if err != nil {
		return mentionGoodCopy(err, filepath.Join(cfg.DataDir, storeFile))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if cfg, err = cfg.settled(db, log); err != nil {
		return err
	}

	q, err := queue.New(queue.Config{
		DB: db, Log: log,
		Country: cfg.Country, Countries: cfg.Limits.Countries,
		Language: cfg.Language, Location: cfg.location,
		MaxParts: cfg.Limits.MaxParts, QueueMax: cfg.Limits.QueueMax,
		RefBits: cfg.Text.RefBits, Cedilla: cfg.Text.Cedilla,
		Shift: nationalTables[cfg.Text.Shift], Locking: nationalTables[cfg.Text.Locking],
		Limits: queue.Limits{
			QuietHours: cfg.QuietHours.Enabled, Repeat: cfg.Limits.Repeat, ShortCodes: cfg.Limits.ShortCodes,
			MarketingPerDay: cfg.Limits.MarketingPerDay, MarketingPerMonth: cfg.Limits.MarketingPerMonth,
		},
		Retention: queue.Retention{
			Text: days(cfg.Retention.TextDays), Number: days(cfg.Retention.NumberDays),
			Counts: days(2 * 366), // field-notes §5.3
		},
		Routing: rules(cfg.Routing), Tariffs: cfg.tariffs,
		Clock: systemClock(), RerouteAfter: cfg.Limits.RerouteAfter,
		MailPool: cfg.Email.pool(), Fallback: cfg.Email.fallback(),
		Steward:   outreach.Steward(),
		DrainWait: drainWait(cfg),
	})
	if err != nil {
		return err
	}
	spare := newGoodCopy(db, log)
	q.OnErase(spare.forget)
	found, err := attach(q, cfg, log)
	if err != nil {
		return err
	}

	reach, err := outreach.New(outreach.Config{
		Queue: q, DB: db, Log: log,
		Country: cfg.Country, Language: cfg.Language, Location: cfg.location,
		TillChecks: cfg.Consent.TillChecks, PerMinute: cfg.pace(q),
		ForwardInbox: cfg.Email.forwardInbox(), Page: cfg.pageURL(),
	})
	if err != nil {
		return err
	}

	var drop *outreach.Drop
	if cfg.Drop.Dir != "" {
		if drop, err = reach.OpenDrop(cfg.Drop.Dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, drop.Close()) }()
		q.OnErase(drop.Forget)
	}

	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	site, err := webui.New(webui.Config{
		Stored: cfg.forAPI(func() { fail(errAgain) }), Recent: kept,
		Queue: q, DB: db, Outreach: reach, Log: log,
		DataDir: cfg.DataDir, Hostnames: cfg.Hostnames,
		Language: cfg.Language, Location: cfg.location, Version: buildVersion(),
		Announce: func(code string) {
			console.Info("no password is set: open the page and enter the set-up code", "code", code)
		},
	})
	if err != nil {
		return err
	}

	listeners, err := listen(cfg.Listen)
	if err != nil && cfg.base != nil && cfg.originOf("listen") == wire.OriginStore {
		// A box that nobody can reach could not be told better.
		log.Error("the stored addresses cannot be used, so those of the boot file are", "err", err)
		listeners, err = listen(cfg.base.Listen)
	}
	if err != nil {
		return err
	}
	d := &daemon{site: site, base: "http://" + listeners[0].Addr().String(), socket: socketPath(cfg)}
	socket, err := api.ListenSocket(d.socket)
	if err != nil {
		closeAll(listeners)
		return err
	}
	server := &http.Server{
		Handler:           site,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // strangers' mistakes
	}

	// Three groups, because the way down has an order.
	front := newGroup(fail) // HTTP and socket: takes messages
	core := newGroup(fail)  // queue, lanes, routes
	back := newGroup(fail)  // pages' news, watchdog: looks on until the end
	for _, l := range listeners {
		log.Info("listening", "addr", l.Addr().String())
		front.run("HTTP", func(context.Context) error { return server.Serve(l) })
	}
	front.run("the operator's socket", func(ctx context.Context) error { return site.API.ServeSocket(ctx, socket) })
	core.run("the queue", q.Run)
	core.run("bookings, rules and campaigns", reach.Run)
	if drop != nil {
		front.run("the drop folder", drop.Run)
	}
	core.run("the search for modems", found.Run)
	back.run("the page", site.Run)
	back.run("the good copy", spare.run)
	manager.Ready()
	back.run("the word to systemd", func(ctx context.Context) error {
		report(ctx, manager, q)
		return nil
	})
	log.Info("ready", "version", buildVersion(), "routes", len(q.Routes()), "socket", d.socket)
	if ready != nil {
		if err := ready(d); err != nil {
			fail(err)
		}
	}

	<-running.Done()
	if !errors.Is(context.Cause(running), errAgain) {
		manager.Stopping()
	}
	log.Info("stopping", "why", context.Cause(running))
	reason := context.Cause(running)
	if ctx.Err() != nil {
		reason = nil // as asked
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpDrain)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		log.Warn("some requests did not end in time and are cut off", "err", errors.Join(err, server.Close()))
	}
	return errors.Join(reason, front.end(), core.end(), back.end())
}

// group is a set of goroutines that end together. One that ends before it is
// asked to takes the daemon down: it is wrong, and the service manager starts
// a right one.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	fail   context.CancelCauseFunc
	wait   sync.WaitGroup
	mu     sync.Mutex
	err    error
}

var errSilent = errors.New("it gave no reason")

func newGroup(fail context.CancelCauseFunc) *group {
	g := &group{fail: fail}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

func (g *group) run(name string, fn func(context.Context) error) {
	g.wait.Go(func() {
		err := fn(g.ctx)
		switch {
		case errors.Is(err, http.ErrServerClosed), g.ctx.Err() != nil && errors.Is(err, context.Canceled):
		case g.ctx.Err() == nil:
			g.fail(fmt.Errorf("%s has ended unasked: %w", name, cmp.Or(err, errSilent)))
		case err != nil:
			g.mu.Lock()
			g.err = errors.Join(g.err, fmt.Errorf("%s did not end well: %w", name, err))
			g.mu.Unlock()
		}
	})
}

// end asks all of them to end and waits until they have.
func (g *group) end() error {
	g.cancel()
	g.wait.Wait()
	return g.err
}

// ownFolder makes the data folder ours alone.
func ownFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w; name a folder that this user may write", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w; it must belong to this user alone", err)
	}
	return nil
}

// socketPath is the unit's folder below /run, or the data folder.
func socketPath(cfg *Config) string {
	if dir := systemd.RuntimeDir(); dir != "" {
		return filepath.Join(dir, sockFile)
	}
	return filepath.Join(cfg.DataDir, sockFile)
}

// listen opens all addresses or none.
func listen(addrs []string) ([]net.Listener, error) {
	var all []net.Listener
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			closeAll(all)
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("listen: %s is held by another program (ss -ltnp shows which); stop it or write another port: %w", addr, err)
			}
			return nil, fmt.Errorf("listen: %s cannot be used; write an address of this box and a port from 1024: %w", addr, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func closeAll(list []net.Listener) {
	for _, l := range list {
		l.Close() // nobody has connected yet
	}
}
