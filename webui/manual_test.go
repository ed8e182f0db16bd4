package webui

import (
	"encoding/csv"
	"html"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tillpost/queue"
)

// Every code of the queue's table has its place in the manual, in every
// language, with the very sentence that the lamp says.
func TestEveryFailureIsInTheManual(t *testing.T) {
	f, err := os.Open("../queue/words.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 50 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	s := openShop(t)
	b := s.browser(t)
	var codes []string
	for _, lang := range queue.Languages {
		_, body := b.get("/manual/failures?lang=" + lang)
		for _, row := range rows[1:] {
			codes = append(codes, row[0])
			at := strings.Index(body, `<li id="`+row[0]+`">`)
			if at < 0 {
				t.Errorf("%s is not in the manual: give it a row in manual/failures.csv", row[0])
				continue
			}
			entry, _, _ := strings.Cut(body[at:], "</li>")
			if said := queue.Words(row[0], lang, blanks); !strings.Contains(html.UnescapeString(entry), said) {
				t.Errorf("%s in %s does not say %q:\n%s", row[0], lang, said, entry)
			}
		}
	}
	for _, code := range book().codes {
		if !slices.Contains(codes, code) {
			t.Errorf("%s is in manual/failures.csv and no longer said by the queue", code)
		}
	}
}

func TestManualIsCompleteInEveryLanguage(t *testing.T) {
	ids := map[string]bool{}
	for _, row := range table(manualCSV)[1:] {
		kind, id, _ := strings.Cut(row[1], ":")
		if id != "" && (kind != "h" || ids[id]) {
			t.Errorf("a place that cannot be found: %q", row[:3])
		}
		ids[id] = true
		if !slices.Contains(manualPages, row[0]) || !slices.Contains([]string{"h", "p", "pre"}, kind) {
			t.Errorf("a row of no page or kind: %q", row)
		}
		for i, lang := range queue.Languages {
			if row[1] != "pre" && strings.TrimSpace(row[2+i]) == "" {
				t.Errorf("%q has no %s", row[2], lang)
			}
		}
	}
	for _, at := range manualPages[:len(manualPages)-1] {
		if len(book().pages[at]) == 0 {
			t.Errorf("the page %s is empty", at)
		}
	}
}

// The lamp, a card and a message each lead to the place that says more.
func TestFailuresLinkToTheManual(t *testing.T) {
	s := furnish(t)
	b := s.browser(t)
	b.post("/login", "password", password)
	if _, body := b.get("/messages/" + s.refused.ID.String()); !strings.Contains(body, `href="/manual/failures#`) {
		t.Errorf("the story of a refused message:\n%s", body)
	}
	if err := s.queue.Pause(t.Context(), "Counter", "test"); err != nil {
		t.Fatal(err)
	}
	_, body := b.get("/")
	if n := strings.Count(body, `href="/manual/failures#paused"`); n != 2 {
		t.Errorf("the paused modem leads to the manual %d times, want from the lamp and from its card", n)
	}
	if resp, _ := b.get("/manual/nothing"); resp.StatusCode != 404 {
		t.Errorf("a page that is not there: %s", resp.Status)
	}
}

// What a page leads to in the manual is there.
func TestPagesLeadToThePlaceInTheManual(t *testing.T) {
	s := furnish(t)
	b := s.browser(t)
	b.post("/login", "password", password)
	links := regexp.MustCompile(`href="(/manual/[a-z]+)#([a-z_]+)"`)
	found := 0
	for _, p := range s.everyPage() {
		_, body := b.get(p.path)
		for _, m := range links.FindAllStringSubmatch(body, -1) {
			found++
			if _, there := b.get(m[1]); !strings.Contains(there, ` id="`+m[2]+`"`) {
				t.Errorf("%s leads to %s#%s, which is not there", p.path, m[1], m[2])
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d links into the manual were found", found)
	}
}

// What the box offers stands in the manual, each line with its test.
func TestOffersAreInTheManual(t *testing.T) {
	s := openShop(t)
	_, body := s.browser(t).get("/manual/outreach?lang=sv")
	rows := table(offersCSV)[1:]
	if len(rows) < 45 {
		t.Fatalf("only %d offers", len(rows))
	}
	for _, row := range rows {
		for _, said := range row[1:] {
			if !strings.Contains(html.UnescapeString(body), said) {
				t.Errorf("%q is not in the manual", said)
			}
		}
	}
}
