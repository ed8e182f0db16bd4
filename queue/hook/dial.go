package hook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	callLimit = 10 * time.Second // contract.md
	readLimit = 64 << 10
	showLimit = 200 // bytes of an answer that are shown to a person
)

// target is one address to call, with the rules for it.
type target struct {
	url    string
	pin    string
	secret []byte
	// local allows the box itself: an administrator wrote 127.0.0.1 in so many
	// words. A name that only leads there is refused for everybody.
	local  bool
	client *http.Client
}

func (h *Hooks) target(hook *Hook) *target {
	t := &target{url: hook.URL, pin: hook.Pin, secret: []byte(hook.Secret)}
	if u, err := url.Parse(hook.URL); err == nil {
		ip, err := netip.ParseAddr(u.Hostname())
		t.local = u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	}
	t.open(h.wire)
	return t
}

// callbackTarget is an address that a till named: never the box itself.
func (h *Hooks) callbackTarget(address string, secret []byte) *target {
	t := &target{url: address, secret: secret}
	t.open(h.wire)
	return t
}

func (t *target) open(wire http.RoundTripper) {
	dialer := &net.Dialer{Timeout: callLimit, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return t.allowed(address)
	}}
	transport := &http.Transport{
		Proxy:       nil, // a proxy would be asked to dial for us, past every rule
		DialContext: dialer.DialContext, TLSHandshakeTimeout: callLimit, ResponseHeaderTimeout: callLimit,
		MaxIdleConns: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: readLimit,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if t.pin != "" {
		// One certificate is good, whoever signed it and whatever it says.
		transport.TLSClientConfig.InsecureSkipVerify = true
		transport.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error {
			if got := fingerprint(sha256.Sum256(s.PeerCertificates[0].Raw)); got != t.pin {
				return fmt.Errorf("the server shows another certificate than the pinned one; its SHA-256 is %s", got)
			}
			return nil
		}
	}
	if wire == nil {
		wire = transport
	}
	t.client = &http.Client{
		Transport:     wire,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (t *target) close() { t.client.CloseIdleConnections() }

var errOwn = errors.New("this address is the box itself, which is not called")

// allowed looks at the address that is really dialled, after the name was
// resolved: who owns a name can let it point anywhere.
func (t *target) allowed(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", address, err)
	}
	ip := embedded(at.Addr().Unmap().WithZone(""))
	switch {
	case t.local && ip.IsLoopback():
		return nil
	case ip.IsLoopback(), ip.IsUnspecified():
		return errOwn
	case ip.IsLinkLocalUnicast():
		return fmt.Errorf("%s is a link-local address, which is not called", ip)
	case ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s is not the address of one machine", ip)
	case strings.HasPrefix(t.url, "http:") && !ip.IsPrivate():
		return fmt.Errorf("%s lies outside the local network, and plain http stays inside it. Use https", ip)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("our own addresses are not known: %w", err)
	}
	if slices.ContainsFunc(own, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip
	}) {
		return errOwn
	}
	return nil
}

// embedded is the IPv4 address inside one of NAT64 (RFC 6052 §2.1) or 6to4
// (RFC 3056): what is dialled in the end.
func embedded(ip netip.Addr) netip.Addr {
	b := ip.As16()
	switch {
	case ip.Is4():
		return ip
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

// call sends one body and says what came of it. at is the time that is signed.
func (t *target) call(ctx context.Context, box string, seq uint64, at time.Time, body []byte) (r Result) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	begun := time.Now()
	defer func() { r.Took = time.Since(begun) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		r.Err = err.Error()
		return r
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Tillpost")
	req.Header.Set("Tillpost-Box", box)
	req.Header.Set("Tillpost-Event", strconv.FormatUint(seq, 10))
	req.Header.Set(SignatureHeader, Sign(t.secret, at, body))
	resp, err := t.client.Do(req)
	if err != nil {
		r.Err = plainly(err)
		return r
	}
	defer resp.Body.Close()
	r.Status = resp.StatusCode
	answer, err := io.ReadAll(io.LimitReader(resp.Body, readLimit))
	if err == nil || len(answer) > 0 {
		r.Answer = strings.ToValidUTF8(string(answer[:min(len(answer), showLimit)]), "·")
	}
	if r.Status < 200 || r.Status > 299 {
		r.Err = "it answered " + resp.Status
		r.wait = retryAfter(resp.Header.Get("Retry-After"))
	}
	return r
}

// plainly leaves out of an error of net/http what the reader wrote himself.
func plainly(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", callLimit)
	}
	return err.Error()
}

// retryAfter reads the header in seconds; a date is not worth a clock that may
// be wrong.
func retryAfter(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, longestPause)
}
