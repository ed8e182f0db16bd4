package shelf

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func keep(t *testing.T, s *Shelf, owner, body string) *Item {
	t.Helper()
	it, err := s.Keep(owner, "list.csv", strings.NewReader(body), 100)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

func files(t *testing.T, dir string) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestAFileIsForWhoBroughtIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	it := keep(t, s, "page/sanne", "id;name")
	if _, err := s.Take(it.Token, "page/kees"); !errors.Is(err, ErrGone) {
		t.Errorf("somebody else: %v", err)
	}
	got, err := s.Take(it.Token, "page/sanne")
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := got.Read(""); err != nil || string(raw) != "id;name" || got.Size != 7 {
		t.Errorf("%q, %v", raw, err)
	}
	if _, err := got.Read("refused"); !errors.Is(err, ErrGone) {
		t.Errorf("a part that is not there: %v", err)
	}
	if err := got.Write("refused", func(w io.Writer) error { _, err := io.WriteString(w, "row 2"); return err }); err != nil {
		t.Fatal(err)
	}
	if raw, err := got.Read("refused"); err != nil || string(raw) != "row 2" {
		t.Errorf("the part: %q, %v", raw, err)
	}
	info, err := os.Stat(filepath.Join(dir, it.Token))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

func TestWhatIsTooBigLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Keep("a", "x", strings.NewReader(strings.Repeat("x", 101)), 100); !errors.Is(err, ErrTooBig) || files(t, dir) != 0 {
		t.Errorf("%v, %d files", err, files(t, dir))
	}
	keep(t, s, "a", strings.Repeat("x", 100))
}

func TestOldOnesGiveWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := keep(t, s, "a", "1")
	for range most {
		keep(t, s, "a", "2")
	}
	if _, err := s.Take(first.Token, "a"); !errors.Is(err, ErrGone) || files(t, dir) != most {
		t.Errorf("the oldest: %v, %d files", err, files(t, dir))
	}
	if _, err := Open(dir); err != nil || files(t, dir) != 0 {
		t.Errorf("after a restart: %v, %d files", err, files(t, dir))
	}
}

func TestFilesGoAfterAnHour(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		it := keep(t, s, "a", "1")
		time.Sleep(KeptFor - time.Second)
		synctest.Wait()
		if _, err := s.Take(it.Token, "a"); err != nil {
			t.Errorf("a second before: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := s.Take(it.Token, "a"); !errors.Is(err, ErrGone) {
			t.Errorf("a second after: %v", err)
		}
		time.Sleep(sweep)
		synctest.Wait()
		if n := files(t, dir); n != 0 {
			t.Errorf("%d files are left", n)
		}
		keep(t, s, "a", "2")
		stop()
		if err := <-ended; err != nil || files(t, dir) != 0 {
			t.Errorf("at the end: %v, %d files", err, files(t, dir))
		}
	})
}
