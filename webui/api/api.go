// Package api is /api/v1: what tills, scripts and the operator's command talk
// to, over HTTP with a key or over the box's own socket.
//
// What it promises:
//
//   - 202 is answered after the commit, never before.
//   - The same request with the same Idempotency-Key gets the first answer
//     again for seven days, also when both come at once.
//   - Every refusal is application/problem+json that names the field and the
//     remedy. A box that is full or out of disk says so and goes on answering
//     questions.
//   - A key sees what its scopes allow and not a byte more; nothing that was
//     said in a request is logged.
//
// The whole surface is the table in routes.go; openapi.json describes the same
// and a test compares them. One request runs through adapt (call.go):
// authenticate, decode, validate, call, answer.
//
// It imports queue and what is below it, and its neighbours in webui.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/hook"
	"tillpost/queue/outreach"
	"tillpost/queue/store"
	"tillpost/webui/live"
	"tillpost/webui/tally"
)

// Prefix of every path but the three at the root.
const Prefix = "/api/v1"

// Config of an API. Queue and DB must be set; DB must have been opened with
// Schema as well as with the queue's.
type Config struct {
	Queue *queue.Queue
	DB    *store.DB
	Log   *slog.Logger // nil: discard

	Language string         // of the shop, where a caller asks for none; default en
	Location *time.Location // for clock times in plain words; default local
	Version  string         // shown by status

	// Outreach keeps contacts, bookings, rules and campaigns. Nil: one that
	// nobody runs, so nothing of it is ever due.
	Outreach *outreach.Outreach

	Settings *Settings    // nil: the box has none to show
	Tally    *tally.Tally // for /metrics; nil: it has no events

	// SetUp tells whether a password is set for the page, and the code that
	// allows to set one. It is asked for the operator's socket alone. Nil: a
	// box without a page.
	SetUp func() (code string, done bool)
}

// API answers /api/v1, /healthz, /metrics and /openapi.json.
type API struct {
	cfg      Config
	queue    *queue.Queue
	outreach *outreach.Outreach
	db       *store.DB
	log      *slog.Logger
	keys     *keyring
	memory   *answers
	hub      *live.Hub
	hooks    *hook.Hooks
	mux      *http.ServeMux
	started  time.Time

	copying   sync.Mutex    // held while a backup is made and read
	selecting chan struct{} // holds one token while a template is rendered for many
}

// Schema is what store.Open must know to hold keys, kept answers, webhooks and
// what outreach keeps.
func Schema() []store.Schema {
	return append(slices.Concat(hook.Schema(), outreach.Schema()), keyTable, keptTable, settingTable)
}

// New readies the API. Run must be called too.
func New(cfg Config) (*API, error) {
	if cfg.Queue == nil || cfg.DB == nil {
		return nil, errors.New("api: Config.Queue and Config.DB must be set")
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
	keys, err := openKeyring(cfg.DB)
	if err != nil {
		return nil, err
	}
	a := &API{
		cfg: cfg, queue: cfg.Queue, db: cfg.DB, log: cfg.Log,
		keys: keys, memory: newAnswers(cfg.DB, cfg.Queue), hub: live.NewHub(cfg.Queue.Subscribe),
		mux: http.NewServeMux(), started: time.Now(), selecting: make(chan struct{}, 1),
	}
	if a.outreach = cfg.Outreach; a.outreach == nil {
		if a.outreach, err = outreach.New(outreach.Config{Queue: cfg.Queue, DB: cfg.DB, Language: cfg.Language, Location: cfg.Location}); err != nil {
			return nil, err
		}
	}
	a.hooks, err = hook.New(hook.Config{
		Queue: cfg.Queue, DB: cfg.DB, Log: cfg.Log, Box: cfg.DB.Box(), Body: a.hookBody, Till: keys.callsBack, Addressed: a.addressed,
	})
	if err != nil {
		return nil, err
	}
	a.outreach.KnowWebhooks(a.hasWebhook)
	a.queue.OnErase(a.memory.forget)
	for _, e := range endpoints {
		a.mux.HandleFunc(e.method+" "+e.pattern(), a.adapt(e))
	}
	a.mux.HandleFunc("/", a.nowhere)
	return a, nil
}

// Owns reports whether a path belongs to the API.
func Owns(path string) bool {
	switch path {
	case "/healthz", "/metrics", "/openapi.json", Prefix:
		return true
	}
	return strings.HasPrefix(path, Prefix+"/")
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Run keeps the API in order until ctx ends: it forgets answers that are old
// enough, feeds the live connections and calls the webhooks. When it returns they are closed.
func (a *API) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { a.memory.sweepUntil(ctx, a.log) })
	all.Go(func() { a.hub.Run(ctx) })
	var err error
	all.Go(func() { err = a.hooks.Run(ctx) })
	all.Wait()
	return err
}
