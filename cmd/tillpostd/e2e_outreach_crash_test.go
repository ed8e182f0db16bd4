package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

// A campaign to 20,000 of 100,000 contacts is handed over while the daemon is
// killed again and again: in the end everybody who is meant has exactly one
// message, and nobody else has any.
func TestCampaignSurvivesKillsWithoutDoubling(t *testing.T) {
	const register, people, kills = 100_000, 20_000, 6
	b := newBox(t, build(t, ""), "")
	b.start("-log", "info")
	b.makeKey("send,read,manage")
	var list strings.Builder
	list.WriteString("id;mobile;club\n")
	for i := range register {
		club := "no"
		if i%(register/people) == 0 {
			club = "yes"
		}
		fmt.Fprintf(&list, "%d;+316%08d;%s\n", i, 10_000_000+i, club)
	}
	file := filepath.Join(b.dir, "register.csv")
	if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b.must("contacts", "import", file)
	steer := func(method, path string, body any) {
		t.Helper()
		if status, err := b.call(method, "/api/v1/campaigns/saturday"+path, body, nil); err != nil || status/100 != 2 {
			t.Fatalf("%s %s: %d %v", method, path, status, err)
		}
	}
	steer("PUT", "", a{"texts": a{"en": "See you on Saturday"}, "class": "transactional", "audience": a{"all": []a{{"field": "club", "op": "is", "value": "yes"}}}})
	steer("POST", "/start", a{})
	midway := 0
	for range kills {
		handed := 0
		eventually(t, "some are handed over", func() (bool, string) {
			var c reach.Campaign
			status, err := b.call("GET", "/api/v1/campaigns/saturday", nil, &c)
			handed = c.Handed
			return err == nil && status == http.StatusOK && c.Handed > 0, fmt.Sprint(status, err)
		})
		if handed < people {
			midway++
		}
		b.kill()
		b.start("-log", "info")
	}
	b.must("check")
	if midway == 0 {
		t.Errorf("every kill came after the last hand-over: nothing was proved")
	}
	eventually(t, "all are handed over", func() (bool, string) {
		var c reach.Campaign
		if _, err := b.call("GET", "/api/v1/campaigns/saturday", nil, &c); err != nil {
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
	for i := range register {
		want := 0
		if i%(register/people) == 0 {
			want = 1
		}
		if n := seen[fmt.Sprintf("+316%08d", 10_000_000+i)]; n != want {
			t.Errorf("contact %d has %d messages, want %d", i, n, want)
		}
	}
	t.Logf("%d of %d contacts, %d kills, %d of them in the middle of the hand-over", people, register, kills, midway)
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
