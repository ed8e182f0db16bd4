// Package hook tells other machines what happens: webhooks, and the callbacks
// that a till asks for with a message.
//
// What it promises:
//
//   - A webhook is a cursor into the event log, kept on disk. It is told every
//     event it wants in their order, at least once, each under its number, so
//     that who hears one twice can tell. While its machine is away for days
//     nothing is lost and nothing piles up: no body waits here, each is made
//     when it is sent.
//   - Whoever is called can check that it was this box, and when (sign.go).
//   - No call goes where it must not: the address is looked at when it is
//     dialled, after its name was resolved (dial.go). Redirects are not followed,
//     a call has ten seconds, and of the answer 64 KB are read.
//   - What went wrong is an event and stands in State, never only in a log.
//
// To read it: hook.go (the tables), run.go (one webhook), callbacks.go (those of
// messages), retry.go (when to try again). It imports queue and queue/store.
package hook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Hook is one webhook, as a person set it.
type Hook struct {
	Name  string       `json:"name"`
	URL   string       `json:"url"`
	Kinds []queue.Kind `json:"kinds,omitempty"` // of the events it wants; empty: all
	Text  bool         `json:"text,omitempty"`  // bodies hold the texts of messages
	Pin   string       `json:"pin,omitempty"`   // SHA-256 of the server's certificate, in hex; empty: a public authority vouches for it
	Off   bool         `json:"off,omitempty"`

	Secret  string    `json:"secret"` // signs what is sent
	Created time.Time `json:"created"`
	By      string    `json:"by,omitempty"`
}

// State is how a webhook fares.
type State struct {
	Name   string    `json:"name"`
	Cursor uint64    `json:"cursor"`          // the last event that was told, or was not wanted
	Told   time.Time `json:"told,omitzero"`   // when the last one was taken
	Tries  int       `json:"tries,omitempty"` // in vain, in a row
	Since  time.Time `json:"since,omitzero"`  // of the first of those
	Due    time.Time `json:"due,omitzero"`    // of the next try
	Err    string    `json:"err,omitempty"`   // why the last one was in vain
	// Stopped: nothing is tried any more, until Set or Replay. The reason is Err.
	Stopped bool `json:"stopped,omitempty"`
	Skipped int  `json:"skipped,omitempty"` // events that the other side would not take
	// Turn counts how often a person let it begin anew: what a runner of an
	// earlier turn knows is not worth keeping.
	Turn int `json:"turn,omitempty"`
}

var (
	hooks  = store.NewTable("webhook", func(h *Hook) []byte { return store.Str(h.Name) })
	states = store.NewTable("webhook.state", func(s *State) []byte { return store.Str(s.Name) })
)

// Schema is what store.Open must know for webhooks.
func Schema() []store.Schema { return []store.Schema{hooks, states} }

// Config of Hooks. Queue, DB and Body must be set.
type Config struct {
	Queue *queue.Queue
	DB    *store.DB
	Log   *slog.Logger // nil: discard
	Box   string       // name of the box, in every call

	// Body is what is sent for an event, in JSON. m is the message that the
	// event is about where the caller has it; text: with texts.
	Body func(hook string, e queue.Event, m *queue.Message, text bool) ([]byte, error)

	// Addressed names the webhook that is told an event although it did not
	// choose its kind; empty: there is none. nil: never.
	Addressed func(e queue.Event) (hook string, err error)

	// Till is asked before a callback: the secret that signs it, and whether
	// the till may still name that host. ok is false for a till that is gone.
	Till func(name string) (secret []byte, mayCall func(host string) bool, ok bool)
}

// Hooks is all webhooks of a box. Create it with New and run it.
type Hooks struct {
	cfg Config
	log *slog.Logger

	// wire replaces the network in tests; nil: the network.
	wire http.RoundTripper

	mu      sync.Mutex
	running map[string]*runner
	changed chan struct{} // a hook was set or deleted
}

