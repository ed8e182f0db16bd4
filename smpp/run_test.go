package smpp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// peer is an SMSC played by the test: it gets the SMSC's end of the next
// connection, and a reader on it.
type peer struct {
	conn net.Conn
	r    *bufio.Reader
}

// meet waits for the client in the lobby.
func meet(t *testing.T, l *lobby) *peer {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{conn, bufio.NewReader(conn)}
}

// next reads one PDU of the client and checks what it is.
func (p *peer) next(t *testing.T, want pdu.ID) frame {
	t.Helper()
	f, err := readFrame(p.r)
	if err != nil || f.ID != want {
		t.Fatalf("read %s, %v; want %s", name(f.ID), err, name(want))
	}
	return f
}

func (p *peer) say(t *testing.T, b []byte) {
	t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// admit answers the bind.
func (p *peer) admit(t *testing.T) {
	t.Helper()
	f := p.next(t, pdu.BindTransceiverID)
	p.say(t, rawPDU(pdu.BindTransceiverRespID, 0, f.Seq, []byte("smsc\x00")))
}

// alone starts a client in a lobby whose SMSC the test plays.
func alone(t *testing.T, change func(*Config)) (*Client, *lobby, *recorder) {
	t.Helper()
	l, rec := newLobby(), newRecorder()
	c := newClient(t, "smsc.example:2775", rec, func(cfg *Config) {
		cfg.Dial, cfg.Timers = l.Dial, Timers{}
		if change != nil {
			change(cfg)
		}
	})
	t.Cleanup(func() { l.Close() })
	run(t, c, rec)
	return c, l, rec
}

// Trap 7: an SMSC that takes the connection and says nothing.
func TestSilentBindHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, rec := alone(t, nil)
		begun := time.Now()
		p := meet(t, l)
		p.next(t, pdu.BindTransceiverID)
		if _, err := p.r.ReadByte(); err == nil {
			t.Fatal("the client said something more")
		}
		if took := time.Since(begun); took != 30*time.Second {
			t.Errorf("it waited %v for the bind_resp, want 30 s", took)
		}
		p = meet(t, l)
		p.admit(t)
		rec.untilState(t, route.Ready)
		states := rec.states
		if n := len(states); states[n-2].State != route.Waiting || states[n-2].Code != "provider_offline" || !strings.Contains(states[n-2].Detail, "bind") {
			t.Errorf("the status before was %+v", states[n-2])
		}
	})
}

// Trap 8: every change of state is told, in order.
func TestEveryStateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, rec := alone(t, nil)
		const rounds = 5
		for range rounds {
			p := meet(t, l)
			p.admit(t)
			synctest.Wait()
			p.conn.Close()
		}
		synctest.Wait()
		var got []route.State
		for _, s := range rec.states {
			if len(got) == 0 || got[len(got)-1] != s.State {
				got = append(got, s.State)
			}
		}
		want := []route.State{route.Starting}
		for range rounds {
			want = append(want, route.Ready, route.Waiting)
		}
		if len(got) != len(want) {
			t.Fatalf("told were %v", got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("told were %v", got)
			}
		}
	})
}

// Trap 9: enquire_link after each quiet interval; two unanswered end the
// session.
func TestEnquireLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, rec := alone(t, nil)
		p := meet(t, l)
		p.admit(t)
		begun := time.Now()
		f := p.next(t, pdu.EnquireLinkID)
		if d := time.Since(begun); d != 30*time.Second {
			t.Errorf("the first came after %v", d)
		}
		p.say(t, rawPDU(pdu.EnquireLinkRespID, 0, f.Seq, nil))
		p.next(t, pdu.EnquireLinkID)
		p.next(t, pdu.EnquireLinkID)
		if d := time.Since(begun); d != 90*time.Second {
			t.Errorf("the third came after %v", d)
		}
		if _, err := p.r.ReadByte(); err == nil {
			t.Fatal("the client said something more")
		}
		if d := time.Since(begun); d != 120*time.Second {
			t.Errorf("the session ended after %v", d)
		}
		rec.untilState(t, route.Waiting)
		if !strings.Contains(rec.last().Detail, errSilent.Error()) {
			t.Errorf("the status is %+v", rec.last())
		}
	})
}

