package modem

import (
	"embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// The tables are facts about networks and modems that a person without Go can
// check and correct: error codes, report states, unsolicited lines,
// registration states and signal scales.
//
//go:embed tables/*.csv
var files embed.FS

// table holds them, read once.
type table struct {
	cms, cme     map[int]row
	words        map[string]row // by lower-case name, for modems that answer in words
	reports      [256]reportRow
	urcs         []at.URC
	registration map[int]network
	signal       map[string]map[int]int // scale, value → dBm
}

// row is one line of cms_errors.csv or cme_errors.csv.
type row struct {
	Kind  string // CMS or CME
	Code  int
	Name  string
	Class string // accepted, permanent, temporary, network, sim, modem
	Scope string // message, network, modem, sim
	Retry string // no, yes, hold, reset, ambiguous
	Wait  time.Duration
	Max   int
}

// reportRow is one line of tp_status.csv.
type reportRow struct {
	Name  string
	Final bool
	State route.ReportState
}

// network is one line of registration.csv.
type network struct {
	Meaning string
	CanSend bool
}

var tables = sync.OnceValue(func() *table {
	t := &table{cms: map[int]row{}, cme: map[int]row{}, words: map[string]row{}, registration: map[int]network{}, signal: map[string]map[int]int{}}
	// CME first: where both have a name, the CMS row is the one with times.
	for _, f := range []struct {
		kind, file string
		rows       map[int]row
	}{{"CME", "cme_errors.csv", t.cme}, {"CMS", "cms_errors.csv", t.cms}} {
		for _, r := range read(f.file) {
			e := row{Kind: f.kind, Code: number(r["code"]), Name: r["name"], Class: r["class"], Scope: r["scope"], Retry: r["retry"]}
			e.Wait, e.Max = time.Duration(number(r["first_retry_s"]))*time.Second, number(r["max_retries"])
			if f.kind == "CME" && (e.Retry == "yes" || e.Retry == "reset") {
				// vectors/README: where the table gives no times, as CMS 258.
				e.Wait, e.Max = 15*time.Second, 5
			}
			f.rows[e.Code] = e
			t.words[strings.ToLower(e.Name)] = e
		}
	}
	for _, r := range read("tp_status.csv") {
		t.reports[number(r["code"])] = reportRow{r["name"], r["final"] == "yes", reportStates[r["class"]]}
	}
	for _, r := range read("urcs.csv") {
		p := r["prefix"]
		t.urcs = append(t.urcs, at.URC{
			Prefix: p,
			PDU:    p == "+CMT" || p == "+CDS" || p == "+CBM", // 27.005 §3.4.1
			Ignore: notices[p] == 0,
		})
	}
	for _, r := range read("registration.csv") {
		t.registration[number(r["stat"])] = network{r["meaning"], r["can_send_sms"] == "yes"}
	}
	for _, r := range read("signal.csv") {
		dBm, err := strconv.Atoi(strings.TrimLeft(r["level"], "<>="))
		if err != nil {
			continue // "not known", and the quality scale, which is no level
		}
		if t.signal[r["scale"]] == nil {
			t.signal[r["scale"]] = map[int]int{}
		}
		t.signal[r["scale"]][number(r["value"])] = dBm
	}
	return t
})

// reportStates gives the classes of tp_status.csv their state at the seam.
var reportStates = map[string]route.ReportState{
	"delivered":            route.ReportDelivered,
	"accepted_unconfirmed": route.ReportSent,
	"replaced":             route.ReportSent,
	"temporary":            route.ReportPending,
	"temporary_final":      route.ReportUndelivered,
	"permanent":            route.ReportUndelivered,
	"expired":              route.ReportUndelivered,
}

// read returns the rows of a table by column name. A table that cannot be read
// is a fault of the build, and the first test that runs meets it.
func read(name string) []map[string]string {
	f, err := files.Open("tables/" + name)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	var rows []map[string]string
	for _, line := range all[1:] {
		r := map[string]string{}
		for i, column := range all[0] {
			r[column] = line[i]
		}
		rows = append(rows, r)
	}
	return rows
}

// number reads a cell; an empty one is 0.
func number(s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(fmt.Sprintf("table cell %q is not a number", s))
	}
	return n
}
