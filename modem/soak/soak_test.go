// Package soak lets four modems on real pseudo-terminals carry messages while
// everything that goes wrong with modems goes wrong with them, every few
// seconds, and then lays what was said of each message beside what the radio
// cell saw. It knows package modem from outside only.
//
// A minute of it is part of every test run; TILLPOST_SOAK=10m (make soak) is
// the long one.
package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"go.uber.org/goleak"

	"tillpost/modem"
	"tillpost/modem/sim"
	"tillpost/queue/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	howMany  = 4
	patience = 3 * time.Second
	minute   = time.Minute
	every    = 1900 * time.Millisecond // a fault, at one of them: all of the list in a minute
	backBy   = 4 * time.Minute         // every modem works again so long after the last fault
)

// faults are what the issue names, each in the words of a fault script. What
// does not pass by itself is taken back a few seconds later: nobody helps.
var faults = []string{
	"cmgs: hang", "prompt: hang", // before Ctrl-Z
	"ctrl-z: hang", "answer: hang", "answer: freeze for 6s", // after it
	"unplug for 2s", "ctrl-z: unplug for 2s", "answer: unplug for 2s", // it comes back under another number
	"answer: garbage 40", "any: garbage 200", "echo on",
	"header: urc ^RSSI: 9", "header: drop 999",
	"answer: late 2s", "answer: late 4s", "answer: late 8s",
	"ctrl-z: error cms 38", "ctrl-z: error cms 42", "ctrl-z: error cms 500", "ctrl-z: error cms 512",
	"storage full", // of old messages, which the box takes in and clears
	"registration 2\nat 4s: registration 1",
	"sim out\nat 4s: sim in",
	"restart", "cmgs: deaf for 5s", "answer: mute", "prompt: twice", "csq: hang", "call for 10s",
	swap, moveSIMs,
}

// Two faults are about a pair.
const (
	swap     = "swap"  // both unplugged at once: each gets the other's number, or another one
	moveSIMs = "moved" // each SIM into the other modem
)

// box is what stands around the modems: the radio cell, and what the
// routes told.
type box struct {
	t     *testing.T
	cell  *sim.Cell
	peers []*sim.Modem

	mu      sync.Mutex
	ready   map[string]bool // by route
	status  map[string]route.Status
	inbound map[string]string // text → key
	twice   []string          // texts that came under two keys
	late    map[string]route.ReportState
	changed chan struct{}
}

func (b *box) tell(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// wait waits until ok says so, with the lock held, for at most limit.
func (b *box) wait(limit time.Duration, ok func() bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		b.mu.Lock()
		done, changed := ok(), b.changed
		b.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		}
	}
}

// sink is the queue of one route.
type sink struct {
	b    *box
	name string
}

func (s *sink) Progress(context.Context, string, int, route.Part) error { return nil }

func (s *sink) Received(_ context.Context, in route.Inbound) error {
	s.b.tell(func() {
		if key, ok := s.b.inbound[in.Text]; ok && key != in.Key && !strings.HasPrefix(in.Text, "old message") {
			s.b.twice = append(s.b.twice, in.Text)
		}
		s.b.inbound[in.Text] = in.Key
	})
	return nil
}

func (s *sink) Reported(_ context.Context, r route.Report) error {
	if r.ID != "" {
		s.b.tell(func() { s.b.late[r.ID] = r.State })
	}
	return nil
}

func (s *sink) Changed(st route.Status) {
	s.b.tell(func() { s.b.status[s.name], s.b.ready[s.name] = st, st.State == route.Ready })
}

// memory is one for all modems, as in the daemon.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (m *memory) Load(key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[key], nil
}

func (m *memory) Save(_ context.Context, key string, v []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[key] = slices.Clone(v)
	return nil
}

// message is one that goes out, as a queue would have it.
type message struct {
	id       string
	attempts int
}

// ledger is what was said of each message.
type ledger struct {
	mu      sync.Mutex
	open    int
	verdict map[string]string // sent, unknown
	count   map[route.Fate]int
}

