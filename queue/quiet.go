package queue

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// When marketing may be sent, by the recipient's country: a table somebody who
// knows the country can check (field-notes §5.1). Holidays are days of the year
// or days from Easter Sunday.
//
//go:embed quiet_hours.csv
var quietCSV []byte

// opening is a country's row.
type opening struct {
	zone          *time.Location // nil: the shop's
	days          [7]bool        // by time.Weekday
	opens, closes time.Duration  // of the day
	holidays      []string       // "12-25", "E+1"
}

var openings = sync.OnceValue(func() map[string]opening {
	rows, err := csv.NewReader(bytes.NewReader(quietCSV)).ReadAll()
	if err != nil {
		panic("quiet_hours.csv: " + err.Error()) // compiled in, and read by a test
	}
	table := map[string]opening{}
	for _, row := range rows[1:] {
		o, err := readOpening(row)
		if err != nil {
			panic("quiet_hours.csv: " + row[0] + ": " + err.Error())
		}
		table[row[0]] = o
	}
	return table
})

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func readOpening(row []string) (o opening, err error) {
	if row[1] != "" {
		if o.zone, err = time.LoadLocation(row[1]); err != nil {
			return o, err
		}
	}
	from, to, _ := strings.Cut(row[2], "-")
	first, last := slices.Index(weekdays, from), slices.Index(weekdays, to)
	if first < 0 || last < first {
		return o, fmt.Errorf("days %q", row[2])
	}
	for d := first; d <= last; d++ {
		o.days[d] = true
	}
	if o.opens, err = clockOf(row[3]); err != nil {
		return o, err
	}
	if o.closes, err = clockOf(row[4]); err != nil {
		return o, err
	}
	o.holidays = strings.Fields(row[5])
	return o, nil
}

func clockOf(s string) (time.Duration, error) {
	t, err := time.Parse("15:04", s)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err
}

// quietUntil returns when marketing to a country may go out: zero if now.
func quietUntil(country string, now time.Time, shop *time.Location) time.Time {
	o, ok := openings()[country]
	if !ok {
		o = openings()["*"]
	}
	zone := o.zone
	if zone == nil {
		zone = shop
	}
	local := now.In(zone)
	for ahead := range 15 { // no country closes for two weeks
		day := time.Date(local.Year(), local.Month(), local.Day()+ahead, 0, 0, 0, 0, zone)
		if !o.days[day.Weekday()] || o.holiday(day) {
			continue
		}
		// By the clock on the wall, so that the hour holds on the two nights
		// on which it changes.
		opens, closes := onClock(day, o.opens), onClock(day, o.closes)
		switch {
		case now.Before(opens):
			return opens
		case now.Before(closes):
			return time.Time{}
		}
	}
	return time.Time{}
}

func onClock(day time.Time, of time.Duration) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), int(of.Hours()), int(of.Minutes())%60, 0, 0, day.Location())
}

func (o *opening) holiday(day time.Time) bool {
	date := day.Format("01-02")
	noon := time.Date(day.Year(), day.Month(), day.Day(), 12, 0, 0, 0, time.UTC)
	fromEaster := fmt.Sprintf("E%+d", int(noon.Sub(easter(day.Year())).Hours())/24)
	return slices.Contains(o.holidays, date) || slices.Contains(o.holidays, fromEaster)
}

// easter returns noon of Easter Sunday in the Gregorian calendar, by the
// anonymous algorithm that "Nature" printed in 1876.
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 19*l) / 433
	month := (h + l - 7*m + 90) / 25
	day := (h + l - 7*m + 33*month + 19) % 32
	return time.Date(year, time.Month(month), day, 12, 0, 0, 0, time.UTC)
}
