package queue

import (
	"errors"
	"strings"
	"testing"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

func tariffs(t *testing.T) text.Tariffs {
	t.Helper()
	list, err := text.NewTariffs([]text.Tariff{
		{Prefix: "+31", PerPart: 45_000, Currency: "EUR"},
		{Prefix: "+31", PerPart: 33_333, Currency: "EUR", Pool: "operator"},
		{Prefix: "+46", PerPart: 1000_000_000, Currency: "SEK"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The price is planned when a message is accepted, for the pool it goes to,
// and is in the record to the last millionth.
func TestPriceIsKeptWithTheMessage(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		cfg := Config{
			Tariffs: tariffs(t), Countries: []string{"NL", "SE", "BE"}, Limits: Limits{ShortCodes: []string{"8080"}},
			Routing: []Rule{{Class: Marketing, Pool: "operator"}},
		}
		b.openWith(cfg)
		for _, c := range []struct {
			draft Draft
			want  string
		}{
			{Draft{To: anna, Text: "Dag"}, "0.045 EUR"},
			{Draft{To: anna, Text: strings.Repeat("a", 161)}, "0.09 EUR"},
			{Draft{To: anna, Class: Marketing, Text: strings.Repeat("a", 400)}, "0.099999 EUR"},
			{Draft{To: "+46701234567", Text: strings.Repeat("a", 900)}, "6000.00 SEK"},
			{Draft{To: "+32470123456", Text: "Dag"}, ""},
			{Draft{To: "8080", Text: "Dag"}, ""},
		} {
			id := b.add(c.draft)
			if got := b.get(id).Price.String(); got != c.want {
				t.Errorf("%+v costs %q, want %q", c.draft, got, c.want)
			}
			q, err := b.q.Quote(c.draft)
			if err != nil || q.Price.String() != c.want {
				t.Errorf("%+v is quoted at %v, %v, want %q", c.draft, q, err, c.want)
			}
		}
	})
}

func TestQuoteSaysWhatAddWouldDo(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Tariffs: tariffs(t), Limits: Limits{MarketingPerDay: 1}})
		err := b.db.Commit(t.Context(), func(tx *store.Tx) error {
			return b.q.obey(tx, &Inbound{From: bram, Action: ActionOptOut}, "test")
		})
		if err != nil {
			t.Fatal(err)
		}
		b.add(Draft{To: cees, Class: Marketing, Text: "Vandaag 10 % korting"})

		for _, c := range []struct {
			name    string
			draft   Draft
			refused string // by code
			parts   int    // 0: nothing to show
		}{
			{"fine", Draft{To: anna, Text: "Dag"}, "", 1},
			{"for nobody yet", Draft{Text: "Dag"}, "number_empty", 1},
			{"no number", Draft{To: "06-1", Text: "Dag"}, "number_invalid", 0},
			{"a premium number", Draft{To: "0900-1234", Text: "Dag"}, "number_premium", 0},
			{"another country", Draft{To: "+818012345678", Text: "Dag"}, "country_not_allowed", 0},
			{"no such pool", Draft{To: anna, Text: "Dag", Pool: "moon"}, "unknown_value", 0},
			{"no such language", Draft{To: anna, Text: "Dag", Lang: "fr"}, "unknown_value", 0},
			{"nothing to say", Draft{To: anna, Text: " "}, "text_empty", 0},
			{"not in that alphabet", Draft{To: anna, Text: "漢", Encoding: "gsm7"}, "text_not_gsm7", 0},
			{"ten parts", Draft{To: anna, Text: strings.Repeat("a", 1500)}, "text_too_long", 10},
			{"more than anything carries", Draft{To: anna, Text: strings.Repeat("a", 50_000)}, "text_too_long", 0},
			{"more than the queue reads", Draft{To: anna, Text: strings.Repeat("a", 90_000)}, "text_too_long", 0},
			{"opted out", Draft{To: bram, Class: Marketing, Text: "Korting"}, "opted_out", 1},
			{"opted out of something else", Draft{To: bram, Text: "Klaar"}, "", 1},
			{"too often", Draft{To: cees, Class: Marketing, Text: "Korting"}, "too_often", 1},
		} {
			q, err := b.q.Quote(c.draft)
			bad, _ := errors.AsType[*Invalid](err)
			switch {
			case c.parts > 0 && (err != nil || q.Plan.Parts() != c.parts):
				t.Errorf("%s: %v, want %d parts", c.name, err, c.parts)
			case c.parts == 0 && (bad == nil || bad.Code != c.refused):
				t.Errorf("%s: %v, want %s", c.name, err, c.refused)
			case c.parts > 0 && c.draft.To != "" && (q.Refused == nil) != (c.refused == ""), q != nil && q.Refused != nil && q.Refused.Code != c.refused:
				t.Errorf("%s: refused %v, want %q", c.name, q.Refused, c.refused)
			}
			// The same question, in earnest.
			_, err = b.q.Add(t.Context(), c.draft)
			if bad, _ := errors.AsType[*Invalid](err); (err == nil) != (c.refused == "") || bad != nil && bad.Code != c.refused {
				t.Errorf("%s: Add says %v, want %q", c.name, err, c.refused)
			}
		}
	})
}

