package smpp

import (
	"testing"

	"tillpost/queue/route"
	"tillpost/smpp/smsc"
)

func TestSend(t *testing.T) {
	t.Run("submits one part and its receipt bears the same ref", func(t *testing.T) {
		c, m, rec := bound(t, smsc.Config{ReceiptAfter: 1}, nil)
		got, err := c.Send(within(t), message(12345678, "Hello @ €5"))
		if err != nil {
			t.Fatal(err)
		}
		s := m.Submits()
		if len(s) != 1 || s[0].To != "31612345678" || s[0].From != "SHOP" || s[0].Text != "Hello @ €5" {
			t.Fatalf("the SMSC read %+v", s)
		}
		rec.until(t, "the receipt is here", func() bool { return len(rec.reported) == 1 })
		r := rec.reports()[0]
		part := got.Parts[0]
		if r.Ref != part.Ref || r.Identity != part.Identity || r.State != route.ReportDelivered || r.To != "+31612345678" {
			t.Fatalf("part %+v, report %+v", part, r)
		}
	})
}
