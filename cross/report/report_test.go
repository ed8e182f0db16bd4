package main

import (
	"strings"
	"testing"
)

const header = `{"Action":"start","Package":"a"}
`

func TestReport(t *testing.T) {
	pass := `{"Action":"run","Package":"a","Test":"T"}
{"Action":"output","Package":"a","Test":"T","Output":"chatter\n"}
{"Action":"pass","Package":"a","Test":"T","Elapsed":0.1}
`
	skip := `{"Action":"output","Package":"a","Test":"S","Output":"=== RUN   S\n"}
{"Action":"output","Package":"a","Test":"S","Output":"    x_test.go:12: smsd is missing: apt-get install smstools\n"}
{"Action":"skip","Package":"a","Test":"S","Elapsed":0}
`
	notRun := `{"Action":"output","Package":"a","Test":"N","Output":"=== RUN   N\n"}
{"Action":"output","Package":"a","Test":"N","Output":"    x_test.go:12: power cut: not run: there are no loop devices\n"}
{"Action":"pass","Package":"a","Test":"N","Elapsed":0}
`
	fail := `{"Action":"output","Package":"a","Test":"F","Output":"    x_test.go:3: it was 4\n"}
{"Action":"fail","Package":"a","Test":"F","Elapsed":0.1}
{"Action":"fail","Package":"a","Elapsed":0.2}
`
	ok := `{"Action":"pass","Package":"a","Elapsed":0.2}
`
	hung := `{"Action":"run","Package":"a","Test":"H"}
{"Action":"output","Package":"a","Test":"H","Output":"panic: test timed out after 1s\n"}
{"Action":"fail","Package":"a","Elapsed":1}
`
	build := `{"ImportPath":"a","Action":"build-output","Output":"a/x.go:1:1: no such thing\n"}
{"ImportPath":"a","Action":"build-fail"}
{"Action":"fail","Package":"a","Elapsed":0,"FailedBuild":"a"}
`
	tests := []struct {
		name, in string
		strict   bool
		wantErr  string
		wantOut  []string
		notOut   string
	}{
		{"all well", header + pass + ok, true, "", []string{"ok    a", "1 passed, 0 failed, 0 skipped\n"}, "chatter"},
		{"a skip is told with its reason", header + pass + skip + ok, false, "",
			[]string{"skipped a S: smsd is missing: apt-get install smstools", "1 passed, 0 failed, 1 skipped\n"}, ""},
		{"a skip fails in CI", header + pass + skip + ok, true, "1 skipped", []string{"1 passed, 0 failed, 1 skipped\n"}, ""},
		{"what was not run has not passed", header + pass + notRun + ok, true, "",
			[]string{"NOT RUN a N: power cut: not run: there are no loop devices\n", "1 passed, 0 failed, 0 skipped, 1 NOT RUN\n"}, ""},
		{"not run alone is a failure", header + notRun + ok, false, "no test was run", []string{"0 passed, 0 failed, 0 skipped, 1 NOT RUN\n"}, ""},
		{"a failure says why", header + pass + fail, false, "1 failed", []string{"it was 4", "FAIL  a F", "1 passed, 1 failed"}, "chatter"},
		{"a test that hung is heard", header + pass + hung, false, "1 failed", []string{"timed out", "1 passed, 1 failed"}, ""},
		{"a build that failed counts", header + build, false, "1 failed", []string{"no such thing", "0 passed, 1 failed"}, ""},
		{"nothing run is a failure", header + ok, false, "no test was run", []string{"0 passed, 0 failed"}, ""},
		{"a line of go itself is shown", "go: cannot find module\n", false, "no test was run", []string{"cannot find module"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			err := report(strings.NewReader(test.in), &out, test.strict)
			said := ""
			if err != nil {
				said = err.Error()
			}
			if (test.wantErr == "") != (said == "") || !strings.Contains(said, test.wantErr) {
				t.Errorf("error %q, want %q", said, test.wantErr)
			}
			for _, want := range test.wantOut {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out.String())
				}
			}
			if test.notOut != "" && strings.Contains(out.String(), test.notOut) {
				t.Errorf("output repeats what a passing test said:\n%s", out.String())
			}
		})
	}
}
