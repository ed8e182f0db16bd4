package hand

import (
	"bytes"
	"os"
	"testing"
)

func TestHelp(t *testing.T) {
	var out, errs bytes.Buffer
	if code, ask := Run(t.Context(), []string{"help"}, nil, &out, &errs, nil); code != Done || ask || errs.Len() > 0 {
		t.Errorf("help: exit %d, %s", code, errs.String())
	}
	for _, v := range verbs {
		for _, line := range []string{v.usage, v.what} {
			if !bytes.Contains(out.Bytes(), []byte(line)) {
				t.Errorf("help does not say %q", line)
			}
		}
	}
}

// What needs the rest of the house is not begun without it; what is misused is
// told at once.
func TestWhoIsAsked(t *testing.T) {
	t.Setenv("TILLPOST_SOCKET", "/nowhere.sock")
	for _, tc := range []struct {
		args []string
		code int
		ask  bool
	}{
		{[]string{"check"}, Failed, true},
		{[]string{"contacts", "export"}, Failed, true},
		{[]string{"preview", "-template", "Dag {naam}", "customers.csv"}, Failed, true},
		{[]string{"-url", "https://box.example", "-key", "tp_x", "status"}, Failed, true},
		{[]string{"preview", "Dag"}, Failed, false},
		{[]string{"preview", "-template", "Dag {naam}"}, Misuse, false},
		{[]string{"-url", "box", "-key", "tp_x", "status"}, Misuse, false},
		{[]string{"fly"}, Misuse, false},
		{nil, Misuse, false},
	} {
		var out, errs bytes.Buffer
		code, ask := Run(t.Context(), tc.args, nil, &out, &errs, nil)
		if code != tc.code || ask != tc.ask || ask == (errs.Len() > 0) || out.Len() > 0 {
			t.Errorf("%q: exit %d, ask %t\n%s%s", tc.args, code, ask, out.String(), errs.String())
		}
	}
}

func TestWhereTheSocketIs(t *testing.T) {
	tool := Tool{rest: &Rest{Socket: func() string { return "/data/tillpost.sock" }}}
	t.Setenv("TILLPOST_SOCKET", "/somewhere/else.sock")
	if err := tool.locate(); err != nil || tool.Socket != "/somewhere/else.sock" {
		t.Errorf("with $TILLPOST_SOCKET: %s, %v", tool.Socket, err)
	}
	t.Setenv("TILLPOST_SOCKET", "")
	want := unitSocket
	if _, err := os.Stat(unitSocket); err != nil {
		want = "/data/tillpost.sock"
		if err := new(Tool).locate(); err != errRest {
			t.Errorf("the boot file was read by %v", err)
		}
	}
	tool.Socket = ""
	if err := tool.locate(); err != nil || tool.Socket != want {
		t.Errorf("without anything: %s, %v", tool.Socket, err)
	}
}
