package api

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/webui/lamp"
)

// metrics answers in the text format of Prometheus, version 0.0.4. It is
// written by hand: the client library would weigh a sixth of the program.
func (a *API) metrics(c *call) (*reply, error) {
	var p printer
	counts := a.queue.Counts()
	p.metric("tillpost_messages", "gauge", "Messages that are not settled yet, by state.")
	for _, s := range []struct {
		state queue.State
		n     int64
	}{
		{queue.Scheduled, counts.Scheduled}, {queue.Queued, counts.Queued}, {queue.Held, counts.Held},
		{queue.Sending, counts.Sending}, {queue.Unknown, counts.Unknown}, {queue.Sent, counts.Awaiting},
	} {
		p.value(float64(s.n), "state", string(s.state))
	}
	oldest, err := a.queue.Oldest()
	if err != nil {
		return nil, err
	}
	age := 0.0
	if oldest != nil {
		age = max(0, time.Since(oldest.Due).Seconds())
	}
	p.metric("tillpost_oldest_due_seconds", "gauge", "For how long the oldest message in line has been due.")
	p.value(age)

	if a.cfg.Tally != nil {
		p.metric("tillpost_events_total", "counter", "Events counted since the day the program was started in, by kind.")
		events := a.cfg.Tally.Events()
		for _, k := range slices.Sorted(maps.Keys(events)) {
			p.value(float64(events[k]), "kind", string(k))
		}
	}

	routes := a.queue.Routes()
	p.metric("tillpost_route_ready", "gauge", "1 while the route takes messages.")
	for _, r := range routes {
		ready := 0.0
		if lamp.Of(r).Ready {
			ready = 1
		}
		p.value(ready, "route", r.Route, "kind", r.Kind, "pool", r.Pool)
	}
	p.metric("tillpost_route_state", "gauge", "1 for the state the route is in.")
	for _, r := range routes {
		for _, s := range []route.State{route.Starting, route.Ready, route.Waiting, route.Hand, route.Stopped} {
			is := 0.0
			if r.State == s {
				is = 1
			}
			p.value(is, "route", r.Route, "state", string(s))
		}
	}
	p.metric("tillpost_route_busy", "gauge", "Messages in the hands of the route.")
	for _, r := range routes {
		p.value(float64(r.Busy), "route", r.Route)
	}
	p.metric("tillpost_route_signal_dbm", "gauge", "Signal of the modem.")
	for _, r := range routes {
		if r.Signal != nil {
			p.value(float64(*r.Signal), "route", r.Route)
		}
	}

	box := lamp.Look(a.queue, a.db)
	p.metric("tillpost_lamp", "gauge", "1 for the lamp the box shows.")
	for _, l := range []lamp.Colour{lamp.OK, lamp.Info, lamp.Warn, lamp.Stop} {
		is := 0.0
		if box.Colour == l {
			is = 1
		}
		p.value(is, "lamp", string(l))
	}
	stats := a.db.Stats()
	p.metric("tillpost_commits_total", "counter", "Commits to the disk.")
	p.value(float64(stats.Commits))
	p.metric("tillpost_last_commit_seconds", "gauge", "How long the last commit took.")
	p.value(stats.LastCommit.Seconds())
	p.metric("tillpost_live_connections", "gauge", "Programs that follow the events.")
	p.value(float64(a.hub.Len()))
	p.metric("tillpost_start_time_seconds", "gauge", "When the program was started.")
	p.value(float64(a.started.Unix()))

	c.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	c.w.WriteHeader(http.StatusOK)
	if _, err := c.w.Write(p.buf.Bytes()); err != nil {
		a.log.Debug("answer not taken", "path", "/metrics", "err", err)
	}
	return nil, nil
}

// printer writes samples below the metric named last.
type printer struct {
	buf  bytes.Buffer
	name string
}

func (p *printer) metric(name, kind, help string) {
	p.name = name
	fmt.Fprintf(&p.buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// value writes one sample; labels are names and values in turn.
func (p *printer) value(v float64, labels ...string) {
	p.buf.WriteString(p.name)
	for i := 0; i+1 < len(labels); i += 2 {
		lead := ","
		if i == 0 {
			lead = "{"
		}
		p.buf.WriteString(lead + labels[i] + `="` + escapeLabel.Replace(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		p.buf.WriteByte('}')
	}
	p.buf.WriteString(" " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}
