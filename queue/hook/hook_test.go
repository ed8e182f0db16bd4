package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

const (
	anna   = "+31612345678"
	secret = "a secret of the test"
)

// far is the other side: a machine that the test lets answer as it likes.
type far struct {
	t *testing.T

	mu     sync.Mutex
	answer func(n int) (status int, err error) // of call n, from 1; nil: 204
	calls  []call
}

type call struct {
	at   time.Time
	url  string
	seq  uint64
	body struct {
		Hook    string
		Event   queue.Event
		Message string
	}
}

func (f *far) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c := call{at: time.Now(), url: r.URL.String()}
	if c.seq, err = strconv.ParseUint(r.Header.Get("Tillpost-Event"), 10, 64); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &c.body); err != nil {
		return nil, err
	}
	if err := Verify([]byte(secret), r.Header.Get(SignatureHeader), raw, time.Now(), time.Minute); err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	n, answer := len(f.calls), f.answer
	f.mu.Unlock()
	status := http.StatusNoContent
	if answer != nil {
		if status, err = answer(n); err != nil {
			return nil, err
		}
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: http.Header{}, Body: http.NoBody, Request: r,
	}, nil
}

func (f *far) say(answer func(n int) (int, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.calls = answer, nil
}

func (f *far) heard() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// always answers with one status.
func always(status int) func(int) (int, error) {
	return func(int) (int, error) { return status, nil }
}

var errAway = errors.New("connection refused")

func away(int) (int, error) { return 0, errAway }

// box is a queue with webhooks, in virtual time.
type box struct {
	t     *testing.T
	dir   string
	db    *store.DB
	q     *queue.Queue
	h     *Hooks
	modem *routetest.Fake
	far   *far
	stop  func()
	rest  func() // stops the queue alone: its timer would turn through days

	mu    sync.Mutex
	tills map[string]bool // hosts that the till may name
}

func inBox(t *testing.T, fn func(t *testing.T, b *box)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)))
		b := &box{t: t, dir: dir, far: &far{t: t}, tills: map[string]bool{"till.example": true}}
		b.open()
		fn(t, b)
		b.close()
	})
}

