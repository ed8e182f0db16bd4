package queue

import (
	"bytes"
	"os"
	"testing"
	"time"

	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
)

// rot flips one bit of the disk wherever these bytes stand.
func rot(t *testing.T, path, what string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for at := 0; ; at++ {
		n := bytes.Index(raw[at:], []byte(what))
		if n < 0 {
			break
		}
		at += n
		if _, err := f.WriteAt([]byte{raw[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found == 0 {
		t.Fatalf("%q is not on the disk", what)
	}
}

// One flipped bit in one message that waits: the others leave, lists go on
// without it, and a person is told.
func TestARottenMessageHoldsNobodyUp(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		first := b.add(Draft{To: anna, Text: "The quick brown one"})
		var others []ID
		for _, to := range []string{bram, cees, dirk} {
			others = append(others, b.add(Draft{To: to}))
		}
		rot(t, b.db.Path(), "The quick brown one")
		if err := b.q.Attach(routetest.NewFake("counter"), ""); err != nil {
			t.Fatal(err)
		}
		b.later(time.Minute)
		for _, id := range others {
			b.want(id, Sent, "wait_report")
		}
		list, _, err := b.q.List(Filter{})
		if err != nil || len(list) != len(others) {
			t.Errorf("%d messages are listed, want %d (%v)", len(list), len(others), err)
		}
		if _, err := b.q.Get(first); err != ErrNotFound {
			t.Errorf("the one that rotted: %v", err)
		}
		if n := b.q.alive(); n != 0 {
			t.Errorf("%d are counted as waiting", n)
		}
		asides, err := b.db.Asides()
		if err != nil || len(asides) != 1 || asides[0].Table != "message" || !bytes.Contains(asides[0].Raw, []byte("he quick brown one")) {
			t.Errorf("set aside: %+v, %v", asides, err)
		}
		if b.db.LastAside().IsZero() {
			t.Error("nobody is told")
		}
		if _, err := b.q.Erase(t.Context(), anna, "test"); err != nil {
			t.Fatal(err)
		}
		if asides, err := b.db.Asides(); err != nil || len(asides) != 1 || asides[0].Raw != nil {
			t.Errorf("after an erasure, which it may be about: %+v, %v", asides, err)
		}
		told := 0
		if err := b.db.View(func(tx *store.Tx) error {
			for e, err := range events.Scan(tx, nil) {
				if err != nil {
					return err
				}
				if e.Code == asideCode && e.Msg == first {
					told++
				}
			}
			return nil
		}); err != nil || told != 1 {
			t.Errorf("%d events tell of it, want 1 (%v)", told, err)
		}
	})
}

// A list is what meets it first, and the next start counts without it.
func TestAListGoesOnWithoutARottenMessage(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		b.add(Draft{To: anna, Text: "The quick brown one"})
		kept := b.add(Draft{To: bram})
		rot(t, b.db.Path(), "The quick brown one")
		for range 2 {
			if list, _, err := b.q.List(Filter{}); err != nil || len(list) != 1 || list[0].ID != kept {
				t.Fatalf("%d messages are listed (%v)", len(list), err)
			}
		}
		b.close()
		b.open(routetest.NewFake("counter"))
		if b.db.LastAside().IsZero() {
			t.Error("the next start has forgotten it")
		}
		b.later(time.Minute)
		b.want(kept, Sent, "wait_report")
	})
}
