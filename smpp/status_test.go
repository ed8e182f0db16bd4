package smpp

import (
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"tillpost/queue/route"
)

// Every row of the table, read by what its columns promise.
func TestStatusTable(t *testing.T) {
	fates := map[string]route.Fate{"no": route.Reject, "backoff": route.Retry, "throttle": route.Retry, "reconnect": route.Retry, "stop": route.Retry}
	seen := make(map[string]int)
	for _, row := range statusTable() {
		seen[row.class+" "+row.retry]++
		if row.name == "" || row.text == "" || row.to < row.from {
			t.Errorf("row %#x: %+v", uint32(row.from), row)
		}
		if row.from == statusOK {
			continue
		}
		e := refused("operator", "submit_sm", row.from, nil)
		want, ok := fates[row.retry]
		if !ok || e.Fate != want {
			t.Errorf("%#x %s: retry %q gives %s", uint32(row.from), row.name, row.retry, e.Fate)
		}
		if e.Fate == route.Retry && (e.Wait == 0 || e.Max < 2) {
			t.Errorf("%#x %s: wait %v, at most %d tries", uint32(row.from), row.name, e.Wait, e.Max)
		}
		if want := strings.HasPrefix(row.class, "bind") || row.retry == "throttle"; (e.Scope == route.ScopeRoute) != want {
			t.Errorf("%#x %s: class %s has scope %q", uint32(row.from), row.name, row.class, e.Scope)
		}
		if !strings.Contains(e.Text, row.name) || !strings.Contains(e.Text, row.text) {
			t.Errorf("%#x: the words are %q", uint32(row.from), e.Text)
		}
		t.Logf("%08X %-26s %-7s %6s x%d %s", uint32(row.from), row.name, e.Fate, e.Wait, e.Max, e.Scope)
	}
	for _, kind := range []string{"temporary backoff", "temporary throttle", "permanent no", "bind reconnect", "bind_fatal stop", "bind_fatal backoff", "ok none"} {
		if seen[kind] == 0 {
			t.Errorf("no row is %s: was the table cut?", kind)
		}
	}
}

func TestStatusOutsideTheTable(t *testing.T) {
	for status, want := range map[pdu.Status]struct {
		wait  time.Duration
		tries int
	}{
		0x3F:       {30 * time.Second, 2},
		0x3FF:      {30 * time.Second, 2},
		0x400:      {time.Minute, 3},
		0x4FF:      {time.Minute, 3},
		0x500:      {30 * time.Second, 3},
		0xFFFFFFFF: {30 * time.Second, 3},
	} {
		e := refused("operator", "submit_sm", status, nil)
		if e.Fate != route.Retry || e.Wait != want.wait || e.Max != want.tries || e.Code != statusCode(status) {
			t.Errorf("%#x: %+v", uint32(status), e)
		}
	}
}

func TestOwnMeaningOfACode(t *testing.T) {
	own := map[uint32]route.Fate{0x401: route.Reject, 0x0B: route.Retry}
	if e := refused("operator", "submit_sm", 0x401, own); e.Fate != route.Reject || e.Max != 0 {
		t.Errorf("0x401: %+v", e)
	}
	if e := refused("operator", "submit_sm", 0x0B, own); e.Fate != route.Retry || e.Max == 0 {
		t.Errorf("0x0B: %+v", e)
	}
}

func TestDamagedStatusTable(t *testing.T) {
	for _, s := range []string{"a,b\n1", "h,h,h,h,h,h,h\nxyz,1,,n,t,c,r", "h,h,h,h,h,h,h\n01,1,zz,n,t,c,r"} {
		if _, err := parseStatusTable(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}
