package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"tillpost/queue/route"
)

// Ways to bind: Config.Bind.
const (
	BindTransceiver = "transceiver" // one session for both directions
	BindPair        = "pair"        // a transmitter and a receiver
)

// Config is one [[smpp]] section of the settings. Name, Addrs, SystemID and
// Log must be set; everything else has a default.
type Config struct {
	Name  string
	Addrs []string // host:port; the next one is tried when one fails

	SystemID   string
	Password   string
	SystemType string
	Bind       string // BindTransceiver (default) or BindPair
	Binds      int    // how many of these at once; 0: 1

	// TLS is nil for a plain connection. An empty ServerName is taken from
	// the address that is dialled.
	TLS *tls.Config

	Window         int // submits in flight per bind; 0: 10
	PartsPerSecond int // 0: no limit but what the SMSC's throttling teaches

	Source               string // usual sender: number, short code or name; may be empty
	SourceTON, SourceNPI *int   // nil: from the sender's look
	DestTON, DestNPI     *int   // nil: from the recipient's look
	ServiceType          string

	Alphabet     string // what data_coding 0 means: AlphabetGSM7 (default) or AlphabetLatin1
	CodingGSM7   byte   // data_coding of texts in that alphabet; 0 nearly everywhere, 0xF1 at some
	CodingUCS2   byte   // data_coding of UCS2 texts; 0: 8
	LongMessages string // LongUDH (default), LongSAR or LongPayload

	ReceiptID string        // IDAuto (default), IDSame, IDHexDec or IDDecHex
	Validity  time.Duration // how long the SMSC tries; 0: as long as it likes

	// MessageReference sends a user_message_reference with each part, which
	// some SMSCs repeat in the receipt: then it settles a message whose
	// submit_sm_resp was lost.
	MessageReference bool
	TLVs             map[uint16][]byte     // further optional parameters, sent with every part
	Codes            map[uint32]route.Fate // the provider's own meaning of status codes: Retry or Reject

	SendTimeout time.Duration // patience for a submit_sm_resp; 0: 60 s
	Timers      Timers

	Memory route.Memory // nil: nothing is remembered across restarts
	Log    *slog.Logger

	// Dial replaces the network in tests.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Timers are the waits of a session. A zero value is replaced by the default.
type Timers struct {
	Dial      time.Duration // TCP and TLS; 10 s
	Bind      time.Duration // bind_resp; 30 s
	Enquire   time.Duration // quiet time before each enquire_link; 30 s. Two unanswered end the session
	Write     time.Duration // for the SMSC to read what we send; 30 s
	Drain     time.Duration // at the end, for answers on their way; 10 s
	Unbind    time.Duration // unbind_resp; 5 s
	Reconnect time.Duration // first pause after a lost or failed connection, doubling; 2 s
	Longest   time.Duration // longest such pause; 5 min
	Refused   time.Duration // pause after the SMSC refused the login; 15 min
}

// defaults of Timers, in the order of its fields.
func (t Timers) withDefaults() Timers {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Dial, 10 * time.Second},
		{&t.Bind, 30 * time.Second},
		{&t.Enquire, 30 * time.Second},
		{&t.Write, 30 * time.Second},
		{&t.Drain, 10 * time.Second},
		{&t.Unbind, 5 * time.Second},
		{&t.Reconnect, 2 * time.Second},
		{&t.Longest, 5 * time.Minute},
		{&t.Refused, 15 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

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
	marks  *markBook
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
		marks:    newMarkBook(),
	}
	if c.ids, err = newIDBook(cfg.ReceiptID, cfg.Memory, account, cfg.Log); err != nil {
		return nil, fmt.Errorf("smpp %q: %w", cfg.Name, err)
	}
	c.desk = newDesk(&cfg, c.identity, c.ids, c.marks)
	c.board = newBoard(&cfg, c.identity)
	c.pace = newPacer(cfg.PartsPerSecond, func() { c.board.pace(0) })
	return c, nil
}

