package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tillpost/queue/clock"
	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// DefaultPool is where messages wait that name no pool and match no rule.
const DefaultPool = "sms"

// Config of a Queue. DB must be set and opened with Schema.
type Config struct {
	DB  *store.DB
	Log *slog.Logger // nil: discard

	Country   string         // ISO 3166, reads national numbers; default NL
	Countries []string       // that may be sent to; empty: Country and its neighbours
	Language  string         // default of the shop; default en
	Location  *time.Location // for clock times in plain words; default local

	MaxParts  int // default 6
	QueueMax  int // messages that may wait at once; default 1,000,000
	Limits    Limits
	Retention Retention
	Routing   []Rule // first match wins; none: DefaultPool
	Tariffs   text.Tariffs
	RefBits   int  // of concatenation references: 8 (default) or 16
	Cedilla   bool // smart may write ç as c
	Shift     int  // national tables the shop allows, 0 none
	Locking   int

	// MailPool is where e-mail waits, for the route that serves it; empty: there
	// is none, and e-mail is refused. Fallback are the ends (Failed, Undelivered)
	// after which a message goes on with the reader's other channel.
	MailPool string
	Fallback []State

	Steward Steward      // who causes messages, and is asked before one leaves
	Clock   clock.Config // who tells the time

	UnknownWait time.Duration // before the resend policy acts; default 10 minutes
	ReportWait  time.Duration // after validity, until "no confirmation"; default 1 hour
	// RerouteAfter is how long nobody serves a pool before its messages are
	// routed again; 0: they wait.
	RerouteAfter time.Duration

	DrainWait time.Duration // for sends under way when Run ends; default 10 seconds
}

// Queue is the life of all messages. Create it with New, give it routes with
// Attach, and run it.
type Queue struct {
	cfg       Config
	db        *store.DB
	log       *slog.Logger
	countries []string

	slots     [slots]atomic.Int64 // living messages by what they count as
	lastEvent atomic.Uint64
	began     time.Time    // when New was called, with the monotonic clock
	beat      atomic.Int64 // last turn of the timer, nanoseconds after it

	clock    *clock.Clock
	step     *clock.Step  // the timer's: a step that is not written down yet
	floorDue atomic.Int64 // when the floor is to be written down, nanoseconds after began

	alsoForget []func(context.Context, string) (int, error)
	away       absence // pools that nobody serves

	callsBack atomic.Bool  // somebody is, or was, to be told about a message
	forgetAt  atomic.Int64 // when ForgetAgain has something to do, nanoseconds after began; 0: never

	poke    chan struct{} // the timer should look again
	arrived chan *runner  // attached while running

	mu       sync.Mutex
	runners  []*runner
	running  bool
	busy     map[uint32]int // recipients in flight, by hash
	skipped  bool           // a take passed over a busy recipient
	flights  map[ID]*flight // what lanes hold
	watchers map[chan<- struct{}]bool
	news     []Event   // changes of routes, not yet committed
	nextWake time.Time // what the timer sleeps for
}

