package routetest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/queue/route"
)

// A suite that no route can fail proves nothing. Each defect below breaks one
// promise of the Fake, and the sentence about that promise must notice.

// broken is a Fake with a defect.
type broken struct {
	*Fake
	d defect

	mu   sync.Mutex
	sink route.Sink // as the defect lets the Fake see it
	lost bool       // the last Send was Unknown
}

// defect says what a broken route does otherwise. Nil: nothing.
type defect struct {
	name     string
	sentence string // that notices
	run      func(b *broken, ctx context.Context, sink route.Sink) error
	send     func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error)
	sink     func(route.Sink) route.Sink
	harness  func(*Harness)
}

func (b *broken) Run(ctx context.Context, sink route.Sink) error {
	if b.d.sink != nil {
		sink = b.d.sink(sink)
	}
	b.mu.Lock()
	b.sink = sink
	b.mu.Unlock()
	if b.d.run != nil {
		return b.d.run(b, ctx, sink)
	}
	return b.Fake.Run(ctx, sink)
}

func (b *broken) Send(ctx context.Context, out route.Outbound) (route.Receipt, error) {
	if b.d.send != nil {
		return b.d.send(b, ctx, out)
	}
	return b.Fake.Send(ctx, out)
}

// bentSink is a sink some of whose ears are bent.
type bentSink struct {
	route.Sink
	progress func(ctx context.Context, id string, attempt int, p route.Part) error
	received func(context.Context, route.Inbound) error
	reported func(context.Context, route.Report) error
	changed  func(route.Status)
}

func (s *bentSink) Progress(ctx context.Context, id string, attempt int, p route.Part) error {
	if s.progress != nil {
		return s.progress(ctx, id, attempt, p)
	}
	return s.Sink.Progress(ctx, id, attempt, p)
}

func (s *bentSink) Received(ctx context.Context, in route.Inbound) error {
	if s.received != nil {
		return s.received(ctx, in)
	}
	return s.Sink.Received(ctx, in)
}

func (s *bentSink) Reported(ctx context.Context, r route.Report) error {
	if s.reported != nil {
		return s.reported(ctx, r)
	}
	return s.Sink.Reported(ctx, r)
}

func (s *bentSink) Changed(st route.Status) {
	if s.changed != nil {
		s.changed(st)
		return
	}
	s.Sink.Changed(st)
}

func fateOf(err error) route.Fate {
	if err == nil {
		return ""
	}
	return route.FateOf(err, true)
}

