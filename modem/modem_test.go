package modem

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
