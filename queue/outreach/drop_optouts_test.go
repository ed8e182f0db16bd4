package outreach

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// A system that reads files learns day by day who wants no more advertising, and
// who does again: once each, across restarts, and of nobody who was erased.
func TestOptOutsStandInADailyFile(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.contact(Contact{ID: "k-7", FirstName: "Anna", Number: anna})
		f := b.folder()
		says := func(from, text string) {
			b.t.Helper()
			if err := modem.Deliver(route.Inbound{From: from, Text: text}); err != nil {
				b.t.Fatal(err)
			}
			b.later(5 * time.Second)
		}
		rows := func(day string, want ...string) {
			b.t.Helper()
			var got []string
			for i, line := range strings.Split(strings.TrimSpace(f.has("optouts-"+day+".csv.result")), "\n") {
				cells := strings.Split(line, ";")
				switch {
				case i == 0 && line != "" && line != "event;time;what;number;contact;by":
					b.t.Errorf("its head is %q", line)
				case i > 0:
					got = append(got, strings.Join(cells[2:], ";"))
				}
			}
			if strings.Join(got, "|") != strings.Join(want, "|") {
				b.t.Errorf("the file of %s says\n%s\nwant\n%s", day, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		b.later(5 * time.Second)
		rows("2026-11-24")

		says(anna, "Dank u wel")
		says(anna, "STOP")
		says(anna, "stop!") // a second one changes nothing
		says(bram, "STOP")
		rows("2026-11-24", "opt_out;'"+anna+";k-7;SMS", "opt_out;'"+bram+";;SMS")

		f.halt()
		if err := modem.Deliver(route.Inbound{From: anna, Text: "START"}); err != nil { // while nobody watches
			b.t.Fatal(err)
		}
		f.watch()
		b.later(5 * time.Second)
		rows("2026-11-24", "opt_out;'"+anna+";k-7;SMS", "opt_out;'"+bram+";;SMS", "opt_in;'"+anna+";k-7;SMS")

		time.Sleep(time.Until(clock(b, "2026-11-25T09:00")))
		says(cees, "STOP")
		rows("2026-11-25", "opt_out;'"+cees+";;SMS")
		f.halt()

		// Killed between the file and the note: the row is there once.
		d, err := b.o.OpenDrop(f.dir)
		if err != nil {
			b.t.Fatal(err)
		}
		d.place = &place{}
		if err := d.optOuts(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		rows("2026-11-25", "opt_out;'"+cees+";;SMS")
		if n, err := d.Forget(b.t.Context(), anna); n != 1 || err != nil {
			b.t.Errorf("erased in %d files, %v", n, err)
		}
		rows("2026-11-24", "opt_out;'"+bram+";;SMS")
		if err := d.Close(); err != nil {
			b.t.Error(err)
		}

		long := time.Now().Add(-31 * 24 * time.Hour)
		if err := os.Chtimes(filepath.Join(f.dir, "optouts-2026-11-24.csv.result"), long, long); err != nil {
			b.t.Fatal(err)
		}
		f.watch()
		b.later(5 * time.Second)
		rows("2026-11-24") // older than thirty days
		rows("2026-11-25", "opt_out;'"+cees+";;SMS")
		f.halt()
		if left, err := filepath.Glob(filepath.Join(f.dir, "*.part")); err != nil || len(left) > 0 {
			b.t.Errorf("%q was left, %v", left, err)
		}
	})
}