var defects = []defect{
	{
		name: "a goroutine outlives Run", sentence: "Run returns when ctx ends and leaves nothing behind",
		run: func(b *broken, ctx context.Context, sink route.Sink) error {
			go time.Sleep(time.Hour)
			return b.Fake.Run(ctx, sink)
		},
	},
	{
		name: "Run outlives its context", sentence: "Run returns when ctx ends and leaves nothing behind",
		run: func(b *broken, ctx context.Context, sink route.Sink) error {
			err := b.Fake.Run(ctx, sink)
			time.Sleep(time.Hour)
			return err
		},
	},
	{
		name: "Run returns an error of its own", sentence: "Run returns when ctx ends and leaves nothing behind",
		run: func(b *broken, ctx context.Context, sink route.Sink) error {
			return errors.Join(errors.New("stopped"), errors.New(b.Fake.Run(ctx, sink).Error()))
		},
	},
	{
		name: "Run waits for the answer", sentence: "Run returns when ctx ends although a Send waits",
		run: func(b *broken, ctx context.Context, sink route.Sink) error {
			for len(b.Seen()) > 0 || ctx.Err() == nil {
				time.Sleep(time.Second)
			}
			return nil
		},
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.Fake.carry(ctx, b.sink, make(chan struct{}), out)
		},
		sink: func(s route.Sink) route.Sink {
			s.Changed(route.Status{Route: "fake", Kind: "fake", State: route.Ready, Identity: "x"})
			return s
		},
	},
	{
		name: "hopeless without a word", sentence: "Run returns when the route can never work",
		harness: func(h *Harness) {
			h.Hopeless = func(*testing.T) route.Route { f := NewFake("h"); f.End(nil); return f }
		},
	},
	{
		name: "hopeless without an end", sentence: "Run returns when the route can never work",
		harness: func(h *Harness) {
			h.Hopeless = func(*testing.T) route.Route { return NewFake("h") }
		},
	},
	{
		name: "no second connection", sentence: "Run reconnects by itself after the link was lost",
		harness: func(h *Harness) { h.Connect = func() {} },
	},
	{
		name: "a loss is not published", sentence: "Run reconnects by itself after the link was lost",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, changed: func(st route.Status) {
				if st.State != route.Waiting {
					s.Changed(st)
				}
			}}
		},
	},
	{
		name: "a Status without a kind", sentence: "every Status names the route, its kind and a known state",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, changed: func(st route.Status) { st.Kind = ""; s.Changed(st) }}
		},
	},
	{
		name: "a state of its own", sentence: "every Status names the route, its kind and a known state",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, changed: func(st route.Status) {
				if st.State == route.Starting {
					st.State = "booting"
				}
				s.Changed(st)
			}}
		},
	},
	{
		name: "Send waits for the link", sentence: "Send before Run is not offered, at once", send: patient,
	},
	{
		name: "Send waits for the link to come back", sentence: "Send without a link is not offered, at once", send: patient,
	},
	{
		name: "a cancelled Send goes out", sentence: "Send cancelled before the first byte is not offered", send: deaf,
	},
	{
		name: "a Send past its deadline goes out", sentence: "Send past its deadline is not offered", send: deaf,
	},
	{
		name: "no reference", sentence: "Send of an accepted message names its reference and who carried it",
		send: afterwards(func(r *route.Receipt, _ *route.Error) { r.Parts[0].Ref = "" }),
	},
	{
		name: "one reference for all", sentence: "Send of an accepted message names its reference and who carried it",
		send: afterwards(func(r *route.Receipt, _ *route.Error) { r.Parts[0].Ref = "7" }),
	},
	{
		name: "nobody carried it", sentence: "Send of an accepted message names its reference and who carried it",
		send: afterwards(func(r *route.Receipt, _ *route.Error) { r.Identity = "" }),
	},
	{
		name: "Busy is for good", sentence: "Send refused for now is Retry, in the words of the network",
		send: afterwards(func(_ *route.Receipt, e *route.Error) {
			if e != nil {
				e.Fate = route.Reject
			}
		}),
	},
	{
		name: "a refusal without a code", sentence: "Send refused for good is Reject, in the words of the network",
		send: afterwards(func(_ *route.Receipt, e *route.Error) {
			if e != nil {
				e.Code = ""
			}
		}),
	},
	{
		name: "a refusal makes the route ill", sentence: "Send refused for good is Reject, in the words of the network",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			r, err := b.Fake.Send(ctx, out)
			if fateOf(err) == route.Reject {
				b.SetState(route.Hand)
			}
			return r, err
		},
	},
	{
		name: "sent again blindly", sentence: "Send whose answer never comes is Unknown when the route's patience ends",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			r, err := b.Fake.Send(ctx, out)
			if fateOf(err) == route.Unknown {
				return b.Fake.Send(ctx, out)
			}
			return r, err
		},
	},
	{
		name: "deaf to its deadline", sentence: "Send whose answer never comes is Unknown before its deadline", send: deaf,
	},
	{
		name: "endless patience", sentence: "Send whose answer never comes is Unknown when the route's patience ends",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			b.Patience(6 * time.Second)
			return b.Fake.Send(ctx, out)
		},
	},
	{
		name: "a lost answer counts as not offered", sentence: "Send whose link breaks after the last byte is Unknown",
		send: afterwards(func(_ *route.Receipt, e *route.Error) {
			if e != nil {
				e.Fate = route.NotOffered
			}
		}),
	},
	{
		name: "hurried by a cancel", sentence: "Send cancelled after the first byte goes on to its verdict",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			done := make(chan struct{})
			var r route.Receipt
			var err error
			go func() { defer close(done); r, err = b.Fake.Send(ctx, out) }()
			select {
			case <-done:
				return r, err
			case <-ctx.Done():
				return route.Receipt{}, &route.Error{Fate: route.Unknown, Text: "cancelled"}
			}
		},
	},
	{
		name: "a late answer is credited", sentence: "a late answer is not credited to the next message",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			b.mu.Lock()
			lost := b.lost
			b.mu.Unlock()
			if lost {
				return route.Receipt{Identity: "x", Parts: []route.Part{{N: 1, Of: 1, State: route.PartSent, Ref: "1", Identity: "x"}}}, nil
			}
			r, err := b.Fake.Send(ctx, out)
			b.mu.Lock()
			b.lost = fateOf(err) == route.Unknown
			b.mu.Unlock()
			return r, err
		},
	},
	{
		name: "fewer lanes than said", sentence: "as many Sends at once as there are lanes",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			if !b.mu.TryLock() {
				return route.Receipt{}, route.Refuse(b.Name(), "busy")
			}
			defer b.mu.Unlock()
			time.Sleep(time.Second)
			return b.Fake.Send(ctx, out)
		},
	},
	{
		name: "no Progress", sentence: "a long message calls Progress after each part but the last",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, progress: func(context.Context, string, int, route.Part) error { return nil }}
		},
	},
	{
		name: "Progress for the last part too", sentence: "a long message calls Progress after each part but the last",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			r, err := b.Fake.Send(ctx, out)
			if err == nil {
				err = b.sink.Progress(ctx, out.ID, out.Attempt, r.Parts[len(r.Parts)-1])
			}
			return r, err
		},
	},
	{
		name: "Progress of another attempt", sentence: "a long message calls Progress after each part but the last",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, progress: func(ctx context.Context, id string, _ int, p route.Part) error {
				return s.Progress(ctx, id, 1, p)
			}}
		},
	},
	{
		name: "deaf to Progress", sentence: "a long message stops when Progress fails",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, progress: func(ctx context.Context, id string, attempt int, p route.Part) error {
				if err := s.Progress(ctx, id, attempt, p); err != nil {
					return nil
				}
				return nil
			}}
		},
	},
	{
		name: "forgets the part that left", sentence: "a long message stops when Progress fails",
		send: afterwards(func(r *route.Receipt, e *route.Error) {
			if e != nil {
				r.Parts = nil
			}
		}),
	},
	{
		name: "ignores Done", sentence: "parts in Done are not sent again",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			out.Done = nil
			return b.Fake.Send(ctx, out)
		},
	},
	{
		name: "goes on after an unknown part", sentence: "after an unknown part no later part is sent", send: stubborn,
	},
	{
		name: "goes on after a refused part", sentence: "after a part that was refused no later part is sent", send: stubborn,
	},
	{
		name: "begins again after a refused part", sentence: "a refused part that was Busy can be sent by the next attempt",
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			out.Done = nil
			return b.Fake.Send(ctx, out)
		},
	},
	{
		name: "a message of nobody", sentence: "an inbound message comes with its sender, text and identity",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, received: func(ctx context.Context, in route.Inbound) error {
				in.Identity = ""
				return s.Received(ctx, in)
			}}
		},
	},
	{
		name: "acknowledges what was refused", sentence: "what Received refused is not acknowledged, and told again",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, received: func(ctx context.Context, in route.Inbound) error {
				if err := s.Received(ctx, in); err != nil {
					return nil
				}
				return nil
			}}
		},
	},
	{
		name: "tells what was taken again", sentence: "what Received refused is not acknowledged, and told again",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, received: func(ctx context.Context, in route.Inbound) error {
				if err := s.Received(ctx, in); err != nil {
					return err
				}
				return s.Received(ctx, in)
			}}
		},
	},
	{
		name: "a new key each time", sentence: "what Received refused is not acknowledged, and told again",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, received: func(ctx context.Context, in route.Inbound) error {
				in.Key = time.Now().String()
				return s.Received(ctx, in)
			}}
		},
	},
	{
		name: "a report of another SIM", sentence: "a report carries identity and reference as its part does",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, reported: func(ctx context.Context, r route.Report) error {
				r.Identity = "another"
				return s.Reported(ctx, r)
			}}
		},
	},
	{
		name: "a refused report is forgotten", sentence: "what Reported refused is not acknowledged, and told again",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, reported: func(ctx context.Context, r route.Report) error {
				if err := s.Reported(ctx, r); err != nil {
					return nil
				}
				return nil
			}}
		},
	},
	{
		name: "two at a time, the last first", sentence: "what one phone says is told in order, one thing at a time",
		sink: func(s route.Sink) route.Sink {
			var kept *route.Inbound
			return &bentSink{Sink: s, received: func(ctx context.Context, in route.Inbound) error {
				if kept == nil {
					kept = &in
					return nil
				}
				err := errors.Join(s.Received(ctx, in), s.Received(ctx, *kept))
				kept = nil
				return err
			}}
		},
	},
	{
		name: "a slow sink stops the wire", sentence: "a slow Received holds up neither Send nor Changed",
		sink: func(s route.Sink) route.Sink {
			return &bentSink{Sink: s, received: func(ctx context.Context, in route.Inbound) error {
				wire <- struct{}{}
				defer func() { <-wire }()
				return s.Received(ctx, in)
			}}
		},
		send: func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
			select {
			case wire <- struct{}{}:
				defer func() { <-wire }()
				return b.Fake.Send(ctx, out)
			case <-time.After(5 * time.Second):
				return route.Receipt{}, route.Refuse(b.Name(), "the wire is not read")
			}
		},
	},
}

