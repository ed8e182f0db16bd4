package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/webui/api/wire"
)

// The crash tests prove design.md §7 on the real binaries: an accepted message
// is never lost, and nothing is sent twice unless an unknown stands between.
//
// Eight tills hand in messages over HTTP while the daemon is killed with
// SIGKILL at random moments and started again. The harness keeps its own list
// of what was answered with 202; the networks keep their own lists of what was
// submitted. In the end these lists and the daemon's own story must agree.
//
//	crash_test.go         the harness, and the run over a modem
//	crash_smpp_test.go    the run over SMPP
//	crash_faults_test.go  modem and SMSC together, with everything going wrong
//	crash_broken_test.go  daemons that break one rule each: the harness must see it
//	crash_power_test.go   power cuts
//	crash_full_test.go    a small disk that fills up

const (
	tills    = 8
	messages = 200
	kills    = 20
)

// network is one that carries messages and keeps its own list of them.
type network interface {
	// submits counts what it accepted, by the text of a part.
	submits(t testing.TB) map[string]int
}

// ordeal is one run of a crash test.
type ordeal struct {
	t        testing.TB
	b        *box
	networks []network
	messages int
	kills    int
	long     bool            // every tenth message has two parts
	people   int             // who get messages, in turn; 0: everybody gets one
	pools    []string        // that messages name in turn; none: no message does
	lives    []time.Duration // how long a life is at most, in turn
	patience time.Duration   // for the end, while nothing moves
	began    time.Time

	mu       sync.Mutex
	accepted map[string]string // text → id, as 202 said
	more     chan struct{}     // closed and replaced when something is accepted
	twice    []string          // texts that got two ids

	lost, doubled int // what violations counted
}

// newOrdeal readies a run on a box. Half of the kills hit the moment of
// accepting, half that of sending.
func newOrdeal(t testing.TB, b *box, messages, kills int, networks ...network) *ordeal {
	return &ordeal{
		t: t, b: b, networks: networks, messages: messages, kills: kills,
		lives:    []time.Duration{60 * time.Millisecond, 700 * time.Millisecond},
		patience: patience, accepted: make(map[string]string), more: make(chan struct{}),
	}
}

// overModem is a run over one modem that takes its time.
func overModem(t testing.TB, bin string, messages, kills int) *ordeal {
	t.Helper()
	r := startRadio(t, bin, "-latency", "25ms")
	return newOrdeal(t, newBox(t, bin, modemTable("counter", r.port)), messages, kills, r)
}

// asked is how many of something the environment asks for (see the Makefile),
// or usual.
func asked(t testing.TB, env string, usual int) int {
	t.Helper()
	s := os.Getenv(env)
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is no number", env, s)
	}
	return n
}

func TestCrashLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	o := overModem(t, build(t, ""), messages, kills)
	o.long = true
	for _, v := range o.run() {
		t.Error(v)
	}
	t.Log(o.account())
}

// run goes through all lives of the daemon and returns what was violated.
func (o *ordeal) run() []string {
	o.t.Helper()
	o.began = time.Now()
	work := make(chan int, o.messages)
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()

	next := 0
	handOut := func(n int) {
		for ; n > 0 && next < o.messages; n-- {
			work <- next
			next++
		}
	}
	for life := range o.kills {
		o.start()
		if life == 0 {
			o.b.makeKey("send,read,admin")
			for range tills {
				clients.Go(func() { o.till(ctx, work) })
			}
		}
		handOut(o.messages / o.kills)
		<-time.After(rand.N(o.lives[life%len(o.lives)]))
		o.b.kill()
	}
	o.start()
	handOut(o.messages)
	close(work)
	clients.Wait()
	o.drained()
	o.reported()
	o.resendSome()
	o.drained()
	o.reported()
	return o.violations()
}

// start begins a life; the store must be whole in each of them.
func (o *ordeal) start() {
	o.t.Helper()
	if o.kills > 100 { // its log would fill the memory
		o.b.start("-log", "info")
	} else {
		o.b.start()
	}
	o.b.must("check")
}

// text is what the nth message says. Every part of it is found only once.
func (o *ordeal) text(n int) string {
	if o.long && n%10 == 9 {
		return fmt.Sprintf("long %d %s the end of %d", n, strings.Repeat("and on it goes ", 12), n)
	}
	return fmt.Sprintf("message %d", n)
}

// message is the nth, as a till hands it in.
func (o *ordeal) message(n int) wire.Send {
	person := n
	if o.people > 0 {
		person = n % o.people
	}
	send := hello(fmt.Sprintf("+3161%06d9", person), o.text(n)) // 9: no magic recipient
	if len(o.pools) > 0 {
		send.Pool = o.pools[n%len(o.pools)]
	}
	return send
}

