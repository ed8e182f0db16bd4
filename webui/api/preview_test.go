package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/store"
	"tillpost/queue/text"
	"tillpost/webui/api/wire"
)

const previewPath = "/api/v1/preview"

func tariffs(t testing.TB) text.Tariffs {
	t.Helper()
	list, err := text.NewTariffs([]text.Tariff{
		{Prefix: "+31", PerPart: 45_000, Currency: "EUR"},
		{Prefix: "+46", PerPart: 500_000, Currency: "SEK"},
		{Prefix: "+31", PerPart: 33_333, Currency: "EUR", Pool: "operator"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// priced is a box with tariffs that sends to Sweden and Belgium too, in
// Amsterdam.
func priced(t *testing.T) *box {
	t.Helper()
	return newBox(t, func(tun *tuning) {
		zone, err := time.LoadLocation("Europe/Amsterdam")
		if err != nil {
			t.Fatal(err)
		}
		tun.queue.Tariffs, tun.queue.Countries = tariffs(t), []string{"NL", "SE", "BE"}
		tun.queue.Routing = []queue.Rule{{Class: queue.Marketing, Pool: "operator"}}
		tun.api.Location, tun.api.Language = zone, "nl"
	})
}

func euros(amount string) *wire.Price { return &wire.Price{Amount: amount, Currency: "EUR"} }

// What a counter shows (field-notes §2.6): parts, units, what is left, the
// price, what was replaced, and which characters made it dear.
func TestPreviewOfAText(t *testing.T) {
	b := priced(t)
	p := want[wire.Preview](b, 200, b.key, "POST", previewPath, wire.Compose{Text: "‘Uw’ fiets is klaar…", To: "06-12345678"})
	if p.To != "+31612345678" || p.Text != "'Uw' fiets is klaar..." || p.Encoding != "gsm7" || p.Units != 22 || p.Room != 160 || p.Left != 138 {
		t.Errorf("%+v", p)
	}
	if len(p.Parts) != 1 || p.Parts[0] != (wire.Segment{Text: p.Text, Units: 22}) || p.Refused != nil || p.Country != "NL" {
		t.Errorf("%+v", p)
	}
	if !reflect.DeepEqual(p.Price, euros("0.045")) {
		t.Errorf("price %+v", p.Price)
	}
	if !slices.Equal(p.Changes, []wire.Change{{From: "‘", To: "'", Position: 0}, {From: "’", To: "'", Position: 3}, {From: "…", To: "...", Position: 19}}) {
		t.Errorf("changes %+v", p.Changes)
	}

	// One emoji doubles the price, and the box says which.
	p = want[wire.Preview](b, 200, b.key, "POST", previewPath, wire.Compose{Text: strings.Repeat("Tot zo ", 20) + "👋"})
	if p.Encoding != "ucs2" || len(p.Parts) != 3 || !reflect.DeepEqual(p.Price, euros("0.135")) {
		t.Errorf("%+v", p)
	}
	want3 := wire.Culprit{Char: "👋", Positions: []int{140}, Use: "", Saves: 2}
	if len(p.Culprits) != 1 || !reflect.DeepEqual(p.Culprits[0], want3) || p.Instead == nil || p.Instead.Parts != 1 {
		t.Errorf("culprits %+v, instead %+v", p.Culprits, p.Instead)
	}
}

func TestPreviewPrice(t *testing.T) {
	b := priced(t)
	for _, c := range []struct {
		name string
		in   wire.Compose
		want *wire.Price
	}{
		{"to nobody yet: at home", wire.Compose{Text: "Dag"}, euros("0.045")},
		{"to Sweden", wire.Compose{Text: "Dag", To: "+46701234567"}, &wire.Price{Amount: "0.50", Currency: "SEK"}},
		{"to a country without a tariff", wire.Compose{Text: "Dag", To: "+32470123456"}, nil},
		{"over the pool of its class", wire.Compose{Text: strings.Repeat("a", 300), To: "0612345678", Class: "marketing"}, euros("0.066666")},
		{"over the default pool though it is marketing", wire.Compose{Text: "Dag", To: "0612345678", Class: "marketing", Pool: "sms"}, euros("0.045")},
	} {
		if p := want[wire.Preview](b, 200, b.key, "POST", previewPath, c.in); !reflect.DeepEqual(p.Price, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, p.Price, c.want)
		}
	}
	free := newBox(t)
	if p := want[wire.Preview](free, 200, free.key, "POST", previewPath, wire.Compose{Text: "Dag"}); p.Price != nil {
		t.Errorf("without a tariff: %+v", p.Price)
	}
}

// A text over the limit is shown whole, and the answer says that it would be
// refused and why: what the till sends next is the same, in earnest.
func TestPreviewOfWhatWouldBeRefused(t *testing.T) {
	b := priced(t)
	ten := strings.Repeat("Uw fiets is klaar. € 84,50 ", 53)
	p := want[wire.Preview](b, 200, b.key, "POST", previewPath, wire.Compose{Text: ten, To: "0612345678"})
	if len(p.Parts) != 10 || p.Refused == nil || p.Refused.Code != "text_too_long" || p.Refused.Field != "text" || !reflect.DeepEqual(p.Price, euros("0.45")) {
		t.Errorf("%d parts, %+v, %+v", len(p.Parts), p.Refused, p.Price)
	}
	bad := want[wire.Problem](b, 400, b.key, "POST", "/api/v1/messages", wire.Send{Text: ten, To: "0612345678"})
	if bad.Code != p.Refused.Code || bad.Detail != p.Refused.Detail {
		t.Errorf("preview says %+v, POST /messages %+v", p.Refused, bad)
	}
	if p = want[wire.Preview](b, 200, b.key, "POST", previewPath, wire.Compose{Text: strings.Repeat("a", 200), MaxParts: 1}); p.Refused == nil {
		t.Error("max_parts of the call was not heeded")
	}
	for _, c := range []struct {
		in          wire.Compose
		field, code string
	}{
		{wire.Compose{Text: " "}, "text", "text_empty"},
		{wire.Compose{Text: "x", To: "0900-1234"}, "to", "number_premium"},
		{wire.Compose{Text: "x", Class: "spam"}, "class", "unknown_value"},
		{wire.Compose{Text: "x", Encoding: "morse"}, "encoding", "option_invalid"},
		{wire.Compose{Text: "漢字", Encoding: "gsm7"}, "text", "text_not_gsm7"},
	} {
		if p := want[wire.Problem](b, 400, b.key, "POST", previewPath, c.in); p.Field != c.field || p.Code != c.code {
			t.Errorf("%+v: %+v", c.in, p)
		}
	}
}

// The price that was shown is the price in the record.
func TestMessagesHaveTheirPrice(t *testing.T) {
	b := priced(t)
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", wire.Send{To: "0612345678", Text: strings.Repeat("a", 161)})
	if !reflect.DeepEqual(m.Price, euros("0.09")) {
		t.Errorf("answered %+v", m.Price)
	}
	if m = want[wire.Message](b, 200, b.key, "GET", "/api/v1/messages/"+m.ID, nil); !reflect.DeepEqual(m.Price, euros("0.09")) {
		t.Errorf("kept %+v", m.Price)
	}
	m = want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", wire.Send{To: "+32470123456", Text: "Dag"})
	if m.Price != nil {
		t.Errorf("without a tariff %+v", m.Price)
	}
}

const template = "Dag #NAAM#, [ding] is klaar op {{dag}}."

func TestPreviewOfATemplate(t *testing.T) {
	b := priced(t)
	vars := func(name string) wire.Vars { return wire.Vars{"naam": name, "Ding": "uw fiets", "dag": "2027-04-23"} }
	two := 2
	s := want[wire.Selection](b, 200, b.key, "POST", previewPath, wire.Compose{
		Template: template, First: &two,
		Recipients: []wire.Recipient{
			{To: "06-12345671", Vars: vars("Jo")},
			{To: "0900-1234", Vars: vars("Ed")},
			{To: "+46701234567", Lang: "sv", Vars: vars("Åsa")},
			{To: "06-12345672", Vars: wire.Vars{"naam": "An", "dag": "morgen"}},
			{To: "06-12345673", Lang: "de", Vars: vars("Łukasz")},
			{To: "06-12345674", Vars: vars("mevrouw " + strings.Repeat("Van der Lengte ", 12))},
			{To: "+32470123456", Vars: vars("Bo")},
			{To: "06-12345675", Vars: wire.Vars{"naam": "An", "ding": " ", "dag": "morgen"}},
			{To: "", Vars: vars("Ik")},
			{To: "06-12345676", Lang: "fr", Vars: vars("Luc")},
		},
	})
	if s.Recipients != 10 || s.Messages != 5 || s.Refused != 5 || s.Parts != 6 || s.UCS2 != 1 || s.Unpriced != 1 {
		t.Errorf("counts %+v", s)
	}
	if !slices.Equal(s.ByParts, []wire.ByParts{{Parts: 1, Messages: 4}, {Parts: 2, Messages: 1}}) {
		t.Errorf("by parts %+v", s.ByParts)
	}
	if !slices.Equal(s.Total, []wire.Price{{Amount: "0.18", Currency: "EUR"}, {Amount: "0.50", Currency: "SEK"}}) {
		t.Errorf("total %+v", s.Total)
	}
	if !slices.Equal(s.Fields, []string{"naam", "ding", "dag"}) || len(s.Unknown) != 0 {
		t.Errorf("fields %v, unknown %v", s.Fields, s.Unknown)
	}
	if s.Shortest.Row != 1 || s.Shortest.Text != "Dag Jo, uw fiets is klaar op 23-04-2027." || !reflect.DeepEqual(s.Shortest.Price, euros("0.045")) {
		t.Errorf("shortest %+v", s.Shortest)
	}
	if s.Longest.Row != 6 || len(s.Longest.Parts) != 2 || s.Longest.To != "+31612345674" {
		t.Errorf("longest %+v", s.Longest)
	}
	if len(s.First) != 2 || s.First[0].Row != 1 || s.First[1].Row != 3 || s.First[1].Text != "Dag Åsa, uw fiets is klaar op 2027-04-23." {
		t.Errorf("first %+v", s.First)
	}
	var why []string
	for _, r := range s.Refusals {
		why = append(why, fmt.Sprintf("%v %s %s", r.Rows, r.Field, r.Code))
	}
	if want := []string{"[2] to number_premium", "[4 8] vars value_missing", "[9] to number_empty", "[10] lang unknown_value"}; fmt.Sprint(why) != fmt.Sprint(want) {
		t.Errorf("refused %q, want %q", why, want)
	}
	if !strings.Contains(s.Refusals[1].Detail, "[ding]") {
		t.Errorf("%q does not name what is missing", s.Refusals[1].Detail)
	}
	if page := want[wire.Page[wire.Message]](b, 200, b.key, "GET", "/api/v1/messages", nil); len(page.Items) != 0 {
		t.Error("a preview sent something")
	}
}

func TestPreviewShowsTenOfATemplateUnlessTold(t *testing.T) {
	b := priced(t)
	in := wire.Compose{Template: "Dag {n}", Lang: "de"}
	for i := range 30 {
		in.Recipients = append(in.Recipients, wire.Recipient{To: fmt.Sprintf("06%08d", 10_000_000+i), Vars: wire.Vars{"n": "2027-01-02"}})
	}
	s := want[wire.Selection](b, 200, b.key, "POST", previewPath, in)
	if len(s.First) != 10 || s.First[9].Row != 10 || s.First[0].Text != "Dag 02.01.2027" {
		t.Errorf("%+v", s.First)
	}
	if s.Unknown == nil {
		t.Error("an empty list is answered as null")
	}
	none := 0
	in.First = &none
	if s := want[wire.Selection](b, 200, b.key, "POST", previewPath, in); len(s.First) != 0 || s.Shortest == nil {
		t.Errorf("%+v", s)
	}
}

func TestPreviewFindsUnknownPlaceholders(t *testing.T) {
	b := priced(t)
	s := want[wire.Selection](b, 200, b.key, "POST", previewPath, wire.Compose{
		Template: "Gültig bis [VERFALLDATUM], {naam}", Missing: "leave_out",
		Recipients: []wire.Recipient{{To: "0612345671", Vars: wire.Vars{"naam": "Jo"}}, {To: "0612345672", Vars: wire.Vars{"naam": "Bo"}}},
	})
	if s.Messages != 0 || s.Refused != 2 || s.Shortest != nil || s.Longest != nil || len(s.First) != 0 {
		t.Errorf("%+v", s)
	}
	if len(s.Unknown) != 1 || s.Unknown[0] != (wire.Placeholder{As: "[VERFALLDATUM]", Name: "verfalldatum", Position: 11}) {
		t.Errorf("unknown %+v", s.Unknown)
	}
	if len(s.Refusals) != 1 || s.Refusals[0].Code != "placeholder_unknown" || !slices.Equal(s.Refusals[0].Rows, []int{1, 2}) {
		t.Errorf("refusals %+v", s.Refusals)
	}
}

func TestPreviewHeedsWhatAMissingValueMeans(t *testing.T) {
	b := priced(t)
	in := wire.Compose{
		Template:   "Dag {naam}! Uw fiets is klaar.",
		Recipients: []wire.Recipient{{To: "0612345671", Vars: wire.Vars{"naam": "Jo"}}, {To: "0612345672"}},
	}
	for _, c := range []struct {
		missing  string
		defaults wire.Vars
		want     string // of row 2; empty: refused
	}{
		{"", nil, ""}, {"refuse", nil, ""}, {"default", nil, ""},
		{"default", wire.Vars{"NAAM": "klant"}, "Dag klant! Uw fiets is klaar."},
		{"leave_out", nil, "Uw fiets is klaar."},
	} {
		in.Missing, in.Defaults = c.missing, c.defaults
		s := want[wire.Selection](b, 200, b.key, "POST", previewPath, in)
		got := ""
		if len(s.First) == 2 {
			got = s.First[1].Text
		}
		if got != c.want || (c.want == "") != (s.Refused == 1) {
			t.Errorf("%s %v: %q, refused %+v", c.missing, c.defaults, got, s.Refusals)
		}
	}
}

// Who wants no advertising is refused before it is sent, and still told when
// an order is ready.
func TestPreviewKnowsWhoOptedOut(t *testing.T) {
	b := priced(t)
	hears(t, b, route.Inbound{From: "+31612345672", Text: "STOP"}, func() {
		in := wire.Compose{Template: "Korting!", Recipients: []wire.Recipient{{To: "0612345671"}, {To: "0612345672"}}, Class: "marketing"}
		s := want[wire.Selection](b, 200, b.key, "POST", previewPath, in)
		if s.Messages != 1 || s.Refused != 1 || s.Refusals[0].Code != "opted_out" || !slices.Equal(s.Refusals[0].Rows, []int{2}) {
			t.Errorf("%+v", s)
		}
		p := want[wire.Preview](b, 200, b.key, "POST", previewPath, wire.Compose{Text: "Korting!", To: "0612345672", Class: "marketing"})
		if p.Refused == nil || p.Refused.Code != "opted_out" {
			t.Errorf("%+v", p)
		}
		in.Class = ""
		if s = want[wire.Selection](b, 200, b.key, "POST", previewPath, in); s.Messages != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// ear is a route that hears one message and sends nothing.
type ear struct {
	in   route.Inbound
	told chan error
}

func (e *ear) Name() string { return "ear" }

func (e *ear) Run(ctx context.Context, sink route.Sink) error {
	e.told <- sink.Received(ctx, e.in)
	<-ctx.Done()
	return nil
}

func (e *ear) Send(context.Context, route.Outbound) (route.Receipt, error) {
	return route.Receipt{}, &route.Error{Fate: route.NotOffered, Text: "an ear does not send"}
}

// hears runs fn in a box that has just been told something.
func hears(t *testing.T, b *box, in route.Inbound, fn func()) {
	t.Helper()
	e := &ear{in: in, told: make(chan error, 1)}
	if err := b.queue.Attach(e, ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.queue.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := <-e.told; err != nil {
		t.Fatal(err)
	}
	fn()
}

func TestPreviewReadsNumbersAndNothing(t *testing.T) {
	b := priced(t)
	s := want[wire.Selection](b, 200, b.key, "POST", previewPath,
		`{"template":"{n} punten, € {x}","recipients":[{"to":"0612345671","vars":{"n":120,"x":-1.50}},{"to":"0612345672","vars":{"n":null,"x":"\u00e9"}}]}`)
	if s.Messages != 1 || s.First[0].Text != "120 punten, € -1.50" || s.Refusals[0].Code != "value_missing" {
		t.Errorf("%+v", s)
	}
	for _, vars := range []string{`{"n":true}`, `{"n":["a"]}`, `{"n":{}}`, `[]`, `"x"`} {
		p := want[wire.Problem](b, 400, b.key, "POST", previewPath, `{"template":"{n}","recipients":[{"to":"0612345671","vars":`+vars+`}]}`)
		if p.Code != "json_invalid" {
			t.Errorf("%s: %+v", vars, p)
		}
	}
}

func TestPreviewRefusesWhatDoesNotBelongTogether(t *testing.T) {
	b := priced(t)
	one := []wire.Recipient{{To: "0612345678"}}
	n := func(n int) *int { return &n }
	for _, c := range []struct {
		in          wire.Compose
		field, code string
	}{
		{wire.Compose{}, "text", "text_empty"},
		{wire.Compose{Recipients: one}, "template", "template_missing"},
		{wire.Compose{Text: "x", Recipients: one}, "template", "template_missing"},
		{wire.Compose{Text: "x", Missing: "refuse"}, "template", "template_missing"},
		{wire.Compose{Text: "x", First: n(1)}, "template", "template_missing"},
		{wire.Compose{Text: "x", Template: "x", Recipients: one}, "text", "one_of_two"},
		{wire.Compose{To: "0612345678", Template: "x", Recipients: one}, "to", "one_of_two"},
		{wire.Compose{Template: "x"}, "recipients", "recipients_missing"},
		{wire.Compose{Template: "x", Recipients: make([]wire.Recipient, maxRecipients+1)}, "recipients", "out_of_range"},
		{wire.Compose{Template: "x", Recipients: one, First: n(maxFirst + 1)}, "first", "out_of_range"},
		{wire.Compose{Template: "x", Recipients: one, First: n(-1)}, "first", "out_of_range"},
		{wire.Compose{Template: " ", Recipients: one}, "template", "text_empty"},
		{wire.Compose{Template: "x", Recipients: one, Missing: "skip"}, "missing", "unknown_value"},
		{wire.Compose{Template: "x", Recipients: one, Defaults: wire.Vars{"a": "b"}}, "defaults", "unknown_value"},
		{wire.Compose{Template: "x", Recipients: one, Pool: "moon"}, "pool", "unknown_value"},
		{wire.Compose{Template: "x", Recipients: one, Lang: "fr"}, "lang", "unknown_value"},
		{wire.Compose{Template: "x", Recipients: []wire.Recipient{one[0], {To: "0612345678", Vars: wire.Vars{"a": "1", "A": "2"}}}}, "recipients[1].vars.", "name_ambiguous"},
	} {
		p := want[wire.Problem](b, 400, b.key, "POST", previewPath, c.in)
		if !strings.HasPrefix(p.Field, c.field) || p.Code != c.code {
			t.Errorf("%+v:\n%+v, want %s %s", c.in, p, c.field, c.code)
		}
	}
}

// Ten thousand recipients are more than the megabyte that other calls have.
func TestPreviewTakesMoreThanOtherCalls(t *testing.T) {
	b := priced(t)
	in := register(maxRecipients)
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) < maxBody {
		t.Fatalf("only %d bytes", len(raw))
	}
	s := want[wire.Selection](b, 200, b.key, "POST", previewPath, string(raw))
	if s.Recipients != maxRecipients || s.Messages != maxRecipients || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
	p := want[wire.Problem](b, 413, b.key, "POST", previewPath, `{"text":"`+strings.Repeat("x", maxSelection)+`"}`)
	if !strings.Contains(p.Detail, "8 MB") {
		t.Errorf("%q", p.Detail)
	}
	p = want[wire.Problem](b, 413, b.key, "POST", "/api/v1/messages", `{"text":"`+strings.Repeat("x", maxBody)+`"}`)
	if !strings.Contains(p.Detail, "1 MB") {
		t.Errorf("%q", p.Detail)
	}
}

// A caller who has gone leaves nothing running.
func TestPreviewEndsWithItsCaller(t *testing.T) {
	b := priced(t)
	b.api.selecting <- struct{}{} // another preview is under way
	ctx, cancel := context.WithCancel(t.Context())
	raw, err := json.Marshal(register(3))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, "POST", previewPath, strings.NewReader(string(raw)))
	r.Header.Set("Authorization", "Bearer "+b.key)
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.api.ServeHTTP(w, r)
	}()
	cancel()
	<-done
	if w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	<-b.api.selecting
	want[wire.Selection](b, 200, b.key, "POST", previewPath, string(raw))
}

// register is a shop's customers and a text for them.
func register(n int) wire.Compose {
	names := []string{"mevrouw De Vries", "Łukasz", "François", "Jo", "İbrahim Yıldız"}
	in := wire.Compose{Template: "Goedemiddag #NAAM#, uw fiets is klaar. De foto’s staan bij de kassa. De kosten zijn € [BEDRAG]. Ophalen kan tot {{ dag }}. Tot straks!"}
	for i := range n {
		in.Recipients = append(in.Recipients, wire.Recipient{
			To: fmt.Sprintf("06-%08d", 10_000_000+i), Lang: "nl",
			Vars: wire.Vars{"Naam": names[i%len(names)], "Bedrag": fmt.Sprintf("%d,50", i%300), "Dag": "2027-04-23T18:00", "klantnummer": fmt.Sprint(i)},
		})
	}
	return in
}

// BenchmarkPreview is what a person waits for while they write: budgets of
// issue 3 are 5 ms for a text of ten parts, 2 s for a template over 10,000
// recipients. JSON, key and answer included.
func BenchmarkPreview(b *testing.B) {
	db, err := store.Open(store.Options{Path: filepath.Join(b.TempDir(), "box.db"), NoSync: true}, slices.Concat(queue.Schema(), Schema())...)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	q, err := queue.New(queue.Config{DB: db, Tariffs: tariffs(b)})
	if err != nil {
		b.Fatal(err)
	}
	a, err := New(Config{Queue: q, DB: db})
	if err != nil {
		b.Fatal(err)
	}
	key, err := a.AddKey(context.Background(), "till-1", []Scope{Send}, "bench")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   wire.Compose
	}{
		{"ten_parts/gsm7", wire.Compose{To: "0612345678", Text: strings.Repeat("Uw fiets is klaar. € 84,50 ", 53)}},
		{"ten_parts/replaced", wire.Compose{To: "0612345678", Text: strings.Repeat("‘Uw’ fiets – is klaar… € 5 ", 50)}},
		{"ten_parts/ucs2", wire.Compose{To: "0612345678", Text: strings.Repeat("Привет, ваш заказ готов 😀 ", 24)}},
		{"template/10000", register(maxRecipients)},
	} {
		body, err := json.Marshal(c.in)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", previewPath, strings.NewReader(string(body)))
				r.Header.Set("Authorization", "Bearer "+key)
				w := httptest.NewRecorder()
				if a.ServeHTTP(w, r); w.Code != 200 {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/preview")
		})
	}
}
