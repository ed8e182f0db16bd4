package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui/api/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// box is a whole box without routes: what is accepted waits.
type box struct {
	t     *testing.T
	db    *store.DB
	queue *queue.Queue
	api   *API
	log   *bytes.Buffer
	key   string // of the till "till-1", scope send
	shut  bool   // the test has closed the store
}

type tuning struct {
	store store.Options
	queue queue.Config
	api   Config
}

func newBox(t *testing.T, tune ...func(*tuning)) *box {
	t.Helper()
	tun := tuning{store: store.Options{Path: filepath.Join(t.TempDir(), "box.db"), NoSync: true}}
	for _, f := range tune {
		f(&tun)
	}
	b := &box{t: t, log: &bytes.Buffer{}}
	db, err := store.Open(tun.store, slices.Concat(queue.Schema(), Schema())...)
	if err != nil {
		t.Fatal(err)
	}
	b.db = db
	tun.queue.DB, tun.queue.Country = db, "NL"
	if b.queue, err = queue.New(tun.queue); err != nil {
		t.Fatal(err)
	}
	tun.api.Queue, tun.api.DB = b.queue, db
	tun.api.Log = slog.New(slog.NewTextHandler(&lockedWriter{w: b.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if b.api, err = New(tun.api); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.shut {
			return
		}
		if err := db.Check(); err != nil {
			t.Errorf("the store after the test: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	b.key = b.addKey("till-1", Send)
	return b
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (b *box) addKey(name string, scopes ...Scope) string {
	b.t.Helper()
	key, err := b.api.AddKey(b.t.Context(), name, scopes, "test")
	if err != nil {
		b.t.Fatal(err)
	}
	return key
}

// ask makes one call; body may be a string, or anything that is JSON.
func (b *box) ask(key, method, path string, body any, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	var in io.Reader
	switch v := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(v)
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			b.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, in)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return w
}

// want asks, checks the status and reads the answer.
func want[T any](b *box, status int, key, method, path string, body any, header ...string) (out T) {
	b.t.Helper()
	w := b.ask(key, method, path, body, header...)
	if w.Code != status {
		b.t.Fatalf("%s %s: %d, want %d\n%s", method, path, w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		b.t.Fatalf("%s %s: %v\n%s", method, path, err, w.Body)
	}
	return out
}

const good = `{"to":"06-12345678","text":"Uw fiets is klaar"}`

func TestMessageIsAcceptedAndFound(t *testing.T) {
	b := newBox(t)
	sent := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", `{"to":"06-12345678","text":"Uw foto’s zijn klaar","ref":"order 7"}`)
	if sent.To != "+31612345678" || sent.State != "queued" || sent.Ref != "order 7" || sent.Till != "till-1" {
		t.Errorf("accepted: %+v", sent)
	}
	if sent.Text != "Uw foto's zijn klaar" || len(sent.Changes) != 1 || sent.Encoding != "gsm7" || len(sent.Parts) != 1 {
		t.Errorf("text: %q, changes %v, %s, %d parts", sent.Text, sent.Changes, sent.Encoding, len(sent.Parts))
	}
	if sent.Reason == "" || sent.Until == nil || len(sent.Events) != 1 {
		t.Errorf("a waiting message says why and until when, and has a story: %+v", sent)
	}
	seen := want[wire.Message](b, 200, b.key, "GET", "/api/v1/messages/"+sent.ID, nil)
	if seen.Code != "no_route" || seen.Reason != queue.Words("no_route", "en", nil) {
		t.Errorf("without a route it must say so: %q", seen.Reason)
	}
	a, z := sent.Events[0], seen.Events[0]
	if a.At.Sub(z.At).Abs() > time.Millisecond {
		t.Errorf("the first event was %v, and is %v", a.At, z.At)
	}
	if a.At = z.At; a != z {
		t.Errorf("the answer told\n%+v, the store tells\n%+v", a, z)
	}
	dutch := want[wire.Message](b, 200, b.key, "GET", "/api/v1/messages/"+sent.ID, nil, "Accept-Language", "fr;q=1, nl-NL;q=0.8")
	if dutch.Reason != queue.Words("no_route", "nl", nil) {
		t.Errorf("reason in Dutch: %q", dutch.Reason)
	}
	page := want[wire.Page[wire.Message]](b, 200, b.key, "GET", "/api/v1/messages?ref=order+7", nil)
	if len(page.Items) != 1 || page.Items[0].ID != sent.ID || page.Next != "" {
		t.Errorf("search by ref: %+v", page)
	}
	gone := want[wire.Message](b, 200, b.key, "DELETE", "/api/v1/messages/"+sent.ID, nil)
	if gone.State != "cancelled" || gone.Until != nil || len(gone.Events) != 2 || gone.Events[1].By != "till-1" {
		t.Errorf("cancelled: %+v", gone)
	}
}

func TestListGoesThroughEveryMessageOnce(t *testing.T) {
	b := newBox(t)
	var ids []string
	for i := range 25 {
		m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", wire.Send{To: fmt.Sprintf("+316000000%02d", i), Text: "x"})
		ids = append(ids, m.ID)
	}
	slices.Reverse(ids)
	var seen []string
	for after := ""; ; {
		page := want[wire.Page[wire.Message]](b, 200, b.key, "GET", "/api/v1/messages?limit=10&after="+after, nil)
		for _, m := range page.Items {
			seen = append(seen, m.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if !slices.Equal(seen, ids) {
		t.Errorf("pages gave %d messages, want %d, newest first", len(seen), len(ids))
	}
}

func TestTillSeesOnlyItsOwn(t *testing.T) {
	b := newBox(t)
	other, reader := b.addKey("till-2", Send), b.addKey("office", Read)
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	path := "/api/v1/messages/" + m.ID
	for _, c := range []struct{ method, path string }{{"GET", path}, {"DELETE", path}, {"POST", path + "/resend"}} {
		want[wire.Problem](b, 404, other, c.method, c.path, nil)
	}
	want[wire.Problem](b, 404, other, "POST", path+"/settle", `{"state":"sent"}`)
	if page := want[wire.Page[wire.Message]](b, 200, other, "GET", "/api/v1/messages", nil); len(page.Items) != 0 {
		t.Errorf("another till sees %d messages", len(page.Items))
	}
	if page := want[wire.Page[wire.Message]](b, 200, reader, "GET", "/api/v1/messages", nil); len(page.Items) != 1 {
		t.Errorf("a reader sees %d messages, want 1", len(page.Items))
	}
	if p := want[wire.Problem](b, 403, reader, "DELETE", path, nil); !strings.Contains(p.Detail, "scope send") {
		t.Errorf("403 must name the scope: %q", p.Detail)
	}
}

func TestBadInputIsNamedWithItsRemedy(t *testing.T) {
	b := newBox(t)
	long := strings.Repeat("word ", 400)
	for name, c := range map[string]struct {
		body               string
		status             int
		field, code, words string
	}{
		"a wrong number":       {`{"to":"06-123","text":"x"}`, 400, "to", "", ""},
		"no number":            {`{"text":"x"}`, 400, "to", "number_empty", "phone number"},
		"an empty text":        {`{"to":"0612345678","text":" "}`, 400, "text", "text_empty", ""},
		"no text":              {`{"to":"0612345678"}`, 400, "text", "text_empty", ""},
		"too many parts":       {`{"to":"0612345678","text":"` + long + `"}`, 400, "text", "text_too_long", ""},
		"own part limit":       {`{"to":"0612345678","text":"` + long[:200] + `","max_parts":1}`, 400, "text", "text_too_long", ""},
		"an unknown field":     {`{"to":"0612345678","txt":"x"}`, 400, "txt", "unknown_field", `Did you mean "text"?`},
		"a strange field":      {`{"to":"0612345678","banana":1}`, 400, "banana", "unknown_field", "Fields: to, text"},
		"a wrong type":         {`{"to":612345678,"text":"x"}`, 400, "to", "wrong_type", "text in quotes"},
		"no JSON":              {`to=06`, 400, "", "json_invalid", "not JSON"},
		"half a JSON":          {`{"to":"06`, 400, "", "json_invalid", "no end"},
		"two objects":          {good + good, 400, "", "json_invalid", "one object"},
		"a list":               {`[]`, 400, "", "json_invalid", "object"},
		"nothing":              {``, 400, "", "body_missing", "JSON object"},
		"a body over 1 MB":     {`{"text":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "", "body_too_large", "1 MB"},
		"a time without zone":  {`{"to":"0612345678","text":"x","at":"2026-12-01 09:00"}`, 400, "at", "time_invalid", "zone"},
		"a time in 2020":       {`{"to":"0612345678","text":"x","at":"2020-01-01T09:00:00Z"}`, 400, "at", "in_the_past", "leave it out"},
		"an expiry in 1999":    {`{"to":"0612345678","text":"x","expires":"1999-01-01T00:00:00Z"}`, 400, "expires", "in_the_past", ""},
		"a priority of 9":      {`{"to":"0612345678","text":"x","priority":9}`, 400, "priority", "out_of_range", "0"},
		"an unknown class":     {`{"to":"0612345678","text":"x","class":"urgent"}`, 400, "class", "unknown_value", "transactional"},
		"an unknown encoding":  {`{"to":"0612345678","text":"x","encoding":"utf8"}`, 400, "encoding", "", ""},
		"a pool that is not":   {`{"to":"0612345678","text":"x","pool":"fax"}`, 400, "pool", "unknown_value", "sms"},
		"a template":           {`{"to":"0612345678","template":"ready"}`, 400, "template", "template_unknown", "Save it first"},
		"e-mail":               {`{"to":"0612345678","text":"x","channel":"email"}`, 400, "channel", "channel_not_here", "sms"},
		"a second channel":     {`{"to":"0612345678","text":"x","email":"a@example.nl"}`, 400, "email", "channel_not_here", "leave email out"},
		"e-mail to nobody":     {`{"text":"x","channel":"email"}`, 400, "to", "address_empty", "anna@example.nl"},
		"an SMS to an address": {`{"to":"a@example.nl","text":"x"}`, 400, "to", "channel_wrong", "channel"},
		"a subject of an SMS":  {`{"to":"0612345678","text":"x","subject":"y"}`, 400, "subject", "needs_email", "channel email"},
		"a callback":           {`{"to":"0612345678","text":"x","callback":"http://x"}`, 400, "callback", "callback_refused", "callback_hosts"},
		"ref_unique and noref": {`{"to":"0612345678","text":"x","ref_unique":true}`, 400, "ref", "ref_missing", "ref"},
		"a premium number":     {`{"to":"0900-1234","text":"x"}`, 400, "to", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := b.ask(b.key, "POST", "/api/v1/messages", c.body)
			var p wire.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v\n%s", err, w.Body)
			}
			if w.Code != c.status || p.Status != c.status || p.Field != c.field || c.code != "" && p.Code != c.code {
				t.Errorf("%d, field %q, code %q; want %d, %q, %q", w.Code, p.Field, p.Code, c.status, c.field, c.code)
			}
			if !strings.Contains(p.Detail, c.words) || len(p.Detail) < 20 || p.Title == "" || !strings.HasSuffix(p.Type, p.Code) {
				t.Errorf("the answer does not help: %+v", p)
			}
			if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("Content-Type %q", ct)
			}
		})
	}
	if page := want[wire.Page[wire.Message]](b, 200, b.key, "GET", "/api/v1/messages", nil); len(page.Items) != 0 {
		t.Errorf("%d messages were accepted", len(page.Items))
	}
}

func TestStrangersAndWrongTurns(t *testing.T) {
	b := newBox(t)
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	for name, c := range map[string]struct {
		key, method, path string
		body              any
		status            int
		code              string
	}{
		"no key":                {"", "GET", "/api/v1/messages", nil, 401, "key_missing"},
		"a wrong key":           {"tp_abc", "GET", "/api/v1/messages", nil, 401, "key_wrong"},
		"not in this scope":     {b.key, "GET", "/api/v1/keys", nil, 403, "scope_missing"},
		"no such path":          {b.key, "GET", "/api/v1/mesages", nil, 404, "no_such_path"},
		"no such message":       {b.key, "GET", "/api/v1/messages/0000000000000", nil, 404, "not_found"},
		"not even an id":        {b.key, "GET", "/api/v1/messages/x", nil, 404, "not_found"},
		"a wrong method":        {b.key, "PUT", "/api/v1/messages", nil, 405, "method_not_allowed"},
		"settled, not unknown":  {b.key, "POST", "/api/v1/messages/" + m.ID + "/settle", `{"state":"sent"}`, 409, "not_now"},
		"settled as nonsense":   {b.key, "POST", "/api/v1/messages/" + m.ID + "/settle", `{"state":"lost"}`, 400, "unknown_value"},
		"a filter that is not":  {b.key, "GET", "/api/v1/messages?stat=queued", nil, 400, "unknown_field"},
		"a state that is not":   {b.key, "GET", "/api/v1/messages?state=waiting", nil, 400, "unknown_value"},
		"a limit too far":       {b.key, "GET", "/api/v1/messages?limit=5000", nil, 400, "out_of_range"},
		"a cursor from nowhere": {b.key, "GET", "/api/v1/messages?after=zzz", nil, 400, "cursor_invalid"},
		"a number of letters":   {b.key, "GET", "/api/v1/messages?to=abc", nil, 400, "number_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			b := *b
			b.t = t
			p := want[wire.Problem](&b, c.status, c.key, c.method, c.path, c.body)
			if p.Code != c.code {
				t.Errorf("code %q, want %q: %s", p.Code, c.code, p.Detail)
			}
		})
	}
	if got := b.ask("", "GET", "/api/v1/messages", nil).Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate: %q (RFC 6750 §3)", got)
	}
	if got := b.ask(b.key, "PUT", "/api/v1/messages", nil).Header().Get("Allow"); got != "GET, POST" {
		t.Errorf("Allow: %q", got)
	}
}

func TestFullQueueRefusesAndKeepsAnsweringQuestions(t *testing.T) {
	b := newBox(t, func(tun *tuning) { tun.queue.QueueMax = 2 })
	named := []string{"Idempotency-Key", "the second"}
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	second := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, named...)
	w := b.ask(b.key, "POST", "/api/v1/messages", good)
	if w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Fatalf("%d, Retry-After %q\n%s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	again := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, named...)
	if again.ID != second.ID {
		t.Error("a repeat of what was accepted is answered although the queue is full")
	}
	refused := []string{"Idempotency-Key", "the third"}
	want[wire.Problem](b, 429, b.key, "POST", "/api/v1/messages", good, refused...)
	want[wire.Message](b, 200, b.key, "DELETE", "/api/v1/messages/"+second.ID, nil)
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good, refused...)
}

func TestFullDiskRefusesAndKeepsAnsweringQuestions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box.db")
	b := newBox(t, func(tun *tuning) { tun.store.Path = path; tun.store.MinFree = 1 << 60 })
	p := want[wire.Problem](b, 507, b.key, "POST", "/api/v1/messages", good)
	if p.Code != "disk_low" {
		t.Errorf("code %q", p.Code)
	}
	want[wire.Problem](b, 507, b.key, "POST", "/api/v1/messages", good, "Idempotency-Key", "k")
	want[wire.Page[wire.Message]](b, 200, b.key, "GET", "/api/v1/messages", nil)
	h := want[wire.Health](b, 200, b.key, "GET", "/healthz", nil)
	if h.Status != "degraded" || h.Code != "disk_full" || h.Lamp != "stop" {
		t.Errorf("health: %+v", h)
	}
}

func TestPreviewSaysWhatItCosts(t *testing.T) {
	b := newBox(t)
	p := want[wire.Preview](b, 200, b.key, "POST", "/api/v1/preview", wire.Compose{Text: "Tot zo 👋", To: "0612345678"})
	if p.Encoding != "ucs2" || len(p.Parts) != 1 || p.Left == 0 || p.To != "+31612345678" || p.Price != nil {
		t.Errorf("preview: %+v", p)
	}
	if len(p.Culprits) != 1 || p.Culprits[0].Char != "👋" {
		t.Errorf("culprits: %+v", p.Culprits)
	}
	if page := want[wire.Page[wire.Message]](b, 200, b.key, "GET", "/api/v1/messages", nil); len(page.Items) != 0 {
		t.Error("a preview sent something")
	}
	want[wire.Problem](b, 400, b.key, "POST", "/api/v1/preview", wire.Compose{Text: "漢字", Encoding: "gsm7"})
}

func TestKeysAreShownOnceAndKeptAsHashes(t *testing.T) {
	b := newBox(t)
	admin := b.addKey("boss", Admin)
	made := want[wire.Key](b, 201, admin, "POST", "/api/v1/keys", wire.NewKey{Name: "till-9", Scopes: []string{"send"}})
	if !strings.HasPrefix(made.Key, "tp_") || len(made.Key) != 3+32 || made.By != "boss" {
		t.Errorf("made: %+v", made)
	}
	want[wire.Message](b, 202, made.Key, "POST", "/api/v1/messages", good)
	list := b.ask(admin, "GET", "/api/v1/keys", nil).Body.String()
	if !strings.Contains(list, "till-9") || strings.Contains(list, made.Key) || strings.Contains(list, `"key":`) {
		t.Errorf("the list: %s", list)
	}
	p := want[wire.Problem](b, 409, admin, "POST", "/api/v1/keys", wire.NewKey{Name: "till-9", Scopes: []string{"read"}}, "Idempotency-Key", "1")
	if p.Code != "name_taken" || p.Field != "name" {
		t.Errorf("%+v", p)
	}
	for _, bad := range []wire.NewKey{{Name: "x"}, {Scopes: []string{"send"}}, {Name: "x", Scopes: []string{"root"}}, {Name: "../x", Scopes: []string{"send"}}, {Name: "page", Scopes: []string{"send"}}} {
		want[wire.Problem](b, 400, admin, "POST", "/api/v1/keys", bad)
	}
	if w := b.ask(admin, "DELETE", "/api/v1/keys/till-9", nil); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("revoke: %d %s", w.Code, w.Body)
	}
	want[wire.Problem](b, 401, made.Key, "POST", "/api/v1/messages", good)
	want[wire.Problem](b, 404, admin, "DELETE", "/api/v1/keys/till-9", nil)

	// A box that was restarted knows the same keys, and no key by its text.
	again, err := New(Config{Queue: b.queue, DB: b.db})
	if err != nil {
		t.Fatal(err)
	}
	b.api = again
	want[wire.Page[wire.Key]](b, 200, admin, "GET", "/api/v1/keys", nil)
	err = b.db.View(func(tx *store.Tx) error {
		for row, err := range keyTable.Scan(tx, nil) {
			if err != nil {
				return err
			}
			raw, err := json.Marshal(row)
			if err != nil {
				return err
			}
			if bytes.Contains(raw, []byte(admin)) || bytes.Contains(raw, []byte(b.key)) {
				t.Errorf("a key is on the disk: %s", raw)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingThatWasSaidIsLogged(t *testing.T) {
	b := newBox(t)
	admin := b.addKey("boss", Admin)
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", `{"to":"0612345678","text":"geheim"}`, "Idempotency-Key", "k1")
	want[wire.Problem](b, 400, b.key, "POST", "/api/v1/messages", `{"to":"0699999999x","text":"geheim"}`)
	want[wire.Problem](b, 401, "tp_wrongkey", "POST", "/api/v1/messages", `{"to":"0612345678","text":"geheim"}`)
	want[wire.Problem](b, 404, admin, "POST", "/api/v1/routes/counter/pin", `{"pin":"4711"}`)
	for _, secret := range []string{"612345678", "geheim", "0699999999", "tp_wrongkey", "4711", b.key, admin} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log has %q:\n%s", secret, b.log)
		}
	}
}

func TestServiceCodes(t *testing.T) {
	for code, fine := range map[string]bool{
		"*100#": true, "*101*1#": true, "#123#": true, "*#06#": true, "1": true, "12345678901234567890": true, "*147*2*3#": true,
		"": false, "100": true, "*100": false, "*100#x": false, "*100#\r": false, "123456789012345678901": false, "*" + strings.Repeat("1", 39) + "#": false,
		"*21*0612345678#": false, "**21*0612345678#": false, "##21#": false, "*#21#": false, "#21#": false, "**04*1234*5678*5678#": false,
		"##002#": false, "*#002#": false, "*43#": false, "*31#": false, "**05*12345678*1234*1234#": false, "*35*0000#": false, "*67*0612345678#": false,
	} {
		if err := serviceCode(code); (err == nil) != fine {
			t.Errorf("%q: %v", code, err)
		}
	}
}

func TestHealthWord(t *testing.T) {
	b := newBox(t)
	w := b.ask("", "GET", "/healthz", nil)
	if w.Code != 200 || w.Body.String() != "degraded\n" {
		t.Errorf("without a route and a key: %d %q", w.Code, w.Body)
	}
	h := want[wire.Health](b, 200, b.key, "GET", "/healthz", nil)
	if h.Code != "no_route" || h.Lamp != "warn" {
		t.Errorf("with a key: %+v", h)
	}
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	if h := want[wire.Health](b, 200, b.key, "GET", "/healthz", nil); h.Lamp != "stop" {
		t.Errorf("a message waits that has no way out: %+v", h)
	}
	b.shut = true
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	if h := want[wire.Health](b, 503, b.key, "GET", "/healthz", nil); h.Code != "box_stuck" || !strings.Contains(h.Reason, "Restart") {
		t.Errorf("without a store, with a key: %+v", h)
	}
	if w := b.ask("", "GET", "/healthz", nil); w.Code != 503 || w.Body.String() != "down\n" {
		t.Errorf("without a store: %d %q", w.Code, w.Body)
	}
	want[wire.Problem](b, 503, b.key, "POST", "/api/v1/messages", good)
}

func TestEventsArePagedAndFiltered(t *testing.T) {
	b := newBox(t)
	reader := b.addKey("office", Read)
	for range 5 {
		want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	}
	first := want[wire.Happened](b, 200, reader, "GET", "/api/v1/events?limit=3", nil)
	if len(first.Items) != 3 || first.Next != "3" || first.Last != 5 {
		t.Fatalf("first page: %+v", first)
	}
	rest := want[wire.Happened](b, 200, reader, "GET", "/api/v1/events?after="+first.Next, nil)
	if len(rest.Items) != 2 || rest.Next != "" || rest.Items[0].Seq != 4 {
		t.Fatalf("second page: %+v", rest)
	}
	want[wire.Problem](b, 400, reader, "GET", "/api/v1/events?after=x", nil)
	want[wire.Problem](b, 403, b.key, "GET", "/api/v1/events", nil)
}

func TestProblemOf(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		known  bool
	}{
		{&queue.Gone{First: 9}, 410, true},
		{fmt.Errorf("x: %w", store.ErrDiskLow), 507, true},
		{&queue.ErrNotNow{State: queue.Sent}, 409, true},
		{context.Canceled, 503, true},
		{errors.New("page 7 is damaged"), 500, false},
	} {
		p, known := problemOf(c.err)
		if p.Status != c.status || known != c.known {
			t.Errorf("%v: %d, %t", c.err, p.Status, known)
		}
		if strings.Contains(p.Detail, "page 7") {
			t.Error("what only the log should have went out")
		}
	}
	if p, _ := problemOf(&queue.Gone{First: 9}); p.First != 9 {
		t.Error("410 says which event is the first")
	}
}
