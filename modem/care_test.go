package modem

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// Issue 4, point 7: the storage is watched, every place accounted for.
func TestStorageIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Slots: 20}})
		b.ready()
		b.play("drafts 15")
		time.Sleep(2*time.Minute + 30*time.Second)
		if s := b.sink.last(); s.Code != "" || s.Care.Storage == nil || *s.Care.Storage != (route.Storage{Memory: "SM", Used: 15, Total: 20, Stuck: 15}) {
			t.Errorf("at 75 %%: %+v, storage %+v", s, s.Care.Storage)
		}
		b.play("drafts 1")
		s := b.until("warned", code("memory_full"))
		if s.State != route.Ready || !strings.Contains(s.Detail, "16 of 20 places") || !strings.Contains(s.Detail, "16 drafts") {
			t.Errorf("at 80 %%: %+v", s)
		}
		if n := b.peer.Stored("SM"); n != 16 {
			t.Errorf("%d places are taken: a draft is not ours to clear", n)
		}
		b.mustSend("m1") // it works all the same
		b.play("storage free")
		b.until("well again", func(s route.Status) bool { return s.State == route.Ready && s.Code == "" })
	})
}

// Issue 4, point 9: the link is kept up before a message of several parts, and
// where one follows another at its heels; nowhere else.
func TestLinkIsKeptUp(t *testing.T) {
	asked := func(b *bench) int { return strings.Count(b.trace.String(), "AT+CMMS=1") }
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.mustSend("alone")
		if n := asked(b); n != 0 {
			t.Errorf("asked %d times for a message alone", n)
		}
		time.Sleep(10 * time.Second)
		if _, err := b.send("long", "+31612345678", strings.Repeat("drie delen ", 40)); err != nil || asked(b) != 1 {
			t.Errorf("asked %d times for three parts, %v", asked(b), err)
		}
		time.Sleep(10 * time.Second)
		for i := range 5 {
			b.mustSend(fmt.Sprint(i))
		}
		if n := asked(b); n != 2 {
			t.Errorf("asked %d times, want once more for five in a row", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "cmms: error cms 500"})
		for range 2 { // a modem that cannot is asked once, and sends as ever
			b.ready()
			if _, err := b.send("long", "+31612345678", strings.Repeat("drie delen ", 40)); err != nil || asked(b) != 1 {
				t.Errorf("asked %d times, %v", asked(b), err)
			}
		}
	})
	p := *profileOf("")
	p.more = 2
	s := session{profile: &p, linked: true}
	if err := s.keepLink(t.Context(), 3); err != nil { // it stays: not asked, or this would crash
		t.Error(err)
	}
}

// The gaps of a profile are kept: between commands, and before the PDU.
func TestGapsOfTheProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{peer: sim.Config{Vendor: "Telit"}})
		start := time.Now()
		b.ready()
		took, commands := time.Since(start), strings.Count(b.trace.String(), "\r")
		if least := time.Duration(commands-2) * 20 * time.Millisecond; took < least {
			t.Errorf("%d commands in %v, want %v at least", commands, took, least)
		}
	})
}

// Issue 4, point 10: the incoming call is an event, and is refused.
func TestIncomingCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{})
		b.ready()
		b.play("call for 1m")
		time.Sleep(30 * time.Second)
		b.mustSend("m1")
		if got := b.sink.noticed("call"); len(got) != 1 || got[0].Route != "counter" || got[0].Identity == "" {
			t.Errorf("%+v", got)
		}
		if n := strings.Count(b.trace.String(), "AT+CHUP"); n != 1 {
			t.Errorf("hung up %d times", n)
		}
	})
}

// The network's time is offered, the modem's own never.
func TestClockFromTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var offers []string
		b := plug(t, setUp{modem: Config{Clock: func(at time.Time, source string) {
			mu.Lock()
			defer mu.Unlock()
			offers = append(offers, source+" "+at.Format(time.RFC3339))
		}}})
		b.ready()
		time.Sleep(63 * time.Minute)
		mu.Lock()
		if len(offers) > 0 {
			t.Errorf("a modem in 1980 offered %v", offers)
		}
		mu.Unlock()
		b.play("clock 26/11/24,12:34:56+04")
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(offers) != 1 || offers[0] != "network 2026-11-24T11:34:56Z" {
			t.Errorf("%v", offers)
		}
	})
}

func TestReadClock(t *testing.T) {
	for v, want := range map[string]string{
		`"26/11/24,12:34:56+04"`: "2026-11-24T11:34:56Z", `"26/11/24,12:34:56-20"`: "2026-11-24T17:34:56Z",
		`"2026/11/24,12:34:56+00"`: "2026-11-24T12:34:56Z", `26/02/29,00:00:00+00`: "", `"26/11/24,12:34:56"`: "", `"26/11/24,12:34:56+99"`: "", "": "", "-": "",
	} {
		got, err := readClock(v)
		if want == "" && err == nil || want != "" && (err != nil || got.Format(time.RFC3339) != want) {
			t.Errorf("%s: %v, %v, want %s", v, got, err, want)
		}
	}
}

// The doctor says what keeps messages from going over LTE, and to whom to go.
func TestLTEDoctor(t *testing.T) {
	for _, tc := range []struct {
		name, faults string
		want         []string // one for each sentence
	}{
		{"all_is_well", "", nil},
		{"LTE_with_IMS", "lte only\nims on", nil},
		{"IMS_is_off", "lte only\nims off", []string{"IMS is not registered"}},
		{"wrong_service_domain", "lte only\nims on\ndomain 1", []string{"circuit switched network only"}},
		{"packet_only_without_IMS", "lte only\nims off\ndomain 0", []string{"packet network only", "IMS is not registered"}},
		{"no_IMS_but_2G", "ims off", nil},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			b := plug(t, setUp{faults: tc.faults})
			b.ready()
			got, err := b.modem.Examine(t.Context())
			if err != nil || len(got) != len(tc.want) {
				t.Fatalf("%q, %v", got, err)
			}
			for i, w := range tc.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("%q does not say %q", got[i], w)
				}
			}
		})
	}
	three, one, off, no := 3, 1, 0, false
	for _, tc := range []struct {
		e    exam
		want string
	}{
		{exam{cs: &three}, "refuses this SIM"},
		{exam{cs: &off, eps: &one, allowed: &no}, "IMS is switched off"},
		{exam{cs: &off, eps: &one, ims: &one, sms: &no}, "has no SMS service"},
		{exam{smsc: "none"}, "number of the SMS centre"},
	} {
		if got := tc.e.findings(); len(got) != 1 || !strings.Contains(got[0], tc.want) {
			t.Errorf("%+v: %q", tc.e, got)
		}
	}
}

// A refusal that could mean anything comes with what the doctor found.
func TestRefusalsComeWithAnExamination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := plug(t, setUp{faults: "lte only\nims off\nctrl-z x3: error cms 38"})
		for i := range 3 {
			b.ready()
			b.send("m", fmt.Sprintf("+3161234567%d", i), "x")
		}
		b.until("explained", func(s route.Status) bool {
			return s.Code == "no_credit" && strings.Contains(s.Detail, "IMS is not registered")
		})
	})
}
