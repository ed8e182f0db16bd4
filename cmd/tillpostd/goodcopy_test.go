package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// flip flips a bit wherever the text stands in a file.
func flip(t *testing.T, path, text string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(raw, []byte(text)) {
		t.Fatalf("%q is not in %s (%v)", text, path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := 0; bytes.Contains(raw[at:], []byte(text)); at++ {
		at += bytes.Index(raw[at:], []byte(text))
		if _, err := f.WriteAt([]byte{raw[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGoodCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), storeFile)
	db, err := store.Open(store.Options{Path: path, MinFree: -1, NoSync: true}, queue.Schema()...)
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	change := func() {
		t.Helper()
		if _, err := q.Add(t.Context(), queue.Draft{To: "+31612345678", Text: "Klaar"}); err != nil {
			t.Fatal(err)
		}
	}
	g := newGoodCopy(db, slog.New(slog.DiscardHandler))
	made := func() time.Time {
		t.Helper()
		info, err := os.Stat(g.path)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	look := func(after time.Duration) {
		t.Helper()
		if err := g.look(time.Now().Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	change()
	look(0)
	first := made()
	if first.IsZero() || store.Verify(g.path) != nil {
		t.Fatal("there is no good copy")
	}
	change()
	look(time.Hour)
	if !made().Equal(first) {
		t.Error("a second copy within a day")
	}
	look(25 * time.Hour)
	second := made()
	if second.Equal(first) {
		t.Error("no copy after a day")
	}
	look(80 * time.Hour)
	if !made().Equal(second) {
		t.Error("an idle box has written a copy")
	}
	q.OnErase(g.forget)
	aside := []string{path + ".before-20261124-190000", path + ".v1"}
	for _, old := range aside {
		if err := os.WriteFile(old, []byte("+31612345678"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.Erase(t.Context(), "+31612345678", "test"); err != nil {
		t.Fatal(err)
	}
	if !made().IsZero() {
		t.Error("the copy still holds who was erased")
	}
	for _, old := range aside {
		if _, err := os.Stat(old); err == nil {
			t.Errorf("%s still holds who was erased", old)
		}
	}
	look(0)
	if made().IsZero() {
		t.Error("no new copy without the person")
	}
	// A bit of a row flips: what is left does not replace the copy that has it.
	change()
	if err := os.Chtimes(g.path, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	kept := made()
	flip(t, path, "Klaar")
	look(0)
	if !made().Equal(kept) {
		t.Error("a store that has lost a row has replaced the good copy")
	}
	if db.LastAside().IsZero() || db.Check() != nil {
		t.Errorf("the copy did not find it: %v", db.Check())
	}
	look(store.AsideFresh + time.Hour)
	if made().Equal(kept) {
		t.Error("a week later there is still no new copy")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// Then the card loses the store.
	if err := os.WriteFile(path, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(store.Options{Path: path}, queue.Schema()...)
	if err = mentionGoodCopy(err, path); err == nil || !strings.Contains(err.Error(), "tillpost restore "+g.path) {
		t.Errorf("%v", err)
	}
}
