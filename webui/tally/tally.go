// Package tally counts what became of the day's messages, hour by hour.
//
// It follows the event log from the start of the day, in short reads, and
// keeps a few numbers in memory: a chart never waits for the disk, and nothing
// is written. It promises that every message is counted once, in the hour in
// which it left or failed, as what it is known to be now; a message that was
// sent yesterday and delivered today is one of today's.
//
// It imports queue.
package tally

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tillpost/queue"
)

// Fate is how a message stands in the chart.
type Fate uint8

const (
	Sent        Fate = iota // with the network, no report yet
	Delivered               // on the phone
	Undelivered             // the network gave up
	Failed                  // refused for good, or too late
	fates
)

// fateOf the states that count. Messages in any other are not out yet.
var fateOf = map[queue.State]Fate{
	queue.Sent: Sent, queue.Delivered: Delivered, queue.Undelivered: Undelivered,
	queue.Failed: Failed, queue.Expired: Failed,
}

// Hour is what became of the messages of one hour.
type Hour [fates]int

// Day is the day so far.
type Day struct {
	Start         time.Time // midnight, in the place of the shop
	Hours         [24]Hour
	LastSent      time.Time // zero: not today
	LastDelivered time.Time
}

// Sum counts one fate over the day.
func (d *Day) Sum(f Fate) (n int) {
	for i := range d.Hours {
		n += d.Hours[i][f]
	}
	return n
}

// Tally follows the queue. Create it with New and run it.
type Tally struct {
	queue *queue.Queue
	loc   *time.Location
	log   *slog.Logger

	mu       sync.Mutex
	day      Day
	where    map[queue.ID]place // what is counted, so that it can be counted anew
	trouble  []queue.ID         // newest last
	after    uint64             // the last event read
	before   uint64             // the last event before the start
	events   map[queue.Kind]uint64
	watchers map[chan struct{}]bool
}

type place struct {
	hour uint8
	fate Fate
}

// most messages whose place is remembered; beyond it the delivered ones are
// forgotten: nothing more is to be expected of them.
const most = 200_000

// New makes a tally for a shop in loc.
func New(q *queue.Queue, loc *time.Location, log *slog.Logger) *Tally {
	t := &Tally{queue: q, loc: loc, log: log, events: map[queue.Kind]uint64{}, watchers: map[chan struct{}]bool{}}
	t.begin(q.Now())
	return t
}

// Today is a copy of the day so far.
func (t *Tally) Today() Day {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(t.queue.Now())
	return t.day
}

// Events counts what was read of each kind since the start of the program, or
// of the day it started in.
func (t *Tally) Events() map[queue.Kind]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[queue.Kind]uint64, len(t.events))
	for k, n := range t.events {
		out[k] = n
	}
	return out
}

// Trouble lists messages that a person should look at: failed, not delivered
// or not sure since the day the program was started in, newest first.
func (t *Tally) Trouble() []queue.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.Clone(t.trouble)
	slices.Reverse(list)
	return list
}

// Subscribe returns a channel that gets a token, coalesced, after what the
// queue committed has been counted, or a route has changed. stop ends it.
func (t *Tally) Subscribe() (wake <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	t.mu.Lock()
	t.watchers[c] = true
	t.mu.Unlock()
	return c, func() {
		t.mu.Lock()
		delete(t.watchers, c)
		t.mu.Unlock()
	}
}

// Nudge gives everybody who subscribed a token, for something that is read
// again after a while rather than at each change.
func (t *Tally) Nudge() { t.signal() }

func (t *Tally) signal() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

const (
	pace  = 200 * time.Millisecond
	batch = 500
)

// Run follows the events until ctx ends.
func (t *Tally) Run(ctx context.Context) error {
	token, stop := t.queue.Subscribe()
	defer stop()
	after, err := t.startOfDay()
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.after, t.before = after, t.queue.LastEvent()
	t.mu.Unlock()
	for ctx.Err() == nil {
		if err := t.catchUp(ctx); err != nil {
			t.log.Error("events could not be counted", "err", err)
		}
		t.signal()
		select {
		case <-token:
		case <-ctx.Done():
		}
		select {
		case <-time.After(pace): // what comes meanwhile is read at once
		case <-ctx.Done():
		}
	}
	return nil
}

