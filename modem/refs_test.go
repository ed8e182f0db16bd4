package modem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// Issue 4, point 6: which report settles which lost part, and which none.
func TestReadingOfAReport(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	const anna, bert = "+31612345678", "+31687654321"
	lose := func(r *refs, id, to string) {
		r.loses(lostPart{ID: id, To: to, At: now, Until: now.Add(24 * time.Hour)})
	}
	for _, tc := range []struct {
		name   string
		before func(r *refs)
		mr     int
		to     string
		after  time.Duration
		want   reading
		id     string
	}{
		{"the next reference", func(r *refs) { r.answered(16, bert, now); lose(r, "m", anna) }, 17, anna, 0, settles, "m"},
		{"spelled as the network spells it", func(r *refs) { r.answered(16, bert, now); lose(r, "m", anna) }, 17, "0612345678", 0, settles, "m"},
		{"round the corner at 256", func(r *refs) { r.answered(255, bert, now); lose(r, "m", anna) }, 0, anna, 0, settles, "m"},
		{"another recipient", func(r *refs) { r.answered(16, bert, now); lose(r, "m", anna) }, 17, bert, 0, ordinary, ""},
		{"another reference", func(r *refs) { r.answered(16, bert, now); lose(r, "m", anna) }, 42, anna, 0, strange, ""},
		{"too late", func(r *refs) { r.answered(16, bert, now); lose(r, "m", anna) }, 17, anna, 25 * time.Hour, ordinary, ""},
		{"the second of two lost ones, of which the first may not have gone", func(r *refs) {
			r.answered(16, bert, now)
			lose(r, "m", bert)
			lose(r, "n", anna)
		}, 17, anna, 0, settles, "n"},
		{"two lost ones to one phone: either could be meant", func(r *refs) {
			r.answered(16, bert, now)
			lose(r, "m", anna)
			lose(r, "n", anna)
		}, 18, anna, 0, settles, "n"}, // 18 cannot be the first's
		{"the same, and the reference of either", func(r *refs) {
			r.answered(16, bert, now)
			lose(r, "m", anna)
			lose(r, "n", anna)
		}, 17, anna, 0, ordinary, ""},
		{"a message that has this reference went to the same phone", func(r *refs) {
			r.answered(17, anna, now.Add(-time.Hour))
			r.answered(16, bert, now)
			lose(r, "m", anna)
		}, 17, anna, 0, ordinary, ""},
		{"the modem restarted before: it may count from anywhere", func(r *refs) {
			r.answered(16, bert, now)
			r.forget()
			lose(r, "m", anna)
		}, 17, anna, 0, ordinary, ""},
		{"a modem that says 0 each time", func(r *refs) {
			r.answered(0, bert, now)
			r.answered(0, bert, now)
			lose(r, "m", anna)
		}, 1, anna, 0, ordinary, ""},
		{"it was sent again since", func(r *refs) { r.answered(16, bert, now); lose(r, "m", anna); r.settled("m", 0) }, 17, anna, 0, ordinary, ""},
		{"nothing is lost", func(r *refs) { r.answered(16, anna, now) }, 17, anna, 0, ordinary, ""},
	} {
		r := &refs{last: -1}
		tc.before(r)
		p, what := r.read(tc.mr, tc.to, now.Add(tc.after))
		if what != tc.want || p.ID != tc.id {
			t.Errorf("%s: it is read as %d of %q, want %d of %q", tc.name, what, p.ID, tc.want, tc.id)
		}
	}
}

func TestSameEnd(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"+31612345678", "0612345678", true}, {"+31612345678", "0031612345678", true}, {"+31 6 12345678", "31612345678", true},
		{"+31612345678", "+31612345679", false}, {"8080", "8080", true}, {"8080", "+31612348080", false}, {"8080", "080", false},
	} {
		if sameEnd(tc.a, tc.b) != tc.same {
			t.Errorf("%s and %s: same is %v", tc.a, tc.b, !tc.same)
		}
	}
}

