package api

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui/api/wire"
)

func TestSameNameGivesFirstAnswer(t *testing.T) {
	b := newBox(t)
	name := []string{"Idempotency-Key", "3e1f"}
	first := b.ask(b.key, "POST", "/api/v1/messages", good, name...)
	if first.Code != 202 {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	// The message moves on; the first answer does not.
	id := want[wire.Page[wire.Message]](b, 200, b.key, "GET", "/api/v1/messages", nil).Items[0].ID
	want[wire.Message](b, 200, b.key, "DELETE", "/api/v1/messages/"+id, nil)

	again := b.ask(b.key, "POST", "/api/v1/messages", `{ "text":"Uw fiets is klaar", "to":"06-12345678" }`, name...)
	if again.Code != 202 || again.Body.String() != first.Body.String() {
		t.Errorf("the repeat got %d\n%s\nthe first was\n%s", again.Code, again.Body, first.Body)
	}
	if again.Header().Get("Idempotency-Replayed") != "true" || first.Header().Get("Idempotency-Replayed") != "" {
		t.Error("only the repeat is marked as one")
	}
	p := want[wire.Problem](b, 409, b.key, "POST", "/api/v1/messages", `{"to":"06-12345678","text":"another"}`, name...)
	if p.Code != "name_reused" || p.Field != "Idempotency-Key" {
		t.Errorf("%+v", p)
	}
	// Names are a till's own.
	other := b.addKey("till-2", Send)
	mine := want[wire.Message](b, 202, other, "POST", "/api/v1/messages", good, name...)
	if mine.ID == id {
		t.Error("another till got this till's answer")
	}
	if n := b.count(); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

func TestRefUniqueDoesTheSame(t *testing.T) {
	b := newBox(t)
	body := `{"to":"06-12345678","text":"x","ref":"order 7","ref_unique":true}`
	first := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", body)
	again := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", body)
	if first.ID != again.ID {
		t.Error("the same ref made two messages")
	}
	p := want[wire.Problem](b, 409, b.key, "POST", "/api/v1/messages", strings.Replace(body, `"x"`, `"y"`, 1))
	if p.Field != "ref" {
		t.Errorf("%+v", p)
	}
	// A ref that is not called unique may come again.
	plain := `{"to":"06-12345678","text":"x","ref":"order 7"}`
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", plain)
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", plain)
	if n := b.count(); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
}

func (b *box) count() int {
	b.t.Helper()
	list, _, err := b.queue.List(queue.Filter{Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list)
}

func TestTwinsAtTheSameMomentMakeOneMessage(t *testing.T) {
	b := newBox(t)
	const twins, requests = 8, 20
	var answers [requests][twins]*httptest.ResponseRecorder
	var wg sync.WaitGroup
	for r := range requests {
		for i := range twins {
			wg.Go(func() {
				answers[r][i] = b.ask(b.key, "POST", "/api/v1/messages", good, "Idempotency-Key", fmt.Sprint("request ", r))
			})
		}
	}
	wg.Wait()
	for r := range requests {
		for i := range twins {
			if a := answers[r][i]; a.Code != 202 || a.Body.String() != answers[r][0].Body.String() {
				t.Fatalf("request %d: twin %d got %d %s", r, i, a.Code, a.Body)
			}
		}
	}
	if n := b.count(); n != requests {
		t.Errorf("%d messages, want %d", n, requests)
	}
}

func TestActionsAreDoneOnce(t *testing.T) {
	b := newBox(t)
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	want[wire.Message](b, 200, b.key, "DELETE", "/api/v1/messages/"+m.ID, nil)
	path, name := "/api/v1/messages/"+m.ID+"/resend", []string{"Idempotency-Key", "again"}
	const twins = 6
	answers := make([]string, twins)
	var wg sync.WaitGroup
	for i := range twins {
		wg.Go(func() { answers[i] = b.ask(b.key, "POST", path, nil, name...).Body.String() })
	}
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Fatalf("two answers:\n%s\n%s", answers[0], a)
		}
	}
	seen := want[wire.Message](b, 200, b.key, "GET", "/api/v1/messages/"+m.ID, nil)
	if seen.State != "queued" || len(seen.Events) != 3 {
		t.Errorf("sent again %d times: %+v", len(seen.Events)-2, seen.Events)
	}
	// Without the name it is refused as what it is.
	want[wire.Problem](b, 409, b.key, "POST", path, nil)
	// A refusal is not kept: it may be right later.
	want[wire.Problem](b, 409, b.key, "POST", path, nil, "Idempotency-Key", "later")
	want[wire.Message](b, 200, b.key, "DELETE", "/api/v1/messages/"+m.ID, nil)
	want[wire.Message](b, 200, b.key, "POST", path, nil, "Idempotency-Key", "later")
	// One name, two requests.
	want[wire.Problem](b, 409, b.key, "POST", "/api/v1/preview", `{"text":"x"}`, name...)
}

func TestCallCutOffByACrashIsNotRepeated(t *testing.T) {
	b := newBox(t)
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	want[wire.Message](b, 200, b.key, "DELETE", "/api/v1/messages/"+m.ID, nil)
	path := "/api/v1/messages/" + m.ID + "/resend"
	c := &call{r: httptest.NewRequest("POST", path, nil), who: caller{by: "till-1"}}
	c.r.Header.Set("Idempotency-Key", "cut")
	q, err := c.named("", orNull(nil))
	if err != nil {
		t.Fatal(err)
	}
	// What a crash between the two commits of once leaves.
	if err := b.db.Commit(t.Context(), func(tx *store.Tx) error { return q.keep(tx, nil, b.api.memory.now()) }); err != nil {
		t.Fatal(err)
	}
	p := want[wire.Problem](b, 409, b.key, "POST", path, nil, "Idempotency-Key", "cut")
	if p.Code != "outcome_unknown" {
		t.Errorf("%+v", p)
	}
}

func TestAnswersAreForgottenAfterSevenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)))
		b := newBox(t)
		name := []string{"Idempotency-Key", "k"}
		first := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, name...)
		time.Sleep(keepFor - time.Minute)
		if again := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, name...); again.ID != first.ID {
			t.Error("forgotten after less than 7 days")
		}
		if n, err := b.api.memory.sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		time.Sleep(2 * time.Minute)
		if n, err := b.api.memory.sweep(t.Context()); n != 1 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		if anew := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, name...); anew.ID == first.ID {
			t.Error("still there after 7 days")
		}
	})
}