// Any PDU is a sign of life.
func TestTrafficIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, rec := alone(t, nil)
		p := meet(t, l)
		p.admit(t)
		for n := range uint32(20) {
			time.Sleep(20 * time.Second)
			p.say(t, rawPDU(pdu.EnquireLinkID, 0, n+1, nil))
			p.next(t, pdu.EnquireLinkRespID)
		}
		if rec.last().State != route.Ready {
			t.Errorf("the status is %+v", rec.last())
		}
	})
}

func TestUnbindByTheSMSC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, rec := alone(t, nil)
		p := meet(t, l)
		p.admit(t)
		rec.untilState(t, route.Ready)
		p.say(t, rawPDU(pdu.UnbindID, 0, 9, nil))
		if f := p.next(t, pdu.UnbindRespID); f.Seq != 9 {
			t.Errorf("the answer is for %d", f.Seq)
		}
		if _, err := p.r.ReadByte(); err == nil {
			t.Fatal("the client said something more")
		}
		meet(t, l).admit(t)
		rec.untilState(t, route.Ready)
	})
}

// At the end: no new submits, answers on their way are awaited, unbind.
func TestTakesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, rec := newLobby(), newRecorder()
		defer l.Close()
		c := newClient(t, "smsc.example:2775", rec, func(cfg *Config) { cfg.Dial, cfg.Timers = l.Dial, Timers{} })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx, rec) }()
		p := meet(t, l)
		p.admit(t)
		rec.untilState(t, route.Ready)

		verdict := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(1, "on its way"))
			verdict <- err
		}()
		f := p.next(t, pdu.SubmitSMID)
		cancel()
		synctest.Wait()
		_, err := c.Send(context.Background(), message(2, "too late"))
		fate(t, err, route.NotOffered)
		time.Sleep(9 * time.Second)
		p.say(t, rawPDU(pdu.SubmitSMRespID, 0, f.Seq, []byte("1\x00")))
		if err := <-verdict; err != nil {
			t.Errorf("the answer that was awaited: %v", err)
		}
		u := p.next(t, pdu.UnbindID)
		p.say(t, rawPDU(pdu.UnbindRespID, 0, u.Seq, nil))
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		if rec.last().State != route.Stopped {
			t.Errorf("the last status is %+v", rec.last())
		}
	})
}

// An SMSC that answers neither submits nor unbind does not keep us for ever.
func TestTakesLeaveOfASilentSMSC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, rec := newLobby(), newRecorder()
		defer l.Close()
		c := newClient(t, "smsc.example:2775", rec, func(cfg *Config) { cfg.Dial, cfg.Timers = l.Dial, Timers{} })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx, rec) }()
		p := meet(t, l)
		p.admit(t)
		rec.untilState(t, route.Ready)
		verdict := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(1, "on its way"))
			verdict <- err
		}()
		p.next(t, pdu.SubmitSMID)
		begun := time.Now()
		cancel()
		p.next(t, pdu.UnbindID)
		fate(t, <-verdict, route.Unknown)
		<-done
		if took := time.Since(begun); took != 15*time.Second {
			t.Errorf("it took %v, want 10 s for the answer and 5 s for unbind_resp", took)
		}
	})
}

func TestFailOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, rec := newLobby(), newRecorder()
		defer l.Close()
		var mu sync.Mutex
		var dialled []string
		c := newClient(t, "", rec, func(cfg *Config) {
			cfg.Addrs, cfg.Timers = []string{"one.example:1", "two.example:2", "three.example:3"}, Timers{}
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				mu.Lock()
				dialled = append(dialled, addr)
				n := len(dialled)
				mu.Unlock()
				if n != 5 { // the second address, in the second round
					return nil, errRefused
				}
				return l.Dial(ctx, network, addr)
			}
		})
		begun := time.Now()
		run(t, c, rec)
		p := meet(t, l)
		p.admit(t)
		rec.untilState(t, route.Ready)
		if got := strings.Join(dialled, " "); got != "one.example:1 two.example:2 three.example:3 one.example:1 two.example:2" {
			t.Errorf("dialled were %s", got)
		}
		if took := time.Since(begun); took < time.Second || took > 4*time.Second {
			t.Errorf("it took %v; there is one pause, after the first round", took)
		}
		if s := rec.last(); s.Port != "two.example:2" || s.Device != "smsc" {
			t.Errorf("the status is %+v", s)
		}
	})
}

func TestBackOffGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		c := newClient(t, "smsc.example:2775", newRecorder(), func(cfg *Config) {
			cfg.Timers = Timers{}
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
				at = append(at, time.Now())
				return nil, errRefused
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		c.Run(ctx, newRecorder())
		want := 2 * time.Second
		for i := range at[1:] {
			pause := at[i+1].Sub(at[i])
			if low, high := want*3/4, want*5/4; pause < low || pause > high {
				t.Errorf("pause %d was %v, want %v to %v", i+1, pause, low, high)
			}
			want = min(2*want, 5*time.Minute)
		}
		if len(at) < 15 || len(at) > 25 {
			t.Errorf("%d tries in an hour", len(at))
		}
	})
}

// Bad credentials: slowly, over all binds together, and in plain words.
func TestBadCredentialsAreNotHammered(t *testing.T) {
	for _, p := range []struct {
		status uint32
		tries  int // in an hour
	}{{0x0E, 4}, {0x0F, 4}, {0x53, 4}, {0x0D, 5}} {
		synctest.Test(t, func(t *testing.T) {
			m := smsc.New(smsc.Config{Faults: []smsc.Fault{{Bind: true, Status: p.status, Times: 1000}}})
			l, rec := newLobby(), newRecorder()
			l.serve(t, m)
			c := newClient(t, "smsc.example:2775", rec, func(cfg *Config) {
				cfg.Dial, cfg.Timers, cfg.Binds = l.Dial, Timers{}, 4
			})
			run(t, c, rec)
			time.Sleep(59 * time.Minute)
			synctest.Wait()
			if n := m.Stats().Refused; n != p.tries {
				t.Errorf("status %#x: %d logins were tried in an hour, want %d", p.status, n, p.tries)
			}
			s := rec.last()
			if s.State != route.Hand || s.Code != "provider_login" || !strings.Contains(s.Detail, lookup(pdu.Status(p.status)).text) {
				t.Errorf("the status is %+v", s)
			}
			_, err := c.Send(t.Context(), message(1, "hello"))
			fate(t, err, route.NotOffered)

			// A person has corrected it and asks for a try now.
			before := m.Stats().Refused
			if err := c.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := m.Stats().Refused; n != before+1 {
				t.Errorf("status %#x: after Restart %d more logins were tried, want 1", p.status, n-before)
			}
		})
	}
}

// An account that is still bound gets a minute to be forgotten.
func TestAlreadyBoundWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := smsc.New(smsc.Config{Faults: []smsc.Fault{{Bind: true, Status: smsc.StatusAlreadyBound, Times: 2}}})
		l, rec := newLobby(), newRecorder()
		l.serve(t, m)
		begun := time.Now()
		run(t, newClient(t, "smsc.example:2775", rec, func(cfg *Config) { cfg.Dial, cfg.Timers = l.Dial, Timers{} }), rec)
		rec.until(t, "it waits", func() bool { return rec.last().State == route.Waiting })
		time.Sleep(121 * time.Second)
		rec.untilState(t, route.Ready)
		if took := time.Since(begun); took < 120*time.Second {
			t.Errorf("bound after %v", took)
		}
	})
}

func TestRestartBindsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, rec := boundInLobby(t, smsc.Config{}, nil)
		if err := c.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The SMSC is asked: in no time at all a status that is as it was is not
		// told again.
		if err := m.WaitFor(within(t), func(s smsc.Stats) bool { return s.Binds == 2 }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		rec.untilState(t, route.Ready)
		if _, err := c.Send(within(t), message(1, "hello")); err != nil {
			t.Error(err)
		}
	})
}