func (b *box) open() {
	b.t.Helper()
	db, err := store.Open(store.Options{Path: filepath.Join(b.dir, "box.db"), MinFree: -1, NoSync: true}, append(queue.Schema(), Schema()...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db, Location: time.UTC})
	if err != nil {
		b.t.Fatal(err)
	}
	b.modem = routetest.NewFake("counter")
	b.modem.AutoReport(time.Minute)
	if err := q.Attach(b.modem, ""); err != nil {
		b.t.Fatal(err)
	}
	h, err := New(Config{
		Queue: q, DB: db, Box: db.Box(),
		Body: func(hook string, e queue.Event, m *queue.Message, _ bool) ([]byte, error) {
			text := ""
			if m != nil {
				text = m.ID.String()
			}
			return json.Marshal(map[string]any{"hook": hook, "event": e, "message": text})
		},
		Till: func(name string) ([]byte, func(string) bool, bool) {
			return []byte(secret), b.mayCall, name == "till-1"
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	h.wire = b.far
	var all sync.WaitGroup
	run := func(fn func(context.Context) error) (stop context.CancelFunc) {
		ctx, stop := context.WithCancel(b.t.Context())
		all.Go(func() {
			if err := fn(ctx); err != nil {
				b.t.Error(err)
			}
		})
		return stop
	}
	b.db, b.q, b.h = db, q, h
	b.rest = run(q.Run)
	stopHooks := run(h.Run)
	b.stop = func() { b.rest(); stopHooks(); all.Wait() }
}

func (b *box) mayCall(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tills[host]
}

func (b *box) allow(host string, may bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tills[host] = may
}

func (b *box) close() {
	b.t.Helper()
	b.stop()
	if err := errors.Join(b.db.Check(), b.db.Close()); err != nil {
		b.t.Error(err)
	}
}

func (b *box) set(h Hook) {
	b.t.Helper()
	if h.Secret == "" {
		h.Secret = secret
	}
	if _, _, err := b.h.Set(b.t.Context(), h); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

func (b *box) add(d queue.Draft) queue.ID {
	b.t.Helper()
	if d.To == "" {
		d.To = anna
	}
	d.Text = "Your order is ready."
	m, err := b.q.Add(b.t.Context(), d)
	if err != nil {
		b.t.Fatal(err)
	}
	return m.ID
}

func (b *box) state(name string) State {
	b.t.Helper()
	_, s, err := b.h.Get(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// pass lets time pass, and what it brings.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *box) noted(code string) (n int) {
	b.t.Helper()
	list, err := b.q.Events(0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list {
		if e.Kind == queue.KindHook && e.Code == code {
			n++
		}
	}
	return n
}

const url1 = "https://software.example/hook"

// A webhook hears every event it wants, once, in order, signed.
func TestEventsComeInOrder(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.add(queue.Draft{}) // before it was set
		pass(5 * time.Minute)
		b.set(Hook{Name: "all", URL: url1})
		b.set(Hook{Name: "few", URL: "https://few.example/", Kinds: []queue.Kind{queue.KindReport, queue.KindSent}})
		first := b.q.LastEvent() + 1
		for range 3 {
			b.add(queue.Draft{})
		}
		pass(10 * time.Minute)
		var all, few []call
		for _, c := range b.far.heard() {
			if c.url == url1 {
				all = append(all, c)
			} else {
				few = append(few, c)
			}
		}
		for i, c := range all {
			if c.seq != first+uint64(i) || c.body.Event.Seq != c.seq || c.body.Hook != "all" {
				t.Errorf("call %d is about event %d of %q, want %d", i, c.seq, c.body.Hook, first+uint64(i))
			}
		}
		if len(all) != 12 || b.state("all").Cursor != b.q.LastEvent() { // accepted, taken, sent, reported
			t.Errorf("%d calls, cursor %d of %d", len(all), b.state("all").Cursor, b.q.LastEvent())
		}
		if len(few) != 6 || few[0].body.Event.Kind != queue.KindSent || few[5].body.Event.Kind != queue.KindReport {
			t.Errorf("%d calls to the one that wants few", len(few))
		}
		if len(few) == 6 && !slices.IsSortedFunc(few, func(a, b call) int { return int(a.seq) - int(b.seq) }) {
			t.Error("they are not in order")
		}
	})
}

// The cursor is on disk: a box that stops goes on where it stood.
func TestGoesOnAfterAStop(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.set(Hook{Name: "all", URL: url1})
		b.add(queue.Draft{})
		pass(5 * time.Minute)
		told := b.far.heard()
		b.close()
		b.far.say(nil)
		b.open()
		pass(time.Minute)
		last := told[len(told)-1].seq
		for i, c := range b.far.heard() {
			if c.seq != last+1+uint64(i) {
				t.Errorf("after event %d came %d", last, c.seq)
			}
		}
	})
}

// A machine that is away for days hears everything when it comes back, and is
// asked at the pauses of the table.
func TestMachineIsAwayForDays(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.rest()
		b.set(Hook{Name: "all", URL: url1, Kinds: []queue.Kind{queue.KindAccepted}})
		b.far.say(away)
		begun := time.Now()
		for range 5 {
			b.add(queue.Draft{})
			pass(time.Minute)
		}
		pass(3 * 24 * time.Hour)
		tries := b.far.heard()
		for i := 1; i < len(tries); i++ {
			if got := tries[i].at.Sub(tries[i-1].at); got != pause(i) {
				t.Errorf("try %d came after %s, want %s", i+1, got, pause(i))
			}
			if tries[i].seq != tries[0].seq {
				t.Errorf("try %d is about event %d: order is lost", i+1, tries[i].seq)
			}
		}
		if s := b.state("all"); s.Tries != len(tries) || !strings.Contains(s.Err, "refused") || s.Stopped {
			t.Errorf("after %s: %+v", time.Since(begun), s)
		}
		b.far.say(nil)
		pass(longestPause)
		if got := b.far.heard(); len(got) != 5 {
			t.Errorf("back again it heard %d of 5", len(got))
		}
		if s := b.state("all"); s.Tries != 0 || s.Err != "" || b.noted("works_again") != 1 {
			t.Errorf("%+v, %d events tell that it works again", s, b.noted("works_again"))
		}
	})
}

