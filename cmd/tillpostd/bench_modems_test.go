package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// 64 modems on one daemon: what they cost while they work and while they rest,
// and whether each gets its share. The modems take a second for a message, as
// good ones do.
func BenchmarkSixtyFourModems(b *testing.B) {
	const modems, each, latency = 64, 20, time.Second
	bin := build(b, "")
	radio := startRadio(b, bin, "-n", fmt.Sprint(modems), "-latency", latency.String())
	var tables strings.Builder
	for n := range modems {
		port := radio.port
		if n > 0 {
			port += fmt.Sprint(n + 1)
		}
		tables.WriteString(modemTable(fmt.Sprintf("modem%02d", n+1), port))
	}
	box := newBox(b, bin, tables.String())
	began := time.Now()
	box.start("-log", "info")
	box.makeKey("send,read")
	eventually(b, "all modems are ready", func() (bool, string) {
		out := box.must("routes")
		return strings.Count(out, "ready") == modems, out
	})
	ready := time.Since(began)
	for b.Loop() {
		cpu, _ := box.spent()
		for i := range modems * each {
			box.post(hello(fmt.Sprintf("+31612%06d", 10*i+9), fmt.Sprintf("Order %d is ready.", i)))
		}
		box.cellHas(radio, modems*each)
		busy, _ := box.spent()
		share := map[string]int{}
		var first, last time.Time
		for _, e := range radio.seen(b) {
			if e.Kind != "submit" {
				continue
			}
			share[e.IMEI]++
			if first.IsZero() || e.Time.Before(first) {
				first = e.Time
			}
			if e.Time.After(last) {
				last = e.Time
			}
		}
		var counts []int
		for _, n := range share {
			counts = append(counts, n)
		}
		slices.Sort(counts)
		if len(counts) != modems {
			b.Errorf("%d of %d modems carried something", len(counts), modems)
		}
		took := last.Sub(first) + latency
		report1(b, float64(modems*each)/took.Seconds(), "messages/s")
		b.ReportMetric(100*float64(each)*latency.Seconds()/took.Seconds(), "%busy")
		b.ReportMetric((busy-cpu).Seconds()*1000/(modems*each), "ms-CPU/message")
		b.ReportMetric(float64(counts[0]), "least-per-modem")
		b.ReportMetric(float64(counts[len(counts)-1]), "most-per-modem")
		b.ReportMetric(ready.Seconds(), "s-to-all-ready")

		<-time.After(5 * time.Second) // the reports
		cpu, _ = box.spent()
		<-time.After(20 * time.Second)
		rest, _ := box.spent()
		b.ReportMetric((rest-cpu).Seconds()*3, "CPU-s/min-at-rest")
		total, anonymous := box.resident()
		b.ReportMetric(total, "MB-RSS")
		b.ReportMetric(anonymous, "MB-anonymous")
	}
}
