package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The operator's command with files, and a folder that is watched, on the real
// binaries.
func TestFilesOfTheOperator(t *testing.T) {
	bin := build(t, "")
	radio := startRadio(t, bin)
	drop := filepath.Join(t.TempDir(), "drop")
	if err := os.Mkdir(drop, 0o700); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, bin, fmt.Sprintf("country = \"NL\"\n[drop]\ndir = %q\n", drop)+modemTable("counter", radio.port))
	b.start()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	customers := write("klanten.csv", "klantnr;voornaam;mobiel;punten\n7;Bo;06-12345678;120\n8;Cas;12;5\n9;=1+1;0687654321;\n")
	if out := b.must("contacts", "import", "-dry", customers); !strings.Contains(out, "3 rows: would be 2 added") || !strings.Contains(out, "line 3, number: ") {
		t.Errorf("a dry run says\n%s", out)
	}
	if out := b.must("contacts", "import", customers); !strings.Contains(out, "3 rows: 2 added") || !strings.Contains(out, "column mobiel: number") {
		t.Errorf("the import says\n%s", out)
	}
	out := b.must("contacts", "export")
	if !strings.Contains(out, "7;;Bo;;'+31612345678;;;;;120\n") || !strings.Contains(out, "9;;'=1+1;;'+31687654321;") {
		t.Errorf("the register is exported as\n%s", out)
	}
	if again := b.must("contacts", "import", write("again.csv", out)); !strings.Contains(again, "2 as they were") {
		t.Errorf("an export is read back as\n%s", again)
	}
	list := write("lijst.csv", "mobiel;tekst\n0612345678;Uw fiets is klaar\n12;Kort\n")
	if out := b.must("batch", "-class", "transactional", list); !strings.Contains(out, "line 3, to: ") || !strings.Contains(out, "1 recipient, 0 merged") {
		t.Errorf("the batch says\n%s", out)
	}
	if _, errs, code := b.tillpost("batch", write("leeg.csv", "naam\nBo\n")); code != 1 || !strings.Contains(errs, "no column of numbers") {
		t.Errorf("a wrong file: exit %d, %s", code, errs)
	}
	if err := os.WriteFile(filepath.Join(drop, "klaar.csv"), []byte("mobiel;tekst\n0687654321;En de uwe ook\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cell has both messages", func() (bool, string) {
		seen := radio.submits(t)
		return seen["Uw fiets is klaar"] == 1 && seen["En de uwe ook"] == 1, fmt.Sprint(seen)
	})
	if _, err := os.Stat(filepath.Join(drop, "klaar.csv.done")); err != nil {
		t.Error(err)
	}
	b.stop()
}
