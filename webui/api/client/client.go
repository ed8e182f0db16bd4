// Package client is the Go client of /api/v1: over the box's own socket, or
// over the network with a key.
//
// It promises that every call ends before its deadline, that a refusal comes
// back as a *wire.Problem in the box's words, and that Send may be repeated:
// it names its request, and repeats it itself when the answer was lost.
//
// It imports webui/api/wire for what is spelled in JSON, and neither net/http
// nor TLS: it is most of what an operator's command starts with.
package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tillpost/webui/api/wire"
)

// Config says where the box is: Socket, or URL with Key.
type Config struct {
	Socket string // path of the operator's socket
	URL    string // such as http://127.0.0.1:8080
	Key    string // tp_…

	// Secure makes a connection to an https address a safe one, which host
	// vouches for. It is asked of the caller because TLS makes every start of a
	// program longer; without it an https address is refused.
	Secure func(ctx context.Context, conn net.Conn, host string) (net.Conn, error)

	Lang    string        // of the plain words; empty: the shop's
	Timeout time.Duration // of one call, where ctx has no earlier deadline; default 30 s
}

// Client talks to one box. It is safe for use by many goroutines, and keeps
// nothing open between calls.
type Client struct {
	cfg  Config
	host string // as the Host header names it
	path string // before the API's own, where the box stands behind another server
	addr string // to dial, where there is no socket
	tls  bool
}

// ErrNoBox is a box that does not answer at all.
var ErrNoBox = errors.New("the box does not answer")

// Prefix is where the API begins.
const Prefix = "/api/v1"

const (
	maxReply = 64 << 20
	tries    = 3 // of a named call whose answer was lost
)

// New readies a client. Nothing is dialled yet.
func New(cfg Config) (*Client, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	if cfg.Socket != "" {
		if cfg.URL != "" {
			return nil, errors.New("client: set a socket or an address, not both")
		}
		return &Client{cfg: cfg, host: "tillpost"}, nil
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("client: %q is not the address of a box. Write it as http://192.0.2.7:8080", cfg.URL)
	}
	c := &Client{cfg: cfg, host: u.Host, path: strings.TrimSuffix(u.EscapedPath(), "/"), tls: u.Scheme == "https"}
	if c.tls && cfg.Secure == nil {
		return nil, fmt.Errorf("client: %s wants TLS, and this program was made without", cfg.URL)
	}
	port := map[bool]string{false: "80", true: "443"}[c.tls]
	c.addr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	return c, nil
}

// Send hands over one message. It is on the disk of the box when Send returns.
func (c *Client) Send(ctx context.Context, in wire.Send) (wire.Message, error) {
	return c.SendAs(ctx, freshName(), in)
}

// SendAs is Send under a name of the caller's own: the same name with the same
// message gets the first answer again, for seven days.
func (c *Client) SendAs(ctx context.Context, name string, in wire.Send) (out wire.Message, err error) {
	for try := 1; ; try++ {
		err = c.call(ctx, "POST", "/messages", nil, name, in, &out)
		if err == nil || try == tries || !errors.Is(err, errLost) || ctx.Err() != nil {
			return out, err
		}
	}
}

// freshName names a call. Nobody gains by guessing it, so that a random source
// for secrets, which takes a while to wake, is not needed.
func freshName() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

// Message looks at one message.
func (c *Client) Message(ctx context.Context, id string) (out wire.Message, err error) {
	return out, c.call(ctx, "GET", "/messages/"+url.PathEscape(id), nil, "", nil, &out)
}

// Search is a filter of Messages; empty fields do not filter.
type Search struct {
	State wire.State
	To    string
	Ref   string
	Since time.Time
	After string // Next of the page before
	Limit int    // 1 to 1000; 0: 100
}

// Messages lists messages, newest first.
func (c *Client) Messages(ctx context.Context, s Search) (out wire.Page[wire.Message], err error) {
	q := url.Values{}
	set(q, "state", string(s.State))
	set(q, "to", s.To)
	set(q, "ref", s.Ref)
	set(q, "after", s.After)
	if !s.Since.IsZero() {
		q.Set("since", s.Since.Format(time.RFC3339))
	}
	if s.Limit > 0 {
		q.Set("limit", strconv.Itoa(s.Limit))
	}
	return out, c.call(ctx, "GET", "/messages", q, "", nil, &out)
}

