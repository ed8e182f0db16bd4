package modem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// desk is a modem on a real pseudo-terminal.
type desk struct {
	cell *sim.Cell
	peer *sim.Modem
	link string // stands for /dev/ttyUSB2
}

func newDesk(t testing.TB, cfg sim.Config) *desk {
	t.Helper()
	d := &desk{cell: sim.NewCell(sim.CellConfig{}), link: filepath.Join(t.TempDir(), "modem")}
	d.peer = sim.New(d.cell, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var serve sync.WaitGroup
	up := make(chan struct{}, 8)
	serve.Go(func() {
		if err := d.peer.ServePTY(ctx, d.link, func(string) { up <- struct{}{} }); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the simulated modem: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serve.Wait()
		d.cell.Close()
	})
	select {
	case <-up:
	case <-time.After(10 * time.Second):
		t.Fatal("no pseudo-terminal")
	}
	return d
}

// run runs a Modem on the desk until the test ends, and waits for ready.
func (d *desk) run(t testing.TB, cfg Config) (*Modem, *sink) {
	t.Helper()
	cfg.Name, cfg.Port, cfg.Memory, cfg.LockDir = "counter", d.link, &memory{}, t.TempDir()
	m, s := New(cfg), newSink()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	s.mustBe(t, route.Ready)
	return m, s
}

func (s *sink) mustBe(t testing.TB, state route.State) route.Status {
	t.Helper()
	st, ok := s.until(func(s route.Status) bool { return s.State == state }, 30*time.Second)
	if !ok {
		t.Fatalf("never %s: %+v", state, st)
	}
	return st
}

// descriptors this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestOnARealTerminal(t *testing.T) {
	d := newDesk(t, sim.Config{})
	before := descriptors(t)
	t.Run("sends_and_is_told", func(t *testing.T) {
		m, s := d.run(t, Config{})
		long := strings.Repeat("Tot ziens in de winkel! ", 20)
		if _, err := m.Send(t.Context(), out(t, "m1", "+31612345678", long)); err != nil {
			t.Fatal(err)
		}
		if !s.wait(30*time.Second, func() bool { return len(s.reports) == 4 }) {
			t.Fatalf("reports %+v", s.reports)
		}
		if msgs := d.cell.Messages(); len(msgs) != 1 || msgs[0].Text != long {
			t.Errorf("arrived %+v", msgs)
		}
	})
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	t.Run("again_after_being_closed", func(t *testing.T) {
		m, _ := d.run(t, Config{})
		if _, err := m.Send(t.Context(), out(t, "m2", "+31612345678", "again")); err != nil {
			t.Fatal(err)
		}
	})
}

// The terminal vanishes and comes back as another device behind the link.
func TestRealTerminalReplugged(t *testing.T) {
	d := newDesk(t, sim.Config{})
	m, s := d.run(t, Config{})
	before := descriptors(t)
	for i := range 3 {
		if err := d.peer.Play("unplug for 300ms"); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.until(func(s route.Status) bool { return s.State != route.Ready }, 10*time.Second); !ok {
			t.Fatal("the loss was not noticed")
		}
		s.mustBe(t, route.Ready)
		if _, err := m.Send(t.Context(), out(t, fmt.Sprint(i), "+31612345678", fmt.Sprint("after ", i))); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after three replugs", before, after)
	}
}

func openDesk(t *testing.T, path string) (string, error) {
	t.Helper()
	p, err := openPort(Config{Port: path, LockDir: t.TempDir()})
	if err != nil {
		e, ok := errors.AsType[*portError](err)
		if !ok {
			t.Fatalf("%v is no portError", err)
		}
		return e.code, err
	}
	return "", p.Close()
}

