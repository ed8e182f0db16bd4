package hook

import (
	"context"
	"net/url"
	"sync"
	"time"

	"tillpost/queue"
)

const (
	// callers is how many callbacks are made at once: one machine that does not
	// answer must not hold up the others.
	callers = 8
	// perHost of them go to one host.
	perHost = 2
)

// callBack makes the callbacks of messages until ctx ends. One message is told
// about by one caller at a time, so that its events come in order.
func (h *Hooks) callBack(ctx context.Context) {
	news, unsubscribe := h.cfg.Queue.Subscribe()
	defer unsubscribe()
	w := &callWork{busy: map[queue.ID]bool{}, hosts: map[string]int{}, done: make(chan struct{}, 1)}
	defer w.all.Wait()
	for ctx.Err() == nil {
		due, next, err := h.cfg.Queue.Callbacks(4 * callers)
		if err != nil {
			h.log.Error("callbacks cannot be read; trying again", "err", err)
			next = h.cfg.Queue.Now().Add(recheck)
		}
		for _, c := range due {
			w.begin(ctx, h, c)
		}
		pause := time.Minute
		if !next.IsZero() {
			pause = min(pause, max(next.Sub(h.cfg.Queue.Now()), time.Second))
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-news:
		case <-w.done:
		}
		t.Stop()
	}
}

// callWork is what callers have in hand.
type callWork struct {
	mu    sync.Mutex
	busy  map[queue.ID]bool
	hosts map[string]int
	done  chan struct{} // a caller is free
	all   sync.WaitGroup
}

func (w *callWork) begin(ctx context.Context, h *Hooks, c queue.Callback) {
	host := hostOf(c.URL)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[c.Msg] || len(w.busy) >= callers || w.hosts[host] >= perHost {
		return
	}
	w.busy[c.Msg] = true
	w.hosts[host]++
	w.all.Go(func() {
		if err := h.tellTill(ctx, c.Msg); err != nil && ctx.Err() == nil {
			h.log.Error("a callback cannot be made", "msg", c.Msg, "err", err)
			sleep(ctx, recheck, nil)
		}
		w.mu.Lock()
		delete(w.busy, c.Msg)
		if w.hosts[host]--; w.hosts[host] == 0 {
			delete(w.hosts, host)
		}
		w.mu.Unlock()
		select {
		case w.done <- struct{}{}:
		default:
		}
	})
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// tellTill makes one callback and writes down what came of it.
func (h *Hooks) tellTill(ctx context.Context, id queue.ID) error {
	c, m, e, err := h.cfg.Queue.Untold(id)
	switch {
	case err != nil || c == nil: // somebody was quicker
		return err
	case e == nil:
		return h.cfg.Queue.ToldCallback(ctx, c.Msg, c.Told)
	}
	secret, ok := h.mayCall(*c)
	if !ok { // its key was revoked, or lost this host
		return h.cfg.Queue.PutOffCallback(ctx, c.Msg, time.Time{})
	}
	body, err := h.cfg.Body("", *e, m, false)
	if err != nil {
		return err
	}
	t := h.callbackTarget(c.URL, secret)
	defer t.close()
	now := h.cfg.Queue.Now()
	res := t.call(ctx, h.cfg.Box, e.Seq, now, body)
	if ctx.Err() != nil && res.Err != "" {
		return nil
	}
	tries := c.Tries + 1
	switch v := res.verdict(); {
	case v == taken, v == refused && tries >= refusals:
		return h.cfg.Queue.ToldCallback(ctx, c.Msg, e.Seq)
	case v == stop, c.Tries > 0 && now.Sub(c.Since) >= patience:
		h.log.Info("a callback is given up", "msg", c.Msg, "err", res.Err)
		return h.cfg.Queue.PutOffCallback(ctx, c.Msg, time.Time{})
	default:
		return h.cfg.Queue.PutOffCallback(ctx, c.Msg, now.Add(max(pause(tries), res.wait)))
	}
}

func (h *Hooks) mayCall(c queue.Callback) (secret []byte, ok bool) {
	if h.cfg.Till == nil {
		return nil, false
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, false
	}
	secret, may, ok := h.cfg.Till(c.Till)
	return secret, ok && may(u.Host)
}