// wire is a lock that a bubble can wait for.
var wire chan struct{}

// patient waits before it gives up.
func patient(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
	r, err := b.Fake.Send(ctx, out)
	if fateOf(err) == route.NotOffered {
		time.Sleep(3 * time.Second)
	}
	return r, err
}

// deaf does not listen to its context.
func deaf(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
	return b.Fake.Send(context.WithoutCancel(ctx), out)
}

// stubborn sends what comes after a part that was not accepted.
func stubborn(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
	r, err := b.Fake.Send(ctx, out)
	if err == nil || len(out.Segments) < 2 {
		return r, err
	}
	out.Done = slices.Clone(r.Parts)
	for i := range out.Done {
		out.Done[i].State = route.PartSent
	}
	if _, ignored := b.Fake.Send(context.WithoutCancel(ctx), out); ignored != nil {
		return r, ignored
	}
	return r, err
}

// afterwards bends what the Fake answered.
func afterwards(bend func(*route.Receipt, *route.Error)) func(*broken, context.Context, route.Outbound) (route.Receipt, error) {
	return func(b *broken, ctx context.Context, out route.Outbound) (route.Receipt, error) {
		r, err := b.Fake.Send(ctx, out)
		e, _ := errors.AsType[*route.Error](err)
		if len(r.Parts) > 0 || e != nil {
			bend(&r, e)
		}
		return r, err
	}
}

