// Package webui is the page of the box, and the one door for everything that
// comes over HTTP.
//
// What it promises:
//
//   - In three seconds a manager knows whether it sends, why not, and what to
//     do; what the page says comes from where the API has it.
//
//   - No green is ever stale: the page follows the box over a websocket, and
//     goes grey when it has heard nothing for ten seconds. Without JavaScript it
//     works, and says that it does not refresh.
//
//   - Nothing is loaded from elsewhere and nothing is inline: the policy sent
//     with every page is default-src 'none' with 'self' for style, script,
//     image and connection, without exceptions.
//
//   - Until a password is set every address but loopback finds the set-up and
//     /healthz, and nothing else.
//
//   - Who may do what is one table, rights.go; numbers of customers are whole
//     only for who needs them, and never in a list.
//
// To read it: access.go and rights.go (who may come in, and what they may),
// overview.go with cards.go and waiting.go, messages.go and story.go (what the
// pages show), write.go, pick.go and inbox.go (talking with customers),
// customers.go (who they are), outreach.go with campaigns.go, bookings.go and
// rules.go (what makes messages be written), settings.go, settings_mail.go,
// hooks.go, way.go and lately.go (looking after the box), wizard.go, manual.go,
// chart.go and chart_day.go, follow.go (how the pages stay true), templates. It
// imports outreach, queue, queue/hook, queue/route, queue/text and queue/store
// at most, and its own tree.
package webui

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/store"
	"tillpost/webui/api"
	"tillpost/webui/door"
	"tillpost/webui/live"
	"tillpost/webui/pulse"
	"tillpost/webui/recent"
	"tillpost/webui/shelf"
	"tillpost/webui/tally"
)

// Config of a Site. Queue, DB and DataDir must be set; DB must have been opened
// with Schema as well as with the queue's.
type Config struct {
	Queue   *queue.Queue
	DB      *store.DB
	DataDir string       // the set-up code is written here
	Log     *slog.Logger // nil: discard

	Outreach *outreach.Outreach // contacts, rules and campaigns; nil: one that nobody runs

	Hostnames []string       // further names the page may be called by
	Stored    *api.Settings  // as api.Config.Settings
	Language  string         // of the shop; default en
	Location  *time.Location // of the shop; default local
	Version   string

	// Announce shows a set-up code on the console, each time there is a new
	// one. Nil: nowhere.
	Announce func(code string)

	// Recent has the last lines of the log. Nil: the page does not show them.
	Recent *recent.Log
}

// Site is the page and the API of one box. It is an http.Handler; Run must be
// called too.
type Site struct {
	API *api.API

	cfg      Config
	queue    *queue.Queue
	db       *store.DB
	outreach *outreach.Outreach
	log      *slog.Logger
	door     *door.Door
	tally    *tally.Tally
	hub      *live.Hub
	board    *board
	sent     once
	shelf    *shelf.Shelf
	pulse    *pulse.Pulse
	reach    reach
	reports  kept[watched]                        // of campaigns
	coming   kept[map[string][]outreach.Upcoming] // of rules
	names    map[string]bool
	mux      *http.ServeMux
	same     *http.CrossOriginProtection
}

// Schema is what store.Open must know for the page and the API.
func Schema() []store.Schema { return append(api.Schema(), door.Schema()...) }

// New readies page and API.
func New(cfg Config) (*Site, error) {
	if cfg.Queue == nil || cfg.DB == nil || cfg.DataDir == "" {
		return nil, errors.New("webui: Config.Queue, Config.DB and Config.DataDir must be set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Language == "" {
		cfg.Language = "en"
	}
	if cfg.Location == nil {
		cfg.Location = time.Local
	}
	s := &Site{
		cfg: cfg, queue: cfg.Queue, db: cfg.DB, log: cfg.Log,
		tally: tally.New(cfg.Queue, cfg.Location, cfg.Log), same: http.NewCrossOriginProtection(),
		names: hostNames(cfg.Hostnames), pulse: pulse.New(cfg.Queue),
	}
	var err error
	if s.outreach = cfg.Outreach; s.outreach == nil {
		if s.outreach, err = outreach.New(outreach.Config{Queue: cfg.Queue, DB: cfg.DB, Language: cfg.Language, Location: cfg.Location, Log: cfg.Log}); err != nil {
			return nil, err
		}
	}
	if s.door, err = door.Open(door.Config{DB: cfg.DB, Dir: cfg.DataDir, Announce: cfg.Announce, Log: cfg.Log}); err != nil {
		return nil, err
	}
	if s.shelf, err = shelf.Open(filepath.Join(cfg.DataDir, "uploads")); err != nil {
		return nil, err
	}
	s.API, err = api.New(api.Config{
		Queue: cfg.Queue, DB: cfg.DB, Outreach: s.outreach, Log: cfg.Log, Language: cfg.Language, Location: cfg.Location,
		Version: cfg.Version, Tally: s.tally, Settings: cfg.Stored, SetUp: s.door.SetUp,
	})
	if err != nil {
		return nil, err
	}
	s.hub = live.NewHub(s.tally.Subscribe)
	s.board = newBoard(s)
	s.mux = s.routes()
	return s, nil
}

// SetPassword sets the password of the page. Its error says what is wrong with
// it.
func (s *Site) SetPassword(ctx context.Context, password string) error {
	return s.door.SetPassword(ctx, password)
}

// Run keeps page and API alive until ctx ends; then every live connection is
// closed and nothing is left running.
func (s *Site) Run(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make(chan error, 3)
	all.Go(func() { errs <- s.API.Run(ctx) })
	all.Go(func() { errs <- s.tally.Run(ctx) })
	all.Go(func() { errs <- s.shelf.Run(ctx) })
	all.Go(func() { s.hub.Run(ctx) })
	all.Go(func() { s.pulse.Run(ctx) })
	all.Go(func() { s.door.Run(ctx) })
	all.Wait()
	return errors.Join(<-errs, <-errs, <-errs)
}
