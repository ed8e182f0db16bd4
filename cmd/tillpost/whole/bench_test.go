package whole

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkPreview is `tillpost preview` against a box in this process, from
// its first flag to its last printed line, over a connection of its own as
// every command has. The budget is 5 ms for ten parts and 2 s for a template
// over 10,000 recipients.
func BenchmarkPreview(b *testing.B) {
	ten := strings.Repeat("Dag! Uw bestelling staat klaar bij de balie. ", 34) // 1,530 characters of GSM-7
	box := newBox(b)

	b.Run("parts=10", func(b *testing.B) {
		for b.Loop() {
			if out := box.must(b, "preview", ten); !strings.Contains(out, "part 10 of 10") {
				b.Fatalf("it does not have ten parts:\n%s", out)
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms/answer")
	})

	// The same as a process, as it is shipped, in turn with a Go program that
	// does nothing: how long a start takes is the machine's affair and changes by
	// the second, what the command adds to it is ours.
	b.Run("parts=10/process", func(b *testing.B) {
		dir := b.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "empty.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
			b.Fatal(err)
		}
		for from, name := range map[string]string{"tillpost/cmd/tillpost": "tillpost", filepath.Join(dir, "empty.go"): "empty"} {
			cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), from)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}
		start := func(program string, args ...string) time.Duration {
			began := time.Now()
			if out, err := exec.Command(filepath.Join(dir, program), args...).CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			return time.Since(began)
		}
		const turns = 41
		for b.Loop() {
			var empty, ours []time.Duration
			for range turns {
				empty = append(empty, start("empty"))
				ours = append(ours, start("tillpost", "-socket", filepath.Join(box.dir, "tillpost.sock"), "preview", ten))
			}
			slices.Sort(empty)
			slices.Sort(ours)
			b.ReportMetric(empty[turns/2].Seconds()*1000, "ms/empty-process")
			b.ReportMetric(ours[turns/2].Seconds()*1000, "ms/process")
		}
		b.ReportMetric(0, "ns/op") // of both together: says nothing
	})

	b.Run("recipients=10000", func(b *testing.B) {
		var list strings.Builder
		list.WriteString("naam;mobiel;dag\n")
		for i := range 10_000 {
			fmt.Fprintf(&list, "Klant %d;06%08d;2027-04-23\n", i, 10_000_000+i)
		}
		file := filepath.Join(b.TempDir(), "customers.csv")
		if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if out := box.must(b, "preview", "-template", "Dag {naam}, tot {dag}!", file); !strings.Contains(out, "10000 messages of 10000 recipients") {
				b.Fatalf("it answered\n%s", out)
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/answer")
	})
}
