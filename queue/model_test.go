package queue

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// The model check runs random lives against what must hold whatever happens:
//
//	M1 Whoever was accepted is found, until erased.
//	M2 The network saw a message again only if the queue knew that it had not
//	   been taken (not offered, refused for now), or its outcome was unknown
//	   and its policy, or a person, allowed it.
//	M3 Two messages to one number are never in flight together.
//	M4 delivered is said only of what the network reported as delivered.
//	M5 A message that waits says why, and until when unless nothing but a
//	   person or a report can end the wait.
//	M6 When every route is well and time passes, nothing is left waiting
//	   but what is unknown and held, or planned.
//	M7 The store's own Check, after every crash and at the end.
//	M8 While nobody has told the time nothing expires.
//	M9 Who was erased is gone: what a lane held, when it has landed.

// op is one step of a random life.
type op struct {
	Kind string // add answer report cancel settle resend pass down up crash jump dark erase
	Who  int    // which recipient, or which message
	Fate string // of the next message to that recipient
	Min  int    // minutes to pass
	Mark bool   // marketing; or: part two, where there is a choice
}

var opGen = rapid.Custom(func(t *rapid.T) op {
	return op{
		Kind: rapid.SampledFrom([]string{"add", "add", "add", "add", "answer", "answer", "report", "report", "cancel", "settle", "resend", "pass", "pass", "down", "up", "crash", "jump", "dark", "erase"}).Draw(t, "kind"),
		Who:  rapid.IntRange(0, 2).Draw(t, "who"),
		Fate: rapid.SampledFrom([]string{"accept", "busy", "refuse", "lost", "not offered", "panic", "slow", "slow", "slow"}).Draw(t, "fate"),
		Min:  rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, 5, 30, 600}).Draw(t, "minutes"),
		Mark: rapid.Bool().Draw(t, "mark"),
	}
})

func TestModel(t *testing.T) {
	// A life is worth many draws of a small type: fewer of them by default.
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == f.DefValue {
		if err := f.Value.Set("25"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		ops := rapid.SliceOfN(opGen, 1, 40).Draw(rt, "ops")
		dir, err := os.MkdirTemp("", "model")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		var wrong []error
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)))
			w := &world{t: t, dir: dir, sun: wallAt(time.Now()), fates: map[string]string{}, took: map[string]int{}, said: map[string]bool{}, flying: map[string]int{}}
			w.start()
			for _, o := range ops {
				w.do(o)
			}
			w.finish()
			wrong = w.wrong
		})
		if len(wrong) > 0 {
			rt.Fatal(errors.Join(wrong...))
		}
	})
}

// world is the box, and the network as it saw things.
type world struct {
	t   *testing.T
	dir string
	n   int // crashes

	db    *store.DB
	q     *Queue
	modem *routetest.Fake
	stop  func()

	sun      *sun
	back     time.Duration // that the clock was set back, in all
	expired  map[ID]bool   // when the time was lost; nil: it is known
	accepted []ID
	erased   []ID
	wrong    []error

	mu     sync.Mutex
	fates  map[string]string // of the next message to a recipient
	took   map[string]int    // how often the network may have taken a message
	said   map[string]bool   // reported delivered
	flying map[string]int    // by recipient
}

func (w *world) bad(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Errorf(format, args...))
}

func (w *world) start() {
	db, err := store.Open(store.Options{Path: filepath.Join(w.dir, fmt.Sprint(w.n), "queue.db"), MinFree: -1}, Schema()...)
	if err != nil {
		if err = os.MkdirAll(filepath.Join(w.dir, fmt.Sprint(w.n)), 0o700); err == nil {
			db, err = store.Open(store.Options{Path: filepath.Join(w.dir, fmt.Sprint(w.n), "queue.db"), MinFree: -1}, Schema()...)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	q, err := New(Config{DB: db, Clock: w.sun.config()})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := db.Check(); err != nil {
		w.bad("M7: after the start: %v", err)
	}
	if w.modem == nil {
		w.modem = routetest.NewFake("counter")
		w.modem.SetLanes(3)
		w.modem.Answer(w.answer)
	}
	if err := q.Attach(w.modem, ""); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	w.db, w.q = db, q
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.bad("Run: %v", err)
		}
		if err := db.Close(); err != nil {
			w.bad("close: %v", err)
		}
	}
}

