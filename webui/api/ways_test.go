package api

import (
	"context"
	"testing"

	"tillpost/queue"
	"tillpost/queue/route/routetest"
	"tillpost/webui/api/wire"
)

// Routes and status say what is left of each limit, and when one is used up.
func TestRoutesSayWhatIsLeft(t *testing.T) {
	b := newBox(t)
	if err := b.queue.Attach(routetest.NewFake("counter"), ""); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Attach(routetest.NewFake("free"), "other"); err != nil {
		t.Fatal(err)
	}
	if err := b.queue.Limit("counter", queue.Quota{PartsPerDay: 1, RecipientsPerMonth: 9}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.queue.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if _, err := b.queue.Add(t.Context(), queue.Draft{To: "0612345678", Text: "Klaar!"}); err != nil {
		t.Fatal(err)
	}
	admin := b.addKey("owner", Admin, Read)
	var ways []wire.Route
	until(t, func() bool {
		ways = want[wire.Page[wire.Route]](b, 200, admin, "GET", "/api/v1/routes", nil).Items
		return ways[0].Code == "limit_used"
	})
	for where, list := range map[string][]wire.Route{
		"routes": ways, "status": want[wire.Status](b, 200, admin, "GET", "/api/v1/status", nil).Routes,
	} {
		if n := len(list); n != 2 || list[1].Limits == nil || len(list[1].Limits) != 0 {
			t.Fatalf("%s: %d of them, the free one with %+v", where, n, list)
		}
		l := list[0].Limits
		if len(l) != 2 || l[0].Of != "parts_per_day" || l[0].Left != 0 || l[0].Limit != 1 || l[0].Until == nil ||
			l[1].Of != "recipients_per_month" || l[1].Left != 8 || l[1].Limit != 9 || l[1].Until == nil {
			t.Errorf("%s: %+v", where, l)
		}
	}
	if s := want[wire.Status](b, 200, admin, "GET", "/api/v1/status", nil); s.Lamp != "warn" || s.Health.Code != "limit_used" {
		t.Errorf("the lamp is %s because %s", s.Lamp, s.Health.Code)
	}
}
