package outreach

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Calendars are pure functions: a day and a clock time in a zone by its name,
// never an offset, so that 10:00 is 10:00 on both sides of the two nights on
// which the clock changes.

// believable is a clock that was set: this program is not older than that.
func believable(t time.Time) bool { return t.Year() >= 2026 }

// clockOf reads a time of day, 08:00.
func clockOf(s string) (hour, minute int, err error) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no time of day; write 08:00", s)
	}
	return t.Hour(), t.Minute(), nil
}

// at is a clock time on a day. A time that the spring night skips is the first
// moment after it; of one that the autumn night has twice it is the first.
func at(day time.Time, hour, minute int, zone *time.Location) time.Time {
	t, _ := local(day.Year(), day.Month(), day.Day(), hour, minute, 0, zone)
	return t
}

type clockKind int

const (
	clockPlain clockKind = iota
	clockGap             // skipped in spring: the first moment after the gap
	clockTwice           // there twice in autumn: the first
)

// local is a wall clock reading in a zone, and whether that is there once.
func local(year int, month time.Month, day, hour, minute, second int, zone *time.Location) (time.Time, clockKind) {
	// The offsets before and after any change on that day are those half a day
	// away on both sides.
	base := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	_, before := base.Add(-26 * time.Hour).In(zone).Zone()
	_, after := base.Add(26 * time.Hour).In(zone).Zone()
	early := base.Add(-time.Duration(before) * time.Second).In(zone)
	late := base.Add(-time.Duration(after) * time.Second).In(zone)
	reads := func(t time.Time) bool {
		return t.Day() == base.Day() && t.Hour() == base.Hour() && t.Minute() == base.Minute()
	}
	switch e, l := reads(early), reads(late); {
	case e && l && !early.Equal(late):
		if late.Before(early) {
			early = late
		}
		return early, clockTwice
	case e:
		return early, clockPlain
	case l:
		return late, clockPlain
	}
	// Skipped: the change itself is the first moment after.
	lo, hi := late, early
	if hi.Before(lo) {
		lo, hi = hi, lo
	}
	_, offset := lo.Zone()
	for hi.Sub(lo) > time.Second {
		mid := lo.Add(hi.Sub(lo) / 2)
		if _, o := mid.Zone(); o == offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi.Truncate(time.Second), clockGap
}

var localForm = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?$`)

// Moment reads a time of the API: RFC 3339, or a clock time of the shop
// (2026-10-25T02:30), which is refused where it is there twice or not at all.
// fold 1 is the first of the two, 2 the second. Its error is a *queue.Invalid
// about field.
func Moment(field, s string, fold int, zone *time.Location) (time.Time, error) {
	s = strings.TrimSpace(s)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	m := localForm.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, invalid(field, "time_invalid", "%q is not a time. Write 2026-11-24T09:30:00+01:00, or 2026-11-24T09:30 for the clock of the shop", s)
	}
	var n [6]int
	for i, digits := range m[1:] {
		if digits == "" {
			continue
		}
		v, err := strconv.Atoi(digits)
		if err != nil {
			return time.Time{}, fmt.Errorf("outreach: %w", err)
		}
		n[i] = v
	}
	if _, err := time.Parse("2006-01-02 15:04:05", fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", n[0], n[1], n[2], n[3], n[4], n[5])); err != nil {
		return time.Time{}, invalid(field, "time_invalid", "%q is no day and time that exist. Correct it", s)
	}
	t, kind := local(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], zone)
	switch {
	case kind == clockGap:
		return t, invalid(field, "time_skipped", "%s does not exist in %s: the clock goes forward in that night. Use a time from %s on", s, zone, t.Format("15:04"))
	case kind == clockTwice && fold == 0:
		return t, invalid(field, "time_twice", "%s comes twice in %s: the clock goes back in that night. Add fold 1 for the first or 2 for the second, or write the zone: %s", s, zone, t.Format(time.RFC3339))
	case kind == clockTwice && fold == 2:
		return t.Add(time.Hour), nil
	}
	return t, nil
}

// Span is a time between two: whole days, which the calendar counts, and the
// rest, which the clock does.
type Span struct {
	Days int
	Rest time.Duration
}

var spanForm = regexp.MustCompile(`^([+-]?)P(?:([0-9]{1,4})W)?(?:([0-9]{1,4})D)?(?:T(?:([0-9]{1,5})H)?(?:([0-9]{1,5})M)?)?$`)

// ParseSpan reads -PT3H, +PT2H30M, -P1D (ISO 8601), or 3h and -24h.
func ParseSpan(s string) (Span, error) {
	s = strings.TrimSpace(s)
	m := spanForm.FindStringSubmatch(strings.ToUpper(s))
	if m == nil || strings.HasSuffix(m[0], "P") || strings.HasSuffix(m[0], "T") {
		d, err := time.ParseDuration(s)
		if err != nil {
			return Span{}, fmt.Errorf("%q is no time span; write -PT3H for three hours before, PT2H for two hours after, -P1D for the day before", s)
		}
		return Span{Rest: d}, nil
	}
	var n [4]int
	for i, digits := range m[2:] {
		if digits != "" {
			v, err := strconv.Atoi(digits)
			if err != nil {
				return Span{}, fmt.Errorf("outreach: %w", err)
			}
			n[i] = v
		}
	}
	span := Span{Days: 7*n[0] + n[1], Rest: time.Duration(n[2])*time.Hour + time.Duration(n[3])*time.Minute}
	if m[1] == "-" {
		span.Days, span.Rest = -span.Days, -span.Rest
	}
	return span, nil
}

// From is the time a span from t: -P1D is the same clock time on the day
// before, also across a change of the clock.
func (s Span) From(t time.Time, zone *time.Location) time.Time {
	if s.Days != 0 {
		l := t.In(zone)
		d := time.Date(l.Year(), l.Month(), l.Day()+s.Days, 0, 0, 0, 0, time.UTC)
		t, _ = local(d.Year(), d.Month(), d.Day(), l.Hour(), l.Minute(), l.Second(), zone)
	}
	return t.Add(s.Rest)
}

// Before says whether the span goes back.
func (s Span) Before() bool { return s.Days < 0 || s.Rest < 0 }

// wholeDays: it has no hours, or so many that they are days; those it counts as
// days from then on, so that -PT72H is -P3D.
func (s *Span) wholeDays() bool {
	const day = 24 * time.Hour
	if s.Rest%day != 0 {
		return false
	}
	s.Days, s.Rest = s.Days+int(s.Rest/day), 0
	return true
}

// IsZero: no span at all.
func (s Span) IsZero() bool { return s == Span{} }

// String writes it as ParseSpan reads it.
func (s Span) String() string {
	sign, days, rest := "", s.Days, s.Rest
	if s.Before() {
		sign, days, rest = "-", -days, -rest
	}
	out := sign + "P"
	if days != 0 {
		out += fmt.Sprintf("%dD", days)
	}
	if rest != 0 || days == 0 {
		out += fmt.Sprintf("T%dH", int(rest.Hours()))
		if m := int(rest.Minutes()) % 60; m != 0 {
			out += fmt.Sprintf("%dM", m)
		}
	}
	return out
}

func (s Span) MarshalText() ([]byte, error) {
	if s.IsZero() {
		return nil, nil
	}
	return []byte(s.String()), nil
}

func (s *Span) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*s = Span{}
		return nil
	}
	*s, err = ParseSpan(string(b))
	return err
}
