package outreach

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
)

// Columns of a file of bookings, in the words of the programs that write them.
// The first of each is ours.
var bookingColumns = [][]string{
	{"id", "booking", "boeking", "afspraak", "bokning", "buchung", "termin"},
	{"contact", "customer", "customer_id", "klantnummer", "klantnr", "debiteurnummer", "kundnr", "kundennummer", "mitgliedsnummer"},
	{"start", "begin", "datum", "date", "starttid", "beginn"},
	{"time", "tijd", "tid", "zeit", "uhrzeit"},
	{"end", "eind", "einde", "slut", "ende"},
	{"status", "state"},
	{"version", "versie", "versioun"},
	{"event", "evenement", "veranstaltung"},
	{"type", "soort", "typ", "art"},
	{"service", "dienst", "tjänst", "leistung", "behandeling"},
	{"place", "plaats", "plats", "ort", "locatie"},
	{"staff", "medewerker", "personal", "mitarbeiter"},
	{FlagReminder, "herinnering", "påminnelse", "erinnerung"},
}

// statusWords are the states of a booking in the words of the files.
var statusWords = map[string]Status{
	"in afwachting": Pending, "aangevraagd": Pending, "väntar": Pending, "angefragt": Pending,
	"bevestigd": Confirmed, "bekräftad": Confirmed, "bestätigt": Confirmed,
	"afgewezen": Rejected, "avslagen": Rejected, "abgelehnt": Rejected,
	"geannuleerd": Cancelled, "avbokad": Cancelled, "storniert": Cancelled, "abgesagt": Cancelled, "canceled": Cancelled,
	"verplaatst": Moved, "flyttad": Moved, "verschoben": Moved,
}

// bookings takes over a file of bookings. Customers whose fields stand in it
// are saved.
func (d *Drop) bookings(ctx context.Context, f *File, res *result) error {
	columns := make([]string, len(f.Head)) // ours, or empty: customer or attribute
	for i, h := range f.Head {
		name, _ := headName(h)
		for _, names := range bookingColumns {
			if slices.Contains(names, fold(name)) {
				columns[i] = names[0]
			}
		}
	}
	if !slices.Contains(columns, "id") {
		return invalid("file", "column_missing", "row 1 has no column for the number of the booking. Name one id. The file has %s", some(f.Head))
	}
	good := 0
	for _, row := range f.Rows {
		if row.Bad != "" {
			res.add(row.Line, "refused", "", "the row "+row.Bad)
			continue
		}
		booked, err := d.booking(ctx, f, row, columns)
		if bad, ok := errors.AsType[*queue.Invalid](err); ok {
			res.add(row.Line, "refused", "", bad.Field+": "+bad.Detail)
			continue
		}
		if err != nil {
			return err
		}
		good++
		word := string(booked.Status)
		if booked.Ignored {
			word = "as it was"
		}
		res.add(row.Line, word, booked.ID, "")
	}
	res.bad = good == 0 && len(f.Rows) > 0
	return nil
}

func (d *Drop) booking(ctx context.Context, f *File, row FileRow, columns []string) (*Booked, error) {
	b := Booking{}
	who := Contact{}
	start, hour, end := "", "", ""
	var err error
	for i, column := range columns {
		cell := strings.TrimSpace(row.Cells[i])
		if cell == "" {
			continue
		}
		switch column {
		case "id":
			b.ID = cell
		case "contact":
			b.Contact = cell
		case "start":
			start = cell
		case "time":
			hour = cell
		case "end":
			end = cell
		case "status":
			b.Status = Status(cmp.Or(string(statusWords[strings.ToLower(cell)]), cell))
		case "version":
			if b.Version, err = strconv.Atoi(cell); err != nil {
				err = invalid("version", "wrong_type", "%q is not a number", cell)
			}
		case "event":
			b.Event = cell
		case "type":
			b.Type = cell
		case "service":
			b.Service = cell
		case "place":
			b.Place = cell
		case "staff":
			b.Staff = cell
		case FlagReminder:
			var on bool
			if on, err = readYesNo(cell); err != nil {
				err = invalid(FlagReminder, "wrong_type", "%s", err)
			}
			b.AutoReminder = &on
		default:
			name, t := headName(f.Head[i])
			if field := fieldName(name); isContactField(field) && field != "id" {
				*who.place(field) = cell
				continue
			}
			v := textValue(cell)
			if t != "" {
				if v, err = Typed(cell, t); err != nil {
					err = invalid(fold(name), "wrong_type", "%s", err)
				}
			}
			if b.Attrs == nil {
				b.Attrs = Attributes{}
			}
			b.Attrs[fold(name)] = v
		}
		if err != nil {
			return nil, err
		}
	}
	if start != "" {
		if b.Start, err = momentIn("start", start, hour, d.o.cfg.Location); err != nil {
			return nil, err
		}
	}
	if end != "" {
		if clockForm.MatchString(end) && start != "" { // ends on the day on which it begins
			day, _, _ := strings.Cut(strings.Replace(start, "T", " ", 1), " ")
			end = day + " " + end
		}
		if b.End, err = momentIn("end", end, "", d.o.cfg.Location); err != nil {
			return nil, err
		}
	}
	if who.Number == "" {
		return d.o.PutBooking(ctx, b, "drop")
	}
	who.ID = cmp.Or(b.Contact, who.Number)
	return d.o.PutBookingOf(ctx, b, &who, "drop")
}

var clockForm = regexp.MustCompile(`^[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?$`)

// momentIn reads a day and a time of day, from one column or from two, the day
// as the programs of the four countries write it: 24-12-2026 10:00. A day alone
// begins at midnight: a qualification expires on a day.
func momentIn(field, day, hour string, zone *time.Location) (time.Time, error) {
	if first, rest, ok := strings.Cut(day, " "); ok && hour == "" {
		day, hour = first, strings.TrimSpace(rest)
	}
	if d, err := readDate(day); err == nil && !strings.Contains(day, ":") {
		if clockForm.MatchString(hour) && hour[1] == ':' {
			hour = "0" + hour // 9:30
		}
		day = d + "T" + cmp.Or(hour, "00:00")
	} else if hour != "" {
		day += " " + hour // which is told as it stands there
	}
	return Moment(field, day, 0, zone)
}