func TestQuoteWithoutANumberIsForTheShopsCountry(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Tariffs: tariffs(t)})
		q, err := b.q.Quote(Draft{Text: strings.Repeat("a", 200)})
		if err != nil || q.Price.String() != "0.09 EUR" || q.Country != "NL" || !q.To.IsZero() || q.Pool != DefaultPool {
			t.Errorf("%+v, %v", q, err)
		}
	})
}

// ä is ae to a German reader and a to a Dutch one (field-notes §2.5).
func TestPlainFormsFollowTheLanguageOfTheMessage(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.open()
		for lang, want := range map[string]string{"de": "Uebergroesse", "nl": "Ubergrosse", "": "Ubergrosse"} {
			id := b.add(Draft{Text: "Übergröße", Encoding: "ascii", Lang: lang})
			if got := b.get(id).Text(); got != want {
				t.Errorf("in %q: %q, want %q", lang, got, want)
			}
		}
	})
}

// narrow is a route whose network writes the short alphabet in ISO 8859-1.
type narrow struct{ *routetest.Fake }

func (narrow) Latin1() bool { return true }

func TestTextsArePlannedForTheAlphabetOfTheirPool(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		b.openWith(Config{Country: "NL", Shift: text.Turkish}, routetest.NewFake("counter"))
		if err := b.q.Attach(narrow{routetest.NewFake("operator")}, "abroad"); err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("a", 170) + " €"
		for _, c := range []struct {
			pool, said, alphabet string
			parts, shift         int
		}{
			{"sms", long, route.GSM7, 2, 0},
			{"abroad", long, route.UCS2, 3, 0},
			{"operator", "5 €", route.UCS2, 1, 0},
			{"sms", "ş", route.GSM7, 1, text.Turkish},
			{"abroad", "ş", route.UCS2, 1, 0},
			{"abroad", "Größe [x]", route.GSM7, 1, 0},
		} {
			d := Draft{To: anna, Text: c.said, Pool: c.pool}
			quote, err := b.q.Quote(d)
			if err != nil {
				t.Fatal(err)
			}
			m, err := b.q.Prepare(d)
			if err != nil {
				t.Fatal(err)
			}
			if p := quote.Plan; p.Alphabet != c.alphabet || p.Parts() != c.parts || p.Shift != c.shift ||
				m.Alphabet != p.Alphabet || len(m.Segments) != c.parts || m.Shift != p.Shift {
				t.Errorf("%.10q over %s: previewed as %s in %d, accepted as %s in %d", c.said, c.pool, p.Alphabet, p.Parts(), m.Alphabet, len(m.Segments))
			}
		}
	})
}
