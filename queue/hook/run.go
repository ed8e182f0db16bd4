package hook

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

const (
	readAtOnce = 200
	// saveEvery is how long a cursor that moved may stay in memory while more
	// is told: it is saved at once when there is nothing more. Who is killed
	// between tells the last ones again.
	saveEvery = 2 * time.Second
	// recheck is how soon the log is read again after an error of the store.
	recheck = 10 * time.Second
)

// runner tells one webhook what happens.
type runner struct {
	h      *Hooks
	hook   Hook
	state  State
	saved  time.Time // when the cursor was saved last
	stop   context.CancelFunc
	ended  chan struct{}
	target *target
}

// Run tells every webhook, and calls back, until ctx ends.
func (h *Hooks) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { h.callBack(ctx) })
	defer h.stopAll()
	for {
		if err := h.follow(ctx); err != nil && ctx.Err() == nil {
			h.log.Error("the webhooks cannot be read; trying again", "err", err)
		}
		t := time.NewTimer(time.Minute)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-h.changed:
		case <-t.C:
		}
		t.Stop()
	}
}

// follow starts a runner for every webhook that is to run, and stops those of
// which something was changed.
func (h *Hooks) follow(ctx context.Context) error {
	list, fares, err := h.List()
	if err != nil {
		return err
	}
	want := map[string]bool{}
	for i, hook := range list {
		if hook.Off || fares[i].Stopped {
			continue
		}
		want[hook.Name] = true
		h.mu.Lock()
		old := h.running[hook.Name]
		h.mu.Unlock()
		if old != nil && same(old.hook, hook) && !closed(old.ended) {
			continue
		}
		h.end(hook.Name)
		h.start(ctx, hook)
	}
	h.mu.Lock()
	var gone []string
	for name := range h.running {
		if !want[name] {
			gone = append(gone, name)
		}
	}
	h.mu.Unlock()
	for _, name := range gone {
		h.end(name)
	}
	return nil
}

func same(a, b Hook) bool {
	return a.URL == b.URL && a.Pin == b.Pin && a.Secret == b.Secret && a.Text == b.Text && slices.Equal(a.Kinds, b.Kinds)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (h *Hooks) start(ctx context.Context, hook Hook) {
	ctx, stop := context.WithCancel(ctx)
	r := &runner{h: h, hook: hook, stop: stop, ended: make(chan struct{}), target: h.target(&hook)}
	h.mu.Lock()
	h.running[hook.Name] = r
	h.mu.Unlock()
	go func() { // end waits for it
		defer close(r.ended)
		defer r.target.close()
		r.run(ctx)
	}()
}

// end stops a runner and waits until it has ended.
func (h *Hooks) end(name string) {
	h.mu.Lock()
	r := h.running[name]
	delete(h.running, name)
	h.mu.Unlock()
	if r != nil {
		r.stop()
		<-r.ended
	}
}

// restart lets a webhook begin anew from what is stored: Run starts it.
func (h *Hooks) restart(name string) {
	h.end(name)
	h.look()
}

func (h *Hooks) stopAll() {
	h.mu.Lock()
	var names []string
	for name := range h.running {
		names = append(names, name)
	}
	h.mu.Unlock()
	for _, name := range names {
		h.end(name)
	}
}

// run reads the log and tells what is wanted, in order, until ctx ends or the
// webhook is stopped.
func (r *runner) run(ctx context.Context) {
	news, unsubscribe := r.h.cfg.Queue.Subscribe()
	defer unsubscribe()
	_, s, err := r.h.Get(r.hook.Name)
	for r.state = s; ctx.Err() == nil; {
		var more bool
		if err == nil {
			more, err = r.turn(ctx)
		}
		switch {
		case r.state.Stopped:
			return
		case err != nil && ctx.Err() == nil:
			r.h.log.Error("a webhook cannot go on; trying again", "hook", r.hook.Name, "err", err)
			sleep(ctx, recheck, nil)
			_, r.state, err = r.h.Get(r.hook.Name)
			if errors.Is(err, ErrNotFound) {
				return
			}
		case !more && !r.state.Due.IsZero():
			sleep(ctx, r.state.Due.Sub(r.h.cfg.Queue.Now()), nil)
		case !more:
			sleep(ctx, time.Minute, news)
		}
	}
	// The last word: where it stands. The store may be closing; then what was
	// told last is told again.
	if err := r.save(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, store.ErrClosed) {
		r.h.log.Error("the place of a webhook is not saved: it will be told some events twice", "hook", r.hook.Name, "err", err)
	}
}

func sleep(ctx context.Context, d time.Duration, news <-chan struct{}) {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-news:
	}
}

