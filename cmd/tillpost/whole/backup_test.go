package whole

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/cmd/tillpost/hand"
	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/store"
)

// shelf is the store of a box that does not run.
func shelf(t *testing.T, dir string, fn func(q *queue.Queue, db *store.DB)) {
	t.Helper()
	db, err := store.Open(store.Options{Path: filepath.Join(dir, storeFile), MinFree: -1, NoSync: true}, schema()...)
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	fn(q, db)
	if err := errors.Join(db.Check(), db.Close()); err != nil {
		t.Error(err)
	}
}

// tell runs the command without a daemon.
func tell(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), append([]string{"-socket", filepath.Join(t.TempDir(), "none.sock")}, args...), strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func add(t *testing.T, q *queue.Queue, to string) queue.ID {
	t.Helper()
	m, err := q.Add(t.Context(), queue.Draft{To: to, Text: "Uw fiets is klaar"})
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func TestBackupWhileTheBoxWorks(t *testing.T) {
	b := newBox(t)
	b.must(t, "send", "06-12345678", "Uw fiets is klaar")
	dir := t.TempDir()
	file := filepath.Join(dir, "saturday.db")
	wants(t, b.must(t, "backup", file), file, "bytes")
	if err := os.Rename(file, filepath.Join(dir, storeFile)); err != nil {
		t.Fatal(err)
	}
	shelf(t, dir, func(q *queue.Queue, _ *store.DB) {
		list, _, err := q.List(queue.Filter{To: "+31612345678"})
		if err != nil || len(list) != 1 {
			t.Errorf("the copy has %d messages (%v)", len(list), err)
		}
	})
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "backup") || strings.Contains(e.Name(), "part") {
			t.Errorf("%s stays on the box", e.Name())
		}
	}
	if _, errs, code := b.says(t, "", "backup", dir); code != hand.Failed || !strings.Contains(errs, "is a folder") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestRestoreRefusesWhileTheDaemonRuns(t *testing.T) {
	b := newBox(t)
	file := filepath.Join(t.TempDir(), "saturday.db")
	b.must(t, "backup", file)
	out, errs, code := b.says(t, "", "restore", "-data", b.dir, file)
	if code != hand.Failed || !strings.Contains(errs, "the daemon is running") || out != "" {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestRestoreKeepsWhatWasThereAndForgetsAgain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "saturday.db")
	var kept, erased, late queue.ID
	shelf(t, dir, func(q *queue.Queue, db *store.DB) {
		kept, erased = add(t, q, "+31612345678"), add(t, q, "+31687654321")
		if err := db.BackupFile(file); err != nil {
			t.Fatal(err)
		}
		late = add(t, q, "+31611112222")
		if _, err := q.Erase(t.Context(), "+31687654321", "test"); err != nil {
			t.Fatal(err)
		}
	})
	out, errs, code := tell(t, "restore", "-data", dir, file)
	if code != hand.Done {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	wants(t, out, "1 person erased since", "is kept as")
	shelf(t, dir, func(q *queue.Queue, _ *store.DB) {
		if err := q.ForgetAgain(t.Context()); err != nil { // as Run does
			t.Fatal(err)
		}
		if _, err := q.Get(kept); err != nil {
			t.Errorf("what the backup held: %v", err)
		}
		for what, id := range map[string]queue.ID{"erased": erased, "later than the backup": late} {
			if _, err := q.Get(id); !errors.Is(err, queue.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	aside, err := filepath.Glob(filepath.Join(dir, storeFile+".before-*"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("kept: %v, %v", aside, err)
	}
	if err := store.Verify(aside[0]); err != nil {
		t.Error(err)
	}
}

// A store that cannot be read is what a backup is for; it is kept all the same,
// and it is said what is not known any more.
func TestRestoreOverADamagedStore(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "saturday.db")
	shelf(t, dir, func(q *queue.Queue, db *store.DB) {
		add(t, q, "+31612345678")
		if err := db.BackupFile(file); err != nil {
			t.Fatal(err)
		}
	})
	path := filepath.Join(dir, storeFile)
	if err := os.WriteFile(path, bytes.Repeat([]byte{0}, 32<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := tell(t, "restore", "-data", dir, file)
	if code != hand.Done || !strings.Contains(errs, "cannot be read") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	shelf(t, dir, func(q *queue.Queue, _ *store.DB) {
		if list, _, err := q.List(queue.Filter{}); err != nil || len(list) != 1 {
			t.Errorf("%d messages, %v", len(list), err)
		}
	})
}

// What left after the backup was made does not leave again, and what nobody can
// tell about waits for a person.
func TestRestoreSendsNothingTwice(t *testing.T) {
	for name, c := range map[string]struct {
		old  func(t *testing.T, path string)
		want map[string]queue.State
		told string
	}{
		"the old store can be read": {func(*testing.T, string) {},
			map[string]queue.State{"gone since": queue.Cancelled, "as it was": queue.Queued, "later": queue.Scheduled}, "1 message of the backup went on"},
		"the old store is broken": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, make([]byte, 32<<10), 0o600); err != nil {
				t.Fatal(err)
			}
		}, map[string]queue.State{"gone since": queue.Unknown, "as it was": queue.Unknown, "later": queue.Scheduled}, "2 messages may have been sent"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(t.TempDir(), "saturday.db")
			ids := map[string]queue.ID{}
			shelf(t, dir, func(q *queue.Queue, db *store.DB) {
				ids["gone since"], ids["as it was"] = add(t, q, "+31612345678"), add(t, q, "+31687654321")
				m, err := q.Add(t.Context(), queue.Draft{To: "+31611112222", Text: "Tot morgen", At: time.Now().Add(24 * time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
				ids["later"] = m.ID
				if err := db.BackupFile(file); err != nil {
					t.Fatal(err)
				}
				if _, err := q.Cancel(t.Context(), ids["gone since"], "test"); err != nil {
					t.Fatal(err)
				}
			})
			c.old(t, filepath.Join(dir, storeFile))
			out, errs, code := tell(t, "restore", "-data", dir, file)
			if code != hand.Done || !strings.Contains(out+errs, c.told) {
				t.Fatalf("exit %d\n%s%s", code, out, errs)
			}
			shelf(t, dir, func(q *queue.Queue, _ *store.DB) {
				for what, id := range ids {
					m, err := q.Get(id)
					if err != nil || m.State != c.want[what] {
						t.Errorf("%s: %v, %v; want %s", what, m, err, c.want[what])
						continue
					}
					if m.State != queue.Unknown {
						continue
					}
					if m.Why.Code != "unsure_restored" || !m.Wake.IsZero() {
						t.Errorf("%s: %+v until %s", what, m.Why, m.Wake)
					}
					if m, err := q.Resend(t.Context(), id, "test"); err != nil || m.State != queue.Queued {
						t.Errorf("%s: a person sends it: %v", what, err)
					}
				}
			})
		})
	}
}

// What is no backup changes nothing.
func TestRestoreOfSomethingElse(t *testing.T) {
	dir := t.TempDir()
	shelf(t, dir, func(q *queue.Queue, _ *store.DB) { add(t, q, "+31612345678") })
	before, err := os.ReadFile(filepath.Join(dir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.db")
	if err := os.WriteFile(cut, before[:len(before)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{cut, filepath.Join(dir, "nowhere.db")} {
		_, errs, code := tell(t, "restore", "-data", dir, file)
		if code != hand.Failed || !strings.Contains(errs, "nothing was changed") {
			t.Errorf("%s: exit %d\n%s", file, code, errs)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, storeFile))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store was changed (%v)", err)
	}
}

func TestContactsErase(t *testing.T) {
	b := newBox(t)
	b.must(t, "send", "06-12345678", "Beste Zoetemelk")
	wants(t, b.must(t, "contacts", "erase", "06-12345678"), "forgotten: 1 message")
	if out := b.must(t, "list"); strings.Contains(out, "Zoetemelk") {
		t.Errorf("still listed:\n%s", out)
	}
}

// Who wants no advertising is a list for the system in which the tick must go.
func TestContactsOptOuts(t *testing.T) {
	b := newBox(t)
	if out := b.must(t, "contacts", "optouts"); out != "number;contacts;time;by\n" {
		t.Errorf("nobody has said so:\n%s", out)
	}
	if err := b.modem.Deliver(route.Inbound{From: "+31612345678", Text: "STOP"}); err != nil {
		t.Fatal(err)
	}
	out := b.must(t, "contacts", "optouts")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "'+31612345678;;") || !strings.HasSuffix(lines[1], ";SMS") {
		t.Errorf("they are listed as\n%s", out)
	}
	wants(t, b.must(t, "-json", "contacts", "optouts"), `"number"`, `"+31612345678"`)
}

// The bundle for the supplier tells nothing about customers.
func TestSupport(t *testing.T) {
	b := newBox(t)
	b.must(t, "send", "06-12345678", "Beste Zoetemelk")
	file := filepath.Join(t.TempDir(), "support.zip")
	wants(t, b.must(t, "support", file), "no number and no text")
	r, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	have := map[string]bool{}
	for _, f := range r.File {
		have[f.Name] = true
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(in)
		if err != nil || in.Close() != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"Zoetemelk", "12345678"} {
			if bytes.Contains(body, []byte(secret)) {
				t.Errorf("%s tells %q", f.Name, secret)
			}
		}
	}
	for _, p := range supportParts {
		if !have[p.name] {
			t.Errorf("%s is missing; there are %v", p.name, have)
		}
	}
	// Without a daemon it says so instead.
	out, errs, code := tell(t, "support", file)
	if code != hand.Done || !strings.Contains(errs, "could not be had") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
