package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

// A campaign to thousands is handed over while the daemon is killed again and
// again: in the end everybody on the list has exactly one message.
func TestCampaignSurvivesKillsWithoutDoubling(t *testing.T) {
	const people, kills = 10_000, 6
	b := newBox(t, build(t, ""), "")
	b.start("-log", "info")
	b.makeKey("send,read,manage")
	var rows []a
	for i := range people {
		rows = append(rows, a{"to": fmt.Sprintf("+316%08d", 10_000_000+i), "ref": fmt.Sprint(i)})
	}
	var started reach.Started
	if status, err := b.call("POST", "/api/v1/batches", a{"recipients": rows, "texts": a{"en": "See you on Saturday"}, "class": "transactional"}, &started); err != nil || status != http.StatusAccepted {
		t.Fatalf("POST /batches: %d %v", status, err)
	}
	midway := 0
	for range kills {
		handed := 0
		eventually(t, "some are handed over", func() (bool, string) {
			var c reach.Campaign
			status, err := b.call("GET", "/api/v1/batches/"+started.ID, nil, &c)
			handed = c.Handed
			return err == nil && status == http.StatusOK && c.Handed > 0, fmt.Sprint(status, err)
		})
		if handed < people {
			midway++
		}
		b.kill()
		b.start("-log", "info")
		b.must("check")
	}
	if midway == 0 {
		t.Errorf("every kill came after the last hand-over: nothing was proved")
	}
	eventually(t, "all are handed over", func() (bool, string) {
		var c reach.Campaign
		if _, err := b.call("GET", "/api/v1/batches/"+started.ID, nil, &c); err != nil {
			return false, err.Error()
		}
		return c.Handed == people && c.Refused == 0, fmt.Sprintf("%d handed over, %d refused", c.Handed, c.Refused)
	})
	seen := map[string]int{}
	for after := ""; ; {
		var page wire.Page[wire.Message]
		if status, err := b.call("GET", "/api/v1/messages?limit=1000&after="+after, nil, &page); err != nil || status != http.StatusOK {
			t.Fatalf("GET /messages: %d %v", status, err)
		}
		for _, m := range page.Items {
			seen[m.To]++
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for i := range people {
		if n := seen[fmt.Sprintf("+316%08d", 10_000_000+i)]; n != 1 {
			t.Errorf("recipient %d has %d messages", i, n)
		}
	}
	t.Logf("%d recipients, %d kills, %d of them in the middle of the hand-over", people, kills, midway)
}

// BenchmarkTillMailing is what a till waits for when it hands over 10,000 rows
// in one call (field-notes §4.3: less than 2 s), and by how much the daemon
// grows meanwhile.
func BenchmarkTillMailing(b *testing.B) {
	box := newBox(b, build(b, ""), "")
	box.start("-log", "info")
	box.makeKey("send,read,manage")
	var rows []a
	for i := range 10_000 {
		rows = append(rows, a{"to": fmt.Sprintf("+316%08d", 10_000_000+i), "vars": a{"naam": fmt.Sprint("Klant ", i)}})
	}
	body, err := json.Marshal(a{"recipients": rows, "texts": a{"en": "Dear {naam}, see you on Saturday"}, "class": "transactional"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, before := box.resident()
		began := time.Now()
		var started reach.Started
		if status, err := box.call("POST", "/api/v1/batches", json.RawMessage(body), &started); err != nil || status != http.StatusAccepted {
			b.Fatalf("%d %v", status, err)
		}
		report1(b, time.Since(began).Seconds(), "s-to-202")
		eventually(b, "all are handed over", func() (bool, string) {
			var c reach.Campaign
			_, err := box.call("GET", "/api/v1/batches/"+started.ID, nil, &c)
			return err == nil && c.Handed == len(rows), fmt.Sprint(c.Handed)
		})
		b.ReportMetric(time.Since(began).Seconds(), "s-to-the-queue")
		_, after := box.resident()
		b.ReportMetric(after-before, "MB-anonymous-growth")
	}
}
