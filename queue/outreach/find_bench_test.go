package outreach

import (
	"path/filepath"
	"testing"
	"time"
)

// A register of 100,000 as the page asks it.
func BenchmarkRegister(b *testing.B) {
	const all = 100_000
	db, o := openAt(b, filepath.Join(b.TempDir(), "box.db"))
	defer db.Close()
	began := time.Now()
	o.fill(b, all, all/2)
	filled := time.Since(began)
	var figures []func()
	took := func(what string, fn func() error) {
		b.Helper()
		began := time.Now()
		if err := fn(); err != nil {
			b.Fatal(what, err)
		}
		ms := float64(time.Since(began).Microseconds()) / 1000
		figures = append(figures, func() { b.ReportMetric(ms, "ms-"+what) })
	}
	find := func(s Search) func() error {
		return func() error { _, err := o.Find(s); return err }
	}
	text := Stored{Texts: map[string]map[string]string{SMS: {"nl": "Beste {FORNAMN}, u heeft {points} punten in {town}."}}}
	for b.Loop() {
		took("first-page", find(Search{}))
		took("later-page", find(Search{After: "c050000"}))
		took("by-name", find(Search{Words: "naam99"}))
		took("by-number", find(Search{Words: "0610050000"}))
		took("by-consent", find(Search{Consent: ConsentWithdrawn}))
		took("kept-out", find(Search{Excluded: true}))
		took("opted-out", find(Search{OptedOut: true}))
		took("names", func() error { _, err := o.KnownNames(0); return err })
		took("try", func() error { _, err := o.Try(text, SMS, "nl", "c050000"); return err })
		took("survey", func() error { _, err := o.Survey(text, SMS); return err })
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(filled.Seconds(), "s-import")
	for _, report := range figures {
		report()
	}
}
