package smpp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/queue/route"
)

// need fails or, away from CI, skips a test that stands on a program from the
// Debian package named.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, "%s is missing (apt-get install %s)", program, pkg)
	}
}

func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("TILLPOST_CI") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// npmSMSC is the version that these tests were written against.
const npmSMSC = "smpp@0.5.1"

// startNPM runs testdata/smsc.js, and returns its address and the function
// that ends it and tells what it counted.
func startNPM(t *testing.T) (addr string, summary func() map[string]int) {
	t.Helper()
	need(t, "node", "nodejs")
	need(t, "npm", "npm")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", npmSMSC)
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		missing(t, "npm install %s: %v\n%s", npmSMSC, err, out)
	}
	script, err := os.ReadFile("testdata/smsc.js")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "smsc.js"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "smsc.js")
	node.Dir, node.Stderr = dir, os.Stderr
	in, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the SMSC said nothing: %v", node.Wait())
	}
	end := sync.OnceValue(func() string {
		in.Close()
		last := ""
		if lines.Scan() {
			last = lines.Text()
		}
		if err := node.Wait(); err != nil {
			t.Errorf("the SMSC ended with %v", err)
		}
		return last
	})
	t.Cleanup(func() { end() })
	return "127.0.0.1:" + lines.Text(), func() map[string]int {
		t.Helper()
		var got map[string]int
		if err := json.Unmarshal([]byte(end()), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
}

// Against an SMSC not written here: 20,000 messages with a window of 50, and
// receipts in another base that collide with submits in flight. Three runs.
func TestNPMSMSC(t *testing.T) {
	const messages, window, runs = 20_000, 50, 3
	for n := range runs {
		t.Run(fmt.Sprint("run ", n+1), func(t *testing.T) {
			addr, summary := startNPM(t)
			rec := newRecorder()
			c := newClient(t, addr, rec, func(cfg *Config) { cfg.Window = window })
			stop := run(t, c, rec)
			rec.untilState(t, route.Ready)

			var mu sync.Mutex
			refs := make(map[string]bool, messages)
			begun := time.Now()
			work := make(chan int)
			var lanes sync.WaitGroup
			for range rec.last().Lanes {
				lanes.Go(func() {
					for n := range work {
						got, err := c.Send(context.Background(), message(n, strings.Repeat("x", 100)))
						if err != nil {
							t.Error(err)
							continue
						}
						mu.Lock()
						refs[got.Parts[0].Ref] = true
						mu.Unlock()
					}
				})
			}
			for n := range messages {
				work <- n
			}
			close(work)
			lanes.Wait()
			t.Logf("%d messages in %v", messages, time.Since(begun).Round(time.Millisecond))
			if len(refs) != messages {
				t.Fatalf("%d messages have %d different refs", messages, len(refs))
			}
			matched, at := make(map[string]bool, messages), 0
			rec.until(t, "every receipt is told under the ref of its message", func() bool {
				for ; at < len(rec.reported); at++ {
					if r := rec.reported[at]; refs[r.Ref] && r.State == route.ReportDelivered {
						matched[r.Ref] = true
					}
				}
				return len(matched) == messages
			})
			if n := len(rec.messages()); n != 0 {
				t.Errorf("%d receipts were taken for messages", n)
			}
			stop()
			got := summary()
			if got["submits"] != messages || got["different"] != messages || got["twice"] != 0 || got["acknowledged"] != messages {
				t.Errorf("the SMSC counted %v", got)
			}
			t.Logf("the SMSC counted %v; all receipts after %v", got, time.Since(begun).Round(time.Millisecond))
		})
	}
}
