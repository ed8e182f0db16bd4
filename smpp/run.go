package smpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"

	"tillpost/queue/route"
)

const submitResp = pdu.SubmitSMRespID

// interfaceVersion is SMPP 3.4. SMPP 3.4 §5.2.4
const interfaceVersion = 0x34

// lasting is how long a session must have been bound for the next
// reconnection to begin with the shortest pause again.
const lasting = time.Minute

// Run keeps the account bound until ctx ends. Wrong credentials do not end
// it: a person corrects them at the provider as often as here, so it tries
// again, slowly, and says what is wrong in its Status.
func (c *Client) Run(ctx context.Context, sink route.Sink) error {
	links := c.links()
	c.board.start(sink, links)
	defer c.board.stop()

	// The desk outlives the links: what a receipt says while we take leave
	// is stored and answered as ever.
	deskCtx, stopDesk := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { c.desk.work(deskCtx, sink) })

	var running sync.WaitGroup
	for _, l := range links {
		running.Go(func() { l.run(ctx) })
	}
	running.Wait()
	stopDesk()
	work.Wait()
	return ctx.Err()
}

// Restart takes leave of the SMSC and binds anew, at once, also where the
// login was refused before.
func (c *Client) Restart(context.Context) error {
	c.board.again()
	return nil
}

// link keeps one bind alive.
type link struct {
	c    *Client
	n    int // its line on the board
	bind func() pdu.Body
	resp pdu.ID
	send bool // may submit

	pause time.Duration // before the next try, if that is to wait
	addr  int           // index of the address to try
	tried int           // addresses tried since the last pause
}

// links are the binds that the settings ask for.
func (c *Client) links() []*link {
	var links []*link
	add := func(bind func() pdu.Body, resp pdu.ID, send bool) {
		links = append(links, &link{c: c, n: len(links), bind: bind, resp: resp, send: send, pause: c.cfg.Timers.Reconnect})
	}
	for range c.cfg.Binds {
		if c.cfg.Bind == BindPair {
			add(pdu.NewBindTransmitter, pdu.BindTransmitterRespID, true)
			add(pdu.NewBindReceiver, pdu.BindReceiverRespID, false)
			continue
		}
		add(pdu.NewBindTransceiver, pdu.BindTransceiverRespID, true)
	}
	return links
}

