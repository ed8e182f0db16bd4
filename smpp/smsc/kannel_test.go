package smsc

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// need fails or, away from CI, skips a test that stands on a program from the
// Debian package named.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("TILLPOST_CI") == "1" {
		t.Fatalf("%s is missing (apt-get install %s)", program, pkg)
	}
	t.Skipf("%s is missing (apt-get install %s)", program, pkg)
}

const kannelConfig = `
group = core
admin-port = %[1]s
admin-password = secret
admin-interface = "127.0.0.1"
smsbox-port = %[2]s
box-allow-ip = "127.0.0.1"

group = smsc
smsc = smpp
smsc-id = sim
host = %[4]s
port = %[5]s
transceiver-mode = true
smsc-username = shop
smsc-password = secret
system-type = ""

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = %[3]s
sendsms-interface = "127.0.0.1"

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

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// box starts a part of Kannel and ends it with the test.
func box(t *testing.T, program, config string) {
	t.Helper()
	cmd := exec.Command(program, config)
	log := filepath.Join(t.TempDir(), program+".log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		select {
		case <-ended:
		case <-time.After(wait):
			t.Errorf("%s does not end", program)
			cmd.Process.Kill()
			<-ended
		}
		f.Close()
		if t.Failed() {
			b, err := os.ReadFile(log)
			t.Logf("%s says (%v):\n%s", program, err, b)
		}
	})
}

// Debian's Kannel uses the SMSC as it is: it sends a message of one part and
// one of three, and acknowledges the receipt.
func TestServesKannel(t *testing.T) {
	need(t, "bearerbox", "kannel")
	need(t, "smsbox", "kannel")
	m, addr := start(t, Config{SystemID: "shop", Password: "secret", ReceiptAfter: time.Millisecond})
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	web := freePort(t)
	config := filepath.Join(t.TempDir(), "kannel.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, kannelConfig, freePort(t), freePort(t), web, host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	box(t, "bearerbox", config)
	if err := m.WaitFor(within(t), func(s Stats) bool { return s.Bound == 1 }); err != nil {
		t.Fatal(err)
	}
	box(t, "smsbox", config)

	long := strings.Repeat("Kannel cuts. ", 30)
	for to, text := range map[string]string{"31612345671": "Hello @ €5", "31612345672": long} {
		q := url.Values{"username": {"till"}, "password": {"secret"}, "from": {"SHOP"}, "to": {to}, "text": {text}, "charset": {"utf-8"}}
		if to == "31612345671" {
			q.Set("dlr-mask", "3")
			q.Set("dlr-url", "http://127.0.0.1:"+freePort(t)+"/nobody")
		}
		ask(t, "http://127.0.0.1:"+web+"/cgi-bin/sendsms?"+q.Encode())
	}
	if err := m.WaitFor(within(t), func(s Stats) bool { return s.Accepted == 4 && s.Done == 1 }); err != nil {
		t.Fatal(err)
	}
	said := make(map[string]string)
	for _, s := range m.Submits() {
		said[s.To] += s.Text
	}
	if said["31612345671"] != "Hello @ €5" || said["31612345672"] != long {
		t.Errorf("arrived is %q", said)
	}
}

// ask calls Kannel, again and again while it is still starting.
func ask(t *testing.T, u string) {
	t.Helper()
	ctx := within(t)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			b, readErr := io.ReadAll(resp.Body)
			resp.Body.Close()
			if readErr != nil || resp.StatusCode != http.StatusAccepted {
				t.Fatalf("Kannel answers %s: %s (%v)", resp.Status, b, readErr)
			}
			http.DefaultClient.CloseIdleConnections()
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("Kannel does not start: %v (%v)", err, context.Cause(ctx))
		}
	}
}