// complete applies the defaults and refuses what cannot work.
func (c *Config) complete() error {
	if c.Name == "" || c.SystemID == "" || c.Log == nil {
		return errors.New("name, system_id and a logger must be set")
	}
	if len(c.Addrs) == 0 {
		return errors.New("addrs: the SMSC's host:port is missing")
	}
	for _, a := range c.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("addrs: %w; write host:port, for example smsc.example:2775", err)
		}
	}
	// SMPP 3.4 §4.1.1: 16, 9 and 13 octets with the end.
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"system_id", c.SystemID, 15}, {"password", c.Password, 8}, {"system_type", c.SystemType, 12}, {"service_type", c.ServiceType, 5},
	} {
		// Some providers give passwords longer than the standard; they know.
		if len(f.value) > f.most && f.name != "password" {
			return fmt.Errorf("%s: %d characters; SMPP allows %d", f.name, len(f.value), f.most)
		}
		if slices.Contains([]byte(f.value), 0) {
			return fmt.Errorf("%s: contains a zero octet", f.name)
		}
	}
	for _, f := range []struct {
		name    string
		value   *string
		allowed []string // the first is the default
	}{
		{"bind", &c.Bind, []string{BindTransceiver, BindPair}},
		{"alphabet", &c.Alphabet, []string{AlphabetGSM7, AlphabetLatin1}},
		{"long_messages", &c.LongMessages, []string{LongUDH, LongSAR, LongPayload}},
		{"receipt_id", &c.ReceiptID, []string{IDAuto, IDSame, IDHexDec, IDDecHex}},
	} {
		if *f.value == "" {
			*f.value = f.allowed[0]
		}
		if !slices.Contains(f.allowed, *f.value) {
			return fmt.Errorf("%s: %q is none of %v", f.name, *f.value, f.allowed)
		}
	}
	for _, f := range []struct {
		name    string
		value   *int
		byUsual int
		most    int
	}{
		{"binds", &c.Binds, 1, 16}, {"window", &c.Window, 10, 1000}, {"parts_per_second", &c.PartsPerSecond, 0, 100_000},
	} {
		if *f.value == 0 {
			*f.value = f.byUsual
		}
		if *f.value < 0 || *f.value > f.most {
			return fmt.Errorf("%s: %d is not between 0 and %d", f.name, *f.value, f.most)
		}
	}
	for name, v := range map[string]*int{"source_ton": c.SourceTON, "source_npi": c.SourceNPI, "dest_ton": c.DestTON, "dest_npi": c.DestNPI} {
		if v != nil && (*v < 0 || *v > 255) {
			return fmt.Errorf("%s: %d is not between 0 and 255", name, *v)
		}
	}
	if _, err := sender(c.Source); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	for code, fate := range c.Codes {
		if fate != route.Retry && fate != route.Reject {
			return fmt.Errorf("codes: 0x%X: %q is neither %q nor %q", code, fate, route.Retry, route.Reject)
		}
	}
	if c.CodingUCS2 == 0 {
		c.CodingUCS2 = codingUCS2
	}
	if c.SendTimeout == 0 {
		c.SendTimeout = 60 * time.Second
	}
	c.Timers = c.Timers.withDefaults()
	if c.Dial == nil {
		// Keep-alive probes are the dialer's default: NAT forgets idle flows.
		c.Dial = (&net.Dialer{}).DialContext
	}
	return nil
}

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
		rec.Parts = append(rec.Parts, c.booked(p, len(parts), ref, err)...)
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
func (c *Client) booked(p *outPart, submits int, ref string, err error) []route.Part {
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
	if c.cfg.LongMessages != LongPayload || submits > 1 || p.of == 1 || p.n != 1 {
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
			late: func(f frame) { c.desk.putLate(lateAnswer{*p, f}) },
		}
		a := s.ask(ctx, q, c.cfg.SendTimeout)
		switch {
		case a.err != nil && !a.left && throttled != nil:
			return "", throttled
		case a.err != nil && !a.left:
			return "", c.notOffered(ctx, a.err)
		case a.err != nil:
			if p.mark != 0 {
				c.marks.lose(*p)
			}
			return "", c.lost(p, a.err)
		case a.Status == statusOK && a.ID == submitResp:
			return ref, nil
		}
		verdict := refused(c.cfg.Name, p.what(), a.Status, p.codes)
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
