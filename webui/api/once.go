package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// A till that gets no answer asks again. So that this sends nothing twice, an
// answer is kept under the name the till gave its request, and given again.
//
// POST /messages keeps it in the very transaction that accepts the message:
// there is no moment at which one exists without the other. Other calls act on
// the world outside (a modem, another commit), so they note first that they
// began; a repeat that finds a beginning without an end says that the outcome
// is not known, instead of guessing.
//
// Refusals are not kept: who was told "the queue is full" may try again under
// the same name.

const (
	keepFor   = 7 * 24 * time.Hour
	sweepEach = time.Hour
	sweepMany = 500 // rows in one commit
	maxName   = 255
)

// kept is an answer, or with Status 0 the beginning of a call.
type kept struct {
	Till    string    `json:"till"`
	Name    string    `json:"name"`
	Sum     []byte    `json:"sum"` // of what was asked: a repeat must ask the same
	Status  int       `json:"status,omitempty"`
	Body    []byte    `json:"body,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Adrift: nobody knew the time when it was kept, so that it is not as old
	// as it looks.
	Adrift bool `json:"adrift,omitempty"`
}

func (k *kept) key() []byte { return store.Join(store.Str(k.Till), store.Str(k.Name)) }

var (
	keptByExpiry = store.NewIndex("expires", func(k *kept) [][]byte {
		return [][]byte{store.Join(store.Time(k.Expires), k.key())}
	})
	keptTable = store.NewTable("answer", (*kept).key, keptByExpiry)
)

// answers keeps what was answered.
type answers struct {
	db   *store.DB
	time *queue.Queue // whose clock is the box's

	mu    sync.Mutex
	begun map[string]chan struct{} // calls under way, by their key; closed at their end
}

func newAnswers(db *store.DB, q *queue.Queue) *answers {
	return &answers{db: db, time: q, begun: map[string]chan struct{}{}}
}

// instant is a time, and whether the box knows it.
type instant struct {
	time.Time
	known bool
}

func (m *answers) now() instant {
	r := m.time.Time()
	return instant{r.Now, r.Known()}
}

// request is one call as its till named it. It has up to two names: the
// header's and the ref's.
type request struct {
	till  string
	names []string
	sum   []byte
}

// named is the request of a call; nil if it has no name and is not to be kept.
// what is the decoded body: a till that orders its fields anew still asks the
// same.
func (c *call) named(ref string, what any) (*request, error) {
	key := c.r.Header.Get("Idempotency-Key")
	if key == "" && ref == "" {
		return nil, nil
	}
	if len(key) > maxName {
		return nil, refusal(http.StatusBadRequest, "too_long", "Idempotency-Key", fmt.Sprintf("an Idempotency-Key has at most %d bytes. A UUID is enough", maxName))
	}
	body, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	sum := sha256.Sum256(slices.Concat([]byte(c.r.Method+" "+c.r.URL.Path+"\n"), body))
	q := &request{till: c.who.by, sum: sum[:]}
	if key != "" {
		q.names = append(q.names, "key:"+key)
	}
	if ref != "" {
		q.names = append(q.names, "ref:"+ref)
	}
	return q, nil
}

// find returns the answer that was given to q, or nil. A beginning without an
// end, and another request under the same name, are errors.
func (q *request) find(tx *store.Tx, now instant) (*reply, error) {
	for _, name := range q.names {
		k, err := keptTable.Get(tx, (&kept{Till: q.till, Name: name}).key())
		if err != nil {
			return nil, err
		}
		if k == nil || k.over(now) {
			continue
		}
		field, what := "Idempotency-Key", "this Idempotency-Key"
		if strings.HasPrefix(name, "ref:") {
			field, what = "ref", "this ref"
		}
		if !bytes.Equal(k.Sum, q.sum) {
			return nil, refusal(http.StatusConflict, "name_reused", field,
				what+" was used for another request in the last 7 days. Use a new one for a new request, and the old one only to repeat the same")
		}
		if k.Status == 0 {
			return nil, refusal(http.StatusConflict, "outcome_unknown", field,
				"the box stopped while it did this, so it is not known whether it was done. Look at the state of things, then decide under a new Idempotency-Key")
		}
		return &reply{status: k.Status, body: k.Body, repeat: true}, nil
	}
	return nil, nil
}

// keep writes the answer to q, or with a nil reply that it has begun.
func (q *request) keep(tx *store.Tx, rep *reply, now instant) error {
	for _, name := range q.names {
		k := &kept{Till: q.till, Name: name, Sum: q.sum, Created: now.Time, Expires: now.Add(keepFor), Adrift: !now.known}
		if rep != nil {
			k.Status, k.Body = rep.status, rep.body
		}
		if err := keptTable.Put(tx, k); err != nil {
			return err
		}
	}
	return nil
}

func (q *request) forget(tx *store.Tx) error {
	for _, name := range q.names {
		if err := keptTable.Delete(tx, (&kept{Till: q.till, Name: name}).key()); err != nil {
			return err
		}
	}
	return nil
}

// once does a call whose work is not in one transaction with its answer.
func (a *API) once(c *call) (*reply, error) {
	body, err := c.read()
	if err != nil {
		return nil, err
	}
	q, err := c.named("", orNull(body))
	if err != nil {
		return nil, err
	}
	// Of two at once the second waits, and is given the first one's answer.
	end, err := a.memory.enter(c.ctx, string((&kept{Till: q.till, Name: q.names[0]}).key()))
	if err != nil {
		return nil, err
	}
	defer end()

	var rep *reply
	find := func(tx *store.Tx) (err error) {
		rep, err = q.find(tx, a.memory.now())
		return err
	}
	if err := a.db.View(find); err != nil || rep != nil {
		return rep, err
	}
	if err := a.db.Commit(c.ctx, func(tx *store.Tx) error { return q.keep(tx, nil, a.memory.now()) }); err != nil {
		return nil, err
	}
	rep, failed := c.end.handle(a, c)
	// The work is done, or refused: that must be written down although the
	// caller may have gone.
	err = a.db.Commit(context.WithoutCancel(c.ctx), func(tx *store.Tx) error {
		if failed != nil {
			return q.forget(tx)
		}
		return q.keep(tx, rep, a.memory.now())
	})
	if failed != nil {
		return nil, failed
	}
	return rep, err
}

// orNull makes any body hashable as JSON: one that is not is refused later, by
// the handler.
func orNull(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	return json.RawMessage("null")
}

// enter waits until no other call of this key is under way.
func (m *answers) enter(ctx context.Context, key string) (end func(), err error) {
	for {
		m.mu.Lock()
		other, busy := m.begun[key]
		if !busy {
			mine := make(chan struct{})
			m.begun[key] = mine
			m.mu.Unlock()
			return func() {
				m.mu.Lock()
				delete(m.begun, key)
				m.mu.Unlock()
				close(mine)
			}, nil
		}
		m.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// over reports whether an answer may be forgotten. One that was kept while the
// box had no clock is not old, however it looks.
func (k *kept) over(now instant) bool {
	return now.known && !k.Adrift && now.After(k.Expires)
}

func (m *answers) sweepUntil(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(sweepEach)
	defer tick.Stop()
	for {
		n, err := m.sweep(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			log.Error("old answers could not be removed", "err", err)
		case n > 0:
			log.Info("old answers removed", "answers", n)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweep forgets the answers that are old enough. It looks first: an empty
// commit would still write.
func (m *answers) sweep(ctx context.Context) (swept int, err error) {
	for ctx.Err() == nil {
		now := m.now()
		if !now.known {
			return swept, nil
		}
		var due [][]byte
		err := m.db.View(func(tx *store.Tx) error {
			for key, primary := range keptByExpiry.Keys(tx, nil) {
				if store.ReadKey(key).Time().After(now.Time) || len(due) == sweepMany {
					break
				}
				due = append(due, bytes.Clone(primary))
			}
			return nil
		})
		if err != nil || len(due) == 0 {
			return swept, err
		}
		err = m.db.Commit(ctx, func(tx *store.Tx) error {
			for _, key := range due {
				k, err := keptTable.Get(tx, key)
				if err != nil {
					return err
				}
				switch {
				case k == nil:
				case k.over(now):
					err = keptTable.Delete(tx, key)
				case k.Adrift: // its seven days begin now
					k.Created, k.Expires, k.Adrift = now.Time, now.Add(keepFor), false
					err = keptTable.Put(tx, k)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return swept, err
		}
		swept += len(due)
	}
	return swept, nil
}
