package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"tillpost/queue/route"
)

// book is a sink that keeps what it is told.
type book struct {
	route.Sink
	last    route.Status
	notices []route.Notice
}

func (b *book) Changed(s route.Status) { b.last = s }
func (b *book) Noticed(n route.Notice) { b.notices = append(b.notices, n) }
func (b *book) codes() (codes []string) {
	for _, n := range b.notices {
		codes = append(codes, n.Code)
	}
	return codes
}

// deaf is a sink that wants no notices.
type deaf struct{ route.Sink }

func (deaf) Changed(route.Status) {}

const (
	firstIMEI, otherIMEI = "352099000000019", "352099000000027"
	firstSIM, otherSIM   = "8931440000000000018", "8931440000000000026"
)

func TestAnotherModemOrSIMIsNoticed(t *testing.T) {
	for name, tc := range map[string]struct {
		known acquaintance
		told  route.Status
		codes string
		keeps acquaintance
	}{
		"the first time":              {acquaintance{}, route.Status{Device: firstIMEI, Identity: firstSIM}, "", acquaintance{firstIMEI, firstSIM}},
		"the same":                    {acquaintance{firstIMEI, firstSIM}, route.Status{Device: firstIMEI, Identity: firstSIM}, "", acquaintance{firstIMEI, firstSIM}},
		"not known yet":               {acquaintance{firstIMEI, firstSIM}, route.Status{State: route.Starting}, "", acquaintance{firstIMEI, firstSIM}},
		"another modem":               {acquaintance{firstIMEI, firstSIM}, route.Status{Device: otherIMEI, Identity: firstSIM}, "modem_changed", acquaintance{otherIMEI, firstSIM}},
		"another SIM":                 {acquaintance{firstIMEI, firstSIM}, route.Status{Device: firstIMEI, Identity: otherSIM}, "sim_changed", acquaintance{firstIMEI, otherSIM}},
		"both":                        {acquaintance{firstIMEI, firstSIM}, route.Status{Device: otherIMEI, Identity: otherSIM}, "modem_changed sim_changed", acquaintance{otherIMEI, otherSIM}},
		"with its software's version": {acquaintance{firstIMEI, firstSIM}, route.Status{Device: firstIMEI[:14] + "02", Identity: firstSIM}, "", acquaintance{firstIMEI[:14] + "02", firstSIM}},
		"without the last digit":      {acquaintance{firstIMEI, firstSIM}, route.Status{Device: firstIMEI, Identity: firstSIM[:18]}, "", acquaintance{firstIMEI, firstSIM[:18]}},
		"known by its IMSI for once":  {acquaintance{firstIMEI, firstSIM}, route.Status{Device: firstIMEI, Identity: "204040000000001"}, "", acquaintance{firstIMEI, "204040000000001"}},
	} {
		t.Run(name, func(t *testing.T) {
			sink := &book{}
			e := &ear{Sink: sink, log: slog.New(slog.DiscardHandler), known: tc.known, learnt: make(chan acquaintance, 1)}
			e.Changed(tc.told)
			e.Changed(route.Status{State: route.Ready, Device: tc.told.Device, Identity: tc.told.Identity})
			if got := strings.Join(sink.codes(), " "); got != tc.codes {
				t.Errorf("noticed %q, want %q", got, tc.codes)
			}
			if (sink.last.Detail != "") != (tc.codes != "") {
				t.Errorf("its detail is %q", sink.last.Detail)
			}
			kept := tc.known
			select {
			case kept = <-e.learnt:
			default:
			}
			if kept != tc.keeps {
				t.Errorf("kept %+v, want %+v", kept, tc.keeps)
			}
		})
	}
}

// A worry of the modem's own is not covered up, what it notices itself is
// passed on, and a sink that wants no notices gets none.
func TestEarPassesOn(t *testing.T) {
	sink := &book{}
	e := &ear{Sink: sink, log: slog.New(slog.DiscardHandler), known: acquaintance{firstIMEI, firstSIM}, learnt: make(chan acquaintance, 1)}
	e.Changed(route.Status{Device: otherIMEI})
	e.Changed(route.Status{State: route.Ready, Device: otherIMEI, Code: "memory_full", Detail: "9 of 10 places are taken"})
	e.Noticed(route.Notice{Code: "call"})
	if sink.last.Detail != "9 of 10 places are taken" || strings.Join(sink.codes(), " ") != "modem_changed call" {
		t.Errorf("%+v, %q", sink.last, sink.codes())
	}
	e.Sink = deaf{}
	e.Noticed(route.Notice{Code: "call"})
}

// What is known outlives the daemon.
func TestAcquaintanceIsKept(t *testing.T) {
	memory := &shelf{kept: map[string][]byte{}}
	r := &modemRoute{memory: memory, log: slog.New(slog.DiscardHandler)}
	if a, err := r.load(); err != nil || a != (acquaintance{}) {
		t.Errorf("at first: %+v, %v", a, err)
	}
	want := acquaintance{firstIMEI, firstSIM}
	if err := r.save(context.Background(), want); err != nil {
		t.Fatal(err)
	}
	if a, err := r.load(); err != nil || a != want {
		t.Errorf("%+v, %v", a, err)
	}
	memory.kept[acquaintanceKey] = []byte("not json")
	if err := r.Run(t.Context(), &book{}); err == nil {
		t.Error("what cannot be read was taken for nothing")
	}
}