const defectEnv = "TILLPOST_ROUTETEST_DEFECT"

// TestBrokenRoute is for the children of TestSuiteNotices: it reads the
// contract to a route with the defect of the environment. Without one the
// route is the Fake behind a wrapper, and sound.
func TestBrokenRoute(t *testing.T) {
	var d defect
	for _, one := range defects {
		if one.name == os.Getenv(defectEnv) {
			d = one
		}
	}
	RunInBubble(t, func(t *testing.T) Harness {
		wire = make(chan struct{}, 1)
		h := fakeHarness(t)
		h.Route = &broken{Fake: h.Route.(*Fake), d: d}
		if d.harness != nil {
			d.harness(&h)
		}
		return h
	})
}

// TestSuiteNotices reads to each broken route the one sentence that must
// notice, in a process of its own, which must fail in that sentence.
func TestSuiteNotices(t *testing.T) {
	covered := make(map[string]bool)
	for _, d := range defects {
		covered[d.sentence] = true
		t.Run(d.name, func(t *testing.T) {
			test := strings.ReplaceAll(d.sentence, " ", "_")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.timeout=60s",
				"-test.run=^TestBrokenRoute$/^(the_harness_is_complete|"+regexp.QuoteMeta(test)+")$")
			cmd.Env = append(os.Environ(), defectEnv+"="+d.name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBrokenRoute/"+test) {
				t.Errorf("nobody noticed (%v):\n%s", err, out)
			}
		})
	}
	for _, s := range sentences {
		if !covered[s.name] {
			t.Errorf("no defect is noticed by %q", s.name)
		}
	}
}