// The network has the message, the answer is lost, and the report comes: the
// message is named, and the words say how that was decided.
func TestLostMessageIsSettledByItsReport(t *testing.T) {
	for name, restart := range map[string]bool{"while_we_run": false, "after_a_restart_of_the_daemon": true} {
		bubble(t, name, func(t *testing.T) {
			mem := &memory{}
			b := plug(t, setUp{kept: true, cell: sim.CellConfig{ReportAfter: 10 * time.Minute}, modem: Config{SendTimeout: 10 * time.Second, Memory: mem}})
			b.mustSend("m0")
			b.play("answer: hang")
			if _, err := b.send("m1", "+31698765432", "lost"); fate(err) != route.Unknown {
				t.Fatalf("%v", err)
			}
			if restart {
				b = b.again(t)
			}
			b.ready()
			var found route.Report
			for _, r := range b.reports(2) {
				if r.ID != "" {
					found = r
				}
			}
			if found.ID != "m1" || found.State != route.ReportDelivered || found.Ref != "1" || !strings.Contains(found.Why, "1 is the next reference") {
				t.Errorf("%+v", found)
			}
			synctest.Wait()
			if kept, err := mem.Load(lostKey(found.Identity)); err != nil || string(kept) != "[]" && string(kept) != "null" {
				t.Errorf("it is still written down as lost: %s, %v", kept, err)
			}
		})
	}
}

// A report about a message that somebody else sent from this SIM to the same
// phone settles nothing.
func TestStrangeReportSettlesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{kept: true, cell: sim.CellConfig{Magic: true}, modem: Config{SendTimeout: 10 * time.Second}})
		b.mustSend("m0")
		b.reports(1)
		if _, err := b.send("m1", "+31698760003", "lost on the air"); fate(err) != route.Unknown {
			t.Fatalf("%v", err)
		}
		b.ready()
		const pdu = "0006C80B911396780600F3" + "62114221400000" + "62114221400000" + "00" // TP-MR 200
		b.play(fmt.Sprintf("at 1s: urc +CDS: %d\nat 1100ms: urc %s", len(pdu)/2-1, pdu))
		if r := b.reports(2)[1]; r.ID != "" || !r.Strange || r.Ref != "200" {
			t.Errorf("%+v", r)
		}
	})
}

// TP-MR comes round at 256: every report names the reference of its own part,
// each once, also where the network repeats itself, spells the number in its
// own way and leaves its SMSC out.
func TestReportsOfAnOddNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{
			cell: sim.CellConfig{Bare: true, Reports: sim.ReportStyle{National: true, Twice: true, Pending: true}},
			peer: sim.Config{FirstMR: 253},
		})
		for i := range 6 {
			r := b.mustSend(fmt.Sprint(i))
			if want := fmt.Sprint((253 + i) % 256); r.Parts[0].Ref != want {
				t.Errorf("message %d has reference %s, want %s", i, r.Parts[0].Ref, want)
			}
		}
		keys, final := map[string]int{}, map[string]bool{}
		for _, r := range b.reports(24) {
			keys[r.Key]++
			if r.State == route.ReportDelivered {
				final[r.Ref] = true
			}
			if !sameEnd(r.To, "+31612345678") {
				t.Errorf("the report is about %q", r.To)
			}
		}
		if len(final) != 6 || len(keys) != 12 {
			t.Errorf("%d references were delivered, under %d keys, want 6 and 12", len(final), len(keys))
		}
		for k, n := range keys {
			if n != 2 {
				t.Errorf("%s came %d times, want the repeat under the same key", k, n)
			}
		}
	})
}

// again restarts the daemon: a new Modem at the same modem, with the same
// memory and the same sink.
func (b *bench) again(t *testing.T) *bench {
	t.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
	b.modem = New(b.modem.cfg)
	b.modem.open, b.modem.present = b.open, b.present
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.ended <- b.modem.Run(ctx, b.sink) }()
	return b
}

var errDisk = errors.New("the disk is full")
