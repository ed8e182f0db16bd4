package queue

import (
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

func TestOtherText(t *testing.T) {
	for _, c := range []struct {
		name, quote, sent string
		other             bool
	}{
		{"another text", "from another system", "Uw bestelling staat klaar", true},
		{"the same, cut", "Uw bestelling staat ", "Uw bestelling staat klaar", false},
		{"the same, whole", "Tot straks", "Tot straks", false},
		{"in capitals", "UW BESTELLING", "Uw bestelling staat klaar", false},
		{"it goes on where ours ended", "Tot straks, om vier uur", "Tot straks", true},
		{"nothing", "", "Tot straks", false},
		{"too short to tell", "000", "Tot straks", false},
		{"octets", "\x05\x00\x03\xa7\x02\x01Tot", "Ook straks", false},
		{"hexadecimal", "00540065007300740065", "Tot straks", false},
		{"stars", "**********", "Tot straks", false},
		{"transcoded behind the same beginning", "Caf? Paris", "Café Parijs", false},
		{"transcoded behind another beginning", "Hotel ?", "Café Parijs", true},
		{"a character that we have not sent as it reads", "Eur 5 te betalen", "€ 5 te betalen", false},
	} {
		if got := otherText(c.quote, c.sent); got != c.other {
			t.Errorf("%s: %q is another text than %q: %v", c.name, c.quote, c.sent, got)
		}
	}
}

func TestSentThen(t *testing.T) {
	took := time.Date(2026, 11, 24, 10, 7, 30, 0, time.UTC)
	m := &Message{Took: took, Settled: took.Add(time.Minute)}
	for said, then := range map[time.Time]bool{
		{}:                                      true,
		took.Truncate(time.Minute):              true,
		took.Add(time.Hour):                     true, // Amsterdam
		took.Add(-5*time.Hour - 30*time.Minute): true, // the network counts west of us
		took.Add(5*time.Hour + 45*time.Minute):  true, // Kathmandu
		took.Add(7 * time.Minute):               false,
		took.Add(-7 * time.Minute):              false,
		took.Add(67 * time.Minute):              false,
		took.Add(24 * time.Hour):                false,
		took.Add(-24 * time.Hour):               false,
	} {
		if got := sentThen(m, said); got != then {
			t.Errorf("sent at %v, taken at %v: %v", said, took, got)
		}
	}
}

func lostBox(t *testing.T, fn func(b *box, operator *routetest.Fake)) {
	t.Helper()
	inBox(t, func(t *testing.T, b *box) {
		operator := routetest.NewFake("operator")
		operator.Answer(func(route.Outbound) (route.Receipt, error) { return route.Receipt{}, fail(route.Unknown) })
		b.open(operator)
		fn(b, operator)
	})
}

func (b *box) report(operator *routetest.Fake, rep route.Report) {
	b.t.Helper()
	if rep.State == "" {
		rep.State = route.ReportDelivered
	}
	if err := operator.Report(rep); err != nil {
		b.t.Fatal(err)
	}
}

// A message that the network never had must not be called delivered by the
// report of another system: it would not be sent again.
func TestForeignReportSettlesNoUnknown(t *testing.T) {
	lostBox(t, func(b *box, operator *routetest.Fake) {
		id := b.add(Draft{To: anna, Text: "Uw bestelling staat klaar", OnUnknown: OnUnknownHold})
		b.later(time.Minute)
		b.report(operator, route.Report{Ref: "77777777777", Exact: true, To: anna, Quote: "from another system"})
		b.want(id, Unknown, "unsure")
		b.report(operator, route.Report{Ref: "77777777778", Exact: true, To: anna, Sent: time.Now().Add(-8 * time.Minute)})
		b.want(id, Unknown, "unsure")
		b.report(operator, route.Report{Ref: "12", Exact: true, To: anna, Quote: "Uw bestelling staat ", Sent: time.Now().Add(time.Hour - time.Minute)})
		b.want(id, Delivered, "delivered")
	})
}

func TestTextTellsLostMessagesApart(t *testing.T) {
	lostBox(t, func(b *box, operator *routetest.Fake) {
		one := b.add(Draft{To: bram, Text: "Uw bestelling staat klaar", OnUnknown: OnUnknownHold})
		two := b.add(Draft{To: bram, Text: "Morgen om tien uur bij de kapper", OnUnknown: OnUnknownHold})
		b.later(time.Minute)
		b.report(operator, route.Report{Ref: "12", Exact: true, To: bram})
		b.want(one, Unknown, "unsure")
		b.want(two, Unknown, "unsure")
		b.report(operator, route.Report{Ref: "13", Exact: true, To: bram, Quote: "Morgen om tien uur b"})
		b.want(one, Unknown, "unsure")
		b.want(two, Delivered, "delivered")
	})
}

// A report that was quicker than the loss of its answer is weighed the same way.
func TestForeignOrphanSettlesNoUnknown(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		operator := routetest.NewFake("operator")
		operator.Script(routetest.Swallow)
		b.open(operator)
		id := b.add(Draft{To: anna, Text: "Uw bestelling staat klaar", OnUnknown: OnUnknownHold})
		b.want(id, Sending, "sending")
		b.report(operator, route.Report{Ref: "77", Exact: true, To: anna, Quote: "from another system"})
		operator.Drop()
		operator.Connect()
		b.want(id, Unknown, "unsure")
	})
}

// Some SMSCs leave sender and recipient as they were in the message: where the
// reference names one message alone, that is no reason to miss it.
func TestExactReferenceNeedsNoRecipient(t *testing.T) {
	for _, exact := range []bool{true, false} {
		inBox(t, func(t *testing.T, b *box) {
			operator := routetest.NewFake("operator")
			b.open(operator)
			id := b.add(Draft{To: anna, Text: "Uw bestelling staat klaar"})
			ref := b.want(id, Sent, "wait_report").Parts[0].Ref
			b.report(operator, route.Report{Ref: ref, Exact: exact, To: "SHOP", Quote: "from another system"})
			b.want(id, Sent, "wait_report")
			b.report(operator, route.Report{Ref: ref, Exact: exact, To: "SHOP", Quote: "Uw bestelling staat "})
			if exact {
				b.want(id, Delivered, "delivered")
			} else {
				b.want(id, Sent, "wait_report") // a TP-MR comes round every 256 messages
			}
		})
	}
}
