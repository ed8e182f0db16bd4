package whole

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillpost/cmd/tillpost/hand"
	"tillpost/queue/text"
	"tillpost/webui/api/wire"
)

func tariffs(t testing.TB) text.Tariffs {
	t.Helper()
	list, err := text.NewTariffs([]text.Tariff{{Prefix: "+31", PerPart: 45_000, Currency: "EUR"}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPreviewTellsThePriceAndWhatChanges(t *testing.T) {
	b := newBox(t)
	wants(t, b.must(t, "preview", "‘Dag’"), "1 part in gsm7", "price 0.045 EUR to a number of NL", `replaced "‘" by "'"`)
	wants(t, b.must(t, "preview", "-to", "06-12345678", strings.Repeat("a", 161)), "price 0.09 EUR to +31612345678")
	wants(t, b.must(t, "preview", strings.Repeat("a", 80)+"😀🎁"), `"😀" keeps the text out of the short alphabet; that alone costs no part`, "without all of them it is 1 part")
	wants(t, b.must(t, "preview", strings.Repeat("a", 1500)), "part 10 of 10", "it would be refused: the text needs 10 SMS and the limit is 6")

	var p wire.Preview
	if err := json.Unmarshal([]byte(b.must(t, "-json", "preview", "Dag")), &p); err != nil || p.Price == nil || p.Price.Amount != "0.045" {
		t.Errorf("%+v, %v", p, err)
	}
	if list := b.must(t, "list"); list != "no messages\n" {
		t.Errorf("a preview sent something: %s", list)
	}
}

func TestPreviewOfATemplateOverAFile(t *testing.T) {
	b := newBox(t)
	file := filepath.Join(t.TempDir(), "customers.csv")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("\uFEFFNaam;Mobiel;Taal;Dag\r\nJo;06-12345671;nl;2027-04-23\r\n\"Van der\nLengte\";0612345672;de;2027-04-23\r\nAn;0900-1234;;x\r\nBo;0612345673;;\r\n" +
		strings.Repeat("y", 200) + ";0612345674;en;2027-04-23\r\n")
	wants(t, b.must(t, "preview", "-template", "Dag #NAAM#, tot [dag].", "-n", "2", file),
		"line 2, +31612345671, 1 part\n    Dag Jo, tot 23-04-2027.\n",
		"line 3, +31612345672, 1 part\n    Dag Van der\n    Lengte, tot 23.04.2027.\n",
		"3 messages of 5 recipients, 4 parts", "2 messages in 1 part\n", "1 message in 2 parts\n", "price 0.18 EUR",
		"shortest: line 2, 1 part", "longest: line 7, 2 parts", "refused, line 5: ", "refused, line 6: there is no value for [dag]")
	wants(t, b.must(t, "preview", file, "-missing", "leave_out", "-template", "Dag {naam}! Tot {dag}."), "4 messages of 5 recipients", "Dag Bo!\n")
	wants(t, b.must(t, "preview", "-template", "Dag {name}", file), "0 messages of 5 recipients", "refused, line 2, 3, 5, 6, 7: no recipient has a value for {name}")

	var s wire.Selection
	if err := json.Unmarshal([]byte(b.must(t, "-json", "preview", "-template", "Dag", file)), &s); err != nil || s.Messages != 4 {
		t.Errorf("%+v, %v", s, err)
	}

	for content, want := range map[string]string{
		"":                            "no row of names",
		"naam,leeftijd\nJo,5\n":       "none of its columns is named to",
		"to,naam\n":                   "no row below",
		"to,naam\n0612345678\n":       "line 2 has 1 columns",
		"to,naam\n0612345678,\"Jo\n":  "line",
		"to,naam\n0612345678,J\xf6\n": "not UTF-8",
	} {
		write(content)
		if _, errs, code := b.says(t, "", "preview", "-template", "x", file); code != hand.Failed || !strings.Contains(errs, want) {
			t.Errorf("%q: exit %d, %s, want %s", content, code, errs, want)
		}
	}
	if _, errs, code := b.says(t, "", "preview", "-template", "x", file+".none"); code != hand.Failed || !strings.Contains(errs, "none") {
		t.Errorf("no file: exit %d, %s", code, errs)
	}
	if _, _, code := b.says(t, "", "preview", "-template", "x"); code != hand.Misuse {
		t.Errorf("without a file: exit %d", code)
	}
}

func TestListsComeWithThreeSeparators(t *testing.T) {
	for _, s := range []string{";", ",", "\t"} {
		rows, err := readList(strings.NewReader("to" + s + "Naam" + s + "\n0612345678" + s + "Jo" + s + "x\n"))
		if err != nil || len(rows) != 1 || rows[0].To != "0612345678" || rows[0].Vars["Naam"] != "Jo" || len(rows[0].Vars) != 2 {
			t.Errorf("%q: %+v, %v", s, rows, err)
		}
	}
}

func TestShowTellsThePrice(t *testing.T) {
	b := newBox(t)
	id := strings.Fields(b.must(t, "send", "0612345678", strings.Repeat("a", 161)))[0]
	wants(t, b.must(t, "show", id), "price", "0.09 EUR")
}