// New readies the webhooks of a store.
func New(cfg Config) (*Hooks, error) {
	if cfg.Queue == nil || cfg.DB == nil || cfg.Body == nil {
		return nil, errors.New("hook: Config.Queue, Config.DB and Config.Body must be set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Hooks{cfg: cfg, log: cfg.Log, running: map[string]*runner{}, changed: make(chan struct{}, 1)}, nil
}

// ErrNotFound: there is no webhook of that name.
var ErrNotFound = errors.New("hook: there is no webhook of that name")

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$`)
	pinForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

const (
	maxURL    = 500
	minSecret = 16 // characters
)

// Set makes a webhook or changes it. A new one begins with what happens from now
// on; one that is there keeps its place, and is tried again at once. Without a
// Secret it keeps the one it has, or gets a new one. Error: *queue.Invalid.
func (h *Hooks) Set(ctx context.Context, hook Hook) (set Hook, fresh bool, err error) {
	if err := check(&hook); err != nil {
		return hook, false, err
	}
	err = h.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		set = hook
		old, err := hooks.Get(tx, store.Str(set.Name))
		if err != nil {
			return err
		}
		s := &State{Name: set.Name, Cursor: h.cfg.Queue.LastEvent()}
		if fresh = old == nil; fresh {
			set.Created = h.cfg.Queue.Now()
		} else {
			set.Created = old.Created
			if set.Secret == "" {
				set.Secret = old.Secret
			}
			if s, err = states.Get(tx, store.Str(set.Name)); err != nil {
				return err
			}
			s.again()
			s.Turn++
		}
		if set.Secret == "" {
			set.Secret = "whs_" + rand.Text()
		}
		if err := states.Put(tx, s); err != nil {
			return err
		}
		return hooks.Put(tx, &set)
	})
	if err == nil {
		h.restart(set.Name)
	}
	return set, fresh, err
}

// again lets a webhook be tried now.
func (s *State) again() {
	s.Tries, s.Since, s.Due, s.Stopped, s.Err = 0, time.Time{}, time.Time{}, false, ""
}

func check(h *Hook) error {
	if !nameForm.MatchString(h.Name) {
		return &queue.Invalid{Field: "name", Code: "name_invalid", Detail: "a webhook's name has 1 to 32 letters, digits, dots or dashes, such as till-software"}
	}
	if err := CheckURL("url", h.URL); err != nil {
		return err
	}
	if h.Pin = strings.ToLower(strings.ReplaceAll(h.Pin, ":", "")); h.Pin != "" && !pinForm.MatchString(h.Pin) {
		return &queue.Invalid{Field: "pin", Code: "pin_invalid", Detail: "a pin is the SHA-256 of the server's certificate, 64 hexadecimal digits: openssl x509 -noout -fingerprint -sha256 shows it"}
	}
	if h.Pin != "" && strings.HasPrefix(h.URL, "http:") {
		return &queue.Invalid{Field: "pin", Code: "pin_invalid", Detail: "a pinned certificate needs https. Change the url, or leave the pin out"}
	}
	if h.Secret != "" && len(h.Secret) < minSecret {
		return &queue.Invalid{Field: "secret", Code: "too_short", Detail: fmt.Sprintf("a secret has at least %d characters. Leave it out to be given one", minSecret)}
	}
	for _, k := range h.Kinds {
		if !slices.Contains(queue.Kinds, k) {
			return &queue.Invalid{Field: "kinds", Code: "unknown_value", Detail: fmt.Sprintf("%q is no kind of event. GET /openapi.json lists them", k)}
		}
	}
	return nil
}

// CheckURL says whether an address can be called at all; whether it may be is
// known when it is dialled. Error: *queue.Invalid.
func CheckURL(field, s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return &queue.Invalid{Field: field, Code: "url_invalid", Detail: "write a whole address, such as https://software.example/hook or http://192.168.1.20:8000/hook"}
	case u.User != nil:
		return &queue.Invalid{Field: field, Code: "url_invalid", Detail: "leave name and password out of the address: calls are signed instead"}
	case u.Scheme == "http" && outside(u.Hostname()):
		return &queue.Invalid{Field: field, Code: "url_invalid", Detail: u.Hostname() + " lies outside the local network, and plain http stays inside it. Use https"}
	case len(s) > maxURL:
		return &queue.Invalid{Field: field, Code: "too_long", Detail: fmt.Sprintf("an address has at most %d characters", maxURL)}
	}
	return nil
}

// outside says whether host is an address beyond the local network. Where a
// name leads to is known when it is dialled.
func outside(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = embedded(ip.Unmap().WithZone(""))
	return !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}

// Delete forgets a webhook. Error: ErrNotFound.
func (h *Hooks) Delete(ctx context.Context, name string) error {
	err := h.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		old, err := hooks.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if old == nil {
			return ErrNotFound
		}
		if err := states.Delete(tx, store.Str(name)); err != nil {
			return err
		}
		return hooks.Delete(tx, store.Str(name))
	})
	if err == nil {
		h.look()
	}
	return err
}

// Replay tells a webhook everything after an event once more. Error:
// ErrNotFound, *queue.Gone when that is no longer kept.
func (h *Hooks) Replay(ctx context.Context, name string, after uint64) error {
	if _, err := h.cfg.Queue.Events(after, 1); err != nil {
		return err
	}
	err := h.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		s, err := states.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if s == nil {
			return ErrNotFound
		}
		s.again()
		s.Turn++
		s.Cursor = min(after, h.cfg.Queue.LastEvent())
		return states.Put(tx, s)
	})
	if err == nil {
		h.restart(name)
	}
	return err
}

// Get returns one webhook. Error: ErrNotFound.
func (h *Hooks) Get(name string) (hook Hook, s State, err error) {
	err = h.cfg.DB.View(func(tx *store.Tx) error {
		found, err := hooks.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if found == nil {
			return ErrNotFound
		}
		hook = *found
		s, err = stateOf(tx, name)
		return err
	})
	return hook, s, err
}

// List returns all webhooks by name, with their states.
func (h *Hooks) List() (list []Hook, fares []State, err error) {
	err = h.cfg.DB.View(func(tx *store.Tx) error {
		for hook, err := range hooks.Scan(tx, nil) {
			if err != nil {
				return err
			}
			s, err := stateOf(tx, hook.Name)
			if err != nil {
				return err
			}
			list, fares = append(list, *hook), append(fares, s)
		}
		return nil
	})
	return list, fares, err
}

func stateOf(tx *store.Tx, name string) (State, error) {
	s, err := states.Get(tx, store.Str(name))
	if err != nil || s == nil {
		return State{Name: name}, err
	}
	return *s, nil
}

// Result is what came of one call.
type Result struct {
	Status int           // of the answer; 0: there was none
	Took   time.Duration //
	Err    string        // why it counts as not taken; empty: it was taken
	Answer string        // the beginning of the body

	wait time.Duration // the other side asked for
}

// Try sends a test event now, whatever the webhook's state. Error: ErrNotFound.
func (h *Hooks) Try(ctx context.Context, name string) (Result, error) {
	hook, _, err := h.Get(name)
	if err != nil {
		return Result{}, err
	}
	e := queue.Event{At: h.cfg.Queue.Now(), Kind: queue.KindHook, Ref: name, Code: "test"}
	body, err := h.cfg.Body(name, e, nil, hook.Text)
	if err != nil {
		return Result{}, err
	}
	t := h.target(&hook)
	defer t.close()
	return t.call(ctx, h.cfg.Box, 0, e.At, body), nil
}

// look lets Run see what was set.
func (h *Hooks) look() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// fingerprint of a certificate, as Pin has it.
func fingerprint(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
