package api

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

type openapiDoc struct {
	Paths map[string]map[string]struct {
		OperationID string                     `json:"operationId"`
		Security    []map[string][]string      `json:"security"`
		RequestBody *struct{ Content content } `json:"requestBody"`
		Responses   map[string]struct {
			Ref     string `json:"$ref"`
			Content content
		}
		Parameters []struct {
			Ref  string `json:"$ref"`
			Name string
			In   string
		}
	}
	Components struct {
		Schemas   map[string]schema
		Responses map[string]json.RawMessage
	}
}

type content map[string]struct {
	Schema struct {
		Ref string `json:"$ref"`
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]struct {
		Ref  string `json:"$ref"`
		Enum []string
	}
	AllOf []schema
}

// names of the properties of a schema, those of all that it is made of too.
func (d *openapiDoc) names(s schema) []string {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = d.Components.Schemas[name]
	}
	names := slices.Collect(maps.Keys(s.Properties))
	for _, part := range s.AllOf {
		names = append(names, d.names(part)...)
	}
	slices.Sort(names)
	return names
}

func readDoc(t *testing.T) openapiDoc {
	t.Helper()
	var doc openapiDoc
	if err := json.Unmarshal(OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// The table and the description say the same, in both directions: calls,
// scopes, wildcards, and who remembers its answers.
func TestDescriptionAndTableAgree(t *testing.T) {
	doc := readDoc(t)
	described := map[string]bool{}
	ids := map[string]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			described[strings.ToUpper(method)+" "+path] = true
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operationId %q is missing or used twice", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	for _, e := range endpoints {
		name := e.method + " " + e.pattern()
		if !described[name] {
			t.Errorf("%s is not described", name)
			continue
		}
		delete(described, name)
		op := doc.Paths[e.pattern()][strings.ToLower(e.method)]
		var scopes []Scope
		for _, alternative := range op.Security {
			for _, s := range alternative["key"] {
				scopes = append(scopes, Scope(s))
			}
		}
		if !slices.Equal(scopes, e.scopes) {
			t.Errorf("%s: described for %v, needs %v", name, scopes, e.scopes)
		}
		var wild []string
		remembers := false
		for _, p := range op.Parameters {
			if p.In == "path" {
				wild = append(wild, "{"+p.Name+"}")
			}
			remembers = remembers || strings.HasSuffix(p.Ref, "/IdempotencyKey")
		}
		for _, w := range wild {
			if !strings.Contains(e.path, w) {
				t.Errorf("%s: parameter %s is not in the path", name, w)
			}
		}
		if strings.Count(e.path, "{") != len(wild) {
			t.Errorf("%s: %d wildcards described", name, len(wild))
		}
		if should := e.method == "POST" && !e.secret; remembers != should {
			t.Errorf("%s: Idempotency-Key described %t, kept %t", name, remembers, should)
		}
		if len(e.scopes) > 0 && (op.Responses["401"].Ref == "" || op.Responses["403"].Ref == "") {
			t.Errorf("%s: a call that needs a key can be refused with 401 and 403", name)
		}
	}
	for name := range described {
		t.Errorf("%s is described and does not exist", name)
	}
}

// Every schema has exactly the fields of its Go type.
func TestDescriptionAndTypesAgree(t *testing.T) {
	doc := readDoc(t)
	types := map[string]any{
		"Send": wire.Send{}, "Message": wire.Message{}, "Part": wire.Part{}, "Change": wire.Change{}, "Price": wire.Price{},
		"Event": wire.Event{}, "Messages": wire.Page[wire.Message]{}, "Compose": wire.Compose{}, "Preview": wire.Preview{},
		"Recipient": wire.Recipient{}, "Refusal": wire.Refusal{}, "Selection": wire.Selection{}, "Rendering": wire.Rendering{},
		"Segment": wire.Segment{}, "Culprit": wire.Culprit{}, "Instead": wire.Instead{}, "Settle": wire.Settle{},
		"Inbound": wire.Inbound{}, "InboundPart": wire.InboundPart{}, "Inbox": wire.Page[wire.Inbound]{}, "Happened": wire.Happened{}, "Route": wire.Route{},
		"Limit": wire.Limit{}, "Care": route.Care{}, "Storage": route.Storage{}, "Balance": route.Balance{}, "LoopTest": route.LoopTest{}, "Rung": route.Rung{}, "Findings": wire.Findings{},
		"Routes": wire.Page[wire.Route]{}, "USSD": wire.USSD{}, "USSDAnswer": wire.USSDAnswer{}, "PIN": wire.PIN{},
		"NewKey": wire.NewKey{}, "Key": wire.Key{}, "Keys": wire.Page[wire.Key]{}, "Health": wire.Health{},
		"Contact": reach.Contact{}, "Contacts": wire.Page[reach.Contact]{}, "ContactImport": reach.ContactImport{}, "Imported": reach.Imported{}, "RowError": reach.RowError{},
		"Consent": reach.Consent{}, "Consents": wire.Page[reach.Consent]{}, "Exclusion": reach.Exclusion{}, "Exclusions": wire.Page[reach.Exclusion]{}, "OptOut": reach.OptOut{}, "OptOuts": wire.Page[reach.OptOut]{},
		"Template": reach.Template{}, "Templates": wire.Page[reach.Template]{}, "BookingIn": reach.BookingIn{}, "Booking": reach.Booking{},
		"Bookings": wire.Page[reach.Booking]{}, "Booked": reach.Booked{}, "Notice": reach.Notice{},
		"Rule": reach.Rule{}, "Rules": wire.Page[reach.Rule]{}, "Trigger": reach.Trigger{}, "RuleRun": reach.RuleRun{}, "Upcoming": reach.Upcoming{}, "UpcomingList": wire.Page[reach.Upcoming]{},
		"Audience": reach.Audience{}, "Condition": reach.Condition{}, "Policy": reach.Policy{}, "Proof": reach.Proof{}, "Notify": reach.Notify{}, "Throttle": reach.Throttle{}, "When": reach.When{},
		"CampaignIn": reach.CampaignIn{}, "Campaign": reach.Campaign{}, "Campaigns": wire.Page[reach.Campaign]{}, "CampaignPreview": reach.CampaignPreview{},
		"CampaignTest": reach.CampaignTest{}, "Started": reach.Started{}, "BatchIn": reach.BatchIn{}, "BatchRow": reach.BatchRow{},
		"ListRow": reach.ListRow{}, "ListRows": wire.Page[reach.ListRow]{}, "Excluded": reach.Excluded{}, "Failure": reach.Failure{}, "Shown": reach.Shown{}, "Replaced": reach.Replaced{},
		"Counts": wire.Counts{}, "Clock": wire.Clock{}, "Person": wire.Person{}, "About": wire.About{}, "Erased": wire.Erased{},
		"NewWebhook": wire.NewWebhook{}, "Webhook": wire.Webhook{}, "Webhooks": wire.Page[wire.Webhook]{}, "Replay": wire.Replay{},
		"Setting": wire.Setting{}, "Settings": wire.Page[wire.Setting]{}, "SettingsChange": struct{}{}, "SettingsChanged": wire.SettingsChanged{},
		"WebhookTest": wire.WebhookTest{}, "HookCall": wire.HookCall{}, "Outcome": reach.Outcome{}, "Status": wire.Status{}, "Check": wire.Check{}, "Problem": wire.Problem{},
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		v, ok := types[name]
		if !ok {
			t.Errorf("schema %s: no type is known for it", name)
			continue
		}
		delete(types, name)
		got := doc.names(doc.Components.Schemas[name])
		have := fieldNames(reflect.TypeOf(v))
		slices.Sort(have)
		if !slices.Equal(got, have) {
			t.Errorf("schema %s has\n%v, the type has\n%v", name, got, have)
		}
	}
	for name := range types {
		t.Errorf("type %s is not described", name)
	}
	enum := func(schema, field string) []string { return doc.Components.Schemas[schema].Properties[field].Enum }
	if got := enum("Message", "state"); !slices.Equal(got, strings.Split(states(), ", ")) {
		t.Errorf("states: %v", got)
	}
	source, err := os.ReadFile("../../queue/event.go")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, m := range regexp.MustCompile(`Kind = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		kinds = append(kinds, m[1])
	}
	var listed []string
	for _, k := range queue.Kinds {
		listed = append(listed, string(k))
	}
	if !slices.Equal(listed, kinds) {
		t.Errorf("queue.Kinds are\n%v, event.go has\n%v", listed, kinds)
	}
	if got := enum("Event", "kind"); !slices.Equal(got, kinds) {
		t.Errorf("kinds of events are described as\n%v, they are\n%v", got, kinds)
	}
	for _, r := range doc.Components.Responses {
		if !strings.Contains(string(r), "application/problem+json") {
			t.Errorf("a refusal that is not a Problem: %s", r)
		}
	}
}

// Whatever a $ref names is there.
func TestDescriptionHasNoLooseEnds(t *testing.T) {
	var whole map[string]any
	if err := json.Unmarshal(OpenAPI, &whole); err != nil {
		t.Fatal(err)
	}
	seen := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				seen++
				var at any = whole
				for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					m, ok := at.(map[string]any)
					if at = m[step]; !ok || at == nil {
						t.Errorf("%s leads nowhere", ref)
						break
					}
				}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(whole)
	if seen < 50 {
		t.Errorf("only %d references were looked at", seen)
	}
}

func TestDescriptionIsServed(t *testing.T) {
	b := newBox(t)
	for _, path := range []string{"/openapi.json", "/api/v1/openapi.json"} {
		if doc := want[map[string]any](b, 200, "", "GET", path, nil); doc["openapi"] != "3.1.0" {
			t.Errorf("%s: %v", path, doc["openapi"])
		}
	}
}
