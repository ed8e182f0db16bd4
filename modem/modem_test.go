package modem

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

func TestSendsAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		s := b.ready()
		if s.Device == "" || s.Identity == "" || s.Model != "Generic SIM-1" || s.Lanes != 1 || s.Kind != "modem" {
			t.Errorf("status %+v", s)
		}
		rcpt, err := b.modem.Send(t.Context(), out(t, "m1", "+31612345678", "hellohello"))
		if err != nil || len(rcpt.Parts) != 1 || rcpt.Parts[0].State != route.PartSent || rcpt.Identity != s.Identity {
			t.Fatalf("%+v, %v", rcpt, err)
		}
		r := b.reports(1)[0]
		if r.Ref != rcpt.Parts[0].Ref || r.To != "+31612345678" || r.State != route.ReportDelivered || r.Identity != s.Identity || r.Key == "" {
			t.Errorf("report %+v for part %+v", r, rcpt.Parts[0])
		}
		long := strings.Repeat("De trein van Zwolle naar Meppel. ", 12)
		rcpt, err = b.modem.Send(t.Context(), out(t, "m2", "+31612345678", long))
		if err != nil || len(rcpt.Parts) != 3 || len(b.sink.parts) != 2 {
			t.Fatalf("%+v, %v, progress %+v", rcpt, err, b.sink.parts)
		}
		b.reports(4)
		msgs := b.cell.Messages()
		if len(msgs) != 2 || msgs[0].Text != "hellohello" || msgs[1].Text != strings.TrimRight(long, " ") && msgs[1].Text != long {
			t.Errorf("arrived %+v", msgs)
		}
		st, ok := b.sink.until(func(s route.Status) bool { return s.Signal != nil && s.Operator != "" }, time.Hour)
		if !ok || *st.Signal != -73 {
			t.Errorf("status %+v", st)
		}
	})
}

// A modem that takes 3 s per message never waits for us: not for its polls,
// nor for reports. Its own time is all that passes (virtual time, so this
// counts waits, not work; BenchmarkOverhead counts the work).
func TestSlowModemIsKeptBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, each = 100, 3 * time.Second
		b := plug(t, setUp{peer: sim.Config{Latency: each}})
		b.ready()
		start := time.Now()
		for i := range n {
			if _, err := b.send(fmt.Sprint(i), "+31612345678", "busy"); err != nil {
				t.Fatal(err)
			}
		}
		if busy := float64(n*each) / float64(time.Since(start)); busy < 0.99 {
			t.Errorf("the modem was busy %.1f %% of the time, want 99", 100*busy)
		}
	})
}

// Idle, the modem is asked a few things a minute and nothing is published that
// is not news.
func TestIdleIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.ready()
		time.Sleep(2 * time.Minute)
		before, news := strings.Count(b.trace.String(), "\r"), len(b.sink.statuses)
		time.Sleep(time.Hour)
		if n := strings.Count(b.trace.String(), "\r") - before; n > 60*8 {
			t.Errorf("%d commands in an idle hour", n)
		}
		if n := len(b.sink.statuses) - news; n > 0 {
			t.Errorf("%d statuses in an idle hour: %+v", n, b.sink.statuses[news:])
		}
	})
}