// catchUp reads what is new. What was there before the start, a million events
// perhaps, is read with a twentieth of one core: tills wait at the door, and
// for that million it is a quarter of a minute.
func (t *Tally) catchUp(ctx context.Context) error {
	for ctx.Err() == nil {
		began := time.Now()
		list, err := t.queue.Events(t.after, batch)
		if gone, ok := errors.AsType[*queue.Gone](err); ok {
			t.after = gone.First - 1 // retention was quicker than we
			continue
		}
		if err != nil || len(list) == 0 {
			return err
		}
		t.mu.Lock()
		for i := range list {
			t.count(&list[i])
		}
		t.after = list[len(list)-1].Seq
		t.mu.Unlock()
		if t.after >= t.before {
			continue
		}
		select {
		case <-time.After(19 * time.Since(began)):
		case <-ctx.Done():
		}
	}
	return nil
}

// count puts the message of e where it belongs now.
func (t *Tally) count(e *queue.Event) {
	t.events[e.Kind]++
	t.turn(e.At)
	if e.Msg == 0 {
		return
	}
	t.mind(e.Msg, e.State)
	if e.At.Before(t.day.Start) {
		return
	}
	fate, out := fateOf[e.State]
	at, known := t.where[e.Msg]
	if known {
		if out && fate == at.fate {
			return
		}
		t.day.Hours[at.hour][at.fate]--
		delete(t.where, e.Msg)
	}
	if !out {
		return // it goes out again: by policy, or by a person
	}
	if !known {
		at.hour = uint8(e.At.In(t.loc).Hour())
	}
	at.fate = fate
	t.day.Hours[at.hour][fate]++
	t.where[e.Msg] = at
	switch {
	case fate == Delivered && e.At.After(t.day.LastDelivered):
		t.day.LastDelivered = e.At
	case fate == Sent && e.At.After(t.day.LastSent):
		t.day.LastSent = e.At
	}
	if len(t.where) > most {
		for id, p := range t.where {
			if p.fate == Delivered {
				delete(t.where, id)
			}
		}
	}
}

// mostTrouble is more than anybody looks at.
const mostTrouble = 20

// mind keeps the list of Trouble.
func (t *Tally) mind(id queue.ID, state queue.State) {
	at := slices.Index(t.trouble, id)
	switch state {
	case queue.Unknown, queue.Failed, queue.Undelivered:
		if at < 0 {
			t.trouble = append(t.trouble, id)
			t.trouble = t.trouble[max(0, len(t.trouble)-mostTrouble):]
		}
	default:
		if at >= 0 {
			t.trouble = slices.Delete(t.trouble, at, at+1)
		}
	}
}

// turn begins a new day when at lies in one.
func (t *Tally) turn(at time.Time) {
	if day := midnight(at, t.loc); day.After(t.day.Start) {
		t.begin(at)
	}
}

func (t *Tally) begin(at time.Time) {
	t.day, t.where = Day{Start: midnight(at, t.loc)}, map[queue.ID]place{}
}

func midnight(at time.Time, loc *time.Location) time.Time {
	y, m, d := at.In(loc).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, loc)
}

// startOfDay finds the last event before today, by halving: the log may hold
// months.
func (t *Tally) startOfDay() (uint64, error) {
	today := midnight(t.queue.Now(), t.loc)
	low, high := uint64(0), t.queue.LastEvent() // what we look for is in [low, high]
	for low < high {
		middle := low + (high-low)/2
		list, err := t.queue.Events(middle, 1)
		gone, isGone := errors.AsType[*queue.Gone](err)
		switch {
		case isGone:
			low = gone.First - 1
			if low <= middle { // cannot be: the first kept lies after what we asked for
				return middle, nil
			}
		case err != nil:
			return 0, err
		case len(list) == 0 || !list[0].At.Before(today):
			high = middle
		default:
			low = list[0].Seq
		}
	}
	return low, nil
}