// answer is the network.
func (w *world) answer(out route.Outbound) (route.Receipt, error) {
	w.mu.Lock()
	w.flying[out.To]++
	if w.flying[out.To] > 1 {
		w.wrong = append(w.wrong, fmt.Errorf("M3: two messages to %s are in flight", out.To))
	}
	fate := w.fates[out.To]
	w.fates[out.To] = "accept"
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.flying[out.To]--
		w.mu.Unlock()
	}()
	saw := func() {
		w.mu.Lock()
		w.took[out.ID]++
		w.mu.Unlock()
	}
	switch fate {
	case "busy":
		return route.Receipt{}, fail(route.Retry)
	case "refuse":
		return route.Receipt{}, fail(route.Reject)
	case "not offered":
		return route.Receipt{}, fail(route.NotOffered)
	case "lost":
		saw()
		return route.Receipt{}, fail(route.Unknown)
	case "panic":
		saw()
		panic("the test says so")
	case "slow":
		time.Sleep(90 * time.Second)
	}
	saw()
	return route.Receipt{Parts: []route.Part{{N: 1, Of: 1, State: route.PartSent, Ref: "ref-" + out.ID}}}, nil
}

func (w *world) do(o op) {
	to := []string{anna, bram, cees}[o.Who]
	var some ID
	if len(w.accepted) > 0 {
		some = w.accepted[(o.Who*7+o.Min)%len(w.accepted)]
	}
	switch o.Kind {
	case "add":
		d := Draft{To: to, Text: "Uw bestelling staat klaar."}
		if o.Mark {
			d.Class = Marketing
		}
		if o.Min > 0 {
			d.At = w.q.Now().Add(time.Duration(o.Min) * time.Minute)
		}
		m, err := w.q.Add(w.t.Context(), d)
		if err != nil {
			w.bad("M1: refused: %v", err)
			return
		}
		w.accepted = append(w.accepted, m.ID)
	case "answer":
		w.mu.Lock()
		w.fates[to] = o.Fate
		w.mu.Unlock()
	case "report":
		if some == 0 {
			return
		}
		w.mu.Lock()
		seen := w.took[some.String()] > 0
		w.mu.Unlock()
		if !seen {
			return // the network reports on nothing that it never saw
		}
		state := route.ReportDelivered
		if o.Mark {
			state = route.ReportUndelivered
		}
		m, err := w.q.Get(some)
		if err != nil {
			w.bad("M1: %v", err)
			return
		}
		if w.modem.Report(route.Report{Ref: "ref-" + some.String(), To: m.To, State: state}) == nil && state == route.ReportDelivered {
			w.mu.Lock()
			w.said[m.To] = true
			w.mu.Unlock()
		}
	case "cancel", "settle", "resend":
		if some == 0 {
			return
		}
		w.person(o, some)
	case "pass":
		time.Sleep(time.Duration(o.Min)*time.Minute + time.Second)
	case "down":
		w.modem.SetState(route.Waiting)
	case "up":
		w.modem.SetState(route.Ready)
	case "crash":
		w.crash()
	case "jump":
		by := time.Duration(o.Min) * time.Minute
		if o.Mark {
			by = -by
			w.back -= by
		}
		w.sun.set(w.q.Now().Add(by))
		w.expired = nil
	case "dark":
		w.sun.set(in1970)
		time.Sleep(10 * time.Second) // the timer notices
		synctest.Wait()
		w.expired = w.inState(Expired)
	case "erase":
		w.erase(to)
	}
	synctest.Wait()
	w.look()
}

// person decides something; what is not allowed now must be refused as such.
func (w *world) person(o op, id ID) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	var err error
	switch {
	case o.Kind == "cancel":
		_, err = w.q.Cancel(ctx, id, "test")
	case o.Kind == "resend":
		_, err = w.q.Resend(ctx, id, "test")
	case o.Mark:
		_, err = w.q.Settle(ctx, id, Failed, "test")
	default:
		_, err = w.q.Settle(ctx, id, Sent, "test")
	}
	if _, notNow := errors.AsType[*ErrNotNow](err); err != nil && !notNow {
		w.bad("%s: %v", o.Kind, err)
	}
}

