package outreach

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Config of an Outreach. Queue and DB must be set; DB must have been opened
// with Schema as well as with the queue's, and the queue made with Steward.
type Config struct {
	Queue *queue.Queue
	DB    *store.DB
	Log   *slog.Logger // nil: discard

	Country  string         // ISO 3166, reads national numbers; default NL
	Language string         // of the shop, for who has none; default en
	Location *time.Location // of the shop; default local

	// ForwardInbox are e-mail addresses to which whatever comes in is carried on
	// (forward.go); none: it stays in the inbox. The queue must carry e-mail then.
	ForwardInbox []string
	// Page is the address of the page as the shop knows it, http://box.local:8080;
	// empty: the box does not know its own name.
	Page string

	// TillChecks says that the owner vouches for consent outside this box:
	// marketing is then taken without proof (field-notes §4.3).
	TillChecks bool
	// Collapse is how long a booking's notice waits for a later one that
	// replaces it; default 2 minutes (field-notes §4.2). Negative: not at all.
	Collapse time.Duration
	// PerMinute is how many parts leave in a minute, for honest estimates; nil:
	// 10 for each route that is ready (field-notes §1.16).
	PerMinute func() float64
}

// Outreach decides what is said to whom and when, and hands it to the queue.
// Create it with New and run it. All methods may be called at once.
type Outreach struct {
	cfg Config
	q   *queue.Queue
	db  *store.DB
	log *slog.Logger

	webhook func(name string) (bool, error) // there is one of that name; see KnowWebhooks

	poke chan struct{} // the scheduler should look again

	mu    sync.Mutex
	swept time.Time            // when old lists were looked for
	left  map[string]time.Time // when all of a campaign had left, as far as this process saw
}

// New readies an Outreach over an open store.
func New(cfg Config) (*Outreach, error) {
	if cfg.Queue == nil || cfg.DB == nil {
		return nil, errors.New("outreach: Config.Queue and Config.DB must be set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Country == "" {
		cfg.Country = "NL"
	}
	if cfg.Language == "" {
		cfg.Language = "en"
	}
	if cfg.Location == nil {
		cfg.Location = time.Local
	}
	if cfg.Collapse == 0 {
		cfg.Collapse = 2 * time.Minute
	}
	o := &Outreach{
		cfg: cfg, q: cfg.Queue, db: cfg.DB, log: cfg.Log,
		poke: make(chan struct{}, 1), left: map[string]time.Time{},
	}
	if err := o.checkForward(); err != nil {
		return nil, err
	}
	if o.cfg.PerMinute == nil {
		o.cfg.PerMinute = o.perMinute
	}
	o.db.AddCheck("outreach", Check)
	return o, nil
}

// commit runs fn in a write transaction and lets the scheduler look again.
func (o *Outreach) commit(ctx context.Context, fn func(*store.Tx) error) error {
	if err := o.db.Commit(ctx, fn); err != nil {
		return err
	}
	o.prod()
	return nil
}

func (o *Outreach) prod() {
	select {
	case o.poke <- struct{}{}:
	default:
	}
}

// mailsPerMinute estimates what the mail server takes: a mail a second over each
// lane, within the limit that is set.
func (o *Outreach) mailsPerMinute() float64 {
	n := 0.0
	for _, r := range o.q.Routes() {
		if _, ready := r.Plain(); !ready || r.Kind != Email {
			continue
		}
		rate := 60 * float64(max(1, r.Lanes))
		limits, err := o.q.Quotas(r.Route)
		if err != nil {
			continue // the route has gone meanwhile
		}
		for _, l := range limits {
			if l.Of == "parts_per_minute" {
				rate = min(rate, float64(l.Limit))
			}
		}
		n += rate
	}
	return n
}

// perMinute estimates from the routes that are ready now: ten parts each, what
// a modem on LTE carries (field-notes §1.16), and a hundred for each lane of
// one that has several, as an SMSC has.
func (o *Outreach) perMinute() float64 {
	n := 0.0
	for _, r := range o.q.Routes() {
		if _, ready := r.Plain(); !ready || r.Kind == Email {
			continue
		}
		if r.Lanes > 1 {
			n += 100 * float64(r.Lanes)
		} else {
			n += 10
		}
	}
	return n
}
