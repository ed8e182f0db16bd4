package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// build makes this command as it is shipped, alone in a folder.
func build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tillpost")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// What each of these would cost every start of the command was measured: it is
// linked in whole, initialised and paged in, whether it is used or not.
var tooHeavy = []string{
	"net/http", "crypto/tls", "crypto/rand", "log/slog", "regexp", "os/exec", "os/user", "encoding/csv", "archive/zip", "html/template",
	"github.com/BurntSushi/toml", "github.com/gorilla/websocket", "go.etcd.io/bbolt",
	"tillpost/modem/usb", "tillpost/queue", "tillpost/queue/outreach", "tillpost/queue/store", "tillpost/queue/text", "tillpost/webui", "tillpost/webui/api",
}

func TestTheCommandIsLean(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(out))
	if !slices.Contains(list, "tillpost/webui/api/client") {
		t.Fatalf("these are not its packages: %v", list)
	}
	for _, heavy := range tooHeavy {
		if slices.Contains(list, heavy) {
			t.Errorf("the command is made with %s, which makes its start longer: what needs it belongs in cmd/tillpost/whole", heavy)
		}
	}
}

// What the command cannot do it has tillpostd do, which stands beside it: same
// words, same standard streams, same exit code.
func TestTheRestIsHandedOver(t *testing.T) {
	bin := build(t)
	run := func() (string, int) {
		cmd := exec.Command(bin, "-json", "contacts", "import", "a file.csv")
		cmd.Env = []string{"PATH=" + filepath.Join(t.TempDir(), "nothing")}
		cmd.Stdin = strings.NewReader("from outside\n")
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return string(out), exit.ExitCode()
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(out), 0
	}
	if out, code := run(); code != 1 || !strings.Contains(out, "tillpostd, which must stand beside") {
		t.Errorf("alone it says, with exit %d:\n%s", code, out)
	}
	const other = "#!/bin/sh\nread line; printf '%s|' \"$line\" \"$@\"; exit 7\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(bin), "tillpostd"), []byte(other), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, code := run(); code != 7 || out != "from outside|-json|contacts|import|a file.csv|" {
		t.Errorf("tillpostd was asked, with exit %d:\n%s", code, out)
	}
}
