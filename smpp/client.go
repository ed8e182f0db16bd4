package smpp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"tillpost/queue/route"
)

// Client is one account at an SMSC. It is a route.Route and a
// route.Restarter.
type Client struct {
	cfg Config

	// identity is who carries our messages: the account, within which an
	// SMSC's ids are unique, and the usual sender, by which phones join parts.
	// A message with a sender of its own keeps that sender, so it needs no
	// identity of its own.
	identity string

	window window
	pace   *pacer
	desk   *desk
	ids    *idBook
	board  *board
}

// New checks the settings and returns a client that is not yet running. The
// errors name the field and the remedy.
func New(cfg Config) (*Client, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("smpp %q: %w", cfg.Name, err)
	}
	host, _, err := net.SplitHostPort(cfg.Addrs[0])
	if err != nil {
		return nil, fmt.Errorf("smpp %q: addrs: %w", cfg.Name, err)
	}
	account := cfg.SystemID + "@" + host
	c := &Client{
		cfg:      cfg,
		identity: account + "/" + cfg.Source,
		window:   window{size: cfg.Window},
	}
	if c.ids, err = newIDBook(cfg.ReceiptID, cfg.Memory, account, cfg.Log); err != nil {
		return nil, fmt.Errorf("smpp %q: %w", cfg.Name, err)
	}
	c.desk = newDesk(&cfg, c.identity, c.ids)
	c.board = newBoard(&cfg, c.identity)
	c.pace = newPacer(cfg.PartsPerSecond, func() { c.board.pace(0) })
	return c, nil
}

// Latin1 says whether data_coding 0 means ISO 8859-1 there (route.Latin1).
func (c *Client) Latin1() bool { return c.cfg.Alphabet == AlphabetLatin1 }

// Name is the route's name in the settings.
func (c *Client) Name() string { return c.cfg.Name }

// Send submits the parts of one message, one after the other, and returns
// once each has been answered or something went wrong. See route.Route.
func (c *Client) Send(ctx context.Context, out route.Outbound) (route.Receipt, error) {
	if ctx.Err() != nil {
		return route.Receipt{}, route.Ended(ctx, c.cfg.Name)
	}
	sink := c.board.sink()
	if sink == nil {
		return route.Receipt{}, route.Refuse(c.cfg.Name, "not started")
	}
	parts, err := c.compose(&out)
	if err != nil {
		return route.Receipt{}, &route.Error{Fate: route.Reject, Text: c.cfg.Name + ": " + err.Error(), Err: err}
	}
	rec := route.Receipt{Identity: c.identity}
	ticket := c.pace.ticket()
	for i := range parts {
		p := &parts[i]
		ref, err := c.submit(ctx, ticket, p)
		rec.Parts = append(rec.Parts, c.booked(p, ref, err)...)
		if err != nil {
			return rec, err
		}
		if i == len(parts)-1 {
			break
		}
		if err := c.progress(ctx, sink, p, rec.Parts[len(rec.Parts)-1]); err != nil {
			return rec, err
		}
	}
	return rec, nil
}

// booked says what became of a part; nothing for one that never left. A
// payload is all parts at once.
func (c *Client) booked(p *outPart, ref string, err error) []route.Part {
	part := route.Part{N: p.n, Of: p.of, State: route.PartSent, Ref: ref, Identity: c.identity, At: time.Now()}
	if e, ok := errors.AsType[*route.Error](err); ok {
		switch e.Fate {
		case route.NotOffered:
			return nil
		case route.Unknown:
			part.State = route.PartUnknown
		default:
			part.State = route.PartRefused
		}
	}
	if !p.whole {
		return []route.Part{part}
	}
	all := make([]route.Part, p.of)
	for i := range all {
		all[i] = part
		all[i].N = i + 1
	}
	return all
}

// progress stores the fate of a part before the next one goes out. The first
// byte of the message has left, so a cancelled ctx changes nothing any more.
func (c *Client) progress(ctx context.Context, sink route.Sink, p *outPart, part route.Part) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sinkPatience)
	defer cancel()
	if err := sink.Progress(ctx, p.id, p.attempt, part); err != nil {
		return &route.Error{
			Fate: route.NotOffered,
			Text: fmt.Sprintf("%s: stopped after part %d of %d, whose fate could not be stored: %v", c.cfg.Name, p.n, p.of, err),
			Err:  err,
		}
	}
	return nil
}

// submit takes one part through window and pacer to the SMSC and returns the
// ref by which its receipt will be known. A throttled part goes again, in its
// old place before all that came later, as long as our patience lasts.
func (c *Client) submit(ctx context.Context, ticket uint64, p *outPart) (ref string, err error) {
	patience := time.Now().Add(c.cfg.SendTimeout)
	s, err := c.window.take(ctx)
	if err != nil {
		return "", c.notOffered(ctx, err)
	}
	defer func() { c.window.give(s) }()

	var throttled error
	for {
		if err := c.turn(ctx, s, ticket, throttled != nil, patience); err != nil {
			if throttled != nil {
				return "", throttled
			}
			return "", c.notOffered(ctx, err)
		}
		q := &request{
			frame: slices.Clone(p.frame), resp: submitResp,
			heard: func(f frame) { // before its receipt, which may be the next PDU
				if f.ID == submitResp && f.Status == statusOK {
					ref = c.ids.submitted(cstring(f.body), p.to)
				}
			},
			late: func(f frame) { c.desk.putLate(&lateAnswer{*p, f}) },
		}
		a := s.ask(ctx, q, c.cfg.SendTimeout)
		switch {
		case a.err != nil && !a.left && throttled != nil:
			return "", throttled
		case a.err != nil && !a.left:
			return "", c.notOffered(ctx, a.err)
		case a.err != nil:
			return "", c.lost(p, a.err)
		case a.Status == statusOK && a.ID == submitResp:
			return ref, nil
		}
		verdict := refused(c.cfg.Name, p.what(), a.Status, p.codes)
		if lookup(a.Status).retry == "reconnect" {
			s.retire(verdict) // the session is out of step, not the message
		}
		if !throttling(a.Status) || verdict.Fate != route.Retry {
			return "", verdict
		}
		throttled = verdict
		if rate, fresh := c.pace.throttled(); fresh {
			c.cfg.Log.Info("the SMSC throttles us", "code", verdict.Code, "parts_per_second", rate)
			c.board.pace(rate)
		}
	}
}

// turn waits for the pacer. A part that was throttled waits no longer than
// patience: then the queue shall decide.
func (c *Client) turn(ctx context.Context, s *session, ticket uint64, again bool, patience time.Time) error {
	if again {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, patience)
		defer cancel()
	}
	return c.pace.wait(ctx, s.done, ticket)
}

// notOffered is the verdict on a part whose first byte did not leave.
func (c *Client) notOffered(ctx context.Context, err error) *route.Error {
	if ctx.Err() != nil {
		return route.Ended(ctx, c.cfg.Name)
	}
	e := route.Refuse(c.cfg.Name, err.Error())
	e.Err = err
	return e
}

// lost is the verdict on a part that left and was not answered.
func (c *Client) lost(p *outPart, err error) *route.Error {
	return &route.Error{
		Fate: route.Unknown,
		Text: fmt.Sprintf("%s: %s left and was not answered: %v", c.cfg.Name, p.what(), err),
		Err:  err,
	}
}
