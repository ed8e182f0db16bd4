package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A harness that cannot fail proves nothing. Each of these daemons breaks one
// rule of the house, by one exact replacement in the real source, and the
// harness must notice.
func TestHarnessNoticesBrokenDaemons(t *testing.T) {
	t.Parallel()
	broken := []struct {
		name string
		file string
		swap [][2]string
		want string
	}{
		{
			name: "the answer is given before the commit",
			file: "webui/api/messages.go",
			swap: [][2]string{
				{"import (\n", "import (\n\t\"context\"\n"},
				{"	err = a.db.Commit(c.ctx, func(tx *store.Tx) error {\n		rep = nil\n", "	err = early(a.db, c.ctx, func(tx *store.Tx) error {\n		rep = nil\n"},
				{"// accepted is the answer to", `func early(db *store.DB, ctx context.Context, fn func(*store.Tx) error) error {
	ran := make(chan error, 1)
	go db.Commit(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		err := fn(tx)
		select {
		case ran <- err:
		default:
		}
		time.Sleep(20 * time.Millisecond) // the disk
		return err
	})
	return <-ran
}

// accepted is the answer to`},
			},
			want: "was accepted and is lost",
		},
		{
			name: "a message is settled before it is sent",
			file: "queue/lane.go",
			swap: [][2]string{{
				"	rcpt, err := r.send(f.ctx, f.m)\n",
				`	var rcpt route.Receipt
	for n := range f.m.Segments {
		rcpt.Parts = append(rcpt.Parts, route.Part{N: n + 1, Of: len(f.m.Segments), State: route.PartSent, Ref: "0", Identity: f.m.Identity})
	}
	r.q.settle(ctx, r, f, rcpt, nil)
	time.Sleep(60 * time.Millisecond) // the network takes its time
	_, err := r.send(f.ctx, f.m)
	return nil, true
`,
			}},
			want: "the network never saw",
		},
		{
			name: "what was being sent is sent again after a restart",
			file: "queue/queue.go",
			swap: [][2]string{{
				"	return q.lose(tx, m, Event{Kind: KindInterrupted, Route: m.Route, Identity: m.Identity})\n",
				`	if err := m.move(onNotOffered); err != nil {
		return err
	}
	m.Why, m.Due, m.Wake = because("in_line"), time.Now(), m.Expires
	return q.note(tx, m, Event{Kind: KindNotOffered})
`,
			}},
			want: "without an unknown between",
		},
	}
	for _, test := range broken {
		t.Run(test.name, func(t *testing.T) {
			bin := build(t, overlay(t, test.file, test.swap))
			// An SMSC holds many at once, so that each kill hits some.
			c := startCenter(t, bin, "-latency", "20ms", "-receipt-after", "300ms")
			found := newOrdeal(t, newBox(t, bin, c.table("operator", 10)), 400, 10, c).run()
			if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, test.want) }) {
				t.Errorf("the harness noticed nothing of it; it said %q", found)
			}
			t.Logf("noticed %d times, first: %s", len(found), found[:min(1, len(found))])
		})
	}
}

// overlay writes a go build -overlay file in which one source file of ours is
// replaced by a copy with exact replacements. The product itself has no hooks.
func overlay(t testing.TB, file string, swap [][2]string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(root, file)
	data, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, s := range swap {
		if strings.Count(text, s[0]) != 1 {
			t.Fatalf("%s has changed: it holds %d times, not once:\n%s\nAdapt this test to what it says now", file, strings.Count(text, s[0]), s[0])
		}
		text = strings.Replace(text, s[0], s[1], 1)
	}
	dir := t.TempDir()
	patched := filepath.Join(dir, filepath.Base(file))
	list := filepath.Join(dir, "overlay.json")
	spec, err := json.Marshal(map[string]map[string]string{"Replace": {source: patched}})
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{patched: []byte(text), list: spec} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}
