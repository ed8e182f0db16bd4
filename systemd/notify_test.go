package systemd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// manager listens as systemd would and returns the notices as they come.
func manager(t *testing.T) <-chan string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	notices := make(chan string, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			notices <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return notices
}

func next(t *testing.T, notices <-chan string) string {
	t.Helper()
	select {
	case n := <-notices:
		return n
	case <-time.After(10 * time.Second):
		t.Fatal("systemd heard nothing for 10 s")
		return ""
	}
}

func TestManagerHearsLifeCycle(t *testing.T) {
	notices := manager(t)
	m := New(slog.New(slog.DiscardHandler))
	m.Ready()
	m.Status("2 routes ready,\n3 messages wait")
	m.Stopping()
	for _, want := range []string{"READY=1", "STATUS=2 routes ready, 3 messages wait", "STOPPING=1"} {
		if got := next(t, notices); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}

func TestWatchdogStarvesWhenTheDaemonIsNotWell(t *testing.T) {
	notices := manager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", "")
	var log bytes.Buffer
	var asked atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		New(slog.New(slog.NewTextHandler(&log, nil))).Watch(ctx, func() error {
			switch n := asked.Add(1); {
			case n <= 2:
				return nil
			case n == 6:
				cancel()
			}
			return errors.New("the scheduler has not turned for 40s")
		})
	}()
	<-done
	for range 2 {
		if got := next(t, notices); got != "WATCHDOG=1" {
			t.Errorf("heard %q", got)
		}
	}
	// Watch has returned: whatever it sent is in the socket already.
	New(slog.New(slog.DiscardHandler)).Stopping()
	if got := next(t, notices); got != "STOPPING=1" {
		t.Errorf("a daemon that is not well fed its watchdog: %q", got)
	}
	if !strings.Contains(log.String(), "has not turned for 40s") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

func TestOutsideSystemdNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	var log bytes.Buffer
	m := New(slog.New(slog.NewTextHandler(&log, nil)))
	m.Ready()
	m.Watch(t.Context(), func() error { t.Error("nobody asked how we are"); return nil })
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
}

func TestRuntimeDir(t *testing.T) {
	for env, want := range map[string]string{"": "", "/run/tillpost": "/run/tillpost", "/run/a:/run/b": "/run/a", "relative": ""} {
		t.Setenv("RUNTIME_DIRECTORY", env)
		if got := RuntimeDir(); got != want {
			t.Errorf("%q gives %q, want %q", env, got, want)
		}
	}
}
