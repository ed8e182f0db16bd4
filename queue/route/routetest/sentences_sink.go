package routetest

import (
	"errors"
	"fmt"
	"testing"

	"tillpost/queue/route"
)

var errStore = errors.New("the store is full")

// sinkSentences are about what the network tells the queue.
var sinkSentences = []sentence{
	{name: "an inbound message comes with its sender, text and identity", needs: inbound, test: func(t *testing.T, b *bench) {
		b.Deliver("Hello till")
		b.eventually("the message is told", func() bool { return len(b.sink.inbox()) == 1 })
		in := b.sink.inbox()[0]
		if in.Route != b.Route.Name() || in.Identity == "" || in.Text != "Hello till" || in.Undecodable || in.From == "" || b.From != "" && in.From != b.From {
			t.Errorf("it says %+v", in)
		}
		b.eventually("it is acknowledged", func() bool { return b.Acked() == 1 })
	}},
	{name: "what Received refused is not acknowledged, and told again", needs: inbound, test: func(t *testing.T, b *bench) {
		var acked []int
		fail := true
		b.sink.onReceive(func(route.Inbound) error {
			acked = append(acked, b.Acked())
			if fail {
				fail = false
				return errStore
			}
			return nil
		})
		b.Deliver("first")
		b.eventually("the message is told", func() bool { return len(b.sink.inbox()) >= 1 })
		b.retell()
		b.eventually("the message is told again", func() bool { return len(b.sink.inbox()) >= 2 })
		b.eventually("it is acknowledged", func() bool { return b.Acked() == 1 })
		b.Deliver("second") // comes after whatever else there was to say
		b.eventually("the next is told", func() bool { return b.Acked() == 2 })

		got := b.sink.inbox()
		if len(got) != 3 || got[0].Text != "first" || got[1].Text != "first" || got[2].Text != "second" {
			t.Fatalf("told were %+v", got)
		}
		if got[0].Key != got[1].Key && got[0].Key != "" {
			t.Errorf("one message has the keys %q and %q", got[0].Key, got[1].Key)
		}
		if got[2].Key == got[1].Key && got[2].Key != "" {
			t.Errorf("two messages have the key %q", got[2].Key)
		}
		if acked[1] != 0 {
			t.Error("it was acknowledged before it was taken")
		}
	}},
	{name: "a report carries identity and reference as its part does", needs: reports, test: func(t *testing.T, b *bench) {
		p := b.accepted("1")
		b.Report(b.To, p)
		b.eventually("the report is told", func() bool { return len(b.sink.reports()) == 1 })
		r := b.sink.reports()[0]
		if r.Route != b.Route.Name() || r.Identity != p.Identity || r.Ref != p.Ref || r.State != route.ReportDelivered {
			t.Errorf("it says %+v, the part is %+v", r, p)
		}
		b.eventually("it is acknowledged", func() bool { return b.Acked() == 1 })
	}},
	{name: "what Reported refused is not acknowledged, and told again", needs: reports, test: func(t *testing.T, b *bench) {
		var acked []int
		fail := true
		b.sink.onReport(func(route.Report) error {
			acked = append(acked, b.Acked())
			if fail {
				fail = false
				return errStore
			}
			return nil
		})
		first, second := b.accepted("1"), b.accepted("2")
		b.Report(b.To, first)
		b.eventually("the report is told", func() bool { return len(b.sink.reports()) >= 1 })
		b.retell()
		b.eventually("the report is told again", func() bool { return len(b.sink.reports()) >= 2 })
		b.eventually("it is acknowledged", func() bool { return b.Acked() == 1 })
		b.Report(b.To, second)
		b.eventually("the next is told", func() bool { return b.Acked() == 2 })

		got := b.sink.reports()
		if len(got) != 3 || got[0].Ref != first.Ref || got[1].Ref != first.Ref || got[2].Ref != second.Ref {
			t.Fatalf("told were %+v", got)
		}
		if got[0].Key != got[1].Key && got[0].Key != "" {
			t.Errorf("one report has the keys %q and %q", got[0].Key, got[1].Key)
		}
		if got[2].Key == got[1].Key && got[2].Key != "" {
			t.Errorf("two reports have the key %q", got[2].Key)
		}
		if acked[1] != 0 {
			t.Error("it was acknowledged before it was taken")
		}
	}},
	{name: "what one phone says is told in order, one thing at a time", needs: inbound, test: func(t *testing.T, b *bench) {
		const n = 10
		for i := range n {
			b.Deliver(fmt.Sprint("message ", i))
		}
		b.eventually("all are told", func() bool { return b.Acked() == n })
		got := b.sink.inbox()
		if len(got) != n {
			t.Fatalf("%d messages were told %d times", n, len(got))
		}
		for i, in := range got {
			if in.Text != fmt.Sprint("message ", i) {
				t.Errorf("number %d is %q", i, in.Text)
			}
		}
		if o := b.sink.overlapped(); o > 0 {
			t.Errorf("%d calls began while another ran", o)
		}
	}},
	{name: "a slow Received holds up neither Send nor Changed", needs: inbound, test: func(t *testing.T, b *bench) {
		inside, leave := make(chan struct{}), make(chan struct{})
		first := true
		b.sink.onReceive(func(route.Inbound) error {
			if first {
				first = false
				close(inside)
				<-leave
			}
			return nil
		})
		defer close(leave)
		b.Deliver("slow")
		b.finished("the message is told", inside)
		out := b.message("1", "meanwhile")
		b.carried(b.send(t.Context(), out), out)
		b.Drop()
		b.eventually("the loss is published", func() bool { return b.sink.status().State != route.Ready })
	}},
}

// accepted has one message of one part carried, and returns the part.
func (b *bench) accepted(id string) route.Part {
	b.t.Helper()
	out := b.message(id, "report me")
	v := b.send(b.t.Context(), out)
	b.carried(v, out)
	return v.receipt.Parts[0]
}
