package webui

import (
	"errors"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
)

// latelyView is one thing that went wrong at a way out.
type latelyView struct {
	At   time.Time
	Sign string
	Says string
	Msg  string // id of the message it happened to; empty: it is about the way itself
	Tech string // in the peer's words
}

const (
	latelyShown = 8
	// latelyLooked: so many of the newest events are looked at, in pieces.
	latelyLooked = 3000
	latelyPiece  = 500
)

// troubles are the kinds of events that say that a message did not leave well.
var troubles = map[queue.Kind]bool{
	queue.KindNotOffered: true, queue.KindRetry: true, queue.KindRejected: true, queue.KindUnknown: true, queue.KindInterrupted: true, queue.KindNoReport: true,
}

// lately finds what went wrong at a way out among the newest events.
func (p *page) lately(name string) (list []latelyView, err error) {
	last := p.site.queue.LastEvent()
	for looked := uint64(0); looked < min(latelyLooked, last) && len(list) < latelyShown; looked += latelyPiece {
		after := last - min(last, looked+latelyPiece)
		events, err := p.site.queue.Events(after, int(min(latelyPiece, last-looked-after)))
		if _, gone := errors.AsType[*queue.Gone](err); gone {
			break // older ones are no longer kept
		}
		if err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(events) {
			if v, ok := p.wentWrong(&e); ok && e.Route == name && e.Seq <= last-looked && len(list) < latelyShown {
				list = append(list, v)
			}
		}
	}
	return list, nil
}

// wentWrong says whether an event is one to show.
func (p *page) wentWrong(e *queue.Event) (v latelyView, ok bool) {
	v = latelyView{At: e.At, Tech: strings.TrimSpace(e.Code + " " + e.Detail)}
	switch {
	case troubles[e.Kind]:
		v.Says, v.Msg = p.T(headings[e.Kind]), e.Msg.String()
		_, class := markOf(&queue.Message{}, e, true)
		v.Sign = map[bool]string{true: "unk", false: "warn"}[strings.HasPrefix(class, "unk")]
		return v, true
	case e.Kind == queue.KindRoute, e.Kind == queue.KindNotice, e.Kind == queue.KindQuota:
		colour := queue.Lamp(e.Code)
		if colour == "" || colour == "green" {
			return v, false
		}
		v.Sign, v.Says = signOfLamp[colour], queue.Words(e.Code, p.Lang, blanks)
		return v, true
	}
	return v, false
}
