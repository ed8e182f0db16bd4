// Command report reads `go test -json` and prints what a person wants to know:
// one line for each package, everything that a failing test said, what was
// skipped or not run and why, and a closing line that counts.
//
// A test that cannot do its work on this machine, and says so in a line with
// ": not run: ", has not passed, whatever Go counts.
//
// With TILLPOST_CI=1 a skipped test is a failure: there everything the tests
// want has been installed. It exits 1 if anything failed. It imports the
// standard library only.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := report(os.Stdin, os.Stdout, os.Getenv("TILLPOST_CI") == "1"); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a build that failed
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// report copies what matters from in to out. It answers an error if a test,
// a package or a build failed, nothing was run, or, when strict, a test was
// skipped.
func report(in io.Reader, out io.Writer, strict bool) error {
	var passed, failed, broken int
	var skipped, notRun []string
	said := make(map[string][]string) // package and test → its output

	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // go itself, not a test
			continue
		}
		name := strings.TrimSuffix(e.Package+" "+e.Test, " ")
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "output":
			said[name] = append(said[name], e.Output)
		case "pass":
			switch why := said[name]; {
			case e.Test == "":
				fmt.Fprintf(out, "ok    %-40s %6.1fs\n", e.Package, e.Elapsed)
			case slices.ContainsFunc(why, isNotRun):
				notRun = append(notRun, name+": "+reason(why[slices.IndexFunc(why, isNotRun):]))
			default:
				passed++
			}
			delete(said, name)
		case "skip":
			if e.Test != "" {
				skipped = append(skipped, name+": "+reason(said[name]))
			}
			delete(said, name)
		case "fail":
			fmt.Fprint(out, strings.Join(said[name], ""))
			delete(said, name)
			if e.Test != "" {
				failed++
				fmt.Fprintf(out, "FAIL  %s (%.1fs)\n", name, e.Elapsed)
				continue
			}
			broken++
			// Tests that never ended (a panic, a time-out) have said
			// something too, and it is what matters then.
			for other, output := range said {
				if strings.HasPrefix(other, e.Package+" ") {
					fmt.Fprint(out, strings.Join(output, ""))
					delete(said, other)
				}
			}
			fmt.Fprintf(out, "FAIL  %-40s %6.1fs\n", e.Package, e.Elapsed)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading go test -json: %w", err)
	}
	for _, s := range skipped {
		fmt.Fprintln(out, "skipped", s)
	}
	for _, s := range notRun {
		fmt.Fprintln(out, "NOT RUN", s)
	}
	if failed == 0 {
		failed = broken // a package can fail without a test, and must count
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped", passed, failed, len(skipped))
	if len(notRun) > 0 {
		fmt.Fprintf(out, ", %d NOT RUN", len(notRun))
	}
	fmt.Fprintln(out)
	switch {
	case failed > 0:
		return fmt.Errorf("%d failed", failed)
	case passed == 0:
		return fmt.Errorf("no test was run")
	case strict && len(skipped) > 0:
		return fmt.Errorf("%d skipped, which TILLPOST_CI=1 does not allow", len(skipped))
	}
	return nil
}

func isNotRun(line string) bool { return strings.Contains(line, ": not run: ") }

// reason finds what the test said when it skipped itself.
func reason(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			if _, text, ok := strings.Cut(line, ".go:"); ok {
				if _, text, ok = strings.Cut(text, ": "); ok {
					return text
				}
			}
			return line
		}
	}
	return "no reason given"
}
