package outreach

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// Who wants no advertising is listed newest first, page by page, with the
// contacts who have the number; who was erased is not.
func TestOptOutsAreListed(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		b.open(modem)
		b.contact(Contact{ID: "k-7", Number: anna})
		b.contact(Contact{ID: "k-8", Number: anna})
		for _, from := range []string{anna, bram, cees, dora} {
			if err := modem.Deliver(route.Inbound{From: from, Text: "STOP"}); err != nil {
				b.t.Fatal(err)
			}
			if from != cees { // two come in the same moment
				b.later(time.Minute)
			}
		}
		listed := func(page int) (got []string) {
			b.t.Helper()
			for after := ""; ; {
				list, next, err := b.o.OptOuts(after, page)
				if err != nil || len(list) > page {
					b.t.Fatal(len(list), err)
				}
				for _, o := range list {
					got = append(got, strings.TrimSpace(o.Number+" "+strings.Join(o.Contacts, " ")))
				}
				if after = next; after == "" {
					return got
				}
			}
		}
		want := listed(100)
		if len(want) != 4 || want[2] != bram || want[3] != anna+" k-7 k-8" {
			b.t.Errorf("%q", want)
		}
		for page := 1; page <= 4; page++ {
			if got := listed(page); !slices.Equal(got, want) {
				b.t.Errorf("by %d: %q, want %q", page, got, want)
			}
		}
		if _, err := b.q.Erase(b.t.Context(), bram, "test"); err != nil {
			b.t.Fatal(err)
		}
		if got := listed(100); len(got) != 3 || slices.Contains(got, bram) {
			b.t.Errorf("%q", got)
		}
	})
}