func TestPortsThatDoNotOpenSayWhy(t *testing.T) {
	d := newDesk(t, sim.Config{})
	if code, err := openDesk(t, d.link); err != nil {
		t.Fatalf("a good one: %s, %v", code, err)
	}
	if code, err := openDesk(t, "/dev/ttyUSB-none"); code != "modem_gone" || !strings.Contains(err.Error(), "plug the modem in, or correct the port") {
		t.Errorf("a missing one: %s, %v", code, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, err := openDesk(t, file); code != "port_wrong" || !strings.Contains(err.Error(), "not a serial line") {
		t.Errorf("a file: %s, %v", code, err)
	}
}

func TestPortHeldByAnother(t *testing.T) {
	d := newDesk(t, sim.Config{})
	device, err := filepath.EvalSymlinks(d.link)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("of_our_kind", func(t *testing.T) {
		p, err := openPort(Config{Port: d.link, LockDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if code, err := openDesk(t, d.link); code != "port_busy" || !strings.Contains(err.Error(), device+" is held by") {
			t.Errorf("%s, %v", code, err)
		}
	})
	t.Run("with_a_lock_file", func(t *testing.T) {
		other := exec.Command("sleep", "60")
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		lock := filepath.Join(dir, "LCK..pts_"+filepath.Base(device))
		if err := os.WriteFile(lock, fmt.Appendf(nil, "%10d\n", other.Process.Pid), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := openPort(Config{Port: d.link, LockDir: dir})
		want := fmt.Sprintf("held by sleep (process %d)", other.Process.Pid)
		if e, ok := errors.AsType[*portError](err); !ok || e.code != "port_busy" || !strings.Contains(e.detail, want) {
			t.Errorf("%v, want that it is %s", err, want)
		}
		other.Process.Kill()
		other.Wait()
		p, err := openPort(Config{Port: d.link, LockDir: dir})
		if err != nil {
			t.Fatalf("the lock of a dead process: %v", err)
		}
		if pid := lockedBy(lock); pid != os.Getpid() {
			t.Errorf("the lock names %d", pid)
		}
		p.Close()
		if exists(lock) {
			t.Error("the lock stays after Close")
		}
	})
}

// library-facts §9.4, trap §4.1: a write after Close must not go to whatever
// file has the descriptor's number now.
func TestWriteAfterCloseHitsNoOtherFile(t *testing.T) {
	d := newDesk(t, sim.Config{})
	for range 20 {
		p, err := openPort(Config{Port: d.link, LockDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		var files []*os.File
		for i := range 8 { // one of them gets the number
			f, err := os.Create(filepath.Join(t.TempDir(), fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		if n, err := p.Write([]byte("AT+CMGS=1\r")); err == nil || n != 0 {
			t.Errorf("a write after Close wrote %d bytes, %v", n, err)
		}
		for _, f := range files {
			if st, err := f.Stat(); err != nil || st.Size() != 0 {
				t.Fatalf("%s was written to: %v", f.Name(), err)
			}
			f.Close()
		}
	}
}

// library-facts §9.3, trap §4.2, on a real descriptor: a peer that does not
// read. The write ends by its deadline, and Close frees one that blocks.
func TestTerminalThatStopsReading(t *testing.T) {
	master, path, err := sim.OpenPTY("")
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	p, err := openPort(Config{Port: path, LockDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	p.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := p.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a full line: %v", err)
	}
	p.SetWriteDeadline(time.Time{})
	ended := make(chan error, 1)
	go func() {
		_, err := p.Write(make([]byte, 1<<20))
		ended <- err
	}()
	p.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a write to a full line succeeded")
		}
	case <-time.After(10 * time.Second):
		t.Error("Close does not free a blocked write")
	}
}

func TestRefusalsOfTheSystemInWords(t *testing.T) {
	for err, code := range map[error]string{
		syscall.ENOENT: "modem_gone", syscall.ENXIO: "modem_gone", syscall.ENODEV: "modem_gone", syscall.EIO: "modem_gone",
		syscall.EBUSY: "port_busy", syscall.EACCES: "port_denied", syscall.EPERM: "port_denied", syscall.EMFILE: "modem_gone",
	} {
		e := refused("/dev/ttyUSB9", &os.PathError{Op: "open", Path: "/dev/ttyUSB9", Err: err})
		if e.code != code || !strings.Contains(e.detail, "/dev/ttyUSB9") || !errors.Is(e, err) {
			t.Errorf("%v: %+v", err, e)
		}
	}
}

// BenchmarkOverhead: a zero-latency modem on a pseudo-terminal, its own answer
// time subtracted by nothing. Budget: 20 ms per message, 40 messages/s.
func BenchmarkOverhead(b *testing.B) {
	d := newDesk(b, sim.Config{})
	m, _ := d.run(b, Config{})
	msg := out(b, "m", "+31612345678", "hellohello")
	msg.Report = false
	for b.Loop() {
		if _, err := m.Send(b.Context(), msg); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkOverheadWithReports: as the default profile, each message with its
// report committed and acknowledged between the next ones.
func BenchmarkOverheadWithReports(b *testing.B) {
	d := newDesk(b, sim.Config{})
	m, s := d.run(b, Config{})
	msg := out(b, "m", "+31612345678", "hellohello")
	n := 0
	for b.Loop() {
		if _, err := m.Send(b.Context(), msg); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
	if !s.wait(time.Minute, func() bool { return len(s.reports) >= n }) {
		b.Errorf("%d messages, %d reports", n, len(s.reports))
	}
}