// Cancel stops a message that has not left.
func (c *Client) Cancel(ctx context.Context, id string) (out wire.Message, err error) {
	return out, c.call(ctx, "DELETE", "/messages/"+url.PathEscape(id), nil, "", nil, &out)
}

// Resend sends an ended or unknown message once more.
func (c *Client) Resend(ctx context.Context, id string) (out wire.Message, err error) {
	return out, c.call(ctx, "POST", "/messages/"+url.PathEscape(id)+"/resend", nil, freshName(), nil, &out)
}

// Settle decides a message whose outcome is unknown.
func (c *Client) Settle(ctx context.Context, id string, as wire.State) (out wire.Message, err error) {
	return out, c.call(ctx, "POST", "/messages/"+url.PathEscape(id)+"/settle", nil, freshName(), wire.Settle{State: as}, &out)
}

// Preview shows what would be sent of a text.
func (c *Client) Preview(ctx context.Context, in wire.Compose) (out wire.Preview, err error) {
	return out, c.call(ctx, "POST", "/preview", nil, "", in, &out)
}

// PreviewTemplate shows what would be sent of a template to its recipients.
func (c *Client) PreviewTemplate(ctx context.Context, in wire.Compose) (out wire.Selection, err error) {
	return out, c.call(ctx, "POST", "/preview", nil, "", in, &out)
}

// Inbox lists what came in, newest first.
func (c *Client) Inbox(ctx context.Context, after string, limit int) (out wire.Page[wire.Inbound], err error) {
	q := url.Values{}
	set(q, "after", after)
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return out, c.call(ctx, "GET", "/inbox", q, "", nil, &out)
}

// Routes lists all ways out.
func (c *Client) Routes(ctx context.Context) ([]wire.Route, error) {
	var out wire.Page[wire.Route]
	err := c.call(ctx, "GET", "/routes", nil, "", nil, &out)
	return out.Items, err
}

// Pause lets a route take no more messages.
func (c *Client) Pause(ctx context.Context, name string) (wire.Route, error) {
	return c.act(ctx, name, "pause", nil)
}

// Resume lets a paused route take messages again.
func (c *Client) Resume(ctx context.Context, name string) (wire.Route, error) {
	return c.act(ctx, name, "resume", nil)
}

// Restart restarts a modem or a connection.
func (c *Client) Restart(ctx context.Context, name string) (wire.Route, error) {
	return c.act(ctx, name, "restart", nil)
}

// EnterPIN unlocks a SIM. The box tries a PIN once and never uses the last
// attempt.
func (c *Client) EnterPIN(ctx context.Context, name, pin string) (wire.Route, error) {
	return c.act(ctx, name, "pin", wire.PIN{PIN: pin})
}

func (c *Client) act(ctx context.Context, name, what string, in any) (out wire.Route, err error) {
	return out, c.call(ctx, "POST", "/routes/"+url.PathEscape(name)+"/"+what, nil, "", in, &out)
}

// USSD runs a service code and returns the network's answer. The network may
// take two minutes: give ctx that long, and Config.Timeout too.
func (c *Client) USSD(ctx context.Context, name, code string) (string, error) {
	var out wire.USSDAnswer
	err := c.call(ctx, "POST", "/routes/"+url.PathEscape(name)+"/ussd", nil, "", wire.USSD{Code: code}, &out)
	return out.Text, err
}

// Examine asks a modem what keeps messages from going; nothing is good news.
func (c *Client) Examine(ctx context.Context, name string) ([]string, error) {
	var out wire.Findings
	err := c.call(ctx, "POST", "/routes/"+url.PathEscape(name)+"/examine", nil, "", nil, &out)
	return out.Findings, err
}

// Keys lists all keys.
func (c *Client) Keys(ctx context.Context) ([]wire.Key, error) {
	var out wire.Page[wire.Key]
	err := c.call(ctx, "GET", "/keys", nil, "", nil, &out)
	return out.Items, err
}

