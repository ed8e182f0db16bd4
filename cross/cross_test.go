// Package cross builds Tillpost for the boards it runs on; its tests look at
// what came out. It holds scripts and imports nothing of the house.
package cross

import (
	"debug/buildinfo"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// setting returns one of the build settings that Go stamps into a binary.
func setting(t *testing.T, binary, key string) string {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func TestEveryBoardGetsStaticBinaries(t *testing.T) {
	dist := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "./build.sh", dist).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	boards := []struct {
		folder  string
		machine elf.Machine
		goarm   string
	}{
		{"linux-amd64", elf.EM_X86_64, ""},
		{"linux-arm64", elf.EM_AARCH64, ""},
		{"linux-armv7", elf.EM_ARM, "7"},
		{"linux-armv6", elf.EM_ARM, "6"},
	}
	for _, board := range boards {
		for _, program := range []string{"tillpostd", "tillpost"} {
			t.Run(board.folder+"/"+program, func(t *testing.T) {
				path := filepath.Join(dist, board.folder, program)
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if info.Size() >= 25_000_000 { // design.md §8
					t.Errorf("%d bytes", info.Size())
				}
				file, err := elf.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				if file.Machine != board.machine {
					t.Errorf("built for %v", file.Machine)
				}
				if libs, err := file.ImportedLibraries(); err == nil && len(libs) > 0 {
					t.Errorf("wants libraries of the box: %q", libs)
				}
				for _, p := range file.Progs {
					if p.Type == elf.PT_INTERP {
						t.Error("wants a dynamic loader")
					}
				}
				if file.Section(".symtab") != nil {
					t.Error("is not stripped")
				}
				if got := setting(t, path, "GOARM"); got != board.goarm {
					t.Errorf("GOARM=%s", got)
				}
				if got := setting(t, path, "-trimpath"); got != "true" {
					t.Error("holds the paths of the machine that built it")
				}
			})
		}
	}
}

// A test that wants a program which test-packages does not list would be
// skipped for ever, or fail in CI on a new machine only.
func TestEveryProgramThatTestsWantIsListed(t *testing.T) {
	list, err := os.ReadFile("test-packages")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for line := range strings.Lines(string(list)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] != "#" {
			listed[words[0]], listed[words[1]] = true, true
		}
	}
	wants := regexp.MustCompile(`\bneeds?\(t, "([^"]+)"(?:, "([^"]+)")?\)`)
	found := 0
	err = filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range wants.FindAllStringSubmatch(string(source), -1) {
			found++
			if !listed[m[1]] && !listed[m[2]] {
				t.Errorf("%s wants %s, which test-packages does not list", path, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no test wants anything: has need another name now?")
	}
}
