package outreach

import "time"

// window is when somebody may be bothered: from and to as clock times, of which
// either may be left out. An empty one fits everything.
//
// A night begins where one closes and ends where it opens. The end that the shop
// did not name is only needed to know where a message goes that falls outside: a
// window with an opening alone lasts until midnight, and what has to leave the
// evening before leaves at usualClosing; a window with a closing alone opens at
// usualOpening, when the night is over (field-notes §5.1), for at half past
// midnight it is still later than 21:00.
type window struct{ from, to string }

const (
	usualOpening = "07:00" // field-notes §5.1: the night of what is no advertising
	usualClosing = "21:00" // field-notes §4.2
)

// on is when the window opens and closes on a day of the shop's calendar, and
// until when what must leave in the evening does.
func (w window) on(day time.Time, zone *time.Location) (opens, closes, evening time.Time) {
	clock := func(s string) time.Time {
		h, m, _ := clockOf(s) // was checked; an empty one is midnight
		return at(day, h, m, zone)
	}
	switch {
	case w.to == "":
		opens = clock(w.from)
		closes = at(day.AddDate(0, 0, 1), 0, 0, zone).Add(-time.Second)
		evening = clock(max(w.from, usualClosing))
	case w.from == "":
		opens = clock("00:00")
		if w.to > usualOpening {
			opens = clock(usualOpening)
		}
		closes = clock(w.to)
		evening = closes
	default:
		opens, closes = clock(w.from), clock(w.to)
		evening = closes
	}
	return opens, closes, evening
}

// around is where t goes if it falls outside: back to the evening, or forward to
// the opening. Inside, both are t.
func (w window) around(t time.Time, zone *time.Location) (back, forward time.Time) {
	if w == (window{}) {
		return t, t
	}
	today := dayIn(t, zone)
	opens, closes, evening := w.on(today, zone)
	switch {
	case t.Before(opens):
		_, _, yesterday := w.on(today.AddDate(0, 0, -1), zone)
		return yesterday, opens
	case t.After(closes):
		tomorrow, _, _ := w.on(today.AddDate(0, 0, 1), zone)
		return evening, tomorrow
	}
	return t, t
}

// fit moves what comes before something into the window: forward to where it
// opens, unless that is later than latest; then back to where it closed last,
// the evening before (field-notes §4.2). The shop that names no opening is given
// none to move to.
func (w window) fit(t, latest time.Time, zone *time.Location) time.Time {
	back, forward := w.around(t, zone)
	if forward.After(latest) || w.from == "" {
		return back
	}
	return forward
}

// after moves what makes no sense any earlier into the window.
func (w window) after(t time.Time, zone *time.Location) time.Time {
	_, forward := w.around(t, zone)
	return forward
}

// sameDay moves what belongs to a day into what the shop said of that day; an
// end that it did not name is none here.
func (w window) sameDay(t time.Time, zone *time.Location) time.Time {
	opens, closes, _ := w.on(dayIn(t, zone), zone)
	switch {
	case w.from != "" && t.Before(opens):
		return opens
	case w.to != "" && t.After(closes):
		return closes
	}
	return t
}