// AddKey makes a key. Its text is in this answer and nowhere else.
func (c *Client) AddKey(ctx context.Context, name string, scopes ...string) (out wire.Key, err error) {
	return c.MakeKey(ctx, wire.NewKey{Name: name, Scopes: scopes})
}

// MakeKey is AddKey for a key with limits, or that may have somebody called back.
func (c *Client) MakeKey(ctx context.Context, in wire.NewKey) (out wire.Key, err error) {
	return out, c.call(ctx, "POST", "/keys", nil, "", in, &out)
}

// RevokeKey makes a key worthless.
func (c *Client) RevokeKey(ctx context.Context, name string) error {
	return c.call(ctx, "DELETE", "/keys/"+url.PathEscape(name), nil, "", nil, nil)
}

// Status says how the box is.
func (c *Client) Status(ctx context.Context) (out wire.Status, err error) {
	return out, c.call(ctx, "GET", "/status", nil, "", nil, &out)
}

// Check reads every row of the store. Give it time.
func (c *Client) Check(ctx context.Context) (out wire.Check, err error) {
	return out, c.call(ctx, "GET", "/check", nil, "", nil, &out)
}

// Events reads what happened after an event, oldest first.
func (c *Client) Events(ctx context.Context, after uint64, limit int) (out wire.Happened, err error) {
	q := url.Values{"after": {strconv.FormatUint(after, 10)}}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return out, c.call(ctx, "GET", "/events", q, "", nil, &out)
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// Header is what every call says of its caller.
func (c *Client) Header() map[string]string {
	h := map[string]string{}
	if c.cfg.Key != "" {
		h["Authorization"] = "Bearer " + c.cfg.Key
	}
	if c.cfg.Lang != "" {
		h["Accept-Language"] = c.cfg.Lang
	}
	return h
}

// Base is the name by which the box is called, and the path before the API's.
func (c *Client) Base() string { return c.host + c.path }

// NoBox says where no box answered, and why: an ErrNoBox.
func (c *Client) NoBox(err error) error {
	where := c.cfg.Socket
	if where == "" {
		where = c.cfg.URL
	}
	return fmt.Errorf("client: %w at %s: %w", ErrNoBox, where, err)
}

// errLost marks a call whose answer did not come, or not whole.
var errLost = errors.New("the answer was lost")

// call does one request. name is its Idempotency-Key, in its JSON body, out
// what the answer is read into; each may be absent.
func (c *Client) call(ctx context.Context, method, path string, q url.Values, name string, in, out any) error {
	r := request{method: method, target: target(path, q), name: name}
	if in != nil {
		var err error
		if r.body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("client: %w", err)
		}
		r.kind = "application/json"
	}
	return c.ask(ctx, r, out)
}

func target(path string, q url.Values) string {
	t := Prefix + path
	if len(q) > 0 {
		t += "?" + q.Encode()
	}
	return t
}

// ask makes a call and reads its answer into out, if there is one.
func (c *Client) ask(ctx context.Context, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	resp, err := c.exchange(ctx, r)
	if err != nil {
		return fmt.Errorf("%w (%w)", c.NoBox(err), errLost)
	}
	defer resp.Close()
	if resp.status >= 300 {
		return Refused(resp.reason, resp.header.Get, resp)
	}
	if out == nil || resp.status == 204 {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp, maxReply)).Decode(out); err != nil {
		return fmt.Errorf("client: the answer to %s %s cannot be read: %w (%w)", r.method, r.target, err, errLost)
	}
	return nil
}

// Refused reads the problem of an answer, whose status is spelled as 404 Not
// Found.
func Refused(status string, header func(string) string, body io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(body, 1<<20))
	if err != nil {
		return fmt.Errorf("client: the box refused with %s, and its reason was lost: %w", status, err)
	}
	p := &wire.Problem{}
	if !strings.HasPrefix(header("Content-Type"), "application/problem+json") || json.Unmarshal(raw, p) != nil {
		return fmt.Errorf("client: %s, which does not come from a Tillpost box: %.200s", status, raw)
	}
	if s, err := strconv.Atoi(header("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(s) * time.Second
	}
	return p
}
