package text

import (
	"fmt"
	"strings"
	"testing"
)

// The budgets of issue 3 are 5 ms for a text of ten parts and 2 s for a
// template over 10,000 contacts, API included.

func BenchmarkComposeTenParts(b *testing.B) {
	for _, c := range []struct {
		name, text string
		opt        Options
	}{
		{"gsm7", strings.Repeat("Uw fiets is klaar. € 84,50 ", 53), Options{}},
		{"smart_replaced", strings.Repeat("‘Uw’ fiets – is klaar… € 5 ", 50), Options{}},
		{"ucs2", strings.Repeat("Привет, ваш заказ готов 😀 ", 24), Options{}},
		{"ucs2_all_different", everyCharacter(660), Options{}},
		{"ascii", strings.Repeat("Größe, één, Łódź; ½ ™ ", 52), Options{Encoding: ASCII}},
		{"national", strings.Repeat("Işık İstanbul'da ", 85), Options{Shift: Turkish, Locking: Turkish}},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.opt.MaxParts = MostParts
			b.ReportAllocs()
			for b.Loop() {
				p, err := Compose(c.text, c.opt)
				if err != nil || p.Parts() != 10 {
					b.Fatalf("%d parts, %v", p.Parts(), err)
				}
			}
		})
	}
}

func everyCharacter(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune('一' + rune(i))
	}
	return b.String()
}

func BenchmarkTemplateOver10000(b *testing.B) {
	tariffs, err := NewTariffs([]Tariff{{Prefix: "+31", PerPart: 45_000, Currency: "EUR"}})
	if err != nil {
		b.Fatal(err)
	}
	names := []string{"mevrouw De Vries", "Łukasz", "François", "Jo", "İbrahim Yıldız"}
	for b.Loop() {
		var s Selection
		for i := range 10_000 {
			to, err := ParseNumber(fmt.Sprintf("06-%08d", 10_000_000+i), "NL")
			if err != nil {
				b.Fatal(err)
			}
			p, err := Compose("Goedemiddag "+names[i%len(names)]+", uw fiets is klaar. De foto’s staan bij de kassa. De kosten zijn € 84,50. Ophalen kan tot 18:00. Tot straks!", Options{})
			if err != nil {
				b.Fatal(err)
			}
			s.Add(to.String(), p, tariffs.Price(to, "", p.Parts()))
		}
		if s.Count != 10_000 || s.Unpriced != 0 {
			b.Fatalf("%+v", s)
		}
	}
}

func BenchmarkParseNumber(b *testing.B) {
	for b.Loop() {
		if _, err := ParseNumber("+46 (0)70-123 45 67", "NL"); err != nil {
			b.Fatal(err)
		}
	}
}