// turn tells what is new. more: there is more to read at once.
func (r *runner) turn(ctx context.Context) (more bool, err error) {
	list, err := r.h.cfg.Queue.Events(r.state.Cursor, readAtOnce)
	if gone, ok := errors.AsType[*queue.Gone](err); ok {
		// Its machine was away for longer than events are kept. What is left is
		// told, and the gap can be seen in the numbers.
		return true, r.moveOn(ctx, gone.First-1, "gap")
	}
	if err != nil {
		return false, err
	}
	for _, e := range list {
		wanted, err := r.wants(e)
		if err != nil {
			return false, err
		}
		if !wanted {
			r.state.Cursor = e.Seq
			continue
		}
		ok, err := r.tell(ctx, e)
		if !ok || err != nil {
			return false, err
		}
		if time.Since(r.saved) > saveEvery {
			if err := r.save(ctx); err != nil {
				return false, err
			}
		}
	}
	if len(list) == readAtOnce {
		return true, nil
	}
	return false, r.save(ctx)
}

// wants: what is about webhooks themselves is told to nobody, or a webhook that
// fails would make its own news.
func (r *runner) wants(e queue.Event) (bool, error) {
	switch {
	case e.Kind == queue.KindHook:
		return false, nil
	case len(r.hook.Kinds) == 0, slices.Contains(r.hook.Kinds, e.Kind):
		return true, nil
	case r.h.cfg.Addressed == nil:
		return false, nil
	}
	name, err := r.h.cfg.Addressed(e)
	return name == r.hook.Name, err
}

// tell makes one call and draws the conclusion. ok: the next event has its turn.
func (r *runner) tell(ctx context.Context, e queue.Event) (ok bool, err error) {
	now := r.h.cfg.Queue.Now()
	if r.state.Due.After(now) {
		return false, nil
	}
	body, err := r.h.cfg.Body(r.hook.Name, e, nil, r.hook.Text)
	if err != nil {
		return false, err
	}
	res := r.target.call(ctx, r.h.cfg.Box, e.Seq, now, body)
	if ctx.Err() != nil && res.Err != "" {
		return false, nil // we were stopped, it was not refused
	}
	s := &r.state
	switch v := res.verdict(); {
	case v == taken:
		back := s.Tries >= len(pauses) // it was away for hours: worth a word
		s.again()
		s.Cursor, s.Told = e.Seq, r.h.cfg.Queue.Now()
		if back {
			return true, r.note(ctx, "works_again", "")
		}
		return true, nil
	case v == stop:
		s.Stopped, s.Err = true, res.Err
		return false, r.note(ctx, "stopped", res.Err)
	case v == refused && s.Tries+1 >= refusals:
		s.Skipped++
		return true, r.moveOn(ctx, e.Seq, "skipped")
	default:
		if s.Tries++; s.Tries == 1 {
			s.Since = now
		}
		s.Err = res.Err
		if now.Sub(s.Since) >= patience {
			s.Stopped = true
			return false, r.note(ctx, "stopped", res.Err)
		}
		s.Due = now.Add(max(pause(s.Tries), res.wait))
		return false, r.save(ctx)
	}
}

// moveOn goes past events that cannot be told, and says so.
func (r *runner) moveOn(ctx context.Context, to uint64, code string) error {
	why := r.state.Err
	r.state.again()
	r.state.Cursor = to
	return r.note(ctx, code, why)
}

// note saves the state with an event about the webhook.
func (r *runner) note(ctx context.Context, code, detail string) error {
	e := queue.Event{Kind: queue.KindHook, Ref: r.hook.Name, Code: code, Detail: detail}
	return r.write(ctx, func(tx *store.Tx) error { return r.h.cfg.Queue.NoteTx(tx, e) })
}

// save writes down where the webhook stands, if that is not what is stored.
func (r *runner) save(ctx context.Context) error { return r.write(ctx, nil) }

func (r *runner) write(ctx context.Context, also func(*store.Tx) error) error {
	s := r.state
	stored := false
	if also == nil {
		err := r.h.cfg.DB.View(func(tx *store.Tx) error {
			old, err := states.Get(tx, store.Str(s.Name))
			stored = old == nil || *old == s || old.Turn != s.Turn // nil: it was deleted
			return err
		})
		if err != nil || stored {
			return err
		}
	}
	err := r.h.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		if old, err := states.Get(tx, store.Str(s.Name)); err != nil || old == nil || old.Turn != s.Turn {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return states.Put(tx, &s)
	})
	if err == nil {
		r.saved = time.Now()
	}
	return err
}
