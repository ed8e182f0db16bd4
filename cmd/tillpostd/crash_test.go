package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/webui/api/wire"
)

// The crash test proves design.md §7 on the real binaries: an accepted message
// is never lost, and nothing is sent twice unless an unknown stands between.
//
// Eight tills hand in messages over HTTP while the daemon is killed with
// SIGKILL at random moments and started again. The harness keeps its own list
// of what was answered with 202; the radio cell keeps its own list of what was
// submitted. In the end the two lists and the daemon's own story must agree.

const (
	tills    = 8
	messages = 200
	kills    = 20
)

// ordeal is one run of the crash test.
type ordeal struct {
	t        testing.TB
	b        *box
	radio    *radio
	messages int
	kills    int
	long     bool // every tenth message has two parts

	mu       sync.Mutex
	accepted map[string]string // text → id, as 202 said
	twice    []string          // texts that got two ids
}

func TestCrashLosesNothingAndDoublesNothing(t *testing.T) {
	n := kills
	if s := os.Getenv("TILLPOST_KILLS"); s != "" { // make soak
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("TILLPOST_KILLS: %v", err)
		}
	}
	bin := build(t, "")
	o := newOrdeal(t, bin, max(messages, 10*n), n)
	o.long = true
	for _, v := range o.run() {
		t.Error(v)
	}
	unknown, resent := o.counts()
	t.Logf("%d messages, %d kills: %d accepted, %d of them unknown for a while, %d sent once more by hand",
		o.messages, o.kills, len(o.accepted), unknown, resent)
}

// A harness that cannot fail proves nothing. Each of these daemons breaks one
// rule of the house, by one exact replacement in the real source, and the
// harness must notice.
func TestHarnessNoticesBrokenDaemons(t *testing.T) {
	broken := []struct {
		name string
		file string
		swap [][2]string
		want string
	}{
		{
			name: "the answer is given before the commit",
			file: "webui/api/messages.go",
			swap: [][2]string{
				{"import (\n", "import (\n\t\"context\"\n"},
				{"	err = a.db.Commit(c.ctx, func(tx *store.Tx) error {\n		rep = nil\n", "	err = early(a.db, c.ctx, func(tx *store.Tx) error {\n		rep = nil\n"},
				{"// accepted is the answer to", `func early(db *store.DB, ctx context.Context, fn func(*store.Tx) error) error {
	ran := make(chan error, 1)
	go db.Commit(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		err := fn(tx)
		select {
		case ran <- err:
		default:
		}
		time.Sleep(20 * time.Millisecond) // the disk
		return err
	})
	return <-ran
}

// accepted is the answer to`},
			},
			want: "was accepted and is lost",
		},
		{
			name: "a message is settled before it is sent",
			file: "queue/lane.go",
			swap: [][2]string{{
				"	rcpt, err := r.send(ctx, m)\n	r.q.settle(ctx, r, m, f, rcpt, err)\n",
				`	var rcpt route.Receipt
	for n := range m.Segments {
		rcpt.Parts = append(rcpt.Parts, route.Part{N: n + 1, Of: len(m.Segments), State: route.PartSent, Ref: "0", Identity: m.Identity})
	}
	r.q.settle(ctx, r, m, f, rcpt, nil)
	time.Sleep(60 * time.Millisecond) // the modem takes its time
	_, err := r.send(ctx, m)
`,
			}},
			want: "the network never saw",
		},
		{
			name: "what was being sent is sent again after a restart",
			file: "queue/queue.go",
			swap: [][2]string{{
				"	return q.lose(tx, m, Event{Kind: KindInterrupted, Route: m.Route, Identity: m.Identity})\n",
				`	if err := m.move(onNotOffered); err != nil {
		return err
	}
	m.Why, m.Due, m.Wake = because("in_line"), time.Now(), m.Expires
	return q.note(tx, m, Event{Kind: KindNotOffered})
`,
			}},
			want: "without an unknown between",
		},
	}
	for _, test := range broken {
		t.Run(test.name, func(t *testing.T) {
			bin := build(t, overlay(t, test.file, test.swap))
			found := newOrdeal(t, bin, messages, kills).run()
			if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, test.want) }) {
				t.Errorf("the harness noticed nothing of it; it said %q", found)
			}
			t.Logf("noticed %d times, first: %s", len(found), found[:min(1, len(found))])
		})
	}
}

