package door

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/queue/store"
)

type front struct {
	*Door
	db     *store.DB
	dir    string
	shown  []string // codes, as the console showed them
	reopen func()
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{dir: t.TempDir()}
	db, err := store.Open(store.Options{Path: filepath.Join(f.dir, "box.db"), NoSync: true}, Schema()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Check(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	f.db = db
	f.reopen = func() {
		f.Door, err = Open(Config{DB: db, Dir: f.dir, Announce: func(code string) { f.shown = append(f.shown, code) }})
		if err != nil {
			t.Fatal(err)
		}
	}
	f.reopen()
	return f
}

func (f *front) code() string { return f.shown[len(f.shown)-1] }

const password = "drie losse woorden"

func TestSetUpCodeIsShownOnlyBesideTheBox(t *testing.T) {
	f := newFront(t)
	path := filepath.Join(f.dir, CodeFile)
	raw, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(raw)) != f.code() || len(f.code()) != 8 {
		t.Fatalf("file %q, %v; console %q", raw, err, f.code())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if len(codeLetters) != 32 || strings.Trim(f.code(), codeLetters) != "" {
		t.Errorf("code %q is not of the 32 letters", f.code())
	}
	first := f.code()
	f.reopen()
	if f.code() == first {
		t.Error("the code of the last start is good still")
	}
	typed := strings.ToLower(f.code()[:4] + "-" + f.code()[4:])
	if err := f.First(t.Context(), typed, password); err != nil {
		t.Fatalf("the code as people type it: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file outlives its use: %v", err)
	}
	if code, done := f.SetUp(); code != "" || !done {
		t.Errorf("after use: %q, %t", code, done)
	}
	if err := f.First(t.Context(), f.code(), password); !errors.Is(err, ErrDone) {
		t.Errorf("a second use: %v", err)
	}
	n := len(f.shown)
	f.reopen()
	if len(f.shown) != n || !f.IsSet() {
		t.Error("a box with a password made a set-up code")
	}
}

func TestWeakPasswordDoesNotSpendTheCode(t *testing.T) {
	f := newFront(t)
	for _, p := range []string{"", "fietsbel", strings.Repeat("x", 2000)} {
		if _, ok := errors.AsType[*Weak](f.First(t.Context(), f.code(), p)); !ok {
			t.Errorf("%.20q was taken", p)
		}
	}
	if err := f.First(t.Context(), f.code(), password); err != nil {
		t.Error(err)
	}
}

func TestFiveWrongCodesMeanAPauseAndANewCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFront(t)
		old := f.code()
		for i := range 4 {
			if err := f.First(t.Context(), "00000000", password); !errors.Is(err, ErrCode) {
				t.Fatalf("try %d: %v", i+1, err)
			}
		}
		if w, ok := errors.AsType[*Wait](f.First(t.Context(), "00000000", password)); !ok || w.For != 60*time.Second {
			t.Fatalf("the fifth: %v", w)
		}
		if f.code() == old || len(f.shown) != 2 {
			t.Fatal("there is no new code")
		}
		time.Sleep(59 * time.Second)
		if _, ok := errors.AsType[*Wait](f.First(t.Context(), f.code(), password)); !ok {
			t.Error("the right code came in during the pause")
		}
		time.Sleep(2 * time.Second)
		if err := f.First(t.Context(), old, password); !errors.Is(err, ErrCode) {
			t.Errorf("the old code: %v", err)
		}
		if err := f.First(t.Context(), f.code(), password); err != nil {
			t.Errorf("the new code after the pause: %v", err)
		}
	})
}

func TestOfTwoAtOnceOneComesIn(t *testing.T) {
	f := newFront(t)
	code := f.code()
	var in atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if f.First(t.Context(), code, password) == nil {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 {
		t.Errorf("%d set a password", in.Load())
	}
}

func TestSessions(t *testing.T) {
	f := newFront(t)
	ctx := t.Context()
	if _, err := f.Login(ctx, "192.0.2.1", "", password); !errors.Is(err, ErrPassword) {
		t.Errorf("login before a password is set: %v", err)
	}
	if err := f.First(ctx, f.code(), password); err != nil {
		t.Fatal(err)
	}
	token, err := f.Login(ctx, "192.0.2.1", "", password)
	if err != nil {
		t.Fatal(err)
	}
	other, err := f.Login(ctx, "192.0.2.2", "", password)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Valid(token) || f.Valid("") || f.Valid(token+"x") {
		t.Error("only the token opens")
	}
	f.reopen()
	if !f.Valid(token) {
		t.Error("a restart of the box logged everybody out")
	}
	raw, err := os.ReadFile(filepath.Join(f.dir, "box.db"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(token)) || bytes.Contains(raw, []byte(password)) {
		t.Error("a session or the password can be read from the store")
	}
	if err := f.Logout(ctx, token); err != nil || f.Valid(token) || !f.Valid(other) {
		t.Errorf("after logout: %v, %t, %t", err, f.Valid(token), f.Valid(other))
	}
	if err := f.SetPassword(ctx, "vier andere losse woorden"); err != nil || f.Valid(other) {
		t.Errorf("a new password ends every session: %v", err)
	}
	f.reopen()
	if f.Valid(other) {
		t.Error("a restart brought an ended session back")
	}
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFront(t)
		if err := f.First(t.Context(), f.code(), password); err != nil {
			t.Fatal(err)
		}
		token, err := f.Login(t.Context(), "192.0.2.1", "", password)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(SessionFor + time.Minute)
		if f.Valid(token) {
			t.Error("a session without an end")
		}
		if err := f.sweep(t.Context()); err != nil || len(f.sessions) != 0 {
			t.Errorf("%d sessions are kept, %v", len(f.sessions), err)
		}
	})
}

func TestGuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFront(t)
		f.memory = 64 // what is counted here are the tries, not what each costs
		ctx := t.Context()
		if err := f.First(ctx, f.code(), password); err != nil {
			t.Fatal(err)
		}
		tries := 0
		for begun := time.Now(); time.Since(begun) < 10*time.Minute; time.Sleep(time.Second) {
			if _, err := f.Login(ctx, "192.0.2.9", "", "wrong wrong wrong"); errors.Is(err, ErrPassword) {
				tries++
			}
		}
		if tries > 66 {
			t.Errorf("%d guesses in ten minutes", tries)
		}
		if _, err := f.Login(ctx, "192.0.2.1", "", password); err != nil {
			t.Errorf("who guesses elsewhere keeps the shop out: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := f.Login(ctx, "192.0.2.9", "", password); err != nil {
			t.Errorf("after a while: %v", err)
		}
	})
}
