package smpp

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

// BenchmarkSubmit measures submits per second through one bind with a window
// of 50 and 100 lanes, with an SMSC that answers at once and one that takes
// 50 ms. The client's own share: no queue, no disk.
func BenchmarkSubmit(b *testing.B) {
	for _, latency := range []time.Duration{0, 50 * time.Millisecond} {
		b.Run(fmt.Sprintf("window=50/latency=%s", latency), func(b *testing.B) {
			m := smsc.New(smsc.Config{Latency: latency})
			addr := serveSMSC(b, m)
			rec := newRecorder()
			c := newClient(b, addr, rec, func(cfg *Config) { cfg.Window = 50 })
			run(b, c, rec)
			rec.untilState(b, route.Ready)
			text := strings.Repeat("x", 100)
			var n atomic.Int64
			b.SetParallelism(100 / 2)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					out := message(int(n.Add(1)), text)
					out.Report = false
					if _, err := c.Send(context.Background(), out); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
		})
	}
}
