package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// The client speaks HTTP/1.1 itself: one request and its answer on a connection
// of its own, no redirects, no proxies. A command is a process for every call,
// and net/http with all of TLS behind it costs such a process more time than
// everything else it does.

// request is one call.
type request struct {
	method, target string // target is path and query, escaped
	name           string // Idempotency-Key; empty: none
	kind           string // Content-Type of the body; empty: there is no body
	body           []byte
}

// response is the head of an answer, and its body as it comes. Whoever gets one
// closes it.
type response struct {
	status int
	reason string // 404 Not Found
	header textproto.MIMEHeader
	io.Reader
	io.Closer
}

// maxHead is the longest head of an answer: boxes need a few hundred bytes.
const maxHead = 64 << 10

// exchange makes a call. The connection ends with ctx, also while the answer is
// read.
func (c *Client) exchange(ctx context.Context, q request) (*response, error) {
	head, err := c.head(q)
	if err != nil {
		return nil, err
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0)) // long ago: what is under way ends now
	})
	end := closing(func() error {
		stop()
		return conn.Close()
	})
	// A box that refuses a long body may answer and hang up before it has read
	// all of it: what it said counts more than that it stopped listening.
	_, sent := conn.Write(append(head, q.body...))
	resp, err := readHead(conn, q.method)
	if err != nil {
		if ctx.Err() != nil {
			sent, err = nil, context.Cause(ctx)
		}
		return nil, errors.Join(sent, err, end.Close())
	}
	resp.Closer = end
	return resp, nil
}

type closing func() error

func (c closing) Close() error { return c() }

// head is the head of a request (RFC 9112 §3, §5).
func (c *Client) head(q request) ([]byte, error) {
	var b bytes.Buffer
	var bad error
	line := func(name, value string) {
		// Nothing that a caller gave may begin a line of its own.
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			bad = fmt.Errorf("client: there is a control character in what goes to the box as %s", name)
		}
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", q.method, c.path+q.target)
	line("Host", c.host)
	line("Connection", "close")
	for name, value := range c.Header() {
		line(name, value)
	}
	line("Idempotency-Key", q.name)
	line("Content-Type", q.kind)
	if q.method != "GET" {
		line("Content-Length", strconv.Itoa(len(q.body)))
	}
	b.WriteString("\r\n")
	return b.Bytes(), bad
}

// readHead reads an answer as far as its body (RFC 9112 §4, §6.3).
func readHead(conn io.Reader, method string) (*response, error) {
	limited := &io.LimitedReader{R: conn, N: maxHead}
	in := textproto.NewReader(bufio.NewReader(limited))
	for {
		line, err := in.ReadLine()
		if err != nil {
			return nil, whole(err)
		}
		version, rest, _ := strings.Cut(line, " ")
		code, _, _ := strings.Cut(rest, " ")
		status, err := strconv.Atoi(code)
		if !strings.HasPrefix(version, "HTTP/1.") || err != nil || status < 100 || status > 999 {
			return nil, fmt.Errorf("what answers there does not speak HTTP/1.1: %.80q", line)
		}
		header, err := in.ReadMIMEHeader()
		if err != nil {
			return nil, whole(err)
		}
		if status < 200 { // RFC 9110 §15.2: the answer itself follows
			continue
		}
		limited.N = 1 << 62 // bodies have limits of their own
		r := &response{status: status, reason: rest, header: header}
		switch length := header.Get("Content-Length"); {
		case method == "HEAD" || status == 204 || status == 304:
			r.Reader = strings.NewReader("")
		case strings.EqualFold(header.Get("Transfer-Encoding"), "chunked"):
			r.Reader = &chunks{in: in.R}
		case header.Get("Transfer-Encoding") != "":
			return nil, fmt.Errorf("the answer has a transfer coding that nobody asked for: %.80q", header.Get("Transfer-Encoding"))
		case length != "":
			n, err := strconv.ParseInt(length, 10, 64)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("the answer names %.80q as its length", length)
			}
			r.Reader = &counted{in: in.R, left: n}
		default: // it ends with the connection
			r.Reader = in.R
		}
		return r, nil
	}
}

// whole is the error of an answer that breaks off: its end is not an end.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// counted is a body whose length was told.
type counted struct {
	in   io.Reader
	left int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); c.left > 0 {
		err = whole(err)
	}
	return n, err
}

// chunks is a body in chunks (RFC 9112 §7.1). Trailers are read by nobody: the
// connection ends behind them.
type chunks struct {
	in   *bufio.Reader
	left int64 // of the chunk that is being read
	read bool  // a chunk was read before, whose line ends first
	end  error
}

func (c *chunks) Read(p []byte) (n int, err error) {
	if c.end == nil && c.left == 0 {
		c.end = c.next()
	}
	if c.end != nil || len(p) == 0 {
		return 0, c.end
	}
	n, err = c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.end = whole(err)
	return n, c.end
}

// next reads the line before a chunk; its error is io.EOF at the last one.
func (c *chunks) next() error {
	if c.read {
		if end, err := c.line(); err != nil || end != "" {
			return errors.Join(err, fmt.Errorf("a chunk of the answer is longer than it said"))
		}
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
	switch {
	case err != nil || n < 0:
		return fmt.Errorf("a chunk of the answer begins with %.80q", line)
	case n == 0:
		return io.EOF
	}
	c.left, c.read = n, true
	return nil
}

func (c *chunks) line() (string, error) {
	raw, err := c.in.ReadSlice('\n') // at most what the reader buffers
	if err != nil {
		return "", whole(err)
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

// Dial opens a connection to the box, for one call: with TLS where its address
// says so. It ends with ctx's deadline.
func (c *Client) Dial(ctx context.Context) (net.Conn, error) {
	network, addr := "unix", c.cfg.Socket
	if addr == "" {
		network, addr = "tcp", c.addr
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	if !c.tls {
		return conn, nil
	}
	name, _, _ := net.SplitHostPort(c.addr)
	safe, err := c.cfg.Secure(ctx, conn, name)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return safe, nil
}
