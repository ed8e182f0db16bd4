package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/webui/api/client"
	"tillpost/webui/api/client/follow"
	"tillpost/webui/api/wire"
)

// operate serves the socket and the live connections of b and returns a client
// of the socket.
func operate(t *testing.T, b *box) *client.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- b.api.ServeSocket(ctx, l) }()
	go func() { ended <- b.api.Run(ctx) }()
	c, err := client.New(client.Config{Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

func TestSocketHasFullRightsAndNamesThePerson(t *testing.T) {
	b := newBox(t, func(tun *tuning) { tun.api.SetUp = func() (string, bool) { return "ABCD2345", false } })
	c := operate(t, b)
	ctx := t.Context()
	m, err := c.Send(ctx, wire.Send{To: "06-12345678", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	m, err = c.Cancel(ctx, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if who := fmt.Sprint("uid:", os.Getuid()); m.Events[1].By != who || m.Till != who {
		t.Errorf("the story names %q and %q, want %s", m.Till, m.Events[1].By, who)
	}
	status, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if status.SetUp != "ABCD2345" || status.Password || status.Status != "degraded" {
		t.Errorf("status: %+v", status)
	}
	// Over HTTP nobody is told, whatever the key may do.
	admin := b.addKey("boss", Admin, Read, Send)
	if s := want[wire.Status](b, 200, admin, "GET", "/api/v1/status", nil); s.SetUp != "" {
		t.Errorf("the set-up code went over HTTP: %+v", s)
	}
	if k, err := c.AddKey(ctx, "till-5", "send"); err != nil || k.By != fmt.Sprint("uid:", os.Getuid()) {
		t.Errorf("%+v, %v", k, err)
	}
	if keys, err := c.Keys(ctx); err != nil || len(keys) != 3 {
		t.Errorf("%v, %v", keys, err)
	}
	if err := c.RevokeKey(ctx, "till-5"); err != nil {
		t.Error(err)
	}
	if check, err := c.Check(ctx); err != nil || !check.OK {
		t.Errorf("%+v, %v", check, err)
	}
}

func TestClientTellsRefusalsApart(t *testing.T) {
	b := newBox(t)
	c := operate(t, b)
	_, err := c.Send(t.Context(), wire.Send{To: "nobody", Text: "x"})
	p, ok := errors.AsType[*wire.Problem](err)
	if !ok || p.Field != "to" || p.Status != 400 || !strings.HasPrefix(err.Error(), "to: ") {
		t.Errorf("%v", err)
	}
	_, err = c.Message(t.Context(), "../keys")
	if p, ok := errors.AsType[*wire.Problem](err); !ok || p.Status != 404 {
		t.Errorf("%v", err)
	}
	lost, err := client.New(client.Config{Socket: filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = lost.Status(t.Context()); !errors.Is(err, client.ErrNoBox) {
		t.Errorf("%v", err)
	}
	for _, cfg := range []client.Config{{}, {URL: "box"}, {URL: "ftp://box"}, {URL: "http://box", Socket: "/s"}} {
		if _, err := client.New(cfg); err == nil {
			t.Errorf("%+v was taken for the address of a box", cfg)
		}
	}
}

func TestClientSaysWhenItIsNotABox(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "hello", http.StatusInternalServerError)
	}))
	defer srv.Close()
	c, err := client.New(client.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "Tillpost") {
		t.Errorf("%v", err)
	}
}

func TestFollowTellsEveryEventInOrder(t *testing.T) {
	b := newBox(t)
	c := operate(t, b)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	const n = 40
	if _, err := c.Send(ctx, wire.Send{To: "0612345678", Text: "before"}); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		for range n {
			if _, err := c.Send(ctx, wire.Send{To: "0612345678", Text: "x"}); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	done := errors.New("seen enough")
	next := uint64(1)
	after := uint64(0)
	err := follow.Events(ctx, c, &after, func(e wire.Event) error {
		if e.Seq != next || e.Kind != "accepted" {
			return fmt.Errorf("event %d %s, want %d", e.Seq, e.Kind, next)
		}
		if next++; next > n+1 {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestFollowEndsWithTheKey(t *testing.T) {
	b := newBox(t)
	socket := operate(t, b)
	key := b.addKey("office", Read)
	till := b.addKey("till-7", Send)
	l, stop := serve(t, b)
	defer stop()
	c, err := client.New(client.Config{URL: l, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	before := b.api.hub.Len()
	ended := make(chan error, 1)
	go func() { ended <- follow.Events(ctx, c, nil, func(wire.Event) error { return nil }) }()
	until(t, func() bool { return b.api.hub.Len() == before+1 })
	if err := socket.RevokeKey(ctx, "office"); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Send(ctx, wire.Send{To: "0612345678", Text: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || ctx.Err() != nil {
		t.Errorf("a revoked key still follows: %v", err)
	}
	c2, err := client.New(client.Config{URL: l, Key: till})
	if err != nil {
		t.Fatal(err)
	}
	err = follow.Events(ctx, c2, nil, func(wire.Event) error { return nil })
	if p, ok := errors.AsType[*wire.Problem](err); !ok || p.Status != 403 {
		t.Errorf("a till follows everything: %v", err)
	}
}

// until waits for a condition, at most ten seconds.
func until(t *testing.T, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestListenSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v; want 0660", info.Mode(), err)
	}
	if _, err := ListenSocket(path); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("a second program took the socket: %v", err)
	}
	// kill -9 leaves the file.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if l, err = ListenSocket(path); err != nil {
		t.Fatalf("what a killed program left was not replaced: %v", err)
	}
	l.Close()
	file := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSocket(file); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}
