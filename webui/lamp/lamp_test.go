package lamp

import (
	"slices"
	"testing"

	"tillpost/queue"
	"tillpost/queue/route"
)

func way(name string, state route.State, code string) queue.RouteInfo {
	return queue.RouteInfo{Status: route.Status{Route: name, Kind: "modem", State: state, Code: code}}
}

func paused(name string) queue.RouteInfo {
	r := way(name, route.Ready, "")
	r.Paused = true
	return r
}

// spent is a way that is well and has used up a limit.
func spent(name, code string) queue.RouteInfo {
	r := way(name, route.Ready, "")
	r.Spent = code
	return r
}

func TestLampOfAWay(t *testing.T) {
	for _, c := range []struct {
		way  queue.RouteInfo
		want Way
	}{
		{way("a", route.Ready, ""), Way{OK, "ok", true}},
		{way("a", route.Ready, "weak_signal"), Way{Warn, "weak_signal", true}},
		{way("a", route.Hand, "sim_pin"), Way{Stop, "sim_pin", false}},
		{way("a", route.Waiting, "searching"), Way{Warn, "searching", false}},
		{way("a", route.Starting, ""), Way{Info, "starting", false}},
		{way("a", route.Stopped, ""), Way{Stop, "stopped", false}},
		{way("a", route.Hand, "something new"), Way{Stop, "something new", false}}, // never well by mistake
		{paused("a"), Way{Warn, "paused", false}},
		{spent("a", "limit_used"), Way{Warn, "limit_used", true}},
		{spent("a", "limit_numbers"), Way{Warn, "limit_numbers", true}},
	} {
		if got := Of(c.way); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.way.Status, got, c.want)
		}
	}
}

func TestLampOfTheBox(t *testing.T) {
	ready, pin, weak, starting := way("a", route.Ready, ""), way("b", route.Hand, "sim_pin"), way("c", route.Ready, "weak_signal"), way("d", route.Starting, "")
	for name, c := range map[string]struct {
		ways    []queue.RouteInfo
		waiting int64
		colour  Colour
		code    string
		about   string
		others  []string
	}{
		"nothing is wrong":                     {[]queue.RouteInfo{ready}, 9, OK, "ok", "", []string{"a"}},
		"no way, nobody waits":                 {nil, 0, Warn, "no_route", "", nil},
		"no way, somebody waits":               {nil, 1, Stop, "no_route", "", nil},
		"one of two needs a hand":              {[]queue.RouteInfo{ready, pin}, 5, Warn, "sim_pin", "b", []string{"a"}},
		"the only one needs a hand":            {[]queue.RouteInfo{pin}, 5, Stop, "sim_pin", "b", nil},
		"the only one, but nobody waits":       {[]queue.RouteInfo{pin}, 0, Warn, "sim_pin", "b", nil},
		"weak, and it works":                   {[]queue.RouteInfo{weak}, 5, Warn, "weak_signal", "c", nil},
		"the worst of them is named":           {[]queue.RouteInfo{weak, pin, ready}, 5, Warn, "sim_pin", "b", []string{"c", "a"}},
		"paused by a person, somebody waits":   {[]queue.RouteInfo{paused("p")}, 1, Stop, "paused", "p", nil},
		"just started":                         {[]queue.RouteInfo{starting}, 5, Info, "starting", "d", nil},
		"one works while another is preparing": {[]queue.RouteInfo{ready, starting}, 5, Info, "starting", "d", []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := judge(c.ways, c.waiting)
			if b.Colour != c.colour || b.Code != c.code || b.Route != c.about || !slices.Equal(b.Others, c.others) {
				t.Errorf("%s %q about %q, others %v; want %s %q about %q, others %v", b.Colour, b.Code, b.Route, b.Others, c.colour, c.code, c.about, c.others)
			}
		})
	}
}

// Every code that a way can have has a colour and words.
func TestCodesHaveWords(t *testing.T) {
	for _, code := range []string{"ok", "starting", "stopped", "paused", "no_route", "disk_full"} {
		if queue.Words(code, "en", nil) == code || queue.Lamp(code) == "" {
			t.Errorf("%q has no words", code)
		}
	}
}