// A board without a battery boots in 1970; a till that repeats its request after
// the network told the time is given the first answer all the same.
func TestAnswersOutliveABootIn1970(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var told atomic.Bool
		b := newBox(t, func(tun *tuning) {
			tun.queue.Clock.Wall = func() time.Time {
				year := 1970
				if told.Load() {
					year = 2026
				}
				return time.Date(year, 11, 24, 9, 0, 0, 0, time.UTC).Add(time.Since(begin))
			}
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.queue.Run(ctx) }()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		name := []string{"Idempotency-Key", "k"}
		first := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, name...)
		again := func(when string) {
			t.Helper()
			if m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, name...); m.ID != first.ID {
				t.Fatalf("%s the answer was forgotten, and the message is double", when)
			}
		}
		sweep := func(want int) {
			t.Helper()
			if n, err := b.api.memory.sweep(t.Context()); n != want || err != nil {
				t.Errorf("swept %d, %v; want %d", n, err, want)
			}
		}
		again("before anybody knew the time")
		time.Sleep(keepFor + time.Hour) // without a clock nothing is old
		sweep(0)
		again("after a week without a clock")
		told.Store(true)
		time.Sleep(time.Minute) // the queue looks at the clock
		if !b.queue.Time().Known() {
			t.Fatal("the box does not know the time")
		}
		again("when the time was told")
		sweep(1) // its seven days begin
		again("after a sweep")
		time.Sleep(keepFor - time.Hour)
		sweep(0)
		again("within seven days of that")
		time.Sleep(2 * time.Hour)
		sweep(1)
		if m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, name...); m.ID == first.ID {
			t.Error("still there after 7 days")
		}
	})
}
