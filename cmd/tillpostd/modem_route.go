package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"tillpost/modem"
	"tillpost/queue/route"
)

// modemRoute is a modem that is told from others: when the device behind its
// name, or the SIM in it, is another one than last time, that is an event, a
// line in the log, and the detail of its status until the daemon starts anew.
// It has all the add-ons of a modem.
type modemRoute struct {
	*modem.Modem
	memory route.Memory // of this name
	log    *slog.Logger
}

// acquaintance is what is remembered of a name.
type acquaintance struct {
	Device string `json:"device,omitempty"` // IMEI
	SIM    string `json:"sim,omitempty"`    // ICCID, or what the modem knows it by
}

const acquaintanceKey = "known"

// Run is the modem's, with an ear on what it says of itself.
func (r *modemRoute) Run(ctx context.Context, sink route.Sink) error {
	known, err := r.load()
	if err != nil {
		return err
	}
	ear := &ear{Sink: sink, log: r.log, known: known, learnt: make(chan acquaintance, 1)}
	var keeper sync.WaitGroup
	keeper.Go(func() { // Changed may not wait for the disk
		for a := range ear.learnt {
			if err := r.save(ctx, a); err != nil && ctx.Err() == nil {
				r.log.Error("which modem this is cannot be written down", "err", err)
			}
		}
	})
	defer keeper.Wait()
	defer close(ear.learnt)
	return r.Modem.Run(ctx, ear)
}

func (r *modemRoute) load() (a acquaintance, err error) {
	data, err := r.memory.Load(acquaintanceKey)
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		return a, fmt.Errorf("which modem this was: %w", err)
	}
	return a, nil
}

func (r *modemRoute) save(ctx context.Context, a acquaintance) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return r.memory.Save(ctx, acquaintanceKey, data)
}

// ear passes on what the modem tells and compares it with what is known.
type ear struct {
	route.Sink
	log    *slog.Logger
	learnt chan acquaintance // to be kept; the last one counts

	mu    sync.Mutex
	known acquaintance
	note  string // what is another one than before
}

// Changed never blocks, as the seam wants it.
func (e *ear) Changed(s route.Status) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.known
	if s.Device != "" {
		now.Device = s.Device
	}
	if s.Identity != "" {
		now.SIM = s.Identity
	}
	if e.known.Device != "" && e.known.Device != now.Device && !modem.SameIMEI(e.known.Device, now.Device) {
		e.report(s.Identity, "modem_changed", fmt.Sprintf("another modem than before: IMEI %s, it was %s", now.Device, e.known.Device))
	}
	if e.known.SIM != "" && !sameSIM(e.known.SIM, now.SIM) {
		e.report(s.Identity, "sim_changed", fmt.Sprintf("another SIM than before: %s, it was %s", now.SIM, e.known.SIM))
	}
	if now != e.known {
		e.known = now
		select {
		case <-e.learnt: // not yet kept, and out of date
		default:
		}
		e.learnt <- now // has room: nobody else puts anything in
	}
	if s.State == route.Ready && s.Detail == "" {
		s.Detail = e.note
	}
	e.Sink.Changed(s)
}

// sameSIM compares what a SIM was known by. An ICCID has 19 or 20 digits,
// some modems leave out the last; where one of the two is an IMSI, because the
// card's number could not be read, nothing can be said.
func sameSIM(a, b string) bool {
	const leastICCID = 18
	if (len(a) < leastICCID) != (len(b) < leastICCID) {
		return true
	}
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// report makes an event of it, and a line in the log.
func (e *ear) report(identity, code, note string) {
	e.note = note
	e.log.Warn(note)
	e.Noticed(route.Notice{Identity: identity, Code: code, Detail: note})
}

// Noticed passes on what the modem itself noticed.
func (e *ear) Noticed(n route.Notice) {
	if hears, ok := e.Sink.(route.Noticer); ok {
		hears.Noticed(n)
	}
}
