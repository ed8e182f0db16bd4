package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the import rule of the house (design.md §2): which room may
// know which. A room is a folder with everything below it; the longest name
// that fits decides. Whoever wants to change a line here changes the
// architecture, and says so in the commit.
var mayImport = []struct {
	room string
	ours []string // rooms of ours beside itself
	why  string
}{
	{"cmd", []string{"cross", "modem", "queue", "smpp", "systemd", "webui"}, "only cmd wires, so only cmd sees everything"},
	{"cross", nil, "tools for building must build before anything else does"},
	{"modem", []string{"queue/route", "queue/text"}, "a modem knows neither the database nor the web"},
	{"modem/sim", []string{"queue/route", "queue/text"}, "the simulator judges the modem, so it may not share its code"},
	{"queue", []string{"queue/route", "queue/store", "queue/text"}, "the queue does not know that modems exist"},
	{"queue/outreach", []string{"queue", "queue/route", "queue/store", "queue/text"}, "what causes messages ends in queue.Add"},
	{"queue/route", nil, "the seam is plain data: standard library only"},
	{"queue/route/email", []string{"queue/route", "queue/text"}, "a route like the others"},
	{"queue/route/email/mailsim", nil, "the simulator judges the route, so it may not share its code"},
	{"queue/route/routetest", []string{"queue/route"}, "the suite knows the contract and nothing else"},
	{"queue/store", nil, "the store does not know what it stores"},
	{"queue/text", nil, "the only cutter of texts serves everybody, so it needs nobody"},
	{"smpp", []string{"queue/route", "queue/text"}, "as modem"},
	{"smpp/smsc", []string{"queue/route", "queue/text"}, "as modem/sim"},
	{"systemd", nil, "notices to the service manager"},
	{"webui", []string{"queue", "queue/outreach", "queue/route", "queue/store", "queue/text"}, "pages and API show the queue; routes they know by the seam"},
}

// testsMayImport is what tests of a room may import beyond that.
var testsMayImport = map[string][]string{
	"modem": {"modem/sim", "queue/route/routetest"},
	"smpp":  {"smpp/smsc", "queue/route/routetest"},
	"queue": {"queue/route/routetest", "queue/route/email/mailsim"},
	"webui": {"queue/route/routetest"},
}

// livesIn names the one room of each library that shapes the house: leaving
// the library means changing that room.
var livesIn = map[string]string{
	"go.etcd.io/bbolt":                  "queue/store",
	"go.bug.st/serial":                  "modem",
	"github.com/warthog618/modem":       "modem",
	"github.com/warthog618/sms":         "", // alphabets and TPDUs: text, modem and its simulator
	"github.com/fiorix/go-smpp":         "smpp",
	"github.com/gorilla/websocket":      "webui",
	"github.com/ajstarks/svgo":          "webui",
	"github.com/BurntSushi/toml":        "cmd",
	"github.com/coreos/go-systemd":      "systemd",
	"github.com/rivo/uniseg":            "queue/text",
	"github.com/mozillazg/go-unidecode": "queue/text",
	"github.com/wneessen/go-mail":       "queue/route/email",
}

// The seven of the brief: each must really be used.
var theSeven = []string{
	"go.etcd.io/bbolt", "go.bug.st/serial", "github.com/warthog618/modem", "github.com/warthog618/sms",
	"github.com/fiorix/go-smpp", "github.com/gorilla/websocket", "github.com/ajstarks/svgo",
}

type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// packages lists the packages of the house as go list sees them.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "tillpost/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for dec := json.NewDecoder(out); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// below reports whether folder is room or stands in it.
func below(folder, room string) bool {
	return folder == room || strings.HasPrefix(folder, room+"/")
}

// roomOf is the longest room of the rule that holds folder.
func roomOf(folder string) int {
	best := -1
	for i, rule := range mayImport {
		if below(folder, rule.room) && (best < 0 || len(rule.room) > len(mayImport[best].room)) {
			best = i
		}
	}
	return best
}

func TestImportsFollowTheRule(t *testing.T) {
	used := make(map[string]bool)
	for _, p := range packages(t) {
		folder := strings.TrimPrefix(p.ImportPath, "tillpost/")
		index := roomOf(folder)
		if index < 0 {
			t.Errorf("%s is in no room of the rule: give it a line", folder)
			continue
		}
		rule := mayImport[index]
		check := func(imports []string, tests bool) {
			for _, imported := range imports {
				if inside, ours := strings.CutPrefix(imported, "tillpost/"); ours {
					other := roomOf(inside)
					ok := other == index || other >= 0 && slices.Contains(rule.ours, mayImport[other].room)
					ok = ok || rule.room == "cmd" // everything
					if tests && !ok {
						top, _, _ := strings.Cut(folder, "/")
						ok = slices.Contains(testsMayImport[top], inside)
					}
					if !ok {
						t.Errorf("%s imports %s (%s)", folder, inside, rule.why)
					}
					continue
				}
				for library, home := range livesIn {
					if !below(imported, library) && !strings.HasPrefix(imported, library+"/") {
						continue
					}
					if !tests {
						used[library] = true
					}
					if home != "" && !tests && !below(folder, home) {
						t.Errorf("%s imports %s, which lives in %s alone", folder, imported, home)
					}
				}
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)
	}
	for _, library := range theSeven {
		if !used[library] {
			t.Errorf("%s is pinned and used nowhere", library)
		}
	}
}

// The house has these doors on its front and no others (design.md §2).
func TestTopLevelEntries(t *testing.T) {
	const root = "../.."
	allowed := []string{"cmd", "modem", "queue", "smpp", "webui", "systemd", "cross", "go.mod", "go.sum",
		"Makefile", "README.md", "LICENSE", ".ci", ".gitignore",
		".git", "bin", "dist", "artefacts"} // the last line is never committed
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s stands at the top of the house, where nobody looks for it", e.Name())
		}
	}
}