func TestFourModemsUnderFaults(t *testing.T) {
	long := minute
	if d, err := time.ParseDuration(os.Getenv("TILLPOST_SOAK")); err == nil {
		long = d
	}
	descriptors, goroutines := descriptorsOpen(t), goleak.IgnoreCurrent()
	soak(t, long)
	if now := descriptorsOpen(t); now > descriptors {
		t.Errorf("%d descriptors before, %d after", descriptors, now)
	}
	goleak.VerifyNone(t, goroutines) // those that are just ending are given a second
}

func soak(t *testing.T, long time.Duration) {
	b := &box{
		t:     t,
		cell:  sim.NewCell(sim.CellConfig{AckTime: 5 * time.Second, RepeatAfter: 3 * time.Second}),
		ready: map[string]bool{}, status: map[string]route.Status{},
		inbound: map[string]string{}, late: map[string]route.ReportState{}, changed: make(chan struct{}),
	}
	ctx, end := context.WithCancel(context.Background())
	var air, routes sync.WaitGroup
	mem := &memory{kept: map[string][]byte{}}
	var modems []*modem.Modem
	dir, locks := t.TempDir(), t.TempDir()
	for n := range howMany {
		cfg := sim.Identity(n)
		cfg.Latency = 200 * time.Millisecond
		cfg.Vendor = []string{"Generic", "Huawei", "SIMCom", "Quectel"}[n]
		peer := sim.New(b.cell, cfg)
		b.peers = append(b.peers, peer)
		link := filepath.Join(dir, fmt.Sprint(n))
		air.Go(func() {
			err := peer.ServePTY(ctx, link, nil)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("modem %d: %v", n, err)
			}
		})
		name := fmt.Sprint("modem", n)
		m := modem.New(modem.Config{
			Name: name, Memory: mem, SendTimeout: patience, LockDir: locks,
			// Asked each time: what is unplugged is nowhere, and its number is
			// soon that of somebody else's terminal.
			Find: func() modem.Place {
				device, err := os.Readlink(link)
				if err != nil {
					return modem.Place{}
				}
				return modem.Place{Port: device, IMEI: cfg.IMEI}
			},
			Rungs: []modem.Rung{
				{Name: "USB reset", Do: func(context.Context) error { peer.USBReset(); return nil }},
				{Name: "USB port power", Why: func() string { return "the hub of this test switches all its ports together" }},
			},
		})
		modems = append(modems, m)
		routes.Go(func() {
			if err := m.Run(ctx, &sink{b, name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	defer func() {
		end()
		routes.Wait()
		air.Wait()
		if err := b.cell.Close(); err != nil {
			t.Error(err)
		}
	}()
	if !b.wait(time.Minute, b.allReady) {
		t.Fatalf("not all are ready at the start: %s", b.states())
	}
	l, brought := b.run(modems, long)
	b.judge(l, brought)
	t.Logf("%v: %d messages sent, %d unknown of which %d were settled; %d not offered, %d refused for now; %d came in",
		long, l.tally("sent"), l.tally("unknown"), b.settled(l), l.count[route.NotOffered], l.count[route.Retry], brought)
	t.Log("the rungs:\n" + b.rungs())
}

// run lets the modems carry messages under faults for long, and then until all
// is done without any. It returns what was said, and how many messages the
// network brought.
func (b *box) run(modems []*modem.Modem, long time.Duration) (*ledger, int) {
	l := &ledger{verdict: map[string]string{}, count: map[route.Fate]int{}}
	line := make(chan message, 10_000)
	taking, stop := context.WithCancel(context.Background())
	var lanes sync.WaitGroup
	for n, m := range modems {
		lanes.Go(func() { b.lane(taking, m, fmt.Sprint("modem", n), line, l) })
	}
	r := rand.New(rand.NewPCG(4, uint64(long)))
	fault := time.NewTicker(every)
	defer fault.Stop()
	fresh := time.NewTicker(150 * time.Millisecond)
	defer fresh.Stop()
	over := time.NewTimer(long)
	defer over.Stop()
	sent, brought := 0, 0
	var deck []string
	for going := true; going; {
		select {
		case <-fresh.C:
			l.add()
			line <- message{id: fmt.Sprint("m", sent)}
			if sent++; sent%7 == 0 {
				to := sim.Identity(r.IntN(howMany)).Number
				if err := b.cell.Deliver(to, "+31687654321", fmt.Sprint("reply ", brought)); err != nil {
					b.t.Error(err)
				}
				brought++
			}
		case <-fault.C:
			if len(deck) == 0 { // each once, before any comes again
				deck = shuffled(r, long)
			}
			// One at a time: what is queued at a modem that is down would
			// strike it again each time it comes up.
			if n := r.IntN(howMany); b.works(n) {
				b.harm(n, deck[0])
				deck = deck[1:]
			}
		case <-over.C:
			going = false
		}
	}
	if !b.wait(backBy, b.allReady) {
		b.t.Errorf("%v after the last fault not every modem is back: %s", backBy, b.states())
	}
	if !b.wait(backBy, func() bool { return l.left() == 0 && b.heard(brought) }) {
		b.t.Errorf("%d messages were never settled, %d of %d replies came: %s", l.left(), b.replies(), brought, b.states())
	}
	stop()
	lanes.Wait()
	b.carries(modems, l)
	return l, brought
}

// shuffled is the list of faults in an order of its own. Those of which only
// the last rungs cure take their time, and are left to a long run.
func shuffled(r *rand.Rand, long time.Duration) []string {
	deck := slices.Clone(faults)
	if long > 5*minute {
		deck = append(deck, "stuck until reset", "freeze for 90s")
	}
	r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// harm plays a fault at one modem, or a pair.
func (b *box) harm(n int, fault string) {
	peer, other := b.peers[n], b.peers[(n+1)%howMany]
	play := func(m *sim.Modem, script string) {
		if err := m.Play(script); err != nil {
			b.t.Error(err)
		}
	}
	switch fault {
	case swap:
		play(peer, "unplug for 1s")
		play(other, "unplug for 1s")
	case moveSIMs:
		mine, theirs := peer.Insert(nil), other.Insert(nil)
		peer.Insert(theirs)
		other.Insert(mine)
	default:
		play(peer, fault)
	}
}

// carries tells whether each modem carries a message again.
func (b *box) carries(modems []*modem.Modem, l *ledger) {
	var all sync.WaitGroup
	for n, m := range modems {
		all.Go(func() {
			name := fmt.Sprint("modem", n)
			for end, i := time.Now().Add(backBy), 0; ; i++ {
				l.add()
				msg := message{id: fmt.Sprintf("back %d %d", n, i)}
				_, err := m.Send(context.Background(), msg.out())
				if l.settle(msg.id, err) && err == nil {
					return
				}
				if time.Now().After(end) {
					b.t.Errorf("%s carries nothing: %v", name, err)
					return
				}
				b.wait(backBy, func() bool { return b.ready[name] })
			}
		})
	}
	all.Wait()
}

// lane sends what is in line while its modem is ready.
func (b *box) lane(ctx context.Context, m *modem.Modem, name string, line chan message, l *ledger) {
	for {
		b.mu.Lock()
		ready, changed := b.ready[name], b.changed
		b.mu.Unlock()
		if !ready {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case msg := <-line:
			_, err := m.Send(context.Background(), msg.out())
			msg.attempts++
			if l.settle(msg.id, err) {
				b.tell(func() {})
				continue
			}
			line <- msg
			// What was not offered waits for the route's next word.
			if route.FateOf(err, true) == route.NotOffered {
				select {
				case <-changed:
				case <-time.After(100 * time.Millisecond):
				}
			}
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (m message) out() route.Outbound {
	return route.Outbound{
		ID: m.id, Attempt: m.attempts + 1, To: fmt.Sprintf("+3161%07d", 1000000+len(m.id)), Alphabet: route.GSM7, Report: true,
		Segments: []route.Segment{{Text: m.id, Units: len(m.id)}},
	}
}

func (l *ledger) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
}

// settle notes a verdict; false: the message goes again.
func (l *ledger) settle(id string, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	fate := route.Fate("")
	if err != nil {
		fate = route.FateOf(err, true)
	}
	l.count[fate]++
	switch fate {
	case "":
		l.verdict[id] = "sent"
	case route.Unknown:
		l.verdict[id] = "unknown"
	case route.NotOffered, route.Retry:
		return false
	default:
		l.verdict[id] = "rejected: " + err.Error()
	}
	l.open--
	return true
}

func (l *ledger) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

func (l *ledger) tally(what string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.verdict {
		if v == what {
			n++
		}
	}
	return n
}

// judge lays what was said beside what the cell saw.
func (b *box) judge(l *ledger, brought int) {
	b.t.Helper()
	seen := map[string]int{}
	for _, e := range b.cell.Submits() {
		seen[e.Text]++
	}
	for id, v := range l.verdict {
		switch n := seen[id]; {
		case v == "sent" && n != 1:
			b.t.Errorf("%s was sent; the network saw it %d times", id, n)
		case v == "unknown" && n > 1:
			b.t.Errorf("%s is unknown; the network saw it %d times", id, n)
		case v != "sent" && v != "unknown":
			b.t.Errorf("%s was %s; the network saw it %d times", id, v, n)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, state := range b.late {
		if state == route.ReportSent || state == route.ReportDelivered {
			if l.verdict[id] != "unknown" || seen[id] != 1 {
				b.t.Errorf("%s was settled as %s; the verdict was %q, the network saw it %d times", id, state, l.verdict[id], seen[id])
			}
		}
	}
	for _, text := range b.twice {
		b.t.Errorf("%q came in under two keys, so it would be kept twice", text)
	}
	if n := l.tally("sent"); n < 20*howMany || brought == 0 || l.tally("unknown") == 0 {
		b.t.Errorf("%d sent, %d unknown, %d brought: the soak did not soak", n, l.tally("unknown"), brought)
	}
}

// settled counts the unknowns that a report or a late answer has decided.
func (b *box) settled(l *ledger) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.late {
		if l.verdict[id] == "unknown" {
			n++
		}
	}
	return n
}

func (b *box) works(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready[fmt.Sprint("modem", n)]
}

// allReady, heard and replies want the lock held.
func (b *box) allReady() bool {
	for n := range howMany {
		if !b.ready[fmt.Sprint("modem", n)] {
			return false
		}
	}
	return true
}

func (b *box) heard(brought int) bool { return b.replies() >= brought }

func (b *box) replies() (n int) {
	for text := range b.inbound {
		if strings.HasPrefix(text, "reply ") {
			n++
		}
	}
	return n
}

func (b *box) states() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for n := range howMany {
		s := b.status[fmt.Sprint("modem", n)]
		all = append(all, fmt.Sprintf("%s is %s %s (%s)", s.Route, s.State, s.Code, s.Detail))
	}
	return strings.Join(all, "; ")
}

// rungs adds up the ladders of all modems.
func (b *box) rungs() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var sum []route.Rung
	for n := range howMany {
		care := b.status[fmt.Sprint("modem", n)].Care
		if care == nil {
			continue
		}
		for i, r := range care.Rungs {
			if i == len(sum) {
				sum = append(sum, route.Rung{Name: r.Name, Why: r.Why})
			}
			sum[i].Tried += r.Tried
			sum[i].Helped += r.Helped
		}
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "rung\ttried\thelped\t")
	for _, r := range sum {
		word := "-"
		switch {
		case r.Why != "":
			word = "not possible: " + r.Why
		case r.Tried > 0:
			word = fmt.Sprintf("%d (%d %%)", r.Helped, 100*r.Helped/r.Tried)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t\n", r.Name, r.Tried, word)
	}
	w.Flush()
	return out.String()
}

func descriptorsOpen(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
