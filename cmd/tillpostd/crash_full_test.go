package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tillpost/queue"
)

// TestDiskOf20MBFillsUp accepts messages on a file system of 20 MB until the
// daemon refuses them, in words; then others take the very last of the disk.
// The daemon is killed, starts again on the full disk, and everything that was
// accepted goes out, once. With room again it accepts again.
func TestDiskOf20MBFillsUp(t *testing.T) {
	t.Parallel()
	if why := noLoopDisk(t); why != "" {
		notRun(t, "disk of 20 MB", why)
		return
	}
	bin := build(t, "")
	c := newCenter(t, "127.0.0.1:"+freePort(t))
	b := newBox(t, bin, c.table("operator", 10))
	disk := newLoopDisk(t, filepath.Join(b.dir, "data"), 20)
	defer disk.unmount()
	defer b.kill()
	b.start("-log", "info")
	b.makeKey("send,read,admin")

	o := newOrdeal(t, b, 0, 1, c)
	for _, status := range o.flood(t.Context()) {
		if status != http.StatusInsufficientStorage {
			t.Errorf("a till was answered %d on a full disk", status)
		}
	}
	if len(o.accepted) < 1000 {
		t.Errorf("a disk of 20 MB was full after %d messages", len(o.accepted))
	}
	giveBack := ballast(t, disk.dir)
	if p := b.refusal(hello("+31612345679", "not any more"), http.StatusInsufficientStorage); p.Code != "disk_low" || p.Detail == "" {
		t.Errorf("the refusal says %+v", p)
	}

	b.kill()
	c.start(t, bin, "-receipt-after", "100ms")
	o.start()
	o.drained()
	o.reported()
	for _, v := range o.violations() {
		t.Error(v)
	}
	delivered := len(b.list(string(queue.Delivered)))
	if delivered != len(o.accepted) {
		t.Errorf("%d of %d messages were delivered", delivered, len(o.accepted))
	}
	giveBack()
	eventually(t, "there is room again", func() (bool, string) {
		status, err := b.call("POST", "/api/v1/messages", hello("+31612345679", "again"), nil)
		return err == nil && status == http.StatusAccepted, fmt.Sprint(status, err)
	})
	t.Logf("disk of 20 MB: %d accepted, then refused with 507; %d delivered while not a byte was free", len(o.accepted), delivered)
}

// ballast takes what is left of a disk, to the last block, and returns what
// gives it back.
func ballast(t testing.TB, dir string) (giveBack func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, chunk))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
