package api

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui/api/wire"
)

// A person who was erased is in no answer that is kept, and the till that
// repeats its request sends nothing anew.
func TestErasingReachesKeptAnswers(t *testing.T) {
	b := newBox(t)
	admin := b.addKey("boss", Admin)
	name := []string{"Idempotency-Key", "3e1f"}
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, name...)
	done := want[queue.Erased](b, 200, admin, "POST", "/api/v1/erase", wire.Person{Number: "06-12345678"})
	if done != (queue.Erased{Messages: 1, Answers: 1}) {
		t.Errorf("%+v", done)
	}
	again := want[wire.Problem](b, 410, b.key, "POST", "/api/v1/messages", good, name...)
	if again.Code != "erased" || strings.Contains(again.Detail, "12345678") {
		t.Errorf("%+v", again)
	}
	want[wire.Problem](b, 404, b.key, "GET", "/api/v1/messages/"+m.ID, nil)
	if n := b.count(); n != 0 {
		t.Errorf("%d messages", n)
	}
	p := want[wire.Problem](b, 400, admin, "POST", "/api/v1/erase", wire.Person{Number: "kip"})
	if p.Field != "number" {
		t.Errorf("%+v", p)
	}
	want[wire.Problem](b, 403, b.key, "POST", "/api/v1/erase", wire.Person{Number: "06-12345678"})
}

func TestExportTellsAll(t *testing.T) {
	b := newBox(t)
	admin := b.addKey("boss", Admin)
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	about := want[wire.About](b, 200, admin, "POST", "/api/v1/export", wire.Person{Number: "06-12345678"})
	if about.Number != m.To || len(about.Messages) != 1 || about.Messages[0].Text != m.Text || len(about.Messages[0].Events) != 1 || about.OptedOut != nil {
		t.Errorf("%+v", about)
	}
	nobody := want[wire.About](b, 200, admin, "POST", "/api/v1/export", wire.Person{Number: "06-87654321"})
	if len(nobody.Messages)+len(nobody.Inbound) != 0 {
		t.Errorf("%+v", nobody)
	}
}

// The answer is the store, whole, and nothing of it stays on the box.
func TestBackupIsAFile(t *testing.T) {
	b := newBox(t)
	admin := b.addKey("boss", Admin)
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	w := b.ask(admin, "POST", "/api/v1/backup", nil)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/octet-stream" || !strings.Contains(w.Header().Get("Content-Disposition"), "tillpost-") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, w.Body.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.Verify(copied); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(w.Body.Bytes(), []byte("12345678")) {
		t.Error("the message is not in it")
	}
	left, err := filepath.Glob(b.db.Path() + ".*")
	if err != nil || len(left) > 0 {
		t.Errorf("%v stays on the box (%v)", left, err)
	}
	// While one is made, another waits for its turn.
	b.api.copying.Lock()
	if w := b.ask(admin, "POST", "/api/v1/backup", nil); w.Code != 409 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.api.copying.Unlock()
	want[wire.Problem](b, 403, b.key, "POST", "/api/v1/backup", nil)
}
