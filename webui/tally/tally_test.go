package tally

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// counted is a running queue with one fake route and a tally.
type counted struct {
	t     *testing.T
	queue *queue.Queue
	fake  *routetest.Fake
	tally *Tally
	stop  func()
}

// count runs in a bubble of synctest.
func count(t *testing.T) *counted {
	t.Helper()
	// The bubble begins in the year 2000; a box lives now. It is midnight, UTC.
	time.Sleep(time.Until(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)))
	db, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "box.db"), NoSync: true, MinFree: -1}, queue.Schema()...)
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{t: t, fake: routetest.NewFake("counter")}
	if c.queue, err = queue.New(queue.Config{DB: db, Country: "NL", Location: time.UTC}); err != nil {
		t.Fatal(err)
	}
	if err := c.queue.Attach(c.fake, ""); err != nil {
		t.Fatal(err)
	}
	c.tally = New(c.queue, time.UTC, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := c.queue.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		if err := c.tally.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	c.stop = func() {
		cancel()
		all.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	return c
}

func (c *counted) add(to string) queue.ID {
	c.t.Helper()
	m, err := c.queue.Add(c.t.Context(), queue.Draft{To: to, Text: "x"})
	if err != nil {
		c.t.Fatal(err)
	}
	return m.ID
}

// settle gives the box ten seconds.
func settle() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

func TestEveryMessageIsCountedOnceAsWhatItIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := count(t)
		defer c.stop()
		time.Sleep(9*time.Hour + 30*time.Minute)
		for range 3 {
			c.add("+31612345678")
		}
		c.fake.ScriptFor("+31612345007", routetest.Refuse)
		refused := c.add("+31612345007")
		settle()
		day := c.tally.Today()
		if want := (Hour{Sent: 3, Failed: 1}); day.Hours[9] != want {
			t.Fatalf("nine o'clock: %v, want %v", day.Hours[9], want)
		}
		if got := c.tally.Trouble(); !slices.Equal(got, []queue.ID{refused}) {
			t.Errorf("trouble: %v", got)
		}
		// Delivered in the next hour: it belongs to the hour in which it left.
		c.fake.AutoReport(time.Hour)
		c.add("+31612345678")
		settle()
		time.Sleep(2 * time.Hour)
		settle()
		day = c.tally.Today()
		if want := (Hour{Sent: 3, Delivered: 1, Failed: 1}); day.Hours[9] != want || day.Hours[10] != (Hour{}) {
			t.Errorf("nine: %v, want %v; ten: %v", day.Hours[9], want, day.Hours[10])
		}
		if day.LastDelivered.Hour() != 10 || day.Sum(Delivered) != 1 || day.Sum(Sent) != 3 {
			t.Errorf("last delivered %v; %d delivered, %d sent", day.LastDelivered, day.Sum(Delivered), day.Sum(Sent))
		}
		// Sent again by a person: it is what it is now.
		if _, err := c.queue.Resend(t.Context(), refused, "test"); err != nil {
			t.Fatal(err)
		}
		settle()
		day = c.tally.Today()
		if day.Sum(Failed) != 0 || day.Sum(Sent) != 4 || len(c.tally.Trouble()) != 0 {
			t.Errorf("after sending again: %d failed, %d sent, trouble %v", day.Sum(Failed), day.Sum(Sent), c.tally.Trouble())
		}
		if n := c.tally.Events()[queue.KindAccepted]; n != 5 {
			t.Errorf("%d accepted, want 5", n)
		}
	})
}

func TestDayBeginsAtMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := count(t)
		defer c.stop()
		time.Sleep(23*time.Hour + 59*time.Minute)
		c.add("+31612345678")
		settle()
		if day := c.tally.Today(); day.Sum(Sent) != 1 {
			t.Fatalf("before midnight: %v", day.Hours)
		}
		time.Sleep(time.Hour)
		if day := c.tally.Today(); day.Sum(Sent) != 0 || !day.LastSent.IsZero() {
			t.Errorf("a new day begins with %v", day.Hours)
		}
	})
}

// A tally that begins in the middle of the day reads the day so far, and
// nothing of the days before.
func TestBeginsInTheMiddleOfTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := count(t)
		defer c.stop()
		time.Sleep(10 * time.Hour)
		for range 40 {
			c.add("+31612345678")
		}
		settle()
		time.Sleep(24 * time.Hour)
		for range 7 {
			c.add("+31612345678")
		}
		settle()
		second := New(c.queue, time.UTC, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- second.Run(ctx) }()
		settle()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if day := second.Today(); day.Sum(Sent) != 7 || day.Hours[10][Sent] != 7 {
			t.Errorf("today: %v, want 7 at ten", day.Hours)
		}
		if n := second.Events()[queue.KindAccepted]; n != 7 {
			t.Errorf("%d events of acceptance were read, want today's 7", n)
		}
	})
}