// A restart while the login is on hold binds once, and stays bound.
func TestRestartDuringAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := smsc.New(smsc.Config{Faults: []smsc.Fault{{Bind: true, Status: 0x0E, Times: 1}}})
		l, rec := newLobby(), newRecorder()
		l.serve(t, m)
		c := newClient(t, "smsc.example:2775", rec, func(cfg *Config) {
			cfg.Dial, cfg.Timers, cfg.Binds = l.Dial, Timers{}, 3
		})
		run(t, c, rec)
		synctest.Wait()
		if rec.last().State != route.Hand {
			t.Fatalf("the status is %+v", rec.last())
		}
		if err := c.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := m.Stats(); s.Binds != 3 || s.Bound != 3 || rec.last().State != route.Ready {
			t.Errorf("bound %d times, %d are bound, the status is %+v", s.Binds, s.Bound, rec.last())
		}
	})
}

// An answer that says the session is out of step ends it, politely: the other
// submits in flight still get their answers.
func TestSessionOutOfStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, rec := boundInLobby(t, smsc.Config{Decide: func(s *smsc.Submit) smsc.Verdict {
			if s.Text == "out of step" {
				return smsc.Verdict{Status: smsc.StatusNotBound}
			}
			return smsc.Verdict{After: time.Second}
		}}, nil)
		other := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(1, "in flight"))
			other <- err
		}()
		synctest.Wait()
		_, err := c.Send(context.Background(), message(2, "out of step"))
		if e := fate(t, err, route.Retry); e.Scope != route.ScopeRoute {
			t.Errorf("the verdict is %+v", e)
		}
		if err := <-other; err != nil {
			t.Errorf("the other one: %v", err)
		}
		rec.until(t, "it is bound anew", func() bool { return m.Stats().Binds == 2 && rec.last().State == route.Ready })
	})
}

// A pair without its receiver still sends, and says so.
func TestPairWithoutReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l, rec := alone(t, func(cfg *Config) { cfg.Bind = BindPair })
		var sender *peer
		for range 2 {
			p := meet(t, l)
			f, err := readFrame(p.r)
			if err != nil {
				t.Fatal(err)
			}
			if f.ID == pdu.BindReceiverID {
				p.say(t, rawPDU(pdu.BindReceiverRespID, pdu.Status(smsc.StatusSystemError), f.Seq, nil))
				continue
			}
			p.say(t, rawPDU(pdu.BindTransmitterRespID, 0, f.Seq, []byte("smsc\x00")))
			sender = p
		}
		synctest.Wait()
		if s := rec.last(); s.State != route.Ready || !strings.HasPrefix(s.Detail, "1 of 2 binds") || !strings.Contains(s.Detail, "System error") {
			t.Errorf("the status is %+v", s)
		}
		verdict := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(1, "hello"))
			verdict <- err
		}()
		f := sender.next(t, pdu.SubmitSMID)
		sender.say(t, rawPDU(pdu.SubmitSMRespID, 0, f.Seq, []byte("1\x00")))
		if err := <-verdict; err != nil {
			t.Error(err)
		}
	})
}

// Submits that are never answered, on a session whose enquire_links are: the
// session is ill.
func TestSubmitsNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, rec := boundInLobby(t, smsc.Config{Decide: func(*smsc.Submit) smsc.Verdict { return smsc.Verdict{Silent: true} }},
			func(cfg *Config) { cfg.Window = 3 })
		var wg sync.WaitGroup
		for n := range 3 {
			wg.Go(func() {
				_, err := c.Send(context.Background(), message(n, "hello"))
				fate(t, err, route.Unknown)
			})
		}
		wg.Wait()
		rec.until(t, "it is bound anew", func() bool { return m.Stats().Binds == 2 })
	})
}

// One that is not answered is no reason to reconnect.
func TestOneSubmitNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, _ := boundInLobby(t, smsc.Config{Magic: true}, nil)
		out := message(1, "hello")
		out.To = "+31600000003"
		_, err := c.Send(context.Background(), out)
		fate(t, err, route.Unknown)
		if _, err := c.Send(context.Background(), message(5, "hello")); err != nil {
			t.Error(err)
		}
		if n := m.Stats().Binds; n != 1 {
			t.Errorf("it was bound %d times", n)
		}
	})
}
