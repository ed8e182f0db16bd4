package outreach

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
)

// A register of 100,000, and a campaign to 20,000 of them (design.md §8 in the
// terms of issue 7): how long the preview takes, how long until all are in the
// queue, and by how much the process grows.
func BenchmarkCampaign(b *testing.B) {
	const all, some = 100_000, 20_000
	path := filepath.Join(b.TempDir(), "box.db")
	db, o := openAt(b, path)
	o.fill(b, all, some)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	db, o = openAt(b, path) // as after a start: the import has left nothing in memory
	defer db.Close()
	for n := 0; b.Loop(); n++ {
		name := fmt.Sprintf("c%d", n)
		c := Campaign{Name: name, Kind: KindCampaign, Channel: SMS, Class: queue.Marketing, Consent: Policy{RequireAll: []string{Marketing}},
			Texts:    map[string]string{"nl": "Beste {FORNAMN}, u heeft {points} punten. Tot en met zaterdag 10 procent korting in {town}. Stop? Antwoord STOP"},
			Audience: Audience{All: []Condition{{Field: "points", Op: "at_least", Value: textValue(fmt.Sprint(all - some))}}}}
		debug.FreeOSMemory()
		before := anonymous(b)
		peak := before
		began := time.Now()
		p, err := o.Preview(&c)
		if err != nil || p.Messages != some {
			b.Fatalf("%+v, %v", p, err)
		}
		preview := time.Since(began)
		peak = max(peak, anonymous(b))
		if _, err := o.PutCampaign(b.Context(), c, "bench"); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		if _, err := o.Start(b.Context(), name, "bench"); err != nil {
			b.Fatal(err)
		}
		started := time.Since(began)
		peak = max(peak, anonymous(b))
		for began = time.Now(); ; {
			if _, err := o.step(b.Context(), name, time.Now()); err != nil {
				b.Fatal(err)
			}
			peak = max(peak, anonymous(b))
			if got, err := o.Campaign(name); err != nil {
				b.Fatal(err)
			} else if got.State == CampaignHanded {
				if got.Handed != some {
					b.Fatalf("handed over %d, refused %d", got.Handed, got.Refused)
				}
				break
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(preview.Seconds(), "s-preview")
		b.ReportMetric(started.Seconds(), "s-start")
		b.ReportMetric(time.Since(began).Seconds(), "s-hand-over")
		b.ReportMetric(peak-before, "MB-growth")
	}
}

func openAt(b *testing.B, path string) (*store.DB, *Outreach) {
	b.Helper()
	db, err := store.Open(store.Options{Path: path, MinFree: -1}, append(queue.Schema(), Schema()...)...)
	if err != nil {
		b.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db, Country: "NL", Steward: Steward()})
	if err != nil {
		b.Fatal(err)
	}
	o, err := New(Config{DB: db, Queue: q, Country: "NL", Language: "nl", PerMinute: func() float64 { return 60 }})
	if err != nil {
		b.Fatal(err)
	}
	return db, o
}

// fill makes a register; consent goes with the import.
func (o *Outreach) fill(b *testing.B, all, agreed int) {
	b.Helper()
	var csv strings.Builder
	csv.WriteString("id;voornaam;achternaam;mobiel;taal;geboortedatum;status;points;town;category;consent\n")
	for i := range all {
		fmt.Fprintf(&csv, "c%06d;Naam%d;van der Achternaam%d;06%08d;nl;19%02d-0%d-1%d;active;%d;Amsterdam;gold;%s\n",
			i, i, i, 10_000_000+i, 40+i%60, 1+i%9, i%10, i, map[bool]string{true: "ja", false: ""}[i >= all-agreed])
	}
	f, err := ReadFile([]byte(csv.String()))
	if err != nil {
		b.Fatal(err)
	}
	rep, err := o.ImportFile(b.Context(), f, Import{})
	if err != nil || rep.Added != all || rep.Refused > 0 {
		b.Fatalf("%d added, %+v, %v", rep.Added, rep.Errors[:min(3, len(rep.Errors))], err)
	}
}

// anonymous memory of this process in MB, as /proc has it.
func anonymous(b *testing.B) float64 {
	b.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			var kb float64
			if _, err := fmt.Sscanf(rest, "%f", &kb); err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	b.Fatal("no RssAnon in /proc/self/status")
	return 0
}
