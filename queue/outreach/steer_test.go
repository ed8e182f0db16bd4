package outreach

import (
	"slices"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route/routetest"
)

// What a person paused goes on when a person says so, whatever its event does.
func TestAPausedCampaignStaysPausedWhenItsEventMoves(t *testing.T) {
	inBox(t, func(b *box) {
		b.open()
		customers(b, 4)
		start := clock(b, "2026-12-04T20:00")
		b.book(Booking{ID: "concert", Start: start})
		b.campaign(Campaign{Name: "before", Texts: map[string]string{"nl": "tot straks"}, Audience: everybody, Class: queue.Transactional,
			When: When{Event: "concert", Offset: Span{Rest: -3 * time.Hour}}, Throttle: Throttle{Gap: 600}})
		b.start("before")
		time.Sleep(time.Until(start.Add(-3 * time.Hour)))
		b.later(15 * time.Minute)
		if _, err := b.o.Pause(b.t.Context(), "before", "till"); err != nil {
			b.t.Fatal(err)
		}
		for day := 1; day <= 2; day++ { // also while it still moves
			b.book(Booking{ID: "concert", Start: start.AddDate(0, 0, day)})
		}
		due := start.AddDate(0, 0, 2).Add(-3 * time.Hour)
		b.later(time.Minute)
		if c, err := b.o.Campaign("before"); err != nil || c.State != CampaignPaused || !c.Due.Equal(due) {
			b.t.Errorf("it is %s, due %s: %v", c.State, c.Due, err)
		}
		time.Sleep(time.Until(due))
		b.later(time.Minute)
		if n := len(b.texts()); n != 2 || b.state("before") != CampaignPaused {
			b.t.Errorf("%d messages, %s", n, b.state("before"))
		}
		if _, err := b.o.Resume(b.t.Context(), "before", "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(time.Hour)
		if n := len(b.texts()); n != 6 || b.state("before") != CampaignHanded { // four, and the two that were taken back
			b.t.Errorf("%d messages, %s", n, b.state("before"))
		}
	})
}

// Whose turn had not come when the event began, or when a person stopped it, is
// told of with the reason.
func TestWhoseTurnNeverCameHasAReason(t *testing.T) {
	inBox(t, func(b *box) {
		modem := routetest.NewFake("counter")
		modem.AutoReport(time.Second)
		b.open(modem)
		customers(b, 8)
		start := clock(b, "2026-11-24T12:00")
		b.book(Booking{ID: "concert", Start: start})
		for name, offset := range map[string]time.Duration{"late": -35 * time.Minute, "stopped": -155 * time.Minute} {
			b.campaign(Campaign{Name: name, Texts: map[string]string{"nl": name}, Audience: everybody, Class: queue.Transactional,
				When: When{Event: "concert", Offset: Span{Rest: offset}}, Throttle: Throttle{Gap: 600}})
			b.start(name)
		}
		time.Sleep(time.Until(clock(b, "2026-11-24T09:58")))
		b.later(time.Second)
		if _, err := b.o.Stop(b.t.Context(), "stopped", "till"); err != nil {
			b.t.Fatal(err)
		}
		b.later(3 * time.Hour)
		for name, want := range map[string]struct {
			state CampaignState
			sent  int
			why   string
		}{"late": {CampaignDone, 4, whyLate}, "stopped": {CampaignStopped, 4, whyStopped}} {
			c, rep, err := b.o.Progress(name)
			if err != nil || c.State != want.state || rep.States["delivered"] != want.sent || rep.States["refused"] != 8-want.sent || rep.States["waiting"] != 0 || c.Refused != 8-want.sent {
				b.t.Errorf("%s: %s, %v, %d refused: %v", name, c.State, rep.States, c.Refused, err)
				continue
			}
			for _, f := range c.Report.Failures {
				if f.Why != want.why {
					b.t.Errorf("%s: %+v", name, f)
				}
			}
			var printed []string
			err = b.o.EachRecipient(c, func(r ListedRecipient) error {
				if r.State == "refused" {
					printed = append(printed, r.Why)
				}
				return nil
			})
			if err != nil || len(c.Report.Failures) != 8-want.sent || !slices.Equal(printed, slices.Repeat([]string{want.why}, 8-want.sent)) {
				b.t.Errorf("%s: %d failures, printed %q: %v", name, len(c.Report.Failures), printed, err)
			}
		}
	})
}
