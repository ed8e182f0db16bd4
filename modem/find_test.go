package modem

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/sim"
	"tillpost/queue/route"
)

// A modem without a port of its own is where Find says, and says itself what
// Find says while it is nowhere.
func TestFoundByItsIMEI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var where atomic.Pointer[Place]
		where.Store(&Place{Code: "stick_router", Detail: "it is a router"})
		b := plug(t, setUp{peer: sim.Identity(0), modem: Config{Find: func() Place { return *where.Load() }}})
		if s := b.until("a hand's work", code("stick_router")); s.State != route.Hand || s.Detail != "it is a router" || s.Port != "" {
			t.Errorf("a stick that is no modem: %+v", s)
		}
		where.Store(&Place{Detail: "asking it who it is", Coming: true})
		if s := b.until("coming", func(s route.Status) bool { return s.State == route.Starting }); s.Code != "" || s.Detail != "asking it who it is" {
			t.Errorf("plugged in a moment ago: %+v", s)
		}
		where.Store(&Place{Detail: "nothing with IMEI 1 is plugged in"})
		if s := b.until("gone", code("modem_gone")); s.State != route.Waiting || s.Detail != "nothing with IMEI 1 is plugged in" {
			t.Errorf("nothing there: %+v", s)
		}
		where.Store(&Place{Port: "/dev/ttyUSB7", IMEI: sim.Identity(0).IMEI})
		b.mustSend("first")
		if s := b.until("ready", func(s route.Status) bool { return s.State == route.Ready }); s.Port != "/dev/ttyUSB7" {
			t.Errorf("it is said to be at %q", s.Port)
		}
	})
}

// Two sticks changed sockets between the look and the opening: nothing is sent
// through the wrong one.
func TestAnotherModemAnswersWhereOneWasLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var where atomic.Pointer[Place]
		var wrong atomic.Int32
		where.Store(&Place{Port: "/dev/ttyUSB7", IMEI: sim.Identity(1).IMEI, Wrong: func() { wrong.Add(1) }})
		b := plug(t, setUp{peer: sim.Identity(0), modem: Config{Find: func() Place { return *where.Load() }}})
		s := b.until("the stranger is noticed", func(s route.Status) bool { return strings.Contains(s.Detail, "another modem answers") })
		if s.Code != "modem_gone" || !strings.Contains(s.Detail, "instead of "+sim.Identity(1).IMEI) {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if _, err := b.send("m", "+31612345678", "x"); fate(err) != route.NotOffered {
			t.Errorf("a message meanwhile: %v", err)
		}
		if wrong.Load() == 0 {
			t.Error("whoever named the place was not told")
		}
		where.Store(&Place{Port: "/dev/ttyUSB9", IMEI: sim.Identity(0).IMEI[:14] + "02"}) // with the software's version
		b.mustSend("m")
	})
}

func TestOpenSaysWhatStandsInTheWay(t *testing.T) {
	if _, code, err := Open(filepath.Join(t.TempDir(), "none"), t.TempDir()); code != "modem_gone" || err == nil {
		t.Errorf("a port that is not there: %q, %v", code, err)
	}
	master, path, err := sim.OpenPTY("")
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	dir := t.TempDir()
	line, code, err := Open(path, dir)
	if code != "" || err != nil {
		t.Fatalf("a good one: %q, %v", code, err)
	}
	if _, code, _ := Open(path, dir); code != "port_busy" {
		t.Errorf("one that is open already: %q", code)
	}
	if err := line.Close(); err != nil {
		t.Error(err)
	}
}
