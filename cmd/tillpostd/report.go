package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/systemd"
)

// report tells systemd how the daemon is until ctx ends: the watchdog, and one
// line for `systemctl status`.
func report(ctx context.Context, manager *systemd.Manager, q *queue.Queue) {
	var both sync.WaitGroup
	both.Go(func() { manager.Watch(ctx, func() error { return alive(q) }) })
	both.Go(func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		said := ""
		for {
			if line := summary(q); line != said {
				manager.Status(line)
				said = line
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	both.Wait()
}

// alive is what the watchdog wants to know: the store answers, and the
// scheduler turns. A dead modem is not a reason to restart the daemon.
func alive(q *queue.Queue) error {
	if age := time.Since(q.Beat()); age > stale {
		return fmt.Errorf("the scheduler has not turned for %v", age.Round(time.Second))
	}
	if _, _, err := q.List(queue.Filter{Limit: 1}); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// summary is the box in one line.
func summary(q *queue.Queue) string {
	routes := q.Routes()
	ready := 0
	for _, r := range routes {
		if r.State == route.Ready && !r.Paused {
			ready++
		}
	}
	n := q.Counts()
	return fmt.Sprintf("%d of %d routes ready, %d messages wait, %d unknown", ready, len(routes), n.Queued+n.Scheduled+n.Held, n.Unknown)
}
