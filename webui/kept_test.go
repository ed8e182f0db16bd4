package webui

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What takes a second to read is read once in twenty, and who was shown an old
// value is woken once when a new one may be read.
func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kept[int]
		reads, wakes := 0, 0
		get := func() int {
			v, err := k.get("a", func() { wakes++ }, func() (int, error) {
				time.Sleep(time.Second)
				reads++
				return reads, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		for range 5 {
			if v := get(); v != 1 {
				t.Errorf("read anew: %d", v)
			}
		}
		time.Sleep(keptShare * time.Second)
		synctest.Wait()
		if wakes != 1 {
			t.Errorf("woken %d times", wakes)
		}
		if v := get(); v != 2 {
			t.Errorf("after its time: %d", v)
		}
		if k.forget("a"); get() != 3 {
			t.Error("what was changed is not read anew")
		}
		k.forget("a")
		bad := errors.New("no")
		if _, err := k.get("a", nil, func() (int, error) { return 0, bad }); err != bad || len(k.last) != 0 {
			t.Errorf("an error was kept: %v", err)
		}
	})
}
