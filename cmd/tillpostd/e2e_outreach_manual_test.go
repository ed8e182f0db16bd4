package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// The manual's table of what outreach offers names a test for each sentence;
// every such test is there, and every test has its sentence.
func TestEverySentenceOfTheManualHasItsTest(t *testing.T) {
	f, err := os.Open("../../webui/manual/outreach.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range rows[1:] {
		told = append(told, row[2])
	}
	files, err := filepath.Glob("e2e_outreach_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page := regexp.MustCompile(`(?m)^func (Test[A-Za-z]+)\(`)
	walk := regexp.MustCompile(`(?m)^\tt\.Run\("([^"]+)", func`)
	var there []string
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		of := page.FindSubmatch(src)
		for _, m := range walk.FindAllSubmatch(src, -1) {
			there = append(there, string(of[1])+"/"+string(m[1]))
		}
	}
	for _, name := range told {
		if !slices.Contains(there, name) {
			t.Errorf("the manual names %q, which is no test", name)
		}
	}
	for _, name := range there {
		if !slices.Contains(told, name) {
			t.Errorf("%q has no sentence in the manual", name)
		}
	}
	if len(there) < 45 {
		t.Errorf("only %d tests were found", len(there))
	}
}