// inState lists the messages in a state.
func (w *world) inState(s State) map[ID]bool {
	list := map[ID]bool{}
	for _, id := range w.accepted {
		if m, err := w.q.Get(id); err == nil && m.State == s {
			list[id] = true
		}
	}
	return list
}

// erase forgets a person. What is in the air may stay until it has landed.
func (w *world) erase(to string) {
	if _, err := w.q.Erase(w.t.Context(), to, "test"); err != nil {
		w.bad("M9: %v", err)
	}
	w.accepted = slices.DeleteFunc(w.accepted, func(id ID) bool {
		m, err := w.q.Get(id)
		if gone := errors.Is(err, ErrNotFound) || err == nil && m.To == to; gone {
			w.erased = append(w.erased, id)
			return true
		}
		return false
	})
}

// crash copies the store as it is on disk and goes on from the copy.
func (w *world) crash() {
	next := filepath.Join(w.dir, fmt.Sprint(w.n+1))
	if err := os.MkdirAll(next, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := w.db.BackupFile(filepath.Join(next, "queue.db")); err != nil {
		w.t.Fatal(err)
	}
	w.stop()
	w.n++
	w.start()
}

// look holds every message against the invariants.
func (w *world) look() {
	for _, id := range w.accepted {
		m, err := w.q.Get(id)
		if err != nil {
			w.bad("M1: %s: %v", id, err)
			continue
		}
		story, err := w.q.Story(m)
		if err != nil {
			w.bad("M1: %s: %v", id, err)
			continue
		}
		allowed := 1
		for _, e := range story {
			switch e.Kind {
			case KindResent:
				allowed++
			}
		}
		w.mu.Lock()
		took, said := w.took[id.String()], w.said[m.To]
		w.mu.Unlock()
		if took > allowed {
			w.bad("M2: %s was taken %d times, allowed %d:%s", id, took, allowed, tellStory(story))
		}
		if m.State == Delivered && !said {
			w.bad("M4: %s is delivered, and nobody said so:%s", id, tellStory(story))
		}
		if w.expired != nil && m.State == Expired && !w.expired[id] {
			w.bad("M8: %s expired while nobody knew the time:%s", id, tellStory(story))
		}
		why, until := w.q.Explain(m)
		if m.State.Waits() && why.Code == "" {
			w.bad("M5: %s is %s and does not say why", id, m.State)
		}
		if until.IsZero() && (m.State == Queued || m.State == Scheduled || m.State == Held || m.State == Sending) {
			w.bad("M5: %s is %s and does not say until when", id, m.State)
		}
	}
}

// finish lets everything come to an end on a healthy route.
func (w *world) finish() {
	w.mu.Lock()
	clear(w.fates)
	w.mu.Unlock()
	w.modem.SetState(route.Ready)
	w.sun.set(w.q.Now())
	w.expired = nil
	time.Sleep(12*time.Hour + w.back)
	synctest.Wait()
	w.look()
	for _, id := range w.accepted {
		m, err := w.q.Get(id)
		if err != nil {
			w.bad("M1: %s: %v", id, err)
			continue
		}
		switch m.State {
		case Queued, Sending, Held, Scheduled:
			story, _ := w.q.Story(m)
			w.bad("M6: %s is still %s:%s", id, m.State, tellStory(story))
		}
	}
	for _, id := range w.erased {
		if _, err := w.q.Get(id); !errors.Is(err, ErrNotFound) {
			w.bad("M9: %s is still there (%v)", id, err)
		}
	}
	if err := w.db.Check(); err != nil {
		w.bad("M7: at the end: %v", err)
	}
	w.stop()
}

func tellStory(story []Event) (text string) {
	for _, e := range story {
		text += fmt.Sprintf("\n  %s %s %s %s", e.At.Format("02 15:04:05"), e.Kind, e.State, e.Detail)
	}
	return text
}
