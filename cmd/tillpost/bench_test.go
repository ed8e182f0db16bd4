package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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

	// The same as a process: what the system takes to start a program of this
	// size is added, to compare with `time tillpost -h`.
	b.Run("parts=10/process", func(b *testing.B) {
		bin := filepath.Join(b.TempDir(), "tillpost")
		if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		for b.Loop() {
			if out, err := exec.Command(bin, "-socket", filepath.Join(box.dir, "tillpost.sock"), "preview", ten).CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms/process")
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
