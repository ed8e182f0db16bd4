package webui

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"

	"tillpost/queue"
	"tillpost/queue/store"
)

// BenchmarkFirstView is what the first page costs the box while 100,000
// messages are in it.
func BenchmarkFirstView(b *testing.B) {
	dir := b.TempDir()
	db, err := store.Open(store.Options{Path: filepath.Join(dir, "box.db"), NoSync: true}, slices.Concat(queue.Schema(), Schema())...)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	q, err := queue.New(queue.Config{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Config{Queue: q, DB: db, DataDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	const many, each = 100_000, 1000
	for i := 0; i < many; i += each {
		batch := make([]*queue.Message, each)
		for n := range batch {
			if batch[n], err = q.Prepare(queue.Draft{Till: "till-1", To: fmt.Sprintf("+316%08d", i+n), Text: "Beste klant, uw fiets is klaar."}); err != nil {
				b.Fatal(err)
			}
		}
		err := db.Commit(b.Context(), func(tx *store.Tx) error {
			for _, m := range batch {
				if err := q.AddTx(tx, m); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	r.RemoteAddr = "127.0.0.1:4000"
	b.ResetTimer()
	for b.Loop() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			body, _ := io.ReadAll(w.Body)
			b.Fatalf("%d %s", w.Code, body)
		}
	}
}