// run connects, serves and waits, again and again.
func (l *link) run(ctx context.Context) {
	for ctx.Err() == nil {
		restarted := l.c.board.restarted()
		begun := time.Now()
		err := l.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRestart) {
			l.pause = l.c.cfg.Timers.Reconnect
			continue
		}
		if time.Since(begun) > lasting {
			l.pause = l.c.cfg.Timers.Reconnect
		}
		timer := time.NewTimer(l.failed(err))
		select {
		case <-timer.C:
		case <-restarted:
			l.pause = l.c.cfg.Timers.Reconnect
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// failed says on the board why the link is down, and returns how long to wait
// before the next try.
func (l *link) failed(err error) time.Duration {
	c, t := l.c, l.c.cfg.Timers
	l.addr = (l.addr + 1) % len(c.cfg.Addrs)
	l.tried++

	refusal, refused := errors.AsType[*bindRefused](err)
	if refused && refusal.fatal() {
		c.board.down(l.n, route.Hand, "provider_login", err)
		c.cfg.Log.Error("the SMSC refuses the login", "err", err, "next_try", refusal.wait)
		return refusal.wait
	}
	wait := time.Duration(0)
	if l.tried >= len(c.cfg.Addrs) {
		l.tried = 0
		wait = time.Duration(float64(l.pause) * (0.75 + rand.Float64()/2))
		l.pause = min(2*l.pause, t.Longest)
	}
	if refused && refusal.status == statusBound {
		wait = max(wait, time.Minute) // our former connection must time out there first
	}
	c.board.down(l.n, route.Waiting, "provider_offline", err)
	c.cfg.Log.Warn("not connected to the SMSC", "err", err, "next_try", wait.Round(time.Millisecond))
	return wait
}

// connect is one life of the link: dial, TLS, bind, serve. It returns why it
// ended.
func (l *link) connect(ctx context.Context) error {
	c := l.c
	next, err := c.board.login(ctx)
	if err != nil {
		return err
	}
	defer next()
	addr := c.cfg.Addrs[l.addr]
	c.board.connecting(l.n, addr)
	conn, err := l.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := newSession(conn, &c.cfg, c.desk)
	r := bufio.NewReaderSize(conn, 32<<10)
	peer, err := l.login(ctx, s, r)
	if refusal, ok := errors.AsType[*bindRefused](err); ok && refusal.fatal() {
		// Before the next link may try: the other addresses, too, are the same
		// provider with the same accounts.
		refusal.wait = c.board.refusedLogin(c.cfg.Timers.Refused, refusal.stop())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	next()

	c.cfg.Log.Info("bound to the SMSC", "addr", addr, "system_id", peer, "bind", name(l.resp&^isResp))
	if l.send {
		c.window.open(s)
	}
	restarted := c.board.restarted()
	c.board.up(l.n, peer, addr)
	err = s.serve(ctx, restarted, r, func(why error) {
		c.window.close(s)
		if why != nil {
			c.board.down(l.n, route.Waiting, "", why)
		}
	})
	return fmt.Errorf("%s: %w", addr, err)
}

// dial opens the connection, and TLS on it.
func (l *link) dial(ctx context.Context, addr string) (net.Conn, error) {
	cfg := &l.c.cfg
	ctx, cancel := context.WithTimeout(ctx, cfg.Timers.Dial)
	defer cancel()
	conn, err := cfg.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", addr, err)
	}
	if cfg.TLS == nil {
		return conn, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connecting to %s: %w", addr, err)
	}
	t := cfg.TLS.Clone()
	if t.ServerName == "" {
		t.ServerName = host
	}
	secure := tls.Client(conn, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", addr, err)
	}
	return secure, nil
}

// bindRefused is a bind_resp with a status.
type bindRefused struct {
	status pdu.Status
	wait   time.Duration // of one that is fatal: before any link tries again
}

func (e *bindRefused) Error() string {
	row := lookup(e.status)
	return fmt.Sprintf("the bind was refused: %s (%s, %s)", row.text, row.name, statusCode(e.status))
}

// fatal: the account is at fault, not the moment.
func (e *bindRefused) fatal() bool { return lookup(e.status).class == "bind_fatal" }

// stop: every further try may lock the account.
func (e *bindRefused) stop() bool { return lookup(e.status).retry == "stop" }

// login binds and returns the system_id of the SMSC. Whatever else the SMSC
// says before its answer is not for us yet. SMPP 3.4 §4.1
func (l *link) login(ctx context.Context, s *session, r *bufio.Reader) (peer string, err error) {
	cfg := &l.c.cfg
	if err := s.conn.SetDeadline(time.Now().Add(cfg.Timers.Bind)); err != nil {
		return "", fmt.Errorf("setting a deadline: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()

	body := l.bind()
	for _, set := range []struct {
		name  pdufield.Name
		value any
	}{
		{pdufield.SystemID, cfg.SystemID},
		{pdufield.Password, cfg.Password},
		{pdufield.SystemType, cfg.SystemType},
		{pdufield.InterfaceVersion, interfaceVersion},
	} {
		if err := body.Fields().Set(set.name, set.value); err != nil {
			return "", fmt.Errorf("setting %s: %w", set.name, err)
		}
	}
	seq := s.number()
	b, err := encode(body, seq, statusOK)
	if err != nil {
		return "", err
	}
	if _, err := s.conn.Write(b); err != nil {
		return "", fmt.Errorf("sending the bind: %w", err)
	}
	for {
		f, err := readFrame(r)
		if err != nil {
			return "", fmt.Errorf("waiting for the answer to the bind: %w", err)
		}
		if f.Seq != seq || f.ID != l.resp && f.ID != pdu.GenericNACKID {
			continue
		}
		if f.Status != statusOK || f.ID != l.resp {
			return "", &bindRefused{status: f.Status}
		}
		return cstring(f.body), s.conn.SetDeadline(time.Time{})
	}
}