func TestStopsAfterAWeekAndGoesOnByHand(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.rest()
		b.set(Hook{Name: "all", URL: url1, Kinds: []queue.Kind{queue.KindAccepted}})
		b.far.say(away)
		b.add(queue.Draft{})
		pass(8 * 24 * time.Hour)
		if s := b.state("all"); !s.Stopped || b.noted("stopped") != 1 {
			t.Errorf("%+v, %d events", s, b.noted("stopped"))
		}
		b.far.say(nil)
		b.add(queue.Draft{})
		pass(24 * time.Hour)
		if n := len(b.far.heard()); n != 0 {
			t.Errorf("a stopped one was called %d times", n)
		}
		if err := b.h.Replay(t.Context(), "all", b.state("all").Cursor); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if n := len(b.far.heard()); n != 2 {
			t.Errorf("after it was let go on it heard %d of 2", n)
		}
		if err := b.h.Replay(t.Context(), "all", 0); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if n := len(b.far.heard()); n != 4 {
			t.Errorf("after a replay from the start it heard %d in all, want 4", n)
		}
	})
}

// What an answer means, by the table.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status         int
		calls, skipped int // within ten minutes, of two events
		stopped        bool
	}{
		{204, 2, 0, false},
		{400, 6, 2, false},
		{422, 6, 2, false},
		{410, 1, 0, true},
		{500, 3, 0, false},
		{404, 3, 0, false},
		{302, 3, 0, false},
		{429, 3, 0, false},
	} {
		t.Run(strconv.Itoa(c.status), func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				b.set(Hook{Name: "all", URL: url1, Kinds: []queue.Kind{queue.KindAccepted}})
				b.far.say(always(c.status))
				b.add(queue.Draft{})
				b.add(queue.Draft{})
				pass(100 * time.Second)
				s := b.state("all")
				if n := len(b.far.heard()); n != c.calls || s.Skipped != c.skipped || s.Stopped != c.stopped {
					t.Errorf("%d calls, %+v", n, s)
				}
				if b.noted("skipped") != c.skipped {
					t.Errorf("%d events tell of skipping", b.noted("skipped"))
				}
			})
		})
	}
}

func TestRetryTable(t *testing.T) {
	var at time.Duration
	n := 1
	for ; at < patience; n++ {
		if n <= len(pauses)+1 {
			t.Logf("try %2d in vain, %9s after the first: again in %s", n, at, pause(n))
		}
		at += pause(n)
	}
	t.Logf("try %2d in vain, %9s after the first: stopped", n, at)
	if at < 7*24*time.Hour || n > 60 || !slices.IsSorted(pauses) {
		t.Errorf("%d tries in %s", n, at)
	}
}

// A till is told what becomes of its message, in order.
func TestCallbacks(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.far.say(func(n int) (int, error) {
			if n == 1 {
				return 0, errAway
			}
			return 200, nil
		})
		id := b.add(queue.Draft{Till: "till-1", Callback: "https://till.example/done"})
		b.add(queue.Draft{Till: "till-1"})
		pass(10 * time.Minute)
		var kinds []queue.Kind
		for _, c := range b.far.heard() {
			if c.body.Message != id.String() || c.url != "https://till.example/done" {
				t.Errorf("a call about %q to %s", c.body.Message, c.url)
			}
			kinds = append(kinds, c.body.Event.Kind)
		}
		if want := []queue.Kind{queue.KindSent, queue.KindSent, queue.KindReport}; !slices.Equal(kinds, want) {
			t.Errorf("told %v, want %v", kinds, want)
		}
	})
}

