// Package cross builds Tillpost for the boards it runs on; its tests look at
// what came out. It holds scripts and imports nothing of the house.
package cross

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
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