// overlay writes a go build -overlay file in which one source file of ours is
// replaced by a copy with exact replacements. The product itself has no hooks.
func overlay(t *testing.T, file string, swap [][2]string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(root, file)
	data, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, s := range swap {
		if strings.Count(text, s[0]) != 1 {
			t.Fatalf("%s has changed: it holds %d times, not once:\n%s\nAdapt this test to what it says now", file, strings.Count(text, s[0]), s[0])
		}
		text = strings.Replace(text, s[0], s[1], 1)
	}
	dir := t.TempDir()
	patched := filepath.Join(dir, filepath.Base(file))
	list := filepath.Join(dir, "overlay.json")
	spec, err := json.Marshal(map[string]map[string]string{"Replace": {source: patched}})
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{patched: []byte(text), list: spec} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func newOrdeal(t testing.TB, bin string, messages, kills int) *ordeal {
	t.Helper()
	r := startRadio(t, bin, "-latency", "25ms")
	return &ordeal{
		t: t, radio: r, b: newBox(t, bin, modemTable("counter", r.port)),
		messages: messages, kills: kills, accepted: make(map[string]string),
	}
}

// run goes through all lives of the daemon and returns what was violated.
func (o *ordeal) run() []string {
	o.t.Helper()
	work := make(chan string, o.messages)
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()

	next := 0
	handOut := func(n int) {
		for ; n > 0 && next < o.messages; n-- {
			work <- o.text(next)
			next++
		}
	}
	for life := range o.kills {
		o.start()
		if life == 0 {
			o.b.makeKey("send,read")
			for range tills {
				clients.Go(func() { o.till(ctx, work) })
			}
		}
		handOut(o.messages / o.kills)
		// Half of the kills hit the moment of accepting, half that of sending.
		span := 60 * time.Millisecond
		if life%2 == 1 {
			span = 700 * time.Millisecond
		}
		<-time.After(rand.N(span))
		o.b.kill()
	}
	o.start()
	handOut(o.messages)
	close(work)
	clients.Wait()
	o.drained()
	o.resendSome()
	o.drained()
	return o.violations()
}

// start begins a life; the store must be whole in each of them.
func (o *ordeal) start() {
	o.t.Helper()
	o.b.start()
	o.b.must("check")
}

// text is what the nth message says. Every part of it is found only once.
func (o *ordeal) text(n int) string {
	if o.long && n%10 == 9 {
		return fmt.Sprintf("long %d %s the end of %d", n, strings.Repeat("and on it goes ", 12), n)
	}
	return fmt.Sprintf("message %d", n)
}

// till hands in messages until there are none, as a good client does: it names
// its request and repeats it until it has an answer.
func (o *ordeal) till(ctx context.Context, work <-chan string) {
	for text := range work {
		number, err := strconv.Atoi(strings.Fields(text)[1])
		if err != nil {
			panic(err) // of our own text
		}
		send := hello(fmt.Sprintf("+316120%05d", 10*number+9), text)
		for ctx.Err() == nil {
			var m wire.Message
			status, err := o.b.call("POST", "/api/v1/messages", send, &m, "Idempotency-Key", text)
			if err == nil && status == http.StatusAccepted {
				o.note(text, m.ID)
				break
			}
			select { // the box is dead for a moment
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

func (o *ordeal) note(text, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if first, ok := o.accepted[text]; ok && first != id {
		o.twice = append(o.twice, text)
	}
	o.accepted[text] = id
}

// drained waits until the box has nothing left to send.
func (o *ordeal) drained() {
	o.t.Helper()
	last, since := int64(-1), time.Now()
	for {
		var s wire.Status
		if err := json.Unmarshal([]byte(o.b.must("-json", "status")), &s); err != nil {
			o.t.Fatal(err)
		}
		left := s.Waiting.Queued + s.Waiting.Sending
		if left == 0 {
			return
		}
		if left != last {
			last, since = left, time.Now()
		}
		if time.Since(since) > patience {
			o.t.Fatalf("%d messages wait and nothing moves: %+v", left, s.Routes)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// resendSome decides half of the unknown ones as a person would: send it
// again. These may be seen twice, and the story says why.
func (o *ordeal) resendSome() {
	o.t.Helper()
	for i, id := range o.all("unknown") {
		if i%2 == 0 {
			if status, err := o.b.call("POST", "/api/v1/messages/"+id+"/resend", nil, nil); err != nil || status != http.StatusOK {
				o.t.Errorf("resend %s: %d %v", id, status, err)
			}
		}
	}
}

// all lists the ids in a state, or all of them.
func (o *ordeal) all(state string) (ids []string) {
	o.t.Helper()
	for after := ""; ; {
		var page wire.Page[wire.Message]
		path := "/api/v1/messages?limit=1000&state=" + state + "&after=" + after
		if status, err := o.b.call("GET", path, nil, &page); err != nil || status != http.StatusOK {
			o.t.Fatalf("GET %s: %d %v", path, status, err)
		}
		for _, m := range page.Items {
			ids = append(ids, m.ID)
		}
		if after = page.Next; after == "" {
			return ids
		}
	}
}

// violations compares the three lists.
func (o *ordeal) violations() (found []string) {
	o.t.Helper()
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	seen := o.radio.submits(o.t)
	for _, text := range o.twice {
		wrong("%q was accepted under two ids although its request had one name", text)
	}
	for text, id := range o.accepted {
		var m wire.Message
		switch status, err := o.b.call("GET", "/api/v1/messages/"+id, nil, &m); {
		case err != nil:
			o.t.Fatal(err)
		case status == http.StatusNotFound:
			wrong("%s (%q) was accepted and is lost", id, text)
			continue
		case status != http.StatusOK:
			o.t.Fatalf("GET %s: %d", id, status)
		}
		switch m.State {
		case queue.Sent, queue.Delivered, queue.Unknown:
		default:
			wrong("%s is %s (%s), which is neither final nor honest", id, m.State, m.Reason)
		}
		if m.State == queue.Unknown && m.Reason == "" {
			wrong("%s is unknown and does not say what that means", id)
		}
		doubts := doubts(m)
		for _, p := range m.Parts {
			n := seen[p.Text]
			if (p.State == queue.PartSent || p.State == queue.PartDelivered) && n == 0 {
				wrong("%s part %d is %s and the network never saw it", id, p.N, p.State)
			}
			if p.State == queue.PartWaiting && n > 0 && doubts == 0 {
				wrong("%s part %d waits and the network has it", id, p.N)
			}
			if n > 1+doubts {
				wrong("%s part %d was sent %d times without an unknown between", id, p.N, n)
			}
		}
	}
	return found
}

// doubts counts how often a message's outcome was unknown.
func doubts(m wire.Message) (n int) {
	for _, e := range m.Events {
		if e.Kind == queue.KindUnknown || e.Kind == queue.KindInterrupted {
			n++
		}
	}
	return n
}

// counts says how much of the ordeal there was: a run without a single doubt
// would have proved little.
func (o *ordeal) counts() (unknown, resent int) {
	o.t.Helper()
	for _, id := range o.accepted {
		m := o.b.message(id)
		if doubts(m) > 0 {
			unknown++
		}
		if slices.ContainsFunc(m.Events, func(e queue.Event) bool { return e.Kind == queue.KindResent }) {
			resent++
		}
	}
	return unknown, resent
}
