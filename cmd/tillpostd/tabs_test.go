package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The other side of BenchmarkTabs: a process that holds many websockets open
// and does the least that counts as reading them. It is the test binary, which
// TestMain sends here.

// tabCount is what was read: messages, and bytes with their headers.
type tabCount struct {
	frames, bytes int64
	cpu           time.Duration
}

// keepTabs opens the pages that spec asks for ("ADDRESS N"), says so with a line
// of counts, answers each line of stdin with one more, and ends with it.
func keepTabs(spec string) error {
	var addr string
	var n int
	if _, err := fmt.Sscan(spec, &addr, &n); err != nil {
		return fmt.Errorf("%s=%q: %w", tabsEnv, spec, err)
	}
	var frames, bytes atomic.Int64
	var readers, first sync.WaitGroup
	conns := make([]net.Conn, 0, n)
	for i := range n {
		conn, in, err := openTab(addr)
		if err != nil {
			return fmt.Errorf("tab %d: %w", i, err)
		}
		conns = append(conns, conn)
		if i < tabsAsleep {
			continue
		}
		first.Add(1)
		readers.Go(func() {
			told := sync.OnceFunc(first.Done)
			defer told()
			for {
				size, err := skipFrame(in)
				if err != nil {
					return // the box is gone, or we are
				}
				frames.Add(1)
				bytes.Add(size)
				told()
			}
		})
	}
	first.Wait()
	for in := bufio.NewReader(os.Stdin); ; {
		fmt.Println(frames.Load(), bytes.Load())
		if _, err := in.ReadString('\n'); err != nil {
			break
		}
	}
	var err error
	for _, c := range conns {
		err = errors.Join(err, c.Close())
	}
	readers.Wait()
	return err
}

// openTab follows the overview, as a browser does that takes compressed frames.
func openTab(addr string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, nil, err
	}
	_, err = io.WriteString(conn, strings.ReplaceAll(`GET /live?page=overview&lang=nl HTTP/1.1
Host: `+addr+`
Origin: http://`+addr+`
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits

`, "\n", "\r\n"))
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReaderSize(conn, 16<<10)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, nil, errors.New(resp.Status)
	}
	return conn, in, nil
}

// skipFrame reads past one frame of the server, which masks nothing (RFC 6455
// §5.2), and says how long it was.
func skipFrame(in *bufio.Reader) (int64, error) {
	var head [10]byte
	if _, err := io.ReadFull(in, head[:2]); err != nil {
		return 0, err
	}
	size, ext := int64(head[1]&0x7f), 0
	switch size {
	case 126:
		ext = 2
	case 127:
		ext = 8
	}
	if _, err := io.ReadFull(in, head[2:2+ext]); err != nil {
		return 0, err
	}
	switch ext {
	case 2:
		size = int64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		size = int64(binary.BigEndian.Uint64(head[2:]))
	}
	n, err := in.Discard(int(size))
	return int64(2 + ext + n), err
}
