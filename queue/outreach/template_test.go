package outreach

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
)

func amsterdam(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// parsed reads a template whose recipients have these names.
func parsed(t testing.TB, s string, rules Rules, names ...string) *Template {
	t.Helper()
	known := Names{}
	for _, n := range names {
		known[fold(n)] = true
	}
	if rules.Zone == nil {
		rules.Zone = amsterdam(t)
	}
	tpl, err := Parse(s, known, rules)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func vars(t testing.TB, given map[string]string) Vars {
	t.Helper()
	v, err := NewVars(given)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every way in which a shop's program writes a placeholder, and what only
// looks like one.
func TestPlaceholders(t *testing.T) {
	names := []string{"FORNAMN", "CustomText", "verfalldatum", "name", "Eerste Naam", "prijs €", "1e_naam"}
	v := vars(t, map[string]string{
		"fornamn": "Åsa", "customtext": "tot zo", "VerfallDatum": "morgen", "NAME": "Jo", "eerste naam": "An", "prijs €": "5", "1e_naam": "Bo",
	})
	for _, c := range []struct{ template, want string }{
		{"Hej #FORNAMN#!", "Hej Åsa!"},
		{"Hej #fornamn#!", "Hej Åsa!"},
		{"Dag, # CUSTOMTEXT #.", "Dag, tot zo."},
		{"Dag, #CustomText #.", "Dag, tot zo."},
		{"Bis [VERFALLDATUM].", "Bis morgen."},
		{"Bis [ verfalldatum ].", "Bis morgen."},
		{"Hi {{name}}, {name}, {{ Name }} and { NAME }", "Hi Jo, Jo, Jo and Jo"},
		{"Hi {name}{name}", "Hi JoJo"},
		{"{{{name}}}", "{Jo}"},
		{"[[name]]", "[Jo]"},
		{"#name##name#", "JoJo"},
		{"Dag {eerste  naam}", "Dag An"},
		{"Voor [prijs €]", "Voor 5"},
		{"Dag #1e_naam#", "Dag Bo"},

		{"Nr #1 en #2 van 3", "Nr #1 en #2 van 3"},
		{"#sale #deal #name# #nu", "#sale #deal Jo #nu"},
		{"C# en F# alleen", "C# en F# alleen"},
		{"Keuze [1] of {2}, of [a|b]", "Keuze [1] of {2}, of [a|b]"},
		{"{name", "{name"},
		{"name}", "name}"},
		{"[name\n]", "[name\n]"},
		{"{}", "{}"},
		{"[ ]{ }# #", "[ ]{ }# #"},
		{"geen veld", "geen veld"},
	} {
		tpl := parsed(t, c.template, Rules{}, names...)
		if len(tpl.Unknown()) > 0 {
			t.Errorf("%q: unknown %v", c.template, tpl.Unknown())
			continue
		}
		if got, err := tpl.Render(v, "nl"); err != nil || got != c.want {
			t.Errorf("%q reads %q, %v, want %q", c.template, got, err, c.want)
		}
	}
}

func TestAnAccentMayBeTypedInTwoWays(t *testing.T) {
	tpl := parsed(t, "Hej #FÖRNAMN#", Rules{}, "fo\u0308rnamn")
	if got, err := tpl.Render(vars(t, map[string]string{"Fo\u0308rnamn": "Åsa"}), "sv"); err != nil || got != "Hej Åsa" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUnknownPlaceholdersAreFoundBeforeAnythingIsSent(t *testing.T) {
	for template, want := range map[string][]Placeholder{
		"Hallo {name}, gültig bis [VERFALLDATUM]": {{"[VERFALLDATUM]", "verfalldatum", 25}},
		"Bis [GÜLTIG BIS]":                        {{"[GÜLTIG BIS]", "gültig bis", 4}},
		"#FORNAMN# # CUSTOMTEXT #":                {{"#FORNAMN#", "fornamn", 0}, {"# CUSTOMTEXT #", "customtext", 10}},
		"{{1}} {x.y}":                             {{"{{1}}", "1", 0}, {"{x.y}", "x.y", 6}},
	} {
		tpl := parsed(t, template, Rules{}, "name")
		if !slices.Equal(tpl.Unknown(), want) {
			t.Errorf("%q: unknown %v, want %v", template, tpl.Unknown(), want)
		}
		for _, missing := range []Missing{Refuse, Default, LeaveOut} {
			tpl = parsed(t, template, Rules{Missing: missing}, "name")
			_, err := tpl.Render(vars(t, map[string]string{"name": "Jo"}), "de")
			bad, ok := errors.AsType[*queue.Invalid](err)
			if !ok || bad.Code != CodeUnknown || bad.Field != "template" ||
				!strings.Contains(bad.Detail, want[0].As) || !strings.Contains(bad.Detail, "The names there are: name") {
				t.Errorf("%q with %s: %v", template, missing, err)
			}
		}
	}
}

// What a customer is called is not read again.
func TestAValueIsNeverAPlaceholder(t *testing.T) {
	tpl := parsed(t, "Hi {a} and {b}", Rules{}, "a", "b")
	got, err := tpl.Render(vars(t, map[string]string{"a": "{b} [x] #a#", "b": "{{a}}"}), "en")
	if err != nil || got != "Hi {b} [x] #a# and {{a}}" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAMissingValueRefusesThatRecipient(t *testing.T) {
	tpl := parsed(t, "Dag {naam}, uw {ding} en {ding} van {naam} zijn klaar.", Rules{}, "naam", "ding")
	for _, lacking := range []map[string]string{{"naam": "Jo"}, {"naam": "Jo", "ding": ""}, {"naam": "Jo", "ding": " \t"}} {
		_, err := tpl.Render(vars(t, lacking), "nl")
		bad, ok := errors.AsType[*queue.Invalid](err)
		if !ok || bad.Code != CodeMissing || bad.Field != "vars" || strings.Count(bad.Detail, "{ding}") != 1 || strings.Contains(bad.Detail, "naam") {
			t.Errorf("%v: %v", lacking, err)
		}
	}
	_, err := tpl.Render(nil, "nl")
	if bad, ok := errors.AsType[*queue.Invalid](err); !ok || !strings.Contains(bad.Detail, "{naam}, {ding}") {
		t.Errorf("without any values: %v", err)
	}
	if got, err := tpl.Render(vars(t, map[string]string{"naam": " Jo ", "ding": "fiets"}), "nl"); err != nil || got != "Dag Jo, uw fiets en fiets van Jo zijn klaar." {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAMissingValueHasADefault(t *testing.T) {
	tpl := parsed(t, "Dag {naam}, tot {dag}", Rules{Missing: Default, Defaults: map[string]string{"Naam": "klant"}}, "dag")
	if got, err := tpl.Render(vars(t, map[string]string{"dag": "zo"}), "nl"); err != nil || got != "Dag klant, tot zo" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := tpl.Render(vars(t, map[string]string{"dag": "zo", "naam": "Jo"}), "nl"); err != nil || got != "Dag Jo, tot zo" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := tpl.Render(vars(t, map[string]string{"naam": "Jo"}), "nl")
	if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Code != CodeMissing || !strings.Contains(bad.Detail, "defaults") {
		t.Errorf("without a default: %v", err)
	}
}

func TestAMissingValueLeavesTheSentenceOut(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"Uw fiets is klaar. De kosten zijn {x}. Tot straks!", "Uw fiets is klaar. Tot straks!"},
		{"Dag {x}! Uw fiets is klaar.", "Uw fiets is klaar."},
		{"Uw fiets is klaar. Tot {x}", "Uw fiets is klaar."},
		{"Beste {x},\nUw fiets is klaar.", "Uw fiets is klaar."},
		{"Hallo.\nBeste {x},\nUw fiets is klaar.", "Hallo.\nUw fiets is klaar."},
		{"Hallo. Dag {x}.\n\nTot zo.", "Hallo.\n\nTot zo."},
		{"Hallo.\r\nDag {x}.\r\nTot zo.", "Hallo.\r\nTot zo."},
		{"Bel tel. {x} of kom langs. Tot zo.", "Tot zo."},                    // an abbreviation
		{"Ihr Termin ist am 3. Mai um {x}. Bis dann.", "Bis dann."},          // a day
		{"Zie www.winkel.example voor {x}. Groet", "Groet"},                  // a point in a word
		{"Echt waar?! Ja, {x}. «Tot zo.» Dag {x}…", "Echt waar?! «Tot zo.»"}, // more than one sign
		{"Nu 5 euro. {x} doet mee. {y} ook.", "Nu 5 euro. Bo ook."},
		{"Alleen {x}", ""},
		{"Beste {y}, alles blijft.  Ook blanks.\n", "Beste Bo, alles blijft.  Ook blanks.\n"},
	} {
		tpl := parsed(t, c.template, Rules{Missing: LeaveOut}, "x", "y")
		if got, err := tpl.Render(vars(t, map[string]string{"y": "Bo"}), "nl"); err != nil || got != c.want {
			t.Errorf("%q reads %q, %v, want %q", c.template, got, err, c.want)
		}
	}
}

// Dates are written in the reader's language, field-notes §4.4.
func TestDates(t *testing.T) {
	for _, c := range []struct{ value, en, nl, sv, de string }{
		{"2027-04-23", "23 Apr 2027", "23-04-2027", "2027-04-23", "23.04.2027"},
		{"2027-04-03T09:05", "3 Apr 2027 09:05", "03-04-2027 09:05", "2027-04-03 09:05", "03.04.2027 09:05"},
		{"2027-04-03 14:30:00", "3 Apr 2027 14:30", "03-04-2027 14:30", "2027-04-03 14:30", "03.04.2027 14:30"},
		// Amsterdam is two hours before UTC in summer, one in winter.
		{"2027-06-30T22:30:00Z", "1 Jul 2027 00:30", "01-07-2027 00:30", "2027-07-01 00:30", "01.07.2027 00:30"},
		{"2027-12-24T17:00+02:00", "24 Dec 2027 16:00", "24-12-2027 16:00", "2027-12-24 16:00", "24.12.2027 16:00"},
		{"14:30", "14:30", "14:30", "14:30", "14:30"},
		{"01:02:03", "01:02:03", "01:02:03", "01:02:03", "01:02:03"},
		{"2027-02-30", "2027-02-30", "2027-02-30", "2027-02-30", "2027-02-30"},
		{"2027-04-23-001", "2027-04-23-001", "2027-04-23-001", "2027-04-23-001", "2027-04-23-001"},
	} {
		tpl := parsed(t, "{d}", Rules{}, "d")
		for lang, want := range map[string]string{"en": c.en, "nl": c.nl, "sv": c.sv, "de": c.de, "de-AT": c.de, "fr": c.sv} {
			if got, err := tpl.Render(vars(t, map[string]string{"d": c.value}), lang); err != nil || got != want {
				t.Errorf("%s in %s reads %q, %v, want %q", c.value, lang, got, err, want)
			}
		}
	}
	for _, lang := range queue.Languages {
		if writing[lang] == "" {
			t.Errorf("no date for readers of %s", lang)
		}
	}
}

func TestBadTemplatesAreRefused(t *testing.T) {
	for _, c := range []struct {
		template    string
		rules       Rules
		field, code string
	}{
		{"", Rules{}, "template", "text_empty"},
		{" \n", Rules{}, "template", "text_empty"},
		{strings.Repeat("a", maxTemplate+1), Rules{}, "template", "text_too_long"},
		{"x", Rules{Missing: "skip"}, "missing", "unknown_value"},
		{"x", Rules{Defaults: map[string]string{"a": "b"}}, "defaults", "unknown_value"},
		{"x", Rules{Missing: Default, Defaults: map[string]string{"a": "b", "A": "c"}}, "", CodeNames},
	} {
		_, err := Parse(c.template, nil, c.rules)
		bad, ok := errors.AsType[*queue.Invalid](err)
		if !ok || bad.Code != c.code || c.field != "" && bad.Field != c.field {
			t.Errorf("%.10q %+v: %v", c.template, c.rules, err)
		}
	}
	if _, err := NewVars(map[string]string{" ": "x"}); err == nil {
		t.Error("a value without a name was taken")
	}
	if v, err := NewVars(map[string]string{"Naam": "Jo", "naam ": "Jo"}); err != nil || v["naam"] != "Jo" {
		t.Errorf("the same value twice: %v, %v", v, err)
	}
}

// Ten thousand places for a value of a megabyte do not fill the memory.
func TestARenderingHasALimit(t *testing.T) {
	tpl := parsed(t, strings.Repeat("{x}", 10_000), Rules{}, "x")
	_, err := tpl.Render(vars(t, map[string]string{"x": strings.Repeat("a", 1<<20)}), "nl")
	if bad, ok := errors.AsType[*queue.Invalid](err); !ok || bad.Code != "text_too_long" {
		t.Errorf("%v", err)
	}
}

func TestFieldsAreNamedOnce(t *testing.T) {
	tpl := parsed(t, "{b} {a} [B] #c#", Rules{}, "a", "b")
	if got := fmt.Sprint(tpl.Fields()); got != "[b a c]" {
		t.Errorf("fields %s", got)
	}
}

// FuzzTemplate: a template in which every placeholder is filled with itself
// reads as it was written, and none of the rules panics.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{
		"Hej #FORNAMN#, [VERFALLDATUM] {{name}} {name} # CUSTOMTEXT #", "{{{name}}} [[name]] #name##name#",
		"Uw fiets is klaar. Bel tel. {x}.\r\n\nTot {x}!", "{\xff} #é\u0301# […] {{}}", "am 3. Mai. „Ja.“ Dr. X. ", "#a #b# [c\n]",
	} {
		f.Add(s, "name")
	}
	f.Fuzz(func(t *testing.T, s, name string) {
		names := Names{}
		names.Add(Vars{fold(name): "", "x": ""})
		// So that nothing is unknown. A name that becomes known may shift what
		// is a mark behind it, so until nothing is new.
		for before := -1; before != len(names); {
			before = len(names)
			for _, m := range findMarks(s, names) {
				names[m.name] = true
			}
		}
		for _, missing := range []Missing{Refuse, Default, LeaveOut} {
			tpl, err := Parse(s, names, Rules{Missing: missing, Zone: time.UTC})
			if err != nil {
				if strings.TrimSpace(s) != "" && len(s) <= maxTemplate {
					t.Fatalf("%q: %v", s, err)
				}
				return
			}
			// Nothing of it is lost, or stands in two sentences.
			written := ""
			for _, sen := range tpl.sentences {
				for _, p := range sen.pieces {
					written += p.text
				}
				written += sen.tail
			}
			if written != s {
				t.Fatalf("%q was divided into %q", s, written)
			}
			if _, err := tpl.Render(nil, "nl"); err != nil && missing == LeaveOut {
				t.Fatalf("%q without values: %v", s, err)
			}
			all := Vars{}
			for _, field := range tpl.Fields() {
				all[field] = "Ω"
			}
			got, err := tpl.Render(all, "nl")
			if len(tpl.Unknown()) > 0 || err != nil && len(s) < maxTemplate/2 {
				t.Fatalf("%q: unknown %v, %v", s, tpl.Unknown(), err)
			}
			if len(tpl.Fields()) == 0 && err == nil && got != s {
				t.Fatalf("%q without a field reads %q", s, got)
			}
		}
	})
}

func BenchmarkRender(b *testing.B) {
	const s = "Goedemiddag {{naam}}, uw fiets is klaar. De kosten zijn € [bedrag]. Ophalen kan tot #datum#. Tot straks!"
	tpl := parsed(b, s, Rules{}, "naam", "bedrag", "datum")
	given := map[string]string{"Naam": "mevrouw De Vries", "Bedrag": "84,50", "Datum": "2027-04-23T18:00"}
	b.ReportAllocs()
	for b.Loop() {
		v, err := NewVars(given)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tpl.Render(v, "nl"); err != nil {
			b.Fatal(err)
		}
	}
}