// New readies a queue over an open store. Whatever was being sent when the
// box stopped becomes unknown here, with an event that says so.
func New(cfg Config) (*Queue, error) {
	if cfg.DB == nil {
		return nil, errors.New("queue: Config.DB is not set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&cfg.Country, "NL")
	setDefault(&cfg.Language, "en")
	setDefault(&cfg.Location, time.Local)
	setDefault(&cfg.MaxParts, 6)
	setDefault(&cfg.QueueMax, 1_000_000)
	setDefault(&cfg.RefBits, 8)
	setDefault(&cfg.UnknownWait, 10*time.Minute)
	setDefault(&cfg.ReportWait, time.Hour)
	setDefault(&cfg.DrainWait, 10*time.Second)
	q := &Queue{
		cfg: cfg, db: cfg.DB, log: cfg.Log, countries: cfg.Countries, began: time.Now(),
		poke: make(chan struct{}, 1), arrived: make(chan *runner, 64),
		busy: map[uint32]int{}, flights: map[ID]*flight{}, watchers: map[chan<- struct{}]bool{},
	}
	if len(q.countries) == 0 {
		q.countries = text.Neighbours(cfg.Country)
	}
	q.away.since, q.away.vain = map[string]time.Time{}, map[string]time.Time{}
	q.away.limit, q.away.now = cfg.RerouteAfter, q.now
	q.turned()
	q.db.OnAside(q.wasAside)
	if err := q.startClock(); err != nil {
		return nil, fmt.Errorf("queue: reading the last known time: %w", err)
	}
	if err := q.recover(); err != nil {
		return nil, fmt.Errorf("queue: reading what was left at the last stop: %w", err)
	}
	q.db.AddCheck("queue", Check)
	q.db.Owe(q.owed)
	return q, nil
}

// What the story of a message still takes on the disk, on average and amply
// (`go test -run TestLifeFitsItsRoom -v` prints what it really takes).
const (
	lifeRoom   = 1536 // of one that is not yet sent: its attempts, answers and report
	reportRoom = 384  // of one that is sent: its report
)

// owed is the room that all messages need to come to their end.
func (q *Queue) owed() int64 { return q.alive()*lifeRoom + q.slots[slotAwaiting].Load()*reportRoom }

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// recover counts what is alive and turns what was being sent into unknown.
func (q *Queue) recover() error {
	var caught []ID
	err := q.db.View(func(tx *store.Tx) error {
		for key := range byWake.Keys(tx, nil) {
			_, s, id := wakeOf(key)
			q.slots[s].Add(1)
			if s == slotSending {
				caught = append(caught, id)
			}
		}
		q.anyCallbacks(tx)
		for e, err := range events.ScanBack(tx, nil) {
			if err != nil {
				return err
			}
			q.lastEvent.Store(e.Seq)
			break
		}
		return nil
	})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(caught, 500) {
		err := q.db.Commit(context.Background(), func(tx *store.Tx) error {
			for _, id := range chunk {
				if _, err := q.change(tx, id, func(m *Message) error { return q.interrupted(tx, m) }); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(caught) > 0 {
		q.log.Warn("messages were being sent when the box stopped; their outcome is unknown until settled", "messages", len(caught))
	}
	return nil
}

// interrupted is what a message goes through that was found sending at start.
// One that another queue took over goes on waiting for that queue's report.
func (q *Queue) interrupted(tx *store.Tx, m *Message) error {
	if m.Relayed {
		return nil
	}
	m.loseNext(m.Route, m.Identity, q.now())
	return q.lose(tx, m, Event{Kind: KindInterrupted, Route: m.Route, Identity: m.Identity})
}

// Attach gives the queue a route; its lanes serve the pool. It may be called
// at any time and fails when the name is taken.
func (q *Queue) Attach(r route.Route, pool string) error {
	if pool == "" {
		pool = DefaultPool
	}
	paused, err := q.isPaused(r.Name())
	if err != nil {
		return err
	}
	run := newRunner(q, r, pool, paused)
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.ContainsFunc(q.runners, func(o *runner) bool { return o.name == run.name }) {
		return fmt.Errorf("queue: two routes are called %q; give one of them another name", run.name)
	}
	q.runners = append(q.runners, run)
	if q.running {
		q.arrived <- run
	}
	return nil
}

// Detach ends a route and forgets it. It returns when the route has ended.
func (q *Queue) Detach(ctx context.Context, name string) error {
	run, ok := q.runner(name)
	if !ok {
		return ErrNotFound
	}
	q.mu.Lock()
	started := q.running
	q.runners = slices.DeleteFunc(q.runners, func(o *runner) bool { return o == run })
	q.mu.Unlock()
	run.leave()
	if !started {
		return nil
	}
	select {
	case <-run.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("queue: route %s has not ended yet: %w", name, ctx.Err())
	}
}

// Run drives routes, lanes and timer until ctx ends. Then lanes take nothing
// new, sends under way have DrainWait to reach their verdict, the routes stop,
// and Run returns when nothing of it is left. It is called once.
func (q *Queue) Run(ctx context.Context) error {
	q.mu.Lock()
	if q.running {
		q.mu.Unlock()
		return errors.New("queue: Run was called twice")
	}
	q.running = true
	first := slices.Clone(q.runners)
	q.mu.Unlock()

	if err := q.ForgetAgain(ctx); err != nil {
		q.forgetLater()
		q.log.Error("cannot forget again whom a restored backup brought back; trying again", "err", err)
	}
	// A store that is sealed cannot be used until it is opened again: Run then
	// ends with the reason, and whoever started the daemon starts it anew.
	ctx, broken := context.WithCancelCause(ctx)
	defer broken(nil)
	var routes, timer sync.WaitGroup
	timerCtx, stopTimer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTimer()
	timer.Go(func() { q.runTimer(timerCtx, broken) })
	for _, r := range first {
		routes.Go(func() { r.run(ctx) })
	}
	for ctx.Err() == nil {
		select {
		case r := <-q.arrived:
			routes.Go(func() { r.run(ctx) })
		case <-ctx.Done():
		}
	}
	routes.Wait()
	stopTimer()
	timer.Wait()
	return q.db.Sealed()
}

// Beat is when the timer last turned, by the clock of the process: time.Since
// tells how long ago, whatever became of the wall clock. A watchdog that is fed
// only while it is fresh notices a stuck queue.
func (q *Queue) Beat() time.Time { return q.began.Add(time.Duration(q.beat.Load())) }

// change runs fn on one message inside tx and lets everything that hangs on
// the message follow. fn may run more than once for one commit.
func (q *Queue) change(tx *store.Tx, id ID, fn func(*Message) error) (*Message, error) {
	var before slot
	m, err := messages.Update(tx, id.key(), func(m *Message) error {
		before = slotOf(m)
		if err := fn(m); err != nil {
			return err
		}
		m.Updated = q.now()
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	q.moved(tx, before, m)
	return m, nil
}

// moved keeps the counts in step with tx and, once it is on disk, wakes
// whoever waits for such a message.
func (q *Queue) moved(tx *store.Tx, before slot, m *Message) {
	after := slotOf(m)
	q.slots[before].Add(-1)
	q.slots[after].Add(1)
	tx.OnRollback(func() {
		q.slots[before].Add(1)
		q.slots[after].Add(-1)
	})
	lane, wake, queued := m.lane(), m.Wake, m.State == Queued
	tx.OnCommit(func() {
		if queued {
			q.ring(lane)
		}
		if after != slotNone && !wake.IsZero() {
			q.wakeBy(wake)
		}
		q.signal()
	})
}

// note appends an event, to the story of m where there is one.
func (q *Queue) note(tx *store.Tx, m *Message, e Event) error {
	seq, err := events.NextSequence(tx)
	if err != nil {
		return err
	}
	e.Seq, e.At = seq, q.now()
	if m != nil {
		e.Msg, e.State, e.Attempt = m.ID, m.State, m.Attempt
		m.Events, m.noted = append(m.Events, seq), append(m.noted, e)
	}
	tx.OnCommit(func() { q.lastEvent.Store(seq) })
	if m != nil {
		if err := q.oweCallback(tx, m.ID, e.Kind); err != nil {
			return err
		}
	}
	if err := q.keepFloor(tx); err != nil {
		return err
	}
	return events.Insert(tx, &e)
}

// move takes m through the door.
func (m *Message) move(c cause) error {
	next, err := m.State.On(c)
	if err != nil {
		return err
	}
	m.State = next
	return nil
}

// ring wakes a lane of every route that serves this line.
func (q *Queue) ring(lane string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.runners {
		if slices.Contains(r.serves(), lane) {
			r.ring()
		}
	}
}

// signal tells watchers that something changed.
func (q *Queue) signal() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := range q.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// Subscribe returns a channel that gets a token, coalesced, whenever something
// was committed or a route changed. stop ends it.
func (q *Queue) Subscribe() (wake <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	q.mu.Lock()
	q.watchers[c] = true
	q.mu.Unlock()
	return c, func() {
		q.mu.Lock()
		delete(q.watchers, c)
		q.mu.Unlock()
	}
}

func (q *Queue) runner(name string) (*runner, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.runners {
		if r.name == name {
			return r, true
		}
	}
	return nil, false
}

// pools that exist: the default one, those that routes serve, and each route
// by its own name.
func (q *Queue) pools() []string {
	names := []string{DefaultPool}
	q.mu.Lock()
	for _, r := range q.runners {
		names = append(names, r.pool, r.name)
	}
	q.mu.Unlock()
	slices.Sort(names)
	return slices.Compact(names)
}

// alive counts the messages that queue_max limits: all that still wait to be
// sent, or to be settled.
func (q *Queue) alive() int64 {
	var n int64
	for _, s := range []slot{slotScheduled, slotQueued, slotHeld, slotSending, slotUnknown} {
		n += q.slots[s].Load()
	}
	return n
}

// Memory is what a route remembers across restarts, in the store.
func (q *Queue) Memory(routeName string) route.Memory { return &routeMemory{q.db, routeName} }

type routeMemory struct {
	db   *store.DB
	name string
}

func (rm *routeMemory) Load(key string) (v []byte, err error) {
	err = rm.db.View(func(tx *store.Tx) error {
		r, err := memory.Get(tx, memoryKey(rm.name, key))
		if r != nil {
			v = bytes.Clone(r.Value)
		}
		return err
	})
	return v, err
}

func (rm *routeMemory) Save(ctx context.Context, key string, v []byte) error {
	return rm.db.Commit(ctx, func(tx *store.Tx) error {
		return memory.Put(tx, &remembered{Route: rm.name, Key: key, Value: v})
	})
}
