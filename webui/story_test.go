package webui

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
)

// The rails of a long message: one per part, each with the signs of what is
// known about that part and about no other.
func TestRailsOfAStory(t *testing.T) {
	p := &page{site: &Site{cfg: Config{Location: time.UTC}}, Lang: "en"}
	type ev = queue.Event
	two := []queue.Part{{N: 1, State: queue.PartDelivered}, {N: 2, State: queue.PartDelivered}}
	for name, c := range map[string]struct {
		state queue.State
		parts []queue.Part
		story []ev
		rails []string // of each event: signs by rail, "-" for none
		lines string   // classes of the last row
	}{
		"part two was unsure until its report": {
			queue.Delivered, two,
			[]ev{
				{Kind: queue.KindAccepted, State: queue.Queued},
				{Kind: queue.KindTaken, State: queue.Sending, Attempt: 1},
				{Kind: queue.KindPart, State: queue.Sending, Part: 1, Code: "sent"},
				{Kind: queue.KindUnknown, State: queue.Unknown},
				{Kind: queue.KindReport, State: queue.Unknown, Part: 1},
				{Kind: queue.KindReport, State: queue.Delivered, Part: 2},
			},
			[]string{"line line", "sending sending", "sent -", "- unk", "ok -", "- ok"},
			"ok to|ok to",
		},
		"sent again after the unsure part alone": {
			queue.Sent, []queue.Part{{N: 1, State: queue.PartSent}, {N: 2, State: queue.PartSent}},
			[]ev{
				{Kind: queue.KindAccepted, State: queue.Queued},
				{Kind: queue.KindTaken, State: queue.Sending, Attempt: 1},
				{Kind: queue.KindPart, State: queue.Sending, Part: 1, Code: "sent"},
				{Kind: queue.KindInterrupted, State: queue.Unknown},
				{Kind: queue.KindResent, State: queue.Queued, By: "page"},
				{Kind: queue.KindTaken, State: queue.Sending, Attempt: 2},
				{Kind: queue.KindSent, State: queue.Sent},
			},
			[]string{"line line", "sending sending", "sent -", "- unk", "- line", "- sending", "- sent"},
			"info|info",
		},
		"begun again elsewhere at part one": {
			queue.Sending, []queue.Part{{N: 1, State: queue.PartWaiting}, {N: 2, State: queue.PartWaiting}},
			[]ev{
				{Kind: queue.KindAccepted, State: queue.Queued},
				{Kind: queue.KindTaken, State: queue.Sending, Attempt: 1},
				{Kind: queue.KindPart, State: queue.Sending, Part: 1, Code: "sent"},
				{Kind: queue.KindNotOffered, State: queue.Queued},
				{Kind: queue.KindRestarted, State: queue.Queued},
				{Kind: queue.KindTaken, State: queue.Sending, Attempt: 2},
			},
			[]string{"line line", "sending sending", "sent -", "- line", "line line", "sending sending"},
			"info|info",
		},
		"a person decided": {
			queue.Failed, []queue.Part{{N: 1, State: queue.PartSent}, {N: 2, State: queue.PartUnknown}},
			[]ev{
				{Kind: queue.KindAccepted, State: queue.Queued},
				{Kind: queue.KindPart, State: queue.Sending, Part: 1, Code: "sent"},
				{Kind: queue.KindUnknown, State: queue.Unknown},
				{Kind: queue.KindSettled, State: queue.Failed, By: "page"},
			},
			[]string{"line line", "sent -", "- unk", "stop stop"},
			"stop dash to|stop dash to",
		},
		"one part": {
			queue.Undelivered, []queue.Part{{N: 1, State: queue.PartUndelivered}},
			[]ev{
				{Kind: queue.KindAccepted, State: queue.Queued},
				{Kind: queue.KindTaken, State: queue.Sending, Attempt: 1},
				{Kind: queue.KindSent, State: queue.Sent},
				{Kind: queue.KindReport, State: queue.Undelivered},
			},
			[]string{"line", "sending", "sent", "warn"},
			"warn dash to",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &queue.Message{State: c.state, Parts: c.parts}
			steps := p.tellStory(m, c.story, rails(m))
			var lines []string
			for i, st := range steps {
				var got, line []string
				for _, r := range st.Rails {
					sign := r.Sign
					if sign == "" {
						sign = "-"
					}
					got, line = append(got, sign), append(line, strings.TrimSpace(r.Class))
				}
				if s := strings.Join(got, " "); s != c.rails[i] {
					t.Errorf("event %d, %s: %q, want %q", i, c.story[i].Kind, s, c.rails[i])
				}
				if st.H == "" || strings.HasPrefix(st.H, "ev_") {
					t.Errorf("event %d, %s, has the heading %q", i, c.story[i].Kind, st.H)
				}
				lines = line
			}
			if got := strings.Join(lines, "|"); got != c.lines {
				t.Errorf("the lines end as %q, want %q", got, c.lines)
			}
		})
	}
}

// Seven parts do not fit beside each other: they share a rail.
func TestManyPartsShareARail(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 1, 7: 1} {
		m := &queue.Message{}
		for i := range n {
			m.Parts = append(m.Parts, queue.Part{N: i + 1})
		}
		if got := len(rails(m)); got != want {
			t.Errorf("%d parts have %d rails, want %d", n, got, want)
		}
	}
}

// Every kind of event that is about a message has a heading in words.csv.
func TestEveryEventHasAHeading(t *testing.T) {
	source, err := os.ReadFile("../queue/event.go")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := map[string]bool{ // about a route, a SIM or somebody's wish
		"taken": true, "part": true, // made of words and numbers
		"quota": true, "received": true, "opt_out": true, "opt_in": true, "route": true, "notice": true, "paused": true, "resumed": true, "clock": true, "hook": true, "settings": true,
		"campaign": true, "rule": true, // of those who cause messages
	}
	kinds := regexp.MustCompile(`Kind = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) < 20 {
		t.Fatalf("only %d kinds were found", len(kinds))
	}
	for _, k := range kinds {
		if elsewhere[k[1]] {
			continue
		}
		if _, ok := words()[headings[queue.Kind(k[1])]]; !ok {
			t.Errorf("%s has no heading in words.csv", k[1])
		}
	}
}