// till hands in messages until there are none, as a good client does: it names
// its request and repeats it until it has an answer.
func (o *ordeal) till(ctx context.Context, work <-chan int) {
	for n := range work {
		send, text := o.message(n), o.text(n)
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
	close(o.more)
	o.more = make(chan struct{})
}

// flood hands in messages as fast as all tills can, until each of them is
// refused or ctx ends. It returns the refusals: a status, or 0 for no answer.
func (o *ordeal) flood(ctx context.Context) (refusals []int) {
	var next atomic.Int64
	var clients sync.WaitGroup
	for range tills {
		clients.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1))
				var m wire.Message
				status, err := o.b.call("POST", "/api/v1/messages", o.message(n), &m)
				if err != nil || status != http.StatusAccepted {
					o.mu.Lock()
					refusals = append(refusals, status)
					o.mu.Unlock()
					return
				}
				o.note(o.text(n), m.ID)
			}
		})
	}
	clients.Wait()
	return refusals
}

// ids are those of the messages accepted so far, and a channel that is closed
// when there are more.
func (o *ordeal) ids() ([]string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Values(o.accepted)), o.more
}

// awaitMore returns the moment n more messages are accepted.
func (o *ordeal) awaitMore(n int) {
	o.t.Helper()
	patient := time.After(patience)
	have, more := o.ids()
	for want := len(have) + n; len(have) < want; have, more = o.ids() {
		select {
		case <-more:
		case <-patient:
			o.t.Fatalf("%d of %d messages were accepted within %v", len(have), want, patience)
		}
	}
}

