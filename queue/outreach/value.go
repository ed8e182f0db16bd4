package outreach

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// writing is how a language writes a date. Clock times are 14:30 in all of
// them.
//
// English names the month: 03/04 is a day in April to one reader and in March
// to another.
var writing = map[string]string{
	"en": "2 Jan 2006",
	"nl": "02-01-2006",
	"sv": "2006-01-02",
	"de": "02.01.2006",
}

const clockTime = "15:04"

// forms in which programs write a date, and a date with a time of day. A time
// with a zone is turned into the shop's; one without is the shop's already.
var forms = []struct {
	layout     string
	time, zone bool
}{
	{"2006-01-02", false, false},
	{"2006-01-02T15:04", true, false},
	{"2006-01-02 15:04", true, false},
	{"2006-01-02T15:04:05", true, false},
	{"2006-01-02 15:04:05", true, false},
	{time.RFC3339, true, true},
	{"2006-01-02T15:04Z07:00", true, true},
}

// inWords writes a value as a reader of that language expects it. What is no
// date stays as it is.
func inWords(value, lang string, zone *time.Location) string {
	// Nearly nothing is a date: find that out without time.Parse, which makes
	// an error for each form.
	if len(value) < len("2006-01-02") || value[4] != '-' || value[7] != '-' {
		return value
	}
	lang, _, _ = strings.Cut(strings.ToLower(lang), "-") // de-AT
	date := cmp.Or(writing[lang], writing["sv"])         // ISO 8601 is understood anywhere
	for _, f := range forms {
		t, err := time.Parse(f.layout, value)
		if err != nil {
			continue
		}
		if f.zone {
			t = t.In(zone)
		}
		if f.time {
			date += " " + clockTime
		}
		return t.Format(date)
	}
	return value
}

// Weekdays and months as people of the four countries say them: "vrijdag 23
// april".
var (
	weekdays = map[string][]string{
		"en": {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
		"nl": {"zondag", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag"},
		"sv": {"söndag", "måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag"},
		"de": {"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"},
	}
	months = map[string][]string{
		"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		"nl": {"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"},
		"sv": {"januari", "februari", "mars", "april", "maj", "juni", "juli", "augusti", "september", "oktober", "november", "december"},
		"de": {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
	}
	dayOrder = map[string]string{"en": "%s %d %s", "nl": "%s %d %s", "sv": "%s %d %s", "de": "%s, %d. %s"}
)

// dayInWords writes a day for a reader, without its year.
func dayInWords(t time.Time, lang string, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	lang, _, _ = strings.Cut(strings.ToLower(lang), "-")
	if _, ok := weekdays[lang]; !ok {
		lang = "en"
	}
	t = t.In(zone)
	return fmt.Sprintf(dayOrder[lang], weekdays[lang][t.Weekday()], t.Day(), months[lang][t.Month()-1])
}
