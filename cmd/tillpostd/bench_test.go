package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The figures of design.md §8 that only the real binary has. Each benchmark
// runs once (-benchtime=1x, see cross/bench.sh) for as long as its figure
// needs, and reports what it means in words instead of ns/op.

func report1(b *testing.B, value float64, unit string) {
	b.ReportMetric(0, "ns/op") // says nothing here: leave it out
	b.ReportMetric(value, unit)
}

// What the modem waits for us, on a modem that answers at once, and how busy
// one is kept that takes its time.
func BenchmarkModem(b *testing.B) {
	for _, run := range []struct {
		latency  time.Duration
		messages int
	}{{0, 500}, {300 * time.Millisecond, 40}, {3 * time.Second, 12}} {
		b.Run("latency="+run.latency.String(), func(b *testing.B) {
			bin := build(b, "")
			radio := startRadio(b, bin, "-latency", run.latency.String())
			box := newBox(b, bin, modemTable("counter", radio.port))
			box.start("-log", "info")
			box.makeKey("send,read")
			box.must("modem", "counter", "status")
			for b.Loop() {
				for i := range run.messages {
					box.post(hello(fmt.Sprintf("+316120%05d", 10*i+9), fmt.Sprintf("Order %d is ready.", i)))
				}
				box.cellHas(radio, run.messages)
				var at []time.Time
				for _, e := range radio.seen(b) {
					if e.Kind == "submit" {
						at = append(at, e.Time)
					}
				}
				slices.SortFunc(at, time.Time.Compare)
				each := at[len(at)-1].Sub(at[0]) / time.Duration(len(at)-1)
				report1(b, float64(time.Second)/float64(each), "messages/s")
				b.ReportMetric((each-run.latency).Seconds()*1000, "ms-overhead/SMS")
				if run.latency > 0 {
					b.ReportMetric(100*run.latency.Seconds()/each.Seconds(), "%busy")
					over := each - run.latency
					b.ReportMetric(100*3/(3+over.Seconds()), "%busy-of-a-3s-modem")
				}
			}
		})
	}
}

// cellHas waits until the network has seen n submits.
func (b *box) cellHas(r *radio, n int) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("the cell has %d messages", n), func() (bool, string) {
		have := 0
		for _, e := range r.seen(b.t) {
			if e.Kind == "submit" {
				have++
			}
		}
		return have >= n, strconv.Itoa(have)
	})
}

// From a message handed to a box at rest to its PDU at the network.
func BenchmarkFirstPDU(b *testing.B) {
	bin := build(b, "")
	radio := startRadio(b, bin)
	box := newBox(b, bin, modemTable("counter", radio.port))
	box.start("-log", "info")
	box.makeKey("send,read")
	box.becomes(box.post(hello("+31612345678", "warm")).ID, "delivered")
	for b.Loop() {
		var all []time.Duration
		for i := range 10 {
			<-time.After(300 * time.Millisecond) // at rest
			text := fmt.Sprintf("first %d", i)
			began := time.Now()
			box.post(hello("+31612345678", text))
			eventually(b, "the cell has it", func() (bool, string) { return radio.submits(b)[text] == 1, "" })
			for _, e := range radio.seen(b) {
				if e.Kind == "submit" && e.Text == text {
					all = append(all, e.Time.Sub(began))
				}
			}
		}
		slices.Sort(all)
		report1(b, all[len(all)/2].Seconds()*1000, "ms-median")
		b.ReportMetric(all[len(all)-1].Seconds()*1000, "ms-worst")
	}
}

// From exec to the first 202.
func BenchmarkStart(b *testing.B) {
	box := newBox(b, build(b, ""), "")
	box.start()
	box.makeKey("send")
	box.stop()
	for b.Loop() {
		var all []time.Duration
		for n := range 5 {
			began := time.Now()
			box.start()
			box.post(hello("+31612345678", fmt.Sprint("number ", n)))
			all = append(all, time.Since(began))
			box.stop()
		}
		slices.Sort(all)
		report1(b, all[len(all)/2].Seconds()*1000, "ms-to-first-202")
	}
}

// A quiet minute with two modems watched.
func BenchmarkIdleMinute(b *testing.B) {
	bin := build(b, "")
	radio := startRadio(b, bin, "-n", "2")
	box := newBox(b, bin, modemTable("counter", radio.port)+modemTable("office", radio.port+"2"))
	box.start("-log", "info")
	box.makeKey("send,read")
	box.becomes(box.post(hello("+31612345678", "one")).ID, "delivered")
	eventually(b, "both modems are ready", func() (bool, string) {
		out := box.must("routes")
		return strings.Count(out, "ready") == 2, out
	})
	<-time.After(3 * time.Second) // what the message left behind
	for b.Loop() {
		cpu, written := box.spent()
		<-time.After(time.Minute)
		cpu2, written2 := box.spent()
		report1(b, (cpu2 - cpu).Seconds(), "CPU-s/min")
		b.ReportMetric(float64(written2-written)/1024, "KB-written/min")
		total, anonymous := box.resident()
		b.ReportMetric(total, "MB-RSS")
		b.ReportMetric(anonymous, "MB-anonymous")
	}
}

// spent reads what the daemon has used of the processor and given to the disk.
func (b *box) spent() (cpu time.Duration, written int64) {
	b.t.Helper()
	return cpuOf(b.t, b.pid()), procField(b.t, b.pid(), "io", "write_bytes:")
}

// resident is the daemon's memory in MB: all of it, and without file pages.
func (b *box) resident() (total, anonymous float64) {
	b.t.Helper()
	return float64(procField(b.t, b.pid(), "status", "VmRSS:")) / 1024, float64(procField(b.t, b.pid(), "status", "RssAnon:")) / 1024
}

func (b *box) pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cmd.Process.Pid
}

// cpuOf is what a process has used of the processors.
func cpuOf(t testing.TB, pid int) (cpu time.Duration) {
	t.Helper()
	stat := proc(t, pid, "stat")
	words := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	for _, i := range []int{11, 12} { // utime and stime in ticks of 10 ms, proc(5)
		ticks, err := strconv.ParseInt(words[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	return cpu
}

// procField reads a number that has a name in a file of /proc/PID.
func procField(t testing.TB, pid int, file, name string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(procWord(t, pid, file, name), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// procWord reads the word behind a name in a file of /proc/PID.
func procWord(t testing.TB, pid int, file, name string) string {
	t.Helper()
	for line := range strings.Lines(proc(t, pid, file)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			return words[1]
		}
	}
	t.Fatalf("no %s in /proc/%d/%s", name, pid, file)
	return ""
}

func proc(t testing.TB, pid int, file string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