// drained waits until the box has nothing left to send.
func (o *ordeal) drained() {
	o.t.Helper()
	last, since := int64(-1), time.Now()
	for {
		s := o.status()
		left := s.Waiting.Queued + s.Waiting.Sending
		if left == 0 {
			return
		}
		if left != last {
			last, since = left, time.Now()
		}
		if time.Since(since) > o.patience {
			o.t.Fatalf("%d messages wait and nothing moves: %+v", left, s.Routes)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// reported waits until no more reports come: every message that can have one
// has it, or for two seconds, which is longer than any network here takes,
// none has settled anything.
func (o *ordeal) reported() {
	o.t.Helper()
	last, since := int64(-1), time.Now()
	for {
		s := o.status()
		open := s.Waiting.Awaiting + s.Waiting.Unknown
		if open != last {
			last, since = open, time.Now()
		}
		if open == 0 || time.Since(since) > 2*time.Second {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (o *ordeal) status() (s wire.Status) {
	o.t.Helper()
	if err := json.Unmarshal([]byte(o.b.must("-json", "status")), &s); err != nil {
		o.t.Fatal(err)
	}
	return s
}

// resendSome decides half of the unknown ones as a person would: send it
// again. These may be seen twice, and the story says why.
func (o *ordeal) resendSome() {
	o.t.Helper()
	for i, id := range o.b.list("unknown") {
		if i%2 != 0 {
			continue
		}
		status, err := o.b.call("POST", "/api/v1/messages/"+id+"/resend", nil, nil)
		if status == http.StatusConflict && o.b.message(id).State != "unknown" {
			continue // its report was quicker than we
		}
		if err != nil || status != http.StatusOK {
			o.t.Errorf("resend %s: %d %v", id, status, err)
		}
	}
}

// list returns the ids of the messages in a state, or of all.
func (b *box) list(state string) (ids []string) {
	b.t.Helper()
	for after := ""; ; {
		var page wire.Page[wire.Message]
		path := "/api/v1/messages?limit=1000&state=" + state + "&after=" + after
		if status, err := b.call("GET", path, nil, &page); err != nil || status != http.StatusOK {
			b.t.Fatalf("GET %s: %d %v", path, status, err)
		}
		for _, m := range page.Items {
			ids = append(ids, m.ID)
		}
		if after = page.Next; after == "" {
			return ids
		}
	}
}

// seen sums up the lists of the networks.
func (o *ordeal) seen() map[string]int {
	o.t.Helper()
	seen := make(map[string]int)
	for _, n := range o.networks {
		for text, times := range n.submits(o.t) {
			seen[text] += times
		}
	}
	return seen
}

// standStill has the routes take nothing more: the policy may send again what
// is unknown, ten minutes after, and so in the middle of a comparison.
func (o *ordeal) standStill() {
	o.t.Helper()
	for _, r := range o.status().Routes {
		if status, err := o.b.call("POST", "/api/v1/routes/"+r.Name+"/pause", nil, nil); err != nil || status != http.StatusOK {
			o.t.Fatalf("pause %s: %d %v", r.Name, status, err)
		}
	}
	eventually(o.t, "nothing is being sent", func() (bool, string) {
		n := o.status().Waiting.Sending
		return n == 0, strconv.FormatInt(n, 10)
	})
}

// violations compares all lists.
func (o *ordeal) violations() (found []string) {
	o.t.Helper()
	o.standStill()
	o.lost, o.doubled = 0, 0
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	seen := o.seen()
	for _, text := range o.twice {
		wrong("%q was accepted under two ids although its request had one name", text)
	}
	for text, id := range o.accepted {
		var m wire.Message
		switch status, err := o.b.call("GET", "/api/v1/messages/"+id, nil, &m); {
		case err != nil:
			o.t.Fatal(err)
		case status == http.StatusNotFound:
			o.lost++
			wrong("%s (%q) was accepted and is lost", id, text)
			continue
		case status != http.StatusOK:
			o.t.Fatalf("GET %s: %d", id, status)
		}
		doubts, again := doubts(m), resends(m)
		switch queue.State(m.State) {
		case queue.Sent, queue.Delivered, queue.Undelivered, queue.Unknown:
		case queue.Queued:
			if again == 0 { // else the policy wanted to send it again just now
				wrong("%s is still queued (%s)", id, m.Reason)
			}
		default:
			wrong("%s is %s (%s), which is neither final nor honest", id, m.State, m.Reason)
		}
		if m.State == "unknown" && m.Reason == "" {
			wrong("%s is unknown and does not say what that means", id)
		}
		for _, p := range m.Parts {
			n := seen[p.Text]
			if (p.State == "sent" || p.State == "delivered") && n == 0 {
				wrong("%s part %d is %s and the network never saw it", id, p.N, p.State)
			}
			if p.State == "waiting" && n > 0 && doubts == 0 {
				wrong("%s part %d waits and the network has it", id, p.N)
			}
			// Each further copy wants a doubt, and a decision to send again.
			if n > 1+min(doubts, again) {
				o.doubled++
				wrong("%s part %d was sent %d times without an unknown between", id, p.N, n)
			}
		}
	}
	return found
}

// doubts counts how often a message's outcome was unknown.
func doubts(m wire.Message) (n int) {
	for _, e := range m.Events {
		if queue.Kind(e.Kind) == queue.KindUnknown || queue.Kind(e.Kind) == queue.KindInterrupted {
			n++
		}
	}
	return n
}

// resends counts how often a person or the policy had it sent again.
func resends(m wire.Message) (n int) {
	for _, e := range m.Events {
		if queue.Kind(e.Kind) == queue.KindResent {
			n++
		}
	}
	return n
}

// account says how much of an ordeal it was, and how each doubt ended: a run
// without a single one would have proved little.
func (o *ordeal) account() string {
	o.t.Helper()
	states, ends := make(map[string]int), make(map[string]int)
	unknown, copies := 0, 0
	seen := o.seen()
	for _, id := range o.accepted {
		var m wire.Message
		if status, err := o.b.call("GET", "/api/v1/messages/"+id, nil, &m); err != nil || status != http.StatusOK {
			continue // counted as lost
		}
		states[string(m.State)]++
		if doubts(m) > 0 {
			unknown++
		}
		for _, how := range settlements(m) {
			ends[how]++
		}
		for _, p := range m.Parts {
			copies += max(0, seen[p.Text]-1)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d kills in %v: %d of %d messages accepted", o.kills, time.Since(o.began).Round(time.Second), len(o.accepted), o.messages)
	fmt.Fprintf(&b, "\n  now:      %s; %d lost", counted(states), o.lost)
	fmt.Fprintf(&b, "\n  unknown:  %d for a while; doubts ended: %s", unknown, counted(ends))
	fmt.Fprintf(&b, "\n  doubled:  %d parts after a decision to send again, %d without", copies-o.doubled, o.doubled)
	return b.String()
}

// settlements says of each doubt in a message's story how it ended.
func settlements(m wire.Message) (how []string) {
	open := false
	end := func(by string) {
		if open {
			how, open = append(how, by), false
		}
	}
	for _, e := range m.Events {
		switch queue.Kind(e.Kind) {
		case queue.KindUnknown, queue.KindInterrupted:
			open = true
		case queue.KindReport:
			by := "by its report"
			if e.Code == "submit_sm_resp" {
				by = "by its late answer"
			}
			end(by)
		case queue.KindResent:
			by := "sent again by hand"
			if strings.HasPrefix(e.By, "policy") {
				by = "sent again by policy"
			}
			end(by)
		case queue.KindSettled, queue.KindExpired:
			end("by " + string(e.Kind))
		}
	}
	end("left to a person")
	return how
}

func counted(n map[string]int) string {
	var words []string
	for what, n := range n {
		words = append(words, fmt.Sprintf("%d %s", n, what))
	}
	slices.Sort(words)
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
