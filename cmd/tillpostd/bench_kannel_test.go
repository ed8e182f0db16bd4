package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The same 20,000 messages through Debian's Kannel and through Tillpost: the
// same client, the same SMSC (a process of its own), one after the other on
// one machine. Kannel gets its best: no store, no access log, a log that only
// speaks of panics, and the same window. What it has accepted lives in memory
// only; Tillpost has it on the disk before it answers.

const (
	besides     = 20_000 // messages
	besidesHTTP = 32     // clients, each with a connection of its own that is kept
	besidesText = "Dag! Uw bestelling staat klaar. U kunt hem tot 18:00 ophalen aan de balie. Tot zo, groet van de bakker"
)

// gateway is a program, or some, that takes messages over HTTP.
type gateway struct {
	name    string
	addr    string // of its HTTP
	pids    []int
	request func(to string) string // one message, as it goes over the wire
}

func BenchmarkBesideKannel(b *testing.B) {
	for _, answer := range []time.Duration{0, 50 * time.Millisecond} {
		for _, first := range []bool{true, false} {
			order := "at-once"
			if first {
				order = "queued-first"
			}
			for _, g := range []struct {
				name  string
				start func(testing.TB, string) gateway
			}{{"kannel", startKannel}, {"tillpost", startTillpost}} {
				b.Run(fmt.Sprintf("answers=%v/%s/%s", answer, order, g.name), func(b *testing.B) {
					addr := net.JoinHostPort("127.0.0.1", freePort(b))
					open := func() *center { return startCenter(b, build(b, ""), "-listen", addr, "-latency", answer.String()) }
					var c *center
					if !first {
						c = open()
					}
					gate := g.start(b, addr)
					for b.Loop() {
						before := gate.cpu(b)
						began, accepted := gate.takeAll(b)
						if first {
							c = open()
						}
						carried(b, gate, c, began, accepted)
						b.ReportMetric((gate.cpu(b) - before).Seconds(), "CPU-s")
						b.ReportMetric(gate.peak(b), "MB-peak-RSS")
					}
				})
			}
		}
	}
}

// takeAll has a gateway accept all messages, and returns when that began and
// how long it took.
func (g *gateway) takeAll(b *testing.B) (began time.Time, took time.Duration) {
	b.Helper()
	var next atomic.Int64
	var clients sync.WaitGroup
	began = time.Now()
	for range besidesHTTP {
		clients.Go(func() {
			if err := g.hand(&next); err != nil {
				b.Error(err)
			}
		})
	}
	clients.Wait()
	took = time.Since(began)
	if b.Failed() {
		b.FailNow()
	}
	return began, took
}

// carried waits until the SMSC has all messages, and reports how it went.
func carried(b *testing.B, g gateway, c *center, began time.Time, accepted time.Duration) {
	b.Helper()
	c.await(b, besides)
	var at []time.Time
	for _, s := range c.read(b) {
		if s.Accepted {
			at = append(at, s.Time)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	if len(at) != besides {
		b.Fatalf("%s handed %d messages to the SMSC, %d were accepted", g.name, len(at), besides)
	}
	last := at[len(at)-1]
	report1(b, besides/accepted.Seconds(), "accepts/s")
	b.ReportMetric(besides/last.Sub(at[0]).Seconds(), "submits/s")
	if at[0].Before(began.Add(accepted)) {
		b.ReportMetric(besides/last.Sub(began).Seconds(), "through/s") // from the first request to the last submit
	}
}

// hand is one client: one message after the other on one connection.
func (g *gateway) hand(next *atomic.Int64) error {
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	for {
		n := next.Add(1)
		if n > besides {
			return nil
		}
		if _, err := io.WriteString(conn, g.request(fmt.Sprintf("+3161%07d", n))); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return fmt.Errorf("%s, message %d: %w", g.name, n, err)
		}
		said, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("%s, message %d: %s %s (%v)", g.name, n, resp.Status, said, err)
		}
		if resp.Close {
			return fmt.Errorf("%s does not keep its connections", g.name)
		}
	}
}

func startTillpost(t testing.TB, center string) gateway {
	box := newBox(t, build(t, ""), smppTable(center, "operator", 50))
	box.start("-log", "info")
	box.makeKey("send")
	addr := strings.TrimPrefix(box.url(), "http://")
	return gateway{name: "Tillpost", addr: addr, pids: []int{box.pid()}, request: func(to string) string {
		body := fmt.Sprintf(`{"to":%q,"text":%q,"report":false}`, to, besidesText[:100])
		return fmt.Sprintf("POST /api/v1/messages HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			addr, box.key, len(body), body)
	}}
}

// kannelConfig: panics only are logged (4), and nothing is stored.
const kannelConfig = `
group = core
admin-port = %[1]s
admin-password = secret
admin-interface = "127.0.0.1"
smsbox-port = %[2]s
box-allow-ip = "127.0.0.1"
log-level = 4

group = smsc
smsc = smpp
smsc-id = sim
host = %[4]s
port = %[5]s
transceiver-mode = true
smsc-username = shop
smsc-password = pw
system-type = ""
max-pending-submits = 50
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = %[3]s
sendsms-interface = "127.0.0.1"
log-level = 4

group = sendsms-user
username = till
password = secret
max-messages = 5
concatenation = true

group = sms-service
keyword = default
text = "no"
max-messages = 0
`

func startKannel(t testing.TB, center string) gateway {
	t.Helper()
	host, port, err := net.SplitHostPort(center)
	if err != nil {
		t.Fatal(err)
	}
	inner, web := freePort(t), freePort(t)
	config := filepath.Join(t.TempDir(), "kannel.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, kannelConfig, freePort(t), inner, web, host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gateway{name: "Kannel", addr: net.JoinHostPort("127.0.0.1", web), request: func(to string) string {
		q := url.Values{"username": {"till"}, "password": {"secret"}, "from": {"SHOP"}, "to": {to}, "text": {besidesText[:100]}}
		return fmt.Sprintf("GET /cgi-bin/sendsms?%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", q.Encode())
	}}
	for _, part := range []struct{ program, port string }{{"bearerbox", inner}, {"smsbox", web}} {
		cmd := exec.Command(part.program, "-v", "4", config)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatalf("%v (apt-get install kannel)", err)
		}
		t.Cleanup(func() {
			stop(t, cmd, syscall.SIGTERM)
			if t.Failed() {
				t.Logf("%s says:\n%s", part.program, said.String())
			}
		})
		g.pids = append(g.pids, cmd.Process.Pid)
		eventually(t, part.program+" listens", func() (bool, string) {
			conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", part.port))
			if err != nil {
				return false, err.Error()
			}
			return conn.Close() == nil, ""
		})
	}
	return g
}

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// cpu is what the processes of a gateway have used of the processors.
func (g *gateway) cpu(t testing.TB) (sum time.Duration) {
	for _, pid := range g.pids {
		sum += cpuOf(t, pid)
	}
	return sum
}

// peak is the most memory that the processes of a gateway ever had, in MB.
func (g *gateway) peak(t testing.TB) (sum float64) {
	for _, pid := range g.pids {
		sum += float64(procField(t, pid, "status", "VmHWM:")) / 1024
	}
	return sum
}
