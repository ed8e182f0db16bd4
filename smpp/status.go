package smpp

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"tillpost/queue/route"
)

// Status values that we send or look for. SMPP 3.4 §5.1.3
const (
	statusOK         pdu.Status = 0x00
	statusBadLength  pdu.Status = 0x02 // ESME_RINVCMDLEN
	statusBadCommand pdu.Status = 0x03 // ESME_RINVCMDID
	statusBound      pdu.Status = 0x05 // ESME_RALYBND
	statusBadNumber  pdu.Status = 0x0B // ESME_RINVDSTADR
	statusQueueFull  pdu.Status = 0x14 // ESME_RMSGQFUL
	statusNotNow     pdu.Status = 0x64 // ESME_RX_T_APPN
)

// statusCSV is the table of command_status: one row for each code, what it
// means and what to do about it.
//
//go:embed status.csv
var statusCSV string

// statusRow is one row of the table.
type statusRow struct {
	from, to pdu.Status // to is from, or the end of a range
	name     string     // ESME_RTHROTTLED
	text     string     // the standard's words
	class    string     // ok, temporary, permanent, bind, bind_fatal
	retry    string     // none, no, backoff, throttle, reconnect, stop
}

// statusTable is the table, read once. The file is part of the program: a
// mistake in it is a bug, which every test of the package would show.
var statusTable = sync.OnceValue(func() []statusRow {
	rows, err := parseStatusTable(statusCSV)
	if err != nil {
		panic("smpp: " + err.Error())
	}
	return rows
})

func parseStatusTable(s string) ([]statusRow, error) {
	records, err := csv.NewReader(strings.NewReader(s)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("status.csv: %w", err)
	}
	var rows []statusRow
	for i, r := range records[1:] {
		from, err := strconv.ParseUint(r[0], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("status.csv, row %d, code_hex: %w", i+2, err)
		}
		to := from
		if r[2] != "" {
			if to, err = strconv.ParseUint(r[2], 16, 32); err != nil {
				return nil, fmt.Errorf("status.csv, row %d, range_end_hex: %w", i+2, err)
			}
		}
		rows = append(rows, statusRow{pdu.Status(from), pdu.Status(to), r[3], r[4], r[5], r[6]})
	}
	return rows, nil
}

// lookup returns the row of a code. Codes that are not in the table behave as
// the table's README says: below 0x400 they are given one more try and then
// count as permanent; from 0x500 they are as ESME_RUNKNOWNERR.
func lookup(s pdu.Status) statusRow {
	for _, row := range statusTable() {
		if row.from <= s && s <= row.to {
			return row
		}
	}
	return statusRow{s, s, "an unlisted code", "meaning known to the provider only", "temporary", "backoff"}
}

// patience says how long to wait and how often to try where a code is
// temporary: what other gateways found to work.
var patience = []struct {
	from, to pdu.Status
	wait     time.Duration
	tries    int
}{
	{0x08, 0x08, 30 * time.Second, 3},  // system error
	{0x14, 0x14, 3 * time.Minute, 3},   // queue full, where the throttle did not help
	{0x45, 0x45, 30 * time.Second, 3},  // submit failed: the catch-all
	{0x58, 0x58, 30 * time.Second, 20}, // throttled, where the throttle did not help
	{0xFF, 0xFF, 30 * time.Second, 3},  // unknown error
	{0x400, 0x4FF, time.Minute, 3},     // vendor codes
	{0x500, 0xFFFFFFFF, 30 * time.Second, 3},
	{0x00, 0x3FF, 30 * time.Second, 2}, // the rest, and what is not listed
}

// refused is the verdict on a message whose submit_sm the SMSC answered with
// a status other than 0. what says what was tried; own are the shop's own
// verdicts on codes.
func refused(name, what string, s pdu.Status, own map[uint32]route.Fate) *route.Error {
	row := lookup(s)
	e := &route.Error{
		Fate: route.Retry,
		Code: statusCode(s),
		Text: fmt.Sprintf("%s: %s was refused: %s (%s)", name, what, row.text, row.name),
		Err:  s,
	}
	if row.retry == "no" {
		e.Fate = route.Reject
	}
	if fate, ok := own[uint32(s)]; ok {
		e.Fate = fate
	}
	if e.Fate != route.Retry {
		return e
	}
	if row.class == "bind" || row.class == "bind_fatal" || row.retry == "throttle" {
		e.Scope = route.ScopeRoute
	}
	for _, p := range patience {
		if p.from <= s && s <= p.to {
			e.Wait, e.Max = p.wait, p.tries
			break
		}
	}
	return e
}

func statusCode(s pdu.Status) string { return fmt.Sprintf("SMPP 0x%08X", uint32(s)) }

// throttling reports whether the status means "slower, and then the same again".
func throttling(s pdu.Status) bool { return lookup(s).retry == "throttle" }
