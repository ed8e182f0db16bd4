package outreach

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// Who wants no more advertising must lose the tick in the business system, too.
// A system that reads files finds them day by day (field-notes §5.2):
// optouts-2026-11-24.csv.result has a row for everybody who said so on that day,
// or took it back. Like other results it is removed after thirty days, and it is
// nothing that would be sent to.
//
// A row is written before the place in the log is noted. Whoever is killed
// between finds the row, by its event, and does not write it twice.

const (
	optOutsName = "optouts-"
	optOutsEnd  = ".csv.result"

	logAtOnce = 1000 // events
	// noteAfter is how far the place in the log may move in memory while nobody
	// opts out: a note is a write to the card.
	noteAfter = 20_000
)

var optOutsHead = []string{"event", "time", "what", "number", "contact", "by"}

// place is how far the log was read for the daily files.
type place struct {
	Event uint64 `json:"event"`
}

const placeName = "place" // there is one

var places = store.NewTable("drop.optouts", func(*place) []byte { return store.Str(placeName) })

// optOuts brings the daily files up to date.
func (d *Drop) optOuts(ctx context.Context) error {
	last := d.o.q.LastEvent()
	if d.place == nil {
		p, err := get(d.o.db, places, placeName)
		switch {
		case errors.Is(err, ErrNotFound): // it begins with what happens from now on
			p = &place{last}
			err = d.note(ctx, p)
		case err == nil:
			d.noted = p.Event
		}
		if err != nil {
			return err
		}
		d.place = p
	}
	if last == d.place.Event {
		return nil
	}
	rows := map[string][][]string{} // by day
	at := d.place.Event
	for at < last {
		list, err := d.o.q.Events(at, logAtOnce)
		if gone, ok := errors.AsType[*queue.Gone](err); ok {
			at = gone.First - 1
			continue
		}
		if err != nil {
			return err
		}
		if len(list) == 0 { // the last ones were about a person who was erased
			at = last
		}
		for _, e := range list {
			if at = e.Seq; e.Kind != queue.KindOptOut && e.Kind != queue.KindOptIn {
				continue
			}
			row, err := d.optOut(e)
			if err != nil {
				return err
			}
			if row != nil {
				day := e.At.In(d.o.cfg.Location).Format(time.DateOnly)
				rows[day] = append(rows[day], row)
			}
		}
	}
	for day, list := range rows {
		if err := d.addRows(optOutsName+day+optOutsEnd, list); err != nil {
			return err
		}
	}
	d.place = &place{at}
	if len(rows) == 0 && at-d.noted < noteAfter {
		return nil
	}
	return d.note(ctx, d.place)
}

func (d *Drop) note(ctx context.Context, p *place) error {
	d.noted = p.Event
	return d.o.db.Commit(ctx, func(tx *store.Tx) error { return places.Put(tx, p) })
}

// optOut is the row of an event; nil: the person was erased since.
func (d *Drop) optOut(e queue.Event) ([]string, error) {
	seq, err := strconv.ParseUint(e.Ref, 10, 64)
	if err != nil {
		return nil, err
	}
	in, err := d.o.q.InboundOf(seq)
	if err != nil || in == nil || in.From == "" {
		return nil, err
	}
	var known []string
	err = d.o.db.View(func(tx *store.Tx) error {
		list, err := withNumber(tx, in.From)
		for _, c := range list {
			known = append(known, c.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	by := e.By
	if by == "" {
		by = "SMS"
	}
	return []string{
		strconv.FormatUint(e.Seq, 10), e.At.In(d.o.cfg.Location).Format(time.RFC3339), string(e.Kind), quoted(in.From), quoted(strings.Join(known, " ")), quoted(by),
	}, nil
}

// quoted keeps a spreadsheet from reading a formula (contract.md); an import
// takes the sign off.
func quoted(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// addRows adds to a daily file what does not stand in it, and puts the new file
// in the place of the old one: who reads finds either, whole.
func (d *Drop) addRows(name string, list [][]string) error {
	rows, err := d.readRows(name)
	if err != nil {
		return err
	}
	for _, row := range list {
		if !slices.ContainsFunc(rows, func(old []string) bool { return old[0] == row[0] }) {
			rows = append(rows, row)
		}
	}
	return d.writeRows(name, rows)
}

// readRows reads a daily file without its head; one that is not there is empty.
func (d *Drop) readRows(name string) ([][]string, error) {
	raw, err := d.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in := csv.NewReader(bytes.NewReader(raw))
	in.Comma, in.FieldsPerRecord = ';', len(optOutsHead)
	rows, err := in.ReadAll()
	if err != nil || len(rows) == 0 {
		// Somebody wrote in it. What is in it is his; ours begins anew.
		d.o.log.Error("a daily file of opt-outs was changed, and is begun anew", "err", err)
		return nil, nil
	}
	return rows[1:], nil
}

func (d *Drop) writeRows(name string, rows [][]string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = ';'
	if err := w.WriteAll(append([][]string{optOutsHead}, rows...)); err != nil {
		return err
	}
	part := name + ".part"
	if err := d.write(part, b.Bytes()); err != nil {
		return err
	}
	return d.root.Rename(part, name)
}

// isOptOuts: it is one of the daily files.
func isOptOuts(name string) bool {
	return strings.HasPrefix(name, optOutsName) && strings.HasSuffix(name, optOutsEnd)
}

// forgetRows takes a number out of a daily file, in which others stand, too.
func (d *Drop) forgetRows(name, number string) (n int, err error) {
	rows, err := d.readRows(name)
	if err != nil {
		return 0, err
	}
	left := slices.DeleteFunc(slices.Clone(rows), func(row []string) bool { return strings.TrimPrefix(row[3], "'") == number })
	if len(left) == len(rows) {
		return 0, nil
	}
	return 1, d.writeRows(name, left)
}