// A callback ends with the right to it, and with its message.
func TestCallbacksThatEnd(t *testing.T) {
	for name, end := range map[string]func(b *box){
		"the key lost the host": func(b *box) { b.allow("till.example", false) },
		"the person was erased": func(b *box) {
			if _, err := b.q.Erase(b.t.Context(), anna, "test"); err != nil {
				b.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBox(t, func(t *testing.T, b *box) {
				b.far.say(away)
				b.add(queue.Draft{Till: "till-1", Callback: "https://till.example/done"})
				pass(5 * time.Second)
				if n := len(b.far.heard()); n != 1 {
					t.Fatalf("%d calls", n)
				}
				end(b)
				b.rest()
				pass(24 * time.Hour)
				if n := len(b.far.heard()); n > 1 {
					t.Errorf("%d calls afterwards", n-1)
				}
				if due, next, err := b.q.Callbacks(10); len(due) > 0 || !next.IsZero() || err != nil {
					t.Errorf("still due: %v %s %v", due, next, err)
				}
			})
		})
	}
}

// A machine that does not answer holds up its own callbacks only.
func TestOneHostDoesNotHoldUpOthers(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.allow("slow.example", true)
		good := 0
		b.far.say(func(int) (int, error) { return 200, nil })
		for range 20 {
			b.add(queue.Draft{Till: "till-1", Callback: "https://slow.example/", To: "+31600000001"})
		}
		b.add(queue.Draft{Till: "till-1", Callback: "https://till.example/", To: "+31600000002"})
		pass(time.Hour)
		for _, c := range b.far.heard() {
			if strings.HasPrefix(c.url, "https://till.example") {
				good++
			}
		}
		if n := len(b.far.heard()); good != 2 || n != 42 {
			t.Errorf("%d calls, %d of them to the other host", n, good)
		}
	})
}

func TestSettingsAreChecked(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		for _, c := range []struct {
			hook  Hook
			field string
		}{
			{Hook{Name: "", URL: url1}, "name"},
			{Hook{Name: "a/b", URL: url1}, "name"},
			{Hook{Name: "a", URL: "ftp://x"}, "url"},
			{Hook{Name: "a", URL: "software.example/hook"}, "url"},
			{Hook{Name: "a", URL: "https://me:pw@x.example"}, "url"},
			{Hook{Name: "a", URL: url1, Pin: "12"}, "pin"},
			{Hook{Name: "a", URL: "http://192.168.1.2/", Pin: strings.Repeat("ab", 32)}, "pin"},
			{Hook{Name: "a", URL: url1, Secret: "short"}, "secret"},
			{Hook{Name: "a", URL: url1, Kinds: []queue.Kind{"deliverd"}}, "kinds"},
		} {
			_, _, err := b.h.Set(t.Context(), c.hook)
			if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Field != c.field {
				t.Errorf("%+v: %v", c.hook, err)
			}
		}
		set, fresh, err := b.h.Set(t.Context(), Hook{Name: "a", URL: url1, Off: true})
		if err != nil || !fresh || len(set.Secret) < minSecret {
			t.Errorf("%+v %t %v", set, fresh, err)
		}
		again, fresh, err := b.h.Set(t.Context(), Hook{Name: "a", URL: "https://other.example/", Off: true})
		if err != nil || fresh || again.Secret != set.Secret {
			t.Errorf("%+v %t %v", again, fresh, err)
		}
		if err := b.h.Delete(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if err := b.h.Delete(t.Context(), "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// Where an address leads to is said when it is set, if it can be known then.
func TestPlainHTTPStaysInside(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://8.8.8.8/":         false,
		"http://[2001:4860::8]/":  false,
		"https://8.8.8.8/":        true,
		"http://192.168.1.20/":    true,
		"http://[fd00::1]:8000/":  true,
		"http://software.example": true, // known when it is dialled
	} {
		err := CheckURL("url", url)
		if bad, is := errors.AsType[*queue.Invalid](err); (err == nil) != ok || err != nil && (!is || !strings.Contains(bad.Detail, "Use https")) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
